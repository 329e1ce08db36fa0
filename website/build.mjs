// npm run docs: makes site/, the documentation site. Installs the site's own packages first, if they are missing.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = fileURLToPath(new URL("./", import.meta.url));
const root = fileURLToPath(new URL("../", import.meta.url));
const staged = join(here, ".pages");

const changed = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function install() {
  if (changed(join(here, "node_modules/.package-lock.json")) >= changed(join(here, "package-lock.json"))) return;
  console.error("installing the site's packages (npm ci --prefix website) …");
  const options = { cwd: here, stdio: ["ignore", 2, 2], shell: process.platform === "win32" };
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], options);
}

/** The package as a page loads it, without white space: what programs in the pages import. */
async function copyPackage(to) {
  const { build } = await import(pathToFileURL(join(here, "node_modules/esbuild/lib/main.js")).href);
  const from = join(root, "dist/browser");
  const files = readdirSync(from).filter((name) => name.endsWith(".js"));
  await build({
    entryPoints: files.map((name) => join(from, name)),
    outdir: to,
    bundle: false,
    minifyWhitespace: true,
    minifySyntax: true,
    format: "esm",
    logLevel: "warning",
  });
}

/** Bytes of a folder. */
function sizeOf(folder) {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);
}

install();
const [{ writeApi }, { writePages }, { build }] = await Promise.all([
  import("./api.mjs"),
  import("./pages.mjs"),
  import("vitepress"),
]);
rmSync(staged, { recursive: true, force: true });
mkdirSync(join(staged, "public"), { recursive: true });
writePages(staged);
const reference = await writeApi(join(staged, "api"));
writeFileSync(join(staged, "reference.json"), JSON.stringify(reference));
await copyPackage(join(staged, "public/steepest"));
const playground = join(root, "playground/dist");
if (existsSync(playground)) cpSync(playground, join(staged, "public/playground"), { recursive: true });
await build(here);
console.log(`site/ is ${(sizeOf(join(root, "site")) / 2 ** 20).toFixed(2)} MB`);
