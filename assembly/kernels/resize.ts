// Images of another size, channels last: each new pixel is a mixture of old ones, whose places and shares are in a table
// for each of the two axes. What the gradient gathers is the mixture by the tables the other way round, so one kernel is
// the operation and its gradient.
//
// A table of n pixels, in words:
//
//     starts: n + 1 numbers of words ─┐
//     ┌──────────────┬────────────────▼─────────────────────────────┐
//     │ s0 s1 … sn   │ place, share | place, share | …               │   pixel o: the pairs from s_o up to s_{o+1}
//     └──────────────┴────────────────────────────────────────────────┘   (u32, and a share as f32)

import { at, loadLanes, storeLanes } from "../lanes";
import { LANES, madd } from "../simd";

const VECTOR: usize = 16;
const PAIR: usize = 8;

/** The mixture of the pixels of several lines: places and shares are the pairs from `line` to `lineEnd`, of which there is
 *  at least one, and from `tap` to `tapEnd` within each. */
// @ts-ignore: decorator
@inline
function mixture(
  x: usize, lineBytes: usize, pixelBytes: usize, line: usize, lineEnd: usize, tap: usize, tapEnd: usize, lanes: u32,
): v128 {
  let sum = f32x4.splat(0);
  for (let from = line; from < lineEnd; from += PAIR) {
    const row = x + <usize>load<u32>(from) * lineBytes;
    let part = f32x4.mul(loadLanes(row + <usize>load<u32>(tap) * pixelBytes, lanes), v128.load32_splat(tap, 4));
    for (let next = tap + PAIR; next < tapEnd; next += PAIR) {
      part = madd(loadLanes(row + <usize>load<u32>(next) * pixelBytes, lanes), v128.load32_splat(next, 4), part);
    }
    const share = v128.load32_splat(from, 4);
    sum = from == line ? f32x4.mul(part, share) : madd(part, share, sum);
  }
  return sum;
}

/** Whether a pixel is an old one as it is. */
// @ts-ignore: decorator
@inline
function isOne(pair: usize, end: usize): bool {
  return end - pair == PAIR && load<f32>(pair, 4) == 1;
}

/** y = the mixture of x by the tables `down` and `across`; 0 for a pixel that takes none. x [batch, height, width,
 *  channels], y [batch, outHeight, outWidth, channels]; unit: a row of y. Overwrites. Sums of k products: error at most
 *  (k + 1)·2^-24 of the sum of their sizes. */
export function resize(
  begin: u32, end: u32, y: usize, x: usize, down: usize, across: usize,
  height: u32, width: u32, outHeight: u32, outWidth: u32, channels: u32,
): void {
  const pixel = <usize>channels << 2;
  const line = pixel * width;
  const rest = channels % LANES;
  for (let unit = begin; unit < end; unit++) {
    const oy = unit % outHeight;
    const image = x + <usize>(unit / outHeight) * height * line;
    const first = at(down, load<u32>(at(down, oy)));
    const last = at(down, load<u32>(at(down, oy + 1)));
    let to = y + <usize>unit * outWidth * pixel;
    for (let ox: u32 = 0; ox < outWidth; ox++, to += pixel) {
      const tap = at(across, load<u32>(at(across, ox)));
      const tapEnd = at(across, load<u32>(at(across, ox + 1)));
      let c: usize = 0;
      if (first == last || tap == tapEnd) {
        memory.fill(to, 0, pixel);
      } else if (isOne(first, last) && isOne(tap, tapEnd)) {
        const from = image + <usize>load<u32>(first) * line + <usize>load<u32>(tap) * pixel;
        for (; c + VECTOR <= pixel; c += VECTOR) v128.store(to + c, v128.load(from + c));
        if (rest != 0) storeLanes(to + c, loadLanes(from + c, rest), rest);
      } else {
        for (; c + VECTOR <= pixel; c += VECTOR) {
          v128.store(to + c, mixture(image + c, line, pixel, first, last, tap, tapEnd, LANES));
        }
        if (rest != 0) storeLanes(to + c, mixture(image + c, line, pixel, first, last, tap, tapEnd, rest), rest);
      }
    }
  }
}
