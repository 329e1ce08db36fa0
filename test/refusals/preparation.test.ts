// The sweep over all that "steepest/callbacks", "steepest/cluster", "steepest/data", "steepest/images", "steepest/inspect", "steepest/metrics", "steepest/onnx", "steepest/search", "steepest/standalone" and "steepest/text" export: see sweep.ts for the
// rule that it holds.
import { describe, expect, test } from "vitest";
import { callbackRows, namesOfCallbacks } from "./rows/callbacks.js";
import { clusterRows, namesOfCluster } from "./rows/cluster.js";
import { diagnosticsRows, namesOfDiagnostics } from "./rows/diagnostics.js";
import { inspectRows, namesOfInspect } from "./rows/inspect.js";
import { arrayMetricRows, namesOfMetrics } from "./rows/metrics.js";
import { namesOfOnnx, onnxRows } from "./rows/onnx.js";
import { namesOfPictures, pictureRows } from "./rows/pictures.js";
import { namesOfPreparation, preparationRows } from "./rows/preparation.js";
import { namesOfStandalone, standaloneRows } from "./rows/standalone.js";
import { sweep, sweptCalls } from "./sweep.js";

describe("bad arguments", () => {
  sweep(
    [
      ...preparationRows,
      ...arrayMetricRows,
      ...inspectRows,
      ...diagnosticsRows,
      ...pictureRows,
      ...callbackRows,
      ...onnxRows,
      ...clusterRows,
      ...standaloneRows,
    ],
    () => undefined,
  );
});

test("every export has a row", () => {
  const named = [
    ...preparationRows,
    ...arrayMetricRows,
    ...inspectRows,
    ...diagnosticsRows,
    ...pictureRows,
    ...callbackRows,
    ...onnxRows,
    ...clusterRows,
    ...standaloneRows,
  ].map(({ name }) => name);
  expect(
    [
      ...namesOfPreparation,
      ...namesOfMetrics,
      ...namesOfInspect,
      ...namesOfDiagnostics,
      ...namesOfPictures,
      ...namesOfCallbacks,
      ...namesOfOnnx,
      ...namesOfCluster,
      ...namesOfStandalone,
    ].filter((name) => !named.includes(name)),
  ).toEqual([]);
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(1000);
});
