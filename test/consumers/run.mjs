// Packs the package, installs it into copies of small real projects (the folders here) and runs them. See --help.
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { inLanes } from "../../scripts/lanes.mjs";
import { installLocked } from "../everywhere/install.mjs";
import { finders } from "../everywhere/runtimes/processes.mjs";
import { consumers } from "./consumers.mjs";
import { chromiumPath, closeBrowser } from "./page.mjs";
import { npm, pack } from "./processes.mjs";

const here = fileURLToPath(new URL("./", import.meta.url));
const root = fileURLToPath(new URL("../../", import.meta.url));
const names = consumers.map(({ name }) => name);

const HELP = `usage: npm run test:consumers -- [options]

Packs the package as it would be published (dist/ as it is) and runs it in real small projects.

  --only A,B       only these: ${names.join(", ")}
  --tarball FILE   a package that was packed already
  --json FILE      also write the results there
  --require-all    what would be skipped is a failure
  --keep           leave the copies of the projects, and say where they are
  --help           this

A project whose tools are not on this machine is skipped, and says why. Exit code 1: one failed; 2: called wrongly.`;

const NO_CHROMIUM = process.env.CHROMIUM
  ? `no Chromium: CHROMIUM names "${process.env.CHROMIUM}", which is not there`
  : "no Chromium: install the package chromium, or set CHROMIUM to its path";

class UsageError extends Error {}

function readOptions() {
  const options = {
    only: { type: "string" },
    tarball: { type: "string" },
    json: { type: "string" },
    "require-all": { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  };
  try {
    const { values } = parseArgs({ options });
    const only = values.only?.split(",").map((name) => name.trim());
    const unknown = only?.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new Error(`there is no consumer "${unknown}": there are ${names.join(", ")}`);
    if (values.tarball !== undefined && !existsSync(values.tarball)) {
      throw new Error(`--tarball: there is no file "${values.tarball}"`);
    }
    return { ...values, only: only ?? names };
  } catch (error) {
    throw new UsageError(error.message);
  }
}

function packHere(folder) {
  if (!existsSync(join(root, "dist/.built"))) throw new UsageError("dist/ is not built: npm run build");
  return pack(root, folder);
}

const everywhere = join(root, "test/everywhere");
const TOOLS = [here, "installing the consumers' tools (npm ci in test/consumers) …"];
const RUNTIMES = [everywhere, "installing the runtimes (npm ci in test/everywhere, about a gigabyte, once) …"];

/** Installs what a folder's lock file asks for; returns why not where it cannot. */
function install([folder, announcement]) {
  return installLocked(folder, (where, ...args) => npm(args, where), announcement).then(
    () => undefined,
    (error) => `its tools could not be installed: ${error.message.split("\n").slice(0, 4).join(" ")}`,
  );
}

/** A copy of a project, with the training that all have. */
async function copyProject(project, to) {
  await cp(join(here, project), to, { recursive: true });
  await cp(join(root, "test/browser/training.js"), join(to, "training.mjs"));
}

async function installPackage(to, tarball) {
  await npm(["install", "--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline", tarball], to);
}

/** Node's own training, with which the others are compared. */
async function findReference(folder, tarball) {
  const { project, run } = consumers.find(({ name }) => name === "node-esm");
  const copy = join(folder, "reference");
  await copyProject(project, copy);
  await installPackage(copy, tarball);
  return (await run({ folder: copy })).digest;
}

/** Why a consumer cannot run here, or undefined. */
function missingFor({ tools = false, chromium = false, runtime }, { noTools, noRuntimes }) {
  if (tools && noTools !== undefined) return noTools;
  if (chromium && chromiumPath === undefined) return NO_CHROMIUM;
  if (runtime === undefined || finders[runtime]() !== undefined) return undefined;
  return noRuntimes ?? `no ${runtime}: install it so that \`${runtime}\` is on the PATH`;
}

async function runConsumer(consumer, { folder, tarball, digest, requireAll, ...missing }) {
  const { name, project, runtime, run } = consumer;
  const reason = missingFor(consumer, missing);
  if (reason !== undefined) return { name, status: requireAll ? "failed" : "skipped", reason };
  const started = performance.now();
  try {
    const copy = join(folder, name);
    if (project !== undefined) await copyProject(project, copy);
    if (project !== undefined && runtime === undefined) await installPackage(copy, tarball);
    const program = runtime && finders[runtime]();
    const result = await run({ folder: copy, empty: join(folder, `${name}-moved`), tarball, digest, program });
    if (result !== undefined && result.digest !== digest) {
      throw new Error(`its training came to the digest ${result.digest}, Node's to ${digest}`);
    }
    const { threads, background } = result ?? {};
    const durationMs = Math.round(performance.now() - started);
    return { name, status: "passed", durationMs, digest: result?.digest, threads, background };
  } catch (error) {
    return { name, status: "failed", durationMs: Math.round(performance.now() - started), reason: error.message };
  }
}

function lineOf({ name, status, durationMs, digest, threads, background, reason }) {
  const parts = [`${status.padEnd(8)}${name.padEnd(20)}`];
  if (reason !== undefined) parts.push(reason.replaceAll("\n", "\n    "));
  if (digest !== undefined)
    parts.push(`digest ${digest}, ${threads} threads${background ? ", in the background" : ""}`);
  if (status === "passed") parts.push(`${(durationMs / 1000).toFixed(1)} s`);
  return parts.join("  ").trimEnd();
}

async function main() {
  const { only, tarball: given, json, keep, help, "require-all": requireAll } = readOptions();
  if (help) {
    console.log(HELP);
    return 0;
  }
  const folder = await mkdtemp(join(tmpdir(), "steepest-consumers-"));
  try {
    const tarball = given === undefined ? await packHere(folder) : resolve(given);
    const chosen = consumers.filter(({ name }) => only.includes(name));
    const noTools = chosen.some(({ tools }) => tools) ? await install(TOOLS) : undefined;
    const noRuntimes = chosen.some(({ runtime }) => runtime) ? await install(RUNTIMES) : undefined;
    const digest = chosen.some(({ project }) => project !== undefined)
      ? await findReference(folder, tarball)
      : undefined;
    // Most of them keep one core busy, or wait for files.
    const results = await inLanes(2, chosen, async (consumer) => {
      const result = await runConsumer(consumer, { folder, tarball, digest, requireAll, noTools, noRuntimes });
      console.log(lineOf(result));
      return result;
    });
    const count = (status) => results.filter((result) => result.status === status).length;
    const [passed, failed, skipped] = ["passed", "failed", "skipped"].map(count);
    const node = process.version;
    if (json !== undefined) {
      await writeFile(
        json,
        `${JSON.stringify({ node, digest, passed, failed, skipped, consumers: results }, null, 2)}\n`,
      );
    }
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
    return failed > 0 ? 1 : 0;
  } finally {
    await closeBrowser();
    if (keep) console.log(`copies: ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n\n${HELP}` : error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
