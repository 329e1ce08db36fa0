import { joined, type OptionsOf, readOptions } from "../engine/options.js";
import { momentOptions } from "./adam.js";
import { blockwise } from "./blockwise.js";
import { decayNumbers, decayOf, decayOptions, type WeightDecayOptions } from "./decay.js";
import type { LearningRate, Optimizer } from "./optimizer.js";

export interface RadamOptions extends WeightDecayOptions {
  /** Default 0.001. */
  learningRate?: LearningRate;
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment, at least 1e-16. Default 1e-8. */
  epsilon?: number;
}

const OPTIONS = joined(momentOptions(1e-3), decayOptions()) satisfies OptionsOf<RadamOptions>;

/**
 * Rectified Adam (Liu et al. 2020, algorithm 2): while too few gradients have been seen to trust their mean square, steps go
 * along the first moment alone; then they are Adam's, times a factor that grows to 1. It needs no warm-up. The form is
 * PyTorch's, which adds epsilon to the root before its correction.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0, a beta outside of [0, 1), and an
 * epsilon below 1e-16.
 * @example
 * const optimizer = radam({ learningRate: 0.001 });
 */
export function radam(options: RadamOptions = {}): Optimizer {
  const read = readOptions("radam", options, OPTIONS);
  const { learningRate, beta1, beta2, epsilon } = read;
  const { coupled, decoupled } = decayOf(read);
  return blockwise({
    name: "radam",
    learningRate,
    hyperparameters: { beta1, beta2, epsilon, ...decayNumbers(read) },
    slots: ["firstMoment", "secondMoment"],
    cost: 8,
    step(recorder, { work, p, g, slots: [m, v], factor, clock, rate }) {
      recorder.radam(work, p, m, v, g, factor, clock, rate, beta1, beta2, epsilon, coupled, decoupled);
    },
  });
}
