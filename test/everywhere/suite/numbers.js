// Numbers that every runtime gets alike: whole-number arithmetic and one division, no host mathematics.

/** `count` numbers in [low, high), from the generator of Lehmer (1951) as Park & Miller set it. */
export function uniform(count, low, high, seed = 1) {
  let state = seed * 7919;
  return Float32Array.from({ length: count }, () => {
    state = (state * 48271) % 2147483647;
    return low + ((high - low) * state) / 2147483647;
  });
}

/** `count` whole numbers from 0 to `below - 1`. */
export function integers(count, below, seed = 1) {
  let state = seed * 104729;
  return Uint32Array.from({ length: count }, () => {
    state = (state * 48271) % 2147483647;
    return state % below;
  });
}

/** One-hot rows [count, classes]. */
export function oneHot(classes, labels) {
  const rows = new Float32Array(labels.length * classes);
  labels.forEach((label, row) => {
    rows[row * classes + label] = 1;
  });
  return rows;
}

/** Whether two views hold the same bits. */
export function sameBits(a, b) {
  const [left, right] = [bytesOf(a), bytesOf(b)];
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** FNV-1a of 32 bits over bytes (Fowler, Noll & Vo), as eight hexadecimal digits. */
export function createDigest() {
  let hash = 0x811c9dc5;
  return {
    /** A view's bytes, or a number's as float64. Every NaN counts as the same: WebAssembly leaves its bits open. */
    add(value) {
      const bytes = bytesOf(typeof value === "number" ? Float64Array.of(value) : canonical(value));
      for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    },
    text: () => (hash >>> 0).toString(16).padStart(8, "0"),
  };
}

/** Float32 values with one kind of NaN. */
function canonical(view) {
  if (!(view instanceof Float32Array) || !view.some(Number.isNaN)) return view;
  const words = new Uint32Array(view.slice().buffer);
  for (let i = 0; i < words.length; i++) if (Number.isNaN(view[i])) words[i] = 0x7fc00000;
  return words;
}

function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
