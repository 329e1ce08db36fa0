// A table's columns as text.
import type { ColumnSummary } from "./tableFit.js";

/** A line for each column: its type, what is missing, its values, and what becomes of it; then the parts. */
export function summaryText(
  columns: readonly ColumnSummary[],
  parts: readonly (readonly [name: string, rows: number])[],
  features: number,
): string {
  const head = ["column", "type", "missing", "values", "becomes"];
  const lines = columns.map(({ name, type, missing, values, becomes }) => [
    name,
    type,
    String(missing),
    values,
    becomes,
  ]);
  const widths = head.map((title, at) => Math.max(title.length, ...lines.map((line) => line[at].length)));
  const text = [head, ...lines].map((line) =>
    line
      .map((value, at) => (at === 2 ? value.padStart(widths[at]) : value.padEnd(widths[at])))
      .join("  ")
      .trimEnd(),
  );
  const rows = parts.reduce((sum, [, count]) => sum + count, 0);
  const shares = parts.map(([name, count]) => `${count} ${name}`).join(", ");
  return [...text, `${rows} rows: ${shares}; ${features} feature${features === 1 ? "" : "s"}`].join("\n");
}
