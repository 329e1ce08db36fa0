import { ModelError, showValue } from "../engine/errors.js";
import { elements, serial } from "../engine/instructions.js";
import { flag, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { align } from "../graph/plan.js";
import { recordSums, sumBytes } from "./norms.js";
import { checkOptimizer, type Optimizer } from "./optimizer.js";
import { wrap } from "./wrapper.js";

export interface SharpnessAwareOptions {
  /** How far away the gradients are taken. Above 0. Default 0.05; adaptive ones need about ten times as much. */
  rho?: number;
  /** Scales each parameter's part of the way by its size, so that it does not depend on the scale of layers. Default false. */
  adaptive?: boolean;
}

const rho: OptionRule<number> = (where, name, value = 0.05) => {
  if (typeof value === "number" && value > 0 && Number.isFinite(Math.fround(value))) return value;
  throw new ModelError(`${where}: ${name} must be a number above 0, got ${showValue(value)}`);
};

const OPTIONS = { rho, adaptive: flag(false) } satisfies OptionsOf<SharpnessAwareOptions>;

/**
 * Sharpness-aware minimization (Foret et al. 2021; adaptive: Kwon et al. 2021): a step of `optimizer` with the gradients at
 * `p + rho · g / ‖g‖`, where the loss is about the worst nearby, so that training ends in flat minima. Each step computes the
 * model twice. Its loss, scores and statistics of batches are those at the parameters. The norm is that of all parameters
 * that it changes. With several batches a step (`accumulate`), each batch looks for its own point.
 *
 * @throws ModelError for an unknown option, a rho that is not above 0, if `optimizer` is none, and when it meets a model, if
 * one is within another.
 * @example
 * const optimizer = sharpnessAware(sgd({ learningRate: 0.1, momentum: 0.9 }), { rho: 0.05 });
 */
export function sharpnessAware(optimizer: Optimizer, options: SharpnessAwareOptions = {}): Optimizer {
  checkOptimizer("sharpnessAware", optimizer);
  const { rho, adaptive } = readOptions("sharpnessAware", options, OPTIONS);
  return wrap(optimizer, {
    hyperparameters: { rho, ...(adaptive ? { adaptive: 1 } : {}) },
    // A factor, and behind it the sums.
    scratchBytes: (tensors) => align(4) + sumBytes(tensors),
    slots: [{ name: "perturbed", perturbed: true }],
    perturb(recorder, { blocks, scratch }) {
      const sums = scratch + align(4);
      const ways = blocks.map(({ parameters: p, gradients: g, slots, length }) => {
        const q = slots[slots.length - 1];
        // The way is along p²·g, the norm that of |p|·g.
        if (adaptive) recorder.mul(elements(length), q, p, g, length);
        return { p, q, length, address: adaptive ? q : g };
      });
      const parts = recordSums(recorder, ways, sums);
      recorder.ascentFactor(serial, scratch, sums, parts, rho);
      for (const { p, q, length, address } of ways) {
        if (adaptive) recorder.mul(elements(length), q, p, q, length);
        recorder.ascend(elements(length, 2), q, p, address, scratch);
      }
    },
  });
}
