import { type OptionsOf, readOptions } from "../engine/options.js";
import { blockwise } from "./blockwise.js";
import { decayNumbers, decayOf, decoupled, type WeightDecayOptions, weightDecay } from "./decay.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface LionOptions extends Omit<WeightDecayOptions, "decoupled"> {
  /** How far each parameter moves: a third to a tenth of Adam's. Default 0.0001. */
  learningRate?: LearningRate;
  /** Share of the momentum in the step, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the momentum, in [0, 1). Default 0.99. */
  beta2?: number;
  /** Whether the decay bypasses the sign: `p -= rate · weightDecay · p`. Default true, as in the paper. */
  decoupled?: boolean;
}

const OPTIONS = {
  learningRate: learningRate(1e-4),
  beta1: decay(0.9),
  beta2: decay(0.99),
  weightDecay: weightDecay(),
  decoupled: decoupled(true),
} satisfies OptionsOf<LionOptions>;

/**
 * Lion (Chen et al. 2023, algorithm 2): each parameter moves by the learning rate along the sign of a mixture of momentum and
 * gradient. It keeps one value a parameter, where Adam keeps two. Keras's Lion, with its defaults but for the rate 0.001.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0, and a beta outside of [0, 1).
 * @example
 * const optimizer = lion({ learningRate: 1e-4, weightDecay: 0.1 });
 */
export function lion(options: LionOptions = {}): Optimizer {
  const read = readOptions("lion", options, OPTIONS);
  const { learningRate, beta1, beta2 } = read;
  const { coupled, decoupled } = decayOf(read);
  return blockwise({
    name: "lion",
    learningRate,
    hyperparameters: { beta1, beta2, ...decayNumbers(read) },
    slots: ["momentum"],
    cost: 5,
    step(recorder, { work, p, g, slots: [m], factor, rate }) {
      recorder.lion(work, p, m, g, factor, rate, beta1, beta2, coupled, decoupled);
    },
  });
}
