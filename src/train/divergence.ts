// The error for a loss that is no longer finite: where it began, the likeliest cause, and what helps.
import { SteepestError, showNames, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { type Shape, showShape } from "../graph/shape.js";

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
  /** The loss was finite, but parameters or the optimizer's state were not after it. */
  readonly spoiled?: boolean;
  readonly origin?: DivergenceOrigin | undefined;
  /** The trainer has the values from after so many steps again. */
  readonly rewoundTo?: number | undefined;
  /** What else is known: names of what is not finite. */
  readonly notFinite?: readonly string[];
}

/** A tensor with a value that is not finite. */
export interface BadTensor {
  /** What it is: `output of exp`, `gradient of 0.weight`, `0.weight`. */
  readonly name: string;
  readonly shape: Shape;
  /** The first element that is not finite, by its index along each axis. */
  readonly index: readonly number[];
  /** NaN, Infinity or -Infinity. */
  readonly value: number;
}

/** Where a value was not finite for the first time. */
export interface DivergenceOrigin {
  /** From 1. It may be before the one whose loss was not finite. */
  readonly step: number;
  /** Path of the layer; "" if it belongs to none, as the loss does. */
  readonly layer: string;
  /** Name of the operation; of the kernel, if it is one of the optimizer. */
  readonly operation: string;
  readonly phase: "forward" | "backward" | "update";
  readonly tensor: BadTensor;
  /** The samples of the step, by their index in the data, in the pass over a source, or in the batch of `trainBatch`. */
  readonly samples: readonly number[];
  /** The one of them that the bad element belongs to, if the tensor has a row for each. */
  readonly sample: number | undefined;
  /** The values with which it was found, if not those of the step before: from after so many steps. */
  readonly valuesOf?: number | undefined;
}

/**
 * The loss of a step was NaN or infinite; with `tripwire: "all"`, also: parameters or the optimizer's state were. If the
 * trainer had a copy of its values (see `tripwire` of `compile`), it is back at the end of the last good step, and the
 * error says where it went wrong.
 */
export class DivergenceError extends SteepestError {
  protected static override readonly steepestKind = "DivergenceError";
  override name = "DivergenceError";
  /** The step of that loss, from 1. */
  readonly step: number;
  /** Where a value was not finite for the first time; absent if that is not known. */
  readonly origin: DivergenceOrigin | undefined;
  /** How many steps the trainer has done again, with the values from after these; absent if it still has spoiled values. */
  readonly rewoundTo: number | undefined;
  /** What the message says, for whoever finds out more. */
  readonly divergence: Divergence;

  constructor(where: "training" | "workspace.step" | "minimize", divergence: Divergence) {
    super(`${where}: ${describe(divergence)}: ${remedyFor(where, divergence)}`);
    this.step = divergence.step;
    this.origin = divergence.origin;
    this.rewoundTo = divergence.rewoundTo;
    this.divergence = divergence;
  }

  /** Path of the layer in which it began; "" outside of layers. */
  get layer(): string | undefined {
    return this.origin?.layer;
  }

  /** The operation in which it began. */
  get operation(): string | undefined {
    return this.origin?.operation;
  }

  /** The first tensor with a value that was not finite. */
  get tensor(): BadTensor | undefined {
    return this.origin?.tensor;
  }

  /** The samples of the step in which it began. */
  get samples(): readonly number[] | undefined {
    return this.origin?.samples;
  }
}

function describe(divergence: Divergence): string {
  const { step, epoch, loss, learningRate, spoiled = false, origin, rewoundTo, notFinite = [] } = divergence;
  const when = epoch === undefined ? `step ${step}` : `step ${step} (epoch ${epoch})`;
  const what = spoiled
    ? `values were not finite after ${when}, whose loss was ${loss}`
    : `the loss became ${loss} at ${when}`;
  const more = [
    ...(origin === undefined ? [] : [showOrigin(origin, step)]),
    ...(notFinite.length === 0 ? [] : [`not finite: ${showNames(notFinite)}`]),
    ...(rewoundTo === undefined ? [] : [`the trainer is back at the end of step ${rewoundTo}`]),
  ];
  return [`${what}, with ${showRates(learningRate)}`, ...more].join("; ");
}

const SHOWN_SAMPLES = 8;

function showOrigin(
  { step, layer, operation, phase, tensor, samples, sample, valuesOf }: DivergenceOrigin,
  of: number,
): string {
  const when = step === of ? "" : `in step ${step} `;
  const place = layer === "" ? "" : ` of layer ${showValue(layer)}`;
  const element = tensor.index.length === 0 ? "" : ` at [${tensor.index.join(", ")}]`;
  const shape = tensor.shape.length === 0 ? "" : ` ${showShape(tensor.shape)}`;
  const shown = samples.slice(0, SHOWN_SAMPLES).join(", ");
  const all = samples.length > SHOWN_SAMPLES ? `${shown}, … (${samples.length})` : shown;
  const which = sample === undefined ? `samples ${all}` : `sample ${sample} of ${all}`;
  const values = valuesOf === undefined ? "" : `, with the values from after step ${valuesOf}`;
  return `it began ${when}in the ${phase} pass, in ${operation}${place}: ${tensor.name}${shape} had ${tensor.value}${element}, ${which}${values}`;
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

/** Names of the arrays that hold a value which is not finite, each behind `what` it is. */
export function namesNotFinite(values: Readonly<Record<string, Float32Array>>, what: string): string[] {
  const bad = Object.entries(values).filter(([, data]) => indexOfNotFinite(data) >= 0);
  return bad.map(([name]) => `${what} ${name}`);
}
