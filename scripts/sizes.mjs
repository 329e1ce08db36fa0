// Holds the size budgets: what a user downloads.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;
const kernels = ["strict", "fast"].map((name) => gzipped(readFileSync(new URL(`dist/${name}.wasm`, root))));

/** The facade of the README's program, minified in one file. */
async function facade() {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { sequential, dense, relu, adam, crossEntropy, compile } from "./dist/index.js";
        const model = sequential({ input: [784] }, dense(128), relu(), dense(10));
        console.log(await compile(model, { loss: crossEntropy(), optimizer: adam() }));`,
      resolveDir: root.pathname,
    },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  return gzipped(outputFiles[0].contents);
}

const budgets = [
  ["both kernel builds", kernels[0] + kernels[1], 120 * 1024],
  ["facade of a simple program", await facade(), 40 * 1024],
];
for (const [what, bytes, most] of budgets) {
  console.log(`${what}: ${bytes} bytes gzipped, budget ${most}`);
  if (bytes > most) process.exitCode = 1;
}
