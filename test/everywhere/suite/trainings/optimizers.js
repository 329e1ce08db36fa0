// Every optimizer and schedule, several in a training: each layer has another one.
import { BATCH, CLASSES, calls, epochs, FEATURES, held, labels, x } from "./ways.js";

const input = { input: [FEATURES] };

/** A chain of dense layers, one for each optimizer. The first is wide enough for eight threads. */
function chain({ dense, sequential, tanh }, count, wrap = (layer) => layer) {
  const layers = Array.from({ length: count - 1 }, (_, index) => [dense(index === 0 ? 512 : 48), wrap(tanh())]).flat();
  return sequential(input, ...layers, dense(CLASSES));
}

/** The optimizers by the layers of a chain, which are at even places. */
const byLayer = (list) => Object.fromEntries(list.map((optimizer, index) => [`${2 * index}.*`, optimizer]));

/** Each: a model, how it is compiled, and how it is trained. */
export function describeOptimizers(steepest) {
  const { adadelta, adafactor, adagrad, adam, adamW, adamax, cosineDecay, cosineRestarts, crossEntropy } = steepest;
  const { exponentialDecay, groups, inverseSquareRoot, joinSchedules, lamb, lars, lion, lookahead, minimize } =
    steepest;
  const { multiStepDecay, muon, nadam, oneCycle, polynomialDecay, radam, recompute, reduceOnPlateau } = steepest;
  const { rmsprop, rprop, sgd, sharpnessAware, stepDecay, warmup } = steepest;
  const loss = crossEntropy();
  const plateau = reduceOnPlateau(0.01, { patience: 0 });
  return {
    "optimizers with rates by coordinate": {
      model: chain(steepest, 8),
      options: {
        loss,
        optimizer: groups(
          byLayer([
            adamW({ learningRate: warmup(cosineDecay(0.01, { steps: 9 }), { steps: 2 }) }),
            adam({ amsgrad: true, learningRate: joinSchedules([0.01, stepDecay(0.01, { every: 2 })], [3]) }),
            nadam({ learningRate: oneCycle(0.01, { steps: 9 }) }),
            radam({ learningRate: exponentialDecay(0.01, { factor: 0.5, every: 3 }) }),
            adamax({ learningRate: multiStepDecay(0.01, { milestones: [2, 5] }) }),
            adagrad({ learningRate: polynomialDecay(0.05, { steps: 9, power: 1.5 }) }),
            adadelta(),
            rmsprop({ learningRate: cosineRestarts(0.01, { steps: 2, factor: 2 }), centered: true, momentum: 0.5 }),
          ]),
        ),
        metrics: ["accuracy"],
      },
      ...epochs(3, { x, y: labels }, { batchSize: BATCH, validation: { x: held.x, y: held.labels } }),
    },
    "optimizers with norms and signs": {
      model: chain(steepest, 6, recompute),
      options: {
        loss,
        optimizer: lookahead(
          groups(
            byLayer([
              lamb({ learningRate: inverseSquareRoot(0.01, { warmup: 3 }) }),
              lars({ learningRate: 0.05 }),
              lion({ learningRate: 0.001 }),
              rprop({ learningRate: 0.001 }),
              sgd({ learningRate: plateau, momentum: 0.9, weightDecay: 0.001 }),
              rmsprop({ learningRate: 0.01 }),
            ]),
          ),
        ),
      },
      ...calls([7, 7], { x, y: labels }, { batchSize: BATCH }),
    },
    "optimizers of matrices, sharpness-aware": {
      model: chain(steepest, 3),
      options: {
        loss,
        optimizer: sharpnessAware(
          groups({ "0.weight": muon(), "2.weight": adafactor(), "*": defineMomentum(steepest) }),
        ),
      },
      ...calls([5, 5], { x, y: labels }, { batchSize: BATCH }),
    },
    "L-BFGS": {
      model: chain(steepest, 2),
      options: { loss, optimizer: sgd() }, // checkpoints need one
      parts: 2,
      async train(trainer, begin, end) {
        const numbers = [];
        for (let part = begin; part < end; part++) {
          const found = await minimize(trainer, { x, y: labels }, { iterations: 4 });
          numbers.push(found.loss, found.iterations);
        }
        return numbers;
      },
    },
  };
}

/** A user's own, out of what every optimizer gets. */
function defineMomentum({ defineOptimizer }) {
  return defineOptimizer("plain", ({ parameter }) => ({ parameter }), { learningRate: 0.1 });
}
