// Filters, activations and maps as pictures: pixels for a canvas or a file.
import { DataError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { choice, integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { type Shape, sizeOf } from "../graph/tensor.js";

/** Pixels, as `new ImageData(data, width)` and encoders of PNG files take them: red, green, blue, opacity. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

export interface TilesOptions {
  /** Pixels of the picture for each number, along both sides. Default 4. */
  scale?: number;
  /** Tiles next to each other. Default: about as many as there are rows. */
  columns?: number;
  /**
   * What is black and what is white. `"each"`: each tile's least and largest number. `"all"`: those of all tiles. `"zero"`:
   * those of all tiles, with 0 in the middle, negative numbers blue and positive ones red. Default `"each"`.
   */
  range?: "each" | "all" | "zero";
}

const OPTIONS = {
  scale: integer(4, { min: 1, max: 256 }),
  columns: optional(integer(undefined, { min: 1 })),
  range: choice("each", ["each", "all", "zero"]),
} satisfies OptionsOf<TilesOptions>;

/** Values with their shape, as parameters and activations are. */
export interface ShapedNumbers {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

const GAP = 1;
// So many pixels take 256 MB.
const MAX_PIXELS = 2 ** 26;

/**
 * The filters of a convolution, [height, width, channels, units] as its weight is: a tile for each unit; in colours if there are
 * three channels, else the mean of the channels.
 *
 * @throws {DataError} If these are no such weights, or a number is not finite.
 *
 * @example
 * const pictures = await compile(sequential({ input: [28, 28, 1] }, conv2d(16, 5)));
 * const { width, height, data } = filterTiles(pictures.parameters().get("0.weight"));
 * // In a page: context.putImageData(new ImageData(data, width), 0, 0)
 */
export function filterTiles(weights: ShapedNumbers | undefined, options: TilesOptions = {}): Picture {
  const where = "filterTiles";
  const { shape, data } = checkNumbers(
    where,
    weights,
    4,
    "[height, width, channels, units], the weight of a convolution",
  );
  const [height, width, channels, units] = shape;
  const at = (tile: number, pixel: number, channel: number) => data[(pixel * channels + channel) * units + tile];
  return draw(where, { height, width, channels, tiles: units, at }, options);
}

/**
 * What a layer gives for one sample, as a tile for each channel: of activations [samples, height, width, channels].
 *
 * @param sample Which of the samples. Default the first, 0.
 * @throws {DataError} If these are no images, there is no such sample, or a number is not finite.
 */
export function channelTiles(activations: ShapedNumbers | undefined, sample = 0, options: TilesOptions = {}): Picture {
  const where = "channelTiles";
  const { shape, data } = checkNumbers(where, activations, 4, "[samples, height, width, channels]");
  const [samples, height, width, channels] = shape;
  if (!Number.isInteger(sample) || sample < 0 || sample >= samples) {
    throw new DataError(`${where}: sample must be from 0 to ${samples - 1}, got ${showValue(sample)}`);
  }
  const first = sample * height * width;
  const at = (tile: number, pixel: number) => data[(first + pixel) * channels + tile];
  return draw(where, { height, width, channels: 1, tiles: channels, at }, options);
}

/**
 * Maps, such as those of `gradCam` and `saliency`, as a tile for each sample: [samples, height, width], or with channels, of
 * which three are colours and others are averaged.
 *
 * @throws {DataError} If these are no maps, or a number is not finite.
 */
export function mapTiles(maps: ShapedNumbers | undefined, options: TilesOptions = {}): Picture {
  const where = "mapTiles";
  const rank = maps?.shape?.length === 4 ? 4 : 3;
  const { shape, data } = checkNumbers(
    where,
    maps,
    rank,
    "[samples, height, width] or [samples, height, width, channels]",
  );
  const [tiles, height, width, channels = 1] = shape;
  const at = (tile: number, pixel: number, channel: number) =>
    data[(tile * height * width + pixel) * channels + channel];
  return draw(where, { height, width, channels, tiles, at }, options);
}

function checkNumbers(where: string, given: ShapedNumbers | undefined, rank: number, rule: string): ShapedNumbers {
  const { shape, data } = given ?? ({} as Partial<ShapedNumbers>);
  const isShaped = isArrayOf(shape, isSize) && shape.length === rank;
  const isData = ArrayBuffer.isView(data) || Array.isArray(data);
  if (!isShaped || !isData || sizeOf(shape) !== data.length) {
    const got =
      typeof given === "object" && given !== null ? `${showValue(shape)} and ${showValue(data)}` : showValue(given);
    throw new DataError(`${where}: must be numbers of shape ${rule}, as { shape, data }, got ${got}`);
  }
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    throw new DataError(`${where}: every number must be finite, got ${showValue(data[i])} at index ${i}`);
  }
  return { shape, data };
}

function isSize(size: unknown): size is number {
  return Number.isInteger(size) && (size as number) >= 1;
}

interface Tiles {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly tiles: number;
  at(tile: number, pixel: number, channel: number): number;
}

function draw(where: string, given: Tiles, options: TilesOptions): Picture {
  const { scale, columns, range } = readOptions(where, options, OPTIONS);
  const { height, width, tiles } = given;
  const across = Math.min(tiles, columns ?? Math.ceil(Math.sqrt(tiles)));
  const down = Math.ceil(tiles / across);
  const [wide, high] = [across * (width * scale + GAP) - GAP, down * (height * scale + GAP) - GAP];
  if (wide * high > MAX_PIXELS) {
    throw new DataError(
      `${where}: the picture must have at most ${MAX_PIXELS} pixels, got ${wide} × ${high}: take a smaller scale`,
    );
  }
  const pixels = new Uint8ClampedArray(wide * high * 4);
  const colors = colorsOf(given, range);
  for (let tile = 0; tile < tiles; tile++) {
    const left = (tile % across) * (width * scale + GAP);
    const top = Math.floor(tile / across) * (height * scale + GAP);
    for (let y = 0; y < height * scale; y++) {
      for (let x = 0; x < width * scale; x++) {
        const pixel = Math.floor(y / scale) * width + Math.floor(x / scale);
        pixels.set(colors(tile, pixel), ((top + y) * wide + left + x) * 4);
      }
    }
  }
  return { width: wide, height: high, data: pixels };
}

/** The colour of a pixel of a tile. */
function colorsOf(given: Tiles, range: "each" | "all" | "zero"): (tile: number, pixel: number) => readonly number[] {
  const { tiles, height, width } = given;
  // Three channels are colours; others are averaged, and so is everything whose sign is shown by a colour.
  const planes = given.channels === 3 && range !== "zero" ? 3 : 1;
  const value = (tile: number, pixel: number, plane: number): number => {
    if (planes === given.channels) return given.at(tile, pixel, plane);
    let sum = 0;
    for (let channel = 0; channel < given.channels; channel++) sum += given.at(tile, pixel, channel);
    return sum / given.channels;
  };
  const bounds = Array.from({ length: tiles }, (_, tile) => {
    let [min, max] = [Infinity, -Infinity];
    for (let pixel = 0; pixel < height * width; pixel++) {
      for (let plane = 0; plane < planes; plane++) {
        const one = value(tile, pixel, plane);
        [min, max] = [Math.min(min, one), Math.max(max, one)];
      }
    }
    return { min, max };
  });
  const all = { min: Math.min(...bounds.map(({ min }) => min)), max: Math.max(...bounds.map(({ max }) => max)) };
  if (range === "zero") {
    const largest = Math.max(Math.abs(all.min), Math.abs(all.max)) || 1;
    return (tile, pixel) => signed(value(tile, pixel, 0) / largest);
  }
  return (tile, pixel) => {
    const { min, max } = range === "each" ? bounds[tile] : all;
    const shade = (plane: number) => (max > min ? ((value(tile, pixel, plane) - min) / (max - min)) * 255 : 128);
    return planes === 3 ? [shade(0), shade(1), shade(2), 255] : [shade(0), shade(0), shade(0), 255];
  };
}

/** White for 0, blue towards -1, red towards 1. */
function signed(value: number): readonly number[] {
  const pale = 255 * (1 - Math.abs(value));
  return value < 0 ? [pale, pale, 255, 255] : [255, pale, pale, 255];
}
