// The score of a model on data that it did not see, each sample once.
import { type KFoldOptions, kFold } from "../data/folds.js";
import { countOf, type SampleSet, type TakeOptions, take } from "../data/samples.js";
import { checkFunction, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, optional } from "../engine/options.js";
import { randomNumbers } from "../engine/randomNumbers.js";

export interface CrossValidateOptions extends KFoldOptions, TakeOptions {}

const COUNT = optional(integer(undefined, { min: 1 }));

/** What the function is given for each fold. */
export interface FoldInput<Set> {
  readonly training: Set;
  readonly validation: Set;
  /** From 0. */
  readonly fold: number;
  /** Another one for each fold. */
  readonly seed: number;
}

export interface CrossValidation {
  readonly mean: number;
  /** Of the scores around their mean, divided by the number of folds, as `scores.std()` of NumPy. */
  readonly standardDeviation: number;
  /** By fold. */
  readonly scores: readonly number[];
}

/**
 * Trains and validates once for each fold, one after another.
 *
 * @param samples { x, y, weights }, as `take` has them.
 * @param options Those of `kFold`, and `count` for flat arrays.
 * @param run Trains on `training`, and gives a score on `validation`.
 * @throws {DataError} If there are too few samples for the folds; {ModelError} for wrong options, or if a score is no number.
 * @example
 * const data = { x: [[1], [2], [3], [4]], y: [2, 4, 6, 8] };
 * const { mean } = await crossValidate(data, { folds: 2 }, async ({ training, validation }) => {
 *   const slope = training.y[0] / training.x[0][0];
 *   return Math.abs(validation.y[0] - slope * validation.x[0][0]);
 * });
 */
export async function crossValidate<Set extends SampleSet>(
  samples: Set,
  options: CrossValidateOptions,
  run: (fold: FoldInput<Set>) => number | Promise<number>,
): Promise<CrossValidation> {
  if (kindOf(options) !== "Object") {
    throw new ModelError(`crossValidate: options must be an object such as { folds: 5 }, got ${showValue(options)}`);
  }
  checkFunction("crossValidate", "run", run);
  const { count: given, ...rest } = options;
  const count = COUNT("crossValidate", "count", given);
  const total = countOf("crossValidate", samples, count ?? (rest.stratify ?? rest.groups)?.length);
  const folds = kFold(total, rest);
  const random = randomNumbers(rest.seed ?? 0);
  const scores: number[] = [];
  for (const [fold, { training, validation }] of folds.entries()) {
    const part = (indices: Uint32Array): Set => take(samples, indices, { count: total });
    const input = { training: part(training), validation: part(validation), fold, seed: random.below(2 ** 32) };
    const score: unknown = await run(input);
    if (typeof score !== "number") {
      throw new ModelError(`crossValidate: the score of fold ${fold} must be a number, got ${showValue(score)}`);
    }
    scores.push(score);
  }
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
  return { mean, standardDeviation: Math.sqrt(variance), scores };
}
