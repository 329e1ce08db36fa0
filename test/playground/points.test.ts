// The points of the playground, and the networks that learn them.
import { describe, expect, test } from "vitest";
import {
  DATA_SETS,
  drawPoints,
  EXTENT,
  FEATURE_NAMES,
  featuresOf,
  gridPoints,
  isRegression,
  splitPoints,
} from "../../playground/src/points/data.js";
import { openTrainer } from "../../playground/src/points/network.js";
import { type PointSettings, schema } from "../../playground/src/points/settings.js";
import { defaultsOf } from "../../playground/src/settings.js";

const count = 200;

describe.each(DATA_SETS)("%s", (set) => {
  test.each([0, 50])("with %i %% of noise, points are in the square and the seed repeats them", (noise) => {
    const points = drawPoints({ set, noise, count, seed: 4 });
    expect(points).toHaveLength(count);
    expect(points).toEqual(drawPoints({ set, noise, count, seed: 4 }));
    expect(points).not.toEqual(drawPoints({ set, noise, count, seed: 5 }));
    for (const { x, y, label } of points) {
      expect(Math.max(Math.abs(x), Math.abs(y))).toBeLessThanOrEqual(EXTENT);
      if (isRegression(set)) expect(Math.abs(label)).toBeLessThanOrEqual(1);
      else expect([0, 1]).toContain(label);
    }
  });

  test("noise moves points, and leaves their labels", () => {
    const [still, noisy] = [0, 50].map((noise) => drawPoints({ set, noise, count, seed: 4 }));
    expect(noisy).not.toEqual(still);
    if (set === "gauss" || set === "spiral")
      expect(noisy?.map(({ label }) => label)).toEqual(still?.map(({ label }) => label));
  });
});

test("without noise, labels follow the rule of the set", () => {
  for (const { x, y, label } of drawPoints({ set: "circle", noise: 0, count, seed: 1 })) {
    expect(label).toBe(Math.hypot(x, y) < 3 ? 1 : 0);
  }
  for (const { x, y, label } of drawPoints({ set: "xor", noise: 0, count, seed: 1 }))
    expect(label).toBe(x * y > 0 ? 1 : 0);
  for (const { x, y, label } of drawPoints({ set: "plane", noise: 0, count, seed: 1 })) {
    expect(label).toBeCloseTo((x + y) / 12, 12);
  }
  // The angle along an arm tells the distance from the middle.
  for (const { x, y, label } of drawPoints({ set: "spiral", noise: 0, count, seed: 1 })) {
    const angle = (Math.hypot(x, y) / 5) * 1.75 * 2 * Math.PI + label * Math.PI;
    expect(Math.hypot(x, y) * Math.sin(angle)).toBeCloseTo(x, 10);
  }
});

test("a share of the points is held back, and never all or none", () => {
  const points = drawPoints({ set: "gauss", noise: 0, count: 10, seed: 1 });
  const { train, test: held } = splitPoints(points, 30);
  expect([...train, ...held]).toEqual(points);
  expect(train).toHaveLength(3);
  expect(splitPoints(points, 0).train).toHaveLength(1);
  expect(splitPoints(points, 100).test).toHaveLength(1);
});

test("features are rows of what was asked for", () => {
  const values = featuresOf([{ x: 3, y: -6 }], FEATURE_NAMES);
  expect([...values]).toEqual([1, -2, 1, 4, -2, Math.fround(Math.sin(3)), Math.fround(Math.sin(-6))]);
  expect([...featuresOf([{ x: 3, y: -6 }], ["y", "x"])]).toEqual([-2, 1]);
});

test("the grid begins at the upper left", () => {
  expect(gridPoints(2)).toEqual([
    { x: -3, y: 3 },
    { x: 3, y: 3 },
    { x: -3, y: -3 },
    { x: 3, y: -3 },
  ]);
});

async function learn(part: Partial<PointSettings>, epochs: number) {
  const settings = { ...defaultsOf(schema), ...part };
  const { train, test: held } = splitPoints(
    drawPoints({ set: settings.data, noise: settings.noise, count: 400, seed: 1 }),
    50,
  );
  const samples = (points: typeof train) => ({
    x: featuresOf(points, settings.features),
    y: { out: Float32Array.from(points, ({ label }) => label) },
  });
  using trainer = await openTrainer(settings, () => settings.rate);
  await trainer.trainSteps(samples(train), { steps: epochs * 20, batchSize: 10 });
  const outputs = (await trainer.predict(featuresOf(gridPoints(4), settings.features))) as Record<string, Float32Array>;
  const { "out.loss": loss, "out.accuracy": accuracy } = (await trainer.evaluate(samples(held))) as Record<
    string,
    number
  >;
  return {
    loss,
    accuracy,
    weights: [...(trainer.parameters().get("out.weight")?.data ?? [])],
    sizes: Object.fromEntries(Object.entries(outputs).map(([name, { length }]) => [name, length])),
  };
}

test("the network learns XOR, and shows what each unit gives", async () => {
  const { accuracy, sizes } = await learn({ data: "xor" }, 60);
  expect(accuracy).toBeGreaterThan(0.95);
  expect(sizes).toEqual({ hidden1: 16 * 6, hidden2: 16 * 4, out: 16 });
});

test("the network learns the spiral", async () => {
  const { accuracy } = await learn({ data: "spiral", layers: [8, 8], activation: "relu" }, 300);
  expect(accuracy).toBeGreaterThan(0.95);
});

test("without a hidden layer it learns a plane: half the sum of the coordinates, over 6; a penalty makes weights smaller", async () => {
  const free = await learn({ data: "plane", layers: [] }, 40);
  expect(free.loss).toBeLessThan(1e-4);
  for (const weight of free.weights) expect(weight).toBeCloseTo(3 / 12, 2);
  const held = await learn({ data: "plane", layers: [], penalty: "l2", strength: 1 }, 40);
  for (const weight of held.weights) expect(weight).toBeLessThan(0.2);
});
