// Logs of runs as one HTML page.
import { writeReport } from "../platform/nodeReport.js";
import { type OptionTable, parseArguments, showOptions, UsageError } from "./options.js";

const OPTIONS = {
  output: { placeholder: "FILE", default: "report.html", help: "where the page goes" },
  title: { placeholder: "TEXT", default: "Training", help: "its title" },
} satisfies OptionTable;

export const reportUsage = `usage: steepest report [options] LOG.jsonl [LOG.jsonl …]

Writes a page with the curves of one run or several, compared. It needs the package uplot.

${showOptions(OPTIONS)}

examples:
  steepest report runs/*.jsonl
  steepest report --output mine.html --title "Wide and narrow" wide.jsonl narrow.jsonl`;

export async function runReport(args: readonly string[]): Promise<void> {
  const { options, positionals } = parseArguments(OPTIONS, args);
  if (positionals.length === 0) throw new UsageError("there must be at least one log, got none");
  await writeReport(options.output, positionals, { title: options.title });
  console.log(`wrote ${options.output}, with ${positionals.length} ${positionals.length === 1 ? "run" : "runs"}`);
}
