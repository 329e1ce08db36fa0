// Convolutions to few channels, whose patches are not packed: with a few panels of 8 columns, packing would cost as much
// as it saves. The micro-kernel finds each number through a table of addresses instead:
//
//   C[i, 0…7] = Σ_k load(base[i] + offset[k]) · B[k, 0…7]
//
//                    base                              offset                            B
//   convolution      where a pixel's window begins     a place in the window             W, packed
//   its weights      a place in the window             where a pixel's window begins     dy
//
// A padded image's lines are copied, with zeros around them, into the thread's scratch first, so that all of a window
// can be read. The convolution leaves lines of the window out that see nothing but padding.
//
// As in assembly/tiles.ts, V8 11 only keeps all sums in registers where they are stored right behind the loop and nothing
// else follows in the function: inlined, or with bias and activation behind the loop, it takes half as long again.

import { IS_WIDE, madd } from "../simd";
import { finishTile, HEIGHT, heightOf, packColumns, PANEL_COLUMNS, panelWidth } from "../tiles";
import { tableWide4, tableWide5 } from "../wideTiles";
import { firstInside } from "./depthwise";

/** Pixels that a table holds, and places in a window. */
export const NARROW_PIXELS: u32 = 256;
export const NARROW_PLACES: u32 = 384;
export const NARROW_COLUMNS: u32 = 32;
/** A table's last tile is filled up; vectors of addresses are written past a line's end. */
const MORE: u32 = 8;

// Thread scratch, in bytes.
const TILE: usize = 128;
const BIAS: usize = TILE + 6 * PANEL_COLUMNS * 4;
const PIXEL_TABLE: usize = BIAS + NARROW_COLUMNS * 4;
const PLACE_TABLE: usize = PIXEL_TABLE + (NARROW_PIXELS + MORE) * 4;
const TARGET_TABLE: usize = PLACE_TABLE + (NARROW_PLACES + MORE) * 4;
const PANELS: usize = TARGET_TABLE + (NARROW_PLACES + MORE) * 4;
const COPY: usize = PANELS + NARROW_COLUMNS * NARROW_PLACES * 4;
/** Of what is left, so much is for the copy. */
export const NARROW_COPY_BYTES: usize = 440 << 10;

/** An image, whose pixels' windows are read from x or from a copy of some of its lines. */
@unmanaged class Source {
  x: usize;
  height: u32; outHeight: u32; outWidth: u32;
  strideY: u32; padTop: u32;
  /** Lines of x from the first of a window to behind the last. */
  span: u32;
  /** Bytes: of x's lines; from window to window; from x's line to where the first window begins. */
  line: usize; step: usize; left: usize;
  /** Of a copy: bytes of its lines and zeros on their left; whether there are zeros above and below too. */
  copyLine: usize; zeros: usize; around: bool; copied: bool;
  /** Rows of y of an image whose windows are in the copy, the line of x that it begins with, lines whose ends are zeros. */
  image: u32; firstRow: u32; stopRow: u32; firstLine: u32; cleared: u32;
  copy: usize;
}

function sourceOf(
  scratch: usize, x: usize, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32,
  windowHeight: u32, windowWidth: u32, strideY: u32, strideX: u32, dilationY: u32, dilationX: u32,
  padTop: u32, padLeft: u32, around: bool,
): Source {
  const s = changetype<Source>(scratch);
  const pixel = <usize>channels << 2;
  s.x = x;
  s.height = height;
  s.outHeight = outHeight;
  s.outWidth = outWidth;
  s.strideY = strideY;
  s.padTop = padTop;
  s.span = (windowHeight - 1) * dilationY + 1;
  s.line = <usize>width * pixel;
  s.step = <usize>strideX * pixel;
  const zeros = <u32>max(0, <i32>padLeft);
  const reach = <u32>max(0, <i32>((outWidth - 1) * strideX + (windowWidth - 1) * dilationX + 1 - padLeft - width));
  const below = <i32>((outHeight - 1) * strideY + s.span - padTop - height) > 0;
  s.copied = zeros + reach > 0 || (around && (<i32>padTop > 0 || below));
  s.around = around;
  s.copyLine = s.copied ? <usize>(zeros + width + reach) * pixel : s.line;
  s.zeros = <usize>zeros * pixel;
  s.left = <usize>(zeros - padLeft) * pixel;
  s.image = <u32>-1;
  s.cleared = 0;
  s.copy = scratch + COPY;
  const places = scratch + PLACE_TABLE;
  let at = places;
  for (let ky: u32 = 0; ky < windowHeight; ky++) {
    for (let kx: u32 = 0; kx < windowWidth; kx++) {
      let offset = <usize>(ky * dilationY) * s.copyLine + <usize>(kx * dilationX) * pixel;
      for (let c: u32 = 0; c < channels; c++, at += 4, offset += 4) store<u32>(at, <u32>offset);
    }
  }
  // Added to anything, -0 changes nothing.
  for (let k: u32 = 0; k < NARROW_COLUMNS; k++) store<f32>(scratch + BIAS + (<usize>k << 2), -0.0);
  return s;
}

/** Whether rows of y from i on can be read without `prepareRows`. */
function holds(s: Source, image: u32, i: u32): bool {
  return !s.copied || (image == s.image && i < s.stopRow);
}

/** Copies the lines of x that up to `rows` rows of y from row i on see, as many as there is room for. */
function copyRows(s: Source, image: u32, i: u32, rows: u32): void {
  const room = <u32>(NARROW_COPY_BYTES / s.copyLine);
  rows = min(min(rows, s.outHeight - i), (room - s.span) / s.strideY + 1);
  s.image = image;
  s.firstRow = i;
  s.stopRow = i + rows;
  let first = <i32>(i * s.strideY - s.padTop);
  let stop = first + <i32>((rows - 1) * s.strideY + s.span);
  if (!s.around) {
    first = max(first, 0);
    stop = min(stop, <i32>s.height);
  }
  s.firstLine = first;
  let to = s.copy;
  let from = s.x + <usize>(image * s.height + first) * s.line;
  const behind = s.copyLine - s.zeros - s.line;
  for (let line = first; line < stop; line++, to += s.copyLine, from += s.line) {
    if (<u32>line >= s.height) {
      fillZeros(to, s.copyLine);
      continue;
    }
    if (<u32>(line - first) >= s.cleared) {
      fillZeros(to, s.zeros);
      fillZeros(to + s.zeros + s.line, behind);
    }
    copyLine(to + s.zeros, from, s.line);
  }
  s.cleared = max(s.cleared, <u32>max(stop - first, 0));
}

function fillZeros(to: usize, bytes: usize): void {
  const stop = to + bytes;
  for (; to + 16 <= stop; to += 16) v128.store(to, i32x4.splat(0));
  for (; to < stop; to += 4) store<u32>(to, 0);
}

function copyLine(to: usize, from: usize, bytes: usize): void {
  const stop = to + bytes;
  for (; to + 16 <= stop; to += 16, from += 16) v128.store(to, v128.load(from));
  for (; to < stop; to += 4, from += 4) store<u32>(to, load<u32>(from));
}

/** Where the window of pixel (i, j) begins. */
function windowAt(s: Source, image: u32, i: u32, j: u32): usize {
  const top = i * s.strideY - s.padTop;
  const line = s.copied ? s.copy + <usize>(top - s.firstLine) * s.copyLine : s.x + <usize>(image * s.height + top) * s.line;
  return line + s.left + <usize>j * s.step;
}

/** Writes first, first + step, …: `count` addresses, and up to three more. */
function writeAddresses(to: usize, first: usize, step: usize, count: u32): void {
  let addresses = i32x4.add(i32x4.splat(<u32>first), i32x4.mul(i32x4.splat(<u32>step), i32x4(0, 1, 2, 3)));
  const next = i32x4.splat(<u32>step << 2);
  for (let i: u32 = 0; i < count; i += 4, to += 16, addresses = i32x4.add(addresses, next)) v128.store(to, addresses);
}

/** y[n, i, j, k] = Σ x[n, i·strideY + ky·dilationY - padTop, j·strideX + kx·dilationX - padLeft, c] · W[ky, kx, c, k],
 *  zeros outside of x, + bias [outChannels] (0: none), then the activation `epilogue` (0: none), for up to 32 outChannels,
 *  windows of up to 384 numbers, and lines that fit into the scratch. x [batch, height, width, channels], W [windowHeight,
 *  windowWidth, channels, outChannels]; y's images, rows and pixels are imageStep, rowStep and pixelStep elements apart.
 *  Overwrites; y is no input. Unit: a pixel of y. */
export function convolveNarrow(
  begin: u32, end: u32, scratch: usize, y: usize, x: usize, weight: usize, bias: usize,
  height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, outChannels: u32,
  windowHeight: u32, windowWidth: u32, strideY: u32, strideX: u32, dilationY: u32, dilationX: u32,
  padTop: u32, padLeft: u32, imageStep: u32, rowStep: u32, pixelStep: u32, epilogue: u32,
): void {
  const s = sourceOf(
    scratch, x, height, width, channels, outHeight, outWidth, windowHeight, windowWidth,
    strideY, strideX, dilationY, dilationX, padTop, padLeft, false,
  );
  const depthOfLine = windowWidth * channels;
  const depth = windowHeight * depthOfLine;
  packColumns(scratch + PANELS, weight, outChannels, 0, 0, outChannels, depth);
  if (bias != 0) copyLine(scratch + BIAS, bias, <usize>outChannels << 2);
  // Lines [ky, kyEnd) of the window are inside of x for all pixels in the table.
  let count: u32 = 0;
  let ky: u32 = 0;
  let kyEnd: u32 = 0;
  while (begin < end) {
    const row = begin / outWidth;
    const image = row / outHeight;
    const i = row - image * outHeight;
    const j = begin - row * outWidth;
    const top = i * strideY - padTop;
    const first = firstInside(top, dilationY, windowHeight);
    const stop = max(first, firstInside(top - height, dilationY, windowHeight));
    const held = holds(s, image, i);
    if (count == NARROW_PIXELS || (count > 0 && (!held || first != ky || stop != kyEnd))) {
      narrowTiles(scratch, count, depthOfLine, ky, kyEnd, depth, outChannels, epilogue);
      count = 0;
    }
    if (!held) copyRows(s, image, i, (end - begin + j + outWidth - 1) / outWidth);
    ky = first;
    kyEnd = stop;
    const here = min(min(outWidth - j, end - begin), NARROW_PIXELS - count);
    const at = <usize>count << 2;
    writeAddresses(scratch + PIXEL_TABLE + at, windowAt(s, image, i, j), s.step, here);
    const to = y + ((<usize>image * imageStep + <usize>i * rowStep + <usize>j * pixelStep) << 2);
    writeAddresses(scratch + TARGET_TABLE + at, to, <usize>pixelStep << 2, here);
    count += here;
    begin += here;
  }
  narrowTiles(scratch, count, depthOfLine, ky, kyEnd, depth, outChannels, epilogue);
}

/** The tiles of the pixels in the table. */
function narrowTiles(
  scratch: usize, count: u32, depthOfLine: u32, ky: u32, kyEnd: u32, depth: u32, columns: u32, epilogue: u32,
): void {
  const places = scratch + PLACE_TABLE;
  const skipped = <usize>(ky * depthOfLine) << 2;
  multiplyTables(
    scratch, scratch + PIXEL_TABLE, count, places + skipped, places + (<usize>(kyEnd * depthOfLine) << 2),
    scratch + PANELS, 0, depth, ky * depthOfLine, columns, scratch + BIAS, epilogue,
  );
}

/** dW[part, ky, kx, c, k] = Σ x[n, i·strideY + ky·dilationY - padTop, j·strideX + kx·dilationX - padLeft, c] ·
 *  dy[n, i, j, k] over the pixels of the part; their sum over the `parts` is the gradient. Sizes as `convolveNarrow`.
 *  Overwrites. Unit: a part. */
export function convolveNarrowWeights(
  begin: u32, end: u32, scratch: usize, dW: usize, x: usize, dy: usize,
  batch: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, outChannels: u32,
  windowHeight: u32, windowWidth: u32, strideY: u32, strideX: u32, dilationY: u32, dilationX: u32,
  padTop: u32, padLeft: u32, parts: u32,
): void {
  const s = sourceOf(
    scratch, x, height, width, channels, outHeight, outWidth, windowHeight, windowWidth,
    strideY, strideX, dilationY, dilationX, padTop, padLeft, true,
  );
  const depth = windowHeight * windowWidth * channels;
  const pixels = <u64>batch * outHeight * outWidth;
  const line = <usize>outChannels << 2;
  for (; begin < end; begin++) {
    let pixel = <u32>((pixels * begin) / parts);
    const stop = <u32>((pixels * (begin + 1)) / parts);
    writeAddresses(scratch + TARGET_TABLE, dW + <usize>(begin * depth) * line, line, depth);
    // Blocks end where the copy does: no part begins with what another has left.
    s.stopRow = 0;
    let bias = scratch + BIAS;
    while (pixel < stop) {
      const count = placeWindows(s, scratch + PIXEL_TABLE, pixel, min(NARROW_PIXELS, stop - pixel));
      let panels = dy + <usize>pixel * line;
      const direct = (outChannels & 7) == 0;
      if (!direct) {
        packColumns(scratch + PANELS, dy, outChannels, 0, pixel, outChannels, count);
        panels = scratch + PANELS;
      }
      multiplyTables(
        scratch, scratch + PLACE_TABLE, depth, scratch + PIXEL_TABLE, scratch + PIXEL_TABLE + (<usize>count << 2),
        panels, direct ? line : 0, count, 0, outChannels, bias, 0,
      );
      bias = 0;
      pixel += count;
    }
  }
}

/** Notes where the windows of up to `most` pixels from `pixel` on begin; returns of how many. */
function placeWindows(s: Source, to: usize, pixel: u32, most: u32): u32 {
  let count: u32 = 0;
  while (count < most) {
    const row = (pixel + count) / s.outWidth;
    const image = row / s.outHeight;
    const i = row - image * s.outHeight;
    const j = pixel + count - row * s.outWidth;
    if (!holds(s, image, i)) {
      if (count > 0) return count;
      copyRows(s, image, i, (most + j + s.outWidth - 1) / s.outWidth);
    }
    const here = min(s.outWidth - j, most - count);
    writeAddresses(to + (<usize>count << 2), windowAt(s, image, i, j), s.step, here);
    count += here;
  }
  return count;
}

/** All tiles of `rows` × `columns` of C, whose rows' addresses are in the table of targets: those of `bases` with all
 *  offsets from `at` to `stop`, B's line `first` being that of `at`. B is packed, `depth` lines in all (`lineB` 0), or its lines
 *  are lineB bytes apart. `bias`: what is added; 0: C itself, and no activation. */
function multiplyTables(
  scratch: usize, bases: usize, rows: u32, at: usize, stop: usize, b: usize, lineB: usize, depth: u32, first: u32, columns: u32,
  bias: usize, epilogue: u32,
): void {
  const targets = scratch + TARGET_TABLE;
  const tile = scratch + TILE;
  // The last tile's rows that are none are like the last one.
  for (let i = rows; i < rows + HEIGHT; i++) store<u32>(bases + (<usize>i << 2), load<u32>(bases + (<usize>(rows - 1) << 2)));
  for (let column: u32 = 0; column < columns; ) {
    const panel = panelWidth(columns - column);
    const width = min(panel, columns - column);
    const shift = <usize>column << 2;
    const from = b + (<usize>(lineB != 0 ? column : depth * column + first * panel) << 2);
    const step = <usize>panel << 2;
    const stepB = lineB != 0 ? lineB : step;
    const biasHere = bias != 0 ? bias + shift : 0;
    for (let i: u32 = 0; i < rows; ) {
      const height = heightOf(rows - i);
      const here = min(height, rows - i);
      const base = bases + (<usize>i << 2);
      const to = targets + (<usize>i << 2);
      // Called from two places, so that it is not inlined: see the head.
      if (width == panel && epilogue < 2) {
        multiplyTable(tile, base, at, stop, from, stepB, height, panel);
        finishTable(to, shift, tile, step, here, biasHere, epilogue);
        if (IS_WIDE && panel == 16) finishTable(to, shift + 32, tile + 32, step, here, bias != 0 ? biasHere + 32 : 0, epilogue);
      } else {
        multiplyTable(tile, base, at, stop, from, stepB, height, panel);
        for (let row: u32 = 0; row < here; row++) {
          const c = <usize>load<u32>(to + (<usize>row << 2)) + shift;
          const x = tile + <usize>row * step;
          finishTile(c, 0, x, step, 1, min<u32>(width, 8), biasHere, bias == 0, epilogue);
          if (width > 8) finishTile(c + 32, 0, x + 32, step, 1, width - 8, bias != 0 ? biasHere + 32 : 0, bias == 0, epilogue);
        }
      }
      i += here;
    }
    column += panel;
  }
}

function finishTable(to: usize, shift: usize, tile: usize, step: usize, rows: u32, bias: usize, epilogue: u32): void {
  const stop = tile + <usize>rows * step;
  if (bias == 0) {
    for (; tile < stop; tile += step, to += 4) {
      const c = <usize>load<u32>(to) + shift;
      const y0 = f32x4.add(v128.load(c), v128.load(tile));
      const y1 = f32x4.add(v128.load(c, 16), v128.load(tile, 16));
      v128.store(c, y0);
      v128.store(c, y1, 16);
    }
    return;
  }
  const b0 = v128.load(bias);
  const b1 = v128.load(bias, 16);
  const limit = f32x4.splat(epilogue != 0 ? 0 : -Infinity);
  for (; tile < stop; tile += step, to += 4) {
    const c = <usize>load<u32>(to) + shift;
    const y0 = f32x4.pmax(f32x4.add(b0, v128.load(tile)), limit);
    const y1 = f32x4.pmax(f32x4.add(b1, v128.load(tile, 16)), limit);
    v128.store(c, y0);
    v128.store(c, y1, 16);
  }
}

function multiplyTable(
  c: usize, base: usize, at: usize, stop: usize, b: usize, stepB: usize, height: u32, width: u32,
): void {
  if (IS_WIDE && width == 16) {
    if (height == 4) tableWide4(c, base, at, stop, b, stepB);
    else tableWide5(c, base, at, stop, b, stepB);
  } else if (height == 4) table4(c, base, at, stop, b, stepB);
  else if (ASC_FEATURE_RELAXED_SIMD) table6(c, base, at, stop, b, stepB);
  else table5(c, base, at, stop, b, stepB);
}

function table4(c: usize, base: usize, at: usize, stop: usize, b: usize, stepB: usize): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  const p0 = <usize>load<u32>(base), p1 = <usize>load<u32>(base, 4), p2 = <usize>load<u32>(base, 8), p3 = <usize>load<u32>(base, 12);
  for (; at < stop; at += 4, b += stepB) {
    const offset = <usize>load<u32>(at);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(p0 + offset);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(p1 + offset);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(p2 + offset);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(p3 + offset);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c, c10, 32);
  v128.store(c, c11, 48);
  v128.store(c, c20, 64);
  v128.store(c, c21, 80);
  v128.store(c, c30, 96);
  v128.store(c, c31, 112);
}

function table5(c: usize, base: usize, at: usize, stop: usize, b: usize, stepB: usize): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0);
  const p0 = <usize>load<u32>(base), p1 = <usize>load<u32>(base, 4), p2 = <usize>load<u32>(base, 8), p3 = <usize>load<u32>(base, 12), p4 = <usize>load<u32>(base, 16);
  for (; at < stop; at += 4, b += stepB) {
    const offset = <usize>load<u32>(at);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(p0 + offset);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(p1 + offset);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(p2 + offset);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(p3 + offset);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(p4 + offset);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c, c10, 32);
  v128.store(c, c11, 48);
  v128.store(c, c20, 64);
  v128.store(c, c21, 80);
  v128.store(c, c30, 96);
  v128.store(c, c31, 112);
  v128.store(c, c40, 128);
  v128.store(c, c41, 144);
}

function table6(c: usize, base: usize, at: usize, stop: usize, b: usize, stepB: usize): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  const p0 = <usize>load<u32>(base), p1 = <usize>load<u32>(base, 4), p2 = <usize>load<u32>(base, 8), p3 = <usize>load<u32>(base, 12), p4 = <usize>load<u32>(base, 16), p5 = <usize>load<u32>(base, 20);
  for (; at < stop; at += 4, b += stepB) {
    const offset = <usize>load<u32>(at);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(p0 + offset);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(p1 + offset);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(p2 + offset);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(p3 + offset);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(p4 + offset);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load32_splat(p5 + offset);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c, c10, 32);
  v128.store(c, c11, 48);
  v128.store(c, c20, 64);
  v128.store(c, c21, 80);
  v128.store(c, c30, 96);
  v128.store(c, c31, 112);
  v128.store(c, c40, 128);
  v128.store(c, c41, 144);
  v128.store(c, c50, 160);
  v128.store(c, c51, 176);
}
