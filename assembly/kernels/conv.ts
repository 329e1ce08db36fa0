// Convolutions of images [batch, height, width, channels] as matrix products whose left operand, the patches, exists
// only in the packed panels of the micro-kernel (assembly/tiles.ts): it is gathered from the image while packing.
//
//   y [pixels, outChannels] = P · W              dW [window · channels, outChannels] = Pᵀ · dy
//
//   P: a row for each pixel of y                 x ┌─────────────────────┐   a tap of the window is `channels` numbers
//      ┌─ ky 0 ──────┬─ ky 1 ──────┬─ …            │   ┌───┬───┬───┐ ky 0│   that lie together; a line of it (a "run")
//      │ kx 0 1 2 …  │             │               │   ├───┼───┼───┤ ky 1│   too, where dilation and groups leave no
//      └─────────────┴─────────────┴─ …            │   └───┴───┴───┘     │   gaps; outside of the image there are zeros
//                                                  └─────────────────────┘
//
// The gradient for x is a convolution of dy with the window turned round (`flipKernel`); with a stride, one for each
// position of x's pixels relative to the stride, which the window's taps are divided among. So `convolve` writes its
// pixels at any distance. A transposed convolution is the same.

import {
  B_OFFSET, STRIP_COLUMNS, PANEL_DEPTH, DIRECT_ROWS, fillColumn, FREE_OFFSET, heightOf, multiplyRows, packColumns, packFour,
  packOne, packPanelAlong, PANEL_ROWS,
} from "../tiles";

/** What all that packs has to know; lies in the thread's scratch. */
@unmanaged class Geometry {
  height: u32; width: u32; channels: u32;
  outHeight: u32; outWidth: u32;
  windowHeight: u32; windowWidth: u32;
  strideY: u32; strideX: u32;
  dilationY: u32; dilationX: u32;
  padTop: u32; padLeft: u32;
  /** Channels of a tap, those of one group; a line of the window without gaps. */
  tap: u32; merged: bool;
  /** Bytes from a tap to the next, and from a line of the window to the next. */
  tapStep: usize; lineStep: usize;
  /** Where the block of depth that is being packed begins in the window. */
  tapRow: u32; tapColumn: u32; tapChannel: u32;
  zeros: usize;
}

/** A pixel of y: where its window begins in x (perhaps outside), and whether all of the window is inside. */
@unmanaged class Pixel {
  from: usize; row: u32; column: u32; inside: u32;
}

const PIXEL: u32 = 16;
const PIXELS_OFFSET: usize = FREE_OFFSET + 128;
const ZEROS_OFFSET: usize = PIXELS_OFFSET + PANEL_ROWS * PIXEL;

function geometryAt(
  scratch: usize, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, windowHeight: u32, windowWidth: u32,
  strideY: u32, strideX: u32, dilationY: u32, dilationX: u32, padTop: u32, padLeft: u32, groups: u32,
): Geometry {
  const g = changetype<Geometry>(scratch + FREE_OFFSET);
  g.height = height;
  g.width = width;
  g.channels = channels;
  g.outHeight = outHeight;
  g.outWidth = outWidth;
  g.windowHeight = windowHeight;
  g.windowWidth = windowWidth;
  g.strideY = strideY;
  g.strideX = strideX;
  g.dilationY = dilationY;
  g.dilationX = dilationX;
  g.padTop = padTop;
  g.padLeft = padLeft;
  g.tap = channels / groups;
  g.merged = groups == 1 && dilationX == 1;
  g.tapStep = <usize>(dilationX * channels) << 2;
  g.lineStep = <usize>(dilationY * width * channels) << 2;
  g.zeros = scratch + ZEROS_OFFSET;
  fillColumn(g.zeros, 4, min(g.tap, PANEL_DEPTH));
  return g;
}

/** y[n, i, j, k] = Σ x[n, i·strideY + ky·dilationY - padTop, j·strideX + kx·dilationX - padLeft, c] · W[ky, kx, c, k],
 *  zeros outside of x, + bias [outChannels] (0: none), then the activation `epilogue` (0: none). x [batch, height, width,
 *  channels], W [windowHeight, windowWidth, channels / groups, outChannels]; y's images, rows and pixels are imageStep,
 *  rowStep and pixelStep elements apart. Overwrites; y is no input. Unit: a pixel of y in a strip of 256 channels of a
 *  group; all pixels of the first strip come first. */
export function convolve(
  begin: u32, end: u32, scratch: usize, y: usize, x: usize, weight: usize, bias: usize,
  batch: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, outChannels: u32,
  windowHeight: u32, windowWidth: u32, strideY: u32, strideX: u32, dilationY: u32, dilationX: u32,
  padTop: u32, padLeft: u32, groups: u32, imageStep: u32, rowStep: u32, pixelStep: u32, epilogue: u32,
): void {
  const g = geometryAt(
    scratch, height, width, channels, outHeight, outWidth, windowHeight, windowWidth,
    strideY, strideX, dilationY, dilationX, padTop, padLeft, groups,
  );
  const pixels = batch * outHeight * outWidth;
  const groupColumns = outChannels / groups;
  const strips = (groupColumns + STRIP_COLUMNS - 1) / STRIP_COLUMNS;
  const depthAll = windowHeight * windowWidth * g.tap;
  const depthBlocks = max((depthAll + PANEL_DEPTH - 1) / PANEL_DEPTH, 1);
  const compact = rowStep == outWidth * pixelStep && imageStep == outHeight * rowStep;
  const line = <usize>pixelStep << 2;
  while (begin < end) {
    const strip = begin / pixels;
    const first = begin - strip * pixels;
    const stop = min(pixels, first + end - begin);
    const group = strip / strips;
    const inGroup = (strip - group * strips) * STRIP_COLUMNS;
    const columns = min(STRIP_COLUMNS, groupColumns - inGroup);
    const column = group * groupColumns + inGroup;
    const direct = stop - first <= DIRECT_ROWS && (columns & 7) == 0;
    for (let block: u32 = 0; block < depthBlocks; block++) {
      const k0 = <u32>((<u64>depthAll * block) / depthBlocks);
      const depth = <u32>((<u64>depthAll * (block + 1)) / depthBlocks) - k0;
      let panels = scratch + B_OFFSET;
      if (direct) panels = weight + ((<usize>k0 * outChannels + column) << 2);
      else packColumns(panels, weight, outChannels, column, k0, columns, depth);
      const last = block + 1 == depthBlocks;
      const stripBias = last && bias != 0 ? bias + (<usize>column << 2) : 0;
      const lineB = direct ? <usize>outChannels << 2 : 0;
      beginDepth(g, k0);
      for (let pixel = first; pixel < stop; ) {
        const row = pixel / outWidth;
        const inRow = pixel - row * outWidth;
        const rows = min(compact ? PANEL_ROWS : min(PANEL_ROWS, outWidth - inRow), stop - pixel);
        const image = row / outHeight;
        placePixels(g, scratch + PIXELS_OFFSET, x + (<usize>(group * g.tap) << 2), image, row - image * outHeight, inRow, rows);
        packPatches(scratch, scratch + PIXELS_OFFSET, g, rows, depth);
        const to = y + ((<usize>image * imageStep + <usize>(row - image * outHeight) * rowStep + <usize>inRow * pixelStep + column) << 2);
        multiplyRows(scratch, panels, lineB, to, line, stripBias, rows, columns, depth, block > 0, last ? epilogue : 0);
        pixel += rows;
      }
    }
    begin += stop - first;
  }
}

function beginDepth(g: Geometry, k0: u32): void {
  const tap = k0 / max(g.tap, 1);
  const row = tap / max(g.windowWidth, 1);
  g.tapChannel = k0 - tap * g.tap;
  g.tapRow = row;
  g.tapColumn = tap - row * g.windowWidth;
}

/** Notes where the windows of `count` pixels lie, which follow each other from row i, column j of an image of y. */
function placePixels(g: Geometry, at: usize, x: usize, image: u32, i: u32, j: u32, count: u32): void {
  const rows = <i32>g.height - <i32>((g.windowHeight - 1) * g.dilationY);
  const columns = <i32>g.width - <i32>((g.windowWidth - 1) * g.dilationX);
  const outWidth = g.outWidth;
  const step = <usize>(g.strideX * g.channels) << 2;
  for (const stop = at + <usize>count * PIXEL; at < stop; ) {
    const row = i * g.strideY - g.padTop;
    let column = j * g.strideX - g.padLeft;
    let from = x + (<usize>(((image * g.height + row) * g.width + column) * g.channels) << 2);
    const inside = <i32>row >= 0 && <i32>row < rows;
    const lineStop = min(stop, at + <usize>(outWidth - j) * PIXEL);
    for (; at < lineStop; at += PIXEL) {
      const pixel = changetype<Pixel>(at);
      pixel.from = from;
      pixel.row = row;
      pixel.column = column;
      pixel.inside = u32(inside && <i32>column >= 0 && <i32>column < columns);
      column += g.strideX;
      from += step;
    }
    j = 0;
    if (++i == g.outHeight) {
      i = 0;
      image++;
    }
  }
}

/** Packs the patches of `rows` pixels in panels, the last filled up with zeros. */
function packPatches(panel: usize, pixel: usize, g: Geometry, rows: u32, depth: u32): void {
  while (rows > 0) {
    const height = heightOf(rows);
    const here = min(height, rows);
    if (!packBeside(panel, pixel, g, here, depth, height)) {
      const step = <usize>height << 2;
      let at = panel;
      let i: u32 = 0;
      for (; i + 4 <= here; i += 4, at += 16, pixel += 4 * PIXEL) gatherFour(at, pixel, g, step, depth);
      for (; i < here; i++, at += 4, pixel += PIXEL) gatherOne(at, pixel, g, step, depth);
      for (; i < height; i++, at += 4) fillColumn(at, step, depth);
    } else {
      pixel += here * PIXEL;
    }
    panel += <usize>(depth * height) << 2;
    rows -= here;
  }
}

/** One channel, and pixels that are neighbours in x: whole vectors of them. False where it is not so. */
function packBeside(panel: usize, pixel: usize, g: Geometry, here: u32, depth: u32, height: u32): bool {
  if (g.channels != 1 || depth != g.windowHeight * g.windowWidth) return false;
  const first = changetype<Pixel>(pixel);
  const last = changetype<Pixel>(pixel + (here - 1) * PIXEL);
  if (first.inside == 0 || last.inside == 0 || first.row != last.row || last.from - first.from != <usize>(here - 1) << 2) return false;
  let from = first.from;
  for (let ky: u32 = 0; ky < g.windowHeight; ky++) {
    packPanelAlong(panel, from, g.tapStep, here, g.windowWidth, height);
    panel += <usize>(g.windowWidth * height) << 2;
    from += g.lineStep;
  }
  return true;
}

/** Where the tap at `offset` bytes, row ky, column kx of the window lies for a pixel: in x, or among the zeros. */
function tapAt(pixel: usize, g: Geometry, ky: u32, kx: u32, offset: usize): usize {
  const p = changetype<Pixel>(pixel);
  const outside = p.row + ky * g.dilationY >= g.height || p.column + kx * g.dilationX >= g.width;
  return outside ? g.zeros : p.from + offset;
}

function gatherFour(to: usize, pixel: usize, g: Geometry, step: usize, depth: u32): void {
  const p0 = changetype<Pixel>(pixel);
  const p1 = changetype<Pixel>(pixel + PIXEL);
  const p2 = changetype<Pixel>(pixel + 2 * PIXEL);
  const p3 = changetype<Pixel>(pixel + 3 * PIXEL);
  const inside = (p0.inside & p1.inside & p2.inside & p3.inside) != 0;
  const merged = inside && g.merged;
  let ky = g.tapRow;
  let kx = g.tapColumn;
  let c = g.tapChannel;
  while (depth > 0) {
    const count = min(depth, (merged ? (g.windowWidth - kx) * g.tap : g.tap) - c);
    const offset = <usize>ky * g.lineStep + <usize>kx * g.tapStep + (<usize>c << 2);
    if (inside) {
      packFour(to, p0.from + offset, p1.from + offset, p2.from + offset, p3.from + offset, step, count);
    } else {
      packFour(
        to, tapAt(pixel, g, ky, kx, offset), tapAt(pixel + PIXEL, g, ky, kx, offset),
        tapAt(pixel + 2 * PIXEL, g, ky, kx, offset), tapAt(pixel + 3 * PIXEL, g, ky, kx, offset),
        step, count,
      );
    }
    to += <usize>count * step;
    depth -= count;
    c = 0;
    if (merged || ++kx == g.windowWidth) {
      kx = 0;
      ky++;
    }
  }
}

function gatherOne(to: usize, pixel: usize, g: Geometry, step: usize, depth: u32): void {
  const p = changetype<Pixel>(pixel);
  const merged = p.inside != 0 && g.merged;
  let ky = g.tapRow;
  let kx = g.tapColumn;
  let c = g.tapChannel;
  while (depth > 0) {
    const count = min(depth, (merged ? (g.windowWidth - kx) * g.tap : g.tap) - c);
    const offset = <usize>ky * g.lineStep + <usize>kx * g.tapStep + (<usize>c << 2);
    packOne(to, merged ? p.from + offset : tapAt(pixel, g, ky, kx, offset), step, count);
    to += <usize>count * step;
    depth -= count;
    c = 0;
    if (merged || ++kx == g.windowWidth) {
      kx = 0;
      ky++;
    }
  }
}

/** dW[part, ky, kx, c, k] = Σ x[n, i·strideY + ky·dilationY - padTop, j·strideX + kx·dilationX - padLeft, c] ·
 *  dy[n, i, j, k] over the pixels of the part; their sum over the `parts` is the gradient. x [batch, height, width,
 *  channels], dy [batch, outHeight, outWidth, outChannels], dW [parts, windowHeight, windowWidth, channels / groups,
 *  outChannels]. Overwrites. Unit: up to 60 rows of a run of dW, in a strip of 256 channels of a group, of a part. */
export function convolveWeights(
  begin: u32, end: u32, scratch: usize, dW: usize, x: usize, dy: usize,
  batch: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, outChannels: u32,
  windowHeight: u32, windowWidth: u32, strideY: u32, strideX: u32, dilationY: u32, dilationX: u32,
  padTop: u32, padLeft: u32, groups: u32, parts: u32,
): void {
  const g = geometryAt(
    scratch, height, width, channels, outHeight, outWidth, windowHeight, windowWidth,
    strideY, strideX, dilationY, dilationX, padTop, padLeft, groups,
  );
  const pixels = batch * outHeight * outWidth;
  const groupColumns = outChannels / groups;
  const strips = (groupColumns + STRIP_COLUMNS - 1) / STRIP_COLUMNS;
  const depthAll = windowHeight * windowWidth * g.tap;
  const run = g.merged ? windowWidth * g.tap : g.tap;
  const blocksOfRun = (run + PANEL_ROWS - 1) / PANEL_ROWS;
  const blocks = (depthAll / run) * blocksOfRun;
  const line = <usize>outChannels << 2;
  while (begin < end) {
    const outer = begin / blocks;
    const first = begin - outer * blocks;
    const stop = min(blocks, first + end - begin);
    const part = outer / (groups * strips);
    const strip = outer - part * groups * strips;
    const group = strip / strips;
    const inGroup = (strip - group * strips) * STRIP_COLUMNS;
    const columns = min(STRIP_COLUMNS, groupColumns - inGroup);
    const column = group * groupColumns + inGroup;
    const direct = (stop - first) * min(run, PANEL_ROWS) <= DIRECT_ROWS && (columns & 7) == 0;
    const from = <u32>((<u64>pixels * part) / parts);
    const count = <u32>((<u64>pixels * (part + 1)) / parts) - from;
    const depthBlocks = (count + PANEL_DEPTH - 1) / PANEL_DEPTH;
    for (let block: u32 = 0; block < depthBlocks; block++) {
      const pixel = from + <u32>((<u64>count * block) / depthBlocks);
      const depth = from + <u32>((<u64>count * (block + 1)) / depthBlocks) - pixel;
      let panels = scratch + B_OFFSET;
      if (direct) panels = dy + ((<usize>pixel * outChannels + column) << 2);
      else packColumns(panels, dy, outChannels, column, pixel, columns, depth);
      for (let i = first; i < stop; i++) {
        const inRun = i % blocksOfRun;
        const lane = (run * inRun) / blocksOfRun;
        const rows = (run * (inRun + 1)) / blocksOfRun - lane;
        const row = (i / blocksOfRun) * run + lane;
        packWindowRows(scratch, g, x + (<usize>(group * g.tap) << 2), pixel, row, rows, depth);
        const to = dW + (<usize>part * depthAll + row) * line + (<usize>column << 2);
        multiplyRows(scratch, panels, direct ? line : 0, to, line, 0, rows, columns, depth, block > 0, 0);
      }
    }
    begin += stop - first;
  }
}

/** Packs `rows` rows of Pᵀ, all of one run, in panels: each is one place of the window, for `depth` pixels from `pixel` on. */
function packWindowRows(panel: usize, g: Geometry, x: usize, pixel: u32, row: u32, rows: u32, depth: u32): void {
  const line = pixel / g.outWidth;
  const image = line / g.outHeight;
  const firstRow = line - image * g.outHeight;
  const firstColumn = pixel - line * g.outWidth;
  const images = x + (<usize>image * g.height * g.width * g.channels << 2);
  while (rows > 0) {
    const height = heightOf(rows);
    const here = min(height, rows);
    packWindowPanel(panel, g, images, firstRow, firstColumn, row, here, depth, height);
    panel += <usize>(depth * height) << 2;
    row += here;
    rows -= here;
  }
}

/** One panel, line by line of y: pixels whose places are all inside of x are copied, the rest looked at one by one. */
function packWindowPanel(
  to: usize, g: Geometry, image: usize, i: u32, j: u32, row: u32, here: u32, depth: u32, height: u32,
): void {
  const tap = row / g.tap;
  const c = row - tap * g.tap;
  const ky = tap / g.windowWidth;
  const kx = tap - ky * g.windowWidth;
  const lastX = kx + (c + here - 1) / g.tap;
  const left = firstInside(g, <i32>(kx * g.dilationX));
  const right = max(left, firstInside(g, <i32>(lastX * g.dilationX) - <i32>g.width));
  const offset = (kx * g.dilationX - g.padLeft) * g.channels + c;
  const pixelStep = <usize>(g.strideX * g.channels) << 2;
  const step = <usize>height << 2;
  const imageStep = <usize>(g.height * g.width * g.channels) << 2;
  while (depth > 0) {
    const stop = min(g.outWidth, j + depth);
    depth -= stop - j;
    const y = i * g.strideY + ky * g.dilationY - g.padTop;
    if (y >= g.height) {
      fillColumn(to, 4, (stop - j) * height);
      to += <usize>(stop - j) * step;
    } else {
      const line = image + (<usize>(y * g.width * g.channels + offset) << 2);
      const middle = max(j, min(left, stop));
      const after = max(middle, min(right, stop));
      to = packEdge(to, g, line, j, middle, kx, c, here, height);
      packPanelAlong(to, line + <usize>middle * pixelStep, pixelStep, here, after - middle, height);
      to += <usize>(after - middle) * step;
      to = packEdge(to, g, line, after, stop, kx, c, here, height);
    }
    j = 0;
    if (++i == g.outHeight) {
      i = 0;
      image += imageStep;
    }
  }
}

/** The first column j of y for which j·strideX + place - padLeft >= 0, at most outWidth. */
function firstInside(g: Geometry, place: i32): u32 {
  const missing = <i32>g.padLeft - place;
  return missing <= 0 ? 0 : min(g.outWidth, (<u32>missing + g.strideX - 1) / g.strideX);
}

/** Pixels j to `stop` of a line, each place by itself; returns where the panel goes on. */
function packEdge(to: usize, g: Geometry, line: usize, j: u32, stop: u32, kx: u32, c: u32, here: u32, height: u32): usize {
  for (; j < stop; j++) {
    const from = line + (<usize>(j * g.strideX * g.channels) << 2);
    for (let lane: u32 = 0; lane < height; lane++, to += 4) {
      const column = j * g.strideX + (kx + (c + lane) / g.tap) * g.dilationX - g.padLeft;
      store<u32>(to, lane < here && column < g.width ? load<u32>(from + (<usize>lane << 2)) : 0);
    }
  }
  return to;
}

/** The taps (firstY + i·stepY, firstX + j·stepX) of a window in reverse order, each transposed within its group:
 *  y [rows, columns, outChannels / groups, channels], x [windowHeight, windowWidth, channels / groups, outChannels].
 *  Overwrites; y is not x. Unit: a tap. */
export function flipKernel(
  begin: u32, end: u32, y: usize, x: usize, rows: u32, columns: u32, channels: u32, outChannels: u32, groups: u32,
  windowWidth: u32, firstY: u32, firstX: u32, stepY: u32, stepX: u32,
): void {
  const tap = channels / groups;
  const outTap = outChannels / groups;
  const line = <usize>outChannels << 2;
  const step = <usize>channels << 2;
  for (let unit = begin; unit < end; unit++) {
    const i = unit / columns;
    const ky = firstY + (rows - 1 - i) * stepY;
    const kx = firstX + (columns - 1 - (unit - i * columns)) * stepX;
    let from = x + <usize>((ky * windowWidth + kx) * tap) * line;
    let to = y + <usize>(unit * outTap) * step;
    for (let group: u32 = 0; group < groups; group++) {
      let c: u32 = 0;
      for (; c + 4 <= tap; c += 4, to += 16) {
        const f = from + <usize>c * line;
        packFour(to, f, f + line, f + line * 2, f + line * 3, step, outTap);
      }
      for (; c < tap; c++, to += 4) packOne(to, from + <usize>c * line, step, outTap);
      from += <usize>outTap << 2;
    }
  }
}
