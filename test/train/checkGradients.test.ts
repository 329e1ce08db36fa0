import {
  checkGradients,
  crossEntropy,
  defineLayer,
  dense,
  functional,
  gelu,
  type Model,
  relu,
  sequential,
  tanh,
} from "steepest";
import {
  tanh as bent,
  concatenate,
  constant,
  customGradient,
  exp,
  matmul,
  mean,
  mul,
  relu as rectified,
  scale,
  sin,
  square,
  sub,
  sum,
  type Tensor,
} from "steepest/graph";
import { describe, expect, test } from "vitest";
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
  const loss = await checkGradients(({ x }) => mean(square(sub(x, constant([1, 2, 3])))), { at: { x: at(3) } });
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

test("parameters are told apart by their paths: two models without a name have tensors of one name", async () => {
  const part = () => sequential({ input: [2] }, dense(3), tanh());
  const [one, other] = [part(), part()];
  const names = [one, other].map(({ parameters }) => [...parameters.values()].map(({ name }) => name));
  expect(names[0]).toEqual(names[1]);
  const model = functional({ input: [2] }, (x, { apply }) =>
    apply(concatenate([apply(x, one), apply(x, other)]), dense(3)),
  );
  const report = await checkGradients(model, { loss: crossEntropy(), data: blobs(12) });
  expect(report.checks.map(({ name }) => name)).toEqual([...model.parameters.keys()]);
  expect(report.checks.length).toBe(6);
  expect(report.passed, JSON.stringify(report.worst)).toBe(true);
});

describe("weighted losses", () => {
  const x = Float32Array.from({ length: 3 * 4 * 2 }, (_, i) => Math.sin(5 * i));
  const y = Uint8Array.from({ length: 12 }, (_, i) => (i * 7) % 3);
  const mask = Float32Array.of(1, 1, 0, 0, 1, 0.5, 2, 0, 1, 1, 1, 1);
  /** The derivative along the first direction, which is the same for all. */
  const derivativeOf = async (model: Model<never, never>, options: object) => {
    const all = { loss: crossEntropy(), directions: 1, ...options };
    const { passed, worst, checks } = await checkGradients(model as never, all as never);
    expect(passed, JSON.stringify(worst)).toBe(true);
    return checks[0].exact;
  };

  test("by weights of the data, of samples and of positions, which change the gradients", async () => {
    const model = sequential({ input: [4, 2] }, dense(5), tanh(), dense(3)) as never;
    const alike = await derivativeOf(model, { data: { x, y } });
    const ones = await derivativeOf(model, { weights: true, data: { x, y, weights: [1, 1, 1] } });
    expect(Math.abs(ones - alike)).toBeLessThan(1e-5 * Math.abs(alike));
    for (const weights of [[0, 2, 1], mask]) {
      expect(await derivativeOf(model, { weights: true, data: { x, y, weights } })).not.toBeCloseTo(alike, 4);
    }
  });

  test("by an input, and by an output without a loss", async () => {
    const input = { x: [4, 2], mask: [4] };
    const byInput = functional({ input }, ({ x }, { apply }) => apply(x, dense(5), tanh(), dense(3))) as never;
    const byOutput = functional({ input }, ({ x, mask }, { apply }) => ({
      y: apply(x, dense(5), tanh(), dense(3)),
      mask: scale(mask, 2),
    })) as never;
    const given = { x, mask };
    const exact = await derivativeOf(byInput, { weights: "mask", data: { x: given, y } });
    const data = { x: given, y: { y } };
    const loss = { y: crossEntropy() };
    expect(await derivativeOf(byOutput, { loss, weights: { y: "mask" }, data })).toBeCloseTo(exact, 5);
    expect(await derivativeOf(byOutput, { loss, data })).not.toBeCloseTo(exact, 4);
  });

  test("are refused without the option, and where they do not fit", async () => {
    const model = sequential({ input: [4, 2] }, dense(3));
    const loss = crossEntropy();
    await expect(checkGradients(model, { loss, data: { x, y, weights: [1, 2, 3] } })).rejects.toThrow(
      "weights: the losses must take weights, got [1, 2, 3]: add the option weights: true, or leave them out",
    );
    await expect(checkGradients(model, { loss, weights: true, data: { x, y, weights: [1, 2] } })).rejects.toThrow(
      "weights: must have a number for each of the 3 samples",
    );
    await expect(checkGradients(model, { loss, weights: "mask", data: { x, y } })).rejects.toThrow(
      "checkGradients: weights: must be true, if the data have them, or name an input or an output without a loss",
    );
  });
});

test("a wrong gradient fails: wrong by a factor, by a sign, in one element", async () => {
  const wrong = (rule: (x: Tensor, gradient: Tensor) => Tensor): Operation => ({
    name: "wrongSquare",
    infer: ([x]) => [{ shape: x.shape }],
    forward: (record, { from, to, inputs }) => {
      const n = inputs[0].shape.reduce((a, b) => a * b, 1);
      record.mul({ units: Math.ceil(n / 4), cost: n }, to[0], from[0], from[0], n);
    },
    backward: ({ inputs: [x], gradient }) => [rule(x, gradient)],
  });
  const check = (operation: Operation) =>
    checkGradients(({ x }) => sum(apply(operation, [x], undefined)), { at: { x: at(5) } });
  expect((await check(wrong((x, g) => mul(scale(x, 2), g)))).passed).toBe(true);
  expect((await check(wrong((x, g) => mul(scale(x, 2.02), g)))).passed).toBe(false);
  expect((await check(wrong((x, g) => mul(scale(x, -2), g)))).passed).toBe(false);
  const mask = constant([1, 1, 1, 0, 1]);
  expect((await check(wrong((x, g) => mul(mul(scale(x, 2), g), mask)))).passed).toBe(false);
});

describe("gradients that are wrong by a little fail: the quotient is not the one of many that is nearest to them", () => {
  const curved: Record<string, (x: Tensor) => Tensor> = {
    "exp 3x": (x) => exp(scale(x, 3)),
    "sin 5x": (x) => sin(scale(x, 5)),
    "x²": square,
    "tanh 4x": (x) => bent(scale(x, 4)),
    "exp x, in a sum that is large": (x) => sum(exp(scale(x, 2))),
    "relu(x² - 0.3)": (x) => rectified(sub(square(x), 0.3)),
  };
  const off = (f: (x: Tensor) => Tensor, factor: number) => (x: Tensor) =>
    f(
      customGradient(
        [x],
        (y) => scale(y, 1),
        (g) => scale(g, factor),
      ),
    );
  const tries = Object.entries(curved).flatMap(([name, f]) => [1, 2, 3].map((seed) => [name, seed, f] as const));

  test.each(tries)("%s, seed %i", async (_, seed, f) => {
    const check = (factor: number) => checkGradients(({ x }) => off(f, factor)(x), { at: { x: at(8) }, seed });
    const right = await check(1);
    expect(right.passed, JSON.stringify(right.worst)).toBe(true);
    for (const factor of [0.98, 0.99, 0.995, 1.005, 1.01, 1.02]) {
      const { passed, worst } = await check(factor);
      expect(passed, `${factor}: ${JSON.stringify(worst)}`).toBe(false);
      expect(worst.error).toBeGreaterThan(0.5 * Math.abs(1 - factor));
    }
  });

  test("in a model's layer", async () => {
    const bendy = defineLayer("bendy", (x, _, { factor }: { factor: number }) =>
      off((y) => bent(scale(y, 2)), factor)(x),
    );
    const check = (factor: number, seed: number) => {
      const model = sequential({ input: [2] }, dense(6), bendy({ factor }), dense(3));
      return checkGradients(model, { loss: crossEntropy(), data: blobs(12), seed });
    };
    for (const seed of [1, 2, 3]) {
      expect((await check(1, seed)).passed).toBe(true);
      for (const factor of [0.99, 1.01]) expect((await check(factor, seed)).passed, `${factor}, ${seed}`).toBe(false);
    }
  });

  test("at a kink any slope between its sides is right, and no other", async () => {
    const values = Float32Array.of(0, 0.7, -0.4);
    const check = (slope: number) =>
      checkGradients(({ x }) => customGradient([x], rectified, (g) => mul(g, constant([slope, 1, 0]))), {
        at: { x: { shape: [3], values } },
      });
    for (const slope of [0, 0.5, 1]) expect((await check(slope)).passed, `${slope}`).toBe(true);
    for (const slope of [-0.1, 1.1]) expect((await check(slope)).passed, `${slope}`).toBe(false);
  });
});

// The central differences: those to one side alone are off by 8e-6 or more.
test.each([1, 2, 3])("a smooth function is right to 6e-6, seed %i", async (seed) => {
  const point = { x: { shape: [5], values: [0.1, -0.4, 0.9, 0.3, -0.7] } };
  const { worst } = await checkGradients(({ x }) => sum(mul(sin(x), exp(x))), { at: point, seed });
  expect(worst.error).toBeLessThan(6e-6);
});
