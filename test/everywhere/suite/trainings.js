// The trainings whose every bit is compared. Each uses other layers, losses, initializers and optimizers; the layers
// are wide enough for eight threads: a product of 64 samples, 64 inputs and 512 units is worth waking 32.
import { expect } from "./checks.js";
import { createDigest, integers, oneHot, sameBits, uniform } from "./numbers.js";

const FEATURES = 64;
const CLASSES = 10;
const BATCH = 64;
// Two batches and a ragged third one.
const SAMPLES = 150;

const x = uniform(SAMPLES * FEATURES, -1, 1, 31);
const labels = integers(SAMPLES, CLASSES, 32);
const bits = Float32Array.from(integers(SAMPLES * CLASSES, 2, 33));
const values = uniform(SAMPLES * CLASSES, -1, 1, 34);
const held = { x: uniform(40 * FEATURES, -1, 1, 35), labels: integers(40, CLASSES, 36) };

/** Schedules of arithmetic and square roots, which IEEE 754 defines to the bit. */
const inverseRoot = (rate) => (step) => rate / Math.sqrt(step);
const stairs = (rate) => (step) => rate / (1 + Math.floor(step / 4));

// How a model is trained: in `parts`, of which `train` does those from `begin` to before `end`; it resolves to whatever
// numbers came by. So a training can be stopped between two parts, and gone on with in another trainer.

/** fit(): losses and scores of each epoch. */
function epochs(parts, data, options) {
  const train = async (trainer, begin, end) => {
    const numbers = [];
    const fit = trainer.fit(data, { ...options, epochs: end - begin });
    for await (const { epoch, step, loss, accuracy = 0, validation } of fit) {
      numbers.push(epoch, step, loss, accuracy, validation?.loss ?? 0, validation?.accuracy ?? 0);
    }
    return numbers;
  };
  return { parts, train };
}

/** trainBatch(): the batches one after the other. */
function batches(parts, data, targets) {
  const train = async (trainer, begin, end) => {
    const losses = [];
    for (let step = begin; step < end; step++) {
      const first = (step * 48) % (SAMPLES - BATCH);
      const rows = (all, size) => all.subarray(first * size, (first + BATCH) * size);
      losses.push(await trainer.trainBatch({ x: rows(data.x, FEATURES), y: rows(data.y, targets) }));
    }
    return losses;
  };
  return { parts, train };
}

/** trainSteps(): calls of so many steps. Each begins a pass over the samples, so two calls are not one of twice as many. */
function calls(steps, data, options) {
  const train = async (trainer, begin, end) => {
    const losses = [];
    for (const count of steps.slice(begin, end)) {
      losses.push(...(await trainer.trainSteps(data, { ...options, steps: count })));
    }
    return losses;
  };
  return { parts: steps.length, train };
}

/** Each: a model, how it is compiled, and how it is trained. */
function describeTrainings(steepest) {
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
    hinge: {
      model: sequential(
        input,
        dense(512, { weightInitializer: steepest.glorotNormal(), bias: false }),
        leakyRelu({ negativeSlope: 0.1 }),
        dense(CLASSES),
      ),
      options: { loss: hinge(), optimizer: sgd({ learningRate: 0.1 }), metrics: ["accuracy"] },
      ...batches(12, { x, y: bits.map((bit) => 2 * bit - 1) }, CLASSES),
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
      ...batches(10, { x, y: values }, CLASSES),
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

/** What steepest exports beside layers, losses, optimizers and initializers. */
const OTHERS = [
  ...["checkGradients", "compile", "compileSync", "createEngine", "createEngineSync"],
  ...["gradientDescent", "learningRateAt", "numericalGradient"],
  ...["DataError", "DivergenceError", "MemoryError", "ModelError", "SteepestError", "ThreadError"],
];

async function runTraining({ steepest, io }, training, kit) {
  const { model, options, samples = x, parts, train } = training;
  const compileAgain = (seed) => steepest.compile(model, { ...options, seed, engine: kit.engine });
  const trainer = await compileAgain(7);
  const numbers = await train(trainer, 0, parts);
  const predictions = await trainer.predict(samples);
  expect(predictions.every(Number.isFinite), "predictions are not finite");
  const digest = digestOf(numbers, predictions, trainer);
  if (io !== undefined) await checkSaving(io, trainer, await compileAgain(8), samples, predictions);
  const resumed = await resume(io, training, compileAgain);
  expect(resumed === digest, `its digest is ${digest}, and ${resumed} where it was stopped, saved and resumed`);
  trainer.dispose();
  return digest;
}

/** The training in two halves: the second by another trainer, of another seed, from a checkpoint (its bytes, with io). */
async function resume(io, { samples = x, parts, train }, compileAgain) {
  const half = Math.ceil(parts / 2);
  const first = await compileAgain(7);
  const numbers = await train(first, 0, half);
  const checkpoint = first.checkpoint();
  const bytes = io?.encodeCheckpoint(checkpoint);
  first.dispose();
  const second = await compileAgain(8);
  second.restore(bytes === undefined ? checkpoint : io.decodeCheckpoint(bytes));
  numbers.push(...(await train(second, half, parts)));
  const digest = digestOf(numbers, await second.predict(samples), second);
  second.dispose();
  return digest;
}

/** Of what a training came to. */
function digestOf(numbers, predictions, trainer) {
  const digest = createDigest();
  for (const number of numbers) digest.add(number);
  digest.add(predictions);
  for (const { data } of trainer.parameters().values()) digest.add(data);
  return digest.text();
}

/** Weights that were saved and loaded have the same bits, and so has what they predict. */
async function checkSaving({ encodeWeights, decodeWeights }, trainer, fresh, samples, predictions) {
  decodeWeights(fresh, encodeWeights(trainer));
  for (const [path, { data }] of trainer.parameters()) {
    expect(sameBits(data, fresh.parameters().get(path).data), `"${path}" changed when it was saved and loaded`);
  }
  expect(sameBits(predictions, await fresh.predict(samples)), "loaded weights predict something else");
  fresh.dispose();
}

/** Runs all; resolves to each one's digest. */
export async function runTrainings(modules, kit, checks) {
  const used = new Set();
  const watched = new Proxy(
    { ...modules.steepest },
    {
      get(exported, name) {
        used.add(name);
        return exported[name];
      },
    },
  );
  const trainings = describeTrainings(watched);
  const digests = {};
  for (const [name, training] of Object.entries(trainings)) {
    const digest = await checks.check(`training: ${name}`, () => runTraining(modules, training, kit));
    if (digest !== undefined) digests[name] = digest;
  }
  await checks.check("trainings: every layer, loss, optimizer and initializer is in one", () => {
    const missing = Object.keys(modules.steepest).filter((name) => !used.has(name) && !OTHERS.includes(name));
    expect(missing.length === 0, `test/everywhere/suite/trainings.js does not use ${missing.join(", ")}`);
  });
  return digests;
}

/** The synchronous forms, where there are some, give the bits of the asynchronous ones. */
export async function checkSynchronous({ steepest }, kit, digests, checks) {
  const name = "synchronous forms";
  if (!kit.synchronous) {
    checks.skip(name, "this runtime cannot load the kernels synchronously");
    return;
  }
  await checks.check(name, () => {
    const { model, options } = describeTrainings(steepest)["dropout and validation"];
    const trainer = steepest.compileSync(model, { ...options, seed: 7, build: kit.build });
    const validation = { x: held.x, y: held.labels };
    const results = trainer.fitSync({ x, y: labels }, { epochs: 2, batchSize: BATCH, validation });
    const numbers = results.flatMap(({ epoch, step, loss, accuracy, validation }) => {
      return [epoch, step, loss, accuracy, validation.loss, validation.accuracy];
    });
    const digest = digestOf(numbers, trainer.predictSync(x), trainer);
    trainer.dispose();
    expect(digest === digests["dropout and validation"], "the synchronous forms give other bits");
  });
}
