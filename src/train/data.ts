// Data sets: checked, converted and copied into the trainer's memory. Steps gather their batches from there.

import type { Engine } from "../engine/engine.js";
import { DataError, showValue } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import type { Pointer } from "../engine/instructions.js";
import { createLease } from "../engine/lease.js";
import { type DType, type Shape, showShape, sizeOf } from "../graph/tensor.js";
import {
  checkPresent,
  type FlatValues,
  flattenValues,
  nestingFits,
  sliceOf,
  type Values,
  writeFloats,
  writeWords,
} from "../graph/values.js";
import type { Loss } from "../nn/losses.js";
import { type ForPorts, type Port, type Ports, portName, toList } from "../nn/ports.js";
import { hasIndices, unitsOf } from "../nn/weights.js";
import type { ByteScale } from "../ops/gather.js";
import { type InputValues, type Scales, scaleInputs, writeBytes, writeScaled } from "./bytes.js";
import { type Job, PAUSE } from "./job.js";
import type { AnySource } from "./source.js";
import type { OutputConfig } from "./state.js";
import { fillTargets } from "./targets.js";

/**
 * Samples. `x`: one typed array of all samples, row-major, or nested arrays `[sample][feature]…`. `y`: class indices,
 * or values of the model's output shape. If the model's inputs or outputs have names: objects of these. An `x` of bytes
 * (`Uint8Array`, `Uint8ClampedArray`) takes a byte a value in memory, and becomes float32 when its batch is gathered.
 */
export interface Samples<I extends Ports = Shape, O extends Ports = Shape> extends Scales {
  x: ForPorts<I, Values>;
  y: ForPorts<O, Values>;
  /**
   * How much each sample counts, or each of its positions ([batch, …], the first axes of the target): numbers of at least 0,
   * if the trainer was compiled with `weights: true`. An object if the outputs have names. Default 1 each.
   */
  weights?: O extends Shape ? Values : { readonly [K in keyof O]?: Values };
  /**
   * Shape of one sample's input, if it differs from the model's, as with larger images. Default: the model's. Each
   * shape has its own programs; the parameters are the same.
   */
  inputShape?: I;
}

/** Samples as a list: x and y of each element belong to one sample. */
export type SampleList<I extends Ports = Shape, O extends Ports = Shape> = readonly Pick<
  Samples<I, O>,
  "x" | "y" | "weights"
>[];

/** Samples of any model. */
export type AnySamples = Samples<Ports, Ports> | SampleList<Ports, Ports>;

/** Samples that are stored in the trainer's memory, for several fits or evaluations: see Trainer.load. */
export interface Resident {
  readonly count: number;
  readonly bytes: number;
  /** Gives the memory back. */
  dispose(): void;
  [Symbol.dispose](): void;
}

const RESIDENT = Symbol.for("steepest: resident data");

/** The same from the inside: where the values are stored. */
export interface ResidentData extends Resident {
  /** Marks it, so that it is not mistaken for a user's samples, which may have any fields. */
  readonly [RESIDENT]?: true;
  /** Addresses of each input's and target's values. */
  readonly x: readonly Pointer[];
  readonly y: readonly Pointer[];
  /** Shuffled order of the samples, `count` indices. */
  readonly order: Pointer;
  readonly format: SampleFormat;
}

/** What can be trained on and scored. */
export type TrainingData<I extends Ports = Shape, O extends Ports = Shape> =
  | Samples<I, O>
  | SampleList<I, O>
  | Resident
  | AnySource<I, O>;

/** Whether `load` made it. */
export function isResident(data: unknown): data is ResidentData {
  return typeof data === "object" && data !== null && RESIDENT in data;
}

/** The format of a model's samples. */
export interface SampleFormat {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Of the outputs that have a loss, in their order. */
  readonly targets: readonly TargetFormat[];
  /** Of data in memory: what the values of an input are, if they are stored as bytes. */
  readonly bytes?: readonly (ByteScale | undefined)[];
}

/** The format of a target: its output, and the loss that takes it. */
export interface TargetFormat {
  readonly port: Port;
  readonly loss: Pick<
    Loss,
    "name" | "targets" | "ignoreIndex" | "ignoreValue" | "targetShape" | "classes" | "units" | "padding"
  >;
  /** This is no target but how much the samples of the output count, of this shape each. */
  readonly weights?: Shape;
}

/**
 * The targets of those outputs that have a loss, then the weights of those that take them from the data; `shapes`: of these
 * weights, one after another. Default: a number for each sample.
 */
export function targetsOf(
  outputs: readonly Pick<OutputConfig, "port" | "loss" | "weights">[],
  shapes: readonly Shape[] = [],
): TargetFormat[] {
  const scored = outputs.flatMap(({ port, loss, weights }) => (loss === undefined ? [] : [{ port, loss, weights }]));
  const weighted = scored.filter(({ weights }) => weights?.kind === "data");
  return [
    ...scored.map(({ port, loss }) => ({ port, loss })),
    ...weighted.map(({ port, loss }, index) => ({ port, loss, weights: shapes[index] ?? [] })),
  ];
}

/** Shape of one sample's target: a class index for each position, if the loss does not say otherwise. */
export function targetShape({ loss, port: { shape }, weights }: TargetFormat): Shape {
  if (weights !== undefined) return weights;
  if (loss.targetShape !== undefined) return loss.targetShape(shape);
  return hasIndices(loss) ? shape.slice(0, -1) : shape;
}

/** How its values are stored. */
export function targetType({ loss, weights }: TargetFormat): DType {
  return hasIndices(loss) && weights === undefined ? "uint32" : "float32";
}

// Names that other libraries use for x, y and inputShape, or for what does not exist here.
const HABITS: Readonly<Record<string, string>> = {
  weight: "call it weights, and compile with weights: true",
  sampleweight: "call it weights, and compile with weights: true",
  sampleweights: "call it weights, and compile with weights: true",
  classweight: "give each sample the weight of its class: weights, and compile with weights: true",
  validation: "it is an option, behind the data: fit({ x, y }, { validation: { x, y } })",
  ...Object.fromEntries(["input", "inputs", "data", "features", "xs"].map((name) => [name, "call it x"])),
  ...Object.fromEntries(
    ["output", "outputs", "target", "targets", "label", "labels", "ys"].map((name) => [name, "call it y"]),
  ),
  ...Object.fromEntries(
    ["epochs", "batchsize", "shuffle", "steps"].map((name) => [name, "options are a second argument, behind the data"]),
  ),
};

/** Throws if an object has other fields than these, or lacks one other than `inputShape`. */
function checkFields(where: string, samples: object, known: readonly string[]): void {
  const keys = Object.keys(samples);
  const unknown = keys.find((key) => !known.includes(key));
  if (unknown !== undefined) {
    const plain = unknown.replaceAll("_", "").toLowerCase();
    const remedy = HABITS[plain] ?? (plain === "inputshape" ? "call it inputShape" : "leave it out");
    throw new DataError(
      `${where}: must be { ${known.join(", ")} }, got an unknown field ${showValue(unknown)}: ${remedy}`,
    );
  }
  if ("x" in samples && "y" in samples) return;
  const missing = ["x", "y"].find((key) => known.includes(key) && !(key in samples));
  if (missing === undefined) return;
  throw new DataError(`${where}: must be an object with x and y, got { ${keys.join(", ")} }: ${missing} is missing`);
}

const ROW = ["x", "y", "weights"];
const SAMPLES = [...ROW, "inputShape", "scale", "offset"];

/** Checks that these are samples, as an object or a list. Throws DataError for anything else. */
export function checkSamples(data: unknown, where = "data"): AnySamples {
  if (isResident(data)) {
    throw new DataError(`${where}: must be samples { x, y }, got some that are in memory already: hand in the samples`);
  }
  if (!Array.isArray(data)) return checkSample(where, data, SAMPLES) as AnySamples;
  // The first missing element ends the list, whatever its length says.
  for (let index = 0; index < data.length; index++) checkSample(`${where}[${index}]`, data[index], ROW);
  if (data.length > 0) return data;
  throw new DataError(`${where}: must have at least one sample, got an empty list: an empty data set cannot be used`);
}

function checkSample(where: string, samples: unknown, known: readonly string[]): object {
  const isObject = typeof samples === "object" && samples !== null && !ArrayBuffer.isView(samples);
  if (!isObject || Symbol.iterator in samples) {
    const got = samples === undefined ? "nothing" : showValue(samples);
    throw new DataError(
      `${where}: must be an object with x and y, got ${got}: hand in { x, y }, and options behind it`,
    );
  }
  checkFields(where, samples, known);
  return samples;
}

function isList(samples: AnySamples): samples is SampleList<Ports, Ports> {
  return Array.isArray(samples);
}

/** The shape that samples say they have; `undefined`: the model's. */
export function inputShapeOf(samples: AnySamples): Ports | undefined {
  return isList(samples) ? undefined : samples.inputShape;
}

/** The values of one name in each row of a list. */
function column(rows: readonly object[], key: string): Values {
  return rows.map((row) => (row as Record<string, unknown>)[key]) as unknown as Values;
}

/** The given values of each port. If the ports have names, a list of rows is possible too, each an object by name. */
function pickRows(where: string, given: unknown, ports: readonly Port[]): readonly Values[] {
  if (ports[0].key === undefined || !Array.isArray(given) || given.length === 0) {
    return toList<Values>(where, given as Values, ports);
  }
  for (let index = 0; index < given.length; index++) toList(`${where}[${index}]`, given[index], ports);
  return ports.map(({ key }) => column(given, key as string));
}

/** Number of samples in `values`, each of `shape`. Throws DataError if there are none, or no whole number of them. */
export function countSamples(where: string, values: FlatValues, shape: Shape): number {
  const size = sizeOf(shape);
  const { data, shape: came } = values;
  const refuse = (got: string): DataError =>
    new DataError(`${where}: must be samples of shape ${showShape(shape)}${got}`);
  if (data.length === 0) throw refuse(", got none: an empty data set cannot be used");
  if (came !== undefined && !nestingFits(values, [came[0], ...shape]) && !nestingFits(values, shape)) {
    throw refuse(`, got nested arrays of shape ${showShape(came)}${remedyForRows(came, shape)}`);
  }
  if (data.length % size !== 0) {
    throw refuse(` (${size} values each), got ${data.length} values, which is no multiple of ${size}`);
  }
  return data.length / size;
}

/** A remedy for rows of another shape: what the user may have meant. */
function remedyForRows([, ...row]: Shape, shape: Shape): string {
  const last = shape.length - 1;
  const moved = [shape[last], ...shape.slice(0, last)];
  if (last > 0 && row.join() === moved.join()) return ": the channels come last here: transpose each sample";
  if (sizeOf(row) === sizeOf(shape)) return ": flatten each sample into a typed array, which takes any shape";
  return "";
}

/** Samples that fit a format: flat values, and the number of samples. */
export interface FlatSamples {
  readonly x: readonly InputValues[];
  /** The targets, and the weights behind them. */
  readonly y: readonly FlatValues[];
  readonly count: number;
  /** Shapes of the weights, a sample each. */
  readonly weights: readonly Shape[];
}

/**
 * Flattens the values of each input. Throws DataError if the numbers of samples differ from each other, or from
 * `expected`.
 */
export function flattenInputs(
  given: ForPorts<Ports, Values>,
  { inputs }: SampleFormat,
  expected?: number,
): { x: FlatValues[]; count: number } {
  const x: FlatValues[] = [];
  let count = expected ?? 0;
  // Single steps pass here, so this is a loop, which allocates little.
  const values = pickRows("x", given, inputs);
  for (let index = 0; index < inputs.length; index++) {
    const name = portName("x", inputs[index]);
    const flat = flattenValues(name, values[index]);
    const found = countSamples(name, flat, inputs[index].shape);
    if ((index > 0 || expected !== undefined) && found !== count) {
      const whose = expected === undefined ? `of ${portName("x", inputs[0])}` : "in the list";
      throw new DataError(
        `${name}: must have the ${count} samples ${whose}, each of shape ${showShape(inputs[index].shape)}, got ${found}`,
      );
    }
    count = found;
    x.push(flat);
  }
  return { x, count };
}

const NONE: readonly TargetFormat[] = [];

/** Flattens the inputs and targets of checked samples. Throws DataError if they do not fit the format or each other. */
export function flattenSamples(given: AnySamples, format: SampleFormat): FlatSamples {
  const list = isList(given) ? given : undefined;
  const { x: inputs, y: wanted } = isList(given) ? { x: column(given, "x"), y: column(given, "y") } : given;
  const { x, count } = flattenInputs(inputs as Values, format, list?.length);
  // Weights come behind the targets. Most trainings have none: single steps come by here, and make no lists for them.
  const isWeighted = format.targets[format.targets.length - 1]?.weights !== undefined;
  const targets = isWeighted ? format.targets.filter(({ weights }) => weights === undefined) : format.targets;
  const y: FlatValues[] = [];
  const values = pickRows(
    "y",
    wanted,
    targets.map(({ port }) => port),
  );
  for (let index = 0; index < targets.length; index++) {
    const flat = flattenValues(portName("y", targets[index].port), values[index]);
    checkTargets(flat, count, targets[index]);
    y.push(flat);
  }
  const weighted = isWeighted ? format.targets.slice(targets.length) : NONE;
  const weights = list === undefined ? (given as { weights?: unknown }).weights : weightsOfList(list);
  const scaled = list === undefined ? scaleInputs(x, format.inputs, given as Scales) : x;
  return { x: scaled, y, count, weights: flattenWeights(weights, weighted, count, y) };
}

function weightsOfList(list: SampleList<Ports, Ports>): unknown {
  return list.some((row) => "weights" in row) ? column(list, "weights") : undefined;
}

/** Appends the weights to `y`; returns the shapes that they have. */
function flattenWeights(given: unknown, targets: readonly TargetFormat[], count: number, y: FlatValues[]): Shape[] {
  if (targets.length === 0) {
    if (given === undefined) return [];
    throw new DataError(
      `weights: the losses must take weights, got ${showValue(given)}: add the option weights: true, or leave them out`,
    );
  }
  const ports = targets.map(({ port: { key } }) => ({ key, optional: true }));
  const none = ports[0].key === undefined ? undefined : {};
  const values =
    Array.isArray(given) && ports[0].key !== undefined
      ? ports.map(({ key }) => column(given, key as string))
      : toList<Values | undefined>("weights", (given ?? none) as Values, ports);
  return targets.map((target, index) => {
    const one = values[index] ?? new Float32Array(count).fill(1);
    const name = portName("weights", target.port);
    const flat = flattenValues(name, one);
    const units = unitsOf(target.loss, target.port.shape);
    const shape = Array.from({ length: units.length + 1 }, (_, axes) => units.slice(0, axes)).find(
      (prefix) => count * sizeOf(prefix) === flat.data.length,
    );
    if (shape === undefined) {
      throw new DataError(
        `${name}: must have a number for each of the ${count} samples, or for each of their positions ${showShape(units)}, got ${flat.data.length} values`,
      );
    }
    y.push(flat);
    return shape;
  });
}

// Copying this much takes about a millisecond.
const MAX_COPIED_BYTES = 1 << 22;

/**
 * Copies values into new arrays, so that the caller may change the given ones before they are read. More than 4 MiB
 * would take too long at once, so only single batches of that size are copied.
 */
export function copySamples({ x, y, count, weights }: FlatSamples, single: boolean): FlatSamples {
  const bytes = [...x, ...y].reduce((sum, { data }) => sum + (ArrayBuffer.isView(data) ? data.byteLength : 0), 0);
  if (!single && bytes > MAX_COPIED_BYTES) return { x, y, count, weights };
  return { x: x.map(copyValues), y: y.map(copyValues), count, weights };
}

/** Copies values into a new array. Nested values are in a new one already, as they were flattened. */
export function copyValues<V extends FlatValues>(values: V): V {
  const { data, shape } = values;
  return ArrayBuffer.isView(data) && shape === undefined ? { ...values, data: data.slice() } : values;
}

/** Checks the values of samples and copies them to these addresses. */
export function writeSamples(
  engine: Engine,
  { x, y, count }: FlatSamples,
  { inputs, targets }: SampleFormat,
  at: { readonly x: readonly Pointer[]; readonly y: readonly Pointer[] },
): void {
  // Single steps pass here, so these are loops, without objects for the columns.
  for (let i = 0; i < inputs.length; i++) {
    const { data, scaled } = x[i];
    fillInput(engine.writable(at.x[i], count * sizeOf(inputs[i].shape), inputs[i].dtype), data, inputs[i], 0, scaled);
  }
  for (let i = 0; i < targets.length; i++) {
    const { data } = y[i];
    fillTargets(engine.writable(at.y[i], data.length, targetType(targets[i])), data, targets[i], 0);
  }
}

/**
 * Checks the values of an input and copies them: as float32, or as whole numbers if the port takes indices. `first`:
 * index of the first value. `scaled`: they are bytes.
 */
export function fillInput(
  to: Float32Array | Uint32Array,
  data: FlatValues["data"],
  port: Port,
  first: number,
  scaled?: ByteScale,
): void {
  const name = portName("x", port);
  if (scaled !== undefined) {
    writeScaled(name, to as Float32Array, data, scaled);
    return;
  }
  if (port.dtype === "uint32") writeWords(name, to as Uint32Array, data, port.bound, first);
  else writeFloats(name, to as Float32Array, data, first);
}

// How many values are copied at a time, which takes some tenths of a millisecond; and the time between pauses.
const PART = 1 << 16;
const PART_MS = 2;

/** An input or target, with the function that checks and copies a part of its values. */
export interface Column {
  readonly name: string;
  readonly dtype: DType | "uint8";
  readonly data: FlatValues["data"];
  /** Number of values in a sample. */
  readonly size: number;
  fill(to: Float32Array | Uint32Array | Uint8Array, part: FlatValues["data"], first: number): void;
}

export function columnsOf({ x, y }: FlatSamples, { inputs, targets, bytes }: SampleFormat): Column[] {
  return [
    ...inputs.map((port, index): Column => {
      const about = { name: portName("x", port), data: x[index].data, size: sizeOf(port.shape) };
      if (bytes?.[index] !== undefined) {
        return { ...about, dtype: "uint8", fill: (to, part) => writeBytes(about.name, to as Uint8Array, part) };
      }
      const fill: Column["fill"] = (to, part, first) =>
        fillInput(to as Float32Array, part, port, first, x[index].scaled);
      return { ...about, dtype: port.dtype, fill };
    }),
    ...targets.map(
      (target, index): Column => ({
        name: portName(target.weights === undefined ? "y" : "weights", target.port),
        dtype: targetType(target),
        data: y[index].data,
        size: sizeOf(targetShape(target)),
        fill: (to, part, first) => fillTargets(to as Float32Array, part, target, first),
      }),
    ),
  ];
}

export const bytesOf = (dtype: Column["dtype"]): number => (dtype === "uint8" ? 1 : 4);

/**
 * Checks the values of samples and copies them into memory, in parts of whole samples. In the background it pauses
 * between parts; otherwise it is done before the caller can change them. If it throws or is abandoned, nothing stays
 * allocated.
 */
export function* loadSamples(engine: Engine, flat: FlatSamples, format: SampleFormat): Job<ResidentData> {
  const { count } = flat;
  const lease = createLease(engine);
  let loaded = false;
  try {
    const columns = columnsOf(flat, format);
    const sizes = columns.map(({ data, dtype }) => data.length * bytesOf(dtype));
    const places = sizes.map((bytes) => lease.take(bytes));
    const order = lease.take(count * 4);
    let pausedAt = 0;
    for (const [index, { name, dtype, data, size, fill }] of columns.entries()) {
      const most = Math.max(1, Math.floor(PART / size)) * size;
      for (let first = 0; first < count * size; first += most) {
        if (engine.background && performance.now() - pausedAt > PART_MS) {
          yield PAUSE;
          pausedAt = performance.now();
        }
        const length = Math.min(most, count * size - first);
        const part = sliceOf(data, first, length);
        // During a pause, the caller may have shortened the array: the part of the memory that is not filled must not
        // be used.
        checkPresent(name, part, length);
        fill(engine.writable(places[index] + first * bytesOf(dtype), length, dtype), part, first);
      }
    }
    loaded = true;
    const bytes = sizes.reduce((sum, one) => sum + one, count * 4);
    const [x, y] = [places.slice(0, flat.x.length), places.slice(flat.x.length)];
    const { release } = lease;
    return { [RESIDENT]: true, count, x, y, order, format, bytes, dispose: release, [Symbol.dispose]: release };
  } finally {
    if (!loaded) lease.release();
  }
}

/** Throws if there is not one target for each of `count` samples, or if they are nested in another way. */
function checkTargets(y: FlatValues, count: number, format: TargetFormat): void {
  const { port, loss } = format;
  const name = portName("y", port);
  const shape = targetShape(format);
  const size = sizeOf(shape);
  const { data, shape: came } = y;
  if (data.length === count * size) {
    if (came === undefined || nestingFits(y, [count, ...shape]) || (count === 1 && nestingFits(y, shape))) return;
    // If a sample has one value, it may be in an array of length 1.
    if (size === 1 && came[0] === count) return;
    const remedy = came[came.length - 1] === count ? ": transpose them, so that the samples come first" : "";
    throw new DataError(
      `${name}: must be ${showShape([count, ...shape])}, one row for each of the samples in x, got nested arrays of shape ${showShape(came)}${remedy}`,
    );
  }
  if (loss.targets === "classes" && loss.targetShape === undefined) {
    const each = data.length / count;
    const positions = size === 1 ? "a sample" : `for each of a sample's ${size} positions ${showShape(shape)}`;
    const remedy = [
      ...(each === sizeOf(port.shape) ? [': use crossEntropy({ targets: "distributions" }) for one-hot rows'] : []),
      ...(each === 1
        ? [": for one index a sample the model must end in one row of classes, add flatten() before its end"]
        : []),
    ];
    if (remedy.length > 0) {
      throw new DataError(
        `${name}: ${loss.name}() takes one class index ${positions}, got ${each} values a sample${remedy[0]}`,
      );
    }
  }
  throw new DataError(
    `${name}: must have ${size} value${size === 1 ? "" : "s"} for each of the ${count} samples in x, got ${data.length} values for ${count * size}`,
  );
}
