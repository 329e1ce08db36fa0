// A worker's program in either role: a thread over the shared memory, or the holder of a copy.
import { serveReplica } from "./replicaWorker.js";
import type { ReplicaData } from "./rounds.js";
import { serveThread, type ThreadData } from "./threads.js";

/** Whether the worker must stay for requests after `serve` has returned. For the other workers, `serve` returns at the end. */
export function staysFor(data: ThreadData | ReplicaData): boolean {
  return "replica" in data || data.thread === 0;
}

/** Begins the worker's work. Returns what is to be called with each request. */
export function serve(
  data: ThreadData | ReplicaData,
  answer: (answer: unknown, transfer?: ArrayBuffer[]) => void,
): (request: unknown) => void {
  if ("replica" in data) return serveReplica(data, answer) as (request: unknown) => void;
  return serveThread(data, answer) as (request: unknown) => void;
}
