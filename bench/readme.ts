// The figures as Markdown, and the place in a file where they stand.
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../src/platform/files.js";
import { UsageError } from "./options.js";
import { isPeer, PEERS } from "./peerList.js";
import { type Entry, formatNumber, groupBy, remarksOf } from "./report.js";
import { type Competitor, IMPLEMENTATIONS, inMetric, UNITS } from "./workload.js";
import { workloads } from "./workloads.js";

/** Lines of the file: what stands between them is ours. */
export const MARKERS = ["<!-- bench:begin -->", "<!-- bench:end -->"] as const;
/** The first of them, where it names what to show. */
const CHOICE = /^<!-- bench:begin columns: ([^;]+); rows: ([^;]+) -->$/;

/** The implementations and workloads that a place shows, in this order; undefined: all that there are. */
export interface Choice {
  readonly columns: readonly string[];
  readonly rows: readonly string[];
}

interface Place {
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly choice: Choice | undefined;
}

/** Throws UsageError where the file cannot be read or has no place for figures. */
export async function checkPlace(file: string): Promise<void> {
  await findPlace(file);
}

/** Puts the figures between the markers, in place of what stood there. */
export async function writeFigures(file: string, figuresOf: (choice: Choice | undefined) => string): Promise<void> {
  const { before, after, choice } = await findPlace(file);
  await writeFileAtomic(file, Buffer.from([...before, "", figuresOf(choice), "", ...after].join("\n")));
}

async function findPlace(file: string): Promise<Place> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new UsageError(`--readme: cannot read "${file}": ${error.message}`);
  });
  const lines = text.split("\n");
  const isMarker = [(line: string) => line === MARKERS[0] || CHOICE.test(line), (line: string) => line === MARKERS[1]];
  const places = isMarker.map((is) => lines.flatMap((line, i) => (is(line.trim()) ? [i] : [])));
  const missing = MARKERS.filter((_, i) => places[i].length === 0);
  if (missing.length > 0) {
    const are = missing.length > 1 ? "are no lines" : "is no line";
    throw new UsageError(
      `--readme: in "${file}" there ${are} ${missing.join(" and ")}: put ${MARKERS.join(" and ")} on lines of their own, where the figures go`,
    );
  }
  const [[begin], [end]] = places;
  if (places.flat().length > 2 || end < begin) {
    throw new UsageError(`--readme: in "${file}" there must be one line ${MARKERS[0]}, and after it one ${MARKERS[1]}`);
  }
  const choice = choiceOf(file, lines[begin].trim());
  return { before: lines.slice(0, begin + 1), after: lines.slice(end), choice };
}

function choiceOf(file: string, marker: string): Choice | undefined {
  const [, ...lists] = CHOICE.exec(marker) ?? [];
  if (lists.length === 0) return undefined;
  const [columns, rows] = lists.map((list) => list.split(",").map((name) => name.trim()));
  const unknown =
    columns.find((name) => !isCompetitor(name)) ?? rows.find((name) => workloads.every((other) => other.name !== name));
  if (unknown !== undefined)
    throw new UsageError(`--readme: in "${file}" the first line names "${unknown}", which is not there`);
  return { columns, rows };
}

function isCompetitor(name: string): name is Competitor {
  return isPeer(name) || IMPLEMENTATIONS.some((other) => other === name);
}

/** A line about the machine and what was done, a table, and the remarks; what is chosen, without the remarks. */
export function showFigures(entries: readonly Entry[], environment: string, choice?: Choice): string {
  if (choice !== undefined)
    return [`${environment}.`, showMarkdownTable(chosenFrom(entries, choice), choice.columns)].join("\n\n");
  const remarks = remarksOf(entries).map(({ title, lines }) =>
    lines.length === 0 ? `${title}.` : [title, "", ...lines.map((line) => `- ${line}`)].join("\n"),
  );
  return [`${environment}.`, showMarkdownTable(entries), ...remarks].join("\n\n");
}

function chosenFrom(entries: readonly Entry[], { columns, rows }: Choice): Entry[] {
  const shown = entries.filter(({ implementation }) => columns.includes(implementation));
  return rows.flatMap((row) => shown.filter(({ workload }) => workload.name === row));
}

/** Medians: a row for each workload, a column for each implementation that was timed in one of them. */
function showMarkdownTable(
  entries: readonly Entry[],
  order: readonly string[] = [...IMPLEMENTATIONS, ...PEERS],
): string {
  const timed = entries.filter(({ outcome }) => !("leftOut" in outcome));
  const columns = order.filter((name) => timed.some(({ implementation }) => implementation === name));
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rows = [...groupBy(timed, ({ workload }) => workload.name).values()].map((members) => {
    const [{ workload }] = members;
    const { name, description } = workload;
    const { unit, show } = unitOf(members);
    const cells = columns.map((column) => {
      const outcome = members.find(({ implementation }) => implementation === column)?.outcome;
      if (outcome === undefined) return "–";
      return "median" in outcome ? show(outcome.median) : "failed";
    });
    return row([`\`${name}\`: ${description}, ${unit}`, ...cells]);
  });
  return [row(["median", ...columns]), `|---|${"---:|".repeat(columns.length)}`, ...rows].join("\n");
}

const MIN_MS = 0.1;

/** The unit of a row; times are in µs where the shortest is below 0.1 ms. */
function unitOf(members: readonly Entry[]): { unit: string; show: (stepMs: number) => string } {
  const [{ workload }] = members;
  const shortest = Math.min(...members.map(({ outcome }) => ("median" in outcome ? outcome.median : Infinity)));
  const micro = workload.metric === "step-ms" && shortest < MIN_MS;
  return {
    unit: micro ? "µs" : UNITS[workload.metric],
    show: (stepMs) => formatNumber(inMetric(workload, stepMs) * (micro ? 1000 : 1), 3),
  };
}
