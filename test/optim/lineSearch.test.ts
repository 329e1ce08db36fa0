// The decisions of L-BFGS and its line search, one by one: what it asks next follows from the answers, which need not be a function's.
import { expect, test } from "vitest";
import { type Evaluation, type LbfgsPlan, type LbfgsResult, lbfgs } from "../../src/optim/lbfgs.js";

const PLAN: LbfgsPlan = {
  iterations: 1,
  maxEvaluations: 100,
  learningRate: 1,
  historySize: 5,
  gradientTolerance: 0,
  changeTolerance: 1e-9,
};

const at = (value: number, slope: number): Evaluation => ({ value, gradient: Float64Array.of(slope) });

/** The points along the only axis that are asked for from 0 on, and how it ends if the answers are enough. */
function asked(answers: readonly Evaluation[], plan: Partial<LbfgsPlan> = {}, start = 0) {
  const asking = lbfgs(Float64Array.of(start), { ...PLAN, ...plan });
  const points: number[] = [];
  let next = asking.next();
  for (const answer of answers) {
    if (next.done) break;
    points.push(next.value[0]);
    next = asking.next(answer);
  }
  if (!next.done) points.push(next.value[0]);
  return { points, result: next.done ? next.value : undefined };
}

const ended = (answers: readonly Evaluation[], plan: Partial<LbfgsPlan> = {}): LbfgsResult => {
  const { result } = asked(answers, plan);
  if (result === undefined) throw new Error("it asks for more");
  return result;
};

test("a step must lower the value by a ten-thousandth of what the slope promises", () => {
  const start = at(0, -1);
  expect(ended([start, at(-1.1e-4, 0.1)])).toMatchObject({ x: Float64Array.of(1), evaluations: 2 });
  expect(asked([start, at(-0.9e-4, 0.1)]).points).toHaveLength(3);
});

test("a slope of nine tenths is flat enough", () => {
  const start = at(0, -1);
  expect(ended([start, at(-0.5, -0.89)]).x).toEqual(Float64Array.of(1));
  expect(ended([start, at(-0.5, 0.89)]).x).toEqual(Float64Array.of(1));
  expect(asked([start, at(-0.5, 0.91)]).points[2]).toBeLessThan(1);
  expect(asked([start, at(-0.5, -0.91)]).points[2]).toBeGreaterThan(1);
});

test("the second point may be higher than the first, as in PyTorch; the third may not be higher than the second", () => {
  const falling = [at(0, -1), at(-0.5, -0.95)];
  const { points, result } = asked([...falling, at(-0.4, 0.1)]);
  expect(result).toMatchObject({ x: Float64Array.of(points[2]), evaluations: 3 });
  const third = asked([...falling, at(-3, -0.95), at(-2.9, 0.1)]).points;
  expect(third).toHaveLength(5);
  expect(third[4]).toBeGreaterThan(third[2]);
  expect(third[4]).toBeLessThan(third[3]);
});

test("where the function is infinite, the middle is next", () => {
  expect(asked([at(0, -1), at(Number.POSITIVE_INFINITY, 5)]).points).toEqual([0, 1, 0.5]);
  expect(asked([at(0, -1), at(Number.NaN, Number.NaN)]).points).toEqual([0, 1, 0.5]);
});

test("it ends when the value stands, and when the point does", () => {
  const plan = { iterations: 9, changeTolerance: 1e-3 };
  expect(ended([at(0, -1), at(-5e-4, 0.1)], plan)).toMatchObject({ reason: "change", iterations: 1 });
  // A short step, far down.
  const short = { ...plan, learningRate: 1e-4 };
  expect(ended([at(0, -1000), at(-0.05, 1)], short)).toMatchObject({ reason: "change", iterations: 1 });
  expect(asked([at(0, -1), at(-2e-3, 0.1)], plan).result).toBeUndefined();
});

test("it ends when as many evaluations were made as it may make", () => {
  const answers = [at(0, -1), at(-0.5, 0.1)];
  expect(ended(answers, { iterations: 9, maxEvaluations: 2 })).toMatchObject({ reason: "evaluations", evaluations: 2 });
  expect(asked(answers, { iterations: 9, maxEvaluations: 3 }).result).toBeUndefined();
});

test("a curvature of 1e-10 or less is not learned from: the next direction is the gradient's", () => {
  const plan = { iterations: 9, changeTolerance: 0 };
  // A step of 1e-5, on which the slope halves.
  const little = asked([at(0, -1e-5), at(-1e-10, -0.5e-5)], plan).points;
  expect(little[2] - little[1]).toBeCloseTo(0.5e-5, 12);
  const more = asked([at(0, -1), at(-0.5, -0.5)], plan).points;
  expect(more[2] - more[1]).toBeCloseTo(1, 12);
});
