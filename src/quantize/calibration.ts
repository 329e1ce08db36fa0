// The ranges of what goes into a model's products, on samples.
import type { Engine } from "../engine/engine.js";
import { leavesBehind } from "../graph/backward.js";
import type { AnyModel } from "../nn/model.js";
import { type Compiled, compileResults, type Flat, type FloatValues, runSlice, tracePrediction } from "./prediction.js";
import { findProducts, type Product } from "./products.js";
import type { Range } from "./weights.js";

interface Calibration {
  readonly engine: Engine;
  readonly model: AnyModel;
  readonly samples: Flat;
  readonly data: FloatValues;
  readonly percentile: number;
  chosen(product: Product): boolean;
}

// Samples at a time: what is between the layers is all in memory.
const BATCH = 32;
// Of a histogram, for percentiles.
const BINS = 4096;

/** One range for each product that is chosen, in order. */
export function findRanges(calibration: Calibration): (Range & { readonly path: string })[] {
  const { percentile, chosen, model } = calibration;
  const paths = findProducts(tracePrediction(model, 1).outputs, model.parameters)
    .filter(chosen)
    .map(({ path }) => path);
  if (paths.length === 0) return [];
  const widest = paths.map(() => ({ low: 0, high: 0 }));
  eachInput(calibration, (index, inputs) => {
    const range = widest[index] as { low: number; high: number };
    for (const value of inputs) {
      if (value < range.low) range.low = value;
      if (value > range.high) range.high = value;
    }
  });
  const ranges = percentile === 100 ? widest : withinPercentile(calibration, widest);
  return ranges.map((range, index) => ({ path: paths[index] as string, ...range }));
}

/** The parts of the ranges that are left without the outermost values, by histograms: to a bin. */
function withinPercentile(calibration: Calibration, widest: readonly Range[]): Range[] {
  const bins = widest.map(() => new Float64Array(BINS));
  eachInput(calibration, (index, inputs) => {
    const { low, high } = widest[index] as Range;
    const counts = bins[index] as Float64Array;
    for (const value of inputs) {
      const bin = Math.floor(((value - low) / (high - low || 1)) * BINS);
      counts[Math.min(bin, BINS - 1)]++;
    }
  });
  return widest.map(({ low, high }, index) => {
    const counts = bins[index] as Float64Array;
    const total = counts.reduce((sum, count) => sum + count, 0);
    // A half on each side; where 0 is an end, all that may be left out is on the other.
    const sides = Number(low < 0) + Number(high > 0) || 1;
    const outside = (total * (1 - calibration.percentile / 100)) / sides;
    const width = (high - low) / BINS;
    const from = low < 0 ? emptied(counts, outside) : 0;
    const to = high > 0 ? emptied(counts.slice().reverse(), outside) : 0;
    return { low: Math.min(0, low + from * width), high: Math.max(0, high - to * width) };
  });
}

/** How many of the first bins hold no more than so many values. */
function emptied(counts: Float64Array, most: number): number {
  let [bins, total] = [0, 0];
  for (const count of counts) {
    total += count;
    if (total > most) break;
    bins++;
  }
  return bins;
}

/** Goes through all samples with the inputs of all chosen products, each with its place in the order. */
function eachInput(
  { engine, model, samples, data, chosen }: Calibration,
  look: (index: number, values: Float32Array) => void,
) {
  const programs = new Map<number, Compiled>();
  const paths = new Map([...model.parameters].map(([path, tensor]) => [tensor, path]));
  const make = (batch: number): Compiled => {
    const { inputs, outputs } = tracePrediction(model, batch);
    const results = findProducts(outputs, model.parameters)
      .filter(chosen)
      .map(({ input }) => input);
    const used = leavesBehind(results).filter((tensor) => paths.has(tensor));
    return compileResults(engine, { inputs, results }, (tensor) => data.get(paths.get(tensor) ?? ""), used);
  };
  try {
    for (let first = 0; first < samples.count; first += BATCH) {
      const batch = Math.min(BATCH, samples.count - first);
      const program = programs.get(batch) ?? make(batch);
      programs.set(batch, program);
      runSlice(program, samples, samples.count, first, batch).forEach((values, index) => look(index, values));
    }
  } finally {
    for (const program of programs.values()) program.dispose();
  }
}
