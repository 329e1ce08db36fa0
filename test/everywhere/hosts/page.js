// A page: runs the suite on its own thread, in a worker of its own, or in a service worker.
import { workers } from "/hosts/workers.js";
import * as modules from "/modules.js";
import { files } from "/standalone/files.js";
import { explain } from "/suite/checks.js";
import { runSuite } from "/suite/suite.js";

const wasmOf = (name) => fetch(`/standalone/${name}.wasm`);

globalThis.runHere = async (options) => {
  try {
    return await runSuite({ ...modules, files }, { ...options, workers, wasmOf });
  } catch (error) {
    return { broken: explain(error) };
  }
};

let worker;

globalThis.runInWorker = (options) =>
  new Promise((resolve) => {
    worker ??= new Worker("/hosts/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => {
      if (data.busyMs === undefined) return resolve(data);
      for (const until = performance.now() + data.busyMs; performance.now() < until; );
    };
    worker.onerror = ({ message }) => resolve({ broken: `the worker failed: ${message}` });
    worker.postMessage(options);
  });

globalThis.runInServiceWorker = async (options) => {
  try {
    const registration = await navigator.serviceWorker.register("/hosts/serviceWorker.js", { type: "module" });
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    if (worker.state !== "activated") await activation(worker);
    return await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => resolve(data);
      worker.postMessage(options, [port2]);
    });
  } catch (error) {
    return { broken: String(error) };
  }
};

function activation(worker) {
  return new Promise((resolve, reject) => {
    worker.onstatechange = () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error("the service worker was not installed"));
    };
  });
}

document.title = "ready";

// Without a driver, the server says what to run: runtimes/firefox.mjs.
while (location.search === "?asks") {
  const { name, run } = await (await fetch("/next")).json();
  const result = await globalThis[name](run);
  await fetch("/answer", { method: "POST", body: JSON.stringify(result) });
}
