// GRU (Cho et al. 2014): all steps of a block of samples, forward and backward. Gates are side by side, in PyTorch's order
// r, z, n, of `units` each:
//
//   r, z = sigmoid(x + h·U + b)   h' = (1 - z)·n + z·h
//   reset after the product (PyTorch, Keras' reset_after):   q = h·U + b   n = tanh(x + r·q)
//   reset before it (Cho et al.):                                           n = tanh(x + (r·h)·U)
//
// The recurrent bias b [3·units], which only the first has, is optional: address 0. See kernels/recurrent.ts.

import { at, loadLanes, storeLanes } from "../lanes";
import { tanh4 } from "../math";
import { LANES, madd } from "../simd";
import {
  addRow, clearPadding, clearWork, copyRow, mostSteps, multiplySteps, rowOf, setRows, setStepRows, sigmoidSum, startState, stepsOf, takeProduct,
  tanhSum,
} from "../recurrence";
import { PANEL_ROWS } from "../tiles";

/** Reset after the product. gates [batch, time, 3·units] (it may be x's buffer), y and q [batch, time, units]: what there
 *  was in each step, each of them optional; h [batch, units]: after the last. start as h. work [batch, 3·units].
 *  Unit: a sample. */
export function gruAfter(
  begin: u32, end: u32, scratch: usize, gates: usize, y: usize, h: usize, q: usize, work: usize, x: usize, packed: usize, bias: usize,
  start: usize, lengths: usize, time: u32, units: u32, reverse: u32,
): void {
  const width = 3 * units;
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    startState(h, start, first, rows, units);
    const most = mostSteps(lengths, first, rows, time);
    for (let step: u32 = 0; step < most; step++) {
      setRows(scratch, at(h, first * units), units, rows);
      multiplySteps(scratch, at(work, first * width), width, packed, rows, width, units, false);
      for (let sample = first; sample < first + rows; sample++) {
        const steps = stepsOf(lengths, sample, time);
        if (step >= steps) continue;
        const row = rowOf(sample, step, steps, time, reverse);
        const z = at(work, sample * width);
        const gate = gates != 0 ? at(gates, row * width) : z;
        const state = at(h, sample * units);
        if (bias != 0) addRow(z, bias, width);
        if (q != 0) copyRow(at(q, row * units), at(z, 2 * units), units);
        sigmoidSum(gate, z, at(x, row * width), 2 * units);
        afterRow(at(gate, 2 * units), at(z, 2 * units), at(x, row * width + 2 * units), gate, units);
        stateRow(state, gate, units);
        if (y != 0) copyRow(at(y, row * units), state, units);
      }
    }
    clearPadding(gates, width, first, rows, lengths, time);
    clearPadding(y, units, first, rows, lengths, time);
    clearPadding(q, units, first, rows, lengths, time);
    clearWork(work, width, first, rows, lengths);
  }
}

/** n = tanh(x + r·q) */
function afterRow(to: usize, q: usize, x: usize, r: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) {
    v128.store(at(to, j), tanh4(madd(v128.load(at(r, j)), v128.load(at(q, j)), v128.load(at(x, j)))));
  }
  if (j < n) {
    const part = n - j;
    storeLanes(at(to, j), tanh4(madd(loadLanes(at(r, j), part), loadLanes(at(q, j), part), loadLanes(at(x, j), part))), part);
  }
}

/** h = n + z·(h - n), of gate = [r, z, n] */
function stateRow(h: usize, gate: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) stateLanes(at(h, j), at(gate, n + j), at(gate, 2 * n + j), LANES);
  if (j < n) stateLanes(at(h, j), at(gate, n + j), at(gate, 2 * n + j), n - j);
}

// @ts-ignore: decorator
@inline
function stateLanes(h: usize, z: usize, n: usize, lanes: u32): void {
  const next = loadLanes(n, lanes);
  storeLanes(h, madd(loadLanes(z, lanes), f32x4.sub(loadLanes(h, lanes), next), next), lanes);
}

/** Reset before the product, as `gruAfter` otherwise; `packed` are the columns of U for r and z, `packedN` those for n.
 *  work: [batch, 3·units] and [batch, units]. */
export function gruBefore(
  begin: u32, end: u32, scratch: usize, gates: usize, y: usize, h: usize, work: usize, x: usize, packed: usize, packedN: usize,
  start: usize, lengths: usize, batch: u32, time: u32, units: u32, reverse: u32,
): void {
  const width = 3 * units;
  const kept = at(work, batch * width);
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    startState(h, start, first, rows, units);
    const most = mostSteps(lengths, first, rows, time);
    for (let step: u32 = 0; step < most; step++) {
      const z = at(work, first * width);
      setRows(scratch, at(h, first * units), units, rows);
      multiplySteps(scratch, z, width, packed, rows, 2 * units, units, false);
      for (let sample = first; sample < first + rows; sample++) {
        const steps = stepsOf(lengths, sample, time);
        if (step >= steps) continue;
        const row = rowOf(sample, step, steps, time, reverse);
        const product = at(work, sample * width);
        const gate = gates != 0 ? at(gates, row * width) : product;
        sigmoidSum(gate, product, at(x, row * width), 2 * units);
        multiplyRow(at(kept, sample * units), gate, at(h, sample * units), units);
      }
      setRows(scratch, at(kept, first * units), units, rows);
      multiplySteps(scratch, at(z, 2 * units), width, packedN, rows, units, units, false);
      for (let sample = first; sample < first + rows; sample++) {
        const steps = stepsOf(lengths, sample, time);
        if (step >= steps) continue;
        const row = rowOf(sample, step, steps, time, reverse);
        const product = at(work, sample * width);
        const gate = gates != 0 ? at(gates, row * width) : product;
        const state = at(h, sample * units);
        tanhSum(at(gate, 2 * units), at(product, 2 * units), at(x, row * width + 2 * units), units);
        stateRow(state, gate, units);
        if (y != 0) copyRow(at(y, row * units), state, units);
      }
    }
    clearPadding(gates, width, first, rows, lengths, time);
    clearPadding(y, units, first, rows, lengths, time);
    clearWork(work, width, first, rows, lengths);
    clearWork(kept, units, first, rows, lengths);
  }
}

/** y = a · b */
function multiplyRow(y: usize, a: usize, b: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) v128.store(at(y, j), f32x4.mul(v128.load(at(a, j)), v128.load(at(b, j))));
  if (j < n) storeLanes(at(y, j), f32x4.mul(loadLanes(at(a, j), n - j), loadLanes(at(b, j), n - j)), n - j);
}

/** dgates [batch, time, 3·units]: by x (it may be gates' buffer); drecurrent alike: by h·U + b; dh [batch, units] begins as
 *  dlast (0: none) and ends as the gradient of the first state. gates, q, y: as `gruAfter` left them; dy may be 0. `packed`
 *  is Uᵀ. work [batch, units]. Unit: a sample. */
export function gruAfterGradient(
  begin: u32, end: u32, scratch: usize, dgates: usize, drecurrent: usize, dh: usize, work: usize, gates: usize, q: usize,
  y: usize, start: usize, dy: usize, dlast: usize, packed: usize, lengths: usize, time: u32, units: u32, reverse: u32,
): void {
  const width = 3 * units;
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    startState(dh, dlast, first, rows, units);
    const product = at(work, first * units);
    for (let step = mostSteps(lengths, first, rows, time); step-- > 0; ) {
      for (let sample = first; sample < first + rows; sample++) {
        const steps = stepsOf(lengths, sample, time);
        if (step >= steps) continue;
        const row = rowOf(sample, step, steps, time, reverse);
        const before = step == 0 ? at(start, sample * units) : at(y, rowOf(sample, step - 1, steps, time, reverse) * units);
        const state = at(dh, sample * units);
        if (dy != 0) addRow(state, at(dy, row * units), units);
        slopeRow(at(dgates, row * width), at(drecurrent, row * width), state, at(gates, row * width), at(q, row * units), before, units);
      }
      setStepRows(scratch, drecurrent, width, 0, first, rows, step, lengths, time, reverse);
      multiplySteps(scratch, product, units, packed, rows, units, width, false);
      takeProduct(at(dh, first * units), product, true, first, rows, units, step, lengths, time);
    }
    clearPadding(dgates, width, first, rows, lengths, time);
    clearPadding(drecurrent, width, first, rows, lengths, time);
    clearWork(work, units, first, rows, lengths);
  }
}

function slopeRow(dgate: usize, drecurrent: usize, dh: usize, gate: usize, q: usize, before: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) slopeLanes(at(dgate, j), at(drecurrent, j), at(dh, j), at(gate, j), at(q, j), at(before, j), n, LANES);
  if (j < n) slopeLanes(at(dgate, j), at(drecurrent, j), at(dh, j), at(gate, j), at(q, j), at(before, j), n, n - j);
}

// @ts-ignore: decorator
@inline
function slopeLanes(
  dgate: usize, drecurrent: usize, dh: usize, gate: usize, q: usize, before: usize, n: u32, lanes: u32,
): void {
  const one = f32x4.splat(1);
  const r = loadLanes(gate, lanes);
  const z = loadLanes(at(gate, n), lanes);
  const next = loadLanes(at(gate, 2 * n), lanes);
  const d = loadLanes(dh, lanes);
  const rest = f32x4.sub(one, z);
  const toNext = f32x4.mul(f32x4.mul(d, rest), f32x4.sub(one, f32x4.mul(next, next)));
  const toReset = f32x4.mul(f32x4.mul(toNext, loadLanes(q, lanes)), f32x4.mul(r, f32x4.sub(one, r)));
  const toUpdate = f32x4.mul(f32x4.mul(d, f32x4.sub(loadLanes(before, lanes), next)), f32x4.mul(z, rest));
  storeLanes(dh, f32x4.mul(d, z), lanes);
  storeLanes(dgate, toReset, lanes);
  storeLanes(at(dgate, n), toUpdate, lanes);
  storeLanes(at(dgate, 2 * n), toNext, lanes);
  storeLanes(drecurrent, toReset, lanes);
  storeLanes(at(drecurrent, n), toUpdate, lanes);
  storeLanes(at(drecurrent, 2 * n), f32x4.mul(toNext, r), lanes);
}

/** As `gruAfterGradient`, for `gruBefore`: `packed` is Uᵀ for r and z, `packedN` for n; work: twice [batch, units]. */
export function gruBeforeGradient(
  begin: u32, end: u32, scratch: usize, dgates: usize, dh: usize, work: usize, gates: usize, y: usize, start: usize, dy: usize,
  dlast: usize, packed: usize, packedN: usize, lengths: usize, batch: u32, time: u32, units: u32, reverse: u32,
): void {
  const width = 3 * units;
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    startState(dh, dlast, first, rows, units);
    const product = at(work, first * units);
    const dkept = at(work, (batch + first) * units);
    for (let step = mostSteps(lengths, first, rows, time); step-- > 0; ) {
      for (let pass: u32 = 0; pass < 2; pass++) {
        for (let i: u32 = 0; i < rows; i++) {
          const sample = first + i;
          const steps = stepsOf(lengths, sample, time);
          if (step >= steps) continue;
          const row = rowOf(sample, step, steps, time, reverse);
          const before = step == 0 ? at(start, sample * units) : at(y, rowOf(sample, step - 1, steps, time, reverse) * units);
          const state = at(dh, sample * units);
          if (pass == 0 && dy != 0) addRow(state, at(dy, row * units), units);
          if (pass == 0) nextSlopes(at(dgates, row * width), state, at(gates, row * width), before, at(work, sample * units), units);
          else resetSlopes(at(dgates, row * width), state, before, at(dkept, i * units), at(product, i * units), units);
        }
        const column = pass == 0 ? 2 * units : 0;
        setStepRows(scratch, dgates, width, column, first, rows, step, lengths, time, reverse);
        if (pass == 0) multiplySteps(scratch, dkept, units, packedN, rows, units, units, false);
        else multiplySteps(scratch, product, units, packed, rows, units, 2 * units, false);
      }
      takeProduct(at(dh, first * units), product, true, first, rows, units, step, lengths, time);
    }
    clearPadding(dgates, width, first, rows, lengths, time);
    clearWork(work, units, first, rows, lengths);
    clearWork(work, units, batch + first, rows, lengths);
  }
}

/** Of n and z; r is kept at `reset`, as its place in the gates may be that of its gradient. */
function nextSlopes(dgate: usize, dh: usize, gate: usize, before: usize, reset: usize, n: u32): void {
  const one = f32x4.splat(1);
  for (let j: u32 = 0; j < n; j += LANES) {
    const lanes = min(LANES, n - j);
    const z = loadLanes(at(gate, n + j), lanes);
    const next = loadLanes(at(gate, 2 * n + j), lanes);
    const d = loadLanes(at(dh, j), lanes);
    const rest = f32x4.sub(one, z);
    const toUpdate = f32x4.mul(f32x4.mul(d, f32x4.sub(loadLanes(at(before, j), lanes), next)), f32x4.mul(z, rest));
    storeLanes(at(reset, j), loadLanes(at(gate, j), lanes), lanes);
    storeLanes(at(dh, j), f32x4.mul(d, z), lanes);
    storeLanes(at(dgate, n + j), toUpdate, lanes);
    storeLanes(at(dgate, 2 * n + j), f32x4.mul(f32x4.mul(d, rest), f32x4.sub(one, f32x4.mul(next, next))), lanes);
  }
}

/** Of r, from the gradient of r·h, of which h has its part. */
function resetSlopes(dgate: usize, dh: usize, before: usize, dkept: usize, reset: usize, n: u32): void {
  const one = f32x4.splat(1);
  for (let j: u32 = 0; j < n; j += LANES) {
    const lanes = min(LANES, n - j);
    const r = loadLanes(at(reset, j), lanes);
    const d = loadLanes(at(dkept, j), lanes);
    const toReset = f32x4.mul(f32x4.mul(d, loadLanes(at(before, j), lanes)), f32x4.mul(r, f32x4.sub(one, r)));
    storeLanes(at(dh, j), madd(d, r, loadLanes(at(dh, j), lanes)), lanes);
    storeLanes(at(dgate, j), toReset, lanes);
  }
}
