// Every layer in one typical size: what the family `layers` measures.
import type { DType, Shape, Tensor } from "../../src/graph/tensor.js";
import * as steepest from "../../src/index.js";
import { square } from "../../src/ops/index.js";

/** A layer, and what it is applied to. */
export interface LayerCase {
  readonly layer: steepest.Layer;
  readonly batch: number;
  /** Shape of one sample. */
  readonly sample: Shape;
  readonly dtype?: DType;
  /** Of the parameters' values, where larger ones would bend the result too much for a slope to be seen. Default 1. */
  readonly limit?: number;
  /** Whether it bends too much for a slope to be seen by changes that float32 shows: its gradients are held by tests alone. */
  readonly bends?: boolean;
  /** Whether it draws random numbers, so that others' results can only be alike in the mean of their squares. */
  readonly random?: boolean;
  /** Whether no other library here has it. */
  readonly alone?: boolean;
  /** Whose pixels each weight is multiplied with once; absent for layers that move more than they multiply. */
  readonly weightsMeet?: "input" | "output";
}

/** The exported functions that give a layer of their own; a model is one too, but made of others. */
type LayerName = Exclude<GivesLayer, "recompute">;

type GivesLayer = {
  [Name in keyof typeof steepest]: (typeof steepest)[Name] extends (...options: never[]) => infer Made
    ? Made extends { readonly layers: unknown }
      ? never
      : Made extends { readonly kind: string; readonly build: (...built: never[]) => unknown }
        ? Name
        : never
    : never;
}[keyof typeof steepest];

const image = (layer: steepest.Layer, rest: Partial<LayerCase> = {}): LayerCase => {
  return { layer, batch: 32, sample: [32, 32, 32], ...rest };
};
const sequence = (layer: steepest.Layer, rest: Partial<LayerCase> = {}): LayerCase => {
  return { layer, batch: 32, sample: [128, 64], ...rest };
};
const volume = (layer: steepest.Layer, rest: Partial<LayerCase> = {}): LayerCase => {
  return { layer, batch: 8, sample: [16, 16, 16, 8], ...rest };
};
const vector = (layer: steepest.Layer, rest: Partial<LayerCase> = {}): LayerCase => {
  return { layer, batch: 128, sample: [512], ...rest };
};
/** A layer of two tensors, given one and its squares. */
const twice = (layer: steepest.Layer<{ readonly a: Shape; readonly b: Shape }, number>): steepest.Layer =>
  steepest.defineLayer("twice", (x, { apply }) => apply({ a: x, b: square(x) }, layer))();
const words = steepest.embedding(256, 64);
/** A function that applies layers of several tensors, as a layer of one. */
const unpooled = (body: (x: Tensor, scope: steepest.Scope) => Tensor): steepest.Layer =>
  steepest.defineLayer("unpooled", body)();
const perOutput = { weightsMeet: "output" } as const;
const perInput = { weightsMeet: "input" } as const;

/** A layer that may be given more than x, as a model of it: that is applied to x. */
const recurrent = (layer: steepest.Layer<2, 2, { lengths: readonly [] }>): LayerCase => {
  return sequence(steepest.sequential({ input: [128, 64] }, layer), { ...perOutput, limit: 0.05, bends: true });
};

/** The compiler refuses it while a layer is missing. */
export const layerCases = {
  dense: vector(steepest.dense(512), perOutput),
  conv1d: sequence(steepest.conv1d(64, 3, { padding: 1 }), perOutput),
  conv2d: image(steepest.conv2d(32, 3, { padding: 1 }), perOutput),
  depthwiseConv1d: sequence(steepest.depthwiseConv1d(3, { padding: 1 }), perOutput),
  depthwiseConv2d: image(steepest.depthwiseConv2d(3, { padding: 1 }), perOutput),
  separableConv1d: sequence(steepest.separableConv1d(64, 3, { padding: 1 }), perOutput),
  separableConv2d: image(steepest.separableConv2d(32, 3, { padding: 1 }), perOutput),
  convTranspose1d: sequence(steepest.convTranspose1d(64, 2, { stride: 2 }), perInput),
  convTranspose2d: image(steepest.convTranspose2d(32, 2, { stride: 2 }), perInput),

  conv3d: volume(steepest.conv3d(8, 3, { padding: 1 }), perOutput),
  convTranspose3d: volume(steepest.convTranspose3d(8, 2, { stride: 2 }), perInput),

  convLstm2d: {
    layer: steepest.convLstm2d(8, 3, { padding: "same", returnSequences: true }),
    batch: 8,
    sample: [8, 16, 16, 8],
    limit: 0.1,
    bends: true,
  },
  simpleRnn: recurrent(steepest.simpleRnn(64, { returnSequences: true })),
  lstm: recurrent(steepest.lstm(64, { returnSequences: true })),
  gru: recurrent(steepest.gru(64, { returnSequences: true })),

  maxPool1d: sequence(steepest.maxPool1d(2)),
  maxPool3d: volume(steepest.maxPool3d(2)),
  averagePool3d: volume(steepest.averagePool3d(2)),
  lpPool1d: sequence(steepest.lpPool1d(3, 2)),
  lpPool2d: image(steepest.lpPool2d(2, 2)),
  pixelShuffle: image(steepest.pixelShuffle(2)),
  pixelUnshuffle: image(steepest.pixelUnshuffle(2)),
  pad: image(
    steepest.pad(
      [
        [2, 2],
        [2, 2],
      ],
      { mode: "reflect" },
    ),
  ),
  maxPool2d: image(steepest.maxPool2d(2)),
  maxPoolWithIndices: image(unpooled((x, { apply }) => apply(x, steepest.maxPoolWithIndices(2)).values)),
  maxUnpool: image(unpooled((x, { apply }) => apply(apply(x, steepest.maxPoolWithIndices(2)), steepest.maxUnpool(2)))),
  averagePool1d: sequence(steepest.averagePool1d(2)),
  averagePool2d: image(steepest.averagePool2d(2)),
  adaptiveMaxPool1d: sequence(steepest.adaptiveMaxPool1d(16)),
  adaptiveMaxPool2d: image(steepest.adaptiveMaxPool2d(8)),
  adaptiveAveragePool1d: sequence(steepest.adaptiveAveragePool1d(16)),
  adaptiveAveragePool2d: image(steepest.adaptiveAveragePool2d(8)),
  globalMaxPool: image(steepest.globalMaxPool()),
  globalAveragePool: image(steepest.globalAveragePool()),
  resize: image(steepest.resize({ size: 48, mode: "cubic" })),
  upsample1d: sequence(steepest.upsample1d({ scale: 2 })),
  upsample2d: image(steepest.upsample2d({ scale: 2, mode: "bilinear" })),

  batchNorm: image(steepest.batchNorm()),
  groupNorm: image(steepest.groupNorm(8)),
  instanceNorm: image(steepest.instanceNorm({ affine: true })),
  layerNorm: sequence(steepest.layerNorm()),
  rmsNorm: sequence(steepest.rmsNorm()),
  l2Normalize: sequence(steepest.l2Normalize()),
  localResponseNorm: image(steepest.localResponseNorm(5)),

  bilinear: vector(twice(steepest.bilinear(64)), { sample: [64], ...perOutput }),
  cosineSimilarity: sequence(twice(steepest.cosineSimilarity())),
  pairwiseDistance: sequence(twice(steepest.pairwiseDistance())),

  celu: vector(steepest.celu()),
  elu: vector(steepest.elu()),
  gelu: vector(steepest.gelu()),
  hardShrink: vector(steepest.hardShrink()),
  hardSigmoid: vector(steepest.hardSigmoid()),
  hardSwish: vector(steepest.hardSwish()),
  hardTanh: vector(steepest.hardTanh()),
  identity: vector(steepest.identity()),
  leakyRelu: vector(steepest.leakyRelu()),
  logSigmoid: vector(steepest.logSigmoid()),
  logSoftmax: vector(steepest.logSoftmax()),
  mish: vector(steepest.mish()),
  prelu: vector(steepest.prelu({ perChannel: true })),
  relu: vector(steepest.relu()),
  relu6: vector(steepest.relu6()),
  selu: vector(steepest.selu()),
  sigmoid: vector(steepest.sigmoid()),
  silu: vector(steepest.silu()),
  softmax: vector(steepest.softmax()),
  softmin: vector(steepest.softmin()),
  softplus: vector(steepest.softplus()),
  softShrink: vector(steepest.softShrink()),
  softsign: vector(steepest.softsign()),
  step: vector(steepest.step()),
  tanh: vector(steepest.tanh()),
  tanhShrink: vector(steepest.tanhShrink()),
  threshold: vector(steepest.threshold({ threshold: 0.5 })),
  geglu: vector(steepest.geglu()),
  glu: vector(steepest.glu()),
  reglu: vector(steepest.reglu()),
  swiglu: vector(steepest.swiglu()),

  alphaDropout: vector(steepest.alphaDropout(0.5), { random: true }),
  dropout: vector(steepest.dropout(0.5), { random: true }),
  gaussianDropout: vector(steepest.gaussianDropout(0.5), { random: true }),
  randomFlip: image(steepest.randomFlip(), { random: true, alone: true }),
  randomAffine: image(steepest.randomAffine({ rotation: 10, translation: 0.1, zoom: [0.9, 1.1] }), {
    random: true,
    alone: true,
  }),
  randomRotation: image(steepest.randomRotation(10), { random: true, alone: true }),
  randomTranslation: image(steepest.randomTranslation(0.1), { random: true, alone: true }),
  randomZoom: image(steepest.randomZoom(0.9, 1.1), { random: true, alone: true }),
  randomCrop: image(steepest.randomCrop({ padding: 2 }), { random: true, alone: true }),
  randomErasing: image(steepest.randomErasing(), { random: true, alone: true }),
  colorJitter: image(steepest.colorJitter({ brightness: 0.2, contrast: 0.2 }), { random: true, alone: true }),
  gaussianNoise: vector(steepest.gaussianNoise(0.5), { random: true }),
  spatialDropout1d: sequence(steepest.spatialDropout1d(0.5), { random: true }),
  spatialDropout2d: image(steepest.spatialDropout2d(0.5), { random: true }),

  flatten: image(steepest.flatten()),
  reshape: vector(steepest.reshape([16, 32])),
  permute: image(steepest.permute([3, 1, 2])),
  repeatVector: vector(steepest.repeatVector(16)),
  crop1d: sequence(steepest.crop1d(8)),
  crop2d: image(steepest.crop2d(2)),
  zeroPad1d: sequence(steepest.zeroPad1d(8)),
  zeroPad2d: image(steepest.zeroPad2d(2)),
  oneHot: sequence(steepest.oneHot(64), { sample: [128], dtype: "uint32" }),
  embedding: sequence(steepest.embedding(1000, 64), { sample: [128], dtype: "uint32" }),
  learnedPositions: sequence(steepest.learnedPositions(128)),
  sinusoidalPositions: sequence(steepest.sinusoidalPositions()),
  multiHeadAttention: sequence(
    unpooled((x, { apply }) => apply(x, steepest.multiHeadAttention(4, { causal: true }))),
    { limit: 0.05, bends: true },
  ),
  transformerEncoder: sequence(
    unpooled((x, { apply }) => apply(x, steepest.transformerEncoder(4, { causal: true }))),
    { limit: 0.05, bends: true },
  ),
  transformerDecoder: sequence(
    unpooled((x, { apply }) => apply({ x, memory: x }, steepest.transformerDecoder(4))),
    { limit: 0.05, bends: true },
  ),
  tiedDense: sequence(steepest.sequential({ input: [128], dtype: "uint32" }, words, steepest.tiedDense(words)), {
    sample: [128],
    dtype: "uint32",
  }),
  residual: vector(steepest.residual(steepest.relu())),
} satisfies Record<LayerName, LayerCase>;
