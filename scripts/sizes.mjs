// Holds the size budgets: what a user downloads, gzipped.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = new URL("../", import.meta.url);
const folder = fileURLToPath(root);
const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** A program bundled with what it needs of the package, minified and split. */
async function bundled(platform, entry, program) {
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
  const contents = new Map(outputFiles.map((file) => [file.path.replaceAll("\\", "/").split("/").at(-1), file]));
  const nameOf = (path) => path.split("/").at(-1);
  const imports = new Map(
    Object.entries(metafile.outputs).map(([path, output]) => [
      nameOf(path),
      output.imports.filter(({ path }) => path in metafile.outputs).map(({ path, kind }) => [nameOf(path), kind]),
    ]),
  );
  return { start: "stdin.js", imports, sizeOf: (name) => gzipped(contents.get(name).contents) };
}

/** The files of a folder that imports one another, as a page without a bundler loads them. */
function asIs(path, start) {
  const at = new URL(path, root);
  const imports = new Map(
    readdirSync(at).map((name) => {
      const text = readFileSync(new URL(name, at), "utf8");
      const found = (pattern, kind) => [...text.matchAll(pattern)].map(([, to]) => [to, kind]);
      return [
        name,
        [
          ...found(/^(?:import|export|\} from)\b[^;]*?"\.\/([^"]+)";$/gm, "import-statement"),
          ...found(/\bimport\("\.\/([^"]+)"\)/g, "dynamic-import"),
        ],
      ];
    }),
  );
  return { start, imports, sizeOf: (name) => gzipped(readFileSync(new URL(name, at))) };
}

/** What is loaded before the program begins, and the parts that it loads later whose names `later` knows. */
function loaded({ start, imports, sizeOf }, later = () => false) {
  const files = new Set([start]);
  for (const file of files)
    for (const [name, kind] of imports.get(file)) if (kind === "import-statement" || later(name)) files.add(name);
  return [...files].reduce((sum, name) => sum + sizeOf(name), 0);
}

const simple = (entry) => `import { sequential, dense, relu, adam, crossEntropy, compile } from ${entry};
  const model = sequential({ input: [784] }, dense(128), relu(), dense(10));
  console.log(await compile(model, { loss: crossEntropy(), optimizer: adam() }));`;
/** Takes nothing of layers, graph and training: a bundler must leave them out. */
const tiny = (entry) => `import { numericalGradient } from ${entry}; console.log(numericalGradient);`;

const inNode = await bundled("node", "index.js", simple);
const inPage = await bundled("browser", "browser/index.js", simple);
// A page trains over the strict kernels, in a worker whose program is a file of its own.
const strict = (name) => name.startsWith("strict-");
const worker = gzipped(readFileSync(new URL("dist/browser/steepestWorker.js", root)));

const KB = 1024;
const budgets = [
  ["facade of a simple program under Node", loaded(inNode), 90 * KB],
  ["the same in a browser", loaded(inPage), 89 * KB],
  ["all that a bundled page loads to train", loaded(inPage, strict) + worker, 170 * KB],
  ["the same without a bundler", loaded(asIs("dist/browser/", "index.js"), strict) + worker, 354 * KB],
  ["a program without a model", loaded(await bundled("node", "index.js", tiny)), 12 * KB],
];
for (const [what, bytes, budget] of budgets) {
  console.log(`${what}: ${bytes} bytes gzipped, budget ${budget}`);
  if (bytes > budget) process.exitCode = 1;
}
