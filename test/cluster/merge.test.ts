// The mathematics of a round, by itself.
import { FormatError } from "steepest/io";
import { describe, expect, test } from "vitest";
import { compress, toBfloat16 } from "../../src/cluster/bfloat16.js";
import { meanOf, outerStep, rounded } from "../../src/cluster/merge.js";
import { decodeUpdate, encodeUpdate } from "../../src/cluster/payload.js";
import { bfloat16ToFloat32 } from "../../src/io/halves.js";

const values = (...data: number[]) => new Map([["w", { shape: [data.length], data: Float32Array.from(data) }]]);
async function* inOrder<T>(parts: readonly T[]) {
  yield* parts;
}
const mean = async (parts: readonly (readonly [weight: number, ...data: number[]])[]) =>
  (await meanOf(inOrder(parts.map(([weight, ...data]) => ({ weight, values: values(...data) }))))).get(
    "w",
  ) as Float64Array;

describe("the mean", () => {
  test("is weighted", async () => {
    expect(
      await mean([
        [1, 4, 0],
        [3, 8, 1],
      ]),
    ).toEqual(Float64Array.of(7, 0.75));
  });

  test("is a tree of neighbours: sums of 2, 4, 8 parts, then the rest, the smaller first", async () => {
    // In float64, the order shows: 1 is lost beside 2 ** 53.
    const large = 2 ** 53;
    const sums = async (...data: number[]) => (await mean(data.map((value) => [1, value])))[0] * data.length;
    expect(await sums(large, 1, 1, -large)).toBe(large + (1 - large));
    expect(await sums(large, 1, 1, 1, 0, 0, 0)).toBe(large + 2);
    expect(await sums(1, 1, large)).toBe(2 + large);
    expect(await sums(large, -large, 1, 0, 1)).toBe(2);
  });

  test("of equal values is the value, whatever they weigh", async () => {
    const odd = Math.fround(0.1);
    for (let count = 1; count <= 33; count++) {
      const parts = Array.from({ length: count }, (_, i) => [1 + ((i * 37) % 101), odd, -3e38, 1e-45] as const);
      expect(rounded(new Map([["w", await mean(parts)]]), values()).get("w")?.data).toEqual(
        Float32Array.of(odd, -3e38, 1e-45),
      );
    }
  });
});

describe("the outer step", () => {
  test("is gradient descent with Nesterov's momentum along the mean difference, as PyTorch's SGD", () => {
    const [rate, momentum] = [0.7, 0.9];
    let outer = { parameters: values(1, -2), velocity: values(0, 0) };
    let [p, v] = [
      [1, -2],
      [0, 0],
    ];
    for (let step = 0; step < 20; step++) {
      const goal = Float64Array.of(Math.sin(step), p[1] * 0.9);
      outer = outerStep(outer, new Map([["w", goal]]), { learningRate: rate, momentum }) as typeof outer;
      const d = p.map((value, i) => value - goal[i]);
      v = v.map((value, i) => momentum * value + d[i]);
      p = p.map((value, i) => value - rate * (d[i] + momentum * v[i]));
      for (const i of [0, 1]) {
        expect(outer.parameters.get("w")?.data[i]).toBeCloseTo(p[i], 5);
        expect(outer.velocity.get("w")?.data[i]).toBeCloseTo(v[i], 5);
      }
    }
  });

  test("with rate 1 and no momentum is the mean itself, and keeps no velocity", () => {
    const goal = Float64Array.of(1e-10, 1 / 3);
    const { parameters, velocity } = outerStep(
      { parameters: values(1, 1e30), velocity: new Map() },
      new Map([["w", goal]]),
      {
        learningRate: 1,
        momentum: 0,
      },
    );
    expect(parameters.get("w")?.data).toEqual(Float32Array.from(goal));
    expect(velocity.size).toBe(0);
  });
});

describe("bfloat16", () => {
  test.each([
    [1, 0x3f80],
    [-0, 0x8000],
    // Between 1 and 1 + 2 ** -7: ties go to the even one.
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81],
    // What would be infinite is the largest that is finite.
    [3.4028234663852886e38, 0x7f7f],
    [-3.4028234663852886e38, 0xff7f],
    [1e-45, 0],
  ])("%f", (value, half) => {
    expect(toBfloat16(Float32Array.of(value))[0]).toBe(half);
  });

  test("what rounding takes away is sent later: the sum of what was sent follows the sum of the values", () => {
    let left: Float32Array | undefined;
    let [sent, whole, alone] = [0, 0, 0];
    for (let round = 1; round <= 1000; round++) {
      const value = Math.fround(1 + (0.001 * round) / 7);
      const done = compress(Float32Array.of(value), left);
      left = done.left;
      sent += bfloat16ToFloat32(done.halves)[0];
      alone += bfloat16ToFloat32(toBfloat16(Float32Array.of(value)))[0];
      whole += value;
    }
    expect(Math.abs(sent - whole)).toBeLessThan(2 ** -7);
    expect(Math.abs(alone - whole)).toBeGreaterThan(2 ** -7);
  });
});

describe("an update", () => {
  const shapes = new Map([
    ["w", [2]],
    ["b", [3]],
  ]);
  const wanted = { shapes, halved: new Set(["b"]) };
  const whole = { values: values(1.5, -2), halves: new Map([["b", toBfloat16(Float32Array.of(1, 2, 3))]]) };
  const bytes = encodeUpdate(whole);

  test("comes back", () => {
    const read = decodeUpdate(bytes, "u", wanted);
    expect(read.get("w")).toEqual({ shape: [2], data: Float32Array.of(1.5, -2) });
    expect(read.get("b")).toEqual({ shape: [3], data: Float32Array.of(1, 2, 3) });
  });

  test("with any byte changed, or cut short, is refused", () => {
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 1 << (at % 8);
      expect(() => decodeUpdate(damaged, "u", wanted), `byte ${at}`).toThrow(FormatError);
      expect(() => decodeUpdate(bytes.slice(0, at), "u", wanted)).toThrow(FormatError);
    }
  });

  test.each([
    ["another shape", { values: values(1, 2, 3), halves: whole.halves }],
    ["one too few", { values: whole.values }],
    ["another name", { values: new Map([["v", { shape: [2], data: new Float32Array(2) }]]), halves: whole.halves }],
    ["no bfloat16", { values: new Map([...whole.values, ["b", { shape: [3], data: new Float32Array(3) }]]) }],
    ["not finite", { values: values(1, Number.NaN), halves: whole.halves }],
    ["infinite", { values: whole.values, halves: new Map([["b", Uint16Array.of(0x7f80, 0, 0)]]) }],
  ])("of %s is refused", (_, update) => {
    expect(() => decodeUpdate(encodeUpdate(update), "u", wanted)).toThrow(
      /update "u": must have w, b of this model, got .*: let it be computed again/,
    );
  });
});
