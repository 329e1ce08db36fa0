// scan: a function of the user's own over the steps of a sequence.
import { checkFunction, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { flag, integer, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { withinLoop } from "../graph/operation.js";
import { checkTensor, input, isTensor, nextId, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { resolveAxis } from "./axes.js";
import { applyLoop } from "./loop.js";
import { transpose } from "./shape.js";

/** One tensor, or several in an array or by name. */
export type Tensors = Tensor | readonly Tensor[] | { readonly [name: string]: Tensor };

export interface ScanOptions {
  /** The axis of xs and ys that is gone along. Default 0; a negative one counts from the end. */
  axis?: number;
  /** From the last step to the first; ys[t] still belongs to xs[t]. Default false. */
  reverse?: boolean;
  /** How many steps: needed where there are no xs, else it must be the length of their axis. Default: the length of that axis. */
  length?: number;
}

const SCAN = {
  // Checked with the shapes.
  axis: unchecked(0),
  reverse: flag(false),
  length: optional(integer(undefined, { min: 0, max: 2 ** 32 - 1 })),
} satisfies OptionsOf<ScanOptions>;

/**
 * Runs `body` for each step of `xs` along an axis, from the carry that the step before has left: a recurrent cell, or
 * anything else that goes step by step, as `scan` of JAX (jax.lax) and of PyTorch. The body is traced once; memory grows
 * with the number of steps, the program does not.
 *
 *   let carry = init;
 *   for (const x of xs) [carry, y] = body(carry, x); // ys = the y of all steps, stacked
 *
 * Gradients go through it to `init`, to `xs` and to tensors from outside that the body uses, as weights. What the body
 * makes of those alone is calculated once, before the steps. Random numbers (dropout) that are drawn in the body are others
 * in each step; those that are drawn before it, and used in it, are the same in all. The body may apply layers, but none that
 * keep values from step to step (`scope.state`, `scope.update`, as `batchNorm` does).
 *
 * @param body Called with the carry, and with x without the axis; returns [carry, y], or [carry] if nothing is to be
 * stacked. The carry must come back with the names, shapes and dtypes of `init`.
 * @param init The first carry: one tensor, or several in an array or an object.
 * @param xs One tensor or several, equally long along the axis; `undefined` with the option `length`.
 * @returns [carry after the last step, ys]: the axis of ys is that of xs, 0 where a y has too few. After no steps at all the
 * carry is `init`.
 * @throws ModelError if lengths or shapes do not fit, or what the body returns is not right.
 *
 * @example
 * // A simple recurrent layer: x [time, batch, features] gives hs [time, batch, units], h [batch, units].
 * const f = await compileFunction(
 *   ({ x, h0, w, u }) => {
 *     const [h, hs] = scan((h, x) => {
 *       const next = tanh(add(matmul(x, w), matmul(h, u)));
 *       return [next, next];
 *     }, h0, x);
 *     return { h, hs };
 *   },
 *   { x: [20, 4, 3], h0: [4, 8], w: [3, 8], u: [8, 8] },
 * );
 */
export function scan<
  const C extends Tensors,
  const X extends Tensors | undefined,
  const Y extends Tensors | undefined = undefined,
>(
  body: (carry: C, x: X) => readonly [carry: C, y: Y] | readonly [carry: C],
  init: C,
  xs: X,
  options: ScanOptions = {},
): [carry: C, ys: Y] {
  checkFunction("scan", "the body", body);
  const { axis, reverse, length: asked } = readOptions("scan", options, SCAN);
  const carry = flatten("init", init);
  const sequences = xs === undefined ? [] : flatten("xs", xs);
  const moved = sequences.map((tensor) => toFront(tensor, axis));
  const length = lengthOf(moved, asked);
  // All that is made from here on may depend on a step; what was there before is outside.
  const first = nextId();
  const symbols = carry.map(({ name, shape, dtype }) => input(shape, { name, dtype }));
  const rows = moved.map(({ shape, dtype }, i) => input(shape.slice(1), { name: sequences[i].name, dtype }));
  const result: unknown = withinLoop("scan", () =>
    body(rebuild(init, symbols) as C, (xs === undefined ? undefined : rebuild(xs, rows)) as X),
  );
  const [next, y] = checkResult(result, init);
  const ys = y === undefined ? [] : flatten("y", y);
  if (carry.length + ys.length === 0) {
    throw new ModelError("scan: the body must return at least one tensor, got none: return [carry, y]");
  }
  const nothing = new Map<Tensor, Tensor>();
  const outputs = applyLoop(
    {
      length,
      reverse,
      carries: new Map(symbols.map((symbol, index) => [symbol, carry[index]])),
      xs: new Map(rows.map((row, index) => [row, moved[index]])),
      next,
      ys,
    },
    { rows: nothing, clocks: nothing, fixed: nothing, isOutside: ({ id }) => id < first },
  );
  const stacks = outputs.slice(carry.length, carry.length + ys.length).map((tensor) => fromFront(tensor, axis));
  return [rebuild(init, outputs) as C, (y === undefined ? undefined : rebuild(y as Tensors, stacks)) as Y];
}

/** The tensors of an array, or by name, in order. */
function flatten(what: string, given: unknown): Tensor[] {
  if (isTensor(given)) return [checkTensor("scan", given)];
  const kind = kindOf(given);
  if (kind !== "Array" && kind !== "Object") {
    throw new ModelError(
      `scan: ${what} must be a tensor, or several in an array or an object, got ${showValue(given)}: numbers become tensors with constant()`,
    );
  }
  return Object.entries(given as object).map(([name, one]) =>
    checkTensor("scan", one, `${what}${kind === "Array" ? `[${name}]` : `.${name}`} must be a tensor`),
  );
}

/** As `of`, with these tensors in the place of its own. */
function rebuild(of: Tensors, tensors: readonly Tensor[]): Tensors {
  if (isTensor(of)) return tensors[0];
  const names = Object.keys(of);
  if (kindOf(of) === "Array") return tensors.slice(0, names.length);
  return Object.fromEntries(names.map((name, index) => [name, tensors[index]]));
}

function toFront(tensor: Tensor, axis: number): Tensor {
  if (tensor.shape.length === 0) {
    throw new ModelError(`scan: xs must have an axis to go along, got the scalar ${tensor.name}`);
  }
  const place = resolveAxis("scan", tensor, axis);
  const others = tensor.shape.map((_, index) => index).filter((index) => index !== place);
  return place === 0 ? tensor : transpose(tensor, [place, ...others]);
}

function fromFront(tensor: Tensor, axis: number): Tensor {
  const rank = tensor.shape.length;
  const place = Math.max(0, Math.min(rank - 1, axis < 0 ? axis + rank : axis));
  const others = Array.from({ length: rank - 1 }, (_, index) => index + 1);
  return place === 0 ? tensor : transpose(tensor, others.toSpliced(place, 0, 0));
}

function lengthOf(sequences: readonly Tensor[], asked: number | undefined): number {
  const lengths = sequences.map(({ shape }) => shape[0]);
  if (asked !== undefined) lengths.push(asked);
  if (lengths.length === 0) throw new ModelError("scan: there must be xs, or the option length, got neither");
  if (lengths.every((length) => length === lengths[0])) return lengths[0];
  const which = asked === undefined ? "" : " and the option length";
  throw new ModelError(`scan: xs${which} must have the same length along the axis, got ${lengths.join(", ")}`);
}

/** What the body has returned: the carries in the order of `init`, and y as it is. */
function checkResult(result: unknown, init: Tensors): [next: Tensor[], y: unknown] {
  if (kindOf(result) !== "Array" || (result as unknown[]).length > 2 || (result as unknown[]).length === 0) {
    const remedy = kindOf(result) === "Promise" ? "it must not be asynchronous" : "return [carry, y]";
    throw new ModelError(`scan: the body must return an array of the carry and y, got ${showValue(result)}: ${remedy}`);
  }
  const [carry, y] = result as readonly unknown[];
  const [expected, given] = [flatten("init", init), flatten("the carry", carry)];
  const namesOf = (of: unknown): string[] => (isTensor(of) ? ["a tensor"] : Object.keys(of as object));
  const [wanted, came] = [namesOf(init), namesOf(carry)];
  if (wanted.length !== came.length || wanted.some((name) => !came.includes(name))) {
    throw new ModelError(`scan: the carry must come back with ${showNames(wanted)}, as init, got ${showNames(came)}`);
  }
  const next = wanted.map((name) => given[came.indexOf(name)]);
  next.forEach((tensor, index) => {
    const { shape, dtype } = expected[index];
    if (sameShape(tensor.shape, shape) && tensor.dtype === dtype) return;
    throw new ModelError(
      `scan: the carry must come back as ${dtype} of shape ${showShape(shape)}, as ${expected[index].name} of init, got ${tensor.dtype} of shape ${showShape(tensor.shape)}`,
    );
  });
  return [next, y];
}
