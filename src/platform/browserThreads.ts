// Provides threads in browsers, from web workers.
import { provideThreads, type RunAnswer } from "../engine/threads.js";

declare const DedicatedWorkerGlobalScope: (new () => object) | undefined;

// Pages, and service workers too, must not wait for other threads; a worker of one's own may.
const mayWait = typeof DedicatedWorkerGlobalScope !== "undefined" && globalThis instanceof DedicatedWorkerGlobalScope;

provideThreads({
  mayWait,
  canShare: globalThis.crossOriginIsolated === true && typeof Worker !== "undefined",
  start(data, failed, answered) {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "steepest" });
    worker.onerror = (event) => {
      event.preventDefault();
      failed(`failed: ${event.message ?? "its script could not be loaded"}`);
    };
    worker.onmessageerror = () => failed("could not be given the engine's memory");
    worker.onmessage = ({ data: answer }: MessageEvent<RunAnswer>) => answered(answer);
    worker.postMessage(data);
    return {
      send: (request) => worker.postMessage(request),
      // The others end by themselves; the leader would wait for requests for ever.
      close() {
        if (data.thread === 0) worker.terminate();
      },
    };
  },
});
