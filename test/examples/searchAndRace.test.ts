import { adam, sgd } from "steepest";
import { describe, expect, test } from "vitest";
import { arrival, endOf, RAVINE, race, SADDLE } from "../../examples/optimizerRace.js";
import { readPenguins } from "../../examples/search.js";

describe("the race", () => {
  // By hand: f = (1 - x)² + 100 (y - x²)² at (-1.2, 1) is 24.2, its slope (-215.6, -88) (Rosenbrock 1960).
  test("a step of SGD on the ravine", () => {
    const [first, second] = race({ ...RAVINE, steps: 2 }, sgd({ learningRate: 1e-4 }));
    const [x, y] = [-1.2 + 215.6e-4, 1 + 88e-4];
    expect(first).toBeCloseTo(24.2, 4);
    expect(second).toBeCloseTo((1 - x) ** 2 + 100 * (y - x * x) ** 2, 4);
  });

  test("off the saddle to -1; too large a rate does not arrive", () => {
    const values = race(SADDLE, adam({ learningRate: 0.1 }));
    expect(values[0]).toBeCloseTo(1, 6);
    expect(endOf(values, SADDLE.steps)).toBeCloseTo(-1, 2);
    expect(arrival(values, -0.9)).toBeLessThan(SADDLE.steps);
    expect(endOf(race(RAVINE, sgd({ learningRate: 0.3 })), RAVINE.steps)).toBe(Number.POSITIVE_INFINITY);
    expect(arrival([1, 2], 0)).toBe(Number.POSITIVE_INFINITY);
  });
});

test("342 penguins were measured: 151 Adelie, 68 chinstrap, 123 gentoo (Gorman, Williams & Fraser 2014)", () => {
  const { x, y } = readPenguins();
  expect([0, 1, 2].map((species) => y.filter((one) => one === species).length)).toEqual([151, 68, 123]);
  expect(x[0]).toEqual([39.1, 18.7]);
});
