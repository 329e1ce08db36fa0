// Another revision of the source, built beside this one and kept: for comparing the two (`--against`).
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Tree, thisTree } from "./children.js";

/** A revision that is not there, or cannot be built: the message says which and why. */
export class RevisionError extends Error {
  override name = "RevisionError";
}

export interface Revision extends Tree {
  readonly commit: string;
  /** Day and subject of the commit. */
  readonly description: string;
}

export interface RevisionPlaces {
  /** The repository. */
  readonly root?: string;
  /** Where built revisions are kept, each in a folder that is called as its commit. */
  readonly kept?: string;
  readonly say?: (text: string) => void;
}

const run = promisify(execFile);
/** Written when all is done: what a build left that was interrupted is made again. */
const READY = ".steepest-bench-ready";

/** Builds what `name` stands for (a commit, branch or tag), unless an earlier call has, and puts this bench into it. */
export async function openRevision(name: string, places: RevisionPlaces = {}): Promise<Revision> {
  const { root = thisTree.folder, kept = join(tmpdir(), "steepest-bench"), say = () => {} } = places;
  const git = async (...args: string[]) => (await run("git", ["-C", root, ...args])).stdout.trim();
  const full = await git("rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`).catch(() => {
    throw new RevisionError(`--against: git knows no revision "${name}" here: see git log`);
  });
  const description = await git("show", "--no-patch", "--format=%cs: %s", full);
  const commit = await git("rev-parse", "--short", full);
  const folder = join(kept, full);
  if (!existsSync(join(folder, READY))) {
    say(`building ${commit} (${description}) …`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(kept, { recursive: true });
    // Twice: it may still be registered from a folder that was removed.
    await git("worktree", "add", "--force", "--force", "--detach", folder, full);
    try {
      await build(root, folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      await git("worktree", "prune");
      throw new RevisionError(`--against: ${commit} (${description}) could not be built: ${outputOf(error)}`);
    }
    await writeFile(join(folder, READY), "");
  }
  await copyBench(root, folder);
  return { commit, description, folder };
}

/** With the packages of this source, if it asks for the very same. */
async function build(root: string, folder: string): Promise<void> {
  const shell = process.platform === "win32";
  const lockOf = (tree: string) => readFile(join(tree, "package-lock.json"), "utf8");
  if ((await lockOf(root)) === (await lockOf(folder))) {
    await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  } else {
    await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, shell });
  }
  await run("npm", ["run", "--silent", "build"], { cwd: folder, shell, maxBuffer: 1 << 26 });
}

/** Both are measured by the same bench: this one. */
async function copyBench(root: string, folder: string): Promise<void> {
  const target = join(folder, "bench");
  await rm(target, { recursive: true, force: true });
  await cp(join(root, "bench"), target, { recursive: true, filter: (source) => !source.endsWith("node_modules") });
}

/** The end of what a program wrote before it failed. */
function outputOf(error: unknown): string {
  const { stdout = "", stderr = "", message } = error as { stdout?: string; stderr?: string; message: string };
  return `${message}\n${stdout}${stderr}`.trim().slice(-2000);
}
