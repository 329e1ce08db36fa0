// Matrix products C = A·B, Aᵀ·B and A·Bᵀ, all matrices row-major, with bias and activation in the last pass.
//
// Blocked after Goto & van de Geijn (2008). C is done in strips of at most STRIP_COLUMNS columns. A unit is one row of a strip; all
// rows of the first strip come first, so that a range of units packs the strip of B once for all of its rows:
//
//        strip 0    strip 1            B, packed: panels of 8 columns    A, packed: panels of HEIGHT or 4 rows
//      ┌──────────┬──────────┐         ┌─ k ──────────┐                  ┌─ k ──────────────┐
//      │ unit 0   │ unit m   │         │ b00…b07      │                  │ a00 a10 a20 a30 …
//      │ unit 1   │ unit m+1 │         │ b10…b17      │                  │ a01 a11 a21 a31 …
//      │ …        │ …        │         │ …            │                  │ …
//      └──────────┴──────────┘         └──────────────┘                  └──────────────────┘
//
// A product of few rows reads B where it lies. Sums over k go in blocks of at most PANEL_DEPTH: the blocks depend on k alone, so
// no element depends on how the units were shared out. Packing and the micro-kernels: assembly/tiles.ts.

import { loadLanes, storeLanes } from "../lanes";
import { loadPart, madd, storePart } from "../simd";
import {
  activated, B_OFFSET, PANEL_DEPTH, DIRECT_ROWS, heightOf, multiplyRows, packAcross, packAlong, packColumns, packPanelAcross,
  PANEL_ROWS, rowsOfHeight, STRIP_COLUMNS,
} from "../tiles";

export const A_TRANSPOSED: u32 = 1;
export const B_TRANSPOSED: u32 = 2;

/** C [m, n] = (accumulate ? C : 0) + op(A)·op(B), + bias [n] (0: none), then the activation `epilogue` (0: none).
 *  form 0: A [m, k], B [k, n]; 1: A [k, m]; 2: B [n, k]. Without `accumulate` C is never read.
 *  Unit: a row of a strip of `width` columns (at most STRIP_COLUMNS, a multiple of 8); the rows of the first strip come first. */
export function gemm(
  begin: u32, end: u32, scratch: usize, c: usize, a: usize, b: usize, bias: usize,
  m: u32, n: u32, k: u32, form: u32, epilogue: u32, accumulate: u32, width: u32,
): void {
  const blocks = depthBlocks(k);
  while (begin < end) {
    const strip = begin / m;
    const first = begin - strip * m;
    const stop = min(m, first + end - begin);
    const column = strip * width;
    const columns = min(width, n - column);
    for (let block: u32 = 0; block < blocks; block++) {
      const last = block + 1 == blocks;
      const stripBias = last && bias != 0 ? bias + (<usize>column << 2) : 0;
      const add = accumulate != 0 || block > 0;
      multiplyBlock(scratch, c, a, b, stripBias, m, n, k, form, last ? epilogue : 0, add, first, stop, column, columns, block, blocks);
    }
    begin += stop - first;
  }
}

/** Blocks of a sum over k. */
function depthBlocks(k: u32): u32 {
  return max((k + PANEL_DEPTH - 1) / PANEL_DEPTH, 1);
}

/** What one block of k gives to `columns` columns of rows first … stop of C. */
function multiplyBlock(
  scratch: usize, c: usize, a: usize, b: usize, bias: usize, m: u32, n: u32, k: u32, form: u32, epilogue: u32, add: bool,
  first: u32, stop: u32, column: u32, columns: u32, block: u32, blocks: u32,
): void {
  const line = <usize>n << 2;
  const k0 = <u32>((<u64>k * block) / blocks);
  const depth = <u32>((<u64>k * (block + 1)) / blocks) - k0;
  const direct = form != B_TRANSPOSED && stop - first <= DIRECT_ROWS && (columns & 7) == 0;
  let panels = scratch + B_OFFSET;
  if (direct) panels = b + ((<usize>k0 * n + column) << 2);
  else if (form == B_TRANSPOSED) packAcross(panels, b, k, column, k0, columns, depth);
  else packColumns(panels, b, n, column, k0, columns, depth);
  for (let row = first; row < stop; row += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, stop - row);
    packRows(scratch, a, form == A_TRANSPOSED, form == A_TRANSPOSED ? m : k, row, k0, rows, depth);
    const to = c + ((<usize>row * n + column) << 2);
    multiplyRows(scratch, panels, direct ? line : 0, to, line, bias, rows, columns, depth, add, epilogue);
  }
}

/** The product of `gemm`, up to STRIP_COLUMNS columns, whose sums threads share: each block of k is a product of its own. The first
 *  is stored in C, the others in `parts`, which `addParts` must add. So a thread reads and packs only its part of A and B.
 *  Where all units are one thread's, C is complete, and the first word of `parts` says so: not 0.
 *  parts: PARTS_OFFSET bytes, then [blocks - 1, m, n]. Unit: a row of a block; the rows of the first block come first. */
export function gemmParts(
  begin: u32, end: u32, scratch: usize, c: usize, parts: usize, a: usize, b: usize, bias: usize,
  m: u32, n: u32, k: u32, form: u32, epilogue: u32,
): void {
  const blocks = depthBlocks(k);
  const whole = end - begin == blocks * m;
  if (begin == 0) store<u32>(parts, u32(whole));
  if (whole) return gemm(0, m, scratch, c, a, b, bias, m, n, k, form, epilogue, 0, STRIP_COLUMNS);
  while (begin < end) {
    const block = begin / m;
    const first = begin - block * m;
    const stop = min(m, first + end - begin);
    const to = block == 0 ? c : parts + PARTS_OFFSET + ((<usize>(block - 1) * m * n) << 2);
    multiplyBlock(scratch, to, a, b, 0, m, n, k, form, 0, false, first, stop, 0, n, block, blocks);
    begin += stop - first;
  }
}

export const PARTS_OFFSET: usize = 64;

/** C [m, n] = activation(C + the parts of its sums + bias), in the order of the blocks: the bits of `gemm`. Nothing if C is
 *  complete. parts as `gemmParts` leaves them, `count` [m, n] of them. Unit: a row. */
export function addParts(
  begin: u32, end: u32, c: usize, parts: usize, bias: usize, m: u32, n: u32, count: u32, epilogue: u32,
): void {
  if (load<u32>(parts) != 0) return;
  const step = (<usize>m * n) << 2;
  for (let row = begin; row < end; row++) {
    const line = (<usize>row * n) << 2;
    for (let j: u32 = 0; j < n; j += 4) {
      const at = line + (<usize>j << 2);
      const lanes = min<u32>(4, n - j);
      let sum = loadLanes(c + at, lanes);
      let part = parts + PARTS_OFFSET + at;
      for (let i: u32 = 0; i < count; i++, part += step) sum = f32x4.add(sum, loadLanes(part, lanes));
      if (bias != 0) sum = f32x4.add(sum, loadLanes(bias + (<usize>j << 2), lanes));
      storeLanes(c + at, epilogue != 0 ? activated(sum, epilogue) : sum, lanes);
    }
  }
}

/** Packs rows of op(A) in panels, the last filled up with zeros. */
function packRows(
  panel: usize, a: usize, transposed: bool, stride: u32, row: u32, k0: u32, rows: u32, depth: u32,
): void {
  const line = <usize>stride << 2;
  while (rows > 0) {
    const height = heightOf(rows);
    const here = transposed ? rowsOfHeight(rows, height) : min(height, rows);
    if (transposed) packAlong(panel, a, stride, row, k0, here, depth, height);
    else packPanelAcross(panel, a + <usize>row * line + (<usize>k0 << 2), line, here, depth, height);
    panel += <usize>(depth * height * ((here + height - 1) / height)) << 2;
    row += here;
    rows -= here;
  }
}

function activate(c: usize, line: usize, height: u32, width: u32, epilogue: u32): void {
  for (let i: u32 = 0; i < height; i++, c += line) {
    let j: u32 = 0;
    for (; j + 4 <= width; j += 4) {
      const at = c + (<usize>j << 2);
      v128.store(at, activated(v128.load(at), epilogue));
    }
    if (j < width) {
      const at = c + (<usize>j << 2);
      storePart(at, activated(loadPart(at, width - j), epilogue), width - j);
    }
  }
}

/** The same product, bit for bit, without packing: for tiny matrices and for few rows (inference of one sample).
 *  Arguments as `gemm`. Unit: one row of C. */
export function gemmSmall(
  begin: u32, end: u32, c: usize, a: usize, b: usize, bias: usize,
  m: u32, n: u32, k: u32, form: u32, epilogue: u32, accumulate: u32,
): void {
  const stepA: usize = form == A_TRANSPOSED ? <usize>m << 2 : 4;
  const lineA: usize = form == A_TRANSPOSED ? 4 : <usize>k << 2;
  const line = <usize>n << 2;
  const blocks = depthBlocks(k);
  for (let row = begin; row < end; row++) {
    const to = c + <usize>row * line;
    const from = a + <usize>row * lineA;
    for (let block: u32 = 0; block < blocks; block++) {
      const k0 = <u32>((<u64>k * block) / blocks);
      const depth = <u32>((<u64>k * (block + 1)) / blocks) - k0;
      const left = from + <usize>k0 * stepA;
      const last = block + 1 == blocks ? bias : 0;
      const add = block > 0 || accumulate != 0;
      if (form == B_TRANSPOSED) dotRows(to, left, b + (<usize>k0 << 2), last, n, k, depth, add);
      else combineRows(to, left, stepA, b + <usize>k0 * line, last, n, depth, add);
    }
    if (epilogue != 0) activate(to, line, 1, n, epilogue);
  }
}

/** One row of C as a combination of the rows of B: 32 columns at a time, then 4, then the rest. */
function combineRows(c: usize, a: usize, step: usize, b: usize, bias: usize, n: u32, k: u32, add: bool): void {
  let j: u32 = 0;
  for (; j + 32 <= n; j += 32) combine32(c + (<usize>j << 2), a, step, b + (<usize>j << 2), n, k, bias != 0 ? bias + (<usize>j << 2) : 0, add);
  for (; j < n; j += 4) {
    const at = <usize>j << 2;
    const part = min<u32>(4, n - j);
    const line = <usize>n << 2;
    let sum = f32x4.splat(0);
    let from = b + at;
    let x = a;
    if (part == 4) {
      for (let i: u32 = 0; i < k; i++, x += step, from += line) sum = madd(v128.load32_splat(x), v128.load(from), sum);
      if (add) sum = f32x4.add(v128.load(c + at), sum);
      if (bias != 0) sum = f32x4.add(sum, v128.load(bias + at));
      v128.store(c + at, sum);
    } else {
      for (let i: u32 = 0; i < k; i++, x += step, from += line) sum = madd(v128.load32_splat(x), loadPart(from, part), sum);
      if (add) sum = f32x4.add(loadPart(c + at, part), sum);
      if (bias != 0) sum = f32x4.add(sum, loadPart(bias + at, part));
      storePart(c + at, sum, part);
    }
  }
}

function combine32(c: usize, a: usize, step: usize, b: usize, n: u32, k: u32, bias: usize, add: bool): void {
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), c2 = f32x4.splat(0), c3 = f32x4.splat(0);
  let c4 = f32x4.splat(0), c5 = f32x4.splat(0), c6 = f32x4.splat(0), c7 = f32x4.splat(0);
  const line = <usize>n << 2;
  for (let i: u32 = 0; i < k; i++, a += step, b += line) {
    const x = v128.load32_splat(a);
    c0 = madd(x, v128.load(b), c0);
    c1 = madd(x, v128.load(b, 16), c1);
    c2 = madd(x, v128.load(b, 32), c2);
    c3 = madd(x, v128.load(b, 48), c3);
    c4 = madd(x, v128.load(b, 64), c4);
    c5 = madd(x, v128.load(b, 80), c5);
    c6 = madd(x, v128.load(b, 96), c6);
    c7 = madd(x, v128.load(b, 112), c7);
  }
  storeSum(c, c0, bias, add);
  storeSum(c + 16, c1, bias != 0 ? bias + 16 : 0, add);
  storeSum(c + 32, c2, bias != 0 ? bias + 32 : 0, add);
  storeSum(c + 48, c3, bias != 0 ? bias + 48 : 0, add);
  storeSum(c + 64, c4, bias != 0 ? bias + 64 : 0, add);
  storeSum(c + 80, c5, bias != 0 ? bias + 80 : 0, add);
  storeSum(c + 96, c6, bias != 0 ? bias + 96 : 0, add);
  storeSum(c + 112, c7, bias != 0 ? bias + 112 : 0, add);
}

function storeSum(c: usize, sum: v128, bias: usize, add: bool): void {
  if (add) sum = f32x4.add(v128.load(c), sum);
  if (bias != 0) sum = f32x4.add(sum, v128.load(bias));
  v128.store(c, sum);
}

/** One row of C as dot products with `depth` elements of the rows of B [n, k]: four at a time, each sum in the order of the elements. */
function dotRows(c: usize, a: usize, b: usize, bias: usize, n: u32, k: u32, depth: u32, add: bool): void {
  const line = <usize>k << 2;
  const whole = <usize>(depth & ~3) << 2;
  const stop = <usize>depth << 2;
  for (let j: u32 = 0; j < n; j += 4, b += line << 2) {
    const part = min<u32>(4, n - j);
    const b1 = part > 1 ? b + line : b;
    const b2 = part > 2 ? b1 + line : b;
    const b3 = part > 3 ? b2 + line : b;
    let sum = f32x4.splat(0);
    let at: usize = 0;
    for (; at < whole; at += 16) {
      const r0 = v128.load(b + at);
      const r1 = v128.load(b1 + at);
      const r2 = v128.load(b2 + at);
      const r3 = v128.load(b3 + at);
      const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
      const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
      const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
      const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
      sum = madd(v128.load32_splat(a + at), v128.shuffle<f64>(low01, low23, 0, 2), sum);
      sum = madd(v128.load32_splat(a + at, 4), v128.shuffle<f64>(low01, low23, 1, 3), sum);
      sum = madd(v128.load32_splat(a + at, 8), v128.shuffle<f64>(high01, high23, 0, 2), sum);
      sum = madd(v128.load32_splat(a + at, 12), v128.shuffle<f64>(high01, high23, 1, 3), sum);
    }
    for (; at < stop; at += 4) {
      let column = v128.load32_zero(b + at);
      column = v128.load_lane<f32>(b1 + at, column, 1);
      column = v128.load_lane<f32>(b2 + at, column, 2);
      column = v128.load_lane<f32>(b3 + at, column, 3);
      sum = madd(v128.load32_splat(a + at), column, sum);
    }
    const to = <usize>j << 2;
    if (part == 4) {
      if (add) sum = f32x4.add(v128.load(c + to), sum);
      if (bias != 0) sum = f32x4.add(sum, v128.load(bias + to));
      v128.store(c + to, sum);
    } else {
      if (add) sum = f32x4.add(loadPart(c + to, part), sum);
      if (bias != 0) sum = f32x4.add(sum, loadPart(bias + to, part));
      storePart(c + to, sum, part);
    }
  }
}
