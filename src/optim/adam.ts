import { made } from "../engine/copies.js";
import { ModelError } from "../engine/errors.js";
import { elements, rows } from "../engine/instructions.js";
import { flag, joined, number, type OptionsOf, readOptions } from "../engine/options.js";
import { decayNumbers, decayOf, decayOptions, type WeightDecayOptions, weightDecay } from "./decay.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";
import { splitRows } from "./placement.js";

export interface AdamWOptions {
  /** Default 0.001. */
  learningRate?: LearningRate;
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment, at least 1e-16. Default 1e-8. */
  epsilon?: number;
  /** Share of each parameter that a step takes away, times the step's learning rate. Default 0.01. */
  weightDecay?: number;
  /**
   * Divides by the root of the largest second moment so far, in a third slot (AMSGrad: Reddi, Kale & Kumar 2018). Default
   * false.
   */
  amsgrad?: boolean;
}

export interface AdamOptions extends Omit<AdamWOptions, "weightDecay">, WeightDecayOptions {
  /**
   * Rows (along the first axis) of tensors with several axes whose gradient is all zeros in a step stay as they are, with
   * their moments: words of an embedding that the batch does not have. TensorFlow's LazyAdam, PyTorch's SparseAdam. The
   * corrections count all steps. Without `amsgrad` and `weightDecay`. Default false: they move on along their moments.
   */
  lazy?: boolean;
}

// Second moments below 2^-126/(1 - β2) count as zero: none comes of gradients below 2^-63/(1 - β2), which is 1.1e-16 if β2 is
// 0.999. Without an epsilon of that size, first moments would be divided by zero.
const MIN_EPSILON = 1e-16;

/** The option `epsilon` of an optimizer that adds it to the root of a second moment. */
/* @__NO_SIDE_EFFECTS__ */
export function rootEpsilon(fallback: number) {
  return number(fallback, { min: MIN_EPSILON, max: 1 });
}

/** The options of Adam and its relatives. */
/* @__NO_SIDE_EFFECTS__ */
export function momentOptions(rate: number, epsilon = 1e-8) {
  return {
    learningRate: learningRate(rate),
    beta1: decay(0.9),
    beta2: decay(0.999),
    epsilon: rootEpsilon(epsilon),
  } as const;
}

const OPTIONS = joined(momentOptions(1e-3), decayOptions(), {
  amsgrad: flag(false),
  lazy: flag(false),
}) satisfies OptionsOf<AdamOptions>;

/**
 * Adam (Kingma & Ba 2015, algorithm 1): steps along the mean of the gradients, divided by the root of the mean of
 * their squares, both corrected for having started at zero. Epsilon is outside of the root, as in the paper and PyTorch
 * (Keras's default is 1e-7). All parameters move in every step, those with gradient 0 along their first moment: see `lazy`.
 *
 * @throws ModelError for an unknown option, a learning rate below 0 or NaN, a beta outside of [0, 1), a weight decay below 0,
 * an epsilon below 1e-16, with which parameters whose gradients vanish would be divided by zero, and lazy with amsgrad or
 * weight decay.
 * @example
 * const optimizer = adam({ learningRate: (step) => 0.001 / Math.sqrt(step) });
 */
export function adam(options: AdamOptions = {}): Optimizer {
  const read = readOptions("adam", options, OPTIONS);
  const other = read.amsgrad ? "amsgrad" : read.weightDecay > 0 ? "weightDecay" : undefined;
  if (read.lazy && other !== undefined) {
    throw new ModelError(
      `adam: lazy must be without ${other}, as rows without a gradient stay as they are, got both: leave one out, or give each its own group`,
    );
  }
  return adamNamed("adam", read);
}

const OPTIONS_W = joined(momentOptions(1e-3), {
  weightDecay: weightDecay(0.01),
  amsgrad: flag(false),
}) satisfies OptionsOf<AdamWOptions>;

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2019): `p -= rate · weightDecay · p`, next to Adam's step, whatever
 * the gradients. The decay follows the schedule of the rate, as in PyTorch. It is `adam({ weightDecay, decoupled: true })`
 * under a name of its own, with another default.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0, a beta outside of [0, 1), and an
 * epsilon below 1e-16.
 * @example
 * const optimizer = groups({ "*.weight": adamW({ weightDecay: 0.1 }), "*": adamW({ weightDecay: 0 }) });
 */
export function adamW(options: AdamWOptions = {}): Optimizer {
  return adamNamed("adamW", { ...readOptions("adamW", options, OPTIONS_W), decoupled: true, lazy: false });
}

function adamNamed(name: string, options: Readonly<Required<AdamOptions>>): Optimizer {
  const { learningRate, beta1, beta2, epsilon, amsgrad, lazy } = options;
  const { coupled, decoupled } = decayOf(options);
  return made<Optimizer>({
    name,
    learningRate,
    hyperparameters: {
      beta1,
      beta2,
      epsilon,
      ...decayNumbers(options),
      ...(amsgrad ? { amsgrad: 1 } : {}),
      ...(lazy ? { lazy: 1 } : {}),
    },
    slots: () => [{ name: "firstMoment" }, { name: "secondMoment" }, ...(amsgrad ? [{ name: "maxSecondMoment" }] : [])],
    // Rows are looked at as they are in memory.
    scalesGradients: !lazy,
    record(recorder, at) {
      const { clock, learningRates } = at;
      const [rate] = learningRates;
      const { whole, matrices } = lazy ? splitRows(at) : { whole: at.blocks, matrices: [] };
      for (const { parameters: p, gradients: g, slots, factor, length } of whole) {
        const [m, v, x] = slots;
        const work = elements(length, 8);
        if (amsgrad) {
          recorder.amsgrad(work, p, m, v, x, g, factor, clock, rate, beta1, beta2, epsilon, coupled, decoupled);
        } else recorder.adam(work, p, m, v, g, factor, clock, rate, beta1, beta2, epsilon, coupled, decoupled);
      }
      for (const { parameters: p, gradients: g, slots, length, count } of matrices) {
        const [m, v] = slots;
        recorder.adamRows(rows(count, length * 8), p, m, v, g, clock, rate, length / count, beta1, beta2, epsilon);
      }
    },
  });
}
