// What the command line of test:everywhere refuses, before anything is packed or installed.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("./run.mjs", import.meta.url));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("--help lists the options and the runtimes", () => {
  const { status, stdout } = run("--help");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^usage: [\s\S]*--only[\s\S]*runtimes: .*node20, .*workerd, .*firefox/m);
});

test.each([
  [["--fast"], 'unknown option "--fast"'],
  [["--only"], "--only needs a value"],
  [["--json", "--record"], "--json needs a value"],
  [["--only", "node20,netscape"], 'no runtime is named "netscape": there are node20, '],
  [["--record", "--only", "deno"], "--record is for all runtimes"],
])("%j is refused with the usage", (args, message) => {
  const { status, stderr } = run(...args);
  expect(status).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain("usage: ");
});
