// Images from pixels and files, against what PIL reads from the same files (test/images/pictures.py).
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { encode } from "fast-png";
import {
  adam,
  compile,
  createEngineSync,
  crossEntropy,
  DataError,
  dense,
  flatten,
  SteepestError,
  sequential,
} from "steepest";
import { split } from "steepest/data";
import { decodeImage, imageFolder, imageFrom, imageStream, type RawPixels } from "steepest/images";
import { afterAll, describe, expect, test } from "vitest";
import recorded from "./pictures.json" with { type: "json" };

const folder = mkdtempSync(join(tmpdir(), "steepest-images-"));
const engine = createEngineSync();
afterAll(() => {
  engine.dispose();
  rmSync(folder, { recursive: true });
});

const bytesOf = (file: string): Uint8Array => new Uint8Array(Buffer.from(file, "base64"));
const rgb: RawPixels = { data: recorded.rgb, width: 7, height: 5 };

describe("PNG", () => {
  test.each(Object.entries(recorded.pictures))("%s", async (_, { file, size, channels, bytes }) => {
    const image = await decodeImage(bytesOf(file));
    expect({ ...image, data: [...image.data] }).toEqual({ data: bytes, height: size[0], width: size[1], channels });
  });

  test("of 16 bits has the upper ones", async () => {
    const data = Uint16Array.of(0x1234, 0xffff, 0x00ff, 0x8000);
    const file = encode({ width: 2, height: 2, depth: 16, channels: 1, data });
    expect([...(await decodeImage(file)).data]).toEqual([0x12, 0xff, 0x00, 0x80]);
  });
});

test("JPEG is turned as its EXIF data say", async () => {
  for (const [index, { file, size, bytes }] of recorded.oriented.entries()) {
    const { data, height, width, channels } = await decodeImage(bytesOf(file));
    expect([height, width, channels], `orientation ${index + 1}`).toEqual([...size, 3]);
    const middles = Array.from({ length: bytes.length / 3 }, (_, block) => {
      const [row, column] = [Math.floor(block / (width / 8)), block % (width / 8)];
      return [...data.subarray(3 * ((8 * row + 4) * width + 8 * column + 4)).subarray(0, 3)];
    }).flat();
    const errors = bytes.map((byte, at) => Math.abs(byte - middles[at]));
    expect(Math.max(...errors), `orientation ${index + 1}`).toBeLessThanOrEqual(4);
  }
});

describe("sizes", () => {
  test.each(recorded.resized)("$size is PyTorch's", ({ size, bytes }) => {
    const { data } = imageFrom(rgb, { size: [size[0], size[1]], fit: "fill" });
    expect([...data]).toEqual(bytes);
  });

  test("cover cuts off what is too much, contain puts black around", () => {
    const data = [10, 20, 30, 40, 50, 60, 70, 80];
    const wide = { data, width: 4, height: 2 };
    expect([...imageFrom(wide, { size: [2, 2] }).data]).toEqual([20, 30, 60, 70]);
    expect([...imageFrom(wide, { size: [4, 4], fit: "contain" }).data]).toEqual([0, 0, 0, 0, ...data, 0, 0, 0, 0]);
    const high = { data, width: 2, height: 4 };
    expect([...imageFrom(high, { size: [2, 2], fit: "cover" }).data]).toEqual([30, 40, 50, 60]);
    expect(imageFrom(wide, { size: [2, 2], fit: "contain" })).toMatchObject({ height: 2, width: 2 });
  });
});

test("channels are PIL's", () => {
  const grey = imageFrom(rgb, { channels: 1 });
  expect([...grey.data]).toEqual(recorded.grey);
  const alpha = { data: [1, 2, 3, 99, 4, 5, 6, 0], width: 2, height: 1 };
  expect([...imageFrom(alpha, { channels: 3 }).data]).toEqual([1, 2, 3, 4, 5, 6]);
  expect([...imageFrom({ data: [7, 8], width: 2, height: 1 }, { channels: 4 }).data]).toEqual([
    7, 7, 7, 255, 8, 8, 8, 255,
  ]);
  expect([...imageFrom({ data: [7, 100], width: 1, height: 1 }, { channels: 4 }).data]).toEqual([7, 7, 7, 100]);
  const pixels = new Uint8ClampedArray([9, 8, 7, 255]);
  expect(imageFrom({ data: pixels, width: 1, height: 1 })).toEqual({
    data: Uint8Array.of(9, 8, 7, 255),
    width: 1,
    height: 1,
    channels: 4,
  });
});

describe("refuses", () => {
  const png = bytesOf(recorded.pictures.RGB.file);
  const bomb = png.slice();
  new DataView(bomb.buffer).setUint32(16, 1e6);
  test.each<[string, Uint8Array, RegExp]>([
    [
      "another kind",
      Uint8Array.of(71, 73, 70, 56),
      /^decodeImage: must be a PNG or JPEG file, got 4 bytes that begin with 47 49 46 38/,
    ],
    ["nothing", new Uint8Array(), /must be a PNG or JPEG file, got 0 bytes: convert/],
    ["a torn PNG", png.slice(0, 60), /^decodeImage: must be an intact PNG file/],
    [
      "an altered PNG",
      png.map((byte, at) => (at === 45 ? byte ^ 1 : byte)),
      /^decodeImage: must be an intact PNG file/,
    ],
    ["too many pixels", bomb.map((byte, at) => (at === 20 ? 1 : byte)), /must have 1 to 1e8 pixels, got 1000000 × /],
    ["a torn JPEG", bytesOf(recorded.oriented[0].file).slice(0, 300), /^decodeImage: must be an intact JPEG file/],
  ])("%s", async (_, file, message) => {
    await expect(decodeImage(file)).rejects.toThrow(DataError);
    await expect(decodeImage(file)).rejects.toThrow(message);
  });

  test.each<[unknown, object, RegExp]>([
    [
      { data: [1, 2, 3], width: 2, height: 1 },
      {},
      /^imageFrom: data must have 1 to 4 values for each of the 2 × 1 pixels/,
    ],
    [
      { data: [1, 2, 300], width: 1, height: 1 },
      {},
      /^imageFrom: data must be bytes from 0 to 255, got 300 at index 2/,
    ],
    [{ data: [0.5], width: 1, height: 1 }, {}, /got 0\.5 at index 0/],
    [{ width: 0, height: 1 }, {}, /^imageFrom: width and height must be whole numbers of at least 1, .*got 0 and 1/],
    [{ width: 2, height: 1 }, {}, /needs a runtime with OffscreenCanvas/],
    [rgb, { channels: 2 }, /^imageFrom: channels must be 1, 3 or 4, got 2/],
    [rgb, { size: [2] }, /^imageFrom: size must be \[height, width\]/],
    [rgb, { fit: "stretch" }, /^imageFrom: fit must be/],
  ])("%o %o", (source, options, message) => {
    expect(() => imageFrom(source as RawPixels, options)).toThrow(SteepestError);
    expect(() => imageFrom(source as RawPixels, options)).toThrow(message);
  });
});

/** Writes grey pictures of one value each. */
function writeFolder(name: string, values: Readonly<Record<string, readonly number[]>>): string {
  const path = join(folder, name);
  for (const [className, all] of Object.entries(values)) {
    mkdirSync(join(path, className), { recursive: true });
    all.forEach((value, index) => {
      const file = encode({ width: 4, height: 4, depth: 8, channels: 1, data: new Uint8Array(16).fill(value) });
      writeFileSync(join(path, className, `${index}.png`), file);
    });
  }
  return path;
}

describe("folders", () => {
  const range = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);
  const path = writeFolder("two", { dark: range(10, 6), bright: range(200, 10) });
  writeFileSync(join(path, "notes.txt"), "not a class");
  writeFileSync(join(path, "dark", "notes.txt"), "not an image");
  mkdirSync(join(path, ".hidden"));
  const options = { size: [3, 3], channels: 1 } as const;

  test("images by class, as bytes", async () => {
    const { samples, classNames, files, shape, skipped } = await imageFolder(path, options);
    expect(classNames).toEqual(["bright", "dark"]);
    expect(files).toHaveLength(16);
    expect([files[0], files[15]]).toEqual(["bright/0.png", "dark/5.png"]);
    expect([shape, skipped]).toEqual([[3, 3, 1], []]);
    expect([...samples.y]).toEqual([...Array(10).fill(0), ...Array(6).fill(1)]);
    expect(samples.x).toEqual(Uint8Array.from([...range(200, 10), ...range(10, 6)].flatMap((v) => Array(9).fill(v))));
    expect(samples.scale).toBe(1 / 255);
    expect(await imageFolder(pathToFileURL(path), options)).toMatchObject({ files });
    expect((await imageFolder(path, { size: [2, 2] })).samples.x).toHaveLength(16 * 2 * 2 * 3);
  });

  test("split, trained on and scored", async () => {
    const { samples, shape, classNames } = await imageFolder(path, options);
    const { training, test } = split(samples, { parts: { training: 0.5, test: 0.5 }, stratify: samples.y });
    const model = sequential({ input: [...shape] }, flatten(), dense(classNames.length));
    const trainer = await compile(model, {
      loss: crossEntropy(),
      optimizer: adam({ learningRate: 0.1 }),
      metrics: ["accuracy"],
      engine,
    });
    await trainer.fit(training, { epochs: 40 });
    expect((await trainer.evaluate(test)).accuracy).toBe(1);
    trainer.dispose();
  });

  test("a stream has every image once a pass, in an order of its own, and the same for the same seed", async () => {
    const passOf = async (stream: AsyncIterable<{ x: Uint8Array; y: Uint32Array }>) => {
      const seen: number[] = [];
      for await (const { x, y } of stream) {
        expect(x.length).toBe(y.length * 9);
        y.forEach((label, row) => {
          expect(x[row * 9] >= 200).toBe(label === 0);
          seen.push(x[row * 9]);
        });
      }
      return seen;
    };
    const inOrder = [...range(200, 10), ...range(10, 6)];
    const stream = imageStream(path, { ...options, batchSize: 5, seed: 3 });
    const [first, second] = [await passOf(stream), await passOf(stream)];
    const sorted = (list: number[]) => [...list].sort((a, b) => a - b);
    expect([sorted(first), sorted(second)]).toEqual([sorted(inOrder), sorted(inOrder)]);
    expect(first).not.toEqual(second);
    expect(await passOf(imageStream(path, { ...options, batchSize: 7, seed: 3 }))).toEqual(first);
    expect(await passOf(imageStream(path, { ...options, shuffle: false }))).toEqual(inOrder);
  });

  test("a damaged file is named, or left out", async () => {
    const damaged = writeFolder("damaged", { a: [1, 2], b: [3] });
    writeFileSync(join(damaged, "a", "1.png"), "no image");
    await expect(imageFolder(damaged, options)).rejects.toThrow(
      /^imageFolder: "a\/1\.png": must be a PNG or JPEG file/,
    );
    const { samples, files, skipped } = await imageFolder(damaged, { ...options, onError: "skip" });
    expect([files, [...samples.y], samples.x.length]).toEqual([["a/0.png", "b/0.png"], [0, 1], 18]);
    expect(skipped.map(({ file, error }) => [file, error.message.includes(file)])).toEqual([["a/1.png", true]]);
    const stream = imageStream(damaged, { ...options, onError: "skip", shuffle: false });
    const labels: number[] = [];
    for await (const { y } of stream) labels.push(...y);
    expect([labels, stream.skipped.map(({ file }) => file)]).toEqual([[0, 1], ["a/1.png"]]);
  });

  test("what is no folder of classes is refused", async () => {
    const empty = join(folder, "empty");
    mkdirSync(join(empty, "class"), { recursive: true });
    await expect(imageFolder(join(folder, "missing"), options)).rejects.toThrow(
      /must be a folder that can be read.*ENOENT/,
    );
    await expect(imageFolder(empty, options)).rejects.toThrow(
      /each folder of a class must have PNG or JPEG files, got none in "class"/,
    );
    await expect(imageFolder(join(empty, "class"), options)).rejects.toThrow(
      /must be a folder of folders, one for each class/,
    );
    await expect(imageFolder(path, {} as never)).rejects.toThrow(/size must be \[height, width\] of all images/);
    expect(() => imageStream(path, { ...options, batchSize: 0 })).toThrow(
      /batchSize must be a whole number of at least 1/,
    );
  });
});
