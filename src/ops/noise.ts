// Random numbers as tensors, new at every step: see assembly/kernels/noise.ts. The same for any number of threads.
import { checkNumber } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkShape, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { CLOCK, checkRandom, type RandomOptions, SEED, STREAM } from "./dropout.js";

export interface Draw {
  readonly shape: Shape;
  readonly seed: readonly [number, number];
  readonly stream: number;
  /** Mean and standard deviation, or lower end and width. */
  readonly numbers: readonly [number, number];
}

const COST_OF_RANDOM = 8;
const COST_OF_NORMAL = 16;

/* @__NO_SIDE_EFFECTS__ */
function drawing(name: "randomNormal" | "randomUniform"): Operation<Draw> {
  return {
    name,
    infer: ([clock], { shape, seed, stream }) => {
      checkRandom(name, { clock, seed, stream });
      return [{ shape }];
    },
    forward: (record, { attributes: { shape, seed, stream, numbers }, to, from: [clock] }) => {
      const n = sizeOf(shape);
      const work = elements(n, name === "randomNormal" ? COST_OF_NORMAL : COST_OF_RANDOM);
      record[name](work, to[0], clock, n, ...numbers, ...seed, stream);
    },
    backward: () => [undefined],
    clocks: () => [0],
  };
}

export const randomNormalOp = drawing("randomNormal");
export const randomUniformOp = drawing("randomUniform");

export interface RandomNormalOptions extends RandomOptions {
  /** Default 0. */
  mean?: number;
  /** Default 1. */
  standardDeviation?: number;
}

const NORMAL = {
  clock: CLOCK,
  seed: SEED,
  stream: STREAM,
  mean: number(0),
  standardDeviation: number(1, { min: 0 }),
} satisfies OptionsOf<RandomNormalOptions>;

/**
 * Normal numbers of `shape`, new at every step of the clock; none lies further than 5.77 deviations from the mean. They
 * have no gradient: what is to be trained is what they are multiplied with and added to.
 * Throws ModelError if clock, seed, stream, mean or deviation do not fit.
 *
 * @example
 * // The sample of a variational autoencoder's code; a layer has clock, seed and stream() from its context.
 * const clock = input([16], { dtype: "uint32" });
 * const [mean, logVariance] = [input([32, 8]), input([32, 8])];
 * const noise = randomNormal([32, 8], { clock, seed: [1, 0], stream: 0 });
 * add(mean, mul(exp(scale(logVariance, 0.5)), noise)); // [32, 8]
 */
export function randomNormal(shape: Shape, options: RandomNormalOptions): Tensor {
  const { clock, seed, stream, mean, standardDeviation } = readOptions("randomNormal", options, NORMAL);
  checkShape("randomNormal", shape);
  return apply(randomNormalOp, [clock], { shape, seed, stream, numbers: [mean, standardDeviation] });
}

export interface RandomUniformOptions extends RandomOptions {
  /** Default 0. */
  low?: number;
  /** Default 1; it is not reached, but by rounding where low is not 0. */
  high?: number;
}

const UNIFORM = {
  clock: CLOCK,
  seed: SEED,
  stream: STREAM,
  low: number(0),
  high: number(1),
} satisfies OptionsOf<RandomUniformOptions>;

/**
 * Uniform numbers of `shape` in [low, high), multiples of 2^-24 of the width, new at every step of the clock, without
 * gradient. Throws ModelError if clock, seed, stream or bounds do not fit.
 */
export function randomUniform(shape: Shape, options: RandomUniformOptions): Tensor {
  const { clock, seed, stream, low, high } = readOptions("randomUniform", options, UNIFORM);
  checkShape("randomUniform", shape);
  checkNumber("randomUniform", "high", high, low, Number.POSITIVE_INFINITY);
  const width = checkNumber(
    "randomUniform",
    "high - low",
    high - low,
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  );
  return apply(randomUniformOp, [clock], {
    shape,
    seed,
    stream,
    numbers: [low, width],
  });
}
