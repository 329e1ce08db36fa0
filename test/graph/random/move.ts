// What a move of a random model is: an operation that is applied to values that are there, with its formula in float64.
import type { Tensor } from "../../../src/graph/tensor.js";
import type { Value } from "./float64.js";

export interface Random {
  uniform(): number;
  below(count: number): number;
}

/** What a move may choose from. Values are chosen by number; those that were made last come up more often. */
export interface Choice extends Random {
  /** A value of which `fits` is true, or undefined where none is found soon. */
  pick(fits?: (value: Value) => boolean): Picked | undefined;
  /** A leaf of this shape: one that is there, or a new one. */
  leaf(shape: readonly number[]): Picked;
}

export interface Picked {
  readonly index: number;
  readonly value: Value;
}

export interface Applied {
  /** How it is shown where it fails. */
  readonly name: string;
  readonly inputs: readonly number[];
  apply(...tensors: Tensor[]): readonly Tensor[];
  evaluate(...values: Value[]): readonly Value[];
}

export type Move = (choice: Choice) => Applied | undefined;

export const hasRank =
  (least: number, most = 4) =>
  ({ shape }: Value) =>
    shape.length >= least && shape.length <= most;

/** A move of one input and one result. */
export const single = (
  name: string,
  picked: Picked,
  apply: (x: Tensor) => Tensor,
  evaluate: (x: Value) => Value,
): Applied => ({
  name,
  inputs: [picked.index],
  apply: (x) => [apply(x)],
  evaluate: (x) => [evaluate(x)],
});
