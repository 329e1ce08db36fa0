// What a strategy tries: coverage of the space, and the brackets of the paper.
import {
  choices,
  gridSearch,
  hyperband,
  integers,
  latinHypercube,
  logUniform,
  randomSearch,
  type Strategy,
  search,
  successiveHalving,
  uniform,
  variants,
} from "steepest/search";
import { describe, expect, expectTypeOf, test } from "vitest";

const space = {
  rate: logUniform(1e-4, 1),
  width: uniform(-2, 3),
  units: integers(1, 10),
  activation: choices(["relu", "tanh", "gelu"]),
  optimizer: variants({
    sgd: { momentum: uniform(0, 0.9), nesterov: choices([true, false]) },
    adam: { beta: uniform(0.8, 0.999) },
  }),
};

/** The first trial of seed 0, recorded: a change would make old journals useless. */
const RECORDED = {
  parameters: {
    rate: 0.00016405677211157085,
    width: -0.4265935417623723,
    units: 1,
    activation: "gelu",
    optimizer: { kind: "adam", beta: 0.8082994320291129 },
  },
  seed: 2399593580,
  budget: 1,
};

const trialsOf = async (strategy: Strategy, seed = 0) =>
  (await search(space, () => 1, { strategy, seed })).trials.map(({ parameters, seed, budget }) => ({
    parameters,
    seed,
    budget,
  }));

test("the types of the parameters follow from the space", () => {
  void search(
    space,
    ({ parameters }) => {
      expectTypeOf(parameters.rate).toEqualTypeOf<number>();
      expectTypeOf(parameters.activation).toEqualTypeOf<"relu" | "tanh" | "gelu">();
      if (parameters.optimizer.kind === "sgd") expectTypeOf(parameters.optimizer.nesterov).toEqualTypeOf<boolean>();
      else expectTypeOf(parameters.optimizer.beta).toEqualTypeOf<number>();
      // @ts-expect-error there is no such parameter
      return parameters.nosuch;
    },
    { strategy: randomSearch({ trials: 1 }) },
  ).catch(() => {});
});

describe("random", () => {
  test("quantiles: the logarithm is uniform, numbers are, and each choice is as likely", async () => {
    const drawn = (await trialsOf(randomSearch({ trials: 4000 }), 5)).map(({ parameters }) => parameters);
    // Kolmogorov-Smirnov: 1.95 / √4000 is exceeded once in a thousand.
    const farthest = (values: number[]) =>
      Math.max(...values.sort((a, b) => a - b).map((value, i) => Math.abs(value - (i + 0.5) / values.length)));
    expect(farthest(drawn.map(({ rate }) => 1 + Math.log10(rate) / 4))).toBeLessThan(0.031);
    expect(farthest(drawn.map(({ width }) => (width + 2) / 5))).toBeLessThan(0.031);
    const counts = (values: readonly unknown[]) =>
      [...new Set(values)].map((one) => values.filter((value) => value === one).length);
    for (const [values, kinds] of [
      [drawn.map(({ units }) => units), 10],
      [drawn.map(({ activation }) => activation), 3],
      [drawn.map(({ optimizer }) => optimizer.kind), 2],
    ] as const) {
      const found = counts(values);
      expect(found).toHaveLength(kinds);
      // Four standard deviations.
      for (const count of found) expect(Math.abs(count - 4000 / kinds)).toBeLessThan(4 * Math.sqrt(4000 / kinds));
    }
  });

  test("recorded trials, the same in every engine; more trials begin with the same; other seeds differ", async () => {
    const [few, many, other] = [
      await trialsOf(randomSearch({ trials: 3 })),
      await trialsOf(randomSearch({ trials: 9 })),
      await trialsOf(randomSearch({ trials: 3 }), 1),
    ];
    expect(many.slice(0, 3)).toEqual(few);
    expect(few[0]).toEqual(RECORDED);
    expect(other[0].parameters.rate).not.toBe(few[0].parameters.rate);
    expect(new Set(many.map(({ seed }) => seed)).size).toBe(9);
  });
});

test("what is drawn is within its range, whatever its logarithm rounds to", async () => {
  const [min, max] = [0.3, 0.3 + 2 ** -53];
  const narrow = { a: logUniform(min, max), b: logUniform(7, 7 + 2 ** -50) };
  const { trials } = await search(narrow, () => 1, { strategy: randomSearch({ trials: 50 }) });
  expect(trials.filter(({ parameters: { a, b } }) => a < min || a > max || b < 7 || b > 7 + 2 ** -50)).toEqual([]);
});

test("a Latin hypercube has one sample in each stratum of each dimension", async () => {
  for (const [count, seed] of [
    [1, 0],
    [2, 1],
    [17, 2],
    [100, 3],
    [1000, 4],
  ]) {
    const drawn = (
      await search(
        { a: uniform(0, 1), b: logUniform(1e-3, 1e3), c: integers(0, count - 1 || 1), d: uniform(-5, 5) },
        () => 1,
        { strategy: latinHypercube({ trials: count }), seed },
      )
    ).trials;
    const strata = (of: (p: (typeof drawn)[number]["parameters"]) => number) =>
      new Set(drawn.map(({ parameters }) => Math.floor(of(parameters) * count))).size;
    expect(strata(({ a }) => a)).toBe(count);
    expect(strata(({ b }) => (Math.log10(b) + 3) / 6)).toBe(count);
    expect(strata(({ d }) => (d + 5) / 10)).toBe(count);
    if (count > 1) expect(new Set(drawn.map(({ parameters }) => parameters.c)).size).toBe(count);
    if (count < 1000) continue;
    // Within its stratum a sample is anywhere: 1.95 / √1000 is exceeded once in a thousand.
    const within = drawn.map(({ parameters }) => (parameters.a * count) % 1).sort((a, b) => a - b);
    expect(Math.max(...within.map((value, i) => Math.abs(value - (i + 0.5) / count)))).toBeLessThan(0.062);
  }
});

describe("grid", () => {
  test("every combination once, ends and all choices among them", async () => {
    const { trials } = await search(space, () => 1, { strategy: gridSearch({ levels: 3, budget: 2 }) });
    // 3 · 3 · 3 · 3 · (3 · 2 + 3)
    expect(trials).toHaveLength(729);
    expect(new Set(trials.map(({ parameters }) => JSON.stringify(parameters))).size).toBe(729);
    const values = (of: (p: (typeof trials)[number]["parameters"]) => number) => [
      ...new Set(trials.map(({ parameters }) => of(parameters))),
    ];
    expect(values(({ width }) => width)).toEqual([-2, 0.5, 3]);
    expect(values(({ units }) => units)).toEqual([1, 6, 10]);
    const rates = values(({ rate }) => rate);
    expect([rates[0], rates[2]]).toEqual([1e-4, 1]);
    expect(rates[1]).toBeCloseTo(1e-2, 12);
    expect(trials[0].budget).toBe(2);
  });

  test("each set of parameters has a seed of its own, which the search's decides", async () => {
    const seeds = async (seed: number) =>
      (await search({ a: uniform(0, 1) }, () => 1, { strategy: gridSearch(), seed })).trials.map((trial) => trial.seed);
    expect(new Set([...(await seeds(1)), ...(await seeds(2))]).size).toBe(6);
    expect(await seeds(1)).toEqual(await seeds(1));
  });

  test("the ends of a range are met exactly, whatever its logarithm rounds to", async () => {
    for (const [min, max] of [
      [1e-5, 0.07],
      [0.003, 0.7],
      [0.1, 0.3],
      [7, 1e4],
      [1e-7, 3e-3],
    ]) {
      const ranges = { a: logUniform(min, max), b: uniform(-min, max) };
      const { trials } = await search(ranges, () => 1, { strategy: gridSearch({ levels: 2 }) });
      expect([trials[0], trials[3]].map(({ parameters: { a, b } }) => [a, b])).toEqual([
        [min, -min],
        [max, max],
      ]);
    }
  });

  test("more levels than whole numbers are no more trials", async () => {
    const strategy = gridSearch({ levels: 100_000 });
    expect((await search({ a: integers(0, 2), b: integers(5, 6) }, () => 1, { strategy })).trials).toHaveLength(6);
  });

  test("one level is the middle; a range of whole numbers has no value twice", async () => {
    const grid = async (levels: number) =>
      (await search({ a: uniform(0, 1), b: integers(1, 3) }, () => 1, { strategy: gridSearch({ levels }) })).trials.map(
        ({ parameters }) => [parameters.a, parameters.b],
      );
    expect(await grid(1)).toEqual([[0.5, 1]]);
    expect((await grid(4)).map(([, b]) => b)).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });

  test("too many are refused before they are made", async () => {
    await expect(search(space, () => 1, { strategy: gridSearch({ levels: 1000 }) })).rejects.toThrow(
      /at most 1000000 trials, got/,
    );
  });
});

/** Trials by bracket and budget. */
const rungsOf = async (strategy: Strategy) => {
  const { trials } = await search({ x: uniform(0, 1) }, ({ parameters }) => parameters.x, { strategy });
  const brackets: [number, number][][] = [];
  for (const { bracket, budget } of trials) {
    brackets[bracket] ??= [];
    const last = brackets[bracket].at(-1);
    if (last?.[1] === budget) last[0] += 1;
    else brackets[bracket].push([1, budget]);
  }
  return { brackets, trials };
};

describe("Hyperband", () => {
  test("brackets of R = 81, eta = 3: table 1 of Li et al. 2018", async () => {
    const { brackets } = await rungsOf(hyperband({ maxBudget: 81 }));
    expect(brackets).toEqual([
      [
        [81, 1],
        [27, 3],
        [9, 9],
        [3, 27],
        [1, 81],
      ],
      [
        [34, 3],
        [11, 9],
        [3, 27],
        [1, 81],
      ],
      [
        [15, 9],
        [5, 27],
        [1, 81],
      ],
      [
        [8, 27],
        [2, 81],
      ],
      [[5, 81]],
    ]);
  });

  test("a power of eta is reached whatever rounding does; budgets need not be whole", async () => {
    expect((await rungsOf(hyperband({ maxBudget: 243 }))).brackets).toHaveLength(6);
    expect(
      (await rungsOf(hyperband({ minBudget: 0.1, maxBudget: 0.9 }))).brackets.map((rungs) => rungs.at(-1)?.[1]),
    ).toEqual([0.9, 0.9, 0.9]);
    expect((await rungsOf(hyperband({ minBudget: 2, maxBudget: 5, eta: 4 }))).brackets).toEqual([[[1, 5]]]);
    // 3 · 0.1 is more than 0.3 in float64: no trial gets more than it may.
    const { trials } = await rungsOf(successiveHalving({ configurations: 3, minBudget: 0.1, maxBudget: 0.3 }));
    expect(trials.map(({ budget }) => budget)).toEqual([0.1, 0.1, 0.1, 0.3]);
    const { brackets } = await rungsOf(successiveHalving({ configurations: 4, minBudget: 2, maxBudget: 2 }));
    expect(brackets).toEqual([[[4, 2]]]);
  });

  test("the best of a rung go on, in their order, with their parameters and seeds", async () => {
    const { trials } = await rungsOf(successiveHalving({ configurations: 20, minBudget: 2, maxBudget: 20 }));
    const rungs = [2, 6, 18].map((budget) => trials.filter((trial) => trial.budget === budget));
    expect(rungs.map(({ length }) => length)).toEqual([20, 6, 2]);
    const sorted = [...rungs[0]].sort((a, b) => a.parameters.x - b.parameters.x);
    for (const rung of rungs.slice(1)) {
      rung.forEach((trial, i) => {
        const { configuration, parameters, seed } = sorted[i];
        expect(trial).toMatchObject({ configuration, parameters, seed });
      });
    }
  });

  test("sets of parameters are numbered through all brackets, each keeps its number on every rung", async () => {
    const { trials } = await rungsOf(hyperband({ maxBudget: 9 }));
    const byNumber = new Map(trials.map(({ configuration, parameters }) => [configuration, parameters.x]));
    expect([...byNumber.keys()].sort((a, b) => a - b)).toEqual([...Array(9 + 5 + 3).keys()]);
    expect(new Set(byNumber.values()).size).toBe(17);
    for (const { configuration, parameters } of trials) expect(parameters.x).toBe(byNumber.get(configuration));
  });

  test("fewer than eta are not halved, and more than a million sets of parameters are refused", async () => {
    const { trials } = await rungsOf(successiveHalving({ configurations: 2, maxBudget: 81 }));
    expect(trials.map(({ budget }) => budget)).toEqual([1, 1]);
    await expect(rungsOf(hyperband({ maxBudget: 3 ** 13 }))).rejects.toThrow(
      /a search must have at most 1000000 sets of parameters, got \d+: take a smaller maxBudget/,
    );
  });

  test("what failed does not go on; the rungs above have fewer then", async () => {
    const { trials } = await search(
      { x: uniform(0, 1) },
      ({ number, budget }) => (budget === 1 && number !== 4 ? Number.NaN : 0.5),
      {
        strategy: successiveHalving({ configurations: 9, maxBudget: 9 }),
      },
    );
    expect(trials.map(({ number, score }) => [number, score])).toEqual([
      ...[0, 1, 2, 3].map((number) => [number, undefined]),
      [4, 0.5],
      ...[5, 6, 7, 8].map((number) => [number, undefined]),
      [9, 0.5],
      [12, 0.5],
    ]);
  });
});

test.each([
  [() => uniform(2, 1), "max must be above min, got 2 and 1"],
  [() => logUniform(3, 3), "max must be above min, got 3 and 3"],
  [() => logUniform(0, 1), "min must be above 0, as it has a logarithm, got 0: take uniform"],
  [() => integers(0, 2 ** 32), "must have at most 2^32 whole numbers, got 0 to 4294967296"],
  [() => integers(5, 4), "max must be above min, got 5 and 4"],
  [() => variants({}), "must have a space for each variant, got {}"],
  [() => variants({ sgd: { kind: uniform(0, 1) } }), '"sgd": no dimension may be named "kind", got one'],
  [() => variants(5 as never), "must have a space for each variant, got 5"],
  [() => randomSearch({ trials: 1, budget: 0 }), "budget must be above 0, got 0"],
  [() => hyperband({ maxBudget: 0 }), "maxBudget must be above 0, got 0"],
])("ranges, variants and budgets that make no trial are refused: case %#", (make, message) => {
  expect(make).toThrowError(expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }));
});
