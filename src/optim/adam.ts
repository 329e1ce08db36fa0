import { made } from "../engine/copies.js";
import { elements, rows } from "../engine/instructions.js";
import { flag, number, type OptionsOf, readOptions } from "../engine/options.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";
import { splitRows } from "./placement.js";

export interface AdamOptions {
  /** Default 0.001. */
  learningRate?: LearningRate;
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment, at least 1e-16. Default 1e-8. */
  epsilon?: number;
  /**
   * Rows (along the first axis) of tensors with several axes whose gradient is all zeros in a step stay as they are, with
   * their moments: words of an embedding that the batch does not have. TensorFlow's LazyAdam, PyTorch's SparseAdam. The
   * corrections count all steps. Default false: they move on along their moments.
   */
  lazy?: boolean;
}

// Second moments below 2^-126 count as zero, so their roots are exact to 2^-63 = 1.1e-19: epsilon must hide that.
const MIN_EPSILON = 1e-16;

const OPTIONS = {
  learningRate: learningRate(1e-3),
  beta1: decay(0.9),
  beta2: decay(0.999),
  epsilon: number(1e-8, { min: MIN_EPSILON, max: 1 }),
  lazy: flag(false),
} satisfies OptionsOf<AdamOptions>;

/**
 * Adam (Kingma & Ba 2015, algorithm 1): steps along the mean of the gradients, divided by the root of the mean of
 * their squares, both corrected for having started at zero. Epsilon is outside of the root, as in the paper and PyTorch.
 * All parameters move in every step, those with gradient 0 along their first moment: see `lazy`.
 *
 * @throws ModelError for an unknown option, a learning rate below 0 or NaN, a beta outside of [0, 1), and an epsilon
 * below 1e-16, with which parameters whose gradients vanish would be divided by zero.
 * @example
 * const optimizer = adam({ learningRate: (step) => 0.001 / Math.sqrt(step) });
 */
export function adam(options: AdamOptions = {}): Optimizer {
  const { learningRate, beta1, beta2, epsilon, lazy } = readOptions("adam", options, OPTIONS);
  return made<Optimizer>({
    name: "adam",
    learningRate,
    hyperparameters: lazy ? { beta1, beta2, epsilon, lazy: 1 } : { beta1, beta2, epsilon },
    slots: () => [{ name: "firstMoment" }, { name: "secondMoment" }],
    record(recorder, at) {
      const { clock, learningRates } = at;
      const [rate] = learningRates;
      const { whole, matrices } = lazy ? splitRows(at) : { whole: at.blocks, matrices: [] };
      for (const { parameters: p, gradients: g, slots, length } of whole) {
        const [m, v] = slots;
        recorder.adam(elements(length, 8), p, m, v, g, clock, rate, beta1, beta2, epsilon);
      }
      for (const { parameters: p, gradients: g, slots, length, count } of matrices) {
        const [m, v] = slots;
        recorder.adamRows(rows(count, length * 8), p, m, v, g, clock, rate, length / count, beta1, beta2, epsilon);
      }
    },
  });
}
