// Sums of squares in the numbers that float32 has, and beyond them.
import { clipByGlobalNorm, clipByNorm, createEngineSync, lamb, lars, sgd } from "steepest";
import { expect, test } from "vitest";
import { rows, startRecording } from "../../src/engine/instructions.js";
import { installProgram } from "../../src/graph/program.js";
import { layoutOptimizer } from "../../src/optim/placement.js";
import { createBench } from "./bench.js";

const PART = 4096;

test("sums of whole parts whose squares float32 has not, four side by side and alone", () => {
  using engine = createEngineSync();
  const sizes = [1e25, 1e-25, 0.3, 0, Number.POSITIVE_INFINITY, 1e-25, Number.NaN, 0.3, 1e25];
  const x = Float32Array.from({ length: sizes.length * PART }, (_, i) => sizes[Math.floor(i / PART)] * (1 + (i % 7)));
  const [at, sums] = [engine.allocator.allocate(4 * x.length), engine.allocator.allocate(8 * sizes.length)];
  engine.floats(at, x.length).set(x);
  const recording = startRecording();
  recording.record.sumSquares(rows(sizes.length, x.length), sums, at, x.length);
  const program = installProgram(engine, recording);
  engine.run(program.address, program.end, 1);
  const found = new Float64Array(engine.words(sums, 2 * sizes.length).slice().buffer);
  sizes.forEach((size, unit) => {
    const expected = x.subarray(unit * PART, (unit + 1) * PART).reduce((sum, value) => sum + value ** 2, 0);
    if (!(expected > 0 && expected < Infinity)) expect(found[unit]).toBe(expected);
    // Those that float32 has are added in it, eight at a time.
    else expect(Math.abs(found[unit] / expected - 1)).toBeLessThan(size === 0.3 ? 3e-7 : 1e-12);
  });
});

// As many parts as do not fit behind the ratio by chance.
test.each([
  ["lars", lars({ learningRate: 0.1 })],
  ["lamb", lamb({ learningRate: 0.1 })],
])("%s has room for the sums of a large tensor, and nothing is written behind it", (_, optimizer) => {
  using engine = createEngineSync();
  const start = Float32Array.from({ length: 40 * PART + 16 }, (_, i) => 0.1 * Math.sin(i));
  const bench = createBench(engine, optimizer, start);
  const sums = 2 * 8 * 41;
  expect(optimizer.scratchBytes?.([{ path: "w", shape: [start.length], length: start.length }])).toBe(64 + sums);
  bench.step(start.map((value) => 0.01 * value));
  const moved = bench.read(bench.parameters);
  expect(moved.every((value, i) => Number.isFinite(value) && (start[i] === 0 || value !== start[i]))).toBe(true);
});

test.each([
  ["clipByNorm", clipByNorm],
  ["clipByGlobalNorm", clipByGlobalNorm],
])("%s looks at all parts of a large tensor", (_, clip) => {
  using engine = createEngineSync();
  const bench = createBench(engine, clip(1, sgd({ learningRate: 1 })), new Float32Array(2 * PART + 16));
  // The norm of 16 ones behind zeros is 4.
  const gradient = new Float32Array(2 * PART + 16).fill(1, 2 * PART);
  bench.step(gradient);
  expect(bench.read(bench.parameters)).toEqual(gradient.map((value) => 0 - value / 4));
});

test("clipByNorm has room for a factor of each of many tensors, and for their sums behind these", () => {
  const tensors = Array.from({ length: 20 }, (_, i) => ({ path: `p${i}`, shape: [1], length: 1 }));
  // 80 bytes and 160, each rounded up to 64.
  expect(layoutOptimizer("test", clipByNorm(1, sgd()), tensors).scratchBytes).toBe(128 + 192);
});
