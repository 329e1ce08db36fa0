// A job may wait for a promise: driven asynchronously it gets the value or the rejection, synchronously it is refused.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEngine, type Engine } from "../../src/platform/node.js";
import { type Job, runAsync, runSync, waitFor } from "../../src/train/job.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

function* adding(promises: readonly Promise<number>[], ended: string[] = []): Job<number> {
  let sum = 0;
  try {
    for (const promise of promises) sum += yield* waitFor("adding: its numbers", promise);
  } finally {
    ended.push("ended");
  }
  return sum;
}

describe("waiting", () => {
  it("gives the values, in their order", async () => {
    expect(await runAsync(engine, adding([Promise.resolve(2), Promise.resolve(3)]))).toBe(5);
  });

  it("throws a rejection into the job, which may go on", async () => {
    const ended: string[] = [];
    await expect(runAsync(engine, adding([Promise.reject(new Error("gone"))], ended))).rejects.toThrow("gone");
    expect(ended).toEqual(["ended"]);
    function* patient(): Job<number> {
      try {
        return yield* waitFor("patient", Promise.reject(new Error("gone")));
      } catch {
        return 7;
      }
    }
    expect(await runAsync(engine, patient())).toBe(7);
  });

  it("leaves the engine to others meanwhile", async () => {
    let arrive = (_: number): void => {};
    const first = runAsync(engine, adding([new Promise<number>((resolve) => (arrive = resolve))]));
    expect(await runAsync(engine, adding([Promise.resolve(1)]))).toBe(1);
    arrive(4);
    expect(await first).toBe(4);
  });

  it("is refused by a synchronous driver, and the job ends", () => {
    const ended: string[] = [];
    const job = adding([Promise.reject(new Error("never heard of"))], ended);
    expect(() => runSync(engine, job)).toThrow(
      "adding: its numbers takes time, which a synchronous method cannot wait for: call the method without Sync",
    );
    expect(ended).toEqual(["ended"]);
  });
});
