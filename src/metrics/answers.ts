// Answers of a trainer over data, part by part: what was predicted and what is true, as class indices.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, number, type OptionsOf, optional, unchecked } from "../engine/options.js";
import { type Shape, sizeOf } from "../graph/tensor.js";
import type { Values } from "../graph/values.js";
import type { AnyModel } from "../nn/model.js";
import type { Port, Ports } from "../nn/ports.js";
import type { SampleList, Samples } from "../train/data.js";
import type { Predictor } from "../train/trainer.js";

/** What `compile` returns. */
export type AnyPredictor<I extends Ports = Shape, O extends Ports = Shape> = Pick<Predictor<I, O>, "model" | "predict">;

/** Samples { x, y, weights? }, or a list of them. */
export type AnswerData<I extends Ports = Shape, O extends Ports = Shape> = Samples<I, O> | SampleList<I, O>;

export interface AnswersOptions {
  /** Which output, if they have names. Default: the only one. */
  output?: string | undefined;
  /** Class index of targets that are left out, such as -1. Default none. */
  ignoreIndex?: number | undefined;
  /** For answers of yes or no: from which prediction on it is a yes. Default 0.5. */
  threshold?: number;
}

export const ANSWERS = {
  output: optional(unchecked<string>()),
  ignoreIndex: optional(integer()),
  threshold: number(0.5),
} satisfies OptionsOf<AnswersOptions>;

export interface AnswersPlan {
  readonly output: string | undefined;
  readonly ignoreIndex: number | undefined;
  readonly threshold: number;
}

/** A part of the data: an answer and a target for each sample, or each of its positions. */
export interface SomeAnswers {
  readonly predictions: number[];
  readonly targets: number[];
  readonly weights: number[] | undefined;
}

// Samples that are predicted at once.
const PART = 1024;

/** Whether this is a trainer, and not predictions. */
export function isPredictor(value: unknown): value is AnyPredictor {
  return typeof value === "object" && value !== null && typeof (value as Partial<AnyPredictor>).predict === "function";
}

function portOf(where: string, ports: readonly Port[], key: string | undefined): Port {
  const port = key === undefined && ports.length === 1 ? ports[0] : ports.find((one) => one.key === key);
  if (port !== undefined) return port;
  const names = ports.map((one) => one.key ?? "");
  throw new ModelError(`${where}: output must be one of ${showNames(names)}, got ${showValue(key)}`);
}

/** How many classes an output has; 2 if it is a yes or no for each position. */
export function classesOf(where: string, trainer: AnyPredictor, { output }: AnswersPlan): number {
  const { shape } = portOf(where, (trainer.model as unknown as AnyModel).outputs, output);
  return Math.max(2, shape[shape.length - 1] ?? 1);
}

/** The answers to all samples, in parts. */
export async function* answersOf(
  where: string,
  trainer: AnyPredictor,
  data: unknown,
  plan: AnswersPlan,
): AsyncGenerator<SomeAnswers> {
  const { inputs, outputs } = trainer.model as unknown as AnyModel;
  const port = portOf(where, outputs, plan.output);
  const samples = readSet(where, data, inputs);
  for (let first = 0; first < samples.count; first += PART) {
    const x = samples.x(first, PART);
    const given = await trainer.predict(x as never, samples.options as never);
    const predicted = (port.key === undefined ? given : (given as never)[port.key]) as Float32Array;
    const part = (values: unknown): number[] | undefined =>
      values === undefined ? undefined : flatNumbers(named(values, port.key));
    const targets = part(samples.y(first, PART)) ?? [];
    yield decide(where, { predicted, targets, weights: part(samples.weights(first, PART)) }, port, plan);
  }
}

const named = (values: unknown, key: string | undefined): unknown =>
  key !== undefined && kindOf(values) === "Object" ? (values as Record<string, unknown>)[key] : values;

/** What samples say that a prediction of them must know too. */
export function predictOptionsOf(samples: unknown): object {
  const { inputShape, scale, offset } = samples as Partial<Samples>;
  return Object.fromEntries(Object.entries({ inputShape, scale, offset }).filter(([, value]) => value !== undefined));
}

interface Read {
  readonly count: number;
  /** Of `predict`. */
  readonly options: object;
  // So many samples, or what is left.
  x(first: number, count: number): unknown;
  y(first: number, count: number): unknown;
  weights(first: number, count: number): unknown;
}

/** Samples as a function of the part that is wanted. */
function readSet(where: string, data: unknown, inputs: readonly Port[]): Read {
  if (Array.isArray(data) && data.length > 0) {
    const field = (name: "x" | "y" | "weights") => (first: number, count: number) => {
      const rows = data.slice(first, first + count).map((sample) => sample[name]);
      if (rows[0] === undefined) return undefined;
      if (kindOf(rows[0]) !== "Object") return rows;
      return Object.fromEntries(Object.keys(rows[0]).map((key) => [key, rows.map((row) => row[key])]));
    };
    return { count: data.length, options: {}, x: field("x"), y: field("y"), weights: field("weights") };
  }
  const { x, y, weights, inputShape } = (data ?? {}) as Partial<Samples<Ports, Ports>>;
  if (kindOf(data) !== "Object" || x === undefined || y === undefined) {
    throw new DataError(`${where}: data must be samples { x, y }, or a list of them, got ${showValue(data)}`);
  }
  const [port] = inputs;
  const shape = named(inputShape ?? port.shape, port.key) as Shape;
  const count = countOf(where, named(x, port.key) as Values, sizeOf(shape));
  const field = (values: unknown) => (first: number, wanted: number) => {
    if (values === undefined) return undefined;
    if (kindOf(values) !== "Object") return rowsOf(where, values, count, first, wanted);
    return Object.fromEntries(
      Object.entries(values as object).map(([key, one]) => [key, rowsOf(where, one, count, first, wanted)]),
    );
  };
  return { count, options: predictOptionsOf(data), x: field(x), y: field(y), weights: field(weights) };
}

const isNested = (values: unknown): values is readonly unknown[] =>
  Array.isArray(values) && typeof values[0] === "object";

function countOf(where: string, values: unknown, size: number): number {
  const { length } = values as ArrayLike<unknown>;
  const count = isNested(values) ? length : length / size;
  if (count > 0 && Number.isInteger(count)) return count;
  throw new DataError(`${where}: x must be samples of ${size} values, got ${showValue(values)}`);
}

function rowsOf(where: string, values: unknown, total: number, first: number, count: number): unknown {
  const list = values as Float32Array & unknown[];
  const size = (list?.length ?? 0) / total;
  if (!(size > 0) || !Number.isInteger(size)) {
    throw new DataError(
      `${where}: each part of the data must have values for ${total} samples, got ${showValue(values)}`,
    );
  }
  return list.slice(first * size, (first + count) * size);
}

function flatNumbers(values: unknown, into: number[] = []): number[] {
  if (typeof values === "number") into.push(values);
  else for (const one of values as Iterable<unknown>) flatNumbers(one, into);
  return into;
}

interface PartOfData {
  readonly predicted: Float32Array;
  readonly targets: readonly number[];
  readonly weights: readonly number[] | undefined;
}

/** What was chosen and what is true, of each position that counts. */
function decide(where: string, part: PartOfData, { shape }: Port, plan: AnswersPlan): SomeAnswers {
  const { predicted, targets, weights } = part;
  const classes = shape[shape.length - 1] ?? 1;
  const isYesNo = classes === 1 && targets.length === predicted.length;
  const units = predicted.length / classes;
  if (!isYesNo && targets.length !== units && targets.length !== predicted.length) {
    throw new DataError(
      `${where}: y must have a class for each of ${units} positions, or a value for each of ${predicted.length} outputs, got ${targets.length}`,
    );
  }
  const each = weights === undefined ? 1 : units / weights.length;
  if (!Number.isInteger(each)) {
    throw new DataError(`${where}: weights must be as many as samples or positions, got ${weights?.length}`);
  }
  const chosen: SomeAnswers & { weights: number[] } = { predictions: [], targets: [], weights: [] };
  for (let unit = 0; unit < units; unit++) {
    const target = isYesNo ? Number(targets[unit] >= 0.5) : classAt(where, targets, unit, classes, units);
    if (!isYesNo && target === plan.ignoreIndex) continue;
    const answer = isYesNo ? Number(predicted[unit] >= plan.threshold) : largest(predicted, unit * classes, classes);
    chosen.predictions.push(answer);
    chosen.targets.push(target);
    chosen.weights.push(weights === undefined ? 1 : weights[Math.floor(unit / each)]);
  }
  return weights === undefined ? { ...chosen, weights: undefined } : chosen;
}

/** The class that is true: an index, or where a distribution is largest. */
function classAt(where: string, targets: readonly number[], unit: number, classes: number, units: number): number {
  if (targets.length === units) return targets[unit];
  const row = targets.slice(unit * classes, (unit + 1) * classes);
  const sum = row.reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) < 1e-3) return largest(row, 0, classes);
  throw new DataError(
    `${where}: y must be classes or distributions, got a row with the sum ${sum}: report each label of several on its own`,
  );
}

function largest(values: ArrayLike<number>, first: number, count: number): number {
  let best = 0;
  for (let index = 1; index < count; index++) if (values[first + index] > values[first + best]) best = index;
  return best;
}
