// Logs of runs as one HTML page.
import { writeReport } from "../platform/nodeReport.js";
import { defineCommand } from "./options.js";

export const reportCommand = defineCommand({
  summary: "write the logs of runs as one HTML page",
  description: "Writes a page with the curves of one run or several, compared. It needs the package uplot.",
  arguments: "<logs...>",
  options: {
    output: { placeholder: "FILE", default: "report.html", help: "where the page goes" },
    title: { placeholder: "TEXT", default: "Training", help: "its title" },
  },
  examples: [
    "steepest report runs/*.jsonl",
    'steepest report --output mine.html --title "Wide and narrow" wide.jsonl narrow.jsonl',
  ],
  async run({ output, title }, logs) {
    await writeReport(output, logs, { title });
    console.log(`wrote ${output}, with ${logs.length} ${logs.length === 1 ? "run" : "runs"}`);
  },
});
