// evaluate goes through a table in memory that does not grow with it: a heap in which the table would have no room is enough.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { program, resultOf, temporaryFolder } from "./processes.js";

const cwd = temporaryFolder();
const file = (name: string): string => join(cwd, name);
// A million rows take a minute.
const ROWS = process.env.STEEPEST_EXHAUSTIVE ? 250_000 : 40_000;
const MOST_MB = 30;
const HEAD = "size,width,tall\n";

/** 3,000 different ones. (Areas under curves keep up to 65,536 different probabilities: with so many it had 0.2 GB more, and no more after that.) */
const row = (at: number): string => `${((at * 7919) % 3000) / 20},${(at * 31) % 3},${at % 3 === 0 ? "yes" : "no"}\n`;

interface Measured {
  readonly result: { readonly samples: number; readonly metrics: Record<string, number> };
  readonly peakMb: number;
}

async function evaluate(rows: number): Promise<Measured> {
  const args = [
    "--max-old-space-size=40",
    "--require",
    file("peak.cjs"),
    program,
    "evaluate",
    "model.safetensors",
    "-",
    "--json",
  ];
  const child = spawn(process.execPath, args, { cwd });
  const closed = once(child, "close");
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => (stderr += data));
  child.stdin.on("error", () => {}); // of one that has ended: its code says so
  child.stdin.write(HEAD);
  for (let first = 0; first < rows; first += 1000) {
    const piece = Array.from({ length: 1000 }, (_, at) => row(first + at)).join("");
    if (!child.stdin.write(piece)) await Promise.race([once(child.stdin, "drain"), closed]);
  }
  child.stdin.end();
  expect(await closed, stderr).toEqual([0, null]);
  return { result: JSON.parse(stdout), peakMb: Number(/peak ([\d.]+)/.exec(stderr)?.[1]) };
}

test(`four times ${ROWS} rows take at most ${MOST_MB} MB more than ${ROWS}`, async () => {
  writeFileSync(
    file("peak.cjs"),
    "process.on('exit', () => console.error('peak ' + process.resourceUsage().maxRSS / 1024))",
  );
  const input = `${HEAD}${Array.from({ length: 300 }, (_, at) => row(at)).join("")}`;
  await resultOf(["train", "-", "--target", "tall", "--epochs", "2"], { cwd, input });
  const few = await evaluate(ROWS);
  let many = await evaluate(4 * ROWS);

  // What Node has not cleared away differs from run to run: the least of three counts.
  for (let turn = 1; turn < 3 && many.peakMb - few.peakMb >= MOST_MB; turn++) {
    const again = await evaluate(4 * ROWS);
    if (again.peakMb < many.peakMb) many = again;
  }
  expect([few.result.samples, many.result.samples]).toEqual([ROWS, 4 * ROWS]);
  expect(many.peakMb - few.peakMb).toBeLessThan(MOST_MB);
});
