// Sources that are put together: what a trainer reads batch by batch, mapped, filtered, shuffled, before it reads them.
import { checkFunction, DataError, showValue } from "../engine/errors.js";
import { integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { randomNumbers } from "../engine/randomNumbers.js";
import type { TypedArray } from "../graph/values.js";
import { isPromise, type OpenPass, type SourcePass, type SourceStream } from "../train/source.js";
import { Element, type Flow, type Open, type Pass, passOf, through, wait } from "./flow.js";
import { checkMapModule, createPool, type MapModule, type MapPlace, type MapPool, WAITING } from "./mapWorkers.js";
import { type Shares, shares } from "./parts.js";
import { countOf, rowOf, type SampleSet } from "./samples.js";

/** What `source` takes: samples in memory; or elements, in an array, an iterable or a stream, or what a function gives for each pass. */
export type SourceOf<T> =
  | SourceStream<T>
  | OpenPass<T>
  | { readonly count?: number | undefined; readonly open: OpenPass<T> };

export interface ShuffleOptions {
  /** Of the random numbers. Each pass has another order. Default 0. */
  seed?: number;
}

export interface SourceSplitOptions<Parts extends Shares = Shares> {
  /** The share of each part, by its name. Together they are 1. */
  parts: Parts;
  /** Of the random numbers. Default 0. */
  seed?: number;
}

export interface SourceOptions {
  /**
   * Samples of a pass, if they are known and not elements of an array: for a fit's progress. A pass must then have as many.
   * Default: not known.
   */
  count?: number | undefined;
}

/** One of the samples: of a typed array, its part of it, or its number if there is one for each. */
export type SampleOf<Set> = {
  -readonly [Name in keyof Set]: Set[Name] extends readonly (infer Row)[]
    ? Row
    : Set[Name] extends TypedArray
      ? Set[Name] | number
      : SampleOf<Set[Name]>;
};

/** What an element of samples is made of when it is divided: its samples, or the elements of a list. */
export type ElementOf<T> = T extends readonly (infer E)[] ? E : SampleOf<T>;

/**
 * Elements that are read when they are needed: samples, batches of them, or whatever `map` makes samples of. A trainer takes it
 * as data; an element is a batch of any number of samples, and a sample alone is a batch of one. `for await` goes through it.
 *
 * Every method gives a new source, which reads from this one. Functions may return promises. An error in one of them ends the
 * pass, and what is read from is closed.
 */
export interface DataSource<T> extends AsyncIterable<T> {
  /** Samples of a pass, if they are known. */
  readonly count: number | undefined;
  open(pass?: SourcePass): Pass<T>;
  /** Each element as `change` makes it. */
  map<R>(change: (element: T, place: MapPlace) => R | PromiseLike<R>): DataSource<R>;
  /**
   * The same in worker threads: `{ module: new URL("./augment.js", import.meta.url), workers: 4 }`, a function that the module exports. Elements
   * are copied there and back, and come in their order; two a worker are on their way. The workers end with the pass.
   */
  map<R = T>(change: MapModule): DataSource<R>;
  /** The elements for which `test` gives true. */
  filter(test: (element: T) => boolean | PromiseLike<boolean>): DataSource<T>;
  /** Lists of so many elements; the last may have fewer. */
  batch(size: number): DataSource<T[]>;
  /** The elements of lists, or the samples of batches `{ x, y }`, one by one. */
  unbatch(): DataSource<ElementOf<T>>;
  /**
   * In another order in each pass: of so many elements that are in memory, one is drawn at random, and the next takes its place.
   * Infinity: all elements. The order follows from the seed and the number of the pass.
   */
  shuffle(buffer: number, options?: ShuffleOptions): DataSource<T>;
  /** Several passes as one; without a number, without an end. */
  repeat(times?: number): DataSource<T>;
  /** Pairs with the elements of another source. The shorter one ends it. */
  zip<U>(other: SourceOf<U> | DataSource<U>): DataSource<[T, U]>;
  /** The first elements. */
  take(elements: number): DataSource<T>;
  /** All but the first elements. */
  skip(elements: number): DataSource<T>;
  /**
   * Parts that have no element in common: each element is drawn for one of them. What comes before is opened as pass 1 in every
   * pass, so shuffle the parts, not what is divided.
   */
  split<const Parts extends Shares>(
    options: SourceSplitOptions<Parts>,
  ): { readonly [Name in keyof Parts]: DataSource<T> };
  /** Keeps the elements in memory once a pass has come to its end. What comes before is opened as pass 1. */
  cache(): DataSource<T>;
  /** Reads so many elements ahead, for what takes time: a trainer reads ahead by itself. Default 2. */
  prefetch(elements?: number): DataSource<T>;
  /** All elements of the first pass. */
  toArray(): Promise<T[]>;
}

const OPTIONS = { count: optional(integer(undefined, { min: 1 })) } satisfies OptionsOf<SourceOptions>;
const SHUFFLE = { seed: integer(0, { min: 0 }) } satisfies OptionsOf<ShuffleOptions>;
const SPLIT = { parts: shares, seed: integer(0, { min: 0 }) } satisfies OptionsOf<SourceSplitOptions>;
const SIZE = integer(undefined, { min: 1 });

/**
 * A source of elements, for `fit`, `evaluate` and other calls of a trainer; `map`, `shuffle` and others make new ones of it.
 *
 * @param given Samples { x, y, weights } in memory, whose elements are single samples; or elements: an array, an iterable, a stream,
 * or a function that gives one of these for each pass. A generator or stream has one pass.
 * @throws {DataError} If it is nothing of these, here or when it is opened.
 * @example
 * const numbers = source(function* () {
 *   for (let i = 0; i < 100; i++) yield { x: [i / 100], y: [Math.sqrt(i / 100)] };
 * });
 * const { training, validation } = numbers.split({ parts: { training: 0.9, validation: 0.1 } });
 * const data = training.shuffle(50).map(({ x, y }) => ({ x: [x[0] * 2], y }));
 */
export function source<Set extends SampleSet & { readonly open?: never }>(
  given: Set,
  options?: SourceOptions,
): DataSource<SampleOf<Set>>;
export function source<T>(given: SourceOf<T>, options?: SourceOptions): DataSource<T>;
export function source(given: unknown, options: SourceOptions = {}): DataSource<never> {
  const { count } = readOptions("source", options, OPTIONS);
  return (isSampleSet(given) ? sourceOfSamples(given, count) : sourceOfElements(given, count)) as DataSource<never>;
}

function isSampleSet(given: unknown): given is SampleSet {
  return typeof given === "object" && given !== null && "x" in given && !("open" in given);
}

function sourceOfSamples(given: SampleSet, known: number | undefined): DataSource<unknown> {
  const count = countOf("source", given, known);
  return create(
    function* ({ skip }) {
      for (let row = skip; row < count; row++) yield new Element(rowOf(given, row, count));
    },
    count,
    true,
  );
}

function sourceOfElements(given: unknown, known: number | undefined): DataSource<unknown> {
  const open = typeof given === "function" ? given : (given as { open?: unknown } | undefined)?.open;
  if (typeof open === "function") {
    const count = known ?? (typeof given === "function" ? undefined : (given as { count?: number }).count);
    // As a method of what it belongs to.
    const call = (pass: SourcePass): unknown => (typeof given === "function" ? open(pass) : open.call(given, pass));
    return createDirect(call, count);
  }
  const isOne = (key: PropertyKey): boolean => typeof (given as Record<PropertyKey, unknown>)[key] === "function";
  if (typeof given === "object" && given !== null) {
    if (isOne(Symbol.iterator) || isOne(Symbol.asyncIterator) || isOne("getReader"))
      return createDirect(() => given, known);
  }
  throw new DataError(
    `source: must be samples { x, y }, an array, an iterable, a stream, or a function that gives one, got ${showValue(given)}: hand in what gives elements one by one`,
  );
}

/** What opens passes itself, and may leave out what is not needed. */
function createDirect(call: (pass: SourcePass) => unknown, count: number | undefined): DataSource<unknown> {
  const open = (pass: SourcePass): Pass<unknown> => {
    const opened = call(pass);
    const made = passOf(
      through<unknown, unknown>("source: what it reads", opened, function* (next) {
        for (let step = yield* next(); !step.done; step = yield* next()) yield new Element(step.value);
      }),
    );
    // Of a promise it would be known too late: then nothing has been left out.
    const { skipped } = (isPromise(opened) ? {} : (opened ?? {})) as { skipped?: number };
    if (skipped !== undefined) made.skipped = skipped;
    return made;
  };
  return methodsOf(open, count);
}

/** `skips`: it leaves out the samples that are not needed. */
function create<T>(open: Open<T>, count: number | undefined, skips = false): DataSource<T> {
  return methodsOf((pass) => Object.assign(passOf(open(pass)), skips ? { skipped: pass.skip } : {}), count);
}

const FIRST: SourcePass = { pass: 1, skip: 0 };

/** A source with all methods. */
function methodsOf<T>(openPass: (pass: SourcePass) => Pass<T>, count: number | undefined): DataSource<T> {
  const self: DataSource<T> = {
    count,
    open: (pass = FIRST) => openPass(pass),
    map: <R>(change: MapModule | MapFunction<T, R>) =>
      typeof change === "object" && change !== null ? mappedByModule<T, R>(self, change) : mapped(self, change),
    filter: (test) => {
      checkFunction("filter", "test", test);
      return derive(self, undefined, function* (next) {
        for (let step = yield* next(); !step.done; step = yield* next()) {
          if (yield* wait(test(step.value))) yield new Element(step.value);
        }
      });
    },
    batch: (size) => batched(self, SIZE("batch", "size", size)),
    unbatch: () => unbatched(self),
    shuffle: (buffer, options = {}) => shuffled(self, buffer, options),
    repeat: (times = Infinity) => repeated(self, times),
    zip: <U>(other: SourceOf<U> | DataSource<U>) => zipped(self, source(other as SourceOf<U>)),
    take: (elements) => taken(self, SIZE("take", "elements", elements)),
    skip: (elements) => {
      const most = integer(undefined, { min: 0 })("skip", "elements", elements);
      return derive(self, undefined, function* (next) {
        let index = 0;
        for (let step = yield* next(); !step.done; step = yield* next()) {
          if (index++ >= most) yield new Element(step.value);
        }
      });
    },
    split: (options) => divided(self, options),
    cache: () => cached(self),
    prefetch: (elements = 2) => {
      const most = SIZE("prefetch", "elements", elements);
      return create((pass) => ahead(self, pass, most, (element) => element), count);
    },
    async toArray() {
      const all: T[] = [];
      for await (const element of self) all.push(element);
      return all;
    },
    async *[Symbol.asyncIterator]() {
      const pass = self.open();
      try {
        for (let step = await pass.next(); !step.done; step = await pass.next()) yield step.value;
      } finally {
        pass.return();
      }
    },
  };
  return self;
}

type Next<T> = () => Generator<PromiseLike<unknown>, IteratorResult<T, void>, unknown>;

/** A source that reads another one, pass by pass. */
function derive<T, R>(
  from: DataSource<T>,
  count: number | undefined,
  use: (next: Next<T>, pass: SourcePass) => Flow<R>,
): DataSource<R> {
  return create(function* ({ pass }) {
    yield* through<T, R>("source", from.open({ pass, skip: 0 }), (next) => use(next, { pass, skip: 0 }));
  }, count);
}

type MapFunction<T, R> = (element: T, place: MapPlace) => R | PromiseLike<R>;

function mapped<T, R>(from: DataSource<T>, change: MapFunction<T, R>): DataSource<R> {
  checkFunction("map", "change", change);
  return derive<T, R>(from, from.count, function* (next, { pass }) {
    let index = 0;
    for (let step = yield* next(); !step.done; step = yield* next())
      yield new Element(yield* wait(change(step.value, { pass, index: index++ })));
  });
}

function batched<T>(from: DataSource<T>, size: number): DataSource<T[]> {
  return derive<T, T[]>(from, from.count, function* (next) {
    let list: T[] = [];
    for (let step = yield* next(); !step.done; step = yield* next()) {
      if (list.push(step.value) < size) continue;
      yield new Element(list);
      list = [];
    }
    if (list.length > 0) yield new Element(list);
  });
}

function unbatched<T>(from: DataSource<T>): DataSource<ElementOf<T>> {
  return derive<T, ElementOf<T>>(from, from.count, function* (next) {
    for (let step = yield* next(); !step.done; step = yield* next()) {
      const { value } = step;
      if (Array.isArray(value)) for (const element of value) yield new Element(element as ElementOf<T>);
      else {
        const samples = value as unknown as SampleSet;
        const count = countOf("unbatch", samples, undefined);
        for (let row = 0; row < count; row++) yield new Element(rowOf(samples, row, count) as ElementOf<T>);
      }
    }
  });
}

function shuffled<T>(from: DataSource<T>, buffer: number, options: ShuffleOptions): DataSource<T> {
  if (buffer !== Infinity) SIZE("shuffle", "buffer", buffer);
  const { seed } = readOptions("shuffle", options, SHUFFLE);
  return derive<T, T>(from, from.count, function* (next, { pass }) {
    // The high word of the seed is another one in each pass.
    const high = (Math.floor(seed / 2 ** 32) + pass) % 2 ** 21;
    const random = randomNumbers((seed % 2 ** 32) + high * 2 ** 32);
    const held: T[] = [];
    for (let step = yield* next(); !step.done; step = yield* next()) {
      if (held.length < buffer) {
        held.push(step.value);
        continue;
      }
      const drawn = random.below(held.length);
      const element = held[drawn];
      held[drawn] = step.value;
      yield new Element(element);
    }
    while (held.length > 0) {
      const drawn = random.below(held.length);
      const element = held[drawn];
      held[drawn] = held[held.length - 1];
      held.pop();
      yield new Element(element);
    }
  });
}

function repeated<T>(from: DataSource<T>, times: number): DataSource<T> {
  if (times !== Infinity) SIZE("repeat", "times", times);
  const count = from.count === undefined || times === Infinity ? undefined : from.count * times;
  return create<T>(function* ({ pass }) {
    for (let round = 0; round < times; round++) {
      // Rounds of endless passes begin anew in the next pass, which only comes if this one was left.
      const number = times === Infinity ? pass + round : (pass - 1) * times + round + 1;
      let given = 0;
      yield* through<T, T>("repeat", from.open({ pass: number, skip: 0 }), function* (next) {
        for (let step = yield* next(); !step.done; step = yield* next()) {
          given += 1;
          yield new Element(step.value);
        }
      });
      if (given > 0) continue;
      throw new DataError("repeat: what is repeated must have elements, got none: check the source before it");
    }
  }, count);
}

function zipped<T, U>(one: DataSource<T>, other: DataSource<U>): DataSource<[T, U]> {
  return derive<T, [T, U]>(one, one.count, function* (next, pass) {
    yield* through<U, [T, U]>("zip", other.open(pass), function* (nextOther) {
      for (;;) {
        const left = yield* next();
        if (left.done) return;
        const right = yield* nextOther();
        if (right.done) return;
        yield new Element<[T, U]>([left.value, right.value]);
      }
    });
  });
}

function taken<T>(from: DataSource<T>, most: number): DataSource<T> {
  return derive<T, T>(from, undefined, function* (next) {
    // Nothing is read beyond the last one.
    for (let index = 0; index < most; index++) {
      const step = yield* next();
      if (step.done) return;
      yield new Element(step.value);
    }
  });
}

function divided<T, Parts extends Shares>(
  from: DataSource<T>,
  options: SourceSplitOptions<Parts>,
): { readonly [Name in keyof Parts]: DataSource<T> } {
  const { parts, seed } = readOptions("split", options, SPLIT);
  const entries = Object.entries(parts);
  const partOf = (value: number): string => {
    let sum = 0;
    for (const [name, share] of entries) {
      sum += share;
      if (value < sum) return name;
    }
    return entries[entries.length - 1][0];
  };
  const part = (name: string): DataSource<T> =>
    create<T>(function* () {
      const random = randomNumbers(seed);
      yield* through<T, T>("split", from.open(FIRST), function* (next) {
        for (let step = yield* next(); !step.done; step = yield* next()) {
          if (partOf(random.uniform()) === name) yield new Element(step.value);
        }
      });
    }, undefined);
  return Object.fromEntries(entries.map(([name]) => [name, part(name)])) as { [Name in keyof Parts]: DataSource<T> };
}

function cached<T>(from: DataSource<T>): DataSource<T> {
  let kept: readonly T[] | undefined;
  return create<T>(function* () {
    if (kept !== undefined) {
      for (const element of kept) yield new Element(element);
      return;
    }
    const all: T[] = [];
    yield* through<T, T>("cache", from.open(FIRST), function* (next) {
      for (let step = yield* next(); !step.done; step = yield* next()) {
        all.push(step.value);
        yield new Element(step.value);
      }
      kept = all;
    });
  }, from.count);
}

/** Reads ahead: elements, and what `change` makes of each as soon as it is there, come as promises. */
function* ahead<T, R>(from: DataSource<T>, { pass }: SourcePass, most: number, change: MapFunction<T, R>): Flow<R> {
  const upstream = from.open({ pass, skip: 0 });
  const queue: Promise<IteratorResult<R, void>>[] = [];
  let last: Promise<unknown> = Promise.resolve();
  let [index, ended] = [0, false];
  const begin = async (): Promise<{ readonly value: R | PromiseLike<R> } | undefined> => {
    const step = ended ? undefined : await upstream.next();
    if (step !== undefined && !step.done) return { value: change(step.value, { pass, index: index++ }) };
    ended = true;
    return undefined;
  };
  const finish = async (begun: ReturnType<typeof begin>): Promise<IteratorResult<R, void>> => {
    const step = await begun;
    return step === undefined ? { done: true, value: undefined } : { done: false, value: await step.value };
  };
  const read = (): void => {
    const begun = last.then(begin);
    last = begun.catch(() => {
      ended = true;
    });
    const next = finish(begun);
    // Whoever takes it from the queue hears of its failure.
    next.catch(() => {});
    queue.push(next);
  };
  try {
    for (;;) {
      while (queue.length < most + 1) read();
      const step = (yield* wait(queue.shift() as PromiseLike<unknown>)) as IteratorResult<R, void>;
      if (step.done) return;
      yield new Element(step.value);
    }
  } finally {
    ended = true;
    upstream.return();
  }
}

// A pass that nobody ends, and nobody holds any more.
const dropped =
  typeof FinalizationRegistry === "undefined" ? undefined : new FinalizationRegistry<MapPool>((pool) => pool.close());

function mappedByModule<T, R>(from: DataSource<T>, given: MapModule): DataSource<R> {
  const plan = checkMapModule("map", given);
  const flow = function* (pool: MapPool, pass: SourcePass): Flow<R> {
    const change: MapFunction<T, R> = (element, place) => pool.run(element, place) as Promise<R>;
    try {
      yield* ahead(from, pass, WAITING * plan.workers - 1, change);
    } finally {
      pool.close();
    }
  };
  const open = (pass: SourcePass): Pass<R> => {
    const pool = createPool("map", plan);
    const made = passOf(flow(pool, pass));
    dropped?.register(made, pool);
    return made;
  };
  return methodsOf(open, from.count);
}
