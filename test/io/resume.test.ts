// A training whose process is killed with SIGKILL at random moments, while it trains and while it saves: each time the next
// process goes on from the latest checkpoint, none of which is ever torn, and the end is that of a training that nobody
// disturbed, bit for bit. A few kills; 200 with STEEPEST_EXHAUSTIVE=1.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { folderStore, loadLatest } from "steepest/io";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lehmer } from "../train/blobs.js";

const exhaustive = process.env.STEEPEST_EXHAUSTIVE === "1";
const KILLS = exhaustive ? 200 : 12;
const KILLS_EACH = 4;
const root = fileURLToPath(new URL("../../", import.meta.url));
// Two folders below the root, as the source is, so that the kernels are found.
mkdirSync(join(root, "build"), { recursive: true });
const programs = mkdtempSync(join(root, "build/resume-"));
const folder = mkdtempSync(join(tmpdir(), "steepest-resume-"));
const script = join(programs, "training.mjs");

beforeAll(async () => {
  await build({
    absWorkingDir: root,
    entryPoints: ["test/io/killedTraining.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: script,
    alias: { "steepest/io": join(root, "src/platform/nodeIo.ts"), steepest: join(root, "src/platform/node.ts") },
    external: ["*.wasm?gzip"],
    logLevel: "error",
  });
});

afterAll(() => {
  rmSync(programs, { recursive: true });
  rmSync(folder, { recursive: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  said(): string;
}

function start(store: string): Run {
  const child = spawn(process.execPath, [script, store], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout?.on("data", (part: Buffer) => {
    said += part;
  });
  return { child, ended: once(child, "close"), said: () => said };
}

/** Waits until it has said so much, or has ended. */
async function whenSaid({ child, said, ended }: Run, count: number): Promise<void> {
  let over = false;
  ended.then(() => {
    over = true;
  });
  while (said().length < count && !over) await Promise.race([once(child.stdout as never, "data"), ended]);
}

async function toTheEnd(store: string): Promise<{ digest: string; moments: number }> {
  const run = start(store);
  await run.ended;
  const [, dots = "", digest] = /^(\.*)(.*)/s.exec(run.said()) ?? [];
  expect(digest).toMatch(/^\d+ steps, [0-9a-f]{64}\n$/);
  return { digest, moments: dots.length };
}

test("each time the end is that of a training that nobody disturbed", {
  timeout: 60_000 + KILLS * 15_000,
}, async () => {
  const { digest, moments } = await toTheEnd(join(folder, "undisturbed"));
  expect(moments).toBeGreaterThan(100);
  const random = lehmer(7);
  const figures = { kills: 0, trainings: 0, "before the first checkpoint": 0, "resumed from": new Set<number>() };
  for (; figures.kills < KILLS; figures.trainings++) {
    const path = join(folder, String(figures.trainings));
    let before = 0;
    for (let kill = 0; kill < KILLS_EACH && figures.kills < KILLS; kill++, figures.kills++) {
      const run = start(path);
      // From before its first word on; each is a part of what is left.
      await whenSaid(run, Math.floor((random() * moments) / 2));
      if (random() < 0.5) await new Promise((resolve) => setTimeout(resolve, random() * 3));
      run.child.kill("SIGKILL");
      await run.ended;
      const latest = await loadLatest(folderStore(path));
      expect(latest?.skipped ?? []).toEqual([]);
      const steps = latest?.checkpoint.steps ?? 0;
      expect(steps).toBeGreaterThanOrEqual(before);
      before = steps;
      if (steps === 0) figures["before the first checkpoint"] += 1;
      figures["resumed from"].add(steps);
    }
    expect((await toTheEnd(path)).digest).toBe(digest);
  }
  // Otherwise nothing was resumed.
  expect(figures["resumed from"].size).toBeGreaterThan(1);
  if (exhaustive) console.log(figures);
});
