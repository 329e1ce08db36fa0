// Weighted sums of rows that are chosen by uint32 indices, for many places: y[n, p, :] = Σ_k w[n, p, k] · x[n, i[n, p, k], :],
// and its two gradients. All three are slopes of one sum of products, so each one's gradients are the others:
//
//     x [batch, rows, channels]     i, w [batch, places, taps]     y [batch, places, channels]
//
// An index out of range stands for a row of zeros.

import { at, loadLanes, storeLanes } from "../lanes";
import { horizontalSum, LANES, madd } from "../simd";

const VECTOR: usize = 16;

// @ts-ignore: decorator
@inline
function weighted(x: usize, i: usize, w: usize, rows: u32, taps: u32, line: usize, lanes: u32): v128 {
  let sum = f32x4.splat(0);
  for (let k: u32 = 0; k < taps; k++) {
    const row = load<u32>(at(i, k));
    if (row < rows) sum = madd(loadLanes(x + <usize>row * line, lanes), v128.load32_splat(at(w, k)), sum);
  }
  return sum;
}

/** y = the weighted sums; unit: a place. Overwrites. Error at most (taps + 1)·2^-24 of the sum of the sizes. */
export function weightedRows(
  begin: u32, end: u32, y: usize, x: usize, w: usize, indices: usize, rows: u32, places: u32, taps: u32, channels: u32,
): void {
  const line = <usize>channels << 2;
  const rest = channels % LANES;
  for (let unit = begin; unit < end; unit++) {
    const from = x + <usize>(unit / places) * rows * line;
    const to = y + <usize>unit * line;
    const i = at(indices, unit * taps);
    const shares = at(w, unit * taps);
    let c: usize = 0;
    for (; c + VECTOR <= line; c += VECTOR) {
      v128.store(to + c, weighted(from + c, i, shares, rows, taps, line, LANES));
    }
    if (rest != 0) storeLanes(to + c, weighted(from + c, i, shares, rows, taps, line, rest), rest);
  }
}

/** dw[n, p, k] = Σ_c dy[n, p, c] · x[n, i[n, p, k], c]; unit: a place. Overwrites. Four sums at a time, of every fourth
 *  channel. */
export function weightedRowsWeightGradient(
  begin: u32, end: u32, dw: usize, x: usize, dy: usize, indices: usize,
  rows: u32, places: u32, taps: u32, channels: u32,
): void {
  const line = <usize>channels << 2;
  const rest = channels % LANES;
  for (let unit = begin; unit < end; unit++) {
    const image = x + <usize>(unit / places) * rows * line;
    const slopes = dy + <usize>unit * line;
    for (let tap = unit * taps; tap < (unit + 1) * taps; tap++) {
      const row = load<u32>(at(indices, tap));
      let sum = f32x4.splat(0);
      if (row < rows) {
        const from = image + <usize>row * line;
        let c: usize = 0;
        for (; c + VECTOR <= line; c += VECTOR) sum = madd(v128.load(from + c), v128.load(slopes + c), sum);
        if (rest != 0) sum = madd(loadLanes(from + c, rest), loadLanes(slopes + c, rest), sum);
      }
      store<f32>(at(dw, tap), horizontalSum(sum));
    }
  }
}

/** dx += w · dy, n elements. */
function addScaled(dx: usize, dy: usize, w: f32, n: u32): void {
  const factor = f32x4.splat(w);
  const line = <usize>n << 2;
  const rest = n % LANES;
  let c: usize = 0;
  for (; c + VECTOR <= line; c += VECTOR) v128.store(dx + c, madd(v128.load(dy + c), factor, v128.load(dx + c)));
  if (rest != 0) storeLanes(dx + c, madd(loadLanes(dy + c, rest), factor, loadLanes(dx + c, rest)), rest);
}

/** dx[n, r, :] = Σ w[n, p, k] · dy[n, p, :] over the p, k with i[n, p, k] = r, in their order; unit: a row of dx.
 *  Overwrites. */
export function weightedRowsInputGradient(
  begin: u32, end: u32, dx: usize, w: usize, dy: usize, indices: usize,
  rows: u32, places: u32, taps: u32, channels: u32,
): void {
  const line = <usize>channels << 2;
  while (begin < end) {
    const image = begin / rows;
    const first = begin - image * rows;
    const count = min(rows - first, end - begin);
    const to = dx + <usize>begin * line;
    memory.fill(to, 0, <usize>count * line);
    // All indices of the image are looked at once for a whole range of rows.
    let tap = image * places * taps;
    for (let place = image * places; place < (image + 1) * places; place++) {
      for (let k: u32 = 0; k < taps; k++, tap++) {
        const row = load<u32>(at(indices, tap)) - first;
        if (row < count) addScaled(to + <usize>row * line, dy + <usize>place * line, load<f32>(at(w, tap)), channels);
      }
    }
    begin += count;
  }
}
