// The functions that make layers, initializers, regularizers and constraints, by name: what a saved model is made of again.
import { showNames, showValue } from "../engine/errors.js";
import {
  celu,
  elu,
  gelu,
  hardShrink,
  hardSigmoid,
  hardSwish,
  hardTanh,
  identity,
  leakyRelu,
  logSigmoid,
  logSoftmax,
  mish,
  prelu,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  softmin,
  softplus,
  softShrink,
  softsign,
  step,
  tanh,
  tanhShrink,
  threshold,
} from "../nn/activations.js";
import { multiHeadAttention } from "../nn/attention.js";
import {
  colorJitter,
  randomAffine,
  randomCrop,
  randomErasing,
  randomFlip,
  randomRotation,
  randomTranslation,
  randomZoom,
} from "../nn/augment.js";
import { maxNorm, minMaxNorm, nonNegative, unitNorm } from "../nn/constraints.js";
import {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  depthwiseConv1d,
  depthwiseConv2d,
  separableConv1d,
  separableConv2d,
} from "../nn/conv.js";
import { convLstm2d } from "../nn/convLstm2d.js";
import { dense } from "../nn/dense.js";
import { alphaDropout, dropout, spatialDropout1d, spatialDropout2d } from "../nn/dropout.js";
import { embedding, tiedDense } from "../nn/embedding.js";
import { flatten } from "../nn/flatten.js";
import { geglu, glu, reglu, swiglu } from "../nn/glu.js";
import { gru } from "../nn/gru.js";
import {
  constantValue,
  glorotNormal,
  glorotUniform,
  heNormal,
  heUniform,
  lecunNormal,
  lecunUniform,
  normal,
  ones,
  orthogonal,
  uniform,
  zeros,
} from "../nn/initializers.js";
import type { AnyLayer } from "../nn/layer.js";
import { lstm } from "../nn/lstm.js";
import { residual } from "../nn/merge.js";
import { gaussianDropout, gaussianNoise } from "../nn/noise.js";
import { batchNorm, groupNorm, instanceNorm, l2Normalize, layerNorm, localResponseNorm, rmsNorm } from "../nn/norm.js";
import { bilinear, cosineSimilarity, pairwiseDistance } from "../nn/pairs.js";
import { pixelShuffle, pixelUnshuffle } from "../nn/pixels.js";
import {
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  averagePool1d,
  averagePool2d,
  globalAveragePool,
  globalMaxPool,
  lpPool1d,
  lpPool2d,
  maxPool1d,
  maxPool2d,
} from "../nn/pool.js";
import { averagePool3d, maxPool3d } from "../nn/pool3d.js";
import { learnedPositions, sinusoidalPositions } from "../nn/positions.js";
import { l1, l1l2, l2 } from "../nn/regularizers.js";
import { crop1d, crop2d, oneHot, pad, permute, repeatVector, reshape, zeroPad1d, zeroPad2d } from "../nn/shape.js";
import { simpleRnn } from "../nn/simpleRnn.js";
import { transformerDecoder, transformerEncoder } from "../nn/transformer.js";
import { maxPoolWithIndices, maxUnpool } from "../nn/unpool.js";
import { resize, upsample1d, upsample2d } from "../nn/upsample.js";
import { FormatError } from "./formatError.js";

type Make = (...args: never) => unknown;

// Each is named: if a module's namespace were used as a value, every bundle would contain all of the module.
const ACTIVATIONS = /* @__PURE__ */ (() => ({
  step,
  identity,
  sigmoid,
  tanh,
  relu,
  softplus,
  silu,
  leakyRelu,
  elu,
  gelu,
  softmax,
  softmin,
  logSoftmax,
  selu,
  logSigmoid,
  mish,
  hardSigmoid,
  hardSwish,
  relu6,
  softsign,
  tanhShrink,
  celu,
  hardTanh,
  threshold,
  softShrink,
  hardShrink,
  prelu,
  glu,
  swiglu,
  reglu,
  geglu,
}))();

const OF_IMAGES = /* @__PURE__ */ (() => ({
  conv1d,
  conv2d,
  conv3d,
  depthwiseConv1d,
  depthwiseConv2d,
  separableConv1d,
  separableConv2d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  maxPool2d,
  maxPool1d,
  averagePool2d,
  averagePool1d,
  lpPool2d,
  lpPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool1d,
  adaptiveAveragePool2d,
  adaptiveAveragePool1d,
  globalMaxPool,
  globalAveragePool,
  randomFlip,
  randomAffine,
  randomRotation,
  randomTranslation,
  randomZoom,
  randomCrop,
  randomErasing,
  colorJitter,
}))();

const OF_ROWS = /* @__PURE__ */ (() => ({
  dropout,
  spatialDropout1d,
  spatialDropout2d,
  alphaDropout,
  batchNorm,
  groupNorm,
  instanceNorm,
  layerNorm,
  rmsNorm,
  l2Normalize,
  localResponseNorm,
  reshape,
  permute,
  repeatVector,
  zeroPad1d,
  zeroPad2d,
  pad,
  crop1d,
  crop2d,
  oneHot,
}))();

const OTHERS = /* @__PURE__ */ (() => ({
  averagePool3d,
  bilinear,
  convLstm2d,
  cosineSimilarity,
  dense,
  embedding,
  flatten,
  gaussianDropout,
  gaussianNoise,
  gru,
  learnedPositions,
  lstm,
  maxPool3d,
  maxPoolWithIndices,
  maxUnpool,
  multiHeadAttention,
  pairwiseDistance,
  pixelShuffle,
  pixelUnshuffle,
  residual,
  resize,
  simpleRnn,
  sinusoidalPositions,
  tiedDense,
  transformerDecoder,
  transformerEncoder,
  upsample1d,
  upsample2d,
}))();

/** By the `kind` of what they make. test/io/models.test.ts has a sample of each layer that the package exports. */
const LAYERS = /* @__PURE__ */ (() =>
  ({ ...ACTIVATIONS, ...OF_IMAGES, ...OF_ROWS, ...OTHERS }) as Readonly<Record<string, Make>>)();

const PARTS = /* @__PURE__ */ (() =>
  ({
    ...{ maxNorm, unitNorm, minMaxNorm, nonNegative },
    ...{
      zeros,
      ones,
      constantValue,
      uniform,
      normal,
      glorotUniform,
      glorotNormal,
      heUniform,
      heNormal,
      lecunUniform,
      lecunNormal,
      orthogonal,
    },
    ...{ l1, l2, l1l2 },
  }) as Readonly<Record<string, Make>>)();

/** Makes a layer of this library, or a custom one. */
export function makeLayer(where: string, kind: string, args: readonly unknown[]): AnyLayer {
  const make = entry(LAYERS, kind);
  if (make !== undefined) return make(...(args as never)) as AnyLayer;
  throw new FormatError(
    `${where}: a layer must be of this library or a custom one, got ${showValue(kind)}: it was saved by a later version, or the file is damaged`,
  );
}

export function isLayerKind(kind: string): boolean {
  return entry(LAYERS, kind) !== undefined;
}

export function isPart(name: string): boolean {
  return entry(PARTS, name) !== undefined;
}

/** Makes an initializer, regularizer or constraint. */
export function makePart(where: string, name: string, args: readonly unknown[]): unknown {
  const make = entry(PARTS, name);
  if (make !== undefined) return make(...(args as never));
  throw new FormatError(
    `${where}: must be one of ${showNames(Object.keys(PARTS))}, got ${showValue(name)}: it was saved by a later version, or the file is damaged`,
  );
}

function entry(table: Readonly<Record<string, Make>>, name: string): Make | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
