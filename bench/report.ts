// What the benchmark says: a table for people, records for programs.
import { cpus, loadavg } from "node:os";
import type { Summary } from "./timing.js";
import { type Competitor, inMetric, type Metric, UNITS, variantOf, type Workload } from "./workload.js";

/** What an implementation came to, or why it did not. */
export type Outcome =
  | (Summary & {
      readonly version?: string | undefined;
      readonly note?: string | undefined;
      /** With what it calculates: "PyTorch with …". */
      readonly libraries?: string | undefined;
    })
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

/** The machine and what ran on it. */
export interface Environment {
  readonly day: string;
  readonly node: string;
  readonly v8: string;
  readonly processor: string;
  /** Of the last minute before the start. */
  readonly load: number;
}

export function readEnvironment(today: Date = new Date()): Environment {
  const { node, v8 } = process.versions;
  const processors = cpus();
  const [load] = loadavg();
  const processor = `${processors[0]?.model.trim() ?? "unknown processor"} × ${processors.length}`;
  return { day: today.toISOString().slice(0, 10), node, v8, processor, load };
}

/** From this load on, something else takes the processors. */
const BUSY = 0.5;

/** The machine of one or more runs, and with what PyTorch calculates, which decides about its speed. */
export function showEnvironment(
  environments: readonly [Environment, ...Environment[]],
  entries: readonly Entry[] = [],
): string {
  const [{ day, node, v8, processor }] = environments;
  const loads = environments.map(({ load }) => load);
  const [least, most] = [Math.min(...loads), Math.max(...loads)].map((load) => load.toFixed(2));
  const busy = loads.some((load) => load > BUSY) ? "; other processes are running, so figures are rough" : "";
  const load = `load average ${least === most ? least : `${least} to ${most}`} at start${busy}`;
  const libraries = new Set(entries.flatMap(({ outcome }) => ("median" in outcome ? (outcome.libraries ?? []) : [])));
  return [`${day}, Node ${node} (V8 ${v8})`, processor, load, ...libraries].join(", ");
}

const COLUMNS = ["workload", "implementation", "best", "median", "p25 – p75", "unit"];
const TEXT_COLUMNS = [0, 1, 5];
/** Whose speed the others' is put in relation to; a column is there when its implementation is. */
const BASELINES: readonly Competitor[] = ["javascript", "pytorch-1"];

interface Ratio {
  readonly head: string;
  of(entry: TimedEntry): string;
}

/**
 * Best, median and quartiles of each entry, how many times as fast as the baselines its median is, and where one core's
 * ceiling was measured too, which part of it. Next to a workload's yardstick, which part of its speed. Where another revision ran, that is the baseline, of the best too.
 */
export function showTable(entries: readonly Entry[]): string {
  const ratios = ratiosTo(entries);
  if (entries.some(({ workload }) => workload.yardstick !== undefined)) {
    ratios.push({ head: "× yardstick", of: (entry) => ratioToYardstick(entry, entries) });
  }
  if (entries.some(isCeiling)) ratios.push({ head: "of ceiling", of: (entry) => ratioToCeiling(entry, entries) });
  const heads = [...COLUMNS, ...ratios.map(({ head }) => head)];
  const rows = entries.map((entry) => {
    const cells = cellsOf(entry);
    return isTimed(entry) ? [...cells, ...ratios.map(({ of }) => of(entry))] : cells;
  });
  const widths = heads.map((_, column) => Math.max(...[heads, ...rows].map((row) => (row[column] ?? "").length)));
  const lines = [heads, ...rows].map((row) => {
    const cells = row.map((cell, column) =>
      TEXT_COLUMNS.includes(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    );
    return cells.join("  ").trimEnd();
  });
  return [lines[0], widths.map((width) => "─".repeat(width)).join("──"), ...lines.slice(1)].join("\n");
}

type TimedEntry = Entry & { readonly outcome: Summary };

function isTimed(entry: Entry): entry is TimedEntry {
  return "median" in entry.outcome;
}

function isCeiling(entry: Entry): entry is TimedEntry {
  return entry.workload.name === "ceiling" && isTimed(entry);
}

function cellsOf({ workload, implementation, outcome }: Entry): string[] {
  const { name, metric } = workload;
  if (!("median" in outcome)) return [name, implementation, "failed"];
  const show = (stepMs: number) => formatNumber(inMetric(workload, stepMs), 4);
  const quartiles = [show(outcome.lowerQuartile), show(outcome.upperQuartile)];
  if (metric !== "step-ms") quartiles.reverse();
  return [name, implementation, show(outcome.best), show(outcome.median), quartiles.join(" – "), UNITS[metric]];
}

function ratiosTo(entries: readonly Entry[]): Ratio[] {
  const commit = entries.map(({ implementation }) => implementation.split("@")[1]).find((name) => name !== undefined);
  if (commit !== undefined) {
    const ratio = (which: "best" | "median") => (entry: TimedEntry) =>
      ratioTo(`${entry.implementation}@${commit}`, entry, entries, which);
    return (["best", "median"] as const).map((which) => ({ head: `${which} × ${commit}`, of: ratio(which) }));
  }
  const baselines = BASELINES.filter(
    (name) => name === "javascript" || entries.some(({ implementation }) => implementation === name),
  );
  return baselines.map((name) => ({ head: `× ${name}`, of: (entry) => ratioTo(name, entry, entries, "median") }));
}

function ratioTo(
  baseline: string,
  { workload, outcome }: TimedEntry,
  entries: readonly Entry[],
  which: "best" | "median",
): string {
  const other = entries.find(
    (entry) => entry.workload.name === workload.name && entry.implementation === baseline && isTimed(entry),
  ) as TimedEntry | undefined;
  return other === undefined ? "" : formatRatio(other.outcome[which] / outcome[which]);
}

/** Of what was timed next to it by the same engine: with the same work, the part of its speed that is reached. */
function ratioToYardstick(entry: TimedEntry, entries: readonly Entry[]): string {
  const { workload, implementation } = entry;
  return workload.yardstick === undefined
    ? ""
    : ratioTo(`${implementation}/${workload.yardstick.name}`, entry, entries, "median");
}

/** The ceiling is one core's, of the same build: two threads can come to twice that. */
function ratioToCeiling({ workload, implementation, outcome }: TimedEntry, entries: readonly Entry[]): string {
  const kindOf = (name: Competitor) => variantOf(name)?.build ?? name;
  const ceiling = entries.filter(isCeiling).find((entry) => kindOf(entry.implementation) === kindOf(implementation));
  if (workload.metric !== "gflops" || ceiling === undefined) return "";
  return formatRatio(inMetric(workload, outcome.median) / inMetric(ceiling.workload, ceiling.outcome.median));
}

function formatRatio(ratio: number): string {
  return ratio < 0.1 ? ratio.toPrecision(2) : ratio.toFixed(2);
}

/** What is said under the table: a title, and what belongs to it. */
export interface Remark {
  readonly title: string;
  readonly lines: readonly string[];
}

/** The peers' versions, where their work differs, and what is left out and why. */
export function remarksOf(entries: readonly Entry[]): Remark[] {
  const timed = entries.flatMap(({ outcome, ...entry }) => ("median" in outcome ? [{ ...entry, ...outcome }] : []));
  const versions = timed.flatMap(({ implementation, version }) =>
    version === undefined ? [] : [`${implementation} ${version}`],
  );
  const notes = timed.flatMap((entry) => (entry.note === undefined ? [] : [{ ...entry, remark: entry.note }]));
  const reasons = entries.flatMap(({ outcome, ...entry }) =>
    "leftOut" in outcome ? [{ ...entry, remark: outcome.leftOut }] : [],
  );
  const count = new Set(entries.map(({ workload }) => workload.name)).size;
  const remarks: Remark[] = [
    { title: "Not quite the same work:", lines: linesOf(notes, count) },
    { title: "Left out:", lines: linesOf(reasons, count) },
  ];
  const peers = versions.length === 0 ? [] : [{ title: `Peers: ${[...new Set(versions)].join(", ")}`, lines: [] }];
  return [...peers, ...remarks.filter(({ lines }) => lines.length > 0)];
}

export function showRemarks(entries: readonly Entry[]): string[] {
  return remarksOf(entries).map(({ title, lines }) => [title, ...lines.map((line) => `  ${line}`)].join("\n"));
}

/** A line for each remark and the workloads it is about, of `count` in all, with all the implementations it is made of. */
function linesOf(remarks: readonly (Omit<Entry, "outcome"> & { readonly remark: string })[], count: number): string[] {
  const key = (remark: string, implementation: Competitor) => `${implementation}: ${remark}`;
  const workloadsOf = groupBy(remarks, ({ remark, implementation }) => key(remark, implementation));
  const lines = groupBy(remarks, ({ remark, implementation }) => {
    const names = workloadsOf.get(key(remark, implementation))?.map(({ workload }) => workload.name) ?? [];
    return `${remark} (${showPlaces(names, count)})`;
  });
  return [...lines].map(([text, group]) => {
    const implementations = new Set(group.map(({ implementation }) => implementation));
    return `${[...implementations].join(", ")}: ${text}`;
  });
}

/** More names than these nobody reads. */
const MAX_NAMES = 10;

function showPlaces(names: readonly string[], count: number): string {
  if (names.length === count && count > 1) return "everywhere";
  return names.length > MAX_NAMES ? `in ${names.length} of ${count} workloads` : names.join(", ");
}

export function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}

/** So many significant digits, never in powers of ten. */
export function formatNumber(value: number, digits: number): string {
  if (value === 0 || value >= 1000) return value.toFixed(0);
  return value.toFixed(Math.min(7, Math.max(0, digits - 1 - Math.floor(Math.log10(value)))));
}
