// The order of the elements of a row: short ones by insertion, longer ones by a radix sort, a byte of the key at a time.

/** Rows up to this length are put in order by insertion. */
const SHORT: u32 = 32;

/** A number that grows with x[index] (`invert` all ones: that falls): -0 counts as 0, NaN as larger than all. */
function keyOf(x: usize, index: u32, invert: u32): u32 {
  let bits = reinterpret<u32>(load<f32>(x + (<usize>index << 2)) + 0);
  if ((bits & 0x7fffffff) > 0x7f800000) bits = 0x7fffffff;
  return bits ^ ((<u32>(<i32>bits >> 31)) | 0x80000000) ^ invert;
}

/** y[r, :] = the indices (uint32) that bring x[r, :] into ascending (descending: 1) order, equal elements as they stood;
 *  NaN counts as largest. x, y, temporary [rows, length]; unit: a row. */
export function sortIndices(
  begin: u32, end: u32, scratch: usize, y: usize, temporary: usize, x: usize, length: u32, descending: u32,
): void {
  const invert = 0 - descending;
  for (let unit = begin; unit < end; unit++) {
    const at = <usize>(unit * length) << 2;
    const order = y + at;
    const other = temporary + at;
    if (length <= SHORT) {
      insert(order, x + at, length, invert);
    } else {
      distribute(other, 0, x + at, length, 0, invert, scratch);
      distribute(order, other, x + at, length, 8, invert, scratch);
      distribute(other, order, x + at, length, 16, invert, scratch);
      distribute(order, other, x + at, length, 24, invert, scratch);
    }
  }
}

/** order = the indices 0 … length - 1 in order. */
function insert(order: usize, x: usize, length: u32, invert: u32): void {
  for (let i: u32 = 0; i < length; i++) {
    const key = keyOf(x, i, invert);
    let at = i;
    for (; at > 0; at--) {
      const before = load<u32>(order + (<usize>(at - 1) << 2));
      if (keyOf(x, before, invert) <= key) break;
      store<u32>(order + (<usize>at << 2), before);
    }
    store<u32>(order + (<usize>at << 2), i);
  }
}

/** to = the indices of `from` (0: 0 … length - 1) by the byte of their keys at `shift`, equal ones as they stood. */
function distribute(
  to: usize, from: usize, x: usize, length: u32, shift: u32, invert: u32, places: usize,
): void {
  memory.fill(places, 0, 1024);
  for (let i: u32 = 0; i < length; i++) {
    const place = places + <usize>(((keyOf(x, i, invert) >> shift) & 255) << 2);
    store<u32>(place, load<u32>(place) + 1);
  }
  let first: u32 = 0;
  for (let place = places; place < places + 1024; place += 4) {
    const count = load<u32>(place);
    store<u32>(place, first);
    first += count;
  }
  for (let i: u32 = 0; i < length; i++) {
    const index = from != 0 ? load<u32>(from + (<usize>i << 2)) : i;
    const place = places + <usize>(((keyOf(x, index, invert) >> shift) & 255) << 2);
    const at = load<u32>(place);
    store<u32>(to + (<usize>at << 2), index);
    store<u32>(place, at + 1);
  }
}
