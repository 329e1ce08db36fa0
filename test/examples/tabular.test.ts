// The recipes: how many lines each takes, and that they reach what they must.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { linesOf } from "../../examples/common/recipes.js";
import list from "../../examples/list.json" with { type: "json" };
import { type Recipe, run, TARGETS } from "../../examples/tabular.js";

/** Lines of user's code that a recipe may have. */
const MOST = { breastCancer: 14, diabetes: 14, wine: 14, trainFolder: 14, trainStream: 20, temperature: 20 };

test("each has few lines, none of them hidden: in wide lines, beside other statements or in modules of its own", () => {
  const folder = new URL("../../examples/recipes/", import.meta.url);
  const files = readdirSync(folder).map((file) => file.replace(/\.ts$/, ""));
  expect(files.sort()).toEqual(Object.keys(MOST).sort());
  const table = readFileSync(new URL("../../examples/README.md", import.meta.url), "utf8");
  for (const [recipe, most] of Object.entries(MOST)) {
    const lines = linesOf(recipe);
    expect([recipe, lines.length]).toEqual([recipe, Math.max(6, Math.min(most, lines.length))]);
    for (const line of lines) {
      expect(line.length).toBeLessThanOrEqual(120);
      expect(line).not.toMatch(/;.*;\s*$/);
      expect(line.match(/\bfrom "(.*)"/)?.[1] ?? "steepest").toMatch(/^(steepest|node:)/);
    }
    const told = table.match(new RegExp(`\\[(\\d+) lines\\]\\(recipes/${recipe}\\.ts\\)`))?.[1];
    if (told !== undefined) expect([recipe, lines.length]).toEqual([recipe, Number(told)]);
  }
});

test.each(Object.keys(TARGETS) as Recipe[])("%s reaches its target", async (recipe) => {
  expect(await run(recipe)).toBeGreaterThanOrEqual(TARGETS[recipe].atLeast);
});

test("temperature is better than saying that it stays as it is", async () => {
  const { error, naive } = await import("../../examples/recipes/temperature.js");
  expect(error / naive).toBeLessThan(Number(list.find(({ name }) => name === "timeSeries")?.target.atMost));
});
