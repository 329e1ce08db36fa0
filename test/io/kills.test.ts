// Processes that are killed in the midst of a save, with SIGKILL, which nobody can catch: the file is the old one or the
// new one, always whole, and what they leave is removed by the next save.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeFileAtomic, writeFile as writeTo } from "../../src/platform/files.js";
import { lehmer } from "../train/blobs.js";
import { brokenDisk } from "./brokenDisk.js";

const SIZE = 1_000_001;
const OLD = new Uint8Array(SIZE - 1000).fill(1);

let folder: string;
let path: string;
let script: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "steepest-kills-"));
  path = join(folder, "model.bin");
  script = join(folder, "save.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("killedSave.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: script,
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function save(mode: "at" | "forever", argument: number): ChildProcess {
  return spawn(process.execPath, [script, path, String(SIZE), mode, String(argument)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Resolves when a child has asked the system for so much. */
function calls(child: ChildProcess, count: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", (dots: Buffer) => {
      seen += dots.length;
      if (seen >= count) resolve();
    });
    child.once("exit", () => reject(new Error(`it ended after ${seen} calls`)));
  });
}

/** The value that all of the file's bytes have; throws where they are not whole. */
async function version(): Promise<number> {
  const bytes = await readFile(path);
  const first = bytes[0] as number;
  expect(bytes.equals(Buffer.alloc(first === 1 ? OLD.length : SIZE, first))).toBe(true);
  return first;
}

const leftovers = async () => (await readdir(folder)).filter((name) => name.startsWith(".steepest-"));

async function callsOfASave(): Promise<string[]> {
  const disk = brokenDisk();
  await writeFile(path, OLD);
  await writeTo(disk, path, OLD);
  return disk.calls;
}

describe.skipIf(process.platform === "win32")("a save that is killed", () => {
  test("at each of its calls to the system, half way through a write", async () => {
    const calls = await callsOfASave();
    let left = 0;
    for (const [index, call] of calls.entries()) {
      await writeFile(path, OLD);
      const child = save("at", index);
      expect((await once(child, "exit"))[1], `${index}: ${call}`).toBe("SIGKILL");
      const isInPlace = index > calls.indexOf("rename");
      expect(await version(), `${index}: ${call}`).toBe(isInPlace ? 2 : 1);
      left += (await leftovers()).length;
      await writeFileAtomic(path, OLD);
      expect(await leftovers(), `${index}: ${call}`).toEqual([]);
    }
    expect(left).toBeGreaterThan(5);
  });

  test("at 10 random moments", async () => {
    const random = lehmer(7);
    await writeFile(path, OLD);
    for (let kill = 0; kill < 10; kill++) {
      const child = save("forever", 2 + kill);
      await calls(child, 20 + Math.floor(random() * 60));
      child.kill("SIGKILL");
      await once(child, "exit");
      expect(await version()).toBeGreaterThan(0);
    }
    await writeFileAtomic(path, OLD);
    expect(await leftovers()).toEqual([]);
  });

  test("two processes that save one path at the same time: one of both, whole", async () => {
    const [first, second] = [save("forever", 101), save("forever", 102)];
    await Promise.all([first, second].map((child) => calls(child, 40)));
    const seen = new Set<number>();
    for (let look = 0; look < 100; look++) seen.add(await version());
    for (const child of [first, second]) child.kill("SIGKILL");
    await Promise.all([first, second].map((child) => once(child, "exit")));
    for (const one of seen) expect([101, 102]).toContain(one);
  });
});
