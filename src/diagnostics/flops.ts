// How many floating-point operations a step needs, by the shapes alone. A multiplication and an addition are two, a function of a
// number is one, and what moves numbers is none. What a kernel does besides, such as packing, does not count, so that products in
// other forms are compared by the same measure.
import type { Recorder } from "../engine/recorder.js";
import { nodesBehind } from "../graph/backward.js";
import { type Node, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import type { AttentionTask } from "../ops/attention.js";
import type { Body } from "../ops/loop.js";
import type { AttributesOf, OperationName } from "../ops/operations.js";
import type { PoolAttributes } from "../ops/pool.js";
import type { Geometry } from "../ops/window.js";

/** A node as its count sees it: with its attributes by type, and the shapes. */
interface Counted<Attributes> {
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** A number for each element, or how many operations there are in all. */
type Count<Name extends OperationName> = number | ((node: Counted<AttributesOf<Name>>) => number);

const sizeAt = (tensors: readonly Tensor[], index: number): number => sizeOf(tensors[index].shape);

/** Each output pixel is a sum over the window and the group's channels, in each of the three products. */
const convolved = ({ attributes: g }: Counted<Geometry>): number =>
  (2 * g.batch * g.outHeight * g.outWidth * g.outChannels * g.windowHeight * g.windowWidth * g.channels) / g.groups;

/** Each output is a maximum or a mean of its window. */
const pooled = ({ attributes: { batch, channels, height, width } }: Counted<PoolAttributes>): number =>
  batch * channels * height.out * height.window * width.out * width.window;

const takenWithWeights = ({
  attributes: { batch, places, taps, channels },
}: Counted<AttributesOf<"weightedRows">>): number => 2 * batch * places * taps * channels;

/** The state before each step by the recurrent weights; the products for all steps at once are operations of their own. */
function recurred({ inputs }: Counted<unknown>): number {
  const [batch, time] = inputs[0].shape;
  return 2 * batch * time * sizeAt(inputs, 1);
}

/** A state may be a projection of the cell's outputs. Input 0 has the gates, input 1 is [states, 4·units]. */
function recurredLstm(node: Counted<AttributesOf<"lstm">>): number {
  const [states, width] = node.inputs[1].shape;
  const [batch, time] = node.inputs[0].shape;
  const projected = node.attributes.hasProjection ? 2 * batch * time * states * (width / 4) : 0;
  return recurred(node) + projected;
}

/** Pairs of a query and a key that it may see by position, in all heads of all samples. */
function pairsOf({ attributes: { heads, parts, causal, window, extras }, inputs }: Counted<AttentionTask>): number {
  const [batch, queries] = inputs[parts[0].input].shape;
  const keys = inputs[parts[1].input].shape[1];
  // Queries that begin at a position that only the program knows may see all.
  const isFree = extras.start !== undefined;
  let pairs = 0;
  for (let query = 0; query < queries; query++) {
    const first = window > 0 && !isFree ? Math.max(0, query - window + 1) : 0;
    const last = isFree ? keys - 1 : causal ? query : window > 0 ? query + window - 1 : keys - 1;
    pairs += Math.max(0, Math.min(last, keys - 1) - first + 1);
  }
  return batch * heads * pairs;
}

/** The body in each step. What does not change in it has been moved out. */
function looped({ attributes: { length, carries, xs, clocks, fixed, next, ys, saved } }: Counted<Body>): number {
  const nodes = nodesBehind([...next, ...ys, ...saved], new Set([...carries, ...xs, ...clocks, ...fixed]));
  return length * nodes.reduce((sum, node) => sum + flopsOf(node), 0);
}

function sorted({ inputs: [{ shape }] }: Counted<unknown>): number {
  const length = shape.at(-1) ?? 1;
  return sizeOf(shape) * Math.ceil(Math.log2(Math.max(1, length)));
}

// biome-ignore format: by kind
const COUNTS = {
  // Products.
  matmul: ({ inputs: [a], outputs, attributes: { form } }) =>
    2 * sizeAt(outputs, 0) * a.shape[form === "transposedLeft" ? 0 : 1],
  batchedMatmul: ({ inputs: [{ shape }], outputs, attributes: { form } }) =>
    2 * sizeAt(outputs, 0) * (shape.at(form === "transposedLeft" ? -2 : -1) ?? 1),
  linear: ({ inputs: [, weight], outputs }) => 2 * sizeAt(outputs, 0) * weight.shape[0],
  convolution: convolved, convolutionInputGradient: convolved, convolutionWeightGradient: convolved,
  weightedRows: takenWithWeights, weightedRowsInputGradient: takenWithWeights, weightedRowsWeightGradient: takenWithWeights,
  rnn: recurred, rnnGradient: recurred, gru: recurred, gruGradient: recurred,
  lstm: recurredLstm, lstmGradient: recurredLstm,
  // Scores, and the values weighted by them; backward the scores again, and the gradients of weights, values, queries and keys.
  attention: (node) => 2 * pairsOf(node) * (node.attributes.depth + node.attributes.width),
  attentionGradient: (node) => 2 * pairsOf(node) * (3 * node.attributes.depth + 2 * node.attributes.width),
  scan: looped,
  // Over windows, rows and paths.
  maxPool: pooled, maxPoolGradient: ({ inputs }) => sizeAt(inputs, 0), maxPoolPick: 0,
  averagePool: pooled, averagePoolGradient: pooled,
  ctcLoss: ({ inputs: [{ shape: [batch, time, classes] }, { shape: [, labels] }] }) =>
    batch * time * (classes + 2 * labels + 1),
  ctcLossGradient: ({ inputs: [, , { shape: [batch, time, classes] }, { shape: [, labels] }] }) =>
    batch * time * (classes + 2 * labels + 1),
  sort: sorted,
  // Each row: maximum, difference, exponential, sum, quotient; the gradient a product, a sum, a difference, a product.
  softmax: 5, softmaxGradient: 4, logSoftmax: 5, logSoftmaxGradient: 4,
  softmaxCrossEntropy: 5, softmaxCrossEntropyGradient: 2,
  softmaxCrossEntropyWithDistributions: 7, softmaxCrossEntropyWithDistributionsGradient: 3,
  // Each element: sum, difference, square, sum; difference, product, product, sum; the gradient all of its sums and itself.
  statistics: 4, deviation: 4, deviationGradient: 3, normalize: 4, normalizeRows: 8, normalizeGradient: 9, normalizeRowsGradient: 9,
  rotary: 3, glu: 2, gluGradient: 4, swiglu: 3, swigluGradient: 5, geglu: 3, gegluGradient: 5, gegluTanh: 3, gegluTanhGradient: 5,
  reglu: 2, regluGradient: 3,
  meanSquaredError: 3, meanSquaredErrorGradient: 2, halfSquaredError: 3, halfSquaredErrorGradient: 2,
  meanAbsoluteError: 3, meanAbsoluteErrorGradient: 2, huber: 3, huberGradient: 2, hinge: 3, hingeGradient: 2,
  perceptronLoss: 3, perceptronLossGradient: 2, binaryCrossEntropy: 5, binaryCrossEntropyGradient: 3,
  binaryCrossEntropyWithLogits: 5, binaryCrossEntropyWithLogitsGradient: 3, scaleShift: 2,
  // A number for each element.
  add: 1, sub: 1, mul: 1, div: 1, divGradient: 2, maximum: 1, minimum: 1, heaviside: 1, neg: 1, square: 1, sqrt: 1, abs: 1,
  sign: 1, rsqrt: 1, reciprocal: 1, clip: 1, clipMask: 1, exp: 1, log: 1, expm1: 1, log1p: 1, sinh: 1, cosh: 1, asinh: 1, acosh: 1,
  atanh: 1, logit: 1, erf: 1, erfc: 1, sin: 1, cos: 1, tan: 1, asin: 1, acos: 1, atan: 1, atan2: 1, pow: 1, powTensors: 1,
  step: 1, relu: 1, reluGradient: 1, leakyRelu: 1, leakyReluGradient: 1, prelu: 1, hardTanh: 1, hardTanhGradient: 1, relu6: 1,
  relu6Gradient: 1, threshold: 1, thresholdGradient: 1, hardSigmoid: 1, hardSigmoidGradient: 1, hardSwish: 1, hardSwishGradient: 1,
  softsign: 1, softsignGradient: 1, tanhShrink: 1, tanhShrinkGradient: 1, softShrink: 1, softShrinkGradient: 1, hardShrink: 1,
  hardShrinkGradient: 1, selu: 1, seluGradient: 1, celu: 1, celuGradient: 1, elu: 1, eluGradient: 1, sigmoid: 1, sigmoidGradient: 1,
  tanh: 1, tanhGradient: 1, softplus: 1, softplusGradient: 1, logSigmoid: 1, logSigmoidGradient: 1, silu: 1, siluGradient: 1,
  mish: 1, mishGradient: 1, gelu: 1, geluGradient: 1, geluTanh: 1, geluTanhGradient: 1,
  greater: 1, greaterEqual: 1, equal: 1, less: 1, lessEqual: 1, equalWords: 1, where: 1,
  floor: 1, ceil: 1, trunc: 1, round: 1, mod: 1, floorDiv: 1, dropout: 1, randomNormal: 1, randomUniform: 1, sinusoids: 1,
  sum: 1, max: 1, min: 1, extremumGradient: 1, argmax: 1, product: 1, productGradient: 2,
  cumulativeSum: 1, cumulativeProduct: 1, cumulativeProductGradient: 2,
  correctClasses: 1, correctDistributions: 1, correctBinary: 1, resize: 1,
  embeddingGradient: ({ inputs }) => sizeAt(inputs, 0), scatterAdd: ({ inputs }) => sizeAt(inputs, 0),
  scatterAddAlong: ({ inputs }) => sizeAt(inputs, 0),
  // Moved, or only seen in another way.
  reshape: 0, broadcastTo: 0, transpose: 0, slice: 0, pad: 0, roll: 0, concatenate: 0, split: 0, identity: 0, stopGradient: 0,
  copyOf: 0, cast: 0, gather: 0, gatherAlong: 0, gatherBytes: 0, gatherRows: 0, embedding: 0, oneHot: 0, flattenIndices: 0,
  appendRows: 0, scatterUpdate: 0, scatterUpdateAlong: 0, diagonal: 0, diagonalMatrix: 0, lengths: 0, previousStates: 0,
  previousStatesGradient: 0, customGradient: 0,
} satisfies { readonly [Name in OperationName]: Count<Name> };

/** Floating-point operations of a node. */
export function flopsOf({
  operation,
  attributes,
  inputs,
  outputs,
}: Pick<Node, "operation" | "attributes" | "inputs" | "outputs">): number {
  const count = COUNTS[operation.name as OperationName] as number | ((node: Counted<unknown>) => number) | undefined;
  if (typeof count === "function") return count({ attributes, inputs, outputs });
  return (count ?? 0) * Math.max(0, ...[...inputs, ...outputs].map(({ shape }: { shape: Shape }) => sizeOf(shape)));
}

/** What a step over the parameters does for each of them: bytes read and written, and operations without decay. */
interface EachParameter {
  readonly bytes: number;
  readonly flops: number;
}

// biome-ignore format: a line a family
const PARAMETER_KERNELS: Readonly<Partial<Record<keyof Recorder, EachParameter>>> = {
  sgd: { bytes: 12, flops: 2 },
  sgdMomentum: { bytes: 20, flops: 4 }, sgdNesterov: { bytes: 20, flops: 6 },
  adam: { bytes: 28, flops: 12 }, amsgrad: { bytes: 36, flops: 13 }, nadam: { bytes: 28, flops: 14 },
  radam: { bytes: 28, flops: 12 }, adamax: { bytes: 28, flops: 10 },
  adagrad: { bytes: 20, flops: 7 }, adadelta: { bytes: 28, flops: 14 },
  rmsprop: { bytes: 20, flops: 9 }, rmspropMomentum: { bytes: 28, flops: 10 },
  rmspropCentered: { bytes: 28, flops: 14 }, rmspropCenteredMomentum: { bytes: 36, flops: 15 },
  lion: { bytes: 20, flops: 8 },
};

/** Of an optimizer's instruction over vectors of four parameters; `undefined` if it is none. */
export function parameterWork(kernel: string, units: number): EachParameter | undefined {
  const each = PARAMETER_KERNELS[kernel as keyof Recorder];
  return each === undefined ? undefined : { bytes: each.bytes * 4 * units, flops: each.flops * 4 * units };
}
