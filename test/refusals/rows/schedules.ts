// A row for each schedule of learning rates.
import * as S from "steepest";
import type { Row } from "../sweep.js";

/** A schedule makes sense if its rates do; those of a user's function are looked at in the step that they are for. */
const check: NonNullable<Row["check"]> = (schedule, [given]) => {
  if ([given].flat().some((one) => typeof one === "function")) return;
  for (const step of [1, 2, 3, 1000]) {
    const rate = (schedule as S.Schedule)(step);
    if (!(rate >= 0 && rate < Infinity)) throw new Error(`rate ${rate} at step ${step}`);
  }
};
const rate = ["function"] as const;
const plateau = S.reduceOnPlateau(0.1);

const rows: readonly Omit<Row, "check">[] = [
  { name: "stepDecay", call: S.stepDecay, good: () => [0.1, { every: 10, factor: 0.5 }], required: ["1.every"] },
  {
    name: "multiStepDecay",
    call: S.multiStepDecay,
    good: () => [0.1, { milestones: [10, 20], factor: 0.5 }],
    required: ["1.milestones"],
  },
  {
    name: "exponentialDecay",
    call: S.exponentialDecay,
    good: () => [0.1, { factor: 0.5, every: 3 }],
    required: ["1.factor"],
  },
  {
    name: "polynomialDecay",
    call: S.polynomialDecay,
    good: () => [0.1, { steps: 10, end: 0.01, power: 2 }],
    required: ["1.steps"],
  },
  { name: "cosineDecay", call: S.cosineDecay, good: () => [0.1, { steps: 10, end: 0.01 }], required: ["1.steps"] },
  {
    name: "cosineRestarts",
    call: S.cosineRestarts,
    good: () => [0.1, { steps: 10, factor: 2, end: 0.01 }],
    required: ["1.steps"],
  },
  {
    name: "warmup",
    call: S.warmup,
    good: () => [0.1, { steps: 10, start: 0.1 }],
    required: ["1.steps"],
    accepts: { "0": rate },
  },
  {
    name: "oneCycle",
    call: S.oneCycle,
    good: () => [0.1, { steps: 10, rise: 0.3, startDivisor: 5, endDivisor: 100, shape: "linear", threePhases: true }],
    required: ["1.steps"],
  },
  { name: "inverseSquareRoot", call: S.inverseSquareRoot, good: () => [0.1, { warmup: 10 }], required: ["1.warmup"] },
  {
    name: "joinSchedules",
    call: S.joinSchedules,
    good: () => [
      [0.1, 0.01, 0.001],
      [10, 20],
    ],
    accepts: { "0.*": rate },
    opaque: ["1"],
  },
  {
    name: "reduceOnPlateau",
    call: S.reduceOnPlateau,
    good: () => [
      0.1,
      { factor: 0.5, patience: 3, threshold: 0.1, thresholdMode: "absolute", mode: "max", cooldown: 2, min: 0.001 },
    ],
    optional: ["1"],
  },
];

export const scheduleRows: readonly Row[] = [
  ...rows.map((row) => ({ ...row, check })),
  { name: "observe", call: plateau.observe, good: () => [0.5] },
  {
    name: "restore",
    call: plateau.restore,
    good: () => [{ rate: 0.1, best: 2, waited: 1, cooling: 0 }],
    accepts: { "0.best": ["null"] },
    records: ["0"],
  },
];
