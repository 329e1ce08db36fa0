// Every elementwise operation and every loss at zeros of either sign, denormals, kinks, far out, at infinities and NaN:
// values and slopes against float64, the float64 references against PyTorch's conventions.
import { describe, expect, test } from "vitest";
import { hasRelaxedSimd } from "../../src/engine/features.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import golden from "../golden/extremes.json" with { type: "json" };
import { engineOf } from "./battery.js";
import {
  type Bound,
  type ExtremeLoss,
  type ExtremePair,
  type ExtremeRow,
  extremeOf,
  LOSSES,
  PAIRS,
  ROW_OPERATIONS,
  rowCrossEntropy,
} from "./extremes.js";

const builds = hasRelaxedSimd() ? (["strict", "fast"] as const) : (["strict"] as const);
type Build = (typeof builds)[number];

const read = (values: readonly (number | string)[]): number[] => values.map((value) => Math.fround(Number(value)));
const points = read(golden.points);

/** Values of f at x, and slopes: gradients of Σ f. */
function sweep(build: Build, f: (x: Tensor) => Tensor, x: readonly number[]) {
  using run = compileFunctionSync(
    ({ x }) => {
      const y = f(x);
      return { y, dx: ops.gradient(ops.sum(y), x) };
    },
    { x: [x.length] },
    { engine: engineOf(build) },
  );
  return run({ x });
}

const row = (count: number, f: (i: number) => number) => Array.from({ length: count }, (_, i) => f(i));
const show = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

/** What is wrong with `actual`, if anything. Zeros must have the sign of an exact zero, where `signed`. */
function fault(actual: number, exact: number, { ulps, absolute = 0 }: Bound, signed: boolean): string | undefined {
  const rounded = Math.fround(exact);
  const isSame = signed && exact === 0 ? Object.is(actual, exact) : actual === rounded || Object.is(actual, rounded);
  if (isSame) return undefined;
  const step = 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(exact)))) - 23);
  // Next to the largest float32 an error of an ULP may be one over the edge.
  const near =
    Math.abs(exact) > 3.4e38 && Math.abs(actual) > 3.4e38
      ? actual * exact > 0
      : Math.abs(actual - exact) <= ulps * step + absolute;
  return near && !(signed && exact === 0 && actual === 0) ? undefined : `${show(actual)} for ${show(exact)}`;
}

function faults(
  x: readonly number[],
  actual: ArrayLike<number>,
  exact: (x: number) => number,
  bound: Bound,
  signed = false,
): string[] {
  return x.flatMap((value, i) => {
    const found = fault(actual[i], exact(value), bound, signed);
    return found === undefined ? [] : [`at ${show(value)}: ${found}`];
  });
}

describe("one operand", () => {
  for (const { operation, options, y, dx } of golden.unary) {
    const {
      apply,
      value,
      slope,
      bound = { ulps: 2 },
      slopeBound = bound,
      departures,
    } = extremeOf(operation, options as never);
    const name = `${operation} ${JSON.stringify(options)}`;
    test.each(builds)(`${name}, %s: value and slope are those of float64`, (build) => {
      const found = sweep(build, apply, points);
      expect(faults(points, found.y, value, bound, true), "values").toEqual([]);
      expect(faults(points, found.dx, slope, slopeBound), "slopes").toEqual([]);
    });

    test(`${name}: the reference has PyTorch's conventions`, () => {
      const close: Bound = { ulps: 64, absolute: 1e-6 };
      const inWay = (x: number) => departures?.at.some((point) => Object.is(point, x)) ?? false;
      const seen = points.filter((x) => !inWay(x));
      const of = (recorded: readonly (number | string)[]) => read(recorded).filter((_, i) => !inWay(points[i]));
      expect(faults(seen, of(y), value, close), "values").toEqual([]);
      expect(faults(seen, of(dx), slope, close), "slopes").toEqual([]);
    });
  }
});

const CLOSE: Bound = { ulps: 64, absolute: 1e-6 };

/**
 * What is wrong with `actual`, against float64 where both operands are numbers, else (and there too, unless the row departs
 * from it) against what PyTorch has, as near as its float32 is.
 */
function pairFaults(
  [a, b]: readonly [readonly number[], readonly number[]],
  actual: ArrayLike<number>,
  exact: (a: number, b: number) => number,
  recorded: readonly number[],
  { bound = { ulps: 2 }, departures }: Pick<ExtremePair, "bound" | "departures">,
): string[] {
  return a.flatMap((left, i) => {
    const right = b[i];
    const where = `at ${show(left)}, ${show(right)}`;
    const areNumbers = Number.isFinite(left) && Number.isFinite(right);
    const wrong = areNumbers ? fault(actual[i], exact(left, right), bound, false) : undefined;
    if (wrong !== undefined) return [`${where}: ${wrong}`];
    if (departures?.at(left, right)) return [];
    const close = { ...CLOSE, absolute: 1e-6 * Math.max(1, Math.abs(recorded[i])) };
    const other = fault(actual[i], recorded[i], close, false);
    return other === undefined ? [] : [`${where}: ${other}, which is PyTorch's`];
  });
}

describe("two operands", () => {
  const few = read(golden.few);
  const a = few.flatMap((left) => few.map(() => left));
  const b = few.flatMap(() => few);

  for (const { operation, upstream, y, da, db } of golden.binary) {
    test.each(builds)(`${operation} under a gradient of ${upstream}, %s`, (build) => {
      const row: ExtremePair = PAIRS[operation as keyof typeof PAIRS];
      const c = Math.fround(upstream);
      using run = compileFunctionSync(
        ({ a, b, c }) => {
          const y = row.apply(a, b);
          const [da, db] = ops.gradient(ops.sum(ops.mul(y, c)), [a, b]);
          return { y, da, db };
        },
        { a: [a.length], b: [b.length], c: [a.length] },
        { engine: engineOf(build) },
      );
      const found = run({ a, b, c: new Float32Array(a.length).fill(c) });
      expect(pairFaults([a, b], found.y, row.value, read(y), row), "values").toEqual([]);
      expect(
        pairFaults([a, b], found.da, (l, r) => row.slopes(l, r, c)[0], read(da), row),
        "slopes by a",
      ).toEqual([]);
      expect(
        pairFaults([a, b], found.db, (l, r) => row.slopes(l, r, c)[1], read(db), row),
        "slopes by b",
      ).toEqual([]);
    });
  }
});

describe("losses by element", () => {
  for (const { loss, x: xs, t: ts, y, dx } of golden.losses) {
    test.each(builds)(`${loss}, %s`, (build) => {
      const row: ExtremeLoss = LOSSES[loss as keyof typeof LOSSES];
      const [x, t] = [read(xs), read(ts)];
      using run = compileFunctionSync(
        ({ x, t }) => {
          const y = row.apply(x, t);
          return { y, dx: ops.gradient(y, x) };
        },
        { x: [1], t: [1] },
        { engine: engineOf(build) },
      );
      const found = x.map((value, i) => run({ x: [value], t: [t[i]] }));
      const values = found.map((one) => one.y[0]);
      const slopes = found.map((one) => one.dx[0]);
      expect(pairFaults([x, t], values, row.value, read(y), row), "values").toEqual([]);
      expect(pairFaults([x, t], slopes, row.slope, read(dx), row), "slopes").toEqual([]);
    });
  }
});

describe("losses by row", () => {
  const losses: Record<string, (x: Tensor, t: Tensor) => Tensor> = {
    softmaxCrossEntropy: ops.softmaxCrossEntropy,
    softmaxCrossEntropyWithDistributions: ops.softmaxCrossEntropyWithDistributions,
  };
  test.each(builds)("%s: float64's, and PyTorch's, but where that multiplies 0 by Infinity", (build) => {
    for (const { loss, x: xs, t: ts, y, dx } of golden.rowLosses) {
      const x = read(xs);
      const where = `${loss} of ${x.map(show)}, ${ts}`;
      const t = (typeof ts === "number" ? x.map((_, i) => Number(i === ts)) : ts).map(Math.fround);
      const target = typeof ts === "number" ? input([1], { dtype: "uint32" }) : input([1, 3]);
      using run = compileFunctionSync(
        ({ x, t }) => {
          const y = losses[loss](x, t);
          return { y, dx: ops.gradient(y, x) };
        },
        { x: [1, 3], t: target },
        { engine: engineOf(build) },
      );
      const found = run({ x, t: typeof ts === "number" ? [ts] : ts });
      // Infinity there: where the difference of two logits is none, their loss may be.
      const isNumber = x.every((value) => value < Number.POSITIVE_INFINITY) && y !== "Infinity";
      const exact = isNumber ? rowCrossEntropy.value(x, t) : Number(y);
      expect(fault(found.y[0], exact, { ulps: 4, absolute: 2 ** -22 }, false), where).toBeUndefined();
      const slopes = y === "NaN" && !isNumber ? read(dx) : rowCrossEntropy.slope(x, t);
      slopes.forEach((slope, i) => {
        expect(fault(found.dx[i], slope, { ulps: 4, absolute: 2 ** -22 }, false), where).toBeUndefined();
      });
      if (y === "NaN") continue;
      expect(fault(Number(y), exact, CLOSE, false), `PyTorch's ${where}`).toBeUndefined();
      expect(read(dx).map((slope, i) => fault(slope, slopes[i], CLOSE, false))).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    }
  });
});

test("a certain logit has no loss where it is right, and an endless one where it is not", () => {
  const ends: readonly (readonly [number, number, number])[] = [
    [Number.POSITIVE_INFINITY, 1, 0],
    [Number.POSITIVE_INFINITY, 0.3, Number.POSITIVE_INFINITY],
    [Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, 0, 0],
    [Number.NEGATIVE_INFINITY, 1e-30, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY],
  ];
  for (const build of builds) {
    using run = compileFunctionSync(
      ({ x, t }) => ({ y: ops.binaryCrossEntropyWithLogits(x, t) }),
      { x: [1], t: [1] },
      { engine: engineOf(build) },
    );
    for (const [x, t, loss] of ends) expect(run({ x: [x], t: [t] }).y[0], `${x}, ${t}`).toBe(loss);
  }
});

describe("statistics by columns, whose variance is a float32", () => {
  test.each(builds)("%s: nothing but numbers comes out of numbers, 0 where the variance is Infinity", (build) => {
    const columns = [
      [1e20, 1, 1, 1],
      [3e38, -3e38, 1, 0],
      [1e-30, 0, 2e-30, 1e-45],
      [0, 0, 0, 0],
      [7, 7, 7, 7],
    ];
    const x = columns[0].flatMap((_, row) => columns.map((column) => column[row]));
    for (const norm of [ops.batchNorm, (x: Tensor) => ops.groupNorm(x, 5), ops.instanceNorm]) {
      using run = compileFunctionSync(
        ({ x }) => {
          const y = norm(ops.reshape(x, [1, 4, 5]));
          return {
            y,
            dx: ops.gradient(
              ops.sum(
                ops.mul(
                  y,
                  constant(
                    row(20, (i) => (i % 3) - 0.75),
                    [1, 4, 5],
                  ),
                ),
              ),
              x,
            ),
          };
        },
        { x: [20] },
        { engine: engineOf(build) },
      );
      const { y, dx } = run({ x });
      expect(Array.from(y).filter((value, i) => !Number.isFinite(value) || (i % 5 < 2 && value !== 0))).toEqual([]);
      expect(dx.some(Number.isNaN)).toBe(false);
    }
  });
});

describe("along an axis", () => {
  const rows: Record<string, readonly number[]> = {
    "of a few ordinary numbers": [1, 2, 4, -3, 0.5],
    "of zeros": [0, 0, 0, 0],
    "of one number four times": row(4, () => 0.1),
    "of tiny numbers": [1e-22, 2e-22, 4e-22],
    "of numbers whose squares are denormals": row(37, (i) => (i - 11) * 1e-21),
    "of denormals": [1e-45, 3e-45, -9e-45, 1e-40],
    "one large, two small": [1e20, 1, 1],
    "of large numbers": row(21, (i) => (i % 5) * 7e18 - 1e19),
    "of the largest numbers": [3e38, -3e38, 1e38, 0],
    "of the largest numbers of one sign": [3e38, 3.2e38, 1e38],
    "of all magnitudes": row(70, (i) => (i % 2 === 0 ? 1 : -1) * 10 ** (i - 35)),
    "of 45 small factors, then 45 large ones": row(90, (i) => (i < 45 ? 0.1 : 10)),
    "of a thousand small factors, then a thousand large ones": row(2000, (i) => (i < 1000 ? 1e-3 : 1e3)),
    "of small factors, a zero, large ones": row(91, (i) => (i === 50 ? 0 : i < 45 ? 0.1 : -10)),
    "of small factors, two zeros, large ones": row(91, (i) => (i % 50 === 3 ? 0 : i < 45 ? 0.1 : 10)),
  };
  // A sum leaves float32, in one order of additions or in all, and so does a length; a factor of 1 / 1e-41 does too. PyTorch's
  // float32 has Infinity there, 0 or NaN.
  const spared: Record<string, readonly string[]> = {
    sum: ["of the largest numbers"],
    mean: ["of the largest numbers", "of the largest numbers of one sign"],
    l2Normalize: ["of the largest numbers", "of the largest numbers of one sign"],
    "layerNorm without epsilon": ["of denormals", "of zeros", "of one number four times"],
    "rmsNorm without epsilon": ["of denormals", "of zeros"],
  };

  /** Each row by itself, along the last axis; and five columns that are alike, along the first. */
  function run(build: Build, { apply }: ExtremeRow, x: readonly number[], dy: readonly number[], across: boolean) {
    const columns = across ? 5 : 1;
    const spread = (values: readonly number[]) => values.flatMap((value) => row(columns, () => value));
    using compiled = compileFunctionSync(
      ({ x, dy }) => {
        const y = apply(across ? ops.transpose(x) : x);
        const seen = across && y.shape.length === 2 ? ops.transpose(y) : y;
        return { y: seen, dx: ops.gradient(ops.sum(ops.mul(ops.reshape(seen, dy.shape), dy)), x) };
      },
      { x: across ? [x.length, columns] : [1, x.length], dy: [dy.length * columns] },
      { engine: engineOf(build) },
    );
    const found = compiled({ x: spread(x), dy: spread(dy) });
    return {
      y: found.y.filter((_, i) => i % columns === columns - 1),
      dx: found.dx.filter((_, i) => i % columns === columns - 1),
    };
  }

  for (const [name, operation] of Object.entries(ROW_OPERATIONS) as [string, ExtremeRow][]) {
    const { value, slope, ulps = 4, slopeScale } = operation;
    test.each(builds)(`${name}, %s`, (build) => {
      const wrong: string[] = [];
      for (const [what, values] of Object.entries(rows)) {
        if (spared[name]?.includes(what)) continue;
        const x = values.map(Math.fround);
        const exact = value(x);
        const dy = exact.map((_, i) => (i % 3) - 0.75);
        const slopes = slope(x, dy);
        const top = (all: readonly number[]) => all.reduce((max, one) => Math.max(max, Math.abs(one)), 0);
        const scale = slopeScale?.(x, dy) ?? top(slopes);
        for (const across of [false, true]) {
          const found = run(build, operation, x, dy, across);
          // A sum's error is one of its terms; that of a denormal mean is a denormal, which is divided by √epsilon.
          const own = name === "sum" || name === "mean" ? 2 ** -22 * top(x) : ulps * 2 ** -24 * top(exact) + 1e-42;
          const bound = { ulps, absolute: own };
          exact.forEach((one, i) => {
            const bad = fault(found.y[i], one, bound, false);
            if (bad !== undefined) wrong.push(`${what}, ${across}: value ${i} ${bad}`);
          });
          slopes.forEach((one, i) => {
            const bad = fault(found.dx[i], one, { ulps: 2 * ulps, absolute: 4 * ulps * 2 ** -24 * scale }, false);
            if (bad !== undefined) wrong.push(`${what}, ${across}: slope ${i} ${bad}`);
          });
        }
      }
      expect(wrong.slice(0, 12)).toEqual([]);
    });
  }
});
