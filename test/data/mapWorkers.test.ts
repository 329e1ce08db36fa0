// Elements that worker threads make: the same, in the same order, whatever the number of workers; and no worker is left.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Worker } from "node:worker_threads";
import {
  compileSync,
  createEngineSync,
  DataError,
  dense,
  meanSquaredError,
  SteepestError,
  sequential,
  sgd,
} from "steepest";
import { type DataSource, source } from "steepest/data";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import change, { doubled } from "./fixtures/change.mjs";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const engine = createEngineSync();
afterAll(() => engine.dispose());

const module = new URL("./fixtures/change.mjs", import.meta.url);
const numbers = (count: number) => source(() => Array.from({ length: count }, (_, i) => i));

/** The workers that live. */
const living = new Set<Worker>();
let started = 0;
const note = (worker: Worker): void => {
  started += 1;
  living.add(worker);
  worker.once("exit", () => living.delete(worker));
};
beforeAll(() => void process.on("worker", note));
afterAll(() => void process.off("worker", note));
afterEach(async () => {
  await expect.poll(() => living.size).toBe(0);
});

async function elements<T>(from: DataSource<T>, pass = 1): Promise<T[]> {
  const all: T[] = [];
  const opened = from.open({ pass, skip: 0 });
  for (let next = await opened.next(); !next.done; next = await opened.next()) all.push(next.value);
  return all;
}

describe("a map in worker threads", () => {
  test("gives what the function gives in this thread, in its order, for any number of workers", async () => {
    const expected = await elements(numbers(11).map(change), 3);
    expect(expected[2]).toEqual({ element: 2, pass: 3, index: 2, square: 4 });
    for (const workers of [1, 2, 5]) {
      const before = started;
      expect(await elements(numbers(11).map({ module, workers }), 3)).toEqual(expected);
      expect(started - before).toBe(workers);
    }
    expect(await elements(numbers(2).map({ module: module.pathname }))).toHaveLength(2);
    expect(numbers(9).map({ module }).count).toBe(undefined);
    expect(source([1, 2, 3], { count: 3 }).map({ module }).count).toBe(3);
    const threads = new Set(await elements(numbers(12).map({ module, name: "thread", workers: 3 })));
    expect([threads.size, threads.has(0)]).toEqual([3, false]);
    // Nothing is started for a pass without elements.
    const before = started;
    expect(await elements(numbers(0).map({ module }))).toEqual([]);
    expect(started).toBe(before);
  });

  test("copies an element before the next is asked for, and reads no further than two a worker ahead", async () => {
    let read = 0;
    const reused = source(function* () {
      const x = new Float32Array(2);
      for (; read < 40; read++) yield { x: x.fill(read), y: [read] };
    });
    const from = reused.map<{ x: Float32Array; y: number[] }>({ module, name: "doubled", workers: 2 });
    const pass = from.open();
    for (let taken = 0; taken < 20; taken++) {
      const { value } = await pass.next();
      expect(value).toEqual({ x: Float32Array.of(2 * taken, 2 * taken), y: [taken] });
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(read).toBeLessThanOrEqual(taken + 1 + 4);
    }
    pass.return();
    expect(read).toBeLessThan(26);
  });

  test("trains with the bits of the same function in this thread; synchronous methods say that they cannot wait", async () => {
    const samples = source(function* () {
      for (let i = 0; i < 30; i++) yield { x: Float32Array.of(Math.sin(i), Math.cos(i)), y: [i % 3] };
    });
    const run = async (data: DataSource<{ x: Float32Array; y: number[] }>) => {
      using trainer = compileSync(sequential({ input: [2] }, dense(1)), {
        loss: meanSquaredError(),
        optimizer: sgd({ learningRate: 0.1 }),
        seed: 1,
        engine,
      });
      await trainer.fit(data, { epochs: 2, batchSize: 8, validation: data });
      return trainer.checkpoint();
    };
    const expected = await run(samples.map(doubled));
    for (const workers of [1, 3])
      expect(await run(samples.map({ module, name: "doubled", workers }))).toEqual(expected);
    using trainer = compileSync(sequential({ input: [2] }, dense(1)), {
      loss: meanSquaredError(),
      optimizer: sgd(),
      engine,
    });
    expect(() => trainer.fitSync(samples.map({ module, name: "doubled" }))).toThrow(/takes time, which a synchronous/);
  });
});

describe("workers end", () => {
  const all = [
    ["throws", /^map: pass 2, element 5: the export "throws" of ".*change.mjs" must give .*"RangeError: the fifth"/],
    [
      "exits",
      /^map: pass 2, element 5: the export "exits" of .* must answer, got none, as the worker was lost: .*code 7/,
    ],
    ["unposted", /^map: pass 2, element 1: the export "unposted" of .* that can be posted, got "DataCloneError: /],
    [
      "nothing",
      /^map: pass 2, element 1: the export "nothing" of .* must be a function, got "Error: an export of this/,
    ],
    ["missing", /^map: pass 2, element 1: .* must be a function, got "Error: an export of this name that is no/],
  ] as const;
  test.each(all)("with a function that %s, which names pass and element", async (name, message) => {
    const given: unknown[] = [];
    const pass = numbers(20).map({ module, name, workers: 2 }).open({ pass: 2, skip: 0 });
    const reading = async () => {
      for (let next = await pass.next(); !next.done; next = await pass.next()) given.push(next.value);
    };
    const error = await reading().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(message);
    // What comes before it is given.
    expect(given).toEqual(name === "throws" || name === "exits" ? [0, 1, 2, 3] : []);
    await expect.poll(() => living.size).toBe(0);
    expect(await pass.next()).toEqual({ done: true, value: undefined });
  });

  test("with a module that is not there, and an element that cannot be posted", async () => {
    const nowhere = new URL("./fixtures/nowhere.mjs", import.meta.url);
    await expect(elements(numbers(3).map({ module: nowhere }))).rejects.toThrow(
      /^map: pass 1, element 1: the export "default" of ".*nowhere.mjs" must be a function, got "Error.*nowhere/,
    );
    await expect(elements(source([() => {}]).map({ module }))).rejects.toThrow(
      /^map: pass 1, element 1: the element must be something that can be posted to a worker, got a function/,
    );
  });

  test("when the source before fails, when the pass is left, and when the trainer is", async () => {
    const torn = source(function* () {
      yield* [1, 2];
      throw new RangeError("torn");
    });
    await expect(elements(torn.map({ module }))).rejects.toThrow(RangeError);
    for await (const { element } of numbers(100).map<{ element: number }>({ module })) if (element === 3) break;
    await expect.poll(() => living.size).toBe(0);
    const controller = new AbortController();
    using trainer = compileSync(sequential({ input: [1] }, dense(1)), {
      loss: meanSquaredError(),
      optimizer: sgd(),
      engine,
    });
    const hanging = source([{ x: [1], y: [1] }]).map<{ x: number[]; y: number[] }>({ module, name: "hangs" });
    const fit = trainer.fit(hanging, { signal: controller.signal });
    const ended = expect(fit).rejects.toThrow("enough");
    await expect.poll(() => living.size).toBe(1);
    controller.abort(new Error("enough"));
    await ended;
  });

  test("when a pass is dropped in its middle", async () => {
    const begin = async () => {
      const pass = numbers(100).map({ module, workers: 2 }).open();
      expect((await pass.next()).done).toBe(false);
    };
    await begin();
    expect(living.size).toBe(2);
    const left = () => {
      collectGarbage();
      return living.size;
    };
    await expect.poll(left, { timeout: 20_000 }).toBe(0);
  });
});

test("options are checked before anything is opened", () => {
  for (const [given, message] of [
    [{}, /map: path must be text or a file: URL, got undefined/],
    [{ module: 3 }, /map: path must be text or a file: URL, got 3/],
    [{ module, workers: 0 }, /map: workers must be .* from 1 to 64, got 0/],
    [{ module, name: "" }, /map: name must be the name of an export, got ""/],
    [{ module, threads: 2 }, /map: unknown option "threads"/],
    [undefined, /map: change must be a function, got undefined/],
  ] as const) {
    const act = () => numbers(1).map(given as never);
    expect(act).toThrow(SteepestError);
    expect(act).toThrow(message);
  }
});
