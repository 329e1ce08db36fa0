// The sweep over all that "steepest/data", "steepest/search" and "steepest/text" export: see sweep.ts for the rule that it holds.
import { describe, expect, test } from "vitest";
import { namesOfPreparation, preparationRows } from "./rows/preparation.js";
import { sweep, sweptCalls } from "./sweep.js";

describe("bad arguments", () => {
  sweep(preparationRows, () => undefined);
});

test("every export has a row", () => {
  const named = preparationRows.map(({ name }) => name);
  expect(namesOfPreparation.filter((name) => !named.includes(name))).toEqual([]);
});

test("the calls are many", () => {
  expect(sweptCalls().calls).toBeGreaterThan(1000);
});
