import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { blockwise } from "./blockwise.js";
import { decayNumbers, decayOf, decoupled, type WeightDecayOptions, weightDecay } from "./decay.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface AdadeltaOptions extends WeightDecayOptions {
  /** Factor of the steps, whose length the method finds itself. Default 1, as in the paper and PyTorch (Keras: 0.001). */
  learningRate?: LearningRate;
  /** Decay of both mean squares, in [0, 1). Default 0.9 (Keras: 0.95). */
  rho?: number;
  /** Added to both mean squares, within their roots, at least 1e-30. Default 1e-6 (Keras: 1e-7). */
  epsilon?: number;
}

const OPTIONS = {
  learningRate: learningRate(1),
  rho: decay(0.9),
  epsilon: number(1e-6, { min: 1e-30, max: 1 }),
  weightDecay: weightDecay(),
  decoupled: decoupled(),
} satisfies OptionsOf<AdadeltaOptions>;

/**
 * Adadelta (Zeiler 2012): the root of the mean square of the steps so far, divided by that of the gradients, is the rate of each
 * parameter. Form and defaults are PyTorch's.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0, a rho outside of [0, 1), and an
 * epsilon below 1e-30.
 * @example
 * const optimizer = adadelta();
 */
export function adadelta(options: AdadeltaOptions = {}): Optimizer {
  const read = readOptions("adadelta", options, OPTIONS);
  const { learningRate, rho, epsilon } = read;
  const { coupled, decoupled } = decayOf(read);
  return blockwise({
    name: "adadelta",
    learningRate,
    hyperparameters: { rho, epsilon, ...decayNumbers(read) },
    slots: ["squareAverage", "stepAverage"],
    cost: 10,
    step(recorder, { work, p, g, slots: [v, u], factor, rate }) {
      recorder.adadelta(work, p, v, u, g, factor, rate, rho, epsilon, coupled, decoupled);
    },
  });
}
