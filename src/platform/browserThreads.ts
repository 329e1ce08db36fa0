// Provides threads in browsers, from web workers.
import { viewControl, WATCHED } from "../engine/control.js";
import { provideThreads, type ThreadData, type ThreadHost, type WorkerPort } from "../engine/threads.js";
import { createWatcher, hasLocks, lockName, whenReleased } from "./watch.js";

declare const DedicatedWorkerGlobalScope: (new () => object) | undefined;
/** The worker's program, which the build writes into the bundle. */
declare const STEEPEST_WORKER: string;

// Pages and service workers must not wait for other threads. Dedicated workers may.
const mayWait = typeof DedicatedWorkerGlobalScope !== "undefined" && globalThis instanceof DedicatedWorkerGlobalScope;

/** Starts the worker from its file, which every content security policy allows. */
const fromFile = (): Worker =>
  new Worker(new URL("./steepestWorker.js", import.meta.url), { type: "module", name: "steepest" });

/** For bundles without that file. A content security policy must allow it by `worker-src blob:`. */
function fromBundle(): Worker {
  const address = URL.createObjectURL(new Blob([STEEPEST_WORKER], { type: "text/javascript" }));
  return new Worker(address, { name: "steepest" });
}

/** Whether a worker could hold no lock, or the watcher did not start. */
let refused = false;

/** It is told when others end, even while this thread waits for them and receives no events. */
const watcher = createWatcher((ended) => {
  const lost = (): void => {
    refused = true;
    ended();
  };
  const port = platform.start({ watches: true }, lost, () => {});
  return (message) => port.send(message);
});

/** Has `ended` called when the worker that holds the lock `life` ends. Returns what is to be called when its engine closes. */
function attend(life: string, data: object, ended: () => void): () => void {
  const { memory, control, thread = 0 } = data as Partial<ThreadData>;
  const isFollower = memory !== undefined && control !== undefined && thread > 0;
  if (isFollower && mayWait) return watcher.watch({ memory, control, thread, life });
  let closed = false;
  whenReleased(life, () => {
    if (!closed) ended();
  });
  if (isFollower) Atomics.add(viewControl(memory, control).words, WATCHED, 1);
  return () => {
    closed = true;
  };
}

const platform: ThreadHost = {
  mayWait,
  canShare: globalThis.crossOriginIsolated === true,
  get watches() {
    return hasLocks && !refused;
  },
  start(data, failed, answered): WorkerPort {
    const life = hasLocks && !("watches" in data) ? lockName() : undefined;
    let closed = false;
    let forget = (): void => {};
    let ready = false;
    let current: Worker;
    // Requests from before the worker is ready: a second worker may have to take the first one's place.
    const waiting: [request: object, transfer: ArrayBuffer[]][] = [];
    const begin = (worker: Worker, lost: (reason: string) => void): Worker => {
      worker.onerror = (event) => {
        event.preventDefault();
        const reason = `failed: ${event.message ?? "its script could not be loaded"}`;
        if (ready) failed(reason);
        else lost(reason);
      };
      worker.onmessageerror = () => failed("could not be given the engine's memory");
      worker.onmessage = ({ data: message }: MessageEvent<unknown>) => {
        if (ready) return answered(message);
        if (message !== "up" && message !== "held") {
          // There is another program's file in its place.
          worker.terminate();
          return lost("failed: its file is another program's");
        }
        ready = true;
        if (life !== undefined && message === "up") refused = true;
        else if (life !== undefined && !closed) forget = attend(life, data, () => failed("has ended"));
        for (const [request, transfer] of waiting.splice(0)) worker.postMessage(request, transfer);
      };
      worker.postMessage(life === undefined ? data : { ...data, life });
      return worker;
    };
    const second = (reason: string): Worker => begin(fromBundle(), () => failed(reason));
    try {
      current = begin(fromFile(), (reason) => {
        current = second(reason);
      });
    } catch (error) {
      // A frame without an origin, such as a sandboxed one, may load the file as a script but not as a worker.
      current = second(`failed: ${(error as Error).message}`);
    }
    return {
      send(request, transfer = []) {
        if (ready) current.postMessage(request, transfer);
        else waiting.push([request, transfer]);
      },
      close() {
        closed = true;
        forget();
        current.terminate();
      },
    };
  },
};

// Service workers, for example, cannot start workers.
if (typeof Worker !== "undefined") provideThreads(platform);
