// Reductions of one axis (or several that lie next to each other), seen as [outer, length, inner].
// A sum's order depends on the shape alone: lanes, then blocks, then parts, which are summed again
// as a tensor of their own by a second instruction. `y` is never one of the inputs.
//
//   inner = 1   sum, largest, smallest           a part is 4096 elements of a row
//   inner > 1   sumRows, largestRows, …          a part is 256 rows of 16 columns

import { laneMask } from "../loops";
import { LANES, loadPart, select4, storePart } from "../simd";

@unmanaged class Sum {
  @inline identity(): f32 { return 0; }
  @inline combine(a: v128, b: v128): v128 { return f32x4.add(a, b); }
}
@unmanaged class Largest {
  @inline identity(): f32 { return -Infinity; }
  @inline combine(a: v128, b: v128): v128 { return f32x4.max(a, b); }
}
@unmanaged class Smallest {
  @inline identity(): f32 { return Infinity; }
  @inline combine(a: v128, b: v128): v128 { return f32x4.min(a, b); }
}

/** Elements of a row that one unit reduces, and of those that are added up before they join the rest. */
export const REDUCED_PART: u32 = 4096;
const BLOCK: u32 = 256;

/** `n` elements reduced to four lanes: blocks of 256, each in four vectors side by side, then one after another. */
function reduceToLanes<Op>(x: usize, n: u32): v128 {
  const identity = f32x4.splat(changetype<Op>(0).identity());
  let total = identity;
  let i: u32 = 0;
  while (i + 4 * LANES <= n) {
    const stop = min(i + BLOCK, n);
    let r0 = identity;
    let r1 = identity;
    let r2 = identity;
    let r3 = identity;
    for (; i + 4 * LANES <= stop; i += 4 * LANES) {
      const at = x + (<usize>i << 2);
      r0 = changetype<Op>(0).combine(r0, v128.load(at));
      r1 = changetype<Op>(0).combine(r1, v128.load(at, 16));
      r2 = changetype<Op>(0).combine(r2, v128.load(at, 32));
      r3 = changetype<Op>(0).combine(r3, v128.load(at, 48));
    }
    const pairs = changetype<Op>(0).combine(changetype<Op>(0).combine(r0, r2), changetype<Op>(0).combine(r1, r3));
    total = changetype<Op>(0).combine(total, pairs);
  }
  let rest = identity;
  for (; i + LANES <= n; i += LANES) rest = changetype<Op>(0).combine(rest, v128.load(x + (<usize>i << 2)));
  if (i < n) {
    const part = loadPart(x + (<usize>i << 2), n - i);
    rest = changetype<Op>(0).combine(rest, select4(laneMask(n - i), part, identity));
  }
  return changetype<Op>(0).combine(total, rest);
}

/** The four lanes of `v` reduced, in every lane: (v0, v2) and (v1, v3) first. */
function reduceLanes<Op>(v: v128): v128 {
  const pairs = changetype<Op>(0).combine(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return changetype<Op>(0).combine(pairs, v128.shuffle<f32>(pairs, pairs, 1, 0, 3, 2));
}

/** Units are parts: y[outer, parts] of x [outer, length]. */
function reduceParts<Op>(begin: u32, end: u32, y: usize, x: usize, length: u32, scale: f32): void {
  const parts = (length + REDUCED_PART - 1) / REDUCED_PART;
  for (let unit = begin; unit < end; unit++) {
    const first = (unit % parts) * REDUCED_PART;
    const from = x + (<usize>((unit / parts) * length + first) << 2);
    const lanes = reduceToLanes<Op>(from, min(REDUCED_PART, length - first));
    store<f32>(y + (<usize>unit << 2), f32x4.extract_lane(reduceLanes<Op>(lanes), 0) * scale);
  }
}

/** y[o, part] = scale · Σ x[o, 4096·part …]; x [outer, length], y [outer, parts]; unit: a part. Error at most
 *  36·2^-24 of Σ|x|: 15 additions in a block, 15 of blocks, 5 of vectors and lanes, the factor. */
export function sum(begin: u32, end: u32, y: usize, x: usize, length: u32, scale: f32): void {
  reduceParts<Sum>(begin, end, y, x, length, scale);
}

/** y[o, part] = max x[o, 4096·part …], NaN if any is; x [outer, length], y [outer, parts]; unit: a part. */
export function largest(begin: u32, end: u32, y: usize, x: usize, length: u32): void {
  reduceParts<Largest>(begin, end, y, x, length, 1);
}

/** y[o, part] = min x[o, 4096·part …], NaN if any is; x [outer, length], y [outer, parts]; unit: a part. */
export function smallest(begin: u32, end: u32, y: usize, x: usize, length: u32): void {
  reduceParts<Smallest>(begin, end, y, x, length, 1);
}

// ——— Down the rows ———
//
//   x [length, inner]          unit (part 0, columns 0…15)
//   ┌────────┬────────┬────┐   ┌────────┐
//   │ 256    │        │    │   │ block  │ 16 rows are added up, row by row, four vectors side by side,
//   │ rows   │        │    │   ├────────┤ before they join the part's total
//   ├────────┼────────┼────┤   │ block  │
//   │ 256    │        │    │   └────────┘
//   └────────┴────────┴────┘
//     16       16       rest

export const REDUCED_ROWS: u32 = 256;
const BLOCK_ROWS: u32 = 16;
export const REDUCED_COLUMNS: u32 = 16;

/** Units are (outer, part, 16 columns): y [outer, parts, inner] of x [outer, length, inner]. */
function reduceRows<Op>(begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32, scale: f32): void {
  const parts = (length + REDUCED_ROWS - 1) / REDUCED_ROWS;
  const stripes = (inner + REDUCED_COLUMNS - 1) / REDUCED_COLUMNS;
  for (let unit = begin; unit < end; unit++) {
    const column = (unit % stripes) * REDUCED_COLUMNS;
    const part = (unit / stripes) % parts;
    const outer = unit / stripes / parts;
    const from = x + (<usize>((outer * length + part * REDUCED_ROWS) * inner + column) << 2);
    const to = y + (<usize>((outer * parts + part) * inner + column) << 2);
    const count = min(REDUCED_ROWS, length - part * REDUCED_ROWS);
    if (column + REDUCED_COLUMNS <= inner) reduceSixteen<Op>(to, from, count, inner, scale);
    else reduceFew<Op>(to, from, count, inner, inner - column, scale);
  }
}

/** Sixteen columns of `count` rows. */
function reduceSixteen<Op>(y: usize, x: usize, count: u32, inner: u32, scale: f32): void {
  const identity = f32x4.splat(changetype<Op>(0).identity());
  const stride = <usize>inner << 2;
  let t0 = identity;
  let t1 = identity;
  let t2 = identity;
  let t3 = identity;
  for (let row: u32 = 0; row < count; ) {
    const stop = min(row + BLOCK_ROWS, count);
    let r0 = identity;
    let r1 = identity;
    let r2 = identity;
    let r3 = identity;
    for (; row < stop; row++) {
      r0 = changetype<Op>(0).combine(r0, v128.load(x));
      r1 = changetype<Op>(0).combine(r1, v128.load(x, 16));
      r2 = changetype<Op>(0).combine(r2, v128.load(x, 32));
      r3 = changetype<Op>(0).combine(r3, v128.load(x, 48));
      x += stride;
    }
    t0 = changetype<Op>(0).combine(t0, r0);
    t1 = changetype<Op>(0).combine(t1, r1);
    t2 = changetype<Op>(0).combine(t2, r2);
    t3 = changetype<Op>(0).combine(t3, r3);
  }
  const factor = f32x4.splat(scale);
  v128.store(y, f32x4.mul(t0, factor));
  v128.store(y, f32x4.mul(t1, factor), 16);
  v128.store(y, f32x4.mul(t2, factor), 32);
  v128.store(y, f32x4.mul(t3, factor), 48);
}

/** The last `columns` (1 to 15) columns, a vector at a time, each added up in the same order as among sixteen. */
function reduceFew<Op>(y: usize, x: usize, count: u32, inner: u32, columns: u32, scale: f32): void {
  const identity = f32x4.splat(changetype<Op>(0).identity());
  const stride = <usize>inner << 2;
  for (let column: u32 = 0; column < columns; column += LANES) {
    const width = columns - column;
    let from = x + (<usize>column << 2);
    let total = identity;
    for (let row: u32 = 0; row < count; ) {
      const stop = min(row + BLOCK_ROWS, count);
      let block = identity;
      for (; row < stop; row++) {
        block = changetype<Op>(0).combine(block, width >= LANES ? v128.load(from) : loadPart(from, width));
        from += stride;
      }
      total = changetype<Op>(0).combine(total, block);
    }
    const result = f32x4.mul(total, f32x4.splat(scale));
    if (width >= LANES) v128.store(y + (<usize>column << 2), result);
    else storePart(y + (<usize>column << 2), result, width);
  }
}

/** y[o, part, i] = scale · Σ_l x[o, l, i] over 256 rows l; x [outer, length, inner], y [outer, parts, inner]; unit:
 *  16 columns of a part. Error at most 32·2^-24 of Σ|x|. */
export function sumRows(begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32, scale: f32): void {
  reduceRows<Sum>(begin, end, y, x, length, inner, scale);
}

/** y[o, part, i] = max_l x[o, l, i] over 256 rows l, NaN if any is; shapes and units as sumRows. */
export function largestRows(begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32): void {
  reduceRows<Largest>(begin, end, y, x, length, inner, 1);
}

/** y[o, part, i] = min_l x[o, l, i] over 256 rows l, NaN if any is; shapes and units as sumRows. */
export function smallestRows(begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32): void {
  reduceRows<Smallest>(begin, end, y, x, length, inner, 1);
}

/** dx = (x = y) · dy / (how many of the row are): the gradient of max or min, shared evenly among equals as PyTorch's
 *  amax does. x, dx [outer, length, inner]; y, dy [outer, inner]; unit: four columns of one outer, or a row where
 *  inner is 1. Overwrites; dx may be x. A row whose extremum is NaN gets NaN. */
export function extremumGradient(
  begin: u32, end: u32, dx: usize, dy: usize, y: usize, x: usize, length: u32, inner: u32,
): void {
  if (inner == 1) {
    for (let row = begin; row < end; row++) {
      const at = <usize>row << 2;
      shareInRow(dx + at * length, load<f32>(dy + at), load<f32>(y + at), x + at * length, length);
    }
    return;
  }
  const groups = (inner + LANES - 1) / LANES;
  for (let unit = begin; unit < end; unit++) {
    const column = (unit % groups) * LANES;
    const outer = unit / groups;
    const at = <usize>(outer * inner + column) << 2;
    const from = <usize>(outer * length * inner + column) << 2;
    shareInColumns(dx + from, dy + at, y + at, x + from, length, inner, min(LANES, inner - column));
  }
}

function shareInRow(dx: usize, dy: f32, y: f32, x: usize, n: u32): void {
  let count: u32 = 0;
  for (let i: u32 = 0; i < n; i++) count += u32(load<f32>(x + (<usize>i << 2)) == y);
  for (let i: u32 = 0; i < n; i++) {
    const at = <usize>i << 2;
    store<f32>(dx + at, ((load<f32>(x + at) == y ? dy : 0 * dy) as f32) / <f32>count);
  }
}

function shareInColumns(dx: usize, dy: usize, y: usize, x: usize, length: u32, inner: u32, width: u32): void {
  const whole = width == LANES;
  const extremum = whole ? v128.load(y) : loadPart(y, width);
  const gradient = whole ? v128.load(dy) : loadPart(dy, width);
  const stride = <usize>inner << 2;
  let count = f32x4.splat(0);
  for (let row: u32 = 0; row < length; row++) {
    const at = x + <usize>row * stride;
    const equal = f32x4.eq(whole ? v128.load(at) : loadPart(at, width), extremum);
    count = f32x4.add(count, v128.and(equal, f32x4.splat(1)));
  }
  for (let row: u32 = 0; row < length; row++) {
    const at = <usize>row * stride;
    const equal = f32x4.eq(whole ? v128.load(x + at) : loadPart(x + at, width), extremum);
    const share = f32x4.div(f32x4.mul(v128.and(equal, f32x4.splat(1)), gradient), count);
    if (whole) v128.store(dx + at, share);
    else storePart(dx + at, share, width);
  }
}

/** y[o, i] = the first l (uint32) at which x[o, l, i] is largest, or is the first NaN; x [outer, length, inner],
 *  y [outer, inner]; unit: an element of y. */
export function argmax(begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32): void {
  const stride = <usize>inner << 2;
  for (let unit = begin; unit < end; unit++) {
    const from = x + (<usize>((unit / inner) * length * inner + (unit % inner)) << 2);
    let best = load<f32>(from);
    let place: u32 = 0;
    for (let l: u32 = 1; l < length && best == best; l++) {
      const value = load<f32>(from + <usize>l * stride);
      if (value <= best) continue;
      best = value;
      place = l;
    }
    store<u32>(y + (<usize>unit << 2), place);
  }
}
