import { createEngineSync, sigmoid, tanh } from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { succeeded, trainNetworks, trainNeuron, valleys, xor } from "../../examples/xor.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

describe("one neuron", () => {
  const start = { weight: [1.5, -2], bias: [0.7] };
  const { losses, predictions } = trainNeuron();

  test("starts where it is said to: the loss worked out in float64", () => {
    const each = xor.x.map(([x1, x2], i) => {
      const z = 1.5 * x1 - 2 * x2 + 0.7;
      return Math.log(1 + Math.exp(z)) - xor.y[i] * z;
    });
    expect(losses[0].loss).toBeCloseTo(each.reduce((sum, value) => sum + value, 0) / 4, 6);
    expect(losses[0].loss).toBeGreaterThan(0.88);
  });

  // Convex, and its slope is zero at w = b = 0: there each probability is 1/2 and the loss ln 2.
  test("never gets below ln 2, is there after 1,000 steps, and still after 10,000", () => {
    expect(losses.map(({ step }) => step)).toEqual([0, 1, 10, 100, 1000, 10_000]);
    for (const { loss } of losses) expect(loss).toBeGreaterThan(Math.LN2 - 1e-6);
    for (const { loss } of losses.slice(-2)) expect(Math.abs(loss - Math.LN2)).toBeLessThan(1e-6);
  });

  test("answers one half four times", () => {
    for (const p of predictions) expect(Math.abs(p - 0.5)).toBeLessThan(1e-5);
  });

  test("from another start as well", () => {
    const other = trainNeuron(10_000, { weight: [-start.weight[0], 3], bias: [-2] });
    expect(Math.abs((other.losses.at(-1)?.loss ?? 0) - Math.LN2)).toBeLessThan(1e-6);
    for (const p of other.predictions) expect(Math.abs(p - 0.5)).toBeLessThan(1e-5);
  });
});

describe("a hidden layer", () => {
  test("of eight tanh units gets all four right from each of 50 seeds", () => {
    const outcomes = trainNetworks(50, 8, tanh, engine);
    expect(outcomes.filter(succeeded)).toHaveLength(50);
    for (const { predictions, loss } of outcomes) {
      expect(predictions.map(Math.round)).toEqual(xor.y);
      expect(loss).toBeLessThan(0.001);
    }
    // Fifty networks, not one fifty times.
    expect(new Set(outcomes.map(({ loss }) => loss)).size).toBe(50);
  });

  // The losses of the two valleys: (0 + 0 + ln 2 + ln 2) / 4, and (0 - 2·ln(2/3) - ln(1/3)) / 4.
  test.each([
    ["tanh", tanh],
    ["sigmoid", sigmoid],
  ])("of two %s units succeeds from some seeds, and ends in one of two valleys from others", (_, activation) => {
    const outcomes = trainNetworks(50, 2, activation, engine);
    const failures = outcomes.filter((outcome) => !succeeded(outcome));
    expect(failures.length).toBeGreaterThan(5);
    expect(failures.length).toBeLessThan(45);
    for (const { loss, right } of failures) {
      const [half, third] = [valleys.half, valleys.third].map((valley) => Math.abs(loss - valley));
      expect(Math.min(half, third)).toBeLessThan(0.002);
      expect(right).toBe(half < third ? 2 : 3);
    }
  });

  test.each([
    ["tanh", tanh],
    ["sigmoid", sigmoid],
  ])(
    "of two %s units stays at ½ ln 2 for ten times as many steps; of the other valley's few, some get out",
    (_, activation) => {
      const soon = trainNetworks(50, 2, activation, engine);
      const later = trainNetworks(50, 2, activation, engine, 20_000);
      const inHalf = soon.filter(({ loss }) => Math.abs(loss - valleys.half) < 0.002);
      expect(inHalf.length).toBeGreaterThan(5);
      for (const { seed } of inHalf) {
        expect(later[seed].right).toBe(2);
        expect(Math.abs(later[seed].loss - Math.LN2 / 2)).toBeLessThan(1e-4);
      }
      const escaped = later.filter(succeeded).length - soon.filter(succeeded).length;
      expect(escaped).toBeGreaterThanOrEqual(0);
      expect(escaped).toBeLessThanOrEqual(3);
    },
  );
});
