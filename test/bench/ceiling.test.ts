import { describe, expect, test } from "vitest";
import { type CeilingLoop, compileCeiling, javascriptCeiling } from "../../bench/ceiling.js";
import { CheckError, LeftOut } from "../../bench/workload.js";
import { ceilingWorkload, checkCeiling } from "../../bench/workloads/ceiling.js";

const loops = {
  strict: compileCeiling("strict"),
  fast: compileCeiling("fast"),
  wide: compileCeiling("wide"),
  javascript: javascriptCeiling,
} satisfies Record<string, CeilingLoop>;

/** Whole numbers below 2²⁴ and few binary places: exact in float32, in any order. */
const cases = [
  [1, 2, 3, 1],
  [3, 1, 1, 1000],
  [8, 0.5, 2, 3],
] as const;

describe.each(cases)("start %d, factor %d, summand %d, %i rounds", (start, factor, summand, rounds) => {
  let both: number = start;
  for (let i = 0; i < rounds; i++) {
    both = both * factor + summand;
  }

  test.each(["strict", "fast", "wide"] as const)("%s: all vectors become value · factor + summand", (build) => {
    expect(loops[build](start, factor, summand, rounds)).toBe((build === "wide" ? 96 : 48) * both);
    for (const count of [2, 10, 14]) {
      expect(compileCeiling(build, count)(start, factor, summand, rounds)).toBe(4 * count * both);
    }
  });

  test("javascript: twelve numbers are both", () => {
    expect(loops.javascript(start, factor, summand, rounds)).toBe(12 * both);
  });
});

test.each([0, 7, -2])("%i vectors are refused: two halves take turns", (count) => {
  expect(() => compileCeiling("strict", count)).toThrow(`vectors must be an even number of at least 2, got ${count}`);
});

describe("checkCeiling", () => {
  test.each(["strict", "fast", "wide", "javascript"] as const)("%s passes", (kind) => {
    checkCeiling(loops[kind], kind);
  });

  test("a round too few or an operation too few fails", () => {
    expect(() => checkCeiling((start, a, b, rounds) => loops.strict(start, a, b, rounds - 1), "strict")).toThrow(
      CheckError,
    );
    expect(() => checkCeiling((start, _, b, rounds) => loops.strict(start, 1, b, rounds), "strict")).toThrow(
      CheckError,
    );
    expect(() => checkCeiling(loops.javascript, "strict")).toThrow(CheckError);
  });
});

describe("the workload", () => {
  const { prepare, work } = ceilingWorkload();

  test("runs as any other", async () => {
    // 4096 rounds of a multiplication and an addition on twelve vectors of four
    expect(work).toBe(4096 * 2 * 12 * 4);
    for (const implementation of ["steepest-strict-1", "steepest-fast-1", "javascript"] as const) {
      (await prepare(implementation)).run(2);
    }
  });

  test("is one core's: several threads are left out", async () => {
    for (const implementation of ["steepest-strict-2", "steepest-fast-2", "steepest-wide-2"] as const) {
      await expect(prepare(implementation)).rejects.toThrow(new LeftOut("it is one core's ceiling"));
    }
  });
});
