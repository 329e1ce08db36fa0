import { LARGEST_INT32, ModelError, showValue } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { integer, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { checkOptimizer, type Optimizer } from "./optimizer.js";
import { wrap } from "./wrapper.js";

export interface LookaheadOptions {
  /** After how many steps the slow parameters follow. Default 5. */
  every?: number;
  /** How far they follow, above 0 and at most 1. Default 0.5. */
  alpha?: number;
}

const alpha: OptionRule<number> = (where, name, value = 0.5) => {
  if (typeof value === "number" && value > 0 && value <= 1) return value;
  throw new ModelError(`${where}: ${name} must be a number above 0 and at most 1, got ${showValue(value)}`);
};

const OPTIONS = {
  every: integer(5, { min: 1, max: LARGEST_INT32 }),
  alpha,
} satisfies OptionsOf<LookaheadOptions>;

/**
 * Lookahead (Zhang et al. 2019): after every few steps of `optimizer`, slow parameters follow, `slow += alpha · (p - slow)`, and
 * the training goes on from there. They are the slot "slow", which starts at the parameters. The state of `optimizer` is kept.
 *
 * @throws ModelError for an unknown option, an every below 1, an alpha outside of (0, 1], and if `optimizer` is none.
 * @example
 * const optimizer = lookahead(adam({ learningRate: 0.002 }), { every: 5, alpha: 0.5 });
 */
export function lookahead(optimizer: Optimizer, options: LookaheadOptions = {}): Optimizer {
  checkOptimizer("lookahead", optimizer);
  const { every, alpha } = readOptions("lookahead", options, OPTIONS);
  return wrap(optimizer, {
    hyperparameters: { lookaheadEvery: every, lookaheadAlpha: alpha },
    slots: [{ name: "slow", start: "parameters" }],
    after(recorder, { blocks, clock }) {
      for (const { parameters, slots, length } of blocks) {
        const slow = slots[slots.length - 1];
        recorder.lookahead(elements(length, 2), parameters, slow, clock, every, alpha);
      }
    },
  });
}
