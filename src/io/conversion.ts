// Values of other dtypes as float32, and what is said of it.
import type { SafetensorsTensor } from "./safetensors.js";

/** A tensor's values as float32. */
export interface Floats {
  readonly data: Float32Array;
  /** Of another dtype: `"0.weight: F64 to float32, 3 of 12 values rounded"`. */
  readonly said: string | undefined;
}

/** Every value is rounded once, to the nearest, ties to even. */
export function floatsFrom(name: string, { dtype, data }: SafetensorsTensor): Floats {
  if (dtype === "F32") return { data, said: undefined };
  const said = `${name}: ${dtype} to float32`;
  // Widened when they were read.
  if (dtype === "F16" || dtype === "BF16") return { data, said };
  const isLong = dtype === "I64" || dtype === "U64";
  const floats = isLong ? Float32Array.from(data, roundedOnce) : Float32Array.from(data);
  let rounded = 0;
  for (let index = 0; index < floats.length; index++) {
    const read = isLong ? BigInt(floats[index]) : floats[index];
    if (read !== data[index]) rounded++;
  }
  return { data: floats, said: rounded === 0 ? said : `${said}, ${rounded} of ${data.length} values rounded` };
}

/** Of bits that a float64 would round before they are rounded again, one is kept that says that there were any. */
function roundedOnce(value: bigint): number {
  if (BigInt(Number(value)) === value) return Number(value);
  const size = value < 0n ? -value : value;
  const kept = Number((size >> 12n) | ((size & 0xfffn) === 0n ? 0n : 1n)) * 2 ** 12;
  return value < 0n ? -kept : kept;
}
