// Logs of runs as one HTML page.
import { writeReport } from "../platform/nodeReport.js";
import { defineCommand, JSON_OPTION, UsageError } from "./options.js";
import { checkWritable } from "./output.js";
import { voiceOf } from "./terminal.js";

export const reportCommand = defineCommand({
  summary: "write the logs of runs as one HTML page",
  description: "Writes a page with the curves of one run or several, compared. It needs the package uplot.",
  arguments: "<logs...>",
  options: {
    output: { placeholder: "FILE", default: "report.html", help: "where the page goes" },
    title: { placeholder: "TEXT", default: "Training", help: "its title" },
    ...JSON_OPTION,
  },
  examples: [
    "steepest report runs/*.jsonl",
    'steepest report --output mine.html --title "Wide and narrow" wide.jsonl narrow.jsonl',
  ],
  async run({ output, title, json }, logs) {
    if (output === "" || output === "-") throw new UsageError(`--output must name a file, got "${output}"`);
    await checkWritable(output);
    await writeReport(output, logs, { title });
    const { say, result } = voiceOf({ json }, output);
    say(`wrote ${output}, with ${logs.length} ${logs.length === 1 ? "run" : "runs"}`);
    result({ report: output, title, logs });
  },
});
