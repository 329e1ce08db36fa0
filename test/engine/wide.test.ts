// The trial of the build `wide`, with a clock that goes on by what kernels are said to take.
import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { type Interpreter, instantiateBare } from "../../src/engine/interpreter.js";
import { createMemory } from "../../src/engine/memory.js";
import type { Build, WidePlatform } from "../../src/engine/module.js";
import { type Bench, compareWide } from "../../src/engine/wide.js";

const bytes = readFileSync(new URL(`${process.env.STEEPEST_WASM_FOLDER ?? "../../dist/"}strict.wasm`, import.meta.url));
const module = new WebAssembly.Module(bytes);

/** What a product takes, by the number of products before it and the time since the build was opened. */
type Cost = (calls: number, age: number) => number;

/** The baseline compiler's code is five times as slow, and the optimized code is there after so many milliseconds. */
const optimizedAfter =
  (delay: number, ms: number): Cost =>
  (calls, age) =>
    calls === 0 ? 25 * ms : age < delay ? 5 * ms : ms;

interface Ways {
  /** What the clock steps by. */
  readonly stepMs?: number;
  readonly strict: Cost;
  readonly wide: Cost;
  /** Changes what a kernel of `wide` has written. */
  readonly spoil?: string;
}

async function tryWith({ strict, wide, spoil, stepMs = 1e-6 }: Ways) {
  let now = 0;
  const log: string[] = [];
  const products = { strict: 0, wide: 0 };
  const open = async (build: Build): Promise<Bench> => {
    log.push(`open ${build}`);
    const { memory } = createMemory();
    const kernels = instantiateBare(module, memory);
    const opened = now;
    const count = build === "wide" ? "wide" : "strict";
    const timed = (name: string) => {
      const kernel = kernels[name] as (...values: number[]) => unknown;
      const around = (...values: number[]): unknown => {
        // Those of the first form are measured. After some, their result is there.
        const isMeasured = name === "gemm" && values[10] === 0;
        const isKnown = isMeasured && spoil === undefined && products[count] > 10;
        const result = isKnown ? undefined : kernel(...values);
        if (isMeasured) now += (count === "wide" ? wide : strict)(products[count]++, now - opened);
        if (name === spoil && count === "wide")
          new Uint32Array(memory.buffer)[values[name === "gemm" ? 3 : 2] / 4] ^= 1;
        return result;
      };
      return Object.defineProperty(around, "length", { value: kernel.length });
    };
    const names = Object.keys(kernels).filter((name) => typeof kernels[name] === "function");
    return { memory, kernels: Object.fromEntries(names.map((name) => [name, timed(name)])) as unknown as Interpreter };
  };
  const platform: WidePlatform = {
    lacks: () => undefined,
    enable: () => log.push("enable"),
    disable: () => log.push("disable"),
    hint: "no AVX2",
  };
  const breathe = vi.fn(async () => {});
  const reason = await compareWide(platform, open, {
    performance: { now: () => Math.floor(now / stepMs) * stepMs },
    breathe,
  });
  return { reason, log, products, now, breaths: breathe.mock.calls.length };
}

test("wide runs if it is faster; what is joined is set after strict has been optimized, before wide is compiled", async () => {
  const { reason, log, products, breaths } = await tryWith({
    strict: optimizedAfter(12, 0.04),
    wide: optimizedAfter(12, 0.024),
  });
  expect(reason).toBeUndefined();
  expect(log).toEqual(["open strict", "enable", "open wide"]);
  // Measurements are of many, and the host does other work between them.
  expect(products.wide).toBeGreaterThan(200);
  expect(breaths).toBeGreaterThan(20);
});

test.each([
  ["slower", 0.06, "1.50"],
  ["as fast", 0.04, "1.00"],
])("wide does not run if it is %s: the reason says so, and what may be missing", async (_, ms, share) => {
  const { reason, log } = await tryWith({ strict: optimizedAfter(12, 0.04), wide: optimizedAfter(12, ms) });
  expect(reason).toBe(`it is not faster here (its time is ${share} of strict's): no AVX2`);
  expect(log).not.toContain("disable");
});

test.each(["gemm", "gelu", "softmax", "normalizeRows"])(
  "one bit of %s that differs is enough not to run, and what is joined is unset",
  async (spoil) => {
    const { reason, log } = await tryWith({ strict: optimizedAfter(12, 0.04), wide: optimizedAfter(12, 0.02), spoil });
    expect(reason).toMatch(/^it gives other bits here: please report/);
    expect(log.at(-1)).toBe("disable");
  },
);

test("a busy machine optimizes late: until then nothing is concluded", async () => {
  // While it is not optimized, wide is slower than strict, which is; and the other way round.
  const late = await tryWith({ strict: optimizedAfter(5, 0.04), wide: optimizedAfter(300, 0.024) });
  expect(late.reason).toBeUndefined();
  const lateStrict = await tryWith({ strict: optimizedAfter(300, 0.04), wide: optimizedAfter(5, 0.06) });
  expect(lateStrict.reason).toMatch(/^it is not faster here/);
});

test("wide that looks slower because its optimized code is late is measured on, for a second", async () => {
  // Its time halves, so it seems to have settled; what is optimized comes after.
  const halves = (after: number): Cost => {
    return (calls, age) => (calls === 0 ? 1 : calls < 3 ? 0.2 : age < after ? 0.09 : 0.024);
  };
  const late = await tryWith({ strict: optimizedAfter(5, 0.04), wide: halves(600) });
  expect(late.reason).toBeUndefined();
  const tooLate = await tryWith({ strict: optimizedAfter(5, 0.04), wide: halves(6000) });
  expect(tooLate.reason).toBe("it is not faster here (its time is 2.25 of strict's): no AVX2");
  expect(tooLate.now).toBeLessThan(1500);
});

test("it ends if nothing becomes faster, and soon if all was optimized before", async () => {
  const never = await tryWith({
    strict: (calls) => (calls === 0 ? 3 : 0.1),
    wide: (calls) => (calls === 0 ? 3 : 0.05),
  });
  expect(never.reason).toBeUndefined();
  const before = await tryWith({ strict: () => 0.04, wide: () => 0.02 });
  expect(before.reason).toBeUndefined();
  expect(before.products.wide).toBeLessThan(never.products.wide / 2);
  const still = await tryWith({ strict: () => 0, wide: () => 0 });
  expect(still.reason).toMatch(/^it is not faster here/);
});

test("a page's clock, which steps by 0.1 ms, tells them apart too", async () => {
  const costs = [optimizedAfter(12, 0.04), optimizedAfter(12, 0.024)];
  const faster = await tryWith({ strict: costs[0], wide: costs[1], stepMs: 0.1 });
  expect(faster.reason).toBeUndefined();
  const slower = await tryWith({ strict: costs[1], wide: costs[0], stepMs: 0.1 });
  expect(slower.reason).toMatch(/its time is 1\.\d\d of strict's/);
});
