// Pooling over windows of an image [batch, height, width, channels], forward and backward side by side. Units are
// rows of pixels of what is written, so that no two units write the same place: rows of y forward, rows of dx backward.
//
// An axis of `size` elements and `out` windows is described by window, stride, pad and dilation: window o has taps
// k = 0 … window-1 at o·stride - pad + k·dilation, of which those within the axis count. Stride 0 means adaptive:
// window o goes from ⌊o·size/out⌋ to ⌈(o+1)·size/out⌉ (exclusive), and `window` is the longest of them.

import { loadLanes, storeLanes } from "../lanes";
import { LANES } from "../simd";

/** Where the first tap of window `o` falls: below 0 where it is in the padding. */
// @ts-ignore: decorator
@inline
function startOf(o: u32, size: u32, out: u32, stride: u32, pad: u32): i32 {
  return stride == 0 ? <i32>((o * size) / out) : <i32>(o * stride) - <i32>pad;
}

/** The first tap that is not in front of the axis. */
// @ts-ignore: decorator
@inline
function firstTap(start: i32, dilation: u32): u32 {
  return start >= 0 ? 0 : (<u32>-start + dilation - 1) / dilation;
}

/** The tap behind the last within the axis. */
// @ts-ignore: decorator
@inline
function stopTap(o: u32, start: i32, size: u32, out: u32, window: u32, stride: u32, dilation: u32): u32 {
  if (stride == 0) return ((o + 1) * size + out - 1) / out - start;
  const room = <u32>(<i32>size - start);
  return min(window, dilation == 1 ? room : (room + dilation - 1) / dilation);
}

/** The first window that can reach element `i`, and the last; none where they cross. */
// @ts-ignore: decorator
@inline
function firstWindow(i: u32, size: u32, out: u32, window: u32, stride: u32, pad: u32, dilation: u32): u32 {
  if (stride == 0) return (i * out) / size;
  const reach = (window - 1) * dilation;
  return i + pad <= reach ? 0 : (i + pad - reach + stride - 1) / stride;
}

// @ts-ignore: decorator
@inline
function lastWindow(i: u32, size: u32, out: u32, stride: u32, pad: u32): u32 {
  return stride == 0 ? ((i + 1) * out + size - 1) / size - 1 : min((i + pad) / stride, out - 1);
}

/** What an average divides by along one axis: the taps within it, or where `limit` is not 0 those before `limit`. */
// @ts-ignore: decorator
@inline
function countOf(start: i32, first: u32, stop: u32, window: u32, limit: u32): u32 {
  return limit == 0 ? stop - first : min(<u32>(<i32>limit - start), window);
}

// What becomes of a window: `rows` by `columns` taps from `x` on, `line` and `pixel` bytes apart; `code` numbers the
// first, and goes on by 1 from column to column, by `codes` from row to row. And of a window's gradient, in one row of dx.

/** All ones where `value` takes the place of `best`: it is larger, or NaN. */
// @ts-ignore: decorator
@inline
function isBetter(value: v128, best: v128): v128 {
  return v128.or(f32x4.gt(value, best), f32x4.ne(value, value));
}

@unmanaged class Max {
  @inline window(
    y: usize, places: usize, x: usize, rows: u32, columns: u32, line: usize, pixel: usize,
    code: u32, codes: u32, _count: f32, lanes: u32,
  ): void {
    if (rows == 2 && columns == 2) return maxOfFour(y, places, x, line, pixel, code, codes, lanes);
    let best = f32x4.splat(-Infinity);
    let place = i32x4.splat(code);
    for (let row: u32 = 0; row < rows; row++, x += line, code += codes) {
      let at = x;
      let here = i32x4.splat(code);
      for (let column: u32 = 0; column < columns; column++, at += pixel) {
        const value = loadLanes(at, lanes);
        const better = isBetter(value, best);
        best = v128.bitselect(value, best, better);
        place = v128.bitselect(here, place, better);
        here = i32x4.add(here, i32x4.splat(1));
      }
    }
    storeLanes(y, best, lanes);
    storeLanes(places, place, lanes);
  }
  @inline spread(
    dx: usize, dy: usize, places: usize, columns: u32, pixel: usize, code: u32, _count: f32, lanes: u32,
  ): void {
    const gradient = loadLanes(dy, lanes);
    const place = loadLanes(places, lanes);
    let here = i32x4.splat(code);
    for (let column: u32 = 0; column < columns; column++, dx += pixel) {
      const part = v128.and(gradient, i32x4.eq(place, here));
      storeLanes(dx, f32x4.add(loadLanes(dx, lanes), part), lanes);
      here = i32x4.add(here, i32x4.splat(1));
    }
  }
}

/** The commonest window, 2×2, without a chain from tap to tap. */
// @ts-ignore: decorator
@inline
function maxOfFour(
  y: usize, places: usize, x: usize, line: usize, pixel: usize, code: u32, codes: u32, lanes: u32,
): void {
  const a = loadLanes(x, lanes);
  const b = loadLanes(x + pixel, lanes);
  const c = loadLanes(x + line, lanes);
  const d = loadLanes(x + line + pixel, lanes);
  const right = isBetter(b, a);
  const rightBelow = isBetter(d, c);
  const upper = v128.bitselect(b, a, right);
  const lower = v128.bitselect(d, c, rightBelow);
  const below = isBetter(lower, upper);
  // All ones are -1.
  const upperPlace = i32x4.sub(i32x4.splat(code), right);
  const lowerPlace = i32x4.sub(i32x4.splat(code + codes), rightBelow);
  storeLanes(y, v128.bitselect(lower, upper, below), lanes);
  storeLanes(places, v128.bitselect(lowerPlace, upperPlace, below), lanes);
}

@unmanaged class Pick {
  @inline window(
    y: usize, places: usize, x: usize, rows: u32, columns: u32, line: usize, pixel: usize,
    code: u32, codes: u32, _count: f32, lanes: u32,
  ): void {
    const place = loadLanes(places, lanes);
    let found = f32x4.splat(0);
    for (let row: u32 = 0; row < rows; row++, x += line, code += codes) {
      let at = x;
      for (let column: u32 = 0; column < columns; column++, at += pixel) {
        found = v128.or(found, v128.and(loadLanes(at, lanes), i32x4.eq(place, i32x4.splat(code + column))));
      }
    }
    storeLanes(y, found, lanes);
  }
}

@unmanaged class Average {
  @inline window(
    y: usize, _places: usize, x: usize, rows: u32, columns: u32, line: usize, pixel: usize,
    _code: u32, _codes: u32, count: f32, lanes: u32,
  ): void {
    let total = f32x4.splat(0);
    for (let row: u32 = 0; row < rows; row++, x += line) {
      let at = x;
      let sum = f32x4.splat(0);
      for (let column: u32 = 0; column < columns; column++, at += pixel) sum = f32x4.add(sum, loadLanes(at, lanes));
      total = f32x4.add(total, sum);
    }
    storeLanes(y, f32x4.div(total, f32x4.splat(count)), lanes);
  }
  @inline spread(
    dx: usize, dy: usize, _places: usize, columns: u32, pixel: usize, _code: u32, count: f32, lanes: u32,
  ): void {
    const share = f32x4.div(loadLanes(dy, lanes), f32x4.splat(count));
    for (let column: u32 = 0; column < columns; column++, dx += pixel) {
      storeLanes(dx, f32x4.add(loadLanes(dx, lanes), share), lanes);
    }
  }
}

/** Rows [begin, end) of y and places, [batch, outHeight, outWidth, channels]. */
function poolRows<Op>(
  begin: u32, end: u32, y: usize, places: usize, x: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, dilationH: u32, dilationW: u32,
  limitH: u32, limitW: u32,
): void {
  const pixel = <usize>channels << 2;
  const line = pixel * width;
  for (let unit = begin; unit < end; unit++) {
    const oy = unit % outHeight;
    const top = startOf(oy, height, outHeight, strideH, padH);
    const ky = firstTap(top, dilationH);
    const stopY = stopTap(oy, top, height, outHeight, windowH, strideH, dilationH);
    const rows = countOf(top, ky, stopY, windowH, limitH);
    const image = x + <usize>((unit / outHeight) * height + top + ky * dilationH) * line;
    let at = <usize>unit * outWidth * pixel;
    for (let ox: u32 = 0; ox < outWidth; ox++) {
      const left = startOf(ox, width, outWidth, strideW, padW);
      const kx = firstTap(left, dilationW);
      const stopX = stopTap(ox, left, width, outWidth, windowW, strideW, dilationW);
      const count = <f32>rows * <f32>countOf(left, kx, stopX, windowW, limitW);
      const from = image + <usize>(left + kx * dilationW) * pixel;
      const down = stopY > ky ? stopY - ky : 0;
      const across = stopX > kx ? stopX - kx : 0;
      const code = ky * windowW + kx;
      let c: usize = 0;
      for (; c + 16 <= pixel; c += 16) {
        changetype<Op>(0).window(
          y + at + c, places + at + c, from + c, down, across, line * dilationH, pixel * dilationW,
          code, windowW, count, LANES,
        );
      }
      if (c < pixel) {
        changetype<Op>(0).window(
          y + at + c, places + at + c, from + c, down, across, line * dilationH, pixel * dilationW,
          code, windowW, count, channels % LANES,
        );
      }
      at += pixel;
    }
  }
}

/** Rows [begin, end) of dx [batch, height, width, channels]: each window that reaches the row adds its part, in order. */
function spreadRows<Op>(
  begin: u32, end: u32, dx: usize, dy: usize, places: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, dilationH: u32, dilationW: u32,
  limitH: u32, limitW: u32,
): void {
  const pixel = <usize>channels << 2;
  const line = pixel * width;
  for (let unit = begin; unit < end; unit++) {
    const iy = unit % height;
    const to = dx + <usize>unit * line;
    memory.fill(to, 0, line);
    const last = lastWindow(iy, height, outHeight, strideH, padH);
    for (let oy = firstWindow(iy, height, outHeight, windowH, strideH, padH, dilationH); oy <= last; oy++) {
      const top = startOf(oy, height, outHeight, strideH, padH);
      const ky = <u32>(<i32>iy - top) / dilationH;
      if (ky * dilationH != <u32>(<i32>iy - top)) continue;
      const stopY = stopTap(oy, top, height, outHeight, windowH, strideH, dilationH);
      const rows = countOf(top, firstTap(top, dilationH), stopY, windowH, limitH);
      let at = <usize>((unit / height) * outHeight + oy) * outWidth * pixel;
      for (let ox: u32 = 0; ox < outWidth; ox++, at += pixel) {
        const left = startOf(ox, width, outWidth, strideW, padW);
        const kx = firstTap(left, dilationW);
        const stopX = stopTap(ox, left, width, outWidth, windowW, strideW, dilationW);
        const count = <f32>rows * <f32>countOf(left, kx, stopX, windowW, limitW);
        const first = to + <usize>(left + kx * dilationW) * pixel;
        const across = stopX > kx ? stopX - kx : 0;
        const code = ky * windowW + kx;
        let c: usize = 0;
        for (; c + 16 <= pixel; c += 16) {
          changetype<Op>(0).spread(
            first + c, dy + at + c, places + at + c, across, pixel * dilationW, code, count, LANES,
          );
        }
        if (c < pixel) {
          changetype<Op>(0).spread(
            first + c, dy + at + c, places + at + c, across, pixel * dilationW, code, count, channels % LANES,
          );
        }
      }
    }
  }
}

// The commonest pooling, 2×2 side by side within the image and whole vectors of channels, by loops of their own: half of
// the time forward, two fifths of it backward.

function areSquares(
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, dilationH: u32, dilationW: u32,
): bool {
  return windowH == 2 && windowW == 2 && strideH == 2 && strideW == 2 && (padH | padW) == 0 && (dilationH | dilationW) == 1 &&
    outHeight * 2 <= height && outWidth * 2 <= width && (channels & 3) == 0;
}

function poolSquares(
  begin: u32, end: u32, y: usize, places: usize, x: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
): void {
  const pixel = <usize>channels << 2;
  const line = pixel * width;
  let at = <usize>begin * outWidth * pixel;
  for (let unit = begin; unit < end; unit++) {
    const image = unit / outHeight;
    let from = x + <usize>(image * height + (unit - image * outHeight) * 2) * line;
    for (const stop = at + <usize>outWidth * pixel; at < stop; from += pixel) {
      for (const next = from + pixel; from < next; from += 16, at += 16) {
        maxOfFour(y + at, places + at, from, line, pixel, 0, 2, LANES);
      }
    }
  }
}

function spreadSquares(
  begin: u32, end: u32, dx: usize, dy: usize, places: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
): void {
  const pixel = <usize>channels << 2;
  const line = pixel * width;
  for (let unit = begin; unit < end; unit++) {
    const image = unit / height;
    const row = unit - image * height;
    let to = dx + <usize>unit * line;
    const stop = to + line;
    if (row < outHeight * 2) {
      const left = i32x4.splat((row & 1) << 1);
      const right = i32x4.add(left, i32x4.splat(1));
      let at = <usize>(image * outHeight + (row >> 1)) * outWidth * pixel;
      for (const edge = to + <usize>outWidth * pixel * 2; to < edge; to += pixel) {
        for (const next = to + pixel; to < next; to += 16, at += 16) {
          const gradient = v128.load(dy + at);
          const place = v128.load(places + at);
          v128.store(to, v128.and(gradient, i32x4.eq(place, left)));
          v128.store(to + pixel, v128.and(gradient, i32x4.eq(place, right)));
        }
      }
    }
    for (; to < stop; to += 16) v128.store(to, i32x4.splat(0));
  }
}

/** y = max of each window, NaN if any is; places: which tap it is, row of the window · windowW + column: the first
 *  of equals, the last NaN, as PyTorch. y, places (uint32) [batch, outHeight, outWidth, channels]; x [batch, height,
 *  width, channels]; unit: a row of y. Exact. */
export function maxPool(
  begin: u32, end: u32, y: usize, places: usize, x: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, dilationH: u32, dilationW: u32,
): void {
  if (areSquares(height, width, outHeight, outWidth, channels, windowH, windowW, strideH, strideW, padH, padW, dilationH, dilationW)) {
    poolSquares(begin, end, y, places, x, height, width, outHeight, outWidth, channels);
    return;
  }
  poolRows<Max>(
    begin, end, y, places, x, height, width, outHeight, outWidth, channels,
    windowH, windowW, strideH, strideW, padH, padW, dilationH, dilationW, 0, 0,
  );
}

/** y = the value of x at the tap that `places` names: what maxPool's gradient is the transpose of; shapes and units
 *  as maxPool. Exact. */
export function pickPool(
  begin: u32, end: u32, y: usize, places: usize, x: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, dilationH: u32, dilationW: u32,
): void {
  poolRows<Pick>(
    begin, end, y, places, x, height, width, outHeight, outWidth, channels,
    windowH, windowW, strideH, strideW, padH, padW, dilationH, dilationW, 0, 0,
  );
}

/** dx = Σ dy over the windows whose maximum lies there, in the order of the windows. dx [batch, height, width,
 *  channels]; dy, places [batch, outHeight, outWidth, channels]; unit: a row of dx. Overwrites. */
export function maxPoolGradient(
  begin: u32, end: u32, dx: usize, dy: usize, places: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, dilationH: u32, dilationW: u32,
): void {
  if (areSquares(height, width, outHeight, outWidth, channels, windowH, windowW, strideH, strideW, padH, padW, dilationH, dilationW)) {
    spreadSquares(begin, end, dx, dy, places, height, width, outHeight, outWidth, channels);
    return;
  }
  spreadRows<Max>(
    begin, end, dx, dy, places, height, width, outHeight, outWidth, channels,
    windowH, windowW, strideH, strideW, padH, padW, dilationH, dilationW, 0, 0,
  );
}

/** y = the sum of each window's taps within the image (added up in rows, then the rows) / their number; where limitH
 *  and limitW are not 0 padding counts too, up to these. Shapes and units as maxPool. */
export function averagePool(
  begin: u32, end: u32, y: usize, x: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, limitH: u32, limitW: u32,
): void {
  poolRows<Average>(
    begin, end, y, 0, x, height, width, outHeight, outWidth, channels,
    windowH, windowW, strideH, strideW, padH, padW, 1, 1, limitH, limitW,
  );
}

/** dx = Σ dy / (what averagePool divided by) over the windows that reach there. Shapes and units as maxPoolGradient.
 *  Overwrites. */
export function averagePoolGradient(
  begin: u32, end: u32, dx: usize, dy: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  windowH: u32, windowW: u32, strideH: u32, strideW: u32, padH: u32, padW: u32, limitH: u32, limitW: u32,
): void {
  spreadRows<Average>(
    begin, end, dx, dy, 0, height, width, outHeight, outWidth, channels,
    windowH, windowW, strideH, strideW, padH, padW, 1, 1, limitH, limitW,
  );
}
