import { describe, expect, test } from "vitest";
import { type CeilingLoop, compileCeiling, javascriptCeiling } from "../../bench/ceiling.js";
import { CheckError } from "../../bench/workload.js";
import { ceilingWorkload, checkCeiling } from "../../bench/workloads/ceiling.js";

const loops = {
  strict: compileCeiling("strict"),
  fast: compileCeiling("fast"),
  javascript: javascriptCeiling,
} satisfies Record<string, CeilingLoop>;

/** Whole numbers below 2²⁴ and few binary places: exact in float32, in any order. */
const cases = [
  [1, 2, 3, 1],
  [3, 1, 1, 1000],
  [8, 0.5, 2, 3],
] as const;

describe.each(cases)("start %d, factor %d, summand %d, %i rounds", (start, factor, summand, rounds) => {
  let [product, sum, both] = [start, start, start] as number[];
  for (let i = 0; i < rounds; i++) {
    product *= factor;
    sum += summand;
    both = both * factor + summand;
  }

  test("strict: six vectors are multiplied, six added to", () => {
    expect(loops.strict(start, factor, summand, rounds)).toBe(24 * product + 24 * sum);
  });

  test("fast: twelve vectors are both", () => {
    expect(loops.fast(start, factor, summand, rounds)).toBe(48 * both);
  });

  test("javascript: twelve numbers are both", () => {
    expect(loops.javascript(start, factor, summand, rounds)).toBe(12 * both);
  });
});

describe("checkCeiling", () => {
  test.each(["strict", "fast", "javascript"] as const)("%s passes", (kind) => {
    checkCeiling(loops[kind], kind);
  });

  test("a round too few or an operation too few fails", () => {
    expect(() => checkCeiling((start, a, b, rounds) => loops.fast(start, a, b, rounds - 1), "fast")).toThrow(
      CheckError,
    );
    expect(() => checkCeiling((start, _, b, rounds) => loops.strict(start, 1, b, rounds), "strict")).toThrow(
      CheckError,
    );
  });
});

test("the workload runs as any other", () => {
  const { prepare, work } = ceilingWorkload();
  // 4096 rounds of a multiplication and an addition on twelve vectors of four
  expect(work).toBe(4096 * 2 * 12 * 4);
  for (const implementation of ["steepest-strict-1", "steepest-fast-1", "javascript"] as const) {
    prepare(implementation).run(2);
  }
});
