// npm run test:everywhere: the packed package in every runtime, with one suite, and the same bits.
import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inLanes } from "../../scripts/lanes.mjs";
import { bundleRows } from "./bundle.mjs";
import { compareFast, compareStrict, digestsToRecord } from "./compare.mjs";
import { installLocked } from "./install.mjs";
import { readOptions, USAGE } from "./options.mjs";
import { recordBroken, recordMissing, recordOf } from "./records.mjs";
import { browsers } from "./runtimes/browsers.mjs";
import { processes } from "./runtimes/processes.mjs";
import { workerd } from "./runtimes/workerd.mjs";

const HERE = fileURLToPath(new URL("./", import.meta.url));
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DIGESTS = join(HERE, "digests.json");
const RUNTIMES = [...processes, workerd, ...browsers];

/** npm is a script, or a command file on Windows. */
async function npm(folder, ...args) {
  const windows = process.platform === "win32";
  const { stdout } = await promisify(execFile)(windows ? "npm.cmd" : "npm", args, { cwd: folder, shell: windows });
  return stdout.trim();
}

/** Installs the runtimes and drivers that npm has. */
const installRuntimes = () =>
  installLocked(HERE, npm, "installing the runtimes into test/everywhere/node_modules (about a gigabyte, once) …");

/** An empty project with the packed package in it, and the suite. */
async function createProject(folder) {
  if (!existsSync(join(ROOT, "dist/.built"))) throw new Error("dist/ is not built: run `npm run build`");
  const tarball = (await npm(ROOT, "pack", "--ignore-scripts", "--pack-destination", folder)).split("\n").at(-1);
  writeFileSync(join(folder, "package.json"), '{ "name": "everywhere", "private": true, "type": "module" }\n');
  await npm(folder, "install", "--no-audit", "--no-fund", "--no-package-lock", join(folder, tarball));
  // The optional peer that writes standalone files.
  symlinkSync(join(ROOT, "node_modules/binaryen"), join(folder, "node_modules/binaryen"), "junction");
  for (const name of ["suite", "hosts", "standalone"])
    cpSync(join(HERE, name), join(folder, name), { recursive: true });
  await Promise.all([
    bundleRows(join(folder, "suite/rows.js")),
    promisify(execFile)(process.execPath, [join(folder, "standalone/make.js")]),
  ]);
}

/** Yields the records of one runtime. */
async function* examine(runtime, place, options) {
  let opened;
  try {
    opened = await runtime.open(place);
  } catch (error) {
    yield recordBroken(runtime.name, `could not be started: ${String(error?.message ?? error)}`);
    return;
  }
  if (opened.missing !== undefined) {
    yield recordMissing(runtime.name, opened.missing, options);
    return;
  }
  try {
    let began = performance.now();
    for await (const [run, result] of opened.results()) {
      const seconds = Math.round((performance.now() - began) / 1000);
      yield { ...recordOf(runtime.name, opened.version, run, result, options), seconds };
      began = performance.now();
    }
  } finally {
    await opened.close();
  }
}

const COLUMNS = {
  runtime: 26,
  version: 20,
  build: 7,
  threads: 8,
  passed: 7,
  failed: 7,
  skipped: 8,
  digest: 10,
  seconds: 7,
};

function showLine(values) {
  const cells = Object.entries(COLUMNS).map(([name, width]) => String(values[name] ?? "–").padEnd(width));
  console.log(cells.join("").trimEnd());
}

/** A line, what failed, and what was skipped where that was not just said. */
function show(record, before) {
  showLine({ ...record, threads: record.background ? `${record.threads} (bg)` : record.threads });
  const said = before?.runtime === record.runtime && before.reason === record.reason;
  if (record.reason !== undefined && !said) console.log(`    skipped: ${record.reason}`);
  if (record.repeated !== undefined) console.log(`    REPEATED in a new browser, as there was ${record.repeated}`);
  for (const failure of record.failures) console.log(`    FAILED: ${failure}`);
}

async function main(options) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "steepest-everywhere-")));
  // Also if it is interrupted.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  await Promise.all([installRuntimes(), createProject(folder)]);
  const expected = options.record ? undefined : JSON.parse(readFileSync(DIGESTS, "utf8")).strict;
  showLine(Object.fromEntries(Object.keys(COLUMNS).map((name) => [name, name])));
  const test = async (runtime) => {
    const own = [];
    for await (const record of examine(runtime, { project: folder, brief: options.brief }, options)) {
      if (expected !== undefined) compareStrict([record], expected);
      show(record, own.at(-1));
      own.push(record);
    }
    return own;
  };
  const asked = RUNTIMES.filter(({ name, isBetween }) => options.only.includes(name) && !(options.brief && isBetween));
  // Most runs keep one core busy: two runtimes at a time, but what measures itself, and WebKitGTK, alone.
  const shared = asked.filter((runtime) => !runsAlone(runtime));
  const records = [...(await inLanes(2, shared, test)), ...(await inLanes(1, asked.filter(runsAlone), test))].flat();
  return finish(records, options);
}

/** The build `wide` is tried for its speed before it is used. WebKitGTK's threads fail more often on a busy machine. */
function runsAlone({ name, runs }) {
  return name.startsWith("webkitgtk") || runs.some(({ build, refused }) => build === "wide" && refused === undefined);
}

/** Compares what is left to compare, writes the files, and says how it went. Returns the exit code. */
function finish(records, options) {
  const before = records.reduce((sum, { failed }) => sum + failed, 0);
  const notes = compareFast(records);
  const failed = records.reduce((sum, record) => sum + record.failed, 0);
  const all =
    notes.length === 0 ? [] : [...notes, "(the fast build's bits are not promised from one runtime to another)"];
  console.log(["", ...all].join("\n"));
  if (failed > before) for (const record of records) if (record.build === "fast") show(record, record);
  const missing = records.filter(({ version, failed }) => version === undefined && failed === 0);
  for (const { runtime, reason } of missing) console.log(`not tested: ${runtime}: ${reason}`);
  if (options.record && failed === 0) {
    writeFileSync(DIGESTS, `${JSON.stringify({ strict: digestsToRecord(records) }, null, 2)}\n`);
    console.log("recorded test/everywhere/digests.json");
  }
  for (const { runtime, build, threads, repeated } of records) {
    if (repeated === undefined) continue;
    console.log(`repeated once: ${runtime}, ${build}, threads ${threads}: the first time there was ${repeated}`);
  }
  const complete = (_key, value) => (value === undefined ? null : value);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(records, complete, 2)}\n`);
  const passed = records.reduce((sum, record) => sum + record.passed, 0);
  console.log(`${records.length - missing.length} runs: ${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

let options;
try {
  options = readOptions(
    process.argv.slice(2),
    RUNTIMES.map(({ name }) => name),
  );
} catch (error) {
  console.error(`${error.message}\n\n${USAGE}`);
  process.exit(2);
}
if (options.help) console.log(`${USAGE}\nruntimes: ${RUNTIMES.map(({ name }) => name).join(", ")}`);
else process.exitCode = await main(options);
