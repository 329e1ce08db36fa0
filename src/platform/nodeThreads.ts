// Provides threads under Node, Deno and Bun, from worker_threads.
import { MessageChannel, type MessagePort, Worker, type WorkerOptions } from "node:worker_threads";
import { provideThreads, type ThreadData } from "../engine/threads.js";
import { kernelFile } from "./nodeKernels.js";
import { createWatcher, hasLocks, lockName, whenReleased } from "./watch.js";

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

provideThreads({
  mayWait: true,
  get watches() {
    return sign !== undefined && !refused;
  },
  start(data, failed, answered) {
    const shared = "thread" in data ? (data as ThreadData) : undefined;
    const follower = shared !== undefined && shared.thread > 0 ? shared : undefined;
    const channel = follower && sign === "port" ? new MessageChannel() : undefined;
    const lock = shared && sign === "lock" ? lockName() : undefined;
    const life = channel?.port1 ?? lock;
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
    let held = false;
    worker.once("error", (error) => failed(`failed: ${error.message}`));
    worker.once("exit", (code) => {
      const ended = (): void => failed(`ended with code ${code}`);
      // Deno says so while the worker may still be writing to the memory: not before the lock is released.
      if (held && lock !== undefined) whenReleased(lock, ended);
      else ended();
    });
    worker.on("message", (answer) => {
      worker.unref();
      if (lock === undefined || typeof answer !== "boolean") return answered(answer);
      // Its first message: whether it holds the lock.
      held = answer;
      if (!held) refused = true;
      else if (!closed) watchBy(lock, []);
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
