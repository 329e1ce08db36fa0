// The examples as they are run: npm run example -- NAME.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import list from "../../examples/list.json" with { type: "json" };

const root = new URL("../../", import.meta.url);
const names = readdirSync(new URL("examples/", root))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));

function runExample(...args: string[]) {
  return spawnSync(process.execPath, [fileURLToPath(new URL("scripts/example.mjs", root)), ...args], {
    encoding: "utf8",
  });
}

describe("examples/list.json", () => {
  test("has every example once, each with a target", () => {
    expect(list.map(({ name }) => name).sort()).toEqual([...names].sort());
    for (const { target } of list) {
      expect(target.measure).not.toBe("");
      expect(Number("atLeast" in target) + Number("atMost" in target)).toBe(1);
    }
  });

  test("has the examples in the order of the README, which names each target", () => {
    const readme = readFileSync(new URL("examples/README.md", root), "utf8");
    const rows = Array.from(readme.matchAll(/^\| \[(\w+)\]\((\w+)\.ts\) .*\| ([^|]+?) +\|$/gm));
    expect(rows.map(([, name, file]) => [name, file])).toEqual(list.map(({ name }) => [name, name]));
    rows.forEach(([, name, , target], index) => {
      const { atLeast, atMost } = list[index].target as { atLeast?: number; atMost?: number };
      expect(target, name).toContain(`${atLeast === undefined ? "at most" : "at least"} ${atLeast ?? atMost}`);
    });
  });
});

describe("scripts/example.mjs", () => {
  test("lists every example with what it shows", () => {
    const { status, stdout } = runExample();
    expect(status).toBe(0);
    for (const { name, shows } of list) expect(stdout).toContain(`\n  ${name.padEnd(17)}${shows}\n`);
  });

  test.each([
    [["nothing"], 'there is no example "nothing"'],
    [["../src/index"], 'there is no example "../src/index"'],
    [["xor", "--seed", "3"], '"xor" has no option "--seed"'],
    [["xor", "--seeds", "0"], '--seeds must be a whole number of at least 1, got "0"'],
    [["xor", "--seeds"], '--seeds must be a whole number of at least 1, got ""'],
    [["gradientDescent", "fast"], '"gradientDescent" has no option "fast"'],
  ])("%j is refused with usage and exit code 2", (args, message) => {
    const { status, stderr } = runExample(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(`${message}\n\nusage: npm run example -- NAME`);
  });
});

// The others take longer: `npm run examples` runs them all. What must be in the output, from the sources named in the other tests of this folder.
const printed: Record<string, readonly (string | RegExp)[]> = {
  backpropagation: [
    "0.09550600",
    "0.04874559",
    "0.22562721",
    "0.62534544",
    "0.298371109",
    "0.291027774",
    "3.510187783e-5",
  ],
  descentTroubles: [
    /then DivergenceError:\n +"training: the loss became Infinity/,
    "x = 1.3470",
    "x = -1.47",
    "f is 2.50e+1 after 100 steps",
  ],
  epochs: ["3 epochs × 32 steps = 96 steps", "the same, to the last bit", "64, 64 … 16"],
  gradientDescent: [
    /by hand +\(2\.00000016, 3\.00000000\)/,
    /numerical, central differences +\(2\.00000016, 3\.00000000\)/,
  ],
  perceptron: [
    "learnt: epoch 6 passed",
    "learnt: epoch 4 passed",
    "goes round for ever",
    /XOR .*0 0 0 0 +wrong|XOR .*wrong/,
  ],
  xor: ["0.693147", "0.5000  0.5000  0.5000  0.5000", "2-8-1, tanh: 50 of 50 seeds"],
};

test.each(Object.keys(printed))("%s runs, and prints what it is to show", (name) => {
  const { status, stdout, stderr } = runExample(name);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  for (const text of printed[name]) expect(stdout).toMatch(text);
  // Numbers come from the run.
  expect(stdout).not.toMatch(/undefined|NaN/);
  expect(stdout).toMatch(/\nTarget: .* Reached: .*, passed\.\n$/);
  for (const line of stdout.split("\n")) expect(line.trimEnd().length, line).toBeLessThanOrEqual(132);
});

test("examples import the public entries only", () => {
  for (const name of names) {
    const source = readFileSync(new URL(`examples/${name}.ts`, root), "utf8");
    const imports = Array.from(source.matchAll(/^(?:import|\}) .*from "([^"]+)";$/gm), ([, from]) => from);
    expect(imports.length).toBeGreaterThan(1);
    const others = imports.filter(
      (from) =>
        !/^(steepest(\/(graph|io|text|data|search|metrics|images|callbacks|inspect|report|onnx))?|fast-png|simple-ascii-chart|node:\w+|\.\/(common|recipes)\/\w+\.js)$/.test(
          from,
        ),
    );
    expect(others, name).toEqual([]);
  }
});
