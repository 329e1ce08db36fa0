// The trials of a search as text.
import type { Trial } from "./trial.js";

/** Rows of all trials in this order: their numbers, budgets (if they differ), scores, parameters; what failed says why. */
export function tableOf(trials: readonly Trial<unknown>[]): string {
  const budgets = new Set(trials.map(({ budget }) => budget)).size > 1;
  const flat = trials.map(({ parameters }) => new Map(flattened("", parameters)));
  const names = [...new Set(flat.flatMap((one) => [...one.keys()]))];
  const head = ["trial", ...(budgets ? ["budget"] : []), "score", ...names];
  const rows = trials.map(({ number, budget, score, error }, i) => [
    String(number),
    ...(budgets ? [shown(budget)] : []),
    score === undefined ? "failed" : shown(score),
    ...names.map((name) => shown(flat[i].get(name) ?? "")),
    ...(error === undefined ? [] : [error.split("\n")[0].slice(0, 60)]),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  // Numbers stand at the right of their column, texts at the left.
  const isText = head.map((_, column) =>
    rows.some((row) => Number.isNaN(Number(row[column])) && row[column] !== "failed"),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i < head.length && !isText[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}

function flattened(prefix: string, parameters: unknown): [string, unknown][] {
  return Object.entries(parameters as object).flatMap(([name, value]): [string, unknown][] =>
    typeof value === "object" ? flattened(`${prefix}${name}.`, value) : [[prefix + name, value]],
  );
}

function shown(value: unknown): string {
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
}
