// An engine's linear memory, and the views through which TypeScript reads and writes it.
import { MemoryError } from "./errors.js";
import { type KernelMemory, MAX_PAGES, PAGE_BYTES } from "./interpreter.js";
import { kernelsShareMemory } from "./module.js";
import { canShare, hasWorkers } from "./threads.js";

export interface LinearMemory {
  readonly memory: KernelMemory;
  readonly shared: boolean;
  readonly maxPages: number;
}

/** Views of the whole memory. An index is an address divided by the bytes of an element. */
export interface Heap {
  readonly floats: Float32Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
}

/** Shared memory if threads can use it, else plain memory. Some runtimes reserve the maximum, so it is halved until it fits. */
export function createMemory(): LinearMemory {
  // A page that is not isolated may still have SharedArrayBuffer (an extension's page does), but no worker can be given it.
  const useless = hasWorkers() && !canShare();
  const shares = typeof SharedArrayBuffer !== "undefined" && kernelsShareMemory() && !useless;
  const kinds = shares ? [true, false] : [false];
  for (const shared of kinds) {
    for (let maxPages = MAX_PAGES; maxPages >= 256; maxPages /= 2) {
      try {
        return { memory: new WebAssembly.Memory({ initial: 1, maximum: maxPages, shared }), shared, maxPages };
      } catch {
        // Try the next smaller maximum.
      }
    }
  }
  throw new MemoryError("engine: the runtime refuses even 16 MiB of WebAssembly memory");
}

export function viewMemory({ buffer }: KernelMemory): Heap {
  return {
    floats: new Float32Array(buffer),
    words: new Uint32Array(buffer),
    doubles: new Float64Array(buffer),
    bytes: new Uint8Array(buffer),
  };
}

/** Makes the memory reach to the address `end`. Returns whether it grew, which leaves older views detached or short. */
export function growMemory(memory: KernelMemory, end: number): boolean {
  const missing = Math.ceil((end - memory.buffer.byteLength) / PAGE_BYTES);
  if (missing <= 0) return false;
  try {
    memory.grow(missing);
  } catch {
    throw new MemoryError(
      `memory: the runtime refuses to grow to ${end} bytes: use a smaller model, batch or data set`,
    );
  }
  return true;
}
