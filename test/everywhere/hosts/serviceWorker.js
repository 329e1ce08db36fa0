// A service worker, which may neither start workers nor import files later: it takes steepest/inline.
import * as steepest from "/inline.js";
import { files } from "/standalone/files.js";
import { explain } from "/suite/checks.js";
import { runSuite } from "/suite/suite.js";

const wasmOf = (name) => fetch(`/standalone/${name}.wasm`);

async function answer({ data, ports: [port] }) {
  try {
    port.postMessage(await runSuite({ steepest, files }, { ...data, synchronous: true, wasmOf }));
  } catch (error) {
    port.postMessage({ broken: explain(error) });
  }
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("message", (event) => event.waitUntil(answer(event)));
