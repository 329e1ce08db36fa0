// Provides threads in browsers, from web workers.
import { provideThreads, type ThreadHost, type WorkerPort } from "../engine/threads.js";

declare const DedicatedWorkerGlobalScope: (new () => object) | undefined;
/** The worker's program, which the build lays into the bundle. */
declare const STEEPEST_WORKER: string;

// Pages, and service workers too, must not wait for other threads; a worker of one's own may.
const mayWait = typeof DedicatedWorkerGlobalScope !== "undefined" && globalThis instanceof DedicatedWorkerGlobalScope;

/** The worker's file, as every content security policy allows it. */
const fromFile = (): Worker =>
  new Worker(new URL("./steepestWorker.js", import.meta.url), { type: "module", name: "steepest" });

/** For bundles that did not take the file along; `worker-src blob:` must allow it where there is a policy. */
function fromBundle(): Worker {
  const address = URL.createObjectURL(new Blob([STEEPEST_WORKER], { type: "text/javascript" }));
  return new Worker(address, { name: "steepest" });
}

const platform: ThreadHost = {
  mayWait,
  canShare: globalThis.crossOriginIsolated === true,
  start(data, failed, answered): WorkerPort {
    let up = false;
    let current: Worker;
    // What is sent before the worker is up: a second one may have to take the first one's place.
    const early: [request: object, transfer: ArrayBuffer[]][] = [];
    const begin = (worker: Worker, lost: (reason: string) => void): Worker => {
      worker.onerror = (event) => {
        event.preventDefault();
        const reason = `failed: ${event.message ?? "its script could not be loaded"}`;
        if (up) failed(reason);
        else lost(reason);
      };
      worker.onmessageerror = () => failed("could not be given the engine's memory");
      worker.onmessage = ({ data: message }: MessageEvent<unknown>) => {
        if (up) return answered(message);
        if (message !== "up") {
          // Another program's file lies there.
          worker.terminate();
          return lost("failed: its file is another program's");
        }
        up = true;
        for (const [request, transfer] of early.splice(0)) worker.postMessage(request, transfer);
      };
      worker.postMessage(data);
      return worker;
    };
    const second = (reason: string): Worker => begin(fromBundle(), () => failed(reason));
    try {
      current = begin(fromFile(), (reason) => {
        current = second(reason);
      });
    } catch (error) {
      // A frame of no origin, as a sandboxed one, may load the file as a script but not as a worker.
      current = second(`failed: ${(error as Error).message}`);
    }
    return {
      send(request, transfer = []) {
        if (up) current.postMessage(request, transfer);
        else early.push([request, transfer]);
      },
      close() {
        current.terminate();
      },
    };
  },
};

// A service worker, for one, has none.
if (typeof Worker !== "undefined") provideThreads(platform);
