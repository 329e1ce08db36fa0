// Workers of which nothing is heard: a warning says so after a second, and one that was only slow is taken all the same.
import { createEngine, ThreadError } from "steepest";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { READY, viewControl } from "../../src/engine/control.js";
import { provideThreads, type ThreadData, type ThreadHost } from "../../src/engine/threads.js";
import { withoutSharing } from "./sharing.js";

const warn = vi.spyOn(console, "warn");
beforeEach(() => void warn.mockReset());
afterEach(() => expect(warn).toHaveBeenCalledTimes(1));

/** Workers that never run, and the host's sides of them. */
function silence(more: Partial<ThreadHost> = {}) {
  const started: { data: object; failed(reason: string): void; answered(answer: unknown): void }[] = [];
  provideThreads({
    mayWait: true,
    ...more,
    start(data, failed, answered) {
      started.push({ data, failed, answered });
      return { send: () => {}, close: () => {} };
    },
  });
  return started;
}

test("threads that are slow are taken when they come", async () => {
  const workers = silence();
  // Only now they start.
  warn.mockImplementation(() => {
    for (const { data } of workers) {
      const { memory, control } = data as ThreadData;
      Atomics.add(viewControl(memory, control).words, READY, 1);
    }
  });
  const engine = await createEngine({ threads: 3, background: false });
  expect(engine.threads).toBe(3);
  expect(warn.mock.calls[0]).toEqual([
    "steepest: threads: 2 workers have not started within 1 s: if this machine is not busy, nothing may come; it is an error after 20 s",
  ]);
  engine.dispose();
});

test("one that fails after the warning is an error with its reason, at once", async () => {
  const workers = silence();
  warn.mockImplementation(() => workers[0]?.failed("ended with code 3"));
  await expect(createEngine({ threads: 2, background: true })).rejects.toThrow(
    new ThreadError("threads: thread 0 ended with code 3: use fewer threads"),
  );
  expect(warn.mock.calls[0]?.[0]).toContain("2 workers have not started");
});

test("a worker with a copy of the memory too", async () => {
  const workers = silence({ canShare: false });
  warn.mockImplementation(() => {
    for (const { answered } of workers) answered({ done: 0, transferBuffer: new ArrayBuffer(8) });
  });
  const engine = await withoutSharing(() => createEngine({ background: true }));
  expect([engine.background, engine.shared]).toEqual([true, false]);
  expect(warn.mock.calls[0]?.[0]).toContain("a worker has not started within 1 s");
  engine.dispose();
});
