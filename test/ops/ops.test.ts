import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { elements } from "../../src/engine/instructions.js";
import { nodesBehind } from "../../src/graph/backward.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { apply, type Operation } from "../../src/graph/operation.js";
import { constant, input, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import { battery, checkCase, engineOf } from "./battery.js";
import type { Case } from "./cases.js";
import { samples } from "./samples.js";

for (const [name, sample] of Object.entries(samples)) battery(name, sample);

describe("the battery finds", () => {
  type Forward = NonNullable<Operation["forward"]>;
  const identity: Forward = (record, { outputs: [{ shape }], to, from }) =>
    record.copy(elements(sizeOf(shape)), to[0], from[0], sizeOf(shape));

  /** y = x, but for what a test breaks. */
  function broken(parts: Partial<Operation>): Case {
    const operation: Operation = {
      name: "broken",
      infer: ([x]) => [{ shape: x.shape }],
      forward: identity,
      backward: ({ gradient }) => [gradient],
      ...parts,
    };
    return { inputs: [{ shape: [5, 5] }], apply: (x) => apply(operation, [x], undefined), reference: (x) => x };
  }
  const check = (parts: Partial<Operation>) => () => checkCase(engineOf("strict"), broken(parts));

  test("nothing where nothing is wrong", () => {
    expect(check({})).not.toThrow();
  });

  test("a wrong gradient, be it off by a ten-thousandth", () => {
    expect(check({ backward: ({ gradient }) => [ops.scale(gradient, 1.0001)] })).toThrow(
      /^gradient of input 0, element 0/,
    );
    expect(check({ backward: () => [undefined] })).toThrow(/^gradient of input 0, element 0/);
  });

  test("a wrong gradient of one element", () => {
    const mask = constant(
      Float32Array.from({ length: 25 }, (_, i) => Number(i !== 17)),
      [5, 5],
    );
    expect(check({ backward: ({ gradient }) => [ops.mul(gradient, mask)] })).toThrow(/element 17/);
  });

  test("a result off by two parts in a million", () => {
    const forward: Forward = (record, { to, from }) =>
      record.scaleShift(elements(25), to[0], from[0], 25, 1 + 2e-6, -0);
    expect(check({ forward })).toThrow(/^forward, element/);
  });

  test("a word written past the result", () => {
    const forward: Forward = (record, at) => {
      identity(record, at);
      record.fill(elements(1), at.to[0] + 100, 1, 3);
    };
    expect(check({ forward })).toThrow(/^guard: broken wrote at/);
  });

  test("an input written over", () => {
    const forward: Forward = (record, at) => {
      identity(record, at);
      record.fill(elements(1), at.from[0], 1, 3);
    };
    expect(check({ forward })).toThrow(/^guard: broken wrote at/);
  });

  test("units that depend on each other", () => {
    const forward: Forward = (record, at) => {
      identity(record, at);
      record.copy(elements(20), at.to[0] + 16, at.to[0], 20);
    };
    expect(check({ forward })).toThrow(/^broken: copy in parts/);
  });

  test("units that leave the end out, so that what memory held before shows", () => {
    const forward: Forward = (record, { to, from }) => record.copy(elements(24), to[0], from[0], 25);
    expect(check({ forward })).toThrow(/^run again over memory full of 0xc2f6e979, output 0: other bits in word 24/);
  });

  test("an operation that claims to work in place and does not", () => {
    const forward: Forward = (record, { to, from }) => record.transpose({ units: 1, cost: 1 }, to[0], from[0], 5, 5);
    const turned = { ...broken({ forward, inPlace: [0] }), differentiable: [false] };
    const transposed = {
      ...turned,
      reference: (x: Float64Array) => x.map((_, i) => x[(i % 5) * 5 + Math.floor(i / 5)]),
    };
    expect(() => checkCase(engineOf("strict"), transposed)).toThrow(/^in place: other bits/);
  });
});

/** Distance between float32 numbers around `x`. */
function ulp(x: number): number {
  return 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(x)))) - 23);
}

test("a power is within 0.501 ULP, as assembly/kernels/power.ts states, from the smallest numbers to the largest", () => {
  const wide = Float32Array.from({ length: 4000 }, (_, i) => 2 ** (-149 + (277 * i) / 4000));
  const nearOne = Float32Array.from({ length: 200 }, (_, i) => 1 + (i - 100) * 2 ** -22);
  for (const [x, exponents] of [
    [wide, [0.3, 1 / 3, 1.7, -2.4, 10.5, 0.01, -0.9, 100.25, -7]],
    [nearOne, [1.5, 1000.1, -12345.6, 1e6]],
  ] as const) {
    const run = compileFunctionSync(
      (t) => Object.fromEntries(exponents.map((exponent) => [exponent, ops.pow(t.x, exponent)])),
      { x: [x.length] },
      { engine: engineOf("strict") },
    );
    const results = run({ x });
    run.dispose();
    for (const exponent of exponents) {
      results[exponent].forEach((actual, index) => {
        const expected = x[index] ** exponent;
        if (actual === Math.fround(expected)) return;
        expect(Math.abs(actual - expected) / ulp(expected), `${x[index]} to ${exponent}`).toBeLessThanOrEqual(0.501);
      });
    }
  }
});

describe("ties share the gradient", () => {
  const slopes = (trace: (x: Tensor) => Tensor, values: number[]) => {
    const run = compileFunctionSync(
      ({ x }) => ({ slope: ops.gradient(ops.sum(trace(x)), x) }),
      { x: [values.length] },
      {
        engine: engineOf("strict"),
      },
    );
    const { slope } = run({ x: values });
    run.dispose();
    return Array.from(slope);
  };

  // PyTorch 2: maximum(x, 1), minimum(x, 1) at [0, 1, 2] have the gradients [0, 0.5, 1] and [1, 0.5, 0].
  test("half each of two operands", () => {
    expect(slopes((x) => ops.maximum(x, 1), [0, 1, 2])).toEqual([0, 0.5, 1]);
    expect(slopes((x) => ops.minimum(x, 1), [0, 1, 2])).toEqual([1, 0.5, 0]);
    expect(slopes((x) => ops.maximum(x, x), [3])).toEqual([1]);
  });

  // PyTorch's amax and amin "evenly distribute gradient between equal values".
  test("evenly among equal extrema of one reduction", () => {
    expect(slopes((x) => ops.max(x), [2, 3, 1, 3, 3, 0])).toEqual([0, 1 / 3, 0, 1 / 3, 1 / 3, 0].map(Math.fround));
    expect(slopes((x) => ops.min(ops.reshape(x, [2, 2]), 0), [5, 1, 5, 2])).toEqual([0.5, 1, 0.5, 0]);
  });

  test("evenly over axes that do not touch, not axis by axis", () => {
    const x = [7, 0, 7, 0, 7, 0, 0, 0]; // [2, 2, 2]: over axes 0 and 2 the 7s of row 0 are one, those of row 1 two
    expect(slopes((t) => ops.max(ops.reshape(t, [2, 2, 2]), [0, 2]), x)).toEqual([0.5, 0, 1, 0, 0.5, 0, 0, 0]);
    const three = [7, 7, 0, 0, 7, 0, 1, 0];
    const third = Math.fround(1 / 3);
    expect(slopes((t) => ops.max(ops.reshape(t, [2, 2, 2]), [0, 2]), three)).toEqual([
      third,
      third,
      0,
      0,
      third,
      0,
      1,
      0,
    ]);
  });

  test("|x| at 0 has the gradient 0", () => {
    expect(slopes((x) => ops.abs(x), [-2, 0, -0, 3])).toEqual([-1, 0, -0, 1]);
  });

  test("a reduction whose extremum is NaN has no place for the gradient", () => {
    expect(slopes((x) => ops.max(x), [1, Number.NaN, 2])).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });
});

describe("arithmetic with what a gradient begins with", () => {
  test("is done on one number, not on a tensor full of it", () => {
    const [x, y] = [input([4, 5]), input([4, 5])];
    const loss = ops.mean(ops.square(ops.sub(x, y)));
    const names = nodesBehind([ops.gradient(loss, x)]).map((node) => node.operation.name);
    expect(names).not.toContain("broadcastTo");
  });

  test("a gradient that is asked for itself is written out", () => {
    const run = compileFunctionSync(
      ({ x }) => ({ slope: ops.gradient(ops.mean(x), x) }),
      { x: [2, 4] },
      { engine: engineOf("strict") },
    );
    expect(Array.from(run({ x: new Float32Array(8) }).slope)).toEqual(new Array(8).fill(0.125));
    run.dispose();
  });
});

describe("shapes", () => {
  const x = input([2, 3, 4], { name: "x" });

  test("of reductions", () => {
    expect(ops.sum(x).shape).toEqual([]);
    expect(ops.sum(x, -1).shape).toEqual([2, 3]);
    expect(ops.mean(x, [0, 2], { keepDims: true }).shape).toEqual([1, 3, 1]);
    expect(ops.max(x, [0, 2]).shape).toEqual([3]);
    expect(ops.argmax(x).shape).toEqual([2, 3]);
    expect(ops.argmax(x, 0, { keepDims: true }).shape).toEqual([1, 3, 4]);
    expect(ops.argmax(x).dtype).toBe("uint32");
  });

  test("of movements", () => {
    expect(ops.reshape(x, [-1, 6]).shape).toEqual([4, 6]);
    expect(ops.flatten(x).shape).toEqual([2, 12]);
    expect(ops.transpose(x).shape).toEqual([4, 3, 2]);
    expect(ops.transpose(x, [1, 0, 2]).shape).toEqual([3, 2, 4]);
    expect(ops.broadcastTo(x, [5, 2, 3, 4]).shape).toEqual([5, 2, 3, 4]);
  });
});

describe("errors", () => {
  const x = input([2, 3], { name: "x" });
  const labels = input([2], { name: "labels", dtype: "uint32" });
  test.each([
    [
      () => ops.add(x, input([4, 3])),
      "add: shapes must match or broadcast (sizes equal or 1, aligned at the last axis), got [2, 3] and [4, 3]: reshape() one of them",
    ],
    [() => ops.mul(labels, x), "mul: operands must be float32, got labels of uint32"],
    [() => ops.exp(labels), "exp: operands must be float32, got labels of uint32"],
    [() => ops.scale(labels, 2), "scale: operands must be float32, got labels of uint32"],
    [() => ops.equal(labels, x), "equal: "],
    [() => ops.pow(x, Number.NaN), "pow: exponent must be a finite number, got NaN"],
    [() => ops.scale(x, "2" as never), 'scale: must be given a number, got "2"'],
    [() => ops.sum(x, 2), "sum: an axis must be a whole number from -2 to 1, got 2 for x of shape [2, 3]"],
    [() => ops.mean(x, 0.5), "mean: an axis must be a whole number from -2 to 1, got 0.5 for x of shape [2, 3]"],
    [() => ops.max(x, [0, -2]), "max: each axis can be named once, got [0, 0]"],
    [() => ops.argmax(x, 3), "argmax: an axis must be a whole number from -2 to 1, got 3 for x of shape [2, 3]"],
    [() => ops.reshape(x, [4]), "reshape: the new shape must have the 6 elements of x [2, 3], got [4]"],
    [() => ops.reshape(x, [-1, -1]), "reshape: the new shape must have the 6 elements of x [2, 3], got [-1, -1]"],
    [() => ops.reshape(x, [-1, 4]), "reshape: the new shape must have the 6 elements of x [2, 3], got [-1, 4]"],
    [() => ops.flatten(x, 3), "flatten: the first axis must be from 0 to 2 for [2, 3], got 3"],
    [() => ops.transpose(x, [0, 0]), "transpose: axes must be a permutation of 0 to 1 for x [2, 3], got [0, 0]"],
    [
      () => ops.broadcastTo(x, [3]),
      "broadcastTo: the shape must be at least as large as that of x, [2, 3], got [3]: sum() it instead",
    ],
    [() => ops.broadcastTo(x, [2, 4]), "broadcastTo: shapes must match or broadcast"],
    [() => ops.where(labels, 1, 2), "where: operands must be float32, got labels of uint32"],
  ])("%s", (build, text) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  });
});
