// LARS and LAMB: the length of a tensor's step follows from its norm.
import { made } from "../engine/copies.js";
import { elements, type Pointer, serial } from "../engine/instructions.js";
import { joined, number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { momentOptions } from "./adam.js";
import { weightDecay } from "./decay.js";
import { recordSums, sumBytes } from "./norms.js";
import {
  decay,
  type LearningRate,
  learningRate,
  type Optimizer,
  type OptimizerBlock,
  type OptimizerPlacement,
  type TrainedTensor,
} from "./optimizer.js";

export interface LarsOptions {
  /** Default 1. */
  learningRate?: LearningRate;
  /** Share of the last step that is kept, in [0, 1). Default 0.9. */
  momentum?: number;
  /** Added to the gradient, times the parameter, within the ratio. Default 0. */
  weightDecay?: number;
  /** How far a step of rate 1 moves a tensor, as a share of its norm. Default 0.001. */
  trustCoefficient?: number;
}

const LARS = {
  learningRate: learningRate(1),
  momentum: decay(0.9),
  weightDecay: weightDecay(),
  trustCoefficient: number(1e-3, { min: 1e-30, max: 1e30 }),
} satisfies OptionsOf<LarsOptions>;

/** The ratio of a tensor, a float32, and the sums of its parameters and gradients: one tensor after the other has them. */
function ratioBytes(tensors: readonly TrainedTensor[]): number {
  return RATIO_BYTES + 2 * sumsOfLargest(tensors);
}

const RATIO_BYTES = 64;

function sumsOfLargest(tensors: readonly TrainedTensor[]): number {
  return tensors.reduce((bytes, tensor) => Math.max(bytes, sumBytes([tensor])), 0);
}

/**
 * Records the ratio of a tensor, ‖p‖ against the norm of what is where its gradient was. Returns where it is. One tensor is done
 * after the other, with what comes before and after it: so most of it is still in the processor's cache.
 */
function recordRatio(
  recorder: Recorder,
  { tensors, scratch: ratio }: OptimizerPlacement,
  { parameters, gradients, length }: OptimizerBlock,
  coefficient: number,
  decay: number,
): Pointer {
  const ofParameters = ratio + RATIO_BYTES;
  const ofGradients = ofParameters + sumsOfLargest(tensors);
  const parts = recordSums(recorder, [{ address: parameters, length }], ofParameters);
  recordSums(recorder, [{ address: gradients, length }], ofGradients);
  recorder.trustRatio(serial, ratio, ofParameters, ofGradients, parts, coefficient, decay);
  return ratio;
}

/**
 * Layer-wise adaptive rate scaling (You, Gitman & Ginsburg 2017) for large batches: momentum along
 * `rate · ratio · (g + weightDecay · p)` with, for each tensor, `ratio = trustCoefficient · ‖p‖ / (‖g‖ + weightDecay · ‖p‖)`; 1 if
 * one of the norms is 0. Biases and scales usually have an optimizer of their own: see `groups`.
 *
 * @throws ModelError for an unknown option, a rate or weight decay below 0, a momentum outside of [0, 1), and a
 * trustCoefficient that is not above 0.
 * @example
 * const optimizer = groups({ "*.weight": lars({ weightDecay: 1e-4 }), "*": sgd({ momentum: 0.9 }) });
 */
export function lars(options: LarsOptions = {}): Optimizer {
  const { learningRate, momentum, weightDecay, trustCoefficient } = readOptions("lars", options, LARS);
  return made<Optimizer>({
    name: "lars",
    learningRate,
    hyperparameters: { momentum, trustCoefficient, ...(weightDecay === 0 ? {} : { weightDecay }) },
    slots: () => [{ name: "velocity" }],
    scratchBytes: ratioBytes,
    record(recorder, at) {
      for (const tensor of at.tensors) {
        const { parameters: p, gradients: g, slots, length } = tensor;
        const ratio = recordRatio(recorder, at, tensor, trustCoefficient, weightDecay);
        recorder.lars(elements(length, 4), p, slots[0], g, at.learningRates[0], ratio, momentum, weightDecay);
      }
    },
  });
}

export interface LambOptions {
  /** Default 0.001. */
  learningRate?: LearningRate;
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment, at least 1e-16. Default 1e-6. */
  epsilon?: number;
  /** Added to Adam's direction, times the parameter, before the ratio is taken. Default 0. */
  weightDecay?: number;
}

const LAMB = joined(momentOptions(1e-3, 1e-6), { weightDecay: weightDecay() }) satisfies OptionsOf<LambOptions>;

/**
 * LAMB (You et al. 2020, algorithm 2) for large batches: Adam's direction plus `weightDecay · p`, scaled tensor by tensor to the
 * norm of the parameters: `p -= rate · ‖p‖ / ‖d‖ · d`; unscaled if one of the norms is 0. Keras's Lamb, whose epsilon is 1e-7.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0, a beta outside of [0, 1), and an
 * epsilon below 1e-16.
 * @example
 * const optimizer = lamb({ learningRate: 0.002, weightDecay: 0.01 });
 */
export function lamb(options: LambOptions = {}): Optimizer {
  const { learningRate, beta1, beta2, epsilon, weightDecay } = readOptions("lamb", options, LAMB);
  return made<Optimizer>({
    name: "lamb",
    learningRate,
    hyperparameters: { beta1, beta2, epsilon, ...(weightDecay === 0 ? {} : { weightDecay }) },
    slots: () => [{ name: "firstMoment" }, { name: "secondMoment" }],
    scratchBytes: ratioBytes,
    scalesGradients: true,
    record(recorder, at) {
      const { tensors, clock, learningRates } = at;
      for (const tensor of tensors) {
        const { parameters: p, gradients: g, slots, factor, length } = tensor;
        const [m, v] = slots;
        recorder.lambDirection(elements(length, 8), m, v, g, p, factor, clock, beta1, beta2, epsilon, weightDecay);
        const ratio = recordRatio(recorder, at, tensor, 1, 0);
        recorder.stepBy(elements(length, 2), p, g, learningRates[0], ratio);
      }
    },
  });
}
