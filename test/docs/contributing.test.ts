// The diffs of CONTRIBUTING.md apply to the sources as they are. With STEEPEST_EXHAUSTIVE=1 each is applied in a copy, and the
// command behind it passes there, and fails without it.
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

test("there are changes to apply", () => {
  expect(changes.map(({ title }) => title)).toEqual(["An optimizer", "A layer"]);
  for (const { command } of changes) expect(command).toMatch(/^npx vitest run --project tests test\/\S+ -t \w+$/);
});

test.each(changes)("$title: its diff applies", (change) => {
  git("apply", "--check", written(change));
});

describe.runIf(process.env.STEEPEST_EXHAUSTIVE === "1")("in a copy of the sources", () => {
  test.each(changes)("$title: its command passes with it, and has nothing to run without it", (change) => {
    const copy = mkdtempSync(join(folder, "copy-"));
    for (const name of ["src", "test", "assembly", "docs", "package.json", "tsconfig.json", "vitest.config.ts"])
      cpSync(join(root, name), join(copy, name), { recursive: true, filter: (path) => !path.endsWith("node_modules") });
    for (const name of ["node_modules", "dist"]) symlinkSync(join(root, name), join(copy, name), "junction");
    const run = () => {
      const args = [
        join(root, "node_modules/vitest/vitest.mjs"),
        ...change.command.split(" ").slice(2),
        "--reporter=json",
      ];
      const { stdout } = spawnSync(process.execPath, args, { cwd: copy, encoding: "utf8" });
      return JSON.parse(stdout.slice(stdout.indexOf("{")));
    };
    expect(run()).toMatchObject({ numPassedTests: 0 });
    execFileSync("git", ["apply", written(change)], { cwd: copy });
    expect(run()).toMatchObject({ success: true, numPassedTests: 1 });
  });
});
