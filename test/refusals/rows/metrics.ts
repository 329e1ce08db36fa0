// A row for each metric: those of a program, of "steepest", and those over arrays, of "steepest/metrics".
import * as S from "steepest";
import * as metrics from "steepest/metrics";
import type { Kind } from "../badValues.js";
import type { Row } from "../sweep.js";

type Make = (options?: object) => unknown;

const named = { name: "mine" };
const ofAnswers = { ...named, threshold: 0.4 };
const ofClasses = { ...ofAnswers, average: "micro", class: 1, zeroDivision: Number.NaN };
const ofRankings = { ...named, bins: 50, average: "weighted", class: 0 };

const makers: readonly (readonly [name: string, make: unknown, options: object])[] = [
  ["precision", S.precision, ofClasses],
  ["recall", S.recall, ofClasses],
  ["specificity", S.specificity, ofClasses],
  ["f1", S.f1, ofClasses],
  ["fBeta", S.fBeta, { ...ofClasses, beta: 2 }],
  ["intersectionOverUnion", S.intersectionOverUnion, ofClasses],
  ["binaryAccuracy", S.binaryAccuracy, ofAnswers],
  ["balancedAccuracy", S.balancedAccuracy, { ...ofAnswers, adjusted: true }],
  ["cohenKappa", S.cohenKappa, { ...ofAnswers, distance: "linear" }],
  ["matthews", S.matthews, ofAnswers],
  ["rocAuc", S.rocAuc, ofRankings],
  ["prAuc", S.prAuc, ofRankings],
  ["averagePrecision", S.averagePrecision, ofRankings],
  ["expectedCalibrationError", S.expectedCalibrationError, { ...named, bins: 5 }],
  ["logLoss", S.logLoss, named],
  ["brier", S.brier, named],
  ["rootMeanSquaredError", S.rootMeanSquaredError, named],
  ["meanAbsolutePercentageError", S.meanAbsolutePercentageError, named],
  ["rSquared", S.rSquared, named],
  ["explainedVariance", S.explainedVariance, named],
  ["pearson", S.pearson, named],
];

/** Metrics as options of compile(). */
export const metricRows: readonly Row[] = makers.map(([name, make, options]) => ({
  name,
  call: make as Make,
  good: () => [{ ...options }],
  ...(name === "fBeta" ? { required: ["0.beta"] } : { optional: ["0"] }),
  nan: ["0.zeroDivision"],
  accepts: { "0.name": ["string"] },
}));

const lists: readonly Kind[] = ["array", "typed array"];
const label = ["number", "string", "boolean"] as const;
const labelLists = {
  "0": lists,
  "1": lists,
  "0.*": label,
  "1.*": label,
  "2.weights": lists,
  "2.labels.*": label,
} as const;
const numberLists = { "0": lists, "1": lists, "1.*": ["number", "boolean"], "2.weights": lists } as const;

const answers = (options: object) => () => [[0, 1, 1, 2], [0, 1, 2, 2], { ...options, weights: [1, 2, 0, 1] }];
const scores = (options: object) => () => [[0.1, 0.9, 0.4, 0.4], [0, 1, 1, 0], { ...options, weights: [1, 2, 0, 1] }];
const classScores = (options: object) => () => [
  [0.1, 0.9, 0.4, 0.6, 0.8, 0.2],
  [0, 1, 1],
  { ...options, weights: [1, 2, 1] },
];
const byLabel = { labels: [0, 1, 2], zeroDivision: Number.NaN };

const functions: readonly (readonly [
  name: string,
  call: unknown,
  good: () => readonly unknown[],
  kind: "labels" | "numbers",
])[] = [
  ["accuracy", metrics.accuracy, answers({}), "labels"],
  ["balancedAccuracy", metrics.balancedAccuracy, answers({ adjusted: true }), "labels"],
  ["cohenKappa", metrics.cohenKappa, answers({ labels: [0, 1, 2], distance: "linear" }), "labels"],
  ["matthews", metrics.matthews, answers({}), "labels"],
  ["precisionRecallFScoreSupport", metrics.precisionRecallFScoreSupport, answers({ ...byLabel, beta: 2 }), "labels"],
  ["intersectionOverUnion", metrics.intersectionOverUnion, answers(byLabel), "labels"],
  ["specificity", metrics.specificity, answers(byLabel), "labels"],
  [
    "classificationReport",
    metrics.classificationReport,
    answers({ ...byLabel, names: ["a", "b", "c"], digits: 3 }),
    "labels",
  ],
  [
    "confusionMatrix",
    metrics.confusionMatrix,
    answers({ labels: [0, 1, 2], names: ["a", "b", "c"], normalize: "all" }),
    "labels",
  ],
  ["topKAccuracy", metrics.topKAccuracy, classScores({ k: 1 }), "numbers"],
  ["rocAuc", metrics.rocAuc, classScores({ average: "weighted", multiClass: "oneVsOne" }), "numbers"],
  ["rocCurve", metrics.rocCurve, scores({ dropIntermediate: false }), "numbers"],
  ["prAuc", metrics.prAuc, scores({ average: "weighted" }), "numbers"],
  ["averagePrecision", metrics.averagePrecision, scores({ average: "weighted" }), "numbers"],
  ["precisionRecallCurve", metrics.precisionRecallCurve, scores({}), "numbers"],
  ["logLoss", metrics.logLoss, scores({}), "numbers"],
  ["perplexity", metrics.perplexity, classScores({}), "numbers"],
  ["brier", metrics.brier, scores({}), "numbers"],
  ["calibrationCurve", metrics.calibrationCurve, scores({ bins: 3 }), "numbers"],
  ["expectedCalibrationError", metrics.expectedCalibrationError, scores({ bins: 3 }), "numbers"],
  ["meanAbsoluteError", metrics.meanAbsoluteError, scores({}), "numbers"],
  ["rootMeanSquaredError", metrics.rootMeanSquaredError, scores({}), "numbers"],
  ["meanAbsolutePercentageError", metrics.meanAbsolutePercentageError, scores({}), "numbers"],
  ["rSquared", metrics.rSquared, scores({}), "numbers"],
  ["explainedVariance", metrics.explainedVariance, scores({}), "numbers"],
  ["pearson", metrics.pearson, scores({}), "numbers"],
  [
    "spearman",
    metrics.spearman,
    () => [
      [1, 2, 3],
      [3, 2, 1],
    ],
    "numbers",
  ],
];

const accumulators: readonly Row[] = Object.entries(metrics.accumulate).map(([name, make]) => ({
  name,
  call: make as Make,
  good: () => [{}],
  optional: ["0"],
}));

/** Metrics over arrays, and their accumulators. */
export const arrayMetricRows: readonly Row[] = [
  ...functions.map(([name, call, good, kind]) => ({
    name,
    call: call as Make,
    good,
    optional: ["2"],
    nan: ["2.zeroDivision"],
    accepts: kind === "labels" ? labelLists : numberLists,
  })),
  ...accumulators,
];

/** Names of all functions of "steepest/metrics". */
export const namesOfMetrics: readonly string[] = Object.entries(metrics)
  .filter(([, value]) => typeof value === "function")
  .map(([name]) => name);
