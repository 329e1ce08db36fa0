// What int8 changes: a quantised model beside the trainer that it came from.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { type Shape, sizeOf } from "../graph/tensor.js";
import { flattenValues, type Values } from "../graph/values.js";
import type { ForPorts } from "../nn/ports.js";
import type { Predictor } from "../train/trainer.js";
import { type QuantizedModel, valuesOf } from "./quantize.js";

/** How far a quantised model is from what it came from. */
export interface QuantizationReport {
  readonly samples: number;
  /** Root of the mean square of the outputs' differences, over that of the trainer's outputs. */
  readonly relativeError: number;
  /** The largest difference of an output. */
  readonly largestError: number;
  /** The part of the samples whose largest output is the same. Of several outputs in a sample; else 1. */
  readonly agreement: number;
  /** The part of the samples whose largest output is that of their class, before and after: with classes only. */
  readonly accuracy?: { readonly float32: number; readonly int8: number; readonly drop: number };
}

/**
 * Predicts samples with both, and says what int8 changes: errors of the outputs (before the loss makes probabilities of them), and of a
 * classifier the accuracy. For models of one input and one output.
 *
 * @param classes The class of each sample, as a whole number. Default: no accuracies.
 * @throws {DataError} If the samples do not fit the model, or the classes do not fit the samples.
 * @example
 * const small = await quantize(trainer, { calibration: x });
 * const { accuracy } = await compareQuantized(trainer, small, testX, testY);
 * console.log(accuracy?.drop); // 0.0002
 * small.dispose();
 */
export async function compareQuantized(
  trainer: Pick<Predictor<Shape, Shape>, "predict" | "model">,
  quantized: QuantizedModel<Shape, Shape>,
  x: Values,
  classes?: Values,
): Promise<QuantizationReport> {
  const where = "compareQuantized";
  valuesOf(where, quantized);
  if (typeof (trainer as Partial<typeof trainer> | null | undefined)?.predict !== "function") {
    throw new ModelError(
      `${where}: must be given what compile() returns, got ${showValue(trainer)}: compile the model`,
    );
  }
  const before = await trainer.predict(x as ForPorts<Shape, Values>, { output: "raw" });
  const after = quantized.predict(x);
  const size = sizeOf(quantized.model.outputShape);
  const samples = after.length / size;
  if (before.length !== after.length || samples === 0) {
    throw new DataError(
      `${where}: the trainer and the quantised model must give as many outputs, at least one, got ${before.length} and ${after.length}: hand in the trainer that was quantised`,
    );
  }
  let [squares, errors, largest] = [0, 0, 0];
  before.forEach((value, i) => {
    const error = Math.abs(value - (after[i] as number));
    squares += value ** 2;
    errors += error ** 2;
    largest = Math.max(largest, error);
  });
  const [first, second] = [winners(before, size), winners(after, size)];
  const same = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
    let count = 0;
    for (let i = 0; i < samples; i++) if (a[i] === b[i]) count++;
    return count / samples;
  };
  const report = {
    samples,
    relativeError: errors === 0 ? 0 : Math.sqrt(errors / squares),
    largestError: largest,
    agreement: same(first, second),
  };
  if (classes === undefined) return report;
  const { data } = flattenValues("classes", classes);
  if (data.length !== samples) {
    throw new DataError(
      `${where}: classes must be one whole number for each of the ${samples} samples, got ${showValue(data.length)}: hand in their labels`,
    );
  }
  const wrong = Array.from(data).findIndex((value) => !(Number.isInteger(value) && value >= 0 && value < size));
  if (wrong >= 0) {
    throw new DataError(
      `${where}: classes must be whole numbers from 0 to ${size - 1}, got ${showValue(data[wrong])} at index ${wrong}: hand in their labels`,
    );
  }
  const [float32, int8] = [same(first, data), same(second, data)];
  return { ...report, accuracy: { float32, int8, drop: float32 - int8 } };
}

/** The place of each sample's largest output. */
function winners(outputs: Float32Array, size: number): Uint32Array {
  return Uint32Array.from({ length: outputs.length / size }, (_, row) => {
    let best = 0;
    for (let i = 1; i < size; i++) {
      if ((outputs[row * size + i] as number) > (outputs[row * size + best] as number)) best = i;
    }
    return best;
  });
}
