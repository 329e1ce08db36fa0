// The micro-kernels of the wide build: tiles of 16 columns, whose vectors V8 joins by two. Five rows take ten registers of 256
// bits, four of B and of A, and one for the product, of sixteen: GFLOP/s of tiles that were tried, packed panels, Node 24 and 26
// with --experimental-wasm-revectorize (without it all but the first halve their speed, as they spill):
//
//   5×8  81    8×8  88    12×8  95    3×16  95    4×16  102    5×16  105    6×16  53    3×24  103    4×24  57

import { madd } from "./simd";

export function multiplyWide4(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
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
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c, c02, 32);
  v128.store(c, c03, 48);
  v128.store(c + line, c10);
  v128.store(c + line, c11, 16);
  v128.store(c + line, c12, 32);
  v128.store(c + line, c13, 48);
  v128.store(c + line * 2, c20);
  v128.store(c + line * 2, c21, 16);
  v128.store(c + line * 2, c22, 32);
  v128.store(c + line * 2, c23, 48);
  v128.store(c + line * 3, c30);
  v128.store(c + line * 3, c31, 16);
  v128.store(c + line * 3, c32, 32);
  v128.store(c + line * 3, c33, 48);
}

export function multiplyWide5(c: usize, line: usize, a: usize, b: usize, stepB: usize, depth: u32): void {
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
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c, c02, 32);
  v128.store(c, c03, 48);
  v128.store(c + line, c10);
  v128.store(c + line, c11, 16);
  v128.store(c + line, c12, 32);
  v128.store(c + line, c13, 48);
  v128.store(c + line * 2, c20);
  v128.store(c + line * 2, c21, 16);
  v128.store(c + line * 2, c22, 32);
  v128.store(c + line * 2, c23, 48);
  v128.store(c + line * 3, c30);
  v128.store(c + line * 3, c31, 16);
  v128.store(c + line * 3, c32, 32);
  v128.store(c + line * 3, c33, 48);
  v128.store(c + line * 4, c40);
  v128.store(c + line * 4, c41, 16);
  v128.store(c + line * 4, c42, 32);
  v128.store(c + line * 4, c43, 48);
}
