import { made } from "../engine/copies.js";
import { ModelError } from "../engine/errors.js";
import { elements, rows } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";
import { splitRows } from "./placement.js";

export interface SgdOptions {
  /** Default 0.01. */
  learningRate?: LearningRate;
  /** Share of the last step's velocity that is kept, in [0, 1). Default 0: no velocity, and no memory for it. */
  momentum?: number;
  /** Look ahead along the velocity; needs momentum. Default false. */
  nesterov?: boolean;
  /**
   * Rows (along the first axis) of tensors with several axes whose gradient is all zeros in a step stay as they are, with
   * their velocity: words of an embedding that the batch does not have. Default false: they move on along their velocity.
   */
  lazy?: boolean;
}

const OPTIONS = {
  learningRate: learningRate(0.01),
  momentum: decay(0),
  nesterov: flag(false),
  lazy: flag(false),
} satisfies OptionsOf<SgdOptions>;

/**
 * Stochastic gradient descent, `p -= rate · g`; with momentum `v = momentum · v + g`, `p -= rate · v` (Polyak 1964);
 * with nesterov `p -= rate · (g + momentum · v)` (Sutskever et al. 2013). The forms, and the results, are PyTorch's.
 *
 * @throws ModelError for an unknown option, a learning rate below 0 or NaN, a momentum outside of [0, 1), and
 * nesterov without momentum.
 * @example
 * const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  const { learningRate, momentum, nesterov, lazy } = readOptions("sgd", options, OPTIONS);
  if (nesterov && momentum === 0) {
    throw new ModelError("sgd: nesterov needs a momentum above 0, got momentum 0: set momentum, for example to 0.9");
  }
  return made<Optimizer>({
    name: "sgd",
    learningRate,
    hyperparameters: { momentum, nesterov: nesterov ? 1 : 0, ...(lazy ? { lazy: 1 } : {}) },
    slots: () => (momentum === 0 ? [] : [{ name: "velocity" }]),
    record(recorder, at) {
      const [rate] = at.learningRates;
      const step = nesterov ? recorder.sgdNesterov : recorder.sgdMomentum;
      // Without a velocity, nothing moves along a gradient of zeros.
      const { whole, matrices } = lazy && momentum > 0 ? splitRows(at) : { whole: at.blocks, matrices: [] };
      for (const { parameters, gradients, slots, length } of whole) {
        if (momentum === 0) recorder.sgd(elements(length), parameters, gradients, rate);
        else step(elements(length, 2), parameters, slots[0], gradients, rate, momentum);
      }
      for (const { parameters, gradients, slots, length, count } of matrices) {
        const work = rows(count, length * 2);
        recorder.sgdMomentumRows(
          work,
          parameters,
          slots[0],
          gradients,
          rate,
          length / count,
          nesterov ? 1 : 0,
          momentum,
        );
      }
    },
  });
}
