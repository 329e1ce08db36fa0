// Layers that move elements, and those made of layers: shapes, values, gradients, names and errors.
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, type Shape, sizeOf } from "../../src/graph/tensor.js";
import {
  adam,
  checkGradients,
  compileSync,
  crop1d,
  crop2d,
  dense,
  dropout,
  flatten,
  type Layer,
  meanSquaredError,
  permute,
  repeatVector,
  reshape,
  residual,
  sequential,
  tanh,
  zeroPad1d,
  zeroPad2d,
} from "../../src/index.js";
import { layerContext } from "../../src/nn/layer.js";
import "../../src/platform/nodeKernels.js";

const engine = createEngineSync();

/** What a layer makes of a batch of 0, 1, 2, …, and the shape it said that would have. */
function run(layer: Layer, inputShape: Shape, batch = 2): { shape: Shape; values: number[] } {
  const built = layer.build({ where: `${layer.kind} 0`, path: "0" }, inputShape);
  const context = layerContext({ training: false, clock: constant(new Uint32Array(16)), seed: [1, 0] });
  const shape = [batch, ...inputShape];
  using f = compileFunctionSync(
    ({ x }) => {
      const y = built.apply(x, context);
      expect(y.shape).toEqual([batch, ...built.outputShape]);
      return { y };
    },
    { x: shape },
    { engine },
  );
  const x = Float32Array.from({ length: sizeOf(shape) }, (_, i) => i);
  return { shape: built.outputShape, values: Array.from(f({ x }).y) };
}

describe("shapes and values", () => {
  test("reshape keeps the order", () => {
    const range = Array.from({ length: 24 }, (_, i) => i);
    expect(run(reshape([3, 4]), [12])).toEqual({ shape: [3, 4], values: range });
    expect(run(reshape([2, -1]), [3, 4])).toEqual({ shape: [2, 6], values: range });
  });

  test("permute counts the sample's axes from 1", () => {
    expect(run(permute([2, 1]), [2, 3], 1)).toEqual({ shape: [3, 2], values: [0, 3, 1, 4, 2, 5] });
    expect(run(permute([3, 1, 2]), [4, 5, 3]).shape).toEqual([3, 4, 5]);
  });

  test("repeatVector", () => {
    expect(run(repeatVector(2), [3])).toEqual({ shape: [2, 3], values: [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5] });
  });

  test("zeros around, and margins away again", () => {
    expect(run(zeroPad1d([1, 2]), [2, 1], 1)).toEqual({ shape: [5, 1], values: [0, 0, 1, 0, 0] });
    expect(run(zeroPad1d(1), [2, 3]).shape).toEqual([4, 3]);
    const padded = [0, 0, 0, 0, 1, 0, 2, 3, 0, 0, 0, 0];
    expect(
      run(
        zeroPad2d([
          [1, 1],
          [0, 1],
        ]),
        [2, 2, 1],
        1,
      ),
    ).toEqual({ shape: [4, 3, 1], values: padded });
    expect(run(zeroPad2d(2), [28, 28, 3]).shape).toEqual([32, 32, 3]);
    expect(run(crop1d([1, 0]), [3, 1], 1)).toEqual({ shape: [2, 1], values: [1, 2] });
    expect(
      run(
        crop2d([
          [1, 0],
          [0, 2],
        ]),
        [2, 3, 1],
        1,
      ),
    ).toEqual({ shape: [1, 1, 1], values: [3] });
    expect(run(crop2d(2), [32, 32, 3]).shape).toEqual([28, 28, 3]);
  });

  test("sizes are those of the tensor that comes", () => {
    const built = crop1d(1).build({ where: "crop1d 0", path: "0" }, [4, 1]);
    const context = layerContext({ training: false, clock: constant(new Uint32Array(16)), seed: [1, 0] });
    using f = compileFunctionSync(({ x }) => ({ y: built.apply(x, context) }), { x: [1, 7, 1] }, { engine });
    expect(Array.from(f({ x: [0, 1, 2, 3, 4, 5, 6] }).y)).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("residual", () => {
  const data = { x: Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)), y: new Float32Array(12).fill(0.3) };

  test("adds what its layers make of x to x", () => {
    const model = sequential({ input: [2] }, residual({ name: "block" }, dense(2, { name: "in" }), dense(2)));
    expect([...model.parameters.keys()]).toEqual([
      "block.in.weight",
      "block.in.bias",
      "block.1.weight",
      "block.1.bias",
    ]);
    const trainer = compileSync(model, { loss: meanSquaredError(), optimizer: adam(), engine });
    trainer.setParameters({
      "block.in.weight": [1, 0, 0, 1],
      "block.in.bias": [1, 1],
      "block.1.weight": [0, 1, 1, 0],
      "block.1.bias": [0, 0],
    });
    expect(Array.from(trainer.predictSync([[3, 5]]))).toEqual([9, 9]);
    trainer.dispose();
  });

  test("has the right gradients, nested too", async () => {
    const inner = residual(dense(3), tanh());
    const model = sequential({ input: [6] }, dense(3), residual(dense(5), inner5(), dense(3)), inner, dense(3));
    const report = await checkGradients(model, { loss: meanSquaredError(), data, engine });
    expect(report.passed, JSON.stringify(report.worst)).toBe(true);
    expect([...model.parameters.keys()]).toContain("1.1.0.weight");
  });

  function inner5(): Layer {
    return residual(dense(5), tanh());
  }

  test("passes the context on: its dropout draws", () => {
    const model = sequential({ input: [6] }, residual(dropout(0.5)), dense(3));
    const trainer = compileSync(model, { loss: meanSquaredError(), optimizer: adam(), engine, seed: 3 });
    trainer.fitSync(data, { epochs: 2, batchSize: 4 });
    trainer.dispose();
  });
});

describe("errors", () => {
  const build = (layer: Layer, input: Shape) => () => sequential({ input }, layer);
  test.each<[() => unknown, string]>([
    [
      () => reshape([-1, -1]),
      "reshape: shape must be an array of one sample's sizes, like [28, 28, 1], one may be -1, got [-1, -1]",
    ],
    [build(reshape([5]), [4]), "reshape 0: the new shape must have the 4 elements of [batch, 4], got [batch, 5]"],
    [
      build(reshape([3, -1]), [4]),
      "reshape 0: the new shape must have the 4 elements of [batch, 4], got [batch, 3, -1]",
    ],
    [() => permute([0, 1]), "permute: axes must be a permutation of 1 to the number of a sample's axes, got [0, 1]"],
    [build(permute([2, 1]), [4]), "permute 0: input must have 2 axes behind the batch, got [batch, 4]"],
    [() => repeatVector(0), "repeatVector: count must be a whole number of at least 1, got 0"],
    [
      build(repeatVector(2), [4, 4]),
      "repeatVector 0: input must be [batch, features], got [batch, 4, 4]: add flatten()",
    ],
    [() => zeroPad1d(-1), "zeroPad1d: must be given a whole number of at least 0, or [before, after], got -1"],
    [
      () => zeroPad2d([1, 2] as never),
      "zeroPad2d: must be given a whole number of at least 0, or [[top, bottom], [left, right]], got [1, 2]",
    ],
    [
      build(zeroPad2d(1), [4]),
      "zeroPad2d 0: input must be [batch, height, width, channels], got [batch, 4]: add reshape()",
    ],
    [build(crop1d(2), [4, 3]), "crop1d 0: something must be left of each axis, got [2, 2] of the length 4: crop less"],
    [() => residual(), "residual: needs at least one layer, got none"],
    [() => residual({ title: "x" } as never, flatten()), 'residual: unknown option "title": the options are name'],
    [
      build(residual(dense(5)), [4]),
      "residual 0: its layers must keep the shape [batch, 4], got [batch, 5]: change the last of them",
    ],
    [
      build(residual(dense(4, { name: "a" }), dense(4, { name: "a" })), [4]),
      'residual 0: layer names must differ, got "a" twice',
    ],
    [build(residual(dense(4)), []), 'dense "0.0": input must be [batch, …, features], got [batch]'],
  ])("%s", (make, text) => {
    expect(make).toThrow(ModelError);
    expect(make).toThrow(text);
  });
});
