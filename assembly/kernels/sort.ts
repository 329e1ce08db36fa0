// The order of the elements of a row: a stable merge sort of their indices.

/** Runs of so many are put in order by insertion, longer ones by merging two. */
const RUN: u32 = 8;

/** A number that grows with x[index] (`invert` all ones: that falls): -0 counts as 0, NaN as larger than all. */
function keyOf(x: usize, index: u32, invert: u32): u32 {
  let bits = reinterpret<u32>(load<f32>(x + (<usize>index << 2)) + 0);
  if ((bits & 0x7fffffff) > 0x7f800000) bits = 0x7fffffff;
  return bits ^ ((<u32>(<i32>bits >> 31)) | 0x80000000) ^ invert;
}

/** y[r, :] = the indices (uint32) that bring x[r, :] into ascending (descending: 1) order, equal elements as they stood;
 *  NaN counts as largest. x, y, temporary [rows, length]; unit: a row. */
export function sortIndices(
  begin: u32, end: u32, y: usize, temporary: usize, x: usize, length: u32, descending: u32,
): void {
  let merges: u32 = 0;
  while (RUN << merges < length) merges++;
  for (let unit = begin; unit < end; unit++) {
    const at = <usize>(unit * length) << 2;
    // The last merge must end in y.
    let from = (merges & 1) != 0 ? temporary + at : y + at;
    let to = (merges & 1) != 0 ? y + at : temporary + at;
    for (let first: u32 = 0; first < length; first += RUN) {
      insert(from, x + at, first, min(first + RUN, length), 0 - descending);
    }
    for (let run = RUN; run < length; run <<= 1) {
      for (let first: u32 = 0; first < length; first += run << 1) {
        const middle = min(first + run, length);
        merge(to, from, x + at, first, middle, min(middle + run, length), 0 - descending);
      }
      const last = from;
      from = to;
      to = last;
    }
  }
}

/** order[first … stop) = the indices first … stop - 1 in order. */
function insert(order: usize, x: usize, first: u32, stop: u32, invert: u32): void {
  for (let i = first; i < stop; i++) {
    const key = keyOf(x, i, invert);
    let at = i;
    for (; at > first; at--) {
      const before = load<u32>(order + (<usize>(at - 1) << 2));
      if (keyOf(x, before, invert) <= key) break;
      store<u32>(order + (<usize>at << 2), before);
    }
    store<u32>(order + (<usize>at << 2), i);
  }
}

/** to[first … stop) = from[first … middle) and from[middle … stop), each in order, as one. */
function merge(to: usize, from: usize, x: usize, first: u32, middle: u32, stop: u32, invert: u32): void {
  let left = first;
  let right = middle;
  for (let at = first; at < stop; at++) {
    const a = left < middle ? load<u32>(from + (<usize>left << 2)) : 0;
    const b = right < stop ? load<u32>(from + (<usize>right << 2)) : 0;
    const takesLeft = right >= stop || (left < middle && keyOf(x, a, invert) <= keyOf(x, b, invert));
    store<u32>(to + (<usize>at << 2), takesLeft ? a : b);
    if (takesLeft) left++;
    else right++;
  }
}
