// The sweep over what makes and holds trainers: compile() and engines, and each method, on a trainer of its own.
import { compileSync, createEngineSync, createWorkspaceSync, dense, meanSquaredError, sequential, sgd } from "steepest";
import { describe, expect, test } from "vitest";
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
  sweep(trainingRows(engine), watch);
});

/** Methods, without what makes them synchronous: both forms are called under one name. */
function methodsOf(object: object): string[] {
  const names = Object.keys(object).filter((name) => typeof (object as Record<string, unknown>)[name] === "function");
  return [...new Set(names.map((name) => name.replace(/Sync$/, "")))];
}

test("every method of a trainer and a workspace has a row", () => {
  const rows = new Set(trainingRows(engine).map(({ name }) => name));
  expect(methodsOf(canary).filter((name) => !rows.has(name))).toEqual([]);
  using workspace = createWorkspaceSync({ engine });
  const inWorkspace = methodsOf(workspace).filter((name) => !rows.has(name) && !rows.has(`workspace.${name}`));
  expect(inWorkspace).toEqual([]);
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(30_000);
});
