import { made } from "../engine/copies.js";
import { ModelError } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface SgdOptions {
  /** Default 0.01. */
  learningRate?: LearningRate;
  /** Share of the last step's velocity that is kept, in [0, 1). Default 0: no velocity, and no memory for it. */
  momentum?: number;
  /** Look ahead along the velocity; needs momentum. Default false. */
  nesterov?: boolean;
}

const OPTIONS = {
  learningRate: learningRate(0.01),
  momentum: decay(0),
  nesterov: flag(false),
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
  const { learningRate, momentum, nesterov } = readOptions("sgd", options, OPTIONS);
  if (nesterov && momentum === 0) {
    throw new ModelError("sgd: nesterov needs a momentum above 0, got momentum 0: set momentum, for example to 0.9");
  }
  return made<Optimizer>({
    name: "sgd",
    learningRate,
    hyperparameters: { momentum, nesterov: nesterov ? 1 : 0 },
    slots: () => (momentum === 0 ? [] : [{ name: "velocity" }]),
    record(recorder, { blocks, learningRates: [rate] }) {
      const step = nesterov ? recorder.sgdNesterov : recorder.sgdMomentum;
      for (const { parameters, gradients, slots, length } of blocks) {
        if (momentum === 0) recorder.sgd(elements(length), parameters, gradients, rate);
        else step(elements(length, 2), parameters, slots[0], gradients, rate, momentum);
      }
    },
  });
}
