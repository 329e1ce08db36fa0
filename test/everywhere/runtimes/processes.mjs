// Runtimes that are a program to call: Node, its two compilers of WebAssembly, Deno, Bun.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  briefTier,
  oneTier,
  wideRefused,
  wideWithThreads,
  withFewerThreads,
  withFewThreads,
  withThreads,
} from "./runs.mjs";

const MODULES = fileURLToPath(new URL("../node_modules/", import.meta.url));
const LONGEST_MS = 10 * 60_000;
const ending = process.platform === "win32" ? ".exe" : "";

/**
 * `flags` go before the program; `fastFlags` are for the fast build alone. What `isLike` another runtime, which runs each
 * operation, does so itself only where no time is to be saved.
 */
function processRuntime({ name, find, missing, flags = [], fastFlags, runs: all, isLike = false }) {
  return {
    name,
    async open({ project, brief: isBrief }) {
      const runs = isBrief && isLike ? all.map((run) => ({ ...run, brief: true })) : all;
      const path = find();
      if (path === undefined) return { missing };
      const version = await versionOf(path);
      return {
        version,
        async *results() {
          for (const [some, added] of partsOf(runs, fastFlags)) {
            yield* resultsOf(path, [...flags, ...added], project, some);
          }
        },
        close() {},
      };
    },
    runs: all,
  };
}

/** A process has the same flags for all that it runs. */
function partsOf(runs, fastFlags) {
  if (fastFlags === undefined) return [[runs, []]];
  const fast = runs.filter(({ build }) => build === "fast");
  return [
    [runs.filter(({ build }) => build !== "fast"), []],
    [fast, fastFlags],
  ];
}

async function versionOf(path) {
  const { stdout } = await promisify(execFile)(path, ["--version"]);
  return stdout
    .split("\n")[0]
    .replace(/^(v|deno )/, "")
    .split(" ")[0]
    .trim();
}

/** Yields a result for each run, also where the process ends before it has given them all. */
async function* resultsOf(path, flags, project, runs) {
  const child = spawn(path, [...flags, join(project, "hosts/process.js"), JSON.stringify(runs)], {
    cwd: project,
    env: { ...process.env, STEEPEST_FOLDER: project, NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (data) => {
    said = `${said}${data}`.slice(-2000);
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    kill();
  }, LONGEST_MS);
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(String(error)));
    child.once("close", (code, signal) => resolve(`ended with ${signal ?? `code ${code}`}`));
  });
  let left = runs;
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("result ")) continue;
    yield [left[0], JSON.parse(line.slice(7))];
    left = left.slice(1);
  }
  const how = late ? `did not end within ${LONGEST_MS / 60_000} minutes` : await ended;
  clearTimeout(limit);
  process.off("exit", kill);
  for (const run of left) yield [run, { broken: `the process ${how}: ${said.trim()}` }];
}

const inModules = (path) => (existsSync(join(MODULES, path)) ? join(MODULES, path) : undefined);

function onPath(program) {
  const places = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, program + ending));
  return places.find((path) => existsSync(path));
}

/** The Node that runs this where it is of that version, else npm's. */
function findNode(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const system = process.platform === "win32" ? "win" : process.platform;
  return inModules(`node${major}-${system}-${process.arch}/bin/node${ending}`);
}

function findDeno() {
  const platform = { linux: `linux-${process.arch}-glibc` }[process.platform];
  return (platform && inModules(`@deno/${platform}/deno`)) ?? onPath("deno");
}

function findBun() {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const architecture = process.arch === "arm64" ? "aarch64" : process.arch;
  return inModules(`@oven/bun-${system}-${architecture}/bin/bun${ending}`) ?? onPath("bun");
}

/** Each gives a program's path, or undefined where it is not there. */
export const finders = { deno: findDeno, bun: findBun };

/** Relaxed SIMD was behind a flag in V8 11. */
const RELAXED = ["--experimental-wasm-relaxed-simd"];
const TIERS = { liftoff: ["--liftoff-only"], turbofan: ["--no-liftoff"] };

/** Between an older and a newer one that run more. */
const WITHIN = [22, 24];

/** With the optimizing compiler alone, whatever the wide build uses is compiled by what joins operations. */
function tierRuns(tier, major) {
  if (tier === "liftoff" && WITHIN.includes(major)) return briefTier;
  const joins = tier === "turbofan" && major >= 24 && process.arch === "x64";
  return joins ? [...oneTier, { build: "wide", threads: 1 }] : oneTier;
}

/** V8 joins operations from Node 24 on, on x64. */
function wideOf(major) {
  if (major < 24) return [wideRefused(" does not join operations: use Node 24 or newer")];
  return process.arch === "x64" ? wideWithThreads : [wideRefused("V8 joins operations on x64 alone")];
}

const nodes = [20, 22, 24, 26].flatMap((major) => {
  const node = {
    find: () => findNode(major),
    missing: `npm has no Node ${major} for this system: run this command with Node ${major}`,
    fastFlags: major === 20 ? RELAXED : undefined,
  };
  return [
    processRuntime({
      ...node,
      name: `node${major}`,
      isLike: WITHIN.includes(major),
      runs: [...(WITHIN.includes(major) ? withFewerThreads : withThreads), ...wideOf(major)],
    }),
    ...Object.entries(TIERS).map(([tier, flags]) => ({
      ...processRuntime({
        ...node,
        name: `node${major}-${tier}`,
        flags,
        runs: tierRuns(tier, major),
        isLike: major < 26,
      }),
      isBetween: WITHIN.includes(major),
    })),
  ];
});

export const processes = [
  ...nodes,
  processRuntime({
    name: "deno",
    find: findDeno,
    missing: "npm's package is for Linux on x64 alone here: install Deno so that `deno` is on the PATH",
    flags: ["run", "--allow-all"],
    runs: [...withFewerThreads, { build: "wide", threads: 2, background: true }],
  }),
  processRuntime({
    name: "bun",
    find: findBun,
    missing: "npm has no Bun for this system: install it so that `bun` is on the PATH",
    runs: [...withFewThreads, wideRefused("Bun's engine does not join operations")],
  }),
];
