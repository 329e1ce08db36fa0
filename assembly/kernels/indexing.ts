// Elements chosen by uint32 indices, and what goes back to them. An index out of range reads nothing and writes
// nothing. Each word of a result belongs to one unit, which adds up in the order of the indices.

import { LANES, loadPart, storePart } from "../simd";

function copyRow(y: usize, x: usize, n: u32): void {
  const whole = n & ~(LANES - 1);
  for (let i: u32 = 0; i < whole; i += LANES) v128.store(y + (<usize>i << 2), v128.load(x + (<usize>i << 2)));
  const at = <usize>whole << 2;
  if (whole < n) storePart(y + at, loadPart(x + at, n - whole), n - whole);
}

function fillRow(y: usize, n: u32, value: f32): void {
  const v = f32x4.splat(value);
  const whole = n & ~(LANES - 1);
  for (let i: u32 = 0; i < whole; i += LANES) v128.store(y + (<usize>i << 2), v);
  if (whole < n) storePart(y + (<usize>whole << 2), v, n - whole);
}

/** y += x, n elements. */
function addRow(y: usize, x: usize, n: u32): void {
  const whole = n & ~(LANES - 1);
  for (let i: u32 = 0; i < whole; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, f32x4.add(v128.load(y + at), v128.load(x + at)));
  }
  const at = <usize>whole << 2;
  if (whole < n) storePart(y + at, f32x4.add(loadPart(y + at, n - whole), loadPart(x + at, n - whole)), n - whole);
}

/** y[o, j, :] = x[o, indices[j], :], words of any type, `missing` where the index is out of range: x [outer, size,
 *  inner], indices [count], y [outer, count, inner]; unit: a row of y. */
export function gatherAxis(
  begin: u32, end: u32, y: usize, x: usize, indices: usize, count: u32, size: u32, inner: u32, missing: f32,
): void {
  const line = <usize>inner << 2;
  for (let unit = begin; unit < end; unit++) {
    const outer = unit / count;
    const index = load<u32>(indices + (<usize>(unit - outer * count) << 2));
    const to = y + <usize>unit * line;
    if (index < size) copyRow(to, x + <usize>(outer * size + index) * line, inner);
    else fillRow(to, inner, missing);
  }
}

/** y[o, r, :] = base[o, r, :] + Σ u[o, j, :] over the j with indices[j] = r, in their order; base 0: nothing is there.
 *  If `update` is not 0 the last of these u instead, words of any type. y, base [outer, size, inner], u [outer, count,
 *  inner], indices [count]; unit: a row of y. Overwrites. */
export function scatterAxis(
  begin: u32, end: u32, y: usize, base: usize, u: usize, indices: usize, count: u32, size: u32, inner: u32, update: u32,
): void {
  const line = <usize>inner << 2;
  while (begin < end) {
    const outer = begin / size;
    const first = begin - outer * size;
    const rows = min(size - first, end - begin);
    const to = y + <usize>begin * line;
    if (base != 0) memory.copy(to, base + <usize>begin * line, <usize>rows * line);
    else memory.fill(to, 0, <usize>rows * line);
    // All indices are looked at once for a whole range of rows.
    for (let j: u32 = 0; j < count; j++) {
      const row = load<u32>(indices + (<usize>j << 2)) - first;
      if (row >= rows) continue;
      const from = u + <usize>(outer * count + j) * line;
      if (update != 0) copyRow(to + <usize>row * line, from, inner);
      else addRow(to + <usize>row * line, from, inner);
    }
    begin += rows;
  }
}

/** y[o, j, i] = x[o, indices[o, j, i], i], words of any type, `missing` if the index is out of range: x [outer, size,
 *  inner], indices and y [outer, count, inner]; unit: a row of y. */
export function gatherAlong(
  begin: u32, end: u32, y: usize, x: usize, indices: usize, count: u32, size: u32, inner: u32, missing: f32,
): void {
  for (let unit = begin; unit < end; unit++) {
    const from = x + (<usize>((unit / count) * size * inner) << 2);
    for (let i: u32 = 0; i < inner; i++) {
      const at = <usize>(unit * inner + i) << 2;
      const index = load<u32>(indices + at);
      const value = index < size ? load<u32>(from + (<usize>(index * inner + i) << 2)) : reinterpret<u32>(missing);
      store<u32>(y + at, value);
    }
  }
}

/** y[o, r, i] = base[o, r, i] + Σ u[o, j, i] over the j with indices[o, j, i] = r, in their order; base 0: nothing is
 *  there. If `update` is not 0 the last of these u instead, words of any type. y, base [outer, size, inner], u and indices
 *  [outer, count, inner]; unit: a column (o, i). Overwrites. */
export function scatterAlong(
  begin: u32, end: u32, y: usize, base: usize, u: usize, indices: usize, count: u32, size: u32, inner: u32, update: u32,
): void {
  const line = <usize>inner << 2;
  for (let unit = begin; unit < end; unit++) {
    const outer = unit / inner;
    const column = <usize>(unit - outer * inner) << 2;
    const first = <usize>(outer * size) * line + column;
    const to = y + first;
    for (let r: u32 = 0; r < size; r++) {
      const at = <usize>r * line;
      store<u32>(to + at, base != 0 ? load<u32>(base + first + at) : 0);
    }
    let at = <usize>(outer * count) * line + column;
    for (let j: u32 = 0; j < count; j++, at += line) {
      const index = load<u32>(indices + at);
      if (index >= size) continue;
      const place = to + <usize>index * line;
      if (update != 0) store<u32>(place, load<u32>(u + at));
      else store<f32>(place, load<f32>(place) + load<f32>(u + at));
    }
  }
}

/** y[j] = y[j] · size + indices[j, k], of k = 0 indices[j, 0]: after all k the row-major place of an element that n
 *  indices name. The largest u32 if one of them is not below its size. y [count], indices [count, n]; unit: an index of y. */
export function flattenIndices(begin: u32, end: u32, y: usize, indices: usize, k: u32, n: u32, size: u32): void {
  for (let unit = begin; unit < end; unit++) {
    const to = y + (<usize>unit << 2);
    const index = load<u32>(indices + (<usize>(unit * n + k) << 2));
    const before: u32 = k == 0 ? 0 : load<u32>(to);
    store<u32>(to, index < size && before != u32.MAX_VALUE ? before * size + index : u32.MAX_VALUE);
  }
}

/** y[j, :] = 0, but 1 at indices[j], in [0, classes); all 0 where that is out of range. y [count, classes]; unit: a row. */
export function oneHot(begin: u32, end: u32, y: usize, indices: usize, classes: u32): void {
  for (let unit = begin; unit < end; unit++) {
    const to = y + (<usize>(unit * classes) << 2);
    fillRow(to, classes, 0);
    const index = load<u32>(indices + (<usize>unit << 2));
    if (index < classes) store<f32>(to + (<usize>index << 2), 1);
  }
}
