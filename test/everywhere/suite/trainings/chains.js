// Chains of dense layers: every loss, optimizer and initializer. The layers are wide enough for eight threads: a product
// of 64 samples, 64 inputs and 512 units is worth waking 32.
import { oneHot } from "../numbers.js";
import { BATCH, batches, bits, CLASSES, calls, epochs, FEATURES, held, labels, values, x } from "./ways.js";

/** Schedules of arithmetic and square roots, which IEEE 754 defines to the bit. */
const inverseRoot = (rate) => (step) => rate / Math.sqrt(step);
const stairs = (rate) => (step) => rate / (1 + Math.floor(step / 4));

/** Each: a model, how it is compiled, and how it is trained. */
export function describeChains(steepest) {
  const { adam, binaryCrossEntropy, crossEntropy, dense, dropout, elu, flatten, gelu, halfSquaredError } = steepest;
  const { hinge, huber, identity, leakyRelu, logSoftmax, meanAbsoluteError, meanSquaredError, perceptron } = steepest;
  const { relu, sequential, sgd, sigmoid, silu, softmax, softplus, step, tanh } = steepest;
  const input = { input: [FEATURES] };
  return {
    "dropout and validation": {
      model: sequential({ input: [8, 8] }, flatten(), dense(512), relu(), dropout(0.25), dense(128), relu(), dense(10)),
      options: { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] },
      ...epochs(2, { x, y: labels }, { batchSize: BATCH, validation: { x: held.x, y: held.labels } }),
    },
    distributions: {
      model: sequential(
        input,
        dense(512, { weightInitializer: steepest.lecunNormal() }),
        tanh(),
        dense(128, { weightInitializer: steepest.orthogonal() }),
        gelu(),
        dense(CLASSES, { weightInitializer: steepest.lecunUniform() }),
      ),
      options: {
        loss: crossEntropy({ targets: "distributions", reduction: "sum" }),
        optimizer: sgd({ learningRate: 0.002, momentum: 0.9 }),
        metrics: ["accuracy"],
      },
      ...calls([10, 10], { x, y: oneHot(CLASSES, labels) }, { batchSize: BATCH }),
    },
    "binary from logits": {
      model: sequential(
        input,
        dense(512, { weightInitializer: steepest.heNormal(), biasInitializer: steepest.constantValue(0.01) }),
        silu(),
        dropout(0.5),
        dense(CLASSES),
      ),
      options: {
        loss: binaryCrossEntropy(),
        optimizer: sgd({ learningRate: stairs(0.5), momentum: 0.8, nesterov: true }),
        metrics: ["accuracy"],
      },
      ...epochs(3, { x, y: bits }, { batchSize: BATCH }),
    },
    "binary from probabilities": {
      model: sequential(input, dense(512, { weightInitializer: steepest.heUniform() }), elu(), dense(10), sigmoid()),
      options: {
        loss: binaryCrossEntropy({ from: "probabilities" }),
        optimizer: adam({ learningRate: 0.003, beta1: 0.8, beta2: 0.99, epsilon: 1e-6 }),
        metrics: ["meanSquaredError", "meanAbsoluteError"],
      },
      ...epochs(2, { x, y: bits }, { batchSize: 50, shuffle: false }),
    },
    "groups, clipped and averaged, three batches a step": {
      model: sequential(input, dense(512), tanh(), dropout(0.2), dense(CLASSES)),
      options: {
        loss: crossEntropy(),
        optimizer: steepest.clipByGlobalNorm(
          0.5,
          steepest.averaged(
            steepest.groups({
              "*.bias": steepest.clipByValue(0.01, sgd({ learningRate: stairs(0.1) })),
              "*": steepest.clipByNorm(0.3, adam({ learningRate: inverseRoot(0.01) })),
            }),
            { decay: 0.8 },
          ),
        ),
        accumulate: 3,
        metrics: ["accuracy"],
      },
      ...epochs(2, { x, y: labels }, { batchSize: 16 }),
    },
    hinge: {
      model: sequential(
        input,
        dense(512, { weightInitializer: steepest.glorotNormal(), bias: false }),
        leakyRelu({ negativeSlope: 0.1 }),
        dense(CLASSES),
      ),
      options: { loss: hinge(), optimizer: sgd({ learningRate: 0.1 }), metrics: ["accuracy"] },
      ...batches(12, { x, y: bits.map((bit) => 2 * bit - 1) }, { x: [FEATURES], y: [CLASSES] }),
    },
    perceptron: {
      model: sequential(input, dense(512), step(), dense(CLASSES, { weightInitializer: steepest.zeros() })),
      options: { loss: perceptron({ reduction: "sum" }), optimizer: sgd({ learningRate: 1 }), metrics: ["accuracy"] },
      ...epochs(3, { x, y: bits }, { batchSize: BATCH }),
    },
    "huber with a schedule": {
      model: sequential(
        input,
        dense(512, { weightInitializer: steepest.uniform({ low: -0.2, high: 0.2 }) }),
        softplus(),
        dense(512),
        gelu({ approximate: "tanh" }),
        dense(CLASSES),
      ),
      options: { loss: huber({ delta: 0.5 }), optimizer: adam({ learningRate: inverseRoot(0.002) }) },
      ...calls([7, 5], { x, y: values }, { batchSize: BATCH }),
    },
    "softmax inside": {
      model: sequential(
        input,
        dense(512, { weightInitializer: steepest.normal({ standardDeviation: 0.3 }) }),
        softmax(),
        dense(CLASSES, { weightInitializer: steepest.ones() }),
      ),
      options: { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.1, momentum: 0.5 }) },
      ...epochs(2, { x, y: values }, { batchSize: BATCH }),
    },
    "log softmax at the end": {
      model: sequential(
        input,
        dense(512, { weightInitializer: steepest.glorotUniform() }),
        identity(),
        dense(10),
        logSoftmax(),
      ),
      options: { loss: halfSquaredError({ reduction: "sum" }), optimizer: sgd({ learningRate: 0.0005 }) },
      ...batches(10, { x, y: values }, { x: [FEATURES], y: [CLASSES] }),
    },
    "absolute error": {
      model: sequential(input, dense(512), tanh(), dropout(0.1), dense(CLASSES)),
      options: { loss: meanAbsoluteError(), optimizer: adam({ learningRate: 0.01 }) },
      ...epochs(2, { x, y: values }, { batchSize: 70 }),
    },
    "many small steps": {
      model: sequential({ input: [2] }, dense(8), tanh(), dense(1)),
      options: { loss: binaryCrossEntropy(), optimizer: sgd({ learningRate: 0.5, momentum: 0.9 }) },
      samples: Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1),
      ...calls([1500, 1500], { x: Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1), y: [[0], [1], [1], [0]] }),
    },
  };
}
