// Exact values, extremes and errors of softmax; shapes and gradients are in the battery.
import { describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input, type Tensor } from "../../src/graph/tensor.js";
import { logSoftmax, softmax } from "../../src/ops/softmax.js";
import { engineOf } from "./battery.js";

function run(f: (x: Tensor) => Tensor, x: readonly (readonly number[])[]): number[][] {
  const columns = x[0].length;
  using compiled = compileFunctionSync(
    ({ x }) => ({ y: f(x) }),
    { x: [x.length, columns] },
    { engine: engineOf("strict") },
  );
  const { y } = compiled({ x });
  return x.map((_, row) => Array.from(y.slice(row * columns, (row + 1) * columns)));
}

const ones = (count: number): number[] => new Array<number>(count).fill(1);

describe("softmax", () => {
  test("equal logits share evenly, however large they are", () => {
    expect(run(softmax, [ones(8), ones(8).map(() => 1e4), ones(8).map(() => -1e38)])).toEqual([
      ones(8).map(() => 0.125),
      ones(8).map(() => 0.125),
      ones(8).map(() => 0.125),
    ]);
  });

  test("logits ±10,000 neither overflow nor leave NaN", () => {
    expect(run(softmax, [[1e4, -1e4, 0, 1e4, 5]])).toEqual([[0.5, 0, 0, 0.5, 0]]);
    expect(run(logSoftmax, [[1e4, -1e4, 0]])).toEqual([[0, -2e4, -1e4]]);
  });

  test("-Infinity is an impossible class; a row of nothing else is NaN, as PyTorch's", () => {
    const none = -Infinity;
    expect(run(softmax, [[none, 3, none, none, 3]])).toEqual([[0, 0.5, 0, 0, 0.5]]);
    expect(run(logSoftmax, [[none, 3]])).toEqual([[none, 0]]);
    expect(run(softmax, [[none, none, none]])).toEqual([[Number.NaN, Number.NaN, Number.NaN]]);
  });

  test("NaN fills its row, wherever it stands, and no other", () => {
    for (const length of [1, 3, 4, 5, 9]) {
      for (let place = 0; place < length; place++) {
        const row = ones(length);
        row[place] = Number.NaN;
        for (const f of [softmax, logSoftmax]) {
          const [lost, kept] = run(f, [row, ones(length)]);
          expect(lost.every(Number.isNaN)).toBe(true);
          expect(kept.some(Number.isNaN)).toBe(false);
        }
      }
    }
  });

  test("a long row sums to 1 within 2 ULP", () => {
    const [row] = run(softmax, [Array.from({ length: 50_000 }, (_, i) => Math.sin(i))]);
    expect(Math.abs(row.reduce((a, b) => a + b) - 1)).toBeLessThan(2 ** -22);
  });

  test("uint32 is refused", () => {
    expect(() => logSoftmax(input([3], { dtype: "uint32" }))).toThrow("logSoftmax: operands must be float32");
  });
});
