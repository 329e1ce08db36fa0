// The program of a worker thread under Node.
import { parentPort, workerData } from "node:worker_threads";
import { startTimer } from "../engine/host.js";
import { serve, staysFor } from "../engine/worker.js";
import { holding, watch } from "./watch.js";

function begin(): void {
  const answerTo = serve(workerData, (answer, transfer) => parentPort?.postMessage(answer, transfer));
  if (staysFor(workerData)) parentPort?.on("message", answerTo);
}

if ("watches" in workerData) parentPort?.on("message", watch);
else if (typeof workerData.life !== "string") begin();
else {
  holding(workerData.life, (held) => {
    parentPort?.postMessage(held);
    // Deno writes to the console if a worker is ended while it is in a lock's callback.
    startTimer(begin, 0);
  });
}
