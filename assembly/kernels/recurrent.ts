// Recurrent layers: what all of them use, and the simple one (Elman 1990). Sequences are [batch, time, features]; `lengths`
// [batch] are how many steps each sample has (0: all have `time`), `reverse` goes from the last of them to the first.
// Addresses of optional tensors are 0 if there are none. `work` is temporary: samples' rows, one behind another.

import { activated, EPILOGUE_RELU, PANEL_ROWS } from "../tiles";
import { at, loadLanes, storeLanes } from "../lanes";
import { LANES } from "../simd";
import {
  clearPadding, clearWork, copyRow, mostSteps, multiplySteps, packPanels, rowOf, setRows, setStepRows, startState, stepsOf, takeProduct,
} from "../recurrence";

/** Packs W for the products of all steps: columns [first, first + n) of W [k, stride], or where `transposed` is 1 the
 *  transpose of columns [first, first + k) of W [n, stride]. Unit: a panel of 8 columns. See assembly/recurrence.ts. */
export function packRecurrent(
  begin: u32, end: u32, packed: usize, w: usize, k: u32, n: u32, first: u32, stride: u32, transposed: u32,
): void {
  packPanels(begin, end, packed, w, k, n, first, stride, transposed != 0);
}

/** y[b, t] = the state before step t: states[b, t - 1] (in reverse t + 1), start[b] in the first step; 0 in the padding.
 *  states, y [batch, time, width], start [batch, width]. Unit: a sample. */
export function previousStates(
  begin: u32, end: u32, y: usize, states: usize, start: usize, lengths: usize, time: u32, width: u32, reverse: u32,
): void {
  for (let sample = begin; sample < end; sample++) {
    const steps = stepsOf(lengths, sample, time);
    for (let step: u32 = 0; step < steps; step++) {
      const from = step == 0 ? at(start, sample * width) : at(states, rowOf(sample, step - 1, steps, time, reverse) * width);
      copyRow(at(y, rowOf(sample, step, steps, time, reverse) * width), from, width);
    }
  }
  clearPadding(y, width, begin, end - begin, lengths, time);
}

/** The reverse: dstates[b, t] = dy[b, t + 1] (in reverse t - 1), 0 in the last step and the padding; dstart[b] = dy[b] in
 *  the first step, 0 if there is none. Unit: a sample. */
export function previousStatesGradient(
  begin: u32, end: u32, dstates: usize, dstart: usize, dy: usize, lengths: usize, time: u32, width: u32, reverse: u32,
): void {
  for (let sample = begin; sample < end; sample++) {
    const steps = stepsOf(lengths, sample, time);
    startState(dstart, 0, sample, 1, width);
    for (let step: u32 = 0; step < steps; step++) {
      const from = at(dy, rowOf(sample, step, steps, time, reverse) * width);
      copyRow(step == 0 ? at(dstart, sample * width) : at(dstates, rowOf(sample, step - 1, steps, time, reverse) * width), from, width);
    }
    if (steps > 0) startState(dstates, 0, rowOf(sample, steps - 1, steps, time, reverse), 1, width);
  }
  clearPadding(dstates, width, begin, end - begin, lengths, time);
}

/** h = f(x[t] + h·U), f by its code as in tiles.ts. y [batch, time, units] has all states (it may be x's buffer), h [batch,
 *  units] the last, start the first. work [batch, units]. Unit: a sample. */
export function rnn(
  begin: u32, end: u32, scratch: usize, y: usize, h: usize, work: usize, x: usize, packed: usize, start: usize, lengths: usize,
  time: u32, units: u32, reverse: u32, activation: u32,
): void {
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    const state = at(h, first * units);
    const product = at(work, first * units);
    startState(h, start, first, rows, units);
    const most = mostSteps(lengths, first, rows, time);
    for (let step: u32 = 0; step < most; step++) {
      setRows(scratch, state, units, rows);
      multiplySteps(scratch, product, units, packed, rows, units, units, false);
      for (let i: u32 = 0; i < rows; i++) {
        const steps = stepsOf(lengths, first + i, time);
        if (step >= steps) continue;
        const row = at(x, rowOf(first + i, step, steps, time, reverse) * units);
        const to = at(state, i * units);
        activateSum(to, row, at(product, i * units), units, activation);
        if (y != 0) copyRow(at(y, rowOf(first + i, step, steps, time, reverse) * units), to, units);
      }
    }
    clearPadding(y, units, first, rows, lengths, time);
    clearWork(work, units, first, rows, lengths);
  }
}

function activateSum(y: usize, a: usize, b: usize, n: u32, activation: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) {
    v128.store(at(y, j), activated(f32x4.add(v128.load(at(a, j)), v128.load(at(b, j))), activation));
  }
  if (j < n) storeLanes(at(y, j), activated(f32x4.add(loadLanes(at(a, j), n - j), loadLanes(at(b, j), n - j)), activation), n - j);
}

/** dx[t] = dh · f'(by y[t]), dh = dy[t] + dx[t + 1]·Uᵀ; dh [batch, units] begins as dlast and ends as the gradient of the
 *  first state. dx, dy, y [batch, time, units]; dy, dlast may be 0; dx may be y's or dy's buffer. work [batch, units].
 *  `packed` is Uᵀ. Unit: a sample. */
export function rnnGradient(
  begin: u32, end: u32, scratch: usize, dx: usize, dh: usize, work: usize, y: usize, dy: usize, dlast: usize, packed: usize,
  lengths: usize, time: u32, units: u32, reverse: u32, activation: u32,
): void {
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    const state = at(dh, first * units);
    const product = at(work, first * units);
    startState(dh, dlast, first, rows, units);
    for (let step = mostSteps(lengths, first, rows, time); step-- > 0; ) {
      for (let i: u32 = 0; i < rows; i++) {
        const steps = stepsOf(lengths, first + i, time);
        if (step >= steps) continue;
        const row = rowOf(first + i, step, steps, time, reverse) * units;
        slopeRow(at(dx, row), at(state, i * units), dy != 0 ? at(dy, row) : 0, at(y, row), units, activation);
      }
      setStepRows(scratch, dx, units, 0, first, rows, step, lengths, time, reverse);
      multiplySteps(scratch, product, units, packed, rows, units, units, false);
      takeProduct(state, product, false, first, rows, units, step, lengths, time);
    }
    clearPadding(dx, units, first, rows, lengths, time);
    clearWork(work, units, first, rows, lengths);
  }
}

function slopeRow(dx: usize, dh: usize, dy: usize, y: usize, n: u32, activation: u32): void {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  for (let j: u32 = 0; j < n; j += LANES) {
    const lanes = min(LANES, n - j);
    let d = loadLanes(at(dh, j), lanes);
    if (dy != 0) d = f32x4.add(d, loadLanes(at(dy, j), lanes));
    const v = loadLanes(at(y, j), lanes);
    const slope = activation == EPILOGUE_RELU ? v128.and(f32x4.gt(v, zero), one) : f32x4.sub(one, f32x4.mul(v, v));
    storeLanes(at(dx, j), f32x4.mul(d, slope), lanes);
  }
}
