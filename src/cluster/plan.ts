// What a run is: with the job's file, all that its bits depend on.
import { ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { choice, flag, integer, number, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import type { OuterOptimizer } from "./merge.js";

export interface PlanOptions {
  /** How many parts the data have, whoever trains on them. From 1 to 4096. */
  shards: number;
  /**
   * `"local"`: in a round, each shard trains `localSteps` steps with its own optimizer; the outer optimizer merges them. `"synchronous"`:
   * a round is one step along the mean of the shards' gradients. Default `"local"`.
   */
  scheme?: "local" | "synchronous";
  /** Steps of a shard in a round of `"local"`. Default 16. */
  localSteps?: number;
  /** Samples of a shard's batch; a step of a shard is one batch, or `accumulate` batches of the job. Default 32. */
  batchSize?: number;
  /** Whether each pass over a shard in arrays gets a new order. Default true. */
  shuffle?: boolean;
  /** Seed of everything random. A whole number from 0 to 2³² - 1. Default 0. */
  seed?: number;
  /**
   * Of `"local"`: DiLoCo's step along the mean difference. Default { learningRate: 0.7, momentum: 0.9 }; { learningRate: 1, momentum: 0 }
   * is local SGD, the mean of the shards' parameters.
   */
  outer?: Partial<OuterOptimizer>;
  /** What shards send: `"float32"`, or differences in `"bfloat16"` with error feedback, in half the bytes. Default `"float32"`. */
  transfer?: "float32" | "bfloat16";
}

/** Everything that decides about bits. It is plain data. */
export interface Plan {
  readonly shards: number;
  readonly scheme: "local" | "synchronous";
  readonly localSteps: number;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly outer: OuterOptimizer;
  readonly transfer: "float32" | "bfloat16";
}

const OUTER = {
  learningRate: number(0.7, { min: 0 }),
  momentum(where, name, value = 0.9) {
    if (typeof value === "number" && value >= 0 && value < 1) return value;
    throw new ModelError(`${where}: ${name} must be a number from 0 to below 1, got ${showValue(value)}`);
  },
} satisfies OptionsOf<OuterOptimizer>;

export const MOST_SHARDS = 4096;

export const PLAN = {
  shards: integer(undefined, { min: 1, max: MOST_SHARDS }),
  scheme: choice("local", ["local", "synchronous"]),
  localSteps: integer(16, { min: 1 }),
  batchSize: integer(32, { min: 1 }),
  shuffle: flag(true),
  seed: integer(0, { min: 0, max: 2 ** 32 - 1 }),
  outer: (where, name, value = {}) => {
    if (kindOf(value) === "Object") return readOptions(`${where}: ${name}`, value as object, OUTER);
    throw new ModelError(
      `${where}: ${name} must be an object such as { learningRate: 0.7, momentum: 0.9 }, got ${showValue(value)}`,
    );
  },
  transfer: choice("float32", ["float32", "bfloat16"]),
} satisfies OptionsOf<PlanOptions>;

/** Options as a plan. What the scheme has no use for has one form, so that equal trainings have equal plans. */
export function planOf(where: string, options: PlanOptions): Plan {
  const { shards, scheme, localSteps, batchSize, shuffle, seed, outer, transfer } = readOptions(where, options, PLAN);
  if (scheme === "local") return { shards, scheme, localSteps, batchSize, shuffle, seed, outer, transfer };
  for (const name of ["localSteps", "outer"] as const) {
    if (options[name] === undefined) continue;
    throw new ModelError(
      `${where}: ${name} must be left out, as a round of "synchronous" is one step, got ${showValue(options[name])}: leave it out, or take scheme "local"`,
    );
  }
  return { shards, scheme, localSteps: 1, batchSize, shuffle, seed, outer: { learningRate: 1, momentum: 0 }, transfer };
}

/** Reads the plan that a store has: a stranger's text. */
export function readPlan(where: string, plan: unknown): Plan {
  if (kindOf(plan) !== "Object") throw new ModelError(`${where}: a plan must be an object, got ${showValue(plan)}`);
  const { localSteps, outer, ...rest } = plan as Plan;
  return planOf(where, rest.scheme === "synchronous" ? rest : { ...rest, localSteps, outer });
}

/** The seed of a shard: that of the run for the first, and others with the same lower half. */
export function seedOfShard({ seed }: Plan, shard: number): number {
  return seed + shard * 2 ** 32;
}

const RUN = /^(?=.{1,64}$)[A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?$/;

export function isRunName(value: unknown): value is string {
  return typeof value === "string" && RUN.test(value);
}

/** The rule for the name of a run, which is part of the names in a store. */
export const runName: OptionRule<string> = (where, name, value) => {
  if (isRunName(value)) return value;
  throw new ModelError(
    `${where}: ${name} must be of letters, digits, "_" and "-", at most 64, with a letter or digit first and last, got ${showValue(value)}: call it "digits"`,
  );
};
