// A worker that traps at each phase of a step, in each mode that runs calls in one: the call is rejected with the reason, what is
// left says so, and nothing hangs; so too if one ends when all steps are done, with their results. (Workers that are ended from outside, at any moment and while they start: kills.test.ts.)

import type { Worker } from "node:worker_threads";
import {
  adam,
  compile,
  createEngine,
  crossEntropy,
  dense,
  type Engine,
  relu,
  SteepestError,
  sequential,
  ThreadError,
} from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kernelNames } from "../../src/engine/recorder.js";
import { blobs } from "../train/blobs.js";
import { withoutSharing } from "./sharing.js";

const PHASES = {
  "before the plan": (kernels: readonly string[]) => kernels.indexOf("gatherRows"),
  forward: (kernels: readonly string[]) => kernels.findIndex((name) => name.startsWith("gemm")),
  backward: (kernels: readonly string[]) => kernels.findLastIndex((name) => name.startsWith("gemm")),
  "the optimizer": (kernels: readonly string[]) => kernels.findIndex((name) => name.startsWith("adam")),
};

/** An engine whose next step writes beyond the memory at a phase. */
function trapping(engine: Engine, phase: keyof typeof PHASES) {
  let isArmed = false;
  const runInBackground: Engine["runInBackground"] = (program, end, steps, ...others) => {
    if (isArmed) {
      isArmed = false;
      const { words } = engine.heap;
      const at: number[] = [];
      for (let word = program / 4; word < end / 4; word += words[word + 1] / 4) at.push(word);
      const kernels = at.map((word) => kernelNames[words[word]] ?? "repeat");
      const index = PHASES[phase](kernels);
      expect(index, kernels.join()).toBeGreaterThanOrEqual(0);
      // Its first value is the address that it writes to.
      words[at[index] + 4] = 0xfffffff0;
      engine.markDirty(program, end - program);
    }
    return engine.runInBackground(program, end, steps, ...others);
  };
  const faulty: Engine = Object.create(engine, { runInBackground: { value: runInBackground } });
  const arm = (): void => {
    isArmed = true;
  };
  return { faulty, arm };
}

const model = sequential({ input: [2] }, dense(300), relu(), dense(3));
const recipe = { loss: crossEntropy(), optimizer: adam(), seed: 5 } as const;
const data = blobs(100);

const undisturbed = (async () => {
  using trainer = await compile(model, recipe);
  await trainer.trainSteps(data, { steps: 5 });
  return trainer.checkpoint();
})();

const MODES = [
  ["a worker that leads alone", { background: true }, false],
  ["a team that a worker leads", { background: true, threads: 3 }, false],
  ["a worker with a copy of the memory", { background: true }, true],
] as const;

describe.each(MODES)("%s", (_, options, copied) => {
  test.each(Object.keys(PHASES) as (keyof typeof PHASES)[])("traps in %s", async (phase) => {
    const open = () => createEngine(options);
    using engine = await (copied ? withoutSharing(open) : open());
    const { faulty, arm } = trapping(engine, phase);
    using trainer = await compile(model, { ...recipe, engine: faulty });
    await trainer.trainSteps(data, { steps: 2 });
    const saved = trainer.checkpoint();
    arm();
    const failure = await trainer.trainSteps(data, { steps: 3 }).then(
      () => undefined,
      (error) => error,
    );
    expect(failure).toBeInstanceOf(SteepestError);
    const closed = /engine: a kernel failed \(.*\), which closed it: compile the model again/;
    expect(failure.message).toMatch(closed);
    // Its state is not one of a whole step, and whatever would need it says so.
    await expect(trainer.predict(data.x)).rejects.toThrow(closed);
    await expect(trainer.trainSteps(data, { steps: 1 })).rejects.toThrow(closed);
    expect(() => trainer.checkpoint()).toThrow(closed);
    expect(() => trainer.restore(saved)).toThrow(closed);
    using next = await compile(model, { ...recipe, ...(copied ? {} : options) });
    next.restore(saved);
    await next.trainSteps(data, { steps: 3 });
    expect(next.parameters()).toEqual((await undisturbed).parameters);
  });
});

describe("a worker with a copy of the memory that ends before the results of a training are copied back", () => {
  const workers: Worker[] = [];
  const note = (worker: Worker): void => void workers.push(worker);
  beforeAll(() => void process.on("worker", note));
  afterAll(() => void process.off("worker", note));

  /** The engine's worker ends before the next copy back. */
  async function losing() {
    const engine = await withoutSharing(() => createEngine({ background: true }));
    const worker = workers.at(-1) as Worker;
    let isArmed = false;
    const fetch: Engine["fetch"] = async (regions) => {
      if (isArmed && !engine.isCurrent(regions)) await worker.terminate();
      return engine.fetch(regions);
    };
    const faulty: Engine = Object.create(engine, { fetch: { value: fetch } });
    const trainer = await compile(model, { ...recipe, engine: faulty });
    await trainer.trainSteps(data, { steps: 2 });
    const arm = (): void => {
      isArmed = true;
    };
    return { engine, trainer, arm };
  }

  type Trainer = Awaited<ReturnType<typeof losing>>["trainer"];
  test.each<[what: string, train: (trainer: Trainer) => PromiseLike<unknown>]>([
    ["trainSteps", (trainer) => trainer.trainSteps(data, { steps: 3 })],
    ["trainBatch", (trainer) => trainer.trainBatch(data)],
    ["fit", (trainer) => trainer.fit(data, { epochs: 2, batchSize: 50 })],
    [
      "fit that is left",
      async (trainer) => {
        for await (const _ of trainer.fit(data, { every: "step", batchSize: 50, epochs: 3 })) break;
      },
    ],
  ])("%s rejects, and the trainer says what state it is in", async (_, train) => {
    const { engine, trainer, arm } = await losing();
    const saved = trainer.checkpoint();
    arm();
    const failure = await Promise.resolve(train(trainer)).then(
      () => undefined,
      (error) => error,
    );
    expect(failure).toBeInstanceOf(ThreadError);
    expect(failure.message).toMatch(
      /^threads: the worker ended with code \d+, and what it had computed is lost with it$/,
    );
    expect(() => trainer.checkpoint()).toThrow(/closed, as step \d+ was torn \(.*\): call reset\(\) to start anew/);
    trainer.restore(saved);
    await trainer.trainSteps(data, { steps: 3 });
    expect(trainer.parameters()).toEqual((await undisturbed).parameters);
    trainer.dispose();
    engine.dispose();
  });
});
