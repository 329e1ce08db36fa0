// The sweep over all that "steepest/data", "steepest/inspect", "steepest/metrics", "steepest/search" and "steepest/text" export: see sweep.ts for the
// rule that it holds.
import { describe, expect, test } from "vitest";
import { inspectRows, namesOfInspect } from "./rows/inspect.js";
import { arrayMetricRows, namesOfMetrics } from "./rows/metrics.js";
import { namesOfPreparation, preparationRows } from "./rows/preparation.js";
import { sweep, sweptCalls } from "./sweep.js";

describe("bad arguments", () => {
  sweep([...preparationRows, ...arrayMetricRows, ...inspectRows], () => undefined);
});

test("every export has a row", () => {
  const named = [...preparationRows, ...arrayMetricRows, ...inspectRows].map(({ name }) => name);
  expect([...namesOfPreparation, ...namesOfMetrics, ...namesOfInspect].filter((name) => !named.includes(name))).toEqual(
    [],
  );
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(1000);
});
