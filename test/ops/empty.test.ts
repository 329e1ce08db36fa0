// Tensors without elements: values and gradients by the battery, refusals where there is no answer.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { elements, startRecording } from "../../src/engine/instructions.js";
import { compileFunction, compileFunctionSync } from "../../src/graph/function.js";
import { lower } from "../../src/graph/lower.js";
import { planMemory } from "../../src/graph/plan.js";
import { buffer, constant, input, parameter, type Tensor } from "../../src/graph/tensor.js";
import { zeros } from "../../src/nn/initializers.js";
import * as ops from "../../src/ops/index.js";
import "../../src/platform/nodeThreads.js";
import { battery, engineOf } from "./battery.js";
import { emptyCases } from "./samples/empty.js";

for (const [kind, cases] of Object.entries(emptyCases)) battery(`${kind} without elements`, { cases });

const rows = input([0, 3], { name: "rows" });
const columns = input([2, 0], { name: "columns" });
const image = (shape: number[]) => input(shape, { name: "image" });
const weight = input([1, 1, 1, 1]);

describe("what has no answer is refused by name", () => {
  test.each<[string, () => unknown, string]>([
    [
      "mean",
      () => ops.mean(columns, 1),
      "mean: there must be at least one element, got columns of shape [2, 0]: take the sum()",
    ],
    ["mean of all", () => ops.mean(rows), "mean: there must be at least one element, got rows of shape [0, 3]"],
    ["max", () => ops.max(columns, 1), "max: there must be at least one element, got columns of shape [2, 0]"],
    ["min of all", () => ops.min(rows), "min: there must be at least one element, got rows of shape [0, 3]"],
    ["argmax", () => ops.argmax(columns), "argmax: there must be at least one element, got columns of shape [2, 0]"],
    ["argmin", () => ops.argmin(rows, 0), "argmin: there must be at least one element, got "],
    [
      "variance",
      () => ops.variance(columns, 1),
      "variance: there must be more elements than the correction, got 0 and 1",
    ],
    [
      "norm",
      () => ops.norm(columns, 1, { p: Number.POSITIVE_INFINITY }),
      "norm: there must be at least one element if p is Infinity, got columns of shape [2, 0]",
    ],
    [
      "norm below 0",
      () => ops.norm(rows, 0, { p: -2 }),
      "norm: there must be at least one element if p is -2, got rows of shape [0, 3]",
    ],
    [
      "gather",
      () => ops.gather(rows, input([2], { dtype: "uint32" })),
      "gather: there must be at least one element, got rows of shape [0, 3]",
    ],
    ["a constant index", () => ops.gather(rows, constant(Uint32Array.of(0))), "gather: indices must be below 0"],
    ["topK", () => ops.topK(columns, 1), "topK: k must be at most 0"],
    [
      "reflect",
      () => ops.pad(rows, [[1, 0]], { mode: "reflect" }),
      "pad: axis 0 of rows [0, 3] can mirror at most 0 elements at either end",
    ],
    ["edge", () => ops.pad(rows, [[1, 0]], { mode: "edge" }), "pad: axis 0 of rows [0, 3] has no element to repeat"],
    [
      "reshape",
      () => ops.reshape(rows, [-1, 0]),
      "reshape: the new shape must have the 0 elements of rows [0, 3], got [-1, 0]",
    ],
    ["broadcast", () => ops.add(rows, input([2, 3])), "add: shapes must match or broadcast"],
    ["meanSquaredError", () => ops.meanSquaredError(rows, rows), "meanSquaredError: there is no mean of no elements"],
    [
      "softmaxCrossEntropy",
      () => ops.softmaxCrossEntropy(rows, input([0], { dtype: "uint32" })),
      "softmaxCrossEntropy: there is no mean of no elements",
    ],
    [
      "no classes",
      () => ops.softmaxCrossEntropyWithDistributions(columns, columns),
      "softmaxCrossEntropyWithDistributions: there must be at least one class, got logits of shape [2, 0]",
    ],
    [
      "correctClasses",
      () => ops.correctClasses(columns, input([2], { dtype: "uint32" })),
      "correctClasses: there must be at least one class",
    ],
    [
      "batchNorm",
      () => ops.batchNorm(rows),
      "batchNorm: there must be at least one element to take mean and variance of, got rows of shape [0, 3]",
    ],
    ["batchNorm of no channels", () => ops.batchNorm(columns), "batchNorm: there must be at least one element"],
    ["instanceNorm", () => ops.instanceNorm(image([2, 0, 3])), "instanceNorm: there must be at least one element"],
    [
      "layerNorm",
      () => ops.layerNorm(columns),
      "layerNorm: there must be at least one element to take mean and variance of, got columns of shape [2, 0]",
    ],
    [
      "conv2d",
      () => ops.conv2d(image([2, 0, 4, 1]), weight, { padding: 1 }),
      "conv2d: only the batch may be empty, got an input of shape [2, 0, 4, 1]",
    ],
    ["conv2d of no channels", () => ops.conv2d(image([2, 4, 4, 0]), weight), "conv2d: only the batch may be empty"],
    [
      "a kernel without taps",
      () => ops.conv2d(image([2, 4, 4, 1]), input([0, 1, 1, 1])),
      "conv2d: weight must have at least one element, got [0, 1, 1, 1]",
    ],
    [
      "convTranspose1d",
      () => ops.convTranspose1d(image([2, 0, 1]), input([1, 1, 1])),
      "convTranspose1d: only the batch may be empty",
    ],
    [
      "conv3d",
      () => ops.conv3d(image([2, 3, 0, 4, 1]), input([1, 1, 1, 1, 1])),
      "conv3d: only the batch may be empty, got an input of shape [2, 3, 0, 4, 1]",
    ],
    [
      "conv3d without taps",
      () => ops.conv3d(image([2, 3, 4, 4, 1]), input([0, 1, 1, 1, 1])),
      "conv3d: weight must have at least one element, got [0, 1, 1, 1, 1]",
    ],
    [
      "convTranspose3d",
      () => ops.convTranspose3d(image([2, 0, 3, 4, 1]), input([1, 1, 1, 1, 1])),
      "convTranspose3d: only the batch may be empty",
    ],
    ["maxPool3d", () => ops.maxPool3d(image([2, 2, 0, 4, 1]), 1), "maxPool3d: only the batch may be empty"],
    ["averagePool3d", () => ops.averagePool3d(image([2, 2, 2, 4, 0]), 1), "averagePool3d: only the batch may be empty"],
    ["maxPool2d", () => ops.maxPool2d(image([2, 0, 4, 1]), 1), "maxPool2d: only the batch may be empty"],
    ["globalMaxPool", () => ops.globalMaxPool(image([2, 0, 1])), "globalMaxPool: only the batch may be empty"],
    ["resize", () => ops.resize(image([2, 4, 0, 1]), { size: 2 }), "resize: only the batch may be empty"],
    [
      "gridSample",
      () => ops.gridSample(image([2, 0, 4, 1]), input([2, 3, 3, 2])),
      "gridSample: only the batch may be empty",
    ],
    ["upsample1d", () => ops.upsample1d(image([2, 0, 1]), { scale: 2 }), "upsample1d: only the batch may be empty"],
  ])("%s", (_, build, text) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  });
});

test("a program of nothing runs, and values without elements are handed in as they come", () => {
  using run = compileFunctionSync(
    ({ x, at }) => ({
      y: ops.relu(x),
      total: ops.sum(x),
      slope: ops.gradient(ops.sum(ops.square(x)), x),
      picked: ops.gather(x, at, 1),
    }),
    { x: [0, 3], at: input([0], { name: "at", dtype: "uint32" }) },
    { engine: engineOf("strict") },
  );
  for (const x of [[], new Float32Array(0)]) {
    const { y, total, slope, picked } = run({ x, at: new Uint32Array(0) });
    expect([y, slope, picked].map(({ length }) => length)).toEqual([0, 0, 0]);
    expect(Array.from(total)).toEqual([0]);
  }
  expect(() => run({ x: [1, 2, 3], at: [] })).toThrow('"x": must have shape [0, 3]');
  using views = compileFunctionSync(
    ({ x }) => ({ y: ops.reshape(x, [2, 0]) }),
    { x: [0] },
    { engine: engineOf("strict") },
  );
  expect(views({ x: [] }).y.length).toBe(0);
});

test("what has no units is no instruction, as kernels may divide by their sizes", () => {
  const recording = startRecording();
  recording.record.copyStrided({ units: 0, cost: 0 }, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1);
  recording.record.fill(elements(0), 0, 0, 1);
  expect(recording.words().length).toBe(0);
  // Units of these would be 0 / 0.
  const results = [ops.softmax(columns), ops.sort(columns).indices, ops.reglu(columns)];
  lower(
    planMemory(results, new Map([[columns, 64]]), { convolution: "auto" }),
    recording.record,
    128,
    new Map([[columns, 64]]),
  );
  expect(recording.listing()).toEqual([]);
});

test("a parameter has elements", () => {
  expect(() => parameter([3, 0], zeros(), "weight")).toThrow(
    "weight: every size of a shape must be a whole number of at least 1, got [3, 0]",
  );
  expect(() => buffer([0], zeros(), "mean")).toThrow(
    "mean: every size of a shape must be a whole number of at least 1",
  );
  expect(() => input([-1])).toThrow("input: every size of a shape must be a whole number of at least 0, got [-1]");
});

test("gradients of gradients go through what is empty", () => {
  const twice = (x: Tensor) =>
    ops.gradient(ops.sum(ops.square(ops.gradient(ops.sum(ops.mul(x, ops.square(x))), x))), x);
  using run = compileFunctionSync(
    ({ x, y }) => ({ dx: twice(x), dy: twice(ops.concatenate([x, y])) }),
    { x: [0], y: [2] },
    { engine: engineOf("strict") },
  );
  const { dx, dy } = run({ x: [], y: [1, 2] });
  expect(dx.length).toBe(0);
  // (3y²)², differentiated: 36y³.
  expect(Array.from(dy)).toEqual([36, 288]);
});

test("beside what is not empty, nothing changes for any number of threads", async () => {
  const x = Float32Array.from({ length: 40_000 }, (_, i) => Math.sin(i));
  const results: string[] = [];
  for (const threads of [1, 2, 3, 4]) {
    using run = await compileFunction(
      ({ x, none }) => {
        const joined = ops.concatenate([none, x, none]);
        const whole = ops.add(ops.square(joined), ops.matmul(ops.reshape(none, [200, 0]), ops.reshape(none, [0, 200])));
        const loss = ops.add(ops.sum(whole), ops.sum(ops.exp(none)));
        return { whole, dx: ops.gradient(loss, x), dNone: ops.gradient(loss, none) };
      },
      { x: [200, 200], none: [200, 0] },
      { threads },
    );
    using nothing = await compileFunction(({ none }) => ({ y: ops.relu(none) }), { none: [0] }, { engine: run.engine });
    expect(nothing({ none: [] }).y.length).toBe(0);
    const { whole, dx, dNone } = run({ x, none: [] });
    expect(dNone.length).toBe(0);
    results.push(Buffer.concat([whole, dx].map(({ buffer }) => Buffer.from(buffer))).toString("base64"));
  }
  expect(new Set(results).size).toBe(1);
});
