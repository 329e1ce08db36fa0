// Weights at the start of a training that need no recording, as a formula gives them: starts.py gives the same.
import type { Model } from "steepest";

/** Numbers in [-1, 1) of a linear congruential generator. */
export function createWeights(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** All parameters that are trained, in their order: matrices ±1/√(their first size), vectors about 0, those of normalizations about 1. */
export function startOf(model: Model): Record<string, Float32Array> {
  const next = createWeights(1);
  return Object.fromEntries(
    [...model.parameters].flatMap(([path, { shape }]) => {
      if (/\.running/.test(path)) return []; // statistics stay as they begin
      const scale = shape.length > 1 ? 1 / Math.sqrt(shape[0]) : 0.1;
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => scale * next());
      return [[path, /norm\d?\.weight$/.test(path) ? values.map((value) => value + 1) : values]];
    }),
  );
}
