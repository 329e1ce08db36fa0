// What a standalone file does. These functions are not called here: their text becomes the file (see file.ts), so they use
// nothing but each other and what every runtime has. `FILE` is the file's own data.
import type { Bound } from "../graph/values.js";
import type { FileTable } from "./tableLoader.js";

/** An input or output. */
export interface FilePort {
  /** `null` for the only one. */
  readonly key: string | null;
  /** Of one sample. */
  readonly shape: readonly number[];
  readonly words: boolean;
  /** What indices must be below: see `Port.bound`. Infinity is `null` in a list. */
  readonly bound?: Exclude<Bound, Float64Array> | readonly (number | null)[] | undefined;
}

export interface FileProgram {
  readonly batch: number;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly end: number;
}

/** What is done to values: (value - offset) / scale, by column. */
export interface FileScaler {
  readonly offset: readonly number[];
  readonly scale: readonly number[];
}

export interface FileData {
  readonly inputs: readonly FilePort[];
  readonly outputs: readonly FilePort[];
  /** The largest batch first. */
  readonly programs: readonly FileProgram[];
  /** How far the memory reaches when it is made, and at most. */
  readonly begins: number;
  readonly ends: number;
  /** What is done to the only input. */
  readonly scaler?: FileScaler | undefined;
  /** What was done to the only output's targets, and is taken back. */
  readonly targetScaler?: FileScaler | undefined;
  /** Of the classes of the only output. */
  readonly labels?: readonly unknown[] | undefined;
  /** Of the rows that the features come from. Its columns are beside this: see file.ts. */
  readonly table?: FileTable | undefined;
}

declare const FILE: FileData;
/** Rows of the model's table to features: see tableLoader.ts. `undefined` without a table. */
declare const TABLE: { features(rows: unknown): Float32Array } | undefined;
/** The module's bytes in base64; empty if they are in a file of their own. */
declare const WASM: string;

type Numbers = ArrayLike<number>;

async function load(wasm?: unknown): Promise<object> {
  const page = 65536;
  const memory = new WebAssembly.Memory({
    initial: Math.ceil(FILE.begins / page),
    maximum: Math.ceil(FILE.ends / page),
  });
  const { exports } = await WebAssembly.instantiate(await compiled(await wasm), { env: { memory } });
  const run = (batch: number) => (exports as Record<string, () => void>)[`predict${batch}`]();
  const predict = (x: unknown) => predictAll(memory, run, x);
  const named = FILE.labels === undefined ? {} : { classify: (x: unknown) => classify(predict(x)) };
  if (TABLE === undefined) return { predict, ...named };
  const { features } = TABLE;
  const predictRows = (rows: unknown) => {
    const answers = predict(features(rows));
    return FILE.labels === undefined ? Array.from(answers as Float32Array) : classify(answers);
  };
  return { predict, ...named, features, predictRows };
}

async function compiled(wasm: unknown): Promise<WebAssembly.Module> {
  if (wasm === undefined) {
    if (WASM === "") {
      throw new TypeError(
        "load: needs the .wasm file beside this one: its module, its bytes, or the response to a request for it",
      );
    }
    return await WebAssembly.compile(Uint8Array.from(atob(WASM), (letter) => letter.charCodeAt(0)));
  }
  const given = wasm as { arrayBuffer?: () => Promise<ArrayBuffer>; byteLength?: number; default?: WebAssembly.Module };
  if (typeof given.arrayBuffer === "function") return await WebAssembly.compile(await given.arrayBuffer());
  if (given.byteLength !== undefined) return await WebAssembly.compile(given as ArrayBuffer);
  return given.default ?? (given as unknown as WebAssembly.Module);
}

function predictAll(memory: WebAssembly.Memory, run: (batch: number) => void, x: unknown): unknown {
  const given = FILE.inputs.map((port) =>
    flatten(port, port.key === null ? x : (x as Record<string, unknown>)?.[port.key]),
  );
  const [count] = given.map((values, index) => samplesIn(FILE.inputs[index], values));
  FILE.inputs.forEach((port, index) => {
    const found = given[index].length / sizeOf(port);
    if (found !== count)
      throw new TypeError(`${nameOf(port)}: must have the ${count} samples of ${nameOf(FILE.inputs[0])}, got ${found}`);
    check(port, given[index]);
    if (FILE.scaler === undefined) return;
    given[index] = scaled(FILE.scaler, given[index]);
    check(port, given[index]);
  });
  const results: Float32Array[] = FILE.outputs.map((port) => new Float32Array(count * sizeOf(port)));
  let first = 0;
  for (const program of FILE.programs) {
    for (; count - first >= program.batch; first += program.batch) {
      predictBatch(memory, run, program, given, results, first);
    }
  }
  if (FILE.targetScaler !== undefined) results[0] = unscaled(FILE.targetScaler, results[0]);
  const [port] = FILE.outputs;
  return port.key === null
    ? results[0]
    : Object.fromEntries(FILE.outputs.map(({ key }, index) => [key, results[index]]));
}

function predictBatch(
  memory: WebAssembly.Memory,
  run: (batch: number) => void,
  { batch, inputs, outputs, end }: FileProgram,
  given: readonly Numbers[],
  results: readonly Float32Array[],
  first: number,
): void {
  const missing = Math.ceil((end - memory.buffer.byteLength) / 65536);
  if (missing > 0) memory.grow(missing);
  const view = (port: FilePort, address: number) =>
    new (port.words ? Uint32Array : Float32Array)(memory.buffer, address, batch * sizeOf(port));
  FILE.inputs.forEach((port, index) => {
    const to = view(port, inputs[index]);
    const from = given[index];
    const start = first * sizeOf(port);
    for (let i = 0; i < to.length; i++) to[i] = from[start + i];
  });
  run(batch);
  FILE.outputs.forEach((port, index) => {
    results[index].set(view(port, outputs[index]), first * sizeOf(port));
  });
}

function scaled({ offset, scale }: FileScaler, values: Numbers): Float32Array {
  const columns = offset.length;
  return Float32Array.from(values, (value, at) => (value - offset[at % columns]) / scale[at % columns]);
}

function unscaled({ offset, scale }: FileScaler, values: Numbers): Float32Array {
  const columns = offset.length;
  return Float32Array.from(values, (value, at) => value * scale[at % columns] + offset[at % columns]);
}

/** The label of the largest value, the first of equal ones; of a single value, the second from 0.5 on. */
function classify(predicted: unknown): unknown[] {
  const labels = FILE.labels as readonly unknown[];
  const [{ key, shape }] = FILE.outputs;
  const values = (key === null ? predicted : (predicted as Record<string, unknown>)[key]) as Float32Array;
  const classes = shape.length === 0 ? 1 : shape[shape.length - 1];
  const found: unknown[] = [];
  for (let first = 0; first < values.length; first += classes) {
    let best = classes === 1 && values[first] >= 0.5 ? 1 : 0;
    for (let i = 1; i < classes; i++) if (values[first + i] > values[first + best]) best = i;
    found.push(labels[best]);
  }
  return found;
}

function sizeOf({ shape }: FilePort): number {
  return shape.reduce((size, length) => size * length, 1);
}

function nameOf({ key }: FilePort): string {
  return key === null ? "x" : `x.${key}`;
}

/** Numbers as they come, or those of nested arrays one after another. */
function flatten(port: FilePort, values: unknown): Numbers {
  if (ArrayBuffer.isView(values) && !("getInt8" in values)) return values as unknown as Numbers;
  if (!Array.isArray(values)) throw new TypeError(`${nameOf(port)}: must be an array of numbers, nested or flat`);
  if (!values.some((one) => typeof one === "object")) return values;
  const flat: number[] = [];
  for (const one of values) {
    const row = flatten(port, one);
    for (let i = 0; i < row.length; i++) flat.push(row[i]);
  }
  return flat;
}

function samplesIn(port: FilePort, values: Numbers): number {
  const count = values.length / sizeOf(port);
  if (count >= 1 && Number.isInteger(count)) return count;
  throw new TypeError(
    `${nameOf(port)}: must be samples of [${port.shape}], ${sizeOf(port)} values each, got ${values.length} values`,
  );
}

/** Numbers must be finite float32, and indices in range: kernels do not look. */
function check(port: FilePort, values: Numbers): void {
  const { words, bound } = port;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== "number" || !(words ? isIndex(bound, value, i) : Number.isFinite(Math.fround(value)))) {
      const rule = words ? "a whole number in range" : "a finite float32";
      throw new RangeError(`${nameOf(port)}: every value must be ${rule}, got ${value} at index ${i}`);
    }
  }
}

function isIndex(bound: FilePort["bound"], value: number, at: number): boolean {
  if (!Number.isInteger(value)) return false;
  if (typeof bound === "object" && "most" in bound) return value >= 1 && value <= bound.most;
  const limit = typeof bound === "object" ? bound[at % bound.length] : bound;
  return value >= 0 && value < (limit ?? 2 ** 32);
}

export const FILE_FUNCTIONS: readonly ((...given: never[]) => unknown)[] = [
  load,
  compiled,
  predictAll,
  predictBatch,
  scaled,
  unscaled,
  classify,
  sizeOf,
  nameOf,
  flatten,
  samplesIn,
  check,
  isIndex,
];
