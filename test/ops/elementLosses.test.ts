// Losses that are one kernel when they are summed: with weights, ignored targets or no reduction, against float64.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import * as ops from "../../src/ops/loss.js";
import type { ElementLossOptions } from "../../src/ops/lossUnits.js";
import { sum } from "../../src/ops/reduce.js";
import { engineOf } from "./battery.js";

const engine = engineOf("strict");

interface Case {
  readonly loss: (x: Tensor, t: Tensor, options?: ElementLossOptions) => Tensor;
  /** In float64: the loss of an element, and its derivatives by prediction and target. */
  readonly value: (x: number, t: number) => number;
  readonly dx: (x: number, t: number) => number;
  readonly dt: (x: number, t: number) => number;
  readonly x: readonly number[];
  readonly t: readonly number[];
}

const real = { x: [0.5, -2, 3, 0.25, 1.5, -0.75], t: [1, -0.5, 0.75, 2, 1, -3] };
const signs = { x: real.x, t: [1, -1, 1, 1, -1, -1] };
const bits = { x: real.x, t: [1, 0, 1, 0.25, 1, 0] };
const shares = { x: [0.5, 0.125, 0.75, 0.25, 0.875, 0.0625], t: [1, 0, 1, 0.25, 1, 0] };
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const clamp = (d: number, most: number) => Math.min(most, Math.max(-most, d));

const cases: Record<string, Case> = {
  meanSquaredError: {
    loss: ops.meanSquaredError,
    ...real,
    value: (x, t) => (x - t) ** 2,
    dx: (x, t) => 2 * (x - t),
    dt: (x, t) => 2 * (t - x),
  },
  halfSquaredError: {
    loss: ops.halfSquaredError,
    ...real,
    value: (x, t) => (x - t) ** 2 / 2,
    dx: (x, t) => x - t,
    dt: (x, t) => t - x,
  },
  meanAbsoluteError: {
    loss: ops.meanAbsoluteError,
    ...real,
    value: (x, t) => Math.abs(x - t),
    dx: (x, t) => Math.sign(x - t),
    dt: (x, t) => Math.sign(t - x),
  },
  huber: {
    loss: (x, t, options) => ops.huber(x, t, { ...options, delta: 0.75 }),
    ...real,
    value: (x, t) => clamp(x - t, 0.75) * (x - t - clamp(x - t, 0.75) / 2),
    dx: (x, t) => clamp(x - t, 0.75),
    dt: (x, t) => -clamp(x - t, 0.75),
  },
  hinge: {
    loss: ops.hinge,
    ...signs,
    value: (x, t) => Math.max(0, 1 - t * x),
    dx: (x, t) => (t * x < 1 ? -t : 0),
    dt: (x, t) => (t * x < 1 ? -x : 0),
  },
  perceptronLoss: {
    loss: ops.perceptronLoss,
    ...bits,
    value: (x, t) => (Number(x >= 0) - t) * x,
    dx: (x, t) => Number(x >= 0) - t,
    dt: (x) => -x,
  },
  binaryCrossEntropy: {
    loss: ops.binaryCrossEntropy,
    ...shares,
    value: (p, t) => -(t * Math.log(p) + (1 - t) * Math.log(1 - p)),
    dx: (p, t) => (p - t) / (p * (1 - p)),
    dt: (p) => Math.log(1 - p) - Math.log(p),
  },
  binaryCrossEntropyWithLogits: {
    loss: ops.binaryCrossEntropyWithLogits,
    ...bits,
    value: (x, t) => Math.log1p(Math.exp(x)) - t * x,
    dx: (x, t) => sigmoid(x) - t,
    dt: (x) => -x,
  },
};

/** Of a batch of two rows of three; what is not one number is multiplied with these and summed. */
const COTANGENT = [1, -2, 0.5, 3, 0.25, -1];
const SHAPE = [2, 3];

function run({ loss, x, t }: Case, options: ElementLossOptions): { value: number[]; dx: number[]; dt: number[] } {
  using compiled = compileFunctionSync(
    ({ x, t }) => {
      const value = loss(x, t, options);
      const goal = value.shape.length === 0 ? value : sum(mul(value, constant(Float32Array.from(COTANGENT), SHAPE)));
      return { value, dx: gradient(goal, x), dt: gradient(goal, t) };
    },
    { x: input(SHAPE, { name: "x" }), t: input(SHAPE, { name: "t" }) },
    { engine },
  );
  const { value, dx, dt } = compiled({ x: Float32Array.from(x), t: Float32Array.from(t) });
  return { value: [...value], dx: [...dx], dt: [...dt] };
}

/** The same in float64, with so much of each element in the result. */
function expected({ value, dx, dt, x, t }: Case, parts: readonly number[]) {
  const of = (f: (x: number, t: number) => number) => x.map((one, i) => parts[i] && parts[i] * f(one, t[i]));
  return { values: of(value), dx: of(dx), dt: of(dt) };
}

function expectClose(actual: readonly number[], wanted: readonly number[]): void {
  expect(actual).toHaveLength(wanted.length);
  wanted.forEach((one, i) => {
    expect(Math.abs(actual[i] - one), `${actual}, not ${wanted}`).toBeLessThanOrEqual(
      3e-7 * Math.max(1, Math.abs(one)),
    );
  });
}

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const weights = constant(Float32Array.of(0.5, 3), [2]);
const BY_ROW = [0.5, 0.5, 0.5, 3, 3, 3];

describe.each(Object.entries(cases))("%s", (_, one) => {
  const counted = one.t.map((t) => Number(t !== 1));

  test("without reduction: each element's", () => {
    const { value, dx, dt } = run(one, { reduction: "none" });
    expectClose(value, expected(one, new Array(6).fill(1)).values);
    expectClose(dx, expected(one, COTANGENT).dx);
    expectClose(dt, expected(one, COTANGENT).dt);
  });

  test("weights of the rows", () => {
    for (const [reduction, divisor] of [
      ["sum", 1],
      ["mean", total(BY_ROW)],
    ] as const) {
      const wanted = expected(
        one,
        BY_ROW.map((weight) => weight / divisor),
      );
      const { value, dx, dt } = run(one, { reduction, weights });
      expectClose(value, [total(wanted.values)]);
      expectClose(dx, wanted.dx);
      expectClose(dt, wanted.dt);
    }
    const each = run(one, { reduction: "none", weights });
    expectClose(each.value, expected(one, BY_ROW).values);
    expectClose(
      each.dx,
      expected(
        one,
        BY_ROW.map((weight, i) => weight * COTANGENT[i]),
      ).dx,
    );
  });

  test("elements whose target is ignored", () => {
    for (const [reduction, divisor] of [
      ["sum", 1],
      ["mean", total(counted)],
    ] as const) {
      const wanted = expected(
        one,
        counted.map((weight) => weight / divisor),
      );
      const { value, dx, dt } = run(one, { reduction, ignoreValue: 1 });
      expectClose(value, [total(wanted.values)]);
      expectClose(dx, wanted.dx);
      expectClose(dt, wanted.dt);
    }
    const both = expected(
      one,
      counted.map((there, i) => (there * BY_ROW[i]) / total(counted.map((c, k) => c * BY_ROW[k]))),
    );
    expectClose(run(one, { weights, ignoreValue: 1 }).value, [total(both.values)]);
  });

  test("is one kernel if it is summed and all counts", () => {
    const [x, t] = [input(SHAPE, { name: "x" }), input(SHAPE, { name: "t" })];
    const nameOf = ({ source }: Tensor) => (source.kind === "result" ? source.node.operation.name : source.kind);
    const names = Object.values(ops).flatMap((op) => (typeof op === "object" && "gradient" in op ? [op.name] : []));
    for (const options of [undefined, { reduction: "sum" }, { ignoreValue: undefined }] as ElementLossOptions[]) {
      expect(names).toContain(nameOf(one.loss(x, t, options)));
    }
  });

  test("refuses weights and targets of other shapes", () => {
    const x = input(SHAPE, { name: "x" });
    const wrong = constant(new Float32Array(3), [3]);
    expect(() => one.loss(x, input(SHAPE, { name: "t" }), { weights: wrong })).toThrow(ModelError);
    expect(() => one.loss(x, input([3, 2], { name: "t" }), { reduction: "none" })).toThrow(
      "target must have the prediction's shape [2, 3]",
    );
  });
});
