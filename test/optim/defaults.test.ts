// The defaults of optimizers are PyTorch's, and the ones that docs/optimizers.md says.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as optim from "../../src/optim/index.js";
import golden from "../golden/trajectories.json" with { type: "json" };

const makers = optim as unknown as Readonly<Record<string, (...given: unknown[]) => optim.Optimizer>>;

/** What is told of an option: those that are off may be left out. */
function told({ learningRate, hyperparameters }: optim.Optimizer, option: string): unknown {
  return option === "learningRate" ? learningRate : (hyperparameters?.[option] ?? 0);
}

// Recorded by trajectories.py.
test.each(Object.entries(golden.defaults))("%s has PyTorch's defaults", (name, defaults) => {
  const optimizer = makers[name]();
  const found = Object.keys(defaults).map((option) => [option, told(optimizer, option)]);
  expect(Object.fromEntries(found)).toEqual(
    Object.fromEntries(Object.entries(defaults).map(([option, value]) => [option, Number(value)])),
  );
});

const docs = readFileSync(new URL("../../docs/optimizers.md", import.meta.url), "utf8");
const [, table] = docs.split("**Options and defaults**");
const rows = table
  .split("**Weight decay**")[0]
  .split("\n")
  .flatMap((line): [name: string, cell: string][] => {
    const [, name, cell] = /^\| `(\w+)` \| ([^|]*) \|/.exec(line) ?? [];
    return name === undefined ? [] : [[name, cell]];
  });

test("the table has a row for every optimizer and wrapper", () => {
  const { learningRateAt, groups, defineOptimizer, clipByGlobalNorm, clipByNorm, clipByValue, ...all } = optim;
  expect(rows.map(([name]) => name).sort()).toEqual([...Object.keys(all), "minimize"].sort());
});

/** What wrappers call their options among the numbers that they tell. */
const WRAPPED: Readonly<Record<string, string>> = {
  "lookahead every": "lookaheadEvery",
  "lookahead alpha": "lookaheadAlpha",
  "averaged decay": "averageDecay",
  "averaged start": "averagedFrom",
};

const plain = rows.filter(([name]) => name !== "minimize");
test.each(plain)("%s: the table's defaults are the code's", (name, cell) => {
  const isWrapper = ["sharpnessAware", "lookahead", "averaged"].includes(name);
  const optimizer = isWrapper ? makers[name](optim.sgd()) : makers[name]();
  const said = [...cell.matchAll(/`(\w+)` (-?[\d.]+(?:e-?\d+)?|true|false)/g)];
  expect(said.length).toBeGreaterThan(0);
  for (const [, option, value] of said) {
    // Other ways of averaging, and the decoupling of no decay, are not told.
    if (["averaged mean", "averaged every", "lion decoupled"].includes(`${name} ${option}`)) continue;
    const expected = value === "true" ? 1 : value === "false" ? 0 : Number(value);
    expect(told(optimizer, WRAPPED[`${name} ${option}`] ?? option), `${name} ${option}`).toBe(expected);
  }
  // Every number that it tells has its place in the table, if it is not that of Adam.
  const own = Object.keys(optimizer.hyperparameters ?? {}).filter(
    (option) => !isWrapper || !(option in (optim.sgd().hyperparameters ?? {})),
  );
  for (const option of own) {
    if (/^(adamW|nadam)$/.test(name) && /beta|epsilon|decoupled/.test(option)) continue;
    const named =
      Object.entries(WRAPPED)
        .find(([, as]) => as === option)?.[0]
        .split(" ")[1] ?? option;
    expect(cell, `${name} ${option}`).toContain(`\`${named}\``);
  }
});
