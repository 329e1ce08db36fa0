import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { rootEpsilon } from "./adam.js";
import { type BlockPlaces, blockwise } from "./blockwise.js";
import { type Decay, decayNumbers, decayOf, decoupled, type WeightDecayOptions, weightDecay } from "./decay.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface RmspropOptions extends WeightDecayOptions {
  /** Default 0.01, as in PyTorch (Keras: 0.001). */
  learningRate?: LearningRate;
  /** Decay of the mean square, in [0, 1). Default 0.99, as in PyTorch (Keras: `rho` 0.9). */
  alpha?: number;
  /** Share of the last step that is kept, in [0, 1). Default 0: no velocity, and no memory for it. */
  momentum?: number;
  /** Divides by the deviation of the gradients, not by the root of their mean square (Graves 2013). Default false. */
  centered?: boolean;
  /** Added to the root, at least 1e-16. Default 1e-8 (Keras adds 1e-7 within the root). */
  epsilon?: number;
}

const OPTIONS = {
  learningRate: learningRate(0.01),
  alpha: decay(0.99),
  momentum: decay(0),
  centered: flag(false),
  epsilon: rootEpsilon(1e-8),
  weightDecay: weightDecay(),
  decoupled: decoupled(),
} satisfies OptionsOf<RmspropOptions>;

/**
 * RMSprop (Hinton 2012): each gradient is divided by the root of the mean of its squares, `p -= rate · g / (√v + epsilon)`,
 * with `momentum` along a velocity of such steps. Form and defaults are PyTorch's.
 *
 * @throws ModelError for an unknown option, a learning rate or weight decay below 0, an alpha or momentum outside of
 * [0, 1), and an epsilon below 1e-16.
 * @example
 * const optimizer = rmsprop({ learningRate: 0.001, momentum: 0.9, centered: true });
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const read = readOptions("rmsprop", options, OPTIONS);
  const { learningRate, alpha, momentum, centered, epsilon } = read;
  return blockwise({
    name: "rmsprop",
    learningRate,
    hyperparameters: { alpha, momentum, centered: centered ? 1 : 0, epsilon, ...decayNumbers(read) },
    slots: ["squareAverage", ...(centered ? ["gradientAverage"] : []), ...(momentum > 0 ? ["velocity"] : [])],
    cost: 7,
    step: (recorder, at) => recordStep(recorder, at, read, decayOf(read)),
  });
}

function recordStep(
  recorder: Recorder,
  { work, p, g, slots: [v, second, third], factor, rate }: BlockPlaces,
  { alpha, momentum, centered, epsilon }: Readonly<Required<RmspropOptions>>,
  { coupled, decoupled }: Decay,
): void {
  if (centered && momentum > 0) {
    const [a, b] = [second, third];
    recorder.rmspropCenteredMomentum(work, p, v, a, b, g, factor, rate, alpha, momentum, epsilon, coupled, decoupled);
  } else if (centered)
    recorder.rmspropCentered(work, p, v, second, g, factor, rate, alpha, epsilon, coupled, decoupled);
  else if (momentum > 0) {
    recorder.rmspropMomentum(work, p, v, second, g, factor, rate, alpha, momentum, epsilon, coupled, decoupled);
  } else recorder.rmsprop(work, p, v, g, factor, rate, alpha, epsilon, coupled, decoupled);
}
