// Provides threads in browsers, from web workers.
import { provideThreads, type ThreadHost, type WorkerPort } from "../engine/threads.js";

declare const DedicatedWorkerGlobalScope: (new () => object) | undefined;
/** The worker's program, which the build lays into the bundle. */
declare const STEEPEST_WORKER: string;

// Pages, and service workers too, must not wait for other threads; a worker of one's own may.
const mayWait = typeof DedicatedWorkerGlobalScope !== "undefined" && globalThis instanceof DedicatedWorkerGlobalScope;

/** The worker's file, as every content security policy allows it. */
const fromFile = (): Worker =>
  new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "steepest" });

/** For bundles that did not take the file along; `worker-src blob:` must allow it where there is a policy. */
function fromBundle(): Worker {
  const address = URL.createObjectURL(new Blob([STEEPEST_WORKER], { type: "text/javascript" }));
  return new Worker(address, { name: "steepest" });
}

const platform: ThreadHost = {
  mayWait,
  canShare: globalThis.crossOriginIsolated === true,
  start(data, stays, failed, answered): WorkerPort {
    let up = false;
    let current: Worker;
    const begin = (worker: Worker, lost: (reason: string) => void): Worker => {
      worker.onerror = (event) => {
        event.preventDefault();
        const reason = `failed: ${event.message ?? "its script could not be loaded"}`;
        if (up) failed(reason);
        else lost(reason);
      };
      worker.onmessageerror = () => failed("could not be given the engine's memory");
      worker.onmessage = ({ data: message }: MessageEvent<unknown>) => {
        if (message === "up") up = true;
        else answered(message);
      };
      worker.postMessage(data);
      return worker;
    };
    current = begin(fromFile(), (reason) => {
      current = begin(fromBundle(), () => failed(reason));
    });
    return {
      send: (request, transfer = []) => current.postMessage(request, transfer),
      close() {
        if (stays) current.terminate();
      },
    };
  },
};

// A service worker, for one, has none.
if (typeof Worker !== "undefined") provideThreads(platform);
