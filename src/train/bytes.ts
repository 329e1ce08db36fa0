// Inputs that are given as bytes, such as the pixels of images. In memory a value takes a byte; it becomes float32 when its
// batch is gathered.
import { checkNumber, DataError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { checkPresent, type FlatValues } from "../graph/values.js";
import { type Port, portName } from "../nn/ports.js";
import type { ByteScale } from "../ops/gather.js";

/** One number for all inputs of bytes, or one for each of those that are named. */
export type PerInput = number | Readonly<Record<string, number>>;

/** What inputs of bytes are: value = byte · scale + offset, in float32. */
export interface Scales {
  /**
   * What inputs of bytes (`Uint8Array`, `Uint8ClampedArray`) are multiplied with, in float32, as `1 / 255` for pixels from 0
   * to 1; by name for some of several inputs. Default 1.
   */
  scale?: PerInput;
  /** What is added then. Default 0. */
  offset?: PerInput;
}

/** Values of an input. */
export interface InputValues extends FlatValues {
  /** Of bytes that were given a scale or an offset. */
  readonly scaled?: ByteScale | undefined;
}

const PLAIN: ByteScale = { scale: 1, offset: 0 };

function areBytes(data: FlatValues["data"]): data is Uint8Array {
  return ArrayBuffer.isView(data) && ["Uint8Array", "Uint8ClampedArray"].includes(kindOf(data));
}

/** Notes what the bytes among these inputs are. Throws DataError if others are to be scaled. */
export function scaleInputs(
  x: readonly InputValues[],
  inputs: readonly Port[],
  { scale, offset }: Scales,
): readonly InputValues[] {
  // Single steps pass here.
  if (scale === undefined && offset === undefined) return x;
  const scales = numbersFor("scale", scale, x, inputs);
  const offsets = numbersFor("offset", offset, x, inputs);
  return x.map((values, index) => {
    const [times, plus] = [scales[index], offsets[index]];
    if ((times === undefined && plus === undefined) || !isStored(values, inputs[index])) return values;
    return { ...values, scaled: { scale: times ?? PLAIN.scale, offset: plus ?? PLAIN.offset } };
  });
}

/** One number for each input that has one. */
function numbersFor(
  where: "scale" | "offset",
  given: PerInput | undefined,
  x: readonly InputValues[],
  inputs: readonly Port[],
): (number | undefined)[] {
  if (given === undefined) return inputs.map(() => undefined);
  const byName = kindOf(given) === "Object" ? (given as Readonly<Record<string, number>>) : undefined;
  const unknown = Object.keys(byName ?? {}).find((name) => inputs.every(({ key }) => key !== name));
  if (unknown !== undefined) {
    const names = inputs.flatMap(({ key }) => (key === undefined ? [] : [key]));
    const remedy = names.length === 0 ? "the input has no name: write a number" : `the inputs are ${showNames(names)}`;
    throw new DataError(
      `${where}: must be a number, or numbers by the names of inputs, got ${showValue(given)}: ${remedy}`,
    );
  }
  const isMeant = ({ key }: Port) => byName === undefined || (key !== undefined && key in byName);
  const other = inputs.findIndex((port, index) => isMeant(port) && !isStored(x[index], port));
  const some = inputs.some((port, index) => isMeant(port) && isStored(x[index], port));
  if (other >= 0 && (byName !== undefined || !some)) {
    const name = portName("x", inputs[other]);
    throw new DataError(
      `${where}: is for values that are given as bytes, got ${name} of ${showValue(x[other].data)}: pass a Uint8Array, or scale the values before`,
    );
  }
  return inputs.map((port) => {
    if (!isMeant(port)) return undefined;
    const name = byName === undefined ? where : portName(where, port);
    const value = byName === undefined ? (given as number) : byName[port.key as string];
    return Math.fround(checkNumber("data", name, value, -MOST, MOST));
  });
}

// So that no value becomes infinite.
const MOST = 1e35;

/** Whether the values of an input are stored as bytes. */
export function isStored({ data }: FlatValues, { dtype }: Port): boolean {
  return dtype === "float32" && areBytes(data);
}

/** What is stored as bytes of each input; `undefined` if nothing is. */
export function bytesAmong(
  x: readonly InputValues[],
  inputs: readonly Port[],
): readonly (ByteScale | undefined)[] | undefined {
  const bytes = x.map((values, index) => (isStored(values, inputs[index]) ? (values.scaled ?? PLAIN) : undefined));
  return bytes.some((one) => one !== undefined) ? bytes : undefined;
}

/** Copies bytes into memory as they are. */
export function writeBytes(where: string, to: Uint8Array, data: FlatValues["data"]): void {
  checkPresent(where, data, to.length);
  to.set(data);
}

/** Copies bytes into memory as float32, with the bits of gatherBytes (assembly/kernels/gather.ts). */
export function writeScaled(
  where: string,
  to: Float32Array,
  data: FlatValues["data"],
  { scale, offset }: ByteScale,
): void {
  checkPresent(where, data, to.length);
  // A sum of two float32 that is rounded to float64, then to float32, is that of float32.
  for (let i = 0; i < to.length; i++) to[i] = Math.fround(data[i] * scale) + offset;
}
