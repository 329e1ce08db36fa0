import { DataError, showValue } from "../engine/errors.js";
import { integer, number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { exp } from "../engine/portableMath.js";
import { type RandomNumbers, randomNumbers } from "../engine/randomNumbers.js";

export interface TokenSamplerOptions {
  /** Logits are divided by it: below 1 the likely tokens become likelier. 0 always takes the likeliest. Default 1. */
  temperature?: number;
  /** Only so many of the likeliest tokens are drawn from. Default: all. */
  topK?: number | undefined;
  /** Only the likeliest tokens are drawn from, as many as together have this probability. Default 1: all. */
  topP?: number;
  /** Of the random numbers. Default 0. */
  seed?: number;
}

const OPTIONS = {
  temperature: number(1, { min: 0 }),
  topK: optional(integer(undefined, { min: 1 })),
  topP: number(1, { min: 0, max: 1 }),
  seed: integer(0, { min: 0 }),
} satisfies OptionsOf<TokenSamplerOptions>;

/** Draws the id of a token from logits, one for each id; `-Infinity` forbids one. */
export type TokenSampler = (logits: ArrayLike<number>) => number;

/**
 * A function that draws tokens from logits. It has its own random numbers: the same seed and the same logits give the same
 * tokens in every engine. Temperature comes first, then `topK`, then `topP` (nucleus sampling: A. Holtzman et al., "The
 * Curious Case of Neural Text Degeneration", 2020), as in PyTorch's usual libraries. Of equal logits, the smaller id counts
 * as the likelier.
 *
 * @throws {ModelError} For wrong options. The function throws {DataError} if a logit is NaN or +Infinity, or all are -Infinity.
 * @example
 * const draw = tokenSampler({ temperature: 0.8, topK: 40, seed: 7 });
 * const id = draw(Float32Array.of(0.1, 2, -1)); // most often 1
 */
export function tokenSampler(options: TokenSamplerOptions = {}): TokenSampler {
  const { temperature, topK, topP, seed } = readOptions("tokenSampler", options, OPTIONS);
  const random = randomNumbers(seed);
  return (logits) => {
    const best = indexOfMax(logits);
    if (temperature === 0) return best;
    // Not more than 1: the largest logit counts as 0.
    const weights = Float64Array.from(logits, (logit) => exp((logit - logits[best]) / temperature));
    if (topK === undefined && topP === 1) return draw(weights, allOf(weights), random);
    return draw(weights, likeliest(weights, topK ?? weights.length, topP), random);
  };
}

/** The id of the largest logit, the first of equal ones. Throws DataError for logits that are none. */
export function indexOfMax(logits: ArrayLike<number>): number {
  const length = Number((logits as ArrayLike<number> | undefined)?.length);
  if (typeof logits !== "object" || !(length > 0)) {
    throw new DataError(`tokenSampler: the logits must be an array or a typed array, got ${showValue(logits)}`);
  }
  let best = 0;
  for (let id = 0; id < length; id++) {
    const logit: unknown = logits[id];
    if (typeof logit !== "number" || Number.isNaN(logit) || logit === Infinity) {
      throw new DataError(`tokenSampler: each logit must be finite, or -Infinity, got ${showValue(logit)} at ${id}`);
    }
    if (logit > logits[best]) best = id;
  }
  if (logits[best] === -Infinity)
    throw new DataError("tokenSampler: one logit at least must be finite, got only -Infinity");
  return best;
}

function allOf(weights: Float64Array): Uint32Array {
  return Uint32Array.from(weights, (_, id) => id);
}

/** The ids of the likeliest tokens, the likeliest first. */
function likeliest(weights: Float64Array, count: number, probability: number): Uint32Array {
  const ids = allOf(weights)
    .sort((a, b) => weights[b] - weights[a] || a - b)
    .subarray(0, count);
  const goal = probability * sumOf(weights, ids);
  let sum = 0;
  const end = ids.findIndex((id) => {
    sum += weights[id];
    return sum >= goal;
  });
  return end < 0 ? ids : ids.subarray(0, end + 1);
}

function sumOf(weights: Float64Array, ids: Uint32Array): number {
  let sum = 0;
  for (const id of ids) sum += weights[id];
  return sum;
}

function draw(weights: Float64Array, ids: Uint32Array, random: RandomNumbers): number {
  let left = random.uniform() * sumOf(weights, ids);
  let drawn = ids[0];
  for (const id of ids) {
    if (weights[id] === 0) continue;
    drawn = id; // rounding may leave a rest after the last one
    left -= weights[id];
    if (left < 0) break;
  }
  return drawn;
}
