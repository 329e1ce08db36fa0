// Tables: from a CSV file to a trained network and its report in at most 14 lines. The programs are in examples/recipes, each
// whole: two of classes, one of numbers.
import { fileURLToPath } from "node:url";
import { linesOf } from "./common/recipes.js";
import { report } from "./common/report.js";

/** What each must reach on rows that it has not seen. */
export const TARGETS = {
  breastCancer: { measure: "accuracy", atLeast: 0.94 },
  wine: { measure: "accuracy", atLeast: 0.92 },
  diabetes: { measure: "R²", atLeast: 0.35 },
} as const;

export type Recipe = keyof typeof TARGETS;

/** Runs a program; resolves to its score. */
export async function run(recipe: Recipe): Promise<number> {
  if (recipe === "diabetes") return (await import("./recipes/diabetes.js")).score;
  const { report: ofClasses } =
    recipe === "wine" ? await import("./recipes/wine.js") : await import("./recipes/breastCancer.js");
  return ofClasses.accuracy ?? 0;
}

async function main(): Promise<void> {
  let reached = 0;
  for (const recipe of Object.keys(TARGETS) as Recipe[]) {
    console.log(`${recipe}, ${linesOf(recipe).length} lines:\n`);
    const score = await run(recipe);
    const { measure, atLeast } = TARGETS[recipe];
    if (score >= atLeast) reached++;
    console.log(`\n${measure} ${score.toFixed(3)}, to be at least ${atLeast}\n`);
  }
  report("tabular", reached);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
