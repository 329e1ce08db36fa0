// Models that are no chain, layers of one's own, gates, noise, and what keeps weights small. The branches are brought
// together by operations of steepest/graph.
import {
  BATCH,
  batches,
  bits,
  CLASSES,
  calls,
  epochs,
  FEATURES,
  first,
  IMAGE,
  images,
  labels,
  positions,
  SAMPLES,
  SEQUENCE,
  second,
  sequences,
  values,
  x,
} from "./ways.js";

const input = { input: [FEATURES] };

/** Chains, which need no operation besides. */
export function describeGatesAndNoise(steepest) {
  const { adam, alphaDropout, crossEntropy, dense, gaussianDropout, gaussianNoise, geglu, huber, lecunNormal } =
    steepest;
  const { l1, l1l2, l2, maxNorm, meanSquaredError, minMaxNorm, nonNegative, reglu, relu, selu } = steepest;
  const { sequential, sgd, softplus, unitNorm } = steepest;
  return {
    gates: {
      model: sequential(
        input,
        dense(512),
        steepest.glu(),
        dense(512),
        steepest.swiglu(),
        dense(256),
        reglu(),
        dense(256),
        geglu(),
        dense(128),
        geglu({ approximate: "tanh" }),
        steepest.prelu({ perChannel: true }),
        dense(CLASSES),
      ),
      options: { loss: huber(), optimizer: adam() },
      ...calls([2, 2], { x, y: values }, { batchSize: BATCH }),
    },
    "noise at every step": {
      model: sequential(
        input,
        gaussianNoise(0.1),
        dense(512, { weightInitializer: lecunNormal() }),
        selu(),
        alphaDropout(0.1),
        dense(128, { weightInitializer: lecunNormal() }),
        selu(),
        gaussianDropout(0.3),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }) },
      ...epochs(2, { x, y: labels }, { batchSize: BATCH }),
    },
    "regularizers and constraints": {
      model: sequential(
        input,
        dense(512, { weightRegularizer: l1(1e-3), weightConstraint: maxNorm(0.9), biasRegularizer: l2() }),
        softplus(),
        dense(64, { weightRegularizer: l2(1e-2), weightConstraint: unitNorm(), biasConstraint: nonNegative() }),
        softplus(),
        steepest.reshape([8, 8, 1]),
        steepest.conv2d(16, 3, {
          weightRegularizer: l1l2({ l1: 1e-3, l2: 1e-2 }),
          weightConstraint: minMaxNorm({ min: 0.5, max: 0.8, rate: 0.7 }),
        }),
        relu(),
        steepest.separableConv2d(16, 3, {
          depthwiseRegularizer: l1(1e-2),
          depthwiseConstraint: nonNegative(),
          pointwiseRegularizer: l2(1e-3),
          pointwiseConstraint: unitNorm({ axis: [1, 2] }),
        }),
        steepest.prelu({ weightRegularizer: l2(0.1), weightConstraint: nonNegative() }),
        steepest.flatten(),
        dense(CLASSES, { weightConstraint: maxNorm(1, { axis: 1 }) }),
      ),
      options: { loss: meanSquaredError(), optimizer: adam({ learningRate: 0.01 }) },
      ...batches(6, { x, y: values }, { x: [FEATURES], y: [CLASSES] }),
    },
  };
}

/** One wide layer, from which each activation of a list goes its own way; the results are averaged. */
const fan = ({ dense, functional }, { average }, activations) =>
  functional(input, (x, { apply }) => {
    const hidden = apply(x, dense(1024));
    return apply(average(activations.map((activation) => apply(hidden, activation))), dense(CLASSES));
  });

function describeActivations(steepest, graph) {
  const { adam, celu, elu, gelu, hardTanh, prelu, softmax, softShrink, threshold } = steepest;
  const { crossEntropy } = steepest;
  const smooth = [
    ...[celu({ alpha: 0.7 }), elu(), gelu(), gelu({ approximate: "tanh" }), steepest.identity()],
    ...[steepest.logSigmoid(), steepest.logSoftmax(), steepest.mish(), steepest.selu(), steepest.sigmoid()],
    ...[steepest.silu(), softmax(), softmax({ axis: 1 }), steepest.softmin(), steepest.softplus(), steepest.softsign()],
    ...[steepest.tanh(), steepest.tanhShrink()],
  ];
  const bent = [
    ...[steepest.hardShrink(), steepest.hardSigmoid(), steepest.hardSwish(), hardTanh({ min: -0.3, max: 0.7 })],
    ...[steepest.leakyRelu(), prelu(), prelu({ perChannel: true }), steepest.relu(), steepest.relu6()],
    ...[softShrink({ lambda: 0.2 }), steepest.step(), threshold({ threshold: 0.1, value: -0.5 })],
  ];
  const options = { loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }) };
  const way = calls([2, 2], { x, y: labels }, { batchSize: BATCH });
  return {
    "smooth activations": { model: fan(steepest, graph, smooth), options, ...way },
    "activations with corners": { model: fan(steepest, graph, bent), options, ...way },
  };
}

function describeBranches(steepest, graph) {
  const { adam, binaryCrossEntropy, conv2d, crossEntropy, dense, dropout, flatten, functional, relu, tanh } = steepest;
  const { abs, add, concatenate, maximum, mul, sub } = graph;
  const encoder = functional({ input: [FEATURES], name: "encoder" }, (x, { apply }) => {
    const hidden = apply(x, dense(256, { name: "first" }), relu());
    return add(hidden, apply(hidden, dense(256, { name: "second" }), tanh()));
  });
  const both = functional({ input: { a: [256], b: [256] } }, ({ a, b }, { apply }) => {
    const shared = dense(64);
    return { product: mul(apply(a, shared), apply(b, shared)), largest: maximum(a, b) };
  });
  const inputs = { first: [FEATURES], second: [FEATURES], picture: IMAGE };
  const model = functional({ input: inputs }, ({ first, second, picture }, { apply }) => {
    const [a, b] = [apply(first, encoder), apply(second, encoder)];
    const { product, largest } = apply({ a, b }, both);
    const seen = apply(picture, conv2d(8, 3, { stride: 2 }), relu(), flatten());
    return {
      digit: apply(concatenate([a, product, largest, seen]), dense(CLASSES, { name: "digit" })),
      same: apply(abs(sub(a, b)), dense(64), relu(), dropout(0.2), dense(1, { name: "same" })),
    };
  });
  const samples = { first: x, second, picture: images };
  const y = { digit: labels, same: bits.subarray(0, SAMPLES) };
  const held = {
    x: { first: first(30, x, [FEATURES]), second: first(30, second, [FEATURES]), picture: first(30, images, IMAGE) },
    y: { digit: labels.subarray(0, 30), same: y.same.subarray(0, 30) },
  };
  const loss = { digit: crossEntropy(), same: binaryCrossEntropy() };
  const options = { loss, lossWeights: { same: 2 }, optimizer: adam(), metrics: ["accuracy"] };
  const way = epochs(2, { x: samples, y }, { batchSize: BATCH, validation: held });
  return {
    "three inputs and two outputs": { model, options, samples, ...way },
    "frozen parts": { model, options: { ...options, frozen: ["encoder.second", "digit.bias"] }, samples, ...way },
  };
}

/** Centred by the batch while training, by a running mean while predicting. */
const centred = ({ defineLayer, ones }, { add, mean, mul, scale, sub }) =>
  defineLayer("centred", (x, { training, parameter, buffer, update }) => {
    const size = [x.shape[1]];
    const running = buffer("mean", size);
    const ofBatch = mean(x, 0);
    update(running, add(scale(running, 0.75), scale(ofBatch, 0.25)));
    return mul(sub(x, training ? ofBatch : running), parameter("scale", size, ones()));
  });

/** Weights of -1 and 1, whose gradient goes straight through (Bengio et al. 2013). */
const signs = ({ defineLayer }, { customGradient, matmul, scale, shift, step }) =>
  defineLayer("signs", (x, { parameter }, { units }) => {
    const weight = parameter("weight", [x.shape[1], units]);
    const sign = customGradient(
      [weight],
      (w) => shift(scale(step(w), 2), -1),
      (gradient) => gradient,
    );
    return scale(matmul(x, sign), 1 / 16);
  });

/** What a row of 8 parts makes of itself by looking at its parts, their order and their sizes. */
const looking = ({ defineLayer }, graph) =>
  defineLayer("looking", (x, { training, randomness, parameter }) => {
    const [batch, size] = x.shape;
    const parts = graph.reshape(x, [batch, 8, size / 8]);
    const [query, key, value] = graph.split(graph.matmul(parts, parameter("weight", [size / 8, (3 * size) / 8])), 3);
    const weights = graph.softmax(graph.scale(graph.einsum("bqd,bkd->bqk", query, key), 0.2));
    const seen = graph.add(parts, graph.einsum("bqk,bkd->bqd", weights, value));
    const noise = training ? graph.randomUniform(seen.shape, { ...randomness(), low: -0.1, high: 0.1 }) : 0;
    const { values: most } = graph.topK(seen, 4);
    const sums = graph.cumulativeSum(graph.sort(graph.add(seen, noise), { axis: 1 }).values, 1);
    const spread = graph.standardDeviation(seen, 2);
    const table = graph.gather(parameter("table", [size / 8, 6]), graph.argmax(seen));
    const all = [sums, most, graph.flip(graph.slice(most, [0, 0, 1]), 2), table].map((part) => graph.flatten(part));
    return graph.concatenate([...all, spread, graph.logSumExp(seen, 2), graph.norm(seen, 2)]);
  });

function describeOwnLayers(steepest, graph) {
  const { adam, crossEntropy, dense, gelu, sequential } = steepest;
  const [center, sign, look] = [centred(steepest, graph), signs(steepest, graph), looking(steepest, graph)];
  return {
    "layers of one's own": {
      model: sequential(
        input,
        dense(256),
        center(),
        gelu(),
        sign({ units: 256, name: "binary" }),
        center(),
        look(),
        dense(CLASSES),
      ),
      options: { loss: crossEntropy(), optimizer: adam() },
      ...epochs(2, { x, y: labels }, { batchSize: BATCH }),
    },
  };
}

/** Images, from where a dense layer has them looked at (Jaderberg et al. 2015). */
const turned = ({ defineLayer, dense, flatten, normal, tanh }, graph) =>
  defineLayer("turned", (x, { apply }) => {
    const weightInitializer = normal({ standardDeviation: 0.02 });
    const change = apply(x, flatten(), dense(16), tanh(), dense(6, { weightInitializer }));
    const still = graph.constant([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    const theta = graph.add(graph.reshape(change, [-1, 2, 3]), still);
    return graph.gridSample(x, graph.affineGrid(theta, x.shape.slice(1, 3)), { padding: "reflection" });
  });

function describePairs(steepest, graph) {
  const { adam, conv2d, crossEntropy, dense, flatten, functional, relu, sequential } = steepest;
  const pair = { a: x, b: second };
  return {
    pairs: {
      model: functional({ input: { a: [FEATURES], b: [FEATURES] } }, ({ a, b }, { apply }) => {
        const shared = dense(24);
        const both = { a: apply(a, shared), b: apply(b, shared) };
        const parts = [
          apply(both, steepest.bilinear(16)),
          graph.expandDims(apply(both, steepest.cosineSimilarity()), -1),
          apply(both, steepest.pairwiseDistance({ keepDims: true })),
        ];
        return apply(graph.concatenate(parts), dense(CLASSES));
      }),
      options: { loss: crossEntropy(), optimizer: adam() },
      samples: pair,
      ...calls([2, 2], { x: pair, y: labels }, { batchSize: BATCH }),
    },
    "images sampled at points": {
      model: sequential({ input: IMAGE }, turned(steepest, graph)(), conv2d(8, 3), relu(), flatten(), dense(CLASSES)),
      options: { loss: crossEntropy(), optimizer: adam() },
      samples: images,
      ...calls([2, 2], { x: images, y: labels }, { batchSize: BATCH }),
    },
  };
}

function describePositions(steepest, graph) {
  const { adam, crossEntropy, defineLoss, defineMetric, dense, sequential, sgd, tanh } = steepest;
  const { add, mean, scale, softplus, square, sub } = graph;
  const logCosh = defineLoss("logCosh", (y, t) => {
    const difference = sub(y, t);
    return mean(sub(add(difference, softplus(scale(difference, -2))), Math.LN2));
  });
  const root = defineMetric("root", ({ prediction, target }) => square(sub(prediction, target)), { finish: Math.sqrt });
  return {
    "a class for each position, some of them left out": {
      model: sequential({ input: SEQUENCE }, dense(64), tanh(), dense(6)),
      options: { loss: crossEntropy({ ignoreIndex: 5 }), optimizer: adam(), metrics: ["accuracy", steepest.topK(2)] },
      samples: sequences,
      ...epochs(2, { x: sequences, y: positions }, { batchSize: BATCH }),
    },
    "a loss and a metric of one's own": {
      model: sequential(input, dense(512), tanh(), dense(CLASSES)),
      options: { loss: logCosh, optimizer: sgd({ learningRate: 0.1 }), metrics: [root, "meanAbsoluteError"] },
      ...epochs(2, { x, y: values }, { batchSize: BATCH }),
    },
  };
}

export const describeModels = (steepest, graph) => ({
  ...describeActivations(steepest, graph),
  ...describeBranches(steepest, graph),
  ...describeOwnLayers(steepest, graph),
  ...describePositions(steepest, graph),
  ...describePairs(steepest, graph),
});
