// steepest: models, training, prediction. The public names, nothing else.

export { createEngine, createEngineSync, type Engine, type EngineOptions } from "./engine/engine.js";
export { DataError, MemoryError, ModelError, SteepestError } from "./engine/errors.js";
export type { Build } from "./engine/module.js";
export { ThreadError } from "./engine/threads.js";
export type { Constraint, Initializer, Regularizer, Shape } from "./graph/tensor.js";
export type { Nested, TypedArray, Values } from "./graph/values.js";
export {
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
  type PreluOptions,
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
} from "./nn/activations.js";
export {
  type AttentionRules,
  type MultiHeadAttentionOptions,
  multiHeadAttention,
  type RotaryPositions,
} from "./nn/attention.js";
export {
  type ColorJitterOptions,
  colorJitter,
  type RandomAffineOptions,
  type RandomCropOptions,
  type RandomErasingOptions,
  type RandomFlipOptions,
  type ResamplingOptions,
  randomAffine,
  randomCrop,
  randomErasing,
  randomFlip,
  randomRotation,
  randomTranslation,
  randomZoom,
} from "./nn/augment.js";
export {
  type BatchTripletOptions,
  batchTriplet,
  type SupervisedContrastiveOptions,
  supervisedContrastive,
} from "./nn/batchLosses.js";
export type { Average, KappaWeights } from "./nn/classCounts.js";
export {
  type FocalOptions,
  focal,
  type KlOptions,
  klDivergence,
  type LabelOptions,
  type MultiLabelSoftMarginLossOptions,
  type MultiMarginLossOptions,
  multiLabelMargin,
  multiLabelSoftMargin,
  multiMargin,
  negativeLogLikelihood,
  ordinal,
} from "./nn/classLosses.js";
export {
  type BalancedAccuracyOptions,
  type BinaryAccuracyOptions,
  balancedAccuracy,
  binaryAccuracy,
  type ClassMetricOptions,
  type CohenKappaOptions,
  cohenKappa,
  type FBetaOptions,
  f1,
  fBeta,
  intersectionOverUnion,
  type MatthewsOptions,
  matthews,
  precision,
  recall,
  specificity,
} from "./nn/classMetrics.js";
export {
  type MinMaxNormOptions,
  maxNorm,
  minMaxNorm,
  type NormConstraintOptions,
  nonNegative,
  unitNorm,
} from "./nn/constraints.js";
export {
  type Conv1dOptions,
  type Conv2dOptions,
  type Conv3dOptions,
  type ConvTranspose1dOptions,
  type ConvTranspose2dOptions,
  type ConvTranspose3dOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type DepthwiseConv1dOptions,
  type DepthwiseConv2dOptions,
  depthwiseConv1d,
  depthwiseConv2d,
  type SeparableConv1dOptions,
  type SeparableConv2dOptions,
  separableConv1d,
  separableConv2d,
} from "./nn/conv.js";
export { type ConvLstm2dOptions, convLstm2d } from "./nn/convLstm2d.js";
export { type CtcOptions, ctc } from "./nn/ctc.js";
export { defineLayer } from "./nn/defineLayer.js";
export { type DenseOptions, dense } from "./nn/dense.js";
export { alphaDropout, dropout, spatialDropout1d, spatialDropout2d } from "./nn/dropout.js";
export {
  type GaussianOptions,
  gaussianNegativeLogLikelihood,
  logCosh,
  meanAbsolutePercentageLoss,
  meanSquaredLogarithmicError,
  type PoissonOptions,
  poissonNegativeLogLikelihood,
  type QuantileOptions,
  quantile,
  type SmoothL1Options,
  smoothL1,
  softMargin,
  squaredHinge,
} from "./nn/elementLosses.js";
export {
  type EmbeddingLayer,
  type EmbeddingLayerOptions,
  embedding,
  type TiedDenseOptions,
  tiedDense,
} from "./nn/embedding.js";
export { flatten } from "./nn/flatten.js";
export { geglu, glu, reglu, swiglu } from "./nn/glu.js";
export { type GruLayerOptions, gru } from "./nn/gru.js";
export * from "./nn/initializers.js";
export type { Layer } from "./nn/layer.js";
export {
  binaryCrossEntropy,
  type CrossEntropyOptions,
  crossEntropy,
  type DefineLossOptions,
  defineLoss,
  type ElementLossOptions,
  type HuberOptions,
  halfSquaredError,
  hinge,
  huber,
  type Loss,
  type LossOptions,
  meanAbsoluteError,
  meanSquaredError,
  perceptron,
} from "./nn/losses.js";
export { type LstmLayerOptions, lstm } from "./nn/lstm.js";
export { type ResidualOptions, residual } from "./nn/merge.js";
export {
  type DefineMetricOptions,
  type DefineMetricSums,
  defineMetric,
  type Measured,
  type Metric,
  type MetricName,
  type MetricSums,
  type MetricTotal,
  perplexity,
  topK,
} from "./nn/metrics.js";
export { cutMix, type Mix, type MixOptions, mixUp } from "./nn/mix.js";
export { functional, type Model, type ModelOptions, sequential } from "./nn/model.js";
export { gaussianDropout, gaussianNoise } from "./nn/noise.js";
export {
  type BatchNormLayerOptions,
  batchNorm,
  groupNorm,
  type InstanceNormLayerOptions,
  instanceNorm,
  type L2NormalizeOptions,
  type LayerNormLayerOptions,
  type LocalResponseNormOptions,
  l2Normalize,
  layerNorm,
  localResponseNorm,
  type NormLayerOptions,
  type NormStatistics,
  type RmsNormLayerOptions,
  rmsNorm,
} from "./nn/norm.js";
export {
  contrastive,
  cosineEmbedding,
  cosineSimilarityLoss,
  hingeEmbedding,
  type MarginOptions,
  marginRanking,
  type TripletOptions,
  tripletMargin,
} from "./nn/pairLosses.js";
export {
  type BilinearOptions,
  bilinear,
  type CosineSimilarityOptions,
  cosineSimilarity,
  type PairwiseDistanceOptions,
  pairwiseDistance,
} from "./nn/pairs.js";
export { pixelShuffle, pixelUnshuffle } from "./nn/pixels.js";
export {
  type AveragePoolOptions,
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  averagePool1d,
  averagePool2d,
  type GlobalPoolOptions,
  globalAveragePool,
  globalMaxPool,
  lpPool1d,
  lpPool2d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  type PoolOptions,
  type Size2d,
} from "./nn/pool.js";
export { averagePool3d, maxPool3d, type Size3d } from "./nn/pool3d.js";
export type { Ports } from "./nn/ports.js";
export {
  type LearnedPositionsOptions,
  learnedPositions,
  type SinusoidalPositionsOptions,
  sinusoidalPositions,
} from "./nn/positions.js";
export { recompute } from "./nn/recompute.js";
export type { CellActivation, Merge, RecurrentOptions } from "./nn/recurrent.js";
export {
  diceLoss,
  jaccardLoss,
  type RegionOptions,
  type TverskyOptions,
  tverskyLoss,
} from "./nn/regionLosses.js";
export {
  explainedVariance,
  meanAbsolutePercentageError,
  pearson,
  rootMeanSquaredError,
  rSquared,
  type ValueMetricOptions,
} from "./nn/regressionMetrics.js";
export { l1, l1l2, l2 } from "./nn/regularizers.js";
export type { Scope } from "./nn/scope.js";
export {
  averagePrecision,
  brier,
  type ExpectedCalibrationErrorOptions,
  expectedCalibrationError,
  logLoss,
  type ProbabilityMetricOptions,
  prAuc,
  type RankingMetricOptions,
  rocAuc,
} from "./nn/scoreMetrics.js";
export {
  crop1d,
  crop2d,
  type Margins,
  oneHot,
  type PadLayerOptions,
  pad,
  permute,
  repeatVector,
  reshape,
  zeroPad1d,
  zeroPad2d,
} from "./nn/shape.js";
export { type SimpleRnnOptions, simpleRnn } from "./nn/simpleRnn.js";
export { type TransformerOptions, transformerDecoder, transformerEncoder } from "./nn/transformer.js";
export {
  type MaxUnpoolOptions,
  maxPoolWithIndices,
  maxUnpool,
} from "./nn/unpool.js";
export {
  type ResizeOptions,
  resize,
  type Upsample1dOptions,
  type Upsample2dOptions,
  type UpsampleOptions,
  upsample1d,
  upsample2d,
} from "./nn/upsample.js";
export { type Descent, type GradientDescentOptions, gradientDescent } from "./optim/gradientDescent.js";
export * from "./optim/index.js";
export { numericalGradient, type ScalarFunction } from "./optim/numericalGradient.js";
export * from "./optim/schedules.js";
export type {
  Callback,
  EndContext,
  EpochContext,
  FitContext,
  FitEnd,
  FitSetup,
  SaveContext,
  StepContext,
} from "./train/callbacks.js";
export {
  type CheckGradientsOptions,
  checkGradients,
  type GradientCheck,
  type GradientReport,
} from "./train/checkGradients.js";
export type { Checkpoint, JsonValue, ValuesByPath } from "./train/checkpoint.js";
export type { PassState, Position } from "./train/cursor.js";
export type { Resident as ResidentData, SampleList, Samples, TrainingData } from "./train/data.js";
export { type BadTensor, DivergenceError, type DivergenceOrigin } from "./train/divergence.js";
export {
  type FindLearningRateOptions,
  findLearningRate,
  type RangeTest,
  type RangeTestOptions,
  type RangeTestPoint,
} from "./train/findLearningRate.js";
export type { EpochResult, Fit, Progress, Scores, StepResult } from "./train/fit.js";
export {
  type MinimizeOptions,
  type MinimizeProgress,
  type Minimum,
  minimize,
  minimizeSync,
} from "./train/minimize.js";
export type {
  EvaluateOptions,
  FitOptions,
  GradientsOptions,
  NormalizationUpdateOptions,
  ParametersOptions,
  PredictOptions,
  SliceOptions,
  StepsOptions,
  SummaryOptions,
} from "./train/options.js";
export type { ParameterUpdate, ParameterValues } from "./train/parameters.js";
export type { AnySource, OpenPass, Source, SourceBatch, SourcePass, SourceStream } from "./train/source.js";
export {
  type AllGradients,
  type CompileOptions,
  compile,
  compileSync,
  type Evaluator,
  type EvaluatorOptions,
  type LossGradients,
  type Predictor,
  type PredictorOptions,
  type Trainer,
} from "./train/trainer.js";
export type { Warn, Warning } from "./train/warnings.js";
export {
  type CompiledStep,
  createWorkspace,
  createWorkspaceSync,
  type HoldsParameters,
  type StepOptions,
  type Workspace,
  type WorkspaceOptions,
} from "./train/workspace.js";
