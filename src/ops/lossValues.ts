// Losses and right answers before they are summed: one number for each element, or for each row of classes. What has weights
// is made of these; without weights the sums are kernels (loss.ts, metric.ts). Derivatives are those of the kernels.
import { constant, type Tensor } from "../graph/tensor.js";
import { equal, greaterEqual, where } from "./comparison.js";
import { customGradient } from "./custom.js";
import { abs, add, div, maximum, minimum, mul, neg, scale, sub } from "./elementwise.js";
import { log } from "./exponential.js";
import { relu, step } from "./piecewise.js";
import { argmax, sum } from "./reduce.js";
import { reshape } from "./shape.js";
import { sigmoid, softplus } from "./smooth.js";
import { logSoftmax } from "./softmax.js";

/** (prediction - target)². */
export function squaredErrors(prediction: Tensor, target: Tensor): Tensor {
  const difference = sub(prediction, target);
  return mul(difference, difference);
}

/** ½ (prediction - target)². */
export function halfSquaredErrors(prediction: Tensor, target: Tensor): Tensor {
  return scale(squaredErrors(prediction, target), 0.5);
}

/** |prediction - target|. */
export function absoluteErrors(prediction: Tensor, target: Tensor): Tensor {
  return abs(sub(prediction, target));
}

/** ½d² if |d| ≤ delta, else delta·(|d| - ½delta). */
export function huberErrors(prediction: Tensor, target: Tensor, delta: number): Tensor {
  const difference = sub(prediction, target);
  const within = minimum(maximum(difference, -delta), delta);
  return mul(within, sub(difference, scale(within, 0.5)));
}

/** max(0, 1 - target · prediction). */
export function hinges(prediction: Tensor, target: Tensor): Tensor {
  return relu(sub(1, mul(target, prediction)));
}

/** (step(z) - target) · z. */
export function perceptronLosses(prediction: Tensor, target: Tensor): Tensor {
  return mul(sub(step(prediction), target), prediction);
}

// As in assembly/kernels/loss.ts.
const MIN_VARIANCE = 1e-12;
const MIN_LOGARITHM = -100;

/** -(t · log p + (1 - t) · log(1 - p)), each logarithm at least -100. */
export function binaryCrossEntropies(prediction: Tensor, target: Tensor): Tensor {
  const logarithm = (x: Tensor): Tensor => maximum(log(x), MIN_LOGARITHM);
  return customGradient(
    [prediction, target],
    (p, t) => neg(add(mul(t, logarithm(p)), mul(sub(1, t), logarithm(sub(1, p))))),
    (gradient, { inputs: [p, t] }) => [
      mul(gradient, div(sub(p, t), maximum(mul(p, sub(1, p)), MIN_VARIANCE))),
      mul(gradient, sub(logarithm(sub(1, p)), logarithm(p))),
    ],
  );
}

/** The same for p = sigmoid(prediction), precise for logits of any size. */
export function logitCrossEntropies(prediction: Tensor, target: Tensor): Tensor {
  return customGradient(
    [prediction, target],
    (x, t) => add(sub(relu(x), mul(x, t)), softplus(neg(abs(x)))),
    (gradient, { inputs: [x, t] }) => [mul(gradient, sub(sigmoid(x), t)), mul(gradient, neg(x))],
  );
}

/** -log softmax(logits) at the label of each row; 0 for a label that is no class. */
export function classCrossEntropies(logits: Tensor, labels: Tensor): Tensor {
  const last = logits.shape.length - 1;
  const indices = constant(Uint32Array.from({ length: logits.shape[last] }, (_, index) => index));
  const isLabel = equal(reshape(labels, [...labels.shape, 1]), indices);
  return neg(sum(where(isLabel, logSoftmax(logits), 0), last));
}

/** -Σ target · log softmax(logits) of each row. */
export function distributionCrossEntropies(logits: Tensor, targets: Tensor): Tensor {
  return neg(sum(mul(targets, logSoftmax(logits)), logits.shape.length - 1));
}

/** 1 for each row whose largest logit is at its label; a row with NaN is wrong. */
export function rightClasses(logits: Tensor, labels: Tensor): Tensor {
  return mul(equal(argmax(logits), labels), isNumeric(logits));
}

/** 1 for each row whose largest logit is where its target is largest; a row with NaN is wrong. */
export function rightDistributions(logits: Tensor, targets: Tensor): Tensor {
  return mul(equal(argmax(logits), argmax(targets)), isNumeric(logits));
}

/** 1 for each row without NaN, which is not equal to itself. */
function isNumeric(logits: Tensor): Tensor {
  const [columns, last] = [logits.shape[logits.shape.length - 1], logits.shape.length - 1];
  return equal(sum(equal(logits, logits), last), columns);
}

/** 1 for each element of which prediction and target are on the same side of their thresholds; NaN is wrong. */
export function rightAnswers(prediction: Tensor, target: Tensor, threshold: number, targetThreshold: number): Tensor {
  const same = equal(greaterEqual(prediction, threshold), greaterEqual(target, targetThreshold));
  return mul(same, equal(prediction, prediction));
}
