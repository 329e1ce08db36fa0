// Memory that is taken piece by piece, and given back together: at the end, or when an error leaves it half taken.
import { ALIGNMENT } from "./allocator.js";
import type { Engine } from "./engine.js";
import type { Pointer } from "./instructions.js";

export interface Lease {
  /** What was taken, in whole cache lines. */
  readonly bytes: number;
  /** Address of so many bytes, whose contents are undefined. */
  take(bytes: number): Pointer;
  /** The same, of zeros. */
  takeZeros(bytes: number): Pointer;
  /** Has this called as well when all is given back. */
  defer(release: () => void): void;
  /** Gives back what was taken. */
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

/** What `make` returns; what it has taken is given back if it throws. */
export function leasing<T>(engine: Engine, make: (lease: Lease) => T): T {
  const lease = createLease(engine);
  try {
    return make(lease);
  } catch (error) {
    lease.release();
    throw error;
  }
}
