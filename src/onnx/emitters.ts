// What becomes of each operation in an ONNX graph. The compiler demands all of them.
import { attentionEmitters } from "./emitAttention.js";
import { elementEmitters } from "./emitElements.js";
import { imageEmitters } from "./emitImages.js";
import { indexEmitters } from "./emitIndices.js";
import { loopEmitters } from "./emitLoops.js";
import { productEmitters } from "./emitProducts.js";
import { reductionEmitters } from "./emitReductions.js";
import { shapeEmitters } from "./emitShapes.js";
import type { At, Emitters, Refusal } from "./lowering.js";

const GRADIENT: Refusal = { refused: "a part of a gradient" };
const LOSS: Refusal = { refused: "a part of a loss" };
const RANDOM: Refusal = { refused: "random numbers" };
const DATA: Refusal = { refused: "a batch of a trainer's data" };

/** Of an operation whose gradient is the user's, the result. */
function customGradient({ on, inputs: [result], outputs: [y] }: At<unknown>): void {
  on.set(y, on.plain(result));
}

export const emitters: Emitters = {
  ...elementEmitters,
  ...shapeEmitters,
  ...reductionEmitters,
  ...productEmitters,
  ...imageEmitters,
  ...indexEmitters,
  ...attentionEmitters,
  ...loopEmitters,
  customGradient,
  dropout: RANDOM,
  randomNormal: RANDOM,
  randomUniform: RANDOM,
  gatherRows: DATA,
  gatherBytes: DATA,
  meanSquaredError: LOSS,
  halfSquaredError: LOSS,
  meanAbsoluteError: LOSS,
  huber: LOSS,
  hinge: LOSS,
  perceptronLoss: LOSS,
  binaryCrossEntropy: LOSS,
  binaryCrossEntropyWithLogits: LOSS,
  softmaxCrossEntropy: LOSS,
  softmaxCrossEntropyWithDistributions: LOSS,
  correctClasses: LOSS,
  correctDistributions: LOSS,
  correctBinary: LOSS,
  ctcLoss: LOSS,
  reluGradient: GRADIENT,
  leakyReluGradient: GRADIENT,
  hardTanhGradient: GRADIENT,
  relu6Gradient: GRADIENT,
  thresholdGradient: GRADIENT,
  hardSigmoidGradient: GRADIENT,
  hardSwishGradient: GRADIENT,
  softsignGradient: GRADIENT,
  tanhShrinkGradient: GRADIENT,
  softShrinkGradient: GRADIENT,
  hardShrinkGradient: GRADIENT,
  seluGradient: GRADIENT,
  celuGradient: GRADIENT,
  eluGradient: GRADIENT,
  sigmoidGradient: GRADIENT,
  tanhGradient: GRADIENT,
  softplusGradient: GRADIENT,
  logSigmoidGradient: GRADIENT,
  siluGradient: GRADIENT,
  mishGradient: GRADIENT,
  geluGradient: GRADIENT,
  geluTanhGradient: GRADIENT,
  convolutionWeightGradient: GRADIENT,
  ctcLossGradient: GRADIENT,
  cumulativeProductGradient: GRADIENT,
  deviationGradient: GRADIENT,
  divGradient: GRADIENT,
  clipMask: GRADIENT,
  gluGradient: GRADIENT,
  swigluGradient: GRADIENT,
  gegluGradient: GRADIENT,
  gegluTanhGradient: GRADIENT,
  regluGradient: GRADIENT,
  attentionGradient: GRADIENT,
  embeddingGradient: GRADIENT,
  meanSquaredErrorGradient: GRADIENT,
  halfSquaredErrorGradient: GRADIENT,
  meanAbsoluteErrorGradient: GRADIENT,
  huberGradient: GRADIENT,
  hingeGradient: GRADIENT,
  perceptronLossGradient: GRADIENT,
  binaryCrossEntropyGradient: GRADIENT,
  binaryCrossEntropyWithLogitsGradient: GRADIENT,
  softmaxCrossEntropyGradient: GRADIENT,
  softmaxCrossEntropyWithDistributionsGradient: GRADIENT,
  normalizeGradient: GRADIENT,
  normalizeRowsGradient: GRADIENT,
  maxPoolGradient: GRADIENT,
  averagePoolGradient: GRADIENT,
  productGradient: GRADIENT,
  extremumGradient: GRADIENT,
  previousStates: GRADIENT,
  previousStatesGradient: GRADIENT,
  rnnGradient: GRADIENT,
  gruGradient: GRADIENT,
  lstmGradient: GRADIENT,
  softmaxGradient: GRADIENT,
  logSoftmaxGradient: GRADIENT,
  weightedRowsInputGradient: GRADIENT,
  weightedRowsWeightGradient: GRADIENT,
};
