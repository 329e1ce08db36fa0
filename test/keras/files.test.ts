// What is refused of foreign models, what is said of it, and what becomes of those that are read.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as hdf5 from "h5wasm";
import { compile, createEngineSync, ModelError, meanSquaredError, SteepestError, sgd } from "steepest";
import { decodeModel, encodeModel, FormatError } from "steepest/io";
import { fromKeras, fromTensorFlowJs, type Hdf5Library, loadKeras, loadTensorFlowJs } from "steepest/keras";
import { afterAll, describe, expect, test } from "vitest";
import { archives, expectPredictions, masked, ofTensorFlowJs, olderFiles } from "./recorded.js";

const engine = createEngineSync();
const folder = mkdtempSync(join(tmpdir(), "steepest-keras-"));
afterAll(() => {
  engine.dispose();
  rmSync(folder, { recursive: true });
});

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const { dense, nested, elements, joined } = ofTensorFlowJs;

/** A sequential model of these layers, whose weights are these numbers. */
function modelOf(layers: readonly object[], specs: readonly object[] = [], numbers: readonly number[] = []) {
  const modelTopology = { class_name: "Sequential", config: { name: "all", layers }, keras_version: "2.13.0" };
  const json = { modelTopology, weightsManifest: [{ paths: ["w.bin"], weights: specs }] };
  return fromTensorFlowJs(json, { weights: new Uint8Array(Float32Array.from(numbers).buffer) });
}
const layer = (class_name: string, config: object) => ({ class_name, config });
const input = (...shape: (number | null)[]) => ({ batch_input_shape: [null, ...shape] });
const kernel = (name: string, ...shape: number[]) => ({ name: `${name}/kernel`, shape, dtype: "float32" });

describe("the weights of a model of TensorFlow.js", () => {
  const bytes = bytesOf(dense.weights);
  const [group] = dense.json.weightsManifest;
  const json = { ...dense.json, weightsManifest: [{ ...group, paths: ["a.bin", "b.bin"] }] };
  const [a, b] = [bytes.slice(0, 31), bytes.slice(31)];

  test.each<[string, never]>([
    ["in one piece", bytes as never],
    ["in several", [a, b] as never],
    ["by their paths", { "b.bin": b, "a.bin": a.buffer } as never],
    ["by a function", ((path: string) => Promise.resolve(path === "a.bin" ? a : b)) as never],
  ])("come %s", async (_, weights) => {
    const { model } = await fromTensorFlowJs(JSON.stringify(json), { weights });
    await expectPredictions(engine, model, dense);
  });

  test("come as a save handler has them", async () => {
    const artifacts = { modelTopology: dense.json.modelTopology, weightSpecs: group.weights, weightData: bytes.buffer };
    await expectPredictions(engine, (await fromTensorFlowJs(artifacts)).model, dense);
  });

  test("are refused if they are too few, too many, missing, or others", async () => {
    for (const weights of [bytes.subarray(4), Uint8Array.of(...bytes, 0), new Uint8Array(0)])
      await expect(fromTensorFlowJs(dense.json, { weights })).rejects.toThrow(/a group must have \d+ bytes, got \d+: /);
    await expect(fromTensorFlowJs(json, { weights: { "a.bin": a } })).rejects.toThrow(/must have the file "b.bin"/);
    await expect(fromTensorFlowJs(json)).rejects.toThrow(/weights must be bytes, .*, got undefined/);
    await expect(fromTensorFlowJs(json, { weights: () => "no" as never })).rejects.toThrow(FormatError);
    const strange = {
      ...json,
      weightsManifest: [{ paths: [], weights: [{ name: "a", shape: [1], dtype: "complex64" }] }],
    };
    await expect(fromTensorFlowJs(strange, { weights: bytes })).rejects.toThrow(/be one of float32, int32, bool/);
  });

  test("are read from the folder of model.json, and from nowhere else", async () => {
    writeFileSync(join(folder, "model.json"), JSON.stringify(json));
    writeFileSync(join(folder, "a.bin"), a);
    writeFileSync(join(folder, "b.bin"), b);
    await expectPredictions(engine, (await loadTensorFlowJs(join(folder, "model.json"))).model, dense);
    for (const path of ["../a.bin", "/etc/passwd", "x/../../a.bin", ""]) {
      writeFileSync(
        join(folder, "other.json"),
        JSON.stringify({ ...json, weightsManifest: [{ ...group, paths: [path] }] }),
      );
      await expect(loadTensorFlowJs(join(folder, "other.json"))).rejects.toThrow(/must be in the folder of model.json/);
    }
  });
});

describe("a model that was read", () => {
  test("has the names and the values of the file, also after a reset", async () => {
    const layers = [
      layer("Dense", { name: "in", units: 1, ...input(2) }),
      layer("Dense", { name: "out", units: 1, use_bias: false }),
    ];
    const { model, frozen } = await modelOf(
      layers,
      [kernel("in", 2, 1), { name: "in/bias", shape: [1], dtype: "float32" }, kernel("out", 1, 1)],
      [1, 2, 3, 4],
    );
    expect(frozen).toEqual([]);
    const trainer = await compile(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.001 }), engine });
    const values = () => [...trainer.parameters()].map(([path, { data }]) => [path, [...data]]);
    const begun = [
      ["in.weight", [1, 2]],
      ["in.bias", [3]],
      ["out.weight", [4]],
    ];
    expect(values()).toEqual(begun);
    // 4 · (x0 + 2 · x1 + 3) is 24 for (1, 1); the gradient of its square is 48 times that of the output.
    await trainer.trainBatch({ x: [[1, 1]], y: [[0]] });
    expect(trainer.parameters().get("out.weight")?.data[0]).toBeCloseTo(4 - 0.001 * 48 * 6, 5);
    trainer.reset();
    expect(values()).toEqual(begun);
    trainer.dispose();
  });

  test("is saved and loaded as any other", async () => {
    const { model } = await fromTensorFlowJs(nested.json, { weights: bytesOf(nested.weights) });
    const trainer = await compile(model, { engine });
    const again = decodeModel(encodeModel(trainer));
    const other = await compile(again.model, { engine });
    const x = Float32Array.from(nested.inputs[0].data);
    expect(await other.predict(x)).toEqual(await trainer.predict(x));
    expect([...model.parameters.keys()]).toContain("decoder.third.weight");
    trainer.dispose();
    other.dispose();
  });

  test.each(["masks", "holes", "film", "crop", "kinds", "speller"])("so is one with %s", async (name) => {
    const recorded = ofTensorFlowJs[name];
    const { model } = await fromTensorFlowJs(recorded.json, { weights: bytesOf(recorded.weights) });
    const trainer = await compile(model, { engine });
    await expectPredictions(engine, decodeModel(encodeModel(trainer)).model, recorded);
    trainer.dispose();
  });

  test("of Keras 3, with masks and changes at random, trains on and is saved", async () => {
    const { model } = await fromKeras(masked.bytes);
    const loss = Object.fromEntries(Object.keys(model.outputShape).map((name) => [name, meanSquaredError()]));
    const trainer = await compile(model as never, { loss, optimizer: sgd({ learningRate: 1e-9 }), engine } as never);
    await expectPredictions(engine, decodeModel(encodeModel(trainer)).model, masked);
    const given = masked.inputs.map(({ name, data }) => [name, Float32Array.from(data)]);
    const y = Object.keys(model.outputShape).map((name, index) => [
      name,
      Float32Array.from(masked.outputs[index].data),
    ]);
    const batch = { x: Object.fromEntries(given), y: Object.fromEntries(y) };
    const losses = [await trainer.trainBatch(batch as never), await trainer.trainBatch(batch as never)];
    // What turns images at random makes other losses of the same values.
    expect(losses.every((one) => Number.isFinite(one) && one > 1e-3)).toBe(true);
    expect(losses[0]).not.toBe(losses[1]);
    trainer.dispose();
  });

  test("says which layers its file does not train", async () => {
    const { frozen } = await fromTensorFlowJs(elements.json, { weights: bytesOf(elements.weights) });
    expect(frozen).toEqual(["frozen"]);
  });

  test("has its inputs and outputs by name if there are several", async () => {
    const { model } = await fromTensorFlowJs(joined.json, { weights: bytesOf(joined.weights) });
    expect(model.inputShape).toEqual({ a: [5, 3], b: [5, 3] });
    expect(Object.keys(model.outputShape)).toContain("other");
  });

  test("is told the sizes that its file leaves open", async () => {
    const modelTopology = {
      class_name: "Sequential",
      config: [
        layer("InputLayer", { name: "x", batch_input_shape: [null, null, 2] }),
        layer("GlobalMaxPooling1D", { name: "pool" }),
      ],
    };
    const json = { modelTopology, weightsManifest: [] };
    const weights = new Uint8Array(0);
    await expect(fromTensorFlowJs(json, { weights })).rejects.toThrow(
      /sizes of the input "x" but the batch must be known, got \[batch, \?, 2\]: give shapes: \{ x: \[…\] \}/,
    );
    const { model } = await fromTensorFlowJs(json, { weights, shapes: { x: [7, 2] } });
    expect(model.outputShape).toEqual([2]);
    await expect(fromTensorFlowJs(json, { weights, shapes: { z: [7, 2] } })).rejects.toThrow(/shapes: .*z/);
  });
});

describe("what there is nothing for is refused:", () => {
  test("all layers by class and name, in one error", async () => {
    const layers = [
      layer("Lambda", { name: "own", ...input(4, 4, 1) }),
      layer("Dense", { name: "odd", units: 1, activation: "wavy" }),
      layer("MaxPooling2D", { name: "first", data_format: "channels_first" }),
      layer("Package>Custom", { name: "theirs" }),
      layer("ConvLSTM2D", {
        name: "film",
        filters: 1,
        kernel_size: 2,
        recurrent_activation: "sigmoid",
        stateful: true,
      }),
      layer("RNN", { name: "loop", cell: layer("StackedRNNCells", { cells: [] }) }),
      layer("Resizing", { name: "sized", height: 2, width: 2, interpolation: "lanczos3" }),
      layer("Bidirectional", { name: "both", layer: layer("ConvLSTM2D", {}), merge_mode: "concat" }),
    ];
    const found = modelOf(layers, [kernel("odd", 1, 1), { name: "odd/bias", shape: [1], dtype: "float32" }], [1, 2]);
    await expect(found).rejects.toThrow(ModelError);
    await expect(found).rejects.toThrow(
      'got Lambda "own", Dense "odd" with activation "wavy", MaxPooling2D "first" with data_format "channels_first", ' +
        'Custom "theirs", ConvLSTM2D "film" with stateful, RNN "loop" of "StackedRNNCells", ' +
        'Resizing "sized" with interpolation "lanczos3", Bidirectional "both" around "ConvLSTM2D": see docs/keras.md',
    );
  });

  test.each<[string, object, RegExp]>([
    [
      "a graph model",
      { format: "graph-model", modelTopology: { node: [] } },
      /must be a layers-model, got a graph-model/,
    ],
    ["no topology", {}, /must have a modelTopology, got undefined/],
    ["no manifest", { modelTopology: {} }, /must have a weightsManifest, got undefined/],
    [
      "a subclassed model",
      { modelTopology: { class_name: "Own" }, weightsManifest: [] },
      /class Sequential or Functional, got "Own"/,
    ],
    [
      "no layers",
      { modelTopology: { class_name: "Sequential", config: [] }, weightsManifest: [] },
      /must have layers, got \[\]/,
    ],
    [
      "no names",
      { modelTopology: { class_name: "Sequential", config: [{}] }, weightsManifest: [] },
      /a class_name and a name, got/,
    ],
  ])("%s", async (_, json, message) => {
    const found = fromTensorFlowJs(json, { weights: new Uint8Array(0) });
    await expect(found).rejects.toThrow(SteepestError);
    await expect(found).rejects.toThrow(message);
  });

  test("weights of another shape, missing ones, and two for one", async () => {
    const one = [layer("Dense", { name: "d", units: 2, use_bias: false, ...input(3) })];
    await expect(modelOf(one, [kernel("d", 2, 3)], [1, 2, 3, 4, 5, 6])).rejects.toThrow(
      'Dense "d": weight must be [3, 2] by its config, got [2, 3]',
    );
    await expect(modelOf(one)).rejects.toThrow('Dense "d": the file must have its kernel, got none');
    const two = [kernel("d", 3, 2), { ...kernel("d", 3, 2), name: "other/d/kernel" }];
    await expect(modelOf(one, two, new Array(12).fill(1))).rejects.toThrow(/must be one weight of the file, got 2/);
  });

  test.each<[string, object[], RegExp]>([
    [
      "a circle",
      [
        ["a", ["b"]],
        ["b", ["a"]],
      ],
      /must not read what comes of it, got "[ab]"/,
    ],
    [
      "what is not there",
      [
        ["a", ["x"]],
        ["b", ["z"]],
      ],
      /must read what is there, got "z"/,
    ],
    [
      "itself",
      [
        ["a", ["x"]],
        ["b", ["b"]],
      ],
      /must not read what comes of it, got "b"/,
    ],
  ])("a graph with %s", async (_, edges, message) => {
    const layers = [
      { ...layer("InputLayer", { name: "x", ...input(2) }), name: "x", inbound_nodes: [] },
      ...(edges as [string, string[]][]).map(([name, from]) => ({
        ...layer("ReLU", { name }),
        name,
        inbound_nodes: [from.map((one) => [one, 0, 0, {}])],
      })),
    ];
    const config = { name: "m", layers, input_layers: [["x", 0, 0]], output_layers: [["b", 0, 0]] };
    const json = { modelTopology: { class_name: "Model", config }, weightsManifest: [] };
    await expect(fromTensorFlowJs(json, { weights: new Uint8Array(0) })).rejects.toThrow(message);
  });

  test("a causal mask for very many scores", async () => {
    const x = { ...layer("InputLayer", { name: "x", ...input(2 ** 13, 1) }), name: "x", inbound_nodes: [] };
    const calls = [
      [
        ["x", 0, 0, { use_causal_mask: true }],
        ["x", 0, 0, {}],
      ],
    ];
    const seen = { ...layer("Attention", { name: "seen" }), name: "seen", inbound_nodes: calls };
    const config = { name: "m", layers: [x, seen], input_layers: [["x", 0, 0]], output_layers: [["seen", 0, 0]] };
    const json = { modelTopology: { class_name: "Model", config }, weightsManifest: [] };
    const found = fromTensorFlowJs(json, { weights: new Uint8Array(0) });
    await expect(found).rejects.toThrow(/"seen": a causal mask must be for at most 16777216 scores, got 8192 · 8192/);
  });

  test("models within models without end, and a small file of very many layers", async () => {
    let deep: object = layer("ReLU", { name: "r", ...input(2) });
    for (let level = 0; level < 20; level++) deep = layer("Sequential", { name: `m${level}`, layers: [deep] });
    await expect(modelOf([deep])).rejects.toThrow(/at most 16 levels deep/);
    let many: object = layer("ReLU", { name: "r", ...input(2) });
    for (let level = 0; level < 14; level++) {
      const around = { ...layer("InputLayer", { name: "x", ...input(2) }), name: "x", inbound_nodes: [] };
      const calls = [[["x", 0, 0, {}]], [["m", 0, 0, {}]], [["m", 1, 0, {}]], [["m", 2, 0, {}]]];
      const inner = {
        ...many,
        name: "m",
        inbound_nodes: calls,
        config: { ...(many as { config: object }).config, name: "m" },
      };
      const config = { name: "m", layers: [around, inner], input_layers: [["x", 0, 0]], output_layers: [["m", 3, 0]] };
      many = layer("Functional", config);
    }
    await expect(modelOf([many])).rejects.toThrow(/at most 16384 layers, got more/);
  });
});

describe("a file of Keras", () => {
  const [name, bytes] = archives[0];

  test("is read by the library that is given, and from a path", async () => {
    const { model } = await fromKeras(bytes, { hdf5: hdf5 as unknown as Hdf5Library });
    await expectPredictions(engine, model, ofTensorFlowJs[name]);
    const path = join(folder, "model.keras");
    writeFileSync(path, bytes);
    await expectPredictions(engine, (await loadKeras(path)).model, ofTensorFlowJs[name]);
    await expect(fromKeras(bytes, { hdf5: {} as never })).rejects.toThrow(/hdf5 must be the package h5wasm, got \{\}/);
  });

  test("at which the library traps says that others may fail by it", async () => {
    class Trapping {
      constructor() {
        throw new WebAssembly.RuntimeError("memory access out of bounds");
      }
    }
    const library = { ready: hdf5.ready, File: Trapping } as unknown as Hdf5Library;
    await expect(fromKeras(bytes, { hdf5: library })).rejects.toThrow(
      /^fromKeras: model.weights.h5: must be an HDF5 file that h5wasm can read, got .*memory access out of bounds.* another process or page$/,
    );
  });

  test("that is none is refused", async () => {
    await expect(fromKeras(new Uint8Array(100))).rejects.toThrow(
      /must be a .keras or .h5 file, got other bytes: save the model/,
    );
    await expect(fromKeras(bytes.subarray(0, 500))).rejects.toThrow(FormatError);
    const [, older] = olderFiles[0];
    await expect(fromKeras(older.subarray(0, 300))).rejects.toThrow(FormatError);
    await expect(fromKeras(older.subarray(0, older.length - 4000))).rejects.toThrow(FormatError);
  });
});

describe("the mask of a sequence", () => {
  // Two steps of three are there: all positive, so that activations leave them as they are.
  const x = Float32Array.of(1, 2, 3, 4, 0, 0);
  const averageBehind = async (...between: readonly object[]): Promise<number[]> => {
    const { model } = await modelOf([
      layer("Masking", { name: "mask", mask_value: 0, ...input(3, 2) }),
      ...between,
      layer("GlobalAveragePooling1D", { name: "pool" }),
    ]);
    const trainer = await compile(model, { engine });
    const averages = await trainer.predict(x);
    trainer.dispose();
    return [...averages];
  };

  test.each<[string, object]>([
    ["Activation", { activation: "linear" }],
    ["ReLU", {}],
    ["LeakyReLU", { alpha: 0.1 }],
    ["ELU", { alpha: 1 }],
    ["ThresholdedReLU", { theta: 0.5 }],
    ["Dropout", { rate: 0.5 }],
    ["SpatialDropout1D", { rate: 0.5 }],
    ["AlphaDropout", { rate: 0.5 }],
    ["GaussianDropout", { rate: 0.5 }],
    ["GaussianNoise", { stddev: 1 }],
    ["ActivityRegularization", { l1: 0.1, l2: 0 }],
    ["Rescaling", { scale: 1, offset: 0 }],
  ])("passes through %s", async (name, config) => {
    expect(await averageBehind(layer(name, { name: "between", ...config }))).toEqual([2, 3]);
  });

  test("ends at a layer that looks at several steps", async () => {
    const [a, b] = await averageBehind(layer("UpSampling1D", { name: "between", size: 1 }));
    expect([a, b].map((value) => value.toFixed(5))).toEqual(["1.33333", "2.00000"]);
  });
});
