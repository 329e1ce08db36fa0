// Provides threads under Node, from worker_threads.
import { Worker } from "node:worker_threads";
import { provideThreads } from "../engine/threads.js";
import { kernelFile } from "./nodeKernels.js";

provideThreads({
  start(data, failed) {
    const worker = new Worker(kernelFile("worker.js"), { workerData: data, execArgv: [] });
    worker.unref();
    worker.once("error", (error) => failed(`failed: ${error.message}`));
    worker.once("exit", (code) => failed(`ended with code ${code}`));
  },
});
