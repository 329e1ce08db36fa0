// Parameters that go to PyTorch and come from there: recorded by test/golden/pytorchState.py, for the models of pytorchModels.ts.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import * as steepest from "../../src/platform/node.js";
import { concatenate } from "../../src/platform/nodeGraph.js";
import {
  decodeSafetensors,
  encodeSafetensors,
  fromPyTorch,
  type SafetensorsFile,
  toPyTorch,
} from "../../src/platform/nodeIo.js";
import { filled, models } from "./pytorchModels.js";

const { batchNorm, compileSync, conv2d, convLstm2d, dense, flatten, functional, gru, layerNorm, lstm } = steepest;
const { multiHeadAttention, prelu, separableConv2d, sequential } = steepest;
type Model = Parameters<typeof compileSync>[0];

interface Recorded {
  readonly shape: number[];
  readonly data: readonly number[];
}
interface Case {
  /** Of the module as PyTorch made it, with its outputs. */
  readonly state: Readonly<Record<string, Recorded>>;
  readonly counts: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, Recorded>>;
  readonly y: Recorded;
  /** What PyTorch said of our file, and the module's outputs with it. */
  readonly ours: { readonly sha256: string; readonly verdict: string; readonly y: Recorded };
}
const cases: Readonly<Record<string, Case>> = JSON.parse(
  readFileSync(new URL("../golden/pytorchState.json", import.meta.url), "utf8"),
);
const engine = createEngineSync();
const chain = (input: readonly number[], ...layers: readonly unknown[]) =>
  sequential({ input }, ...(layers as never)) as never;

type Trainer = ReturnType<typeof filled>;

/** Holds predictions against PyTorch's. Sums of some dozens of products: a few roundings of float32 of the largest. */
function expectOutputs(name: string, trainer: Trainer, { inputs }: Case, y: Recorded): void {
  const given = Object.entries(inputs).map(([key, { data }]) => {
    return [key, name === "embedding" ? Uint32Array.from(data) : Float32Array.from(data)] as const;
  });
  const x = given.length === 1 ? given[0][1] : Object.fromEntries(given);
  const outputs = trainer.predictSync(x as never) as Float32Array;
  expect(outputs.length).toBe(y.data.length);
  const largest = Math.max(1, ...y.data.map(Math.abs));
  outputs.forEach((value, index) => expect(Math.abs(value - y.data[index]) / largest).toBeLessThan(2e-6));
}

/** What toPyTorch gives after fromPyTorch: the same, but two biases that are one here, and counts that nothing needs. */
function expectedBack(name: string, trainer: Trainer, { state, counts }: Case) {
  const paths = new Set(trainer.parameters().keys());
  const expected = Object.entries(state).map(([key, { shape, data }]) => {
    const values = data.map(Math.fround);
    const isSum = /bias_[ih]h/.test(key) && ![...paths].some((path) => path.endsWith("recurrentBias"));
    if (!isSum) return [key, { shape, data: Float32Array.from(values) }];
    const other = state[key.replace("bias_ih", "bias_hh")].data;
    const sums = values.map((value, index) => (key.includes("bias_hh") ? 0 : value + Math.fround(other[index])));
    return [key, { shape, data: Float32Array.from(sums) }];
  });
  const counted = Object.entries(counts).map(([key, count]) => {
    const isKept = paths.has(key.replace("num_batches_tracked", "batchCount"));
    return [key, { shape: [], data: BigInt64Array.of(isKept ? BigInt(count) : 0n) }];
  });
  expect(counted.length, name).toBe(Object.keys(state).filter((key) => key.endsWith("running_mean")).length);
  return Object.fromEntries([...expected, ...counted]);
}

const tensorsOf = ({ state, counts }: Pick<Case, "state" | "counts">): Map<string, Tensor> => {
  const inputs = Object.entries(state).map(([name, { shape, data }]) => [
    name,
    { shape, data: Float32Array.from(data) },
  ]);
  const whole = Object.entries(counts).map(([name, count]) => [
    name,
    { shape: [], data: BigInt64Array.of(BigInt(count)) },
  ]);
  return decodeSafetensors(encodeSafetensors(Object.fromEntries([...inputs, ...whole]))).tensors as never;
};
type Tensor = NonNullable<ReturnType<SafetensorsFile["tensors"]["get"]>>;

test("all that was recorded is compared", () => expect(Object.keys(models)).toEqual(Object.keys(cases)));

describe("of PyTorch's parameters", () => {
  for (const [name, make] of Object.entries(models)) {
    test(`${name} predicts what PyTorch does, and gives them back as they were`, () => {
      const trainer = compileSync(make(), { engine });
      expect(fromPyTorch(trainer, tensorsOf(cases[name]))).toEqual({ converted: [] });
      expectOutputs(name, trainer, cases[name], cases[name].y);
      // What load_state_dict(strict=True) asks for: the same names and shapes.
      expect(toPyTorch(trainer)).toEqual(expectedBack(name, trainer, cases[name]));
      trainer.dispose();
    });
  }
  test("other dtypes are converted, and it is said", () => {
    const trainer = compileSync(models.dense(), { engine });
    const { state } = cases.dense;
    const inputs = Object.entries(state).map(([name, { shape, data }]) => [
      name,
      { shape, data: Float64Array.from(data) },
    ]);
    const { tensors } = decodeSafetensors(encodeSafetensors(Object.fromEntries(inputs)));
    expect([...fromPyTorch(trainer, tensors).converted].sort()).toEqual([
      "0.bias: F64 to float32, 4 of 4 values rounded",
      "0.weight: F64 to float32, 20 of 20 values rounded",
      "2.weight: F64 to float32, 12 of 12 values rounded",
    ]);
    trainer.dispose();
  });
});

describe("with our parameters, PyTorch's module loads all of them and predicts what we do:", () => {
  for (const [name, make] of Object.entries(models)) {
    test(name, () => {
      const trainer = filled(make, engine);
      const bytes = encodeSafetensors(toPyTorch(trainer));
      const { sha256, verdict, y } = cases[name].ours;
      expect(
        createHash("sha256").update(bytes).digest("hex"),
        "the file is not the one that PyTorch was given: run test/golden/pytorchState.py, which records what it makes of this one",
      ).toBe(sha256);
      expect(verdict).toBe("<All keys matched successfully>");
      expectOutputs(name, trainer, cases[name], y);
      trainer.dispose();
    });
  }
});

describe("refused, with nothing changed:", () => {
  const trainer = compileSync(models.dense(), { engine });
  const before = JSON.stringify([...trainer.parameters()]);
  const refused = (change: (tensors: Map<string, Tensor>) => void, message: RegExp) => {
    const tensors = tensorsOf(cases.dense);
    change(tensors);
    expect(() => fromPyTorch(trainer, tensors)).toThrow(message);
    expect(JSON.stringify([...trainer.parameters()])).toBe(before);
  };

  test("a tensor that is missing, unknown, of another shape, not finite, or of truth values", () => {
    refused((tensors) => tensors.delete("2.weight"), /the model needs "2.weight"/);
    refused((tensors) => tensors.set("3.weight", tensors.get("0.bias") as never), /no such parameters, got 3.weight/);
    refused(
      (tensors) => tensors.set("0.bias", { dtype: "F32", shape: [3], data: new Float32Array(3) }),
      /"0.bias" must be \[4\]/,
    );
    refused(
      (tensors) => tensors.set("0.bias", { dtype: "F32", shape: [4], data: Float32Array.of(0, 1, Number.NaN, 0) }),
      /got NaN at index 2/,
    );
    refused(
      (tensors) => tensors.set("0.bias", { dtype: "F64", shape: [4], data: Float64Array.of(0, 1e300, 0, 0) }),
      /got 1e\+300 at index 1/,
    );
    refused(
      (tensors) => tensors.set("0.bias", { dtype: "BOOL", shape: [4], data: new Uint8Array(4) }),
      /got BOOL: convert it/,
    );
  });

  test("a count of batches that is none, or is missing where averages need it", () => {
    const averaged = compileSync(models.cumulative(), { engine });
    const tensors = tensorsOf(cases.cumulative);
    const count = "1.num_batches_tracked";
    const set = (shape: number[], data: bigint[]) =>
      tensors.set(count, { dtype: "I64", shape, data: BigInt64Array.from(data) });
    for (const change of [() => set([], [-1n]), () => set([1], [1n]), () => tensors.delete(count)]) {
      change();
      expect(() => fromPyTorch(averaged, tensors)).toThrow(/"1.num_batches_tracked" must be one whole number from 0/);
    }
    averaged.dispose();
    // Files of PyTorch before 0.4 have none.
    const running = compileSync(models.batchNorm1d(), { engine });
    const older = tensorsOf({ state: cases.batchNorm1d.state, counts: {} });
    expect(fromPyTorch(running, older)).toEqual({ converted: [] });
    expectOutputs("batchNorm1d", running, cases.batchNorm1d, cases.batchNorm1d.y);
    running.dispose();
  });

  test.each<[string, Model, RegExp]>([
    ["separableConv2d", chain([4, 4, 2], separableConv2d(2, 3)), /got separableConv2d "0": see docs/],
    ["convLstm2d", chain([2, 4, 4, 2], convLstm2d(2, 3)), /got convLstm2d "0": see docs/],
    ["keyHeads", chain([3, 8], multiHeadAttention(4, { keyHeads: 2 })), /got weight \[8, 16\], .*: leave out keyHeads/],
    ["outputFeatures", chain([3, 4], multiHeadAttention(2, { outputFeatures: 3 })), /outputWeight \[4, 3\]: leave out/],
    ["a reset before", chain([3, 4], gru(2, { reset: "before" })), /reset of a gru must be "after"/],
    ["peepholes", chain([3, 4], lstm(2, { peepholes: true })), /lstm must have the parameters of PyTorch's, got "/],
    ["slopes by place", chain([3, 4], prelu({ weightShape: [3, 4] })), /one for each channel, got \[3, 4\]/],
    ["rows of an image", chain([4, 4, 1], conv2d(2, 1), layerNorm({ axes: 2 })), /got weights \[4, 2\]/],
  ])("what PyTorch has not: %s", (_, model, message) => {
    const other = compileSync(model, { engine });
    expect(() => toPyTorch(other)).toThrow(message);
    expect(() => fromPyTorch(other, new Map())).toThrow(message);
    other.dispose();
  });

  const input = [4, 4, 2];
  test.each<[string, Model]>([
    ["at once", functional({ input }, (x, { apply }) => apply(x, conv2d(2, 3), flatten(), dense(2))) as never],
    [
      "with others between",
      functional({ input }, (x, { apply }) => {
        const y = apply(x, conv2d(2, 3));
        const other = apply(x, flatten(), dense(3));
        return apply(concatenate([apply(y, flatten(), batchNorm()), other]), dense(1));
      }) as never,
    ],
    [
      "in a chain that begins there",
      functional({ input }, (x, { apply }) =>
        apply(apply(x, conv2d(2, 3)), sequential({ input: [2, 2, 2] }, flatten(), dense(2))),
      ) as never,
    ],
  ])("a flattened image whose way is not a chain: %s", (_, model) => {
    const held = compileSync(model, { engine });
    expect(() => toPyTorch(held)).toThrow(
      /layer behind a flattened image must be in a chain, got "[\d.]+" of a function/,
    );
    held.dispose();
  });

  test("but not one that is a chain within a function, or an image of one pixel", () => {
    const within = sequential({ input }, conv2d(2, 3), flatten(), dense(2));
    const models = [
      functional({ input }, (x, { apply }) => apply(x, within)),
      functional({ input }, (x, { apply }) => apply(x, conv2d(8, 4), flatten(), dense(2))),
    ];
    for (const model of models) {
      const held = compileSync(model, { engine });
      expect(Object.keys(toPyTorch(held)).length).toBe(4);
      held.dispose();
    }
  });
});
