// Provides threads under Node, Deno and Bun, from worker_threads.
import { Worker } from "node:worker_threads";
import { provideThreads } from "../engine/threads.js";
import { kernelFile } from "./nodeKernels.js";

// The bundle has the worker's program in it; the source (tests, benchmarks) takes the file that was built.
declare const STEEPEST_WORKER: string | undefined;

provideThreads({
  mayWait: true,
  start(data, stays, failed, answered) {
    const options = { workerData: data, execArgv: [] };
    const worker =
      typeof STEEPEST_WORKER === "undefined"
        ? new Worker(kernelFile("worker.cjs"), options)
        : new Worker(STEEPEST_WORKER, { ...options, eval: true });
    worker.once("error", (error) => failed(`failed: ${error.message}`));
    worker.once("exit", (code) => failed(`ended with code ${code}`));
    worker.on("message", (answer) => {
      worker.unref();
      answered(answer);
    });
    // After the listeners, which keep the process alive.
    worker.unref();
    return {
      send(request, transfer) {
        // Whoever awaits the answer must not find the process gone.
        worker.ref();
        worker.postMessage(request, transfer);
      },
      close() {
        if (stays) worker.terminate();
      },
    };
  },
});
