// LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000): all steps of a block of samples, forward and
// backward. Gates are side by side, in PyTorch's and Keras' order i, f, g, o, of `units` each:
//
//   i, f, o = sigmoid(x + h·U [+ p·c])   g = tanh(x + h·U)   c' = f·c + i·g   m = o·tanh(c')   h' = m, or m·P
//
// Peepholes p [3, units] (i, f: by the cell before, o: after; Gers & Schmidhuber 2000) and the projection P [units, states]
// (Sak et al. 2014) are optional: address 0. `states` is the width of h. See kernels/recurrent.ts for what all have in common.

import { at, loadLanes, storeLanes } from "../lanes";
import { tanh4 } from "../math";
import { LANES, madd } from "../simd";
import {
  addProductRow, addRow, clearPadding, clearWork, copyRow, mostSteps, multiplySteps, rowOf, setRows, setStepRows, sigmoidSum,
  startState, stepsOf, takeProduct, tanhSum,
} from "../recurrence";
import { PANEL_ROWS } from "../tiles";

/** gates [batch, time, 4·units] (it may be x's buffer), y [batch, time, states], cells [batch, time, units]: what there was
 *  in each step, each of them optional; h [batch, states], c [batch, units]: after the last. startH and startC as h and c.
 *  work: [batch, 4·units], and with P [batch, units] and [batch, states]. Unit: a sample. */
export function lstm(
  begin: u32, end: u32, scratch: usize, gates: usize, y: usize, h: usize, c: usize, cells: usize, work: usize,
  x: usize, packed: usize, startH: usize, startC: usize, peepholes: usize, packedP: usize, lengths: usize,
  batch: u32, time: u32, units: u32, states: u32, reverse: u32,
): void {
  const outputs = at(work, batch * 4 * units);
  const projected = at(outputs, batch * units);
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    startState(h, startH, first, rows, states);
    startState(c, startC, first, rows, units);
    const state = at(h, first * states);
    const most = mostSteps(lengths, first, rows, time);
    for (let step: u32 = 0; step < most; step++) {
      setRows(scratch, state, states, rows);
      multiplySteps(scratch, at(work, first * 4 * units), 4 * units, packed, rows, 4 * units, states, false);
      for (let sample = first; sample < first + rows; sample++) {
        const steps = stepsOf(lengths, sample, time);
        if (step >= steps) continue;
        const row = rowOf(sample, step, steps, time, reverse);
        const product = at(work, sample * 4 * units);
        const gate = gates != 0 ? at(gates, row * 4 * units) : product;
        const cell = at(c, sample * units);
        const output = packedP != 0 ? at(outputs, sample * units) : at(h, sample * states);
        cellRow(gate, product, at(x, row * 4 * units), cell, output, peepholes, units);
        if (cells != 0) copyRow(at(cells, row * units), cell, units);
        if (packedP == 0 && y != 0) copyRow(at(y, row * states), output, states);
      }
      if (packedP == 0) continue;
      setRows(scratch, at(outputs, first * units), units, rows);
      multiplySteps(scratch, at(projected, first * states), states, packedP, rows, states, units, false);
      takeProduct(state, at(projected, first * states), false, first, rows, states, step, lengths, time);
      if (y != 0) storeStates(y, h, first, rows, states, step, lengths, time, reverse);
    }
    clearPadding(gates, 4 * units, first, rows, lengths, time);
    clearPadding(y, states, first, rows, lengths, time);
    clearPadding(cells, units, first, rows, lengths, time);
    clearWork(work, 4 * units, first, rows, lengths);
    if (packedP == 0) continue;
    clearWork(outputs, units, first, rows, lengths);
    clearWork(projected, states, first, rows, lengths);
  }
}

function storeStates(
  y: usize, h: usize, first: u32, rows: u32, states: u32, step: u32, lengths: usize, time: u32, reverse: u32,
): void {
  for (let sample = first; sample < first + rows; sample++) {
    const steps = stepsOf(lengths, sample, time);
    if (step < steps) copyRow(at(y, rowOf(sample, step, steps, time, reverse) * states), at(h, sample * states), states);
  }
}

/** One step of one sample. `gate` may be `z` or `x`; z is overwritten if there are peepholes. */
function cellRow(gate: usize, z: usize, x: usize, c: usize, m: usize, peepholes: usize, n: u32): void {
  if (peepholes != 0) {
    addProductRow(z, peepholes, c, n);
    addProductRow(at(z, n), at(peepholes, n), c, n);
  }
  sigmoidSum(gate, z, x, 2 * n);
  tanhSum(at(gate, 2 * n), at(z, 2 * n), at(x, 2 * n), n);
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) cellLanes(at(gate, j), at(c, j), n, LANES);
  if (j < n) cellLanes(at(gate, j), at(c, j), n, n - j);
  if (peepholes != 0) addProductRow(at(z, 3 * n), at(peepholes, 2 * n), c, n);
  sigmoidSum(at(gate, 3 * n), at(z, 3 * n), at(x, 3 * n), n);
  j = 0;
  for (; j + LANES <= n; j += LANES) outputLanes(at(m, j), at(gate, 3 * n + j), at(c, j), LANES);
  if (j < n) outputLanes(at(m, j), at(gate, 3 * n + j), at(c, j), n - j);
}

// @ts-ignore: decorator
@inline
function cellLanes(gate: usize, c: usize, n: u32, lanes: u32): void {
  const i = loadLanes(gate, lanes);
  const f = loadLanes(at(gate, n), lanes);
  const g = loadLanes(at(gate, 2 * n), lanes);
  storeLanes(c, madd(f, loadLanes(c, lanes), f32x4.mul(i, g)), lanes);
}

// @ts-ignore: decorator
@inline
function outputLanes(m: usize, o: usize, c: usize, lanes: u32): void {
  storeLanes(m, f32x4.mul(loadLanes(o, lanes), tanh4(loadLanes(c, lanes))), lanes);
}

/** dgates [batch, time, 4·units]: by what went into the gates (it may be gates' buffer); dh and dc begin as the gradients of
 *  the last state and cell (dlastH, dlastC, 0: none) and end as those of the first; dstates [batch, time, states], only with
 *  P: all that reaches h. gates, cells: as `lstm` left them; startC its first cell; dy [batch, time, states] or 0. `packed`
 *  is Uᵀ, `packedP` Pᵀ. work: [batch, states], and with P [batch, units]. Unit: a sample. */
export function lstmGradient(
  begin: u32, end: u32, scratch: usize, dgates: usize, dh: usize, dc: usize, dstates: usize, work: usize,
  gates: usize, cells: usize, startC: usize, dy: usize, dlastH: usize, dlastC: usize, packed: usize, peepholes: usize, packedP: usize,
  lengths: usize, batch: u32, time: u32, units: u32, states: u32, reverse: u32,
): void {
  const doutputs = at(work, batch * states);
  for (let first = begin; first < end; first += PANEL_ROWS) {
    const rows = min(PANEL_ROWS, end - first);
    startState(dh, dlastH, first, rows, states);
    startState(dc, dlastC, first, rows, units);
    const state = at(dh, first * states);
    const product = at(work, first * states);
    for (let step = mostSteps(lengths, first, rows, time); step-- > 0; ) {
      addOutputs(state, dstates, dy, first, rows, states, step, lengths, time, reverse);
      if (packedP != 0) {
        setRows(scratch, state, states, rows);
        multiplySteps(scratch, at(doutputs, first * units), units, packedP, rows, units, states, false);
      }
      for (let sample = first; sample < first + rows; sample++) {
        const steps = stepsOf(lengths, sample, time);
        if (step >= steps) continue;
        const row = rowOf(sample, step, steps, time, reverse);
        const before = step == 0 ? at(startC, sample * units) : at(cells, rowOf(sample, step - 1, steps, time, reverse) * units);
        const dm = packedP != 0 ? at(doutputs, sample * units) : at(dh, sample * states);
        const at4 = row * 4 * units;
        slopeRow(at(dgates, at4), at(dc, sample * units), at(gates, at4), at(cells, row * units), before, dm, peepholes, units);
      }
      setStepRows(scratch, dgates, 4 * units, 0, first, rows, step, lengths, time, reverse);
      multiplySteps(scratch, product, states, packed, rows, states, 4 * units, false);
      takeProduct(state, product, false, first, rows, states, step, lengths, time);
    }
    clearPadding(dgates, 4 * units, first, rows, lengths, time);
    clearPadding(dstates, states, first, rows, lengths, time);
    clearWork(work, states, first, rows, lengths);
    if (packedP != 0) clearWork(doutputs, units, first, rows, lengths);
  }
}

/** The gradient of each state gets what comes from y, and is stored where somebody wants it. */
function addOutputs(
  dh: usize, dstates: usize, dy: usize, first: u32, rows: u32, states: u32, step: u32, lengths: usize, time: u32, reverse: u32,
): void {
  for (let i: u32 = 0; i < rows; i++) {
    const steps = stepsOf(lengths, first + i, time);
    if (step >= steps) continue;
    const row = rowOf(first + i, step, steps, time, reverse) * states;
    if (dy != 0) addRow(at(dh, i * states), at(dy, row), states);
    if (dstates != 0) copyRow(at(dstates, row), at(dh, i * states), states);
  }
}

function slopeRow(dgate: usize, dc: usize, gate: usize, c: usize, before: usize, dm: usize, peepholes: usize, n: u32): void {
  let j: u32 = 0;
  if (peepholes == 0) {
    for (; j + LANES <= n; j += LANES) slopeLanes(at(dgate, j), at(dc, j), at(gate, j), at(c, j), at(before, j), at(dm, j), 0, n, LANES);
    if (j < n) slopeLanes(at(dgate, j), at(dc, j), at(gate, j), at(c, j), at(before, j), at(dm, j), 0, n, n - j);
    return;
  }
  for (; j < n; j += LANES) {
    const lanes = min(LANES, n - j);
    slopeLanes(at(dgate, j), at(dc, j), at(gate, j), at(c, j), at(before, j), at(dm, j), at(peepholes, j), n, lanes);
  }
}

// @ts-ignore: decorator
@inline
function slopeLanes(
  dgate: usize, dc: usize, gate: usize, c: usize, before: usize, dm: usize, p: usize, n: u32, lanes: u32,
): void {
  const one = f32x4.splat(1);
  const i = loadLanes(gate, lanes);
  const f = loadLanes(at(gate, n), lanes);
  const g = loadLanes(at(gate, 2 * n), lanes);
  const o = loadLanes(at(gate, 3 * n), lanes);
  const t = tanh4(loadLanes(c, lanes));
  const d = loadLanes(dm, lanes);
  const toOutput = f32x4.mul(f32x4.mul(d, t), f32x4.mul(o, f32x4.sub(one, o)));
  let toCell = madd(f32x4.mul(d, o), f32x4.sub(one, f32x4.mul(t, t)), loadLanes(dc, lanes));
  if (p != 0) toCell = madd(toOutput, loadLanes(at(p, 2 * n), lanes), toCell);
  const toInput = f32x4.mul(f32x4.mul(toCell, g), f32x4.mul(i, f32x4.sub(one, i)));
  const toForget = f32x4.mul(f32x4.mul(toCell, loadLanes(before, lanes)), f32x4.mul(f, f32x4.sub(one, f)));
  let rest = f32x4.mul(toCell, f);
  if (p != 0) {
    rest = madd(toInput, loadLanes(p, lanes), rest);
    rest = madd(toForget, loadLanes(at(p, n), lanes), rest);
  }
  storeLanes(dc, rest, lanes);
  storeLanes(dgate, toInput, lanes);
  storeLanes(at(dgate, n), toForget, lanes);
  storeLanes(at(dgate, 2 * n), f32x4.mul(f32x4.mul(toCell, i), f32x4.sub(one, f32x4.mul(g, g))), lanes);
  storeLanes(at(dgate, 3 * n), toOutput, lanes);
}
