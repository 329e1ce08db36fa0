// What every product on tiles shares (kernels/gemm.ts, kernels/conv.ts): packing, the micro-kernels, and the last pass
// with bias and activation.
//
//        B, packed: panels of 8 columns    A, packed: panels of HEIGHT or 4 rows
//        (wide build: 16, the last 8 or 16)
//        ┌─ k ──────────┐                  ┌─ k ──────────────┐
//        │ b00…b07      │                  │ a00 a10 a20 a30 …
//        │ b10…b17      │                  │ a01 a11 a21 a31 …
//        │ …            │                  │ …
//        └──────────────┘                  └──────────────────┘
//
// The micro-kernel keeps a tile of C, HEIGHT × 8, in vectors and reads both panels in order: per k two vector loads of
// B, HEIGHT splat loads of A, 2·HEIGHT multiply-adds.
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

import { IS_WIDE, loadPart, madd, storePart } from "./simd";
import { addWide4, addWide5, multiplyWide4, multiplyWide5 } from "./wideTiles";
import { reluLanes, sigmoidLanes, tanhLanes } from "./kernels/activation";

export const HEIGHT: u32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 5;
// Rows of A that are packed at a time: a multiple of both heights.
export const PANEL_ROWS: u32 = 60;
export const STRIP_COLUMNS: u32 = 256;
export const PANEL_DEPTH: u32 = 384;
/** Columns of a panel of B; if at most 8 are left, the last has 8. */
export const PANEL_COLUMNS: u32 = IS_WIDE ? 16 : 8;
// Up to this many rows packing B costs more than reading it line by line. (784 deep, 128 wide: 4 rows 40 instead of 27
// GFLOP/s strict, 51 instead of 31 fast; 16 rows 41.5 and 37, 53 and 45; 48 rows 41 and 43, 54.5 and 51.5. 1024 deep and
// wide, where a column's lines share one set of the cache: 8 rows 31 and 23, 36 and 26; 32 rows 33 and 37, 47 and 43.)
export const DIRECT_ROWS: u32 = ASC_FEATURE_RELAXED_SIMD ? 40 : 24;

/** Temporary memory of each thread. */
export const THREAD_SCRATCH_BYTES: usize = 512 << 10;

// In it: packed A (PANEL_ROWS × PANEL_DEPTH), packed B (STRIP_COLUMNS × PANEL_DEPTH), one tile.
export const B_OFFSET: usize = PANEL_ROWS * PANEL_DEPTH * 4;
export const TILE_OFFSET: usize = B_OFFSET + STRIP_COLUMNS * PANEL_DEPTH * 4;
// What lies behind the tile is the caller's.
export const FREE_OFFSET: usize = TILE_OFFSET + HEIGHT * PANEL_COLUMNS * 4;

/** Height of the next panel where so many rows are left: fours where the last few rows come out even with them. */
export function heightOf(rows: u32): u32 {
  if (rows >= 4 * HEIGHT - 3 || rows % HEIGHT == 0) return HEIGHT;
  return rows < 4 || (rows & 3) == 0 ? 4 : HEIGHT;
}

/** How many rows, of so many, are in panels of that height before another follows. */
export function rowsOfHeight(rows: u32, height: u32): u32 {
  let left = rows;
  while (left > 0 && heightOf(left) == height) left -= min(height, left);
  return rows - left;
}

/** Width of the next panel of B if so many columns are left. */
// @ts-ignore: decorator
@inline
export function panelWidth(columns: u32): u32 {
  return IS_WIDE && columns > 8 ? PANEL_COLUMNS : 8;
}

/** Packs columns of B in panels: element (k, j) at x[k·stride + j]. */
export function packColumns(
  panel: usize, x: usize, stride: u32, first: u32, k0: u32, count: u32, depth: u32,
): void {
  if (!IS_WIDE) return packAlong(panel, x, stride, first, k0, count, depth, 8);
  const rest = count & 15;
  const narrow: u32 = rest <= 8 ? rest : 0;
  const wide = count - narrow;
  packAlong(panel, x, stride, first, k0, wide, depth, PANEL_COLUMNS);
  if (narrow != 0) packAlong(panel + (<usize>(wide * depth) << 2), x, stride, first + wide, k0, narrow, depth, 8);
}

/** Packs `width` source columns at a time; they lie beside each other: element (k, j) at x[k·stride + j]. */
export function packAlong(
  panel: usize, x: usize, stride: u32, first: u32, k0: u32, count: u32, depth: u32, width: u32,
): void {
  const line = <usize>stride << 2;
  let from = x + ((<usize>k0 * stride + first) << 2);
  let j: u32 = 0;
  if (width == HEIGHT && count >= 2 * width) {
    j = count - (count % width);
    packPanelsAlong(panel, from, line, j, depth);
    from += <usize>j << 2;
    panel += <usize>(depth * j) << 2;
  }
  for (; j < count; j += width) {
    packPanelAlong(panel, from, line, min(width, count - j), depth, width);
    from += <usize>width << 2;
    panel += <usize>(depth * width) << 2;
  }
}

/** Packs several whole panels of HEIGHT columns, line by line: where a line is a page, to go through all lines for each panel would
 *  find none of them in the first-level cache. (Panels of B go one by one: line by line, 256³ took 1.05 times as long.) */
function packPanelsAlong(panel: usize, from: usize, line: usize, columns: u32, depth: u32): void {
  const bytes = <usize>columns << 2;
  const next = <usize>(depth * HEIGHT) << 2;
  for (const stop = from + <usize>depth * line; from < stop; from += line, panel += HEIGHT * 4) {
    const end = from + bytes;
    for (let x = from, to = panel; x < end; x += HEIGHT * 4, to += next) {
      v128.store(to, v128.load(x));
      if (HEIGHT == 6) store<u64>(to, load<u64>(x, 16), 16);
      else store<u32>(to, load<u32>(x, 16), 16);
    }
  }
}

export function packPanelAlong(to: usize, from: usize, line: usize, columns: u32, depth: u32, width: u32): void {
  const stop = from + <usize>depth * line;
  if (columns == 3 && width == 4) {
    for (; from < stop; from += line, to += 16) v128.store(to, loadPart(from, 3));
  } else if (columns < width) {
    for (let lane: u32 = 0; lane < width; lane++) {
      const at = to + (<usize>lane << 2);
      if (lane < columns) copyColumn(at, from + (<usize>lane << 2), <usize>width << 2, line, depth);
      else fillColumn(at, <usize>width << 2, depth);
    }
  } else if (IS_WIDE && width == 16) {
    for (; from < stop; from += line, to += 64) {
      const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
      v128.store(to, x0);
      v128.store(to, x1, 16);
      v128.store(to, x2, 32);
      v128.store(to, x3, 48);
    }
  } else if (IS_WIDE && width == 8) {
    for (; from < stop; from += line, to += 32) {
      const x0 = v128.load(from), x1 = v128.load(from, 16);
      v128.store(to, x0);
      v128.store(to, x1, 16);
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

/** Packs source rows as columns of B's panels; they lie across: element (k, j) at x[j·stride + k]. */
export function packAcross(panel: usize, x: usize, stride: u32, first: u32, k0: u32, count: u32, depth: u32): void {
  const line = <usize>stride << 2;
  let from = x + ((<usize>first * stride + k0) << 2);
  for (let j: u32 = 0; j < count; ) {
    const width = panelWidth(count - j);
    packPanelAcross(panel, from, line, min(width, count - j), depth, width);
    from += line * width;
    panel += <usize>(depth * width) << 2;
    j += width;
  }
}

/** One panel of `width` columns from `rows` source rows, `line` bytes apart: four at a time where it can, then one by one. */
export function packPanelAcross(panel: usize, from: usize, line: usize, rows: u32, depth: u32, width: u32): void {
  const step = <usize>width << 2;
  let i: u32 = 0;
  for (; i + 4 <= rows; i += 4, panel += 16, from += line << 2) packFour(panel, from, from + line, from + line * 2, from + line * 3, step, depth);
  for (; i < rows; i++, panel += 4, from += line) packOne(panel, from, step, depth);
  for (; i < width; i++, panel += 4) fillColumn(panel, step, depth);
}

/** Four rows, wherever they begin, in transposes of four by four; the packed columns are `step` bytes apart. */
export function packFour(to: usize, x0: usize, x1: usize, x2: usize, x3: usize, step: usize, depth: u32): void {
  const whole = <usize>(depth & ~3) << 2;
  for (let at: usize = 0; at < whole; at += 16, to += step * 4) {
    const r0 = v128.load(x0 + at);
    const r1 = v128.load(x1 + at);
    const r2 = v128.load(x2 + at);
    const r3 = v128.load(x3 + at);
    const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
    const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
    const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
    v128.store(to + step, v128.shuffle<f64>(low01, low23, 1, 3));
    v128.store(to + step * 2, v128.shuffle<f64>(high01, high23, 0, 2));
    v128.store(to + step * 3, v128.shuffle<f64>(high01, high23, 1, 3));
  }
  const stop = <usize>depth << 2;
  for (let at = whole; at < stop; at += 4, to += step) {
    store<u32>(to, load<u32>(x0 + at));
    store<u32>(to, load<u32>(x1 + at), 4);
    store<u32>(to, load<u32>(x2 + at), 8);
    store<u32>(to, load<u32>(x3 + at), 12);
  }
}

export function packOne(to: usize, from: usize, step: usize, depth: u32): void {
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

export function copyColumn(to: usize, from: usize, step: usize, line: usize, depth: u32): void {
  for (let i: u32 = 0; i < depth; i++, to += step, from += line) store<u32>(to, load<u32>(from));
}

export function fillColumn(to: usize, step: usize, depth: u32): void {
  for (let i: u32 = 0; i < depth; i++, to += step) store<u32>(to, 0);
}

/** All tiles of `rows` × `columns` of C, its rows `line` bytes apart, from the packed rows of A at `scratch` and the
 *  panels of B: packed (`lineB` 0), or in B itself, whose rows are `lineB` bytes apart. */
export function multiplyRows(
  scratch: usize, panelB: usize, lineB: usize, c: usize, line: usize, bias: usize,
  rows: u32, columns: u32, depth: u32, add: bool, epilogue: u32,
): void {
  const tile = scratch + TILE_OFFSET;
  const simple = !add && epilogue <= EPILOGUE_RELU;
  for (let j: u32 = 0; j < columns; ) {
    const panel = panelWidth(columns - j);
    const width = min(panel, columns - j);
    const stepB: usize = lineB != 0 ? lineB : <usize>panel << 2;
    const biasHere = bias != 0 ? bias + (<usize>j << 2) : 0;
    let panelA = scratch;
    for (let i: u32 = 0; i < rows; ) {
      // From the start for each tile: to add the rows up as they come is 4 % slower on V8 11 (strict, 256³).
      const to = c + <usize>i * line + (<usize>j << 2);
      const height = heightOf(rows - i);
      const here = min(height, rows - i);
      if (simple && width == panel && here == height) {
        multiplyPanels(to, line, panelA, panelB, stepB, depth, height, panel);
        if (bias != 0 || epilogue != 0) finishPanel(to, line, to, line, height, biasHere, epilogue, panel);
      } else if (IS_WIDE && epilogue <= EPILOGUE_RELU && width == PANEL_COLUMNS && here == height) {
        if (height == 4) addWide4(to, line, panelA, panelB, stepB, depth);
        else addWide5(to, line, panelA, panelB, stepB, depth);
        if (bias != 0 || epilogue != 0) finishPanel(to, line, to, line, height, biasHere, epilogue, panel);
      } else {
        const step = <usize>panel << 2;
        multiplyPanels(tile, step, panelA, panelB, stepB, depth, height, panel);
        finishTile(to, line, tile, step, here, min<u32>(8, width), biasHere, add, epilogue);
        if (width > 8) finishTile(to + 32, line, tile + 32, step, here, width - 8, bias != 0 ? biasHere + 32 : 0, add, epilogue);
      }
      panelA += <usize>(depth * height) << 2;
      i += here;
    }
    panelB += <usize>(lineB != 0 ? panel : depth * panel) << 2;
    j += panel;
  }
}

/** A tile of C = panel of A · panel of B. `line` and `stepB` in bytes. */
function multiplyPanels(
  c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32, height: u32, width: u32,
): void {
  if (IS_WIDE && width == 16) {
    if (height == 4) multiplyWide4(c, line, a, b, stepB, depth);
    else multiplyWide5(c, line, a, b, stepB, depth);
  } else if (height == 4) multiply4(c, line, a, b, stepB, depth);
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

/** Takes the valid corner of a tile of up to eight columns, whose rows are `step` bytes apart, to C: adds what is there, adds
 *  the bias, applies the activation. */
export function finishTile(
  c: usize, line: usize, tile: usize, step: usize, height: u32, width: u32, bias: usize, add: bool, epilogue: u32,
): void {
  const stop = tile + <usize>height * step;
  if (width == 8 && epilogue <= EPILOGUE_RELU) {
    if (!add) {
      finishRows(c, line, tile, step, height, bias, epilogue);
      return;
    }
    for (let to = c; tile < stop; tile += step, to += line) {
      const x0 = f32x4.add(v128.load(to), v128.load(tile));
      const x1 = f32x4.add(v128.load(to, 16), v128.load(tile, 16));
      v128.store(to, x0);
      v128.store(to, x1, 16);
    }
    if (bias != 0 || epilogue != 0) finishRows(c, line, c, line, height, bias, epilogue);
    return;
  }
  for (; tile < stop; tile += step, c += line) {
    finishPart(c, v128.load(tile), min<u32>(width, 4), bias, add, epilogue);
    if (width > 4) finishPart(c + 16, v128.load(tile, 16), width - 4, bias != 0 ? bias + 16 : 0, add, epilogue);
  }
}

/** `finishRows` for a whole panel. */
function finishPanel(
  c: usize, line: usize, x: usize, step: usize, height: u32, bias: usize, epilogue: u32, width: u32,
): void {
  finishRows(c, line, x, step, height, bias, epilogue);
  if (IS_WIDE && width == 16) finishRows(c + 32, line, x + 32, step, height, bias != 0 ? bias + 32 : 0, epilogue);
}

/** c = activation(x + bias) for rows of eight, no activation (0) or ReLU (1); c may be x. Without a bias -0 is added, which
 *  changes nothing; without ReLU nothing is below the limit. */
function finishRows(c: usize, line: usize, x: usize, step: usize, height: u32, bias: usize, epilogue: u32): void {
  let b0 = f32x4.splat(-0.0);
  let b1 = b0;
  if (bias != 0) {
    b0 = v128.load(bias);
    b1 = v128.load(bias, 16);
  }
  const limit = f32x4.splat(epilogue != 0 ? 0 : -Infinity);
  for (let i: u32 = 0; i < height; i++, x += step, c += line) {
    const x0 = f32x4.add(v128.load(x), b0);
    const x1 = f32x4.add(v128.load(x, 16), b1);
    const y0 = f32x4.pmax(x0, limit);
    const y1 = f32x4.pmax(x1, limit);
    v128.store(c, y0);
    v128.store(c, y1, 16);
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

/** Codes of the activations that products, convolutions and normalizations take into their last pass; 0: none. */
export const EPILOGUE_RELU: u32 = 1;
export const EPILOGUE_SIGMOID: u32 = 2;
export const EPILOGUE_TANH: u32 = 3;

function activation(x: v128, epilogue: u32): v128 {
  if (epilogue == EPILOGUE_RELU) return reluLanes(x);
  return epilogue == EPILOGUE_SIGMOID ? sigmoidLanes(x) : tanhLanes(x);
}

/** `activation` for other files: a function of vectors is not exported. */
// @ts-ignore: decorator
@inline
export function activated(x: v128, epilogue: u32): v128 {
  return activation(x, epilogue);
}
