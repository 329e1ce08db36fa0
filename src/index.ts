// steepest: models, training, prediction. The public names, nothing else.

export { createEngine, createEngineSync, type Engine, type EngineOptions } from "./engine/engine.js";
export { DataError, MemoryError, ModelError, SteepestError } from "./engine/errors.js";
export type { Build } from "./engine/module.js";
export { ThreadError } from "./engine/threads.js";
export type { Initializer, Shape } from "./graph/tensor.js";
export type { Nested, TypedArray, Values } from "./graph/values.js";
export {
  elu,
  gelu,
  identity,
  leakyRelu,
  logSoftmax,
  relu,
  sigmoid,
  silu,
  softmax,
  softplus,
  step,
  tanh,
} from "./nn/activations.js";
export { type DenseOptions, dense } from "./nn/dense.js";
export { dropout } from "./nn/dropout.js";
export { flatten } from "./nn/flatten.js";
export * from "./nn/initializers.js";
export type { Layer } from "./nn/layer.js";
export {
  binaryCrossEntropy,
  crossEntropy,
  halfSquaredError,
  hinge,
  huber,
  type Loss,
  type LossOptions,
  meanAbsoluteError,
  meanSquaredError,
  perceptron,
} from "./nn/losses.js";
export type { MetricName } from "./nn/metrics.js";
export {
  type BatchNormLayerOptions,
  batchNorm,
  groupNorm,
  instanceNorm,
  type L2NormalizeOptions,
  type LayerNormLayerOptions,
  l2Normalize,
  layerNorm,
  type NormLayerOptions,
  type RmsNormLayerOptions,
  rmsNorm,
} from "./nn/norm.js";
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
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  type PoolOptions,
  type Size2d,
} from "./nn/pool.js";
export { type Model, sequential } from "./nn/sequential.js";
export {
  type Upsample1dOptions,
  type Upsample2dOptions,
  type UpsampleOptions,
  upsample1d,
  upsample2d,
} from "./nn/upsample.js";
export { type Descent, type GradientDescentOptions, gradientDescent } from "./optim/gradientDescent.js";
export * from "./optim/index.js";
export { numericalGradient, type ScalarFunction } from "./optim/numericalGradient.js";
export {
  type CheckGradientsOptions,
  checkGradients,
  type GradientCheck,
  type GradientReport,
} from "./train/checkGradients.js";
export type { ResidentData, Samples } from "./train/data.js";
export type { EpochResult, FitOptions, Progress, Scores } from "./train/fit.js";
export type { ParameterUpdate, ParameterValues } from "./train/parameters.js";
export type { PredictOptions } from "./train/predict.js";
export { DivergenceError, type SliceOptions, type StepsOptions } from "./train/steps.js";
export {
  type CompileOptions,
  compile,
  compileSync,
  type EvaluateOptions,
  type Trainer,
} from "./train/trainer.js";
