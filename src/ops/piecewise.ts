// Activations made of straight pieces, or nearly so.
import { EPILOGUE_RELU } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { elements, rows } from "../engine/instructions.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { type Activation, activation, inferSame } from "./activation.js";
import { checkFloat } from "./axes.js";
import { greater, where } from "./comparison.js";
import { abs, mul, reciprocal, scale, shift, square, sub } from "./elementwise.js";
import { sum } from "./reduce.js";
import { reshape } from "./shape.js";

export const stepOp: Operation = {
  name: "step",
  infer: inferSame("step"),
  forward(record, { outputs, to, from }) {
    const n = sizeOf(outputs[0].shape);
    record.step(elements(n), to[0], from[0], n);
  },
  backward: () => [undefined],
  inPlace: [0],
};

/** 1 where x ≥ 0, else 0; NaN stays NaN. Its gradient is zero. Any shape. Throws ModelError for a uint32 input. */
export function step(x: Tensor): Tensor {
  return apply(stepOp, [x], undefined);
}

export const reluOp = activation({
  name: "relu",
  cost: 1,
  forward: (record, to) => record.relu(...to),
  backwardReads: "output",
  backward: (record, to) => record.reluGradient(...to),
  epilogue: EPILOGUE_RELU,
});

/** max(x, 0), with derivative 0 at 0. Any shape. Nair & Hinton 2010. Throws ModelError for a uint32 input. */
export function relu(x: Tensor): Tensor {
  return apply(reluOp, [x], undefined);
}

export const leakyReluOp = activation<{ negativeSlope: number }>({
  name: "leakyRelu",
  cost: 1,
  forward: (record, to, { negativeSlope }) => record.leakyRelu(...to, negativeSlope),
  backwardReads: "output",
  backward: (record, to, { negativeSlope }) => record.leakyReluGradient(...to, negativeSlope),
});

export interface LeakyReluOptions {
  /** Slope where x ≤ 0, at least 0. Default 0.01. */
  negativeSlope?: number;
}

const LEAKY_RELU = { negativeSlope: number(0.01, { min: 0 }) } satisfies OptionsOf<LeakyReluOptions>;

/** x where x > 0, else negativeSlope · x. Any shape. Maas et al. 2013. Throws ModelError for a negative slope. */
export function leakyRelu(x: Tensor, options: LeakyReluOptions = {}): Tensor {
  return apply(leakyReluOp, [x], readOptions("leakyRelu", options, LEAKY_RELU));
}

export const preluOp: Operation = {
  name: "prelu",
  infer: ([, x, slopes]) => {
    checkFloat("prelu", x, slopes);
    const channels = x.shape[x.shape.length - 1] ?? 1;
    if (slopes.shape.length === 1 && [1, channels].includes(slopes.shape[0])) return [{ shape: x.shape }];
    throw new ModelError(
      `prelu: slopes must be [1], one for each of the ${channels} channels (last axis) of ${showShape(x.shape)}, or broadcast to it, got ${showShape(slopes.shape)}`,
    );
  },
  forward(record, { inputs: [, x, slopes], to, from }) {
    const n = sizeOf(x.shape);
    const each = slopes.shape[0] !== 1;
    const columns = each ? slopes.shape[0] : SHARED_COLUMNS;
    record.prelu(rows(Math.ceil(n / columns), n), to[0], from[0], from[1], from[2], n, columns, each ? 1 : 0);
  },
  backward: ({ inputs: [v, x, slopes], gradient, needs }) => [
    needs[0] ? apply(preluOp, [gradient, x, slopes], undefined) : undefined,
    undefined, // where x only decides, it has no slope
    needs[2] ? slopesOf(where(greater(x, 0), 0, mul(gradient, v)), slopes) : undefined,
  ],
  inPlace: [0, 1],
};

/** Elements that one unit takes where all have the same slope. */
const SHARED_COLUMNS = 1024;

/** Summed to one for each channel, or to one for all. */
function slopesOf(each: Tensor, { shape: [channels] }: Tensor): Tensor {
  return channels === 1 ? reshape(sum(each), [1]) : sum(reshape(each, [sizeOf(each.shape.slice(0, -1)), channels]), 0);
}

/**
 * x where x > 0, else slope · x, with slopes that may be trained: one for all, `[1]`, one for each channel, `[channels]`, the
 * channels being the last axis, or any shape that broadcasts to that of x. He et al. 2015. Throws ModelError if they do not fit.
 */
export function prelu(x: Tensor, slopes: Tensor): Tensor {
  checkTensor("prelu", x);
  const { shape } = checkTensor("prelu", slopes, "slopes must be a tensor");
  const isPlain = shape.length <= 1 || !fitsInto(shape, x.shape);
  return isPlain ? apply(preluOp, [x, x, slopes], undefined) : where(greater(x, 0), x, mul(slopes, x));
}

/** Whether `shape` broadcasts to `whole`. */
function fitsInto(shape: Shape, whole: Shape): boolean {
  const skipped = whole.length - shape.length;
  return skipped >= 0 && shape.every((size, axis) => size === 1 || size === whole[skipped + axis]);
}

export interface Limits {
  readonly min: number;
  readonly max: number;
}

/** Nothing but its bounds: x within them, or what `forward` makes of it. */
const bounded = /* @__NO_SIDE_EFFECTS__ */ (
  name: string,
  forward: Activation<Limits>["forward"],
  backwardReads: "input" | "output",
) =>
  activation<Limits>({
    name,
    cost: 1,
    forward,
    backwardReads,
    backward: (record, to, { min, max }) => record.hardTanhGradient(...to, min, max),
  });

export const hardTanhOp = bounded("hardTanh", (record, to, { min, max }) => record.hardTanh(...to, min, max), "output");

export interface HardTanhOptions {
  /** The smallest result. Default -1. */
  min?: number;
  /** The largest result. Default 1. */
  max?: number;
}

const HARD_TANH = { min: number(-1), max: number(1) } satisfies OptionsOf<HardTanhOptions>;

/** x within [min, max]; its derivative at the bounds is 0. Any shape. Throws ModelError unless min < max. */
export function hardTanh(x: Tensor, options: HardTanhOptions = {}): Tensor {
  const { min, max } = readOptions("hardTanh", options, HARD_TANH);
  if (!(min < max)) throw new ModelError(`hardTanh: min must be less than max, got min ${min} and max ${max}`);
  return apply(hardTanhOp, [x], { min, max });
}

export const relu6Op = bounded("relu6", (record, to, { min, max }) => record.hardTanh(...to, min, max), "output");

/** min(max(x, 0), 6); its derivative at 0 and 6 is 0. Any shape. Howard et al. 2017. Throws ModelError for a uint32 input. */
export function relu6(x: Tensor): Tensor {
  return apply(relu6Op, [x], { min: 0, max: 6 });
}

export const thresholdOp = activation<{ threshold: number; value: number }>({
  name: "threshold",
  cost: 1,
  forward: (record, to, { threshold, value }) => record.threshold(...to, threshold, value),
  backwardReads: "input",
  backward: (record, to, { threshold }) => record.hardTanhGradient(...to, threshold, Number.NaN), // no upper bound
});

export interface ThresholdOptions {
  /** What x must be greater than to pass. */
  threshold: number;
  /** What takes its place otherwise. Default 0. */
  value?: number;
}

const THRESHOLD = { threshold: number(), value: number(0) } satisfies OptionsOf<ThresholdOptions>;

/** x where x > threshold, else value. Any shape. Throws ModelError for numbers that are not finite. */
export function threshold(x: Tensor, options: ThresholdOptions): Tensor {
  return apply(thresholdOp, [x], readOptions("threshold", options, THRESHOLD));
}

export const hardSigmoidOp = activation({
  name: "hardSigmoid",
  cost: 2,
  forward: (record, to) => record.hardSigmoid(...to),
  backwardReads: "input",
  backward: (record, to) => record.hardSigmoidGradient(...to),
});

/** min(max(x + 3, 0), 6) / 6, as PyTorch and Keras 3; its derivative at ±3 is 0. Any shape. Throws ModelError for a uint32 input. */
export function hardSigmoid(x: Tensor): Tensor {
  return apply(hardSigmoidOp, [x], undefined);
}

export const hardSwishOp = activation({
  name: "hardSwish",
  cost: 2,
  forward: (record, to) => record.hardSwish(...to),
  backwardReads: "input",
  backward: (record, to) => record.hardSwishGradient(...to),
  secondDerivative: (x) => scale(greater(3, abs(x)), 1 / 3),
});

/** x · hardSigmoid(x); its derivative is 0 at -3 and 1 at 3. Any shape. Howard et al. 2019. Throws ModelError for a uint32 input. */
export function hardSwish(x: Tensor): Tensor {
  return apply(hardSwishOp, [x], undefined);
}

export const softsignOp = activation({
  name: "softsign",
  cost: 3,
  forward: (record, to) => record.softsign(...to),
  backwardReads: "input",
  backward: (record, to) => record.softsignGradient(...to),
  secondDerivative(x) {
    const share = reciprocal(shift(abs(x), 1));
    return mul(sub(greater(0, x), greater(x, 0)), scale(mul(share, square(share)), 2));
  },
});

/** x / (1 + |x|). Any shape. Throws ModelError for a uint32 input. */
export function softsign(x: Tensor): Tensor {
  return apply(softsignOp, [x], undefined);
}

export interface ShrinkOptions {
  /** What is taken off (`softShrink`), or must be exceeded (`hardShrink`), at least 0. Default 0.5. */
  lambda?: number;
}

const SHRINK = { lambda: number(0.5, { min: 0 }) } satisfies OptionsOf<ShrinkOptions>;

function shrink(operation: Operation<{ lambda: number }>, x: Tensor, options: ShrinkOptions): Tensor {
  checkFloat(operation.name, x);
  return apply(operation, [x], readOptions(operation.name, options, SHRINK));
}

const shrinking = /* @__NO_SIDE_EFFECTS__ */ (name: "softShrink" | "hardShrink") =>
  activation<{ lambda: number }>({
    name,
    cost: 2,
    forward: (record, to, { lambda }) => record[name](...to, lambda),
    backwardReads: "input",
    backward: (record, to, { lambda }) => record.shrinkGradient(...to, lambda),
  });

export const softShrinkOp = shrinking("softShrink");
export const hardShrinkOp = shrinking("hardShrink");

/** x nearer to 0 by lambda, 0 where |x| ≤ lambda. Any shape. Throws ModelError for a negative lambda or a uint32 input. */
export function softShrink(x: Tensor, options: ShrinkOptions = {}): Tensor {
  return shrink(softShrinkOp, x, options);
}

/** x, but 0 where |x| ≤ lambda. Any shape. Throws ModelError for a negative lambda or a uint32 input. */
export function hardShrink(x: Tensor, options: ShrinkOptions = {}): Tensor {
  return shrink(hardShrinkOp, x, options);
}
