// Builds dist/: kernels, bundles for each kind of runtime, types. See asconfig.json for the kernels' targets, src/platform/
// for the entries. The kernels with assertions are no part of the package: they go to build/debug, and every test runs
// over them with STEEPEST_WASM_FOLDER=../../build/debug/.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { generate } from "./generate.mjs";
import { hoistConstants } from "./hoistConstants.mjs";
import { pairVectors } from "./pairVectors.mjs";

const run = promisify(execFile);
const root = new URL("../", import.meta.url);
const folder = fileURLToPath(root);
const dist = new URL("dist/", root);
const targets = ["debug", "strict", "fast", "wide"];
const started = performance.now();

rmSync(dist, { recursive: true, force: true });
const kernels = generate();

/** Runs a package's program; what it says goes on. */
async function tool(path, ...args) {
  const { stdout, stderr } = await run(process.execPath, [`node_modules/${path}`, ...args], { cwd: root });
  process.stdout.write(stdout + stderr);
}

async function compile(target) {
  await tool("assemblyscript/bin/asc.js", "--target", target);
  if (target === "debug") return;
  const file = new URL(`${target}.wasm`, dist);
  const hoisted = hoistConstants(readFileSync(file));
  writeFileSync(file, target === "wide" ? pairVectors(hoisted) : hoisted);
}

/** A rule of a table of options: see src/engine/options.ts. */
const OPTION_RULE =
  /(?<![\w.*/] ?)(?:number|integer|flag|choice|fn|optional|unchecked|joined|part|partOptions|decay|learningRate|weightDecay|decoupled|rootEpsilon|momentOptions|decayOptions)(?:<[^\n]*?>)?\(/g;
/** Made of nothing but calls of the functions of its own folder. */
const MADE = /^((?:export )?const \w+(?::[^=\n]+)? = )(?=\w+(?:<[^\n]*>)?\()/gm;

/** Operations and layers are made by functions that do nothing else: says so, that bundlers may leave out unused ones. */
const markPure = {
  name: "markPure",
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/]src[\\/](engine|graph|ops|nn|optim|train|io|callbacks)[\\/]\w+\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8").replace(OPTION_RULE, "/* @__PURE__ */ $&");
      const isMade = /[\\/](ops|nn)[\\/]\w+\.ts$/.test(path);
      return { contents: isMade ? source.replace(MADE, "$1/* @__PURE__ */ ") : source, loader: "ts" };
    }),
};

/** `import("….wasm?gzip")` gives the file's bytes, gzipped. */
const gzipKernels = {
  name: "gzipKernels",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /\.wasm\?gzip$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path.replace(/\?gzip$/, "")),
      namespace: "gzip",
    }));
    onLoad({ filter: /./, namespace: "gzip" }, ({ path }) => ({
      contents: gzipSync(readFileSync(path), { level: 9 }),
      loader: "binary",
    }));
  },
};

/**
 * The command line's parser (commander, MIT) becomes a part of it, as the package depends on no other at run time. It is CommonJS:
 * what it requires of Node is imported, since a module has no require().
 */
const withParser = {
  name: "withParser",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^commander$/ }, ({ path }) => ({ path: fileURLToPath(import.meta.resolve(path)) }));
    // Comments that begin so are kept at the bundle's end: its licence goes where it goes.
    onLoad({ filter: /[\\/]commander[\\/]index\.js$/ }, ({ path }) => ({
      contents: `/*! commander\n${readFileSync(join(path, "../LICENSE"), "utf8")}*/\n${readFileSync(path, "utf8")}`,
    }));
    onResolve({ filter: /^node:/ }, ({ path, kind, namespace }) => {
      if (kind !== "require-call") return { path, external: true };
      return { path, namespace: namespace === "required" ? "imported" : "required" };
    });
    // By its default export, which is what require() gives: an object of all exports would lack methods of its prototype.
    onLoad({ filter: /./, namespace: "required" }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)}).default;`,
    }));
    onLoad({ filter: /./, namespace: "imported" }, ({ path }) => ({
      contents: `export { default } from ${JSON.stringify(path)};`,
    }));
  },
};

const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));

const bundle = ({ plugins = [], define = {}, ...options }) =>
  build({
    define: { STEEPEST_VERSION: JSON.stringify(version), ...define },
    absWorkingDir: folder,
    bundle: true,
    format: "esm",
    loader: { ".wasm": "binary" },
    logLevel: "warning",
    plugins: [markPure, gzipKernels, ...plugins],
    ...options,
  });

/** A bundle as text, for what is to lie in another one. */
async function textOf(options) {
  const { outputFiles } = await bundle({ minify: true, write: false, ...options });
  return outputFiles[0].text;
}

/** Entries that are the same in every runtime. */
const ANYWHERE = {
  diagnostics: "src/diagnostics/index.ts",
  inspect: "src/inspect/index.ts",
  metrics: "src/metrics/index.ts",
  quantize: "src/quantize/index.ts",
  text: "src/text/index.ts",
};

/** Node, Deno and Bun: the kernels in files beside the bundle, packages left outside. */
async function bundleNode() {
  const node = { platform: "node", target: "node20", packages: "external" };
  const worker = { ...node, entryPoints: ["src/platform/nodeWorker.ts"], format: "cjs" };
  await bundle({ ...worker, outfile: "dist/worker.cjs" });
  const define = { STEEPEST_FILES: '"./"', STEEPEST_WORKER: JSON.stringify(await textOf(worker)) };
  const entryPoints = {
    index: "src/platform/node.ts",
    graph: "src/platform/nodeGraph.ts",
    io: "src/platform/nodeIo.ts",
    progress: "src/platform/nodeProgress.ts",
    data: "src/platform/nodeData.ts",
    report: "src/platform/nodeReport.ts",
    search: "src/platform/nodeSearch.ts",
    callbacks: "src/platform/nodeCallbacks.ts",
    images: "src/platform/nodeImages.ts",
    onnx: "src/platform/nodeOnnx.ts",
    keras: "src/platform/nodeKeras.ts",
    cluster: "src/platform/nodeCluster.ts",
    standalone: "src/platform/nodeStandalone.ts",
    ...ANYWHERE,
    cli: "src/cli/index.ts",
  };
  await bundle({ ...node, define, entryPoints, splitting: true, outdir: "dist", plugins: [withParser] });
  // For require(): all in one file, so that the entries share what they hold, and an entry is a part of it.
  const name = "requiredFrom";
  await bundle({
    ...node,
    entryPoints: { all: "src/platform/nodeAll.ts" },
    format: "cjs",
    outdir: "dist/cjs",
    outExtension: { ".js": ".cjs" },
    define: { ...define, STEEPEST_FILES: '"../"', "import.meta.url": name },
    banner: { js: `const ${name} = require("node:url").pathToFileURL(__filename).href;` },
  });
  for (const entry of [
    "index",
    "graph",
    "io",
    "progress",
    "data",
    "report",
    "search",
    "callbacks",
    "images",
    "onnx",
    "keras",
    "cluster",
    "standalone",
    ...Object.keys(ANYWHERE),
  ]) {
    writeFileSync(new URL(`cjs/${entry}.cjs`, dist), `module.exports = require("./all.cjs").${entry};\n`);
  }
}

/** Browsers: with all that is needed inside, as a page without a bundler knows no packages. */
async function bundleBrowser() {
  const browser = { platform: "browser", target: ["chrome91", "firefox89", "safari16.4"] };
  const worker = { ...browser, entryPoints: ["src/platform/browserWorker.ts"] };
  const define = { STEEPEST_WORKER: JSON.stringify(await textOf({ ...worker, format: "iife" })) };
  const entryPoints = {
    index: "src/platform/browser.ts",
    graph: "src/platform/browserGraph.ts",
    io: "src/platform/browserIo.ts",
    data: "src/platform/browserData.ts",
    report: "src/report/index.ts",
    search: "src/search/index.ts",
    callbacks: "src/callbacks/index.ts",
    images: "src/images/index.ts",
    onnx: "src/onnx/index.ts",
    keras: "src/keras/index.ts",
    ...ANYWHERE,
  };
  await Promise.all([
    bundle({ ...browser, define, entryPoints, splitting: true, outdir: "dist/browser" }),
    bundle({ ...worker, outfile: "dist/browser/steepestWorker.js" }),
    bundle({ ...browser, entryPoints: ["src/platform/inline.ts"], outfile: "dist/inline.js" }),
    bundle({
      ...browser,
      entryPoints: ["src/platform/inlineAll.ts"],
      inject: ["src/platform/textCoding.ts"],
      format: "cjs",
      outfile: "dist/cjs/inlineAll.cjs",
      minifyWhitespace: true, // nobody takes a part of it, or reads it: what require() gets outside of Node
    }),
  ]);
  mkdirSync(new URL("cjs/browser/", dist), { recursive: true });
  const require = (path, entry) => `module.exports = require("${path}inlineAll.cjs").${entry};\n`;
  writeFileSync(new URL("cjs/inline.cjs", dist), require("./", "inline"));
  for (const [file, entry] of Object.entries({
    index: "inline",
    graph: "graph",
    io: "io",
    data: "data",
    diagnostics: "diagnostics",
    inspect: "inspect",
    metrics: "metrics",
    quantize: "quantize",
    report: "report",
    text: "text",
    search: "search",
    callbacks: "callbacks",
    images: "images",
    onnx: "onnx",
    keras: "keras",
  })) {
    writeFileSync(new URL(`cjs/browser/${file}.cjs`, dist), require("../", entry));
  }
}

/** Edge runtimes: the kernels as modules, for plain memory, which the platform compiles. */
async function bundleEdge() {
  const { forMemory } = await import(
    `data:text/javascript,${encodeURIComponent(await textOf({ entryPoints: ["src/engine/module.ts"], minify: false }))}`
  );
  mkdirSync(new URL("edge/", dist), { recursive: true });
  for (const target of ["strict", "fast"]) {
    const plain = forMemory(readFileSync(new URL(`${target}.wasm`, dist)), false);
    writeFileSync(new URL(`edge/${target}.wasm`, dist), plain);
  }
  const beside = {
    name: "beside",
    setup: ({ onResolve }) =>
      onResolve({ filter: /\.wasm$/ }, ({ path }) => ({ path: `./${path.split("/").pop()}`, external: true })),
  };
  const entryPoints = {
    index: "src/platform/edge.ts",
    graph: "src/platform/edgeGraph.ts",
    io: "src/platform/browserIo.ts",
    data: "src/data/index.ts",
    report: "src/report/index.ts",
    search: "src/search/index.ts",
    callbacks: "src/callbacks/index.ts",
    images: "src/images/index.ts",
    onnx: "src/onnx/index.ts",
    keras: "src/keras/index.ts",
    ...ANYWHERE,
  };
  await bundle({
    entryPoints,
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2022",
    splitting: true,
    outdir: "dist/edge",
    plugins: [beside],
  });
}

/** The declarations, once as modules and once for require(). */
async function declareTypes() {
  await tool("typescript/bin/tsc");
  cpSync(new URL("types/", dist), new URL("cjs/types/", dist), { recursive: true });
  writeFileSync(new URL("cjs/types/package.json", dist), '{ "type": "commonjs" }\n');
}

try {
  const types = declareTypes();
  await Promise.all(targets.map(compile));
  await Promise.all([types, bundleNode(), bundleBrowser(), bundleEdge()]);
} catch (error) {
  process.stderr.write(`${error.stdout ?? ""}${error.stderr ?? error}\n`);
  process.exit(1);
}
writeFileSync(new URL(".built", dist), "");
const sizes = targets.slice(1).map((target) => {
  const file = new URL(`${target}.wasm`, dist);
  return `${target}.wasm ${statSync(file).size} bytes (${gzipSync(readFileSync(file)).length} gzipped)`;
});
console.log(
  `built dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s: ${kernels} kernels, ${sizes.join(", ")}`,
);
