// What parameters are brought back to after each step of the optimizer.
import { LANES } from "../engine/constants.js";
import { made } from "../engine/copies.js";
import { checkNone, checkNumber, checkOptions, ModelError, showValue } from "../engine/errors.js";
import { elements, rows } from "../engine/instructions.js";
import { type Constraint, type Shape, showShape, sizeOf } from "../graph/tensor.js";

export interface NormConstraintOptions {
  /**
   * Along which axis or axes (next to each other) a norm is taken. Default: all but the last, so that each unit of a dense
   * weight [in, out], and each filter of a convolution's [...window, in, out], has a norm of its own.
   */
  axis?: number | readonly number[];
}

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
  least: number,
  most: number,
  rate: number,
  { axis }: NormConstraintOptions,
): Constraint {
  return made({
    name,
    options: [least, most, rate, axis],
    check: (shape) => void normsOf(name, shape, axis),
    record(recorder, address, shape) {
      const { outer, length, inner } = normsOf(name, shape, axis);
      const units = outer * (inner === 1 ? 1 : Math.ceil(inner / LANES));
      recorder.constrainNorm(rows(units, sizeOf(shape) * 2), address, length, inner, least, most, rate);
    },
  });
}

/**
 * Weights whose norm is more than `most` are scaled to it; others stay as they are, to the bit (Srivastava et al. 2014).
 * Default 2. Throws ModelError unless `most` is a number greater than 0.
 *
 * @example
 * dense(128, { weightConstraint: maxNorm(3) })
 */
export function maxNorm(most = 2, options: NormConstraintOptions = {}): Constraint {
  checkOptions("maxNorm", options, ["axis"]);
  return normWithin("maxNorm", 0, positive("maxNorm", "most", most), 1, options);
}

/** Weights are scaled to the norm 1; zeros stay. */
export function unitNorm(options: NormConstraintOptions = {}): Constraint {
  checkOptions("unitNorm", options, ["axis"]);
  return normWithin("unitNorm", 1, 1, 1, options);
}

export interface MinMaxNormOptions extends NormConstraintOptions {
  /** Default 0. */
  min?: number;
  /** Default 1. */
  max?: number;
  /** Share of the way that each step goes. Default 1: all of it. */
  rate?: number;
}

/** Weights are scaled so that their norm comes within [min, max]; zeros stay. Throws ModelError unless min ≤ max. */
export function minMaxNorm(options: MinMaxNormOptions = {}): Constraint {
  checkOptions("minMaxNorm", options, ["min", "max", "rate", "axis"]);
  const most = positive("minMaxNorm", "max", options.max ?? 1);
  const least = checkNumber("minMaxNorm", "min", options.min ?? 0, 0, most);
  return normWithin("minMaxNorm", least, most, checkNumber("minMaxNorm", "rate", options.rate ?? 1, 0, 1), options);
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
