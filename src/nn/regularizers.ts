// What a parameter adds to the loss, so that it stays small: training and evaluation report the loss with it, as in Keras.
import { checkNumber, checkOptions } from "../engine/errors.js";
import type { Regularizer } from "../graph/tensor.js";
import { abs, add, scale, square } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";

function strengthOf(where: string, name: string, value: number): number {
  return checkNumber(where, name, value, 0, Number.POSITIVE_INFINITY);
}

/** strength · Σ|w|: many weights become 0 (or nearly so). Default strength 0.01. Throws ModelError for a negative one. */
export function l1(strength = 0.01): Regularizer {
  strengthOf("l1", "strength", strength);
  return { name: "l1", options: strength, penalty: (parameter) => scale(sum(abs(parameter)), strength) };
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
  return { name: "l2", options: strength, penalty: (parameter) => scale(sum(square(parameter)), strength) };
}

/** l1(…) and l2(…) at once. Defaults 0.01. Throws ModelError for a negative strength. */
export function l1l2(options: { l1?: number; l2?: number } = {}): Regularizer {
  checkOptions("l1l2", options, ["l1", "l2"]);
  const first = l1(strengthOf("l1l2", "l1", options.l1 ?? 0.01));
  const second = l2(strengthOf("l1l2", "l2", options.l2 ?? 0.01));
  return { name: "l1l2", options, penalty: (parameter) => add(first.penalty(parameter), second.penalty(parameter)) };
}
