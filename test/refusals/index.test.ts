// The sweep over all that "steepest" exports: see sweep.ts for the rule that it holds.
import * as S from "steepest";
import { compileSync, createEngineSync, dense, meanSquaredError, sequential, sgd } from "steepest";
import { describe, expect, test } from "vitest";
import { layerRows } from "./rows/layers.js";
import { metricRows } from "./rows/metrics.js";
import { partRows } from "./rows/parts.js";
import { trainingRows } from "./rows/training.js";
import { sweep, sweptCalls } from "./sweep.js";

const engine = createEngineSync();
const canary = compileSync(sequential({ input: [2] }, dense(1)), {
  loss: meanSquaredError(),
  optimizer: sgd({ momentum: 0.9 }),
  engine,
});

/** What must stay as it is: memory in use, and a trainer that others have in the engine. */
function watch(): unknown {
  return { used: engine.allocator.usedBytes(), steps: canary.steps, value: [...canary.predictSync([1, 2])] };
}
watch();

describe("bad arguments", () => {
  sweep([...layerRows(engine), ...partRows(engine), ...metricRows], watch);
});

// Exports whose errors have another name.
const NAMED: Readonly<Record<string, string>> = {
  compileSync: "compile",
  createEngine: "engine",
  createEngineSync: "engine",
  createWorkspaceSync: "createWorkspace",
  defineLayer: "layer",
  minimizeSync: "minimize",
};

test("every export has a row", () => {
  const rows = new Set(
    [...layerRows(engine), ...partRows(engine), ...metricRows, ...trainingRows(engine)].map(({ name }) => name),
  );
  const functions = Object.entries(S).filter(
    ([, value]) => typeof value === "function" && !/^class\b/.test(`${value}`),
  );
  const names = functions.map(([name]) => NAMED[name] ?? name);
  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => !rows.has(name))).toEqual([]);
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(20_000);
});
