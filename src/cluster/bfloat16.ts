// Differences in half the bytes. What rounding takes away is added to the next difference, so that nothing is lost for good.

import { bfloat16ToFloat32, float32ToBfloat16 } from "../io/halves.js";

/** Rounded to the nearest, ties to even; what is too large becomes the largest finite one, as the rest is sent later. */
export function toBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const halves = float32ToBfloat16(values);
  for (let i = 0; i < halves.length; i++)
    if ((halves[i] & 0x7f80) === 0x7f80) halves[i] = (halves[i] & 0x8000) | 0x7f7f;
  return halves;
}

/**
 * Values in bfloat16, with what was left of those before; `left` is what is left of these (error feedback: Seide et al. 2014,
 * Karimireddy et al. 2019). Sums are float32.
 */
export function compress(
  values: Float32Array,
  before: Float32Array | undefined,
): { readonly halves: Uint16Array<ArrayBuffer>; readonly left: Float32Array<ArrayBuffer> } {
  const left = Float32Array.from(values);
  if (before !== undefined) for (let i = 0; i < left.length; i++) left[i] += before[i];
  const halves = toBfloat16(left);
  const sent = bfloat16ToFloat32(halves);
  for (let i = 0; i < left.length; i++) left[i] -= sent[i];
  return { halves, left };
}
