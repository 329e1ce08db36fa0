// Provides threads under Node, Deno and Bun, from worker_threads.
import { MessageChannel, Worker, type WorkerOptions } from "node:worker_threads";
import { viewControl, WATCHED } from "../engine/control.js";
import { provideThreads, type ThreadData } from "../engine/threads.js";
import { kernelFile } from "./nodeKernels.js";

// The bundle has the worker's program in it; the source (tests, benchmarks) takes the file that was built.
declare const STEEPEST_WORKER: string | undefined;

function startProgram(options: WorkerOptions): Worker {
  const all = { ...options, execArgv: [] };
  return typeof STEEPEST_WORKER === "undefined"
    ? new Worker(kernelFile("worker.cjs"), all)
    : new Worker(STEEPEST_WORKER, { ...all, eval: true });
}

// Bun and Deno do not say that a port's other end is gone.
const watches = !("bun" in process.versions || "deno" in process.versions);
/** One worker for all engines: it hears of the others' end while this thread waits for them and hears nothing. */
let watcher: Worker | undefined;
/** The control blocks of what it watches. */
const watched = new Set<Int32Array>();

/** Has a worker watched: the port to give to it, which closes with it. */
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
      // Those who wait for a thread must give up by themselves again.
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
    // After the listeners, which keep the process alive.
    worker.unref();
    return {
      send(request, transfer) {
        // Whoever awaits the answer must not find the process gone.
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
