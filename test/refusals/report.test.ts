// The sweep over all that "steepest/report" exports: see sweep.ts for the rule that it holds.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as S from "steepest";
import * as report from "steepest/report";
import { afterAll, describe, expect, test } from "vitest";
import { type Row, sweep } from "./sweep.js";

const folder = mkdtempSync(join(tmpdir(), "steepest-refusals-"));
const trainer = S.compileSync(S.sequential({ input: [2] }, S.dense(3)), { loss: S.crossEntropy(), seed: 1 });
afterAll(() => {
  trainer.dispose();
  rmSync(folder, { recursive: true });
});

const path = () => join(folder, "report.html");
const run = () => ({ name: "a", records: [{ type: "begin" }] });
const numbers = ["array", "typed array"] as const;

const rows: readonly Row[] = [
  {
    name: "parseRun",
    call: report.parseRun as never,
    good: () => ["a", '{"type":"begin"}'],
    accepts: { "0": ["string"] },
  },
  {
    name: "evaluationRecord",
    call: report.evaluationRecord as never,
    good: () => [
      trainer,
      { x: Float32Array.of(1, 2, 3, 4), y: Uint8Array.of(0, 2) },
      { labels: ["a", "b", "c"], worst: 1, image: [1, 2, 1] },
    ],
    optional: ["2"],
    opaque: ["0"],
    accepts: { "1.x": numbers, "1.y": numbers, "2.labels.*": ["string"] },
    where: [/^x\b/, /^y\b/],
  },
  {
    name: "renderReport",
    call: report.renderReport as never,
    good: () => [[run()], { script: "", style: "" }, { title: "t" }],
    optional: ["2"],
    accepts: { "0.0.name": ["string"], "1.script": ["string"], "1.style": ["string"], "2.title": ["string"] },
    records: ["0.0", "1"],
    untouched: ["0.0.records"],
    opaque: ["0.0.records"],
  },
  {
    name: "writeReport",
    call: report.writeReport as never,
    good: () => [path(), [run()], { title: "t" }],
    optional: ["2"],
    accepts: { "1": ["array"], "2.title": ["string"] },
    untouched: ["0", "1", "1.0"],
    opaque: ["1.0"],
    where: ["renderReport", "readRun", /file/],
  },
  {
    name: "readRun",
    call: report.readRun as never,
    good: () => [path()],
    where: [/file/, "parseRun"],
    untouched: ["0"],
  },
];

describe("bad arguments", () => {
  // What the last row reads.
  test("a report is written", () => report.writeReport(path(), [run()] as never));
  sweep(rows.slice(0, -1), () => undefined);
});

test("every export has a row", () => {
  const functions = Object.entries(report).filter(([, value]) => typeof value === "function");
  expect(functions.map(([name]) => name).filter((name) => !rows.some((row) => row.name === name))).toEqual([]);
});
