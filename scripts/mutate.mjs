// npm run test:mutants: plants faults in src/graph, src/train, src/optim, src/metrics and src/search, one at a time, in a copy of
// the tree, runs the tests that should notice, and reports the faults that no test found. Not a part of `npm test`: it takes from
// minutes to hours.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { mutantsOf } from "./mutants.mjs";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const KNOWN = join(ROOT, "scripts/equivalentMutants.json");
const USAGE = `npm run test:mutants -- [--count 80] [--seed 1] [--only src/graph/plan.ts] [--list] [--json results.json]
  --count  how many faults, spread over the files; 0 for all of them
  --seed   which of them
  --only   files or folders that the path begins with; several are separated by commas
  --list   says what would be planted, and runs nothing`;

/** Which tests run for a fault in a file: those of the first path that it begins with. The quickest and likeliest come first. */
const TESTS = {
  "src/graph/": [
    "test/graph/plan.test.ts",
    "test/graph/backward.test.ts",
    "test/graph/function.test.ts",
    "test/graph/values.test.ts",
    "test/graph/bounds.test.ts",
    "test/graph/randomModels.test.ts",
    "test/train/before.test.ts",
    "test/train/data.test.ts",
    "test/train/compile.test.ts",
    "test/ops/empty.test.ts",
  ],
  "src/train/checkGradients.ts": ["test/train/checkGradients.test.ts"],
  "src/train/checkpoint.ts": ["test/train/checkpoint.test.ts", "test/train/states.test.ts"],
  "src/train/config.ts": ["test/train/compile.test.ts", "test/train/scores.test.ts", "test/train/trainer.test.ts"],
  "src/train/outputs.ts": ["test/train/compile.test.ts", "test/train/scores.test.ts", "test/nn/model.test.ts"],
  "src/train/scores.ts": ["test/train/scores.test.ts", "test/train/accumulate.test.ts", "test/train/compile.test.ts"],
  "src/train/cursor.ts": [
    "test/train/fit.test.ts",
    "test/train/counts.test.ts",
    "test/train/trainFor.test.ts",
    "test/train/checkpoint.test.ts",
    "test/train/sequences.test.ts",
  ],
  "src/train/data.ts": [
    "test/train/data.test.ts",
    "test/train/counts.test.ts",
    "test/train/compile.test.ts",
    "test/train/trainer.test.ts",
  ],
  "src/train/divergence.ts": ["test/train/divergence.test.ts"],
  "src/train/job.ts": ["test/train/fit.test.ts", "test/engine/background.test.ts"],
  "src/train/optimizer.ts": [
    "test/optim/step.test.ts",
    "test/train/compile.test.ts",
    "test/train/checkpoint.test.ts",
    "test/optim/averaged.test.ts",
    "test/optim/wrappers.test.ts",
  ],
  "src/train/programs.ts": [
    "test/train/before.test.ts",
    "test/train/scores.test.ts",
    "test/train/states.test.ts",
    "test/train/accumulate.test.ts",
    "test/train/trainer.test.ts",
    "test/train/programs.test.ts",
  ],
  "src/train/rowStates.ts": ["test/train/states.test.ts"],
  "src/train/state.ts": [
    "test/train/summary.test.ts",
    "test/train/divergence.test.ts",
    "test/train/accumulate.test.ts",
    "test/train/states.test.ts",
    "test/train/trainer.test.ts",
    "test/train/checkpoint.test.ts",
  ],
  "src/train/summary.ts": ["test/train/summary.test.ts", "test/nn/model.test.ts"],
  "src/train/workspace.ts": [
    "test/train/before.test.ts",
    "test/train/states.test.ts",
    "test/nn/model.test.ts",
    "test/graph/randomModels.test.ts",
    "test/optim/wrappers.test.ts",
  ],
  "src/train/": [
    "test/train/fit.test.ts",
    "test/train/trainFor.test.ts",
    "test/train/divergence.test.ts",
    "test/train/compile.test.ts",
    "test/train/counts.test.ts",
    "test/train/scores.test.ts",
    "test/train/data.test.ts",
    "test/train/once.test.ts",
    "test/train/trainer.test.ts",
    "test/nn/model.test.ts",
    "test/train/sequences.test.ts",
    "test/train/checkpoint.test.ts",
  ],
  "src/optim/schedules.ts": ["test/optim/schedules.test.ts", "test/optim/invalid.test.ts"],
  "src/optim/adafactor.ts": ["test/optim/defaults.test.ts", "test/optim/define.test.ts", "test/optim/invalid.test.ts"],
  "src/optim/muon.ts": ["test/optim/defaults.test.ts", "test/optim/define.test.ts", "test/optim/invalid.test.ts"],
  "src/optim/define.ts": ["test/optim/define.test.ts", "test/optim/wrappers.test.ts"],
  "src/optim/sharpnessAware.ts": ["test/optim/sharpnessAware.test.ts"],
  "src/optim/lbfgs.ts": ["test/train/minimize.test.ts"],
  "src/optim/": [
    "test/optim/step.test.ts",
    "test/optim/defaults.test.ts",
    "test/optim/gradientDescent.test.ts",
    "test/train/compile.test.ts",
    "test/optim/optimizers.test.ts",
    "test/optim/papers.test.ts",
    "test/train/checkpoint.test.ts",
    "test/optim/averaged.test.ts",
    "test/nn/embedding.test.ts",
    "test/optim/wrappers.test.ts",
    "test/optim/invalid.test.ts",
    "test/optim/trajectories.test.ts",
  ],
  "src/metrics/": ["test/metrics/sklearn.test.ts", "test/metrics/edges.test.ts", "test/train/metrics.test.ts"],
  "src/search/": [
    "test/search/strategies.test.ts",
    "test/search/search.test.ts",
    "test/search/journal.test.ts",
    "test/search/crossValidate.test.ts",
  ],
};

/** Fewer random models and sequences: a fault that matters shows in the first. */
const QUICK = { STEEPEST_MODELS: "12", STEEPEST_SEQUENCES: "24" };
/** A fault may make a loop endless. */
const LONGEST_MS = 10 * 60_000;

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "80" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "src/graph/,src/train/,src/optim/,src/metrics/,src/search/" },
    list: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

/** Every fault that could be planted, without those that are known to change nothing. */
function allMutants() {
  const known = new Set(JSON.parse(readFileSync(KNOWN, "utf8")).map(keyOf));
  const folders = Object.keys(TESTS).filter((path) => path.endsWith("/"));
  const files = folders
    .flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => folder + name))
    .filter((file) => file.endsWith(".ts") && options.only.split(",").some((path) => file.startsWith(path)));
  const found = files.flatMap((file) =>
    mutantsOf(readFileSync(join(ROOT, file), "utf8")).map((mutant) => ({ file, ...mutant })),
  );
  return found.filter((mutant) => !known.has(keyOf(mutant)));
}

/** What a fault is known by: lines move, so they are no part of it. */
const keyOf = ({ file, line, from, to }) => JSON.stringify([file, line, from, to]);

/** So many, evenly over all of them; another seed takes others. */
function choose(mutants, count, seed) {
  if (count === 0 || count >= mutants.length) return mutants;
  const stride = mutants.length / count;
  const first = (seed * 0.618034) % 1;
  return Array.from({ length: count }, (_, i) => mutants[Math.floor((i + first) * stride)]);
}

/** The tree without what is installed, which is linked. Returns its folder. */
function copyTree() {
  const folder = mkdtempSync(join(tmpdir(), "steepest-mutants-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  for (const name of readdirSync(ROOT)) {
    if (name === ".git") continue;
    if (["src", "test", "dist", "vitest.config.ts", "tsconfig.json", "package.json"].includes(name)) {
      cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter: (path) => !/node_modules/.test(path) });
    } else symlinkSync(join(ROOT, name), join(folder, name));
  }
  mkdirSync(join(folder, "build"), { recursive: true });
  return folder;
}

/** Runs a program in the copy. Resolves to whether it succeeded, and what it said. */
function run(folder, script, args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, script), ...args], {
      cwd: folder,
      env: { ...process.env, ...QUICK },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
    const limit = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("close", (code) => {
      clearTimeout(limit);
      process.off("exit", kill);
      resolve({ passed: code === 0, said });
    });
  });
}

function runTests(folder, file) {
  const tests = Object.entries(TESTS).find(([path]) => file.startsWith(path))?.[1] ?? [];
  return run(folder, "node_modules/vitest/vitest.mjs", [
    "run",
    "--bail=1",
    "--maxWorkers=1",
    "--no-isolate",
    "--testTimeout=600000",
    "--reporter=dot",
    "--no-color",
    ...tests,
  ]);
}

const show = ({ file, at, from, to, line }) => `${file}:${at}: ${from} → ${to || "(nothing)"}\n    ${line}`;

async function judge(folder, mutant) {
  const path = join(folder, mutant.file);
  const source = readFileSync(path, "utf8");
  try {
    writeFileSync(path, source.slice(0, mutant.start) + mutant.to + source.slice(mutant.end));
    const { passed, said } = await runTests(folder, mutant.file);
    if (!passed) return { ...mutant, outcome: "found", by: /FAIL +(\S+)/.exec(said)?.[1] ?? "an end" };
    const compiled = await run(folder, "node_modules/typescript/bin/tsc", ["--noEmit"]);
    return { ...mutant, outcome: compiled.passed ? "survived" : "found", by: compiled.passed ? undefined : "tsc" };
  } finally {
    writeFileSync(path, source);
  }
}

async function main() {
  const mutants = choose(allMutants(), Number(options.count), Number(options.seed));
  if (options.list) return console.log(mutants.map(show).join("\n"));
  const folder = copyTree();
  for (const file of new Set(mutants.map((one) => one.file.replace(/[^/]*$/, "")))) {
    const { passed, said } = await runTests(folder, file);
    if (!passed) throw new Error(`the tests for ${file} must pass without a fault:\n${said.slice(-4000)}`);
  }
  const results = [];
  for (const mutant of mutants) {
    const result = await judge(folder, mutant);
    results.push(result);
    console.log(
      `${results.length}/${mutants.length} ${result.outcome}${result.by ? ` by ${result.by}` : ""}: ${show(result)}`,
    );
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  }
  const survivors = results.filter(({ outcome }) => outcome === "survived");
  console.log(`\n${results.length} faults, ${results.length - survivors.length} found, ${survivors.length} survived`);
  console.log(survivors.map(show).join("\n"));
  process.exitCode = survivors.length === 0 ? 0 : 1;
}

if (options.help) console.log(USAGE);
else if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
