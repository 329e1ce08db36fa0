// A time series: from a CSV file to a forecast in at most 20 lines. The program is in examples/recipes, whole; forecast.ts compares
// models on the same days.
import { fileURLToPath } from "node:url";
import { linesOf } from "./common/recipes.js";
import { report } from "./common/report.js";

async function main(): Promise<void> {
  console.log(`temperature, ${linesOf("temperature").length} lines:\n`);
  const { error, naive } = await import("./recipes/temperature.js");
  report("timeSeries", error / naive);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
