// Files of NumPy and PyTorch, recorded by test/golden/pytorchFile.py; and seeded mutations of valid files of each format.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { SteepestError } from "../../src/engine/errors.js";
import { compileSync, conv1d, dense, dropout, flatten, functional, relu, sequential } from "../../src/platform/node.js";
import { add } from "../../src/platform/nodeGraph.js";
import * as io from "../../src/platform/nodeIo.js";
import { fromKeras, fromTensorFlowJs } from "../../src/platform/nodeKeras.js";
import { archives, ofTensorFlowJs, olderFiles } from "../keras/recorded.js";

const recorded: Readonly<Record<"npy" | "npz" | "pt", Readonly<Record<string, string>>>> = JSON.parse(
  readFileSync(new URL("../golden/pytorchFile.json", import.meta.url), "utf8"),
);
const bytesOf = (kind: "npy" | "npz" | "pt", name: string) =>
  new Uint8Array(Buffer.from(recorded[kind][name], "base64"));
const numbers = (data: ArrayLike<number | bigint>) => Array.from(data, Number);

describe("an array of NumPy", () => {
  for (const name of ["<f4", "<f8", ">f4", "<f2", "<i8", ">i2", "|u1", "|i1", "<u4", "fortran"]) {
    test(name, () => {
      const { shape, data } = io.decodeNpy(bytesOf("npy", name));
      expect([shape, numbers(data)]).toEqual([
        [2, 3],
        [0, 1, 2, 3, 4, 5],
      ]);
    });
  }

  test("of truth values, and of one number", () => {
    expect(numbers(io.decodeNpy(bytesOf("npy", "|b1")).data)).toEqual([0, 1, 1, 1, 1, 1]);
    expect(io.decodeNpy(bytesOf("npy", "scalar"))).toEqual({ dtype: "F32", shape: [], data: Float32Array.of(2.5) });
  });

  test("has the bytes that NumPy writes", () => {
    const array = { shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) };
    const [mine, theirs] = [io.encodeNpy(array), bytesOf("npy", "<f4")];
    expect(mine.length).toBe(theirs.length);
    expect(io.decodeNpy(mine)).toEqual(io.decodeNpy(theirs));
  });

  test("of objects, which is pickled code, is refused", () => {
    expect(() => io.decodeNpy(bytesOf("npy", "objects"))).toThrow(/must be an array of .*, got the header .*'\|O'/);
  });

  test("is one of several in an archive, stored or deflated", async () => {
    for (const name of ["stored", "deflated"]) {
      const arrays = await io.decodeNpz(bytesOf("npz", name));
      expect([...arrays.keys()]).toEqual(["x", "y"]);
      expect(arrays.get("y")).toEqual({ dtype: "I32", shape: [300], data: new Int32Array(300) });
      const again = await io.decodeNpz(io.encodeNpz(Object.fromEntries(arrays)));
      expect(again).toEqual(arrays);
    }
  });
});

describe("a file of PyTorch", () => {
  test("has tensors of each dtype, also views of others", () => {
    const tensors = io.decodePyTorch(bytesOf("pt", "state"));
    expect(tensors.get("a.weight")).toEqual({ dtype: "F32", shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
    expect(tensors.get("turned")).toEqual({ dtype: "F32", shape: [3, 2], data: Float32Array.of(0, 3, 1, 4, 2, 5) });
    expect(tensors.get("row")).toEqual({ dtype: "F32", shape: [3], data: Float32Array.of(3, 4, 5) });
    for (const name of ["half", "brain", "long", "double"])
      expect(numbers(tensors.get(name)?.data ?? [])).toEqual([0, 1, 2, 3, 4, 5]);
    expect(numbers(tensors.get("truth")?.data ?? [])).toEqual([0, 0, 0, 1, 1, 1]);
    expect(tensors.size).toBe(8);
  });

  test("is set in a model", () => {
    const trainer = compileSync(sequential({ input: [3] }, dense(2)), { engine: createEngineSync() });
    io.fromPyTorch(trainer, io.decodePyTorch(bytesOf("pt", "module")));
    trainer.dispose();
    expect([...io.decodePyTorch(bytesOf("pt", "nested")).keys()]).toEqual(["model.w"]);
  });

  test("that would run code is refused by its name", () => {
    expect(() => io.decodePyTorch(bytesOf("pt", "code"))).toThrow(
      /got "torch.nn.modules.linear.Linear", which is code/,
    );
  });
});

/** Numbers from a seed: xorshift32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A file with some bytes changed, left out, doubled or cut off. */
function mutated(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  const changed = new Uint8Array(bytes);
  // Most of what can go wrong is in what describes the data.
  const place = () => (random(4) === 0 ? random(bytes.length) : random(Math.min(bytes.length, 700)));
  switch (random(5)) {
    case 0:
      return changed.subarray(0, random(bytes.length));
    case 1: {
      const at = place();
      return Uint8Array.from([...changed.subarray(0, at), ...changed.subarray(at + 1 + random(4))]);
    }
    case 2: {
      const [at, length] = [place(), random(9)];
      return Uint8Array.from([...changed.subarray(0, at + length), ...changed.subarray(at)]);
    }
    default:
      for (let count = 1 + random(3); count > 0; count--)
        changed[place()] = random(3) === 0 ? 0x30 + random(10) : random(256);
      return changed;
  }
}

describe("mutations load, or are refused by an error of the library:", () => {
  const engine = createEngineSync();
  const trainer = compileSync(sequential({ input: [3] }, dense(2), relu(), dropout(0.5), dense(1)), { engine });
  const branched = compileSync(
    functional({ input: [4, 2] }, (x, { apply }) =>
      add(apply(x, conv1d(2, 2), flatten(), dense(2)), apply(x, flatten(), dense(2))),
    ),
    { engine },
  );
  const [chain, graph] = [io.encodeModel(trainer), io.encodeModel(branched)];
  const [weights, npy] = [io.encodeWeights(trainer), bytesOf("npy", "<f4")];
  const [pt, npz] = [bytesOf("pt", "module"), io.encodeNpz({ x: { shape: [3], data: Float32Array.of(1, 2, 3) } })];

  const text = (json: object) => new TextEncoder().encode(JSON.stringify(json));
  const brain = text({ sizes: [1, 1], layers: [{ 0: {} }, { 0: { bias: 1, weights: { 0: 2 } } }], activation: "tanh" });
  const layered = ofTensorFlowJs.dense;
  const shard = Buffer.from(layered.weights, "base64");

  /** A file whose architecture has other text: without a checksum, so that it is gone into. */
  const redescribed = (file: Uint8Array): [Uint8Array, (text: Uint8Array) => unknown] => {
    const { tensors, metadata } = io.decodeSafetensors(file);
    const { checksum: _, ...notes } = metadata;
    const decode = (text: Uint8Array) => {
      const architecture = new TextDecoder().decode(text);
      return io.decodeModel(io.encodeSafetensors(Object.fromEntries(tensors), { ...notes, architecture }));
    };
    return [new TextEncoder().encode(metadata.architecture), decode];
  };

  const swept: readonly [name: string, count: number, bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown][] = [
    ["safetensors", 32_000, weights, (bytes) => io.decodeSafetensors(bytes)],
    ["NumPy", 33_000, npy, (bytes) => io.decodeNpy(bytes)],
    ["NumPy archive", 1_000, npz, (bytes) => io.decodeNpz(bytes)],
    ["PyTorch", 16_000, pt, (bytes) => io.decodePyTorch(bytes)],
    ["chain", 3_000, chain, (bytes) => io.decodeModel(bytes)],
    ["function", 2_000, graph, (bytes) => io.decodeModel(bytes)],
    ["architecture of a chain", 2_000, ...redescribed(chain)],
    ["architecture of a function", 4_000, ...redescribed(graph)],
    ["brain.js", 7_000, brain, (bytes) => io.fromBrain(bytes)],
    ["TensorFlow.js", 1_000, text(layered.json), (bytes) => fromTensorFlowJs(bytes, { weights: shard })],
    ["Keras 3", 200, archives[0][1], (bytes) => fromKeras(bytes)],
    ["Keras 2", 100, olderFiles[0][1], (bytes) => fromKeras(bytes)],
  ];
  test.each(swept)("%s, %i times", async (_, count, bytes, decode) => {
    const random = randomOf(0x5eed + count);
    const before = JSON.stringify([...trainer.parameters()]);
    let refused = 0;
    const odd: string[] = [];
    for (let index = 0; index < count; index++) {
      try {
        await decode(mutated(bytes, random));
      } catch (error) {
        refused++;
        if (!(error instanceof SteepestError)) odd.push(String((error as Error).stack).slice(0, 300));
      }
    }
    expect(odd.slice(0, 3)).toEqual([]);
    expect(refused).toBeGreaterThan(count / 2);
    expect(JSON.stringify([...trainer.parameters()])).toBe(before);
  });
});
