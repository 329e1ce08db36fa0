// Random numbers as tensors, new at every step: see assembly/kernels/noise.ts. The same for any number of threads.
import { checkNumber, checkOptions } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkShape, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkRandom, type RandomOptions } from "./dropout.js";

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

const KEY = ["clock", "seed", "stream"];

function finite(where: string, name: string, value: number, least = Number.NEGATIVE_INFINITY): number {
  return checkNumber(where, name, value, least, Number.POSITIVE_INFINITY);
}

/**
 * Normal numbers of `shape`, new at every step of the clock; none lies further than 5.77 deviations from the mean. They
 * have no gradient: what is to be trained is what they are multiplied with and added to.
 * Throws ModelError where clock, seed, stream, mean or deviation do not fit.
 *
 * @example
 * // The sample of a variational autoencoder's code; a layer has clock, seed and stream() from its context.
 * const clock = input([16], { dtype: "uint32" });
 * const [mean, logVariance] = [input([32, 8]), input([32, 8])];
 * const noise = randomNormal([32, 8], { clock, seed: [1, 0], stream: 0 });
 * add(mean, mul(exp(scale(logVariance, 0.5)), noise)); // [32, 8]
 */
export function randomNormal(shape: Shape, options: RandomNormalOptions): Tensor {
  checkOptions("randomNormal", options, [...KEY, "mean", "standardDeviation"]);
  const { clock, seed, stream, mean = 0, standardDeviation = 1 } = options;
  checkShape("randomNormal", shape);
  finite("randomNormal", "mean", mean);
  finite("randomNormal", "standardDeviation", standardDeviation, 0);
  return apply(randomNormalOp, [clock], { shape, seed, stream, numbers: [mean, standardDeviation] });
}

export interface RandomUniformOptions extends RandomOptions {
  /** Default 0. */
  low?: number;
  /** Default 1; it is not reached, but by rounding where low is not 0. */
  high?: number;
}

/**
 * Uniform numbers of `shape` in [low, high), multiples of 2^-24 of the width, new at every step of the clock, without
 * gradient. Throws ModelError where clock, seed, stream or bounds do not fit.
 */
export function randomUniform(shape: Shape, options: RandomUniformOptions): Tensor {
  checkOptions("randomUniform", options, [...KEY, "low", "high"]);
  const { clock, seed, stream, low = 0, high = 1 } = options;
  checkShape("randomUniform", shape);
  finite("randomUniform", "low", low);
  finite("randomUniform", "high", high, low);
  return apply(randomUniformOp, [clock], {
    shape,
    seed,
    stream,
    numbers: [low, finite("randomUniform", "high - low", high - low)],
  });
}
