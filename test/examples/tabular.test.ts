// The recipes: how many lines each takes, and that they reach what they must.
import { expect, test } from "vitest";
import { linesOf } from "../../examples/common/recipes.js";
import list from "../../examples/list.json" with { type: "json" };
import { type Recipe, run, TARGETS } from "../../examples/tabular.js";

test.each(Object.keys(TARGETS) as Recipe[])("%s: at most 14 lines", async (recipe) => {
  expect(linesOf(recipe)).toBeGreaterThan(5);
  expect(linesOf(recipe)).toBeLessThanOrEqual(14);
  expect(await run(recipe)).toBeGreaterThanOrEqual(TARGETS[recipe].atLeast);
});

test("temperature: at most 20 lines", async () => {
  expect(linesOf("temperature")).toBeLessThanOrEqual(20);
  const { error, naive } = await import("../../examples/recipes/temperature.js");
  expect(error / naive).toBeLessThan(Number(list.find(({ name }) => name === "timeSeries")?.target.atMost));
});
