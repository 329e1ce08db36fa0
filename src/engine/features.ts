// What the runtime can do.

// The smallest modules that use each feature, written by hand from the binary format: a function () -> v128 whose body is
// `i32.const 0`, i32x4.splat (SIMD), or three times `v128.const 0`, f32x4.relaxed_madd (relaxed SIMD).
const HEADER = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
const ZERO = [253, 12, ...new Array<number>(16).fill(0)];
const SIMD = moduleOf([65, 0, 253, 17]);
const RELAXED_SIMD = moduleOf([...ZERO, ...ZERO, ...ZERO, 253, 133, 2]);

function moduleOf(code: readonly number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...HEADER, 10, code.length + 4, 1, code.length + 2, 0, ...code, 11]);
}

/** Whether there is 128-bit SIMD, without which the engine cannot run. */
export function hasSimd(): boolean {
  return WebAssembly.validate(SIMD);
}

/** Whether there is relaxed SIMD, which the `fast` build needs. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(RELAXED_SIMD);
}
