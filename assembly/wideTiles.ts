// The micro-kernels of the wide build: tiles of 16 columns, whose vectors V8 joins by two. Five rows take ten registers of 256
// bits, four of B and of A, and one for the product, of sixteen: GFLOP/s of tiles that were tried, packed panels, Node 24 and 26
// with --experimental-wasm-revectorize (without it all but the first halve their speed, as they spill):
//
//   5×8  81    8×8  88    12×8  95    3×16  95    4×16  102    5×16  105    6×16  53    3×24  103    4×24  57

import { madd } from "./simd";

/** c = (add ? c : 0) + four vectors; what V8 joins are neighbours. */
// @ts-ignore: decorator
@inline
function put(c: usize, v0: v128, v1: v128, v2: v128, v3: v128, add: bool): void {
  if (add) {
    v0 = f32x4.add(v128.load(c), v0);
    v1 = f32x4.add(v128.load(c, 16), v1);
    v2 = f32x4.add(v128.load(c, 32), v2);
    v3 = f32x4.add(v128.load(c, 48), v3);
  }
  v128.store(c, v0);
  v128.store(c, v1, 16);
  v128.store(c, v2, 32);
  v128.store(c, v3, 48);
}

// @ts-ignore: decorator
@inline
function tile4(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  for (const stop = a + <usize>depth * 16; a < stop; a += 16, b += stepB) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    c02 = madd(x, b2, c02);
    c03 = madd(x, b3, c03);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    c12 = madd(x, b2, c12);
    c13 = madd(x, b3, c13);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    c22 = madd(x, b2, c22);
    c23 = madd(x, b3, c23);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    c32 = madd(x, b2, c32);
    c33 = madd(x, b3, c33);
  }
  put(c, c00, c01, c02, c03, add);
  put(c + line, c10, c11, c12, c13, add);
  put(c + line * 2, c20, c21, c22, c23, add);
  put(c + line * 3, c30, c31, c32, c33, add);
}

// @ts-ignore: decorator
@inline
function tile5(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c42 = f32x4.splat(0), c43 = f32x4.splat(0);
  for (const stop = a + <usize>depth * 20; a < stop; a += 20, b += stepB) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    c02 = madd(x, b2, c02);
    c03 = madd(x, b3, c03);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    c12 = madd(x, b2, c12);
    c13 = madd(x, b3, c13);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    c22 = madd(x, b2, c22);
    c23 = madd(x, b3, c23);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    c32 = madd(x, b2, c32);
    c33 = madd(x, b3, c33);
    x = v128.load32_splat(a, 16);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    c42 = madd(x, b2, c42);
    c43 = madd(x, b3, c43);
  }
  put(c, c00, c01, c02, c03, add);
  put(c + line, c10, c11, c12, c13, add);
  put(c + line * 2, c20, c21, c22, c23, add);
  put(c + line * 3, c30, c31, c32, c33, add);
  put(c + line * 4, c40, c41, c42, c43, add);
}

/** C = panel of A · panel of B, 4 × 16. */
export function multiplyWide4(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
  tile4(c, line, a, b, stepB, depth, false);
}

/** C = panel of A · panel of B, 5 × 16. */
export function multiplyWide5(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
  tile5(c, line, a, b, stepB, depth, false);
}

/** C += panel of A · panel of B, 4 × 16. */
export function addWide4(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
  tile4(c, line, a, b, stepB, depth, true);
}

/** C += panel of A · panel of B, 5 × 16. */
export function addWide5(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
  tile5(c, line, a, b, stepB, depth, true);
}

/** 4 rows of C, each found by an address and an offset: see kernels/convNarrow.ts. */
export function tableWide4(c: usize, base: usize, at: usize, stop: usize, b: usize, stepB: usize): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  const p0 = <usize>load<u32>(base), p1 = <usize>load<u32>(base, 4), p2 = <usize>load<u32>(base, 8), p3 = <usize>load<u32>(base, 12);
  for (; at < stop; at += 4, b += stepB) {
    const offset = <usize>load<u32>(at);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(p0 + offset);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    c02 = madd(x, b2, c02);
    c03 = madd(x, b3, c03);
    x = v128.load32_splat(p1 + offset);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    c12 = madd(x, b2, c12);
    c13 = madd(x, b3, c13);
    x = v128.load32_splat(p2 + offset);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    c22 = madd(x, b2, c22);
    c23 = madd(x, b3, c23);
    x = v128.load32_splat(p3 + offset);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    c32 = madd(x, b2, c32);
    c33 = madd(x, b3, c33);
  }
  put(c, c00, c01, c02, c03, false);
  put(c + 64, c10, c11, c12, c13, false);
  put(c + 128, c20, c21, c22, c23, false);
  put(c + 192, c30, c31, c32, c33, false);
}

/** 5 rows of C, each found by an address and an offset: see kernels/convNarrow.ts. */
export function tableWide5(c: usize, base: usize, at: usize, stop: usize, b: usize, stepB: usize): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c42 = f32x4.splat(0), c43 = f32x4.splat(0);
  const p0 = <usize>load<u32>(base), p1 = <usize>load<u32>(base, 4), p2 = <usize>load<u32>(base, 8), p3 = <usize>load<u32>(base, 12), p4 = <usize>load<u32>(base, 16);
  for (; at < stop; at += 4, b += stepB) {
    const offset = <usize>load<u32>(at);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(p0 + offset);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    c02 = madd(x, b2, c02);
    c03 = madd(x, b3, c03);
    x = v128.load32_splat(p1 + offset);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    c12 = madd(x, b2, c12);
    c13 = madd(x, b3, c13);
    x = v128.load32_splat(p2 + offset);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    c22 = madd(x, b2, c22);
    c23 = madd(x, b3, c23);
    x = v128.load32_splat(p3 + offset);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    c32 = madd(x, b2, c32);
    c33 = madd(x, b3, c33);
    x = v128.load32_splat(p4 + offset);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    c42 = madd(x, b2, c42);
    c43 = madd(x, b3, c43);
  }
  put(c, c00, c01, c02, c03, false);
  put(c + 64, c10, c11, c12, c13, false);
  put(c + 128, c20, c21, c22, c23, false);
  put(c + 192, c30, c31, c32, c33, false);
  put(c + 256, c40, c41, c42, c43, false);
}

/** C = (C and `keep`) + Σ_k A[k][i]·B[k][j], 4 × 16: see attention.ts. */
export function keepWide4(c: usize, line: usize, a: usize, lineA: usize, b: usize, lineB: usize, depth: u32, keep: i32): void {
  const kept = i32x4.splat(keep);
  let c00 = v128.and(v128.load(c), kept), c01 = v128.and(v128.load(c, 16), kept), c02 = v128.and(v128.load(c, 32), kept), c03 = v128.and(v128.load(c, 48), kept);
  let c10 = v128.and(v128.load(c + line), kept), c11 = v128.and(v128.load(c + line, 16), kept), c12 = v128.and(v128.load(c + line, 32), kept), c13 = v128.and(v128.load(c + line, 48), kept);
  let c20 = v128.and(v128.load(c + line * 2), kept), c21 = v128.and(v128.load(c + line * 2, 16), kept), c22 = v128.and(v128.load(c + line * 2, 32), kept), c23 = v128.and(v128.load(c + line * 2, 48), kept);
  let c30 = v128.and(v128.load(c + line * 3), kept), c31 = v128.and(v128.load(c + line * 3, 16), kept), c32 = v128.and(v128.load(c + line * 3, 32), kept), c33 = v128.and(v128.load(c + line * 3, 48), kept);
  for (const stop = a + <usize>depth * lineA; a < stop; a += lineA, b += lineB) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    c02 = madd(x, b2, c02);
    c03 = madd(x, b3, c03);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    c12 = madd(x, b2, c12);
    c13 = madd(x, b3, c13);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    c22 = madd(x, b2, c22);
    c23 = madd(x, b3, c23);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    c32 = madd(x, b2, c32);
    c33 = madd(x, b3, c33);
  }
  put(c, c00, c01, c02, c03, false);
  put(c + line, c10, c11, c12, c13, false);
  put(c + line * 2, c20, c21, c22, c23, false);
  put(c + line * 3, c30, c31, c32, c33, false);
}

/** C = (C and `keep`) + Σ_k A[k][i]·B[k][j], 5 × 16: see attention.ts. */
export function keepWide5(c: usize, line: usize, a: usize, lineA: usize, b: usize, lineB: usize, depth: u32, keep: i32): void {
  const kept = i32x4.splat(keep);
  let c00 = v128.and(v128.load(c), kept), c01 = v128.and(v128.load(c, 16), kept), c02 = v128.and(v128.load(c, 32), kept), c03 = v128.and(v128.load(c, 48), kept);
  let c10 = v128.and(v128.load(c + line), kept), c11 = v128.and(v128.load(c + line, 16), kept), c12 = v128.and(v128.load(c + line, 32), kept), c13 = v128.and(v128.load(c + line, 48), kept);
  let c20 = v128.and(v128.load(c + line * 2), kept), c21 = v128.and(v128.load(c + line * 2, 16), kept), c22 = v128.and(v128.load(c + line * 2, 32), kept), c23 = v128.and(v128.load(c + line * 2, 48), kept);
  let c30 = v128.and(v128.load(c + line * 3), kept), c31 = v128.and(v128.load(c + line * 3, 16), kept), c32 = v128.and(v128.load(c + line * 3, 32), kept), c33 = v128.and(v128.load(c + line * 3, 48), kept);
  let c40 = v128.and(v128.load(c + line * 4), kept), c41 = v128.and(v128.load(c + line * 4, 16), kept), c42 = v128.and(v128.load(c + line * 4, 32), kept), c43 = v128.and(v128.load(c + line * 4, 48), kept);
  for (const stop = a + <usize>depth * lineA; a < stop; a += lineA, b += lineB) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    c02 = madd(x, b2, c02);
    c03 = madd(x, b3, c03);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    c12 = madd(x, b2, c12);
    c13 = madd(x, b3, c13);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    c22 = madd(x, b2, c22);
    c23 = madd(x, b3, c23);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    c32 = madd(x, b2, c32);
    c33 = madd(x, b3, c33);
    x = v128.load32_splat(a, 16);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    c42 = madd(x, b2, c42);
    c43 = madd(x, b3, c43);
  }
  put(c, c00, c01, c02, c03, false);
  put(c + line, c10, c11, c12, c13, false);
  put(c + line * 2, c20, c21, c22, c23, false);
  put(c + line * 3, c30, c31, c32, c33, false);
  put(c + line * 4, c40, c41, c42, c43, false);
}
