// What a parameter adds to the loss, so that it stays small: training and evaluation report the loss with it, as in Keras.
import { checkNumber } from "../engine/errors.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Regularizer } from "../graph/tensor.js";
import { abs, add, scale, square } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";

function strengthOf(where: string, name: string, value: number): number {
  return checkNumber(where, name, value, 0, Number.POSITIVE_INFINITY);
}

/** strength · Σ|w|: many weights become 0 (or nearly so). Default strength 0.01. Throws ModelError for a negative one. */
export function l1(strength = 0.01): Regularizer {
  strengthOf("l1", "strength", strength);
  return { name: "l1", options: [strength], penalty: (parameter) => scale(sum(abs(parameter)), strength) };
}

/**
 * strength · Σw²: large weights become smaller. Default strength 0.01. Throws ModelError for a negative one. Its gradient is
 * 2 · strength · w: what PyTorch's SGD adds for a `weight_decay` of twice the strength.
 *
 * @example
 * dense(128, { weightRegularizer: l2(1e-4) });
 */
export function l2(strength = 0.01): Regularizer {
  strengthOf("l2", "strength", strength);
  return { name: "l2", options: [strength], penalty: (parameter) => scale(sum(square(parameter)), strength) };
}

export interface L1L2Options {
  /** Strength of `l1`. Default 0.01. */
  l1?: number;
  /** Strength of `l2`. Default 0.01. */
  l2?: number;
}

const L1_L2 = { l1: number(0.01, { min: 0 }), l2: number(0.01, { min: 0 }) } satisfies OptionsOf<L1L2Options>;

/** l1(…) and l2(…) at once. Defaults 0.01. Throws ModelError for a negative strength. */
export function l1l2(options: L1L2Options = {}): Regularizer {
  const read = readOptions("l1l2", options, L1_L2);
  const [first, second] = [l1(read.l1), l2(read.l2)];
  return {
    name: "l1l2",
    options: [options],
    penalty: (parameter) => add(first.penalty(parameter), second.penalty(parameter)),
  };
}
