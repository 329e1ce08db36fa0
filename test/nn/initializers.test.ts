import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { startRecording } from "../../src/engine/instructions.js";
import { installProgram } from "../../src/graph/program.js";
import { type Initializer, type Shape, sizeOf } from "../../src/graph/tensor.js";
import {
  constantValue,
  glorotNormal,
  glorotUniform,
  heNormal,
  heUniform,
  lecunNormal,
  lecunUniform,
  normal,
  ones,
  orthogonal,
  uniform,
  zeros,
} from "../../src/nn/initializers.js";
import "../../src/platform/nodeKernels.js";
import { uniforms } from "../ops/philox.js";

const engine = createEngineSync();
const GUARD = 0x7fc0beef;
const SEED = [7, 11] as const;

interface Draw {
  seed?: readonly [number, number];
  stream?: number;
  /** Cuts each instruction's units in three. */
  split?: boolean;
}

/** Values that `initializer` gives a parameter; fails where it writes past them. */
function draw(
  initializer: Initializer,
  shape: Shape,
  { seed = SEED, stream = 1, split = false }: Draw = {},
): Float32Array {
  const n = sizeOf(shape);
  const address = engine.allocator.allocate(n * 4 + 64);
  engine.words(address, n + 16).fill(GUARD);
  const recording = startRecording();
  initializer.record(recording.record, address, shape, { seed, stream });
  const program = installProgram(engine, recording);
  if (split) {
    for (const { offset, units } of program.listing) {
      const cuts = [0, Math.floor(units / 3), Math.floor(units / 2), units];
      for (let i = 3; i > 0; i--) engine.runRange(program.address + offset * 4, cuts[i - 1], cuts[i]);
    }
  } else engine.run(program.address, program.end, 1);
  const values = engine.floats(address, n).slice();
  expect(engine.words(address + n * 4, 16).every((word) => word === GUARD)).toBe(true);
  engine.allocator.free(program.address);
  engine.allocator.free(address);
  return values;
}

const sameBits = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
const meanOf = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
function varianceOf(values: Float32Array): number {
  const center = meanOf(values);
  return meanOf(values.map((value) => (value - center) ** 2));
}

/** Error function, Abramowitz & Stegun 7.1.26: within 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const uniformUpTo = (low: number, high: number) => (x: number) => (x - low) / (high - low);
const normalUpTo = (mean: number, deviation: number) => (x: number) =>
  (1 + erf((x - mean) / (deviation * Math.SQRT2))) / 2;

/** The Kolmogorov-Smirnov statistic times sqrt(n): above 1.95 once in 1000 samples of the distribution. */
function kolmogorov(values: Float32Array, cumulative: (x: number) => number): number {
  const sorted = values.slice().sort();
  let largest = 0;
  sorted.forEach((value, i) => {
    const expected = cumulative(value);
    largest = Math.max(largest, expected - i / sorted.length, (i + 1) / sorted.length - expected);
  });
  return largest * Math.sqrt(sorted.length);
}

describe("constants", () => {
  test.each([
    ["zeros", zeros(), 0],
    ["ones", ones(), 1],
    ["constantValue", constantValue(-2.5), -2.5],
  ])("%s", (name, initializer, value) => {
    expect(initializer.name).toBe(name);
    for (const n of [1, 2, 3, 4, 5, 8, 17]) expect(draw(initializer, [n])).toEqual(new Float32Array(n).fill(value));
    expect(draw(initializer, [])).toEqual(Float32Array.of(value));
  });
});

const N = 200; // a matrix of N · N elements
const deviation = (variance: number) => Math.sqrt(variance);

/** Each distribution with its cumulative function, as the paper beside its docstring has it, for `[...window, in, out]`. */
const distributions: readonly (readonly [string, Initializer, Shape, (x: number) => number, number])[] = [
  ["uniform", uniform(), [N, N], uniformUpTo(-0.05, 0.05), 0.1 ** 2 / 12],
  ["uniform 2 5", uniform({ low: 2, high: 5 }), [N, N], uniformUpTo(2, 5), 9 / 12],
  ["normal", normal(), [N, N], normalUpTo(0, 0.05), 0.05 ** 2],
  ["normal 3 2", normal({ mean: 3, standardDeviation: 2 }), [N, N], normalUpTo(3, 2), 4],
  ["glorotUniform", glorotUniform(), [100, 400], uniformUpTo(-deviation(6 / 500), deviation(6 / 500)), 2 / 500],
  ["glorotNormal", glorotNormal(), [100, 400], normalUpTo(0, deviation(2 / 500)), 2 / 500],
  [
    "glorotUniform of a convolution",
    glorotUniform(),
    [5, 5, 20, 80],
    uniformUpTo(-deviation(6 / 2500), deviation(6 / 2500)),
    2 / 2500,
  ],
  ["heUniform", heUniform(), [100, 400], uniformUpTo(-deviation(6 / 100), deviation(6 / 100)), 2 / 100],
  ["heNormal", heNormal(), [100, 400], normalUpTo(0, deviation(2 / 100)), 2 / 100],
  ["heNormal of a convolution", heNormal(), [3, 3, 64, 70], normalUpTo(0, deviation(2 / 576)), 2 / 576],
  ["lecunUniform", lecunUniform(), [100, 400], uniformUpTo(-deviation(3 / 100), deviation(3 / 100)), 1 / 100],
  ["lecunNormal", lecunNormal(), [400, 100], normalUpTo(0, deviation(1 / 400)), 1 / 400],
];

describe.each(distributions)("%s", (_, initializer, shape, cumulative, variance) => {
  const values = draw(initializer, shape);

  test("has its distribution and its variance", () => {
    expect(kolmogorov(values, cumulative)).toBeLessThan(1.95);
    // The variance of n numbers is off by sqrt(2 / n) relative (normal; uniform less): 4 standard deviations.
    expect(Math.abs(varianceOf(values) / variance - 1)).toBeLessThan(4 * Math.sqrt(2 / values.length));
  });

  test("gives the same bits again and however the units are split, others for another seed or stream", () => {
    expect(sameBits(draw(initializer, shape), values)).toBe(true);
    expect(sameBits(draw(initializer, shape, { split: true }), values)).toBe(true);
    const center = meanOf(values);
    for (const other of [{ seed: [8, 11] }, { seed: [7, 12] }, { stream: 2 }] as const) {
      const others = draw(initializer, shape, other);
      expect(sameBits(others, values)).toBe(false);
      const products = values.map((value, i) => (value - center) * (others[i] - center));
      // The correlation of independent numbers has standard deviation 1 / sqrt(n).
      expect(Math.abs(meanOf(products) / variance)).toBeLessThan(4 / Math.sqrt(values.length));
    }
  });

  test("neighbouring elements are independent", () => {
    const center = meanOf(values);
    for (const lag of [1, 2, 3, 4]) {
      const products = values.slice(lag).map((value, i) => (value - center) * (values[i] - center));
      expect(Math.abs(meanOf(products) / variance)).toBeLessThan(4 / Math.sqrt(values.length));
    }
  });
});

describe("random elements", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9])("uniform: %d are the first of Philox blocks (i, 0, stream, 1)", (n) => {
    const u = uniforms(n, [0, 3, 1], SEED);
    expect(draw(uniform({ low: 0, high: 1 }), [n], { stream: 3 })).toEqual(Float32Array.from(u));
    expect(draw(uniform({ low: -2, high: 6 }), [n], { stream: 3 })).toEqual(Float32Array.from(u, (x) => 8 * x - 2));
  });

  test("normal: a shorter parameter has the first elements of a longer one", () => {
    const long = draw(normal({ standardDeviation: 1 }), [40]);
    for (const n of [1, 2, 3, 5, 6, 7, 33])
      expect(draw(normal({ standardDeviation: 1 }), [n])).toEqual(long.slice(0, n));
  });

  test("uniform numbers stay between low and high", () => {
    const values = draw(uniform({ low: 1, high: 1.0000002384185791 }), [2000]);
    expect(values.every((value) => value >= 1 && value <= 1.0000002384185791)).toBe(true);
  });

  test("normal has tails on both sides, and its mean and fourth moment", () => {
    const z = draw(normal({ standardDeviation: 1 }), [100_000]);
    expect(Math.max(...z)).toBeGreaterThan(3.7);
    expect(Math.min(...z)).toBeLessThan(-3.7);
    expect(Math.abs(meanOf(z))).toBeLessThan(4 / Math.sqrt(z.length));
    // E z⁴ = 3, with variance 96.
    expect(Math.abs(meanOf(z.map((value) => value ** 4)) - 3)).toBeLessThan(4 * Math.sqrt(96 / z.length));
  });
});

/** Largest |QᵀQ - I|, or of QQᵀ where there are fewer rows than columns, in float64. */
function offOrthonormal(q: Float32Array, rows: number, columns: number, gain: number): number {
  const wide = rows < columns;
  const [vectors, length] = wide ? [rows, columns] : [columns, rows];
  const at = (vector: number, i: number) => q[wide ? vector * columns + i : i * columns + vector] / gain;
  let largest = 0;
  for (let a = 0; a < vectors; a++) {
    for (let b = 0; b <= a; b++) {
      let product = a === b ? -1 : 0;
      for (let i = 0; i < length; i++) product += at(a, i) * at(b, i);
      largest = Math.max(largest, Math.abs(product));
    }
  }
  return largest;
}

describe("orthogonal", () => {
  const shapes = [
    [1, 1],
    [1, 5],
    [5, 1],
    [2, 2],
    [3, 4],
    [4, 3],
    [7, 7],
    [8, 8],
    [9, 8],
    [33, 17],
    [17, 33],
    [127, 128],
    [128, 128],
    [64, 256],
    [300, 40],
  ];

  test.each(shapes)("[%d, %d] has orthonormal columns, or rows", (rows, columns) => {
    for (const stream of [1, 2, 3]) {
      expect(offOrthonormal(draw(orthogonal(), [rows, columns], { stream }), rows, columns, 1)).toBeLessThan(1e-6);
    }
    expect(offOrthonormal(draw(orthogonal({ gain: 1.5 }), [rows, columns]), rows, columns, 1.5)).toBeLessThan(1e-6);
  });

  test("takes a convolution's kernel as [window · in, out]", () => {
    const kernel = draw(orthogonal(), [3, 3, 2, 7]);
    expect(kernel).toEqual(draw(orthogonal(), [18, 7]));
    expect(offOrthonormal(kernel, 18, 7, 1)).toBeLessThan(1e-6);
  });

  test.each([
    [6, 4],
    [4, 6],
  ])("is the Q of the normal matrix with R's diagonal positive: [%d, %d]", (rows, columns) => {
    const a = draw(normal({ standardDeviation: 1 }), [rows, columns]);
    const q = draw(orthogonal(), [rows, columns]);
    const wide = rows < columns;
    const vectors = Math.min(rows, columns);
    const product = (i: number, j: number) => {
      let sum = 0;
      for (let k = 0; k < Math.max(rows, columns); k++) {
        sum += wide ? q[i * columns + k] * a[j * columns + k] : q[k * columns + i] * a[k * columns + j];
      }
      return sum;
    };
    for (let i = 0; i < vectors; i++) {
      expect(product(i, i)).toBeGreaterThan(0);
      for (let j = 0; j < i; j++) expect(Math.abs(product(i, j))).toBeLessThan(2e-6);
    }
  });

  // Of a uniform orthogonal matrix of size 2 every angle is as likely, and rotations as reflections.
  test("is uniform among the orthogonal matrices", () => {
    const draws = Array.from({ length: 2000 }, (_, stream) => draw(orthogonal(), [2, 2], { stream: stream + 1 }));
    const angles = Float32Array.from(draws, ([a, , c]) => Math.atan2(c, a));
    expect(kolmogorov(angles, uniformUpTo(-Math.PI, Math.PI))).toBeLessThan(1.95);
    const rotations = draws.filter(([a, b, c, d]) => a * d - b * c > 0).length;
    expect(Math.abs(rotations - 1000)).toBeLessThan(4 * Math.sqrt(500));
  });

  test("makes something of a zero matrix, as one element may be", () => {
    const address = engine.allocator.allocate(64);
    engine.floats(address, 16).fill(0);
    const recording = startRecording();
    recording.record.orthogonalize({ units: 1, cost: 0 }, address, 1, 1, 2);
    const program = installProgram(engine, recording);
    engine.run(program.address, program.end, 1);
    expect([...engine.floats(address, 2)]).toEqual([2, 0]);
  });

  test("gives the same bits again, others for another seed", () => {
    const q = draw(orthogonal(), [20, 20]);
    expect(sameBits(draw(orthogonal(), [20, 20]), q)).toBe(true);
    expect(sameBits(draw(orthogonal(), [20, 20], { seed: [8, 11] }), q)).toBe(false);
  });
});

test.each([
  [() => constantValue(Number.NaN), "constantValue: value must be a finite number"],
  [() => constantValue(1e39), "constantValue: value must be a finite number"],
  [() => uniform({ low: 1, high: 1 }), "uniform: low must be less than high by a finite float32, got low 1 and high 1"],
  [() => uniform({ low: -3e38, high: 3e38 }), "uniform: low must be less than high by a finite float32"],
  [() => uniform({ min: 0 } as never), 'uniform: unknown option "min": the options are low, high'],
  [() => normal({ standardDeviation: -1 }), "normal: standardDeviation must be a number of at least 0"],
  [() => normal({ mean: Number.POSITIVE_INFINITY }), "normal: mean must be a finite number"],
  [() => orthogonal({ gain: Number.NaN }), "orthogonal: gain must be a finite number"],
  [() => draw(glorotUniform(), [5]), "glorotUniform: the shape must be [in, out] or [...window, in, out], got [5]"],
  [() => draw(heNormal(), []), "heNormal: the shape must be [in, out] or [...window, in, out], got []"],
  [() => draw(orthogonal(), [5]), "orthogonal: the shape must have two axes or more, got [5]"],
])("bad options are refused: case %#", (create, message) => {
  expect(create).toThrowError(
    expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
  );
});
