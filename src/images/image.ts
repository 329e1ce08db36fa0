// Images as bytes, [height, width, channels]: from raw pixels and from what a page has, in the channels that a model takes.
import { DataError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { type Fit, fitRule, resizeImage, sizeRule } from "./resize.js";

/** An image: `data` has height · width · channels bytes, row by row, the channels of a pixel one after another. */
export interface Image {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  /** 1 grey; 2 grey and alpha; 3 red, green, blue; 4 with alpha. */
  readonly channels: number;
}

/** Pixels: an `ImageData`, or the same with any number of channels. */
export interface RawPixels {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
  /** From 1 to 4. Default: as many as `data` has for each pixel. */
  readonly channels?: number;
}

/**
 * An `ImageBitmap`, `OffscreenCanvas`, `<canvas>`, `<img>`, `<video>`, `VideoFrame`, or what else a canvas can draw, of a page or a
 * worker. In its own size, whatever the page shows it in.
 */
export interface Drawable {
  readonly width?: number;
  readonly height?: number;
  /** Of a `VideoFrame`. */
  readonly displayWidth?: number;
  readonly displayHeight?: number;
  readonly data?: undefined;
}

export interface ImageOptions {
  /** [height, width] of the result. Default: as it is. */
  size?: readonly [height: number, width: number];
  /**
   * If the sides have another proportion than `size`: `"cover"` (default) cuts off what is too much, evenly; `"contain"` puts
   * black around; `"fill"` distorts.
   */
  fit?: Fit;
  /** 1 (grey, ITU-R BT.601), 3 (alpha is dropped) or 4 (alpha 255 if there is none). Default: as it is. */
  channels?: 1 | 3 | 4;
}

const channelsRule: OptionRule<1 | 3 | 4 | undefined> = (where, name, value) => {
  if (value === undefined || value === 1 || value === 3 || value === 4) return value;
  throw new DataError(`${where}: ${name} must be 1, 3 or 4, got ${showValue(value)}`);
};

export const IMAGE = { size: sizeRule, fit: fitRule, channels: channelsRule } satisfies OptionsOf<ImageOptions>;

/** More pixels than an image can have: what claims more is damaged, or meant to fill the memory. */
export const MAX_PIXELS = 1e8;

/**
 * An image from raw pixels, `ImageData`, or in a page from a canvas or an `ImageBitmap`, in the size and channels that a model
 * takes. A smaller image is a mixture of all pixels that each new one covers (as PIL's BILINEAR), so no detail is skipped.
 *
 * @throws {DataError} If it is no image, or its data do not fit its size.
 * @example
 * const grey = imageFrom({ width: 2, height: 1, data: [255, 0, 0, 0, 0, 255] }, { channels: 1 });
 * // { data: Uint8Array [76, 29], height: 1, width: 2, channels: 1 }
 */
export function imageFrom(source: RawPixels | Drawable, options: ImageOptions = {}): Image {
  const { size, fit, channels } = readOptions("imageFrom", options, IMAGE);
  return prepared(pixelsOf("imageFrom", source), { size, fit, channels });
}

/** An image in its channels and its size. */
export function prepared(image: Image, { size, fit, channels }: ImagePlan): Image {
  return resizeImage(inChannels(image, channels ?? image.channels), size, fit);
}

/** What is to be made of images, checked. */
export interface ImagePlan {
  readonly size: readonly [number, number] | undefined;
  readonly fit: Fit;
  readonly channels: 1 | 3 | 4 | undefined;
}

const isSide = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

type Sizes = Readonly<Record<string, number | undefined>>;

/** The width of an `<img>` or `<video>` is that in the page. */
function sizeOf(of: Sizes): [number | undefined, number | undefined] {
  return [
    of.naturalWidth ?? of.videoWidth ?? of.displayWidth ?? of.width,
    of.naturalHeight ?? of.videoHeight ?? of.displayHeight ?? of.height,
  ];
}

function pixelsOf(where: string, source: RawPixels | Drawable): Image {
  const { data } = (source ?? {}) as Partial<RawPixels>;
  const [width, height] = sizeOf((source ?? {}) as Sizes);
  if (typeof source !== "object" || source === null || (width === undefined && height === undefined)) {
    throw new DataError(
      `${where}: must be given an image, an object with data, width and height, or a canvas or ImageBitmap, got ${showValue(source)}`,
    );
  }
  if (!isSide(width) || !isSide(height) || width * height > MAX_PIXELS) {
    throw new DataError(
      `${where}: width and height must be whole numbers of at least 1, for at most 1e8 pixels, got ${showValue(width)} and ${showValue(height)}${width === 0 ? ": wait until it is loaded, as by await image.decode()" : ""}`,
    );
  }
  if (data === undefined) return drawn(where, source as Drawable, width, height);
  const given = (source as RawPixels).channels;
  const isList = Array.isArray(data) || (ArrayBuffer.isView(data) && kindOf(data) !== "DataView");
  const channels = given !== undefined ? given : isList ? data.length / (width * height) : 0;
  if (!isList || !isSide(channels) || channels > 4 || data.length !== width * height * channels) {
    const wanted = given === undefined ? "1 to 4 values" : `${showValue(given)} values (channels, 1 to 4)`;
    throw new DataError(
      `${where}: data must have ${wanted} for each of the ${width} × ${height} pixels, got ${showValue(data)}`,
    );
  }
  const bytes = Uint8Array.from(data);
  if (bytes.some((byte, at) => byte !== data[at])) {
    const at = bytes.findIndex((byte, index) => byte !== data[index]);
    throw new DataError(`${where}: data must be bytes from 0 to 255, got ${showValue(data[at])} at index ${at}`);
  }
  return { data: bytes, height, width, channels };
}

interface Context {
  drawImage(image: Drawable, x: number, y: number, width: number, height: number): void;
  getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
}

/** What a canvas shows of it. */
function drawn(where: string, source: Drawable, width: number, height: number): Image {
  const Canvas = (globalThis as { OffscreenCanvas?: new (width: number, height: number) => object }).OffscreenCanvas;
  if (Canvas === undefined) {
    throw new DataError(
      `${where}: a canvas or ImageBitmap needs a runtime with OffscreenCanvas, got ${showValue(source)}: pass { data, width, height }`,
    );
  }
  const canvas = new Canvas(width, height) as { getContext(kind: "2d", options: object): Context | null };
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null)
    throw new DataError(`${where}: the runtime has no 2d canvas, got null: pass { data, width, height }`);
  try {
    context.drawImage(source, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    return { data: new Uint8Array(data.buffer, data.byteOffset, data.length), width, height, channels: 4 };
  } catch (cause) {
    throw new DataError(
      `${where}: must be something that a canvas can draw and a page may read, got ${showValue(source)}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** BT.601 in whole numbers, as PIL has it. */
const greyOf = (red: number, green: number, blue: number): number =>
  (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;

function inChannels(image: Image, wanted: number): Image {
  const { data, channels, width, height } = image;
  if (channels === wanted) return image;
  const pixels = width * height;
  const to = new Uint8Array(pixels * wanted);
  const isGrey = channels <= 2;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const from = pixel * channels;
    const [red, green, blue] = isGrey ? [data[from], data[from], data[from]] : data.subarray(from, from + 3);
    const at = pixel * wanted;
    if (wanted <= 2) to[at] = isGrey ? red : greyOf(red, green, blue);
    else {
      to[at] = red;
      to[at + 1] = green;
      to[at + 2] = blue;
    }
    if (wanted === 4) to[at + 3] = channels === 2 ? data[from + 1] : 255;
  }
  return { data: to, height, width, channels: wanted };
}
