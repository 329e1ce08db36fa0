// Random tensors and what is made of them: exact values from the reference's Philox, their distribution, and errors.
import { describe, expect, test } from "vitest";
import { CLOCK_ROUND } from "../../src/engine/constants.js";
import { createEngine } from "../../src/engine/engine.js";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input, type Shape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import { alphaDropout, spatialDropout } from "../../src/ops/dropout.js";
import { add, mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { randomNormal, randomUniform } from "../../src/ops/noise.js";
import { sum } from "../../src/ops/reduce.js";
import { battery, engineOf } from "./battery.js";
import { type Case, laneSizes } from "./cases.js";
import { drawnBy, philox, uniforms } from "./philox.js";

const SEED = [0x12345678, 0x9abcdef0] as const;
const STREAM = 5;
const CLOCK = { shape: [16], domain: { classes: 1000 } } as const;
const clockInput = () => input([16], { name: "clock", dtype: "uint32" });
const clockAt = (step: number) =>
  Uint32Array.from({ length: 16 }, (_, word) => (word === 0 ? step : word === CLOCK_ROUND / 4 ? 0 : 77));

/** Normal numbers by a clock: Box and Muller's of words 0 and 1 of each block, then of words 2 and 3. */
function normals(count: number, clock: ArrayLike<number>): Float64Array {
  const result = new Float64Array(Math.ceil(count / 4) * 4);
  for (let block = 0; block * 4 < count; block++) {
    const u = philox([block, ...drawnBy(clock, STREAM, 3)], SEED).map((word) => (word >>> 8) * 2 ** -24);
    for (const pair of [0, 2]) {
      const radius = Math.sqrt(-2 * Math.log(1 - u[pair]));
      result[block * 4 + pair] = radius * Math.cos(2 * Math.PI * u[pair + 1]);
      result[block * 4 + pair + 1] = radius * Math.sin(2 * Math.PI * u[pair + 1]);
    }
  }
  return result.subarray(0, count);
}

const [mean, deviation, low, high] = [-1.5, 0.75, -2, 3].map(Math.fround);

function normalCase(n: number, scaled = false): Case {
  const options = scaled ? { mean, standardDeviation: deviation } : {};
  return {
    inputs: [CLOCK],
    apply: (clock) => randomNormal([n], { clock, seed: SEED, stream: STREAM, ...options }),
    reference: (clock) => normals(n, clock).map((z) => (scaled ? mean + deviation * z : z)),
  };
}

function uniformCase(n: number, scaled = false): Case {
  const options = scaled ? { low, high } : {};
  return {
    inputs: [CLOCK],
    apply: (clock) => randomUniform([n], { clock, seed: SEED, stream: STREAM, ...options }),
    reference: (clock) =>
      uniforms(n, drawnBy(clock, STREAM, 4), SEED).map((u) => (scaled ? low + (high - low) * u : u)),
  };
}

battery("randomNormal", { cases: [...laneSizes.map((n) => normalCase(n)), normalCase(1000), normalCase(77, true)] });
battery("randomUniform", { cases: [...laneSizes.map((n) => uniformCase(n)), uniformCase(999), uniformCase(77, true)] });

/** Whole channels of whole samples. */
function spatialCase(shape: Shape, rate: number): Case {
  const [batch, channels] = [shape[0], shape[shape.length - 1]];
  return {
    inputs: [{ shape }, CLOCK],
    apply: (x, clock) => spatialDropout(x, { rate, clock, seed: SEED, stream: STREAM }),
    reference(x, clock) {
      const u = uniforms(batch * channels, drawnBy(clock, STREAM, 0), SEED);
      const perSample = x.length / batch;
      return x.map((value, i) => {
        const kept = u[Math.floor(i / perSample) * channels + (i % channels)] >= Math.fround(rate);
        return kept ? value / (1 - rate) : 0;
      });
    },
  };
}

battery("spatialDropout", {
  cases: [
    ...laneSizes.map((channels) => spatialCase([3, 2, channels], 0.5)),
    spatialCase([2, 3, 4, 5], 0.25),
    spatialCase([4, 7], 0.3),
  ],
});

const LEAST = 1.0507009873554805 * 1.6732632423543772;

function alphaCase(n: number, rate: number): Case {
  return {
    inputs: [{ shape: [n] }, CLOCK],
    apply: (x, clock) => alphaDropout(x, { rate, clock, seed: SEED, stream: STREAM }),
    reference(x, clock) {
      const u = uniforms(n, drawnBy(clock, STREAM, 0), SEED);
      const a = 1 / Math.sqrt((1 - rate) * (1 + rate * LEAST ** 2));
      return x.map((value, i) => a * (u[i] >= Math.fround(rate) ? value : -LEAST) + a * LEAST * rate);
    },
  };
}

battery("alphaDropout", { cases: [...laneSizes.map((n) => alphaCase(n, 0.5)), alphaCase(100, 0.1)] });

/** What `trace` draws at a step. */
function drawAt(step: number, trace: (clock: Tensor) => Tensor, engine = engineOf("strict")): Float32Array {
  using run = compileFunctionSync(
    ({ clock }: { clock: Tensor }) => ({ y: trace(clock) }),
    { clock: clockInput() },
    { engine },
  );
  return run({ clock: clockAt(step) }).y;
}

const moment = (values: Float32Array, power: number, center = 0): number =>
  values.reduce((total, value) => total + (value - center) ** power, 0) / values.length;

describe("random tensors", () => {
  const n = 100_000;
  const key = (clock: Tensor, stream = STREAM) => ({ clock, seed: SEED, stream });

  test("normal numbers have the moments of the normal distribution", () => {
    const z = drawAt(3, (clock) => randomNormal([n], key(clock)));
    // Standard errors of the first four moments: √(1, 2, 15, 96) / √n; 4.5 of them.
    [1, 2, 3, 4].forEach((power, i) => {
      const error = Math.abs(moment(z, power) - [0, 1, 0, 3][i]);
      expect(error).toBeLessThan((4.5 * Math.sqrt([1, 2, 15, 96][i])) / Math.sqrt(n));
    });
  });

  test("uniform numbers lie within their bounds, spread evenly", () => {
    const u = drawAt(3, (clock) => randomUniform([n], { ...key(clock), low: -1, high: 4 }));
    expect(u.every((value) => value >= -1 && value <= 4)).toBe(true);
    const counts = new Array<number>(10).fill(0);
    for (const value of u) counts[Math.min(9, Math.floor((value + 1) * 2))] += 1;
    for (const count of counts) expect(Math.abs(count - n / 10)).toBeLessThan(4.5 * Math.sqrt(n * 0.09));
  });

  test("belong to step, stream and use: alike for the same, independent for others", () => {
    const first = drawAt(3, (clock) => randomNormal([n], key(clock)));
    expect(drawAt(3, (clock) => randomNormal([n], key(clock)))).toEqual(first);
    const others = [
      drawAt(4, (clock) => randomNormal([n], key(clock))),
      drawAt(3, (clock) => randomNormal([n], key(clock, STREAM + 1))),
      drawAt(3, (clock) => randomNormal([n], { ...key(clock), seed: [SEED[0] + 1, SEED[1]] })),
      drawAt(3, (clock) => randomUniform([n], { ...key(clock), low: -1 })),
    ];
    for (const other of others) {
      const correlation = first.reduce((total, value, i) => total + value * other[i], 0) / n;
      expect(Math.abs(correlation)).toBeLessThan(4.5 / Math.sqrt(n));
    }
  });

  test("are the same bits for several threads", async () => {
    using engine = await createEngine({ build: "strict", threads: 3, background: false });
    for (const trace of [
      (clock: Tensor) => randomNormal([n], key(clock)),
      (clock: Tensor) => randomUniform([n], key(clock)),
      (clock: Tensor) => spatialDropout(randomNormal([100, 10, 100], key(clock)), { ...key(clock, 6), rate: 0.4 }),
      (clock: Tensor) => alphaDropout(randomNormal([n], key(clock)), { ...key(clock, 6), rate: 0.4 }),
    ]) {
      expect(drawAt(7, trace, engine)).toEqual(drawAt(7, trace));
    }
  });

  test("are constants on the way back: the sample of a variational autoencoder trains mean and deviation", () => {
    using run = compileFunctionSync(
      (t: { mean: Tensor; deviation: Tensor; clock: Tensor }) => {
        const noise = randomNormal([5], key(t.clock));
        const sample = add(t.mean, mul(t.deviation, noise));
        const [byMean, byDeviation] = gradient(sum(sample), [t.mean, t.deviation]);
        return { noise, byMean, byDeviation };
      },
      { mean: [5], deviation: [5], clock: clockInput() },
      { engine: engineOf("strict") },
    );
    const { noise, byMean, byDeviation } = run({
      mean: [1, 2, 3, 4, 5],
      deviation: [1, 1, 2, 2, 3],
      clock: clockAt(9),
    });
    expect(Array.from(byMean)).toEqual([1, 1, 1, 1, 1]);
    expect(byDeviation).toEqual(noise);
  });

  test("alphaDropout keeps mean and variance of normal numbers", () => {
    const y = drawAt(5, (clock) => alphaDropout(randomNormal([n], key(clock)), { ...key(clock, 6), rate: 0.3 }));
    expect(Math.abs(moment(y, 1))).toBeLessThan(0.02);
    expect(Math.abs(moment(y, 2) - 1)).toBeLessThan(0.02);
  });

  test("spatialDropout drops channels, whole ones and a share of them", () => {
    const shape = [200, 9, 50];
    const ones = (clock: Tensor) => randomUniform(shape, { ...key(clock), low: 1, high: 1 });
    const y = drawAt(5, (clock) => spatialDropout(ones(clock), { ...key(clock), rate: 0.2 }));
    let dropped = 0;
    for (let sample = 0; sample < 200; sample++) {
      for (let channel = 0; channel < 50; channel++) {
        const values = Array.from({ length: 9 }, (_, place) => y[(sample * 9 + place) * 50 + channel]);
        expect(new Set(values).size).toBe(1);
        dropped += Number(values[0] === 0);
      }
    }
    expect(Math.abs(dropped - 2000)).toBeLessThan(4.5 * Math.sqrt(10_000 * 0.16));
    expect(sizeOf(shape)).toBe(y.length);
  });

  const key4 = { clock: clockInput(), seed: SEED, stream: 1 };
  test.each([
    [
      () => randomNormal([3], { ...key4, standardDeviation: -1 }),
      "randomNormal: standardDeviation must be a number of",
    ],
    [() => randomNormal([3], { ...key4, mean: Number.NaN }), "randomNormal: mean must be a finite number, got NaN"],
    [() => randomNormal([3], { ...key4, clock: input([16]) }), "randomNormal: clock must be uint32 of shape [16], got"],
    [() => randomUniform([3], { ...key4, stream: -1 }), "randomUniform: seed must be two and stream one whole number"],
    [
      () => randomUniform([3], { ...key4, low: 2, high: 1 }),
      "randomUniform: high must be a number of at least 2, got 1",
    ],
    [
      () => randomUniform([3], { ...key4, low: -3e38, high: 3e38 }),
      "randomUniform: high - low must be a finite number",
    ],
    [() => randomUniform([3], { ...key4, mean: 1 } as never), 'randomUniform: unknown option "mean"'],
    [
      () => spatialDropout(input([4]), { ...key4, rate: 0.5 }),
      "spatialDropout: x must be [batch, ...window, channels]",
    ],
    [
      () => spatialDropout(input([4, 2]), { ...key4, rate: 1 }),
      "spatialDropout: rate must be a number of at least 0 and less",
    ],
    [() => alphaDropout(input([4]), { ...key4, rate: -1 }), "alphaDropout: rate must be"],
  ])("refuse what does not fit: case %#", (make, message) => {
    expect(make).toThrow(ModelError);
    expect(make).toThrow(message);
  });
});
