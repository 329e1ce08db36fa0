// What a worker thread runs under Node.
import { workerData } from "node:worker_threads";
import { serveThread } from "../engine/threads.js";

serveThread(workerData);
