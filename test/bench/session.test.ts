import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../../bench/options.js";
import type { Entry, Environment, Outcome } from "../../bench/report.js";
import { describeSessions, latestEntries, readSession, type Session, saveSession } from "../../bench/session.js";
import { workloads } from "../../bench/workloads.js";

const environment: Environment = { day: "2026-02-03", node: "26.1.0", v8: "14.1", processor: "A × 2", load: 0.31 };
const median = (ms: number): Outcome => ({ best: ms, lowerQuartile: ms, median: ms, upperQuartile: ms, samples: 1 });

function entry(name: string, implementation: Entry["implementation"], outcome: Outcome): Entry {
  const workload = workloads.find((other) => other.name === name) ?? expect.fail(name);
  return { workload, implementation, outcome };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "steepest-session-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("what was saved is read as it was", async () => {
  const session: Session = {
    environment,
    rounds: 25,
    entries: [
      entry("xor", "steepest-wide-1", { leftOut: "no flag" }),
      entry("xor", "pytorch-1", { ...median(2), version: "1.13", libraries: "PyTorch with ABlas" }),
      entry("gemm-64", "javascript", { error: "wrong" }),
    ],
  };
  const file = join(folder, "a.json");
  await saveSession(file, session);
  expect(await readSession(file)).toEqual(session);
});

describe("a file that --save did not write is refused", () => {
  test.each([
    ["not JSON", /must be a file that --save wrote/],
    ["[]", /must be a file that --save wrote/],
    ["null", /must be a file that --save wrote/],
    [
      '{"environment":{},"rounds":1,"entries":[{"workload":"gone"}]}',
      /has the workload "gone", which is not there any more/,
    ],
  ])("%s", async (text, message) => {
    const file = join(folder, "b.json");
    await writeFile(file, text);
    await expect(readSession(file)).rejects.toThrow(UsageError);
    await expect(readSession(file)).rejects.toThrow(message);
    expect(await readFile(file, "utf8")).toBe(text);
  });

  test("one that is not there", async () => {
    await expect(readSession(join(folder, "missing.json"))).rejects.toThrow(
      /^--from: cannot read ".*missing.json": ENOENT/,
    );
  });
});

describe("several sessions", () => {
  const first: Session = {
    environment,
    rounds: 25,
    entries: [entry("gemm-64", "javascript", median(1)), entry("xor", "javascript", median(2))],
  };
  const second: Session = {
    environment: { ...environment, load: 0.12 },
    rounds: 25,
    entries: [entry("xor", "steepest-fast-1", median(3)), entry("cnn", "javascript", median(4))],
  };

  test("give each workload as the last that has it, whole, in the order of the workloads", () => {
    expect(latestEntries([first, second])).toEqual([...second.entries, first.entries[0]]);
    expect(latestEntries([second, first])).toEqual([first.entries[1], second.entries[1], first.entries[0]]);
  });

  test("have one line if they are alike, and else one each with its workloads", () => {
    const all = () => true;
    expect(describeSessions([first, second], all)).toBe(
      "2026-02-03, Node 26.1.0 (V8 14.1), A × 2, load average 0.12 to 0.31 at start, medians of up to 25 rounds in turns",
    );
    const rough: Session = { ...second, rounds: 6 };
    expect(describeSessions([first, rough], (name) => name !== "cnn").split(".\n\n")).toEqual([
      "`gemm-64`: 2026-02-03, Node 26.1.0 (V8 14.1), A × 2, load average 0.31 at start, medians of up to 25 rounds in turns",
      "`xor`: 2026-02-03, Node 26.1.0 (V8 14.1), A × 2, load average 0.12 at start, medians of up to 6 rounds in turns",
    ]);
  });
});
