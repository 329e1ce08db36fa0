// A loop over time as one operation: `scan` is what users call. Its body is a graph of its own, planned once, that a repeat
// runs for each step, so neither the program nor the memory between operations grows with the number of steps:
//
//   inputs     ┌ initial carries ┐ ┌ xs [length, …] ┐ ┌ clocks ┐ ┌ fixed: all else that the body reads ┐
//                      │                  │ row t          │ with t in them        │
//   step t     carries ┴──────────────────┴──▶ body ◀──────┴───────────────────────┘
//                 ▲                            │   │
//                 └───────── next ─────────────┘   └─ row t ─▶ ys, saved [length, …]
//
//   outputs    ┌ last carries ┐ ┌ ys ┐ ┌ saved: the carries before each step, and what the body calculates ┐
//
// What is saved is what the gradient's body reads, and only that is computed and stored: the rule runs the body's own
// backward pass in a scan in the other direction, of which the gradients of the carries are the carries, and those of what
// is fixed are summed up in further ones. Values are stored, not calculated again, as without a loop: a step's values cost
// memory in each step, and no time. It is an operation like others, so its gradient has one too.
import type { Choices } from "../engine/engine.js";
import { elements, type Pointer, serial } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { backpropagate, nodesBehind } from "../graph/backward.js";
import { type BoundsContext, boundOfSample, indexBounds, lowerBound } from "../graph/bounds.js";
import { lower } from "../graph/lower.js";
import {
  applyAll,
  type BackwardContext,
  type Operation,
  type Placement,
  type Specification,
  withScope,
  withSegment,
} from "../graph/operation.js";
import { align, type Plan, planMemory } from "../graph/plan.js";
import { bytesOf, input, type Node, sizeOf, type Tensor } from "../graph/tensor.js";
import type { Bound } from "../graph/values.js";
import { add } from "./elementwise.js";
import { gradientRules } from "./gradient.js";

/** What a step computes, as a graph whose leaves are these symbols alone. The operation's inputs and outputs stand in this order. */
export interface Body {
  readonly length: number;
  /** Whether the last row comes first. */
  readonly reverse: boolean;
  readonly carries: readonly Tensor[];
  readonly xs: readonly Tensor[];
  readonly clocks: readonly Tensor[];
  readonly fixed: readonly Tensor[];
  /** The carries after the step. */
  readonly next: readonly Tensor[];
  readonly ys: readonly Tensor[];
  readonly saved: readonly Tensor[];
}

const symbolsOf = ({ carries, xs, clocks, fixed }: Body): Tensor[] => [...carries, ...xs, ...clocks, ...fixed];
const stackedIn = ({ ys, saved }: Body): Tensor[] => [...ys, ...saved];
const like = ({ name, shape, dtype }: Tensor): Tensor => input(shape, { name, dtype });

export const scanOp: Operation<Body> = {
  name: "scan",
  infer: (_, body) => [...body.carries, ...stackedIn(body).map((tensor) => stackOf(tensor, body))],
  required: ({ carries, ys }) => carries.length + ys.length,
  clocks: ({ carries, xs, clocks }) => clocks.map((_, index) => carries.length + xs.length + index),
  ofNothing: "forward",
  scratchBytes: (_, body, wanted, choices) => layOut(body, wanted.slice(body.carries.length), choices).bytes,
  forward: (record, at) => recordSteps(record, at),
  backward: (context) => scanBackward(context),
  bounds: (context) => boundsOfInputs(context),
};

const stackOf = ({ shape, dtype }: Tensor, { length }: Body): Specification => ({ shape: [length, ...shape], dtype });

// ——— Forward ———

/** What one step needs in memory, besides the operation's inputs and outputs. Offsets in bytes. */
interface Layout {
  readonly plan: Plan;
  readonly bytes: number;
  readonly counter: number;
  /** Of each row that has come in, and each clock. */
  readonly symbols: ReadonlyMap<Tensor, number>;
  /** Of carries that are on their way from another one's place. */
  readonly moved: ReadonlyMap<Tensor, number>;
  readonly arena: number;
}

function layOut(body: Body, wanted: readonly boolean[], choices: Choices): Layout {
  const results = [...body.next, ...stackedIn(body).filter((_, index) => wanted[index])];
  const wherever = new Map(symbolsOf(body).map((symbol) => [symbol, 0]));
  const plan = planMemory(results, wherever, choices);
  let bytes = 0;
  const take = (size: number): number => {
    bytes += align(size);
    return bytes - align(size);
  };
  const counter = take(4);
  const symbols = new Map([...body.xs, ...body.clocks].map((symbol) => [symbol, take(bytesOf(symbol))]));
  const others = body.carries.filter((carry, index) => {
    const from = plan.offsetOf(body.next[index]) === undefined ? placeOf(plan, body.next[index]) : carry;
    return from !== carry && body.carries.includes(from);
  });
  const moved = new Map(others.map((carry) => [carry, take(bytesOf(carry))]));
  const arena = take(plan.arenaBytes);
  return { plan, bytes, counter, symbols, moved, arena };
}

/** The symbol whose place a tensor has that is not in the arena. */
const placeOf = (plan: Plan, tensor: Tensor): Tensor => plan.pinnedOf(tensor) ?? tensor;

function recordSteps(record: Recorder, { attributes: body, from, to, scratch, choices }: Placement<Body>): void {
  const { carries, xs, clocks, length } = body;
  const reverse = Number(body.reverse);
  const stackAt = to.slice(carries.length);
  const layout = layOut(
    body,
    stackAt.map((address) => address !== 0),
    choices,
  );
  const counter = scratch + layout.counter;
  const places = new Map<Tensor, Pointer>();
  symbolsOf(body).forEach((symbol, index) => {
    const own = layout.symbols.get(symbol);
    places.set(symbol, index < carries.length ? to[index] : own === undefined ? from[index] : scratch + own);
  });
  const at = (symbol: Tensor): Pointer => places.get(symbol) as Pointer;
  const copy = (target: Pointer, source: Pointer, { shape }: Tensor): void => {
    if (target !== source) record.copy(elements(sizeOf(shape)), target, source, sizeOf(shape));
  };
  carries.forEach((carry, index) => {
    copy(to[index], from[index], carry);
  });
  record.repeat(counter, length, () => {
    xs.forEach((x, index) => {
      const width = sizeOf(x.shape);
      record.readRow(elements(width), at(x), from[carries.length + index], counter, width, length, reverse);
    });
    clocks.forEach((clock, index) => {
      record.roundClock(serial, at(clock), from[carries.length + xs.length + index], counter, length, reverse);
    });
    const addressOf = lower(layout.plan, record, scratch + layout.arena, places);
    stackedIn(body).forEach((tensor, index) => {
      const width = sizeOf(tensor.shape);
      if (stackAt[index] === 0) return;
      record.writeRow(elements(width), stackAt[index], addressOf(tensor), counter, width, length, reverse);
    });
    // One that comes from another's place leaves it before that is overwritten.
    const movedTo = (carry: Tensor): Pointer => scratch + (layout.moved.get(carry) as number);
    carries.forEach((carry, index) => {
      if (layout.moved.has(carry)) copy(movedTo(carry), addressOf(body.next[index]), carry);
    });
    carries.forEach((carry, index) => {
      copy(at(carry), layout.moved.has(carry) ? movedTo(carry) : addressOf(body.next[index]), carry);
    });
  });
}

// ——— From a trace to a body ———

/** What a body's graph is closed against: tensors that are other things within it. */
interface Surroundings {
  /** Symbols that stay as they are. */
  readonly symbols: ReadonlySet<Tensor>;
  /** Tensors of a step, with the stacks outside that have them as rows. */
  readonly rows: ReadonlyMap<Tensor, Tensor>;
  /** Clocks of a step, and what is the same in all steps, with the tensors outside that they are made from. */
  readonly clocks: ReadonlyMap<Tensor, Tensor>;
  readonly fixed: ReadonlyMap<Tensor, Tensor>;
  /** Whether a tensor is from outside for certain: nothing behind it is looked at. */
  isOutside(tensor: Tensor): boolean;
}

/** New symbols by the tensors that they stand for, with what comes in for them. */
type Entries = Map<Tensor, { readonly symbol: Tensor; readonly outer: Tensor }>;

interface Closed {
  readonly results: readonly Tensor[];
  readonly xs: Entries;
  readonly clocks: Entries;
  readonly fixed: Entries;
}

/**
 * Copies what of the graph behind `results` depends on a step, with symbols for all that it reads. The rest stays outside,
 * where it is calculated once; but random numbers are drawn anew in each step.
 */
function closeGraph(results: readonly Tensor[], around: Surroundings): Closed {
  const [xs, clocks, fixed]: Entries[] = [new Map(), new Map(), new Map()];
  const copies = new Map<Tensor, Tensor>();
  const enter = (entries: Entries, tensor: Tensor, outer: Tensor): Tensor => {
    const entry = entries.get(tensor) ?? { symbol: like(tensor), outer };
    entries.set(tensor, entry);
    return entry.symbol;
  };
  const isInner = (tensor: Tensor): boolean =>
    around.symbols.has(tensor) ||
    copies.has(tensor) ||
    [around.rows, around.clocks, around.fixed].some((known) => known.has(tensor));
  const inner = (tensor: Tensor): Tensor => {
    if (around.symbols.has(tensor)) return tensor;
    const row = around.rows.get(tensor);
    if (row !== undefined) return enter(xs, tensor, row);
    return copies.get(tensor) ?? enter(fixed, tensor, around.fixed.get(tensor) ?? tensor);
  };
  const known = { has: (tensor: Tensor) => isInner(tensor) || around.isOutside(tensor) };
  for (const node of nodesBehind(results, known)) {
    const drawnBy = node.operation.clocks?.(node.attributes) ?? [];
    if (drawnBy.length === 0 && !node.inputs.some(isInner)) continue;
    const inputs = node.inputs.map((tensor, index) =>
      drawnBy.includes(index) ? enter(clocks, tensor, around.clocks.get(tensor) ?? tensor) : inner(tensor),
    );
    copyNode(node, inputs).forEach((copy, index) => {
      copies.set(node.outputs[index], copy);
    });
  }
  return { results: results.map(inner), xs, clocks, fixed };
}

function copyNode({ operation, attributes, scope, segment }: Node, inputs: readonly Tensor[]): readonly Tensor[] {
  return withSegment(segment, () => withScope(scope, () => applyAll(operation, inputs, attributes)));
}

/** All that a body calculates, but for views and what comes out anyway; and the carries, as they are before the step. */
function savedOf(carries: readonly Tensor[], results: readonly Tensor[], ys: readonly Tensor[]): Tensor[] {
  const calculated = nodesBehind(results).filter(({ operation }) => operation.forward !== undefined);
  return [...carries, ...calculated.flatMap(({ outputs }) => outputs)].filter((tensor) => !ys.includes(tensor));
}

/** A loop whose carries and rows have symbols already. */
export interface Loop {
  readonly length: number;
  readonly reverse: boolean;
  /** Symbols in a step, with what comes in for them: first values, and stacks. */
  readonly carries: ReadonlyMap<Tensor, Tensor>;
  readonly xs: ReadonlyMap<Tensor, Tensor>;
  readonly next: readonly Tensor[];
  readonly ys: readonly Tensor[];
}

/** The last carries, then the stacks of ys; what is behind them is for gradients. */
export function applyLoop(
  { length, reverse, carries, xs, next, ys }: Loop,
  around: Omit<Surroundings, "symbols">,
): readonly Tensor[] {
  const symbols = new Set([...carries.keys(), ...xs.keys()]);
  const closed = closeGraph([...next, ...ys], { ...around, symbols });
  const entered = [closed.xs, closed.clocks, closed.fixed].map((entries) => [...entries.values()]);
  const [rows, clocks, fixed] = entered.map((entries) => entries.map(({ symbol }) => symbol));
  const nextInner = closed.results.slice(0, next.length);
  const ysInner = closed.results.slice(next.length);
  const body: Body = {
    length,
    reverse,
    carries: [...carries.keys()],
    xs: [...xs.keys(), ...rows],
    clocks,
    fixed,
    next: nextInner,
    ys: ysInner,
    saved: savedOf([...carries.keys()], closed.results, ysInner),
  };
  const outer = entered.flat().map((entry) => entry.outer);
  return applyAll(scanOp, [...carries.values(), ...xs.values(), ...outer], body);
}

// ——— Backward ———

function scanBackward({
  attributes: body,
  inputs,
  outputs,
  gradientOf,
  hasGradient,
  needs,
}: BackwardContext<Body>): (Tensor | undefined)[] {
  const symbols = symbolsOf(body);
  const outerOf = new Map(symbols.map((symbol, index) => [symbol, inputs[index]]));
  const stackAt = (index: number): Tensor => outputs[body.carries.length + index];
  const gradients = new Map<Tensor, Tensor>();
  const give = (tensor: Tensor, gradient: Tensor): void => {
    const sofar = gradients.get(tensor);
    gradients.set(tensor, sofar === undefined ? gradient : add(sofar, gradient));
  };
  // A step gets the gradients of the carries after it, and of what it gave out.
  const carried = body.carries.flatMap((carry, index) => (carry.dtype === "float32" ? [index] : []));
  const carries = new Map(carried.map((index) => [like(body.carries[index]), gradientOf(outputs[index])]));
  [...carries.keys()].forEach((symbol, i) => {
    give(body.next[carried[i]], symbol);
  });
  const xs = new Map<Tensor, Tensor>();
  stackedIn(body).forEach((tensor, index) => {
    if (tensor.dtype !== "float32" || !hasGradient(stackAt(index))) return;
    const symbol = like(tensor);
    xs.set(symbol, gradientOf(stackAt(index)));
    give(tensor, symbol);
  });
  const wanted = symbols.filter(
    (symbol, index) => symbol.dtype === "float32" && (index < body.carries.length || needs[index]),
  );
  const found = backpropagate(gradients, wanted, gradientRules);
  const gradientIn = (symbol: Tensor): Tensor | undefined => found[wanted.indexOf(symbol)];
  // It gives out those of the carries before it and of its rows, and adds to those of what is fixed.
  const next = carried.map(
    (index) => gradientIn(body.carries[index]) ?? gradientRules.full(body.carries[index].shape, 0),
  );
  const fixed = body.fixed.filter((symbol) => gradientIn(symbol) !== undefined);
  for (const symbol of fixed) {
    const total = like(symbol);
    carries.set(total, gradientRules.full(symbol.shape, 0));
    next.push(add(total, gradientIn(symbol) as Tensor));
  }
  const rows = body.xs.filter((symbol) => gradientIn(symbol) !== undefined);
  const ys = rows.map((symbol) => gradientIn(symbol) as Tensor);
  const loop: Loop = { length: body.length, reverse: !body.reverse, carries, xs, next, ys };
  const pairs = (some: readonly Tensor[]) => new Map(some.map((symbol) => [symbol, outerOf.get(symbol) as Tensor]));
  const stacks = stackedIn(body).map((tensor, index) => [tensor, stackAt(index)] as const);
  const results = applyLoop(loop, {
    rows: new Map([...stacks, ...pairs(body.xs)]),
    clocks: pairs(body.clocks),
    fixed: pairs(body.fixed),
    isOutside: () => false,
  });
  const order = [...carried.map((index) => body.carries[index]), ...fixed, ...rows];
  return symbols.map((symbol) => results[order.indexOf(symbol)]);
}

// ——— Bounds of indices ———

function boundsOfInputs({
  attributes: body,
  inputs,
  outputs,
  boundOf,
}: BoundsContext<Body>): readonly (Bound | undefined)[] {
  if (inputs.every(({ dtype }) => dtype === "float32")) return [];
  const symbols = symbolsOf(body);
  const known = new Map<Tensor, Bound>();
  const limit = (tensor: Tensor, bound: Bound | undefined): void => {
    const lowest = lowerBound(known.get(tensor), bound);
    if (lowest !== undefined) known.set(tensor, lowest);
  };
  stackedIn(body).forEach((tensor, index) => {
    limit(tensor, boundOfSample(boundOf(outputs[body.carries.length + index]), sizeOf(tensor.shape)));
  });
  body.next.forEach((tensor, index) => {
    limit(tensor, boundOf(outputs[index]));
  });
  const results = [...body.next, ...stackedIn(body)];
  // What a step chooses with a carry holds for the step that makes it; each round may find one more of them.
  for (const _ of body.carries) {
    const found = indexBounds(results, known);
    body.carries.forEach((carry, index) => {
      limit(body.next[index], found.get(carry));
    });
  }
  const found = indexBounds(results, known);
  return symbols.map((symbol, index) => {
    const bound = found.get(symbol);
    const rows = index >= body.carries.length && index < body.carries.length + body.xs.length;
    if (!rows || bound === undefined || typeof bound === "number" || "most" in bound) return bound;
    return Float64Array.from({ length: body.length * bound.length }, (_, at) => bound[at % bound.length]);
  });
}
