// Trainers with values that are not what they begin with, and how far predictions are from others.
import { expect } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { compileSync, type Engine } from "../../src/platform/node.js";

/** With random parameters; variances are positive. */
export function trained(model: AnyModel, engine: Engine, random: () => number) {
  const trainer = compileSync(model as never, { engine });
  const values = [...trainer.parameters()].map(([path, { data, shape }]) => {
    const positive = /variance/i.test(path);
    return [path, { shape, data: data.map(() => (positive ? 0.5 + random() : random() - 0.5)) }] as const;
  });
  trainer.setParameters(new Map(values));
  return trainer;
}

/** The largest difference, as a share of the largest value. */
export function farthest(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length);
  const scale = Array.from(wanted).reduce((largest, one) => Math.max(largest, Math.abs(one)), 1e-3);
  let most = 0;
  for (let i = 0; i < wanted.length; i++) {
    if (Number.isNaN(got[i]) && Number.isNaN(wanted[i])) continue;
    const distance = Math.abs(Number(got[i]) - wanted[i]) / scale;
    if (!(distance <= most)) most = distance;
  }
  return most;
}
