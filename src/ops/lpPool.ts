// Pooling by the p-norm of each window: between the sum of sizes (p = 1) and the largest (p to infinity).
import { checkNumber } from "../engine/errors.js";
import { readOptions } from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { equal, where } from "./comparison.js";
import { abs, sqrt, square } from "./elementwise.js";
import { averagePool1d, averagePool2d, LP_POOL, type PoolOptions, type Size2d } from "./pool.js";
import { pow } from "./power.js";

// Powers and roots that float32 has room for.
const MIN_POWER = 2 ** -20;
const MAX_POWER = 2 ** 20;

/** Refuses what is no power. */
export function checkPower(where: string, p: number): void {
  checkNumber(where, "p", p, MIN_POWER, MAX_POWER);
}

/** (Σ |x|^p)^(1/p) of what `sum` adds up; 0, with a gradient of 0, where all are 0. */
function norm(name: string, x: Tensor, p: number, sum: (powers: Tensor) => Tensor): Tensor {
  checkFloat(name, x);
  checkPower(name, p);
  const total = sum(p === 1 ? abs(x) : p === 2 ? square(x) : pow(abs(x), p));
  if (p === 1) return total;
  const isZero = equal(total, 0);
  const positive = where(isZero, 1, total);
  return where(isZero, 0, p === 2 ? sqrt(positive) : pow(positive, 1 / p));
}

/**
 * The p-norm (Σ |x|^p)^(1/p) of each window: x [batch, height, width, channels] → [batch, outHeight, outWidth, channels],
 * sizes as of `maxPool2d`. PyTorch's `lp_pool2d`, but of sizes |x|, and with a gradient of 0 where all are 0. A power that
 * leaves float32 is infinite. Throws ModelError if a window does not fit or p is not from 2⁻²⁰ to 2²⁰.
 *
 * @example
 * lpPool2d(input([8, 28, 28, 4]), 2, 3, { stride: 2 }); // [8, 13, 13, 4]
 */
export function lpPool2d(x: Tensor, p: number, window: Size2d, options: PoolOptions = {}): Tensor {
  readOptions("lpPool2d", options, LP_POOL);
  return norm("lpPool2d", x, p, (powers) => averagePool2d(powers, window, { ...options, divisor: 1 }));
}

/** As `lpPool2d`, for x [batch, length, channels] → [batch, outLength, channels]. */
export function lpPool1d(x: Tensor, p: number, window: number, options: PoolOptions<number> = {}): Tensor {
  readOptions("lpPool1d", options, LP_POOL);
  return norm("lpPool1d", x, p, (powers) => averagePool1d(powers, window, { ...options, divisor: 1 }));
}
