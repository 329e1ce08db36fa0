// Matrix products C = A·B, Aᵀ·B and A·Bᵀ, all matrices row-major, with bias and activation in the last pass.
//
// Blocked after Goto & van de Geijn (2008). C is done in strips of COLUMNS columns. A unit is one row of a strip; all
// rows of the first strip come first, so that a range of units packs the strip of B once for all of its rows:
//
//        strip 0    strip 1            B, packed: panels of 8 columns    A, packed: panels of HEIGHT or 4 rows
//      ┌──────────┬──────────┐         ┌─ k ──────────┐                  ┌─ k ──────────────┐
//      │ unit 0   │ unit m   │         │ b00…b07      │                  │ a00 a10 a20 a30 …
//      │ unit 1   │ unit m+1 │         │ b10…b17      │                  │ a01 a11 a21 a31 …
//      │ …        │ …        │         │ …            │                  │ …
//      └──────────┴──────────┘         └──────────────┘                  └──────────────────┘
//
// The micro-kernel keeps a tile of C, HEIGHT × 8, in vectors and reads both panels in order: per k two vector loads of
// B, HEIGHT splat loads of A, 2·HEIGHT multiply-adds. A product of few rows reads B where it lies. Sums over k go in
// blocks of at most DEPTH: the blocks depend on k alone, so no element depends on how the units were shared out.
//
// Micro-kernels alone, packed panels in the first-level cache, GFLOP/s of 58.4 that the lanes give (Node 20 / 22 / 26;
// the loop after the tile is part of it):
//
//   strict  4×8  41.7 / 41.8 / 48.4    5×8  44.4 / 44.4 / 49.3    3×12  43.0 / 43.2 / 53.0    2×16  43.7 / 41.8 / 48.2
//   fast    4×8  53.5 / 53.5 / 53.9    5×8  54.8 / 54.8 / 55.0    6×8   57.7 / 57.5 / 57.8    3×12  54.7 / 54.4 / 54.0
//
// Six rows need sixteen registers in the strict build, one more than V8 has. The rest of what is lost is instructions:
// V8 11 adds an offset to a splat load's address by an instruction of its own, and tests for interrupts in each round.
// Copying every element of A four times, which makes the splats plain loads, gives 46.7 / 47.7 / 50.2 for 5×8 and loses
// it again in packing. Two k a round gain for 4×8 on Node 20 (45.8) and lose on Node 26. The sums must be stored right
// behind the loop, without a branch: with branches there V8 11 turns the order of the loop's operations round and spills.

import { horizontalSum, loadPart, madd, storePart } from "../simd";
import { reluLanes, sigmoidLanes, tanhLanes } from "./activation";

const HEIGHT: u32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 5;
// Rows of A that are packed at a time: a multiple of both heights.
const ROWS: u32 = 60;
const COLUMNS: u32 = 256;
const DEPTH: u32 = 384;
// Up to this many rows packing B costs more than reading it line by line. (784 deep, 128 wide: 4 rows 40 instead of 27
// GFLOP/s strict, 51 instead of 31 fast; 16 rows 41.5 and 37, 53 and 45; 48 rows 41 and 43, 54.5 and 51.5. 1024 deep and
// wide, where a column's lines share one set of the cache: 8 rows 31 and 23, 36 and 26; 32 rows 33 and 37, 47 and 43.)
const DIRECT_ROWS: u32 = ASC_FEATURE_RELAXED_SIMD ? 40 : 24;

// Thread scratch: packed A (ROWS × DEPTH), packed B (COLUMNS × DEPTH), one tile.
const B_OFFSET: usize = ROWS * DEPTH * 4;
const TILE_OFFSET: usize = B_OFFSET + COLUMNS * DEPTH * 4;

// Longest chain of additions in gemmSmall: longer sums go in parts, which keeps their rounding down.
const CHAIN: u32 = 128;

const A_TRANSPOSED: u32 = 1;
const B_TRANSPOSED: u32 = 2;

/** C [m, n] = (accumulate ? C : 0) + op(A)·op(B), + bias [n] (0: none), then the activation `epilogue` (0: none).
 *  form 0: A [m, k], B [k, n]; 1: A [k, m]; 2: B [n, k]. Without `accumulate` C is never read.
 *  Unit: a row of a strip of 256 columns; the rows of the first strip come first. */
export function gemm(
  begin: u32, end: u32, scratch: usize, c: usize, a: usize, b: usize, bias: usize,
  m: u32, n: u32, k: u32, form: u32, epilogue: u32, accumulate: u32,
): void {
  const depthBlocks = max((k + DEPTH - 1) / DEPTH, 1);
  while (begin < end) {
    const strip = begin / m;
    const first = begin - strip * m;
    const stop = min(m, first + end - begin);
    const column = strip * COLUMNS;
    const columns = min(COLUMNS, n - column);
    const direct = form != B_TRANSPOSED && stop - first <= DIRECT_ROWS && (columns & 7) == 0;
    for (let block: u32 = 0; block < depthBlocks; block++) {
      const k0 = <u32>((<u64>k * block) / depthBlocks);
      const depth = <u32>((<u64>k * (block + 1)) / depthBlocks) - k0;
      let panels = scratch + B_OFFSET;
      if (direct) panels = b + ((<usize>k0 * n + column) << 2);
      else if (form == B_TRANSPOSED) packAcross(panels, b, k, column, k0, columns, depth);
      else packAlong(panels, b, n, column, k0, columns, depth, 8);
      const add = accumulate != 0 || block > 0;
      const last = block + 1 == depthBlocks;
      const stripBias = last && bias != 0 ? bias + (<usize>column << 2) : 0;
      for (let row = first; row < stop; row += ROWS) {
        const rows = min(ROWS, stop - row);
        packRows(scratch, a, form == A_TRANSPOSED, form == A_TRANSPOSED ? m : k, row, k0, rows, depth);
        const to = c + ((<usize>row * n + column) << 2);
        multiplyRows(scratch, panels, direct, to, stripBias, rows, columns, depth, n, add, last ? epilogue : 0);
      }
    }
    begin += stop - first;
  }
}

/** Height of the next panel where so many rows are left: fours where the last few rows come out even with them. */
function heightOf(rows: u32): u32 {
  if (rows >= 4 * HEIGHT - 3 || rows % HEIGHT == 0) return HEIGHT;
  return rows < 4 || (rows & 3) == 0 ? 4 : HEIGHT;
}

/** Packs rows of op(A) in panels, the last filled up with zeros. */
function packRows(
  panel: usize, a: usize, transposed: bool, stride: u32, row: u32, k0: u32, rows: u32, depth: u32,
): void {
  const line = <usize>stride << 2;
  while (rows > 0) {
    const height = heightOf(rows);
    const here = min(height, rows);
    if (transposed) packAlong(panel, a, stride, row, k0, here, depth, height);
    else packPanelAcross(panel, a + <usize>row * line + (<usize>k0 << 2), line, here, depth, height);
    panel += <usize>(depth * height) << 2;
    row += here;
    rows -= here;
  }
}

/** Packs `width` source columns at a time; they lie beside each other: element (k, j) at x[k·stride + j]. */
function packAlong(
  panel: usize, x: usize, stride: u32, first: u32, k0: u32, count: u32, depth: u32, width: u32,
): void {
  const line = <usize>stride << 2;
  let from = x + ((<usize>k0 * stride + first) << 2);
  for (let j: u32 = 0; j < count; j += width) {
    packPanelAlong(panel, from, line, min(width, count - j), depth, width);
    from += <usize>width << 2;
    panel += <usize>(depth * width) << 2;
  }
}

function packPanelAlong(to: usize, from: usize, line: usize, columns: u32, depth: u32, width: u32): void {
  const stop = from + <usize>depth * line;
  if (columns < width) {
    for (let lane: u32 = 0; lane < width; lane++) {
      const at = to + (<usize>lane << 2);
      if (lane < columns) copyColumn(at, from + (<usize>lane << 2), <usize>width << 2, line, depth);
      else fillColumn(at, <usize>width << 2, depth);
    }
  } else if (width == 8) {
    for (; from < stop; from += line, to += 32) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
    }
  } else if (width == 6) {
    for (; from < stop; from += line, to += 24) {
      v128.store(to, v128.load(from));
      store<u64>(to, load<u64>(from, 16), 16);
    }
  } else if (width == 5) {
    for (; from < stop; from += line, to += 20) {
      v128.store(to, v128.load(from));
      store<u32>(to, load<u32>(from, 16), 16);
    }
  } else {
    for (; from < stop; from += line, to += 16) v128.store(to, v128.load(from));
  }
}

/** Packs eight source rows at a time; they lie across: element (k, j) at x[j·stride + k]. */
function packAcross(panel: usize, x: usize, stride: u32, first: u32, k0: u32, count: u32, depth: u32): void {
  const line = <usize>stride << 2;
  let from = x + ((<usize>first * stride + k0) << 2);
  for (let j: u32 = 0; j < count; j += 8) {
    packPanelAcross(panel, from, line, min<u32>(8, count - j), depth, 8);
    from += line << 3;
    panel += <usize>depth << 5;
  }
}

/** One panel of `width` columns from `rows` source rows, `line` bytes apart: four at a time where it can, then one by one. */
function packPanelAcross(panel: usize, from: usize, line: usize, rows: u32, depth: u32, width: u32): void {
  const step = <usize>width << 2;
  let i: u32 = 0;
  for (; i + 4 <= rows; i += 4, panel += 16, from += line << 2) packFour(panel, from, line, step, depth);
  for (; i < rows; i++, panel += 4, from += line) packOne(panel, from, step, depth);
  for (; i < width; i++, panel += 4) fillColumn(panel, step, depth);
}

/** Four rows, in transposes of four by four. */
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
  for (let row: usize = 0; row < 4; row++) copyColumn(to + (row << 2), from + row * line, step, 4, depth - i);
}

function packOne(to: usize, from: usize, step: usize, depth: u32): void {
  let i: u32 = 0;
  for (; i + 4 <= depth; i += 4, from += 16, to += step * 4) {
    const x = v128.load(from);
    v128.store_lane<f32>(to, x, 0);
    v128.store_lane<f32>(to + step, x, 1);
    v128.store_lane<f32>(to + step * 2, x, 2);
    v128.store_lane<f32>(to + step * 3, x, 3);
  }
  copyColumn(to, from, step, 4, depth - i);
}

function copyColumn(to: usize, from: usize, step: usize, line: usize, depth: u32): void {
  for (let i: u32 = 0; i < depth; i++, to += step, from += line) store<u32>(to, load<u32>(from));
}

function fillColumn(to: usize, step: usize, depth: u32): void {
  for (let i: u32 = 0; i < depth; i++, to += step) store<u32>(to, 0);
}

/** All tiles of `rows` × `columns`, from the packed rows of A at `scratch` and the panels of B, packed or in B itself. */
function multiplyRows(
  scratch: usize, panelB: usize, direct: bool, c: usize, bias: usize,
  rows: u32, columns: u32, depth: u32, n: u32, add: bool, epilogue: u32,
): void {
  const line = <usize>n << 2;
  const stepB: usize = direct ? line : 32;
  const nextB: usize = direct ? 32 : <usize>depth << 5;
  const tile = scratch + TILE_OFFSET;
  const plain = !add && bias == 0 && epilogue == 0;
  for (let j: u32 = 0; j < columns; j += 8, panelB += nextB) {
    const width = min<u32>(8, columns - j);
    const biasHere = bias != 0 ? bias + (<usize>j << 2) : 0;
    let panelA = scratch;
    for (let i: u32 = 0; i < rows; ) {
      // From the start for each tile: to add the rows up as they come is 4 % slower on V8 11 (strict, 256³).
      const to = c + <usize>i * line + (<usize>j << 2);
      const height = heightOf(rows - i);
      const here = min(height, rows - i);
      if (plain && width == 8 && here == height) {
        multiplyPanels(to, line, panelA, panelB, stepB, depth, height);
      } else {
        multiplyPanels(tile, 32, panelA, panelB, stepB, depth, height);
        finishTile(to, line, tile, here, width, biasHere, add, epilogue);
      }
      panelA += <usize>(depth * height) << 2;
      i += here;
    }
  }
}

/** A tile of C = panel of A · panel of B. `line` and `stepB` in bytes. */
function multiplyPanels(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32, height: u32): void {
  if (height == 4) multiply4(c, line, a, b, stepB, depth);
  else if (ASC_FEATURE_RELAXED_SIMD) multiply6(c, line, a, b, stepB, depth);
  else multiply5(c, line, a, b, stepB, depth);
}

function multiply4(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  for (const stop = a + <usize>depth * 16; a < stop; a += 16, b += stepB) {
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

function multiply5(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0);
  for (const stop = a + <usize>depth * 20; a < stop; a += 20, b += stepB) {
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

function multiply6(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  for (const stop = a + <usize>depth * 24; a < stop; a += 24, b += stepB) {
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

/** Takes the valid corner of a tile to C: adds what is there, adds the bias, applies the activation. */
function finishTile(
  c: usize, line: usize, tile: usize, height: u32, width: u32, bias: usize, add: bool, epilogue: u32,
): void {
  const stop = tile + (<usize>height << 5);
  if (width == 8 && add && bias == 0 && epilogue == 0) {
    for (; tile < stop; tile += 32, c += line) {
      v128.store(c, f32x4.add(v128.load(c), v128.load(tile)));
      v128.store(c, f32x4.add(v128.load(c, 16), v128.load(tile, 16)), 16);
    }
    return;
  }
  for (; tile < stop; tile += 32, c += line) {
    finishPart(c, v128.load(tile), min<u32>(width, 4), bias, add, epilogue);
    if (width > 4) finishPart(c + 16, v128.load(tile, 16), width - 4, bias != 0 ? bias + 16 : 0, add, epilogue);
  }
}

// @ts-ignore: decorator
@inline
function finishPart(c: usize, sum: v128, width: u32, bias: usize, add: bool, epilogue: u32): void {
  if (width == 4) {
    if (add) sum = f32x4.add(v128.load(c), sum);
    if (bias != 0) sum = f32x4.add(sum, v128.load(bias));
    v128.store(c, epilogue == 0 ? sum : activation(sum, epilogue));
  } else {
    if (add) sum = f32x4.add(loadPart(c, width), sum);
    if (bias != 0) sum = f32x4.add(sum, loadPart(bias, width));
    storePart(c, epilogue == 0 ? sum : activation(sum, epilogue), width);
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
