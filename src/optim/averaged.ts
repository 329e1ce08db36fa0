// Averages of the parameters beside the parameters themselves.
import { LARGEST_INT32, ModelError } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { flag, integer, type OptionsOf, readOptions } from "../engine/options.js";
import { checkOptimizer, decay, type Optimizer } from "./optimizer.js";
import { wrap } from "./wrapper.js";

export interface AveragedOptions {
  /** Share of the average that each step keeps, in [0, 1). Default 0.999. */
  decay?: number;
  /** The plain mean of all steps' parameters instead, all of the same weight; without `decay`. Default false. */
  mean?: boolean;
  /** First step, from 1, that is averaged; before it the average is the parameters. Default 1. */
  start?: number;
  /** Averages every so many steps, from `start` on: for stochastic weight averaging, those of an epoch. Default 1. */
  every?: number;
}

const OPTIONS = {
  decay: decay(0.999),
  mean: flag(false),
  start: integer(1, { min: 1, max: LARGEST_INT32 }),
  every: integer(1, { min: 1, max: LARGEST_INT32 }),
} satisfies OptionsOf<AveragedOptions>;

/**
 * Keeps an average of the parameters in a slot "average": after each step `average = decay · average + (1 - decay) · p`,
 * from the first parameters on (exponential moving average, as Keras's `use_ema` and PyTorch's AveragedModel with
 * get_ema_multi_avg_fn); with `mean` their mean (Polyak & Juditsky 1992; stochastic weight averaging, Izmailov et al. 2018).
 * Training itself goes on as without. It averages what is trained; buffers, such as the statistics of batch normalization,
 * are as the last step left them: `trainer.updateNormalization(data, { parameters: "average" })` makes them the average's.
 *
 * `trainer.evaluate(data, { parameters: "average" })`, `predict` likewise, `trainer.parameters({ of: "average" })`.
 *
 * @throws ModelError for an unknown option, a decay outside of [0, 1), a start or every below 1, decay and mean together, and if
 * `optimizer` is none.
 * @example
 * using trainer = await compile(model, { loss: crossEntropy(), optimizer: averaged(adam(), { decay: 0.99 }) });
 * await trainer.fit({ x, y });
 * const { loss } = await trainer.evaluate({ x, y }, { parameters: "average" });
 */
export function averaged(optimizer: Optimizer, options: AveragedOptions = {}): Optimizer {
  checkOptimizer("averaged", optimizer);
  const { mean, decay, start, every } = readOptions("averaged", options, OPTIONS);
  if (mean && options.decay !== undefined) {
    throw new ModelError(`averaged: mean gives all steps the same weight, got a decay of ${decay} too: leave one out`);
  }
  return wrap(optimizer, {
    hyperparameters: {
      averagedFrom: start,
      ...(every === 1 ? {} : { averagedEvery: every }),
      ...(mean ? {} : { averageDecay: decay }),
    },
    slots: [{ name: "average", start: "parameters" }],
    after(recorder, { blocks, clock }) {
      for (const { parameters, slots, length } of blocks) {
        const average = slots[slots.length - 1];
        // A decay of 1 is the kernel's sign for the mean.
        recorder.movingAverage(elements(length, 2), average, parameters, clock, start, every, mean ? 1 : decay);
      }
    },
  });
}
