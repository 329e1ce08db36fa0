// Calls in the background, and work in a runtime that cannot share memory, as a page that is not cross-origin isolated.
import type { Engine } from "steepest";

export async function withoutSharing<T>(work: () => Promise<T>): Promise<T> {
  const sharing = globalThis.SharedArrayBuffer;
  try {
    (globalThis as { SharedArrayBuffer?: unknown }).SharedArrayBuffer = undefined;
    return await work();
  } finally {
    globalThis.SharedArrayBuffer = sharing;
  }
}

/** Waits until a call runs in the background. */
export async function untilBusy(engine: Engine): Promise<void> {
  while (!engine.busy) await new Promise((resolve) => setImmediate(resolve));
}
