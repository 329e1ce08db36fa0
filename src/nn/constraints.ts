// Constraints: they restrict the values of a parameter after each step of the optimizer.
import { LANES } from "../engine/constants.js";
import { made } from "../engine/copies.js";
import { checkNone, checkNumber, ModelError, showValue } from "../engine/errors.js";
import { elements, rows } from "../engine/instructions.js";
import { number, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { type Constraint, type Shape, showShape, sizeOf } from "../graph/tensor.js";

export interface NormConstraintOptions {
  /**
   * Along which axis or axes (next to each other) a norm is taken. Default: all but the last, so that each unit of a
   * dense weight [in, out], and each filter of a convolution's [...window, in, out], has its own norm.
   */
  axis?: number | readonly number[];
}

/** The axes are checked against the parameter. */
const AXIS = unchecked<NormConstraintOptions["axis"]>();
const NORM = { axis: AXIS } satisfies OptionsOf<NormConstraintOptions>;

/** The shape as [outer, length, inner], `length` being the elements of one norm. */
function normsOf(name: string, shape: Shape, axis: NormConstraintOptions["axis"]) {
  const rank = shape.length;
  const all = shape.map((_, index) => index).slice(0, Math.max(1, rank - 1));
  const asked: unknown = axis === undefined ? all : typeof axis === "number" ? [axis] : axis;
  const isList = Array.isArray(asked) && asked.length > 0 && asked.length <= rank;
  const axes = isList ? asked.map((index) => (index < 0 ? index + rank : index)).sort((a, b) => a - b) : [];
  const fits = axes.length > 0 && axes.every((index, i) => Number.isInteger(index) && index === axes[0] + i);
  if (!fits || axes[0] < 0 || axes[axes.length - 1] >= rank) {
    throw new ModelError(
      `${name}: axis must be of the parameter's ${rank} axes ${showShape(shape)}, next to each other and each once, got ${showValue(axis)}`,
    );
  }
  const end = axes[axes.length - 1] + 1;
  return {
    outer: sizeOf(shape.slice(0, axes[0])),
    length: sizeOf(shape.slice(axes[0], end)),
    inner: sizeOf(shape.slice(end)),
  };
}

function normWithin(
  name: string,
  min: number,
  max: number,
  rate: number,
  axis: NormConstraintOptions["axis"],
  options: readonly unknown[],
): Constraint {
  return made({
    name,
    options,
    check: (shape) => void normsOf(name, shape, axis),
    record(recorder, address, shape) {
      const { outer, length, inner } = normsOf(name, shape, axis);
      const units = outer * (inner === 1 ? 1 : Math.ceil(inner / LANES));
      recorder.constrainNorm(rows(units, sizeOf(shape) * 2), address, length, inner, min, max, rate);
    },
  });
}

/**
 * Weights whose norm is more than `max` are scaled to it; others stay as they are, to the bit (Srivastava et al. 2014).
 * Default 2. Throws ModelError unless `max` is a number greater than 0.
 *
 * @example
 * dense(128, { weightConstraint: maxNorm(3) })
 */
export function maxNorm(max = 2, options: NormConstraintOptions = {}): Constraint {
  const read = readOptions("maxNorm", options, NORM);
  return normWithin("maxNorm", 0, positive("maxNorm", "max", max), 1, read.axis, [max, options]);
}

/** Weights are scaled to the norm 1; zeros stay. */
export function unitNorm(options: NormConstraintOptions = {}): Constraint {
  return normWithin("unitNorm", 1, 1, 1, readOptions("unitNorm", options, NORM).axis, [options]);
}

export interface MinMaxNormOptions extends NormConstraintOptions {
  /** Default 0. */
  min?: number;
  /** Default 1. */
  max?: number;
  /** The share of the correction that is made in each step. Default 1: all of it. */
  rate?: number;
}

const MIN_MAX_NORM = {
  min: unchecked(0),
  max: unchecked(1),
  rate: number(1, { min: 0, max: 1 }),
  axis: AXIS,
} satisfies OptionsOf<MinMaxNormOptions>;

/** Weights are scaled so that their norm comes within [min, max]; zeros stay. Throws ModelError unless min ≤ max. */
export function minMaxNorm(options: MinMaxNormOptions = {}): Constraint {
  const { min, max, rate, axis } = readOptions("minMaxNorm", options, MIN_MAX_NORM);
  positive("minMaxNorm", "max", max);
  return normWithin("minMaxNorm", checkNumber("minMaxNorm", "min", min, 0, max), max, rate, axis, [options]);
}

/** Negative values become 0. */
export function nonNegative(...none: []): Constraint {
  checkNone("nonNegative", none);
  return made({
    name: "nonNegative",
    record(recorder, address, shape) {
      const n = sizeOf(shape);
      recorder.relu(elements(n), address, address, n);
    },
  });
}

function positive(where: string, name: string, value: number): number {
  if (typeof value === "number" && value > 0) return checkNumber(where, name, value, 0, Number.POSITIVE_INFINITY);
  throw new ModelError(`${where}: ${name} must be a number greater than 0, got ${showValue(value)}`);
}
