// Masks of Keras: which steps of a sequence are padding. They go along with its tensors, from layer to layer.
import { ModelError } from "../engine/errors.js";
import { constant, showShape, type Tensor } from "../graph/tensor.js";
import { logicalOr } from "../ops/comparison.js";
import { add, mul, sub } from "../ops/elementwise.js";
import { concatenate } from "../ops/join.js";
import { broadcastTo, expandDims } from "../ops/shape.js";
import { pad, slice } from "../ops/slice.js";
import type { Call, Given, KerasLayer } from "./layer.js";

/** The mask [batch, time] of a tensor, with 0 for padding; nothing if it has none. */
export function maskOf({ where, reading }: Pick<KerasLayer, "where" | "reading">, x: Tensor): Tensor | undefined {
  const mask = reading.masks.get(x);
  if (mask === undefined || mask.shape.length === 2) return mask;
  throw new ModelError(
    `${where}: a mask must be one of the steps of a sequence, [batch, time], got ${showShape(mask.shape)}: there is nothing for others`,
  );
}

/** Takes a mask from a tensor to what a layer makes of it. */
function pass({ reading }: KerasLayer, mask: Tensor | undefined, made: ReturnType<Call>): void {
  const [y] = Array.isArray(made) ? (made as readonly Tensor[]) : [made as Tensor];
  if (mask !== undefined && y !== undefined) reading.masks.set(y, mask);
}

/** Layers that look at each step by itself, and those that handle its mask themselves. */
const STEPWISE = new Set([
  ...[
    "Dense",
    "EinsumDense",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "ThresholdedReLU",
    "Softmax",
    "Identity",
  ],
  ...["Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"],
  ...["BatchNormalization", "LayerNormalization", "RMSNormalization", "GroupNormalization", "UnitNormalization"],
  ...["TimeDistributed", "MultiHeadAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention", "Rescaling"],
]);
const MERGING = new Set(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]);

/** Has what a layer made keep the masks of what it was given, where the layer of Keras does. Others lose them. */
export function passMasks(of: KerasLayer, given: Given, made: ReturnType<Call>): void {
  const { className, reading, fields } = of;
  const xs = [...(given.named.query ?? []), ...given.xs];
  if (!xs.some((x) => reading.masks.has(x))) return;
  if (STEPWISE.has(className)) pass(of, reading.masks.get(xs[0]), made);
  else if (MERGING.has(className)) pass(of, merged(of, xs), made);
  else if (className === "Concatenate") pass(of, joined(of, xs, fields.list("axis", [-1])[0]), made);
}

/** A step is there if it is in one of the tensors; in Keras 2, if it is in all. */
function merged({ reading }: KerasLayer, xs: readonly Tensor[]): Tensor | undefined {
  const masks = xs.flatMap((x) => reading.masks.get(x) ?? []);
  if (!reading.dialect.isThird) return masks.reduce((a, b) => mul(a, b));
  return masks.length < xs.length ? undefined : masks.reduce(logicalOr);
}

function joined(of: KerasLayer, xs: readonly Tensor[], axis: number): Tensor {
  const whole = ({ shape }: Tensor) => broadcastTo(constant(1), shape.slice(0, 2));
  const masks = xs.map((x) => maskOf(of, x) ?? whole(x));
  if (axis === 1) return concatenate(masks, 1);
  return masks.reduce((a, b) => (of.reading.dialect.isThird ? logicalOr(a, b) : mul(a, b)));
}

/**
 * Outputs [batch, time, units] that are 0 in padding, with those of the step before there: so Keras gives them. Each round looks
 * twice as far back.
 */
export function repeated(outputs: Tensor, mask: Tensor, isBackwards: boolean): Tensor {
  const [batch, time] = mask.shape;
  const earlier = (x: Tensor, distance: number): Tensor => {
    const [from, to] = isBackwards ? [distance, time] : [0, time - distance];
    return pad(slice(x, [0, from], [batch, to]), [[0, 0], isBackwards ? [0, distance] : [distance, 0], [0, 0]]);
  };
  let made = outputs;
  let found = expandDims(mask, 2);
  for (let distance = 1; distance < time; distance *= 2) {
    const open = sub(1, found);
    made = add(made, mul(open, earlier(made, distance)));
    found = add(found, mul(open, earlier(found, distance)));
  }
  return made;
}
