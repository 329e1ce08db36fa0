// Weights as int8, and inputs' ranges as scales: plain numbers, in float64.
import { INT8_COLUMNS } from "../engine/constants.js";
import { sizeOf } from "../graph/shape.js";
import type { Shape } from "../graph/tensor.js";
import { type InputScale, pairsOf } from "./operations.js";

/** Weights of one layer: [..., inputs, outputs], a scale for each output. weight ≈ data · scale. */
export interface Int8Weight {
  readonly shape: Shape;
  readonly data: Int8Array<ArrayBuffer>;
  readonly scales: Float32Array<ArrayBuffer>;
}

/** The smallest and the largest value that a product's input had. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The nearest whole number, the even one of two. */
function roundHalfToEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/** Symmetric: the largest weight of an output is 127 times its scale. */
export function quantizeWeight(shape: Shape, values: Float32Array): Int8Weight {
  const outputs = shape[shape.length - 1] as number;
  const largest = new Float64Array(outputs);
  values.forEach((value, i) => {
    largest[i % outputs] = Math.max(largest[i % outputs] as number, Math.abs(value));
  });
  const scales = Float32Array.from(largest, (most) => most / 127 || 1);
  const data = new Int8Array(values.length);
  values.forEach((value, i) => {
    const rounded = roundHalfToEven(value / (scales[i % outputs] as number));
    data[i] = Math.min(127, Math.max(-127, rounded));
  });
  return { shape: [...shape], data, scales };
}

/** In the order of the kernels: panels of 8 outputs, pairs of inputs within a tap of the window, zeros where there are none. */
export function packWeight({ shape, data }: Int8Weight): Uint32Array {
  const outputs = shape[shape.length - 1] as number;
  const channels = shape[shape.length - 2] as number;
  const taps = sizeOf(shape.slice(0, -2));
  const pairs = pairsOf(channels);
  const panels = Math.ceil(outputs / INT8_COLUMNS);
  const packed = new Int8Array(panels * taps * pairs * INT8_COLUMNS * 2);
  for (let tap = 0; tap < taps; tap++) {
    for (let channel = 0; channel < channels; channel++) {
      const pair = tap * pairs + (channel >> 1);
      const from = (tap * channels + channel) * outputs;
      for (let output = 0; output < outputs; output++) {
        const panel = Math.floor(output / INT8_COLUMNS) * taps * pairs + pair;
        packed[(panel * INT8_COLUMNS + (output % INT8_COLUMNS)) * 2 + (channel & 1)] = data[from + output] as number;
      }
    }
  }
  return new Uint32Array(packed.buffer);
}

/** 256 whole numbers over a range that includes 0, which stays 0: so zeros of padding and of relu are exact. */
export function scaleOf({ low, high }: Range): { readonly scale: InputScale; readonly step: number } {
  const [least, most] = [Math.min(low, 0), Math.max(high, 0)];
  // The inverse of a smaller step would not be finite in float32.
  const step = Math.max((most - least) / 255, 2 ** -100);
  const below = Math.min(255, roundHalfToEven(-least / step));
  return { step, scale: { inverse: Math.fround(1 / step), least: -below || 0, most: 255 - below } };
}
