// Engines that nobody disposed of, and engines that are still held after that: what is collected.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Worker } from "node:worker_threads";
import { createEngine, type EngineOptions } from "steepest";
import { expect, test } from "vitest";
import { withoutSharing } from "./sharing.js";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** Opens an engine, uses it and forgets it. Returns its workers that live. */
async function abandon(options: EngineOptions): Promise<ReadonlySet<Worker>> {
  const living = new Set<Worker>();
  const note = (worker: Worker): void => {
    living.add(worker);
    worker.once("exit", () => living.delete(worker));
  };
  process.on("worker", note);
  const engine = await createEngine(options);
  engine.write(engine.allocator.allocate(64), [1, 2]);
  await expect.poll(() => living.size).toBeGreaterThan(0);
  process.off("worker", note);
  return living;
}

// What watches the workers of all teams is started with the first, and stays.
test.each([
  ["threads", { threads: 3 }, false],
  ["threads, of which one leads", { threads: 2, background: true }, false],
  ["a worker with a copy of the memory", { background: true }, true],
] as const)("an engine that is collected ends its workers: %s", async (_, options, copied) => {
  (await createEngine({ threads: 2 })).dispose();
  const living = await (copied ? withoutSharing(() => abandon(options)) : abandon(options));
  const left = () => {
    collectGarbage();
    return living.size;
  };
  await expect.poll(left).toBe(0);
});

test.each([
  ["one thread", { threads: 1 }],
  ["two", { threads: 2 }],
])("the memory of an engine that was disposed of is collected while the engine is held: %s", async (_, options) => {
  const engine = await createEngine(options);
  const memory = new WeakRef(engine.heap.words.buffer);
  engine.dispose();
  const left = () => {
    collectGarbage();
    return memory.deref() !== undefined;
  };
  await expect.poll(left).toBe(false);
  expect(engine.threads).toBe(1);
});
