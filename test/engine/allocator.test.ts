import { expect, test } from "vitest";
import { createAllocator } from "../../src/engine/allocator.js";

test("regions never overlap, are aligned, and freed bytes are used again", () => {
  let end = 0;
  const allocator = createAllocator(100, 1 << 20, (to) => {
    end = Math.max(end, to);
  });
  const live = new Map<number, number>();
  let seed = 1;
  const random = (n: number): number => {
    seed = (seed * 48271) % 2147483647;
    return seed % n;
  };
  for (let i = 0; i < 2000; i++) {
    const addresses = [...live.keys()];
    if (live.size > 20 || (live.size > 0 && random(2) === 0)) {
      const address = addresses[random(addresses.length)];
      allocator.free(address);
      live.delete(address);
    } else {
      const bytes = random(8) === 0 ? 0 : random(3000);
      const address = allocator.allocate(bytes);
      expect(address % 64).toBe(0);
      expect(address).toBeGreaterThanOrEqual(100);
      expect(live.has(address)).toBe(false);
      for (const [other, size] of live) expect(address + bytes <= other || other + size <= address).toBe(true);
      live.set(address, bytes);
    }
  }
  for (const address of live.keys()) allocator.free(address);
  expect(allocator.usedBytes()).toBe(0);
  expect(allocator.peakAddress()).toBe(end);
  expect(end).toBeLessThan(21 * 3072 * 2);
});

test("a region cannot be freed twice, and the limit is an error with the bytes", () => {
  const allocator = createAllocator(64, 4096, () => {});
  const address = allocator.allocate(64);
  allocator.free(address);
  expect(() => allocator.free(address)).toThrow(/not allocated, or was freed before/);
  expect(() => allocator.allocate(5000)).toThrow(/5000 bytes more are needed .* 4096: use a smaller model/);
  expect(allocator.allocate(4000)).toBe(64);
});
