// A worker's lock while it lives, and who is told when it is released. (With real locks and workers: test/everywhere/suite/lost.js.)
import { beforeEach, expect, test, vi } from "vitest";
import { CONTROL_BYTES } from "../../src/engine/constants.js";
import { isGone, reasonOf, STOP, viewControl, WATCHED } from "../../src/engine/control.js";

type Granted = () => unknown;

/** Locks as a runtime has them: each is given to who asks first, then to the next when it is released. */
class Locks {
  readonly queues = new Map<string, Granted[]>();
  /** Whether requests are refused, as in a sandboxed frame. */
  refuses = false;

  request(name: string, granted: Granted): Promise<unknown> {
    if (this.refuses) return Promise.reject(new Error("SecurityError"));
    const queue = this.queues.get(name) ?? [];
    this.queues.set(name, queue);
    queue.push(granted);
    return queue.length === 1 ? Promise.resolve().then(granted) : new Promise(() => {});
  }

  /** The thread that holds it ends. */
  release(name: string): void {
    this.queues.get(name)?.shift();
    this.queues.get(name)?.[0]?.();
  }
}

let locks: Locks;
let watching: typeof import("../../src/platform/watch.js");

beforeEach(async () => {
  locks = new Locks();
  vi.stubGlobal("navigator", { locks });
  vi.resetModules();
  watching = await import("../../src/platform/watch.js");
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

function team() {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const worker = { memory: memory as unknown as { buffer: ArrayBuffer; grow(pages: number): number }, control: 1024 };
  expect(1024 + CONTROL_BYTES).toBeLessThan(memory.buffer.byteLength);
  return { ...worker, shared: viewControl(worker.memory, worker.control) };
}

test("a worker begins once it holds its lock", async () => {
  const work = vi.fn();
  watching.holding("a", work);
  expect(work).not.toHaveBeenCalled();
  await settled();
  expect(work.mock.calls).toEqual([[true]]);
});

test("a worker that may hold none begins all the same, once, and says so", async () => {
  const work = vi.fn();
  locks.refuses = true;
  watching.holding("a", work);
  await settled();
  watching.holding(undefined, work);
  expect(work.mock.calls).toEqual([[false], [false]]);
});

test("names of locks are not used twice", () => {
  expect(new Set(Array.from({ length: 100 }, watching.lockName)).size).toBe(100);
});

test("a worker whose lock is released is marked as lost, unless its engine has closed", async () => {
  for (const closed of [false, true]) {
    const { memory, control, shared } = team();
    watching.holding("a", () => {});
    await settled();
    watching.watch({ memory, control, thread: 2, life: "a" });
    expect([shared.words[WATCHED], isGone(shared, 2)]).toEqual([1, false]);
    if (closed) Atomics.store(shared.words, STOP, 1);
    locks.release("a");
    expect(isGone(shared, 2)).toBe(!closed);
    expect(reasonOf(shared)).toBe(closed ? undefined : "thread 2 has ended");
    locks.queues.clear();
  }
});

test("one watcher for all; when it ends, nobody counts as watched, and the next worker has another", () => {
  const ends: (() => void)[] = [];
  const posted: object[][] = [];
  const watcher = watching.createWatcher((ended) => {
    ends.push(ended);
    const messages: object[] = [];
    posted.push(messages);
    return (message) => messages.push(message);
  });
  const [first, second, closed] = [team(), team(), team()];
  for (const { memory, control, shared } of [first, second, closed]) {
    const forget = watcher.watch({ memory, control, thread: 1, life: "a" });
    Atomics.store(shared.words, WATCHED, 1);
    if (shared === closed.shared) forget();
  }
  expect(posted.map(({ length }) => length)).toEqual([3]);
  ends[0]();
  expect([first, second, closed].map(({ shared }) => shared.words[WATCHED])).toEqual([0, 0, 1]);
  watcher.watch({ memory: first.memory, control: first.control, thread: 1, life: "b" });
  expect(posted.map(({ length }) => length)).toEqual([3, 1]);
  // The first one's end, told twice, is not the second one's.
  Atomics.store(first.shared.words, WATCHED, 1);
  ends[0]();
  expect(first.shared.words[WATCHED]).toBe(1);
});
