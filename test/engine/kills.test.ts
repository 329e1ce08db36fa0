// Workers are ended from outside at random moments, in every mode and phase. Each time the answer comes, what is left is
// the state of a whole step, bit for bit, or closed by name; it goes on with the right bits; and no worker stays.
// A few kills in each mode; all 200 with STEEPEST_EXHAUSTIVE=1.
import type { Worker } from "node:worker_threads";
import {
  adam,
  type Checkpoint,
  type CompileOptions,
  compile,
  crossEntropy,
  dense,
  dropout,
  relu,
  SteepestError,
  sequential,
  ThreadError,
  type Trainer,
} from "steepest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lehmer } from "../train/blobs.js";
import { withoutSharing } from "./sharing.js";

const exhaustive = process.env.STEEPEST_EXHAUSTIVE === "1";
const KILLS = exhaustive ? 40 : 4;
// A hang shows as a time-out of the test, and what was found out only by waiting for a minute by the reason that the error
// gives; a busy machine may take long.
function expectLoss(failure: unknown): void {
  expect(failure).toBeInstanceOf(ThreadError);
  expect((failure as Error).message).not.toMatch(/given no sign for a minute/);
}

const SAMPLES = 32;
const values = lehmer(11);
const data = {
  x: Float32Array.from({ length: SAMPLES * 64 }, () => values() - 0.5),
  y: Uint8Array.from({ length: SAMPLES }, () => Math.floor(values() * 10)),
};
const model = sequential({ input: [64] }, dense(512), relu(), dropout(0.2), dense(10));
const recipe = { loss: crossEntropy(), optimizer: adam({ learningRate: 1e-4 }), seed: 5 } as const;

type Subject = Trainer<never, readonly number[], readonly number[]>;

/** What came of the kills, for the record. */
const figures = new Map<string, Record<string, number>>();
function count(mode: string, what: string): void {
  const of = figures.get(mode) ?? {};
  of[what] = (of[what] ?? 0) + 1;
  figures.set(mode, of);
}

/** A trainer and the workers that were started for it, as they come and while they live. */
async function open(options: Partial<CompileOptions>, early?: (worker: Worker) => void) {
  const workers: Worker[] = [];
  const living = new Set<Worker>();
  const note = (worker: Worker): void => {
    workers.push(worker);
    living.add(worker);
    worker.once("exit", () => living.delete(worker));
    early?.(worker);
  };
  process.on("worker", note);
  try {
    return { trainer: (await compile(model, { ...recipe, ...options })) as Subject, workers, living };
  } finally {
    process.off("worker", note);
  }
}

/** What watches all teams of the process: it is started with the first, and stays. */
let watcher: Worker | undefined;
beforeAll(async () => {
  const { trainer, workers, living } = await open({ threads: 2 });
  trainer.dispose();
  while (living.size === workers.length) await pause(1);
  [watcher] = living;
});

const reference = compile(model, recipe) as Promise<Subject>;

/** The state after so many steps on all samples, of a training that nothing disturbed. */
async function undisturbed(steps: number, from?: Checkpoint): Promise<Checkpoint> {
  const trainer = await reference;
  trainer.reset();
  if (from !== undefined) trainer.restore(from);
  if (steps > 0) trainer.trainStepsSync(data, { steps });
  return trainer.checkpoint();
}

/** Whether two states are the same bits, but for the count of passes over the data. */
function expectSame(a: Checkpoint, b: Checkpoint): void {
  expect(a.steps).toBe(b.steps);
  const blocks = ({ parameters, optimizer }: Checkpoint) => [parameters, ...optimizer.slots.values()];
  blocks(a).forEach((block, index) => {
    for (const [path, { data }] of block) {
      const other = blocks(b)[index].get(path)?.data as Float32Array;
      expect(
        data.every((value, i) => Object.is(value, other[i])),
        `${path} after ${a.steps} steps`,
      ).toBe(true);
    }
  });
}

/** Looks at what a kill has left, and goes on from it, by itself or after `reset()` or `restore()`. */
async function judge(mode: string, trainer: Subject, start: Checkpoint, random: () => number): Promise<void> {
  let state: Checkpoint | undefined;
  try {
    state = trainer.checkpoint();
  } catch (error) {
    expect(error).toBeInstanceOf(SteepestError);
    expect((error as Error).message).toMatch(/call reset\(\)/);
    expect(() => trainer.predictSync(data.x)).toThrow(/call reset\(\)/);
  }
  count(mode, state === undefined ? "closed" : "whole step");
  if (state !== undefined) {
    expect(state.steps).toBe(trainer.steps);
    expectSame(state, await undisturbed(state.steps));
  } else if (random() < 0.5) trainer.reset();
  else trainer.restore(start);
  const from = trainer.steps;
  await trainer.trainSteps(data, { steps: 3 });
  expectSame(trainer.checkpoint(), await undisturbed(from + 3));
}

async function allGone(living: ReadonlySet<Worker>): Promise<void> {
  await expect.poll(() => living.size).toBe(0);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)];
const kills = Array.from({ length: KILLS }, (_, index) => index + 1);

const background = [
  ["a worker that leads alone", { background: true }, false],
  ["one of a team that a worker leads", { background: true, threads: 3 }, false],
  ["a worker with a copy of the memory", { background: true }, true],
] as const;

test.each(background.flatMap(([mode, options, copied]) => kills.map((kill) => [mode, kill, options, copied] as const)))(
  "%s, kill %i",
  async (mode, kill, options, copied) => {
    const random = lehmer(kill * 7919 + mode.length);
    const opening = () => open(options);
    const { trainer, workers, living } = await (copied ? withoutSharing(opening) : opening());
    const threads = trainer.threads;
    const start = trainer.checkpoint();
    // More than a busy machine trains before the worker is ended.
    const training = trainer.trainSteps(data, { steps: 2_000_000 });
    const failed = training.catch((error: unknown) => error);
    if (random() < 0.8) await pause(random() * 60);
    const victim = pick(workers, random);
    await victim.terminate();
    expectLoss(await failed);
    // The calling thread takes the place of a leader that is lost.
    const led = victim === workers[0];
    expect([trainer.threads, trainer.background]).toEqual(led ? [threads, false] : [threads - 1, true]);
    await judge(mode, trainer, start, random);
    trainer.dispose();
    await allGone(living);
  },
);

test.each(kills)("one of a team that the calling thread leads, kill %i", async (kill) => {
  const mode = "one of a team that the calling thread leads";
  const random = lehmer(kill * 104729);
  const { trainer, workers, living } = await open({ threads: 3 });
  const start = trainer.checkpoint();
  const victim = pick(workers, random);
  let failure: unknown;
  try {
    for (let call = 0; call < 100_000; call++) {
      // It ends while this thread works: nobody hears of it but the watcher.
      if (call === 3) victim.terminate();
      const until = performance.now() + random() * 2;
      while (call === 3 && performance.now() < until);
      if (random() < 0.5) trainer.trainStepsSync(data, { steps: 1 + Math.floor(random() * 20) });
      else await trainer.trainSteps(data, { steps: 1 + Math.floor(random() * 20) });
    }
  } catch (error) {
    failure = error;
  }
  expectLoss(failure);
  expect((failure as Error).message).toMatch(/the engine goes on with 2 threads/);
  expect(trainer.threads).toBe(2);
  await judge(mode, trainer, start, random);
  trainer.dispose();
  await allGone(living);
});

test.each(kills)("while they start, kill %i", async (kill) => {
  const mode = "while they start";
  const random = lehmer(kill * 1299709);
  const copied = random() < 0.3;
  const options = { threads: copied ? 1 : 2, background: copied || random() < 0.5 };
  const victim = Math.floor(random() * (options.background ? options.threads : 1));
  const delay = random() * 40;
  let seen = 0;
  const living = new Set<Worker>();
  const early = (worker: Worker): void => {
    living.add(worker);
    worker.once("exit", () => living.delete(worker));
    if (seen++ === victim) setTimeout(() => worker.terminate(), delay);
  };
  const opening = () => open(options, early);
  let opened: Awaited<ReturnType<typeof open>> | undefined;
  try {
    opened = await (copied ? withoutSharing(opening) : opening());
  } catch (error) {
    expect(error).toBeInstanceOf(ThreadError);
  }
  count(mode, opened === undefined ? "refused" : "started before");
  if (opened !== undefined) {
    const { trainer } = opened;
    const start = trainer.checkpoint();
    await pause(60);
    // Whether the first call meets the loss or not.
    await trainer.trainSteps(data, { steps: 2 }).catch((error) => expect(error).toBeInstanceOf(ThreadError));
    await judge(mode, trainer, start, random);
    trainer.dispose();
  }
  await allGone(living);
});

test("the watcher itself is missed by nobody: the next team has another", async () => {
  const { trainer, living } = await open({ threads: 2 });
  await watcher?.terminate();
  trainer.trainStepsSync(data, { steps: 5 });
  expectSame(trainer.checkpoint(), await undisturbed(5));
  trainer.dispose();
  await allGone(living);
  const next = await open({ threads: 2 });
  next.workers[0].terminate();
  expect(() => next.trainer.trainStepsSync(data, { steps: 1000 })).toThrow(ThreadError);
  next.trainer.dispose();
  await expect.poll(() => next.living.size).toBe(1);
});

afterAll(async () => {
  (await reference).dispose();
  if (exhaustive) console.log(Object.fromEntries(figures));
});
