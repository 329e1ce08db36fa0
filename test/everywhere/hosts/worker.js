// A page's own worker.
import { workers } from "/hosts/workers.js";
import * as modules from "/modules.js";
import { files } from "/standalone/files.js";
import { explain } from "/suite/checks.js";
import { runSuite } from "/suite/suite.js";

const wasmOf = (name) => fetch(`/standalone/${name}.wasm`);

/**
 * Engines whose workers start while the page is busy. Where the page's browser has a driver, Firefox 153 blocks this
 * worker for ever after a few of them: see runtimes/firefox.mjs.
 */
async function startEngines({ createEngine }, { build, threads, starts = 0 }) {
  for (let start = 0; start < starts; start++) {
    self.postMessage({ busyMs: 40 });
    const engine = await createEngine({ build, threads });
    engine.dispose();
  }
}

self.onmessage = async ({ data }) => {
  try {
    await startEngines(modules.steepest, data);
    self.postMessage(await runSuite({ ...modules, files }, { ...data, workers, wasmOf }));
  } catch (error) {
    self.postMessage({ broken: explain(error) });
  }
};
