// The programs of examples/recipes.
import { readFileSync } from "node:fs";

/** The lines of a program that say something: all but empty ones, and those that are a comment. */
export function linesOf(recipe: string): string[] {
  const program = readFileSync(new URL(`../recipes/${recipe}.ts`, import.meta.url), "utf8");
  return program.split("\n").filter((line) => !/^\s*($|\/\/|\/\*\*.*\*\/$)/.test(line));
}
