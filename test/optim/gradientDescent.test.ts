import { gradientDescent, numericalGradient } from "steepest";
import { describe, expect, test } from "vitest";

const bowl = ([a, b]: Float64Array): number => (a - 2) ** 2 + 4 * (b - 3) ** 2;
const slope = ([a, b]: Float64Array): number[] => [2 * (a - 2), 8 * (b - 3)];

describe("numericalGradient", () => {
  test("has about ten correct digits, at any scale", () => {
    const x = [100, -10];
    numericalGradient(bowl, x).forEach((value, i) => expect(value / slope(Float64Array.from(x))[i]).toBeCloseTo(1, 9));
    for (const scale of [1, 1e3, 1e6]) {
      const [derivative] = numericalGradient(([a]) => Math.log(a), [scale]);
      expect(derivative * scale).toBeCloseTo(1, 9);
    }
  });

  test("leaves the point alone, and takes a step of one's own", () => {
    const x = Float64Array.of(1, 2);
    // d/da (a²) by central differences is exact for a quadratic, whatever the step.
    expect(numericalGradient(([a, b]) => a * a + b, x, { step: 0.5 })).toEqual(Float64Array.of(2, 1));
    expect(x).toEqual(Float64Array.of(1, 2));
    expect(() => numericalGradient(bowl, x, { step: 0 })).toThrow(/step must be a number/);
  });

  test.each([[[]], [[Number.NaN, 1]], [[1, Number.NaN]], [[Number.POSITIVE_INFINITY, 1]], [["1", 2]], ["12"], [1]])(
    "refuses the point %j: each coordinate is a finite number",
    (x) => {
      const refused = /^(numericalGradient: x|gradientDescent: \w+) must be an array of finite numbers, got /;
      expect(() => numericalGradient(bowl, x as never)).toThrow(refused);
      expect(() => gradientDescent(bowl, x as never)).toThrow(refused);
    },
  );
});

describe("gradientDescent", () => {
  test("each step contracts the error by 1 - rate·curvature", () => {
    const { path, values } = gradientDescent(bowl, [100, -10], { learningRate: 0.01, steps: 50, gradient: slope });
    expect(path).toHaveLength(51);
    expect(path[50][0]).toBeCloseTo(2 + 98 * 0.98 ** 50, 9);
    expect(path[50][1]).toBeCloseTo(3 - 13 * 0.92 ** 50, 9);
    expect(values[0]).toBe(bowl(Float64Array.of(100, -10)));
  });

  test("without options: a hundred steps of 0.01, without momentum", () => {
    const plain = gradientDescent(bowl, [100, -10]);
    const told = gradientDescent(bowl, [100, -10], { steps: 100, learningRate: 0.01, momentum: 0 });
    expect(plain.path).toHaveLength(101);
    expect(plain.path).toEqual(told.path);
  });

  test("numerical and exact gradients end in the same place", () => {
    const options = { learningRate: 0.01, steps: 1000 };
    const exact = gradientDescent(bowl, [100, -10], { ...options, gradient: slope });
    const numerical = gradientDescent(bowl, [100, -10], options);
    // 2 + 98·0.98^1000 = 2.00000016…, 3 - 13·0.92^1000 = 3.
    expect(exact.x[0]).toBeCloseTo(2 + 98 * 0.98 ** 1000, 12);
    expect(exact.x[0].toFixed(8)).toBe("2.00000016");
    expect(exact.x[1]).toBeCloseTo(3, 12);
    numerical.x.forEach((value, i) => expect(value).toBeCloseTo(exact.x[i], 8));
  });

  test("momentum, a schedule, and options that cannot be", () => {
    const heavy = gradientDescent(bowl, [100, -10], { steps: 2, momentum: 0.5, learningRate: 0.01, gradient: slope });
    // v1 = -1.96; v2 = 0.5·v1 - 0.01·2·(98.04 - 2).
    expect(heavy.x[0]).toBeCloseTo(98.04 + (0.5 * -1.96 - 0.01 * 2 * 96.04), 12);
    const still = gradientDescent(bowl, [1, 1], {
      steps: 3,
      learningRate: (step) => (step === 2 ? 0.1 : 0),
      gradient: slope,
    });
    expect(still.path.map(([a]) => a)).toEqual([1, 1, 1.2, 1.2]);
    expect(() => gradientDescent(bowl, [1, 1], { learningRate: -1 })).toThrow(/got -1 at step 1/);
    expect(() => gradientDescent(bowl, [1, 1], { rate: 1 } as never)).toThrow(/unknown option "rate"/);
  });
});
