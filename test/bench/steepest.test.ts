import { afterAll, describe, expect, test, vi } from "vitest";
import { createRandom, uniformValues } from "../../bench/data.js";
import { disposeEngines, engineOf, whyUnavailable } from "../../bench/engines.js";
import { PEERS } from "../../bench/peerList.js";
import { residentFunction } from "../../bench/steepest.js";
import { IMPLEMENTATIONS, variantOf } from "../../bench/workload.js";
import { matmul } from "../../src/ops/matmul.js";

afterAll(disposeEngines);

test("a name says build and threads; others have neither", () => {
  expect(IMPLEMENTATIONS.map(variantOf)).toEqual([
    { build: "strict", threads: 1 },
    { build: "fast", threads: 1 },
    { build: "wide", threads: 1 },
    { build: "strict", threads: 2 },
    { build: "fast", threads: 2 },
    { build: "wide", threads: 2 },
    undefined,
  ]);
  expect(variantOf("steepest-fast-2@abc1234")).toEqual({ build: "fast", threads: 2 });
  for (const peer of PEERS) expect(variantOf(peer)).toBeUndefined();
});

test("threads that would share a processor are left out, and so is fast where it would be strict", () => {
  const reasons = (processors: number) => IMPLEMENTATIONS.map((name) => whyUnavailable(name, processors));
  expect(reasons(2)).toEqual(IMPLEMENTATIONS.map(() => undefined));
  const two = "2 threads need 2 processors, and there is 1";
  expect(reasons(1)).toEqual([undefined, undefined, undefined, two, two, two, undefined]);
  const validate = vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
  try {
    const plain = 'this runtime has no relaxed SIMD, so build "fast" would run as "strict"';
    expect(reasons(2)).toEqual([undefined, plain, undefined, undefined, plain, undefined, undefined]);
  } finally {
    validate.mockRestore();
  }
});

describe("engines", () => {
  test("are shared, have the threads of their name, and end when told to", async () => {
    const [one, two] = [
      await engineOf({ build: "strict", threads: 1 }),
      await engineOf({ build: "strict", threads: 2 }),
    ];
    expect([one.threads, two.threads]).toEqual([1, 2]);
    expect(await engineOf({ build: "strict", threads: 2 })).toBe(two);
    await disposeEngines();
    for (const engine of [one, two]) expect(() => engine.memoryBytes()).toThrow("disposed of");
    const next = await engineOf({ build: "strict", threads: 2 });
    expect(next.memoryBytes()).toBeGreaterThan(0);
  });

  test("that have lost a thread are no longer what their name says", async () => {
    const engine = await engineOf({ build: "strict", threads: 2 });
    const threads = vi.spyOn(engine, "threads", "get").mockReturnValue(1);
    await expect(engineOf({ build: "strict", threads: 2 })).rejects.toThrow("engine strict-2: runs as strict-1");
    threads.mockRestore();
  });
});

test("a resident function runs with as many threads as its program can use, to the same bits", async () => {
  const n = 128;
  const random = createRandom(3);
  const operands = [0, 1].map(() => ({ shape: [n, n], values: uniformValues(random, n * n) }));
  const results: Float32Array[] = [];
  for (const threads of [1, 2]) {
    const engine = await engineOf({ build: "strict", threads });
    const run = vi.spyOn(engine, "run");
    const product = residentFunction(engine, operands, (a, b) => matmul(a, b));
    product.run(3);
    results.push(product.result());
    expect(run).toHaveBeenCalledTimes(1);
    const [[, , steps, useful]] = run.mock.calls;
    expect(steps).toBe(3);
    expect(useful).toBeGreaterThan(1);
    product.dispose();
    run.mockRestore();
  }
  expect(results[1]).toEqual(results[0]);
});
