// Numbers of two bytes against their definition, and files that keep parameters in them.
import { describe, expect, test } from "vitest";
import { compile, dense, relu, sequential } from "../../src/index.js";
import { FormatError } from "../../src/io/formatError.js";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "../../src/io/halves.js";
import {
  decodeModel,
  decodeNpy,
  decodeSafetensors,
  decodeWeights,
  encodeModel,
  encodeNpy,
  encodeSafetensors,
  encodeWeights,
  readWeights,
} from "../../src/io/index.js";
import "../../src/platform/nodeKernels.js";

const everyHalf = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

const kinds = [
  ["float16", float32ToFloat16, float16ToFloat32, 0x7c00],
  ["bfloat16", float32ToBfloat16, bfloat16ToFloat32, 0x7f80],
] as const;

describe.each(kinds)("%s", (_, narrow, widen, infinite) => {
  const values = widen(everyHalf);

  test("every one of them comes back", () => {
    const back = narrow(values);
    for (const bits of everyHalf) {
      if (Number.isNaN(values[bits])) expect((back[bits] & 0x7fff) > infinite).toBe(true);
      else if (back[bits] !== bits) expect.fail(`${bits} came back as ${back[bits]}`);
    }
  });

  test("what is between two becomes the nearer one, and of equally near ones that with an even last bit", () => {
    const wrong: number[] = [];
    for (let bits = 0; bits < infinite; bits++) {
      const low = values[bits];
      // Behind the largest, as far again as the one before it.
      const high = bits + 1 < infinite ? values[bits + 1] : low + (low - values[bits - 1]);
      const middle = (low + high) / 2;
      const around = Float32Array.of(middle, middle - (high - low) / 64, middle + (high - low) / 64);
      const even = bits % 2 === 0 ? bits : bits + 1;
      const expected = [around[0] < middle ? bits : around[0] > middle ? bits + 1 : even, bits, bits + 1];
      // Of denormal float32 there is none so near.
      const isExact = around.every(Number.isFinite) && Math.fround(middle) === middle && around[1] < middle;
      if (!isExact) continue;
      const [a, b, c] = narrow(around);
      const negative = narrow(around.map((value) => -value));
      if (a !== expected[0] || b !== expected[1] || c !== expected[2]) wrong.push(bits);
      if (negative[0] !== (a | 0x8000) || negative[1] !== (b | 0x8000)) wrong.push(-bits);
    }
    expect(wrong).toEqual([]);
  });

  test("what is too large is infinite, and NaN stays NaN", () => {
    const [a, b, c] = narrow(Float32Array.of(3.4028234e38, Number.NEGATIVE_INFINITY, Number.NaN));
    expect([a, b]).toEqual([infinite, 0x8000 | infinite]);
    expect((c & 0x7fff) > infinite).toBe(true);
    expect([...narrow(Float32Array.of(0, -0, 1e-45, -1e-45))].slice(0, 2)).toEqual([0, 0x8000]);
  });
});

describe("files", () => {
  const made = () => compile(sequential({ input: [3] }, dense(4), relu(), dense(2)), { seed: 3 });

  test.each([
    ["float16", "F16", 2 ** -11],
    ["bfloat16", "BF16", 2 ** -8],
  ] as const)("%s: half the bytes, and values that are rounded once", async (dtype, kind, error) => {
    const trainer = await made();
    const other = await made();
    const bytes = encodeWeights(trainer, { note: "small" }, { dtype });
    expect(decodeSafetensors(bytes).tensors.get("0.weight")?.dtype).toBe(kind);
    const paths = [...trainer.parameters().keys()];
    const converted = paths.map((path) => `${path}: ${kind} to float32`);
    expect(decodeWeights(other, bytes)).toEqual({ metadata: { note: "small" }, converted });
    let rounded = 0;
    for (const [path, { data }] of trainer.parameters()) {
      const loaded = other.parameters().get(path)?.data ?? new Float32Array();
      data.forEach((value, i) => {
        expect(Math.abs(loaded[i] - value)).toBeLessThanOrEqual(error * Math.abs(value));
        if (loaded[i] !== value) rounded++;
      });
    }
    expect(rounded).toBeGreaterThan(10);
    // A second time nothing is lost.
    expect(encodeWeights(other, { note: "small" }, { dtype })).toEqual(bytes);
    const { model, converted: ofModel } = decodeModel(encodeModel(trainer, { dtype }));
    expect(ofModel).toEqual(converted);
    const again = await compile(model);
    expect(again.parameters()).toEqual(other.parameters());
    for (const one of [trainer, other, again]) one.dispose();
  });

  test("a damaged file is found by its checksum, and a value that float16 has not is refused", async () => {
    const trainer = await made();
    const bytes = encodeWeights(trainer, {}, { dtype: "float16" });
    bytes[bytes.length - 1] ^= 1;
    expect(() => decodeWeights(trainer, bytes)).toThrow(FormatError);
    trainer.setParameters({ "0.bias": Float32Array.of(0, 1e5, 0, 0) });
    expect(() => encodeWeights(trainer, {}, { dtype: "float16" })).toThrow(
      'encodeWeights: "0.bias": values must be 65504 at most for F16, got 100000 at index 1: take BF16 or F32',
    );
    trainer.dispose();
  });

  test("other numbers of other tools are converted, and it is said; truth values are refused", async () => {
    const trainer = await made();
    const tensors = Object.fromEntries(
      [...trainer.parameters()].map(([path, { shape, data }]) => [path, { shape, data: Float64Array.from(data) }]),
    );
    const pi = { ...tensors, "2.bias": { shape: [2], data: Float64Array.of(Math.PI, -0.1) } };
    // The first values were float32 before.
    expect(decodeWeights(trainer, encodeSafetensors(pi))).toEqual({
      metadata: {},
      converted: [
        "0.weight: F64 to float32",
        "0.bias: F64 to float32",
        "2.weight: F64 to float32",
        "2.bias: F64 to float32, 2 of 2 values rounded",
      ],
    });
    expect(trainer.parameters().get("2.bias")?.data).toEqual(Float32Array.of(Math.PI, -0.1));
    const ofBias = (data: unknown, dtype?: "BOOL") =>
      encodeSafetensors({ ...tensors, "2.bias": { shape: [2], data: data as Int32Array, ...(dtype && { dtype }) } });
    const cases = [
      [Int32Array.of(1, 2 ** 24 + 1), [1, 2 ** 24], "I32 to float32, 1 of 2 values rounded"],
      [BigInt64Array.of(-3n, 2n ** 40n), [-3, 2 ** 40], "I64 to float32"],
      // As float64, and then as float32, these would be rounded the wrong way: from the middle between two.
      [
        BigInt64Array.of(2n ** 60n + 2n ** 36n + 1n, -(2n ** 60n) - 2n ** 36n - 1n),
        [1, -1].map((sign) => sign * (2 ** 60 + 2 ** 37)),
        "I64 to float32, 2 of 2 values rounded",
      ],
      [BigUint64Array.of(2n ** 64n - 1n, 7n), [2 ** 64, 7], "U64 to float32, 1 of 2 values rounded"],
      [Uint8Array.of(255, 0), [255, 0], "U8 to float32"],
    ] as const;
    for (const [data, values, said] of cases) {
      expect(decodeWeights(trainer, ofBias(data)).converted.at(-1)).toBe(`2.bias: ${said}`);
      expect([...(trainer.parameters().get("2.bias")?.data ?? [])]).toEqual(values);
      const { converted } = await readWeights(trainer, new Blob([ofBias(data)]));
      expect(converted).toContain(`2.bias: ${said}`);
    }
    expect(() => decodeWeights(trainer, ofBias(Float64Array.of(1e300, 0)))).toThrow(
      'every value must be finite in float32, "2.bias" has got 1e+300 at index 0',
    );
    expect(() => decodeWeights(trainer, ofBias(Uint8Array.of(1, 0), "BOOL"))).toThrow(
      '"2.bias" must be of numbers, the file has BOOL: convert it when it is saved',
    );
    trainer.dispose();
  });

  test("NumPy's files have float16, and no bfloat16", () => {
    const { dtype, data } = decodeNpy(encodeNpy({ dtype: "F16", shape: [2], data: Float32Array.of(0.1, -2) }));
    expect([dtype, ...data]).toEqual(["F16", 0.0999755859375, -2]);
    expect(() => encodeNpy({ dtype: "BF16", shape: [1], data: Float32Array.of(1) })).toThrow("NumPy has no bfloat16");
  });
});
