// PNG and JPEG as images, by the packages fast-png and jpeg-js, which are optional.
import { DataError, SteepestError, showValue } from "../engine/errors.js";
import { readOptions } from "../engine/options.js";
import { IMAGE, type Image, type ImageOptions, type ImagePlan, MAX_PIXELS, prepared } from "../images/image.js";
import { orientationOf, upright } from "../images/orientation.js";
import { bytesOf } from "../io/bytes.js";

/**
 * An image from the bytes of a PNG or JPEG file, in the size and channels that a model takes: see `imageFrom`. A JPEG is turned
 * as its EXIF data say. Bytes of 16-bit channels are the upper ones. Needs the package `fast-png` or `jpeg-js`.
 *
 * @param file The whole file.
 * @throws {DataError} If the file is neither, is damaged, or has more than 1e8 pixels; {SteepestError} if the package is missing.
 */
export async function decodeImage(file: Uint8Array | ArrayBufferLike, options: ImageOptions = {}): Promise<Image> {
  const { size, fit, channels } = readOptions("decodeImage", options, IMAGE);
  return decodeFile("decodeImage", bytesOf("decodeImage", file), { size, fit, channels });
}

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG = [0xff, 0xd8];

const beginsWith = (bytes: Uint8Array, first: readonly number[]): boolean =>
  first.every((byte, at) => bytes[at] === byte);

/** The same for options that have been checked. `where`: how errors begin, with the file's name. */
export async function decodeFile(where: string, bytes: Uint8Array, plan: ImagePlan): Promise<Image> {
  const decode = beginsWith(bytes, PNG) ? decodePng : beginsWith(bytes, JPEG) ? decodeJpeg : undefined;
  if (decode === undefined) {
    const first = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new DataError(
      `${where}: must be a PNG or JPEG file, got ${bytes.length} bytes${first && ` that begin with ${first}`}: convert it, or pass its pixels to imageFrom()`,
    );
  }
  return prepared(await decode(where, bytes), plan);
}

/** A package that may be missing. */
async function installed<T>(where: string, name: string, load: () => Promise<T>): Promise<T> {
  return load().catch((cause) => {
    throw new SteepestError(
      `${where}: the package ${name} must be there, got ${showValue((cause as Error).message)}: npm install ${name}`,
      { cause },
    );
  });
}

const damaged = (where: string, kind: string, cause: unknown): DataError =>
  new DataError(
    `${where}: must be an intact ${kind} file, got one that ends or goes wrong: ${(cause as Error).message}`,
    {
      cause,
    },
  );

function checkPixels(where: string, width: number, height: number): void {
  if (width >= 1 && height >= 1 && width * height <= MAX_PIXELS) return;
  throw new DataError(`${where}: must have 1 to 1e8 pixels, got ${width} × ${height}: make the image smaller`);
}

async function decodePng(where: string, bytes: Uint8Array): Promise<Image> {
  const { decode } = await installed(where, "fast-png", () => import(/* webpackIgnore: true */ "fast-png"));
  // What the header says, before memory is taken for it.
  if (bytes.length >= 24) {
    const header = new DataView(bytes.buffer, bytes.byteOffset);
    checkPixels(where, header.getUint32(16), header.getUint32(20));
  }
  let found: ReturnType<typeof decode>;
  try {
    found = decode(bytes, { checkCrc: true });
  } catch (cause) {
    throw damaged(where, "PNG", cause);
  }
  const { width, height, depth, channels, palette } = found;
  const values = depth < 8 ? unpacked(found) : found.data;
  if (palette !== undefined) {
    const colours = palette as readonly (readonly number[])[];
    const count = colours[0]?.length ?? 3;
    const data = new Uint8Array(width * height * count);
    for (let pixel = 0; pixel < width * height; pixel++) data.set(colours[values[pixel]] ?? [], pixel * count);
    return { data, height, width, channels: count };
  }
  const [shift, factor] = [depth === 16 ? 8 : 0, depth < 8 ? 255 / (2 ** depth - 1) : 1];
  return { data: Uint8Array.from(values, (value) => (value >> shift) * factor), height, width, channels };
}

interface Packed {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly data: ArrayLike<number>;
}

/** Pixels of fewer bits than 8, of which each line begins with a byte. */
function unpacked({ width, height, depth, data }: Packed): Uint8Array {
  const line = Math.ceil((width * depth) / 8);
  const to = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const bit = column * depth;
      const byte = data[row * line + (bit >> 3)];
      to[row * width + column] = (byte >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
    }
  }
  return to;
}

async function decodeJpeg(where: string, bytes: Uint8Array): Promise<Image> {
  const module = await installed(where, "jpeg-js", () => import(/* webpackIgnore: true */ "jpeg-js"));
  const decode = module.decode ?? (module as unknown as { default: typeof module }).default.decode;
  try {
    const { data, width, height } = decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxResolutionInMP: MAX_PIXELS / 1e6,
      maxMemoryUsageInMB: 4096,
    });
    return upright({ data, height, width, channels: 3 }, orientationOf(bytes));
  } catch (cause) {
    throw damaged(where, "JPEG", cause);
  }
}
