// The range test of learning rates.
import { ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { fn, integer, number, type OptionsOf, readOptions } from "../engine/options.js";
import { power } from "../engine/portableMath.js";
import type { Shape } from "../graph/tensor.js";
import type { Model } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import type { LearningRate, Optimizer } from "../optim/optimizer.js";
import type { TrainingData } from "./data.js";
import { DivergenceError } from "./divergence.js";
import type { Losses } from "./outputs.js";
import { sourceOf } from "./source.js";
import { type CompileOptions, compile } from "./trainer.js";

export interface RangeTestOptions {
  /** The rate of the first step, above 0. Default 1e-6. */
  from?: number;
  /** The rate of the last step. Default 1. */
  to?: number;
  /** How many steps there are at most, a little larger each. Default 200. */
  steps?: number;
  /** Samples a step. Default 32. */
  batchSize?: number;
}

/** What `compile` takes, with a function for the optimizer. */
export type FindLearningRateOptions<O extends Ports = Shape, L = Losses<O>> = RangeTestOptions &
  Omit<CompileOptions<never, O, L>, "optimizer" | "metrics"> & {
    /** Makes the optimizer: `(learningRate) => adam({ learningRate })`. */
    optimizer: (learningRate: LearningRate) => Optimizer;
  };

/** A step of the range test. */
export interface RangeTestPoint {
  readonly rate: number;
  /** Of the batch, before the step. */
  readonly loss: number;
  /** An exponential mean of the losses so far. */
  readonly smoothed: number;
}

export interface RangeTest {
  /** The steps, until the loss was four times its best, or not finite. */
  readonly curve: readonly RangeTestPoint[];
  /** The rate where the smoothed loss falls most steeply: a good one to begin with. */
  readonly suggestion: number;
  /** The rate of the smallest smoothed loss: already too large to train with. */
  readonly lowest: number;
}

const OPTIONS = {
  from: number(1e-6, { min: 1e-30 }),
  to: number(1, { min: 1e-30 }),
  steps: integer(200, { min: 10, max: 1e6 }),
  batchSize: integer(32, { min: 1 }),
} satisfies OptionsOf<RangeTestOptions>;
const MAKER = fn<(learningRate: LearningRate) => Optimizer>();

// Of the mean of losses, and what ends the test.
const SMOOTHING = 0.9;
const WORSE = 4;

/**
 * Finds a learning rate: trains a copy of the model's first values with rates that grow from step to step, and looks where the loss
 * falls most steeply. The model is not changed; its trainer is disposed of.
 *
 * @param data What the model will be trained on.
 * @param options Those of `compile`, but `optimizer` is a function of the learning rate.
 * @throws {ModelError} For wrong options, or if the loss diverges within the first steps.
 * @see L. N. Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), 3.3
 * @example
 * const { suggestion, curve } = await findLearningRate(model, { x, y }, {
 *   loss: crossEntropy(),
 *   optimizer: (learningRate) => adam({ learningRate }),
 * });
 */
export async function findLearningRate<
  I extends Ports = Shape,
  O extends Ports = Shape,
  const L extends Losses<O> = Losses<O>,
>(model: Model<I, O>, data: TrainingData<I, O>, options: FindLearningRateOptions<NoInfer<O>, L>): Promise<RangeTest> {
  if (kindOf(options) !== "Object") {
    throw new ModelError(
      `findLearningRate: options must be an object such as { loss: …, optimizer: … }, got ${showValue(options)}`,
    );
  }
  const { from, to, steps, batchSize, optimizer, ...rest } = options;
  const range = readOptions("findLearningRate", { from, to, steps, batchSize }, OPTIONS);
  if (range.to <= range.from) {
    throw new ModelError(`findLearningRate: to must be above from, which is ${range.from}, got ${range.to}`);
  }
  const make = MAKER("findLearningRate", "optimizer", optimizer);
  const growth = range.to / range.from;
  const rateAt = (step: number): number => range.from * power(growth, (step - 1) / (range.steps - 1));
  const all = { ...rest, tripwire: false, optimizer: make(rateAt) } as CompileOptions<never, Ports, Losses<Ports>>;
  const trainer = await compile(model as Model<Ports, Ports>, all);
  try {
    const trained = sourceOf(data, true) === undefined ? trainer.load(data as never) : data;
    return rangeTestOf(await train((batch) => trainer.trainSteps(trained, batch), range, rateAt));
  } finally {
    trainer.dispose();
  }
}

async function train(
  trainSteps: (batch: { steps: number; batchSize: number }) => Promise<Float32Array>,
  { steps, batchSize }: Required<RangeTestOptions>,
  rateAt: (step: number) => number,
): Promise<RangeTestPoint[]> {
  const curve: RangeTestPoint[] = [];
  let mean = 0;
  let best = Infinity;
  for (let step = 1; step <= steps; step++) {
    const losses = await trainSteps({ steps: 1, batchSize }).catch((error: unknown) => {
      if (error instanceof DivergenceError) return undefined;
      throw error;
    });
    if (losses === undefined) break;
    mean = SMOOTHING * mean + (1 - SMOOTHING) * losses[0];
    const smoothed = mean / (1 - power(SMOOTHING, step));
    best = Math.min(best, smoothed);
    curve.push({ rate: rateAt(step), loss: losses[0], smoothed });
    if (best > 0 && smoothed > WORSE * best) break;
  }
  return curve;
}

function rangeTestOf(curve: readonly RangeTestPoint[]): RangeTest {
  if (curve.length < 4) {
    throw new ModelError(
      `findLearningRate: the loss must stay finite for some steps, got ${showValue(curve.map(({ loss }) => loss))}: begin with a smaller rate (from)`,
    );
  }
  const smoothed = curve.map((point) => point.smoothed);
  const low = smoothed.indexOf(Math.min(...smoothed));
  // Rates grow by one factor, so steps are as long on their logarithmic axis. Means of a tenth of the steps on both sides, as
  // batches differ.
  const width = Math.max(1, Math.round(curve.length / 10));
  const mean = (first: number): number =>
    curve.slice(first, first + width).reduce((sum, { loss }) => sum + loss, 0) / width;
  let steepest = width;
  const fall = (at: number): number => mean(at - width) - mean(at);
  for (let at = width; at <= Math.min(low, curve.length - width); at++) if (fall(at) > fall(steepest)) steepest = at;
  return { curve, suggestion: curve[steepest].rate, lowest: curve[low].rate };
}
