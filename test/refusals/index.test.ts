// The sweep over all that "steepest" exports: see sweep.ts for the rule that it holds.
import { compileSync, createEngineSync, dense, meanSquaredError, sequential, sgd } from "steepest";
import { describe, expect, test } from "vitest";
import { layerRows } from "./rows/layers.js";
import { partRows } from "./rows/parts.js";
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
  sweep([...layerRows(engine), ...partRows(engine)], watch);
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(10_000);
});
