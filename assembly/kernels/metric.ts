// Counts of right answers, for metrics. Each unit writes its count as a float32; `lossTotal` adds them up.
// NaN is never right.

import { laneMask, rowMax } from "../loops";
import { LANES, loadPart } from "../simd";
import { CHUNK } from "./loss";


/** Where the largest of n elements is, the first of equals; n if there is a NaN. */
function firstMaximum(x: usize, n: u32): u32 {
  const top = f32x4.splat(rowMax(x, n));
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) {
    const found = i32x4.bitmask(f32x4.eq(v128.load(x + (<usize>i << 2)), top));
    if (found != 0) return i + <u32>ctz(found);
  }
  if (i == n) return n;
  const found = i32x4.bitmask(v128.and(f32x4.eq(loadPart(x + (<usize>i << 2), n - i), top), laneMask(n - i)));
  return found != 0 ? i + <u32>ctz(found) : n;
}

/** hits[row] = 1 where the first maximum of the row is at its label, else 0; x [rows, columns], uint32 labels [rows].
 *  If `ignores` is 1, rows with the label `ignored` are 0. Unit: a row. */
export function countCorrectClasses(
  begin: u32, end: u32, hits: usize, x: usize, labels: usize, columns: u32, ignored: u32, ignores: u32,
): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const found = firstMaximum(x + <usize>row * line, columns);
    const label = load<u32>(labels + (<usize>row << 2));
    const hit = found < columns && found == label && (ignores == 0 || label != ignored);
    store<f32>(hits + (<usize>row << 2), hit ? 1 : 0);
  }
}

/** hits[row] = 1 where x and t have their first maximum at the same place, else 0; x and t [rows, columns].
 *  Unit: a row. */
export function countCorrectDistributions(
  begin: u32, end: u32, hits: usize, x: usize, t: usize, columns: u32,
): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const found = firstMaximum(x + <usize>row * line, columns);
    const hit = found < columns && found == firstMaximum(t + <usize>row * line, columns);
    store<f32>(hits + (<usize>row << 2), hit ? 1 : 0);
  }
}

/** hits[chunk] = how many elements have x ≥ threshold just where t ≥ targetThreshold; x and t [n].
 *  Unit: a chunk of CHUNK elements. */
export function countCorrectBinary(
  begin: u32, end: u32, hits: usize, x: usize, t: usize, n: u32, threshold: f32, targetThreshold: f32,
): void {
  const limit = f32x4.splat(threshold);
  const targetLimit = f32x4.splat(targetThreshold);
  for (let chunk = begin; chunk < end; chunk++) {
    const stop = chunk * CHUNK + min(CHUNK, n - chunk * CHUNK);
    let count: u32 = 0;
    let i = chunk * CHUNK;
    for (; i + LANES <= stop; i += LANES) {
      const at = <usize>i << 2;
      count += popcnt(i32x4.bitmask(agreement(v128.load(x + at), v128.load(t + at), limit, targetLimit)));
    }
    if (i < stop) {
      const at = <usize>i << 2;
      const agree = agreement(loadPart(x + at, stop - i), loadPart(t + at, stop - i), limit, targetLimit);
      count += popcnt(i32x4.bitmask(v128.and(agree, laneMask(stop - i))));
    }
    store<f32>(hits + (<usize>chunk << 2), <f32>count);
  }
}

// @ts-ignore: decorator
@inline
function agreement(x: v128, t: v128, limit: v128, targetLimit: v128): v128 {
  const ordered = v128.and(f32x4.eq(x, x), f32x4.eq(t, t));
  return v128.andnot(ordered, v128.xor(f32x4.ge(x, limit), f32x4.ge(t, targetLimit)));
}
