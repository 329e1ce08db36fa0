// Records models of TensorFlow.js with what they predict, in test/golden/tensorFlowJs.json:
//   npm install --prefix test/keras && node test/keras/record.mjs
import { writeFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
const { layers } = tf;

let state = 12345;
/** Numbers within ±scale, from a seed. */
const random = (scale = 1) => {
  state = (state * 48271) % 2147483647;
  return ((state / 2147483647) * 2 - 1) * scale;
};
const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);
/** Seven digits are all that a float32 has. */
const rounded = (data) => Array.from(data, (value) => Number(value.toPrecision(9)));

/** Other weights than the first, that nothing is symmetrical or zero; variances are positive. */
function scramble(model) {
  const names = model.weights.map(({ name }) => name);
  model.setWeights(
    model.getWeights().map((weight, index) => {
      const isVariance = /variance/.test(names[index]);
      const data = Float32Array.from({ length: weight.size }, () => (isVariance ? 0.75 + random(0.5) : random(0.6)));
      return tf.tensor(data, weight.shape);
    }),
  );
}

const recorded = {};
/** @param ranges By input: numbers within ±1, or whole numbers below a bound. */
async function record(name, model, { below = {}, batch = 3, like } = {}) {
  if (like === undefined) scramble(model);
  else model.setWeights(like.model.getWeights());
  const inputs = model.inputs.map((input, index) => {
    const shape = [batch, ...input.shape.slice(1).map((size) => size ?? 5)];
    const bound = below[index];
    const data = Float32Array.from({ length: sizeOf(shape) }, () =>
      bound === undefined ? Math.fround(random()) : Math.floor((random() / 2 + 0.5) * bound),
    );
    return { name: input.name, shape, data: like?.data ?? data };
  });
  const made = model.predict(inputs.map(({ data, shape }) => tf.tensor(data, shape)));
  const outputs = [made].flat().map((tensor) => ({ shape: tensor.shape, data: rounded(tensor.dataSync()) }));
  let artifacts;
  await model.save(
    tf.io.withSaveHandler(async (given) => {
      artifacts = given;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    }),
  );
  recorded[name] = {
    json: {
      format: "layers-model",
      generatedBy: artifacts.generatedBy,
      modelTopology: artifacts.modelTopology,
      weightsManifest: [{ paths: ["weights.bin"], weights: artifacts.weightSpecs }],
    },
    weights: Buffer.from(artifacts.weightData).toString("base64"),
    inputs: inputs.map(({ name, shape, data }) => ({ name, shape, data: rounded(data) })),
    outputs,
  };
}

const chain = (...list) => tf.sequential({ layers: list });

await record(
  "dense",
  chain(
    layers.dense({ units: 5, inputShape: [4], activation: "relu", name: "first" }),
    layers.dropout({ rate: 0.5 }),
    layers.leakyReLU({}),
    layers.dense({ units: 6, useBias: false }),
    layers.elu({}),
    layers.dense({ units: 3, activation: "softmax" }),
  ),
);
{
  const x = tf.input({ shape: [3], name: "x" });
  const names = [
    ...["linear", "relu", "relu6", "sigmoid", "hardSigmoid", "tanh", "softmax", "logSoftmax", "softplus", "softsign"],
    ...["elu", "selu", "swish", "mish", "gelu", "gelu_new"],
  ];
  const outputs = names.map((activation) => layers.dense({ units: 4, activation, name: `by_${activation}` }).apply(x));
  await record("activations", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }));
}
{
  const x = tf.input({ shape: [4, 3], name: "x" });
  const all = [
    layers.reLU({ maxValue: 0.5 }),
    layers.leakyReLU({ alpha: 0.2 }),
    layers.prelu({ name: "slopes" }),
    layers.prelu({ sharedAxes: [1], name: "shared" }),
    layers.elu(),
    layers.thresholdedReLU({ theta: 0.3 }),
    layers.softmax({ axis: -1 }),
    layers.activation({ activation: "tanh" }),
    layers.gaussianNoise({ stddev: 1 }),
    layers.gaussianDropout({ rate: 0.2 }),
    layers.alphaDropout({ rate: 0.2 }),
    layers.spatialDropout1d({ rate: 0.2 }),
    layers.layerNormalization({ name: "rows" }),
    layers.layerNormalization({ axis: [1, 2], epsilon: 0.1, name: "samples" }),
    layers.layerNormalization({ scale: false, name: "unscaled" }),
    layers.batchNormalization({ name: "batches" }),
    layers.batchNormalization({ center: false, epsilon: 0.05, momentum: 0.8, name: "uncentred" }),
    layers.batchNormalization({ center: false, scale: false, trainable: false, name: "frozen" }),
  ].map((layer) => layer.apply(x));
  await record("elements", tf.model({ inputs: x, outputs: layers.concatenate().apply(all) }));
}
await record(
  "images",
  chain(
    layers.conv2d({
      filters: 4,
      kernelSize: 3,
      inputShape: [11, 10, 2],
      padding: "same",
      strides: 2,
      activation: "relu",
    }),
    layers.batchNormalization({}),
    layers.maxPooling2d({ poolSize: 3, strides: 2, padding: "same" }),
    layers.conv2d({ filters: 3, kernelSize: [2, 3], dilationRate: 1, padding: "same" }),
    layers.averagePooling2d({ poolSize: [2, 2], strides: [1, 1], padding: "same" }),
    layers.flatten(),
    layers.dense({ units: 2 }),
  ),
);
{
  const x = tf.input({ shape: [7, 8, 3], name: "image" });
  const flat = (...list) => list.reduce((y, layer) => layer.apply(y), x);
  const outputs = [
    flat(layers.conv2d({ filters: 2, kernelSize: 3, dilationRate: 2 }), layers.flatten()),
    flat(layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: "same", strides: 2 }), layers.flatten()),
    flat(
      layers.separableConv2d({ filters: 4, kernelSize: 3, depthMultiplier: 2, activation: "tanh" }),
      layers.flatten(),
    ),
    flat(layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: "same" }), layers.flatten()),
    flat(
      layers.conv2dTranspose({ filters: 2, kernelSize: [4, 3], strides: [2, 1], padding: "valid" }),
      layers.flatten(),
    ),
    flat(layers.conv2dTranspose({ filters: 2, kernelSize: 2, strides: 3, padding: "valid" }), layers.flatten()),
    flat(
      layers.zeroPadding2d({
        padding: [
          [1, 2],
          [0, 3],
        ],
      }),
      layers.flatten(),
    ),
    flat(
      layers.cropping2D({
        cropping: [
          [1, 2],
          [0, 3],
        ],
      }),
      layers.flatten(),
    ),
    flat(layers.upSampling2d({ size: [2, 3] }), layers.flatten()),
    flat(layers.upSampling2d({ size: [2, 2], interpolation: "bilinear" }), layers.flatten()),
    flat(layers.rescaling({ scale: 0.5, offset: -1 }), layers.flatten()),
    flat(layers.globalAveragePooling2d({})),
    flat(layers.globalMaxPooling2d({})),
    flat(layers.maxPooling2d({}), layers.flatten()),
  ];
  await record("pictures", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }), { batch: 2 });
}
{
  const x = tf.input({ shape: [9, 3], name: "sequence" });
  const flat = (...list) => list.reduce((y, layer) => layer.apply(y), x);
  const outputs = [
    flat(layers.conv1d({ filters: 4, kernelSize: 3, padding: "valid", dilationRate: 2 }), layers.flatten()),
    flat(layers.conv1d({ filters: 2, kernelSize: 4, padding: "same", strides: 3 }), layers.flatten()),
    flat(layers.maxPooling1d({ poolSize: 3, strides: 2, padding: "same" }), layers.flatten()),
    flat(layers.averagePooling1d({ poolSize: 2, padding: "same" }), layers.flatten()),
    flat(layers.globalAveragePooling1d({})),
    flat(layers.globalMaxPooling1d({})),
    flat(layers.permute({ dims: [2, 1] }), layers.reshape({ targetShape: [9, 3] }), layers.flatten()),
    flat(layers.timeDistributed({ layer: layers.dense({ units: 2, activation: "relu" }) }), layers.flatten()),
    flat(layers.globalMaxPooling1d({}), layers.repeatVector({ n: 2 }), layers.flatten()),
  ];
  await record("sequences", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }));
}
await record(
  "volumes",
  chain(
    layers.conv3d({ filters: 3, kernelSize: [2, 3, 3], inputShape: [4, 5, 6, 2], padding: "same", activation: "relu" }),
    layers.maxPooling3d({ poolSize: 2, padding: "same" }),
    layers.averagePooling3d({ poolSize: 2, strides: 1, padding: "same" }),
    layers.conv3dTranspose({ filters: 2, kernelSize: 2, strides: 2 }),
    layers.flatten(),
    layers.dense({ units: 3 }),
  ),
);
{
  const x = tf.input({ shape: [6], name: "words" });
  const seen = layers.embedding({ inputDim: 10, outputDim: 4, name: "table" }).apply(x);
  const list = [
    layers.lstm({ units: 3 }),
    layers.lstm({ units: 3, recurrentActivation: "sigmoid", goBackwards: true, useBias: false, dropout: 0.3 }),
    layers.gru({ units: 3, recurrentDropout: 0.2 }),
    layers.gru({ units: 3, recurrentActivation: "sigmoid", activation: "relu" }),
    layers.simpleRNN({ units: 4, activation: "relu" }),
    layers.bidirectional({ layer: layers.lstm({ units: 2 }), mergeMode: "concat" }),
    layers.bidirectional({ layer: layers.gru({ units: 2 }), mergeMode: "ave" }),
    layers.bidirectional({ layer: layers.simpleRNN({ units: 2 }), mergeMode: "mul" }),
  ];
  const outputs = list.map((layer) => layer.apply(seen));
  const steps = [
    layers.lstm({ units: 2, returnSequences: true, goBackwards: true }),
    layers.bidirectional({ layer: layers.lstm({ units: 2, returnSequences: true }), mergeMode: "sum" }),
  ];
  outputs.push(...steps.map((layer) => layers.flatten().apply(layer.apply(seen))));
  await record("recurrent", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }), {
    below: { 0: 10 },
  });
}
{
  // As Keras 3 has them by default, but for the place of the GRU's reset.
  const x = tf.input({ shape: [5], name: "words" });
  const seen = layers.embedding({ inputDim: 7, outputDim: 3, name: "table" }).apply(x);
  const list = [
    layers.lstm({ units: 2, recurrentActivation: "sigmoid" }),
    layers.gru({ units: 2, recurrentActivation: "sigmoid" }),
    layers.simpleRNN({ units: 2 }),
    layers.bidirectional({ layer: layers.lstm({ units: 2, recurrentActivation: "sigmoid" }), mergeMode: "concat" }),
  ];
  const steps = layers.lstm({ units: 2, recurrentActivation: "sigmoid", returnSequences: true, goBackwards: true });
  const outputs = [...list.map((layer) => layer.apply(seen)), layers.flatten().apply(steps.apply(seen))];
  await record("gates", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }), { below: { 0: 7 } });
}
{
  const [a, b] = ["a", "b"].map((name) => tf.input({ shape: [5, 3], name }));
  const shared = layers.dense({ units: 3, name: "shared" });
  const [x, y] = [shared.apply(a), shared.apply(b)];
  const joins = [
    layers.add(),
    layers.multiply(),
    layers.average(),
    layers.maximum(),
    layers.minimum(),
    layers.concatenate({ axis: 1 }),
  ].map((layer) => layers.flatten().apply(layer.apply([x, y])));
  const dots = [
    layers.dot({ axes: 2 }).apply([x, y]),
    layers.dot({ axes: [1, 1] }).apply([x, y]),
    layers.dot({ axes: -1, normalize: true }).apply([x, y]),
  ].map((one) => layers.flatten().apply(one));
  const rows = layers.dot({ axes: 1 }).apply([layers.flatten().apply(a), layers.flatten().apply(b)]);
  const all = layers.concatenate().apply([...joins, ...dots, rows]);
  const other = layers.dense({ units: 2, name: "other" }).apply(layers.flatten().apply(y));
  await record("joined", tf.model({ inputs: [a, b], outputs: [all, other] }));
}
{
  const encoder = chain(
    layers.dense({ units: 4, inputShape: [3], activation: "tanh", name: "same" }),
    layers.dense({ units: 2, name: "second" }),
  );
  const z = tf.input({ shape: [2], name: "z" });
  const decoder = tf.model({ inputs: z, outputs: layers.dense({ units: 3, name: "third" }).apply(z), name: "decoder" });
  const x = tf.input({ shape: [3], name: "x" });
  const first = decoder.apply(encoder.apply(x));
  const twice = decoder.apply(encoder.apply(first));
  await record("nested", tf.model({ inputs: x, outputs: layers.add().apply([first, twice]) }));
}
{
  // Masks: of words, and of steps whose features are all of one value. The first sample has padding at its end and within.
  const words = tf.input({ shape: [6], name: "words" });
  const seen = layers.embedding({ inputDim: 4, outputDim: 4, maskZero: true, name: "table" }).apply(words);
  const recurrentActivation = "sigmoid";
  const flat = (x) => layers.flatten().apply(x);
  const dense = layers
    .dense({ units: 3, activation: "tanh", name: "between" })
    .apply(layers.dropout({ rate: 0.1 }).apply(seen));
  const sequences = { units: 2, returnSequences: true, recurrentActivation };
  const inner = tf.input({ shape: [6, 3], name: "inner" });
  const within = tf.model({
    inputs: inner,
    outputs: layers.gru({ units: 2, recurrentActivation: "sigmoid" }).apply(inner),
    name: "within",
  });
  const outputs = [
    layers.lstm({ units: 3, recurrentActivation }).apply(seen),
    layers.gru({ units: 3, goBackwards: true, recurrentActivation }).apply(dense),
    layers.simpleRNN({ units: 3 }).apply(layers.lstm(sequences).apply(seen)),
    flat(layers.lstm(sequences).apply(seen)),
    flat(layers.gru({ ...sequences, goBackwards: true }).apply(seen)),
    layers.bidirectional({ layer: layers.lstm({ units: 2, recurrentActivation }), mergeMode: "concat" }).apply(dense),
    within.apply(dense),
  ];
  await record("masks", tf.model({ inputs: words, outputs: layers.concatenate().apply(outputs) }), { below: { 0: 4 } });
}
{
  const x = tf.input({ shape: [5, 2], name: "steps" });
  const seen = layers.masking({ maskValue: 1, name: "hole" }).apply(x);
  const sums = layers.bidirectional({
    layer: layers.simpleRNN({ units: 2, returnSequences: true }),
    mergeMode: "sum",
  });
  const cell = (one) => layers.rnn({ cell: one, returnSequences: false });
  const outputs = [
    layers.flatten().apply(sums.apply(seen)),
    layers.flatten().apply(seen),
    cell(layers.lstmCell({ units: 2, recurrentActivation: "sigmoid" })).apply(seen),
    cell(layers.gruCell({ units: 2 })).apply(x),
    cell(layers.simpleRNNCell({ units: 3 })).apply(x),
  ];
  await record("holes", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }), { below: { 0: 2 } });
}
{
  const x = tf.input({ shape: [3, 5, 4, 2], name: "film" });
  const recurrentActivation = "sigmoid";
  const flat = (...list) => list.reduce((y, layer) => layer.apply(y), x);
  const outputs = [
    flat(layers.convLstm2d({ filters: 2, kernelSize: 3, recurrentActivation }), layers.flatten()),
    flat(
      layers.convLstm2d({
        ...{ filters: 3, kernelSize: [2, 3], recurrentActivation, padding: "same", strides: 2 },
        ...{ returnSequences: true, goBackwards: true, useBias: false },
      }),
      layers.flatten(),
    ),
  ];
  await record("film", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }), { batch: 2 });
}
{
  // Resizing cannot be applied in TensorFlow.js 4.22, and behind a crop shapes are wrong.
  const x = tf.input({ shape: [6, 7, 2], name: "picture" });
  await record("crop", tf.model({ inputs: x, outputs: layers.centerCrop({ height: 3, width: 4 }).apply(x) }), {
    batch: 2,
  });
}
{
  const x = tf.input({ shape: [4], name: "kinds" });
  const outputs = [
    layers.categoryEncoding({ numTokens: 5, outputMode: "multiHot" }).apply(x),
    layers.categoryEncoding({ numTokens: 5, outputMode: "count" }).apply(x),
  ];
  await record("kinds", tf.model({ inputs: x, outputs: layers.concatenate().apply(outputs) }), { below: { 0: 5 } });
}
{
  // A mask that comes out of a model within: in TensorFlow.js it ends there. "spelled" has the same layers without that model.
  const inner = tf.input({ shape: [5], name: "inner" });
  const seen = layers.embedding({ inputDim: 3, outputDim: 3, maskZero: true, name: "table" }).apply(inner);
  const states = layers.lstm({ units: 2, returnSequences: true, recurrentActivation: "sigmoid" }).apply(seen);
  const speller = tf.model({ inputs: inner, outputs: states, name: "speller" });
  const x = tf.input({ shape: [5], name: "words" });
  const nested = tf.model({ inputs: x, outputs: layers.simpleRNN({ units: 3 }).apply(speller.apply(x)) });
  await record("speller", nested, { below: { 0: 3 } });
  const flat = tf.model({ inputs: inner, outputs: layers.simpleRNN({ units: 3 }).apply(states) });
  await record("spelled", flat, { below: { 0: 3 }, like: { model: nested, data: recorded.speller.inputs[0].data } });
}
{
  // Weights of fewer bytes, as the converter can make them; predictions are those of what they stand for.
  const { json, weights, inputs } = recorded.dense;
  const bytes = new Uint8Array(Buffer.from(weights, "base64"));
  const parts = [];
  let at = 0;
  const kinds = ["uint8", "uint16", "float16"];
  const specs = json.weightsManifest[0].weights.map((spec, index) => {
    const values = new Float32Array(bytes.slice(at, at + 4 * sizeOf(spec.shape)).buffer);
    at += values.byteLength;
    const dtype = kinds[index % 3];
    if (dtype === "float16") {
      // Halves that are whole eighths have their bits by hand.
      const bits = Uint16Array.from(values, (value) => {
        const eighths = Math.max(1, Math.round(Math.abs(value) * 8));
        const exponent = Math.floor(Math.log2(eighths));
        return (value < 0 ? 0x8000 : 0) | ((exponent - 3 + 15) << 10) | ((eighths / 2 ** exponent - 1) * 1024);
      });
      parts.push(Buffer.from(bits.buffer));
      return { ...spec, quantization: { dtype, original_dtype: "float32" } };
    }
    const [min, max] = [Math.min(...values), Math.max(...values)];
    const steps = dtype === "uint8" ? 255 : 65535;
    const scale = (max - min) / steps || 1;
    const stored = (dtype === "uint8" ? Uint8Array : Uint16Array).from(values, (value) =>
      Math.round((value - min) / scale),
    );
    parts.push(Buffer.from(stored.buffer));
    return { ...spec, quantization: { dtype, original_dtype: "float32", scale, min } };
  });
  const data = Buffer.concat(parts);
  const quantized = { ...json, weightsManifest: [{ paths: ["a.bin", "b.bin"], weights: specs }] };
  const weightData = new Uint8Array(data).buffer;
  const model = await tf.loadLayersModel({
    load: async () => ({ modelTopology: json.modelTopology, weightSpecs: specs, weightData }),
  });
  const made = model.predict(tf.tensor(inputs[0].data, inputs[0].shape));
  const outputs = [{ shape: made.shape, data: rounded(made.dataSync()) }];
  recorded.quantized = { json: quantized, weights: data.toString("base64"), inputs, outputs };
}

const lines = Object.entries(recorded).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
writeFileSync(new URL("../golden/tensorFlowJs.json", import.meta.url), `{\n${lines.join(",\n")}\n}\n`);
console.log(Object.keys(recorded).length, "models");
