import { checkGradients, crossEntropy, dense, gelu, relu, sequential, tanh } from "steepest";
import { constant, exp, matmul, mean, multiply, scale, square, subtract, sum, type Tensor } from "steepest/graph";
import { expect, test } from "vitest";
import { apply, type Operation } from "../../src/graph/operation.js";
import { blobs } from "./blobs.js";

const at = (...shape: number[]) => ({
  shape,
  values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(3 * i + 1)),
});

test("right gradients pass: functions of several inputs, scalars or not", async () => {
  const report = await checkGradients(({ a, b }) => exp(scale(matmul(a, b), 0.3)), {
    at: { a: at(3, 4), b: at(4, 2) },
  });
  expect(report).toMatchObject({ passed: true });
  expect(report.checks.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(report.worst.error).toBeLessThan(5e-4);
  const loss = await checkGradients(({ x }) => mean(square(subtract(x, constant([1, 2, 3])))), { at: { x: at(3) } });
  expect(loss.passed).toBe(true);
});

test("a model's parameters are all checked", async () => {
  for (const activation of [tanh, gelu, relu]) {
    const model = sequential({ input: [2] }, dense(7), activation(), dense(3));
    const report = await checkGradients(model, { loss: crossEntropy(), data: blobs(12) });
    expect(report.checks.map(({ name }) => name)).toEqual(["0.weight", "0.bias", "2.weight", "2.bias"]);
    expect(report.passed, JSON.stringify(report.worst)).toBe(true);
  }
});

test("a wrong gradient fails: wrong by a factor, by a sign, in one element", async () => {
  const wrong = (rule: (x: Tensor, gradient: Tensor) => Tensor): Operation => ({
    name: "wrongSquare",
    infer: ([x]) => [{ shape: x.shape }],
    forward: (record, { from, to, inputs }) => {
      const n = inputs[0].shape.reduce((a, b) => a * b, 1);
      record.multiply({ units: Math.ceil(n / 4), cost: n }, to[0], from[0], from[0], n);
    },
    backward: ({ inputs: [x], gradient }) => [rule(x, gradient)],
  });
  const check = (operation: Operation) =>
    checkGradients(({ x }) => sum(apply(operation, [x], undefined)), { at: { x: at(5) } });
  expect((await check(wrong((x, g) => multiply(scale(x, 2), g)))).passed).toBe(true);
  expect((await check(wrong((x, g) => multiply(scale(x, 2.02), g)))).passed).toBe(false);
  expect((await check(wrong((x, g) => multiply(scale(x, -2), g)))).passed).toBe(false);
  const mask = constant([1, 1, 1, 0, 1]);
  expect((await check(wrong((x, g) => multiply(multiply(scale(x, 2), g), mask)))).passed).toBe(false);
});
