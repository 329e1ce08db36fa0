// The sweep over all that "steepest/io" and "steepest/progress" export: see sweep.ts for the rule that it holds.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileSync, createEngineSync, dense, meanSquaredError, sequential, sgd } from "steepest";
import { writeFileAtomic } from "steepest/io";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ioRows, namesOfIo } from "./rows/io.js";
import { sweep, sweptCalls } from "./sweep.js";

const engine = createEngineSync();
const trainer = compileSync(sequential({ input: [2] }, dense(1)), {
  loss: meanSquaredError(),
  optimizer: sgd({ momentum: 0.9 }),
  engine,
});
const folder = mkdtempSync(join(tmpdir(), "steepest-sweep-"));
const rows = ioRows(trainer, folder);

beforeAll(() => writeFileAtomic(join(folder, "bytes"), new Uint8Array(1)));
beforeAll(() => void vi.spyOn(console, "log").mockImplementation(() => {}));
afterAll(() => {
  vi.restoreAllMocks();
  trainer.dispose();
  engine.dispose();
  rmSync(folder, { recursive: true });
});

/** What must stay as it is: memory in use, the trainer, and what files there are. */
function watch(): unknown {
  const values = [...trainer.parameters()].map(([path, { data }]) => [path, ...data]);
  const temporary = readdirSync(folder).filter((name) => name.startsWith("."));
  return { used: engine.allocator.usedBytes(), values, steps: trainer.steps, temporary };
}

describe("bad arguments", () => {
  sweep(rows, watch);
});

test("every export has a row", () => {
  const named = rows.map(({ name }) => name);
  expect(namesOfIo.filter((name) => !named.includes(name))).toEqual([]);
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(1000);
});
