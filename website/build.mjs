// npm run docs: makes site/, the documentation site with the playground. Installs their packages first, if they are missing.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const here = fileURLToPath(new URL("./", import.meta.url));
const root = fileURLToPath(new URL("../", import.meta.url));
const staged = join(here, ".pages");

const changed = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function install(folder) {
  const at = (name) => join(root, folder, name);
  if (changed(at("node_modules/.package-lock.json")) >= changed(at("package-lock.json"))) return;
  console.error(`installing the site's packages (npm ci --prefix ${folder}) …`);
  const options = { cwd: at(""), stdio: ["ignore", 2, 2], shell: process.platform === "win32" };
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], options);
}

/** The package as a page loads it, minified: what programs in the pages import. */
async function copyPackage(to) {
  const { build } = await import(pathToFileURL(join(here, "node_modules/esbuild/lib/main.js")).href);
  const from = join(root, "dist/browser");
  const files = readdirSync(from).filter((name) => name.endsWith(".js"));
  await build({
    entryPoints: files.map((name) => join(from, name)),
    outdir: to,
    bundle: false,
    minify: true,
    format: "esm",
    logLevel: "warning",
  });
}

/** The scripts that have whole pages in them, for going from page to page without loading one: the theme loads pages. */
function dropPageScripts(site) {
  for (const name of readdirSync(join(site, "assets")))
    if (/\.md\.[\w-]+\.js$/.test(name) && !name.endsWith(".lean.js")) rmSync(join(site, "assets", name));
}

/** Bytes of a folder, and bytes as they are sent. */
function sizeOf(folder) {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const sizes = { bytes: 0, sent: 0 };
  for (const entry of files) {
    const bytes = readFileSync(join(entry.parentPath ?? entry.path, entry.name));
    sizes.bytes += bytes.length;
    sizes.sent += gzipSync(bytes).length;
  }
  return sizes;
}

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(2)} MB`;

install("website");
install("playground");
const [{ writeApi }, { writePages }, { build }] = await Promise.all([
  import("./api.mjs"),
  import("./pages.mjs"),
  import("vitepress"),
]);
rmSync(staged, { recursive: true, force: true });
mkdirSync(staged);
cpSync(join(here, "public"), join(staged, "public"), { recursive: true });
writePages(staged);
const reference = await writeApi(join(staged, "api"));
writeFileSync(join(staged, "reference.json"), JSON.stringify(reference));
await copyPackage(join(staged, "public/steepest"));
await import("../playground/build.mjs");
cpSync(join(root, "playground/dist"), join(staged, "public/playground"), { recursive: true });
await build(here);
dropPageScripts(join(root, "site"));
const { bytes, sent } = sizeOf(join(root, "site"));
console.log(`site/ is ${megabytes(bytes)}, ${megabytes(sent)} as it is sent (gzip)`);
