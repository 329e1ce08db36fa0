// assembly/random.ts and the shuffle kernel: known answers, an independent implementation on BigInt, distributions.
// All is deterministic; a statistic's limit is four standard deviations or the 0.1 % point, chosen before looking.
import { describe, expect, test } from "vitest";
import { compile, instantiate, runnableBuilds } from "./compile.js";
import { erf } from "./erf.js";

interface Kernels {
  philox(y: number, c0: number, c1: number, c2: number, c3: number, key0: number, key1: number): void;
  philoxBlocks(y: number, c0: number, c1: number, c2: number, c3: number, key0: number, key1: number): void;
  words(y: number, n: number, stream: number, key0: number, key1: number): void;
  uniforms(y: number, x: number, n: number): void;
  normals(y: number, x: number, n: number): void;
  bounded(y: number, n: number, bound: number, stream: number, key0: number, key1: number): void;
  shuffle(
    begin: number,
    end: number,
    permutation: number,
    n: number,
    seed0: number,
    seed1: number,
    stream: number,
  ): void;
}

const COUNT = 1 << 16;
const SIZE = 4 * COUNT;
const MASK = 0xffffffffn;

/** Philox4x32-10 as the paper states it. */
function referencePhilox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const p = 0xd2511f53n * c0;
    const q = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(q >> 32n) ^ c1 ^ k0, q & MASK, (p >> 32n) ^ c3 ^ k1, p & MASK];
    k0 = (k0 + 0x9e3779b9n) & MASK;
    k1 = (k1 + 0xbb67ae85n) & MASK;
  }
  return [c0, c1, c2, c3].map(Number);
}

/** Integer `index` in [0, bound): the first attempt whose word·bound is not in the 2^32 mod bound surplus products. */
function referenceBounded(index: number, bound: number, stream: number, use: number, key: readonly number[]): number {
  for (let attempt = 0; ; attempt++) {
    const word = referencePhilox([index >>> 2, attempt, stream, use], key)[index & 3] as number;
    const product = BigInt(word) * BigInt(bound);
    if ((product & MASK) >= 2n ** 32n % BigInt(bound)) return Number(product >> 32n);
  }
}

function referenceShuffle(n: number, seed: readonly number[], stream: number): number[] {
  const order: number[] = [];
  for (let i = 0; i < n; i++) {
    const j = referenceBounded(i, i + 1, stream, 2, seed);
    order[i] = order[j] as number;
    order[j] = i;
  }
  return order;
}

function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** The mean of f over the values. */
function meanOf(values: Float32Array, f: (x: number) => number): number {
  let sum = 0;
  for (const value of values) sum += f(value);
  return sum / values.length;
}

/** Four standard errors of a mean of COUNT values with this variance. */
const within = (variance: number): number => 4 * Math.sqrt(variance / COUNT);

describe.each(runnableBuilds())("%s", async (build) => {
  const kernels = instantiate<Kernels>(await compile("random.entry.ts", build));
  const { buffer } = kernels.memory;

  function philox(counter: readonly number[], key: readonly number[]): number[] {
    const [c0, c1, c2, c3] = counter as [number, number, number, number];
    const [k0, k1] = key as [number, number];
    kernels.philox(64, c0, c1, c2, c3, k0, k1);
    return [...new Uint32Array(buffer, 64, 4)];
  }

  /** COUNT words at 0. */
  function words(stream: number): Uint32Array {
    kernels.words(0, COUNT, stream, 0x12345678, 0x9abcdef0);
    return new Uint32Array(buffer, 0, COUNT);
  }

  function uniforms(stream: number): Float32Array {
    words(stream);
    kernels.uniforms(SIZE, 0, COUNT);
    return new Float32Array(buffer, SIZE, COUNT);
  }

  function normals(stream: number): Float32Array {
    words(stream);
    kernels.normals(SIZE, 0, COUNT);
    return new Float32Array(buffer, SIZE, COUNT);
  }

  function shuffle(n: number, seed0: number, seed1: number, stream: number): Uint32Array {
    kernels.shuffle(0, 1, 0, n, seed0, seed1, stream);
    return new Uint32Array(buffer, 0, n);
  }

  test("philox4 gives the known answers of Random123 (kat_vectors)", () => {
    const ones = 0xffffffff;
    expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    expect(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual([
      0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
    ]);
  });

  test("philox4 agrees with an implementation on BigInt", () => {
    let state = [1, 2, 3, 4];
    for (let i = 0; i < 1000; i++) {
      const key = [state[1] as number, i];
      const next = referencePhilox(state, key);
      expect(philox(state, key)).toEqual(next);
      state = next;
    }
  });

  test("philoxFour gives four blocks of philox4, with any counter and key", () => {
    let state = [0xfffffffe, 2, 3, 4];
    for (let i = 0; i < 500; i++) {
      const [c0, c1, c2, c3] = state as [number, number, number, number];
      const key = [c1, (i ^ c3) >>> 0] as const;
      kernels.philoxBlocks(64, c0, c1, c2, c3, key[0], key[1]);
      const blocks = [...new Uint32Array(buffer, 64, 16)];
      const expected = [0, 1, 2, 3].flatMap((block) => referencePhilox([(c0 + block) >>> 0, c1, c2, c3], key));
      expect(blocks).toEqual(expected);
      state = referencePhilox(state, key);
    }
  });

  test("uniform4 is the upper 24 bits, exactly", () => {
    const bits = new Uint32Array(buffer, 0, 8).fill(0);
    bits.set([0, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff]);
    kernels.uniforms(64, 0, 8);
    expect([...new Float32Array(buffer, 64, 6)]).toEqual([0, 0, 2 ** -24, 0.5 - 2 ** -24, 0.5, 1 - 2 ** -24]);
  });

  test("uniform numbers: moments, and chi-square over 256 intervals", () => {
    const u = uniforms(1);
    expect(Math.abs(meanOf(u, (x) => x) - 1 / 2)).toBeLessThan(within(1 / 12));
    expect(Math.abs(meanOf(u, (x) => x ** 2) - 1 / 3)).toBeLessThan(within(4 / 45));
    const counts = new Array<number>(256).fill(0);
    for (const x of u) (counts[Math.floor(x * 256)] as number) += 1;
    expect(Math.abs(chiSquare(counts) - 255)).toBeLessThan(4 * Math.sqrt(2 * 255));
  });

  test("neighbouring words, blocks and streams are not correlated", () => {
    const u = uniforms(2).slice();
    const other = uniforms(3);
    const centred = (i: number): number => ((u[i % COUNT] as number) - 0.5) * Math.sqrt(12);
    for (const lag of [1, 2, 3, 4, 8]) {
      let sum = 0;
      for (let i = 0; i < COUNT; i++) sum += centred(i) * centred(i + lag);
      expect(Math.abs(sum / COUNT), `lag ${lag}`).toBeLessThan(within(1));
    }
    let sum = 0;
    for (let i = 0; i < COUNT; i++) sum += centred(i) * ((other[i] as number) - 0.5) * Math.sqrt(12);
    expect(Math.abs(sum / COUNT), "streams").toBeLessThan(within(1));
  });

  test("normal4 is the Box-Muller transform of its words, to 2e-6", () => {
    const z = normals(4);
    const w = new Uint32Array(buffer, 0, COUNT);
    let worst = 0;
    for (let i = 0; i < COUNT; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - ((w[i] as number) >>> 8) / 2 ** 24));
      const angle = (2 * Math.PI * ((w[i + 1] as number) >>> 8)) / 2 ** 24;
      worst = Math.max(worst, Math.abs((z[i] as number) - radius * Math.cos(angle)));
      worst = Math.max(worst, Math.abs((z[i + 1] as number) - radius * Math.sin(angle)));
    }
    expect(worst).toBeLessThan(2e-6);
  });

  test("normal4 is finite where the radius is least and largest", () => {
    new Uint32Array(buffer, 0, 4).set([0, 0, 0xffffffff, 0]);
    kernels.normals(64, 0, 4);
    const [a, b, c, d] = new Float32Array(buffer, 64, 4);
    expect([a, b, d].map((value) => Math.abs(value as number))).toEqual([0, 0, 0]);
    expect(c).toBeCloseTo(Math.sqrt(48 * Math.LN2), 5);
  });

  test("normal numbers: moments, and Kolmogorov-Smirnov against the normal distribution", () => {
    const z = normals(5).slice();
    expect(Math.abs(meanOf(z, (x) => x))).toBeLessThan(within(1));
    expect(Math.abs(meanOf(z, (x) => x ** 2) - 1)).toBeLessThan(within(2));
    expect(Math.abs(meanOf(z, (x) => x ** 3))).toBeLessThan(within(15));
    expect(Math.abs(meanOf(z, (x) => x ** 4) - 3)).toBeLessThan(within(96));
    let pairs = 0;
    for (let i = 0; i < COUNT; i += 2) pairs += (z[i] as number) * (z[i + 1] as number);
    expect(Math.abs(pairs / (COUNT / 2))).toBeLessThan(within(2));
    z.sort();
    let distance = 0;
    for (let i = 0; i < COUNT; i++) {
      const phi = (1 + erf((z[i] as number) / Math.SQRT2)) / 2;
      distance = Math.max(distance, phi - i / COUNT, (i + 1) / COUNT - phi);
    }
    // 1.949: the 0.1 % point of Kolmogorov's distribution.
    expect(distance * Math.sqrt(COUNT)).toBeLessThan(1.949);
  });

  test.each([1, 2, 3, 7, 1000, 2 ** 31 + 1, 3 * 2 ** 30, 2 ** 32 - 1])("bounded integers below %d", (bound) => {
    kernels.bounded(0, 400, bound, 6, 7, 8);
    const values = new Uint32Array(buffer, 0, 400);
    for (let i = 0; i < 400; i++) expect(values[i]).toBe(referenceBounded(i, bound, 6, 0, [7, 8]));
  });

  test("bounded integers are unbiased where one word in four is rejected", () => {
    // Without the rejection, multiples of three would be twice as likely as the others.
    kernels.bounded(0, COUNT, 3 * 2 ** 30, 9, 10, 11);
    const counts = [0, 0, 0];
    for (const value of new Uint32Array(buffer, 0, COUNT)) (counts[value % 3] as number) += 1;
    // 13.816: the 0.1 % point of chi-square with 2 degrees of freedom.
    expect(chiSquare(counts)).toBeLessThan(13.816);
  });

  test.each([0, 1, 2, 3, 4, 5, 63, 64, 1000])("shuffle of %d elements is the expected permutation", (n) => {
    new Uint32Array(buffer, 0, n + 4).fill(0xdeadbeef);
    const order = shuffle(n, 12, 13, 14);
    expect([...order]).toEqual(referenceShuffle(n, [12, 13], 14));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    expect([...new Uint32Array(buffer, 4 * n, 4)]).toEqual(new Array(4).fill(0xdeadbeef));
  });

  test("shuffle depends on each half of the seed and on the stream", () => {
    const orders = [
      [1, 2, 3],
      [2, 2, 3],
      [1, 3, 3],
      [1, 2, 4],
    ].map(([seed0, seed1, stream]) => shuffle(50, seed0 as number, seed1 as number, stream as number).join());
    expect(new Set(orders).size).toBe(4);
    expect(shuffle(50, 1, 2, 3).join()).toBe(orders[0]);
  });

  test("shuffle does nothing in an empty range", () => {
    new Uint32Array(buffer, 0, 8).fill(7);
    kernels.shuffle(1, 1, 0, 8, 1, 2, 3);
    expect([...new Uint32Array(buffer, 0, 8)]).toEqual(new Array(8).fill(7));
  });

  test("every order of four elements is equally likely", () => {
    const counts = new Map<string, number>();
    for (let stream = 0; stream < 24_000; stream++) {
      const order = shuffle(4, 15, 16, stream).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    // 49.728: the 0.1 % point of chi-square with 23 degrees of freedom.
    expect(chiSquare([...counts.values()])).toBeLessThan(49.728);
  });
});
