// Which parameters are tried, and with what budget. Every strategy is successive halving: most have one round only.
import { ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, type OptionsOf, type RuleTable, readOptions, unchecked } from "../engine/options.js";
import { type RandomNumbers, randomNumbers, shuffle } from "../engine/randomNumbers.js";
import { budgetRule, coordinatesOf, gridOf, gridSize, type ParameterValue, parametersAt, type Space } from "./space.js";

/** How a space is searched, as plain data: make it with `gridSearch`, `randomSearch`, `latinHypercube` … */
export type Strategy =
  | ({ readonly kind: "grid" } & Readonly<Required<GridSearchOptions>>)
  | ({ readonly kind: "random" | "latinHypercube" } & Readonly<Required<RandomSearchOptions>>)
  | ({ readonly kind: "successiveHalving" } & Readonly<Required<SuccessiveHalvingOptions>>)
  | ({ readonly kind: "hyperband" } & Readonly<Required<HyperbandOptions>>);

export interface GridSearchOptions {
  /** How many values of each range, its ends among them. Choices are all tried. Default 3. */
  levels?: number;
  /** What each trial is given as its budget. Default 1. */
  budget?: number;
}

export interface RandomSearchOptions {
  /** How many trials. */
  trials: number;
  /** What each trial is given as its budget. Default 1. */
  budget?: number;
}

export interface SuccessiveHalvingOptions {
  /** How many sets of parameters are tried first. */
  configurations: number;
  /** The budget of the first round. Default 1. */
  minBudget?: number;
  /** No trial gets more. */
  maxBudget: number;
  /** Of how many one goes on to the next round, with a budget that many times as large. Default 3. */
  eta?: number;
}

export interface HyperbandOptions {
  /** The smallest budget that says anything. Default 1. */
  minBudget?: number;
  /** What a trial is given at most. */
  maxBudget: number;
  /** Of how many one goes on to the next round, with a budget that many times as large. Default 3. */
  eta?: number;
}

const MAX_TRIALS = 1_000_000;

const GRID = {
  levels: integer(3, { min: 1, max: MAX_TRIALS }),
  budget: budgetRule(1),
} satisfies OptionsOf<GridSearchOptions>;
const DRAWN = {
  trials: integer(undefined, { min: 1, max: MAX_TRIALS }),
  budget: budgetRule(1),
} satisfies OptionsOf<RandomSearchOptions>;
const HALVING = {
  configurations: integer(undefined, { min: 1, max: MAX_TRIALS }),
  minBudget: budgetRule(1),
  maxBudget: budgetRule(),
  eta: integer(3, { min: 2 }),
} satisfies OptionsOf<SuccessiveHalvingOptions>;
const BANDS = {
  minBudget: budgetRule(1),
  maxBudget: budgetRule(),
  eta: integer(3, { min: 2 }),
} satisfies OptionsOf<HyperbandOptions>;

/** Every combination of some values of each dimension. */
export function gridSearch(options: GridSearchOptions = {}): Strategy {
  return { kind: "grid", ...readOptions("gridSearch", options, GRID) };
}

/** Parameters at random, each dimension by itself. More trials begin with the same ones. */
export function randomSearch(options: RandomSearchOptions): Strategy {
  return { kind: "random", ...readOptions("randomSearch", options, DRAWN) };
}

/**
 * Parameters at random, but spread evenly in each dimension: of n trials, each n-th part of a range has one.
 *
 * @see M. D. McKay, R. J. Beckman, W. J. Conover, "A Comparison of Three Methods for Selecting Values of Input Variables in
 * the Analysis of Output from a Computer Code" (1979)
 */
export function latinHypercube(options: RandomSearchOptions): Strategy {
  return { kind: "latinHypercube", ...readOptions("latinHypercube", options, DRAWN) };
}

/**
 * Many sets of parameters with a small budget; the best of each `eta` go on, with `eta` times the budget, and so on.
 *
 * @throws {ModelError} If an option is wrong, or the budgets are in the wrong order.
 * @see K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016)
 */
export function successiveHalving(options: SuccessiveHalvingOptions): Strategy {
  const read = readOptions("successiveHalving", options, HALVING);
  checkBudgets("successiveHalving", read);
  return { kind: "successiveHalving", ...read };
}

/**
 * Successive halving several times: from many sets of parameters with the smallest budget to few with the largest, since
 * nobody knows how soon a score tells the good from the bad.
 *
 * @throws {ModelError} If an option is wrong, or the budgets are in the wrong order.
 * @see L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar, "Hyperband: A Novel Bandit-Based Approach to
 * Hyperparameter Optimization" (JMLR 2018), algorithm 1
 */
export function hyperband(options: HyperbandOptions): Strategy {
  const read = readOptions("hyperband", options, BANDS);
  checkBudgets("hyperband", read);
  return { kind: "hyperband", ...read };
}

function checkBudgets(where: string, { minBudget, maxBudget }: { minBudget: number; maxBudget: number }): void {
  if (maxBudget >= minBudget) return;
  throw new ModelError(`${where}: maxBudget must be at least minBudget, which is ${minBudget}, got ${maxBudget}`);
}

const kind = unchecked<unknown>();
const TABLES: Record<Strategy["kind"], RuleTable> = {
  grid: { kind, ...GRID },
  random: { kind, ...DRAWN },
  latinHypercube: { kind, ...DRAWN },
  successiveHalving: { kind, ...HALVING },
  hyperband: { kind, ...BANDS },
};

/** Throws ModelError unless it is a strategy. */
export function checkStrategy(where: string, given: unknown): Strategy {
  const strategy = given as Strategy;
  if (kindOf(given) !== "Object" || !Object.keys(TABLES).includes(strategy.kind)) {
    const came = kindOf(given) === "Object" ? `one of kind ${showValue(strategy.kind)}` : showValue(given);
    throw new ModelError(
      `${where}: strategy must be one, got ${came}: make it by randomSearch({ trials: 20 }), gridSearch, latinHypercube, successiveHalving or hyperband`,
    );
  }
  const read = readOptions(`${where}: strategy`, strategy, TABLES[strategy.kind]);
  if ("maxBudget" in read) checkBudgets(`${where}: strategy`, read as { minBudget: number; maxBudget: number });
  return read as Strategy;
}

// ——— What a strategy comes to ———

/** Parameters that are tried, and the seed of all trials of them. */
export interface Configuration {
  readonly parameters: Record<string, ParameterValue>;
  readonly seed: number;
}

export interface Rung {
  readonly count: number;
  readonly budget: number;
}

/** One successive halving: as many configurations as the first rung has; each further rung has the best of the one before. */
export interface Bracket {
  readonly configurations: readonly Configuration[];
  readonly rungs: readonly Rung[];
}

/** All that is tried, whatever the scores: the same for the same seed. */
export function bracketsOf(where: string, space: Space, strategy: Strategy, seed: number): Bracket[] {
  const random = randomNumbers(seed);
  if (strategy.kind === "grid") {
    const size = gridSize(space, strategy.levels);
    if (size > MAX_TRIALS) {
      throw new ModelError(
        `${where}: a grid must have at most ${MAX_TRIALS} trials, got ${size}: take fewer levels, or randomSearch`,
      );
    }
    const points = gridOf(space, strategy.levels);
    const configurations = points.map((parameters) => ({ parameters, seed: random.below(2 ** 32) }));
    return [{ configurations, rungs: [{ count: points.length, budget: strategy.budget }] }];
  }
  if (strategy.kind === "latinHypercube") {
    const configurations = spread(space, strategy.trials, random);
    return [{ configurations, rungs: [{ count: strategy.trials, budget: strategy.budget }] }];
  }
  const rungs = rungsOf(strategy);
  const total = rungs.reduce((sum, [{ count }]) => sum + count, 0);
  if (total > MAX_TRIALS) {
    throw new ModelError(
      `${where}: a search must have at most ${MAX_TRIALS} sets of parameters, got ${total}: take a smaller maxBudget`,
    );
  }
  return rungs.map((rungs) => ({ configurations: draw(space, rungs[0].count, random), rungs }));
}

function rungsOf(strategy: Exclude<Strategy, { kind: "grid" }>): Rung[][] {
  if (strategy.kind === "successiveHalving") {
    const { configurations, minBudget, maxBudget, eta } = strategy;
    // The last ones may have none.
    const rungs = Array.from({ length: halvingsWithin(minBudget, maxBudget, eta) + 1 }, (_, i) => ({
      count: Math.floor(configurations / eta ** i),
      budget: Math.min(maxBudget, minBudget * eta ** i),
    }));
    return [rungs];
  }
  if (strategy.kind === "hyperband") return hyperbandRungs(strategy);
  return [[{ count: strategy.trials, budget: strategy.budget }]];
}

/** The rungs of each bracket, the one with most configurations first. */
function hyperbandRungs({ minBudget, maxBudget, eta }: Readonly<Required<HyperbandOptions>>): Rung[][] {
  const most = halvingsWithin(minBudget, maxBudget, eta);
  return Array.from({ length: most + 1 }, (_, bracket) => {
    const last = most - bracket;
    const configurations = Math.ceil(((most + 1) * eta ** last) / (last + 1));
    return Array.from({ length: last + 1 }, (_, i) => ({
      count: Math.floor(configurations / eta ** i),
      budget: maxBudget / eta ** (last - i),
    }));
  });
}

/** How often a budget can be multiplied. Counted, as a quotient of logarithms may fall just short of a whole number. */
function halvingsWithin(minBudget: number, maxBudget: number, eta: number): number {
  let count = 0;
  while (minBudget * eta ** (count + 1) <= maxBudget * (1 + 1e-12)) count += 1;
  return count;
}

function draw(space: Space, count: number, random: RandomNumbers): Configuration[] {
  const coordinates = coordinatesOf(space);
  return Array.from({ length: count }, () => {
    const seed = random.below(2 ** 32);
    const point = Array.from({ length: coordinates }, () => random.uniform());
    return { parameters: parametersAt(space, point), seed };
  });
}

function spread(space: Space, count: number, random: RandomNumbers): Configuration[] {
  const columns = Array.from({ length: coordinatesOf(space) }, () => {
    const strata = shuffle(
      Uint32Array.from({ length: count }, (_, i) => i),
      random,
    );
    // In the middle of 2^-32 of a stratum, so that rounding cannot reach the next one.
    return Array.from(strata, (stratum) => (stratum + (random.below(2 ** 32) + 0.5) / 2 ** 32) / count);
  });
  return Array.from({ length: count }, (_, i) => {
    const point = columns.map((column) => column[i]);
    return { parameters: parametersAt(space, point), seed: random.below(2 ** 32) };
  });
}
