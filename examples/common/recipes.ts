// The programs of examples/recipes.
import { readFileSync } from "node:fs";

/** The lines of a program that say something. */
export function linesOf(recipe: string): number {
  const program = readFileSync(new URL(`../recipes/${recipe}.ts`, import.meta.url), "utf8");
  return program.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("//")).length;
}
