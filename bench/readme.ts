// The figures as Markdown, and the place in a file where they stand.
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../src/platform/files.js";
import { UsageError } from "./options.js";
import { type Entry, formatNumber, groupBy, remarksOf } from "./report.js";
import { type Competitor, inMetric, UNITS } from "./workload.js";

/** Lines of the file: what stands between them is ours. */
export const MARKERS = ["<!-- bench:begin -->", "<!-- bench:end -->"] as const;

/** Throws UsageError where the file cannot be read or has no place for figures. */
export async function checkPlace(file: string): Promise<void> {
  await readWith(file, "");
}

/** Puts the figures between the markers, in place of what stood there. */
export async function writeFigures(file: string, figures: string): Promise<void> {
  await writeFileAtomic(file, Buffer.from(await readWith(file, figures)));
}

async function readWith(file: string, figures: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new UsageError(`--readme: cannot read "${file}": ${error.message}`);
  });
  const lines = text.split("\n");
  const places = MARKERS.map((marker) => lines.flatMap((line, i) => (line.trim() === marker ? [i] : [])));
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
  return [...lines.slice(0, begin + 1), "", figures, "", ...lines.slice(end)].join("\n");
}

/** A line about the machine and what was done, a table, and the remarks. */
export function showFigures(entries: readonly Entry[], environment: string): string {
  const remarks = remarksOf(entries).map(({ title, lines }) =>
    lines.length === 0 ? `${title}.` : [title, "", ...lines.map((line) => `- ${line}`)].join("\n"),
  );
  return [`${environment}.`, showMarkdownTable(entries), ...remarks].join("\n\n");
}

/** Medians: a row for each workload, a column for each implementation that was timed in one of them. */
function showMarkdownTable(entries: readonly Entry[]): string {
  const timed = entries.filter(({ outcome }) => !("leftOut" in outcome));
  const columns = [...groupBy(timed, ({ implementation }) => implementation).keys()] as Competitor[];
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
