// Convolutions of 3×3 windows with stride 1 by Winograd's minimal filtering: the transforms are those of ../winograd.ts.
//
//   y = Aᵀ·M·A,  M[p] [tiles, outChannels] = V[p] · U[p]   for each of the 36 products p of a tile
//
//   x ┌─┬─┬─┬─┬─┬─┐       V, M: [tile][p][channel], a block of tiles and of channels at a time, in the thread's scratch
//     │ ┌───────┐ │       U: [p][block of channels][panel of columns][channel][column], packed by `winogradWindow` once,
//     │ │ tile  │ │          as `multiplyRows` reads it
//     │ │ of y  │ │
//     │ └───────┘ │       Tiles that reach beyond the image, and channels that do not fill a vector, are copied first:
//     └─┴─┴─┴─┴─┴─┘       the patch, with zeros around; the tile of y, of which only what is inside is copied out.
//
// Sums over channels go in blocks of at most WINOGRAD_CHANNELS, so they depend on the number of channels alone, and the
// bits of a tile on no other tile.

import {
  activated, EPILOGUE_RELU, FREE_OFFSET, HEIGHT, heightOf, multiplyRows, packPanelAcross, packPanelAlong, panelWidth,
  PANEL_COLUMNS,
} from "../tiles";
import { at, loadLanes, storeLanes } from "../lanes";
import { LANES } from "../simd";
import {
  finishOutput, transformInput, transformOutput, transformOutputGradient, transformWindow, transformWindowGradient,
  WINOGRAD_PRODUCTS, WINOGRAD_REACH, WINOGRAD_TILE,
} from "../winograd";

/** Channels that are summed up at a time, a multiple of four. */
export const WINOGRAD_CHANNELS: u32 = 32;
/** Columns of a strip. */
export const WINOGRAD_COLUMNS: u32 = 96;
/** Between the weights of two products, so that they are not all in the same set of the cache. */
export const WINOGRAD_GAP: u32 = 16;
/** Tiles of a block: whole panels. */
const BLOCK_TILES: u32 = 4 * HEIGHT;

// Scratch: packed rows of V, then V, then M, which end before multiplyRows' tile.
const V_OFFSET: usize = 40 * WINOGRAD_CHANNELS * 4;
const M_OFFSET: usize = V_OFFSET + 24 * WINOGRAD_PRODUCTS * WINOGRAD_CHANNELS * 4;
// Behind the tile: what a tile is told, half-transformed vectors, a patch of x, a tile of y, the bias.
const HALF_OFFSET: usize = FREE_OFFSET + 128;
const PATCH_OFFSET: usize = HALF_OFFSET + WINOGRAD_PRODUCTS * 16;
const OUT_OFFSET: usize = PATCH_OFFSET + WINOGRAD_PRODUCTS * WINOGRAD_CHANNELS * 4;
const BIAS_OFFSET: usize = OUT_OFFSET + WINOGRAD_TILE * WINOGRAD_TILE * WINOGRAD_COLUMNS * 4;

/** Images, and where the tile is that is being read: its pixels and lines are so many bytes apart. */
@unmanaged class Source {
  height: u32; width: u32; channels: u32;
  /** Pixels on each side of what is read. */
  size: u32;
  from: usize; line: usize; pixel: usize;
}

function sourceAt(place: usize, height: u32, width: u32, channels: u32, size: u32): Source {
  const s = changetype<Source>(place);
  s.height = height;
  s.width = width;
  s.channels = channels;
  s.size = size;
  return s;
}

// @ts-ignore: decorator
@inline
function fours(n: u32): u32 {
  return (n + 3) & ~3;
}

function wholePanels(columns: u32): u32 {
  return (columns + 7) & ~7;
}

/** Where block `block` of `blocks` of `count` channels begins: a multiple of four. */
function firstOf(count: u32, block: u32, blocks: u32): u32 {
  return min(count, ((fours(count) >> 2) * block / blocks) << 2);
}

function blocksOf(count: u32, size: u32): u32 {
  return (count + size - 1) / size;
}

/** Finds the pixels from (row, column) of an image on: in x, or copied to `patch` with zeros. */
function findPixels(s: Source, x: usize, patch: usize, image: u32, row: i32, column: i32, first: u32, channels: u32): void {
  const size = <i32>s.size;
  const inside = row >= 0 && column >= 0 && row + size <= <i32>s.height && column + size <= <i32>s.width;
  if (inside && (channels & 3) == 0) {
    s.from = at(x, ((image * s.height + row) * s.width + column) * s.channels + first);
    s.pixel = <usize>s.channels << 2;
    s.line = <usize>s.width * s.pixel;
    return;
  }
  const padded = fours(channels);
  s.from = patch;
  s.pixel = <usize>padded << 2;
  s.line = <usize>size * s.pixel;
  for (let i = row; i < row + size; i++) {
    for (let j = column; j < column + size; j++, patch += s.pixel) {
      if (i < 0 || j < 0 || i >= <i32>s.height || j >= <i32>s.width) memory.fill(patch, 0, s.pixel);
      else copyPadded(patch, at(x, ((image * s.height + i) * s.width + j) * s.channels + first), channels);
    }
  }
}

/** Copies a row, and fills the last vector up with zeros. */
function copyPadded(to: usize, from: usize, count: u32): void {
  const stop = from + (<usize>(count & ~3) << 2);
  for (; from < stop; from += 16, to += 16) v128.store(to, v128.load(from));
  if ((count & 3) != 0) v128.store(to, loadLanes(from, count & 3));
}

/** U[p] = G·w·Gᵀ of W [3, 3, channels, outChannels], packed: see above. Columns that there are not are 0. Overwrites.
 *  Unit: eight columns, a panel (in the wide build half of one), so that what is written to each U[p] is in one place. */
export function winogradWindow(
  begin: u32, end: u32, scratch: usize, packed: usize, weight: usize, channels: u32, outChannels: u32,
): void {
  const half = scratch + HALF_OFFSET;
  const columns = wholePanels(outChannels);
  const step = <usize>(channels * columns + WINOGRAD_GAP) << 2;
  const tap = <usize>(channels * outChannels) << 2;
  const blocks = blocksOf(channels, WINOGRAD_CHANNELS);
  for (let j0 = begin << 3; j0 < end << 3; j0 += 8) {
    const panel = j0 & ~(PANEL_COLUMNS - 1);
    const width = panelWidth(columns - panel);
    for (let block: u32 = 0; block < blocks; block++) {
      const first = firstOf(channels, block, blocks);
      const depth = firstOf(channels, block + 1, blocks) - first;
      let to = at(packed, first * columns + panel * depth + j0 - panel);
      for (let c = first; c < first + depth; c++, to += (width - 8) << 2) {
        for (let j = j0; j < j0 + 8; j += LANES, to += 16) {
          let from = at(weight, c * outChannels + j);
          let fromStep = tap;
          if (j + LANES > outChannels) {
            from = partOfWindow(scratch + PATCH_OFFSET, from, tap, outChannels - min(j, outChannels));
            fromStep = 16;
          }
          transformWindow(half, 48, 16, from, fromStep * 3, fromStep, 3);
          transformWindow(to, step, step * 6, half, 16, 48, 6);
        }
      }
    }
  }
}

/** The nine vectors of a window with only so many columns, 0 to 3, filled up with zeros. */
function partOfWindow(to: usize, from: usize, tap: usize, count: u32): usize {
  for (let k: usize = 0; k < 9; k++) v128.store(to + (k << 4), count > 0 ? loadLanes(from + k * tap, count) : f32x4.splat(0));
  return to;
}

/** y = x convolved with the window of `packed` (see winogradWindow), + bias [outChannels] (0: none), then the activation
 *  `epilogue` (0: none). x [batch, height, width, channels], y [batch, outHeight, outWidth, outChannels], padTop lines and
 *  padLeft columns of zeros around x (negative: so much is left out). Overwrites; y is no input. Unit: a tile of a strip of
 *  WINOGRAD_COLUMNS; all tiles of the first strip come first. */
export function convolveWinograd(
  begin: u32, end: u32, scratch: usize, y: usize, x: usize, packed: usize, bias: usize,
  batch: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, outChannels: u32,
  padTop: u32, padLeft: u32, epilogue: u32,
): void {
  const source = sourceAt(scratch + FREE_OFFSET, height, width, channels, WINOGRAD_REACH);
  const across = (outWidth + WINOGRAD_TILE - 1) / WINOGRAD_TILE;
  const ofImage = (outHeight + WINOGRAD_TILE - 1) / WINOGRAD_TILE * across;
  const tiles = batch * ofImage;
  const padded = wholePanels(outChannels);
  const step = <usize>(channels * padded + WINOGRAD_GAP) << 2;
  const blocks = blocksOf(channels, WINOGRAD_CHANNELS);
  while (begin < end) {
    const strip = begin / tiles;
    const column = strip * WINOGRAD_COLUMNS;
    const first = begin - strip * tiles;
    const stop = min(tiles, first + end - begin);
    const columns = min(WINOGRAD_COLUMNS, padded - column);
    const real = min(WINOGRAD_COLUMNS, outChannels - column);
    setBias(scratch + BIAS_OFFSET, bias != 0 ? at(bias, column) : 0, real);
    const m = scratch + M_OFFSET;
    const lineM = <usize>(WINOGRAD_PRODUCTS * columns) << 2;
    for (let tile = first; tile < stop; tile += BLOCK_TILES) {
      const count = min(BLOCK_TILES, stop - tile);
      for (let block: u32 = 0; block < blocks; block++) {
        const c = firstOf(channels, block, blocks);
        const depth = firstOf(channels, block + 1, blocks) - c;
        const lineV = <usize>(WINOGRAD_PRODUCTS * fours(depth)) << 2;
        for (let i: u32 = 0; i < count; i++) {
          const image = (tile + i) / ofImage;
          const inImage = tile + i - image * ofImage;
          const row = inImage / across;
          const top = <i32>(row * WINOGRAD_TILE - padTop);
          const left = <i32>((inImage - row * across) * WINOGRAD_TILE - padLeft);
          findPixels(source, x, scratch + PATCH_OFFSET, image, top, left, c, depth);
          inputTile(source, scratch + V_OFFSET + <usize>i * lineV, scratch + HALF_OFFSET, depth);
        }
        const u = at(packed, c * padded + column * depth);
        for (let p: u32 = 0; p < WINOGRAD_PRODUCTS; p++) {
          packTiles(scratch, at(scratch + V_OFFSET, p * fours(depth)), lineV, count, depth);
          multiplyRows(scratch, u + <usize>p * step, 0, at(m, p * columns), lineM, 0, count, columns, depth, block > 0, 0);
        }
      }
      for (let i: u32 = 0; i < count; i++) {
        const image = (tile + i) / ofImage;
        const inImage = tile + i - image * ofImage;
        const row = inImage / across;
        outputTile(
          scratch, at(y, column), m + <usize>i * lineM, image, row * WINOGRAD_TILE, (inImage - row * across) * WINOGRAD_TILE,
          outHeight, outWidth, outChannels, real, columns, epilogue,
        );
      }
    }
    begin += stop - first;
  }
}

/** The bias, or -0, which changes nothing, filled up to whole vectors. */
function setBias(to: usize, bias: usize, count: u32): void {
  if (bias != 0) copyPadded(to, bias, count);
  else for (let i: u32 = 0; i < count; i += LANES) v128.store(at(to, i), f32x4.splat(-0.0));
}

/** V of one tile: [p][channel]. */
function inputTile(s: Source, to: usize, half: usize, depth: u32): void {
  const step = <usize>fours(depth) << 2;
  let from = s.from;
  for (const stop = to + step; to < stop; to += 16, from += 16) {
    transformInput(half, 96, 16, from, s.line, s.pixel, 6);
    transformInput(to, step, step * 6, half, 16, 96, 6);
  }
}

/** Packs `rows` rows, `line` bytes apart, in panels, as `multiplyRows` reads them. */
function packTiles(panel: usize, from: usize, line: usize, rows: u32, depth: u32): void {
  while (rows > 0) {
    const height = heightOf(rows);
    const here = min(height, rows);
    packPanelAcross(panel, from, line, here, depth, height);
    panel += <usize>(depth * height) << 2;
    from += <usize>here * line;
    rows -= here;
  }
}

/** A tile of y of M [p][columns]; as much of it as is inside of y. */
function outputTile(
  scratch: usize, y: usize, m: usize, image: u32, row: u32, column: u32, height: u32, width: u32, channels: u32,
  real: u32, columns: u32, epilogue: u32,
): void {
  const half = scratch + HALF_OFFSET;
  const bias = scratch + BIAS_OFFSET;
  const step = <usize>columns << 2;
  const to = at(y, ((image * height + row) * width + column) * channels);
  const pixel = <usize>channels << 2;
  const line = <usize>width * pixel;
  const rows = min(WINOGRAD_TILE, height - row);
  const across = min(WINOGRAD_TILE, width - column);
  const whole = rows == WINOGRAD_TILE && across == WINOGRAD_TILE && (real & 3) == 0;
  const tile = whole ? to : scratch + OUT_OFFSET;
  const tilePixel = whole ? pixel : step;
  const tileLine = whole ? line : step * WINOGRAD_TILE;
  const limit: f32 = epilogue == EPILOGUE_RELU ? 0 : -Infinity;
  const end = <usize>real << 2;
  for (let k: usize = 0; k < end; k += 16) {
    transformOutput(half, 96, 16, m + k, step * 6, step, 6);
    finishOutput(tile + k, tilePixel, tileLine, half, 16, 96, 4, bias + k, limit);
  }
  if (whole && epilogue <= EPILOGUE_RELU) return;
  for (let i: u32 = 0; i < rows; i++) {
    for (let j: u32 = 0; j < across; j++) {
      finishPixel(to + <usize>i * line + <usize>j * pixel, tile + <usize>i * tileLine + <usize>j * tilePixel, real, epilogue);
    }
  }
}

/** Copies a pixel, and applies an activation that is not done yet. */
function finishPixel(to: usize, from: usize, count: u32, epilogue: u32): void {
  for (let k: u32 = 0; k < count; k += LANES) {
    const lanes = min(LANES, count - k);
    const v = loadLanes(at(from, k), lanes);
    storeLanes(at(to, k), epilogue <= EPILOGUE_RELU ? v : activated(v, epilogue), lanes);
  }
}

// ——— The gradient by the weights ———
//
//   dW = Gᵀ·N·G,  N[p] [channels, outChannels] = Σ V[p]ᵀ · D[p] over all tiles,  D = A·dy·Aᵀ

/** Channels, output channels and tiles of a block of the weights' gradient. */
export const WINOGRAD_BLOCK: u32 = 32;

// Scratch: packed columns of V, then V and D [tile][p][channel], then N [p][channel][outChannel].
const BLOCK_BYTES: usize = WINOGRAD_PRODUCTS * WINOGRAD_BLOCK * WINOGRAD_BLOCK * 4;
const D_OFFSET: usize = V_OFFSET + BLOCK_BYTES;
const N_OFFSET: usize = D_OFFSET + BLOCK_BYTES;

/** dW[part] = the gradient of W [3, 3, channels, outChannels] by the tiles of the part; their sum over the `parts` is the
 *  gradient. x [batch, height, width, channels], dy [batch, outHeight, outWidth, outChannels], dW [parts, 3, 3, channels,
 *  outChannels]. Overwrites. Unit: up to 32 channels and 32 output channels of a part. */
export function convolveWinogradWeights(
  begin: u32, end: u32, scratch: usize, dW: usize, x: usize, dy: usize,
  batch: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, outChannels: u32,
  padTop: u32, padLeft: u32, parts: u32,
): void {
  const input = sourceAt(scratch + FREE_OFFSET, height, width, channels, WINOGRAD_REACH);
  const output = sourceAt(scratch + FREE_OFFSET + 64, outHeight, outWidth, outChannels, WINOGRAD_TILE);
  const across = (outWidth + WINOGRAD_TILE - 1) / WINOGRAD_TILE;
  const ofImage = (outHeight + WINOGRAD_TILE - 1) / WINOGRAD_TILE * across;
  const tiles = batch * ofImage;
  const rowBlocks = blocksOf(channels, WINOGRAD_BLOCK);
  const columnBlocks = blocksOf(outChannels, WINOGRAD_BLOCK);
  for (let unit = begin; unit < end; unit++) {
    const part = unit / (rowBlocks * columnBlocks);
    const block = unit - part * rowBlocks * columnBlocks;
    const row = block / columnBlocks;
    const column = block - row * columnBlocks;
    const c = firstOf(channels, row, rowBlocks);
    const rows = firstOf(channels, row + 1, rowBlocks) - c;
    const k = firstOf(outChannels, column, columnBlocks);
    const columns = firstOf(outChannels, column + 1, columnBlocks) - k;
    const from = <u32>((<u64>tiles * part) / parts);
    const stop = <u32>((<u64>tiles * (part + 1)) / parts);
    const lineV = <usize>(WINOGRAD_PRODUCTS * fours(rows)) << 2;
    const lineD = <usize>(WINOGRAD_PRODUCTS * WINOGRAD_BLOCK) << 2;
    for (let tile = from; tile < stop; tile += WINOGRAD_BLOCK) {
      const count = min(WINOGRAD_BLOCK, stop - tile);
      for (let i: u32 = 0; i < count; i++) {
        const image = (tile + i) / ofImage;
        const inImage = tile + i - image * ofImage;
        const i4 = inImage / across * WINOGRAD_TILE;
        const j4 = (inImage % across) * WINOGRAD_TILE;
        findPixels(input, x, scratch + PATCH_OFFSET, image, <i32>(i4 - padTop), <i32>(j4 - padLeft), c, rows);
        inputTile(input, scratch + V_OFFSET + <usize>i * lineV, scratch + HALF_OFFSET, rows);
        findPixels(output, dy, scratch + PATCH_OFFSET, image, <i32>i4, <i32>j4, k, columns);
        gradientTile(output, scratch + D_OFFSET + <usize>i * lineD, scratch + HALF_OFFSET, columns);
      }
      addProducts(scratch, rows, columns, count, tile > from);
    }
    const target = dW + ((<usize>part * 9 * channels * outChannels + <usize>c * outChannels + k) << 2);
    windowGradient(target, scratch, rows, columns, <usize>outChannels << 2, <usize>(channels * outChannels) << 2);
  }
}

/** D of one tile: [p][outChannel], WINOGRAD_BLOCK of them. */
function gradientTile(s: Source, to: usize, half: usize, channels: u32): void {
  const step = <usize>WINOGRAD_BLOCK << 2;
  let from = s.from;
  for (const stop = to + (<usize>channels << 2); to < stop; to += 16, from += 16) {
    transformOutputGradient(half, 64, 16, from, s.line, s.pixel, 4);
    transformOutputGradient(to, step, step * 6, half, 16, 64, 6);
  }
}

/** N[p] = (add ? N[p] : 0) + V[p]ᵀ · D[p] over `depth` tiles. */
function addProducts(scratch: usize, rows: u32, columns: u32, depth: u32, add: bool): void {
  const lineV = <usize>(WINOGRAD_PRODUCTS * fours(rows)) << 2;
  const lineD = <usize>(WINOGRAD_PRODUCTS * WINOGRAD_BLOCK) << 2;
  for (let p: u32 = 0; p < WINOGRAD_PRODUCTS; p++) {
    let panel = scratch;
    let from = at(scratch + V_OFFSET, p * fours(rows));
    for (let left = rows; left > 0; ) {
      const height = heightOf(left);
      const here = min(height, left);
      packPanelAlong(panel, from, lineV, here, depth, height);
      panel += <usize>(depth * height) << 2;
      from += <usize>here << 2;
      left -= here;
    }
    const to = at(scratch + N_OFFSET, p * WINOGRAD_BLOCK * WINOGRAD_BLOCK);
    const d = at(scratch + D_OFFSET, p * WINOGRAD_BLOCK);
    multiplyRows(scratch, d, lineD, to, WINOGRAD_BLOCK * 4, 0, rows, wholePanels(columns), depth, add, 0);
  }
}

/** dW of a block: Gᵀ·N·G, [tap][channel][outChannel]. */
function windowGradient(to: usize, scratch: usize, rows: u32, columns: u32, line: usize, tap: usize): void {
  const half = scratch + HALF_OFFSET;
  const patch = scratch + PATCH_OFFSET;
  const step = <usize>(WINOGRAD_BLOCK * WINOGRAD_BLOCK) << 2;
  for (let c: u32 = 0; c < rows; c++, to += line) {
    const from = at(scratch + N_OFFSET, c * WINOGRAD_BLOCK);
    for (let k: u32 = 0; k < columns; k += LANES) {
      transformWindowGradient(half, 96, 16, at(from, k), step * 6, step, 6);
      if (k + LANES <= columns) {
        transformWindowGradient(at(to, k), tap, tap * 3, half, 16, 96, 3);
      } else {
        transformWindowGradient(patch, 16, 48, half, 16, 96, 3);
        for (let i: usize = 0; i < 9; i++) storeLanes(at(to, k) + i * tap, v128.load(patch + (i << 4)), columns - k);
      }
    }
  }
}
