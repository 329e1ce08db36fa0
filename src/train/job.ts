// A job is a generator that asks for calls into the engine, and says where it may pause for the host. Its driver
// decides where the calls run: on this thread, or in the background.
import type { Engine } from "../engine/engine.js";
import { SteepestError } from "../engine/errors.js";
import { breathe } from "../engine/host.js";
import type { Region } from "../engine/ranges.js";
import type { Program } from "../graph/program.js";

/** Throws if a call runs in the background, which may be changing the values that `what` needs. */
export function assertIdle({ busy }: Engine, what: string): void {
  if (!busy) return;
  throw new SteepestError(
    `${what}: a call is running in the background: await it, or do this in onProgress or between epochs`,
  );
}

/** A call into the engine that a job asks for. */
export class EngineCall {
  constructor(
    readonly program: Program,
    readonly steps: number,
    /** The regions that are read after it, before the next call. */
    readonly reads: readonly Region[],
  ) {}
}

/**
 * What a job waits for: samples that arrive over time, a callback that writes a file. The engine is free meanwhile, and
 * nothing is copied back for it. The job keeps the value itself; a rejection is thrown into it.
 */
export class Waiting {
  constructor(
    /** For the error of a synchronous method, which cannot wait: "fit: its callback". */
    readonly what: string,
    readonly promise: PromiseLike<unknown>,
  ) {}
}

/** A job yields this when it is about to read what calls in the background have written. */
export class CopyBack {
  constructor(readonly regions: readonly Region[]) {}
}

/** Waits for a promise within a job, and returns its value. */
export function* waitFor<T>(what: string, promise: PromiseLike<T>): Generator<Waiting, T, number> {
  let value: T | undefined;
  yield new Waiting(
    what,
    promise.then((came) => {
      value = came;
    }),
  );
  return value as T;
}

/** A job yields this when the host may do something else. */
export const PAUSE: unique symbol = Symbol("pause");

/** The same, but the job keeps the engine meanwhile: no other job gets its turn. */
export const REST: unique symbol = Symbol("rest");

/** Makes something in parts, between which the host may do something else. */
export type InParts<T> = Generator<typeof REST, T>;

/** All parts at once. */
export function atOnce<T>(parts: InParts<T>): T {
  let next = parts.next();
  while (!next.done) next = parts.next();
  return next.value;
}

/** Lets the host do other work between the parts. */
export async function breathing<T>(parts: InParts<T>): Promise<T> {
  let next = parts.next();
  while (!next.done) {
    await breathe();
    next = parts.next();
  }
  return next.value;
}

/**
 * Yields calls, `PAUSE`, `REST`, what it waits for, what it copies back, and intermediate results (`Y`); returns `R`. The answer to a call is the number of steps that
 * were done. After an interrupt, it is lower than the job asked for, but at least one.
 */
export type Job<R, Y = never> = Generator<Yielded<Y>, R, number>;

/** Runs a job on the calling thread. Yields its intermediate results. */
export function* driveSync<R, Y>(engine: Engine, job: Job<R, Y>): Generator<Y, R> {
  assertIdle(engine, "trainer");
  let finished = false;
  try {
    let next = job.next(0);
    while (!next.done) {
      if (isResult(next.value)) yield next.value;
      next = advanceSync(engine, job, next.value);
    }
    finished = true;
    return next.value;
  } finally {
    // The loop was left early, or failed: the job frees its memory, and ends what it has begun.
    if (!finished) {
      let last = job.return(undefined as R);
      while (!last.done) last = advanceSync(engine, job, last.value);
    }
  }
}

/** What a job yields. */
type Yielded<Y> = EngineCall | Waiting | CopyBack | typeof PAUSE | typeof REST | Y;

function isResult<Y>(value: Yielded<Y>): value is Y {
  return !(
    value === PAUSE ||
    value === REST ||
    value instanceof EngineCall ||
    value instanceof Waiting ||
    value instanceof CopyBack
  );
}

function advanceSync<R, Y>(engine: Engine, job: Job<R, Y>, value: Yielded<Y>): Answer<R, Y> {
  if (value instanceof EngineCall) return answer(engine, job, value);
  if (!(value instanceof Waiting)) return job.next(0);
  // Nobody waits for it any more, so nobody else hears of its failure.
  value.promise.then(undefined, () => {});
  return job.throw(
    new SteepestError(
      `${value.what} takes time, which a synchronous method cannot wait for: call the method without Sync, and await it`,
    ),
  );
}

type Answer<R, Y> = ReturnType<Job<R, Y>["next"]>;

function answer<R, Y>(engine: Engine, job: Job<R, Y>, { program, steps }: EngineCall): Answer<R, Y> {
  try {
    engine.run(program.address, program.end, steps, program.threads);
  } catch (error) {
    return job.throw(error);
  }
  return job.next(steps);
}

async function answerInBackground<R, Y>(
  engine: Engine,
  job: Job<R, Y>,
  { program, steps, reads }: EngineCall,
): Promise<Answer<R, Y>> {
  let done: number;
  try {
    done = await engine.runInBackground(program.address, program.end, steps, program.threads, reads);
  } catch (error) {
    return job.throw(error);
  }
  return job.next(done);
}

/** Runs a job to its end on the calling thread. */
export function runSync<R>(engine: Engine, job: Job<R>): R {
  return driveSync<R, never>(engine, job).next().value as R;
}

/**
 * Runs a job without blocking the host: calls run in the background if the engine has one, and otherwise between
 * pauses. The job holds the engine from one pause or result to the next. `lasting`: the regions that it changes
 * permanently. They are copied back whenever it yields a result or ends.
 */
export async function* driveAsync<R, Y>(
  engine: Engine,
  job: Job<R, Y>,
  lasting: readonly Region[] = [],
): AsyncGenerator<Y, R> {
  let finished = false;
  // Without a background it begins at once: its arguments are read before the caller can change them.
  let release = engine.background ? await engine.acquire() : undefined;
  const free = (): void => {
    release?.();
    release = undefined;
  };
  const take = async (): Promise<void> => {
    if (engine.background) release ??= await engine.acquire();
  };
  try {
    let next = job.next(0);
    while (!next.done) {
      const { value } = next;
      // Without a background, what is computed at once must not wait even for a microtask.
      if (value instanceof EngineCall && !engine.background) {
        next = answer(engine, job, value);
        continue;
      }
      if (isResult(value)) {
        const failure = await outcomeOf(engine.fetch(lasting));
        if (failure !== undefined) {
          next = job.throw(failure.error);
          continue;
        }
        free();
        yield value;
      }
      next = await advance(engine, job, value, { free, take });
    }
    finished = true;
    return next.value;
  } finally {
    try {
      if (!finished) {
        await take();
        let last = job.return(undefined as R);
        while (!last.done) last = await advance(engine, job, last.value, { free, take });
      }
      // After a failure, of which the caller hears. A job that comes to its end or is left has copied back what it needs.
      if (engine.background) await engine.fetch(lasting).catch(() => {});
    } finally {
      free();
    }
  }
}

/** Frees the engine for others, and takes it again. */
interface Hold {
  free(): void;
  take(): Promise<void>;
}

async function advance<R, Y>(
  engine: Engine,
  job: Job<R, Y>,
  value: Yielded<Y>,
  { free, take }: Hold,
): Promise<Answer<R, Y>> {
  if (value instanceof EngineCall)
    return engine.background ? await answerInBackground(engine, job, value) : answer(engine, job, value);
  let failure: { readonly error: unknown } | undefined;
  if (value instanceof CopyBack) failure = await outcomeOf(engine.fetch(value.regions));
  else if (value === REST) await breathe();
  else {
    free();
    if (value === PAUSE) await breathe();
    else if (value instanceof Waiting) failure = await outcomeOf(value.promise);
    await take();
  }
  return failure === undefined ? job.next(0) : job.throw(failure.error);
}

async function outcomeOf(promise: PromiseLike<unknown>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** Runs a job to its end without blocking the host. */
export async function runAsync<R>(engine: Engine, job: Job<R>, lasting: readonly Region[] = []): Promise<R> {
  return (await driveAsync<R, never>(engine, job, lasting).next()).value as R;
}
