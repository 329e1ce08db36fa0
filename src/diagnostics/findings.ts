// The checks behind watchTraining: each looks at a bounded number of values, and says what is most likely a mistake.
import type { ParameterValues } from "../train/parameters.js";
import type { Warning } from "../train/warnings.js";

export type Numbers = ArrayLike<number>;

/** Values of one input or target, by its name: `x`, `y.price`. */
export interface Column {
  readonly name: string;
  readonly values: Numbers;
  /** Of one sample. */
  readonly size: number;
  /** It holds indices. */
  readonly isIndex?: boolean;
}

// Reading this many values takes a millisecond or two.
const LOOKED_AT = 1 << 18;
// Standardized values are rarely beyond 10, bytes of images always are.
const LARGE_INPUT = 50;
const LARGE_TARGET = 100;
const UNEQUAL = 1000;

function looked({ values, size }: Column): number {
  return Math.min(values.length, Math.max(size, Math.floor(LOOKED_AT / size) * size));
}

export function unscaledInput(column: Column): Warning | undefined {
  const { name, values, size } = column;
  const largest = new Float64Array(size);
  for (let i = 0; i < looked(column); i++) {
    const magnitude = Math.abs(values[i]);
    if (magnitude > largest[i % size]) largest[i % size] = magnitude;
  }
  const ranges = largest.filter((one) => one > 0);
  const [low, high] = ranges.reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Infinity, 0]);
  const isUnequal = size > 1 && size <= 1024 && high > UNEQUAL * low;
  if (high <= LARGE_INPUT && !isUnequal) return undefined;
  const what = isUnequal
    ? `has features from ${round(low)} to ${round(high)}`
    : `holds values as large as ${round(high)}`;
  return {
    code: "inputs-unscaled",
    message: `${name} ${what}`,
    remedy:
      "scale each feature to about -1 to 1, with standardScaler() of steepest/data or by hand (pixels: divide by 255)",
  };
}

export function unscaledTarget(column: Column): Warning | undefined {
  const { name, values } = column;
  let [largest, isWhole] = [0, true];
  for (let i = 0; i < looked(column); i++) {
    largest = Math.max(largest, Math.abs(values[i]));
    isWhole &&= Number.isInteger(values[i]);
  }
  // Whole numbers may be class indices.
  if (isWhole || largest <= LARGE_TARGET) return undefined;
  return {
    code: "targets-unscaled",
    message: `${name} holds values as large as ${round(largest)}`,
    remedy: "train on targets of about -1 to 1, and scale predictions back",
  };
}

export function constantTarget(column: Column): Warning | undefined {
  const { name, values, size } = column;
  const end = looked(column);
  if (end <= size) return undefined;
  for (let i = size; i < end; i++) if (values[i] !== values[i - size]) return undefined;
  return {
    code: "targets-constant",
    message: `${name} is the same for ${end / size} samples`,
    remedy: "look how the targets were read: samples sorted by class, or the wrong column",
  };
}

const MAX_VALIDATION = 4096;
const MAX_TRAINING = 65536;

/** Rows are compared by a hash of their values, and then by the values. */
export function sharedSamples(training: readonly Column[], validation: readonly Column[]): Warning | undefined {
  const checked = Math.min(MAX_VALIDATION, rowsOf(validation[0]));
  const rows = new Map<number, number[]>();
  for (let row = 0; row < checked; row++) {
    const hash = hashOf(validation, row);
    const same = rows.get(hash);
    if (same === undefined) rows.set(hash, [row]);
    else same.push(row);
  }
  const found = new Set<number>();
  for (let row = 0; row < Math.min(MAX_TRAINING, rowsOf(training[0])); row++) {
    for (const other of rows.get(hashOf(training, row)) ?? []) {
      if (isSameRow(training, row, validation, other)) found.add(other);
    }
  }
  // Small values with few digits meet by chance.
  if (found.size <= checked / 100) return undefined;
  return {
    code: "validation-in-training",
    message: `${found.size} of ${checked} samples for validation are among those of training, as sample ${[...found][0]}`,
    remedy: "split before samples are repeated or changed: their scores say nothing of unseen samples",
  };
}

function rowsOf({ values, size }: Column): number {
  return Math.floor(values.length / size);
}

const word = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(4));

/** FNV-1a over the values as float32. */
function hashOf(columns: readonly Column[], row: number): number {
  let hash = 0x811c9dc5;
  for (const { values, size } of columns) {
    for (let i = row * size; i < (row + 1) * size; i++) {
      word.setFloat32(0, values[i]);
      hash = Math.imul(hash ^ word.getUint32(0), 0x01000193);
    }
  }
  return hash >>> 0;
}

function isSameRow(a: readonly Column[], rowA: number, b: readonly Column[], rowB: number): boolean {
  return a.every(({ values, size }, index) => {
    const other = b[index].values;
    for (let i = 0; i < size; i++) {
      if (Math.fround(values[rowA * size + i]) !== Math.fround(other[rowB * size + i])) return false;
    }
    return true;
  });
}

const DEAD = 0.5;

/** `values`: what a layer of relu gave, [samples, …, units]. */
export function deadUnits(path: string, { shape, data }: ParameterValues): Warning | undefined {
  const units = shape[shape.length - 1];
  const alive = new Uint8Array(units);
  for (let i = 0; i < data.length; i++) if (data[i] > 0) alive[i % units] = 1;
  const dead = alive.filter((one) => one === 0).length;
  if (dead <= DEAD * units) return undefined;
  return {
    code: "dead-relus",
    message: `layer "${path}": ${dead} of ${units} units gave 0 for all of ${shape[0]} samples`,
    remedy: "train with a smaller learning rate, scale the inputs, or use leakyRelu()",
  };
}

const FAR = 1e4;

/** Gradients of the weights in the order of the layers, by path. */
export function uneasyGradients(gradients: ReadonlyMap<string, ParameterValues>): Warning | undefined {
  const weights = [...gradients].filter(([, { shape }]) => shape.length > 1);
  const sizes = weights.map(([path, { data }]) => ({ path, size: rootMeanSquare(data) }));
  if (sizes.length < 3) return undefined;
  const [first, last] = [sizes[0], sizes[sizes.length - 1]];
  const message = `the gradient of "${first.path}" is ${round(first.size)}, that of "${last.path}" ${round(last.size)} (root mean squares)`;
  if (first.size * FAR < last.size) {
    return {
      code: "vanishing-gradients",
      message,
      remedy:
        "use relu() or gelu() instead of sigmoid() and tanh(), heNormal(), normalization between layers, or skips",
    };
  }
  if (first.size <= FAR * last.size || first.size === 0) return undefined;
  return {
    code: "exploding-gradients",
    message,
    remedy: "clip gradients with clipByGlobalNorm(), normalize between layers, or begin with smaller weights",
  };
}

const FAST = 0.1;
const SLOW = 1e-6;

/** How far weights have moved in so many steps, compared with their size: in the middle of all weights. */
export function uneasyRate(
  before: ReadonlyMap<string, ParameterValues>,
  after: ReadonlyMap<string, ParameterValues>,
  steps: number,
): Warning | undefined {
  const ratios = [...after].flatMap(([path, { shape, data }]) => {
    const old = before.get(path)?.data;
    if (shape.length < 2 || old === undefined) return [];
    // Steps go in different directions: their lengths add up as those of a random walk.
    const moved = rootMeanSquare(data.map((value, i) => value - old[i])) / Math.sqrt(steps);
    return [moved / Math.max(rootMeanSquare(old), 1e-12)];
  });
  const ratio = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)];
  if (ratio === undefined || (ratio <= FAST && ratio >= SLOW)) return undefined;
  const message = `a step changes weights by about ${round(ratio)} of their size`;
  if (ratio > FAST) {
    return { code: "rate-too-large", message, remedy: "train with a smaller learning rate: about 0.001 is usual" };
  }
  return {
    code: "rate-too-small",
    message,
    remedy: "train with a larger learning rate (findLearningRate() suggests one): about 0.001 is usual",
  };
}

/** `losses`: of the epochs so far. `classes`: of a loss of classes; undefined for others. */
export function stuckLoss(losses: readonly number[], classes: number | undefined): Warning | undefined {
  if (losses.length < 3) return undefined;
  const last = losses.slice(-3);
  const chance = classes === undefined ? Number.NaN : Math.log(classes);
  if (last.every((loss) => Math.abs(loss - chance) < 0.02 * chance)) {
    return {
      code: "loss-at-chance",
      message: `the loss stays at ${round(last[2])}, that of ${classes} classes by chance (ln ${classes})`,
      remedy: "look whether inputs and labels belong together, and whether the inputs differ from each other",
    };
  }
  const moved = Math.max(...last) - Math.min(...last);
  if (moved > 1e-4 * Math.abs(last[0]) || Math.abs(last[0]) < 1e-6) return undefined;
  return {
    code: "loss-not-moving",
    message: `the loss has been ${round(last[2])} for three epochs`,
    remedy: "look whether layers are frozen, units are dead, and whether the learning rate is far too small",
  };
}

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / Math.max(1, values.length));
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
