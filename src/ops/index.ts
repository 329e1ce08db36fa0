// Every operation, by name: test/ops/samples.ts must have a row for each. `gradient` is the one export that is none.
export {
  type CeluOptions,
  celu,
  type EluOptions,
  elu,
  type GeluOptions,
  gelu,
  type HardTanhOptions,
  hardShrink,
  hardSigmoid,
  hardSwish,
  hardTanh,
  identity,
  type LeakyReluOptions,
  leakyRelu,
  logSigmoid,
  mish,
  prelu,
  relu,
  relu6,
  type ShrinkOptions,
  selu,
  sigmoid,
  silu,
  softplus,
  softShrink,
  softsign,
  step,
  type ThresholdOptions,
  tanh,
  tanhShrink,
  threshold,
} from "./activation.js";
export { alphaDropout, type DropoutOptions, dropout, type RandomOptions, spatialDropout } from "./dropout.js";
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
export { geglu, glu, reglu, swiglu } from "./glu.js";
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
export { type RandomNormalOptions, type RandomUniformOptions, randomNormal, randomUniform } from "./noise.js";
export { type Axes, argmax, max, mean, min, type ReduceOptions, sum } from "./reduce.js";
export { broadcastTo, flatten, reshape, transpose } from "./shape.js";
export { logSoftmax, type SoftmaxOptions, softmax } from "./softmax.js";
