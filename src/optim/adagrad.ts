import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { rootEpsilon } from "./adam.js";
import { blockwise } from "./blockwise.js";
import { decayNumbers, decayOf, decoupled, type WeightDecayOptions, weightDecay } from "./decay.js";
import { type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface AdagradOptions extends WeightDecayOptions {
  /** Default 0.01. */
  learningRate?: LearningRate;
  /** Step t has the rate `learningRate / (1 + (t - 1) · learningRateDecay)`. Default 0. */
  learningRateDecay?: number;
  /** The sums of squares before the first step. Default 0, as in PyTorch (Keras: 0.1). */
  initialAccumulator?: number;
  /** Added to the root of the sum, at least 1e-16. Default 1e-10. */
  epsilon?: number;
}

const OPTIONS = {
  learningRate: learningRate(0.01),
  learningRateDecay: number(0, { min: 0 }),
  initialAccumulator: number(0, { min: 0, max: 1e30 }),
  epsilon: rootEpsilon(1e-10),
  weightDecay: weightDecay(),
  decoupled: decoupled(),
} satisfies OptionsOf<AdagradOptions>;

/**
 * Adagrad (Duchi, Hazan & Singer 2011): each gradient is divided by the root of the sum of its squares so far, so steps
 * become shorter, and rare features keep long ones. Form and defaults are PyTorch's.
 *
 * @throws ModelError for an unknown option, a rate, decay or accumulator below 0, and an epsilon below 1e-16.
 * @example
 * const optimizer = adagrad({ learningRate: 0.1 });
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const read = readOptions("adagrad", options, OPTIONS);
  const { learningRate, learningRateDecay, initialAccumulator, epsilon } = read;
  const { coupled, decoupled } = decayOf(read);
  return blockwise({
    name: "adagrad",
    learningRate,
    hyperparameters: { learningRateDecay, initialAccumulator, epsilon, ...decayNumbers(read) },
    slots: ["sum"],
    cost: 5,
    step(recorder, { work, p, g, slots: [sum], factor, clock, rate }) {
      recorder.adagrad(
        work,
        p,
        sum,
        g,
        factor,
        clock,
        rate,
        learningRateDecay,
        initialAccumulator,
        epsilon,
        coupled,
        decoupled,
      );
    },
  });
}
