import { expect, test } from "vitest";
import { createRanges } from "../../src/engine/ranges.js";
import { lehmer } from "../train/blobs.js";

test("a set of bytes is what a list of flags is, in as few stretches as there can be", () => {
  const random = lehmer(3);
  const size = 60;
  const below = (n: number) => Math.floor(random() * n);
  for (let round = 0; round < 50; round++) {
    const ranges = createRanges();
    const flags = new Array<boolean>(size).fill(false);
    for (let i = 0; i < 40; i++) {
      const address = below(size);
      const bytes = below(Math.min(12, size - address + 1));
      const region = { address, bytes };
      const expected = flags.slice(address, address + bytes).some(Boolean);
      expect(ranges.overlaps(region)).toBe(expected);
      const add = random() < 0.5;
      ranges[add ? "add" : "remove"](region);
      flags.fill(add, address, address + bytes);
      const stretches = ranges.within({ address: 0, bytes: size });
      const set = new Array<boolean>(size).fill(false);
      for (const { address, bytes } of stretches) set.fill(true, address, address + bytes);
      expect(set).toEqual(flags);
      expect(stretches.length).toBe(flags.filter((flag, at) => flag && !flags[at - 1]).length);
    }
  }
});
