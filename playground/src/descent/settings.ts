import { choice, type Field, number, type SettingsOf, subset } from "../settings.js";
import { LANDSCAPE_NAMES } from "./landscapes.js";
import { RACER_NAMES } from "./racers.js";

export const RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3] as const;

/** Two coordinates, or none. */
const place: Field<readonly [number, number] | undefined> = {
  fallback: undefined,
  read(text) {
    const [x = Number.NaN, y = Number.NaN, ...more] = text.split("_").map(Number);
    return Math.abs(x) < 1000 && Math.abs(y) < 1000 && more.length === 0 ? [x, y] : undefined;
  },
  write: (value) => (value === undefined ? "" : value.join("_")),
};

export const schema = {
  land: choice(LANDSCAPE_NAMES, "rosenbrock"),
  racers: subset(RACER_NAMES, ["sgd", "momentum", "rmsprop", "adam"]),
  /** The rate of SGD and its kin, whose steps have the size of the slope. */
  rate: number(0.001, { min: 0.000001, max: 10 }),
  /** The rate of those whose steps have a size of their own. */
  adaptive: number(0.03, { min: 0.000001, max: 10 }),
  speed: number(2, { min: 1, max: 50, whole: true }),
  /** Where the race begins, if it is not the landscape's own start. */
  start: place,
};

export type DescentSettings = SettingsOf<typeof schema>;
