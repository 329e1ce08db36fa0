import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { blockwise } from "./blockwise.js";
import { decayNumbers, decayOf, decoupled, type WeightDecayOptions, weightDecay } from "./decay.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface AdamaxOptions extends WeightDecayOptions {
  /** Default 0.002. */
  learningRate?: LearningRate;
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the largest gradient, in [0, 1). Default 0.999. */
  beta2?: number;
  /** Added to the size of each gradient, at least 1e-30. Default 1e-8. */
  epsilon?: number;
}

const OPTIONS = {
  learningRate: learningRate(2e-3),
  beta1: decay(0.9),
  beta2: decay(0.999),
  epsilon: number(1e-8, { min: 1e-30, max: 1 }),
  weightDecay: weightDecay(),
  decoupled: decoupled(),
} satisfies OptionsOf<AdamaxOptions>;

/**
 * Adam with the largest gradient so far, which decays, in the place of the root of their mean square (Kingma & Ba 2015,
 * algorithm 2). Form and defaults are PyTorch's; Keras's has the rate 0.001.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0, a beta outside of [0, 1), and an
 * epsilon below 1e-30.
 * @example
 * const optimizer = adamax({ learningRate: 0.002 });
 */
export function adamax(options: AdamaxOptions = {}): Optimizer {
  const read = readOptions("adamax", options, OPTIONS);
  const { learningRate, beta1, beta2, epsilon } = read;
  const { coupled, decoupled } = decayOf(read);
  return blockwise({
    name: "adamax",
    learningRate,
    hyperparameters: { beta1, beta2, epsilon, ...decayNumbers(read) },
    slots: ["firstMoment", "largest"],
    cost: 7,
    step(recorder, { work, p, g, slots: [m, u], factor, clock, rate }) {
      recorder.adamax(work, p, m, u, g, factor, clock, rate, beta1, beta2, epsilon, coupled, decoupled);
    },
  });
}
