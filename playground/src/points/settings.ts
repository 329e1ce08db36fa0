import { choice, integers, number, type SettingsOf, subset } from "../settings.js";
import { DATA_SETS, FEATURE_NAMES } from "./data.js";

export const ACTIVATIONS = ["tanh", "relu", "sigmoid", "gelu", "silu", "linear"] as const;
export const OPTIMIZERS = ["sgd", "momentum", "rmsprop", "adagrad", "adam", "adamw", "lion", "rprop"] as const;
export const RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1] as const;
export const STRENGTHS = [0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1] as const;
export const MOST_LAYERS = 6;
export const MOST_UNITS = 8;

/** Name of a hidden layer's output, and of the layer with its weights. */
export const hiddenName = (index: number): string => `hidden${index + 1}`;

export const schema = {
  data: choice(DATA_SETS, "circle"),
  noise: number(0, { min: 0, max: 50, whole: true }),
  train: number(50, { min: 10, max: 90, whole: true }),
  batch: number(10, { min: 1, max: 64, whole: true }),
  features: subset(FEATURE_NAMES, ["x", "y"]),
  layers: integers([6, 4], { min: 1, max: MOST_UNITS, most: MOST_LAYERS }),
  activation: choice(ACTIVATIONS, "tanh"),
  optimizer: choice(OPTIMIZERS, "adam"),
  rate: number(0.01, { min: 0.00001, max: 10 }),
  penalty: choice(["none", "l1", "l2"], "none"),
  strength: number(0.001, { min: 0, max: 1 }),
  speed: number(2, { min: 1, max: 32, whole: true }),
  seed: number(1, { min: 0, max: 999_999, whole: true }),
  threads: number(1, { min: 1, max: 8, whole: true }),
};

export type PointSettings = SettingsOf<typeof schema>;
