// Passes over elements that come at once or over time. A pass is written once, as a generator that yields what it waits for and
// what it gives; without promises it gives its elements at once.
import { isPromise, iteratorOf, type SourcePass } from "../train/source.js";

/** One that a flow gives. */
export class Element<T> {
  constructor(readonly value: T) {}
}

/** Yields promises, whose values it gets back, and elements. */
export type Flow<T> = Generator<PromiseLike<unknown> | Element<T>, void, unknown>;

/** The elements of a pass, one by one: at once, or as promises. Ask for one at a time. */
export interface Pass<T> {
  next(): IteratorResult<T, void> | Promise<IteratorResult<T, void>>;
  /** Ends the pass: what it reads from is closed. */
  return(): IteratorResult<T, void>;
  [Symbol.iterator](): Iterator<T>;
  /** See SourceStream. */
  skipped?: number;
}

const END = { done: true, value: undefined } as const;

export function passOf<T>(flow: Flow<T>): Pass<T> {
  const go = (resume: () => IteratorResult<unknown, void>): ReturnType<Pass<T>["next"]> => {
    const { done, value } = resume();
    if (done) return END;
    if (value instanceof Element) return { done: false, value: value.value };
    return answer(value as PromiseLike<unknown>);
  };
  const answer = async (promise: PromiseLike<unknown>): Promise<IteratorResult<T, void>> => {
    let resume: () => IteratorResult<unknown, void>;
    try {
      const value = await promise;
      resume = () => flow.next(value);
    } catch (error) {
      resume = () => flow.throw(error);
    }
    return go(resume);
  };
  const pass: Pass<T> = {
    next: () => go(() => flow.next()),
    return() {
      flow.return();
      return END;
    },
    [Symbol.iterator]: () => pass as Iterator<T>,
  };
  return pass;
}

/** What a flow waits for. */
export function* wait<T>(value: T | PromiseLike<T>): Generator<PromiseLike<unknown>, T, unknown> {
  return isPromise(value) ? ((yield value) as T) : (value as T);
}

/** Goes through what `open` gives. Whatever happens, it is closed in the end. */
export function* through<T, R>(
  where: string,
  opened: unknown,
  use: (next: () => Generator<PromiseLike<unknown>, IteratorResult<T, void>, unknown>) => Flow<R>,
): Flow<R> {
  const from = iteratorOf(where, yield* wait(opened));
  let ended = false;
  try {
    yield* use(function* () {
      const step = (yield* wait(from.next())) as IteratorResult<T, void>;
      ended = step.done === true;
      return step;
    });
  } finally {
    if (!ended) from.return?.();
  }
}

/** Opens a pass over elements. */
export type Open<T> = (pass: SourcePass) => Flow<T>;
