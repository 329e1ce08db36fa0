// V8 joins two adjacent operations on vectors of 128 bits into one of 256 (behind a flag). A loop that takes one vector a round
// has no two: this pass, for the wide build, lets such a loop take two rounds at once whenever there is another one. What
// the rounds do stays the same, number by number, and so do the bits.
//
//     loop: v = f(load(x + i)); store(y + i, v); i += 16; again if i < stop
//
//  →  loop: if i + 16 < stop: v = f(load(x + i)); w = f(load(x + i + 16)); store(y + i, v); store(y + i + 16, w); i += 32
//           else: as before
//           again if i < stop
//
// Loads of the second round come before stores of the first. So a loop is left as it is unless all it stores are vectors, 16
// bytes further on in each round, and all it loads are such vectors or always the same. Kernels hold that buffers are the same
// or apart, so what the first round stores is nothing that the second one loads.
import binaryen from "binaryen";

const MODULO = 2 ** 32;
const STEP = 16;

// ——— Text: an expression is a list of words and expressions ———

const isList = Array.isArray;

/** Lists of a module's text; comments are none. */
function parse(text) {
  const root = [];
  const open = [root];
  for (const [word] of text.matchAll(/[()]|"(?:[^"\\]|\\.)*"|[^\s()]+/g)) {
    if (word === "(") {
      const list = [];
      open.at(-1).push(list);
      open.push(list);
    } else if (word === ")") open.pop();
    else open.at(-1).push(word);
  }
  return root[0];
}

const print = (expression) => (isList(expression) ? `(${expression.map(print).join(" ")})` : expression);
const operandsOf = (expression) => expression.filter(isList);
const immediatesOf = (expression) => expression.slice(1).filter((part) => !isList(part));
const mentions = (expression, name) =>
  isList(expression) && (expression[0] === name || expression.some((part) => mentions(part, name)));

// ——— Values: what a round computes, as a graph ———

class Refused extends Error {}

const PURE =
  /^(?:[if](?:32|64|8x16|16x8|32x4|64x2)|v128)\.(?!load|store|const|atomic|div_[su]|rem_|trunc_f|div_)\w+$|^f(?:32|64|32x4|64x2)\.div$|^select$/;
const LOAD = /^(?:v128|f32|f64|i32|i64)\.load\w*$/;

/** The values of a loop's rounds; equal ones are one. */
class Values {
  #known = new Map();
  count = 0;

  make(head, operands = [], extra = {}) {
    const key = `${head.join(" ")}|${operands.map(({ id }) => id).join(",")}${extra.at ?? ""}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const value = { id: this.count++, head, operands, ...extra };
    value.sum = this.#sumOf(value);
    this.#known.set(key, value);
    return value;
  }

  /** A number of 32 bits as a sum of multiples of others and a constant. */
  #sumOf(value) {
    const [name, immediate] = value.head;
    const [left, right] = value.operands.map(({ sum }) => sum);
    if (name === "i32.const") return { constant: Number(immediate) >>> 0, terms: new Map() };
    if (name === "i32.add") return addSums(left, right, 1);
    if (name === "i32.sub") return addSums(left, right, -1);
    if (name === "i32.shl" && right.terms.size === 0) return scaleSum(left, 2 ** (right.constant & 31));
    if (name === "i32.mul" && right.terms.size === 0) return scaleSum(left, right.constant);
    return { constant: 0, terms: new Map([[value.id, 1]]) };
  }
}

const wrap = (x) => Number(BigInt.asUintN(32, BigInt(x)));

function scaleSum({ constant, terms }, factor) {
  const scale = (x) => wrap(BigInt(x) * BigInt(factor));
  return { constant: scale(constant), terms: new Map([...terms].map(([id, count]) => [id, scale(count)])) };
}

function addSums(a, b, sign) {
  const terms = new Map(a.terms);
  for (const [id, count] of b.terms) {
    const sum = wrap((terms.get(id) ?? 0) + sign * count);
    if (sum === 0) terms.delete(id);
    else terms.set(id, sum);
  }
  return { constant: wrap(a.constant + sign * b.constant), terms };
}

/** b - a if it is a constant. */
function distance(a, b) {
  const { constant, terms } = addSums(b.sum, a.sum, -1);
  if (terms.size !== 0) return undefined;
  return constant >= MODULO / 2 ? constant - MODULO : constant;
}

/** Bytes that an access adds to its address, and its other immediates. */
function splitOffset(immediates) {
  const offset = immediates.find((word) => word.startsWith("offset="));
  return [Number(offset?.slice("offset=".length) ?? 0), immediates.filter((word) => word !== offset)];
}

/** Goes through a round: values of locals, and loads and stores in their order. */
class Round {
  accesses = [];

  constructor(values, locals) {
    this.values = values;
    this.locals = new Map(locals);
  }

  local(name) {
    return this.locals.get(name) ?? this.values.make(["local.get", name]);
  }

  value(expression) {
    const [name] = expression;
    const immediates = immediatesOf(expression);
    if (name === "local.get") return this.local(immediates[0]);
    const operands = operandsOf(expression).map((operand) => this.value(operand));
    if (name === "local.tee") {
      this.locals.set(immediates[0], operands[0]);
      return operands[0];
    }
    if (name.endsWith(".const")) return this.values.make([name, ...immediates]);
    if (LOAD.test(name) && !name.includes("lane")) return this.#load(name, immediates, operands[0]);
    if (!PURE.test(name)) throw new Refused(name);
    return this.values.make([name, ...immediates], operands);
  }

  #load(name, immediates, address) {
    // Each load is a value of its own: a store may be between two of one address.
    const value = this.values.make([name, ...immediates], [address], { at: ` ${this.values.count}` });
    this.accesses.push({ name, immediates, address, result: value });
    return value;
  }

  run(statement) {
    const [name] = statement;
    const immediates = immediatesOf(statement);
    const operands = operandsOf(statement);
    if (name === "local.set") {
      this.locals.set(immediates[0], this.value(operands[0]));
    } else if (name === "v128.store") {
      const [address, stored] = operands.map((operand) => this.value(operand));
      this.accesses.push({ name, immediates, address, stored });
    } else throw new Refused(name);
  }
}

// ——— Loops ———

const mentionsLoad = (expression) => isList(expression) && (LOAD.test(expression[0]) || expression.some(mentionsLoad));

/** Locals that an expression sets. */
const localsSet = (expression) =>
  isList(expression)
    ? [...(expression[0] === "local.tee" ? [expression[1]] : []), ...expression.flatMap(localsSet)]
    : [];

/** A loop of one of two forms: while (condition) { body }, or do { body } while (condition). */
function formOf([, label, ...parts]) {
  if (!label.startsWith("$")) return undefined;
  const [only] = parts;
  if (parts.length === 1 && only[0] === "if" && only.length === 3) {
    const body = only[2].slice(1);
    const last = body.at(-1);
    if (last[0] === "br" && last[1] === label)
      return { label, condition: only[1], body: body.slice(0, -1), first: true };
    return undefined;
  }
  const last = parts.at(-1);
  if (last?.[0] === "br_if" && last[1] === label && last.length === 3) {
    return { label, condition: last[2], body: parts.slice(0, -1), first: false };
  }
  return undefined;
}

/** Two rounds, and between them whether there is a second. Values begin where the loop does. */
function twoRounds({ condition, body, first: conditionFirst }) {
  const values = new Values();
  const first = new Round(values, []);
  if (conditionFirst) first.value(condition);
  for (const statement of body) first.run(statement);
  const between = new Round(values, first.locals);
  const again = between.value(condition);
  if (between.accesses.length > 0 || (conditionFirst && mentionsLoad(condition)))
    throw new Refused("a condition that loads");
  const second = new Round(values, between.locals);
  for (const statement of body) second.run(statement);
  return { values, first, second, again };
}

/** Refuses rounds whose accesses may not change places. */
function checkAccesses({ first, second, again }) {
  const loaded = new Set(first.accesses.map(({ result }) => result));
  const dependsOnLoads = (value) => loaded.has(value) || value.operands.some(dependsOnLoads);
  if (dependsOnLoads(again)) throw new Refused("a condition on what is loaded");
  if (!first.accesses.some(({ name }) => name === "v128.store")) throw new Refused("no store");
  first.accesses.forEach((access, index) => {
    if (dependsOnLoads(access.address)) throw new Refused("an address that is loaded");
    const step = distance(access.address, second.accesses[index].address);
    const isVector = /^v128\.(?:load|store)$/.test(access.name);
    if (!(isVector && step === STEP) && !(access.result !== undefined && step === 0))
      throw new Refused(`a step of ${step}`);
  });
  const at = ({ address, immediates }) => ({ address, offset: splitOffset(immediates)[0] });
  for (const store of first.accesses.filter(({ stored }) => stored !== undefined).map(at)) {
    for (const load of second.accesses.filter(({ result }) => result !== undefined).map(at)) {
      const between = distance(store.address, load.address);
      if (between !== undefined && Math.abs(between + load.offset - store.offset) < STEP) {
        throw new Refused("a round that loads what the one before stored");
      }
    }
  }
}

/** Statements that compute values, each once, in locals where it is used twice. */
class Writer {
  statements = [];
  #uses = new Map();
  #written = new Map();

  /** `saved`: where locals are whose values at the loop's beginning are gone. */
  constructor(newLocal, saved) {
    this.newLocal = newLocal;
    this.saved = saved;
  }

  count(value) {
    const uses = this.#uses.get(value) ?? 0;
    this.#uses.set(value, uses + 1);
    if (uses === 0) for (const operand of value.operands) this.count(operand);
  }

  keep(value, expression) {
    const local = this.newLocal(typeOf(value));
    this.statements.push(["local.set", local, expression]);
    this.#written.set(value, ["local.get", local]);
    return ["local.get", local];
  }

  /** A value that is another one. */
  same(value, expression) {
    this.#written.set(value, expression);
  }

  write(value) {
    const written = this.#written.get(value);
    if (written !== undefined) return written;
    if (value.head[0] === "local.get") return ["local.get", this.saved.get(value.head[1]) ?? value.head[1]];
    if (value.operands.length === 0) return value.head;
    const expression = [...value.head, ...value.operands.map((operand) => this.write(operand))];
    return this.#uses.get(value) > 1 ? this.keep(value, expression) : expression;
  }
}

const COMPARISON = /\.(?:eqz?|ne|[lg][te](?:_[su])?|any_true|all_true|bitmask)$/;

function typeOf({ head: [name], operands }) {
  if (name === "select") return typeOf(operands[0]);
  if (name === "local.get") throw new Refused("the type of a local");
  const [prefix, rest] = name.split(".");
  if (/extract_lane/.test(rest)) return /^i(?:8x16|16x8|32x4)/.test(prefix) ? "i32" : prefix.slice(0, 3);
  if (/x|^v128$/.test(prefix)) return /any_true|all_true|bitmask/.test(rest) ? "i32" : "v128";
  return COMPARISON.test(name) ? "i32" : prefix;
}

/** The body of two rounds. */
function pairedBody({ values, first, second, again }, newLocal, saved) {
  const writer = new Writer(newLocal, saved);
  const changed = [...second.locals].filter(([name, value]) => value !== values.make(["local.get", name]));
  for (const { accesses } of [first, second]) {
    for (const { address, stored, result } of accesses) {
      for (const value of [address, stored ?? result]) writer.count(value);
    }
  }
  for (const [, value] of changed) writer.count(value);
  first.accesses.forEach((access, index) => {
    const other = second.accesses[index];
    const [offset, immediates] = splitOffset(access.immediates);
    const step = distance(access.address, other.address);
    const kept = writer.write(access.address);
    const address = kept.length === 2 ? kept : writer.keep(access.address, kept);
    const head = (add) => [access.name, ...(offset + add > 0 ? [`offset=${offset + add}`] : []), ...immediates];
    if (access.result !== undefined) {
      const loaded = writer.keep(access.result, [...head(0), address]);
      if (step === 0) writer.same(other.result, loaded);
      else writer.keep(other.result, [...head(step), address]);
      return;
    }
    const stored = [access.stored, other.stored].map((value) => {
      const expression = writer.write(value);
      return expression.length === 2 ? expression : writer.keep(value, expression);
    });
    stored.forEach((value, round) => {
      writer.statements.push([...head(round * step), address, value]);
    });
  });
  // All new values before the first local changes.
  const results = changed.map(([name, value]) => {
    if (value.head[0] === "local.get") throw new Refused("locals that change places");
    const expression = writer.write(value);
    return [name, expression[0] === "local.get" ? expression : writer.keep(value, expression)];
  });
  for (const [name, expression] of results) writer.statements.push(["local.set", name, expression]);
  return { statements: writer.statements, again: new Writer(newLocal, saved).write(again) };
}

/** The loop, two rounds at a time as long as there are two. */
function pairLoop(loop, newLocal) {
  const form = formOf(loop);
  if (form === undefined) throw new Refused("another form");
  const rounds = twoRounds(form);
  checkAccesses(rounds);
  const { label, condition, body, first } = form;
  // What a condition in front sets is needed as it was before.
  const saved = new Map((first ? localsSet(condition) : []).map((name) => [name, newLocal("i32")]));
  const { statements, again } = pairedBody(rounds, newLocal, saved);
  const back = ["br", label];
  if (first) {
    const two = ["if", again, ["then", ...statements, back]];
    const keep = [...saved].map(([name, copy]) => ["local.set", copy, ["local.get", name]]);
    return ["loop", label, ...keep, ["if", condition, ["then", two, ...body, back]]];
  }
  return ["loop", label, ["if", again, ["then", ...statements], ["else", ...body]], ["br_if", label, condition]];
}

/** All innermost loops of a function that can be paired are; `note` is told of each loop what became of it. */
function pairInFunction(definition, note) {
  const locals = [];
  const visit = (expression) => {
    if (!isList(expression)) return expression;
    if (expression[0] !== "loop" || expression.slice(2).some((part) => mentions(part, "loop")))
      return expression.map(visit);
    const before = locals.length;
    try {
      const paired = pairLoop(expression, (type) => {
        locals.push(["local", `$pair${locals.length}`, type]);
        return locals.at(-1)[1];
      });
      note(definition[1], undefined, expression);
      return paired;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      locals.length = before;
      note(definition[1], error.message, expression);
      return expression;
    }
  };
  const body = definition.map(visit);
  const at = body.findLastIndex((part) => isList(part) && ["param", "result", "type"].includes(part[0])) + 1;
  return body.toSpliced(at, 0, ...locals);
}

/** The module `bytes` with pairs of vectors in its loops. */
export function pairVectors(bytes, note = () => {}) {
  const module = binaryen.readBinaryWithFeatures(bytes, binaryen.Features.All);
  const text = parse(module.emitText());
  module.dispose();
  const paired = binaryen.parseText(
    print(text.map((part) => (isList(part) && part[0] === "func" ? pairInFunction(part, note) : part))),
  );
  paired.setFeatures(binaryen.Features.All);
  if (!paired.validate()) throw new Error("pairVectors: the module is not valid any more: see the lines above");
  const result = paired.emitBinary();
  paired.dispose();
  return result;
}
