// Every operation, by name: test/ops/samples.ts must have a row for each. `gradient` is the one export that is none.

export { type AttentionOptions, alibiSlopes, attention } from "./attention.js";
export {
  type ClassWeights,
  crossEntropy,
  type FocalLossOptions,
  focalLoss,
  type KlDivergenceOptions,
  klDivergence,
  type LabelLossOptions,
  type MultiLabelSoftMarginOptions,
  type MultiMarginOptions,
  multiLabelMargin,
  multiLabelSoftMargin,
  multiMargin,
  negativeLogLikelihood,
  ordinalLoss,
  type SmoothedLabelLossOptions,
} from "./classLosses.js";
export {
  equal,
  greater,
  greaterEqual,
  isFinite,
  isNaN,
  less,
  lessEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  notEqual,
  where,
} from "./comparison.js";
export {
  type Conv1dOptions,
  type Conv2dOptions,
  type ConvTranspose1dOptions,
  type ConvTranspose2dOptions,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
} from "./conv.js";
export {
  type Conv3dOptions,
  type ConvTranspose3dOptions,
  conv3d,
  convTranspose3d,
  type Window3dOptions,
} from "./conv3d.js";
export { type CtcLossOptions, ctcLoss } from "./ctc.js";
export { type CumulativeOptions, cumulativeProduct, cumulativeSum } from "./cumulative.js";
export { type CustomGradientContext, customGradient, type GradientRule } from "./custom.js";
export { type DiagonalOptions, diagonal, diagonalMatrix } from "./diagonal.js";
export {
  alphaDropout,
  type DropoutOptions,
  dropout,
  type RandomOptions,
  spatialDropout,
} from "./dropout.js";
export { einsum } from "./einsum.js";
export {
  type GaussianLossOptions,
  gaussianNegativeLogLikelihood,
  logCosh,
  meanAbsolutePercentageLoss,
  meanSquaredLogarithmicError,
  type PoissonLossOptions,
  poissonNegativeLogLikelihood,
  type QuantileLossOptions,
  quantileLoss,
  type SmoothL1LossOptions,
  smoothL1,
  softMargin,
  squaredHinge,
} from "./elementLosses.js";
export {
  abs,
  add,
  average,
  clip,
  copyOf,
  div,
  maximum,
  minimum,
  mul,
  neg,
  type Operand,
  reciprocal,
  rsqrt,
  scale,
  shift,
  sign,
  sqrt,
  square,
  sub,
} from "./elementwise.js";
export { type EmbeddingOptions, embedding } from "./embedding.js";
export {
  acosh,
  asinh,
  atanh,
  cosh,
  erf,
  erfc,
  exp,
  expm1,
  type LogitOptions,
  log,
  log1p,
  logit,
  sinh,
  xlogy,
} from "./exponential.js";
export { type GeluOptions, gelu, mish, silu } from "./gated.js";
export { geglu, glu, reglu, swiglu } from "./glu.js";
export { type GradientOptions, gradient } from "./gradient.js";
export { type AffineGridOptions, affineGrid, type GridSampleOptions, gridSample } from "./gridSample.js";
export { gather, gatherAlong, oneHot, scatterAdd } from "./indexing.js";
export { gatherNd, scatterAddNd, scatterNd, scatterUpdateNd } from "./indexingNd.js";
export { concatenate, split, stack } from "./join.js";
export { type LocalResponseNormOptions, localResponseNorm } from "./localResponse.js";
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  type HuberOptions,
  halfSquaredError,
  hinge,
  huber,
  type LossOptions,
  meanAbsoluteError,
  meanSquaredError,
  perceptronLoss,
  type Reduction,
  softmaxCrossEntropy,
  softmaxCrossEntropyWithDistributions,
} from "./loss.js";
export type { ElementLossOptions, UnitLossOptions } from "./lossUnits.js";
export { lpPool1d, lpPool2d } from "./lpPool.js";
export { linear, type MatmulOptions, matmul } from "./matmul.js";
export { type CorrectBinaryOptions, correctBinary, correctClasses, correctDistributions } from "./metric.js";
export { type RandomNormalOptions, type RandomUniformOptions, randomNormal, randomUniform } from "./noise.js";
export {
  type BatchNormOptions,
  batchNorm,
  groupNorm,
  instanceNorm,
  type NormalizationOptions,
} from "./norm.js";
export { type LayerNormOptions, layerNorm, rmsNorm } from "./normRows.js";
export {
  type CosineSimilarityLossOptions,
  contrastive,
  cosineEmbedding,
  cosineSimilarityLoss,
  hingeEmbedding,
  type InfoNceOptions,
  infoNce,
  type MarginLossOptions,
  marginRanking,
  type PairLossOptions,
  type SignedLossOptions,
  type TripletMarginOptions,
  tripletMargin,
} from "./pairLosses.js";
export {
  type HardTanhOptions,
  hardShrink,
  hardSigmoid,
  hardSwish,
  hardTanh,
  type LeakyReluOptions,
  leakyRelu,
  prelu,
  relu,
  relu6,
  type ShrinkOptions,
  softShrink,
  softsign,
  step,
  type ThresholdOptions,
  threshold,
} from "./piecewise.js";
export { pixelShuffle, pixelUnshuffle } from "./pixels.js";
export {
  type AveragePoolOptions,
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  averagePool1d,
  averagePool2d,
  globalAveragePool,
  globalMaxPool,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  type PoolOptions,
  type PoolPadding,
  type Size2d,
} from "./pool.js";
export { averagePool3d, maxPool3d, type Size3d } from "./pool3d.js";
export { appendRows, type RotaryOptions, rotary, type SinusoidsOptions, sinusoids } from "./positions.js";
export { pow } from "./power.js";
export { product } from "./product.js";
export { recompute } from "./recompute.js";
export { type RnnOptions, rnn, rnnCell } from "./recurrent.js";
export { type GruOptions, gru, gruCell } from "./recurrentGru.js";
export { type LstmOptions, lstm, lstmCell } from "./recurrentLstm.js";
export {
  type Axes,
  all,
  any,
  argmax,
  argmin,
  max,
  mean,
  min,
  type ReduceOptions,
  sum,
} from "./reduce.js";
export {
  diceLoss,
  jaccardLoss,
  type RegionLossOptions,
  type TverskyLossOptions,
  tverskyLoss,
} from "./regionLosses.js";
export { type ResizeOptions, resize } from "./resize.js";
export { roll } from "./roll.js";
export { cast, ceil, floor, floorDiv, mod, round, trunc } from "./rounding.js";
export { type ScanOptions, scan, type Tensors } from "./scan.js";
export { scatterAddAlong, scatterUpdate, scatterUpdateAlong, segmentSum } from "./scatter.js";
export {
  broadcastTo,
  expandDims,
  flatten,
  repeat,
  reshape,
  squeeze,
  tile,
  transpose,
} from "./shape.js";
export {
  type CosineSimilarityOptions,
  cosineSimilarity,
  type PairwiseDistanceOptions,
  pairwiseDistance,
} from "./similarity.js";
export { type Bounds, flip, type PadOptions, pad, slice } from "./slice.js";
export {
  type CeluOptions,
  celu,
  type EluOptions,
  elu,
  logSigmoid,
  type SoftplusOptions,
  selu,
  sigmoid,
  softplus,
  tanh,
  tanhShrink,
} from "./smooth.js";
export { logSoftmax, type SoftmaxOptions, softmax, softmin } from "./softmax.js";
export { type Sorted, type SortOptions, sort, type TopKOptions, topK } from "./sort.js";
export {
  logSumExp,
  standardDeviation,
  type VarianceOptions,
  variance,
} from "./statistics.js";
export { acos, asin, atan, atan2, cos, sin, tan } from "./trigonometry.js";
export { maxPoolWithIndices, maxUnpool, type Pooled } from "./unpool.js";
export {
  type Upsample1dOptions,
  type Upsample2dOptions,
  type UpsampleOptions,
  upsample1d,
  upsample2d,
} from "./upsample.js";
export { type L2NormalizeOptions, l2Normalize, type NormOptions, norm } from "./vectorNorm.js";
export { identity, stopGradient } from "./view.js";
export type {
  GroupOptions,
  Padding1d,
  Padding2d,
  Transposed1dOptions,
  Transposed2dOptions,
  Window1dOptions,
  Window2dOptions,
} from "./window.js";
