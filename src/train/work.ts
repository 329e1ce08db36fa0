// Work in pieces: a generator that asks for calls into the engine and says where the host may breathe. Who drives it
// decides where the calls run: here, or in the background.
import type { Engine } from "../engine/engine.js";
import { SteepestError } from "../engine/errors.js";
import { breathe } from "../engine/host.js";
import type { Region } from "../engine/replica.js";
import type { Program } from "../graph/program.js";

/** Refuses what needs values that a call in the background may be changing. */
export function assertIdle({ busy }: Engine, what: string): void {
  if (!busy) return;
  throw new SteepestError(
    `${what}: a call is running in the background: await it, or do this in onProgress or between epochs`,
  );
}

/** A call into the engine that a piece of work asks for. */
export class EngineCall {
  constructor(
    readonly program: Program,
    readonly steps: number,
    /** What is looked at after it, before the next one. */
    readonly reads: readonly Region[],
  ) {}
}

/**
 * Yields calls, `undefined` where the host may breathe, and results on the way (`Y`); returns `R`. A call comes back with
 * the steps that were done: fewer than asked for, but at least one, after an interrupt.
 */
export type Work<R, Y = never> = Generator<EngineCall | undefined | Y, R, number>;

/** Drives work on the calling thread. Yields what is neither a call nor a breath. */
export function* here<R, Y>(engine: Engine, work: Work<R, Y>): Generator<Y, R> {
  assertIdle(engine, "trainer");
  let finished = false;
  try {
    let next = work.next(0);
    while (!next.done) {
      const { value } = next;
      if (value instanceof EngineCall) {
        next = answer(engine, work, value);
      } else {
        if (value !== undefined) yield value as Y;
        next = work.next(0);
      }
    }
    finished = true;
    return next.value;
  } finally {
    // Left early: the work gives back what it holds.
    if (!finished) work.return(undefined as R);
  }
}

type Answer<R, Y> = IteratorResult<EngineCall | undefined | Y, R>;

function answer<R, Y>(engine: Engine, work: Work<R, Y>, { program, steps }: EngineCall): Answer<R, Y> {
  try {
    engine.run(program.address, program.end, steps, program.threads);
  } catch (error) {
    return work.throw(error);
  }
  return work.next(steps);
}

async function answerAway<R, Y>(
  engine: Engine,
  work: Work<R, Y>,
  { program, steps, reads }: EngineCall,
): Promise<Answer<R, Y>> {
  let done: number;
  try {
    done = await engine.runInBackground(program.address, program.end, steps, program.threads, reads);
  } catch (error) {
    return work.throw(error);
  }
  return work.next(done);
}

/** Drives work to its end on the calling thread. */
export function finish<R>(engine: Engine, work: Work<R>): R {
  return here<R, never>(engine, work).next().value as R;
}

/**
 * Drives work without keeping the host: calls run in the background where the engine has one, and else between breaths.
 * From one breath or result to the next the work has the engine for itself. `lasting`: what it changes for good, and
 * others may look at when it has come to a result or an end.
 */
export async function* away<R, Y>(
  engine: Engine,
  work: Work<R, Y>,
  lasting: readonly Region[] = [],
): AsyncGenerator<Y, R> {
  let finished = false;
  // Where nothing runs in the background it begins at once: what it is given is read before the caller can change it.
  let release = engine.background ? await engine.acquire() : () => {};
  try {
    let next = work.next(0);
    while (!next.done) {
      const { value } = next;
      if (value instanceof EngineCall) {
        next = engine.background ? await answerAway(engine, work, value) : answer(engine, work, value);
        continue;
      }
      if (value !== undefined) await engine.fetch(lasting);
      release();
      if (value === undefined) await breathe();
      else yield value as Y;
      if (engine.background) release = await engine.acquire();
      next = work.next(0);
    }
    finished = true;
    return next.value;
  } finally {
    if (!finished) work.return(undefined as R);
    // An engine that was closed has nothing to bring.
    if (engine.background) await engine.fetch(lasting).catch(() => {});
    release();
  }
}

/** Drives work to its end without keeping the host. */
export async function finishAway<R>(engine: Engine, work: Work<R>, lasting: readonly Region[] = []): Promise<R> {
  return (await away<R, never>(engine, work, lasting).next()).value as R;
}
