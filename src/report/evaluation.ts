// What a classifier answered, for a report: confusion, curves, and the samples of which it was surest and wrong.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { integer, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { type Shape, sizeOf } from "../graph/tensor.js";
import { flattenValues, type Values } from "../graph/values.js";
import { predictOptionsOf } from "../metrics/answers.js";
import { type AnswerData, averagePrecision, precisionRecallCurve, rocAuc, rocCurve } from "../metrics/index.js";
import { checkSamples } from "../train/data.js";
import type { Predictor } from "../train/trainer.js";
import type { ClassCurves, EvaluationRecord, WorstSample } from "./record.js";

export interface EvaluationOptions {
  /** What the classes are called, by index. Default: their indices. */
  labels?: readonly string[];
  /** How many of the worst samples are listed. Default 24. */
  worst?: number;
  /**
   * Shape of a sample as an image, [height, width] or [height, width, channels], to be drawn. Default: the input's shape, if it
   * has three axes and 1, 3 or 4 channels.
   */
  image?: Shape;
}

const OPTIONS = {
  labels: optional(unchecked<readonly string[]>()),
  worst: integer(24, { min: 0, max: 1000 }),
  image: optional(unchecked<Shape>()),
} satisfies OptionsOf<EvaluationOptions>;

// A curve is drawn on some hundred pixels.
const CURVE_POINTS = 200;

/**
 * What a classifier answers to these samples, as a record for a report. The targets are class indices, or 0 and 1 for an output
 * of one number.
 *
 * @throws {DataError} If the targets are no class indices of this model.
 */
export async function evaluationRecord(
  trainer: Pick<Predictor, "model" | "predict">,
  data: AnswerData,
  options: EvaluationOptions = {},
): Promise<EvaluationRecord> {
  const where = "evaluationRecord";
  const { labels, worst, image } = readOptions(where, options, OPTIONS);
  const { model, predict } = trainer ?? {};
  if (typeof predict !== "function" || model === undefined) {
    throw new ModelError(`${where}: must be given what compile() returns, got ${showValue(trainer)}`);
  }
  const samples = checkSamples(data, `${where}: data`) as AnswerData;
  const { x, y } = isList(samples)
    ? ({ x: samples.map((one) => one.x), y: samples.map((one) => one.y) } as Both)
    : samples;
  const predicted = await trainer.predict(x, predictOptionsOf(samples));
  const targets = Array.from(flattenValues("y", y).data as ArrayLike<number>, Number);
  const units = predicted.length / targets.length;
  const classes = Math.max(2, units);
  const names = namesOf(where, labels, classes);
  for (const [index, target] of targets.entries()) {
    if (Number.isInteger(target) && target >= 0 && target < classes) continue;
    throw new DataError(
      `${where}: y must be class indices below ${classes}, got ${showValue(target)} at index ${index}: it is for classifiers`,
    );
  }
  const probability = (sample: number, of: number): number => {
    if (units > 1) return predicted[sample * units + of];
    return of === 1 ? predicted[sample] : 1 - predicted[sample];
  };
  const chosen = targets.map((_, sample) => {
    let best = 0;
    for (let of = 1; of < classes; of++) if (probability(sample, of) > probability(sample, best)) best = of;
    return best;
  });
  const confusion = names.map(() => new Array<number>(classes).fill(0));
  chosen.forEach((answer, sample) => confusion[targets[sample]][answer]++);
  const wrong = chosen
    .map((answer, index) => ({ index, answer, probability: probability(index, targets[index]) }))
    .filter(({ index, answer }) => answer !== targets[index])
    .sort((a, b) => a.probability - b.probability);
  const drawing = pictureOf(trainer.model.inputShape as Shape, image);
  const values = drawing === undefined ? undefined : (flattenValues("x", x).data as ArrayLike<number>);
  return {
    type: "evaluation",
    labels: names,
    confusion,
    curves: names.flatMap((label, of) => (classes === 2 && of === 0 ? [] : curvesOf(label, of, targets, probability))),
    worst: wrong.slice(0, worst).map(({ index, answer, probability }): WorstSample => {
      const sample = { index, label: names[targets[index]], predicted: names[answer], probability };
      return drawing === undefined || values === undefined ? sample : { ...sample, image: drawing(values, index) };
    }),
  };
}

function namesOf(where: string, labels: readonly string[] | undefined, classes: number): readonly string[] {
  if (labels === undefined) return Array.from({ length: classes }, (_, index) => String(index));
  if (isArrayOf(labels, isText) && labels.length === classes) return labels;
  throw new ModelError(`${where}: labels must be ${classes} texts, one for each class, got ${showValue(labels)}`);
}

/** Of one input and one output. */
interface Both {
  readonly x: Values;
  readonly y: Values;
}

function isList(samples: AnswerData): samples is readonly Both[] {
  return Array.isArray(samples);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** The curves of one class against all others; none if there are no samples of it, or no others. */
function curvesOf(
  label: string,
  of: number,
  targets: readonly number[],
  probability: (sample: number, of: number) => number,
): ClassCurves[] {
  const yes = targets.map((target) => (target === of ? 1 : 0));
  if (!yes.includes(1) || !yes.includes(0)) return [];
  const scores = yes.map((_, sample) => probability(sample, of));
  const roc = rocCurve(scores, yes);
  const curve = precisionRecallCurve(scores, yes);
  return [
    {
      label,
      roc: thinned(roc.falsePositiveRate, roc.truePositiveRate),
      precisionRecall: thinned(curve.recall, curve.precision),
      rocAuc: rocAuc(scores, yes),
      averagePrecision: averagePrecision(scores, yes),
    },
  ];
}

/** As many points as can be seen, the first and the last among them. */
function thinned(x: ArrayLike<number>, y: ArrayLike<number>): (readonly [number, number])[] {
  const count = Math.min(x.length, CURVE_POINTS);
  const round = (value: number): number => Number(value.toFixed(5));
  return Array.from({ length: count }, (_, i) => {
    const at = count === 1 ? 0 : Math.round((i * (x.length - 1)) / (count - 1));
    return [round(x[at]), round(y[at])] as const;
  });
}

type Draw = (values: ArrayLike<number>, sample: number) => NonNullable<WorstSample["image"]>;

/** Draws a sample as an image, from its least number to its largest; `undefined` if it is none. */
function pictureOf(inputShape: Shape, asked: Shape | undefined): Draw | undefined {
  const isImage = Array.isArray(inputShape) && inputShape.length === 3 && [1, 3, 4].includes(inputShape[2]);
  const shape = asked ?? (isImage ? inputShape : undefined);
  if (shape === undefined) return undefined;
  const size = Array.isArray(inputShape) ? sizeOf(inputShape) : 0;
  const isShape = isArrayOf(shape, (one): one is number => Number.isInteger(one));
  const [height, width, channels = 1] = isShape ? shape : [];
  if (!isShape || shape.length < 2 || shape.length > 3 || sizeOf(shape) !== size || ![1, 3, 4].includes(channels)) {
    throw new ModelError(
      `evaluationRecord: image must be [height, width] or [height, width, channels] of ${size} numbers, got ${showValue(asked)}`,
    );
  }
  return (values, sample) => {
    const own = Array.from({ length: size }, (_, i) => values[sample * size + i]);
    const min = Math.min(...own);
    const range = Math.max(...own) - min || 1;
    return { width, height, channels, data: own.map((value) => Math.round(((value - min) / range) * 255)) };
  };
}
