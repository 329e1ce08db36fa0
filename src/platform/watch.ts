// Who is told that a worker has ended, whatever the reason, while the thread that waits for it receives no events. A
// worker holds something while it lives that its runtime takes back when it ends: the other end of a channel, or a lock.
import { markLost, STOP, viewControl, WATCHED } from "../engine/control.js";
import type { ThreadData } from "../engine/threads.js";

/** A port whose other end the worker has, under Node and Bun. */
interface LifePort {
  once(event: "close", listener: () => void): unknown;
}

/** What the watcher is given for each worker. `life` is such a port, or the name of the lock that the worker holds. */
export interface Watched extends Pick<ThreadData, "memory" | "control" | "thread"> {
  readonly life: LifePort | string;
}

// Taken when this is loaded; some runtimes have no such object, and some no locks.
const locks = (globalThis as { navigator?: Partial<Navigator> }).navigator?.locks;

/** Whether threads can hold locks; whether they are let to is known when they have tried. */
export const hasLocks = locks !== undefined;

let named = 0;

/** A name for the lock of a worker, which no other thread of the origin uses. */
export function lockName(): string {
  named += 1;
  return `steepest ${named} ${Math.random()} ${Math.random()}`;
}

/** Begins a worker's work, and holds the lock while the worker lives. `held` is false where it may hold none. */
export function holding(name: string | undefined, work: (held: boolean) => void): void {
  if (locks === undefined || name === undefined) {
    work(false);
    return;
  }
  let begun = false;
  const begin = (held: boolean): void => {
    if (begun) return;
    begun = true;
    work(held);
  };
  const hold = (): Promise<never> => {
    begin(true);
    return new Promise(() => {});
  };
  // Sandboxed frames, which have no origin, have no locks either.
  locks.request(name, hold).catch(() => begin(false));
}

/** Calls `ended` when the worker that holds the lock has ended. */
export function whenReleased(name: string, ended: () => void): void {
  // A thread that ends itself meanwhile needs no answer.
  locks?.request(name, ended).catch(() => {});
}

/** The watcher's part: sees that a worker is marked as lost when it ends, and counts it as watched. */
export function watch({ life, memory, control, thread }: Watched): void {
  const shared = viewControl(memory, control);
  const ended = (): void => {
    if (Atomics.load(shared.words, STOP) === 0) markLost(shared, thread, `thread ${thread} has ended`);
  };
  if (typeof life === "string") whenReleased(life, ended);
  else life.once("close", ended);
  Atomics.add(shared.words, WATCHED, 1);
}

/** A thread's link to its watcher. */
export interface Watcher {
  /** Has a worker watched. Objects in `transfer` go to the watcher. Returns what is to be called when the worker's engine closes. */
  watch(worker: Watched, transfer?: object[]): () => void;
}

/** One watcher for all engines, started with the first worker that is to be watched. `start` returns what posts to it. */
export function createWatcher(start: (ended: () => void) => (message: object, transfer: object[]) => void): Watcher {
  let post: ReturnType<typeof start> | undefined;
  let generation = 0;
  /** The control blocks of the workers that it watches. */
  const watched = new Set<Int32Array>();
  return {
    watch(worker, transfer = []) {
      const current = generation;
      post ??= start(() => {
        if (current !== generation) return;
        generation += 1;
        post = undefined;
        // Threads that wait for others must notice a loss by themselves again.
        for (const words of watched) Atomics.store(words, WATCHED, 0);
        watched.clear();
      });
      const { words } = viewControl(worker.memory, worker.control);
      watched.add(words);
      post(worker, transfer);
      return () => watched.delete(words);
    },
  };
}
