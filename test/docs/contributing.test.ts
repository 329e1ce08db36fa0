// The diffs of CONTRIBUTING.md apply to the sources as they are. With STEEPEST_EXHAUSTIVE=1 each is applied in a copy, and the
// command behind it passes there, and fails without it or has nothing to run.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "steepest-contributing-"));
afterAll(() => rmSync(folder, { recursive: true }));

const changes = [...page.matchAll(/^## (.*)\n[^#]*?^```diff\n([\s\S]*?)^```\n\n```sh\n(.*)\n```$/gm)].map(
  ([, title = "", diff = "", command = ""]) => ({ title, diff, command }),
);
const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" });

function written({ title, diff }: { title: string; diff: string }): string {
  const path = join(folder, `${title.replaceAll(" ", "-")}.diff`);
  writeFileSync(path, diff);
  return path;
}

const VITEST = /^npx vitest run (--project tests test\/\S+ -t \w+)$/;
/** It packs the package and runs the whole suite, which takes minutes. */
const EVERYWHERE = /^npm run test:everywhere -- (--only \w+)$/;
const LONGEST_MS = 900_000;

test("there are changes to apply", () => {
  expect(changes.map(({ title }) => title)).toEqual(["An optimizer", "A layer", "An operation", "A runtime"]);
  for (const { command } of changes) expect(command).toMatch(VITEST.test(command) ? VITEST : EVERYWHERE);
});

test.each(changes)("$title: its diff applies", (change) => {
  git("apply", "--check", written(change));
});

describe.runIf(process.env.STEEPEST_EXHAUSTIVE === "1")("in a copy of the sources", () => {
  test.each(changes)(
    "$title: its command passes with it, and has nothing to run without it",
    ({ title, diff, command }) => {
      const copy = mkdtempSync(join(folder, "copy-"));
      const folders = ["src", "test", "assembly", "docs", "scripts"];
      for (const name of [...folders, "package.json", "tsconfig.json", "vitest.config.ts"])
        cpSync(join(root, name), join(copy, name), {
          recursive: true,
          filter: (path) => !path.endsWith("node_modules"),
        });
      // npm packs no links.
      if (EVERYWHERE.test(command)) cpSync(join(root, "dist"), join(copy, "dist"), { recursive: true });
      else symlinkSync(join(root, "dist"), join(copy, "dist"), "junction");
      for (const name of ["node_modules", "test/everywhere/node_modules"])
        symlinkSync(join(root, name), join(copy, name), "junction");
      const passes = () => (VITEST.test(command) ? passesVitest(copy, command) : passesEverywhere(copy, command));
      expect(passes()).toBe(false);
      execFileSync("git", ["apply", written({ title, diff })], { cwd: copy });
      expect(passes()).toBe(true);
    },
    LONGEST_MS,
  );
});

/** Whether there are tests to run, and all pass. */
function passesVitest(copy: string, command: string): boolean {
  const [, given = ""] = VITEST.exec(command) ?? [];
  const args = [join(root, "node_modules/vitest/vitest.mjs"), "run", ...given.split(" "), "--reporter=json"];
  const { stdout } = spawnSync(process.execPath, args, { cwd: copy, encoding: "utf8", maxBuffer: 2 ** 28 });
  const { success, numPassedTests } = JSON.parse(stdout.slice(stdout.indexOf("{")));
  return success && numPassedTests > 0;
}

function passesEverywhere(copy: string, command: string): boolean {
  const [, given = ""] = EVERYWHERE.exec(command) ?? [];
  const args = ["test/everywhere/run.mjs", ...given.split(" ")];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: copy, encoding: "utf8" });
  return status === 0 && / [1-9]\d* passed, 0 failed$/m.test(stdout);
}
