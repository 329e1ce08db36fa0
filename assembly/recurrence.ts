// What all recurrent kernels share (kernels/recurrent*.ts): whole sequences of a block of samples by one thread.
//
// A unit is a sample: no sample needs another's state, so threads meet after the last step only. Within a thread's range,
// blocks of at most PANEL_ROWS samples go through all of their steps. In each step the state of the block times the
// recurrent weights is a product on the tiles of tiles.ts, whose right side was packed once for all steps and threads:
//
//        weights, packed: for each block of k (at most PANEL_DEPTH) panels of 8 columns, the last filled up with zeros
//        ┌─ panel 0 ────┬─ panel 1 ────┬─ …   first block of k
//        ├─ panel 0 ────┼─ panel 1 ────┼─ …   second
//
// What is summed in which order depends on k alone, so a sample's bits do not depend on the samples next to it.
// Step s of a sample is at time s, or at length - 1 - s in reverse; from its length on, a sample has no steps.

import { at } from "./lanes";
import { sigmoid4, tanh4 } from "./math";
import { IS_WIDE, LANES, loadPart, madd, storePart } from "./simd";
import {
  copyColumn, fillColumn, FREE_OFFSET, heightOf, multiplyRows, packFour, packOne, packPanelAcross, packPanelAlong, panelWidth,
  PANEL_COLUMNS, PANEL_DEPTH,
} from "./tiles";

function depthBlocks(k: u32): u32 {
  return (k + PANEL_DEPTH - 1) / PANEL_DEPTH;
}

function blockStart(k: u32, block: u32, blocks: u32): u32 {
  return <u32>((<u64>k * block) / blocks);
}

/** Packs panels [begin, end) of the weights: columns `first` … of W [k, stride], or (transposed) of the transpose of
 *  columns `first` … `first + k` of W [n, stride]. */
export function packPanels(
  begin: u32, end: u32, packed: usize, w: usize, k: u32, n: u32, first: u32, stride: u32, transposed: bool,
): void {
  const blocks = depthBlocks(k);
  const line = <usize>stride << 2;
  const padded = (n + 7) & ~7;
  // In the wide build two neighbours are the halves of a panel of 16 columns.
  for (let panel = begin; panel < end; panel++) {
    const j = panel << 3;
    const columns = min<u32>(8, n - j);
    const left = j & ~(PANEL_COLUMNS - 1);
    const width = panelWidth(n - left);
    for (let block: u32 = 0; block < blocks; block++) {
      const k0 = blockStart(k, block, blocks);
      const depth = blockStart(k, block + 1, blocks) - k0;
      const to = at(packed, k0 * padded + left * depth + (j - left));
      const from = transposed ? at(w, j * stride + first + k0) : at(w, k0 * stride + first + j);
      if (IS_WIDE && width == PANEL_COLUMNS) packHalf(to, from, line, columns, depth, transposed);
      else if (transposed) packPanelAcross(to, from, line, columns, depth, 8);
      else packPanelAlong(to, from, line, columns, depth, 8);
    }
  }
}

/** Eight columns of a panel of PANEL_COLUMNS, filled up with zeros. */
function packHalf(to: usize, from: usize, line: usize, columns: u32, depth: u32, across: bool): void {
  const step: usize = PANEL_COLUMNS * 4;
  let i: u32 = 0;
  if (across) {
    for (; i + 4 <= columns; i += 4, to += 16, from += line << 2) {
      packFour(to, from, from + line, from + line * 2, from + line * 3, step, depth);
    }
    for (; i < columns; i++, to += 4, from += line) packOne(to, from, step, depth);
  } else if (columns == 8) {
    for (const stop = from + <usize>depth * line; from < stop; from += line, to += step) {
      const x0 = v128.load(from), x1 = v128.load(from, 16);
      v128.store(to, x0);
      v128.store(to, x1, 16);
    }
    return;
  } else {
    for (; i < columns; i++, to += 4, from += 4) copyColumn(to, from, step, line, depth);
  }
  for (; i < 8; i++, to += 4) fillColumn(to, step, depth);
}

/** Steps that a sample has. */
export function stepsOf(lengths: usize, sample: u32, time: u32): u32 {
  return lengths == 0 ? time : min(load<u32>(at(lengths, sample)), time);
}

/** The most that any sample of the block has. */
export function mostSteps(lengths: usize, first: u32, rows: u32, time: u32): u32 {
  if (lengths == 0) return time;
  let most: u32 = 0;
  for (let i: u32 = 0; i < rows; i++) most = max(most, stepsOf(lengths, first + i, time));
  return most;
}

/** Row of [batch · time, …] that a step of a sample is at. */
export function rowOf(sample: u32, step: u32, steps: u32, time: u32, reverse: u32): u32 {
  return sample * time + (reverse != 0 ? steps - 1 - step : step);
}

/** Notes the address of row `i` of a product's left side. */
export function setRow(scratch: usize, i: u32, address: usize): void {
  store<usize>(at(scratch + FREE_OFFSET, i), address);
}

/** Notes the addresses of `rows` rows, one behind another. */
export function setRows(scratch: usize, from: usize, width: u32, rows: u32): void {
  for (let i: u32 = 0; i < rows; i++) setRow(scratch, i, at(from, i * width));
}

/** Notes for each sample of a block the row of x [batch, time, width] that its step is at, from column `first` on; for
 *  samples without such a step any row: nobody reads what comes of it. */
export function setStepRows(
  scratch: usize, x: usize, width: u32, column: u32, first: u32, rows: u32, step: u32, lengths: usize, time: u32, reverse: u32,
): void {
  for (let i: u32 = 0; i < rows; i++) {
    const steps = stepsOf(lengths, first + i, time);
    const row = step < steps ? rowOf(first + i, step, steps, time, reverse) : (first + i) * time;
    setRow(scratch, i, at(x, row * width + column));
  }
}

/** c[i] [n] = (add ? c[i] : 0) + row i · W for the rows that were noted; c's rows are `width` elements apart. */
export function multiplySteps(
  scratch: usize, c: usize, width: u32, packed: usize, rows: u32, n: u32, k: u32, add: bool,
): void {
  const blocks = depthBlocks(k);
  const padded = (n + 7) & ~7;
  for (let block: u32 = 0; block < blocks; block++) {
    const k0 = blockStart(k, block, blocks);
    const depth = blockStart(k, block + 1, blocks) - k0;
    packNoted(scratch, rows, k0, depth);
    multiplyRows(scratch, at(packed, k0 * padded), 0, c, <usize>width << 2, 0, rows, n, depth, add || block > 0, 0);
  }
}

/** Packs columns k0 … k0 + depth of the noted rows in panels, as `multiplyRows` reads them. */
function packNoted(scratch: usize, rows: u32, k0: u32, depth: u32): void {
  let panel = scratch;
  let row = scratch + FREE_OFFSET;
  const skip = <usize>k0 << 2;
  for (let left = rows; left > 0; ) {
    const height = heightOf(left);
    const here = min(height, left);
    const line = <usize>height << 2;
    let to = panel;
    let i: u32 = 0;
    for (; i + 4 <= here; i += 4, to += 16, row += 16) {
      packFour(to, load<usize>(row) + skip, load<usize>(row, 4) + skip, load<usize>(row, 8) + skip, load<usize>(row, 12) + skip, line, depth);
    }
    for (; i < here; i++, to += 4, row += 4) packOne(to, load<usize>(row) + skip, line, depth);
    for (; i < height; i++, to += 4) fillColumn(to, line, depth);
    panel += <usize>(depth * height) << 2;
    left -= here;
  }
}

/** The first values of a block's state: those at `from` [batch, width], zeros if it is 0. */
export function startState(to: usize, from: usize, first: u32, rows: u32, width: u32): void {
  const bytes = <usize>(rows * width) << 2;
  const place = <usize>(first * width) << 2;
  if (from != 0) memory.copy(to + place, from + place, bytes);
  else memory.fill(to + place, 0, bytes);
}

/** Zeros where a sample of x [batch, time, width] has no steps; none where x is 0. */
export function clearPadding(x: usize, width: u32, first: u32, rows: u32, lengths: usize, time: u32): void {
  if (x == 0 || lengths == 0) return;
  for (let sample = first; sample < first + rows; sample++) {
    const steps = stepsOf(lengths, sample, time);
    memory.fill(at(x, (sample * time + steps) * width), 0, <usize>((time - steps) * width) << 2);
  }
}

/** Clears what samples without a step have left in a block's temporary rows, as it depends on how long others go on. */
export function clearWork(work: usize, width: u32, first: u32, rows: u32, lengths: usize): void {
  if (lengths != 0) startState(work, 0, first, rows, width);
}

/** y = a. */
export function copyRow(y: usize, a: usize, n: u32): void {
  memory.copy(y, a, <usize>n << 2);
}

/** The state of the samples that have this step becomes what the product gave, or has it added. */
export function takeProduct(
  state: usize, product: usize, add: bool, first: u32, rows: u32, width: u32, step: u32, lengths: usize, time: u32,
): void {
  for (let i: u32 = 0; i < rows; i++) {
    if (step >= stepsOf(lengths, first + i, time)) continue;
    if (add) addRow(at(state, i * width), at(product, i * width), width);
    else copyRow(at(state, i * width), at(product, i * width), width);
  }
}

/** y += a. */
export function addRow(y: usize, a: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) v128.store(at(y, j), f32x4.add(v128.load(at(y, j)), v128.load(at(a, j))));
  if (j < n) storePart(at(y, j), f32x4.add(loadPart(at(y, j), n - j), loadPart(at(a, j), n - j)), n - j);
}

/** y += a · b. */
export function addProductRow(y: usize, a: usize, b: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) {
    v128.store(at(y, j), madd(v128.load(at(a, j)), v128.load(at(b, j)), v128.load(at(y, j))));
  }
  if (j < n) {
    const part = n - j;
    storePart(at(y, j), madd(loadPart(at(a, j), part), loadPart(at(b, j), part), loadPart(at(y, j), part)), part);
  }
}

/** y = sigmoid(a + b). */
export function sigmoidSum(y: usize, a: usize, b: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) v128.store(at(y, j), sigmoid4(f32x4.add(v128.load(at(a, j)), v128.load(at(b, j)))));
  if (j < n) storePart(at(y, j), sigmoid4(f32x4.add(loadPart(at(a, j), n - j), loadPart(at(b, j), n - j))), n - j);
}

/** y = tanh(a + b). */
export function tanhSum(y: usize, a: usize, b: usize, n: u32): void {
  let j: u32 = 0;
  for (; j + LANES <= n; j += LANES) v128.store(at(y, j), tanh4(f32x4.add(v128.load(at(a, j)), v128.load(at(b, j)))));
  if (j < n) storePart(at(y, j), tanh4(f32x4.add(loadPart(at(a, j), n - j), loadPart(at(b, j), n - j))), n - j);
}
