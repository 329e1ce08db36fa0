// Builds dist/: kernels (debug, strict, fast), bundles, types. See asconfig.json for the kernels' targets.
import { execFile } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { generate } from "./generate.mjs";
import { hoistConstants } from "./hoistConstants.mjs";

const run = promisify(execFile);
const root = new URL("../", import.meta.url);
const targets = ["debug", "strict", "fast"];
const started = performance.now();

rmSync(new URL("dist/", root), { recursive: true, force: true });
const kernels = generate();
const compile = async (target) => {
  const output = await run(process.execPath, ["node_modules/assemblyscript/bin/asc.js", "--target", target], {
    cwd: root,
  });
  if (target !== "debug") {
    const file = new URL(`dist/${target}.wasm`, root);
    writeFileSync(file, hoistConstants(readFileSync(file)));
  }
  return output;
};
const shared = {
  absWorkingDir: root.pathname,
  bundle: true,
  splitting: true,
  format: "esm",
  sourcemap: true,
  define: { STEEPEST_BUNDLE: "true" },
  logLevel: "warning",
};
const node = build({
  ...shared,
  entryPoints: {
    index: "src/platform/node.ts",
    graph: "src/platform/nodeGraph.ts",
    io: "src/platform/nodeIo.ts",
    progress: "src/platform/nodeProgress.ts",
    worker: "src/platform/nodeWorker.ts",
    cli: "src/cli/index.ts",
  },
  outdir: "dist",
  platform: "node",
  target: "node20",
  packages: "external",
});
// With all that it needs inside: a page without a bundler knows no packages.
const browser = build({
  ...shared,
  entryPoints: {
    index: "src/platform/browser.ts",
    graph: "src/platform/browserGraph.ts",
    worker: "src/platform/browserWorker.ts",
  },
  outdir: "dist/browser",
  platform: "browser",
  target: ["chrome91", "firefox89", "safari16.4"],
});
try {
  const outputs = await Promise.all([
    ...targets.map(compile),
    node,
    browser,
    run(process.execPath, ["node_modules/typescript/bin/tsc"], { cwd: root }),
  ]);
  for (const { stdout, stderr } of outputs) if (stdout || stderr) process.stdout.write(`${stdout}${stderr}`);
} catch (error) {
  process.stderr.write(`${error.stdout ?? ""}${error.stderr ?? error}\n`);
  process.exit(1);
}
writeFileSync(new URL("dist/.built", root), "");
const sizes = targets.slice(1).map((target) => {
  const file = new URL(`dist/${target}.wasm`, root);
  return `${target}.wasm ${statSync(file).size} bytes (${gzipSync(readFileSync(file)).length} gzipped)`;
});
console.log(
  `built dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s: ${kernels} kernels, ${sizes.join(", ")}`,
);
