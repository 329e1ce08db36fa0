// Differences in half the bytes. What rounding takes away is added to the next difference, so that nothing is lost for good.

/** The upper halves of float32 values, rounded to the nearest, ties to even; what is too large becomes the largest finite one. */
export function toBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word) => {
    const half = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
    return (half & 0x7f80) === 0x7f80 ? (half & 0x8000) | 0x7f7f : half;
  });
}

export function fromBfloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/**
 * Values in bfloat16, with what was left of those before; `left` is what is left of these (error feedback: Seide et al. 2014,
 * Karimireddy et al. 2019). Sums are float32.
 */
export function compress(
  values: Float32Array,
  before: Float32Array | undefined,
): { readonly halves: Uint16Array<ArrayBuffer>; readonly left: Float32Array<ArrayBuffer> } {
  const wanted = before === undefined ? values : values.map((value, i) => value + before[i]);
  const halves = toBfloat16(wanted);
  const sent = fromBfloat16(halves);
  return { halves, left: Float32Array.from(wanted, (value, i) => value - sent[i]) };
}
