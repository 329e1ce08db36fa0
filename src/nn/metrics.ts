// Metrics as options of compile(): each adds up over the batches of an epoch.

import { checkFunction, checkInteger, checkNone, ModelError, showValue } from "../engine/errors.js";
import { fn, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { constant, isTensor, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { equal, greater, less, where } from "../ops/comparison.js";
import { mul } from "../ops/elementwise.js";
import { meanAbsoluteError, meanSquaredError } from "../ops/loss.js";
import { weightedTotal } from "../ops/lossUnits.js";
import { absoluteErrors, squaredErrors } from "../ops/lossValues.js";
import { sum } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";
import { checkName } from "./layer.js";
import type { Loss } from "./losses.js";
import { countedUnits, countedWeights, hasIndices, unitsOf, unitTotal } from "./weights.js";

/** `accuracy`: the share of right answers, as the loss understands it. The errors are means over all elements. */
export type MetricName = "accuracy" | "meanSquaredError" | "meanAbsoluteError";

/** What a metric is made of: tensors [batch, …] of one output. */
export interface Measured {
  /** The output as it comes out of the last layer. */
  readonly output: Tensor;
  /** What predict() makes of it. */
  readonly prediction: Tensor;
  readonly target: Tensor;
  readonly loss: Loss;
  /** Of the samples [batch], or of their positions [batch, …], if the output has weights. */
  readonly weights?: Tensor | undefined;
}

/** A sum over a batch, and what the sum of these sums is divided by. */
export interface MetricTotal {
  /** A scalar tensor. */
  readonly total: Tensor;
  /** How many were added up: a scalar tensor, if it depends on values. */
  readonly count: Tensor | number;
}

/** Several sums over a batch, and what becomes of them in the end. */
export interface MetricSums {
  /** A tensor whose shape does not depend on the batch: each element is summed over all batches in float64. */
  readonly sums: Tensor;
  /** The score, of the sums over all batches. */
  readonly finish: (sums: Float64Array) => number;
  /** Metrics of one key have the same sums, which are then computed once. Default: the metric's name. */
  readonly key?: string;
}

export interface Metric<Name extends string = string> {
  readonly name: Name;
  /** Throws ModelError if the metric means nothing. */
  measure(of: Measured): MetricTotal | MetricSums;
  /** What becomes of the mean in the end. Default: nothing. */
  finish?(mean: number): number;
}

/** The name under which a metric is found in the scores. */
export type NameOfMetric<M> = M extends Metric
  ? NameOf<M>
  : M extends MetricsByOutput
    ? NameOf<M[keyof M][number]>
    : NameOf<M>;

type NameOf<M> = M extends Metric<infer Name> ? Name : M & string;

/** A list of metrics for each output, by name. */
export interface MetricsByOutput {
  readonly [output: string]: readonly (MetricName | Metric)[];
}

/** A metric of a list, or lists by output. */
export type AnyMetrics = MetricName | Metric | MetricsByOutput;

const HABITS: Readonly<Record<string, MetricName>> = {
  acc: "accuracy",
  mse: "meanSquaredError",
  mae: "meanAbsoluteError",
};

const NAMED: Readonly<Record<MetricName, Metric>> = {
  accuracy: {
    name: "accuracy",
    measure({ output, target, loss, weights }) {
      const { correct, right } = loss;
      if (weights !== undefined && right !== undefined) {
        return weightedTotal("accuracy", right(output, target), countedWeights(loss, target, weights));
      }
      if (correct !== undefined && weights !== undefined) {
        throw new ModelError(
          `accuracy: ${loss.name} must say which answers are right to weigh them, got how many: give defineLoss() the option right`,
        );
      }
      if (correct === undefined) {
        const remedy = loss.targetShape === undefined ? 'use "meanAbsoluteError" or "meanSquaredError"' : COMPARE;
        throw new ModelError(`${loss.name} has no right and wrong, so no accuracy: ${remedy}`);
      }
      const counted = countedUnits(loss, target);
      return { total: correct(output, target), count: counted === undefined ? answersOf(loss, output) : sum(counted) };
    },
  },
  meanSquaredError: {
    name: "meanSquaredError",
    measure: (of) => measureError("meanSquaredError", meanSquaredError, squaredErrors, of),
  },
  meanAbsoluteError: {
    name: "meanAbsoluteError",
    measure: (of) => measureError("meanAbsoluteError", meanAbsoluteError, absoluteErrors, of),
  },
};

// Of a target that is a sequence, with no position for each of the output's.
const COMPARE = "leave it out, and compare what predict() gives";

function measureError(
  name: MetricName,
  operation: typeof meanSquaredError,
  values: typeof squaredErrors,
  { prediction, target, loss, weights }: Measured,
): MetricTotal {
  if (loss.targetShape !== undefined) {
    throw new ModelError(`${name} compares values, but a target of ${loss.name} is no output: ${COMPARE}`);
  }
  if (hasIndices(loss) || loss.targets === "distributions") {
    throw new ModelError(`${name} compares values, but ${loss.name} has ${loss.targets}: use "accuracy"`);
  }
  const of = (given: Tensor) => weightedTotal(name, values(prediction, target), given);
  if (weights !== undefined) return of(countedWeights(loss, target, weights));
  const counted = countedUnits(loss, target);
  if (counted !== undefined) return of(counted);
  return { total: operation(prediction, target, { reduction: "sum" }), count: sizeOf(prediction.shape) };
}

/** How many answers a batch has. */
function answersOf(loss: Loss, { shape: [batch, ...output] }: Tensor): number {
  return batch * sizeOf(unitsOf(loss, output));
}

/** A metric by its name, or as a value. Throws ModelError for what is none. */
export function checkMetric(where: string, given: unknown): Metric {
  if (typeof given === "string" && Object.hasOwn(NAMED, given)) return NAMED[given as MetricName];
  const { name, measure } = (given ?? {}) as Partial<Metric>;
  if (typeof name === "string" && name !== "" && typeof measure === "function") return given as Metric;
  const meant = typeof given === "string" && Object.hasOwn(HABITS, given) ? `: write ${showValue(HABITS[given])}` : "";
  throw new ModelError(
    `${where}: a metric must be one of ${Object.keys(NAMED).join(", ")}, what a function such as f1() or rocAuc() gives, or made by defineMetric(), got ${showValue(given)}${meant}`,
  );
}

export interface DefineMetricOptions {
  /** What becomes of the mean in the end, as `Math.sqrt` of a mean of squares. Default: nothing. */
  finish?: (mean: number) => number;
}

const DEFINE_METRIC = {
  finish: optional(fn<(mean: number) => number>()),
} satisfies OptionsOf<DefineMetricOptions>;

/** A metric of several sums. */
export interface DefineMetricSums {
  /** A float32 tensor whose shape does not depend on the batch. Its elements are summed over all batches in float64. */
  sums: (of: Measured) => Tensor;
  /** The score, of the sums over all data. */
  finish: (sums: Float64Array) => number;
}

const METRIC_SUMS = {
  sums: fn<DefineMetricSums["sums"]>(),
  finish: fn<DefineMetricSums["finish"]>(),
} satisfies OptionsOf<DefineMetricSums>;

/**
 * A custom metric: a function of an output's tensors that gives a tensor of any shape, a value for each sample, position or
 * element. The score is the mean of all of them, over the whole data; weighted, if the function gives `{ values, weights }`,
 * two tensors of one shape. It is found under `name`.
 *
 * A metric of several sums is an object: `sums` gives a tensor of the same shape for every batch, and `finish` makes the
 * score of its sums over all data. Weights are then its own affair: they are in `of.weights`.
 *
 * @throws ModelError if a part is none. What the function gives is checked by `compile`.
 * @example
 * const error = defineMetric("rootMeanSquare", ({ prediction, target }) => square(sub(prediction, target)), {
 *   finish: Math.sqrt,
 * });
 *
 * const bias = defineMetric("bias", {
 *   sums: ({ prediction, target }) => stack([sum(prediction), sum(target)]),
 *   finish: ([predicted, actual]) => predicted / actual - 1,
 * });
 */
export function defineMetric<const Name extends string>(
  name: Name,
  values: ((of: Measured) => Tensor | { readonly values: Tensor; readonly weights: Tensor }) | DefineMetricSums,
  options: DefineMetricOptions = {},
): Metric<Name> {
  checkName("defineMetric", name);
  if (typeof values === "object" && values !== null) {
    checkNone("defineMetric, of sums", [options]);
    const { sums, finish } = readOptions("defineMetric", values, METRIC_SUMS);
    return { name, measure: (of) => ({ sums: checkFloat(name, sums(of)), finish }) };
  }
  checkFunction("defineMetric", "what gives its values", values);
  const { finish } = readOptions("defineMetric", options, DEFINE_METRIC);
  return {
    name,
    measure(of) {
      const given = values(of);
      if (isTensor(given)) {
        checkFloat(name, given);
        if (of.weights !== undefined) return weightedTotal(name, given, of.weights);
        return { total: sum(given), count: sizeOf(given.shape) };
      }
      const isPair = typeof given === "object" && given !== null;
      const [one, other] = isPair
        ? [checkFloat(name, given.values), checkFloat(name, given.weights)]
        : [checkFloat(name, given), checkFloat(name, given)];
      if (!sameShape(one.shape, other.shape)) {
        throw new ModelError(
          `${name}: values and weights must have one shape, got ${showShape(one.shape)} and ${showShape(other.shape)}`,
        );
      }
      return { total: sum(mul(one, other)), count: sum(other) };
    },
    ...(finish === undefined ? {} : { finish }),
  };
}

function checkFloat(name: string, value: unknown): Tensor {
  if (isTensor(value) && value.dtype === "float32") return value;
  const got = isTensor(value) ? `a tensor of ${value.dtype}` : showValue(value);
  throw new ModelError(`${name}: must give a float32 tensor, or { values, weights }, got ${got}`);
}

/**
 * e to the mean cross-entropy of all positions: among how many equally likely classes the model is undecided. For
 * `crossEntropy()`; without what it ignores, and weighted as the loss is.
 *
 * @example
 * const trainer = await compile(model, { loss: crossEntropy({ ignoreIndex: -1 }), optimizer: adam(), metrics: [perplexity()] });
 */
export function perplexity(...none: []): Metric<"perplexity"> {
  checkNone("perplexity", none);
  return {
    name: "perplexity",
    measure({ output, target, loss, weights }) {
      if (loss.targets !== "classes" && loss.targets !== "distributions") {
        throw new ModelError(
          `perplexity: needs targets that are classes or distributions, but ${loss.name} has ${loss.targets}`,
        );
      }
      return unitTotal(loss, output, target, weights);
    },
    finish: Math.exp,
  };
}

/**
 * The share of samples, or of positions, whose class is among the `k` of the largest logits: fewer than `k` others are
 * larger. Found as `top3Accuracy` for `topK(3)`. For `crossEntropy()` with classes; ignores what it ignores. A row with NaN
 * is wrong.
 *
 * @throws ModelError if k is no whole number of at least 1, or not below the number of classes.
 */
export function topK<const K extends number>(k: K): Metric<`top${K}Accuracy`> {
  checkInteger("topK", "k", k, 1);
  return {
    name: `top${k}Accuracy`,
    measure({ output, target, loss, weights }) {
      if (loss.targetShape !== undefined || loss.classes !== undefined) {
        throw new ModelError(
          `topK: needs a class for each position, but a target of ${loss.name} is no output: ${COMPARE}`,
        );
      }
      if (loss.targets !== "classes") {
        throw new ModelError(`topK: needs targets that are classes, but ${loss.name} has ${loss.targets}`);
      }
      const classes = output.shape[output.shape.length - 1];
      if (k >= classes) {
        throw new ModelError(`topK: k must be below the ${classes} classes, got ${k}: all answers would be right`);
      }
      const labels = reshape(target, [...target.shape, 1]);
      const indices = constant(Uint32Array.from({ length: classes }, (_, index) => index));
      const last = output.shape.length - 1;
      const own = sum(where(equal(labels, indices), output, 0), last, { keepDims: true });
      const larger = sum(greater(output, own), last);
      // NaN is not equal to itself.
      const isNumber = equal(sum(equal(output, output), last), classes);
      const hits = mul(less(larger, k), isNumber);
      if (weights !== undefined) return weightedTotal("topK", hits, countedWeights(loss, target, weights));
      const counted = countedUnits(loss, target);
      if (counted === undefined) return { total: sum(hits), count: sizeOf(hits.shape) };
      return { total: sum(mul(hits, counted)), count: sum(counted) };
    },
  };
}
