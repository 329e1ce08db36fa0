// Gated linear units: y = a·f(b), x = [a, b] being the two halves of the last axis. Unit: a row, of 2·columns elements
// in x and `columns` in y. Dauphin et al. 2017; Shazeer 2020. `gate` numbers f: 0 sigmoid, 1 silu, 2 gelu, 3 gelu's
// tanh form, 4 relu; src/ops/glu.ts has the same numbers.

import { Gelu, GeluTanh, Relu, Sigmoid, Silu } from "./activation";
import { loadLanes, storeLanes } from "../lanes";
import { LANES } from "../simd";

function forward<Op>(begin: u32, end: u32, y: usize, x: usize, columns: u32): void {
  const half = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const a = x + <usize>(2 * row) * half;
    const b = a + half;
    const to = y + <usize>row * half;
    let i: u32 = 0;
    for (; i + 2 * LANES <= columns; i += 2 * LANES) {
      const at = <usize>i << 2;
      const low = f32x4.mul(v128.load(a + at), changetype<Op>(0).apply(v128.load(b + at)));
      const high = f32x4.mul(v128.load(a + at, 16), changetype<Op>(0).apply(v128.load(b + at, 16)));
      v128.store(to + at, low);
      v128.store(to + at, high, 16);
    }
    for (; i < columns; i += LANES) {
      const at = <usize>i << 2;
      const lanes = min(LANES, columns - i);
      storeLanes(to + at, f32x4.mul(loadLanes(a + at, lanes), changetype<Op>(0).apply(loadLanes(b + at, lanes))), lanes);
    }
  }
}

/** The op's own backward kernel reads b, or f(b) where `readsGate`. */
function backward<Op>(
  begin: u32, end: u32, dx: usize, dy: usize, x: usize, columns: u32, readsGate: bool,
): void {
  const half = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const to = <usize>(2 * row) * half;
    const from = dy + <usize>row * half;
    let i: u32 = 0;
    for (; i + 2 * LANES <= columns; i += 2 * LANES) {
      const at = to + (<usize>i << 2);
      const bLow = v128.load(x + at + half);
      const bHigh = v128.load(x + at + half, 16);
      const dLow = v128.load(from + (<usize>i << 2));
      const dHigh = v128.load(from + (<usize>i << 2), 16);
      const aLow = v128.load(x + at);
      const aHigh = v128.load(x + at, 16);
      const gateLow = changetype<Op>(0).apply(bLow);
      const gateHigh = changetype<Op>(0).apply(bHigh);
      v128.store(dx + at, f32x4.mul(dLow, gateLow));
      v128.store(dx + at, f32x4.mul(dHigh, gateHigh), 16);
      const low = changetype<Op>(0).backward(f32x4.mul(dLow, aLow), readsGate ? gateLow : bLow);
      const high = changetype<Op>(0).backward(f32x4.mul(dHigh, aHigh), readsGate ? gateHigh : bHigh);
      v128.store(dx + at + half, low);
      v128.store(dx + at + half, high, 16);
    }
    for (; i < columns; i += LANES) {
      const at = to + (<usize>i << 2);
      const lanes = min(LANES, columns - i);
      const a = loadLanes(x + at, lanes);
      const b = loadLanes(x + at + half, lanes);
      const d = loadLanes(from + (<usize>i << 2), lanes);
      const gate = changetype<Op>(0).apply(b);
      storeLanes(dx + at, f32x4.mul(d, gate), lanes);
      const db = changetype<Op>(0).backward(f32x4.mul(d, a), readsGate ? gate : b);
      storeLanes(dx + at + half, db, lanes);
    }
  }
}

/** y = a·f(b), x = [a, b] [rows, 2·columns], y [rows, columns]. Error of f, and 0.5 ULP. */
export function gatedLinear(begin: u32, end: u32, y: usize, x: usize, columns: u32, gate: u32): void {
  if (gate == 0) forward<Sigmoid>(begin, end, y, x, columns);
  else if (gate == 1) forward<Silu>(begin, end, y, x, columns);
  else if (gate == 2) forward<Gelu>(begin, end, y, x, columns);
  else if (gate == 3) forward<GeluTanh>(begin, end, y, x, columns);
  else forward<Relu>(begin, end, y, x, columns);
}

/** dx = [dy·f(b), dy·a·f'(b)], x and dx [rows, 2·columns], dy [rows, columns]; dx may be x's buffer. Errors of f and
 *  f', and 1 ULP. */
export function gatedLinearGradient(
  begin: u32, end: u32, dx: usize, dy: usize, x: usize, columns: u32, gate: u32,
): void {
  if (gate == 0) backward<Sigmoid>(begin, end, dx, dy, x, columns, true);
  else if (gate == 1) backward<Silu>(begin, end, dx, dy, x, columns, false);
  else if (gate == 2) backward<Gelu>(begin, end, dx, dy, x, columns, false);
  else if (gate == 3) backward<GeluTanh>(begin, end, dx, dy, x, columns, false);
  else backward<Relu>(begin, end, dx, dy, x, columns, true);
}
