import { flag, number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import { add, div, maximum, mul, neg, scale, shift, sqrt, square, sub } from "../ops/elementwise.js";
import { pow } from "../ops/power.js";
import { mean } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";
import { weightDecay } from "./decay.js";
import { defineOptimizer } from "./define.js";
import { matrixOf } from "./matrices.js";
import { type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface AdafactorOptions {
  /** Default: the smaller of 0.01 and 1 / √t, times the size of the parameter (see `scaleByParameter`). */
  learningRate?: LearningRate;
  /** The decay of the second moment at step t is 1 - t^beta2Decay. At most 0. Default -0.8. */
  beta2Decay?: number;
  /** Added to the squares of the gradients. Default 1e-30. */
  epsilon1?: number;
  /** The least size of a parameter that its steps are scaled by. Default 0.001. */
  epsilon2?: number;
  /** The largest root mean square of an update before the rate. Default 1. */
  clipThreshold?: number;
  /** Multiplies steps by the root mean square of the parameter. Default true. */
  scaleByParameter?: boolean;
  /** Share of each parameter that a step takes away, times the learning rate. Default 0. */
  weightDecay?: number;
}

const OPTIONS = {
  learningRate: learningRate((step) => Math.min(0.01, 1 / Math.sqrt(step))),
  beta2Decay: number(-0.8, { min: -10, max: 0 }),
  epsilon1: number(1e-30, { min: 1e-37, max: 1 }),
  epsilon2: number(1e-3, { min: 0, max: 1 }),
  clipThreshold: number(1, { min: 1e-6, max: 1e6 }),
  scaleByParameter: flag(true),
  weightDecay: weightDecay(),
} satisfies OptionsOf<AdafactorOptions>;

function rms(x: Tensor): Tensor {
  return sqrt(mean(square(x)));
}

const rowsOf = (shape: Shape) => matrixOf(shape)?.slice(0, 1);
const columnsOf = (shape: Shape) => matrixOf(shape)?.slice(1);
const wholeOf = (shape: Shape) => (matrixOf(shape) === undefined ? shape : undefined);

/**
 * Adafactor (Shazeer & Stern 2018, algorithms 4 to 6): Adam's division by the root of the second moment, of which for matrices
 * only the means of rows and columns are kept, so that the state is small; no first moment. Updates are clipped by their root mean
 * square, and scaled by that of the parameter. Kernels of convolutions are matrices [window · inputs, outputs]. Keras's
 * `Adafactor`, whose rate is at most 0.001, and PyTorch 2.5's.
 *
 * @throws ModelError for an unknown option or one that is out of bounds.
 * @example
 * const optimizer = adafactor();
 */
export function adafactor(options: AdafactorOptions = {}): Optimizer {
  const read = readOptions("adafactor", options, OPTIONS);
  const { learningRate, beta2Decay, epsilon1, epsilon2, clipThreshold, scaleByParameter, weightDecay } = read;
  return defineOptimizer(
    "adafactor",
    ({ parameter, gradient, slots, learningRate: rate, step }) => {
      const gain = pow(step, beta2Decay);
      const follow = (slot: Tensor, value: Tensor) => add(slot, mul(gain, sub(value, slot)));
      const squares = shift(square(gradient), epsilon1);
      const matrix = matrixOf(parameter.shape);
      const kept = matrix === undefined ? { moments: follow(slots.moments, squares) } : factors(matrix);
      function factors(of: readonly [number, number]) {
        const all = reshape(squares, of);
        return { rows: follow(slots.rows, mean(all, 1)), columns: follow(slots.columns, mean(all, 0)) };
      }
      const root = "moments" in kept ? sqrt(kept.moments) : reshape(rootOf(kept.rows, kept.columns), parameter.shape);
      const update = div(gradient, root);
      const clipped = div(update, maximum(scale(rms(update), 1 / clipThreshold), 1));
      const size = scaleByParameter ? mul(rate, maximum(rms(parameter), epsilon2)) : rate;
      const moved = weightDecay === 0 ? parameter : add(parameter, mul(scale(rate, -weightDecay), parameter));
      return { parameter: add(moved, mul(neg(size), clipped)), ...kept };
    },
    {
      learningRate,
      slots: { rows: rowsOf, columns: columnsOf, moments: wholeOf },
      hyperparameters: {
        beta2Decay,
        epsilon1,
        epsilon2,
        clipThreshold,
        scaleByParameter: scaleByParameter ? 1 : 0,
        ...(weightDecay === 0 ? {} : { weightDecay }),
      },
    },
  );
}

/** √(R C / mean R) of the means of rows R and of columns C; each root by itself, as their product may be too small for float32. */
function rootOf(rows: Tensor, columns: Tensor): Tensor {
  const [r, c] = [rows.shape[0], columns.shape[0]];
  return mul(reshape(sqrt(div(rows, mean(rows))), [r, 1]), reshape(sqrt(columns), [1, c]));
}
