import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRevision, RevisionError, type RevisionPlaces } from "../../bench/revision.js";

let root: string;
let kept: string;
const said: string[] = [];
const places = (): RevisionPlaces => ({ root, kept, say: (text) => said.push(text) });

const git = (...args: string[]) => execFileSync("git", ["-C", root, ...args], { encoding: "utf8" }).trim();
const put = (name: string, text: string) => writeFile(join(root, name), text);

async function commit(subject: string): Promise<void> {
  git("add", "--all");
  git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", subject);
}

/** Appends a line to a file outside of the folder each time that it runs. */
const BUILD = (
  log: string,
  then = "",
) => `import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
appendFileSync(${JSON.stringify(log)}, "built\\n");
${then}
mkdirSync("dist", { recursive: true });
writeFileSync("dist/text", readFileSync("text", "utf8").toUpperCase());
`;
const LOCK = (name: string) =>
  `${JSON.stringify({ name, version: "1.0.0", lockfileVersion: 3, requires: true, packages: { "": { name, version: "1.0.0" } } })}\n`;

let log: string;

beforeAll(async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "steepest-revision-")));
  [root, kept, log] = [join(folder, "here"), join(folder, "kept"), join(folder, "log")];
  await mkdir(join(root, "bench"), { recursive: true });
  await mkdir(join(root, "node_modules"));
  git("init", "--quiet");
  await put("package.json", JSON.stringify({ name: "a", version: "1.0.0", scripts: { build: "node build.mjs" } }));
  await put("package-lock.json", LOCK("a"));
  await put("build.mjs", BUILD(log));
  await put(".gitignore", "node_modules\ndist\n");
  await put("bench/index.ts", "old");
  await put("text", "first");
  await commit("The first");
  await put("text", "second");
  await put("build.mjs", BUILD(log, 'throw new Error("no luck");'));
  await commit("The second fails");
  await put("build.mjs", BUILD(log));
  await put("package-lock.json", LOCK("b"));
  await commit("The third has other packages");
  await put("package-lock.json", LOCK("a"));
  await put("bench/index.ts", "new");
});
afterAll(() => rm(join(root, ".."), { recursive: true }));

describe("another revision", () => {
  test("is built once, with the packages and the bench of this source", async () => {
    const first = await openRevision("HEAD~2", places());
    expect(first.commit).toBe(git("rev-parse", "--short", "HEAD~2"));
    expect(first.description).toMatch(/^\d{4}-\d\d-\d\d: The first$/);
    expect(said).toEqual([`building ${first.commit} (${first.description}) …`]);
    expect(await readFile(join(first.folder, "dist/text"), "utf8")).toBe("FIRST");
    expect(await readFile(join(first.folder, "bench/index.ts"), "utf8")).toBe("new");
    expect(await realpath(join(first.folder, "node_modules"))).toBe(join(root, "node_modules"));

    await put("bench/index.ts", "newer");
    expect(await openRevision(first.commit, places())).toEqual(first);
    expect(said).toHaveLength(1);
    expect(await readFile(log, "utf8")).toBe("built\n");
    expect(await readFile(join(first.folder, "bench/index.ts"), "utf8")).toBe("newer");
  });

  test("is built again where an earlier build was interrupted", async () => {
    const { folder } = await openRevision("HEAD~2", places());
    await rm(join(folder, ".steepest-bench-ready"));
    await rm(join(folder, "dist"), { recursive: true });
    await openRevision("HEAD~2", places());
    expect(await readFile(join(folder, "dist/text"), "utf8")).toBe("FIRST");
  });

  test("gets packages of its own where its lock file differs", async () => {
    const { folder } = await openRevision("HEAD", places());
    expect(await readFile(join(folder, "dist/text"), "utf8")).toBe("SECOND");
    const packages = await lstat(join(folder, "node_modules")).catch(() => undefined);
    expect(packages?.isSymbolicLink() ?? false).toBe(false);
  });

  test("that cannot be built leaves nothing, and says why", async () => {
    const failure = await openRevision("HEAD~1", places()).catch((error: Error) => error);
    expect(failure).toBeInstanceOf(RevisionError);
    expect(String(failure)).toMatch(/--against: \w+ \(.*: The second fails\) could not be built: .*no luck/s);
    expect(existsSync(join(kept, git("rev-parse", "HEAD~1")))).toBe(false);
  });

  test("that is not there is refused by name", async () => {
    for (const name of ["nothing", "--all", ""]) {
      await expect(openRevision(name, places())).rejects.toThrow(
        new RevisionError(`--against: git knows no revision "${name}" here: see git log`),
      );
    }
  });
});
