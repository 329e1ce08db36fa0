// What the benchmark says: a table for people, records for programs.
import { cpus, loadavg } from "node:os";
import type { Summary } from "./timing.js";
import { type Competitor, inMetric, type Metric, UNITS, type Workload } from "./workload.js";

/** What an implementation came to, or why it did not. */
export type Outcome =
  | (Summary & { readonly version?: string | undefined; readonly note?: string | undefined })
  | { readonly error: string }
  /** There is nothing to compare, or it is not installed: no failure. */
  | { readonly leftOut: string };

/** One line of the table. */
export interface Entry {
  readonly workload: Workload;
  readonly implementation: Competitor;
  readonly outcome: Outcome;
}

/** The median of one implementation of one workload. */
export interface BenchRecord {
  readonly workload: string;
  readonly implementation: Competitor;
  readonly metric: Metric;
  readonly value: number;
  readonly unit: string;
}

/** Records of the entries that were timed. */
export function recordsOf(entries: readonly Entry[]): BenchRecord[] {
  return entries.flatMap(({ workload, implementation, outcome }) => {
    if (!("median" in outcome)) return [];
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

const COLUMNS = ["workload", "implementation", "best", "median", "p25 – p75", "unit"];
const TEXT_COLUMNS = [0, 1, 5];
/** Whose speed the others' is put in relation to; a column is there when its implementation is. */
const BASELINES: readonly Competitor[] = ["javascript", "pytorch-1"];

/** Best, median and quartiles of each entry, and how many times as fast as the baselines its median is. */
export function showTable(entries: readonly Entry[]): string {
  const baselines = BASELINES.filter(
    (name) => name === "javascript" || entries.some(({ implementation }) => implementation === name),
  );
  const heads = [...COLUMNS, ...baselines.map((name) => `× ${name}`)];
  const rows = [heads, ...entries.map((entry) => cellsOf(entry, entries, baselines))];
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) =>
      TEXT_COLUMNS.includes(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    );
    return cells.join("  ").trimEnd();
  });
  return [lines[0], widths.map((width) => "─".repeat(width)).join("──"), ...lines.slice(1)].join("\n");
}

function cellsOf(
  { workload, implementation, outcome }: Entry,
  entries: readonly Entry[],
  baselines: readonly Competitor[],
): string[] {
  const { name, metric } = workload;
  if (!("median" in outcome)) return [name, implementation, "failed"];
  const show = (stepMs: number) => formatNumber(inMetric(workload, stepMs));
  const quartiles = [show(outcome.lowerQuartile), show(outcome.upperQuartile)];
  if (metric !== "step-ms") quartiles.reverse();
  const spread = quartiles.join(" – ");
  const ratios = baselines.map((baseline) => ratioTo(baseline, outcome, name, entries));
  return [name, implementation, show(outcome.best), show(outcome.median), spread, UNITS[metric], ...ratios];
}

function ratioTo(baseline: Competitor, { median }: Summary, name: string, entries: readonly Entry[]): string {
  const entry = entries.find(({ workload, implementation }) => workload.name === name && implementation === baseline);
  if (entry === undefined || !("median" in entry.outcome)) return "";
  const ratio = entry.outcome.median / median;
  return ratio < 0.1 ? ratio.toPrecision(2) : ratio.toFixed(2);
}

/** What is said under the table: the peers' versions, where their work differs, and what is left out and why. */
export function showRemarks(entries: readonly Entry[]): string[] {
  const timed = entries.flatMap(({ outcome, ...entry }) => ("median" in outcome ? [{ ...entry, ...outcome }] : []));
  const versions = timed.flatMap(({ implementation, version }) =>
    version === undefined ? [] : [`${implementation} ${version}`],
  );
  const notes = timed.flatMap((entry) => (entry.note === undefined ? [] : [{ ...entry, remark: entry.note }]));
  const reasons = entries.flatMap(({ outcome, ...entry }) =>
    "leftOut" in outcome ? [{ ...entry, remark: outcome.leftOut }] : [],
  );
  const peers = versions.length === 0 ? [] : [`Peers: ${[...new Set(versions)].join(", ")}`];
  return [...peers, ...showList("Not quite the same work:", notes), ...showList("Left out:", reasons)];
}

/** A line for each remark and the workloads it is about, with all the implementations it is made of. */
function showList(title: string, remarks: readonly (Omit<Entry, "outcome"> & { readonly remark: string })[]): string[] {
  const key = (remark: string, implementation: Competitor) => `${implementation}: ${remark}`;
  const workloadsOf = groupBy(remarks, ({ remark, implementation }) => key(remark, implementation));
  const lines = groupBy(remarks, ({ remark, implementation }) => {
    const names = workloadsOf.get(key(remark, implementation))?.map(({ workload }) => workload.name) ?? [];
    return `${remark} (${names.join(", ")})`;
  });
  const shown = [...lines].map(([text, group]) => {
    const implementations = new Set(group.map(({ implementation }) => implementation));
    return `  ${[...implementations].join(", ")}: ${text}`;
  });
  return shown.length === 0 ? [] : [[title, ...shown].join("\n")];
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}

/** Four significant digits, never in powers of ten. */
function formatNumber(value: number): string {
  if (value === 0 || value >= 1000) return value.toFixed(0);
  return value.toFixed(Math.min(7, Math.max(0, 3 - Math.floor(Math.log10(value)))));
}
