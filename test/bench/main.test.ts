import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { thisTree } from "../../bench/children.js";
import { disposeEngines, engineOf } from "../../bench/engines.js";
import { main } from "../../bench/main.js";
import { withoutNode } from "../../bench/otherNode.js";
import type { PeerCommand, PeerName } from "../../bench/peerList.js";
import { MARKERS } from "../../bench/readme.js";
import {
  type Entry,
  type Environment,
  readEnvironment,
  showEnvironment,
  showRemarks,
  showTable,
} from "../../bench/report.js";
import { type Schedule, summarize, timeInTurns } from "../../bench/timing.js";
import { CheckError, type Contestant, type RemoteContestant, type Workload } from "../../bench/workload.js";

const resets = vi.hoisted(() => ({ count: 0 }));

// Two workloads more than there are: steepest gets the one wrong, and fails its check; the other says how long to time.
vi.mock("../../bench/workloads.js", async (importOriginal) => {
  const real = await importOriginal<typeof import("../../bench/workloads.js")>();
  const wrong: Workload = {
    name: "wrong",
    description: "steepest fails",
    metric: "gflops",
    work: 1e6,
    prepare(implementation) {
      if (implementation !== "javascript") throw new CheckError("must be 1, got 2");
      return { reset() {}, run() {}, dispose() {} };
    },
  };
  const brief: Workload = {
    name: "brief",
    description: "three rounds",
    metric: "gbytes-s",
    work: 1e6,
    schedule: { rounds: 3, roundMs: 1, warmupMs: 0, callMs: 1, settleMs: 0 },
    prepare: () => ({ reset: () => resets.count++, run() {}, dispose() {} }),
  };
  return { ...real, workloads: [...real.workloads, wrong, brief] };
});

const schedule: Schedule = { rounds: 2, roundMs: 3, warmupMs: 0, callMs: 1, settleMs: 0 };
/** A clock that moves on by a millisecond each time it is read. */
const createClock = () => {
  let time = 0;
  return () => {
    time += 1;
    return time;
  };
};

async function runBench(...args: string[]) {
  const [out, err]: string[][] = [[], []];
  const print = (text: string) => out.push(text);
  const printError = (text: string) => err.push(text);
  // Also where there is only one processor.
  const whyUnavailable = () => undefined;
  const code = await main(args, { print, printError, now: createClock(), schedule, whyUnavailable });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

const shownIn = (text: string) => text.match(/^\| `[\w-]+`.*$/gm) ?? [];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "steepest-bench-"));
});
afterEach(() => rm(folder, { recursive: true }));
afterAll(disposeEngines);

describe("main", () => {
  test("writes a record for each implementation of each workload, and nothing else", async () => {
    const file = join(folder, "bench.json");
    const workloads = "xor,xor-call,gemm-64,predict-one,activation-tanh";
    const implementations = "steepest-strict-1,javascript";
    const { code, out } = await runBench(
      "--json",
      file,
      "--workloads",
      workloads,
      "--implementations",
      implementations,
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^\d{4}-\d\d-\d\d, Node \S+ \(V8 \S+\), .+, load average \d/);
    const records = JSON.parse(await readFile(file, "utf8"));
    // A call takes one tick of the clock, and does as many steps as take one: so a step takes a millisecond.
    const both = (workload: string, metric: string, value: number, unit: string) =>
      implementations.split(",").map((implementation) => ({ workload, implementation, metric, value, unit }));
    expect(records).toEqual([
      ...both("xor", "step-ms", 1, "ms"),
      ...both("xor-call", "step-ms", 1, "ms"),
      ...both("predict-one", "step-ms", 1, "ms"),
      ...both("gemm-64", "gflops", (2 * 64 ** 3) / 1e6, "GFLOP/s"),
      ...both("activation-tanh", "gelements-s", 16384 / 1e6, "Gelement/s"),
    ]);
    expect(await readdir(folder)).toEqual(["bench.json"]);
  });

  test("a failed check ends that entry only, and shows in the exit code", async () => {
    const file = join(folder, "bench.json");
    const { code, out, err } = await runBench(
      "--json",
      file,
      "--workloads",
      "wrong",
      "--implementations",
      "steepest-strict-1,javascript",
    );
    expect(code).toBe(1);
    expect(err).toContain("wrong steepest-strict-1: CheckError: must be 1, got 2");
    expect(out).toMatch(/^wrong +steepest-strict-1 +failed$/m);
    const records = JSON.parse(await readFile(file, "utf8"));
    expect(records).toEqual([
      { workload: "wrong", implementation: "javascript", metric: "gflops", value: 1, unit: "GFLOP/s" },
    ]);
  });

  test("a workload with a schedule of its own is timed so", async () => {
    const [out, file] = [[] as string[], join(folder, "bench.json")];
    const surroundings = { print: (text: string) => out.push(text), printError() {}, now: createClock() };
    for (const quick of [[], ["--quick"]]) {
      resets.count = 0;
      const args = ["--workloads", "brief", "--implementations", "javascript", "--json", file];
      expect(await main([...args, ...quick], surroundings)).toBe(0);
      // Once to warm up, and then in each round.
      expect(resets.count).toBe(1 + 3);
      const records = JSON.parse(await readFile(file, "utf8"));
      expect(records).toEqual([
        { workload: "brief", implementation: "javascript", metric: "gbytes-s", value: 1, unit: "GB/s" },
      ]);
    }
  });

  test("peers: timed, left out and crashed ones", async () => {
    const file = join(folder, "bench.json");
    const program = fileURLToPath(new URL("./fakePeer.mjs", import.meta.url));
    const commandOf = (name: PeerName): PeerCommand | { leftOut: string } => {
      if (name === "jax-js") return { leftOut: "not installed" };
      return { command: process.execPath, args: [program, name === "tfjs-wasm" ? "crash" : ""] };
    };
    const [out, err]: string[][] = [[], []];
    const print = (text: string) => out.push(text);
    const printError = (text: string) => err.push(text);
    const args = ["--json", file, "--workloads", "gemm-64,predict-one,activation-relu", "--implementations"];
    const peers = "pytorch-1,tfjs-wasm,jax-js,javascript";
    const code = await main([...args, peers], { print, printError, schedule, commandOf });
    expect(code).toBe(1);
    const text = out.join("\n");
    expect(text).toContain("× javascript  × pytorch-1");
    expect(text).toMatch(/^gemm-64 +pytorch-1 .* 1\.00$/m);
    expect(text).toMatch(/^gemm-64 +tfjs-wasm +failed$/m);
    expect(text).not.toMatch(/^gemm-64 +jax-js/m);
    expect(text).toContain("Peers: pytorch-1 1.2.3\n");
    expect(text).toContain("\n  pytorch-1: sees no future (predict-one)");
    expect(text).toContain("\n  jax-js: not installed (predict-one, gemm-64)");
    expect(text).toContain("\n  pytorch-1, tfjs-wasm, jax-js: nothing to compare (activation-relu)");
    expect(err.join("\n")).toContain("gemm-64 tfjs-wasm: Error: the peer ended with exit code 1");
    const records: { workload: string; implementation: string }[] = JSON.parse(await readFile(file, "utf8"));
    expect(records.map(({ workload, implementation }) => `${workload} ${implementation}`)).toEqual([
      "predict-one javascript",
      "gemm-64 javascript",
      "gemm-64 pytorch-1",
      "activation-relu javascript",
    ]);
  });

  test("two threads take part, and every engine ends with the run", async () => {
    const engine = await engineOf({ build: "strict", threads: 2 });
    const run = vi.spyOn(engine, "run");
    const implementations = "steepest-strict-2,javascript";
    const workloads = "gemm-128,predict-one,xor,activation-relu,ceiling";
    const { code, out } = await runBench("--workloads", workloads, "--implementations", implementations);
    expect(code).toBe(0);
    for (const name of ["gemm-128", "predict-one", "xor", "activation-relu"]) {
      expect(out).toMatch(new RegExp(`^${name} +steepest-strict-2 +[\\d.]+ `, "m"));
    }
    expect(out).toContain("\n  steepest-strict-2: it is one core's ceiling (ceiling)");
    expect(run).toHaveBeenCalled();
    expect(() => engine.memoryBytes()).toThrow("disposed of");
  });

  test("engines end with a run that fails too", async () => {
    const engine = await engineOf({ build: "strict", threads: 2 });
    const print = () => expect.fail("no terminal");
    const args = ["--workloads", "xor", "--implementations", "steepest-strict-2"];
    await expect(main(args, { print, printError: print, now: createClock(), schedule })).rejects.toThrow("no terminal");
    expect(() => engine.memoryBytes()).toThrow("disposed of");
  });

  test("what cannot run here is left out, and said so", async () => {
    const [out, err]: string[][] = [[], []];
    const surroundings = {
      print: (text: string) => out.push(text),
      printError: (text: string) => err.push(text),
      now: createClock(),
      schedule,
      whyUnavailable: (name: string) => (name === "javascript" ? undefined : "one processor"),
    };
    const args = ["--workloads", "gemm-64,predict-one", "--implementations"];
    expect(await main([...args, "steepest-fast-2,javascript"], surroundings)).toBe(0);
    expect(out.join("\n")).toContain("\nLeft out:\n  steepest-fast-2: one processor (everywhere)");
    expect(out.join("\n")).not.toMatch(/^gemm-64 +steepest/m);
    expect(await main([...args, "steepest-fast-2"], surroundings)).toBe(1);
    expect(err.at(-1)).toBe("Left out:\n  steepest-fast-2: one processor (everywhere)");
  });

  test("beside another revision: each implementation twice, in turns, in processes of their own", async () => {
    const [out, file] = [[] as string[], join(folder, "bench.json")];
    const opened: string[] = [];
    const openRevision = async (name: string) => {
      opened.push(name);
      return { commit: "abc1234", description: "2026-02-03: A change", folder: thisTree.folder };
    };
    const args = ["--against", "HEAD~2", "--workloads", "gemm-64", "--implementations"];
    const surroundings = { print: (text: string) => out.push(text), printError() {}, schedule, openRevision };
    expect(await main([...args, "steepest-strict-1,javascript", "--json", file], surroundings)).toBe(0);
    expect(opened).toEqual(["HEAD~2"]);
    const text = out.join("\n");
    expect(text).toMatch(/^abc1234 is 2026-02-03: A change$/m);
    expect(text).toMatch(/best × abc1234 +median × abc1234$/m);
    expect(text).toMatch(/^gemm-64 +steepest-strict-1 .* GFLOP\/s +[\d.]+ +[\d.]+$/m);
    expect(text).toMatch(/^gemm-64 +steepest-strict-1@abc1234 .* GFLOP\/s$/m);
    const records: { implementation: string }[] = JSON.parse(await readFile(file, "utf8"));
    expect(records.map(({ implementation }) => implementation)).toEqual([
      "steepest-strict-1",
      "steepest-strict-1@abc1234",
      "javascript",
    ]);
  });

  test("a revision that is not there is said so", async () => {
    const { code, out, err } = await runBench("--against", "no-such-revision");
    expect([code, out]).toEqual([1, ""]);
    expect(err).toBe('bench: --against: git knows no revision "no-such-revision" here: see git log');
  });

  test("another Node runs all of it", async () => {
    const file = join(folder, "bench.json");
    const args = ["--workloads", "ceiling", "--implementations", "javascript", "--quick", "--json", file];
    expect((await runBench("--node", process.execPath, ...args)).code).toBe(0);
    const [record] = JSON.parse(await readFile(file, "utf8"));
    expect([record.workload, record.implementation]).toEqual(["ceiling", "javascript"]);
    for (const node of [join(folder, "missing"), "/bin/echo"]) {
      const { code, err } = await runBench("--node", node, ...args);
      expect(code).toBe(2);
      expect(err).toContain(`bench: --node: "${node}" must be a Node: `);
    }
    expect(withoutNode(["--peers", "--node", "a", "--node=b", "--quick"])).toEqual(["--peers", "--quick"]);
  });

  test("what was saved makes the same table again, and one with other parts", async () => {
    const [a, b, page, json] = ["a.json", "b.json", "page.md", "all.json"].map((name) => join(folder, name));
    const history = join(folder, "history.json");
    await writeFile(history, "[]");
    const place = "<!-- history:begin history.json -->\n<!-- history:end -->\n";
    await writeFile(page, `${MARKERS[0]}\n${MARKERS[1]}\n${place}`);
    const javascript = ["--implementations", "javascript"];
    const first = await runBench("--workloads", "gemm-64", ...javascript, "--save", a, "--readme", page);
    const written = await readFile(page, "utf8");
    const again = await runBench("--from", a, "--readme", page);
    expect(again).toEqual({ code: 0, out: first.out, err: "" });
    expect(await readFile(page, "utf8")).toBe(written);
    await runBench("--workloads", "xor", ...javascript, "--save", b);
    expect((await runBench("--from", `${a},${b}`, "--readme", page, "--json", json)).code).toBe(0);
    expect(shownIn((await readFile(page, "utf8")).split("<!-- history")[0])).toHaveLength(2);
    const [measured, ...others] = JSON.parse(await readFile(history, "utf8"));
    expect([Object.keys(measured.medians), others]).toEqual([["gemm-64", "xor"], []]);
    const records: { workload: string }[] = JSON.parse(await readFile(json, "utf8"));
    expect(records.map(({ workload }) => workload)).toEqual(["xor", "gemm-64"]);
  });

  describe("--readme", () => {
    const [BEGIN, END] = MARKERS;

    test("writes the figures between the markers", async () => {
      const file = join(folder, "README.md");
      await writeFile(file, `before\n${BEGIN}\nold\n${END}\nafter\n`);
      const args = ["--implementations", "steepest-strict-1,javascript", "--workloads", "gemm-64,activation-relu"];
      const { code, out } = await runBench("--readme", file, ...args);
      expect(code).toBe(0);
      expect(out).toMatch(/^gemm-64 /m);
      const text = await readFile(file, "utf8");
      expect(text).toMatch(/^before\n/);
      expect(text).toMatch(/\nafter\n$/);
      expect(text).not.toContain("old");
      expect(text).toMatch(/^\d{4}-\d\d-\d\d, Node .+, load average .+, medians of up to 2 rounds in turns\.$/m);
      expect(shownIn(text)).toEqual([
        "| `gemm-64`: matrix product [64, 64] · [64, 64], GFLOP/s | 0.524 | 0.524 |",
        "| `activation-relu`: relu of 16384 elements, forward, Gelement/s | 0.0164 | 0.0164 |",
      ]);
    });

    test("keeps the old figures where nothing was timed", async () => {
      const file = join(folder, "README.md");
      const old = `${BEGIN}\nold\n${END}\n`;
      await writeFile(file, old);
      const args = ["--implementations", "steepest-strict-1", "--workloads", "wrong"];
      expect((await runBench("--readme", file, ...args)).code).toBe(1);
      expect(await readFile(file, "utf8")).toBe(old);
    });

    test("without markers ends before anything is measured", async () => {
      const file = join(folder, "README.md");
      await writeFile(file, `# Title\n${END}\n`);
      const { code, out, err } = await runBench("--readme", file, "--workloads", "gemm-64");
      expect(code).toBe(2);
      expect(out).toBe("");
      expect(err).toMatch(/^bench: --readme: in ".*README\.md" there is no line <!-- bench:begin -->: put /);
      expect(err).not.toContain("gemm-64 …");
      expect(await readFile(file, "utf8")).toBe(`# Title\n${END}\n`);
    });
  });

  test("--help prints the usage", async () => {
    const { code, out } = await runBench("--help");
    expect(code).toBe(0);
    expect(out).toMatch(/^usage: npm run bench/);
  });

  test("called wrongly: usage, exit code 2, before anything is measured", async () => {
    for (const args of [
      ["--speed"],
      ["--workloads", "nothing"],
      ["--json", join(folder, "missing", "bench.json")],
      ["--readme", join(folder, "missing.md")],
    ]) {
      const { code, out, err } = await runBench(...args);
      expect(code).toBe(2);
      expect(out).toBe("");
      expect(err).toMatch(/^bench: .+\n\nusage: /);
    }
  });
});

describe("timeInTurns", () => {
  test("rounds go from one contestant to the next, each from its start", async () => {
    const log: string[] = [];
    const contestant = (name: string): Contestant => ({
      reset: () => log.push(`${name}0`),
      run: (steps) => log.push(`${name}+${steps}`),
      dispose() {},
    });
    await timeInTurns([contestant("a"), contestant("b")], { ...schedule, roundMs: 1 }, createClock());
    const warmUp = ["a0", "a+1", "b0", "b+1"];
    const round = ["a0", "a+1", "b0", "b+1"];
    expect(log).toEqual([...warmUp, ...round, ...round]);
  });

  test("a call does as many steps as take about callMs, and samples are of one step", async () => {
    let time = 0;
    const calls: number[] = [];
    const contestant: Contestant = {
      reset() {},
      run(steps) {
        calls.push(steps);
        time += 0.25 * steps;
      },
      dispose() {},
    };
    const [samples] = await timeInTurns(
      [contestant],
      { rounds: 2, roundMs: 10, warmupMs: 20, callMs: 5, settleMs: 0 },
      () => time,
    );
    expect(calls.slice(-4)).toEqual([20, 20, 20, 20]);
    expect(samples).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  test("a remote contestant's own time counts, not what talking to it takes", async () => {
    let time = 0;
    const calls: (number | string)[] = [];
    const remote: RemoteContestant = {
      remote: true,
      async reset() {
        calls.push("reset");
      },
      async run(steps) {
        calls.push(steps);
        time += 100;
        return { elapsedMs: 0.5 * steps };
      },
      dispose() {},
    };
    const [samples] = await timeInTurns(
      [remote],
      { rounds: 2, roundMs: 10, warmupMs: 300, callMs: 4, settleMs: 0 },
      () => time,
    );
    expect(calls).toEqual(["reset", 1, 8, 8, "reset", 8, 8, 8, "reset", 8, 8, 8]);
    expect(samples).toEqual([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
  });

  test("each round begins with untimed calls, but for what takes longer than these", async () => {
    let time = 0;
    const runs: Record<string, number> = { quick: 0, slow: 0 };
    const contestant = (name: string, stepMs: number): Contestant => ({
      reset() {},
      run() {
        runs[name] += 1;
        time += stepMs;
      },
      dispose() {},
    });
    const given: Schedule = { rounds: 3, roundMs: 20, warmupMs: 5, callMs: 10, settleMs: 25 };
    const results = await timeInTurns([contestant("quick", 10), contestant("slow", 40)], given, () => time);
    expect(results).toEqual([new Array(6).fill(10), new Array(3).fill(40)]);
    // Warm-up; three rounds, which begin with three untimed calls; the slow one knows its length after the first.
    expect(runs).toEqual({ quick: 1 + 3 * (3 + 2), slow: 1 + 1 + 3 });
  });

  test("one that fails leaves its turns to the others; a slow one stops early", async () => {
    let time = 0;
    const runs: Record<string, number> = { broken: 0, slow: 0, quick: 0 };
    const contestant = (name: string, stepMs: number): Contestant => ({
      reset() {},
      run() {
        runs[name] += 1;
        time += stepMs;
        if (name === "broken" && runs.broken > 2) throw new Error("broken");
      },
      dispose() {},
    });
    const contestants = [contestant("broken", 10), contestant("slow", 1000), contestant("quick", 10)];
    const results = await timeInTurns(
      contestants,
      { rounds: 9, roundMs: 10, warmupMs: 5, callMs: 10, settleMs: 0 },
      () => time,
    );
    expect(results[0]).toEqual(new Error("broken"));
    expect(results[1]).toEqual([1000, 1000, 1000]);
    expect(results[2]).toEqual(new Array(9).fill(10));
    expect(runs).toEqual({ broken: 3, slow: 4, quick: 10 });
  });
});

test("summarize: quantiles between samples are interpolated", () => {
  expect(summarize([4, 1, 3, 2])).toEqual({
    best: 1,
    lowerQuartile: 1.75,
    median: 2.5,
    upperQuartile: 3.25,
    samples: 4,
  });
  expect(summarize([7])).toEqual({ best: 7, lowerQuartile: 7, median: 7, upperQuartile: 7, samples: 1 });
});

test("the table has times and rates the right way round, and ratios to javascript", () => {
  const workload = (name: string, metric: Workload["metric"], work: number): Workload => ({
    name,
    description: "",
    metric,
    work,
    prepare: () => expect.fail("not called"),
  });
  const time = workload("train", "step-ms", 1);
  const rate = workload("product", "gflops", 12e6);
  const fast = { best: 1, lowerQuartile: 1.2, median: 1.5, upperQuartile: 2, samples: 9 };
  const slow = { best: 2, lowerQuartile: 2.4, median: 6, upperQuartile: 12, samples: 9 };
  const slowest = { best: 400, lowerQuartile: 500, median: 600, upperQuartile: 700, samples: 3 };
  const lines = showTable([
    { workload: time, implementation: "steepest-strict-1", outcome: fast },
    { workload: time, implementation: "javascript", outcome: slow },
    { workload: time, implementation: "tfjs-cpu", outcome: slowest },
    { workload: rate, implementation: "steepest-strict-1", outcome: fast },
    { workload: rate, implementation: "javascript", outcome: slow },
  ]).split("\n");
  expect(lines.slice(2).map((line) => line.split(/ {2,}/))).toEqual([
    ["train", "steepest-strict-1", "1.000", "1.500", "1.200 – 2.000", "ms", "4.00"],
    ["train", "javascript", "2.000", "6.000", "2.400 – 12.00", "ms", "1.00"],
    ["train", "tfjs-cpu", "400.0", "600.0", "500.0 – 700.0", "ms", "0.010"],
    ["product", "steepest-strict-1", "12.00", "8.000", "6.000 – 10.00", "GFLOP/s", "4.00"],
    ["product", "javascript", "6.000", "2.000", "1.000 – 5.000", "GFLOP/s", "1.00"],
  ]);
});

test("products are put in relation to the ceiling of their build, with two threads too", () => {
  const workload = (name: string, metric: Workload["metric"], work: number): Workload => ({
    name,
    description: "",
    metric,
    work,
    prepare: () => expect.fail("not called"),
  });
  const [train, product, ceiling] = [
    workload("train", "step-ms", 1),
    workload("product", "gflops", 3e6),
    workload("ceiling", "gflops", 1e6),
  ];
  const median = (ms: number) => ({ best: ms, lowerQuartile: ms, median: ms, upperQuartile: ms, samples: 1 });
  const entries: Entry[] = [
    { workload: train, implementation: "steepest-strict-1", outcome: median(1) },
    { workload: product, implementation: "steepest-strict-1", outcome: median(4) },
    { workload: product, implementation: "steepest-fast-1", outcome: median(4) },
    { workload: product, implementation: "steepest-strict-2", outcome: median(2) },
    { workload: product, implementation: "javascript", outcome: median(60) },
    { workload: product, implementation: "tfjs-cpu", outcome: median(60) },
    { workload: ceiling, implementation: "steepest-strict-1", outcome: median(1) },
    { workload: ceiling, implementation: "steepest-fast-1", outcome: { error: "wrong" } },
    { workload: ceiling, implementation: "steepest-strict-2", outcome: { leftOut: "one core" } },
    { workload: ceiling, implementation: "javascript", outcome: median(10) },
  ];
  const columnOf = (lines: string[]) => {
    const at = lines[0].indexOf("of ceiling");
    return lines.slice(2).map((line) => (at < 0 ? "none" : line.slice(at).trim()));
  };
  const ratios = ["", "0.75", "", "1.50", "0.50", "", "1.00", "", "", "1.00"];
  expect(columnOf(showTable(entries).split("\n"))).toEqual(ratios);
  const without = entries.slice(0, 6);
  expect(columnOf(showTable(without).split("\n"))).toEqual(without.map(() => "none"));
});

describe("the environment", () => {
  test("is the day, this Node and this processor", () => {
    const environment = readEnvironment(new Date("2026-02-03T23:00:00Z"));
    expect(showEnvironment([environment])).toMatch(
      /^2026-02-03, Node \d+\.\d+\.\d+ \(V8 .+\), .+ × \d+, load average \d/,
    );
    expect(environment.node).toBe(process.versions.node);
  });

  const environment: Environment = { day: "2026-02-03", node: "26.1.0", v8: "14.1", processor: "A × 2", load: 0.31 };

  test("of several runs has the least and the greatest load", () => {
    const line = "2026-02-03, Node 26.1.0 (V8 14.1), A × 2, load average";
    expect(showEnvironment([environment, environment])).toBe(`${line} 0.31 at start`);
    expect(showEnvironment([environment, { ...environment, load: 0.12 }])).toBe(`${line} 0.12 to 0.31 at start`);
    expect(showEnvironment([environment, { ...environment, load: 0.6 }])).toBe(
      `${line} 0.31 to 0.60 at start; other processes are running, so figures are rough`,
    );
  });

  test("names once with what PyTorch calculates, where it was timed", () => {
    const workload = { name: "xor" } as Workload;
    const timed = {
      best: 1,
      lowerQuartile: 1,
      median: 1,
      upperQuartile: 1,
      samples: 1,
      libraries: "PyTorch with ABlas",
    };
    const entries: Entry[] = [
      { workload, implementation: "javascript", outcome: { ...timed, libraries: undefined } },
      { workload, implementation: "pytorch-1", outcome: timed },
      { workload, implementation: "pytorch-2", outcome: timed },
      { workload, implementation: "tfjs-cpu", outcome: { leftOut: "not installed" } },
    ];
    expect(showEnvironment([environment], entries)).toMatch(/at start, PyTorch with ABlas$/);
  });
});

test("beside another revision, best and median are put in relation to those of the same implementation", () => {
  const workload: Workload = { ...({} as Workload), name: "gemm", metric: "gflops", work: 12e6 };
  const times = (best: number, median: number) => ({ best, lowerQuartile: 1, median, upperQuartile: 1, samples: 9 });
  const lines = showTable([
    { workload, implementation: "steepest-strict-1", outcome: times(2, 3) },
    { workload, implementation: "steepest-strict-1@abc1234", outcome: times(3, 6) },
    { workload, implementation: "steepest-fast-1", outcome: times(1, 1) },
    { workload, implementation: "steepest-fast-1@abc1234", outcome: { leftOut: "abc1234: it cannot do this" } },
    { workload, implementation: "javascript", outcome: times(9, 9) },
  ]).split("\n");
  expect(lines[0]).toMatch(/unit +best × abc1234 +median × abc1234$/);
  const ratiosOf = (line: string) => line.split("GFLOP/s")[1]?.trim().split(/ +/);
  expect(lines.slice(2).map(ratiosOf)).toEqual([["1.50", "2.00"], [""], [""], undefined, [""]]);
});

test("remarks: what peers are, where their work differs, and what is left out", () => {
  const workload = (name: string): Workload => ({
    name,
    description: "",
    metric: "step-ms",
    work: 1,
    prepare: () => expect.fail("not called"),
  });
  const summary = { best: 1, lowerQuartile: 1, median: 1, upperQuartile: 1, samples: 1, version: "2.0" };
  const entries: Entry[] = [
    { workload: workload("xor"), implementation: "javascript", outcome: { ...summary, version: undefined } },
    { workload: workload("xor"), implementation: "brain.js", outcome: { ...summary, note: "online" } },
    { workload: workload("gemm"), implementation: "brain.js", outcome: { leftOut: "no product" } },
    { workload: workload("gemm"), implementation: "synaptic", outcome: { leftOut: "no product" } },
  ];
  expect(showRemarks(entries)).toEqual([
    "Peers: brain.js 2.0",
    "Not quite the same work:\n  brain.js: online (xor)",
    "Left out:\n  brain.js, synaptic: no product (gemm)",
  ]);
  expect(showRemarks(entries.slice(0, 1))).toEqual([]);
  const left = { implementation: "javascript", outcome: { leftOut: "not written" } } as const;
  const many = Array.from({ length: 11 }, (_, i) => ({ workload: workload(`layer-${i}`), ...left }));
  expect(showRemarks([entries[0], ...many])).toEqual(["Left out:\n  javascript: not written (in 11 of 12 workloads)"]);
});
