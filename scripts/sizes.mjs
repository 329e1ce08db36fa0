// Holds the size budgets: what a user downloads.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
const folder = fileURLToPath(root);
const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;
const kernels = ["strict", "fast"].map((name) => gzipped(readFileSync(new URL(`dist/${name}.wasm`, root))));

/**
 * A program with what it needs of the facade, minified: what is there before the kernels, which are loaded on their own,
 * in files or in parts of the bundle.
 */
async function facade(platform, entry, program) {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: program(JSON.stringify(`./dist/${entry}`)),
      resolveDir: folder,
    },
    absWorkingDir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform,
    outdir: "out",
    metafile: true,
    write: false,
  });
  const needed = new Set(["out/stdin.js"]);
  for (const file of needed) {
    for (const { path, kind } of metafile.outputs[file].imports)
      if (kind === "import-statement" && path in metafile.outputs) needed.add(path);
  }
  const files = outputFiles.filter(({ path }) => [...needed].some((file) => path.replaceAll("\\", "/").endsWith(file)));
  return files.reduce((sum, { contents }) => sum + gzipped(contents), 0);
}

const simple = (entry) => `import { sequential, dense, relu, adam, crossEntropy, compile } from ${entry};
  const model = sequential({ input: [784] }, dense(128), relu(), dense(10));
  console.log(await compile(model, { loss: crossEntropy(), optimizer: adam() }));`;
/** Takes nothing of layers, graph and training: a bundler must leave them out. */
const tiny = (entry) => `import { numericalGradient } from ${entry}; console.log(numericalGradient);`;

const budgets = [
  ["both kernel builds", kernels[0] + kernels[1], 120 * 1024],
  ["facade of a simple program under Node", await facade("node", "index.js", simple), 40 * 1024],
  ["the same in a browser", await facade("browser", "browser/index.js", simple), 40 * 1024],
  ["a program without a model", await facade("node", "index.js", tiny), 10 * 1024],
];
for (const [what, bytes, most] of budgets) {
  console.log(`${what}: ${bytes} bytes gzipped, budget ${most}`);
  if (bytes > most) process.exitCode = 1;
}
