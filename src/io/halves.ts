// Numbers of two bytes: binary16 (IEEE 754) and bfloat16, the upper half of a binary32. Every one of them is a float32; what is
// narrowed is rounded to the nearest, ties to even.

/** The largest finite float16; from 65520 on, a number would be rounded to infinity. */
export const LARGEST_FLOAT16 = 65504;

const SMALLEST_NORMAL = 0x38800000; // 2^-14 as binary32
const OVERFLOW = 0x47800000; // 2^16
const INFINITE = 0x7f800000;

export function float16ToFloat32(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const floats = new Float32Array(halves.length);
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0)
      floats[i] = (sign ? -fraction : fraction) / 0x1000000; // zeros, and subnormals of 2^-24
    else bits[i] = sign | ((exponent === 0x1f ? 0xff : exponent + 127 - 15) << 23) | (fraction << 13);
  }
  return floats;
}

export function bfloat16ToFloat32(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}

/** What is too large becomes infinite. */
export function float32ToFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(bitsOf(values), (word) => {
    const sign = (word >>> 16) & 0x8000;
    const size = word & 0x7fffffff;
    if (size >= OVERFLOW) return sign | (size > INFINITE ? 0x7e00 : 0x7c00);
    // A carry goes on into the exponent, and so to infinity.
    if (size >= SMALLEST_NORMAL) return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
    // Multiples of 2^-24: the fraction with its leading one, shifted by as much as the exponent is too small.
    const shift = 126 - (size >>> 23);
    if (shift > 24) return sign;
    const fraction = (size & 0x7fffff) | 0x800000;
    const kept = fraction >>> shift;
    const rest = fraction & ((1 << shift) - 1);
    const half = 1 << (shift - 1);
    return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
  });
}

/** What is too large becomes infinite. */
export function float32ToBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = bitsOf(values);
  const halves = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const isNumber = (word & 0x7fffffff) <= INFINITE;
    halves[i] = isNumber ? (word + 0x7fff + ((word >>> 16) & 1)) >>> 16 : (word >>> 16) | 0x40;
  }
  return halves;
}

function bitsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}
