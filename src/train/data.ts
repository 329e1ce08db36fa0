// Data sets: checked, converted and laid into the trainer's memory, where batches are gathered from.
import type { Engine } from "../engine/engine.js";
import { DataError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/tensor.js";
import { type FlatValues, flattenValues, sliceOf, type Values, writeFloats } from "../graph/values.js";
import type { TargetKind } from "../nn/losses.js";
import type { Work } from "./work.js";

/** Inputs: row-major typed array of samples behind one another, or nested arrays `[sample][feature]…`. */
export interface Inputs {
  x: Values;
}

/** Inputs with their targets, sample by sample: class indices, or values of the model's output shape. */
export interface Samples extends Inputs {
  y: Values;
}

/** Samples that lie in the trainer's memory, for several fits or evaluations: see Trainer.load. */
export interface ResidentData {
  readonly count: number;
  readonly x: Pointer;
  readonly y: Pointer;
  /** Shuffled order of the samples, `count` indices. */
  readonly order: Pointer;
  readonly bytes: number;
  /** Gives the memory back. */
  dispose(): void;
}

/** How the samples of a model look. */
export interface SampleFormat {
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly targets: TargetKind;
}

/** Elements of one sample's target: 1 for a class index. */
export function targetSize({ targets, outputShape }: SampleFormat): number {
  return targets === "classes" ? 1 : sizeOf(outputShape);
}

/** Number of samples in `values`, each of `shape`. Throws DataError where they do not divide evenly, or are none. */
export function countSamples(where: string, values: FlatValues, shape: Shape): number {
  const size = sizeOf(shape);
  const { data, shape: came } = values;
  const refuse = (got: string): DataError =>
    new DataError(`${where}: must be samples of shape ${showShape(shape)}${got}`);
  if (data.length === 0) throw refuse(", got none: an empty data set cannot be used");
  if (came !== undefined && came.length > 1 && !sameShape(came.slice(1), shape) && !sameShape(came, shape)) {
    throw refuse(`, got nested arrays of shape ${showShape(came)}`);
  }
  if (data.length % size !== 0) {
    throw refuse(` (${size} values each), got ${data.length} values, which is no multiple of ${size}`);
  }
  return data.length / size;
}

// Values that are copied at a time, in some tenths of a millisecond; and after how long the host may breathe.
const PART = 1 << 16;
const PART_MS = 2;

/**
 * Checks `samples` against the model and copies them into memory, with breaths where calls run in the background: elsewhere
 * it is done before the caller can change them. Nothing stays allocated when it throws or is left.
 */
export function* loadSamples(engine: Engine, samples: Samples, format: SampleFormat): Work<ResidentData> {
  const x = flattenValues("x", samples.x);
  const y = flattenValues("y", samples.y);
  const count = countSamples("x", x, format.inputShape);
  const ySize = targetSize(format);
  checkTargetCount(y, count, format);
  const xBytes = x.data.length * 4;
  const yBytes = count * ySize * 4;
  const addresses: Pointer[] = [];
  const release = (): void => {
    for (const address of addresses.splice(0)) engine.allocator.free(address);
  };
  let loaded = false;
  try {
    for (const bytes of [xBytes, yBytes, count * 4]) addresses.push(engine.allocator.allocate(bytes));
    const [xAt, yAt, order] = addresses;
    yield* inParts(engine, x, 1, (part, first) => {
      writeFloats("x", engine.floats(xAt + first * 4, part.data.length), part.data, first);
    });
    yield* inParts(engine, y, ySize, (part, first) => writeTargets(engine, yAt + first * 4, part, format, first));
    engine.changed(xAt, xBytes);
    engine.changed(yAt, yBytes);
    loaded = true;
    return { count, x: xAt, y: yAt, order, bytes: xBytes + yBytes + count * 4, dispose: release };
  } finally {
    if (!loaded) release();
  }
}

/** Has values written part by part, each a whole number of samples of `size`. */
function* inParts(
  { background }: Engine,
  { data, shape }: FlatValues,
  size: number,
  write: (part: FlatValues, first: number) => void,
): Work<void> {
  const most = Math.max(1, Math.floor(PART / size)) * size;
  let breath = performance.now();
  for (let first = 0; first < data.length; first += most) {
    if (background && performance.now() - breath > PART_MS) {
      yield undefined;
      breath = performance.now();
    }
    write({ data: sliceOf(data, first, Math.min(most, data.length - first)), shape }, first);
  }
}

/** Refuses targets that are not one for each of `count` samples. */
export function checkTargetCount(y: FlatValues, count: number, format: SampleFormat): void {
  const ySize = targetSize(format);
  if (y.data.length === count * ySize) return;
  if (format.targets === "classes" && y.data.length === count * sizeOf(format.outputShape)) {
    throw new DataError(
      `y: crossEntropy() takes one class index a sample, got ${y.data.length / count} values a sample: use crossEntropy({ targets: "distributions" }) for one-hot rows`,
    );
  }
  throw new DataError(
    `y: must have ${ySize} value${ySize === 1 ? "" : "s"} for each of the ${count} samples in x, got ${y.data.length} values for ${count * ySize}`,
  );
}

/** Copies targets into memory, as floats or class indices, each checked against what the loss can take; `first` is the first value's index. */
export function writeTargets(engine: Engine, address: Pointer, y: FlatValues, format: SampleFormat, first = 0): void {
  const { data } = y;
  if (format.targets === "classes") {
    const classes = sizeOf(format.outputShape);
    const bad = findIndex(data, (value) => !Number.isInteger(value) || value < 0 || value >= classes);
    if (bad >= 0)
      throw new DataError(
        `y: every label must be a whole number from 0 to ${classes - 1}, got ${data[bad]} at index ${first + bad}`,
      );
    engine.words(address, data.length).set(data);
    return;
  }
  writeFloats("y", engine.floats(address, data.length), data, first);
  checkTargetValues(data, format, first);
}

function checkTargetValues(data: FlatValues["data"], { targets, outputShape }: SampleFormat, first: number): void {
  const refuse = (bad: number, rule: string): void => {
    if (bad >= 0) throw new DataError(`y: ${rule}, got ${data[bad]} at index ${first + bad}`);
  };
  if (targets === "bits")
    refuse(
      findIndex(data, (v) => v !== 0 && v !== 1),
      "every target must be 0 or 1",
    );
  if (targets === "signs")
    refuse(
      findIndex(data, (v) => v !== -1 && v !== 1),
      "every target must be -1 or 1",
    );
  if (targets === "probabilities")
    refuse(
      findIndex(data, (v) => v < 0 || v > 1),
      "every target must lie within 0 and 1",
    );
  if (targets !== "distributions") return;
  refuse(
    findIndex(data, (v) => v < 0 || v > 1),
    "every probability must lie within 0 and 1",
  );
  const classes = sizeOf(outputShape);
  for (let row = 0; row < data.length; row += classes) {
    let sum = 0;
    for (let i = 0; i < classes; i++) sum += data[row + i];
    if (Math.abs(sum - 1) > 1e-3) {
      throw new DataError(`y: every distribution must sum to 1, got ${sum} for sample ${(first + row) / classes}`);
    }
  }
}

function findIndex(data: FlatValues["data"], test: (value: number) => boolean): number {
  for (let i = 0; i < data.length; i++) if (test(data[i])) return i;
  return -1;
}
