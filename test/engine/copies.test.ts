// The background has a copy of the memory, as in a page that is not isolated, and synchronous calls run here beside it:
// each side must see what the other has computed, or the call is refused by name and changes nothing.
import type { Worker } from "node:worker_threads";
import {
  adam,
  compile,
  createEngine,
  createWorkspace,
  crossEntropy,
  dense,
  dropout,
  relu,
  sequential,
  sgd,
} from "steepest";
import { compileFunction, mean, mul, square, sub } from "steepest/graph";
import { expect, test } from "vitest";
import { rows, startRecording } from "../../src/engine/instructions.js";
import { installProgram } from "../../src/graph/program.js";
import { lehmer } from "../train/blobs.js";
import { withoutSharing } from "./sharing.js";

const random = lehmer(21);
const data = {
  x: Float32Array.from({ length: 320 * 64 }, () => random() - 0.5),
  y: Uint8Array.from({ length: 320 }, () => Math.floor(random() * 10)),
};
const some = { x: data.x.subarray(0, 32 * 64), y: data.y.subarray(0, 32) };
const model = sequential({ input: [64] }, dense(128), relu(), dropout(0.3), dense(10));
const recipe = { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"], seed: 1 } as const;
const fitOptions = { epochs: 3, batchSize: 32 };

const copied = () => withoutSharing(() => createEngine({ background: true }));

test("predictions and gradients in onProgress and between epochs are those of the step, and disturb nothing", async () => {
  const follow = async (background: boolean) => {
    using engine = background ? await copied() : await createEngine();
    using trainer = await compile(model, { ...recipe, engine });
    const seen = new Map<number, unknown>();
    const look = () =>
      seen.set(trainer.steps, [trainer.predictSync(some.x), trainer.gradientsSync(some), trainer.parameters()]);
    const losses: number[] = [];
    for await (const { loss, accuracy } of trainer.fit(data, { ...fitOptions, onProgress: look })) {
      losses.push(loss, accuracy);
      look();
      seen.set(-trainer.steps, trainer.checkpoint());
    }
    return {
      seen,
      losses,
      end: trainer.checkpoint(),
      after: trainer.trainStepsSync(data, { steps: 3, batchSize: 32 }),
    };
  };
  const [here, there] = [await follow(false), await follow(true)];
  expect(there.losses).toEqual(here.losses);
  expect(there.end).toEqual(here.end);
  expect(there.after).toEqual(here.after);
  // How many steps a call has is left to the clock: what both have looked at is the same.
  const both = [...there.seen.keys()].filter((step) => here.seen.has(step));
  expect(both.length).toBeGreaterThan(5);
  for (const step of both) expect(there.seen.get(step)).toEqual(here.seen.get(step));
});

test("others of the same engine train, compute and predict at any time beside a fit", async () => {
  using engine = await copied();
  using trainer = await compile(model, { ...recipe, engine });
  using undisturbed = await compile(model, recipe);
  using other = await compile(model, { ...recipe, engine, seed: 2 });
  using otherAlone = await compile(model, { ...recipe, seed: 2 });
  using workspace = await createWorkspace({ engine, seed: 3 });
  using workspaceAlone = await createWorkspace({ seed: 3 });
  const line = sequential({ input: [2] }, dense(1));
  const [step, stepAlone] = [workspace, workspaceAlone].map((one) =>
    one.step(({ x, y }, { apply }) => ({ loss: mean(square(sub(apply(x, line), y))) }), {
      inputs: { x: [4, 2], y: [4, 1] },
      train: line,
      optimizer: sgd({ learningRate: 0.1 }),
    }),
  );
  const xor = {
    x: [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ],
    y: [[0], [1], [1], [0]],
  };
  using double = await compileFunction(({ x }) => ({ y: mul(x, 2) }), { x: [3] }, { engine });
  const losses: number[] = [];
  let calls = 0;
  const beside = () => {
    if (engine.busy) return;
    calls += 1;
    expect(other.trainStepsSync(some, { steps: 2 })).toEqual(otherAlone.trainStepsSync(some, { steps: 2 }));
    expect(other.predictSync(some.x)).toEqual(otherAlone.predictSync(some.x));
    expect(other.evaluateSync(some)).toEqual(otherAlone.evaluateSync(some));
    expect(step(xor)).toEqual(stepAlone(xor));
    expect([...double({ x: [1, 2, calls] }).y]).toEqual([2, 4, 2 * calls]);
  };
  // Between any two calls of the fit, and in its own turns.
  let open = true;
  const always = (async () => {
    for (; open; await new Promise((resolve) => setImmediate(resolve))) beside();
  })();
  for await (const { loss } of trainer.fit(data, { ...fitOptions, onProgress: beside })) losses.push(loss);
  open = false;
  await always;
  expect(calls).toBeGreaterThan(3);
  expect(losses).toEqual(undisturbed.fitSync(data, fitOptions).map(({ loss }) => loss));
  expect(trainer.checkpoint()).toEqual(undisturbed.checkpoint());
  // And from here to there.
  expect(await other.trainSteps(some, { steps: 2 })).toEqual(otherAlone.trainStepsSync(some, { steps: 2 }));
  expect(other.checkpoint()).toEqual(otherAlone.checkpoint());
});

test("what cannot be right at once is refused by name, and changes nothing", async () => {
  using engine = await copied();
  using trainer = await compile(model, { ...recipe, engine });
  using undisturbed = await compile(model, recipe);
  const training = trainer.trainSteps(data, { steps: 400, batchSize: 32 });
  let refused = 0;
  let open = true;
  const asking = (async () => {
    for (; open; await new Promise((resolve) => setImmediate(resolve))) {
      if (engine.busy || trainer.steps === 0) continue;
      for (const ask of [() => trainer.predictSync(some.x), () => trainer.gradientsSync(some)]) {
        expect(ask).toThrow(
          /^engine: the background, which has a copy of the memory, has newer values .*: do it in onProgress/,
        );
      }
      expect(() => trainer.parameters()).toThrow(/^parameters: the background, which has a copy/);
      expect(() => trainer.checkpoint()).toThrow(/^checkpoint: the background, which has a copy/);
      refused += 1;
    }
  })();
  const losses = await training.finally(() => {
    open = false;
  });
  await asking;
  expect(refused).toBeGreaterThan(0);
  expect(losses).toEqual(undisturbed.trainStepsSync(data, { steps: 400, batchSize: 32 }));
  expect(trainer.checkpoint()).toEqual(undisturbed.checkpoint());
  expect(trainer.predictSync(some.x)).toEqual(undisturbed.predictSync(some.x));
});

test("a call takes along what it works on, and nothing else", async () => {
  const workers: Worker[] = [];
  process.on("worker", (worker: Worker) => workers.push(worker));
  using engine = await copied();
  process.removeAllListeners("worker");
  using trainer = await compile(model, { ...recipe, engine });
  using other = await compile(model, { ...recipe, engine });
  let sent = 0;
  const [worker] = workers;
  const { postMessage } = worker;
  worker.postMessage = (message: { writes?: { bytes: number }[] }, transfer) => {
    for (const { bytes } of message.writes ?? []) sent += bytes;
    postMessage.call(worker, message, transfer);
  };
  const resident = trainer.load(data);
  const bytesOf = async (call: () => Promise<unknown>): Promise<number> => {
    sent = 0;
    await call();
    return sent;
  };
  const steps = () => trainer.trainSteps(resident, { steps: 2, batchSize: 32 });
  // The parameters and the optimizer's moments are there from the first call on; so are the data from the second.
  expect(await bytesOf(steps)).toBeGreaterThan(data.x.byteLength);
  const little = 8192;
  expect(await bytesOf(steps)).toBeLessThan(little);
  // Neither what others do here, nor this trainer's predictions from values that are there, nor data for later.
  other.fitSync(data, { epochs: 1, batchSize: 32 });
  trainer.predictSync(data.x);
  const later = trainer.load(data);
  expect(await bytesOf(steps)).toBeLessThan(little);
  // What was trained here goes there whole, once.
  trainer.trainStepsSync(resident, { steps: 1, batchSize: 32 });
  const parameters = 64 * 128 + 128 + 128 * 10 + 10;
  expect(await bytesOf(steps)).toBeGreaterThan(3 * 4 * parameters);
  expect(await bytesOf(steps)).toBeLessThan(little);
  later.dispose();
});

test("a loss closes who was being trained there, by name, and nobody else", async () => {
  const workers: Worker[] = [];
  process.on("worker", (worker: Worker) => workers.push(worker));
  using engine = await copied();
  process.removeAllListeners("worker");
  using trainer = await compile(model, { ...recipe, engine });
  using other = await compile(model, { ...recipe, engine });
  using waiting = await compile(model, { ...recipe, engine });
  // They take turns: while a call of one is lost, the other stands in the midst of its work, between two calls.
  const trainings = [trainer, waiting].map((one) => one.trainSteps(data, { steps: 100_000, batchSize: 32 }));
  const failures = trainings.map((training) =>
    expect(training).rejects.toThrow(/threads: the worker ended with code 1/),
  );
  await expect.poll(() => Math.min(trainer.steps, waiting.steps)).toBeGreaterThan(0);
  await workers[0].terminate();
  await Promise.all(failures);
  for (const lost of [trainer, waiting]) {
    expect(() => lost.predictSync(some.x)).toThrow(/closed, as step \d+ was torn .*: call reset\(\)/);
    expect(() => lost.checkpoint()).toThrow(/closed, as step \d+ was torn/);
    lost.reset();
  }
  using alone = await compile(model, recipe);
  const [losses] = [alone.trainStepsSync(data, { steps: 5, batchSize: 32 })];
  for (const one of [trainer, waiting, other]) {
    expect(await one.trainSteps(data, { steps: 5, batchSize: 32 })).toEqual(losses);
    expect(one.checkpoint()).toEqual(alone.checkpoint());
  }
});

/** Whether it has the state of a whole step. */
function isWhole(trainer: { parameters(): unknown }): boolean {
  try {
    trainer.parameters();
    return true;
  } catch {
    return false;
  }
}

test("a loss at any call of a training closes it by name, or loses nothing: also while values are copied or looked through", async () => {
  using alone = await compile(model, recipe);
  const closed: number[] = [];
  for (let victim = 0; victim < 12; victim++) {
    const workers: Worker[] = [];
    process.on("worker", (worker: Worker) => workers.push(worker));
    using engine = await copied();
    process.removeAllListeners("worker");
    using trainer = await compile(model, { ...recipe, tripwire: "all", engine });
    const { runInBackground } = engine;
    let calls = 0;
    engine.runInBackground = async (...call) => {
      if (calls++ === victim) await workers[0].terminate();
      return runInBackground(...call);
    };
    const steps = { steps: 40, batchSize: 32 };
    const training = trainer.trainSteps(data, steps);
    alone.reset();
    const losses = alone.trainStepsSync(data, steps);
    if (await training.catch(() => undefined)) {
      expect(await training).toEqual(losses);
      expect(trainer.parameters()).toEqual(alone.parameters());
      continue;
    }
    await expect(training).rejects.toThrow(/threads: the worker ended with code 1/);
    if (isWhole(trainer)) {
      alone.reset();
      if (trainer.steps > 0) alone.trainStepsSync(data, { steps: trainer.steps, batchSize: 32 });
      expect(trainer.parameters()).toEqual(alone.parameters());
      continue;
    }
    expect(() => trainer.predictSync(some.x)).toThrow(/closed, as step \d+ was torn .*: call reset\(\)/);
    closed.push(victim);
    trainer.reset();
    expect(await trainer.trainSteps(data, steps)).toEqual(losses);
    expect(trainer.parameters()).toEqual(alone.parameters());
  }
  expect(closed.length).toBeGreaterThan(3);
});

test("a worker that is lost between two calls makes the next one reject, instead of holding the calling thread for its steps; then it goes on here", async () => {
  const workers: Worker[] = [];
  process.on("worker", (worker: Worker) => workers.push(worker));
  using engine = await copied();
  process.removeAllListeners("worker");
  using trainer = await compile(model, { ...recipe, engine });
  using alone = await compile(model, recipe);
  await trainer.trainSteps(data, { steps: 3, batchSize: 32 });
  alone.trainStepsSync(data, { steps: 3, batchSize: 32 });
  await workers[0].terminate();
  // Synchronous calls never needed it.
  expect(trainer.predictSync(some.x)).toEqual(alone.predictSync(some.x));
  await expect(trainer.trainSteps(data, { steps: 2000 })).rejects.toThrow(
    /^threads: the worker ended with code 1: the engine goes on here$/,
  );
  expect([trainer.background, trainer.steps]).toEqual([false, 3]);
  const next = { steps: 4, batchSize: 32 };
  expect(await trainer.trainSteps(data, next)).toEqual(alone.trainStepsSync(data, next));
  expect(trainer.parameters()).toEqual(alone.parameters());
});

test("a kernel that fails over the copy closes the engine, by name", async () => {
  using engine = await copied();
  using trainer = await compile(model, { ...recipe, engine });
  const { record, ...recording } = startRecording();
  record.fill(rows(1024, 1e6), engine.memoryBytes() - 64, 4096, 1);
  const { address, end } = installProgram(engine, { record, ...recording });
  const closed = /a kernel failed \(.*out of bounds\), which closed it: compile the model again/;
  await expect(engine.runInBackground(address, end, 1)).rejects.toThrow(closed);
  expect(() => trainer.predictSync(some.x)).toThrow(closed);
  await expect(trainer.trainBatch(some)).rejects.toThrow(closed);
});
