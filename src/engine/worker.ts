// A worker's program, whatever part it is given: a thread over the shared memory, or a copy of a memory that is not.
import { serveReplica } from "./replicaWorker.js";
import type { ReplicaData } from "./rounds.js";
import { serveThread, type ThreadData } from "./threads.js";

/** Whether the worker stays for requests; the others come back when the engine has been disposed of. */
export function staysFor(data: ThreadData | ReplicaData): boolean {
  return "replica" in data || data.thread === 0;
}

/** Takes the part on. What this returns is to be called with each request. */
export function serve(
  data: ThreadData | ReplicaData,
  answer: (answer: unknown, transfer?: ArrayBuffer[]) => void,
): (request: unknown) => void {
  if ("replica" in data) return serveReplica(data, answer) as (request: unknown) => void;
  return serveThread(data, answer) as (request: unknown) => void;
}
