// Pooling and up-sampling layers: recorded values of PyTorch, rules for equals and NaN, second derivatives, errors.
import * as steepest from "steepest";
import {
  adaptiveAveragePool1d,
  adaptiveMaxPool2d,
  averagePool2d,
  createEngineSync,
  globalAveragePool,
  globalMaxPool,
  type Layer,
  ModelError,
  maxPool1d,
  maxPool2d,
  sequential,
  upsample1d,
  upsample2d,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input, type Shape, type Tensor } from "../../src/graph/tensor.js";
import { mul, square } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import * as ops from "../../src/ops/pool.js";
import { sum } from "../../src/ops/reduce.js";
import { upsample2d as upsampleOperation } from "../../src/ops/upsample.js";
import golden from "../golden/pool.json" with { type: "json" };
import { checkRecorded, type RecordedCase } from "./recorded.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

describe("golden values of PyTorch", () => {
  const layers = steepest as unknown as Record<string, (...options: unknown[]) => Layer>;
  for (const one of golden.cases as unknown as RecordedCase[]) {
    test(`${one.layer} ${JSON.stringify(one.arguments)} of ${JSON.stringify(one.shape)}`, () => {
      checkRecorded(engine, layers[one.layer](...one.arguments), one);
    });
  }
});

test("as many windows as PyTorch counts, or refused as there", () => {
  for (const [size, window, stride, padding, dilation, ...counts] of golden.sizes) {
    [false, true].forEach((ceilMode, index) => {
      const options = { stride, padding, dilation, ceilMode };
      const where = `${size} by ${window} ${JSON.stringify(options)}`;
      const build = () => ops.maxPool1d(input([1, size, 1]), window, options).shape[1];
      if (counts[index] > 0) expect(build(), where).toBe(counts[index]);
      else expect(build, where).toThrow(/maxPool1d: the window must fit into the input/);
    });
  }
});

/** y = f(x) and the gradient of Σ y·dy. */
function run(f: (x: Tensor) => Tensor, shape: Shape, x: number[], dy: number[]) {
  const { shape: outputShape } = f(input(shape));
  using compiled = compileFunctionSync(
    ({ x, dy }) => {
      const y = f(x);
      return { y, dx: gradient(sum(mul(y, dy)), x) };
    },
    { x: shape, dy: outputShape },
    { engine },
  );
  const { y, dx } = compiled({ x: Float32Array.from(x), dy: Float32Array.from(dy) });
  return { y: Array.from(y), dx: Array.from(dx) };
}

describe("the largest", () => {
  const { NaN: nan, NEGATIVE_INFINITY: least } = Number;

  test("of equals is the first, in 2×2 windows and in others", () => {
    const four = run((x) => ops.maxPool2d(x, 2), [1, 2, 2, 1], [1, 3, 3, 3], [5]);
    expect(four).toEqual({ y: [3], dx: [0, 5, 0, 0] });
    const below = run((x) => ops.maxPool2d(x, 2), [1, 2, 2, 1], [1, 2, 3, 3], [5]);
    expect(below).toEqual({ y: [3], dx: [0, 0, 5, 0] });
    const three = run((x) => ops.maxPool1d(x, 3), [1, 3, 1], [7, 7, 7], [5]);
    expect(three).toEqual({ y: [7], dx: [5, 0, 0] });
  });

  test("is NaN where there is one, which gets the gradient; the last of several, as in PyTorch", () => {
    const four = run((x) => ops.maxPool2d(x, 2), [1, 2, 2, 1], [nan, 3, 9, 2], [5]);
    expect(four).toEqual({ y: [nan], dx: [5, 0, 0, 0] });
    const two = run((x) => ops.maxPool2d(x, 2), [1, 2, 2, 1], [1, nan, nan, 2], [5]);
    expect(two).toEqual({ y: [nan], dx: [0, 0, 5, 0] });
    const three = run((x) => ops.maxPool1d(x, 3), [1, 3, 1], [nan, 8, nan], [5]);
    expect(three).toEqual({ y: [nan], dx: [0, 0, 5] });
  });

  test("of nothing but -Infinity is the first", () => {
    const four = run((x) => ops.maxPool2d(x, 2), [1, 2, 2, 1], [least, least, least, least], [5]);
    expect(four).toEqual({ y: [least], dx: [5, 0, 0, 0] });
    const padded = run((x) => ops.maxPool1d(x, 3, { padding: 1 }), [1, 2, 1], [least, least], [5]);
    expect(padded).toEqual({ y: [least], dx: [5, 0] });
  });

  test("in windows that overlap gathers all their gradients", () => {
    const { dx } = run((x) => ops.maxPool1d(x, 3, { stride: 1 }), [1, 5, 1], [0, 1, 9, 1, 0], [1, 10, 100]);
    expect(dx).toEqual([0, 0, 111, 0, 0]);
  });
});

describe("gradients have gradients", () => {
  const forms: Record<string, (x: Tensor) => Tensor> = {
    max: (x) => ops.maxPool2d(x, 3, { stride: 2, padding: 1 }),
    average: (x) => ops.averagePool2d(x, 3, { stride: 2, padding: 1 }),
    bilinear: (x) => upsampleOperation(x, { scale: 2, mode: "bilinear" }),
  };
  const values = Float32Array.from({ length: 80 }, (_, i) => Math.sin(i * 1.7));

  test.each(Object.entries(forms))("%s", async (_name, form) => {
    const penalty = ({ x }: Record<string, Tensor>) => {
      const slope = gradient(sum(mul(form(x), square(form(x)))), x);
      return mul(slope, square(gradient(sum(square(slope)), x)));
    };
    const report = await steepest.checkGradients(penalty, { at: { x: { shape: [1, 4, 4, 5], values } }, engine });
    expect(report.passed, JSON.stringify(report.worst)).toBe(true);
  });
});

describe("what does not fit is refused when the model is built", () => {
  const cases: readonly (readonly [() => Layer, Shape, string])[] = [
    [
      () => maxPool2d(3),
      [2, 5, 1],
      "maxPool2d 0: the window must fit into the input, got a window of 3 over 2: make it smaller, or pad with padding",
    ],
    [
      () => maxPool2d(2, { dilation: 4, padding: 1, name: "pool" }),
      [2, 9, 1],
      'maxPool2d "pool": the window must fit into the input, got a window of 5 over 2, 4 with its padding: make it smaller, or pad with padding',
    ],
    [
      () => averagePool2d(2, { padding: 2 }),
      [4, 4, 1],
      "averagePool2d 0: padding must be at most half of the window (2), got 2: a window would see nothing else",
    ],
    [
      () => maxPool2d(2),
      [28, 28],
      "maxPool2d 0: input must be [batch, height, width, channels], got [batch, 28, 28]: reshape() it with an axis of 1 channel",
    ],
    [
      () => maxPool1d(2),
      [5, 5, 5],
      "maxPool1d 0: input must be [batch, length, channels], got [batch, 5, 5, 5]: reshape() it",
    ],
    [
      () => maxPool2d([2, 2, 2] as never),
      [4, 4, 1],
      "maxPool2d 0: window must be a number or [height, width], got [2, 2, 2]: give 2 of them",
    ],
    [() => maxPool2d(2, { stride: 0 }), [4, 4, 1], "maxPool2d 0: stride must be a whole number of at least 1, got 0"],
    [
      () => maxPool2d(2, { padding: "full" as never }),
      [4, 4, 1],
      'maxPool2d 0: padding must be a number, "valid" or "same", got "full"',
    ],
    [
      () => maxPool2d(2, { padding: "same", ceilMode: true }),
      [4, 4, 1],
      'maxPool2d 0: ceilMode must be left out where padding is "same", which counts windows itself',
    ],
    [
      () => averagePool2d(2, { dilation: 2 } as never),
      [4, 4, 1],
      'averagePool2d: unknown option "dilation": the options are name, stride, padding, ceilMode, countIncludePad',
    ],
    [
      () => adaptiveMaxPool2d(0),
      [4, 4, 1],
      "adaptiveMaxPool2d 0: outputSize must be a whole number of at least 1, got 0",
    ],
    [
      () => adaptiveAveragePool1d(2),
      [4],
      "adaptiveAveragePool1d 0: input must be [batch, length, channels], got [batch, 4]: reshape() it with an axis of 1 channel",
    ],
    [
      () => globalAveragePool(),
      [4],
      "globalAveragePool 0: input must be [batch, length, channels] or [batch, height, width, channels], got [batch, 4]: leave the layer out",
    ],
    [() => upsample2d({}), [4, 4, 1], "upsample2d 0: give scale or size, got neither"],
    [() => upsample2d({ scale: 2, size: 8 }), [4, 4, 1], "upsample2d 0: give scale or size, got both"],
    [() => upsample2d({ scale: 1.5 }), [4, 4, 1], "upsample2d 0: scale must be a whole number of at least 1, got 1.5"],
    [
      () => upsample2d({ scale: 2, mode: "linear" as never }),
      [4, 4, 1],
      'upsample2d: mode must be "nearest" or "bilinear", got "linear"',
    ],
    [
      () => upsample1d({ scale: 2, alignCorners: true }),
      [4, 1],
      'upsample1d 0: alignCorners is for mode "linear", got it with "nearest": leave it out',
    ],
    [
      () => upsample1d({ scale: 2 }),
      [4, 4, 1],
      "upsample1d 0: input must be [batch, length, channels], got [batch, 4, 4, 1]: reshape() it",
    ],
  ];
  test.each(cases)("%s of %j", (layer, shape, message) => {
    const build = () => sequential({ input: shape }, layer());
    expect(build).toThrow(ModelError);
    expect(build).toThrow(message);
  });

  test("and an unknown option of a global pool", () => {
    expect(() => globalMaxPool({ keepdims: true } as never)).toThrow(
      'globalMaxPool: unknown option "keepdims": the options are name, keepDims: write keepDims',
    );
  });
});
