// CTC: PyTorch's values, the ends of the numbers, what is refused. The battery has it in ops.test.ts.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DataError, ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import { type CtcLossOptions, ctcLoss } from "../../src/ops/ctc.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";
import { logSoftmax } from "../../src/ops/softmax.js";
import { engineOf } from "./battery.js";

interface Golden {
  shape: [number, number, number];
  logits: number[];
  targets: number[][];
  inputLengths: number[];
  blank: number;
  zeroInfinity: boolean;
  reduction: "none" | "mean" | "sum";
  upstream: number[];
  losses: (number | string)[];
  gradient: (number | string)[];
  float32Errors: [number, number];
}

const recorded: Golden[] = JSON.parse(readFileSync(new URL("../golden/ctc.json", import.meta.url), "utf8"));

/** Loss and gradient by the logits, for labels that are padded with `padding`. */
function run(
  build: "strict" | "fast",
  logits: ArrayLike<number>,
  shape: readonly number[],
  targets: readonly (readonly number[])[],
  options: Omit<CtcLossOptions, "inputLengths" | "targetLengths"> & {
    padding?: number;
    inputLengths?: readonly number[];
    upstream?: readonly number[];
    asLogarithms?: boolean;
  },
) {
  const { padding, inputLengths, upstream, asLogarithms, ...rest } = options;
  const most = Math.max(0, ...targets.map(({ length }) => length));
  const padded = targets.flatMap((row) => [
    ...row,
    ...new Array(most - row.length).fill(padding ?? options.blank ?? 0),
  ]);
  const lengths = {
    ...(inputLengths && { inputLengths: constant(Uint32Array.from(inputLengths)) }),
    ...(padding !== undefined && { targetLengths: constant(Uint32Array.from(targets, ({ length }) => length)) }),
  };
  using f = compileFunctionSync(
    ({ x }: { x: Tensor }) => {
      const y = constant(Uint32Array.from(padded), [targets.length, most]);
      const loss = ctcLoss(asLogarithms ? logSoftmax(x) : x, y, { ...rest, ...lengths });
      const weighted = upstream ? mul(loss, constant(Float32Array.from(upstream), loss.shape)) : loss;
      return { loss, dx: gradient(sum(weighted), x) };
    },
    { x: input(shape) },
    { engine: engineOf(build) },
  );
  const { loss, dx } = f({ x: Float32Array.from(logits) });
  return { loss: Array.from(loss), dx: Array.from(dx) };
}

function checkNear(
  what: string,
  actual: readonly number[],
  expected: readonly (number | string)[],
  error: number,
): void {
  const wanted = expected.map((value) => Number(value === "inf" ? Number.POSITIVE_INFINITY : value));
  const scale = Math.max(1e-30, ...wanted.filter(Number.isFinite).map(Math.abs));
  expect(actual.length).toBe(wanted.length);
  wanted.forEach((value, i) => {
    if (Number.isFinite(value)) {
      expect(Math.abs(actual[i] - value), `${what} ${i}`).toBeLessThanOrEqual(Math.max(4 * error, 1e-6 * scale));
    } else expect(actual[i], `${what} ${i}`).toBe(value);
  });
}

describe.each(["strict", "fast"] as const)("%s, as PyTorch", (build) => {
  test.each(recorded)("$shape to $targets, $inputLengths steps, blank $blank, $reduction, $zeroInfinity", (golden) => {
    const { shape, logits, targets, losses, gradient: expected, float32Errors, ...options } = golden;
    for (const asLogarithms of [false, true]) {
      const { loss, dx } = run(build, logits, shape, targets, { ...options, asLogarithms });
      checkNear("loss", loss, losses, float32Errors[0]);
      checkNear("gradient", dx, expected, float32Errors[1]);
    }
    // With lengths, whatever stands behind them.
    const padding = (options.blank + 1) % shape[2];
    const plain = run(build, logits, shape, targets, options);
    expect(run(build, logits, shape, targets, { ...options, padding })).toEqual(plain);
  });
});

describe("far from 0", () => {
  const none = { reduction: "none" } as const;

  test("logits that would overflow: a certain path, and one as unlikely as it is", () => {
    const logits = [0, 30_000, -30_000, 30_000, 0, -30_000];
    const positive = (values: number[]) => values.map((value) => value + 0); // no -0
    const certain = run("strict", logits, [1, 2, 3], [[1]], none);
    expect(certain.loss).toEqual([0]);
    expect(positive(certain.dx)).toEqual([0, 0, 0, 0, 0, 0]);
    // The label and then the blank: 60,000 + 0 behind the likeliest. The other order is 90,000 behind, the label twice 120,000.
    const unlikely = run("strict", logits, [1, 2, 3], [[2]], none);
    expect(unlikely.loss).toEqual([60_000]);
    expect(positive(unlikely.dx)).toEqual([0, 1, -1, 0, 0, 0]);
  });

  test("classes of logit -Infinity: not on the path they change nothing, on it there is none", () => {
    const never = Number.NEGATIVE_INFINITY;
    const logits = [1, 0.5, never, 0.25, 1, never];
    const without = run("strict", [1, 0.5, 0.25, 1], [1, 2, 2], [[1]], none);
    const { loss, dx } = run("strict", logits, [1, 2, 3], [[1]], none);
    expect(loss).toEqual(without.loss);
    expect(dx).toEqual([without.dx[0], without.dx[1], 0, without.dx[2], without.dx[3], 0]);
    expect(run("strict", logits, [1, 2, 3], [[2]], none).loss).toEqual([Number.POSITIVE_INFINITY]);
    expect(run("strict", logits, [1, 2, 3], [[2]], { ...none, zeroInfinity: true })).toEqual({
      loss: [0],
      dx: [0, 0, 0, 0, 0, 0],
    });
  });

  test("a NaN among the logits makes its sample's loss NaN, and no other's", () => {
    const logits = [0, 1, Number.NaN, 1, 0, 0, 0, 0];
    const { loss } = run("strict", logits, [2, 2, 2], [[1], [1]], none);
    expect(loss[0]).toBeNaN();
    expect(loss[1]).toBeCloseTo(Math.log(4 / 3), 6);
  });

  test("ten thousand steps lose no digits: -log of (1/2)^T · T(T + 1)/2", () => {
    const time = 10_000;
    const { loss } = run("strict", new Float32Array(2 * time), [1, time, 2], [[1]], none);
    const exact = time * Math.LN2 - Math.log((time * (time + 1)) / 2);
    expect(Math.abs(loss[0] - exact) / exact).toBeLessThan(1e-7);
  });
});

describe("refused", () => {
  const [x, y] = [input([2, 5, 4]), input([2, 3], { dtype: "uint32" })];

  test("what does not fit, with what does", () => {
    const refusal = (f: () => unknown) => {
      try {
        f();
      } catch (error) {
        expect(error).toBeInstanceOf(ModelError);
        return (error as Error).message;
      }
      return "nothing";
    };
    expect([
      refusal(() => ctcLoss(input([5, 4]), y)),
      refusal(() => ctcLoss(x, input([2, 3]))),
      refusal(() => ctcLoss(x, input([3, 3], { dtype: "uint32" }))),
      refusal(() => ctcLoss(x, y, { blank: 4 })),
      refusal(() => ctcLoss(x, y, { inputLengths: input([2]) })),
      refusal(() => ctcLoss(x, y, { targetLengths: input([3], { dtype: "uint32" }) })),
      refusal(() => ctcLoss(input([0, 5, 4]), input([0, 3], { dtype: "uint32" }))),
    ]).toMatchInlineSnapshot(`
      [
        "ctcLoss: logits must be float32 of shape [batch, time, classes], got float32 of shape [5, 4]: reshape() them",
        "ctcLoss: targets must be uint32 of shape [2, labels], got float32 of shape [2, 3]",
        "ctcLoss: targets must be uint32 of shape [2, labels], got uint32 of shape [3, 3]",
        "ctcLoss: blank must be one of the 4 classes of logits [2, 5, 4], got 4",
        "ctcLoss: inputLengths must be uint32 of shape [2], got float32 of shape [2]",
        "ctcLoss: targetLengths must be uint32 of shape [2], got uint32 of shape [3]",
        "ctcLoss: there is no mean of no samples: hand in at least one, or use reduction "sum", which is 0",
      ]
    `);
  });

  test("labels and lengths that are too large, where they are handed in", () => {
    const lengths = (name: string) => input([1], { name, dtype: "uint32" });
    using f = compileFunctionSync(
      ({ labels, inputLengths, targetLengths }: Record<string, Tensor>) => ({
        loss: ctcLoss(constant(new Float32Array(6), [1, 2, 3]), labels, { inputLengths, targetLengths }),
      }),
      {
        labels: input([1, 1], { name: "labels", dtype: "uint32" }),
        inputLengths: lengths("inputLengths"),
        targetLengths: lengths("targetLengths"),
      },
      { engine: engineOf("strict") },
    );
    const good = { labels: [2], inputLengths: [2], targetLengths: [1] };
    expect(Math.abs(f(good).loss[0] - Math.log(3))).toBeLessThan(1e-6);
    for (const [name, value] of [
      ["labels", 3],
      ["inputLengths", 3],
      ["targetLengths", 2],
    ] as const) {
      expect(() => f({ ...good, [name]: [value] })).toThrow(DataError);
    }
  });

  test("a second derivative, by name", () => {
    const first = gradient(ctcLoss(x, y), x);
    expect(() => gradient(sum(first), x)).toThrow(/ctcLossGradient has no derivative/);
  });
});
