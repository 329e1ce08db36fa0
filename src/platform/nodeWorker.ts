// What a worker thread runs under Node.
import { parentPort, workerData } from "node:worker_threads";
import { serveThread } from "../engine/threads.js";

const serve = serveThread(workerData, (answer) => parentPort?.postMessage(answer));
if (workerData.thread === 0) parentPort?.on("message", serve);
