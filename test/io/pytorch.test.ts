// Parameters that go to PyTorch and come from there: recorded by test/golden/pytorchState.py.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import * as steepest from "../../src/platform/node.js";
import {
  decodeSafetensors,
  encodeSafetensors,
  fromPyTorch,
  type SafetensorsFile,
  toPyTorch,
} from "../../src/platform/nodeIo.js";

const { batchNorm, compileSync, conv1d, conv2d, conv3d, convTranspose2d, convTranspose3d, dense, dropout } = steepest;
const { embedding, flatten, functional, groupNorm, gru, layerNorm, lstm, maxPool1d, multiHeadAttention, prelu } =
  steepest;
const { relu, separableConv2d, sequential, simpleRnn, transformerEncoder } = steepest;

interface Recorded {
  readonly shape: number[];
  readonly data: readonly number[];
}
interface Case {
  readonly state: Readonly<Record<string, Recorded>>;
  readonly counts: readonly string[];
  readonly x: Recorded;
  readonly y: Recorded;
}
const cases: Readonly<Record<string, Case>> = JSON.parse(
  readFileSync(new URL("../golden/pytorchState.json", import.meta.url), "utf8"),
);
const engine = createEngineSync();
const chain = (input: readonly number[], ...layers: readonly unknown[]) =>
  sequential({ input }, ...(layers as never)) as never;

const models: Readonly<Record<string, () => Parameters<typeof compileSync>[0]>> = {
  dense: () => chain([5], dense(4), relu(), dense(3, { bias: false })),
  image: () =>
    chain(
      [5, 6, 2],
      ...[conv2d(4, 3, { stride: 2, padding: 1 }), batchNorm(), relu(), conv2d(4, [1, 2], { groups: 2 })],
      ...[flatten(), dropout(0.5), dense(3)],
    ),
  sequence: () => chain([7, 3], conv1d(4, 2), maxPool1d(2), conv1d(8, 2, { groups: 4 }), flatten(), dense(2)),
  upwards: () => chain([3, 2, 2], convTranspose2d(3, [2, 3], { stride: 2 }), groupNorm(3), prelu()),
  volume: () => chain([3, 3, 4, 1], conv3d(2, 2), relu(), convTranspose3d(1, 2)),
  lstm: () => chain([4, 3], lstm(2, { layers: 2, bidirectional: "concatenate", returnSequences: true })),
  projection: () => chain([4, 3], lstm(4, { projection: 2, returnSequences: true })),
  gru: () => chain([4, 3], gru(2, { returnSequences: true })),
  simpleRnn: () => chain([4, 3], simpleRnn(2, { returnSequences: true })),
  attention: () => chain([3, 4], multiHeadAttention(2)),
  encoder: () => chain([3, 4], transformerEncoder(2, { hidden: 6 }), layerNorm()),
  embedding: () => sequential({ input: [2], dtype: "uint32" }, embedding(7, 3), flatten(), dense(2)) as never,
};

const tensorsOf = (state: Case["state"]): SafetensorsFile["tensors"] => {
  const inputs = Object.entries(state).map(([name, { shape, data }]) => [
    name,
    { shape, data: Float32Array.from(data) },
  ]);
  return decodeSafetensors(encodeSafetensors(Object.fromEntries(inputs))).tensors;
};

test("all that was recorded is compared", () => expect(Object.keys(models)).toEqual(Object.keys(cases)));

describe("of PyTorch's parameters", () => {
  for (const [name, make] of Object.entries(models)) {
    const { state, counts, x, y } = cases[name];

    test(`${name} predicts what PyTorch does, and gives them back as they were`, () => {
      const trainer = compileSync(make(), { engine });
      expect(fromPyTorch(trainer, tensorsOf(state))).toEqual({ converted: [] });
      const input = name === "embedding" ? Uint32Array.from(x.data) : Float32Array.from(x.data);
      const outputs = trainer.predictSync(input as never) as Float32Array;
      expect(outputs.length).toBe(y.data.length);
      // Sums of some dozens of products: a few roundings of float32, of values up to 3.
      outputs.forEach((value, index) => expect(Math.abs(value - y.data[index])).toBeLessThan(2e-6));

      const back = toPyTorch(trainer);
      // What load_state_dict(strict=True) asks for: the same names and shapes.
      expect(Object.keys(back).sort()).toEqual([...Object.keys(state), ...counts].sort());
      const other = Object.entries(back).filter(([one, { data }]) => {
        // The two biases of recurrent layers come as their sum.
        if (counts.includes(one) || /bias_[ih]h/.test(one)) return false;
        return (
          state[one].shape.join() !== back[one].shape.join() ||
          [...(data as Float32Array)].some((value, index) => value !== Math.fround(state[one].data[index]))
        );
      });
      expect(other).toEqual([]);
      trainer.dispose();
    });
  }

  test("the second bias of a recurrent layer is added, and goes out as zeros", () => {
    const trainer = compileSync(models.simpleRnn(), { engine });
    const { state } = cases.simpleRnn;
    fromPyTorch(trainer, tensorsOf(state));
    const sum = state["0.bias_ih_l0"].data.map((one, index) =>
      Math.fround(Math.fround(one) + Math.fround(state["0.bias_hh_l0"].data[index])),
    );
    expect([...(trainer.parameters().get("0.bias")?.data ?? [])]).toEqual(sum);
    expect(toPyTorch(trainer)["0.bias_hh_l0"].data).toEqual(new Float32Array(2));
    trainer.dispose();
  });

  test("other dtypes are converted, and it is said", () => {
    const trainer = compileSync(models.dense(), { engine });
    const { state } = cases.dense;
    const inputs = Object.entries(state).map(([name, { shape, data }]) => [
      name,
      { shape, data: Float64Array.from(data) },
    ]);
    const { tensors } = decodeSafetensors(encodeSafetensors(Object.fromEntries(inputs)));
    expect([...fromPyTorch(trainer, tensors).converted].sort()).toEqual([
      "0.bias: F64 to float32",
      "0.weight: F64 to float32",
      "2.weight: F64 to float32",
    ]);
    trainer.dispose();
  });
});

describe("refused, with nothing changed:", () => {
  const trainer = compileSync(models.dense(), { engine });
  const { state } = cases.dense;
  const before = JSON.stringify([...trainer.parameters()]);
  const refused = (change: (tensors: SafetensorsFile["tensors"]) => void, message: RegExp) => {
    const tensors = tensorsOf(state);
    change(tensors);
    expect(() => fromPyTorch(trainer, tensors)).toThrow(message);
    expect(JSON.stringify([...trainer.parameters()])).toBe(before);
  };

  test("a tensor that is missing, unknown, of another shape, not finite, or of whole numbers", () => {
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
      (tensors) => tensors.set("0.bias", { dtype: "I64", shape: [4], data: new BigInt64Array(4) }),
      /got I64: convert it/,
    );
  });

  test("a layer that PyTorch has not, and a flattened image whose way is not a chain", () => {
    const other = compileSync(chain([4, 4, 2], separableConv2d(2, 3)), { engine });
    expect(() => toPyTorch(other)).toThrow(/got separableConv2d "0"/);
    other.dispose();
    const branched = functional({ input: [4, 4, 2] }, (x, { apply }) => apply(x, conv2d(2, 3), flatten(), dense(2)));
    const held = compileSync(branched, { engine });
    expect(() => toPyTorch(held)).toThrow(/a dense layer behind a flattened image must be in a chain/);
    held.dispose();
  });
});
