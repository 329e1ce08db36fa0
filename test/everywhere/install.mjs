// Installs the tools of a folder of tests, on first use and where its lock file asks for others.
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** `npm(folder, ...args)` calls npm there. Throws where the folder's node_modules belongs to another. */
export async function installLocked(folder, npm, announcement) {
  if (isInstalled(folder)) return;
  const modules = join(folder, "node_modules");
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Error(
      `${modules} is a link, and not as package-lock.json says: npm ci would empty the folder that it leads to: install there, or remove the link`,
    );
  }
  console.log(announcement);
  await npm(folder, "ci");
}

/** What npm noted of its last install, against the lock file; optional packages are left out where they do not fit. */
export function isInstalled(folder) {
  const wanted = readPackages(join(folder, "package-lock.json")) ?? {};
  const installed = readPackages(join(folder, "node_modules/.package-lock.json"));
  if (installed === undefined) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === "") return true;
    const found = installed[path];
    return found === undefined ? optional === true : found.version === version;
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}
