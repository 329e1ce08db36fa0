// Data sets: checked, converted and laid into the trainer's memory, where batches are gathered from.

import type { Engine } from "../engine/engine.js";
import { DataError } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import type { Pointer } from "../engine/instructions.js";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/tensor.js";
import { type FlatValues, flattenValues, sliceOf, type Values, writeFloats } from "../graph/values.js";
import type { TargetKind } from "../nn/losses.js";
import { type ForPorts, type Port, type Ports, pick, portName } from "../nn/ports.js";
import type { Work } from "./work.js";

/**
 * Samples. `x`: a row-major typed array of samples behind one another, or nested arrays `[sample][feature]…`; `y`: class
 * indices, or values of the model's output shape. Objects of these where the model's inputs or outputs have names.
 */
export interface Samples<I extends Ports = Shape, O extends Ports = Shape> {
  x: ForPorts<I, Values>;
  y: ForPorts<O, Values>;
  /**
   * Shape of one sample's input, where it is another than the model was made with, as for larger images. Default: the
   * model's. Each shape has programs of its own; the parameters are the same.
   */
  inputShape?: I;
}

/** Samples of any model. */
export type AnySamples = Samples<Ports, Ports>;

/** Samples that lie in the trainer's memory, for several fits or evaluations: see Trainer.load. */
export interface ResidentData {
  readonly count: number;
  /** Addresses of each input's and target's values. */
  readonly x: readonly Pointer[];
  readonly y: readonly Pointer[];
  /** Shuffled order of the samples, `count` indices. */
  readonly order: Pointer;
  readonly format: SampleFormat;
  readonly bytes: number;
  /** Gives the memory back. */
  dispose(): void;
}

/** How the samples of a model look. */
export interface SampleFormat {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** What each output's loss takes. */
  readonly targets: readonly TargetFormat[];
}

/** How a target looks: the output it belongs to, and what its loss takes. */
export interface TargetFormat {
  readonly port: Port;
  readonly targets: TargetKind;
}

/** Shape of one sample's target: a scalar for a class index. */
export function targetShape({ targets, port }: TargetFormat): Shape {
  return targets === "classes" ? [] : port.shape;
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

/** Samples that were checked against a format: what lies flat, and how many they are. */
export interface FlatSamples {
  readonly x: readonly FlatValues[];
  readonly y: readonly FlatValues[];
  readonly count: number;
}

/** Flattens what was given for each input. Throws DataError where the numbers of samples differ. */
export function flattenInputs(
  given: ForPorts<Ports, Values>,
  { inputs }: SampleFormat,
): { x: FlatValues[]; count: number } {
  const x: FlatValues[] = [];
  let count = 0;
  // Single steps come by here: loops, as a step may take no longer than this.
  const values = pick<Values>("x", given as Values, inputs);
  for (let index = 0; index < inputs.length; index++) {
    const name = portName("x", inputs[index]);
    const flat = flattenValues(name, values[index]);
    const found = countSamples(name, flat, inputs[index].shape);
    if (index > 0 && found !== count) {
      throw new DataError(`${name}: must have the ${count} samples of ${portName("x", inputs[0])}, got ${found}`);
    }
    count = found;
    x.push(flat);
  }
  return { x, count };
}

/** Flattens inputs and targets. Throws DataError where they do not fit the format or each other. */
export function flattenSamples(samples: AnySamples, format: SampleFormat): FlatSamples {
  const { x, count } = flattenInputs(samples.x, format);
  const { outputs, targets } = format;
  const y: FlatValues[] = [];
  const values = pick<Values>("y", samples.y as Values, outputs);
  for (let index = 0; index < outputs.length; index++) {
    const flat = flattenValues(portName("y", outputs[index]), values[index]);
    checkTargetCount(flat, count, targets[index]);
    y.push(flat);
  }
  return { x, y, count };
}

/** Takes room for the values of each input or target. */
export function placesFor(values: readonly FlatValues[], take: (index: number, bytes: number) => Pointer): Pointer[] {
  const places: Pointer[] = [];
  for (let index = 0; index < values.length; index++) places.push(take(index, values[index].data.length * 4));
  return places;
}

/** Writes samples to where they shall lie. */
export function writeSamples(
  engine: Engine,
  { x, y }: Pick<FlatSamples, "x" | "y">,
  { inputs, targets }: SampleFormat,
  at: { readonly x: readonly Pointer[]; readonly y: readonly Pointer[] },
): void {
  for (let index = 0; index < x.length; index++) writeInput(engine, at.x[index], x[index].data, inputs[index], 0);
  for (let index = 0; index < y.length; index++) writeTargets(engine, at.y[index], y[index], targets[index], 0);
}

/** Copies an input into memory: float32, or whole numbers where the port takes indices. */
export function writeInput(
  engine: Engine,
  address: Pointer,
  data: FlatValues["data"],
  port: Port,
  first: number,
): void {
  const name = portName("x", port);
  if (port.dtype === "uint32") {
    const bad = findIndex(data, (value) => !Number.isInteger(value) || value < 0 || value >= 2 ** 32);
    if (bad >= 0)
      throw new DataError(
        `${name}: every value must be a whole number of at least 0, got ${data[bad]} at index ${first + bad}`,
      );
    engine.words(address, data.length).set(data);
  } else {
    writeFloats(name, engine.floats(address, data.length), data, first);
  }
  engine.changed(address, data.length * 4);
}

// Values that are copied at a time, in some tenths of a millisecond; and after how long the host may breathe.
const PART = 1 << 16;
const PART_MS = 2;

/**
 * Checks `samples` against the model and copies them into memory, with breaths where calls run in the background: elsewhere
 * it is done before the caller can change them. Nothing stays allocated when it throws or is left.
 */
export function* loadSamples(engine: Engine, samples: AnySamples, format: SampleFormat): Work<ResidentData> {
  const flat = flattenSamples(samples, format);
  const addresses: Pointer[] = [];
  let bytes = 0;
  const take = (size: number): Pointer => {
    const address = engine.allocator.allocate(size);
    addresses.push(address);
    bytes += size;
    return address;
  };
  const release = (): void => {
    for (const address of addresses.splice(0)) engine.allocator.free(address);
  };
  let loaded = false;
  try {
    const x = placesFor(flat.x, (_, size) => take(size));
    const y = placesFor(flat.y, (_, size) => take(size));
    const order = take(flat.count * 4);
    const clock = { breath: performance.now() };
    for (const [index, port] of format.inputs.entries()) {
      yield* inParts(engine, clock, flat.x[index], sizeOf(port.shape), (part, first) =>
        writeInput(engine, x[index] + first * 4, part.data, port, first),
      );
    }
    for (const [index, target] of format.targets.entries()) {
      yield* inParts(engine, clock, flat.y[index], sizeOf(targetShape(target)), (part, first) =>
        writeTargets(engine, y[index] + first * 4, part, target, first),
      );
    }
    loaded = true;
    return { count: flat.count, x, y, order, format, bytes, dispose: release };
  } finally {
    if (!loaded) release();
  }
}

/** Has values written part by part, each a whole number of samples of `size`. */
function* inParts(
  { background }: Engine,
  clock: { breath: number },
  { data, shape }: FlatValues,
  size: number,
  write: (part: FlatValues, first: number) => void,
): Work<void> {
  const most = Math.max(1, Math.floor(PART / size)) * size;
  for (let first = 0; first < data.length; first += most) {
    if (background && performance.now() - clock.breath > PART_MS) {
      yield undefined;
      clock.breath = performance.now();
    }
    write({ data: sliceOf(data, first, Math.min(most, data.length - first)), shape }, first);
  }
}

/** Refuses targets that are not one for each of `count` samples. */
function checkTargetCount(y: FlatValues, count: number, format: TargetFormat): void {
  const { port, targets } = format;
  const name = portName("y", port);
  const ySize = sizeOf(targetShape(format));
  if (y.data.length === count * ySize) return;
  if (targets === "classes" && y.data.length === count * sizeOf(port.shape)) {
    throw new DataError(
      `${name}: crossEntropy() takes one class index a sample, got ${y.data.length / count} values a sample: use crossEntropy({ targets: "distributions" }) for one-hot rows`,
    );
  }
  throw new DataError(
    `${name}: must have ${ySize} value${ySize === 1 ? "" : "s"} for each of the ${count} samples in x, got ${y.data.length} values for ${count * ySize}`,
  );
}

/** Copies targets into memory, as floats or class indices, each checked against what the loss can take. */
function writeTargets(engine: Engine, address: Pointer, y: FlatValues, format: TargetFormat, first: number): void {
  const { data } = y;
  const name = portName("y", format.port);
  if (format.targets === "classes") {
    const classes = sizeOf(format.port.shape);
    const bad = findIndex(data, (value) => !Number.isInteger(value) || value < 0 || value >= classes);
    if (bad >= 0)
      throw new DataError(
        `${name}: every label must be a whole number from 0 to ${classes - 1}, got ${data[bad]} at index ${first + bad}`,
      );
    engine.words(address, data.length).set(data);
    engine.changed(address, data.length * 4);
    return;
  }
  writeFloats(name, engine.floats(address, data.length), data, first);
  engine.changed(address, data.length * 4);
  checkTargetValues(name, data, format, first);
}

function checkTargetValues(
  name: string,
  data: FlatValues["data"],
  { targets, port }: TargetFormat,
  first: number,
): void {
  const refuse = (bad: number, rule: string): void => {
    if (bad >= 0) throw new DataError(`${name}: ${rule}, got ${data[bad]} at index ${first + bad}`);
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
  const classes = sizeOf(port.shape);
  for (let row = 0; row < data.length; row += classes) {
    let sum = 0;
    for (let i = 0; i < classes; i++) sum += data[row + i];
    if (Math.abs(sum - 1) > 1e-3) {
      throw new DataError(
        `${name}: every distribution must sum to 1, got ${sum} for sample ${(first + row) / classes}`,
      );
    }
  }
}

function findIndex(data: FlatValues["data"], test: (value: number) => boolean): number {
  for (let i = 0; i < data.length; i++) if (test(data[i])) return i;
  return -1;
}
