// Differences in half the bytes. What rounding takes away is added to the next difference, so that nothing is lost for good.

import { bfloat16ToFloat32, float32ToBfloat16 } from "../io/halves.js";

/** Rounded to the nearest, ties to even; what is too large becomes the largest finite one, as the rest is sent later. */
export function toBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  return float32ToBfloat16(values).map((half) => ((half & 0x7f80) === 0x7f80 ? (half & 0x8000) | 0x7f7f : half));
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
  const sent = bfloat16ToFloat32(halves);
  return { halves, left: Float32Array.from(wanted, (value, i) => value - sent[i]) };
}
