// What a standalone file takes, in which forms it comes, and what cannot become one.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as S from "steepest";
import { labelMap, minMaxScaler, standardScaler } from "steepest/data";
import { add, randomNormal } from "steepest/graph";
import { decodeModel, encodeModel } from "steepest/io";
import { saveStandalone, toStandalone } from "steepest/standalone";
import { expect, test } from "vitest";
import { repeatAt } from "../../src/engine/instructions.js";
import { loadBytes } from "../../src/engine/module.js";
import { RESERVED_BYTES, recordPrediction } from "../../src/standalone/record.js";
import { type Prediction, predictionOf } from "../../src/train/prediction.js";
import { folder, opened } from "./opened.js";

const bitsOf = (values: unknown) => new Uint32Array((values as Float32Array).buffer);
const x = Float32Array.from({ length: 4 * 5 }, (_, i) => Math.sin(i + 1));
const small = () => S.sequential({ input: [4] }, S.dense(8), S.gelu(), S.dense(3));

test("the module may be in a file of its own, which the runtime compiles", async () => {
  const trainer = S.compileSync(small(), { seed: 2 });
  const { load, files } = await opened(trainer, "beside", { format: "wasm-file" });
  expect(files.map((file) => file.slice(folder.length + 1))).toEqual(["beside.d.mts", "beside.wasm", "beside.mjs"]);
  const bytes = readFileSync(join(folder, "beside.wasm"));
  const module = await WebAssembly.compile(bytes);
  const forms = [
    bytes,
    Uint8Array.from(bytes).buffer,
    module,
    { default: module },
    Promise.resolve(new Response(bytes)),
  ];
  for (const form of forms) {
    const { predict } = await load(form);
    expect(bitsOf(predict(x))).toEqual(bitsOf(trainer.predictSync(x)));
  }
  await expect(load()).rejects.toThrow(/^load: needs the \.wasm file beside this one/);
  expect(readFileSync(join(folder, "beside.mjs")).length).toBeLessThan(8192);
});

test("what the loss makes of outputs, or the outputs; averages of parameters; models from files", async () => {
  const trainer = S.compileSync(small(), { loss: S.crossEntropy(), optimizer: S.averaged(S.adam()), seed: 3 });
  trainer.trainStepsSync({ x, y: [0, 1, 2, 0, 1] }, { steps: 20, batchSize: 5 });
  const results: unknown[] = [];
  for (const options of [{}, { output: "raw" }, { parameters: "average" }] as const) {
    const { load } = await opened(trainer, `kinds${results.length}`, options);
    results.push((await load()).predict(x));
    expect(bitsOf(results.at(-1))).toEqual(bitsOf(trainer.predictSync(x, options)));
  }
  expect(new Set(results.map(String)).size).toBe(3);
  const loaded = S.compileSync(decodeModel<[4], [3]>(encodeModel(trainer)).model);
  const { load } = await opened(loaded, "loaded");
  expect(bitsOf((await load()).predict(x))).toEqual(bitsOf(results[1]));
});

test("scaling and labels are a part of the file if they are given", async () => {
  const rows = Array.from({ length: 5 }, (_, row) =>
    Array.from(x.subarray(4 * row, 4 * row + 4), (one) => 9 * one + row),
  );
  const scaler = standardScaler(rows);
  const targetScaler = minMaxScaler([1, 8]);
  const values = S.compileSync(S.sequential({ input: [4] }, S.dense(1)), { seed: 4 });
  const scaled = await (await opened(values, "scaled", { scaler, targetScaler: targetScaler.toJSON() })).load();
  const wanted = targetScaler.inverse(values.predictSync(scaler.transform(rows)));
  for (const form of [rows, rows.flat()]) expect(bitsOf(scaled.predict(form))).toEqual(bitsOf(wanted));

  const map = labelMap(["cat", "dog", "owl", 'a "bird"']);
  const classes = S.compileSync(S.sequential({ input: [4] }, S.dense(4)), { loss: S.crossEntropy(), seed: 4 });
  const { load, files } = await opened(classes, "labelled", { labels: map });
  const { classify } = (await load()) as unknown as { classify(x: unknown): unknown[] };
  const predicted = classes.predictSync(x);
  const best = [0, 1, 2, 3, 4]
    .map((row) => predicted.subarray(4 * row, 4 * row + 4))
    .map((row) => row.indexOf(Math.max(...row)));
  expect(new Set(best).size).toBeGreaterThan(1);
  expect(classify(x)).toEqual(map.decode(best));
  expect(readFileSync(files[0], "utf8")).toContain(String.raw`("a \"bird\"" | "cat" | "dog" | "owl")[]`);

  const binary = S.compileSync(S.sequential({ input: [4] }, S.dense(1)), { loss: S.binaryCrossEntropy(), seed: 4 });
  const two = (await (await opened(binary, "binary", { labels: labelMap([false, true]) })).load()) as unknown;
  const answers = (two as { classify(x: unknown): unknown[] }).classify(x);
  expect(answers).toEqual([...binary.predictSync(x)].map((one) => one >= 0.5));
  expect(new Set(answers).size).toBe(2);

  await expect(toStandalone(classes, { labels: { labels: [1, 2] } })).rejects.toThrow(/labels must be 4, .* got 2/);
  await expect(toStandalone(classes, { scaler: minMaxScaler([1, 2]) })).rejects.toThrow(/scaler must have 4 columns/);
  await expect(toStandalone(classes, { labels: map, targetScaler })).rejects.toThrow(/got both/);
});

test("loops run as often as in the trainer, and predictors do not share memory", async () => {
  const model = S.sequential({ input: [5, 1] }, S.gru(3, { layerNorm: true }));
  const trainer = S.compileSync(model, { seed: 2 });
  const [values, prediction] = [trainer.parameters(), predictionOf(trainer) as Prediction];
  const asked = { model: trainer.model as never, prediction, values, batches: [4], raw: false };
  const [{ words }] = recordPrediction("test", asked).programs;
  const starts = [];
  for (let at = 0; at < words.length; at += words[at + 1] / 4) starts.push(at);
  expect(starts.some((at) => repeatAt(words, at) !== undefined)).toBe(true);
  const { load } = await opened(trainer, "loops", { batches: [4] });
  const [one, other] = [await load(), await load()];
  const wanted = bitsOf(trainer.predictSync(x));
  const [first, second] = [one.predict(x), other.predict(x.map((value) => -value))];
  expect(bitsOf(first)).toEqual(wanted);
  expect(bitsOf(second)).not.toEqual(wanted);
  expect(bitsOf(one.predict(x))).toEqual(wanted);
});

test("inputs may be nested or flat, and are refused where the trainer refuses them", async () => {
  const trainer = S.compileSync(small(), { seed: 2 });
  const { predict } = await (await opened(trainer, "inputs")).load();
  const rows = Array.from({ length: 5 }, (_, row) => x.subarray(4 * row, 4 * row + 4));
  for (const form of [x, Array.from(x), Float64Array.from(x), rows, rows.map((row) => Array.from(row))]) {
    expect(bitsOf(predict(form))).toEqual(bitsOf(trainer.predictSync(x)));
  }
  const bad = [
    undefined,
    null,
    3,
    "text",
    {},
    [],
    [1, 2, 3],
    [[1, 2], [3]],
    new Float32Array(5),
    new DataView(x.buffer),
  ];
  const values = [Number.NaN, Number.POSITIVE_INFINITY, 1e39, "1", null, undefined, 1n, true];
  for (const one of [...bad, ...values.map((value) => [1, 2, 3, value])]) {
    expect(() => predict(one)).toThrow(/^x: (must be|every value must be)/);
    expect(() => trainer.predictSync(one as never)).toThrow();
  }
});

test("indices out of range and lengths of nothing never reach the kernels", async () => {
  const model = S.functional(
    { input: { words: [3], lengths: [] }, dtype: { words: "uint32", lengths: "uint32" } },
    ({ words, lengths }, { apply }) => apply({ x: apply(words, S.embedding(7, 4)), lengths }, S.gru(2)),
  );
  const trainer = S.compileSync(model, { seed: 2 });
  const { predict } = await (await opened(trainer, "indices")).load();
  const good = { words: [0, 6, 3, 1, 2, 5], lengths: [1, 3] };
  expect(bitsOf(predict(good))).toEqual(bitsOf(trainer.predictSync(good)));
  for (const [bad, at] of [
    [
      { ...good, words: [0, 7, 3, 1, 2, 5] },
      /^x\.words: every value must be a whole number in range, got 7 at index 1/,
    ],
    [{ ...good, words: [0, 1.5, 3, 1, 2, 5] }, /^x\.words: .*got 1\.5/],
    [{ ...good, words: [0, -1, 3, 1, 2, 5] }, /^x\.words: .*got -1/],
    [{ ...good, lengths: [0, 3] }, /^x\.lengths: .*got 0/],
    [{ ...good, lengths: [1, 4] }, /^x\.lengths: .*got 4/],
    [{ ...good, lengths: [1] }, /^x\.lengths: must have the 2 samples of x\.words, got 1/],
    [{ words: good.words }, /^x\.lengths: must be an array/],
  ] as const) {
    expect(() => predict(bad)).toThrow(at);
  }
});

test("what cannot be a file is refused by name", async () => {
  const noisy = S.functional({ input: [4] }, (x, { randomness }) => add(x, randomNormal(x.shape, randomness())));
  await expect(toStandalone(S.compileSync(noisy, { seed: 1 }))).rejects.toThrow(
    /must have no random numbers, got randomNormal/,
  );
  const stateful = S.compileSync(S.sequential({ input: [3, 2] }, S.lstm(2, { stateful: true })), { seed: 1 });
  await expect(toStandalone(stateful)).rejects.toThrow(/must keep nothing from call to call/);
  await expect(toStandalone({} as never)).rejects.toThrow(/must be given what compile\(\) returns/);
  const trainer = S.compileSync(small(), { seed: 2 });
  await expect(toStandalone(trainer, { batches: [0] })).rejects.toThrow(/batches must be a list/);
  await expect(saveStandalone(trainer, join(folder, "model.ts"))).rejects.toThrow(/must end in \.mjs or \.js/);
  trainer.dispose();
  await expect(toStandalone(trainer)).rejects.toThrow(/disposed/);
});

test("the kernels use no memory where the data begin", async () => {
  const module = await WebAssembly.compile(await loadBytes("strict"));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  expect((exports.heapBase as () => number)()).toBeLessThanOrEqual(RESERVED_BYTES);
});
