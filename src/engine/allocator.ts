// Hands out regions of linear memory, first fit, neighbours merged when freed. Address 0 is never given.
//
//   0        base                                                     end of memory
//   │ module │ region │ free │ region │ region │ free …               │ (grows on demand)
import { MemoryError } from "./errors.js";
import type { Region } from "./ranges.js";

export const ALIGNMENT = 64;

/**
 * Matters if the background has a copy of the memory. `transient`: no run expects there what an earlier one has left, so
 * what runs write there need not be brought to the other side. `addresses`: words that name other blocks, which whoever
 * reads this one reads too.
 */
export type Mark = "transient" | "addresses";

export interface Block extends Region {
  readonly mark: Mark | undefined;
}

export interface Allocator {
  /** Address of `bytes` fresh bytes (contents undefined), aligned to 64. Throws MemoryError when `limit` is passed. */
  allocate(bytes: number): number;
  free(address: number): void;
  /** Says what an allocated block holds; returns the address. */
  mark(mark: Mark, address: number): number;
  /** All that is allocated, with the bytes that were asked for, in order of the addresses. */
  blocks(): Block[];
  /** Bytes in use now, and the highest address ever in use. */
  usedBytes(): number;
  peakAddress(): number;
}

/** `ensure` makes the memory reach to an end; `freed` is told what is given back. */
export function createAllocator(
  base: number,
  limit: number,
  ensure: (end: number) => void,
  freed: (region: Region) => void = () => {},
): Allocator {
  const used = new Map<number, number>();
  /** Of what is used, the bytes that were asked for. */
  const lengths = new Map<number, number>();
  const marks = new Map<number, Mark>();
  let free: { address: number; bytes: number }[] = [];
  let top = Math.ceil(base / ALIGNMENT) * ALIGNMENT;
  let peak = top;

  function allocate(asked: number): number {
    const address = place(asked);
    lengths.set(address, asked);
    return address;
  }

  function place(asked: number): number {
    const bytes = Math.max(ALIGNMENT, Math.ceil(asked / ALIGNMENT) * ALIGNMENT);
    const hole = free.find((region) => region.bytes >= bytes);
    if (hole !== undefined) {
      const { address } = hole;
      hole.address += bytes;
      hole.bytes -= bytes;
      free = free.filter((region) => region.bytes > 0);
      used.set(address, bytes);
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
    used.set(address, bytes);
    return address;
  }

  function release(address: number): void {
    const bytes = used.get(address);
    if (bytes === undefined) throw new MemoryError(`memory: ${address} was not allocated, or was freed before`);
    used.delete(address);
    lengths.delete(address);
    marks.delete(address);
    freed({ address, bytes });
    free.push({ address, bytes });
    free.sort((a, b) => a.address - b.address);
    const merged: typeof free = [];
    for (const region of free) {
      const last = merged.at(-1);
      if (last !== undefined && last.address + last.bytes === region.address) last.bytes += region.bytes;
      else merged.push(region);
    }
    const last = merged.at(-1);
    if (last !== undefined && last.address + last.bytes === top) {
      top = last.address;
      merged.pop();
    }
    free = merged;
  }

  return {
    allocate,
    free: release,
    mark(mark, address) {
      marks.set(address, mark);
      return address;
    },
    blocks: () =>
      [...lengths]
        .map(([address, bytes]) => ({ address, bytes, mark: marks.get(address) }))
        .sort((a, b) => a.address - b.address),
    usedBytes: () => [...used.values()].reduce((sum, bytes) => sum + bytes, 0),
    peakAddress: () => peak,
  };
}
