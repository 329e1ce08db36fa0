// Many matrix products of one size, each by the kernels of gemm.ts.

import { STRIP_COLUMNS } from "../tiles";
import { gemm, gemmSmall } from "./gemm";

/** C[i] = op(A[i])·op(B[i]), i over the batch axes n0 … n3; C's matrices lie one after another, A's and B's at the given
 *  distances (in matrices) along each axis, 0 where one serves many. Forms as gemm; small 1: by gemmSmall.
 *  Units: those of gemm (gemmSmall) for the first product, then for the second, … */
export function gemmBatched(
  begin: u32, end: u32, scratch: usize, c: usize, a: usize, b: usize,
  m: u32, n: u32, k: u32, form: u32, small: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  const units = small != 0 ? m : m * ((n + STRIP_COLUMNS - 1) / STRIP_COLUMNS);
  while (begin < end) {
    const i = begin / units;
    const i3 = i % n3;
    const i2 = (i / n3) % n2;
    const i1 = (i / n3 / n2) % n1;
    const i0 = i / n3 / n2 / n1;
    const first = begin - i * units;
    const stop = min(units, first + end - begin);
    const to = c + ((<usize>i * m * n) << 2);
    const left = a + ((<usize>(i0 * a0 + i1 * a1 + i2 * a2 + i3 * a3) * m * k) << 2);
    const right = b + ((<usize>(i0 * b0 + i1 * b1 + i2 * b2 + i3 * b3) * k * n) << 2);
    if (small != 0) gemmSmall(first, stop, to, left, right, 0, m, n, k, form, 0, 0);
    else gemm(first, stop, scratch, to, left, right, 0, m, n, k, form, 0, 0, STRIP_COLUMNS);
    begin += stop - first;
  }
}
