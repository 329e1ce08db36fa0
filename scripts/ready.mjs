// Makes a fresh clone ready: installs what is missing, builds what is out of date, says so; silent otherwise.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 11)) {
  console.error(`steepest needs Node 20.11 or newer, this is ${process.version}: install a newer Node and try again`);
  process.exit(1);
}

const changed = (path) => (existsSync(root + path) ? statSync(root + path).mtimeMs : 0);
const newest = (folder) =>
  Math.max(
    ...readdirSync(root + folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && !["constants.ts", "dispatch.ts", "recorder.ts"].includes(entry.name))
      .map((entry) => statSync(`${entry.parentPath ?? entry.path}/${entry.name}`).mtimeMs),
  );
const run = (command, args) => {
  try {
    execFileSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  } catch {
    console.error(`steepest: "${[command, ...args].join(" ")}" failed, see above: mend that and try again`);
    process.exit(1);
  }
};

if (changed("node_modules/.package-lock.json") < changed("package-lock.json")) {
  console.error("installing packages (npm ci) …");
  run("npm", ["ci", "--no-audit", "--no-fund"]);
}
const sources = [
  newest("assembly"),
  newest("src"),
  newest("scripts"),
  ...["asconfig.json", "package.json", "tsconfig.json"].map(changed),
];
if (changed("dist/.built") < Math.max(...sources)) {
  console.error("building dist/ (npm run build) …");
  run(process.execPath, ["scripts/build.mjs"]);
}
