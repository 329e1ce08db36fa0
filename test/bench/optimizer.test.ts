import { readFile } from "node:fs/promises";
import { afterAll, describe, expect, test } from "vitest";
import { createChildren, thisTree } from "../../bench/children.js";
import { disposeEngines, engineOf, whyUnavailable } from "../../bench/engines.js";
import { clipPlain, gradientsOf, plainSteps } from "../../bench/javascript/optimizers.js";
import { measure } from "../../bench/main.js";
import { recordsOf, showTable } from "../../bench/report.js";
import { CheckError, prepareIn, type Variant, variantOf, type Workload } from "../../bench/workload.js";
import { optimizerWorkloads } from "../../bench/workloads/optimizer.js";

afterAll(disposeEngines);

const large = optimizerWorkloads();
const small = optimizerWorkloads({ tensors: 3, length: 1008 });
const named = (name: string, workloads: readonly Workload[] = small): Workload => {
  const found = workloads.find((workload) => workload.name === `optimizer-${name}`);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
};
const variants = (["steepest-strict-1", "steepest-fast-1", "steepest-strict-2", "steepest-fast-2"] as const).filter(
  (name) => whyUnavailable(name, 2) === undefined,
);

test.each(small.map((workload) => [workload.name, workload] as const))(
  "%s comes to what plain JavaScript comes to, next to its yardstick, and leaves no memory",
  async (_, workload) => {
    for (const variant of variants) {
      const { allocator } = await engineOf(variantOf(variant) as Variant);
      const before = allocator.usedBytes();
      for (const name of [variant, `${variant}/${workload.yardstick?.name}`] as const) {
        const contestant = await prepareIn(workload, name);
        expect(allocator.usedBytes()).toBeGreaterThan(before);
        await contestant.reset();
        await contestant.run(2);
        contestant.dispose();
        expect(allocator.usedBytes()).toBe(before);
      }
    }
    await (await workload.prepare("javascript")).run(1);
  },
);

test("a yardstick that is not there is refused", async () => {
  await expect(prepareIn(named("adam"), "javascript/copy")).rejects.toThrow('optimizer-adam has no "javascript/copy"');
});

test("work: the bytes that a step reads and writes, of ten million parameters", () => {
  const bytes = (name: string) => [named(name, large).metric, named(name, large).work / 4e7];
  expect(bytes("sgd")).toEqual(["gbytes-s", 3]);
  expect(bytes("momentum")).toEqual(["gbytes-s", 5]);
  expect(bytes("adam")).toEqual(["gbytes-s", 7]);
  expect(bytes("lamb")).toEqual(["gbytes-s", 10]);
  expect(named("adam-clip", large).metric).toBe("step-ms");
});

describe("gradients", () => {
  test("that are tiny are not denormal, but what moments add of them is", () => {
    const smallest = 2 ** -126;
    const [first, second] = gradientsOf("tiny", 2).map(Math.abs);
    expect(first).toBeGreaterThan(smallest);
    expect(0.1 * first).toBeLessThan(smallest);
    expect(Math.fround(0.1 * first)).toBeGreaterThan(0);
    expect(0.001 * second * second).toBeLessThan(smallest);
    expect(Math.fround(0.001 * second * second)).toBeGreaterThan(0);
  });

  test("have the norm that they are clipped to, if theirs is larger", () => {
    const g = gradientsOf("usual", 1000);
    const normOf = () => Math.sqrt(g.reduce((sum, value) => sum + value * value, 0));
    const before = normOf();
    clipPlain(g, 2 * before);
    expect(normOf()).toBe(before);
    clipPlain(g, 0.1);
    expect(normOf()).toBeCloseTo(0.1, 6);
  });
});

describe("a peer", () => {
  // That it comes to the same is checked whenever it is timed.
  test("PyTorch has all optimizers but two", async () => {
    const source = await readFile(new URL("../../bench/peers/pytorch.py", import.meta.url), "utf8");
    const [table] = /CREATE = \{[^}]*\}/.exec(source) ?? [""];
    const there = [...table.matchAll(/"(\w+)": /g)].map(([, name]) => name);
    expect(there.sort()).toEqual(
      Object.keys(plainSteps)
        .filter((name) => !["lion", "lamb"].includes(name))
        .sort(),
    );
  });

  test("is held to the parameters of plain JavaScript", async () => {
    const work = await named("momentum").forPeers?.();
    if (work?.task.kind !== "optimizer") throw new Error("there must be work for peers");
    const { places, steps, learningRate } = work.task;
    expect(new Set(places.map((place) => Math.floor(place / 1008)))).toEqual(new Set([0, 1, 2]));
    // Σ over the steps of the velocity, which is g · (1 - 0.9^k) / 0.1 in the k-th.
    const sum = Array.from({ length: steps }, (_, k) => (1 - 0.9 ** (k + 1)) / 0.1).reduce((a, b) => a + b);
    const g = gradientsOf("usual", 3024);
    const after = places.map((i) => {
      const first = ((Math.imul(i + 1, 2654435761) >>> 0) / 2 ** 32 - 0.5) * 0.2;
      return first - learningRate * sum * g[i];
    });
    work.check(after, true);
    expect(() => work.check([...after.slice(0, -1), after[after.length - 1] + 3e-7], true)).toThrow(CheckError);
  });
});

test("the table has how near a step comes to its yardstick; another process prepares both", async () => {
  let time = 0;
  const now = () => {
    time += 1;
    return time;
  };
  const schedule = { rounds: 2, roundMs: 2, warmupMs: 0, callMs: 1, settleMs: 0 };
  const entries = await measure(named("adam"), ["steepest-strict-1", "javascript"], { printError() {}, now, schedule });
  expect(entries.map(({ implementation }) => implementation)).toEqual([
    "steepest-strict-1",
    "steepest-strict-1/copy",
    "javascript",
  ]);
  const [head, , ...rows] = showTable(entries).split("\n");
  expect(head).toMatch(/× javascript {2}× yardstick$/);
  expect(rows[0]).toMatch(/^optimizer-adam {2}steepest-strict-1 .* 1\.00 +1\.00$/);
  expect(rows[1]).toMatch(/^optimizer-adam {2}steepest-strict-1\/copy .* 1\.00$/);
  expect(recordsOf(entries).map(({ metric }) => metric)).toEqual(["gbytes-s", "gbytes-s", "gbytes-s"]);
});

test("a yardstick in a process of its own", async () => {
  // The smallest workload of ten million: what is large about it is made in the child alone.
  const children = createChildren("optimizer-sgd");
  try {
    const contestant = await children.prepare("steepest-strict-1/copy", thisTree);
    expect((await contestant.run(1)).elapsedMs).toBeGreaterThan(0);
    await expect(children.prepare("steepest-strict-1/nothing", thisTree)).rejects.toThrow(
      'no "steepest-strict-1/nothing"',
    );
  } finally {
    children.end();
  }
});
