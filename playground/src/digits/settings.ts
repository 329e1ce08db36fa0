import { choice, number, type SettingsOf } from "../settings.js";
import { SIDE } from "./picture.js";

/** Side of a window of the first convolution, their number, and the side of what each gives. */
export const WINDOW = 5;
export const WINDOWS = 8;
export const SEEN = SIDE - WINDOW + 1;
/** Units of the first layer of the network without convolutions. */
export const DENSE_UNITS = 32;

export const RATES = [0.0003, 0.001, 0.003, 0.01, 0.03] as const;

export const schema = {
  network: choice(["convolution", "dense"], "convolution"),
  optimizer: choice(["sgd", "momentum", "rmsprop", "adam", "lion"], "adam"),
  rate: number(0.003, { min: 0.00001, max: 1 }),
  batch: number(32, { min: 1, max: 256, whole: true }),
  dropout: number(0, { min: 0, max: 0.9 }),
  seed: number(1, { min: 0, max: 999_999, whole: true }),
  threads: number(1, { min: 1, max: 8, whole: true }),
};

export type DigitSettings = SettingsOf<typeof schema>;
