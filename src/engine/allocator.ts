// Allocates regions of linear memory: first fit; neighbours are merged when freed; address 0 is never given out.
//
//   0        base                                                     end of memory
//   │ module │ region │ free │ region │ region │ free …               │ (grows on demand)
import { MemoryError } from "./errors.js";
import type { Region } from "./ranges.js";

export const ALIGNMENT = 64;

/**
 * Says what a block holds, for a worker that has a copy of the memory. `transient`: no run needs what an earlier one has
 * left there, so it need not be copied. `addresses`: words that are the addresses of other blocks; an instruction that
 * reads this block reads those too.
 */
export type Mark = "transient" | "addresses";

export interface Block extends Region {
  readonly mark: Mark | undefined;
}

export interface Allocator {
  /** Returns the address of `bytes` bytes with undefined contents, aligned to 64. Throws MemoryError beyond `limit`. */
  allocate(bytes: number): number;
  free(address: number): void;
  /** Marks an allocated block. Returns its address. */
  mark(mark: Mark, address: number): number;
  /** All allocated blocks, with the number of bytes that was asked for, in order of their addresses. */
  blocks(): Block[];
  /** Bytes in use now. */
  usedBytes(): number;
  /** The end of the memory that has ever been in use. */
  peakAddress(): number;
}

interface Hole {
  address: number;
  bytes: number;
}

/** Merges neighbours; the result is in order of the addresses. */
function mergeHoles(holes: Hole[]): Hole[] {
  const merged: Hole[] = [];
  for (const hole of holes.sort((a, b) => a.address - b.address)) {
    const last = merged.at(-1);
    if (last !== undefined && last.address + last.bytes === hole.address) last.bytes += hole.bytes;
    else merged.push(hole);
  }
  return merged;
}

/** `ensure` makes the memory reach to an address; `freed` is told of each region that is freed. */
export function createAllocator(
  base: number,
  limit: number,
  ensure: (end: number) => void,
  freed: (region: Region) => void = () => {},
): Allocator {
  /** The bytes that were asked for, by address. */
  const lengths = new Map<number, number>();
  const marks = new Map<number, Mark>();
  let holes: Hole[] = [];
  let top = Math.ceil(base / ALIGNMENT) * ALIGNMENT;
  let peak = top;

  function place(asked: number): number {
    const bytes = alignUp(asked);
    const hole = holes.find((region) => region.bytes >= bytes);
    if (hole !== undefined) {
      const { address } = hole;
      hole.address += bytes;
      hole.bytes -= bytes;
      holes = holes.filter((region) => region.bytes > 0);
      return address;
    }
    const address = top;
    if (address + bytes > limit) {
      throw new MemoryError(
        `memory: ${asked} bytes more are needed beside the ${address} in use, and WebAssembly can address ${limit}: use a smaller model, batch or data set`,
      );
    }
    ensure(address + bytes);
    top = address + bytes;
    peak = Math.max(peak, top);
    return address;
  }

  return {
    allocate(bytes) {
      const address = place(bytes);
      lengths.set(address, bytes);
      return address;
    },
    free(address) {
      const length = lengths.get(address);
      if (length === undefined) throw new MemoryError(`memory: ${address} was not allocated, or was freed before`);
      lengths.delete(address);
      marks.delete(address);
      const bytes = alignUp(length);
      freed({ address, bytes });
      holes = mergeHoles([...holes, { address, bytes }]);
      const last = holes.at(-1);
      if (last !== undefined && last.address + last.bytes === top) {
        top = last.address;
        holes.pop();
      }
    },
    mark(mark, address) {
      marks.set(address, mark);
      return address;
    },
    blocks: () =>
      [...lengths]
        .map(([address, bytes]) => ({ address, bytes, mark: marks.get(address) }))
        .sort((a, b) => a.address - b.address),
    usedBytes: () => [...lengths.values()].reduce((sum, bytes) => sum + alignUp(bytes), 0),
    peakAddress: () => peak,
  };
}

/** The bytes that a block of this length takes up. */
function alignUp(bytes: number): number {
  return Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
}
