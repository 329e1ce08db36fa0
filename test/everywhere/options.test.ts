// What the command line of test:everywhere refuses, before anything is packed or installed.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface Options {
  only: string[];
  requireAll: boolean;
}
interface Record {
  runtime: string;
  failed: number;
  skipped: number;
  reason: string | undefined;
  failures: string[];
}
const load = (name: string) => import(new URL(name, import.meta.url).href);
const { readOptions }: { readOptions(args: string[], names: string[]): Options } = await load("./options.mjs");
const { recordMissing }: { recordMissing(runtime: string, reason: string, options: { requireAll: boolean }): Record } =
  await load("./records.mjs");

const program = fileURLToPath(new URL("./run.mjs", import.meta.url));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("--help lists the options and the runtimes", () => {
  const { status, stdout } = run("--help");
  expect(status).toBe(0);
  expect(stdout).toMatch(
    /^usage: [\s\S]*--only[\s\S]*--require-all[\s\S]*runtimes: .*node20, .*workerd, .*firefox, .*webkitgtk/m,
  );
});

test.each([
  [["--fast"], 'unknown option "--fast"'],
  [["--only"], "--only needs a value"],
  [["--json", "--record"], "--json needs a value"],
  [["--only", "node20,netscape"], 'no runtime is named "netscape": there are node20, '],
  [["--require-all=deno"], 'unknown option "--require-all=deno"'],
  [["--record", "--only", "deno"], "--record is for all runtimes"],
])("%j is refused with the usage", (args, message) => {
  const { status, stderr } = run(...args);
  expect(status).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain("usage: ");
});

test.each([
  [[], { failed: 0, skipped: 1, reason: "Deno is not installed", failures: [] }],
  [
    ["--require-all", "--only", "deno"],
    {
      failed: 1,
      skipped: 0,
      reason: undefined,
      failures: ["must be there with --require-all: Deno is not installed"],
    },
  ],
])("with %j an absent runtime is noted so", (args, noted) => {
  const options = readOptions(args, ["deno", "bun"]);
  expect(recordMissing("deno", "Deno is not installed", options)).toMatchObject({ runtime: "deno", ...noted });
});
