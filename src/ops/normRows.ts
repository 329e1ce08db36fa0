// Normalization by rows (layer, root mean square): x is seen as [rows, columns].
import { PART_ROWS, STRIPE } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows } from "../engine/instructions.js";
import { integer, number, type OptionsOf, type ReadOptions, readOptions } from "../engine/options.js";
import { apply, applyAll, type Operation } from "../graph/operation.js";
import { showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import {
  checkParameter,
  EPSILON,
  full,
  type NormalizationOptions,
  named,
  noStatistics,
  type Optional,
  parametersOf,
  TENSOR,
} from "./affine.js";
import { checkFloat } from "./axes.js";
import { gradientByDecomposition } from "./decomposition.js";
import { add, div, mul, shift, sqrt, square, sub } from "./elementwise.js";
import { gradient as gradientOf } from "./gradient.js";
import { mean as meanOf, sum } from "./reduce.js";
import { reshape } from "./shape.js";

export interface Rows {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly epsilon: number;
  readonly centered: boolean;
  readonly hasWeight: boolean;
  readonly hasBias: boolean;
  readonly wantsInput?: boolean;
}

const rowWork = ({ rows: units, columns }: Rows, passes: number) => rows(units, units * columns * passes);

/** x [rows, columns], weight and bias [columns] → y, and the rows' means and factors, which the gradient reads. */
export const normalizeRowsOp: Operation<Rows> = {
  name: "normalizeRows",
  infer: ([x], { name, rows: count }) => {
    checkFloat(name, x);
    return [{ shape: x.shape }, { shape: [count] }, { shape: [count] }];
  },
  forward: (record, { attributes, from: [x, ...rest], to: [y, mean, factor] }) => {
    const { columns, centered, epsilon } = attributes;
    const { weight = 0, bias = 0 } = named<Pointer>(rest, attributes);
    record.normalizeRows(rowWork(attributes, 4), y, mean, factor, x, weight, bias, columns, centered ? 1 : 0, epsilon);
  },
  backward: ({ attributes, gradient, inputs: [x, ...rest], outputs: [, mean, factor], needs }) => {
    const { weight } = named(rest, attributes);
    const wantsInput = needs[0];
    const inputs = [gradient, x, mean, factor, ...parametersOf(weight, undefined)];
    const found = applyAll(normalizeRowsGradientOp, inputs, { ...attributes, wantsInput });
    const [dWeight, dBias] = wantsInput ? found.slice(1) : found;
    return [wantsInput ? found[0] : undefined, ...(weight ? [dWeight] : []), dBias];
  },
  inPlace: [0],
};

const hasParameters = ({ hasWeight, hasBias }: Rows) => hasWeight || hasBias;

/** dy, x, the rows' means and factors, and weight → dx (where it is wanted), and dWeight and dBias [columns] (if there are any). */
export const normalizeRowsGradientOp: Operation<Rows> = {
  name: "normalizeRowsGradient",
  ofNothing: 0,
  infer: ([, x], attributes) => {
    const { columns, wantsInput } = attributes;
    const parameters = hasParameters(attributes) ? [{ shape: [columns] }, { shape: [columns] }] : [];
    return wantsInput ? [{ shape: x.shape }, ...parameters] : parameters;
  },
  scratchBytes: (_, attributes) =>
    hasParameters(attributes) ? Math.ceil(attributes.rows / PART_ROWS) * 2 * attributes.columns * 4 : 0,
  forward: (record, { attributes, from: [dy, x, mean, factor, weight = 0], to, scratch }) => {
    const { rows: count, columns, centered, wantsInput } = attributes;
    if (hasParameters(attributes)) {
      const [dWeight, dBias] = wantsInput ? to.slice(1) : to;
      const parts = Math.ceil(count / PART_ROWS);
      const summing = rows(parts * Math.ceil(columns / STRIPE), 2 * count * columns);
      record.rowGradients(summing, scratch, dy, x, mean, factor, count, columns);
      const merging = rows(columns, 8 * parts * columns);
      record.mergeGradients(merging, dBias, dWeight, scratch, 0, count, 1, columns, 0);
    }
    if (!wantsInput) return;
    const work = rowWork(attributes, 4);
    record.normalizeRowsGradient(work, to[0], dy, x, mean, factor, weight, columns, centered ? 1 : 0);
  },
  backward: /* @__PURE__ */ gradientByDecomposition(([dy, x, , , weight], attributes) => {
    const { rows: count, columns, centered, epsilon, wantsInput } = attributes;
    const [factor, offset] = [weight ?? full([columns], 1), full([columns], 0)];
    const whole = reshape(x, [count, columns]);
    const centeredRows = centered ? sub(whole, meanOf(whole, 1, { keepDims: true })) : whole;
    const squares = meanOf(square(centeredRows), 1, { keepDims: true });
    const normalized = div(centeredRows, sqrt(shift(squares, epsilon)));
    const y = reshape(add(mul(normalized, factor), offset), x.shape);
    const parameters = hasParameters(attributes) ? [factor, offset] : [];
    return gradientOf(sum(mul(y, dy)), wantsInput ? [x, ...parameters] : parameters);
  }),
  inPlace: [0, 1],
};

export interface LayerNormOptions extends NormalizationOptions {
  /** How many axes are normalized together, counted from the last. Default 1. */
  axes?: number;
}

const AXES = integer(1, { min: 1 });
const LAYER_NORM = { weight: TENSOR, bias: TENSOR, epsilon: EPSILON, axes: AXES } satisfies OptionsOf<LayerNormOptions>;

function normalizeLast(name: string, x: Tensor, centered: boolean, options: ReadOptions<typeof LAYER_NORM>): Tensor {
  const { axes, weight, bias, epsilon } = options;
  checkFloat(name, x);
  if (axes > x.shape.length) {
    throw new ModelError(`${name}: axes must be at most ${x.shape.length} for ${showShape(x.shape)}, got ${axes}`);
  }
  const shape = x.shape.slice(-axes);
  checkParameter(name, "weight", weight, shape);
  checkParameter(name, "bias", bias, shape);
  const columns = sizeOf(shape);
  if (columns === 0) throw noStatistics(name, x);
  const flat = (tensor: Optional<Tensor>) => tensor && reshape(tensor, [columns]);
  return apply(normalizeRowsOp, [x, ...parametersOf(flat(weight), flat(bias))], {
    name,
    rows: sizeOf(x.shape) / columns,
    columns,
    epsilon,
    centered,
    hasWeight: weight !== undefined,
    hasBias: bias !== undefined,
  });
}

/**
 * The last axis (or the last `axes`) of x less its mean, over its standard deviation (biased), times `weight`, plus `bias`,
 * which have the shape of what is normalized. Ba et al. 2016. Throws ModelError if a shape does not fit.
 *
 * @example
 * layerNorm(input([32, 10, 64])); // each of the 320 rows has mean 0 and variance 1
 */
export function layerNorm(x: Tensor, options: LayerNormOptions = {}): Tensor {
  return normalizeLast("layerNorm", x, true, readOptions("layerNorm", options, LAYER_NORM));
}

type RmsNormOptions = Omit<LayerNormOptions, "bias">;

/** float32's distance from 1 to the next number. */
const FLOAT32_EPSILON = 2 ** -23;
const RMS_NORM = {
  weight: TENSOR,
  epsilon: number(FLOAT32_EPSILON, { min: 0 }),
  axes: AXES,
} satisfies OptionsOf<RmsNormOptions>;

/**
 * The last axis (or the last `axes`) of x over the root of its mean square, times `weight`. Default epsilon 2⁻²³, as in
 * PyTorch. Zhang & Sennrich 2019. Throws ModelError if a shape does not fit.
 */
export function rmsNorm(x: Tensor, options: RmsNormOptions = {}): Tensor {
  return normalizeLast("rmsNorm", x, false, { bias: undefined, ...readOptions("rmsNorm", options, RMS_NORM) });
}
