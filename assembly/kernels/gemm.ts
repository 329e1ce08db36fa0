// Matrix products C = A·B, Aᵀ·B and A·Bᵀ, all matrices row-major, with bias and activation in the last pass.
//
// Blocked after Goto & van de Geijn (2008). A unit is one tile of C, up to ROWS × COLUMNS; units count
// down the rows of one strip of columns, then on to the next strip, so that a range of units packs a
// strip of B once for all of its rows:
//
//              strip 0    strip 1            B, packed: panels of 8 columns    A, packed: panels of 4 rows
//            ┌──────────┬──────────┐         ┌─ k ──────────┐                  ┌─ k ──────────┐
//   ROWS │   │ unit 0   │ unit 3   │         │ b00…b07      │                  │ a00 a10 a20 a30
//            ├──────────┼──────────┤         │ b10…b17      │                  │ a01 a11 a21 a31
//            │ unit 1   │ unit 4   │         │ …            │                  │ …
//            └──────────┴──────────┘         └──────────────┘                  └──────────────┘
//
// The micro-kernel keeps a 4×8 tile of C in eight vectors and reads both panels in order: per k two
// vector loads of B, four splat loads of A, eight multiply-adds. More accumulators spill in V8 and
// unrolling by hand does too. Sums over k go in blocks of at most DEPTH: the blocks depend on k alone,
// so a result does not depend on how the units were shared out.

import { horizontalSum, loadPart, madd, storePart } from "../simd";
import { reluLanes, sigmoidLanes, tanhLanes } from "./activation";

const ROWS: u32 = 16;
const COLUMNS: u32 = 256;
const DEPTH: u32 = 256;

// Thread scratch: packed A (ROWS × DEPTH), packed B (COLUMNS × DEPTH), one 4×8 tile for the edges.
const B_OFFSET: usize = ROWS * DEPTH * 4;
const EDGE_OFFSET: usize = B_OFFSET + COLUMNS * DEPTH * 4;

// Longest chain of additions in gemmSmall: longer sums go in parts, which keeps their rounding down.
const CHAIN: u32 = 128;

const A_TRANSPOSED: u32 = 1;
const B_TRANSPOSED: u32 = 2;

/** C [m, n] = (accumulate ? C : 0) + op(A)·op(B), + bias [n] (0: none), then the activation `epilogue` (0: none).
 *  form 0: A [m, k], B [k, n]; 1: A [k, m]; 2: B [n, k]. Without `accumulate` C is never read.
 *  Unit: a tile of 16 × 256. */
export function gemm(
  begin: u32, end: u32, scratch: usize, c: usize, a: usize, b: usize, bias: usize,
  m: u32, n: u32, k: u32, form: u32, epilogue: u32, accumulate: u32,
): void {
  const rowTiles = (m + ROWS - 1) / ROWS;
  const depthBlocks = max((k + DEPTH - 1) / DEPTH, 1);
  while (begin < end) {
    const strip = begin / rowTiles;
    const stop = min(end, (strip + 1) * rowTiles);
    const column = strip * COLUMNS;
    const columns = min(COLUMNS, n - column);
    for (let block: u32 = 0; block < depthBlocks; block++) {
      const k0 = <u32>((<u64>k * block) / depthBlocks);
      const depth = <u32>((<u64>k * (block + 1)) / depthBlocks) - k0;
      if (form == B_TRANSPOSED) packAcross(scratch + B_OFFSET, b, k, column, k0, columns, depth, 8);
      else packAlong(scratch + B_OFFSET, b, n, column, k0, columns, depth, 8);
      const add = accumulate != 0 || block > 0;
      const last = block + 1 == depthBlocks;
      for (let unit = begin; unit < stop; unit++) {
        const row = (unit - strip * rowTiles) * ROWS;
        const rows = min(ROWS, m - row);
        if (form == A_TRANSPOSED) packAlong(scratch, a, m, row, k0, rows, depth, 4);
        else packAcross(scratch, a, k, row, k0, rows, depth, 4);
        const tile = c + ((<usize>row * n + column) << 2);
        const tileBias = last && bias != 0 ? bias + (<usize>column << 2) : 0;
        multiplyTile(scratch, tile, tileBias, rows, columns, depth, n, add, last ? epilogue : 0);
      }
    }
    begin = stop;
  }
}

/** Packs `width` source columns at a time; they lie beside each other: element (k, j) at x[k·stride + j]. */
function packAlong(
  panel: usize, x: usize, stride: u32, first: u32, k0: u32, count: u32, depth: u32, width: u32,
): void {
  const line = <usize>stride << 2;
  for (let j: u32 = 0; j < count; j += width) {
    let from = x + ((<usize>k0 * stride + first + j) << 2);
    if (j + width <= count) {
      if (width == 8) {
        for (let i: u32 = 0; i < depth; i++, from += line, panel += 32) {
          v128.store(panel, v128.load(from));
          v128.store(panel, v128.load(from, 16), 16);
        }
      } else {
        for (let i: u32 = 0; i < depth; i++, from += line, panel += 16) v128.store(panel, v128.load(from));
      }
    } else {
      const part = count - j;
      for (let i: u32 = 0; i < depth; i++, from += line, panel += <usize>width << 2) {
        for (let lane: u32 = 0; lane < width; lane++) {
          store<f32>(panel + (<usize>lane << 2), lane < part ? load<f32>(from + (<usize>lane << 2)) : 0);
        }
      }
    }
  }
}

/** Packs `width` source rows at a time; they lie across: element (k, j) at x[j·stride + k]. Four by four transposes. */
function packAcross(
  panel: usize, x: usize, stride: u32, first: u32, k0: u32, count: u32, depth: u32, width: u32,
): void {
  const line = <usize>stride << 2;
  const step = <usize>width << 2;
  for (let j: u32 = 0; j < count; j += width) {
    for (let half: u32 = 0; half < width; half += 4) {
      const from = x + ((<usize>(first + j + half) * stride + k0) << 2);
      const to = panel + (<usize>half << 2);
      const rows = j + half < count ? count - j - half : 0;
      if (rows >= 4) packFour(to, from, line, step, depth);
      else packFew(to, from, line, step, depth, rows);
    }
    panel += <usize>depth * step;
  }
}

function packFour(to: usize, from: usize, line: usize, step: usize, depth: u32): void {
  let i: u32 = 0;
  for (; i + 4 <= depth; i += 4, from += 16, to += step * 4) {
    const r0 = v128.load(from);
    const r1 = v128.load(from + line);
    const r2 = v128.load(from + line * 2);
    const r3 = v128.load(from + line * 3);
    const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
    const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
    const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
    v128.store(to + step, v128.shuffle<f64>(low01, low23, 1, 3));
    v128.store(to + step * 2, v128.shuffle<f64>(high01, high23, 0, 2));
    v128.store(to + step * 3, v128.shuffle<f64>(high01, high23, 1, 3));
  }
  packFew(to, from, line, step, depth - i, 4);
}

function packFew(to: usize, from: usize, line: usize, step: usize, depth: u32, rows: u32): void {
  for (let i: u32 = 0; i < depth; i++, from += 4, to += step) {
    for (let row: u32 = 0; row < 4; row++) {
      store<f32>(to + (<usize>row << 2), row < rows ? load<f32>(from + <usize>row * line) : 0);
    }
  }
}

/** All 4×8 tiles of one unit, from the packed block of A at `scratch` and the packed strip of B behind it. */
function multiplyTile(
  scratch: usize, c: usize, bias: usize, rows: u32, columns: u32, depth: u32, n: u32, add: bool, epilogue: u32,
): void {
  const line = <usize>n << 2;
  let panelB = scratch + B_OFFSET;
  for (let j: u32 = 0; j < columns; j += 8, panelB += <usize>depth << 5) {
    let panelA = scratch;
    const part = min<u32>(8, columns - j);
    const biasHere = bias != 0 ? bias + (<usize>j << 2) : 0;
    for (let i: u32 = 0; i < rows; i += 4, panelA += <usize>depth << 4) {
      const to = c + <usize>i * line + (<usize>j << 2);
      const height = min<u32>(4, rows - i);
      if (part == 8 && height == 4) {
        multiplyPanels(to, line, panelA, panelB, depth, biasHere, add);
      } else {
        multiplyPanels(scratch + EDGE_OFFSET, 32, panelA, panelB, depth, 0, false);
        storeEdge(to, line, scratch + EDGE_OFFSET, height, part, biasHere, add);
      }
      if (epilogue != 0) activate(to, line, height, part, epilogue);
    }
  }
}

/** The micro-kernel: C 4×8 = (add ? C : 0) + panel of A · panel of B (+ bias). */
function multiplyPanels(c: usize, line: usize, a: usize, b: usize, depth: u32, bias: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  for (const stop = a + (<usize>depth << 4); a < stop; a += 16, b += 32) {
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
  if (add) {
    c00 = f32x4.add(v128.load(c), c00);
    c01 = f32x4.add(v128.load(c, 16), c01);
    c10 = f32x4.add(v128.load(c + line), c10);
    c11 = f32x4.add(v128.load(c + line, 16), c11);
    c20 = f32x4.add(v128.load(c + line * 2), c20);
    c21 = f32x4.add(v128.load(c + line * 2, 16), c21);
    c30 = f32x4.add(v128.load(c + line * 3), c30);
    c31 = f32x4.add(v128.load(c + line * 3, 16), c31);
  }
  if (bias != 0) {
    const bias0 = v128.load(bias);
    const bias1 = v128.load(bias, 16);
    c00 = f32x4.add(c00, bias0);
    c01 = f32x4.add(c01, bias1);
    c10 = f32x4.add(c10, bias0);
    c11 = f32x4.add(c11, bias1);
    c20 = f32x4.add(c20, bias0);
    c21 = f32x4.add(c21, bias1);
    c30 = f32x4.add(c30, bias0);
    c31 = f32x4.add(c31, bias1);
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

/** Copies the valid corner of an edge tile to C, element by element, as the micro-kernel would. */
function storeEdge(c: usize, line: usize, tile: usize, height: u32, width: u32, bias: usize, add: bool): void {
  for (let i: u32 = 0; i < height; i++, c += line, tile += 32) {
    for (let j: usize = 0; j < <usize>width << 2; j += 4) {
      let value = load<f32>(tile + j);
      if (add) value = load<f32>(c + j) + value;
      if (bias != 0) value += load<f32>(bias + j);
      store<f32>(c + j, value);
    }
  }
}

function activate(c: usize, line: usize, height: u32, width: u32, epilogue: u32): void {
  for (let i: u32 = 0; i < height; i++, c += line) {
    let j: u32 = 0;
    for (; j + 4 <= width; j += 4) {
      const at = c + (<usize>j << 2);
      v128.store(at, activation(v128.load(at), epilogue));
    }
    if (j < width) {
      const at = c + (<usize>j << 2);
      storePart(at, activation(loadPart(at, width - j), epilogue), width - j);
    }
  }
}

function activation(x: v128, epilogue: u32): v128 {
  if (epilogue == 1) return reluLanes(x);
  return epilogue == 2 ? sigmoidLanes(x) : tanhLanes(x);
}

/** The same product without packing, for tiny matrices and for few rows (inference of one sample).
 *  Arguments as `gemm`. Unit: one row of C. */
export function gemmSmall(
  begin: u32, end: u32, c: usize, a: usize, b: usize, bias: usize,
  m: u32, n: u32, k: u32, form: u32, epilogue: u32, accumulate: u32,
): void {
  const stepA: usize = form == A_TRANSPOSED ? <usize>m << 2 : 4;
  const lineA: usize = form == A_TRANSPOSED ? 4 : <usize>k << 2;
  const line = <usize>n << 2;
  for (let row = begin; row < end; row++) {
    const to = c + <usize>row * line;
    const from = a + <usize>row * lineA;
    if (form == B_TRANSPOSED) {
      dotRows(to, from, b, bias, n, k, accumulate != 0);
    } else {
      let i: u32 = 0;
      for (; i + CHAIN < k; i += CHAIN) combineRows(to, from + <usize>i * stepA, stepA, b + <usize>i * line, 0, n, CHAIN, i > 0 || accumulate != 0);
      combineRows(to, from + <usize>i * stepA, stepA, b + <usize>i * line, bias, n, k - i, i > 0 || accumulate != 0);
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

/** One row of C as dot products with the rows of B [n, k]. */
function dotRows(c: usize, a: usize, b: usize, bias: usize, n: u32, k: u32, add: bool): void {
  for (let j: u32 = 0; j < n; j++, b += <usize>k << 2) {
    let sum = f32x4.splat(0);
    let i: u32 = 0;
    for (; i + 4 <= k; i += 4) sum = madd(v128.load(a + (<usize>i << 2)), v128.load(b + (<usize>i << 2)), sum);
    if (i < k) sum = madd(loadPart(a + (<usize>i << 2), k - i), loadPart(b + (<usize>i << 2), k - i), sum);
    let value = horizontalSum(sum);
    const at = <usize>j << 2;
    if (add) value = load<f32>(c + at) + value;
    if (bias != 0) value += load<f32>(bias + at);
    store<f32>(c + at, value);
  }
}
