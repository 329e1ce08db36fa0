// Lets Node load TypeScript: node --import ./bench/typescript.mjs FILE. tsx, which runs the examples, adds a call for each function
// that is created, to keep its name. A step of a small network then takes half as long again.
import { readFileSync } from "node:fs";
import * as module from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { transformSync } from "esbuild";

/** The source imports files by the names that they have once they are compiled. */
export function resolve(specifier, context, next) {
  const isOurs = /^\.{1,2}\/.*\.js$/.test(specifier) && /\.ts$/.test(context.parentURL ?? "");
  return next(isOurs ? specifier.replace(/\.js$/, ".ts") : specifier, context);
}

export function load(url, context, next) {
  if (!/^file:.*\.ts$/.test(url)) return next(url, context);
  const sourcefile = fileURLToPath(url);
  const options = { loader: "ts", sourcefile, sourcemap: "inline", target: "node20" };
  const { code } = transformSync(readFileSync(sourcefile, "utf8"), options);
  return { format: "module", source: code, shortCircuit: true };
}

if (module.registerHooks !== undefined) module.registerHooks({ resolve, load });
// Older Nodes run the hooks in a thread of their own, which loads this file too.
else if (isMainThread) module.register(import.meta.url);
