import { made } from "../engine/copies.js";
import { ModelError } from "../engine/errors.js";
import { elements, type Pointer, rows } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { decayNumbers, decayOf, decoupled, type WeightDecayOptions, weightDecay } from "./decay.js";
import {
  decay,
  type LearningRate,
  learningRate,
  type Optimizer,
  type OptimizerBlock,
  type OptimizerPlacement,
} from "./optimizer.js";
import { splitRows } from "./placement.js";

export interface SgdOptions extends WeightDecayOptions {
  /** Default 0.01. */
  learningRate?: LearningRate;
  /** Share of the last step's velocity that is kept, in [0, 1). Default 0: no velocity, and no memory for it. */
  momentum?: number;
  /** Share of each gradient but the first that is left out of the velocity, in [0, 1). Default 0. */
  dampening?: number;
  /** Look ahead along the velocity; needs momentum, and no dampening. Default false. */
  nesterov?: boolean;
  /**
   * Rows (along the first axis) of tensors with several axes whose gradient is all zeros in a step stay as they are, with
   * their velocity: words of an embedding that the batch does not have. Without `weightDecay`. Default false: they move on
   * along their velocity.
   */
  lazy?: boolean;
}

const OPTIONS = {
  learningRate: learningRate(0.01),
  momentum: decay(0),
  dampening: decay(0),
  nesterov: flag(false),
  weightDecay: weightDecay(),
  decoupled: decoupled(),
  lazy: flag(false),
} satisfies OptionsOf<SgdOptions>;

/**
 * Stochastic gradient descent, `p -= rate · g`; with momentum `v = momentum · v + (1 - dampening) · g`, `p -= rate · v` (Polyak
 * 1964; the first velocity is the gradient); with nesterov `p -= rate · (g + momentum · v)` (Sutskever et al. 2013). The forms, and
 * the results, are PyTorch's. Keras's velocity includes the rate, which differs if the rate changes.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0 or NaN, a momentum or dampening outside of
 * [0, 1), nesterov without momentum or with dampening, dampening without momentum, and lazy with weight decay.
 * @example
 * const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  const read = readOptions("sgd", options, OPTIONS);
  checkTogether(read);
  const { learningRate, momentum, dampening, nesterov, lazy } = read;
  return made<Optimizer>({
    name: "sgd",
    learningRate,
    hyperparameters: {
      momentum,
      nesterov: nesterov ? 1 : 0,
      ...(dampening === 0 ? {} : { dampening }),
      ...decayNumbers(read),
      ...(lazy ? { lazy: 1 } : {}),
    },
    slots: () => (momentum === 0 ? [] : [{ name: "velocity" }]),
    // Rows are looked at as they are in memory.
    scalesGradients: !lazy,
    record(recorder, at) {
      // Without a velocity, nothing moves along a gradient of zeros.
      const { whole, matrices } = lazy && momentum > 0 ? splitRows(at) : { whole: at.blocks, matrices: [] };
      for (const block of whole) recordBlock(recorder, block, at, read);
      for (const { parameters, gradients, slots, length, count } of matrices) {
        recorder.sgdMomentumRows(
          rows(count, length * 2),
          parameters,
          slots[0],
          gradients,
          at.clock,
          at.learningRates[0],
          length / count,
          nesterov ? 1 : 0,
          momentum,
          dampening,
        );
      }
    },
  });
}

function checkTogether({ momentum, dampening, nesterov, lazy, weightDecay }: Readonly<Required<SgdOptions>>): void {
  const needing = nesterov ? "nesterov" : dampening > 0 ? "dampening" : undefined;
  if (needing !== undefined && momentum === 0) {
    throw new ModelError(`sgd: ${needing} needs a momentum above 0, got momentum 0: set momentum, for example to 0.9`);
  }
  if (nesterov && dampening > 0) {
    throw new ModelError(`sgd: nesterov must be without dampening, got a dampening of ${dampening}: leave one out`);
  }
  if (lazy && weightDecay > 0) {
    throw new ModelError(
      "sgd: lazy must be without weightDecay, as rows without a gradient stay as they are, got both: leave one out, or give each its own group",
    );
  }
}

function recordBlock(
  recorder: Recorder,
  { parameters: p, gradients: g, slots, factor, length }: OptimizerBlock,
  { clock, learningRates }: OptimizerPlacement,
  options: Readonly<Required<SgdOptions>>,
): void {
  const { momentum, dampening, nesterov, weightDecay } = options;
  const { coupled, decoupled } = decayOf(options);
  const rate: Pointer = learningRates[0];
  if (momentum === 0) recorder.sgd(elements(length), p, g, factor, rate, weightDecay);
  else if (nesterov) {
    recorder.sgdNesterov(elements(length, 2), p, slots[0], g, factor, clock, rate, momentum, coupled, decoupled);
  } else {
    recorder.sgdMomentum(
      elements(length, 2),
      p,
      slots[0],
      g,
      factor,
      clock,
      rate,
      momentum,
      dampening,
      coupled,
      decoupled,
    );
  }
}
