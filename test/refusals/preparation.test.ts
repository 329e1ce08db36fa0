// The sweep over all that "steepest/callbacks", "steepest/cluster", "steepest/data", "steepest/images", "steepest/inspect", "steepest/keras",
// "steepest/metrics", "steepest/onnx", "steepest/quantize", "steepest/search", "steepest/standalone" and "steepest/text" export: see sweep.ts
// for the rule that it holds.
import { describe, expect, test } from "vitest";
import { callbackRows, namesOfCallbacks } from "./rows/callbacks.js";
import { clusterRows, namesOfCluster } from "./rows/cluster.js";
import { diagnosticsRows, namesOfDiagnostics } from "./rows/diagnostics.js";
import { inspectRows, namesOfInspect } from "./rows/inspect.js";
import { kerasRows, namesOfKeras } from "./rows/keras.js";
import { arrayMetricRows, namesOfMetrics } from "./rows/metrics.js";
import { namesOfOnnx, onnxRows } from "./rows/onnx.js";
import { namesOfPictures, pictureRows } from "./rows/pictures.js";
import { namesOfPreparation, preparationRows } from "./rows/preparation.js";
import { namesOfQuantize, quantizeRows } from "./rows/quantize.js";
import { namesOfStandalone, standaloneRows } from "./rows/standalone.js";
import { sweep, sweptCalls } from "./sweep.js";

const rows = [
  ...preparationRows,
  ...arrayMetricRows,
  ...inspectRows,
  ...diagnosticsRows,
  ...pictureRows,
  ...callbackRows,
  ...onnxRows,
  ...kerasRows,
  ...clusterRows,
  ...standaloneRows,
  ...quantizeRows,
];

describe("bad arguments", () => {
  sweep(rows, () => undefined);
});

test("every export has a row", () => {
  const named = rows.map(({ name }) => name);
  const names = [
    ...namesOfPreparation,
    ...namesOfMetrics,
    ...namesOfInspect,
    ...namesOfDiagnostics,
    ...namesOfPictures,
    ...namesOfCallbacks,
    ...namesOfOnnx,
    ...namesOfKeras,
    ...namesOfCluster,
    ...namesOfStandalone,
    ...namesOfQuantize,
  ];
  expect(names.filter((name) => !named.includes(name))).toEqual([]);
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(1000);
});
