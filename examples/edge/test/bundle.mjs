// Makes of the Worker what wrangler makes of it: one script, and the .wasm files beside it as modules.
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/**
 * Modules as miniflare takes them, the script first: `{ type, path, contents }`.
 *
 * @param change `{ file, from, to }`: text of a file in src/, and what to put in its place, for tests of what goes wrong.
 */
export async function bundleWorker(change) {
  const wasm = new Map();
  const besides = {
    name: "besides",
    setup({ onResolve }) {
      onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
        wasm.set(basename(path), join(resolveDir, path));
        return { path: `./${basename(path)}`, external: true };
      });
    },
  };
  const changed = {
    name: "changed",
    setup({ onLoad }) {
      if (change === undefined) return;
      onLoad({ filter: /[/\\]src[/\\]\w+\.ts$/ }, ({ path }) => {
        if (basename(path) !== change.file) return undefined;
        const source = readFileSync(path, "utf8");
        if (!source.includes(change.from)) throw new Error(`${path}: has no "${change.from}"`);
        return { loader: "ts", contents: source.replace(change.from, change.to) };
      });
    },
  };
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL("../", import.meta.url)),
    entryPoints: ["src/worker.ts"],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    plugins: [besides, changed],
    logLevel: "warning",
  });
  return [
    { type: "ESModule", path: "worker.js", contents: outputFiles[0].text },
    ...[...wasm].map(([path, file]) => ({ type: "CompiledWasm", path, contents: readFileSync(file) })),
  ];
}
