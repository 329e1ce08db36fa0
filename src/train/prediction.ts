// What a trainer's prediction is made of, for those who compute it elsewhere.
import type { Choices } from "../engine/engine.js";
import type { OutputConfig, State } from "./state.js";

/** What is not in the model: what the losses make of its outputs, and how the engine computes. */
export interface Prediction {
  readonly outputs: readonly OutputConfig[];
  readonly choices: Choices;
}

const predictions = new WeakMap<object, Prediction>();

/** Remembers it for a trainer, which is returned. */
export function withPrediction<T extends object>(trainer: T, { config, engine }: State): T {
  predictions.set(trainer, { outputs: config.outputs, choices: engine });
  return trainer;
}

/** `undefined` if it is not what `compile` returned. */
export function predictionOf(trainer: object): Prediction | undefined {
  return predictions.get(trainer);
}
