// What the table has said over time: a file of medians beside it, which whoever renews the table renews, and the place in a
// Markdown file where the latest of them stand.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { writeFileAtomic } from "../src/platform/files.js";
import { UsageError } from "./options.js";
import { type Entry, type Environment, formatNumber } from "./report.js";
import type { Session } from "./session.js";
import { inMetric, type Metric, UNITS } from "./workload.js";
import { workloads } from "./workloads.js";

/** What one machine with one Node measured on one day. */
export interface Measurement extends Pick<Environment, "day" | "node" | "v8" | "processor"> {
  /** Medians by workload and implementation: milliseconds of a step, or a rate in the unit of the workload's metric. */
  readonly medians: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Whose figures the table has: ours as it is without a setting, and the library whose changes are those of the machine. */
const SHOWN = ["steepest-strict-1", "pytorch-1"];
/** How many of the latest measurements the table has. */
const LATEST = 4;
const DIGITS = 4;

const BEGIN = /^<!-- history:begin (\S+) -->$/;
const END = "<!-- history:end -->";

const isOf = (environment: Omit<Measurement, "medians">) => {
  const { day, node, v8, processor } = environment;
  return (one: Measurement) => one.day === day && one.node === node && one.v8 === v8 && one.processor === processor;
};

/** The measurements with those of the sessions. A later figure of the same day, Node and machine replaces an earlier one. */
export function withSessions(
  history: readonly Measurement[],
  sessions: readonly Session[],
  isShown: (entry: Entry) => boolean,
): Measurement[] {
  let all = [...history];
  for (const { environment, entries } of sessions) {
    const medians: Record<string, Record<string, number>> = {};
    for (const { workload, implementation, outcome } of entries.filter(isShown)) {
      if (!("median" in outcome)) continue;
      const value = Number(inMetric(workload, outcome.median).toPrecision(DIGITS));
      medians[workload.name] = { ...medians[workload.name], [implementation]: value };
    }
    if (Object.keys(medians).length === 0) continue;
    const { day, node, v8, processor } = environment;
    const before = all.find(isOf(environment));
    const names = new Set([...Object.keys(before?.medians ?? {}), ...Object.keys(medians)]);
    const merged = [...names].map((name) => [name, { ...before?.medians[name], ...medians[name] }]);
    all = [...all.filter((one) => one !== before), { day, node, v8, processor, medians: Object.fromEntries(merged) }];
  }
  return all.sort((a, b) => (a.day < b.day ? -1 : Number(a.day > b.day)));
}

/** A row for each workload that there still is, two columns for each of the latest measurements. */
export function showHistory(history: readonly Measurement[]): string {
  const latest = history.slice(-LATEST);
  const columns = latest.flatMap((one) => SHOWN.map((name) => ({ one, name })));
  const heads = columns.map(({ one, name }) => `${one.day}, Node ${one.node.split(".")[0]}: ${name}`);
  const rows = workloads.flatMap(({ name: workload, metric }) => {
    const values = columns.map(({ one, name }) => one.medians[workload]?.[name]);
    return values.every((value) => value === undefined) ? [] : [rowOf(workload, metric, values)];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(["median", ...heads]), `|---|${"---:|".repeat(heads.length)}`, ...rows.map(line)].join("\n");
}

function rowOf(workload: string, metric: Metric, values: readonly (number | undefined)[]): string[] {
  const known = values.filter((value) => value !== undefined);
  const isMicro = metric === "step-ms" && Math.min(...known) < 0.1;
  const show = (value: number) => formatNumber(value * (isMicro ? 1000 : 1), 3);
  return [
    `\`${workload}\`, ${isMicro ? "µs" : UNITS[metric]}`,
    ...values.map((value) => (value === undefined ? "–" : show(value))),
  ];
}

interface Place {
  readonly file: string;
  readonly lines: readonly string[];
  readonly begin: number;
  readonly end: number;
}

/** The place in a Markdown file, or undefined if it has none. Throws UsageError for half of one. */
async function findPlace(markdown: string): Promise<Place | undefined> {
  const lines = (await readFile(markdown, "utf8")).split("\n");
  const begin = lines.findIndex((line) => BEGIN.test(line.trim()));
  const end = lines.findIndex((line) => line.trim() === END);
  if (begin === -1 && end === -1) return undefined;
  const [, path] = BEGIN.exec(lines[begin]?.trim() ?? "") ?? [];
  if (path === undefined || end < begin) {
    throw new UsageError(
      `--readme: in "${markdown}" there must be a line <!-- history:begin FILE -->, and after it one ${END}`,
    );
  }
  return { file: resolve(dirname(markdown), path), lines, begin, end };
}

/** Throws UsageError if a file has half of a place, or one that names no history. */
export async function checkHistory(markdown: string): Promise<void> {
  const place = await findPlace(markdown);
  if (place !== undefined) await readHistory(place.file);
}

/** Adds what was measured to the history that a Markdown file names, and writes its latest figures there. */
export async function writeHistory(
  markdown: string,
  sessions: readonly Session[],
  isShown: (entry: Entry) => boolean,
): Promise<void> {
  const place = await findPlace(markdown);
  if (place === undefined) return;
  const history = withSessions(await readHistory(place.file), sessions, isShown);
  await writeFileAtomic(place.file, Buffer.from(textOf(history)));
  const { lines, begin, end } = place;
  const text = [...lines.slice(0, begin + 1), "", showHistory(history), "", ...lines.slice(end)].join("\n");
  await writeFileAtomic(markdown, Buffer.from(text));
}

/** A line for each workload of a measurement: what changed is seen in a diff. */
function textOf(history: readonly Measurement[]): string {
  const blocks = history.map(({ medians, ...others }) => {
    const rows = Object.entries(medians).map(([name, one]) => `   ${JSON.stringify(name)}: ${JSON.stringify(one)}`);
    return `  ${JSON.stringify(others).slice(0, -1)},"medians": {\n${rows.join(",\n")}\n  }}`;
  });
  return `[\n${blocks.join(",\n")}\n]\n`;
}

/** Throws UsageError if the file is not what `writeHistory` writes. */
export async function readHistory(file: string): Promise<Measurement[]> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new UsageError(`--readme: cannot read the history "${file}": ${error.message}`);
  });
  try {
    const history: Measurement[] = JSON.parse(text);
    if (Array.isArray(history) && history.every(({ day, medians }) => typeof day === "string" && medians))
      return history;
  } catch {}
  throw new UsageError(`--readme: the history "${file}" must be a list of measurements { day, node, …, medians }`);
}
