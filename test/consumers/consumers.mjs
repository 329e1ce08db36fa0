// The consumers: what each does with a copy of its project, in which the packed package has been installed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile, cp, mkdir, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { openPage, serveFolder } from "./page.mjs";
import { node, pack, run, startServer } from "./processes.mjs";
import { serveRegistry } from "./registry.mjs";

/** What `docs/bundlers.md` says is enough. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";

/** What `docs/bundlers.md` says to lay beside a bundle where the policy allows no worker out of it. */
const WORKER = "node_modules/steepest/dist/browser/steepestWorker.js";

const ROOT = "../../";

/** The file of a tool's program: of test/consumers/package.json's tools, or of the repository's own. */
function program(tool, { name = tool, from = "./" } = {}) {
  const folder = fileURLToPath(new URL(`${from}node_modules/${tool}/`, import.meta.url));
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(folder, typeof bin === "string" ? bin : bin[name]);
}

const lastLine = (text) => JSON.parse(text.trim().split("\n").at(-1));

/** Clean means that there is not even a suggestion. */
async function publint({ tarball }) {
  const [{ publint }, { formatMessage }] = await Promise.all([import("publint"), import("publint/utils")]);
  const { buffer } = new Uint8Array(readFileSync(tarball));
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  );
}

async function attw({ tarball }) {
  await node([program("@arethetypeswrong/cli", { name: "attw" }), "--no-emoji", "--format", "ascii", tarball]);
}

async function runMain({ folder }) {
  return lastLine(await node(["main.js"], folder));
}

/** Checks the types; where the resolution is Node's, runs what the compiler wrote. */
const compileTypes = (resolution) =>
  async function typescript({ folder }) {
    await node([program("typescript", { name: "tsc", from: ROOT }), "-p", `tsconfig.${resolution}.json`], folder);
    if (resolution === "bundler") return;
    await node([`${resolution}/esm.mjs`], folder);
    await node([`${resolution}/cjs.cjs`], folder);
  };

/** All that the types need comes along: neither a page's types are there nor, in the first two, Node's. */
async function pureTypes({ folder }) {
  const check = (file, ...options) => {
    const args = ["--noEmit", "--strict", "--target", "es2023", "--skipLibCheck", "false", ...options, file];
    return node([program("typescript", { name: "tsc", from: ROOT }), "--ignoreConfig", ...args], folder);
  };
  const [nodeNext, bundler] = [
    ["--module", "nodenext"],
    ["--module", "esnext", "--moduleResolution", "bundler"],
  ];
  const types = ["--typeRoots", fileURLToPath(new URL(`${ROOT}node_modules/@types`, import.meta.url)), "--types"];
  for (const resolution of [nodeNext, bundler]) {
    await check("pure.mts", "--lib", "es2023", "--types", "", ...resolution);
    await check("pure.mts", "--lib", "es2023", ...types, "node", ...resolution);
    await check("signal.mts", "--lib", "es2023", ...types, "node", ...resolution);
    await check("signal.mts", "--lib", "es2023,dom", "--types", "", ...resolution);
  }
}

/** The training that all have, for test runners that load CommonJS. */
async function requireTraining(folder) {
  const options = { absWorkingDir: folder, format: "cjs", logLevel: "silent" };
  await build({ ...options, entryPoints: ["training.mjs"], outfile: "training.cjs" });
}

const resultIn = async (folder) => JSON.parse(await readFile(join(folder, "result.json"), "utf8"));

/** In the realm that jest makes for each file; by its environment for Node or for pages. */
const testWithJest = (environment) =>
  async function jest({ folder }) {
    await requireTraining(folder);
    const env = fileURLToPath(import.meta.resolve(environment));
    await node([program("jest"), "--rootDir", folder, "--env", env, "--runInBand", "--no-cache"], folder);
    return resultIn(folder);
  };

async function testWithVitest({ folder }) {
  const args = ["run", "--pool", "vmThreads", "--globals", "--root", folder, "--testTimeout", "60000"];
  await node([program("vitest", { from: ROOT }), ...args], folder);
  return resultIn(folder);
}

/** A program's folder, moved to where no package is. Its files are few: no bundler takes all of the package along. */
async function runMoved(from, to, main, mostFiles) {
  await cp(from, to, { recursive: true });
  const files = await readdir(to, { recursive: true });
  assert.ok(files.length <= mostFiles, `the bundle has ${files.length} files: ${files.join(", ")}`);
  return lastLine(await node([main], to));
}

async function webpackForNode({ folder, empty }) {
  await node([program("webpack-cli"), "build"], folder);
  // One for each build of the kernels next to the program, and the bar in the terminal.
  return runMoved(join(folder, "dist"), empty, "main.cjs", 7);
}

async function rollupForNode({ folder, empty }) {
  const [{ rollup }, { nodeResolve }] = await Promise.all([import("rollup"), import("@rollup/plugin-node-resolve")]);
  const plugins = [nodeResolve({ exportConditions: ["node"] })];
  const bundle = await rollup({ input: join(folder, "main.js"), plugins, external: ["cli-progress"] });
  await bundle.write({
    dir: join(folder, "out"),
    format: "esm",
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs",
  });
  await bundle.close();
  // One for each build of the kernels next to the program, and the bar in the terminal.
  return runMoved(join(folder, "out"), empty, "main.mjs", 7);
}

/** A page, and an answer of the server, each of which trains. */
async function next({ folder, digest }) {
  const tool = join(folder, "node_modules/next/dist/bin/next");
  await run(process.execPath, [tool, "build"], { cwd: folder, env: { NEXT_TELEMETRY_DISABLED: "1" } });
  const server = await startServer([tool, "start", "--hostname", "127.0.0.1", "--port", "0"], folder);
  try {
    const answer = await fetch(new URL("/api/train", server.address));
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    const { threads, ...result } = JSON.parse(text);
    assert.deepEqual([result.digest, threads], [digest, 2], "the server came to something else");
    return await checkPage(server.address, inWorker(digest));
  } finally {
    server.close();
  }
}

/** One file, moved to an empty folder, without a package anywhere above it. */
const bundleForNode = (format, extension) =>
  async function esbuildNode({ folder, empty }) {
    const options = { bundle: true, platform: "node", format, logLevel: "silent", absWorkingDir: folder };
    await build({ ...options, entryPoints: ["main.js"], outfile: `out${extension}` });
    await mkdir(empty);
    await copyFile(join(folder, `out${extension}`), join(empty, `out${extension}`));
    return lastLine(await node([`out${extension}`], empty));
  };

/** A page has to come to the digest of Node, and in the way that its headers let it. */
async function checkPage(address, expected, served = "") {
  const { digest, threads, background } = await openPage(address);
  assert.deepEqual({ digest, threads, background }, expected, `the page${served} came to something else:`);
  return expected;
}

async function checkFolder(folder, headers, expected) {
  const server = await serveFolder(folder, headers);
  try {
    return await checkPage(server.address, expected, ` served with ${JSON.stringify(headers)}`);
  } finally {
    server.close();
  }
}

/** What a page comes to: with threads, with one in a worker, and on its own thread. */
const together = (digest) => ({ digest, threads: 2, background: true });
const inWorker = (digest) => ({ digest, threads: 1, background: true });
const here = (digest) => ({ digest, threads: 1, background: false });

/** Without a policy and with one; not isolated, and isolated, where it has threads. */
async function checkPages(site, digest) {
  await checkFolder(site, {}, inWorker(digest));
  await checkFolder(site, { policy: POLICY }, inWorker(digest));
  await checkFolder(site, { isolated: true, policy: POLICY }, together(digest));
  return checkFolder(site, { isolated: true }, together(digest));
}

/** esbuild takes no worker's file along: the worker comes out of the bundle, where the policy lets it. */
async function esbuildBrowser({ folder, digest }) {
  const options = { bundle: true, format: "esm", minify: true, logLevel: "silent", absWorkingDir: folder };
  await build({ ...options, entryPoints: ["main.js"], outfile: "site/bundle.js" });
  const site = join(folder, "site");
  await copyFile(join(folder, "index.html"), join(site, "index.html"));
  await checkFolder(site, {}, inWorker(digest));
  await checkFolder(site, { policy: POLICY }, here(digest));
  await checkFolder(site, { isolated: true, policy: `${POLICY} blob:` }, together(digest));
  const refused = checkFolder(site, { isolated: true, policy: POLICY }, together(digest));
  await assert.rejects(refused, /ThreadError: threads: thread \d failed/);
  const result = await checkFolder(site, { isolated: true }, together(digest));
  // With the file beside the bundle the stricter policy is enough.
  await copyFile(join(folder, WORKER), join(site, basename(WORKER)));
  await checkPages(site, digest);
  return result;
}

async function viteBuild({ folder, digest }) {
  await node([program("vite"), "build"], folder);
  return checkPages(join(folder, "dist"), digest);
}

async function viteDev({ folder, digest }) {
  const server = await startServer([program("vite"), "--host", "127.0.0.1"], folder);
  try {
    return await checkPage(server.address, together(digest));
  } finally {
    server.close();
  }
}

async function webpack({ folder, digest }) {
  await node([program("webpack-cli"), "build"], folder);
  await copyFile(join(folder, "index.html"), join(folder, "dist/index.html"));
  return checkPages(join(folder, "dist"), digest);
}

/** A registry with the packed package, and the one that it depends on as it is installed here. */
async function withRegistry({ tarball, folder }, work) {
  const manifestOf = (path) => JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
  const root = fileURLToPath(new URL(ROOT, import.meta.url));
  const loader = join(root, "node_modules/@assemblyscript/loader");
  const registry = await serveRegistry([
    { tarball, manifest: manifestOf(root) },
    { tarball: await pack(loader, folder), manifest: manifestOf(loader) },
  ]);
  const named = Object.fromEntries(
    ["NPM_CONFIG_REGISTRY", "npm_config_registry", "BUN_CONFIG_REGISTRY"].map((name) => [name, registry.address]),
  );
  try {
    return await work({ ...named, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" });
  } finally {
    registry.close();
  }
}

/** `npm:` specifiers, in a folder without a package.json. The package's types hold, and it asks only to read. */
function deno(copy) {
  return withRegistry(copy, async (registry) => {
    const { folder, program } = copy;
    const env = { ...registry, DENO_DIR: join(folder, "cache"), DENO_NO_UPDATE_CHECK: "1" };
    const call = (...args) => run(program, args, { cwd: folder, env });
    await call("check", "main.mts");
    const result = lastLine(await call("run", "--no-prompt", "--allow-read", "main.mts"));
    const alone = lastLine(await call("run", "--no-prompt", "inline.mts"));
    assert.equal(alone.digest, result.digest, "steepest/inline trains to other bits");
    return result;
  });
}

function bun(copy) {
  return withRegistry(copy, async (registry) => {
    const { folder, program } = copy;
    const env = { ...registry, BUN_INSTALL_CACHE_DIR: join(folder, "cache") };
    await run(program, ["add", "steepest"], { cwd: folder, env });
    return lastLine(await run(program, ["run", "main.mts"], { cwd: folder, env }));
  });
}

/**
 * `tools`: needs those of test/consumers/package.json; `chromium`: opens pages; `project`: the folder it copies.
 * `runtime`: one that test/everywhere has, which installs the package itself.
 */
export const consumers = [
  { name: "publint", tools: true, run: publint },
  { name: "attw", tools: true, run: attw },
  { name: "node-esm", project: "node-esm", run: runMain },
  { name: "node-cjs", project: "node-cjs", run: runMain },
  ...["node16", "nodenext", "bundler"].map((resolution) => ({
    name: `typescript-${resolution}`,
    project: "typescript",
    run: compileTypes(resolution),
  })),
  { name: "esbuild-node-esm", project: "esbuild-node", run: bundleForNode("esm", ".mjs") },
  { name: "esbuild-node-cjs", project: "esbuild-node", run: bundleForNode("cjs", ".cjs") },
  { name: "typescript-pure", project: "typescript", run: pureTypes },
  { name: "jest", project: "jest", tools: true, run: testWithJest("jest-environment-node") },
  { name: "jest-jsdom", project: "jest-jsdom", tools: true, run: testWithJest("jest-environment-jsdom") },
  { name: "vitest-vmthreads", project: "vitest", run: testWithVitest },
  { name: "webpack-node", project: "webpack-node", tools: true, run: webpackForNode },
  { name: "rollup-node", project: "rollup", tools: true, run: rollupForNode },
  { name: "next", project: "next", tools: true, chromium: true, run: next },
  { name: "esbuild-browser", project: "esbuild-browser", chromium: true, run: esbuildBrowser },
  { name: "vite-build", project: "vite", tools: true, chromium: true, run: viteBuild },
  { name: "vite-dev", project: "vite", tools: true, chromium: true, run: viteDev },
  { name: "webpack", project: "webpack", tools: true, chromium: true, run: webpack },
  { name: "deno", project: "deno", runtime: "deno", run: deno },
  { name: "bun", project: "bun", runtime: "bun", run: bun },
];
