// What a worker thread runs under Node.
import { parentPort, workerData } from "node:worker_threads";
import { serve, staysFor } from "../engine/worker.js";

const answerTo = serve(workerData, (answer, transfer) => parentPort?.postMessage(answer, transfer));
if (staysFor(workerData)) parentPort?.on("message", answerTo);
