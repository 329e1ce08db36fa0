// A model with each layer that the package exports. The compiler holds the table complete.
import * as steepest from "../../src/platform/node.js";

const { dense, embedding, flatten, functional, relu, sequential } = steepest;

type Exports = typeof steepest;
type IsLayer<T> = T extends { readonly kind: string; build(...given: never): unknown } ? true : false;

/** What is no layer of its own: models, and what takes a layer or makes a function that makes one. */
type Other = "functional" | "sequential" | "recompute" | "defineLayer";

/** Names of all functions of the package that give a layer. */
export type LayerName = Exclude<
  {
    [K in keyof Exports]: Exports[K] extends (...args: never) => infer R
      ? IsLayer<R> extends true
        ? K
        : never
      : never;
  }[keyof Exports],
  Other
>;

const of = (input: readonly number[], ...layers: readonly unknown[]) => sequential({ input }, ...(layers as never));
const words = (...layers: readonly unknown[]) => sequential({ input: [4], dtype: "uint32" }, ...(layers as never));
/** Between dense layers, so that what is before it is trained. */
const between = (layer: unknown) => of([6], dense(4), layer, dense(3));
const image = (layer: unknown) => of([6, 6, 2], layer, flatten(), dense(2));
const sequence = (layer: unknown) => of([6, 4], layer, flatten(), dense(2));
const volume = (layer: unknown) => of([4, 4, 4, 2], layer, flatten(), dense(2));
const first = {
  weightInitializer: steepest.normal({ standardDeviation: 0.3 }),
  weightRegularizer: steepest.l1l2({ l1: 1e-3 }),
};

export const layerSamples = {
  adaptiveAveragePool1d: () => sequence(steepest.adaptiveAveragePool1d(3)),
  adaptiveAveragePool2d: () => image(steepest.adaptiveAveragePool2d([3, 2])),
  adaptiveMaxPool1d: () => sequence(steepest.adaptiveMaxPool1d(3)),
  adaptiveMaxPool2d: () => image(steepest.adaptiveMaxPool2d(2)),
  alphaDropout: () => between(steepest.alphaDropout(0.3)),
  averagePool1d: () => sequence(steepest.averagePool1d(2, { stride: 2, name: "pool" })),
  averagePool2d: () => image(steepest.averagePool2d([2, 3], { padding: "same" })),
  averagePool3d: () => volume(steepest.averagePool3d(2)),
  batchNorm: () => [
    between(steepest.batchNorm()),
    image(steepest.batchNorm({ epsilon: 0.01, momentum: 0.9, name: "norm" })),
  ],
  bilinear: () => functional({ input: { a: [3], b: [4] } }, (x, { apply }) => apply(x, steepest.bilinear(2))),
  celu: () => between(steepest.celu({ alpha: 0.5 })),
  colorJitter: () => of([4, 4, 3], steepest.colorJitter({ brightness: 0.2 }), flatten(), dense(2)),
  conv1d: () =>
    sequence(steepest.conv1d(3, 2, { padding: "causal", weightConstraint: steepest.maxNorm(2, { axis: 0 }) })),
  conv2d: () => [
    image(steepest.conv2d(3, 3, { stride: 2, bias: false })),
    image(steepest.conv2d(4, [2, 3], { groups: 2, padding: "same" })),
  ],
  conv3d: () => volume(steepest.conv3d(2, 2)),
  convLstm2d: () => of([2, 4, 4, 1], steepest.convLstm2d(2, 3, { padding: "same" }), flatten(), dense(2)),
  convTranspose1d: () => sequence(steepest.convTranspose1d(2, 3, { stride: 2 })),
  convTranspose2d: () => image(steepest.convTranspose2d(2, 3, { stride: 2 })),
  convTranspose3d: () => volume(steepest.convTranspose3d(1, 2, { stride: 2 })),
  cosineSimilarity: () =>
    functional({ input: { a: [3], b: [3] } }, ({ a, b }, { apply }) =>
      apply({ a: apply(a, dense(3)), b }, steepest.cosineSimilarity({ epsilon: 1e-6 })),
    ),
  crop1d: () => sequence(steepest.crop1d([1, 2])),
  crop2d: () => image(steepest.crop2d(1)),
  dense: () => [
    of([5], dense(4, { name: "hidden", ...first }), relu(), dense(3, { bias: false })),
    of([2, 5], dense(4, { biasInitializer: steepest.constantValue(-0.5), weightConstraint: steepest.nonNegative() })),
  ],
  depthwiseConv1d: () => sequence(steepest.depthwiseConv1d(2, { multiplier: 2 })),
  depthwiseConv2d: () => image(steepest.depthwiseConv2d(3)),
  dropout: () => between(steepest.dropout(0.4)),
  elu: () => between(steepest.elu({ alpha: 0.7 })),
  embedding: () => words(embedding(7, 3, { paddingIndex: 0 }), flatten(), dense(2)),
  flatten: () => of([2, 3], dense(2), flatten(), dense(2)),
  gaussianDropout: () => between(steepest.gaussianDropout(0.3)),
  gaussianNoise: () => between(steepest.gaussianNoise(0.1)),
  geglu: () => between(steepest.geglu({ approximate: "tanh" })),
  gelu: () => between(steepest.gelu({ approximate: "tanh" })),
  globalAveragePool: () => of([6, 6, 2], steepest.globalAveragePool({ keepDims: true }), flatten(), dense(2)),
  globalMaxPool: () => of([6, 2], steepest.globalMaxPool(), dense(2)),
  glu: () => between(steepest.glu()),
  groupNorm: () => between(steepest.groupNorm(2, { affine: false })),
  gru: () => [
    of([5, 3], steepest.gru(4, { reset: "before" })),
    of([5, 3], steepest.gru(3, { returnSequences: true, bidirectional: "concatenate" })),
  ],
  hardShrink: () => between(steepest.hardShrink({ lambda: 0.1 })),
  hardSigmoid: () => between(steepest.hardSigmoid()),
  hardSwish: () => between(steepest.hardSwish()),
  hardTanh: () => between(steepest.hardTanh({ min: -0.5, max: 0.25 })),
  identity: () => between(steepest.identity()),
  instanceNorm: () => image(steepest.instanceNorm({ affine: true })),
  l2Normalize: () => between(steepest.l2Normalize()),
  layerNorm: () => between(steepest.layerNorm({ epsilon: 1e-3 })),
  leakyRelu: () => between(steepest.leakyRelu({ negativeSlope: 0.2 })),
  learnedPositions: () => sequence(steepest.learnedPositions(6)),
  localResponseNorm: () => image(steepest.localResponseNorm(3)),
  logSigmoid: () => between(steepest.logSigmoid()),
  logSoftmax: () => between(steepest.logSoftmax()),
  lpPool1d: () => sequence(steepest.lpPool1d(2, 2)),
  lpPool2d: () => image(steepest.lpPool2d(2, 2)),
  lstm: () => [
    of([5, 3], steepest.lstm(4, { layers: 2, dropout: 0.2 })),
    of([5, 3], steepest.lstm(4, { peepholes: true, stateful: true })),
    functional({ input: { x: [5, 3], lengths: [] }, dtype: { lengths: "uint32" } }, (x, { apply }) => {
      const { output, cell } = apply(x, steepest.lstm(4, { returnState: true }));
      return { output: apply(output, dense(2)), cell };
    }),
  ],
  maxPool1d: () => sequence(steepest.maxPool1d(2)),
  maxPool2d: () => image(steepest.maxPool2d(2, { stride: 1 })),
  maxPool3d: () => volume(steepest.maxPool3d(2)),
  maxPoolWithIndices: () =>
    functional({ input: [6, 6, 2] }, (x, { apply }) =>
      apply(apply(x, steepest.maxPoolWithIndices(2)).values, flatten(), dense(2)),
    ),
  maxUnpool: () =>
    functional({ input: [6, 6, 2] }, (x, { apply }) => {
      const { values, indices } = apply(x, steepest.maxPoolWithIndices(2));
      return apply(apply({ values, indices }, steepest.maxUnpool(2)), flatten(), dense(2));
    }),
  mish: () => between(steepest.mish()),
  multiHeadAttention: () => [
    of([5, 4], steepest.multiHeadAttention(2, { causal: true })),
    functional({ input: { x: [5, 4], memory: [3, 4] } }, (x, { apply }) => apply(x, steepest.multiHeadAttention(2))),
  ],
  oneHot: () => words(steepest.oneHot(5), flatten(), dense(2)),
  pad: () =>
    image(
      steepest.pad(
        [
          [1, 0],
          [0, 2],
          [0, 0],
        ],
        { mode: "reflect" },
      ),
    ),
  pairwiseDistance: () =>
    functional({ input: { a: [3], b: [3] } }, ({ a, b }, { apply }) =>
      apply({ a: apply(a, dense(3)), b }, steepest.pairwiseDistance({ p: 1, keepDims: true })),
    ),
  permute: () => of([2, 3], steepest.permute([2, 1]), flatten(), dense(2)),
  pixelShuffle: () => of([3, 3, 4], steepest.pixelShuffle(2), flatten(), dense(2)),
  pixelUnshuffle: () => image(steepest.pixelUnshuffle(2)),
  prelu: () => between(steepest.prelu({ perChannel: true })),
  randomAffine: () => image(steepest.randomAffine({ rotation: 10, zoom: [0.9, 1.1] })),
  randomCrop: () => image(steepest.randomCrop({ size: [4, 4] })),
  randomErasing: () => image(steepest.randomErasing()),
  randomFlip: () => image(steepest.randomFlip({ direction: "vertical" })),
  randomRotation: () => image(steepest.randomRotation(15)),
  randomTranslation: () => image(steepest.randomTranslation([0.1, 0.2])),
  randomZoom: () => image(steepest.randomZoom(0.8, 1.2)),
  reglu: () => between(steepest.reglu()),
  relu: () => between(relu()),
  relu6: () => between(steepest.relu6()),
  repeatVector: () => of([3], steepest.repeatVector(2), dense(2)),
  reshape: () => of([6], steepest.reshape([-1, 2]), dense(2)),
  residual: () => [
    of([4], steepest.residual({ name: "block" }, dense(4), relu()), dense(2)),
    of([4], steepest.residual(dense(4))),
  ],
  resize: () => image(steepest.resize({ size: [4, 5], mode: "cubic" })),
  rmsNorm: () => between(steepest.rmsNorm()),
  selu: () => between(steepest.selu()),
  separableConv1d: () => sequence(steepest.separableConv1d(3, 2)),
  separableConv2d: () => image(steepest.separableConv2d(3, 2)),
  sigmoid: () => between(steepest.sigmoid()),
  silu: () => between(steepest.silu()),
  simpleRnn: () => of([5, 3], steepest.simpleRnn(4, { activation: "relu" })),
  sinusoidalPositions: () => sequence(steepest.sinusoidalPositions({ base: 100 })),
  softmax: () => between(steepest.softmax({ axis: 1 })),
  softmin: () => between(steepest.softmin()),
  softplus: () => between(steepest.softplus({ beta: 2, threshold: 1 })),
  softShrink: () => between(steepest.softShrink()),
  softsign: () => between(steepest.softsign()),
  spatialDropout1d: () => sequence(steepest.spatialDropout1d(0.3)),
  spatialDropout2d: () => image(steepest.spatialDropout2d(0.3)),
  step: () => between(steepest.step()),
  swiglu: () => between(steepest.swiglu()),
  tanh: () => between(steepest.tanh()),
  tanhShrink: () => between(steepest.tanhShrink()),
  threshold: () => between(steepest.threshold({ threshold: 0.1, value: -1 })),
  tiedDense: () => {
    const table = embedding(7, 3);
    return words(table, dense(3), steepest.tiedDense(table));
  },
  transformerDecoder: () =>
    functional({ input: { x: [3, 4], memory: [5, 4] } }, (x, { apply }) =>
      apply(x, steepest.transformerDecoder(2, { dropout: 0.1 })),
    ),
  transformerEncoder: () => of([5, 4], steepest.transformerEncoder(2, { norm: "pre", activation: "gelu" })),
  upsample1d: () => sequence(steepest.upsample1d({ scale: 2, mode: "linear" })),
  upsample2d: () => image(steepest.upsample2d({ size: [8, 7] })),
  zeroPad1d: () => sequence(steepest.zeroPad1d(1)),
  zeroPad2d: () =>
    image(
      steepest.zeroPad2d([
        [1, 0],
        [2, 1],
      ]),
    ),
} satisfies Readonly<Record<LayerName, () => unknown>>;
