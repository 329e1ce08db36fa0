// Layers that add to each position what tells it from others.
import { checkInteger, ModelError } from "../engine/errors.js";
import { flag, joined, number } from "../engine/options.js";
import {
  type Constraint,
  constant,
  type Initializer,
  type Regularizer,
  type Shape,
  type Tensor,
} from "../graph/tensor.js";
import { add, shift } from "../ops/elementwise.js";
import { gather } from "../ops/indexing.js";
import * as operations from "../ops/positions.js";
import { cast } from "../ops/rounding.js";
import { slice } from "../ops/slice.js";
import { normal } from "./initializers.js";
import type { Layer, LayerContext, LayerState } from "./layer.js";
import { NAME, parametersOf, readLayerOptions, WEIGHT } from "./options.js";
import { showBatch } from "./ports.js";

interface GoingOn {
  /**
   * Whether positions go on from prediction to prediction until `resetState()`, as attention with a `cache` does. Default
   * false: each begins at 0.
   */
  stateful?: boolean;
}

const STATEFUL = { stateful: flag(false) };

const positionOf = (path: string): LayerState => ({ name: `${path}.position`, shape: [1], predictsOnly: true });

/** Position of the first row while predicting, if positions go on; and notes where the next call begins. */
function startOf(state: LayerState | undefined, x: Tensor, context: LayerContext): Tensor | undefined {
  if (state === undefined || context.training) return undefined;
  const start = context.state(state, x.shape[0]);
  context.update(start, shift(start, x.shape[1]));
  return start;
}

function checkSequence(where: string, shape: Shape): void {
  if (shape.length === 2) return;
  throw new ModelError(`${where}: input must be [batch, positions, features], got ${showBatch(shape)}`);
}

export interface LearnedPositionsOptions extends GoingOn {
  /** Names the layer in parameter paths ("positions.weight") and errors. Default: its number. */
  name?: string;
  /** Of the weight [length, features]. Default `normal({ standardDeviation: 0.02 })`, as in GPT-2. */
  weightInitializer?: Initializer;
  /** What the weight adds to the loss. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the weight is brought back to after each step. Default nothing. */
  weightConstraint?: Constraint;
}

const LEARNED = joined(WEIGHT, STATEFUL);

/**
 * Adds to each position of x [batch, positions, features] a vector that is trained, for up to `length` positions: KerasHub's
 * PositionEmbedding. Throws ModelError for an input of more positions; predictions that go on beyond them are NaN.
 *
 * @example
 * const model = sequential({ input: [20], dtype: "uint32" }, embedding(65, 32), learnedPositions(20), flatten(), dense(2));
 */
export function learnedPositions(length: number, options: LearnedPositionsOptions = {}): Layer<2, "same"> {
  checkInteger("learnedPositions", "length", length, 1);
  const { name, stateful, ...parts } = readLayerOptions("learnedPositions", options, LEARNED);
  return {
    kind: "learnedPositions",
    name,
    options: [length, options],
    build({ where, path }, inputShape) {
      checkSequence(where, inputShape);
      const { made, make } = parametersOf({ path }, parts);
      const features = inputShape[1];
      const weight = make("weight", [length, features], normal({ standardDeviation: 0.02 }));
      const position = stateful ? positionOf(path) : undefined;
      return {
        outputShape: inputShape,
        parameters: made,
        states: position === undefined ? [] : [{ name: "position", state: position }],
        apply(x, context) {
          const count = x.shape[1];
          if (count > length) {
            throw new ModelError(`${where}: input must have at most ${length} positions, got ${count}`);
          }
          const start = startOf(position, x, context);
          if (start === undefined) return add(x, slice(weight, [0, 0], [count, features]));
          const steps = constant(Float32Array.from({ length: count }, (_, index) => index));
          return add(x, gather(weight, cast(add(start, steps), "uint32")));
        },
      };
    },
  };
}

export interface SinusoidalPositionsOptions extends GoingOn {
  /** Names the layer in errors. Default: its number. */
  name?: string;
  /** Default 10000. */
  base?: number;
}

const SINUSOIDAL = joined(NAME, STATEFUL, { base: number(10_000, { min: 1 }) });

/**
 * Adds to each position of x [batch, positions, features] sines and cosines of it, of wave lengths from 2π to 2π · base
 * (Vaswani et al. 2017): the operation `sinusoids`. Nothing is trained, and there may be any number of positions.
 *
 * @example
 * const model = sequential({ input: [20, 32] }, sinusoidalPositions(), flatten(), dense(2));
 */
export function sinusoidalPositions(options: SinusoidalPositionsOptions = {}): Layer<2, "same"> {
  const { name, base, stateful } = readLayerOptions("sinusoidalPositions", options, SINUSOIDAL);
  return {
    kind: "sinusoidalPositions",
    name,
    options: [options],
    build({ where, path }, inputShape) {
      checkSequence(where, inputShape);
      const position = stateful ? positionOf(path) : undefined;
      return {
        outputShape: inputShape,
        parameters: [],
        states: position === undefined ? [] : [{ name: "position", state: position }],
        apply(x, context) {
          const start = startOf(position, x, context);
          const [, count, features] = x.shape;
          return add(x, operations.sinusoids(count, features, start === undefined ? { base } : { base, start }));
        },
      };
    },
  };
}
