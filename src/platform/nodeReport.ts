// The entry "steepest/report" under Node, Deno and Bun: with files.
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { ModelError, SteepestError, showValue } from "../engine/errors.js";
import { type PlotLibrary, parseRun, type ReportOptions, type Run, renderReport } from "../report/index.js";
import { type FilePath, pathOf, readFileBytes, writeFileAtomic } from "./files.js";

export * from "../report/index.js";

/**
 * Reads the log of a run, JSON lines as `jsonLog` writes them. The run is called as the file, without its ending.
 *
 * @throws {SteepestError} If the file cannot be read.
 * @throws {DataError} If it is not the log of a run.
 */
export async function readRun(path: FilePath): Promise<Run> {
  const file = pathOf("readRun", path);
  const text = new TextDecoder().decode(await readFileBytes(file));
  return parseRun(basename(file).replace(/\.[^.]*$/, ""), text);
}

/**
 * Writes a report of runs as one HTML file: see `renderReport`. It needs the package `uplot`, an optional peer, whose files become
 * a part of the report.
 *
 * @param path The HTML file. What it had before is replaced at once, or stays.
 * @param runs The runs, or the paths of their logs.
 * @throws {SteepestError} If `uplot` is not installed, or a file cannot be read or written.
 *
 * @example
 * const run = parseRun("adam", '{"type":"epoch","epoch":1,"step":10,"loss":0.5}');
 * await writeReport(path, [run], { title: "Adam" }); // or paths of logs: ["runs/adam.jsonl", "runs/sgd.jsonl"]
 */
export async function writeReport(
  path: FilePath,
  runs: readonly (Run | FilePath)[],
  options: ReportOptions = {},
): Promise<void> {
  const to = pathOf("writeReport", path);
  if (!Array.isArray(runs) || runs.length === 0) {
    throw new ModelError(`writeReport: runs must be a list of runs or paths of their logs, got ${showValue(runs)}`);
  }
  const read: Run[] = [];
  for (const one of runs as readonly unknown[]) {
    const isRead = typeof one === "object" && one !== null && "records" in one;
    read.push(isRead ? (one as Run) : await readRun(one as FilePath));
  }
  const html = renderReport(read, await findPlotLibrary(), options);
  await writeFileAtomic(to, new TextEncoder().encode(html));
}

async function findPlotLibrary(): Promise<PlotLibrary> {
  const { resolve } = createRequire(import.meta.url);
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  try {
    const folder = join(dirname(resolve("uplot/package.json")), "dist");
    return {
      script: decode(await readFileBytes(join(folder, "uPlot.iife.min.js"))),
      style: decode(await readFileBytes(join(folder, "uPlot.min.css"))),
    };
  } catch (cause) {
    throw new SteepestError(
      `writeReport: the package uplot must be there, got ${showValue((cause as Error).message)}: npm install uplot`,
      { cause },
    );
  }
}
