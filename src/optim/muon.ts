import { ModelError, showNames } from "../engine/errors.js";
import { flag, integer, number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { add, div, mul, scale, shift, sqrt, square, sub } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { sum } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";
import { weightDecay } from "./decay.js";
import { defineOptimizer } from "./define.js";
import { matrixOf } from "./matrices.js";
import { decay, type LearningRate, learningRate, type Optimizer } from "./optimizer.js";

export interface MuonOptions {
  /** How far, by its largest singular value, a step moves a matrix. Default 0.02. */
  learningRate?: LearningRate;
  /** Share of the momentum that is kept, in [0, 1). Default 0.95. */
  momentum?: number;
  /** Look ahead along the momentum. Default true. */
  nesterov?: boolean;
  /** Iterations that bring the singular values near 1. Default 5. */
  iterations?: number;
  /** Added to the norm that the matrix is divided by first. Default 1e-7. */
  epsilon?: number;
  /** Share of each parameter that a step takes away, times the learning rate. Default 0 (PyTorch 2.9: 0.1). */
  weightDecay?: number;
}

const OPTIONS = {
  learningRate: learningRate(0.02),
  momentum: decay(0.95),
  nesterov: flag(true),
  iterations: integer(5, { min: 1, max: 100 }),
  epsilon: number(1e-7, { min: 1e-30, max: 1 }),
  weightDecay: weightDecay(),
} satisfies OptionsOf<MuonOptions>;

// The quintic whose slope at 0 is as steep as its bounds near 1 allow.
const [A, B, C] = [3.4445, -4.775, 2.0315];

/** x [m, n], its singular values brought near 1. */
function orthogonalized(x: Tensor, iterations: number, epsilon: number): Tensor {
  const [rows, columns] = x.shape;
  // The smaller of X·Xᵀ and Xᵀ·X.
  const isWide = rows <= columns;
  let y = div(x, shift(sqrt(sum(square(x))), epsilon));
  for (let i = 0; i < iterations; i++) {
    const gram = isWide ? matmul(y, y, { transposeB: true }) : matmul(y, y, { transposeA: true });
    const both = add(scale(gram, B), scale(matmul(gram, gram), C));
    y = add(scale(y, A), isWide ? matmul(both, y) : matmul(y, both));
  }
  return y;
}

/**
 * Muon (Jordan et al. 2024), for matrices: a step goes along the momentum with all of its singular values brought near 1 by
 * a Newton-Schulz iteration, times the root of outputs / inputs if there are more outputs. A kernel of a convolution is
 * the matrix [window · inputs, outputs]. Biases, scales, embeddings and the last layer are for another optimizer. PyTorch 2.9's
 * `Muon`, whose rate is 0.001, with the original scale.
 *
 * @throws ModelError for an unknown option or one that is out of bounds; and, when it meets a model, for a parameter that is
 * no matrix.
 * @example
 * const optimizer = groups({ "0.weight": muon({ learningRate: 0.02 }), "*": adamW() });
 */
export function muon(options: MuonOptions = {}): Optimizer {
  const { learningRate, momentum, nesterov, iterations, epsilon, weightDecay } = readOptions("muon", options, OPTIONS);
  return defineOptimizer(
    "muon",
    ({ path, parameter, gradient, slots, learningRate: rate }) => {
      const { shape } = parameter;
      const matrix = matrixOf(shape);
      if (matrix === undefined) {
        throw new ModelError(
          `muon: a parameter must have at least two axes, got "${path}" of shape [${showNames(shape.map(String))}]: give it another optimizer, as groups({ "*.weight": muon(), "*": adamW() })`,
        );
      }
      const next = add(scale(slots.momentum, momentum), scale(gradient, 1 - momentum));
      const along = nesterov ? add(scale(next, momentum), scale(gradient, 1 - momentum)) : next;
      const [rows, columns] = matrix;
      const step = reshape(orthogonalized(reshape(along, [rows, columns]), iterations, epsilon), shape);
      const scaled = scale(step, Math.sqrt(Math.max(1, columns / rows)));
      const moved = weightDecay === 0 ? scaled : add(scaled, scale(parameter, weightDecay));
      return { parameter: sub(parameter, mul(rate, moved)), momentum: next };
    },
    {
      learningRate,
      slots: { momentum: "zeros" },
      hyperparameters: {
        momentum,
        nesterov: nesterov ? 1 : 0,
        iterations,
        epsilon,
        ...(weightDecay === 0 ? {} : { weightDecay }),
      },
    },
  );
}
