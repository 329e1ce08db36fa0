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
export { type Axes, argmax, max, mean, min, type ReduceOptions, sum } from "./reduce.js";
export { broadcastTo, flatten, reshape, transpose } from "./shape.js";
export { logSoftmax, softmax } from "./softmax.js";
export type {
  GroupOptions,
  Padding1d,
  Padding2d,
  Transposed1dOptions,
  Transposed2dOptions,
  Window1dOptions,
  Window2dOptions,
} from "./window.js";
