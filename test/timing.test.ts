// No test asserts a time: on a machine that others use too, such a test fails without a fault. The benchmark measures times;
// tests count what causes them. Nor does one sleep for some time and hope that something has happened by then.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { TIMING } from "../vitest.config.js";

const folder = fileURLToPath(new URL("./", import.meta.url));
/** What vitest runs, and what its tests load; the runners of other suites give up on a runtime after minutes. */
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name))
  .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"))
  .filter((file) => !/node_modules|^consumers\/|^everywhere\/|^timing\.test\.ts$/.test(file));

const CLOCKS = /\b(?:performance\.now|Date\.now|new Date(?!\(")|process\.(?:hrtime|cpuUsage|uptime))\b/;
const COMPARED =
  /\.(?:toBe|toEqual|toBeLessThan|toBeGreaterThan|toBeLessThanOrEqual|toBeGreaterThanOrEqual|toBeCloseTo)\(/;
const DURATION = /\b(?:\w+Ms|elapsed|duration)\b/;
/** That a duration is none is no time. */
const NOT_NEGATIVE = /\.toBeGreaterThan(?:OrEqual)?\(0\);?$/;

/** Names that a clock's time went into, directly or by other such names. */
function timesIn(text: string): string[] {
  const assigned = [...text.matchAll(/\b(?:const|let) (\w+)[^=;]*= ([^;]*);/g)];
  const names = new Set<string>();
  for (let before = -1; before < names.size; ) {
    before = names.size;
    for (const [, name, value] of assigned) {
      if (value.includes("=>")) continue;
      if (CLOCKS.test(value) || [...names].some((known) => new RegExp(`\\b${known}\\b`).test(value))) names.add(name);
    }
  }
  return [...names];
}

/** Statements that compare a time, sleep, try again, or wait for a short time only. */
function timedIn(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const times = timesIn(code);
  const asserted = [...code.matchAll(/\bexpect(?:\.soft)?\([^;]*;/g)]
    .map(([statement]) => statement)
    .filter((statement) => COMPARED.test(statement) && !NOT_NEGATIVE.test(statement))
    .filter(
      (statement) =>
        CLOCKS.test(statement) ||
        DURATION.test(statement) ||
        times.some((name) => new RegExp(`\\b${name}\\b`).test(statement)),
    );
  const slept = [...code.matchAll(/setTimeout\([^;]*?, [1-9][\d_]*\)/g)].map(([statement]) => statement);
  const retried = [...code.matchAll(/\bretry: *\d+/g)].map(([statement]) => statement);
  // They give up after a second, whatever is said in vitest.config.ts.
  const hurried = [...code.matchAll(/\bvi\.wait(?:For|Until)\(/g)].map(([statement]) => statement);
  return [...asserted, ...slept, ...retried, ...hurried];
}

test.each(files)("%s", (file) => {
  expect(timedIn(readFileSync(join(folder, file), "utf8"))).toEqual([]);
});

test("what reads a clock, sets a timer, watches the heap or drives a browser is in the project `timing`", () => {
  const depends = /\bperformance\.now\(|\bsetTimeout\([^;]*, \w+\)|"HeapProfiler|"playwright-core"|\bcountTurns\(/;
  const found = files.filter(
    (file) => file.endsWith(".test.ts") && depends.test(readFileSync(join(folder, file), "utf8")),
  );
  expect(found.length).toBeGreaterThan(3);
  for (const file of found) expect(TIMING).toContain(`test/${file}`);
  for (const file of TIMING) expect(files).toContain(file.replace("test/", ""));
});

describe("what it finds", () => {
  test.each([
    "expect(performance.now() - start).toBeGreaterThanOrEqual(20);",
    "const start = performance.now();\nwork();\nconst took = performance.now() - start;\nexpect(took).toBeLessThan(8);",
    "const start = Date.now(); const ticks = 3; expect(ticks).toBeGreaterThan(start / 6);",
    "expect(longest.cpuMs, longest.from).toBeLessThan(8);",
    "expect(tasks).toBeGreaterThan(elapsed / 20);",
    "await new Promise((resolve) => setTimeout(resolve, 30));",
    'test("again", { retry: 3 }, () => {});',
    "await vi.waitUntil(() => engine.busy);",
  ])("%s", (text) => expect(timedIn(text)).toHaveLength(1));

  test.each([
    "expect(progress.remainingMs).toBeGreaterThanOrEqual(0);",
    "await new Promise((resolve) => setTimeout(resolve));",
    "let now = 0; vi.spyOn(hostClock, 'now').mockImplementation(() => now); expect(now).toBe(20);",
  ])("not %s", (text) => expect(timedIn(text)).toEqual([]));
});
