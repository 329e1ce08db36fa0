// Landscapes of the playground, and the optimizers that go down them.
import { expect, test } from "vitest";
import { heightAt, LANDSCAPE_NAMES, LANDSCAPES, reliefOf } from "../../playground/src/descent/landscapes.js";
import { openEngine, openRacer } from "../../playground/src/descent/race.js";
import { RACER_NAMES } from "../../playground/src/descent/racers.js";
import { schema } from "../../playground/src/descent/settings.js";
import { decodeSettings, defaultsOf, encodeSettings } from "../../playground/src/settings.js";

test.each(LANDSCAPE_NAMES)("%s is lowest where it says, and nowhere in its view lower", (name) => {
  const landscape = LANDSCAPES[name];
  const { left, right, bottom, top } = landscape.view;
  for (const [x, y] of landscape.minima) expect(heightAt(landscape, x, y)).toBeCloseTo(landscape.lowest, 9);
  for (let i = 0; i <= 100; i++) {
    for (let j = 0; j <= 100; j++) {
      const height = heightAt(landscape, left + (i / 100) * (right - left), bottom + (j / 100) * (top - bottom));
      expect(height).toBeGreaterThanOrEqual(landscape.lowest);
    }
  }
  const [x, y] = landscape.start;
  expect(x > left && x < right && y > bottom && y < top).toBe(true);
  const job = reliefOf(landscape, 20);
  for (let row = 0; row < 20; row++) expect(job.next().done).toBe(false);
  const relief = job.next().value as Float32Array;
  expect(Math.max(...relief)).toBe(1);
  expect(Math.min(...relief)).toBeGreaterThanOrEqual(0);
});

test("a racer's heights are those of the landscape, and plain descent is rate times slope", async () => {
  using engine = await openEngine();
  for (const name of LANDSCAPE_NAMES) {
    const landscape = LANDSCAPES[name];
    const racer = await openRacer("sgd", landscape, { rate: 1e-3, start: landscape.start, engine });
    for (let step = 0; step < 3; step++) racer.step();
    const { trail, heights } = racer;
    for (let step = 0; step < 3; step++) {
      const [x, y] = [trail[2 * step] as number, trail[2 * step + 1] as number];
      const height = heightAt(landscape, x, y);
      expect(Math.abs((heights[step] as number) - height)).toBeLessThan(2e-5 * Math.max(1, Math.abs(height)));
      if (step === 2) continue;
      const near = 1e-5;
      const slopeX = (heightAt(landscape, x + near, y) - heightAt(landscape, x - near, y)) / (2 * near);
      expect((x - (trail[2 * step + 2] as number)) / 1e-3).toBeCloseTo(slopeX, 1);
    }
    racer.dispose();
  }
});

test("all optimizers go down, and who leaves the landscape is lost", async () => {
  using engine = await openEngine();
  for (const name of RACER_NAMES) {
    const racer = await openRacer(name, LANDSCAPES.himmelblau, { rate: 0.001, start: [0, 0], engine });
    for (let step = 0; step < 200; step++) racer.step();
    expect(racer.heights.at(-1), name).toBeLessThan(170);
    expect(racer.lost).toBe(false);
    racer.dispose();
  }
  const racer = await openRacer("sgd", LANDSCAPES.ravine, { rate: 1, start: [-10, 1], engine });
  for (let step = 0; step < 100; step++) racer.step();
  expect(racer.lost).toBe(true);
  expect(racer.trail.every(Number.isFinite)).toBe(true);
  racer.dispose();
});

test("the start is two numbers in a link, or not there", () => {
  const settings = { ...defaultsOf(schema), start: [-1.25, 3] as const };
  expect(encodeSettings(schema, settings)).toBe("start=-1.25_3");
  expect(decodeSettings(schema, "#start=-1.25_3")).toEqual(settings);
  for (const text of ["1", "1_2_3", "a_b", "1_Infinity"]) {
    expect(decodeSettings(schema, `#start=${text}`)).toEqual(defaultsOf(schema));
  }
});
