// Positions: rotary embedding of queries and keys, sinusoids, and rows that are written at a position. `start` [batch] has the
// position of each sample's first row, as float32; 0: all begin at 0. Angles are computed in float64, in turns, so that they
// are as exact far out as near by.

import { expTwo2, logTwo2 } from "../doubles";
import { cos2Pi4, sin2Pi4 } from "../math";
import { LANES, loadPart, storePart } from "../simd";

const TURNS_IN_RADIAN: f64 = 0.15915494309189535;

/** Writes the sines and cosines of position · base^(-2i / features), i < ⌈features / 2⌉: to cosines[i] and sines[i]. */
function fillAngles(cosines: usize, sines: usize, position: u32, features: u32, base: f64): void {
  const slope = (-2 * f64x2.extract_lane(logTwo2(f64x2.splat(base)), 0)) / <f64>features;
  const half = (features + 1) >> 1;
  for (let i: u32 = 0; i < half; i += LANES) {
    const turns = v128.shuffle<f32>(turnsOf(position, i, slope), turnsOf(position, i + 2, slope), 0, 1, 4, 5);
    v128.store(cosines + (<usize>i << 2), cos2Pi4(turns));
    v128.store(sines + (<usize>i << 2), sin2Pi4(turns));
  }
}

/** Of features i and i + 1, in [-½, ½], in the first two lanes. */
function turnsOf(position: u32, i: u32, slope: f64): v128 {
  const exponents = f64x2.replace_lane(f64x2.splat(<f64>i * slope), 1, <f64>(i + 1) * slope);
  const radians = f64x2.mul(f64x2.splat(<f64>position), expTwo2(exponents));
  const turns = f64x2.mul(radians, f64x2.splat(TURNS_IN_RADIAN));
  return f32x4.demote_f64x2_zero(f64x2.sub(turns, f64x2.nearest(turns)));
}

// @ts-ignore: decorator
@inline
function positionOf(start: usize, sample: u32, row: u32): u32 {
  return (start != 0 ? <u32>load<f32>(start + (<usize>sample << 2)) : 0) + row;
}

// Room for the cosines in scratch; the sines are behind it.
const TABLE_BYTES: usize = 65536;

/** Of each row of x [batch, positions, line] the heads of `depth` features in the first `columns` are turned: their first `turned`
 *  features, in pairs (i, i + turned/2), or with pairs 1 (2i, 2i + 1), by the angle position · base^(-2i / turned), back with a
 *  direction of -1; all else is copied. Su et al. 2021. y may be x. Error: 4 ulp of the pair's length. Unit: a position. */
export function rotary(
  begin: u32, end: u32, scratch: usize, y: usize, x: usize, start: usize, batch: u32, positions: u32, line: u32, columns: u32,
  depth: u32, turned: u32, pairs: u32, direction: f32, base: f64,
): void {
  const cosines = scratch;
  const sines = scratch + TABLE_BYTES;
  for (let row = begin; row < end; row++) {
    for (let sample: u32 = 0; sample < batch; sample++) {
      if (sample == 0 || start != 0) fillAngles(cosines, sines, positionOf(start, sample, row), turned, base);
      const at = <usize>(sample * positions + row) * (<usize>line << 2);
      if (y != x) memory.copy(y + at, x + at, <usize>line << 2);
      for (let head: u32 = 0; head < columns; head += depth) {
        const place = y + at + (<usize>head << 2);
        if (pairs != 0) turnPairs(place, cosines, sines, turned, direction);
        else turnHalves(place, cosines, sines, turned >> 1, direction);
      }
    }
  }
}

function turnHalves(y: usize, cosines: usize, sines: usize, half: u32, direction: f32): void {
  const sign = f32x4.splat(direction);
  const second = y + (<usize>half << 2);
  for (let i: u32 = 0; i < half; i += LANES) {
    const at = <usize>i << 2;
    const part = min(LANES, half - i);
    const c = v128.load(cosines + at);
    const s = f32x4.mul(v128.load(sines + at), sign);
    const a = part == LANES ? v128.load(y + at) : loadPart(y + at, part);
    const b = part == LANES ? v128.load(second + at) : loadPart(second + at, part);
    const turnedA = f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s));
    const turnedB = f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s));
    if (part == LANES) {
      v128.store(y + at, turnedA);
      v128.store(second + at, turnedB);
    } else {
      storePart(y + at, turnedA, part);
      storePart(second + at, turnedB, part);
    }
  }
}

function turnPairs(y: usize, cosines: usize, sines: usize, turned: u32, direction: f32): void {
  for (let i: u32 = 0; i < turned >> 1; i++, y += 8) {
    const c = load<f32>(cosines + (<usize>i << 2));
    const s = load<f32>(sines + (<usize>i << 2)) * direction;
    const a = load<f32>(y);
    const b = load<f32>(y, 4);
    store<f32>(y, a * c - b * s);
    store<f32>(y, b * c + a * s, 4);
  }
}

/** y[b, t, 2i] = sin(p · base^(-2i / features)), y[b, t, 2i + 1] = cos of the same, p = start[b] + t: [samples, positions, features]
 *  (Vaswani et al. 2017). Error: 2e-7. Unit: a row. */
export function sinusoids(
  begin: u32, end: u32, scratch: usize, y: usize, start: usize, positions: u32, features: u32, base: f64,
): void {
  const cosines = scratch;
  const sines = scratch + TABLE_BYTES;
  for (let row = begin; row < end; row++) {
    fillAngles(cosines, sines, positionOf(start, row / positions, row % positions), features, base);
    const to = y + ((<usize>row * features) << 2);
    let i: u32 = 0;
    for (; i + 2 * LANES <= features; i += 2 * LANES) {
      const sine = v128.load(sines + (<usize>i << 1));
      const cosine = v128.load(cosines + (<usize>i << 1));
      v128.store(to + (<usize>i << 2), v128.shuffle<f32>(sine, cosine, 0, 4, 1, 5));
      v128.store(to + (<usize>i << 2), v128.shuffle<f32>(sine, cosine, 2, 6, 3, 7), 16);
    }
    for (; i < features; i++) {
      store<f32>(to + (<usize>i << 2), load<f32>((i & 1 ? cosines : sines) + (<usize>(i >> 1) << 2)));
    }
  }
}

/** y[b] = cache[b] [capacity, width], but its rows from start[b] on are those of x[b] [count, width]: those that there is room for.
 *  y may be the cache, of which the other rows then are not touched. Unit: a row of y. */
export function appendRows(
  begin: u32, end: u32, y: usize, cache: usize, x: usize, start: usize, count: u32, capacity: u32, width: u32,
): void {
  const line = <usize>width << 2;
  for (let unit = begin; unit < end; unit++) {
    const sample = unit / capacity;
    const row = unit - sample * capacity - positionOf(start, sample, 0);
    const at = <usize>unit * line;
    if (row < count) memory.copy(y + at, x + <usize>(sample * count + row) * line, line);
    else if (y != cache) memory.copy(y + at, cache + at, line);
  }
}
