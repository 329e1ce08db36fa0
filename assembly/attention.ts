// What the forward and the backward pass of attention share (kernels/attention.ts): products of small blocks, and what masks
// and positions do to a block of scores.

import { philox4, uniform4 } from "./random";
import { IS_WIDE, madd, select4 } from "./simd";
import { packPanelAcross } from "./tiles";
import { keepWide4, keepWide5 } from "./wideTiles";
import { CLOCK_STEP, useInRound } from "./kernels/step";

const HEIGHT: u32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 5;
/** Queries and keys of a block: fewer if a head has more than WIDE features. */
export const ATTENTION_BLOCK: u32 = 64;
export const ATTENTION_WIDE_BLOCK: u32 = 32;
export const ATTENTION_WIDE: u32 = 128;
export const ATTENTION_FEATURES: u32 = 256;

export function blockOf(depth: u32, width: u32): u32 {
  return max(depth, width) > ATTENTION_WIDE ? ATTENTION_WIDE_BLOCK : ATTENTION_BLOCK;
}

/** What is asked for, and one sample's head of it. Lines are the bytes from one position to the next. */
@unmanaged export class Head {
  // As the kernels' parameters.
  allQ: usize; allK: usize; allV: usize; allMask: usize; lengths: usize; allBias: usize; slopes: usize; start: usize; clock: usize;
  heads: u32; groups: u32; queries: u32; keys: u32; depth: u32; width: u32;
  causal: u32; window: u32; biasBatch: u32; biasHead: u32; seed0: u32; seed1: u32; stream: u32;
  scale: f32; rate: f32;
  lineQ: usize; lineK: usize; lineV: usize; lineY: usize;
  // Of the backward pass.
  allDy: usize; allY: usize; allLogSum: usize; allDq: usize; allDk: usize; allDv: usize;
  // Of the head that is chosen: its first rows; 0 for no mask or bias.
  q: usize; k: usize; v: usize; mask: usize; bias: usize;
  dy: usize; y: usize; logSum: usize; dq: usize; dk: usize; dv: usize;
  /** Keys from this one on are hidden. */
  limit: u32;
  /** Position of query 0; key j is at position j. */
  offset: u32;
  slope: f32;
  /** Number of the first block of random numbers. */
  counter: u32;
  /** A number for each key of the block, 0 or -Infinity; 0: none is hidden by a mask. */
  hidden: usize;
}

/** Goes to one sample's head: what of the task is its. */
export function choose(head: Head, sample: u32, index: u32): void {
  const group = index / (head.heads / head.groups);
  const query = <usize>(sample * head.queries);
  const key = <usize>(sample * head.keys);
  head.q = head.allQ + query * head.lineQ + (<usize>(index * head.depth) << 2);
  head.k = head.allK + key * head.lineK + (<usize>(group * head.depth) << 2);
  head.v = head.allV + key * head.lineV + (<usize>(group * head.width) << 2);
  head.mask = head.allMask != 0 ? head.allMask + (key << 2) : 0;
  head.limit = head.lengths != 0 ? min(head.keys, load<u32>(head.lengths + (<usize>sample << 2))) : head.keys;
  head.bias = head.allBias != 0 ? head.allBias + (<usize>(sample * head.biasBatch + index * head.biasHead) << 2) : 0;
  head.slope = head.slopes != 0 ? load<f32>(head.slopes + (<usize>index << 2)) : 0;
  head.offset = head.start != 0 ? <u32>load<f32>(head.start + (<usize>sample << 2)) : 0;
  head.counter = (sample * head.heads + index) * head.keys * ((head.queries + 3) >> 2);
  const row = query * head.lineY + (<usize>(index * head.width) << 2);
  head.dy = head.allDy + row;
  head.y = head.allY + row;
  head.logSum = head.allLogSum + (<usize>((sample * head.heads + index) * head.queries) << 2);
  head.dq = head.allDq + (head.q - head.allQ);
  head.dk = head.allDk + (head.k - head.allK);
  head.dv = head.allDv + (head.v - head.allV);
}

/** Whether all that hides a key is that it is behind its query, or that keys end. */
// @ts-ignore: decorator
@inline
export function isPlain(head: Head): bool {
  return head.bias == 0 && head.slope == 0 && head.window == 0 && head.hidden == 0;
}

/** So many numbers rounded up to whole tiles. */
// @ts-ignore: decorator
@inline
export function whole8(n: u32): u32 {
  return (n + 7) & ~7;
}

/** The keys below this one are all that a query sees, or one before it. */
export function endOfKeys(head: Head, query: u32): u32 {
  const position = head.offset + query;
  if (head.causal != 0) return min(head.limit, position + 1);
  return head.window != 0 ? min(head.limit, position + head.window) : head.limit;
}

/** Neither a query nor one behind it sees a key before this one. */
export function startOfKeys(head: Head, query: u32): u32 {
  const position = head.offset + query;
  return head.window != 0 && position + 1 > head.window ? position + 1 - head.window : 0;
}

/** How many keys of a block from `first` on are below `end`. */
// @ts-ignore: decorator
@inline
export function within(end: u32, first: u32, count: u32): u32 {
  return end > first ? min(count, end - first) : 0;
}

// ——— Products: C[i][j] = (add ? C[i][j] : 0) + Σ_k A[k][i]·B[k][j], rows of A, B and C so many bytes apart ———

/** Columns of C, `bytes` of them, a whole number of eights. Up to HEIGHT - 1 rows behind the last are written too, and read of A. */
export function strip(
  c: usize, lineC: usize, a: usize, lineA: usize, b: usize, lineB: usize, bytes: usize, rows: u32, depth: u32,
): void {
  for (let i: u32 = 0; i < rows; ) {
    const height = rows - i > 4 ? HEIGHT : 4;
    tiles(c + <usize>i * lineC, lineC, a + (<usize>i << 2), lineA, b, lineB, bytes, height, depth, false);
    i += height;
  }
}

/** Bytes of columns of scores that are computed at once from column `i` on, of `columns`; 0: they were, with those before them.
 *  The wide build takes sixteen columns if all of them are seen by the same rows. */
export function stripBytes(head: Head, i: u32, columns: u32): usize {
  if (!IS_WIDE || head.causal != 0 || head.window != 0) return 32;
  if ((i & 8) != 0) return 0;
  return i + 16 <= columns ? 64 : 32;
}

/** Bytes of the next tile's columns if so many are left. */
// @ts-ignore: decorator
@inline
export function tileBytes(left: usize): usize {
  return IS_WIDE && left >= 64 ? 64 : 32;
}

/** `bytes` of columns, a whole number of eights, of a few rows of C. */
export function tiles(
  c: usize, lineC: usize, a: usize, lineA: usize, b: usize, lineB: usize, bytes: usize, height: u32, depth: u32, add: bool,
): void {
  const keep: i32 = add ? -1 : 0;
  let j: usize = 0;
  for (; IS_WIDE && j + 64 <= bytes; j += 64) {
    if (height == 4) keepWide4(c + j, lineC, a, lineA, b + j, lineB, depth, keep);
    else keepWide5(c + j, lineC, a, lineA, b + j, lineB, depth, keep);
  }
  for (; j < bytes; j += 32) tile(c + j, lineC, a, lineA, b + j, lineB, height, depth, add);
}

function tile(
  c: usize, lineC: usize, a: usize, lineA: usize, b: usize, lineB: usize, height: u32, depth: u32, add: bool,
): void {
  const keep: i32 = add ? -1 : 0;
  if (height == 4) tile4(c, lineC, a, lineA, b, lineB, depth, keep);
  else if (ASC_FEATURE_RELAXED_SIMD) tile6(c, lineC, a, lineA, b, lineB, depth, keep);
  else tile5(c, lineC, a, lineA, b, lineB, depth, keep);
}

/** Tile height where so many rows are left. */
// @ts-ignore: decorator
@inline
export function tileHeight(rows: u32): u32 {
  return rows > 4 ? HEIGHT : 4;
}

function tile4(c: usize, line: usize, a: usize, lineA: usize, b: usize, lineB: usize, depth: u32, keep: i32): void {
  const kept = i32x4.splat(keep);
  let c00 = v128.and(v128.load(c), kept), c01 = v128.and(v128.load(c, 16), kept);
  let c10 = v128.and(v128.load(c + line), kept), c11 = v128.and(v128.load(c + line, 16), kept);
  let c20 = v128.and(v128.load(c + line * 2), kept), c21 = v128.and(v128.load(c + line * 2, 16), kept);
  let c30 = v128.and(v128.load(c + line * 3), kept), c31 = v128.and(v128.load(c + line * 3, 16), kept);
  for (const stop = a + <usize>depth * lineA; a < stop; a += lineA, b += lineB) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c + line, c10);
  v128.store(c + line, c11, 16);
  v128.store(c + line * 2, c20);
  v128.store(c + line * 2, c21, 16);
  v128.store(c + line * 3, c30);
  v128.store(c + line * 3, c31, 16);
}

function tile5(c: usize, line: usize, a: usize, lineA: usize, b: usize, lineB: usize, depth: u32, keep: i32): void {
  const kept = i32x4.splat(keep);
  let c00 = v128.and(v128.load(c), kept), c01 = v128.and(v128.load(c, 16), kept);
  let c10 = v128.and(v128.load(c + line), kept), c11 = v128.and(v128.load(c + line, 16), kept);
  let c20 = v128.and(v128.load(c + line * 2), kept), c21 = v128.and(v128.load(c + line * 2, 16), kept);
  let c30 = v128.and(v128.load(c + line * 3), kept), c31 = v128.and(v128.load(c + line * 3, 16), kept);
  let c40 = v128.and(v128.load(c + line * 4), kept), c41 = v128.and(v128.load(c + line * 4, 16), kept);
  for (const stop = a + <usize>depth * lineA; a < stop; a += lineA, b += lineB) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(a, 16);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c + line, c10);
  v128.store(c + line, c11, 16);
  v128.store(c + line * 2, c20);
  v128.store(c + line * 2, c21, 16);
  v128.store(c + line * 3, c30);
  v128.store(c + line * 3, c31, 16);
  v128.store(c + line * 4, c40);
  v128.store(c + line * 4, c41, 16);
}

function tile6(c: usize, line: usize, a: usize, lineA: usize, b: usize, lineB: usize, depth: u32, keep: i32): void {
  const kept = i32x4.splat(keep);
  let c00 = v128.and(v128.load(c), kept), c01 = v128.and(v128.load(c, 16), kept);
  let c10 = v128.and(v128.load(c + line), kept), c11 = v128.and(v128.load(c + line, 16), kept);
  let c20 = v128.and(v128.load(c + line * 2), kept), c21 = v128.and(v128.load(c + line * 2, 16), kept);
  let c30 = v128.and(v128.load(c + line * 3), kept), c31 = v128.and(v128.load(c + line * 3, 16), kept);
  let c40 = v128.and(v128.load(c + line * 4), kept), c41 = v128.and(v128.load(c + line * 4, 16), kept);
  let c50 = v128.and(v128.load(c + line * 5), kept), c51 = v128.and(v128.load(c + line * 5, 16), kept);
  for (const stop = a + <usize>depth * lineA; a < stop; a += lineA, b += lineB) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(a, 16);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load32_splat(a, 20);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c + line, c10);
  v128.store(c + line, c11, 16);
  v128.store(c + line * 2, c20);
  v128.store(c + line * 2, c21, 16);
  v128.store(c + line * 3, c30);
  v128.store(c + line * 3, c31, 16);
  v128.store(c + line * 4, c40);
  v128.store(c + line * 4, c41, 16);
  v128.store(c + line * 5, c50);
  v128.store(c + line * 5, c51, 16);
}

// ——— Rows in and out ———

/** Rows of `n` numbers as `width` columns, a whole number of eights: to[k][i] = x[i][k] · scale; the other columns are 0. */
export function across(to: usize, x: usize, line: usize, rows: u32, n: u32, width: u32, scale: f32): void {
  packPanelAcross(to, x, line, rows, n, width);
  if (scale == 1) return;
  const factor = f32x4.splat(scale);
  const stop = to + (<usize>(n * width) << 2);
  for (; to < stop; to += 16) v128.store(to, f32x4.mul(v128.load(to), factor));
}

/** Whether rows of so many numbers can be read where they are, eight at a time. */
// @ts-ignore: decorator
@inline
export function areWhole(n: u32): bool {
  return (n & 7) == 0;
}

/** Rows of `n` numbers, filled up with zeros to a whole number of eights. */
export function padRows(to: usize, x: usize, line: usize, rows: u32, n: u32): void {
  const bytes = <usize>n << 2;
  const wide = <usize>whole8(n) << 2;
  for (let i: u32 = 0; i < rows; i++, x += line, to += wide) {
    memory.copy(to, x, bytes);
    memory.fill(to + bytes, 0, wide - bytes);
  }
}

/** y[i][k] = x[i][k] (+ y[i][k]) for rows of `n` numbers. */
export function takeRows(y: usize, lineY: usize, x: usize, lineX: usize, rows: u32, n: u32, add: bool): void {
  const keep = i32x4.splat(add ? -1 : 0);
  for (let i: u32 = 0; i < rows; i++, x += lineX, y += lineY) {
    let k: usize = 0;
    for (; k + 4 <= <usize>n; k += 4) {
      const to = y + (k << 2);
      v128.store(to, f32x4.add(v128.and(v128.load(to), keep), v128.load(x + (k << 2))));
    }
    for (; k < <usize>n; k++) {
      const to = y + (k << 2);
      store<f32>(to, (add ? load<f32>(to) : 0) + load<f32>(x + (k << 2)));
    }
  }
}

// ——— Masks ———

/** Writes 0 for each of `count` keys that is there and -Infinity for each that is not, and notes it if there is one. */
export function hideKeys(to: usize, head: Head, first: u32, count: u32): void {
  head.hidden = 0;
  if (head.mask == 0) return;
  let hides = false;
  for (let j: u32 = 0; j < count; j++) {
    const isThere = load<f32>(head.mask + (<usize>(first + j) << 2)) != 0;
    store<f32>(to + (<usize>j << 2), isThere ? 0 : -Infinity);
    if (!isThere) hides = true;
  }
  if (hides) head.hidden = to;
}

/** Four entries of the bias, of queries or of keys that follow one another; those beyond the last are the last's. */
function biasOf(head: Head, query: u32, key: u32, alongKeys: bool): v128 {
  if (alongKeys && key + 4 <= head.keys) return v128.load(head.bias + (<usize>(query * head.keys + key) << 2));
  let at = biasAt(head, query, key);
  let lanes = v128.load32_zero(at);
  at = alongKeys ? biasAt(head, query, key + 1) : biasAt(head, query + 1, key);
  lanes = v128.load_lane<f32>(at, lanes, 1);
  at = alongKeys ? biasAt(head, query, key + 2) : biasAt(head, query + 2, key);
  lanes = v128.load_lane<f32>(at, lanes, 2);
  at = alongKeys ? biasAt(head, query, key + 3) : biasAt(head, query + 3, key);
  return v128.load_lane<f32>(at, lanes, 3);
}

function biasAt(head: Head, query: u32, key: u32): usize {
  return head.bias + (<usize>(min(query, head.queries - 1) * head.keys + min(key, head.keys - 1)) << 2);
}

/** Adds to eight columns of scores what masks and positions add: -Infinity for what is hidden. Columns are keys and rows
 *  queries (`alongKeys`), or the reverse; `query` and `key` are those of the first element, `hidden` a number for each key
 *  (0: none is hidden). */
export function maskScores(
  head: Head, scores: usize, line: usize, rows: u32, query: u32, key: u32, alongKeys: bool, hidden: usize,
): void {
  for (let i: u32 = 0; i < rows; i++, scores += line) {
    maskFour(head, scores, query, key, alongKeys, hidden);
    if (alongKeys) {
      maskFour(head, scores + 16, query, key + 4, true, hidden != 0 ? hidden + 16 : 0);
      query++;
    } else {
      maskFour(head, scores + 16, query + 4, key, false, hidden);
      key++;
      if (hidden != 0) hidden += 4;
    }
  }
}

function maskFour(head: Head, at: usize, query: u32, key: u32, alongKeys: bool, hidden: usize): void {
  const ramp = i32x4(0, 1, 2, 3);
  const distance = i32x4.splat(<i32>(head.offset + query - key));
  // How far each key is before its query.
  const before = alongKeys ? i32x4.sub(distance, ramp) : i32x4.add(distance, ramp);
  let value = v128.load(at);
  if (head.slope != 0) {
    value = f32x4.sub(value, f32x4.mul(f32x4.splat(head.slope), f32x4.convert_i32x4_s(i32x4.abs(before))));
  }
  if (head.bias != 0) value = f32x4.add(value, biasOf(head, query, key, alongKeys));
  if (hidden != 0) value = f32x4.add(value, alongKeys ? v128.load(hidden) : v128.load32_splat(hidden));
  let isHidden = i32x4.splat(0);
  if (head.causal != 0) isHidden = i32x4.lt_s(before, i32x4.splat(0));
  if (head.window != 0) {
    const window = i32x4.splat(<i32>head.window);
    isHidden = v128.or(isHidden, v128.or(i32x4.ge_s(before, window), i32x4.le_s(before, i32x4.neg(window))));
  }
  v128.store(at, select4(isHidden, f32x4.splat(-Infinity), value));
}

// ——— Random numbers ———

/** Factors of dropout, 0 or 1 / (1 - rate), of `count` keys by `queries` (from a multiple of four on): to[key][query]. Key j and queries
 *  4i … 4i + 3 have block counter + j·⌈queries / 4⌉ + i. */
export function drawDropped(to: usize, line: usize, head: Head, key: u32, count: u32, query: u32, queries: u32): void {
  const step = load<u32>(head.clock, CLOCK_STEP);
  const use = useInRound(head.clock, 0);
  const scale = f32x4.splat(<f32>(1 / (1 - <f64>head.rate)));
  const threshold = f32x4.splat(head.rate);
  const quads = (head.queries + 3) >> 2;
  for (let j: u32 = 0; j < count; j++, to += line) {
    const first = head.counter + (key + j) * quads + (query >> 2);
    for (let i: u32 = 0; i < queries; i += 4) {
      const drawn = uniform4(philox4(first + (i >> 2), step, head.stream, use, head.seed0, head.seed1));
      v128.store(to + (<usize>i << 2), v128.and(scale, f32x4.ge(drawn, threshold)));
    }
  }
}
