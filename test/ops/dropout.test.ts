import { describe, expect, test } from "vitest";
import { CLOCK_ROUND } from "../../src/engine/constants.js";
import { elements } from "../../src/engine/instructions.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { runOnce } from "../../src/graph/program.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import { dropout } from "../../src/ops/dropout.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";
import { battery, engineOf } from "./battery.js";
import { type Case, laneSizes } from "./cases.js";
import { drawnBy, philox, uniforms } from "./philox.js";

const SEED = [0x12345678, 0x9abcdef0] as const;
const STREAM = 5;
const clockInput = () => input([16], { name: "clock", dtype: "uint32" });
const clockAt = (step: number) =>
  Uint32Array.from({ length: 16 }, (_, word) => (word === 0 ? step : word === CLOCK_ROUND / 4 ? 0 : 77));

// Known answers of Random123 (kat_vectors, "philox4x32 10").
test.each([
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [new Array(4).fill(0xffffffff), [0xffffffff, 0xffffffff], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
] as [number[], [number, number], number[]][])(
  "the reference's Philox gives Random123's known answers",
  (counter, key, words) => {
    expect(philox(counter, key)).toEqual(words);
  },
);

/** x and the clock in, dropped x out: what assembly/kernels/dropout.ts states, in float64. */
function caseOf(n: number, rate: number): Case {
  return {
    inputs: [{ shape: [n] }, { shape: [16], domain: { classes: 1000 } }],
    apply: (x, clock) => dropout(x, { rate, clock, seed: SEED, stream: STREAM }),
    reference: (x, clock) => {
      const u = uniforms(n, drawnBy(clock, STREAM, 0), SEED);
      return x.map((value, i) => (u[i] >= Math.fround(rate) ? value / (1 - rate) : 0));
    },
  };
}

battery("dropout", {
  cases: [
    ...laneSizes.map((n) => caseOf(n, 0.5)),
    caseOf(100, 0),
    caseOf(100, 0.1),
    caseOf(100, 0.9),
    caseOf(257, 0.25),
  ],
});

/** Runs dropout over `x` at a step. */
function drop(x: Float32Array, rate: number, step: number, options: { seed?: [number, number]; stream?: number } = {}) {
  const { seed = SEED, stream = STREAM } = options;
  const clock = clockInput();
  const f = compileFunctionSync(
    (t: { x: Tensor; clock: Tensor }) => ({ y: dropout(t.x, { rate, clock: t.clock, seed, stream }) }),
    { x: [x.length], clock },
    { engine: engineOf("strict") },
  );
  const { y } = f({ x, clock: clockAt(step) });
  f.dispose();
  return y;
}

describe("dropout", () => {
  const n = 40_000;
  const ones = new Float32Array(n).fill(1);

  test.each([0.1, 0.25, 0.5, 0.8])("keeps a share of 1 - rate, and scales it by 1 / (1 - rate): rate %d", (rate) => {
    const y = drop(ones, rate, 3);
    const kept = y.filter((value) => value !== 0);
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / (1 - Math.fround(rate)))]));
    // The number kept is binomial: 4.5 standard deviations are passed once in 150,000 draws, and the draw is fixed.
    expect(Math.abs(kept.length - n * (1 - rate))).toBeLessThan(4.5 * Math.sqrt(n * rate * (1 - rate)));
  });

  test("rate 0 changes no bit", () => {
    const x = Float32Array.of(0, -0, 1.1, -3e38, 1e-42, Number.POSITIVE_INFINITY, 7);
    expect(new Uint32Array(drop(x, 0, 1).buffer)).toEqual(new Uint32Array(x.buffer));
  });

  test("keeps an element whose number is the rate itself", () => {
    const rate = uniforms(8, [3, STREAM, 0], SEED)[5];
    expect(drop(ones.slice(0, 8), rate, 3)[5]).toBeCloseTo(1 / (1 - rate), 6);
    expect(drop(ones.slice(0, 8), rate + 2 ** -24, 3)[5]).toBe(0);
  });

  test.each(laneSizes)("writes nothing past its %d elements, and nothing into its input", (n) => {
    const engine = engineOf("strict");
    const [x, y, clock] = [0, 1, 2].map(() => engine.allocator.allocate(128));
    engine.floats(x, 32).fill(1);
    engine.floats(y, 32).fill(7);
    engine.words(clock, 16).fill(1);
    runOnce(engine, (record) => record.dropout(elements(n), y, x, clock, n, 0.5, ...SEED, STREAM));
    expect(engine.floats(x, 32).every((value) => value === 1)).toBe(true);
    expect([...engine.floats(y, 32)].map((value) => value === 7)).toEqual(Array.from({ length: 32 }, (_, i) => i >= n));
    for (const address of [x, y, clock]) engine.allocator.free(address);
  });

  test("the mask belongs to step, stream and seed: alike for the same, independent for others", () => {
    const mask = drop(ones, 0.5, 3);
    expect(drop(ones, 0.5, 3)).toEqual(mask);
    const others = [
      drop(ones, 0.5, 4),
      drop(ones, 0.5, 3, { stream: STREAM + 1 }),
      drop(ones, 0.5, 3, { seed: [SEED[0] + 1, SEED[1]] }),
      drop(ones, 0.5, 3, { seed: [SEED[0], SEED[1] + 1] }),
    ];
    for (const other of others) {
      const agreeing = mask.filter((value, i) => value === other[i]).length;
      expect(Math.abs(agreeing - n / 2)).toBeLessThan(4.5 * Math.sqrt(n / 4));
    }
  });

  test("NaN and infinities are not hidden by being dropped", () => {
    const y = drop(new Float32Array(64).fill(Number.NaN), 0.5, 1);
    expect(y.every(Number.isNaN)).toBe(true);
    expect(drop(new Float32Array(64).fill(Number.POSITIVE_INFINITY), 0.5, 1).some(Number.isFinite)).toBe(false);
  });

  test("the gradient has the forward mask, anew at each step", () => {
    const clock = clockInput();
    const f = compileFunctionSync(
      (t: { x: Tensor; w: Tensor; clock: Tensor }) => {
        const y = dropout(t.x, { rate: 0.3, clock: t.clock, seed: SEED, stream: STREAM });
        return { y, dx: gradient(sum(mul(y, t.w)), [t.x])[0] };
      },
      { x: [101], w: [101], clock },
      { engine: engineOf("strict") },
    );
    const w = Float32Array.from({ length: 101 }, (_, i) => i + 1);
    const masks = [1, 2].map((step) => {
      const { y, dx } = f({ x: new Float32Array(101).fill(1), w, clock: clockAt(step) });
      expect(dx).toEqual(y.map((value, i) => value * w[i]));
      return y;
    });
    expect(masks[0]).not.toEqual(masks[1]);
    f.dispose();
  });

  test("the gradient of a gradient has the mask too", () => {
    const clock = clockInput();
    const f = compileFunctionSync(
      (t: { x: Tensor; clock: Tensor }) => {
        const y = dropout(t.x, { rate: 0.5, clock: t.clock, seed: SEED, stream: STREAM });
        const first = gradient(sum(mul(y, mul(y, y))), t.x);
        return { y, second: gradient(sum(first), t.x) };
      },
      { x: [101], clock },
      { engine: engineOf("strict") },
    );
    const x = Float32Array.from({ length: 101 }, (_, i) => i - 50);
    const { y, second } = f({ x, clock: clockAt(4) });
    // y = 2x where kept: y³ = 8x³, second derivative 48x.
    expect(second.map((value) => value + 0)).toEqual(x.map((value, i) => (y[i] === 0 ? 0 : 48 * value)));
    f.dispose();
  });

  const x = input([4]);
  const options = { rate: 0.5, clock: clockInput(), seed: SEED, stream: 1 };
  test.each([
    [{ ...options, rate: 1 }, "dropout: rate must be a number of at least 0 and less than 1, got 1"],
    [{ ...options, rate: 1 - 1e-9 }, "dropout: rate must be"],
    [{ ...options, rate: -0.1 }, "dropout: rate must be"],
    [{ ...options, rate: Number.NaN }, "dropout: rate must be"],
    [{ ...options, rate: undefined as never }, "dropout: rate must be"],
    [{ ...options, clock: input([16]) }, "dropout: clock must be uint32 of shape [16], got float32 of shape [16]"],
    [
      { ...options, clock: constant(new Uint32Array(4)) },
      "dropout: clock must be uint32 of shape [16], got uint32 of shape [4]",
    ],
    [{ ...options, stream: 1.5 }, "dropout: seed must be two and stream one whole number of 0 to 4294967295"],
    [{ ...options, seed: [-1, 0] as [number, number] }, "got seed [-1, 0] and stream 1"],
    [{ ...options, p: 0.5 }, 'dropout: unknown option "p": the options are rate, clock, seed, stream'],
  ])("refuses bad options: case %#", (bad, message) => {
    expect(() => dropout(x, bad)).toThrowError(
      expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
    );
  });

  test("refuses integers", () => {
    expect(() => dropout(input([4], { dtype: "uint32" }), options)).toThrowError(
      "dropout: operands must be float32, got input of uint32",
    );
  });
});
