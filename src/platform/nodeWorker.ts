// The program of a worker thread under Node.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { markLost, STOP, viewControl, WATCHED } from "../engine/control.js";
import type { ThreadData } from "../engine/threads.js";
import { serve, staysFor } from "../engine/worker.js";

/** A worker to watch. The other end of `life` is the worker's, so that it closes when the worker ends, for whatever reason. */
type Watched = Pick<ThreadData, "memory" | "control" | "thread"> & { readonly life: MessagePort };

if ("watches" in workerData) {
  parentPort?.on("message", ({ life, memory, control, thread }: Watched) => {
    const shared = viewControl(memory, control);
    life.once("close", () => {
      if (Atomics.load(shared.words, STOP) === 0) markLost(shared, thread, `thread ${thread} has ended`);
    });
    Atomics.add(shared.words, WATCHED, 1);
  });
} else {
  const answerTo = serve(workerData, (answer, transfer) => parentPort?.postMessage(answer, transfer));
  if (staysFor(workerData)) parentPort?.on("message", answerTo);
}
