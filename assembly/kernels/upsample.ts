// Images of another size, x [batch, height, width, channels] → y [batch, outHeight, outWidth, channels], forward and
// backward side by side. Units are rows of pixels of what is written.
//
// Along an axis, pixel o of y lies at max(factor·o + shift, 0) / divisor of x (shift may be negative): the whole part is
// its pixel; what is left over is, where `linear` is not 0, the share of the next pixel (at the end, of the same).

import { loadLanes, storeLanes } from "../lanes";
import { LANES, madd } from "../simd";

const VECTOR: usize = 16;

/** Where pixel `o` lies, times `divisor`. */
// @ts-ignore: decorator
@inline
function placeOf(o: u32, factor: u32, shift: u32): u32 {
  return <u32>max<i32>(<i32>(factor * o + shift), 0);
}

/** The share of the next pixel. */
// @ts-ignore: decorator
@inline
function shareOf(place: u32, divisor: u32, linear: u32): f32 {
  return linear != 0 ? <f32>(place % divisor) / <f32>divisor : 0;
}

// @ts-ignore: decorator
@inline
function mixLanes(
  y: usize, upper: usize, lower: usize, next: usize, across: f32, down: f32, lanes: u32,
): void {
  const right = f32x4.splat(across);
  const left = f32x4.splat(1 - across);
  const above = madd(loadLanes(upper + next, lanes), right, f32x4.mul(loadLanes(upper, lanes), left));
  const below = madd(loadLanes(lower + next, lanes), right, f32x4.mul(loadLanes(lower, lanes), left));
  storeLanes(y, madd(below, f32x4.splat(down), f32x4.mul(above, f32x4.splat(1 - down))), lanes);
}

/** y = x at its pixels' places: the pixel itself, or where `linear` is not 0 a mixture of four. Unit: a row of y. Error
 *  at most 5·2^-24 of the largest of the four. */
export function upsample(
  begin: u32, end: u32, y: usize, x: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  factorH: u32, shiftH: u32, divisorH: u32, factorW: u32, shiftW: u32, divisorW: u32, linear: u32,
): void {
  const pixel = <usize>channels << 2;
  const line = pixel * width;
  const rest = channels % LANES;
  for (let unit = begin; unit < end; unit++) {
    const placeY = placeOf(unit % outHeight, factorH, shiftH);
    const iy = placeY / divisorH;
    const down = shareOf(placeY, divisorH, linear);
    const upper = x + <usize>((unit / outHeight) * height + iy) * line;
    const lower = iy + 1 < height ? upper + line : upper;
    let to = y + <usize>unit * outWidth * pixel;
    for (let ox: u32 = 0; ox < outWidth; ox++, to += pixel) {
      const placeX = placeOf(ox, factorW, shiftW);
      const ix = placeX / divisorW;
      const from = <usize>ix * pixel;
      let c: usize = 0;
      if (linear == 0) {
        for (; c + VECTOR <= pixel; c += VECTOR) v128.store(to + c, v128.load(upper + from + c));
        if (rest != 0) storeLanes(to + c, loadLanes(upper + from + c, rest), rest);
        continue;
      }
      const across = shareOf(placeX, divisorW, linear);
      const next = ix + 1 < width ? pixel : 0;
      for (; c + VECTOR <= pixel; c += VECTOR) {
        mixLanes(to + c, upper + from + c, lower + from + c, next, across, down, LANES);
      }
      if (rest != 0) mixLanes(to + c, upper + from + c, lower + from + c, next, across, down, rest);
    }
  }
}

// @ts-ignore: decorator
@inline
function addLanes(dx: usize, dy: usize, share: f32, lanes: u32): void {
  storeLanes(dx, madd(loadLanes(dy, lanes), f32x4.splat(share), loadLanes(dx, lanes)), lanes);
}

/** dx = Σ dy · (the share that the pixel has in y), in the order of y. dx [batch, height, width, channels], dy [batch,
 *  outHeight, outWidth, channels]; unit: a row of dx. Overwrites. */
export function upsampleGradient(
  begin: u32, end: u32, dx: usize, dy: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
  factorH: u32, shiftH: u32, divisorH: u32, factorW: u32, shiftW: u32, divisorW: u32, linear: u32,
): void {
  const pixel = <usize>channels << 2;
  const line = pixel * width;
  for (let unit = begin; unit < end; unit++) {
    const iy = unit % height;
    const to = dx + <usize>unit * line;
    memory.fill(to, 0, line);
    // The first row of y that lies at or behind this one of x, or the one before it where that has a share.
    const reach = linear != 0 && iy > 0 ? iy - 1 : iy;
    let oy: u32 = 0;
    if (reach > 0 && factorH > 0) oy = (reach * divisorH - shiftH + factorH - 1) / factorH;
    for (; oy < outHeight; oy++) {
      const place = placeOf(oy, factorH, shiftH);
      const row = place / divisorH;
      if (row > iy) break;
      const next = shareOf(place, divisorH, linear);
      const share = row < iy ? next : iy + 1 < height ? 1 - next : 1;
      if (share == 0) continue;
      const from = dy + <usize>((unit / height) * outHeight + oy) * outWidth * pixel;
      spreadRow(to, from, share, width, outWidth, channels, factorW, shiftW, divisorW, linear);
    }
  }
}

/** Adds a row of dy, times `share`, to a row of dx. */
function spreadRow(
  dx: usize, dy: usize, share: f32, width: u32, outWidth: u32, channels: u32,
  factor: u32, shift: u32, divisor: u32, linear: u32,
): void {
  const pixel = <usize>channels << 2;
  const rest = channels % LANES;
  for (let ox: u32 = 0; ox < outWidth; ox++, dy += pixel) {
    const place = placeOf(ox, factor, shift);
    const ix = place / divisor;
    const to = dx + <usize>ix * pixel;
    const right = shareOf(place, divisor, linear) * share;
    const left = right == 0 || ix + 1 >= width ? share : (1 - shareOf(place, divisor, linear)) * share;
    let c: usize = 0;
    for (; c + VECTOR <= pixel; c += VECTOR) addLanes(to + c, dy + c, left, LANES);
    if (rest != 0) addLanes(to + c, dy + c, left, rest);
    if (right == 0 || ix + 1 >= width) continue;
    for (c = 0; c + VECTOR <= pixel; c += VECTOR) addLanes(to + pixel + c, dy + c, right, LANES);
    if (rest != 0) addLanes(to + pixel + c, dy + c, right, rest);
  }
}
