// What the benchmark says: a table for people, records for programs.
import { cpus, loadavg } from "node:os";
import type { Summary } from "./timing.js";
import { type Implementation, inMetric, type Metric, UNITS, type Workload } from "./workload.js";

/** One line of the table: what an implementation came to, or why it did not. */
export interface Entry {
  readonly workload: Workload;
  readonly implementation: Implementation;
  readonly outcome: Summary | { readonly error: string };
}

/** The median of one implementation of one workload. */
export interface BenchRecord {
  readonly workload: string;
  readonly implementation: Implementation;
  readonly metric: Metric;
  readonly value: number;
  readonly unit: string;
}

/** Records of the entries that were timed. */
export function recordsOf(entries: readonly Entry[]): BenchRecord[] {
  return entries.flatMap(({ workload, implementation, outcome }) => {
    if ("error" in outcome) return [];
    const { name, metric } = workload;
    const value = inMetric(workload, outcome.median);
    return [{ workload: name, implementation, metric, value, unit: UNITS[metric] }];
  });
}

export function showEnvironment(): string {
  const { node, v8 } = process.versions;
  const processors = cpus();
  const [load] = loadavg();
  const busy = load > 0.5 ? "; other processes are running, so figures are rough" : "";
  const model = processors[0]?.model.trim() ?? "unknown processor";
  return `Node ${node} (V8 ${v8}), ${model} × ${processors.length}, load average ${load.toFixed(2)} at start${busy}`;
}

const COLUMNS = ["workload", "implementation", "best", "median", "p25 – p75", "unit", "× javascript"];
const TEXT_COLUMNS = [0, 1, 5];

/** Best, median and quartiles of each entry, and how many times as fast as plain JavaScript its median is. */
export function showTable(entries: readonly Entry[]): string {
  const rows = [COLUMNS, ...entries.map((entry) => cellsOf(entry, entries))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) =>
      TEXT_COLUMNS.includes(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    );
    return cells.join("  ").trimEnd();
  });
  return [lines[0], widths.map((width) => "─".repeat(width)).join("──"), ...lines.slice(1)].join("\n");
}

function cellsOf({ workload, implementation, outcome }: Entry, entries: readonly Entry[]): string[] {
  const { name, metric } = workload;
  if ("error" in outcome) return [name, implementation, "failed", "", "", "", ""];
  const show = (stepMs: number) => formatNumber(inMetric(workload, stepMs));
  const quartiles = [show(outcome.lowerQuartile), show(outcome.upperQuartile)];
  if (metric !== "step-ms") quartiles.reverse();
  const spread = quartiles.join(" – ");
  const ratio = ratioTo(outcome, name, entries);
  return [name, implementation, show(outcome.best), show(outcome.median), spread, UNITS[metric], ratio];
}

function ratioTo({ median }: Summary, name: string, entries: readonly Entry[]): string {
  const baseline = entries.find((entry) => entry.workload.name === name && entry.implementation === "javascript");
  if (baseline === undefined || "error" in baseline.outcome) return "";
  return (baseline.outcome.median / median).toFixed(2);
}

/** Four significant digits, never in powers of ten. */
function formatNumber(value: number): string {
  if (value === 0 || value >= 1000) return value.toFixed(0);
  return value.toFixed(Math.min(7, Math.max(0, 3 - Math.floor(Math.log10(value)))));
}
