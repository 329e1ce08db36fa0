// What tells positions apart: rotary embedding, sinusoids; and rows that are written at a position, as a cache takes them.
import { checkInteger, ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { flag, integer, number, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";

export interface RotaryOptions {
  /** How many heads are next to each other in the last axis. Default 1. */
  heads?: number;
  /** How many features of each head are turned, the first ones; an even number. Default all. */
  features?: number;
  /** Pairs are turned by position · base^(-2i / features). Default 10000. */
  base?: number;
  /** Whether the pairs are features (2i, 2i + 1), and not (i, i + features / 2). Default false. */
  interleaved?: boolean;
  /** float32 [batch, 1]: the position of the first row. Default 0. */
  start?: Tensor;
}

const ROTARY = {
  heads: integer(1, { min: 1 }),
  features: optional(integer(undefined, { min: 2 })),
  base: number(10_000, { min: 1 }),
  interleaved: flag(false),
  start: unchecked<Tensor | undefined>(),
} satisfies OptionsOf<RotaryOptions>;

/** Attributes of `rotaryOp`. */
export interface Turning {
  /** How many of the last axis' numbers are heads, the first ones. */
  readonly columns: number;
  /** Features of a head, and how many of them are turned. */
  readonly depth: number;
  readonly features: number;
  readonly base: number;
  readonly interleaved: boolean;
  /** -1: back. */
  readonly direction: 1 | -1;
}

/** Inputs: x, and (if there is one) the start. */
export const rotaryOp: Operation<Turning> = {
  name: "rotary",
  infer: ([x]) => [{ shape: x.shape }],
  forward(record, { attributes, inputs: [x], from, to }) {
    const { columns, depth, features, base, interleaved, direction } = attributes;
    const [batch, positions, line] = x.shape;
    const work = rows(positions, batch * positions * line * 2);
    const start = from[1] ?? 0;
    const sizes = [batch, positions, line, columns, depth, features] as const;
    record.rotary(work, to[0], from[0], start, ...sizes, Number(interleaved), direction, base);
  },
  backward: ({ attributes, gradient, inputs: [, ...start] }) => [
    apply(rotaryOp, [gradient, ...start], { ...attributes, direction: attributes.direction === 1 ? -1 : 1 }),
    undefined,
  ],
  inPlace: [0],
};

/**
 * Rotary position embedding (Su et al. 2021): pairs of features of each head are turned by an angle that grows with the
 * position, so that products of queries and keys depend on their distance alone. x [batch, positions, heads · features].
 * Pairs are as in GPT-NeoX and Keras; `interleaved` is as in the paper. Throws ModelError if shapes do not fit.
 *
 * @example
 * rotary(input([8, 20, 64]), { heads: 4 }); // [8, 20, 64]
 */
export function rotary(x: Tensor, options: RotaryOptions = {}): Tensor {
  const { heads, start, ...read } = readOptions("rotary", options, ROTARY);
  checkFloat("rotary", x);
  const depth = (x.shape[2] ?? 0) / heads;
  if (x.shape.length !== 3 || !Number.isInteger(depth)) {
    throw new ModelError(`rotary: x must be [batch, positions, ${heads} heads · features], got ${showShape(x.shape)}`);
  }
  const { features = depth } = read;
  checkTurned("rotary", features, depth);
  checkStart("rotary", start, x.shape[0]);
  const turning: Turning = { ...read, columns: x.shape[2], depth, features, direction: 1 };
  return turn(x, turning, start);
}

/** `rotary` of the heads in the first columns. */
export function turn(x: Tensor, turning: Turning, start?: Tensor): Tensor {
  return apply(rotaryOp, start === undefined ? [x] : [x, start], turning);
}

/** Refuses a number of features that cannot be turned in pairs. */
export function checkTurned(where: string, features: number, depth: number): void {
  if (features % 2 === 0 && features <= depth && depth <= MAX_FEATURES) return;
  throw new ModelError(
    `${where}: an even number of features must be turned, at most the ${depth} of a head (and ${MAX_FEATURES}), got ${features}`,
  );
}

const MAX_FEATURES = 8192;

function checkStart(where: string, start: Tensor | undefined, batch: number): void {
  if (start === undefined) return;
  const { shape, dtype } = checkTensor(where, start, "start must be a tensor");
  if (dtype === "float32" && sameShape(shape, [batch, 1])) return;
  throw new ModelError(`${where}: start must be float32 [${batch}, 1], got ${dtype} ${showShape(shape)}`);
}

/** The table of `sinusoids`: its shape, and the base. Input: the start, if there is one. */
export const sinusoidsOp: Operation<{ readonly shape: Shape; readonly base: number }> = {
  name: "sinusoids",
  infer: (_, { shape }) => [{ shape }],
  forward(record, { attributes: { shape, base }, from, to }) {
    const [samples, positions, features] = shape;
    const work = rows(samples * positions, sizeOf(shape) * 8);
    record.sinusoids(work, to[0], from[0] ?? 0, positions, features, base);
  },
  backward: () => [undefined],
};

export interface SinusoidsOptions {
  /** Default 10000. */
  base?: number;
  /** float32 [batch, 1]: the position of the first row of each sample. Default: one table for all, from 0 on. */
  start?: Tensor;
}

const SINUSOIDS = {
  base: number(10_000, { min: 1 }),
  start: unchecked<Tensor | undefined>(),
} satisfies OptionsOf<SinusoidsOptions>;

/**
 * The positions of Vaswani et al. 2017: [1, positions, features], feature 2i of position p is sin(p · base^(-2i / features)),
 * feature 2i + 1 the cosine of the same. With `start` [batch, positions, features].
 *
 * @example
 * add(input([8, 20, 64]), sinusoids(20, 64));
 */
export function sinusoids(positions: number, features: number, options: SinusoidsOptions = {}): Tensor {
  const { base, start } = readOptions("sinusoids", options, SINUSOIDS);
  checkInteger("sinusoids", "positions", positions, 1);
  checkInteger("sinusoids", "features", features, 1, 2 * MAX_FEATURES);
  if (start === undefined) return apply(sinusoidsOp, [], { shape: [1, positions, features], base });
  const [batch] = checkTensor("sinusoids", start, "start must be a tensor").shape;
  checkStart("sinusoids", start, batch);
  return apply(sinusoidsOp, [start], { shape: [batch, positions, features], base });
}

/** Inputs: the cache, the rows, the start. */
export const appendRowsOp: Operation = {
  name: "appendRows",
  infer: ([cache]) => [{ shape: cache.shape }],
  forward(record, { inputs: [cache, x], from, to }) {
    const [batch, capacity, width] = cache.shape;
    const count = x.shape[1];
    record.appendRows(
      rows(batch * capacity, sizeOf(cache.shape)),
      to[0],
      from[0],
      from[1],
      from[2],
      count,
      capacity,
      width,
    );
  },
  inPlace: [0],
  idempotent: true,
};

/**
 * `cache` [batch, capacity, features] with the rows of `x` [batch, count, features] written from position `start` [batch, 1]
 * (float32) on; rows that there is no room for are left out. It has no gradient: it is for predicting. If the cache is a
 * state (`scope.state`) that the result becomes, and nothing else reads it, only the new rows are written.
 *
 * @example
 * const [cache, position] = [input([8, 20, 64]), input([8, 1])];
 * appendRows(cache, input([8, 1, 64]), position); // [8, 20, 64]
 */
export function appendRows(cache: Tensor, x: Tensor, start: Tensor): Tensor {
  checkFloat("appendRows", cache, x, start);
  const [batch, , features] = cache.shape;
  if (cache.shape.length !== 3 || x.shape.length !== 3 || x.shape[0] !== batch || x.shape[2] !== features) {
    throw new ModelError(
      `appendRows: must be given a cache [batch, capacity, features] and rows [batch, count, features], got ${showShape(cache.shape)} and ${showShape(x.shape)}`,
    );
  }
  checkStart("appendRows", start, batch);
  return apply(appendRowsOp, [cache, x, start], undefined);
}
