// Cross-validation: the folds are those of kFold, which test/data/folds.test.ts holds to scikit-learn's.
import { kFold } from "steepest/data";
import { crossValidate, randomSearch, search, uniform } from "steepest/search";
import { expect, test } from "vitest";

const data = {
  x: Array.from({ length: 12 }, (_, i) => [i, 2 * i]),
  y: Uint8Array.from({ length: 12 }, (_, i) => Number(i % 3 === 0)),
  weights: Float32Array.from({ length: 12 }, (_, i) => i),
};

test.each([
  { folds: 4, seed: 2 },
  { folds: 3, stratify: data.y },
  { folds: 3, groups: data.x.map(([i]) => i % 4) },
  { shuffle: false },
])("samples of each fold: %j", async (options) => {
  const folds = kFold(12, options);
  const seen: unknown[] = [];
  const seeds = new Set<number>();
  await crossValidate(data, options, ({ training, validation, fold, seed }) => {
    seen.push({ training: [...training.weights], validation: [...validation.weights] });
    expect(training.x.map(([i]) => i)).toEqual([...training.weights]);
    expect([...validation.y]).toEqual([...validation.weights].map((i) => Number(i % 3 === 0)));
    expect(fold).toBe(seen.length - 1);
    seeds.add(seed);
    return 0;
  });
  expect(seen).toEqual(
    folds.map(({ training, validation }) => ({ training: [...training], validation: [...validation] })),
  );
  expect(seeds.size).toBe(folds.length);
});

test("the seed decides those of the folds", async () => {
  const seeds = async (seed?: number) => {
    const all: number[] = [];
    await crossValidate(data, { folds: 3, shuffle: false, ...(seed === undefined ? {} : { seed }) }, (fold) =>
      all.push(fold.seed),
    );
    return all;
  };
  expect(await seeds(1)).toEqual(await seeds(1));
  expect(new Set([...(await seeds()), ...(await seeds(1)), ...(await seeds(2))]).size).toBe(9);
  expect(await seeds()).toEqual(await seeds(0));
});

test("flat arrays are as many as there are labels or groups", async () => {
  const flat = { x: new Float32Array(12), y: new Float32Array(6) };
  for (const options of [{ stratify: [0, 0, 0, 1, 1, 1] }, { groups: [0, 0, 1, 1, 2, 2] }]) {
    const sizes: number[] = [];
    await crossValidate(flat, { folds: 3, ...options }, ({ training }) => sizes.push(training.x.length));
    expect(sizes).toEqual([8, 8, 8]);
  }
});

test("mean and standard deviation, as numpy.mean and numpy.std of 1, 2, 4, 9", async () => {
  const result = await crossValidate(data, { folds: 4 }, async ({ fold }) => [1, 2, 4, 9][fold]);
  expect(result.scores).toEqual([1, 2, 4, 9]);
  expect(result.mean).toBe(4);
  expect(result.standardDeviation).toBeCloseTo(3.0822070014844885, 14);
});

test("flat arrays need a count; a fold's error is the caller's", async () => {
  const flat = { x: new Float32Array(12), y: new Float32Array(6) };
  await expect(crossValidate(flat, { folds: 2 }, () => 1)).rejects.toThrow(/crossValidate: count must say how many/);
  const sizes: number[] = [];
  await crossValidate(flat, { folds: 2, count: 6 }, ({ training }) => sizes.push(training.x.length));
  expect(sizes).toEqual([6, 6]);
  const fault = crossValidate(data, {}, () => Promise.reject(new RangeError("mine")));
  await expect(fault).rejects.toThrow(RangeError);
  await expect(crossValidate(data, {}, () => "1" as never)).rejects.toThrow(
    /score of fold 0 must be a number, got "1"/,
  );
});

test("the score of a fold that diverged is told, and the mean is none either", async () => {
  const result = await crossValidate(data, { folds: 3 }, ({ fold }) => (fold === 1 ? Number.NaN : fold));
  expect(result).toEqual({ mean: Number.NaN, standardDeviation: Number.NaN, scores: [0, Number.NaN, 2] });
});

test("within a search: a fold without a score makes a trial that failed", async () => {
  const { trials, best } = await search(
    { x: uniform(0, 1) },
    async ({ parameters, number, seed }) =>
      (
        await crossValidate(data, { seed }, ({ fold }) =>
          number === 1 && fold === 2 ? Number.NaN : parameters.x + fold,
        )
      ).mean,
    { strategy: randomSearch({ trials: 3 }) },
  );
  expect(trials[1].score).toBeUndefined();
  expect(best.score).toBeCloseTo(best.parameters.x + 2, 12);
});
