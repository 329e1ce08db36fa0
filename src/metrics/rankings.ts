// Curves and areas of scores over arrays.
import { DataError, showValue } from "../engine/errors.js";
import { choice, flag, integer, joined, type OptionsOf, readOptions } from "../engine/options.js";
import { precisionRecallArea, type Ranking, rocArea } from "../nn/rankings.js";
import { type OrderWithin, rankingOf, ScoreBins } from "./bins.js";
import {
  type Accumulator,
  checkClassIndices,
  checkFinite,
  checkWeights,
  checkYesNo,
  columnsOf,
  type Numbers,
  scoreAtOnce,
  WEIGHTED,
  type Weighted,
} from "./lists.js";

/** 1 or true for yes, 0 or false for no. */
export type YesNo = ArrayLike<number> | ArrayLike<boolean>;

export interface LimitOptions {
  /** How many distinct scores are kept, of each class; beyond it, neighbours are merged. Default 65,536. */
  limit?: number;
}

/** Of scores; how exact it is depends on how many distinct ones there are. */
export interface ScoreAccumulator<Value> extends Accumulator<Numbers, YesNo, Value> {
  /**
   * How far the score may be from the exact one: 0 until there are more distinct scores than the limit. It follows from the
   * best and the worst order of what was merged.
   */
  error(): number;
}

const LIMIT = { limit: integer(65536, { min: 2 }) } satisfies OptionsOf<LimitOptions>;
const NO_LIMIT = Number.POSITIVE_INFINITY;

/** Scores [samples], of yes and no; or [samples, classes] and class indices: columns of bins, made by the first samples. */
class ScoreColumns {
  #columns: ScoreBins[] = [];
  #classes = 0;

  constructor(
    readonly where: string,
    readonly limit: number,
    readonly isBinary = false,
  ) {}

  get classes(): number {
    return this.#classes;
  }

  add(scores: Numbers, targets: YesNo, weights?: Numbers): void {
    const { where } = this;
    checkFinite(where, "scores", scores);
    if (typeof targets !== "object" || targets === null || !(targets.length > 0)) {
      throw new DataError(`${where}: targets must be an array, not empty, got ${showValue(targets)}`);
    }
    const count = targets.length;
    const columns = columnsOf(where, "scores", scores, count);
    if (columns !== (this.#classes === 2 && this.#columns.length === 1 ? 1 : this.#classes || columns)) {
      throw new DataError(`${where}: scores must have as many columns as before, got ${columns}`);
    }
    if (this.isBinary && columns !== 1) {
      throw new DataError(`${where}: scores must be one for each of ${count} samples, got ${scores.length}`);
    }
    const isYes = columns === 1 ? checkYesNo(where, targets) : undefined;
    if (isYes === undefined) checkClassIndices(where, targets, columns);
    const weightOf = checkWeights(where, weights, count);
    if (this.#columns.length === 0) {
      this.#classes = Math.max(2, columns);
      this.#columns = Array.from({ length: columns }, () => new ScoreBins(this.#classes, this.limit));
    }
    for (let row = 0; row < count; row++) {
      const weight = weightOf(row);
      // What weighs nothing is no point of a curve.
      if (weight === 0) continue;
      const of = isYes === undefined ? (targets as Numbers)[row] : Number(isYes(row));
      for (let column = 0; column < columns; column++) {
        this.#columns[column].add(scores[row * columns + column], of, weight);
      }
    }
  }

  /** Of the scores of a class: those of this class against all others, or against one of them. */
  ranking(of: number, against?: number, order?: OrderWithin): ReturnType<typeof rankingOf> {
    const column = this.#columns[this.#columns.length === 1 ? 0 : of];
    const isNegative = (index: number) => (against === undefined ? index !== of : index === against);
    return rankingOf(column?.intervals() ?? [], (index) => index === of, isNegative, order);
  }

  get isOneColumn(): boolean {
    return this.#columns.length <= 1;
  }
}

export interface AreaOptions {
  /** Over classes: `"macro"` (the default), the mean, or weighted by how many samples are of each. */
  average?: "macro" | "weighted";
}

export interface RocAucOptions extends AreaOptions {
  /** Each class against all others, or against each other one (Hand & Till 2001). Default `"oneVsRest"`. */
  multiClass?: "oneVsRest" | "oneVsOne";
}

const AREA = { average: choice("macro", ["macro", "weighted"]) } satisfies OptionsOf<AreaOptions>;
const ROC_AUC = {
  average: choice("macro", ["macro", "weighted"]),
  multiClass: choice("oneVsRest", ["oneVsRest", "oneVsOne"]),
} satisfies OptionsOf<RocAucOptions>;
const ROC_AUC_AT_ONCE = joined(ROC_AUC, WEIGHTED);
const ROC_AUC_LIMITED = joined(ROC_AUC, LIMIT);
const AREA_AT_ONCE = joined(AREA, WEIGHTED);
const AREA_LIMITED = joined(AREA, LIMIT);

interface AreaPlan {
  readonly average: "macro" | "weighted";
  readonly multiClass: "oneVsRest" | "oneVsOne";
}

const totalOf = ({ positives }: Ranking): number => (positives as number[]).reduce((a, b) => a + b, 0);
const hasBoth = ({ positives, negatives }: Ranking): boolean =>
  (positives as number[]).some((one) => one > 0) && (negatives as number[]).some((one) => one > 0);

/** The area, averaged over classes or pairs of classes that have samples. */
function areaOf(
  columns: ScoreColumns,
  { average, multiClass }: AreaPlan,
  area: (ranking: Ranking) => number,
  order?: OrderWithin,
): number {
  if (columns.isOneColumn) return columns.classes === 0 ? Number.NaN : area(columns.ranking(1, undefined, order));
  let [sum, weights] = [0, 0];
  const take = (value: number, weight: number): void => {
    sum += value * (average === "weighted" ? weight : 1);
    weights += average === "weighted" ? weight : 1;
  };
  for (let one = 0; one < columns.classes; one++) {
    if (multiClass === "oneVsRest") {
      const ranking = columns.ranking(one, undefined, order);
      if (hasBoth(ranking)) take(area(ranking), totalOf(ranking));
      continue;
    }
    for (let other = one + 1; other < columns.classes; other++) {
      const [first, second] = [columns.ranking(one, other, order), columns.ranking(other, one, order)];
      if (hasBoth(first)) take((area(first) + area(second)) / 2, totalOf(first) + totalOf(second));
    }
  }
  return sum / weights;
}

function areaAccumulator(
  where: string,
  plan: AreaPlan,
  limit: number,
  area: (ranking: Ranking) => number,
): ScoreAccumulator<number> {
  const columns = new ScoreColumns(where, limit);
  const value = (order?: OrderWithin): number => areaOf(columns, plan, area, order);
  return {
    add: (scores, targets, weights) => columns.add(scores, targets, weights),
    value: () => value(),
    error() {
      const [best, own, worst] = [value("best"), value(), value("worst")];
      return Math.max(best - own, own - worst);
    },
  };
}

export function accumulateRocAuc(options: RocAucOptions & LimitOptions = {}): ScoreAccumulator<number> {
  const { limit, ...plan } = readOptions("rocAuc", options, ROC_AUC_LIMITED);
  return areaAccumulator("rocAuc", plan, limit, rocArea);
}

/**
 * Area under the ROC curve: how probably a yes has a higher score than a no; equal ones count half. NaN if there is only one
 * of both. Of several classes an average, without classes that have no samples. `roc_auc_score`.
 *
 * @param scores One for each sample; or [samples, classes], flat.
 * @param targets 1 and 0; or the class index of each sample.
 * @throws {DataError} If they do not fit; {ModelError} for wrong options.
 * @example
 * rocAuc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]); // 0.75
 */
export function rocAuc(scores: Numbers, targets: YesNo, options: RocAucOptions & Weighted = {}): number {
  const { weights, ...plan } = readOptions("rocAuc", options, ROC_AUC_AT_ONCE);
  return scoreAtOnce(areaAccumulator("rocAuc", plan, NO_LIMIT, rocArea), scores, targets, weights);
}

const ONE_VS_REST = { multiClass: "oneVsRest" } as const;
const belowLines = (ranking: Ranking): number => precisionRecallArea(ranking, "lines");
const belowSteps = (ranking: Ranking): number => precisionRecallArea(ranking, "steps");

export function accumulatePrAuc(options: AreaOptions & LimitOptions = {}): ScoreAccumulator<number> {
  const { limit, average } = readOptions("prAuc", options, AREA_LIMITED);
  return areaAccumulator("prAuc", { ...ONE_VS_REST, average }, limit, belowLines);
}

/** Area under the precision-recall curve, its points joined by lines: `auc(recall, precision)`. As `rocAuc`. */
export function prAuc(scores: Numbers, targets: YesNo, options: AreaOptions & Weighted = {}): number {
  const { weights, average } = readOptions("prAuc", options, AREA_AT_ONCE);
  const plan = { ...ONE_VS_REST, average };
  return scoreAtOnce(areaAccumulator("prAuc", plan, NO_LIMIT, belowLines), scores, targets, weights);
}

export function accumulateAveragePrecision(options: AreaOptions & LimitOptions = {}): ScoreAccumulator<number> {
  const { limit, average } = readOptions("averagePrecision", options, AREA_LIMITED);
  return areaAccumulator("averagePrecision", { ...ONE_VS_REST, average }, limit, belowSteps);
}

/** Area below the steps of the precision-recall curve. `average_precision_score`. As `rocAuc`. */
export function averagePrecision(scores: Numbers, targets: YesNo, options: AreaOptions & Weighted = {}): number {
  const { weights, average } = readOptions("averagePrecision", options, AREA_AT_ONCE);
  const plan = { ...ONE_VS_REST, average };
  return scoreAtOnce(areaAccumulator("averagePrecision", plan, NO_LIMIT, belowSteps), scores, targets, weights);
}

export interface RocCurve {
  /** The share of the no that are taken for yes, from each threshold on. */
  readonly falsePositiveRate: readonly number[];
  /** The share of the yes that are. */
  readonly truePositiveRate: readonly number[];
  /** Descending, Infinity first: nothing is a yes. */
  readonly thresholds: readonly number[];
}

export interface RocCurveOptions {
  /** Whether points on a line between others are left out. Default true. */
  dropIntermediate?: boolean;
}

const ROC_CURVE = { dropIntermediate: flag(true) } satisfies OptionsOf<RocCurveOptions>;
const ROC_CURVE_AT_ONCE = joined(ROC_CURVE, WEIGHTED);
const ROC_CURVE_LIMITED = joined(ROC_CURVE, LIMIT);

/** Sums from the first on. */
function running(values: ArrayLike<number>): number[] {
  let sum = 0;
  return Array.from(values, (value) => {
    sum += value;
    return sum;
  });
}

function rocCurveOf(columns: ScoreColumns, dropIntermediate: boolean): RocCurve {
  const { positives, negatives, thresholds } = columns.ranking(1);
  const [found, wrong] = [running(positives), running(negatives)];
  const last = found.length - 1;
  const bends = (list: number[], at: number): boolean => list[at + 1] - list[at] !== list[at] - list[at - 1];
  const kept = found
    .map((_, index) => index)
    .filter((at) => !dropIntermediate || last < 2 || at === 0 || at === last || bends(found, at) || bends(wrong, at));
  const rate = (list: number[]): number[] => [0, ...kept.map((at) => list[at])].map((one) => one / list[last]);
  return {
    falsePositiveRate: rate(wrong),
    truePositiveRate: rate(found),
    thresholds: [Number.POSITIVE_INFINITY, ...kept.map((at) => thresholds[at])],
  };
}

export function accumulateRocCurve(
  options: RocCurveOptions & LimitOptions = {},
): Accumulator<Numbers, YesNo, RocCurve> {
  const { dropIntermediate, limit } = readOptions("rocCurve", options, ROC_CURVE_LIMITED);
  return curve(new ScoreColumns("rocCurve", limit, true), (columns) => rocCurveOf(columns, dropIntermediate));
}

function curve<Value>(
  columns: ScoreColumns,
  value: (columns: ScoreColumns) => Value,
): Accumulator<Numbers, YesNo, Value> {
  return {
    add: (scores, targets, weights) => columns.add(scores, targets, weights),
    value: () => value(columns),
  };
}

/** The points of the ROC curve, of scores and yes (1) or no (0). `roc_curve`. Errors as those of `rocAuc`. */
export function rocCurve(scores: Numbers, targets: YesNo, options: RocCurveOptions & Weighted = {}): RocCurve {
  const { weights, dropIntermediate } = readOptions("rocCurve", options, ROC_CURVE_AT_ONCE);
  const columns = new ScoreColumns("rocCurve", NO_LIMIT, true);
  return scoreAtOnce(
    curve(columns, () => rocCurveOf(columns, dropIntermediate)),
    scores,
    targets,
    weights,
  );
}

export interface PrecisionRecallCurve {
  /** Of what is a yes from each threshold on, the share that is rightly. 1 at the end, where nothing is. */
  readonly precision: readonly number[];
  readonly recall: readonly number[];
  /** Ascending; one less than there are points. */
  readonly thresholds: readonly number[];
}

function precisionRecallCurveOf(columns: ScoreColumns): PrecisionRecallCurve {
  const { positives, negatives, thresholds } = columns.ranking(1);
  const [found, wrong] = [running(positives), running(negatives)];
  const all = found[found.length - 1];
  return {
    precision: [...found.map((one, at) => one / (one + wrong[at])).reverse(), 1],
    recall: [...found.map((one) => (all === 0 ? 1 : one / all)).reverse(), 0],
    thresholds: [...thresholds].reverse(),
  };
}

export function accumulatePrecisionRecallCurve(
  options: LimitOptions = {},
): Accumulator<Numbers, YesNo, PrecisionRecallCurve> {
  const { limit } = readOptions("precisionRecallCurve", options, LIMIT);
  return curve(new ScoreColumns("precisionRecallCurve", limit, true), precisionRecallCurveOf);
}

/** The points of the precision-recall curve. `precision_recall_curve`. Errors as those of `rocAuc`. */
export function precisionRecallCurve(scores: Numbers, targets: YesNo, options: Weighted = {}): PrecisionRecallCurve {
  const { weights } = readOptions("precisionRecallCurve", options, WEIGHTED);
  const columns = new ScoreColumns("precisionRecallCurve", NO_LIMIT, true);
  return scoreAtOnce(curve(columns, precisionRecallCurveOf), scores, targets, weights);
}
