// The entry "steepest/images" under Node, Deno and Bun: with files, and folders of images by class.
import { type Dirent, readdirSync } from "node:fs";
import { join } from "node:path";
import { DataError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { choice, flag, integer, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { randomNumbers, shuffle as shuffled } from "../engine/randomNumbers.js";
import { IMAGE, type Image, type ImageOptions, type ImagePlan } from "../images/image.js";
import { codeOf } from "./disk.js";
import { type FilePath, pathOf, readFileBytes } from "./files.js";
import { decodeFile } from "./nodeDecode.js";

export * from "../images/index.js";
export { decodeImage } from "./nodeDecode.js";

export interface ImageFolderOptions extends ImageOptions {
  /** [height, width] of all images. */
  size: readonly [height: number, width: number];
  /** 1 (grey), 3 (default; alpha is dropped) or 4. */
  channels?: 1 | 3 | 4;
  /** A file that cannot be read or decoded: its error is thrown (`"stop"`, default), or it is left out (`"skip"`). */
  onError?: "stop" | "skip";
}

/** A file that was left out, and why. */
export interface SkippedFile {
  readonly file: string;
  readonly error: Error;
}

/** What `fit`, `evaluate` and `load` take. */
export interface ImageSamples {
  /** Bytes: height · width · channels for each image. */
  readonly x: Uint8Array;
  /** The class of each image, a place in `classNames`. */
  readonly y: Uint32Array;
  /** 1 / 255. */
  readonly scale: number;
}

export interface ImageFolder {
  readonly samples: ImageSamples;
  /** Names of the folders in the order of their characters' codes. */
  readonly classNames: readonly string[];
  /** The path of each image in the folder, `cat/17.png`. */
  readonly files: readonly string[];
  /** [height, width, channels] of an image: the input of a model. */
  readonly shape: readonly [height: number, width: number, channels: number];
  readonly skipped: readonly SkippedFile[];
}

export interface ImageStreamOptions extends ImageFolderOptions {
  /** Images a batch; the last one of a pass may have fewer. Default 32. */
  batchSize?: number;
  /** Whether each pass has an order of its own. Default true; `false`: class by class. */
  shuffle?: boolean;
  /** Of the orders. Default 0. */
  seed?: number;
}

/** Batches of a folder's images; each loop over it is a pass. */
export interface ImageStream extends AsyncIterable<ImageSamples>, Pick<ImageFolder, "classNames" | "files" | "shape"> {
  /** Files that the last pass left out. */
  readonly skipped: readonly SkippedFile[];
}

const sizeRule: OptionRule<readonly [number, number]> = (where, name, value) => {
  const size = IMAGE.size(where, name, value);
  if (size !== undefined) return size;
  throw new DataError(`${where}: ${name} must be [height, width] of all images, got nothing: a model takes one size`);
};

const FOLDER = {
  size: sizeRule,
  fit: IMAGE.fit,
  channels: IMAGE.channels,
  onError: choice("stop", ["stop", "skip"]),
} satisfies OptionsOf<ImageFolderOptions>;

const STREAM = {
  size: FOLDER.size,
  fit: FOLDER.fit,
  channels: FOLDER.channels,
  onError: FOLDER.onError,
  batchSize: integer(32, { min: 1 }),
  shuffle: flag(true),
  seed: integer(0, { min: 0 }),
} satisfies OptionsOf<ImageStreamOptions>;

/** The images of a folder before they are read. */
interface Listing {
  readonly path: string;
  readonly classNames: readonly string[];
  readonly files: readonly string[];
  readonly labels: Uint32Array;
}

const IS_IMAGE = /\.(?:png|jpe?g)$/i;

/** Names in the order of their characters' codes, which no locale changes. Hidden ones are left out. */
function namesIn(where: string, path: string, isWanted: (entry: Dirent) => boolean): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    const names = entries.filter((entry) => !entry.name.startsWith(".") && isWanted(entry)).map(({ name }) => name);
    return names.sort((a, b) => (a < b ? -1 : 1));
  } catch (cause) {
    throw new SteepestError(
      `${where}: must be a folder that can be read, got ${showValue(path)} (${codeOf(cause)}): check the path`,
      { cause },
    );
  }
}

function list(where: string, given: FilePath): Listing {
  const path = pathOf(where, given);
  const classNames = namesIn(where, path, (entry) => entry.isDirectory());
  const files: string[] = [];
  const labels: number[] = [];
  classNames.forEach((name, label) => {
    const inside = namesIn(where, join(path, name), (entry) => !entry.isDirectory() && IS_IMAGE.test(entry.name));
    if (inside.length === 0) {
      throw new DataError(
        `${where}: each folder of a class must have PNG or JPEG files, got none in ${showValue(name)}: remove it, or move its files up`,
      );
    }
    for (const file of inside) {
      files.push(`${name}/${file}`);
      labels.push(label);
    }
  });
  if (files.length === 0) {
    throw new DataError(
      `${where}: must be a folder of folders, one for each class, got none in ${showValue(path)}: put the images into them`,
    );
  }
  return { path, classNames, files, labels: Uint32Array.from(labels) };
}

/** Reads one image; its error says which file it was. */
async function read(where: string, { path }: Listing, file: string, plan: ImagePlan): Promise<Image> {
  return decodeFile(`${where}: ${showValue(file)}`, await readFileBytes(join(path, file)), plan);
}

/** Reads these images of a folder, in this order. */
async function readAll(
  where: string,
  listing: Listing,
  which: Iterable<number>,
  { plan, onError }: { plan: Required<ImagePlan>; onError: "stop" | "skip" },
): Promise<{ samples: ImageSamples; files: string[]; skipped: SkippedFile[] }> {
  const [height, width] = plan.size as readonly [number, number];
  const bytes = height * width * (plan.channels as number);
  const wanted = Array.from(which);
  const x = new Uint8Array(wanted.length * bytes);
  const labels: number[] = [];
  const files: string[] = [];
  const skipped: SkippedFile[] = [];
  for (const at of wanted) {
    const file = listing.files[at];
    try {
      const { data } = await read(where, listing, file, plan);
      x.set(data, files.length * bytes);
      labels.push(listing.labels[at]);
      files.push(file);
    } catch (error) {
      if (onError === "stop") throw error;
      skipped.push({ file, error: error as Error });
    }
  }
  return {
    samples: { x: x.subarray(0, files.length * bytes), y: Uint32Array.from(labels), scale: 1 / 255 },
    files,
    skipped,
  };
}

/**
 * Reads a folder of folders of PNG and JPEG files, one for each class, into memory: a byte for each value. Needs the packages
 * `fast-png` and `jpeg-js`, for files of their kinds.
 *
 * @throws {DataError} If there are no classes, a class has no images, or a file is damaged (which it names).
 */
export async function imageFolder(path: FilePath, options: ImageFolderOptions): Promise<ImageFolder> {
  const { size, fit, channels = 3, onError } = readOptions("imageFolder", options, FOLDER);
  const listing = list("imageFolder", path);
  const plan = { size, fit, channels };
  const { samples, files, skipped } = await readAll("imageFolder", listing, listing.files.keys(), { plan, onError });
  if (files.length === 0) {
    throw new DataError(
      `imageFolder: must have an image that can be read, got ${skipped.length} that cannot: ${skipped[0]?.error.message}`,
      { cause: skipped[0]?.error },
    );
  }
  return { samples, classNames: listing.classNames, files, shape: [...size, channels], skipped };
}

/**
 * The same for folders that are larger than memory: batches that are read when they are asked for. Each loop over it is one
 * pass, and gets an order of its own from the seed.
 *
 */
export function imageStream(path: FilePath, options: ImageStreamOptions): ImageStream {
  const read = readOptions("imageStream", options, STREAM);
  const { size, fit, channels = 3, onError, batchSize, shuffle, seed } = read;
  const listing = list("imageStream", path);
  const random = randomNumbers(seed);
  const plan = { size, fit, channels };
  let skipped: SkippedFile[] = [];
  async function* pass(): AsyncGenerator<ImageSamples, void, undefined> {
    skipped = [];
    const order = Uint32Array.from(listing.files.keys());
    if (shuffle) shuffled(order, random);
    for (let first = 0; first < order.length; first += batchSize) {
      const batch = await readAll("imageStream", listing, order.subarray(first, first + batchSize), { plan, onError });
      skipped.push(...batch.skipped);
      if (batch.files.length > 0) yield batch.samples;
    }
    if (skipped.length < order.length) return;
    throw new DataError(
      `imageStream: must have an image that can be read, got ${showNames(listing.files)}: ${skipped[0]?.error.message}`,
    );
  }
  return {
    classNames: listing.classNames,
    files: listing.files,
    shape: [...size, channels],
    get skipped() {
      return skipped;
    },
    [Symbol.asyncIterator]: pass,
  };
}
