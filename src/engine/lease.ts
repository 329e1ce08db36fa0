// Memory that is allocated piece by piece and freed together: at the end, or when an error occurs before all is allocated.
import { ALIGNMENT } from "./allocator.js";
import type { Engine } from "./engine.js";
import type { Pointer } from "./instructions.js";

export interface Lease {
  /** How much was allocated, in whole cache lines. */
  readonly bytes: number;
  /** Returns the address of `bytes` bytes with undefined contents. */
  take(bytes: number): Pointer;
  /** The same, filled with zeros. */
  takeZeros(bytes: number): Pointer;
  /** Registers a function that `release` calls too. */
  defer(release: () => void): void;
  /** Frees everything. */
  release(): void;
}

export function createLease(engine: Engine): Lease {
  const { allocator } = engine;
  const releases: (() => void)[] = [];
  let total = 0;
  const add = (address: Pointer, bytes: number): Pointer => {
    releases.push(() => allocator.free(address));
    total += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return address;
  };
  return {
    get bytes() {
      return total;
    },
    take: (bytes) => add(allocator.allocate(bytes), bytes),
    takeZeros: (bytes) => add(engine.allocateZeros(bytes), bytes),
    defer: (release) => void releases.push(release),
    release() {
      for (const release of releases.splice(0)) release();
    },
  };
}

/** Returns what `make` returns. If it throws, what it has allocated is freed. */
export function leasing<T>(engine: Engine, make: (lease: Lease) => T): T {
  const lease = createLease(engine);
  try {
    return make(lease);
  } catch (error) {
    lease.release();
    throw error;
  }
}
