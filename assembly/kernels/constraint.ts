// What parameters are brought back to after the optimizer's step, in place. Unit: four columns of one [length, inner]
// matrix, or where inner is 1 one row of `length` elements.

import { LANES, loadPart, storePart } from "../simd";

/** Squares of four lanes added up in float64: the first two, and the last two. */
// @ts-ignore: decorator
@inline
function addSquares(sum: v128, v: v128): v128 {
  const d = f64x2.promote_low_f32x4(v);
  return f64x2.add(sum, f64x2.mul(d, d));
}

// @ts-ignore: decorator
@inline
function upper(v: v128): v128 {
  return v128.shuffle<f32>(v, v, 2, 3, 2, 3);
}

/** What a vector of this norm is multiplied with, 1 where it is 0. */
function factorOf(norm: f64, least: f64, most: f64, rate: f64): f32 {
  if (norm == 0) return 1;
  const wanted = min<f64>(max<f64>(norm, least), most);
  return <f32>((rate * wanted + (1 - rate) * norm) / norm);
}

/**
 * Each vector along the middle axis of y [outer, length, inner] is scaled so that its L2 norm comes within [least, most],
 * by the share `rate` of the way; one that is 0 stays, one with NaN becomes NaN. Norms in float64; error 1e-7 of the norm.
 */
export function constrainNorm(
  begin: u32, end: u32, y: usize, length: u32, inner: u32, least: f32, most: f32, rate: f32,
): void {
  const columns: u32 = inner == 1 ? 1 : (inner + LANES - 1) / LANES;
  const stride: usize = inner == 1 ? 16 : <usize>inner << 2;
  for (let unit = begin; unit < end; unit++) {
    const first = (unit % columns) * LANES;
    const at = y + ((<usize>(unit / columns) * length * inner + first) << 2);
    // Along a row four elements are one step, and lanes are added up at the end; else they are four vectors.
    const steps: u32 = inner == 1 ? (length + LANES - 1) / LANES : length;
    const last: u32 = inner == 1 ? length - (steps - 1) * LANES : inner - first;
    const rest: u32 = inner == 1 ? LANES : last;
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let i: u32 = 0; i < steps; i++) {
      const count = i + 1 < steps ? rest : last;
      const from = at + <usize>i * stride;
      const v = count >= LANES ? v128.load(from) : loadPart(from, count);
      low = addSquares(low, v);
      high = addSquares(high, upper(v));
    }
    let factor: v128;
    if (inner == 1) {
      const both = f64x2.add(low, high);
      const norm = sqrt<f64>(f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1));
      factor = f32x4.splat(factorOf(norm, least, most, rate));
    } else {
      low = f64x2.sqrt(low);
      high = f64x2.sqrt(high);
      factor = f32x4.splat(factorOf(f64x2.extract_lane(low, 0), least, most, rate));
      factor = f32x4.replace_lane(factor, 1, factorOf(f64x2.extract_lane(low, 1), least, most, rate));
      factor = f32x4.replace_lane(factor, 2, factorOf(f64x2.extract_lane(high, 0), least, most, rate));
      factor = f32x4.replace_lane(factor, 3, factorOf(f64x2.extract_lane(high, 1), least, most, rate));
    }
    for (let i: u32 = 0; i < steps; i++) {
      const count = i + 1 < steps ? rest : last;
      const to = at + <usize>i * stride;
      if (count >= LANES) v128.store(to, f32x4.mul(v128.load(to), factor));
      else storePart(to, f32x4.mul(loadPart(to, count), factor), count);
    }
  }
}
