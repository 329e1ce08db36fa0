// Copies of the package as a program may come to have several: each is the source in a bundle of its own.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { createContext, runInContext, runInThisContext } from "node:vm";
import { build } from "esbuild";
import type * as All from "../../src/platform/nodeAll.js";

export type Copy = typeof All.index & { graph: typeof All.graph; io: typeof All.io };

const root = new URL("../../", import.meta.url);
export const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as { version: string };

/** The package's code under this version, as a module for require(). */
export async function bundle(named: string = version): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(root),
    entryPoints: ["src/platform/nodeAll.ts"],
    bundle: true,
    format: "cjs",
    platform: "node",
    external: ["cli-progress", "binaryen"],
    loader: { ".wasm": "binary" },
    define: {
      STEEPEST_VERSION: JSON.stringify(named),
      STEEPEST_FILES: JSON.stringify("../../dist/"),
      "import.meta.url": JSON.stringify(import.meta.url),
    },
    logLevel: "error",
    write: false,
  });
  return outputFiles[0].text;
}

/** What a realm of its own lacks of what Node gives a program. */
const HOST = {
  clearTimeout,
  console,
  MessageChannel,
  performance,
  process,
  setImmediate,
  setTimeout,
  TextDecoder,
  TextEncoder,
  URL,
};

/** A realm of its own, as test runners give each test file one. */
export function createRealm(): object {
  return createContext({ ...HOST });
}

/** Loads a copy, here or in another realm. */
export function load(code: string, realm?: object): Copy {
  const wrapped = `(function (require, module) { ${code}\n})`;
  const run = realm === undefined ? runInThisContext(wrapped) : runInContext(wrapped, realm);
  const module = { exports: {} as typeof All };
  run(createRequire(import.meta.url), module);
  const { index, graph, io } = module.exports;
  return { ...index, graph, io };
}
