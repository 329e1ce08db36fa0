// What a search gives, whatever runs it.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { choices, hyperband, integers, randomSearch, type SearchOptions, search, uniform } from "steepest/search";
import { afterAll, describe, expect, test } from "vitest";
import trial from "./fixtures/trial.mjs";

type Plain = Pick<SearchOptions<never>, "concurrency" | "direction" | "workers">;

const folder = mkdtempSync(join(tmpdir(), "steepest-search-"));
afterAll(() => rmSync(folder, { recursive: true }));

const module = new URL("./fixtures/trial.mjs", import.meta.url);
const space = { x: uniform(-1, 1), y: integers(0, 9) };
const strategy = hyperband({ maxBudget: 9 });

const expected = await search(space, trial, { strategy, seed: 3 });

describe("the result does not depend on who runs it", () => {
  test.each<[string, Plain, boolean]>([
    ["4 at once", { concurrency: 4 }, false],
    ["100 at once", { concurrency: 100 }, false],
    ["a thread", {}, true],
    ["3 threads", { concurrency: 3 }, true],
    ["a process", { workers: "processes" }, true],
    ["3 processes", { workers: "processes", concurrency: 3 }, true],
  ])("%s", async (_, options, isModule) => {
    const result = await search(space, isModule ? module : trial, { ...options, strategy, seed: 3 });
    expect(result.trials).toEqual(expected.trials);
    expect(result.best).toEqual(expected.best);
    expect(result.table()).toBe(expected.table());
  });
});

describe("scores", () => {
  const by = (scores: readonly unknown[], options: Partial<SearchOptions<{ readonly x: number }>> = {}) =>
    search({ x: uniform(0, 1) }, ({ number }) => scores[number] as number, {
      strategy: randomSearch({ trials: scores.length }),
      ...options,
    });

  test("the smallest or largest; of equal ones the first", async () => {
    expect((await by([3, 1, 1, 2])).best.number).toBe(1);
    expect((await by([3, 1, 3, 2], { direction: "maximize" })).best.number).toBe(0);
    expect((await by([-0])).best.score).toBe(0);
  });

  test("of equal scores the one with the larger budget", async () => {
    const { best } = await search({ x: uniform(0, 1) }, () => 1, { strategy: hyperband({ maxBudget: 9 }) });
    expect(best).toMatchObject({ budget: 9, number: 12 });
  });

  test("what is no finite number, and what is thrown, is a failed trial", async () => {
    const { trials, best } = await by([Number.NaN, Infinity, "1", undefined, 2]);
    expect(best.number).toBe(4);
    expect(trials.slice(0, 4).map(({ error }) => error)).toEqual(
      ["NaN", "Infinity", '"1"', "undefined"].map((came) => `the score must be a finite number, got ${came}`),
    );
    expect(expected.trials.filter(({ error }) => error === "RangeError: y is 5").length).toBeGreaterThan(0);
    const long = search(
      { x: uniform(0, 1) },
      ({ number }) => {
        if (number === 1) throw new Error("a".repeat(1000));
        return 1;
      },
      { strategy: randomSearch({ trials: 2 }) },
    );
    expect((await long).trials[1].error).toBe(`Error: ${"a".repeat(493)}`);
  });

  test("a failure ends the search if that is asked; without any score there is no result", async () => {
    const failing = search(space, trial, { strategy, seed: 3, failures: "throw" });
    await expect(failing).rejects.toThrow(/search: trial \d+ must give a score, got RangeError: y is 5/);
    await expect(failing).rejects.toHaveProperty("cause.message", "y is 5");
    await expect(by([Number.NaN, Number.NaN])).rejects.toThrow(
      /got 2 that failed, the first of them: the score must be/,
    );
  });

  test("reports are recorded and shown; a function may change what it is given", async () => {
    const shown: unknown[] = [];
    const { trials } = await search(
      space,
      ({ parameters, report }) => {
        report(1);
        report(Number.NaN);
        report(Infinity);
        report(0.5);
        report(-0);
        (parameters as { x: number }).x = 7;
        return 0.25;
      },
      { strategy: randomSearch({ trials: 2 }), onReport: (score, number) => shown.push([number, score]) },
    );
    expect(trials.map(({ reports }) => reports)).toEqual([
      [1, 0.5, 0],
      [1, 0.5, 0],
    ]);
    expect(shown).toEqual([
      [0, 1],
      [0, 0.5],
      [0, 0],
      [1, 1],
      [1, 0.5],
      [1, 0],
    ]);
    expect(Math.abs(trials[0].parameters.x)).toBeLessThan(1);
  });

  test("progress: how many, of how many, and the best so far", async () => {
    const seen: unknown[] = [];
    await by([Number.NaN, 3, 1, 2], {
      onTrial: ({ number }, { finished, total, best }) => seen.push([number, finished, total, best?.number]),
    });
    expect(seen).toEqual([
      [0, 1, 4, undefined],
      [1, 2, 4, 1],
      [2, 3, 4, 2],
      [3, 4, 4, 2],
    ]);
    const fault = by([1], {
      onTrial: () => {
        throw new Error("mine");
      },
    });
    await expect(fault).rejects.toThrow("mine");
  });

  test("no more run at once than asked for, and as many", async () => {
    let [now, most] = [0, 0];
    const run = async () => {
      most = Math.max(most, ++now);
      await turn();
      now -= 1;
      return 1;
    };
    await search(space, run, { strategy: randomSearch({ trials: 20 }), concurrency: 3 });
    expect(most).toBe(3);
  });
});

test("the table: aligned, the best first, what failed last", async () => {
  const scores = [0.5, 12.25, Number.NaN];
  const result = await search(
    { rate: uniform(0.001, 0.001000001), act: choices(["relu"]) },
    ({ number }) => scores[number],
    { strategy: randomSearch({ trials: 3 }) },
  );
  expect(result.table()).toBe(
    [
      "trial   score   rate  act",
      "    0     0.5  0.001  relu",
      "    1   12.25  0.001  relu",
      "    2  failed  0.001  relu  the score must be a finite number, got NaN",
    ].join("\n"),
  );
  expect(result.table({ rows: 1 }).split("\n")).toHaveLength(2);
});

describe("an abort", () => {
  test("ends the search by its reason, and the trials' signals; what ends later is left out", async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    let lines = "";
    const journal = {
      read: () => lines,
      append: (text: string) => {
        lines += text;
      },
    };
    const signals: boolean[] = [];
    const running = search(
      { x: uniform(0, 1) },
      async ({ number, signal }) => {
        signal.addEventListener("abort", () => signals.push(true));
        if (number === 2) controller.abort(new Error("enough"));
        await turn();
        return number;
      },
      {
        strategy: randomSearch({ trials: 9 }),
        signal: controller.signal,
        onTrial: ({ number }) => seen.push(number),
        journal,
      },
    );
    await expect(running).rejects.toThrow("enough");
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(seen).toEqual([0, 1]);
    expect(lines.match(/"number"/g)).toHaveLength(2);
    expect(signals.length).toBeGreaterThan(0);
    await expect(search(space, () => 1, { strategy, signal: controller.signal })).rejects.toThrow("enough");
  });

  test.each(["threads", "processes"] as const)("ends %s that hang", async (workers) => {
    const controller = new AbortController();
    const file = join(folder, `hang-${workers}`);
    const hanging = { ...space, mode: choices(["hang"]), file: choices([file]) };
    const running = search(hanging, module, { strategy, workers, concurrency: 2, signal: controller.signal });
    const begun = () => {
      try {
        return readFileSync(file, "utf8").length >= 4;
      } catch {
        return false;
      }
    };
    while (!begun()) await turn();
    controller.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
  });
});

describe.each(["threads", "processes"] as const)("%s that are lost", (workers) => {
  test("a trial is repeated, and the result is the same", async () => {
    const file = join(folder, `once-${workers}`);
    const once = { ...space, mode: choices(["crash once"]), file: choices([file]) };
    const result = await search(once, module, { strategy: randomSearch({ trials: 6 }), workers, concurrency: 2 });
    const runs = readFileSync(file, "utf8").trim().split("\n").map(Number).sort();
    expect(runs).toEqual([0, 1, 2, 2, 3, 4, 5]);
    // What is left of the file lets it live.
    expect(result.trials).toEqual((await search(once, trial, { strategy: randomSearch({ trials: 6 }) })).trials);
  });

  test("a trial that ends each worker is one that failed", async () => {
    const crashing = { x: uniform(-1, 1), y: integers(2, 3), mode: choices(["crash"]) };
    const run = (retries: number) =>
      search(crashing, module, { strategy: randomSearch({ trials: 6 }), workers, concurrency: 2, retries });
    const { trials } = await run(0);
    const failed = trials.filter(({ parameters }) => parameters.y === 3);
    expect(failed.length).toBeGreaterThan(0);
    for (const { error } of failed) expect(error).toBe("the worker was lost: it ended with code 7");
    for (const { parameters, score } of trials) expect(score === undefined).toBe(parameters.y === 3);
    expect((await run(1)).trials).toEqual(trials);
  });

  test("a module that cannot be run ends the search", async () => {
    for (const [name, reason] of [
      ["nothing.mjs", /got "Error: a default export that is no function" of "file:.*nothing.mjs"/],
      ["nosuch.mjs", /Cannot find module/],
    ] as const) {
      const broken = search(space, new URL(`./fixtures/${name}`, import.meta.url), {
        strategy,
        workers,
        concurrency: 2,
      });
      await expect(broken).rejects.toThrow(reason);
    }
  });
});
