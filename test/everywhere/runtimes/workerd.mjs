// Cloudflare's workerd, through miniflare: the kernels are modules that the platform compiles.
import { join } from "node:path";
import { wideRefused, withoutThreads } from "./runs.mjs";

/** One file of JavaScript, and the `.wasm` files that it imports beside it. */
async function bundle(project) {
  const { build } = await import("esbuild");
  const folder = join(project, "worker");
  const { metafile } = await build({
    absWorkingDir: project,
    entryPoints: ["hosts/workerd.js"],
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    outdir: folder,
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    logLevel: "warning",
    metafile: true,
  });
  const files = Object.keys(metafile.outputs).map((path) => join(project, path));
  return {
    modulesRoot: folder,
    modules: [
      ...files.filter((path) => path.endsWith(".js")).map((path) => ({ type: "ESModule", path })),
      ...files.filter((path) => path.endsWith(".wasm")).map((path) => ({ type: "CompiledWasm", path })),
    ],
  };
}

const runs = [...withoutThreads, wideRefused("edge runtimes have no kernels for it")];

export const workerd = {
  name: "workerd",
  runs,
  async open({ project }) {
    let version;
    try {
      ({ version } = await import("workerd"));
    } catch (error) {
      return { missing: `npm has no workerd for this system (${String(error.message).split("\n")[0]})` };
    }
    const { Miniflare } = await import("miniflare");
    const miniflare = new Miniflare({ ...(await bundle(project)), compatibilityDate: "2025-09-01" });
    await miniflare.ready;
    return {
      version,
      async *results() {
        for (const run of runs) {
          const response = await miniflare.dispatchFetch("http://localhost/", {
            method: "POST",
            body: JSON.stringify(run),
          });
          const text = await response.text();
          yield [run, response.ok ? JSON.parse(text) : { broken: text.slice(0, 1000) }];
        }
      },
      close: () => miniflare.dispose(),
    };
  },
};
