// Provides threads under Node, Deno and Bun, from worker_threads.
import { MessageChannel, Worker, type WorkerOptions } from "node:worker_threads";
import { viewControl, WATCHED } from "../engine/control.js";
import { provideThreads, type ThreadData } from "../engine/threads.js";
import { kernelFile } from "./nodeKernels.js";

// The bundle contains the worker's program. The source (in tests and benchmarks) uses the file that was built.
declare const STEEPEST_WORKER: string | undefined;

function startProgram(options: WorkerOptions): Worker {
  const all = { ...options, execArgv: [] };
  return typeof STEEPEST_WORKER === "undefined"
    ? new Worker(kernelFile("worker.cjs"), all)
    : new Worker(STEEPEST_WORKER, { ...all, eval: true });
}

// Bun and Deno do not report that a port's other end is gone.
const watches = !("bun" in process.versions || "deno" in process.versions);
/** One worker for all engines. It is told when others end, even while this thread waits for them and receives no events. */
let watcher: Worker | undefined;
/** The control blocks of the workers that it watches. */
const watched = new Set<Int32Array>();

/** Makes the watcher watch a worker, which must be given the other port of `life`: the ports close when it ends. */
function watch(
  { memory, control, thread }: ThreadData,
  { words, life }: { words: Int32Array; life: MessageChannel },
): void {
  if (watcher === undefined) {
    const started = startProgram({ workerData: { watches: true } });
    watcher = started;
    const ended = (): void => {
      if (watcher !== started) return;
      watcher = undefined;
      // Threads that wait for others must notice a loss by themselves again.
      for (const words of watched) Atomics.store(words, WATCHED, 0);
      watched.clear();
    };
    started.once("error", ended);
    started.once("exit", ended);
    started.unref();
  }
  watched.add(words);
  watcher.postMessage({ life: life.port2, memory, control, thread }, [life.port2]);
}

provideThreads({
  mayWait: true,
  watches,
  start(data, failed, answered) {
    const thread = "thread" in data && (data as ThreadData).thread > 0 && watches ? (data as ThreadData) : undefined;
    const life = thread && new MessageChannel();
    const words = thread && viewControl(thread.memory, thread.control).words;
    const worker = startProgram(
      life === undefined
        ? { workerData: data }
        : { workerData: { ...data, life: life.port1 }, transferList: [life.port1] },
    );
    if (thread && life && words) watch(thread, { words, life });
    worker.once("error", (error) => failed(`failed: ${error.message}`));
    worker.once("exit", (code) => failed(`ended with code ${code}`));
    worker.on("message", (answer) => {
      worker.unref();
      answered(answer);
    });
    // Last, as adding listeners keeps the process alive.
    worker.unref();
    return {
      send(request, transfer) {
        // The process must not end before the answer has come.
        worker.ref();
        worker.postMessage(request, transfer);
      },
      close() {
        if (words) watched.delete(words);
        worker.terminate();
      },
    };
  },
});
