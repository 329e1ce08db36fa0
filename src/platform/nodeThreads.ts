// Provides threads under Node, Deno and Bun, from worker_threads.
import { MessageChannel, type MessagePort, Worker, type WorkerOptions } from "node:worker_threads";
import { provideThreads, type ThreadData } from "../engine/threads.js";
import { kernelFile } from "./nodeKernels.js";
import { createWatcher, hasLocks, lockName } from "./watch.js";

// The bundle contains the worker's program. The source (in tests and benchmarks) uses the file that was built.
declare const STEEPEST_WORKER: string | undefined;

function startProgram(options: WorkerOptions): Worker {
  const all = { ...options, execArgv: [] };
  return typeof STEEPEST_WORKER === "undefined"
    ? new Worker(kernelFile("worker.cjs"), all)
    : new Worker(STEEPEST_WORKER, { ...all, eval: true });
}

/**
 * What shows that a worker has ended: the port whose other end it has, or the lock that it holds. Deno does not report that a
 * port's other end is gone, nor did Bun before 1.4, which has no locks.
 */
function lifeSign(): "port" | "lock" | undefined {
  if ("deno" in process.versions) return hasLocks ? "lock" : undefined;
  const [major = 0, minor = 0] = (process.versions.bun ?? "2.0").split(".").map(Number);
  return major > 1 || minor >= 4 ? "port" : undefined;
}

const sign = lifeSign();
/** Whether a worker could not hold its lock. */
let refused = false;

/** It is told when others end, even while this thread waits for them and receives no events. */
const watcher = createWatcher((ended) => {
  const worker = startProgram({ workerData: { watches: true } });
  worker.once("error", ended);
  worker.once("exit", ended);
  worker.unref();
  return (message, transfer) => worker.postMessage(message, transfer as MessagePort[]);
});

/** The worker's data as a thread that may be waited for, if it is one. */
function followerOf(data: object): ThreadData | undefined {
  return "thread" in data && (data as ThreadData).thread > 0 ? (data as ThreadData) : undefined;
}

provideThreads({
  mayWait: true,
  get watches() {
    return sign !== undefined && !refused;
  },
  start(data, failed, answered) {
    const follower = followerOf(data);
    const channel = follower && sign === "port" ? new MessageChannel() : undefined;
    const life = channel?.port1 ?? (follower && sign === "lock" ? lockName() : undefined);
    const worker = startProgram({
      workerData: life === undefined ? data : { ...data, life },
      transferList: channel === undefined ? [] : [channel.port1],
    });
    let forget = (): void => {};
    const watchBy = (life: MessagePort | string, transfer: MessagePort[]): void => {
      if (follower === undefined) return;
      const { memory, control, thread } = follower;
      forget = watcher.watch({ memory, control, thread, life }, transfer);
    };
    if (channel !== undefined) watchBy(channel.port2, [channel.port2]);
    let closed = false;
    worker.once("error", (error) => failed(`failed: ${error.message}`));
    worker.once("exit", (code) => failed(`ended with code ${code}`));
    worker.on("message", (answer) => {
      worker.unref();
      if (typeof life !== "string") return answered(answer);
      // Such a worker says whether it holds its lock, and nothing else.
      if (answer !== true) refused = true;
      else if (!closed) watchBy(life, []);
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
        closed = true;
        forget();
        worker.terminate();
      },
    };
  },
});
