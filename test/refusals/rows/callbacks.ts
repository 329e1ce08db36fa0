// A row for each export of "steepest/callbacks".
import * as callbacks from "steepest/callbacks";
import type { Row } from "../sweep.js";

const store = () => ({ save: async () => {}, list: async () => [], remove: async () => {} });
const target = () => ({ write: () => {}, close: () => {}, begun: false });
const isTarget = { accepts: { "0": ["string"] as const }, records: ["0"], optional: ["0.close", "0.begun"] };

export const callbackRows: readonly Row[] = [
  {
    name: "earlyStopping",
    call: callbacks.earlyStopping,
    good: () => [{ monitor: "loss", patience: 2, minDelta: 0.1, mode: "min", restoreBest: true }],
    optional: ["0"],
    accepts: { "0.monitor": ["string"] },
  },
  {
    name: "reduceOnPlateau",
    call: callbacks.reduceOnPlateau,
    good: () => [
      {
        monitor: "loss",
        mode: "min",
        factor: 0.5,
        patience: 2,
        threshold: 0.1,
        thresholdMode: "relative",
        cooldown: 1,
        min: 0.1,
      },
    ],
    optional: ["0"],
    accepts: { "0.monitor": ["string"] },
  },
  {
    name: "checkpoints",
    call: callbacks.checkpoints,
    good: () => [{ store: store(), everySteps: 2, everyEpochs: 1, best: "loss", mode: "min", keep: 2 }],
    required: ["0.store", "0.store.save", "0.store.list", "0.store.remove"],
    records: ["0.store"],
    accepts: { "0.best": ["string"] },
  },
  {
    name: "checkpoints",
    call: callbacks.checkpoints,
    good: () => [{ store: store(), everyMinutes: 2 }],
    required: ["0.store"],
    opaque: ["0.store"],
  },
  { name: "timeLimit", call: callbacks.timeLimit, good: () => [20] },
  { name: "csvLog", call: callbacks.csvLog, good: () => [target()], ...isTarget },
  {
    name: "jsonLog",
    call: callbacks.jsonLog,
    good: () => [target(), { steps: true, layers: false, gradients: () => new Map() }],
    ...isTarget,
    optional: [...isTarget.optional, "1"],
  },
  { name: "progress", call: callbacks.progress, good: () => [] },
  {
    name: "liveCurve",
    call: callbacks.liveCurve,
    good: () => [{ monitor: ["loss"], width: 40, height: 8 }],
    optional: ["0"],
    accepts: { "0.monitor.*": ["string"] },
  },
];

export const namesOfCallbacks: readonly string[] = Object.keys(callbacks);
