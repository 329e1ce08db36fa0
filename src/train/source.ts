// Data of any size, in batches that arrive one after another. Whatever gives batches is made one thing here: a source,
// which opens passes. What becomes of the batches is in stream.ts.
import { checkFunction, DataError, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import type { Shape } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import type { SampleList, Samples } from "./data.js";

/** Any number of samples, as an object or a list. A sample alone is a batch of one. */
export type SourceBatch<I extends Ports = Shape, O extends Ports = Shape> = Samples<I, O> | SampleList<I, O>;

/** Which pass is opened. */
export interface SourcePass {
  /** From 1: the number of the pass since the trainer was made. An evaluation opens pass 1. */
  readonly pass: number;
  /** Samples at the beginning that are not needed, as an earlier call, or the training before a checkpoint, had them. */
  readonly skip: number;
}

/** A web stream, written out for programs that are compiled without the types of pages and Node. */
export interface WebStream<T> {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: T | undefined }>;
    cancel(reason?: unknown): Promise<void>;
  };
}

/**
 * What a pass goes through, at once or over time: arrays, generators, streams of Node and the web. `skipped`: how many of the
 * samples in `SourcePass.skip` it has left out itself; the trainer leaves out the rest. Default 0.
 */
export type SourceStream<T> = (Iterable<T> | AsyncIterable<T> | WebStream<T>) & { readonly skipped?: number };

/** Opens a pass. */
export type OpenPass<T> = (pass: SourcePass) => SourceStream<T> | PromiseLike<SourceStream<T>>;

/**
 * Samples that need not fit in memory: each pass is opened anew, and gives batches of any sizes. A trainer regroups them to its
 * own, and reads ahead while it trains.
 *
 * @example
 * const numbers = {
 *   count: 1000,
 *   *open({ pass }: { pass: number }) {
 *     for (let i = 0; i < 10; i++) yield { x: new Float32Array(100).fill(i + pass), y: new Float32Array(100) };
 *   },
 * };
 */
export interface Source<I extends Ports = Shape, O extends Ports = Shape> {
  /** Samples of a pass, if they are known: for the progress. A pass must then have as many. */
  readonly count?: number | undefined;
  readonly open: OpenPass<SourceBatch<I, O>>;
}

/**
 * A source, a function that opens a pass, or something that is gone through by itself: arrays aside, whose elements are samples.
 * A generator or a stream has one pass.
 */
export type AnySource<I extends Ports = Shape, O extends Ports = Shape> =
  | Source<I, O>
  | OpenPass<SourceBatch<I, O>>
  | SourceStream<SourceBatch<I, O>>;

/** A source that was passed to a call. */
export interface GivenSource {
  /** What was passed: a call with the same goes on with its pass. */
  readonly given: object;
  readonly count: number | undefined;
  open(pass: SourcePass): unknown;
  /** Whether the call may wait for batches. */
  readonly later: boolean;
}

type Fields = Readonly<Record<PropertyKey, unknown>>;

const has = (value: object, name: PropertyKey): boolean => typeof (value as Fields)[name] === "function";

/** The source that was passed; `undefined` if it is something else. Throws DataError if its count is no number of samples. */
export function sourceOf(data: unknown, later: boolean): GivenSource | undefined {
  if (typeof data === "function") {
    checkFunction("data", "a source", data);
    return { given: data, count: undefined, open: data as OpenPass<unknown>, later };
  }
  if (typeof data !== "object" || data === null || Array.isArray(data) || ArrayBuffer.isView(data)) return undefined;
  if (has(data, "open"))
    return { given: data, count: countOf(data), open: (pass) => (data as Source).open(pass), later };
  // Neither the entries of a map nor the letters of a text are batches.
  if (
    "x" in data ||
    "y" in data ||
    ["Map", "String"].includes(kindOf(data)) ||
    !(isIterable(data) || has(data, "getReader"))
  )
    return undefined;
  return { given: data, count: undefined, open: () => data, later };
}

function countOf({ count }: { count?: unknown }): number | undefined {
  if (count === undefined || (Number.isSafeInteger(count) && (count as number) > 0)) return count as number | undefined;
  throw new DataError(
    `data: count of a source must be a whole number of at least 1, got ${showValue(count)}: leave it out if it is not known`,
  );
}

function isIterable(value: object): boolean {
  return has(value, Symbol.asyncIterator) || has(value, Symbol.iterator);
}

/** What goes through a pass: `next` may give a promise. */
export interface PassIterator {
  next(): unknown;
  return?(): unknown;
}

// Things that can be gone through once, and have been.
const used = new WeakSet<object>();

/** Begins to go through what `open` gave. Throws DataError if that is impossible, or if it has been gone through. */
export function iteratorOf(where: string, opened: unknown): PassIterator {
  if (typeof opened !== "object" || opened === null || !(isIterable(opened) || has(opened, "getReader"))) {
    throw new DataError(
      `${where} must be something that gives batches { x, y } one by one, got ${showValue(opened)}: hand in a generator function, an iterable or a stream`,
    );
  }
  if (used.has(opened)) {
    throw new DataError(
      `${where} was used up by an earlier pass, got the same generator or stream again: hand in a function that makes a new one for each pass`,
    );
  }
  const iterator = start(opened);
  if (iterator === opened || has(opened, "getReader") || has(opened, "pipe")) used.add(opened);
  return iterator;
}

function start(opened: object): PassIterator {
  if (has(opened, "getReader")) {
    const reader = (opened as WebStream<unknown>).getReader();
    return { next: () => reader.read(), return: () => reader.cancel() };
  }
  const make = has(opened, Symbol.asyncIterator) ? Symbol.asyncIterator : Symbol.iterator;
  return (opened as Record<symbol, () => PassIterator>)[make]();
}

/** How many samples a pass has left out by itself, of `skip`. */
export function skippedBy(where: string, opened: unknown, skip: number): number {
  const { skipped = 0 } = opened as { skipped?: unknown };
  if (Number.isSafeInteger(skipped) && (skipped as number) >= 0 && (skipped as number) <= skip)
    return skipped as number;
  throw new DataError(`${where}: skipped must be a whole number from 0 to ${skip}, got ${showValue(skipped)}`);
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && has(value, "then");
}

/** Throws ModelError for options that a source makes useless, or needs. */
export function checkSourceOptions(where: string, options: object | undefined): void {
  const { shuffle, batchSize } = (options ?? {}) as { shuffle?: unknown; batchSize?: unknown };
  if (shuffle === true) {
    throw new ModelError(
      `${where}: shuffle must be left out with a source, which has its own order, got true: use source(…).shuffle(…) of steepest/data`,
    );
  }
  if (where === "trainSteps" && batchSize === undefined) {
    throw new ModelError(
      `${where}: batchSize must be given with a source, whose samples need not be in memory at once, got none: add { batchSize: 32 }`,
    );
  }
}
