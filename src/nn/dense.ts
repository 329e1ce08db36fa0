import { checkInteger, ModelError } from "../engine/errors.js";
import { joined } from "../engine/options.js";
import type { Constraint, Initializer, Regularizer } from "../graph/tensor.js";
import { linear, matmul } from "../ops/matmul.js";
import { glorotUniform, zeros } from "./initializers.js";
import type { Layer } from "./layer.js";
import { BIAS, parametersOf, readLayerOptions, WEIGHT } from "./options.js";

export interface DenseOptions {
  /** Names the layer in parameter paths ("hidden.weight") and errors. Default: its number. */
  name?: string;
  /** Whether a bias is added. Default true. */
  bias?: boolean;
  /** Of the weight [inputs, units]. Default `glorotUniform()`, as in Keras. */
  weightInitializer?: Initializer;
  /** Of the bias [units]. Default `zeros()`. */
  biasInitializer?: Initializer;
  /** What the weight adds to the loss: `l2(1e-4)`. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the bias adds to the loss: `l2(1e-4)`. Default nothing. */
  biasRegularizer?: Regularizer;
  /** What the weight is brought back to after each step: `maxNorm(3)`. Default nothing. */
  weightConstraint?: Constraint;
  /** What the bias is brought back to after each step: `maxNorm(3)`. Default nothing. */
  biasConstraint?: Constraint;
}

/** Of a sample that it takes: any number but none. */
type Axes = 1 | 2 | 3 | 4 | 5 | 6 | 7;

const OPTIONS = joined(WEIGHT, BIAS);

/**
 * Fully connected layer: y = x·W + b, with x [batch, inputs], W [inputs, units] and b [units]. Of samples with more axes,
 * [batch, …, inputs], it works on the last, with the same weights at each position, as PyTorch's Linear and Keras' Dense.
 * No activation: add one behind it (`relu()`), and it is computed in the same pass. Building throws ModelError if a sample
 * has no axis. PyTorch's weight is the transpose.
 *
 * @example
 * const model = sequential({ input: [784] }, dense(128, { name: "hidden" }), relu(), dense(10));
 */
export function dense(units: number, options: DenseOptions = {}): Layer<Axes, "same"> {
  checkInteger("dense", "units", units, 1);
  const { bias, name, ...parts } = readLayerOptions("dense", options, OPTIONS);
  return {
    kind: "dense",
    name,
    options: [units, options],
    build({ where, path }, inputShape) {
      const inputs = inputShape.at(-1);
      if (inputs === undefined) {
        throw new ModelError(`${where}: input must be [batch, …, features], got [batch]: add reshape([1]) before it`);
      }
      const outputShape = [...inputShape.slice(0, -1), units];
      const { made: parameters, make } = parametersOf({ path }, parts);
      const weight = make("weight", [inputs, units], glorotUniform());
      if (!bias) return { outputShape, parameters, apply: (x) => matmul(x, weight) };
      const offset = make("bias", [units], zeros());
      return { outputShape, parameters, apply: (x) => linear(x, weight, offset) };
    },
  };
}
