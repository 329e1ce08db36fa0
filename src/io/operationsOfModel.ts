// Operations that a saved model may have between its layers: each is applied again by the function that a user calls, so that
// what a file says of it is checked as a user's arguments are.
import { showNames, showValue } from "../engine/errors.js";
import { checkTensor, type Shape, sameShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { alike } from "../nn/alike.js";
import { deviation } from "../ops/deviation.js";
import { copyOf, scaleAndShift } from "../ops/elementwise.js";
import * as ops from "../ops/index.js";
import { type AttributesOf, type OperationName, operations } from "../ops/operations.js";
import { broadcastLazily } from "../ops/shape.js";
import { FormatError } from "./formatError.js";
import { normalizedByOwn, normalizedRows, statisticsOf } from "./statisticsOfModel.js";
import { convolved, convolvedBack, pooled } from "./windowsOfModel.js";

type Replay<Name extends OperationName> = (inputs: readonly Tensor[], attributes: AttributesOf<Name>) => Tensor;

const one =
  (apply: (x: Tensor) => Tensor) =>
  ([x]: readonly Tensor[]) =>
    apply(x);
const two =
  (apply: (a: Tensor, b: Tensor) => Tensor) =>
  ([a, b]: readonly Tensor[]) =>
    apply(a, b);
const three =
  (apply: (a: Tensor, b: Tensor, c: Tensor) => Tensor) =>
  ([a, b, c]: readonly Tensor[]) =>
    apply(a, b, c);

type Reduce = (x: Tensor, axes: readonly number[], options: { keepDims: boolean }) => Tensor;

/** By what the attributes of a reduction say, since they do not keep its axes. */
function reducing(apply: Reduce) {
  return ([x]: readonly Tensor[], { outer, length, shape, kept }: AttributesOf<"sum">): Tensor => {
    const keepDims = sameShape(shape, kept);
    const { shape: sizes } = checkTensor("reduction", x);
    for (let from = 0; from < sizes.length; from++) {
      if (sizeOf(sizes.slice(0, from)) !== outer) continue;
      for (let to = from + 1; to <= sizes.length; to++) {
        if (sizeOf(sizes.slice(from, to)) !== length) continue;
        const axes = Array.from({ length: to - from }, (_, index) => from + index);
        const made = apply(x, axes, { keepDims });
        if (sameShape(made.shape, shape)) return made;
      }
    }
    throw new FormatError(
      `a reduction must be of axes of ${showValue(sizes)}, got ${length} elements: write the file anew`,
    );
  };
}

function deviated(inputs: readonly Tensor[], attributes: AttributesOf<"deviation">): Tensor {
  const { centered, root, divisor } = attributes;
  if (typeof centered !== "boolean" || typeof root !== "boolean" || !(divisor > 0 && divisor < Infinity)) {
    throw new FormatError(
      `a deviation must have centered, root and a divisor above 0, got ${showValue(attributes)}: the file is damaged`,
    );
  }
  const kind = { centered, root, divisor };
  return reducing((x, axes, { keepDims }) => deviation(x, axes, keepDims, kind))(inputs, attributes);
}

/** By statistics that are given, or by those of the operation before. */
function normalized(inputs: readonly Tensor[], attributes: AttributesOf<"normalize">): Tensor {
  const { epsilon, hasWeight, hasBias, fixed } = attributes;
  if (!fixed) return normalizedByOwn(inputs, attributes);
  const [x, mean, variance, ...rest] = inputs;
  const affine = { ...(hasWeight && { weight: rest[0] }), ...(hasBias && { bias: rest[rest.length - 1] }) };
  return ops.batchNorm(x, { mean, variance, epsilon, ...affine });
}

function sliced([x]: readonly Tensor[], { begin, step, shape }: AttributesOf<"slice">): Tensor {
  checkTensor("slice", x);
  const end = begin.map((at, axis) => {
    const last = at + (shape[axis] - 1) * step[axis] + Math.sign(step[axis]);
    return last < 0 ? -1 - x.shape[axis] : last;
  });
  return ops.slice(x, begin, end, step);
}

/** What broadcasting makes of an operand. */
function lazily(x: Tensor, shape: Shape): Tensor {
  ops.broadcastTo(x, shape); // refuses what does not fit
  return broadcastLazily(x, shape);
}

function padded([x]: readonly Tensor[], { begin, shape, value }: AttributesOf<"pad">): Tensor {
  return ops.pad(
    x,
    begin.map((before, axis) => [before, shape[axis] - before - x.shape[axis]] as const),
    { value },
  );
}

const multiplied = ([a, b]: readonly Tensor[], { form }: AttributesOf<"matmul">): Tensor =>
  ops.matmul(a, b, { transposeA: form === "transposedLeft", transposeB: form === "transposedRight" });

const cumulated =
  (apply: typeof ops.cumulativeSum) =>
  ([x]: readonly Tensor[], { axis, ...options }: AttributesOf<"cumulativeSum">): Tensor =>
    apply(x, axis, options);

const REPLAYS = /* @__PURE__ */ (() =>
  ({
    ...{ step: one(ops.step), identity: one(ops.identity), stopGradient: one(ops.stopGradient), copyOf: one(copyOf) },
    ...{ relu: one(ops.relu), sigmoid: one(ops.sigmoid), tanh: one(ops.tanh), softplus: one((x) => ops.softplus(x)) },
    ...{ silu: one(ops.silu), mish: one(ops.mish), selu: one(ops.selu), logSigmoid: one(ops.logSigmoid) },
    ...{ hardSigmoid: one(ops.hardSigmoid), hardSwish: one(ops.hardSwish), softsign: one(ops.softsign) },
    ...{ tanhShrink: one(ops.tanhShrink), relu6: one(ops.relu6), gelu: one((x) => ops.gelu(x)) },
    ...{ geluTanh: one((x) => ops.gelu(x, { approximate: "tanh" })) },
    ...{ glu: one(ops.glu), swiglu: one(ops.swiglu), reglu: one(ops.reglu), geglu: one((x) => ops.geglu(x)) },
    ...{ gegluTanh: one((x) => ops.geglu(x, { approximate: "tanh" })) },
    ...{ neg: one(ops.neg), square: one(ops.square), sqrt: one(ops.sqrt), rsqrt: one(ops.rsqrt), abs: one(ops.abs) },
    ...{ sign: one(ops.sign), reciprocal: one(ops.reciprocal), exp: one(ops.exp), log: one(ops.log) },
    ...{
      expm1: one(ops.expm1),
      log1p: one(ops.log1p),
      erf: one(ops.erf),
      erfc: one(ops.erfc),
      logit: one((x) => ops.logit(x)),
    },
    ...{ sin: one(ops.sin), cos: one(ops.cos), tan: one(ops.tan), asin: one(ops.asin), acos: one(ops.acos) },
    ...{ atan: one(ops.atan), sinh: one(ops.sinh), cosh: one(ops.cosh), asinh: one(ops.asinh), acosh: one(ops.acosh) },
    ...{
      atanh: one(ops.atanh),
      floor: one(ops.floor),
      ceil: one(ops.ceil),
      trunc: one(ops.trunc),
      round: one(ops.round),
    },
    ...{ softmax: one((x) => ops.softmax(x)), logSoftmax: one((x) => ops.logSoftmax(x)) },
    ...{ add: two(ops.add), sub: two(ops.sub), mul: two(ops.mul), div: two(ops.div), mod: two(ops.mod) },
    ...{ floorDiv: two(ops.floorDiv), maximum: two(ops.maximum), minimum: two(ops.minimum), atan2: two(ops.atan2) },
    ...{ powTensors: two(ops.pow), greater: two(ops.greater), greaterEqual: two(ops.greaterEqual) },
    ...{ less: two(ops.less), lessEqual: two(ops.lessEqual), equal: two(ops.equal) },
    ...{ where: three(ops.where), linear: three(ops.linear) },
    leakyRelu: ([x], options) => ops.leakyRelu(x, options),
    elu: ([x], options) => ops.elu(x, options),
    celu: ([x], options) => ops.celu(x, options),
    hardTanh: ([x], options) => ops.hardTanh(x, options),
    threshold: ([x], options) => ops.threshold(x, options),
    softShrink: ([x], options) => ops.softShrink(x, options),
    hardShrink: ([x], options) => ops.hardShrink(x, options),
    scaleShift: ([x], { name, factor, amount }) => scaleAndShift(String(name), checkTensor("scale", x), factor, amount),
    clip: ([x], { min, max }) => ops.clip(x, min, max),
    pow: ([x], { exponent }) => ops.pow(x, exponent),
    cast: ([x], { dtype }) => ops.cast(x, dtype),
    matmul: multiplied,
    batchedMatmul: multiplied,
    reshape: ([x], { shape }) => ops.reshape(x, shape),
    broadcastTo: ([x], { shape, transparent }) => (transparent ? lazily(x, shape) : ops.broadcastTo(x, shape)),
    transpose: ([x], { axes }) => ops.transpose(x, axes),
    slice: sliced,
    pad: padded,
    concatenate: (inputs, { axis }) => ops.concatenate(inputs, axis),
    split: ([x], { axis, sizes }) => (ops.split(x, sizes as readonly number[], axis) as readonly Tensor[])[0],
    roll: ([x], { axis, by }) => ops.roll(x, by, axis),
    cumulativeSum: cumulated(ops.cumulativeSum),
    cumulativeProduct: cumulated(ops.cumulativeProduct),
    gather: ([x, indices], { axis }) => ops.gather(x, indices, axis),
    gatherAlong: ([x, indices], { axis }) => ops.gatherAlong(x, indices, axis),
    oneHot: ([x], { classes }) => ops.oneHot(x, classes),
    ...{ convolution: convolved, convolutionInputGradient: convolvedBack, normalize: normalized },
    ...{ statistics: statisticsOf, normalizeRows: normalizedRows },
    ...{ maxPool: pooled("maxPool"), averagePool: pooled("averagePool"), deviation: deviated },
    sum: (inputs, attributes) => reducing(attributes.scale === 1 ? ops.sum : ops.mean)(inputs, attributes),
    ...{ max: reducing(ops.max), min: reducing(ops.min), product: reducing(ops.product) },
    randomNormal: ([clock], { shape, seed, stream, numbers: [mean, standardDeviation] }) =>
      ops.randomNormal(shape, { clock, seed, stream, mean, standardDeviation }),
    randomUniform: ([clock], { shape, seed, stream, numbers: [low, width] }) =>
      ops.randomUniform(shape, { clock, seed, stream, low, high: low + width }),
  }) satisfies { readonly [Name in OperationName]?: Replay<Name> })();

/** What a file says of an operation: of a normalization not which rows its kernels take together, which follows from the batch. */
export function savedAttributes(name: string, attributes: unknown): unknown {
  if (name !== "normalize" && name !== "statistics") return attributes;
  const { fold: _, ...others } = attributes as AttributesOf<"normalize">;
  return others;
}

/** Whether a saved model may have it between its layers. */
export function isSaved(name: string): name is keyof typeof REPLAYS {
  return Object.hasOwn(REPLAYS, name);
}

/** Applies an operation as a file says, and gives all outputs of its node. */
export function applySaved(
  where: string,
  name: string,
  inputs: readonly Tensor[],
  attributes: unknown,
): readonly Tensor[] {
  if (!isSaved(name)) {
    throw new FormatError(
      `${where}: the operation must be one of ${showNames(Object.keys(REPLAYS))}, got ${showValue(name)}: it was saved by a later version, or the file is damaged`,
    );
  }
  const replay = REPLAYS[name] as (inputs: readonly Tensor[], attributes: unknown) => Tensor;
  const { source } = replay(inputs, attributes ?? {});
  if (source.kind === "result") {
    const { node } = source;
    const isIt = node.operation === operations[name] && alike(savedAttributes(name, node.attributes), attributes);
    if (isIt && alike([...node.inputs], [...inputs])) return node.outputs;
  }
  throw new FormatError(
    `${where}: ${name} must be applied as it was when it was saved, got ${showValue(attributes)}: the file is damaged`,
  );
}
