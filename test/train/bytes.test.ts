// Inputs of bytes take a byte a value in memory, and train with the bits of the same numbers as float32.
import {
  adam,
  checkGradients,
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  DataError,
  DivergenceError,
  dense,
  type Engine,
  embedding,
  flatten,
  functional,
  meanSquaredError,
  sequential,
  sgd,
  tanh,
} from "steepest";
import { concatenate } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const COUNT = 70;
const PIXELS = 37;
const bytes = Uint8Array.from({ length: COUNT * PIXELS }, (_, i) => (i * 97 + (i >> 3)) & 255);
const labels = Uint8Array.from({ length: COUNT }, (_, i) => bytes[i * PIXELS] % 3);
const floatsOf = (scale: number, offset: number): Float32Array =>
  Float32Array.from(bytes, (byte) => Math.fround(byte * Math.fround(scale)) + Math.fround(offset));

const network = (on: Engine = engine) => ({
  model: sequential({ input: [PIXELS] }, dense(9), tanh(), dense(3)),
  options: { loss: crossEntropy(), optimizer: adam(), seed: 5, metrics: ["accuracy"], engine: on } as const,
});

/** Everything that a trainer comes to with these samples. */
async function resultsOf(x: Uint8Array | Float32Array, scales: { scale?: number; offset?: number }, on?: Engine) {
  const { model, options } = network(on);
  const trainer = await compile(model, options);
  const samples = { x, y: labels, ...scales };
  const epochs = await trainer.fit(samples, { epochs: 3, batchSize: 16, validation: samples });
  const first = { ...samples, x: x.slice(0, 5 * PIXELS), y: labels.slice(0, 5) };
  const losses = [trainer.trainBatchSync(first), ...(await trainer.trainSteps(samples, { steps: 7, batchSize: 16 }))];
  const scores = [trainer.evaluateSync(samples), await trainer.evaluate(samples, { batchSize: 7 })];
  const results = {
    epochs: epochs.map(({ loss, accuracy, validation }) => [loss, accuracy, validation]),
    losses,
    scores,
    predictions: [trainer.predictSync(x, scales), await trainer.predict(x, scales)],
    gradients: trainer.gradientsSync(first),
    parameters: trainer.parameters(),
  };
  trainer.dispose();
  return results;
}

test.each([
  ["as they are", 1, 0, {}],
  ["from 0 to 1", 1 / 255, 0, { scale: 1 / 255 }],
  ["from -1 to 1", 2 / 255, -1, { scale: 2 / 255, offset: -1 }],
])("bytes %s train with the bits of float32", async (_, scale, offset, scales) => {
  const expected = await resultsOf(floatsOf(scale, offset), {});
  expect(await resultsOf(bytes, scales)).toEqual(expected);
  expect(await resultsOf(new Uint8ClampedArray(bytes) as unknown as Uint8Array, scales)).toEqual(expected);
  const threads = await createEngine({ threads: 3 });
  expect(await resultsOf(bytes, scales, threads)).toEqual(expected);
  threads.dispose();
});

test("the images of MNIST take 47 MB in memory, not 188", () => {
  const count = 60_000;
  const trainer = compileSync(sequential({ input: [28, 28, 1] }, flatten(), dense(10)), {
    loss: crossEntropy(),
    optimizer: sgd(),
    engine,
  });
  const x = new Uint8Array(count * 784).fill(7);
  const data = trainer.load({ x, y: new Uint8Array(count), scale: 1 / 255 });
  // The labels and the order are words.
  expect(data.bytes).toBe(47_040_000 + 2 * 4 * count);
  data.dispose();
  trainer.dispose();
});

test("rows of bytes stay bytes", () => {
  const { model, options } = network();
  const trainer = compileSync(model, options);
  const rows = Array.from({ length: COUNT }, (_, row) => bytes.subarray(row * PIXELS, (row + 1) * PIXELS));
  const loaded = [
    trainer.load({ x: rows, y: labels }),
    trainer.load(rows.map((x, row) => ({ x, y: labels[row] }))),
    trainer.load({ x: bytes, y: labels }),
  ];
  const scores = loaded.map((data) => trainer.evaluateSync(data));
  expect(loaded.map((data) => data.bytes)).toEqual(Array(3).fill(COUNT * (PIXELS + 8)));
  expect(scores[0]).toEqual(trainer.evaluateSync({ x: Float32Array.from(bytes), y: labels }));
  expect(scores).toEqual(Array(3).fill(scores[0]));
  trainer.dispose();
});

test("gradients by differences are those of scaled bytes", async () => {
  const { model, options } = network();
  const check = (x: Float32Array | Uint8Array, scales: object) =>
    checkGradients(model, { loss: options.loss, data: { x, y: labels, ...scales } });
  const report = await check(bytes, { scale: 1 / 255 });
  expect(report.passed).toBe(true);
  expect(report).toEqual(await check(floatsOf(1 / 255, 0), {}));
});

describe("several inputs", () => {
  const trainer = compileSync(
    functional(
      { input: { image: [4], size: [1], word: [1] }, dtype: { word: "uint32" } },
      ({ image, size, word }, { apply }) =>
        apply(concatenate([image, size, apply(word, embedding(9, 2), flatten())], 1), dense(1)),
    ),
    { loss: meanSquaredError(), optimizer: sgd(), engine },
  );
  afterAll(() => trainer.dispose());
  const image = Uint8Array.of(0, 50, 100, 255, 1, 2, 3, 4);
  const word = Uint8Array.of(8, 3);
  const size = Uint8Array.of(30, 60);
  const y = [1, 2];
  const predict = (x: object, scales: object = {}) => trainer.predictSync(x as never, scales as never);

  test("are scaled by name, and whole numbers are left alone", () => {
    const half = { image: Float32Array.from(image, (byte) => byte / 2), size: [31, 61], word };
    const scales = { scale: { image: 0.5 }, offset: { size: 1 } };
    expect(predict({ image, size, word }, scales)).toEqual(predict(half));
    const evaluate = (samples: object) => trainer.evaluateSync(samples as never);
    expect(evaluate({ x: { image, size, word }, y, ...scales })).toEqual(evaluate({ x: half, y }));
  });

  test("one number is for all of bytes", () => {
    const scaled = { image: Float32Array.from(image, (byte) => byte / 4), size: Float32Array.of(3, 4), word };
    expect(predict({ image, size: Float32Array.of(3, 4), word }, { scale: 0.25 })).toEqual(predict(scaled));
  });

  test.each<[string, object, RegExp]>([
    [
      "an unknown name",
      { scale: { picture: 1 } },
      /^scale: must be a number, or numbers by the names of inputs, .*image/,
    ],
    ["whole numbers", { scale: { word: 2 } }, /^scale: is for values that are given as bytes, got x\.word/],
    ["no number", { offset: { image: "1" } }, /^data: offset\.image must be a number between/],
  ])("%s: refused", (_, scales, message) => {
    expect(() => predict({ image, size, word }, scales)).toThrow(message);
    const samples = { x: { image, size, word }, y, ...scales };
    expect(() => trainer.load(samples as never)).toThrow(message);
  });
});

test("what is not bytes is not scaled, and what a scale is must be a number", () => {
  const { model, options } = network();
  const trainer = compileSync(model, options);
  const floats = Float32Array.from(bytes);
  const message =
    /^scale: is for values that are given as bytes, got x of a Float32Array of 2590: pass a Uint8Array, or scale/;
  expect(() => trainer.evaluateSync({ x: floats, y: labels, scale: 2 })).toThrow(DataError);
  expect(() => trainer.evaluateSync({ x: floats, y: labels, scale: 2 })).toThrow(message);
  expect(() => trainer.predictSync(floats, { offset: 2 })).toThrow(/^offset: is for values/);
  expect(() => trainer.predictSync(bytes, { scale: Number.NaN })).toThrow(/^data: scale must be a number/);
  expect(() => trainer.predictSync(bytes, { scale: { x: 1 } })).toThrow(/the input has no name: write a number/);
  trainer.dispose();
});

test("a divergence names bytes that are too large", () => {
  const trainer = compileSync(sequential({ input: [PIXELS] }, dense(3)), {
    loss: meanSquaredError(),
    optimizer: sgd(),
    engine,
  });
  const samples = { x: bytes, y: new Float32Array(3 * COUNT), scale: 1e30 };
  expect(() => trainer.fitSync(samples)).toThrow(DivergenceError);
  trainer.reset();
  expect(() => trainer.fitSync(samples)).toThrow(/x holds values as large as 2\.55e\+32/);
  trainer.dispose();
});
