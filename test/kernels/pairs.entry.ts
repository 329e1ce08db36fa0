// Loops for the pass that pairs vectors: those that it takes, and those that it must leave.

/** y = x · 2 + 1 while there is a vector left. */
export function whileLoop(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i + 4 <= n; i += 4) {
    const at = <usize>i << 2;
    v128.store(y + at, f32x4.add(f32x4.mul(v128.load(x + at), f32x4.splat(2)), f32x4.splat(1)));
  }
}

/** The same with the test at its end, two results, and pointers that move. */
export function doLoop(y: usize, x: usize, n: u32): void {
  const stop = x + (<usize>(n & ~3) << 2);
  if (x >= stop) return;
  do {
    const v = v128.load(x);
    v128.store(y, f32x4.mul(v, v));
    v128.store(y, f32x4.sub(v128.load(y, 65536), v), 65536);
    x += 16;
    y += 16;
  } while (x < stop);
}

/** A running sum of vectors: what is carried from round to round is not in memory. */
export function carried(y: usize, x: usize, n: u32): void {
  let sum = f32x4.splat(0);
  for (let i: u32 = 0; i + 4 <= n; i += 4) {
    const at = <usize>i << 2;
    sum = f32x4.add(sum, f32x4.mul(v128.load(x + at), v128.load32_splat(x, 4096)));
    v128.store(y + at, sum);
  }
}

/** Each round loads what the one before has stored. */
export function throughMemory(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i + 4 <= n; i += 4) {
    const at = y + (<usize>i << 2);
    v128.store(at, f32x4.add(v128.load(at - 16), v128.load(x + (<usize>i << 2))));
  }
}

/** The half of what a round stores is loaded by the next. */
export function overlapping(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i + 4 <= n; i += 4) {
    const at = y + (<usize>i << 2);
    v128.store(at, f32x4.add(v128.load(at - 8), v128.load(x + (<usize>i << 2))));
  }
}

/** Stores at one address. */
export function oneAddress(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i + 4 <= n; i += 4) v128.store(y, f32x4.add(v128.load(y), v128.load(x + (<usize>i << 2))));
}

/** Single numbers. */
export function numbers(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i + 4 <= n; i += 4) {
    const at = <usize>i << 2;
    v128.store(y + at, v128.load(x + at));
    store<f32>(y + at, 3);
  }
}

/** Ends at a number that is loaded. */
export function untilLoaded(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i < load<u32>(x + (<usize>n << 2)); i += 4) {
    const at = <usize>i << 2;
    v128.store(y + at, v128.load(x + at));
  }
}

/** A number for each vector. */
export function byNumber(y: usize, x: usize, n: u32): void {
  for (let i: u32 = 0; i + 4 <= n; i += 4) {
    const at = <usize>i << 2;
    v128.store(y + at, f32x4.mul(v128.load(x + at), v128.load32_splat(x + <usize>i)));
  }
}
