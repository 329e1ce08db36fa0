// The runner of all examples, on a folder of four small ones: one each that passes, misses, crashes, and says nothing.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { judge } from "../../examples/common/report.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "examples-"));

function runExamples(...args: string[]) {
  return spawnSync(process.execPath, [join(root, "scripts/examples.mjs"), ...args], { cwd: root, encoding: "utf8" });
}

beforeAll(() => {
  cpSync(join(root, "examples/common"), join(folder, "common"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const use = 'import { report } from "./common/report.js";';
  const sources: Record<string, string> = {
    reached: `${use} report("reached", process.argv.includes("--quick") ? 7 : 9);`,
    missed: `${use} report("missed", 7.9);`,
    crashed: `${use} report("crashed", 9); throw new Error("after the report");`,
    silent: 'console.log("nothing to say");',
  };
  const list = Object.keys(sources).map((name) => ({ name, target: { measure: "points", atLeast: 8, quick: 6.5 } }));
  list[1].target.quick = 8;
  writeFileSync(join(folder, "list.json"), JSON.stringify(list));
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(folder, `${name}.ts`), source);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("scripts/examples.mjs", () => {
  test("records each, prints a table, and fails when one missed its target", () => {
    const json = join(folder, "records.json");
    const gallery = join(folder, "pages", "gallery.md");
    const { status, stdout } = runExamples("--quick", "--json", json, "--gallery", gallery, "--folder", folder);
    expect(status).toBe(1);
    const records = JSON.parse(readFileSync(json, "utf8"));
    const target = (number: number) => ({ text: `points: at least ${number}`, number });
    const seconds = expect.any(Number);
    const common = { seconds, error: null };
    expect(records).toEqual([
      { name: "reached", file: "reached.ts", target: target(6.5), reached: 7, passed: true, ...common },
      { name: "missed", file: "missed.ts", target: target(8), reached: 7.9, passed: false, ...common },
      {
        ...{ name: "crashed", file: "crashed.ts", target: target(6.5), reached: 9, passed: false, seconds },
        error: "ended with exit code 1",
      },
      {
        ...{ name: "silent", file: "silent.ts", target: null, reached: null, passed: false, seconds },
        error: "ended with exit code 0 and reported nothing",
      },
    ]);
    expect(stdout).toMatch(/^passed {2}reached +7 +\d+\.\d s {2}points: at least 6\.5$/m);
    expect(stdout).toMatch(/^MISSED {2}missed +7\.9 /m);
    expect(stdout).toContain("after the report");
    expect(stdout).toMatch(/in all: 1 passed, 3 failed\n$/);
    const page = readFileSync(gallery, "utf8");
    expect(page.match(/^## .*$/gm)).toEqual(["## reached", "## missed", "## crashed", "## silent"]);
    expect(page).toMatch(/^points: at least 6\.5; reached: 7; [\d.]+ s\.$/m);
    expect(page).toContain("reached: 7.9 (missed)");
    expect(page).toContain("gave them: Node ");
    expect(page).toMatch(/^\| \[missed\]\(#missed\) \| 7\.9 \(missed\) \| points: at least 8 \| [\d.]+ \|$/m);
    expect(page).toMatch(/^\| \[silent\]\(#silent\) \| – \| ended with exit code 0 and reported nothing \| /m);
    expect(page).toContain("Its program is [reached.ts](../examples/reached.ts).");
    expect(page).toMatch(/^ended with exit code 0 and reported nothing; .*\n\n.*\n\n````text\nnothing to say\n````$/m);
  });

  test("--only runs one, with the target of a long run where --quick is not asked for", () => {
    const { status, stdout } = runExamples("--only", "reached", "--folder", folder);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^passed {2}reached +9 .* points: at least 8$/m);
    expect(stdout).toMatch(/in all: 1 passed, 0 failed\n$/);
  });

  test.each([
    [["--fast"], "Unknown option '--fast'"],
    [["--only", "nothing"], 'there is no example "nothing": take one of gradientDescent, '],
    [["xor"], "Unexpected argument 'xor'"],
  ])("%j is refused with usage and exit code 2", (args, message) => {
    const { status, stderr } = runExamples(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain("usage: npm run examples -- [options]");
  });
});

test.each([
  [{ measure: "m", atLeast: 8 }, false, 8, true],
  [{ measure: "m", atLeast: 8 }, false, 7.999, false],
  [{ measure: "m", atMost: 8 }, false, 8, true],
  [{ measure: "m", atMost: 8 }, false, 8.001, false],
  [{ measure: "m", atLeast: 8, quick: 5 }, true, 6, true],
  [{ measure: "m", atLeast: 8, quick: 5 }, false, 6, false],
  [{ measure: "m", atMost: 0, quick: 0.5 }, true, 0.6, false],
  [{ measure: "m", atLeast: 8 }, false, Number.NaN, false],
  [{ measure: "m", atMost: 8 }, false, Number.NaN, false],
])("judge(%j, quick %j) of %d: %j", (target, quick, reached, passed) => {
  expect(judge("name", target, reached, quick).passed).toBe(passed);
});
