// The error for a loss that is no longer finite: the likeliest cause, and what helps.
import { SteepestError, showNames, showValue } from "../engine/errors.js";

/** The largest magnitude in the samples of a step, and the port that it is in: `x`, `y.price`. */
export interface Magnitude {
  readonly name: string;
  readonly value: number;
}

/** A step whose loss was NaN or infinite. */
export interface Divergence {
  /** From 1. */
  readonly step: number;
  /** From 1; absent if there are no epochs. */
  readonly epoch?: number;
  readonly loss: number;
  /** One number, or one for each group of parameters. */
  readonly learningRate: number | Readonly<Record<string, number>>;
  /** In the samples of the call, if they are known. */
  readonly largest?: Magnitude | undefined;
}

/** The loss of a step was NaN or infinite. */
export class DivergenceError extends SteepestError {
  protected static override readonly steepestKind = "DivergenceError";
  override name = "DivergenceError";
  /** The step of that loss, from 1. */
  readonly step: number;

  constructor(where: "training" | "workspace.step" | "minimize", divergence: Divergence) {
    super(`${where}: ${describe(divergence)}: ${remedyFor(where, divergence)}`);
    this.step = divergence.step;
  }
}

function describe({ step, epoch, loss, learningRate }: Divergence): string {
  const when = epoch === undefined ? `step ${step}` : `step ${step} (epoch ${epoch})`;
  return `the loss became ${loss} at ${when}, with ${showRates(learningRate)}`;
}

function showRates(learningRate: Divergence["learningRate"]): string {
  if (typeof learningRate === "number") return `learning rate ${showRate(learningRate)}`;
  const rates = Object.entries(learningRate).map(([group, rate]) => `${showRate(rate)} of ${showValue(group)}`);
  return `learning rates ${showNames(rates)}`;
}

/** The rate as the user wrote it, without the digits that float32 adds. */
function showRate(rate: number): number {
  return Number(rate.toPrecision(7));
}

// Inputs and targets beyond this were most likely not scaled.
const LARGE = 1000;

function remedyFor(where: string, { step, learningRate, largest }: Divergence): string {
  const again = where === "training" ? "call reset() and train" : "set the parameters anew and train";
  // The first step's loss is computed with the initial values, which no learning rate has changed yet.
  const rates = typeof learningRate === "number" ? [learningRate] : Object.values(learningRate);
  const byRate = step > 1 && rates.some((rate) => rate > 0);
  if (largest !== undefined && largest.value > LARGE) {
    const smaller = byRate ? ", or with a smaller learning rate" : "";
    return `${largest.name} holds values as large as ${Number(largest.value.toPrecision(3))}: scale inputs and targets to about -1 to 1 (pixels: divide by 255), then ${again} again${smaller}`;
  }
  if (byRate && rates.length > 1) return `${again} with smaller ones`;
  if (byRate) return `${again} with a smaller one, such as ${Number((rates[0] / 10).toPrecision(1))}`;
  const reason = step > 1 ? "this rate changes no parameter" : "nothing had been trained before this step";
  return `${reason}, so the rate is not the cause: look for values that are too large in the inputs, targets, initializers or set parameters, and for a division by 0 or the logarithm of 0 in custom layers and losses`;
}

// Reading this many values takes a millisecond or two.
export const LOOKED_AT = 1 << 20;

/** The largest magnitude among arrays by name. Of long arrays, only the first part is read. */
export function largestOf(values: Iterable<readonly [name: string, values: Float32Array]>): Magnitude | undefined {
  let largest: Magnitude | undefined;
  for (const [name, data] of values) {
    const length = Math.min(data.length, LOOKED_AT);
    let value = 0;
    for (let i = 0; i < length; i++) value = Math.max(value, Math.abs(data[i]));
    if (largest === undefined || value > largest.value) largest = { name, value };
  }
  return largest;
}
