// A model for each layer, as an ONNX file must hold them: the compiler demands all layers.

import type * as steepest from "../../src/index.js";
import {
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  alphaDropout,
  averagePool1d,
  averagePool2d,
  averagePool3d,
  batchNorm,
  bilinear,
  celu,
  colorJitter,
  conv1d,
  conv2d,
  conv3d,
  convLstm2d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  cosineSimilarity,
  crop1d,
  crop2d,
  defineLayer,
  dense,
  depthwiseConv1d,
  depthwiseConv2d,
  dropout,
  elu,
  embedding,
  flatten,
  functional,
  gaussianDropout,
  gaussianNoise,
  geglu,
  gelu,
  globalAveragePool,
  globalMaxPool,
  glu,
  groupNorm,
  gru,
  hardShrink,
  hardSigmoid,
  hardSwish,
  hardTanh,
  identity,
  instanceNorm,
  l2Normalize,
  layerNorm,
  leakyRelu,
  learnedPositions,
  localResponseNorm,
  logSigmoid,
  logSoftmax,
  lpPool1d,
  lpPool2d,
  lstm,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  maxPoolWithIndices,
  maxUnpool,
  mish,
  multiHeadAttention,
  oneHot,
  pad,
  pairwiseDistance,
  permute,
  pixelShuffle,
  pixelUnshuffle,
  prelu,
  randomAffine,
  randomCrop,
  randomErasing,
  randomFlip,
  randomRotation,
  randomTranslation,
  randomZoom,
  recompute,
  reglu,
  relu,
  relu6,
  repeatVector,
  reshape,
  residual,
  resize,
  rmsNorm,
  selu,
  separableConv1d,
  separableConv2d,
  sequential,
  sigmoid,
  silu,
  simpleRnn,
  sinusoidalPositions,
  softmax,
  softmin,
  softplus,
  softShrink,
  softsign,
  spatialDropout1d,
  spatialDropout2d,
  step,
  swiglu,
  tanh,
  tanhShrink,
  threshold,
  tiedDense,
  transformerDecoder,
  transformerEncoder,
  upsample1d,
  upsample2d,
  zeroPad1d,
  zeroPad2d,
} from "../../src/index.js";
import type { Layer } from "../../src/nn/layer.js";
import type { AnyModel } from "../../src/nn/model.js";

type Steepest = typeof steepest;

/** What gives a layer. A model is one too, and the function that makes them is none. */
type LayerName = Exclude<
  {
    [Name in keyof Steepest]: Steepest[Name] extends (...given: never[]) => infer Result
      ? Result extends { readonly kind: string; build(...given: never[]): unknown }
        ? Name
        : never
      : never;
  }[keyof Steepest],
  "sequential" | "functional"
>;

type Case = readonly [input: readonly number[], ...layers: Layer[]];
const model = ([input, ...layers]: Case): AnyModel =>
  sequential({ input }, ...(layers as never)) as unknown as AnyModel;
const several = (...args: Parameters<typeof functional>): AnyModel => functional(...args) as unknown as AnyModel;
const words = (input: readonly number[], ...layers: Layer[]): AnyModel =>
  sequential({ input, dtype: "uint32" }, ...(layers as never)) as unknown as AnyModel;
const sequence = [5, 4];
const image = [6, 5, 4];
const volume = [4, 3, 5, 2];
const each = (...cases: readonly Case[]): AnyModel[] => cases.map(model);
const of = (layer: Layer): AnyModel[] => each([[7], layer], [image, conv2d(3, 2), layer]);

const pair = (layer: Layer<never, never, never>) =>
  several({ input: { a: [5], b: [5] } }, (x, scope) => scope.apply(x as never, layer as never) as never);

export const LAYERS = {
  dense: () =>
    each(
      [[7], dense(5)],
      [sequence, dense(3)],
      [image, flatten(), dense(3, { bias: false })],
      [[3], dense(2, { bias: false })],
    ),
  flatten: () => each([image, conv2d(3, 2), flatten(), dense(2)]),
  relu: () => of(relu()),
  relu6: () => of(relu6()),
  leakyRelu: () => of(leakyRelu({ negativeSlope: 0.2 })),
  prelu: () => [...of(prelu()), ...each([image, conv2d(3, 2), prelu({ perChannel: true })])],
  elu: () => of(elu({ alpha: 0.7 })),
  celu: () => of(celu({ alpha: 0.7 })),
  selu: () => of(selu()),
  gelu: () => [...of(gelu()), ...of(gelu({ approximate: "tanh" }))],
  silu: () => of(silu()),
  mish: () => of(mish()),
  sigmoid: () => of(sigmoid()),
  tanh: () => of(tanh()),
  tanhShrink: () => of(tanhShrink()),
  softplus: () => [...of(softplus()), ...of(softplus({ beta: 2, threshold: 1 }))],
  softsign: () => of(softsign()),
  softmax: () => each([[7], softmax()], [image, conv2d(3, 2), softmax()], [image, softmax({ axis: 1 })]),
  softmin: () => of(softmin()),
  logSoftmax: () => of(logSoftmax()),
  logSigmoid: () => of(logSigmoid()),
  hardSigmoid: () => of(hardSigmoid()),
  hardSwish: () => of(hardSwish()),
  hardTanh: () => of(hardTanh({ min: -0.5, max: 0.25 })),
  hardShrink: () => of(hardShrink({ lambda: 0.3 })),
  softShrink: () => of(softShrink({ lambda: 0.3 })),
  threshold: () => of(threshold({ threshold: 0.1, value: -2 })),
  step: () => of(step()),
  identity: () => of(identity()),
  glu: () => each([[8], glu()], [[5, 4], glu()]),
  geglu: () => each([[8], geglu()], [[8], geglu({ approximate: "tanh" })]),
  swiglu: () => each([[8], swiglu()]),
  reglu: () => each([[8], reglu()]),
  conv1d: () =>
    each(
      [sequence, conv1d(3, 2)],
      [[9, 4], conv1d(6, 3, { padding: "causal", dilation: 2, groups: 2 })],
      [[9, 2], conv1d(3, 3, { stride: 2, padding: "same" })],
    ),
  conv2d: () =>
    each(
      [image, conv2d(3, 3, { padding: "same" })],
      [
        image,
        conv2d(6, [2, 3], {
          stride: [2, 1],
          padding: [
            [1, 0],
            [0, 2],
          ],
          groups: 2,
          bias: false,
        }),
        relu(),
        conv2d(2, 1),
      ],
      [[9, 9, 2], conv2d(4, 3, { dilation: 2, stride: 2 })],
    ),
  conv3d: () => each([volume, conv3d(3, 2)], [volume, conv3d(2, [3, 1, 2], { padding: "same" })]),
  convTranspose1d: () => each([sequence, convTranspose1d(3, 3, { stride: 2 })]),
  convTranspose2d: () =>
    each(
      [image, convTranspose2d(3, 3, { stride: 2, padding: "same" })],
      [image, convTranspose2d(6, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2 })],
    ),
  convTranspose3d: () => each([volume, convTranspose3d(3, 2, { stride: 2 })]),
  depthwiseConv1d: () => each([sequence, depthwiseConv1d(3)]),
  depthwiseConv2d: () => each([image, depthwiseConv2d(3)], [image, depthwiseConv2d(2, { multiplier: 2 })]),
  separableConv1d: () => each([sequence, separableConv1d(3, 2)]),
  separableConv2d: () => each([image, separableConv2d(3, 2)]),
  maxPool1d: () => each([sequence, maxPool1d(2)]),
  maxPool2d: () =>
    each(
      [image, maxPool2d(2)],
      [image, conv2d(3, 2), maxPool2d(3, { stride: 2, padding: 1, ceilMode: true })],
      [image, maxPool2d(2, { padding: "same" })],
    ),
  maxPool3d: () => each([volume, maxPool3d(2)]),
  averagePool1d: () => each([sequence, averagePool1d(2)]),
  averagePool2d: () =>
    each(
      [image, averagePool2d(2)],
      [image, averagePool2d(3, { stride: 2, padding: 1 })],
      [image, averagePool2d(3, { stride: 2, padding: 1, countIncludePad: false })],
      [image, averagePool2d(3, { stride: 2, padding: 1, ceilMode: true })],
      [image, averagePool2d(3, { stride: 2, padding: 1, ceilMode: true, divisor: 5 })],
      [image, averagePool2d(2, { padding: "same" })],
    ),
  averagePool3d: () => each([volume, averagePool3d(2)]),
  adaptiveAveragePool1d: () => each([sequence, adaptiveAveragePool1d(3)]),
  adaptiveAveragePool2d: () =>
    each(
      [image, adaptiveAveragePool2d([4, 3])],
      [image, adaptiveAveragePool2d([3, 5])],
      [image, adaptiveAveragePool2d(7)],
    ),
  adaptiveMaxPool1d: () => each([sequence, adaptiveMaxPool1d(2)]),
  adaptiveMaxPool2d: () => each([image, adaptiveMaxPool2d([4, 3])], [image, adaptiveMaxPool2d(1)]),
  globalAveragePool: () => each([image, conv2d(3, 2), globalAveragePool(), dense(2)], [sequence, globalAveragePool()]),
  globalMaxPool: () => each([image, globalMaxPool()], [image, globalMaxPool({ keepDims: true })]),
  lpPool1d: () => each([sequence, lpPool1d(2, 3)]),
  lpPool2d: () => each([image, lpPool2d(2, 2)]),
  maxPoolWithIndices: () => [
    unpooled(),
    several({ input: [6, 6, 2] }, (x, { apply }) => apply(x as never, maxPoolWithIndices(2)) as never),
  ],
  maxUnpool: () => [unpooled()],
  batchNorm: () =>
    each(
      [[7], batchNorm()],
      [image, conv2d(3, 2), batchNorm(), relu()],
      [[7], dense(4), batchNorm()],
      [image, batchNorm()],
    ),
  groupNorm: () => each([image, groupNorm(2)], [image, conv2d(4, 2), groupNorm(4)]),
  instanceNorm: () => each([image, instanceNorm()], [sequence, instanceNorm({ statistics: "running", affine: true })]),
  layerNorm: () => each([[7], layerNorm()], [sequence, layerNorm()], [image, conv2d(3, 2), layerNorm()]),
  rmsNorm: () => each([[7], rmsNorm()], [sequence, rmsNorm()]),
  l2Normalize: () => each([[7], l2Normalize()]),
  localResponseNorm: () => each([image, localResponseNorm(3)]),
  dropout: () => of(dropout(0.5)),
  alphaDropout: () => of(alphaDropout(0.5)),
  spatialDropout1d: () => each([sequence, spatialDropout1d(0.5)]),
  spatialDropout2d: () => each([image, spatialDropout2d(0.5)]),
  gaussianDropout: () => of(gaussianDropout(0.5)),
  gaussianNoise: () => of(gaussianNoise(0.5)),
  colorJitter: () => each([[6, 5, 3], colorJitter({ brightness: 0.2 })]),
  randomAffine: () => each([image, randomAffine({ rotation: 10 })]),
  randomCrop: () => each([image, randomCrop({ size: [4, 4] })]),
  randomErasing: () => each([image, randomErasing()]),
  randomFlip: () => each([image, randomFlip()]),
  randomRotation: () => each([image, randomRotation(10)]),
  randomTranslation: () => each([image, randomTranslation(0.1)]),
  randomZoom: () => each([image, randomZoom(0.9, 1.1)]),
  embedding: () => [words([5], embedding(11, 3), flatten(), dense(2))],
  tiedDense: () => {
    const table = embedding(11, 3);
    return [words([5], table, tiedDense(table))];
  },
  oneHot: () => [words([5], oneHot(11), flatten(), dense(2))],
  simpleRnn: () =>
    each(
      [sequence, simpleRnn(3)],
      [sequence, simpleRnn(3, { activation: "relu", returnSequences: true, reverse: true })],
    ),
  lstm: () => [
    ...each(
      [sequence, lstm(3)],
      [sequence, lstm(3, { returnSequences: true, bidirectional: "concatenate", layers: 2 })],
      [sequence, lstm(3, { peepholes: true })],
      [sequence, lstm(4, { projection: 2, returnSequences: true })],
      [sequence, lstm(4, { projection: 2, reverse: true, peepholes: true })],
    ),
    several(
      { input: { x: sequence, lengths: [] }, dtype: { lengths: "uint32" } },
      (x, { apply }) => apply(x as never, lstm(3, { returnSequences: true, bidirectional: "sum" }) as never) as never,
    ),
    several(
      { input: { x: sequence, lengths: [] }, dtype: { lengths: "uint32" } },
      (x, { apply }) => apply(x as never, lstm(3, { returnSequences: true, projection: 2 }) as never) as never,
    ),
    several(
      { input: { x: sequence, hidden: [3], cell: [3] } },
      (x, { apply }) => apply(x as never, lstm(3, { returnState: true }) as never) as never,
    ),
  ],
  gru: () => [
    ...each(
      [sequence, gru(3)],
      [sequence, gru(3, { reset: "before", returnSequences: true })],
      [sequence, gru(3, { reverse: true, returnSequences: true, layerNorm: true })],
    ),
    several(
      { input: { x: sequence, lengths: [] }, dtype: { lengths: "uint32" } },
      (x, { apply }) => apply(x as never, gru(3, { returnSequences: true, reverse: true }) as never) as never,
    ),
  ],
  convLstm2d: () => each([[3, 5, 4, 2], convLstm2d(3, 2)]),
  multiHeadAttention: () => [
    ...each(
      [[5, 8], multiHeadAttention(2)],
      [[5, 8], multiHeadAttention(4, { keyHeads: 2, causal: true, window: 3, rotary: true })],
      [[5, 8], multiHeadAttention(2, { causal: true, alibi: true })],
      [[5, 8], multiHeadAttention(2, { causal: true, cache: 9, rotary: { interleaved: true } })],
    ),
    several(
      { input: { x: [5, 8], mask: [5] } },
      (x, { apply }) => apply(x as never, multiHeadAttention(2) as never) as never,
    ),
    several(
      { input: { x: [5, 8], memory: [7, 6], lengths: [] }, dtype: { lengths: "uint32" } },
      (x, { apply }) => apply(x as never, multiHeadAttention(2) as never) as never,
    ),
  ],
  transformerEncoder: () => each([[5, 8], transformerEncoder(2, { activation: "gelu" })]),
  transformerDecoder: () => [
    several(
      { input: { x: [5, 8], memory: [6, 8] } },
      (x, { apply }) => apply(x as never, transformerDecoder(2, { norm: "pre" }) as never) as never,
    ),
  ],
  learnedPositions: () => each([[5, 8], learnedPositions(9)]),
  sinusoidalPositions: () => each([[5, 8], sinusoidalPositions()], [[5, 7], sinusoidalPositions()]),
  bilinear: () => [pair(bilinear(3) as never)],
  cosineSimilarity: () => [pair(cosineSimilarity() as never)],
  pairwiseDistance: () => [pair(pairwiseDistance() as never)],
  residual: () => each([[7], residual(dense(7), relu())]),
  recompute: () => each([[7], recompute(dense(4))]),
  reshape: () => each([image, conv2d(4, 1), reshape([5, 24])], [image, conv2d(4, 1), reshape([30, 4])]),
  permute: () =>
    each(
      [image, permute([3, 1, 2])],
      [image, conv2d(3, 2), permute([3, 1, 2])],
      [[4, 6, 5], permute([2, 3, 1]), conv2d(3, 2)],
    ),
  repeatVector: () => each([[4], repeatVector(3)]),
  pad: () =>
    each(
      [
        image,
        pad(
          [
            [1, 1],
            [2, 1],
            [0, 0],
          ],
          { mode: "reflect" },
        ),
      ],
      [
        image,
        conv2d(3, 2),
        pad(
          [
            [1, 0],
            [0, 2],
            [0, 0],
          ],
          { value: 3 } as never,
        ),
      ],
    ),
  zeroPad1d: () => each([sequence, zeroPad1d(2)]),
  zeroPad2d: () => each([image, conv2d(3, 2), zeroPad2d(2)]),
  crop1d: () => each([sequence, crop1d(1)]),
  crop2d: () => each([image, conv2d(3, 2), crop2d(1)]),
  pixelShuffle: () => each([image, pixelShuffle(2)]),
  pixelUnshuffle: () => each([[6, 4, 3], pixelUnshuffle(2)]),
  upsample1d: () => each([sequence, upsample1d({ scale: 2 } as never)]),
  upsample2d: () =>
    each(
      [image, conv2d(3, 2), upsample2d({ scale: 2 } as never)],
      [image, upsample2d({ scale: 2, mode: "bilinear" } as never)],
    ),
  resize: () =>
    each(
      [image, resize({ size: [7, 8], mode: "cubic" })],
      [image, resize({ scale: 0.5 })],
      [volume, resize({ size: [5, 6, 3], mode: "linear", coordinates: "alignCorners" })],
    ),
} satisfies Record<LayerName, () => AnyModel[]>;

function unpooled(): AnyModel {
  return several({ input: [6, 6, 2] }, (x, { apply }) => {
    const { values, indices } = apply(x as never, maxPoolWithIndices(2)) as never as { values: never; indices: never };
    return apply({ values, indices } as never, maxUnpool(2) as never) as never;
  });
}

export { defineLayer };
