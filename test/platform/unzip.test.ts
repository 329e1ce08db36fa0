import { gzipSync } from "node:zlib";
import { afterEach, expect, test, vi } from "vitest";
import { unzip } from "../../src/platform/inlinedKernels.js";

const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) >>> 3);
const gzipped = Uint8Array.from(gzipSync(bytes));

afterEach(() => vi.unstubAllGlobals());

test("the kernels of a bundle are what was gzipped", async () => {
  expect(await unzip(gzipped)).toEqual(bytes);
});

test("a runtime that cannot unzip hears what can", async () => {
  vi.stubGlobal("DecompressionStream", undefined);
  await expect(unzip(gzipped)).rejects.toThrow(
    'engine: this runtime has no DecompressionStream: use Chrome 91, Firefox 113, Safari 16.4 or newer, or import from "steepest/inline"',
  );
});
