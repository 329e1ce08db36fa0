// What test/kernels/random.test.ts calls of assembly/random.ts and of the shuffle kernel.
import { boundedInt, normal4, philox4, philoxFour, turnWords, uniform4, wordOf } from "../../assembly/random";
export { shuffle } from "../../assembly/kernels/shuffle";

export function philox(y: usize, c0: u32, c1: u32, c2: u32, c3: u32, key0: u32, key1: u32): void {
  v128.store(y, philox4(c0, c1, c2, c3, key0, key1));
}

@unmanaged class Blocks {
  @inline store(y: usize, _x: usize, _a: v128, _b: v128, w0: v128, w1: v128, w2: v128, w3: v128): void {
    v128.store(y, turnWords(w0, w1, w2, w3, 0));
    v128.store(y, turnWords(w0, w1, w2, w3, 1), 16);
    v128.store(y, turnWords(w0, w1, w2, w3, 2), 32);
    v128.store(y, turnWords(w0, w1, w2, w3, 3), 48);
  }
}

/** Blocks c0 to c0 + 3. */
export function philoxBlocks(y: usize, c0: u32, c1: u32, c2: u32, c3: u32, key0: u32, key1: u32): void {
  philoxFour<Blocks>(y, 0, f32x4.splat(0), f32x4.splat(0), c0, c1, c2, c3, key0, key1);
}

/** Words of blocks (0, 0, stream, 0), (1, 0, stream, 0), …; n a multiple of four, as below. */
export function words(y: usize, n: u32, stream: u32, key0: u32, key1: u32): void {
  for (let i: u32 = 0; i < n; i += 4) v128.store(y + 4 * i, philox4(i >> 2, 0, stream, 0, key0, key1));
}

export function uniforms(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i < n; i += 4) v128.store(y + 4 * i, uniform4(v128.load(x + 4 * i)));
}

export function normals(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i < n; i += 4) v128.store(y + 4 * i, normal4(v128.load(x + 4 * i)));
}

export function bounded(y: usize, n: u32, bound: u32, stream: u32, key0: u32, key1: u32): void {
  for (let i: u32 = 0; i < n; i++) {
    const word = wordOf(philox4(i >> 2, 0, stream, 0, key0, key1), i);
    store<u32>(y + 4 * i, boundedInt(word, bound, i, stream, 0, key0, key1));
  }
}
