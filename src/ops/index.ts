// Every operation, by name: test/ops/samples.ts must have a row for each. `gradient` is the one export that is none.
export {
  type EluOptions,
  elu,
  type GeluOptions,
  gelu,
  identity,
  type LeakyReluOptions,
  leakyRelu,
  relu,
  sigmoid,
  silu,
  softplus,
  step,
  tanh,
} from "./activation.js";
export { type DropoutOptions, dropout } from "./dropout.js";
export {
  absolute,
  add,
  copyOf,
  divide,
  equal,
  exp,
  greater,
  greaterEqual,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  type Operand,
  power,
  reciprocal,
  scale,
  select,
  shift,
  square,
  squareRoot,
  subtract,
} from "./elementwise.js";
export { gatherRows } from "./gather.js";
export { gradient } from "./gradient.js";
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
export { linear, type MatmulOptions, matmul } from "./matmul.js";
export { type CorrectBinaryOptions, correctBinary, correctClasses, correctDistributions } from "./metric.js";
export {
  type BatchNormOptions,
  batchNorm,
  groupNorm,
  instanceNorm,
  type L2NormalizeOptions,
  type LayerNormOptions,
  l2Normalize,
  layerNorm,
  type NormOptions,
  rmsNorm,
} from "./norm.js";
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
  type Size2d,
} from "./pool.js";
export { type Axes, argmax, max, mean, min, type ReduceOptions, sum } from "./reduce.js";
export { broadcastTo, flatten, reshape, transpose } from "./shape.js";
export { logSoftmax, softmax } from "./softmax.js";
export {
  type Upsample1dOptions,
  type Upsample2dOptions,
  type UpsampleOptions,
  upsample1d,
  upsample2d,
} from "./upsample.js";
