// The suite's rows are those of the other tests: test/ops/samples, and random models, bundled as a function of
// steepest/graph, so that every runtime tests the package's operations and not copies of its own.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ENTRY = fileURLToPath(new URL("./rows.ts", import.meta.url));

/** What rows take from the sources beside the public operations. */
const GRAPH = `
const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);
module.exports = { ...graph, sizeOf, showShape: (shape) => "[" + shape.join(", ") + "]" };
`;

const publicGraph = {
  name: "public graph",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/src\// }, () => ({ path: "graph", namespace: "public", sideEffects: false }));
    onLoad({ filter: /.*/, namespace: "public" }, () => ({ contents: GRAPH, loader: "js" }));
  },
};

/** Writes a module whose `createRows(graph)` gives what rows.ts exports. */
export async function bundleRows(outfile) {
  await build({
    entryPoints: [ENTRY],
    bundle: true,
    format: "iife",
    globalName: "rows",
    target: "es2022",
    banner: { js: "export function createRows(graph) {" },
    footer: { js: "return rows;\n}" },
    plugins: [publicGraph],
    logLevel: "warning",
    outfile,
  });
}
