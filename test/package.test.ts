// What is in the package that npm would publish: all that is needed, nothing besides.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";

interface Packed {
  /** Bytes of the archive. */
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

const root = fileURLToPath(new URL("../", import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
let packed: Packed;
let paths: string[];

beforeAll(async () => {
  const output = await new Promise<string>((resolve, reject) => {
    const options = { cwd: root, shell: process.platform === "win32", maxBuffer: 1 << 24 };
    execFile("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], options, (error, out) =>
      error ? reject(error) : resolve(out),
    );
  });
  // A list, or by name, as npm's version has it.
  [packed] = Object.values(JSON.parse(output)) as Packed[];
  paths = packed.files.map(({ path }) => path);
});

/** Every file that a condition of `exports`, `typesVersions`, `main`, `types` or `bin` leads to. */
function targets(value: unknown): string[] {
  if (typeof value === "string") return [value.replace(/^\.\//, "")];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(targets) : [];
}

test("every entry is there", () => {
  const { exports, typesVersions, main, types, bin } = manifest;
  const entries = targets({ exports, typesVersions, main, types, bin });
  expect(entries.length).toBeGreaterThan(40);
  expect(entries.filter((path) => !paths.includes(path))).toEqual([]);
});

test("what require() gets of an entry is there", () => {
  const required = ["", "browser/"].flatMap((folder) =>
    readdirSync(`${root}dist/cjs/${folder}`)
      .filter((name) => name.endsWith(".cjs") && !/^(all|inlineAll)\.cjs$/.test(name))
      .map((name) => `dist/cjs/${folder}${name}`),
  );
  expect(required.length).toBeGreaterThan(20);
  const require = createRequire(import.meta.url);
  for (const path of required) expect(typeof require(root + path), path).toBe("object");
});

test("README, the pages, changelog and licence are there", () => {
  const pages = readdirSync(`${root}docs`).map((name) => `docs/${name}`);
  expect(pages.length).toBeGreaterThan(3);
  for (const path of [...pages, "README.md", "CHANGELOG.md", "LICENSE", "package.json"]) expect(paths).toContain(path);
});

test("nothing else is: no source maps, no debug build, no sources, and no file that another asks for in vain", () => {
  const known =
    /^(?:(?:README|CHANGELOG|docs\/\w+)\.md|LICENSE|package\.json|dist\/types\/.*\.d\.ts|dist\/cjs\/types\/(?:package\.json|.*\.d\.ts)|dist\/(?:browser\/|edge\/)?[\w-]+\.js|dist\/(?:worker\.cjs|cjs\/(?:browser\/)?\w+\.cjs)|dist\/(?:edge\/)?(?:strict|fast)\.wasm|dist\/wide\.wasm)$/;
  expect(paths.filter((path) => !known.test(path))).toEqual([]);
  const scripts = paths.filter((path) => /\.c?js$/.test(path));
  expect(scripts.length).toBeGreaterThan(20);
  for (const path of scripts) expect(readFileSync(root + path, "utf8"), path).not.toMatch(/^\/\/# sourceMappingURL=/m);
});

test("types need no types of pages: WebAssembly is named in comments alone", () => {
  const types = paths.filter((path) => /^dist\/types\/.*\.d\.ts$/.test(path));
  expect(types.length).toBeGreaterThan(100);
  for (const path of types) {
    expect(readFileSync(root + path, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""), path).not.toMatch(
      /\bWebAssembly\b/,
    );
  }
});

test("the archive is small", () => {
  const megabytes = (path: string) => `${path}: ${packed.files.find((file) => file.path === path)?.size}`;
  const largest = [...packed.files].sort((a, b) => b.size - a.size).slice(0, 5);
  expect(packed.size, largest.map(({ path }) => megabytes(path)).join(", ")).toBeLessThan(4.7 * 2 ** 20);
});
