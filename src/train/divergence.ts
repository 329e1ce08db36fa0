// What to say when a loss is no number any longer: what most likely led to it, and what helps.
import { SteepestError, showNames, showValue } from "../engine/errors.js";

/** The largest magnitude in the samples of a step, and whose it is: `x`, `y.price`. */
export interface Magnitude {
  readonly name: string;
  readonly value: number;
}

/** A step whose loss was NaN or infinite. */
export interface Divergence {
  /** From 1. */
  readonly step: number;
  /** From 1; absent where there are no epochs. */
  readonly epoch?: number;
  readonly loss: number;
  /** One, or that of each group of parameters. */
  readonly learningRate: number | Readonly<Record<string, number>>;
  /** In the samples that were trained on, where that is known. */
  readonly largest?: Magnitude | undefined;
}

/** The loss of a step was NaN or infinite. */
export class DivergenceError extends SteepestError {
  protected static override readonly steepestKind = "DivergenceError";
  override name = "DivergenceError";
  /** The step, from 1, whose loss it was. */
  readonly step: number;

  constructor(where: "training" | "workspace.step", divergence: Divergence) {
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

/** As it was written, not as float32 has it. */
function showRate(rate: number): number {
  return Number(rate.toPrecision(7));
}

// Inputs and targets beyond this are most likely as they were measured, not scaled.
const LARGE = 1000;

function remedyFor(where: string, { step, learningRate, largest }: Divergence): string {
  const again = where === "training" ? "call reset() and train" : "set the parameters anew and train";
  // The loss of the first step is that of the first values: no learning rate has changed them yet.
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

// As many values as are looked at in a millisecond or two.
const LOOKED_AT = 1 << 20;

/** The largest magnitude among values by name; of long ones, in their first part. */
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
