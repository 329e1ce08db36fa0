import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { elements } from "../../src/engine/instructions.js";
import { nodesBehind } from "../../src/graph/backward.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { apply, applyAll, type Operation } from "../../src/graph/operation.js";
import { constant, input, type Shape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import { gradient } from "../../src/ops/gradient.js";
import { add, argmax, div, equal, exp, greater, mean, mul, reshape, square, sum, where } from "../../src/ops/index.js";
import { engineOf } from "../ops/battery.js";

/** Runs `trace` on values given flat with their shapes; results as plain arrays. */
function evaluate<K extends string>(
  inputs: Record<K, { shape: Shape; values: number[] }>,
  trace: (tensors: Record<K, Tensor>) => Record<string, Tensor>,
): Record<string, number[]> {
  const names = Object.keys(inputs) as K[];
  const shapes = Object.fromEntries(names.map((name) => [name, inputs[name].shape])) as unknown as Record<K, Shape>;
  const run = compileFunctionSync(trace, shapes, { engine: engineOf("strict") });
  try {
    const values = names.map((name) => [name, Float64Array.from(inputs[name].values)]);
    const results = run(Object.fromEntries(values));
    return Object.fromEntries(Object.entries(results).map(([name, data]) => [name, Array.from(data)]));
  } finally {
    run.dispose();
  }
}

const namesBehind = (tensors: readonly Tensor[]) => nodesBehind(tensors).map((node) => node.operation.name);

/** y = x, and it writes down what it was asked for on the way back; what it was not asked for fits nothing. */
function spyOn(asked: (readonly boolean[])[]): (...inputs: Tensor[]) => Tensor {
  const spy: Operation = {
    name: "spy",
    infer: ([x]) => [{ shape: x.shape }],
    forward: (record, { outputs: [{ shape }], to, from }) => {
      record.copy(elements(sizeOf(shape)), to[0], from[0], sizeOf(shape));
    },
    backward: ({ gradient: incoming, needs }) => {
      asked.push(needs);
      return needs.map((needed) => (needed ? incoming : input([7, 3], { dtype: "uint32" })));
    },
  };
  return (...inputs) => apply(spy, inputs, undefined);
}

describe("a gradient that nobody needs is never computed", () => {
  test("an operation is told which of its inputs are on a path to what is asked for", () => {
    const [x, y, z] = ["x", "y", "z"].map((name) => input([3], { name }));
    const asked: (readonly boolean[])[] = [];
    gradient(sum(spyOn(asked)(x, square(y), z)), [y]);
    expect(asked).toEqual([[false, true, false]]);
  });

  test("an operation off every path is not differentiated", () => {
    const [x, y] = ["x", "y"].map((name) => input([3], { name }));
    const asked: (readonly boolean[])[] = [];
    gradient(sum(mul(spyOn(asked)(x), y)), y);
    expect(asked).toEqual([]);
  });

  test("no instruction is left of the gradient by the other factor", () => {
    const [x, w] = ["x", "w"].map((name) => input([3], { name }));
    const loss = sum(square(mul(x, w)));
    const one = namesBehind([gradient(loss, w)]);
    const both = namesBehind(gradient(loss, [x, w]));
    // x·w; 2·xw is a scaling, since the loss has the gradient 1; and that times x, or times w too
    expect(one.filter((name) => name === "mul")).toHaveLength(2);
    expect(both.filter((name) => name === "mul")).toHaveLength(3);
  });

  test("a loss needs no forward pass where its gradient does not read it", () => {
    const x = input([3], { name: "x" });
    expect(namesBehind([gradient(sum(square(x)), x)])).toEqual(["scaleShift"]);
  });
});

describe("gradients are summed back to what was broadcast", () => {
  const matrix = { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] };
  const weight = { shape: [2, 3], values: [1, 10, 100, 1000, 10000, 100000] };
  // d sum(w·(a + b)) / db is w summed over the axes along which b was repeated.
  test.each([
    [[3], [1001, 10010, 100100]],
    [
      [1, 3],
      [1001, 10010, 100100],
    ],
    [
      [2, 1],
      [111, 111000],
    ],
    [[1, 1], [111111]],
    [[1], [111111]],
    [[], [111111]],
    [[2, 3], weight.values],
  ] as const)("to %j", (shape, expected) => {
    const b = { shape, values: new Array<number>(sizeOf(shape)).fill(0.5) };
    const { slope } = evaluate({ matrix, weight, b }, (t) => ({
      slope: gradient(sum(mul(t.weight, add(t.matrix, t.b))), t.b),
    }));
    expect(slope).toEqual(expected);
  });

  test("in the middle of four axes", () => {
    const a = { shape: [2, 3, 2, 2], values: Array.from({ length: 24 }, (_, i) => i) };
    const b = { shape: [3, 1, 2], values: [0, 0, 0, 0, 0, 0] };
    const { slope } = evaluate({ a, b }, (t) => ({ slope: gradient(sum(mul(t.a, add(t.a, t.b))), t.b) }));
    // index of a: ((i·3 + j)·2 + k)·2 + l, summed over i in {0, 1} and k in {0, 1}: 4·(4j + l) + 2·12 + 2·2
    expect(slope).toEqual([0, 1, 2].flatMap((j) => [0, 1].map((l) => 4 * (4 * j + l) + 24 + 4)));
  });
});

describe("gradients of a tensor used several times are added", () => {
  test("x·x + x", () => {
    const { slope } = evaluate({ x: { shape: [3], values: [1, 2, -3] } }, ({ x }) => ({
      slope: gradient(sum(add(mul(x, x), x)), x),
    }));
    expect(slope).toEqual([3, 5, -5]);
  });

  test("along a broadcast path and a direct one", () => {
    const { slope } = evaluate({ x: { shape: [2], values: [3, 5] } }, ({ x }) => ({
      slope: gradient(sum(mul(reshape(x, [2, 1]), reshape(x, [1, 2]))), x), // (Σx)², slope 2·Σx
    }));
    expect(slope).toEqual([16, 16]);
  });

  test("with respect to something in between, and to the loss itself", () => {
    const { middle, own } = evaluate({ x: { shape: [2], values: [3, 5] } }, ({ x }) => {
      const y = square(x);
      const loss = sum(square(y));
      return { middle: gradient(loss, y), own: gradient(loss, loss) };
    });
    expect(middle).toEqual([18, 50]);
    expect(own).toEqual([1]);
  });
});

test("what the loss does not depend on has the gradient 0, whether it depends on another or on nothing at all", () => {
  const values = { x: { shape: [2], values: [3, 5] }, y: { shape: [2, 2], values: [1, 1, 1, 1] } };
  const { dx, dy, alone, fixed } = evaluate(values, ({ x, y }) => {
    const [dx, dy] = gradient(sum(square(x)), [x, y]);
    return { dx, dy, alone: gradient(sum(square(x)), y), fixed: gradient(sum(constant([1, 2])), x) };
  });
  expect(dx).toEqual([6, 10]);
  expect(dy).toEqual([0, 0, 0, 0]);
  expect(alone).toEqual([0, 0, 0, 0]);
  expect(fixed).toEqual([0, 0]);
});

test("comparisons are constants on the way back", () => {
  const x = { shape: [4], values: [-2, -1, 1, 2] };
  const { slope } = evaluate({ x }, (t) => ({
    slope: gradient(sum(mul(greater(t.x, 0), square(t.x))), t.x),
  }));
  expect(slope).toEqual([-0, -0, 2, 4]);
});

test("what where() leaves out leaves no trace: no NaN from the other branch", () => {
  const x = { shape: [3], values: [0, 4, -1] };
  const { y, slope } = evaluate({ x }, (t) => {
    const safe = where(greater(t.x, 0), t.x, 1);
    const y = where(greater(t.x, 0), div(1, safe), 0);
    return { y, slope: gradient(sum(y), t.x) };
  });
  expect(y).toEqual([0, 0.25, 0]);
  expect(slope.map((value) => value + 0)).toEqual([0, -0.0625, 0]);
});

test("gradients can be differentiated again", () => {
  const { second, mixed } = evaluate({ x: { shape: [3], values: [1, 2, 3] } }, ({ x }) => {
    const first = gradient(sum(mul(x, square(x))), x); // 3x²
    return { second: gradient(sum(first), x), mixed: gradient(mean(square(first)), x) }; // 6x, 2·3x²·6x/3
  });
  expect(second).toEqual([6, 12, 18]);
  expect(mixed.map((value) => Math.round(value * 1e4) / 1e4)).toEqual([12, 96, 324]);
});

test("an operation with two results gets the gradient of each, zero for the one that leads nowhere", () => {
  // [x, 3x]
  const pair: Operation = {
    name: "pair",
    infer: ([x]) => [{ shape: x.shape }, { shape: x.shape }],
    forward: (record, { outputs: [{ shape }], to, from }) => {
      const n = sizeOf(shape);
      record.copy(elements(n), to[0], from[0], n);
      record.scaleShift(elements(n), to[1], from[0], n, 3, 0);
    },
    backward: ({ gradientOf, outputs: [a, b] }) => [add(gradientOf(a), mul(gradientOf(b), 3))],
  };
  const { both, first, second } = evaluate({ x: { shape: [2], values: [2, 5] } }, ({ x }) => {
    const [a, b] = applyAll(pair, [x], undefined);
    return {
      both: gradient(sum(mul(a, b)), x),
      first: gradient(sum(square(a)), x),
      second: gradient(sum(square(b)), x),
    };
  });
  expect(both).toEqual([12, 30]); // 3x², slope 6x
  expect(first).toEqual([4, 10]);
  expect(second).toEqual([36, 90]);
});

test("a deep chain needs no deep stack", () => {
  let y: Tensor = input([1], { name: "x" });
  const x = y;
  for (let i = 0; i < 5_000; i++) y = add(y, 1);
  expect(nodesBehind([gradient(sum(exp(y)), x)]).length).toBeGreaterThan(5_000);
});

describe("errors", () => {
  const x = input([3], { name: "x" });
  const refuse = (build: () => unknown, text: string) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  };

  test("the loss must be a scalar", () => {
    refuse(
      () => gradient(square(x), x),
      "gradient: the loss must be a scalar, got square of shape [3]: reduce it with sum() or mean() first",
    );
  });

  test("every operation on the way must have a derivative", () => {
    const rounding: Operation = { name: "round", infer: ([a]) => [{ shape: a.shape }], forward: () => {} };
    refuse(
      () => gradient(sum(apply(rounding, [x], undefined)), x),
      "gradient: round has no derivative, but the loss depends on it through x",
    );
  });

  test("an operation without a derivative does not matter off the way", () => {
    const labels = input([3], { name: "labels", dtype: "uint32" });
    const scores = input([3, 4], { name: "scores" });
    const hits = equal(argmax(scores), labels);
    expect(gradient(sum(mul(hits, x)), x).shape).toEqual([3]);
  });

  test("labels have no gradient", () => {
    const labels = input([3], { name: "labels", dtype: "uint32" });
    refuse(() => gradient(sum(x), labels), 'gradient: only float32 tensors have gradients, got "labels" of uint32');
  });
});
