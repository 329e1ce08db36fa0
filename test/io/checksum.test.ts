import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { indexOfNotFinite } from "../../src/engine/finite.js";
import { crcOf } from "../../src/io/checksum.js";

test("CRC-32 of bytes is zlib's, wherever they begin and however many they are", () => {
  expect(crcOf(new TextEncoder().encode("123456789"))).toBe(0xcbf43926); // the check value of ISO 3309's polynomial
  const bytes = Uint8Array.from({ length: 200 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24);
  for (let begin = 0; begin < 20; begin++) {
    for (let end = begin; end <= bytes.length; end++) {
      const part = bytes.subarray(begin, end);
      if (crcOf(part) !== crc32(part))
        throw new Error(`from ${begin} to ${end}: ${crcOf(part)}, zlib has ${crc32(part)}`);
    }
  }
});

test("the first value that is not finite is found, wherever it is and whatever holds it", () => {
  const kinds: readonly ((data: readonly number[]) => number[] | Float32Array | Float64Array)[] = [
    (data) => Float32Array.from(data),
    (data) => Float64Array.from(data),
    (data) => [...data],
  ];
  for (const of of kinds) {
    for (const length of [0, 1, 2, 7, 8, 33]) {
      const data = Array.from({ length }, (_, i) => (i % 2 === 0 ? -3.4e38 : 3.4e38));
      expect(indexOfNotFinite(of(data))).toBe(-1);
      for (let at = 0; at < length; at++) {
        for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          const spoiled = of(data);
          spoiled[at] = wrong;
          spoiled[length - 1] = at % 2 === 0 ? spoiled[length - 1] : -wrong;
          expect(indexOfNotFinite(spoiled), `${wrong} of ${length} at ${at}`).toBe(at);
        }
      }
    }
  }
});
