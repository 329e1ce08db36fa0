// Convolutions of 3×3 windows with fewer multiplications: see assembly/kernels/winograd.ts. Which of them are computed so
// depends on shapes alone, forward and for the gradient of x on those of one sample: its bits are the same in any batch.
import {
  WINOGRAD_BLOCK,
  WINOGRAD_COLUMNS,
  WINOGRAD_GAP,
  WINOGRAD_PRODUCTS,
  WINOGRAD_TILE,
} from "../engine/constants.js";
import type { Choices } from "../engine/engine.js";
import { type Pointer, rows } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import type { Geometry } from "./window.js";

const FEWEST_CHANNELS = 16;
// What it takes for each pair of channels, in multiply-adds of the plain form (measured, one thread, one image: from 7×7 to
// 56×56 pixels, 16 to 512 channels): a product of a tile with its share of the transforms, which is greater with few channels,
// and the transform of the weights; if they do not fit the second-level cache, that costs more.
const PRODUCT = 1.2;
const PRODUCT_OF_WEIGHTS = 1.7;
const TRANSFORMS = 6.5;
const WEIGHTS = 280;
const LARGE_WEIGHTS = 1000;
const LARGE = 128 * 128;
// A weight's gradient is a sum over all tiles: so many units at least, for threads to share, but not of fewer tiles.
const FEWEST_UNITS = 16;
const TILES_OF_UNIT = 64;

const isSmallWindow = (g: Geometry): boolean =>
  g.windowHeight === 3 &&
  g.windowWidth === 3 &&
  g.strideY * g.strideX * g.dilationY * g.dilationX * g.groups === 1 &&
  Math.min(g.channels, g.outChannels) >= FEWEST_CHANNELS;

const tilesOf = ({ outHeight, outWidth }: Geometry): number =>
  Math.ceil(outHeight / WINOGRAD_TILE) * Math.ceil(outWidth / WINOGRAD_TILE);

/** Cost of an image's products, in multiply-adds for each pair of channels; in the plain form. */
const productsOf = (g: Geometry, product: number): number =>
  WINOGRAD_PRODUCTS * tilesOf(g) * (product + TRANSFORMS * (1 / g.channels + 1 / g.outChannels));
const plainOf = (g: Geometry): number => 9 * g.outHeight * g.outWidth;

/** Whether a convolution is computed so: if it pays for a single image. */
export function isWinograd(g: Geometry, { convolution }: Choices): boolean {
  if (convolution === "direct" || !isSmallWindow(g)) return false;
  const weights = g.channels * g.outChannels > LARGE ? LARGE_WEIGHTS : WEIGHTS;
  return productsOf(g, PRODUCT) + weights < plainOf(g);
}

/** Whether its weight's gradient is. */
export function isWinogradWeights(g: Geometry, { convolution }: Choices): boolean {
  if (convolution === "direct" || !isSmallWindow(g) || g.batch * tilesOf(g) < TILES_OF_UNIT) return false;
  return productsOf(g, PRODUCT_OF_WEIGHTS) < plainOf(g);
}

/** Groups of eight columns. */
const eightsOf = ({ outChannels }: Geometry): number => Math.ceil(outChannels / 8);

/** Bytes of the transformed weights. */
export function winogradBytes(g: Geometry): number {
  return WINOGRAD_PRODUCTS * (g.channels * eightsOf(g) * 8 + WINOGRAD_GAP) * 4;
}

/** Multiply-adds, half of which is the cost: a vector of four takes two operations. */
const costOf = (g: Geometry): number => g.batch * tilesOf(g) * WINOGRAD_PRODUCTS * g.channels * g.outChannels * 0.5;

/** y, with the transformed weights at `packed`. */
export function recordWinograd(
  record: Recorder,
  [y, x, weight, bias]: readonly Pointer[],
  g: Geometry,
  epilogue: number,
  packed: Pointer,
): void {
  const { channels, outChannels } = g;
  const transform = rows(eightsOf(g), channels * outChannels * WINOGRAD_PRODUCTS);
  record.winogradWindow(transform, packed, weight, channels, outChannels);
  const units = g.batch * tilesOf(g) * Math.ceil(outChannels / WINOGRAD_COLUMNS);
  const sizes = [g.batch, g.height, g.width, channels, g.outHeight, g.outWidth, outChannels] as const;
  record.convolveWinograd(rows(units, costOf(g)), y, x, packed, bias, ...sizes, g.padTop, g.padLeft, epilogue);
}

/** Into how many parts the sum over all tiles goes, and units that each of them has. */
export function winogradParts(g: Geometry): { parts: number; units: number } {
  const blocks = Math.ceil(g.channels / WINOGRAD_BLOCK) * Math.ceil(g.outChannels / WINOGRAD_BLOCK);
  const tiles = g.batch * tilesOf(g);
  const parts = Math.max(1, Math.min(Math.floor(tiles / TILES_OF_UNIT), Math.ceil(FEWEST_UNITS / blocks)));
  return { parts, units: parts * blocks };
}

/** The gradient of the weight by each part. */
export function recordWinogradWeights(
  record: Recorder,
  [dW, x, dy]: readonly Pointer[],
  g: Geometry,
  { parts, units }: { parts: number; units: number },
): void {
  const sizes = [g.batch, g.height, g.width, g.channels, g.outHeight, g.outWidth, g.outChannels] as const;
  record.convolveWinogradWeights(rows(units, costOf(g)), dW, x, dy, ...sizes, g.padTop, g.padLeft, parts);
}
