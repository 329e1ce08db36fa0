import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import * as steepest from "../../src/index.js";
import type { Loss } from "../../src/nn/losses.js";

test("docs/losses.md has every loss, with the targets that it takes", async () => {
  const folder = new URL("../../src/nn/", import.meta.url);
  const sources = await Promise.all((await readdir(folder)).map((file) => readFile(new URL(file, folder), "utf8")));
  const declared = sources.flatMap((source) =>
    Array.from(source.matchAll(/^export function (\w+)\([^)]*\): Loss \{$/gm), ([, name]) => name),
  );
  const losses = declared.filter((name) => Object.hasOwn(steepest, name));
  expect(losses.length).toBeGreaterThan(34);
  const page = await readFile(new URL("../../docs/losses.md", import.meta.url), "utf8");
  const rows = new Map(Array.from(page.matchAll(/^\| `(\w+)` \| (\w+) \|/gm), ([, name, targets]) => [name, targets]));
  expect([...rows.keys()].sort()).toEqual([...new Set(losses)].sort());
  const create = steepest as unknown as Record<string, (options?: object) => Loss>;
  for (const [name, targets] of rows) {
    expect(create[name](name === "ctc" ? { labels: 3 } : {}).targets, name).toBe(targets);
  }
});
