import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  checkHistory,
  type Measurement,
  readHistory,
  showHistory,
  withSessions,
  writeHistory,
} from "../../bench/history.js";
import { UsageError } from "../../bench/options.js";
import { type Entry, formatNumber } from "../../bench/report.js";
import type { Session } from "../../bench/session.js";
import { inMetric } from "../../bench/workload.js";
import { workloads } from "../../bench/workloads.js";

const named = (name: string) => workloads.find((one) => one.name === name) ?? expect.fail(name);
const timed = (name: string, implementation: Entry["implementation"], ms: number): Entry => ({
  workload: named(name),
  implementation,
  outcome: { best: ms, lowerQuartile: ms, median: ms, upperQuartile: ms, samples: 1 },
});
const machine = { node: "26.1.0", v8: "14", processor: "a processor × 2" };
const session = (day: string, ...entries: Entry[]): Session => ({
  environment: { ...machine, day, load: 0 },
  rounds: 25,
  entries,
});
const all = () => true;

describe("the measurements", () => {
  const first = session("2026-02-03", timed("xor", "steepest-strict-1", 0.000_623_46), timed("xor", "pytorch-1", 0.08));

  test("of a day, a Node and a machine are one, in which the later figure counts; days are in order", () => {
    const second = session("2026-02-03", timed("xor", "pytorch-1", 0.07), timed("lstm", "pytorch-1", 5));
    const before = session("2026-02-01", timed("xor", "javascript", 1));
    const other: Session = { ...first, environment: { ...first.environment, node: "20.1.0" } };
    const history = [[first], [second, before], [other]].reduce<Measurement[]>(
      (so, add) => withSessions(so, add, all),
      [],
    );
    expect(history).toEqual([
      { ...machine, day: "2026-02-01", medians: { xor: { javascript: 1 } } },
      {
        ...machine,
        day: "2026-02-03",
        medians: { xor: { "steepest-strict-1": 0.0006235, "pytorch-1": 0.07 }, lstm: { "pytorch-1": 5 } },
      },
      {
        ...machine,
        node: "20.1.0",
        day: "2026-02-03",
        medians: { xor: { "steepest-strict-1": 0.0006235, "pytorch-1": 0.08 } },
      },
    ]);
  });

  test("are those that are shown and were timed; rates are in the metric's unit", () => {
    const gemm = named("gemm-64");
    const failed: Entry = { workload: gemm, implementation: "javascript", outcome: { error: "wrong" } };
    const entries = [timed("gemm-64", "steepest-strict-1", 0.01), failed, timed("xor", "javascript", 1)];
    const [one, ...none] = withSessions([], [session("2026-02-03", ...entries)], ({ workload }) => workload === gemm);
    expect(none).toEqual([]);
    const value = Number(inMetric(gemm, 0.01).toPrecision(4));
    expect(one?.medians).toEqual({ "gemm-64": { "steepest-strict-1": value } });
    expect(withSessions([], [session("2026-02-03", failed)], all)).toEqual([]);
  });

  test("are a table: a row a workload, the latest four measurements", () => {
    const days = ["01", "02", "03", "04", "05"].map((day, i) =>
      session(`2026-02-${day}`, timed("xor", "steepest-strict-1", 0.001 * (i + 1)), timed("lstm", "pytorch-1", 5)),
    );
    const [heads, line, ...rows] = showHistory(withSessions([], days, all)).split("\n");
    expect(heads.match(/2026-02-0\d, Node 26: steepest-strict-1/g)?.length).toBe(4);
    expect(heads).not.toContain("2026-02-01");
    expect(line).toBe(`|---|${"---:|".repeat(8)}`);
    expect(rows).toEqual([
      "| `xor`, µs | 2.00 | – | 3.00 | – | 4.00 | – | 5.00 | – |",
      "| `lstm`, ms | – | 5.00 | – | 5.00 | – | 5.00 | – | 5.00 |",
    ]);
  });
});

describe("the file", () => {
  let folder: string;
  let page: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "steepest-history-"));
    [page, file] = [join(folder, "page.md"), join(folder, "history.json")];
    await writeFile(file, "[]");
    await writeFile(page, "before\n<!-- history:begin history.json -->\nold\n<!-- history:end -->\nafter\n");
  });
  afterEach(() => rm(folder, { recursive: true }));

  test("grows with the page's table; writing again changes nothing", async () => {
    const sessions = [session("2026-02-03", timed("xor", "steepest-strict-1", 0.5))];
    for (let time = 0; time < 2; time++) {
      await checkHistory(page);
      await writeHistory(page, sessions, all);
      expect(await readHistory(file)).toEqual(withSessions([], sessions, all));
      const table = showHistory(await readHistory(file));
      expect(await readFile(page, "utf8")).toBe(
        `before\n<!-- history:begin history.json -->\n\n${table}\n\n<!-- history:end -->\nafter\n`,
      );
    }
  });

  test("a page without a place for it stays as it is; half of a place and another file are refused", async () => {
    await writeFile(page, "text\n");
    await writeHistory(page, [session("2026-02-03", timed("xor", "javascript", 1))], all);
    expect([await readFile(page, "utf8"), await readFile(file, "utf8")]).toEqual(["text\n", "[]"]);
    for (const text of ["<!-- history:end -->\n", "<!-- history:begin history.json -->\n"]) {
      await writeFile(page, text);
      await expect(checkHistory(page)).rejects.toThrow(
        new UsageError(
          `--readme: in "${page}" there must be a line <!-- history:begin FILE -->, and after it one <!-- history:end -->`,
        ),
      );
    }
    await writeFile(page, "<!-- history:begin history.json -->\n<!-- history:end -->\n");
    for (const text of ["{}", "[{}]", "no"]) {
      await writeFile(file, text);
      await expect(checkHistory(page)).rejects.toThrow(/the history ".*" must be a list of measurements/);
    }
    await rm(file);
    await expect(checkHistory(page)).rejects.toThrow(/cannot read the history ".*": ENOENT/);
  });
});

test("docs/benchmarks.md has the latest of bench/history.json, which has the table's figures", async () => {
  const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
  const page = await readFile(path("docs/benchmarks.md"), "utf8");
  const history = await readHistory(path("bench/history.json"));
  expect(page).toContain(
    `<!-- history:begin ../bench/history.json -->\n\n${showHistory(history)}\n\n<!-- history:end -->`,
  );
  const table = page.slice(page.indexOf("<!-- bench:begin"), page.indexOf("<!-- bench:end"));
  expect(table).toContain(history.at(-1)?.day);
  const [heads = [], , ...rows] = [...table.matchAll(/^\| (.*) \|$/gm)].map(([, line = ""]) => line.split(" | "));
  expect(rows.length).toBeGreaterThan(15);
  for (const [first = "", ...cells] of rows) {
    const [, workload = ""] = /^`([^`]+)`/.exec(first) ?? [];
    const factor = first.endsWith("µs") ? 1000 : 1;
    cells.forEach((cell, i) => {
      // A table may be made of several runs, of several days.
      const said = history.map(({ medians }) => medians[workload]?.[heads[i + 1] ?? ""]);
      const shown = said.map((value) => (value === undefined ? "–" : formatNumber(value * factor, 3)));
      expect([...shown, "failed"], `${workload}, ${heads[i + 1]}`).toContain(cell);
    });
  }
});
