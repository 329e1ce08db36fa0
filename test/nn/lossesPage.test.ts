import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import * as steepest from "../../src/index.js";
import type { Loss } from "../../src/nn/losses.js";

const create = steepest as unknown as Record<string, (options?: object) => Loss>;
const needed = (name: string) => (name === "ctc" ? { labels: 3 } : {});

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
  for (const [name, targets] of rows) expect(create[name](needed(name)).targets, name).toBe(targets);

  // Which loss takes which option.
  const accepts = (name: string, options: object): boolean => {
    try {
      create[name]({ ...needed(name), ...options });
      return true;
    } catch (error) {
      expect((error as Error).name).toBe("ModelError");
      return false;
    }
  };
  const told = (option: string): string[] => {
    const [, cell = ""] = new RegExp(`^\\| \`${option}\` \\| (.*) \\|$`, "m").exec(page) ?? [];
    return [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name).filter((name) => rows.has(name));
  };
  const all = [...rows.keys()];
  const taking = (options: object) => all.filter((name) => accepts(name, options));
  expect(taking({ reduction: "sum" })).toEqual(all);
  expect(taking({ ignoreIndex: -1 }).sort()).toEqual(told("ignoreIndex").sort());
  expect(taking({ ignoreValue: 0 }).sort()).toEqual(told("ignoreValue").sort());
  expect(accepts("focal", { targets: "bits", ignoreValue: -1 })).toBe(true);
  const byClass = [{ classWeights: [1, 2] }, { alpha: [1, 2] }, { positiveWeight: 2 }].flatMap(taking);
  expect(byClass.sort()).toEqual(told("classWeights").sort());
  expect(taking({ labelSmoothing: 0.1 }).sort()).toEqual(told("labelSmoothing").sort());
  const unweighed = all.filter((name) => create[name](needed(name)).values === undefined);
  expect(unweighed.sort()).toEqual(["batchTriplet", "ctc", "supervisedContrastive"]);
  expect(create.diceLoss({ over: "batch" }).values).toBeUndefined();
});
