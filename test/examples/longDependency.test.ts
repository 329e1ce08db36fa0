import { describe, expect, test } from "vitest";
import { cells, createSums, gradientByStep, learnSteep, learnSums } from "../../examples/longDependency.js";

describe("the adding problem", () => {
  test("one mark in each half, and the sum of the marked numbers", () => {
    const [count, length] = [200, 11];
    const { x, y } = createSums(count, length, 3);
    for (let sample = 0; sample < count; sample++) {
      const steps = Array.from({ length }, (_, step) => 2 * (sample * length + step));
      const marked = steps.filter((at) => x[at + 1] === 1);
      expect(marked).toHaveLength(2);
      expect(steps.indexOf(marked[0])).toBeLessThan(5);
      expect(steps.indexOf(marked[1])).toBeGreaterThanOrEqual(5);
      expect(y[sample]).toBeCloseTo(x[marked[0]] + x[marked[1]], 6);
    }
  });

  test("always answering 1 has an error of 1/6", () => {
    const { y } = createSums(50_000, 4, 1);
    const error = y.reduce((sum, value) => sum + (value - 1) ** 2 / y.length, 0);
    expect(Math.abs(error - 1 / 6)).toBeLessThan(0.004);
  });

  test("an LSTM and a GRU solve a short one", () => {
    for (const name of ["LSTM", "GRU"]) expect(learnSums(cells[name](), 10, 30, 1).error).toBeLessThan(0.03);
  });
});

describe("the gradient by step", () => {
  test("vanishes through a simple RNN", () => {
    const norms = gradientByStep(cells["simple RNN"](), 60, 1);
    expect(norms[0]).toBeLessThan(0.01 * norms[59]);
    expect(norms[30]).toBeLessThan(norms[59]);
  });

  test("explodes where the weights are large: training diverges, and does not with a clipped norm", () => {
    expect(learnSteep(false, 60, 1)).toBeNaN();
    expect(learnSteep(true, 60, 1)).toBeLessThan(1);
  });
});
