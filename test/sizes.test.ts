// What a user downloads stays within its budgets, and is what README says: scripts/sizes.mjs bundles programs and weighs them.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";

const root = new URL("../", import.meta.url);
const sizes = new Map<string, number>();

beforeAll(async () => {
  const script = fileURLToPath(new URL("scripts/sizes.mjs", root));
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [script], (error, out) => (error ? reject(new Error(out)) : resolve(out)));
  });
  for (const [, what, bytes] of output.matchAll(/^(.*): (\d+) bytes gzipped, budget \d+$/gm))
    sizes.set(what, Number(bytes));
});

test("the facade of a simple program, all that a page loads, and what a bundler can leave out", () => {
  expect([...sizes.keys()]).toEqual([
    "facade of a simple program under Node",
    "the same in a browser",
    "all that a bundled page loads to train",
    "the same without a bundler",
    "a program without a model",
  ]);
  // The kernels and the worker are in what a page loads to train.
  const [facade, whole] = ["the same in a browser", "all that a bundled page loads to train"].map((what) =>
    Number(sizes.get(what)),
  );
  expect(whole - facade).toBeGreaterThan(40 * 1024);
});

test("README states what a page loads, rounded up", () => {
  const readme = readFileSync(new URL("README.md", root), "utf8").replace(/\s+/g, " ");
  for (const [pattern, what] of [
    [/A bundled page loads (\d+) KB/, "all that a bundled page loads to train"],
    [/a page without a bundler (\d+) KB/, "the same without a bundler"],
  ] as const) {
    const stated = Number(pattern.exec(readme)?.[1]) * 1024;
    const bytes = Number(sizes.get(what));
    expect(stated, what).toBeGreaterThan(bytes);
    expect(stated, what).toBeLessThan(1.1 * bytes);
  }
});
