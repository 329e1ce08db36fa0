// Provides threads under Node, from worker_threads.
import { Worker } from "node:worker_threads";
import { provideThreads } from "../engine/threads.js";
import { kernelFile } from "./nodeKernels.js";

provideThreads({
  mayWait: true,
  start(data, failed, answered) {
    const worker = new Worker(kernelFile("worker.js"), { workerData: data, execArgv: [] });
    worker.once("error", (error) => failed(`failed: ${error.message}`));
    worker.once("exit", (code) => failed(`ended with code ${code}`));
    worker.on("message", (answer) => {
      worker.unref();
      answered(answer);
    });
    // After the listeners, which keep the process alive.
    worker.unref();
    return {
      send(request) {
        // Whoever awaits the answer must not find the process gone.
        worker.ref();
        worker.postMessage(request);
      },
      // The others end by themselves; the leader would wait for requests for ever.
      close() {
        if (data.thread === 0) worker.terminate();
      },
    };
  },
});
