// npm ci is called where it must be, and never through a link: it would empty somebody else's folder.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

type Npm = (folder: string, ...args: string[]) => Promise<void>;
const { installLocked }: { installLocked(folder: string, npm: Npm, announcement: string): Promise<void> } =
  await import(new URL("./install.mjs", import.meta.url).href);

let folder: string;
const npm = vi.fn<Npm>(async () => {});
const install = () => installLocked(folder, npm, "installing");

function write(path: string, packages: object): void {
  writeFileSync(join(folder, path), JSON.stringify({ packages }));
}

beforeEach(() => {
  npm.mockClear();
  vi.spyOn(console, "log").mockImplementation(() => {});
  folder = mkdtempSync(join(tmpdir(), "steepest-install-"));
  write("package-lock.json", {
    "": { name: "tools" },
    "node_modules/a": { version: "1.0.0" },
    "node_modules/b-windows": { version: "1.0.0", optional: true },
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test("what was never installed is installed", async () => {
  await install();
  expect(npm).toHaveBeenCalledExactlyOnceWith(folder, "ci");
});

test.each([
  ["as the lock file says, without an optional package", { "node_modules/a": { version: "1.0.0" } }, 0],
  ["in another version", { "node_modules/a": { version: "0.9.0" } }, 1],
  ["without a package", { "node_modules/b-windows": { version: "1.0.0" } }, 1],
])("what is there %s: npm is called or not", async (_, packages, calls) => {
  mkdirSync(join(folder, "node_modules"));
  write("node_modules/.package-lock.json", packages);
  await install();
  expect(npm).toHaveBeenCalledTimes(calls);
});

test("a link is used where it fits, and never installed through", async () => {
  mkdirSync(join(folder, "theirs"));
  symlinkSync(join(folder, "theirs"), join(folder, "node_modules"), "junction");
  await expect(install()).rejects.toThrow(
    "node_modules is a link, and not as package-lock.json says: npm ci would empty the folder that it leads to",
  );
  expect(npm).not.toHaveBeenCalled();
  write("theirs/.package-lock.json", { "node_modules/a": { version: "1.0.0" } });
  await install();
  expect(npm).not.toHaveBeenCalled();
  expect(readdirSync(join(folder, "theirs"))).toEqual([".package-lock.json"]);
});
