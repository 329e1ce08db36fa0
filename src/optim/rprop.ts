import { ModelError } from "../engine/errors.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { blockwise } from "./blockwise.js";
import { type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface RpropOptions {
  /** Length of the first step. Default 0.01. */
  learningRate?: LearningRate;
  /** Factor of a step whose gradient has changed its sign, above 0 and below 1. Default 0.5. */
  shorter?: number;
  /** Factor of a step whose gradient has kept its sign, above 1. Default 1.2. */
  longer?: number;
  /** The shortest step. Default 1e-6. */
  minStep?: number;
  /** The longest step. Default 50. */
  maxStep?: number;
}

const OPTIONS = {
  learningRate: learningRate(0.01),
  shorter: number(0.5, { min: 1e-6, max: 0.999999 }),
  longer: number(1.2, { min: 1.000001, max: 1e6 }),
  minStep: number(1e-6, { min: 0, max: 1e30 }),
  maxStep: number(50, { min: 0, max: 1e30 }),
} satisfies OptionsOf<RpropOptions>;

/**
 * Rprop (Riedmiller & Braun 1993): each parameter has its own step, which grows while the sign of its gradient stays and
 * shrinks when it changes. How large gradients are does not matter, so it is for full batches alone. The form is PyTorch's, whose
 * `etas` are `shorter` and `longer`, and `step_sizes` `minStep` and `maxStep`. A schedule has only its first rate used.
 *
 * @throws ModelError for an unknown option, a factor or step that is out of bounds, and a minStep above maxStep.
 * @example
 * using trainer = await compile(model, { loss: crossEntropy(), optimizer: rprop() });
 * await trainer.trainSteps({ x, y }, { steps: 10, batchSize: 64 });
 */
export function rprop(options: RpropOptions = {}): Optimizer {
  const { learningRate, shorter, longer, minStep, maxStep } = readOptions("rprop", options, OPTIONS);
  if (minStep > maxStep) {
    throw new ModelError(
      `rprop: minStep must be at most maxStep, got ${minStep} and ${maxStep}: make one smaller, or the other larger`,
    );
  }
  return blockwise({
    name: "rprop",
    learningRate,
    hyperparameters: { shorter, longer, minStep, maxStep },
    slots: ["previousGradient", "step"],
    cost: 8,
    step(recorder, { work, p, g, slots: [h, s], factor, clock, rate }) {
      recorder.rprop(work, p, h, s, g, factor, clock, rate, shorter, longer, minStep, maxStep);
    },
  });
}
