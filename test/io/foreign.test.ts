// Files of NumPy and PyTorch, recorded by test/golden/pytorchFile.py. Damaged ones: test/mutations.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { compileSync, dense, sequential } from "../../src/platform/node.js";
import * as io from "../../src/platform/nodeIo.js";

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
