// Calls in the background: a worker leads them, the calling thread stays free, the bits are the same.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import {
  adam,
  compile,
  createEngine,
  createEngineSync,
  crossEntropy,
  dense,
  dropout,
  type Engine,
  relu,
  sequential,
  type Trainer,
} from "steepest";
import { compileFunction, mul } from "steepest/graph";
import { describe, expect, test } from "vitest";
import { rows, startRecording } from "../../src/engine/instructions.js";
import { installProgram } from "../../src/graph/program.js";
import { lehmer } from "../train/blobs.js";
import { untilBusy, withoutSharing } from "./sharing.js";

const random = lehmer(3);
const data = {
  x: Float32Array.from({ length: 400 * 200 }, () => random() - 0.5),
  y: Uint8Array.from({ length: 400 }, () => Math.floor(random() * 10)),
};
const model = sequential({ input: [200] }, dense(256), relu(), dropout(0.2), dense(128), relu(), dense(10));
const recipe = { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"], seed: 5 } as const;

async function train(options: { threads?: number; background: boolean }) {
  using trainer = await compile(model, { ...recipe, ...options });
  expect(trainer.background).toBe(options.background);
  const results: unknown[] = [];
  for await (const { loss, accuracy, validation } of trainer.fit(data, {
    epochs: 2,
    batchSize: 64,
    validation: data,
  })) {
    results.push(loss, accuracy, validation);
  }
  results.push(await trainer.trainSteps(data, { steps: 3, batchSize: 300 }), await trainer.trainBatch(data));
  results.push(await trainer.evaluate(data), await trainer.predict(data.x), await trainer.gradients(data));
  return { results, parameters: trainer.parameters(), steps: trainer.steps };
}

test("gives the same bits as on the calling thread, with any number of threads", async () => {
  const alone = await train({ background: false });
  for (const threads of [1, 2, 3]) expect(await train({ threads, background: true })).toEqual(alone);
});

describe("where memory cannot be shared the worker has a copy of it", () => {
  const open = () => withoutSharing(() => compile(model, { ...recipe, background: true, threads: 2 }));

  test("the same bits, with one thread", async () => {
    const alone = await train({ background: false });
    expect(await withoutSharing(() => train({ background: true }))).toEqual(alone);
    using trainer = await open();
    expect([trainer.threads, trainer.background]).toEqual([1, true]);
  });

  test("synchronous and asynchronous calls go on from each other, and so do set parameters and reset", async () => {
    using trainer = await open();
    using reference = await compile(model, recipe);
    const resident = trainer.load(data);
    const start = reference.parameters();
    const both = async (steps: number) => {
      await trainer.trainSteps(resident, { steps, batchSize: 100 });
      trainer.trainStepsSync(resident, { steps, batchSize: 100 });
      reference.trainStepsSync(data, { steps, batchSize: 100 });
      reference.trainStepsSync(data, { steps, batchSize: 100 });
      expect(trainer.parameters()).toEqual(reference.parameters());
    };
    await both(3);
    await both(5);
    trainer.setParameters(start);
    reference.setParameters(start);
    expect(await trainer.evaluate(resident)).toEqual(reference.evaluateSync(data));
    await both(2);
    trainer.reset();
    reference.reset();
    expect(await trainer.predict(data.x)).toEqual(reference.predictSync(data.x));
    await both(4);
  });

  test("progress and results between epochs see the parameters as they are", async () => {
    using trainer = await open();
    using reference = await compile(model, recipe);
    const steps: number[] = [];
    const seen: unknown[] = [];
    const options = { batchSize: 100, epochs: 2, shuffle: false };
    for await (const _ of trainer.fit(data, {
      ...options,
      onProgress: () => {
        steps.push(trainer.steps);
        seen.push(trainer.parameters());
      },
    })) {
      steps.push(trainer.steps);
      seen.push(trainer.parameters());
    }
    const resident = reference.load(data);
    const expected = steps.map((step) => {
      while (reference.steps < step) reference.trainFor(1e-6, resident, { batchSize: 100, shuffle: false });
      expect(reference.steps).toBe(step);
      return reference.parameters();
    });
    expect(seen).toEqual(expected);
  });

  test("what does not fit one message goes in several", async () => {
    // Data of 1.2 MB, as much of parameters, and twice that for Adam; a message takes 1 MB.
    const wide = sequential({ input: [200] }, dense(1400), relu(), dense(10));
    const many = {
      x: Float32Array.from({ length: 1500 * 200 }, () => random() - 0.5),
      y: new Uint8Array(1500).fill(3),
    };
    const results = async (options: { background: boolean }) => {
      using trainer = await compile(wide, { ...recipe, ...options });
      const seen: unknown[] = [];
      for await (const { loss } of trainer.fit(many, { epochs: 2, batchSize: 500 })) seen.push(loss);
      trainer.trainStepsSync(many, { steps: 1, batchSize: 500 });
      seen.push(await trainer.evaluate(many));
      // As a digest: a list of millions of differences would take minutes to print.
      for (const { data } of trainer.parameters().values()) seen.push(createHash("sha256").update(data).digest("hex"));
      return seen;
    };
    expect(await withoutSharing(() => results({ background: true }))).toEqual(await results({ background: false }));
  });

  test("a worker that is lost closes the trainer until reset(); then it goes on here", async () => {
    const workers: Worker[] = [];
    process.on("worker", (worker: Worker) => workers.push(worker));
    using engine = await openEngine("copied");
    process.removeAllListeners("worker");
    using trainer = await compile(model, { ...recipe, engine });
    const start = trainer.parameters();
    const training = trainer.trainSteps(data, { steps: 100_000, batchSize: 8 });
    // Later than in the first call, which would be as if it had not been made.
    await expect.poll(() => trainer.steps).toBeGreaterThan(0);
    for (const worker of workers) worker.terminate();
    await expect(training).rejects.toThrow(/threads: the worker ended with code 1: the engine goes on here/);
    expect(trainer.background).toBe(false);
    expect(() => trainer.predictSync(data.x)).toThrow(/closed, as step \d+ was torn/);
    trainer.reset();
    expect(trainer.parameters()).toEqual(start);
    expect(await trainer.trainSteps(data, { steps: 2 })).toHaveLength(2);
  });
});

test("a bad value far into a data set is named by its place, and nothing stays in memory", async () => {
  using engine = await createEngine({ background: true });
  using trainer = await compile(model, { ...recipe, engine });
  const before = engine.allocator.usedBytes();
  const many = { x: new Float32Array(1500 * 200), y: new Uint32Array(1500) };
  many.x[250_001] = Number.NaN;
  const message = /^x: every value must be a finite float32, got NaN at index 250001/;
  await expect(trainer.evaluate(many)).rejects.toThrow(message);
  expect(() => trainer.load(many)).toThrow(message);
  expect(engine.allocator.usedBytes()).toBe(before);
  // Through a typed array as through a list.
  await expect(trainer.evaluate({ x: [...many.x], y: many.y })).rejects.toThrow(message);
});

test("calls take turns: a prediction during a fit sees whole steps, and changes none", async () => {
  using reference = await compile(model, recipe);
  const expected: Float32Array[] = [reference.predictSync(data.x.subarray(0, 200))];
  for (let step = 0; step < 30; step++) {
    reference.trainStepsSync(data, { steps: 1, shuffle: false });
    expected.push(reference.predictSync(data.x.subarray(0, 200)));
  }
  await using(async (trainer) => {
    const training = trainer.trainSteps(data, { steps: 30, shuffle: false });
    let done = false;
    training.finally(() => {
      done = true;
    });
    let seen = 0;
    while (!done) {
      const prediction = await trainer.predict(data.x.subarray(0, 200));
      const step = expected.findIndex((values) => values.every((value, i) => value === prediction[i]));
      expect(step).toBeGreaterThanOrEqual(seen);
      seen = step;
    }
    await training;
    expect(trainer.parameters()).toEqual(reference.parameters());
  });
});

test("what needs the values at once is refused while a call runs, and loses nothing", async () => {
  await using(async (trainer) => {
    const resident = trainer.load(data);
    const training = trainer.trainSteps(resident, { steps: 20 });
    const message = /a call is running in the background: await it/;
    // The first step is planned in parts, between which nothing runs.
    const isRefused = (): boolean => {
      try {
        trainer.parameters();
        return false;
      } catch {
        return true;
      }
    };
    for (let turn = 0; turn < 1000 && !isRefused(); turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(() => trainer.parameters()).toThrow(message);
    // By the trainer, before it writes what the call may be reading.
    expect(() => trainer.predictSync(data.x)).toThrow(/^trainer: a call is running/);
    expect(() => trainer.trainBatchSync(data)).toThrow(/^trainBatch: a call is running/);
    expect(() => trainer.reset()).toThrow(message);
    expect(() => resident.dispose()).toThrow(message);
    expect(await training).toHaveLength(20);
    expect(trainer.steps).toBe(20);
    resident.dispose();
  });
});

test("onProgress and the time between epochs may read values", async () => {
  await using(async (trainer) => {
    let seen = 0;
    for await (const _ of trainer.fit(data, {
      batchSize: 100,
      epochs: 2,
      onProgress: () => {
        seen += trainer.predictSync(data.x.subarray(0, 200)).length;
      },
    })) {
      expect(trainer.parameters().size).toBe(6);
    }
    expect(seen).toBeGreaterThan(0);
  });
});

test.each([
  ["shared", 1],
  ["shared", 3],
  ["copied", 1],
])(
  "an abort ends a fit after the step it is at; what was trained counts (%s, threads: %i)",
  async (memory, threads) => {
    using engine = await openEngine(memory, threads);
    using trainer = await compile(model, { ...recipe, engine });
    using reference = await compile(model, recipe);
    const resident = trainer.load(data);
    const abort = new AbortController();
    // Calls become long: after some hundred steps one has many. The abort comes while the next one runs.
    const onProgress = () => {
      if (trainer.steps >= 300) setImmediate(() => abort.abort(new Error("enough")));
    };
    const options = { epochs: 1000, batchSize: 8, shuffle: false, signal: abort.signal, onProgress };
    const fit = (async () => {
      for await (const _ of trainer.fit(resident, options));
    })();
    await expect(fit).rejects.toThrow("enough");
    const { steps } = trainer;
    expect(steps).toBeGreaterThanOrEqual(300);
    // Whatever was cut short is a whole number of steps: going on gives what an undisturbed training gives.
    reference.trainStepsSync(data, { steps, batchSize: 8, shuffle: false });
    expect(trainer.parameters()).toEqual(reference.parameters());
  },
);

test("an abort interrupts the call that is running, and nothing after the fit", async () => {
  using engine = await createEngine({ background: true });
  let interrupts = 0;
  const interrupt = () => {
    interrupts += 1;
    engine.interrupt();
  };
  using trainer = await compile(model, {
    ...recipe,
    engine: Object.create(engine, { interrupt: { value: interrupt } }),
  });
  const abort = new AbortController();
  const options = { epochs: 1000, batchSize: 8, signal: abort.signal };
  const fit = (async () => {
    for await (const _ of trainer.fit(data, options));
  })();
  await untilBusy(engine);
  abort.abort(new Error("enough"));
  await expect(fit).rejects.toThrow("enough");
  expect(interrupts).toBe(1);
  const later = new AbortController();
  for await (const _ of trainer.fit(data, { batchSize: 100, signal: later.signal }));
  later.abort();
  expect(interrupts).toBe(1);
});

/** An engine whose background shares the memory, or has a copy of it. */
const openEngine = (memory: string, threads = 1) =>
  memory === "copied"
    ? withoutSharing(() => createEngine({ background: true }))
    : createEngine({ background: true, threads });

/** Waits for a timer of the calling thread's. */
const tick = () => new Promise((resolve) => setTimeout(resolve));

/** A program that fills so many floats a step. */
function filling(engine: Engine, count: number, threads = 1) {
  const { record, ...recording } = startRecording();
  const at = engine.allocator.allocate(count * 4);
  record.fill(rows(count / 4, threads * 1e6), at, count, 1);
  return { ...installProgram(engine, { record, ...recording }), at };
}

test.each([
  ["shared", 1],
  ["shared", 2],
  ["copied", 1],
])(
  "the calling thread's timers go on during a call; an interrupt ends it early, and leaves the next alone (%s, threads: %i)",
  async (memory, threads) => {
    using engine = await openEngine(memory, threads);
    const { address, end } = filling(engine, 1 << 14, threads);
    const steps = 10_000_000;
    const call = engine.runInBackground(address, end, steps, threads);
    for (let ticks = 0; ticks < 5; ticks++) await tick();
    engine.interrupt();
    const done = await call;
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(steps);
    engine.interrupt();
    expect(await engine.runInBackground(address, end, 50, threads)).toBe(50);
  },
);

test("an interrupt while a copy is still being brought up to date counts for the call", async () => {
  using engine = await openEngine("copied");
  const { address, end, at } = filling(engine, 1 << 20);
  expect(await engine.runInBackground(address, end, 2)).toBe(2);
  engine.markDirty(at, 1 << 22);
  const call = engine.runInBackground(address, end, 10_000_000);
  engine.interrupt();
  expect(await call).toBe(1);
});

test("disposing of a trainer while it trains ends the training", async () => {
  using engine = await createEngine({ background: true });
  const trainer = await compile(model, { ...recipe, engine });
  const training = trainer.trainSteps(data, { steps: 100_000 });
  await untilBusy(engine);
  trainer.dispose();
  await expect(training).rejects.toThrow(/disposed of/);
});

test("in a shared engine the memory is given back when the call has ended", async () => {
  using engine = await createEngine({ background: true });
  const before = engine.allocator.usedBytes();
  const trainer = await compile(model, { ...recipe, engine });
  const training = trainer.trainSteps(data, { steps: 100_000 });
  await untilBusy(engine);
  trainer.dispose();
  await expect(training).rejects.toThrow(/disposed of/);
  await expect.poll(() => engine.allocator.usedBytes()).toBe(before);
});

test("a trap closes the engine; a thread that dies leaves one that goes on", async () => {
  const engine = await createEngine({ background: true, threads: 2 });
  const trap = (address: number) => {
    const { record, ...recording } = startRecording();
    record.fill(rows(1024, 1e9), address, 4096, 1);
    return installProgram(engine, { record, ...recording });
  };
  // Only the second thread's half lies behind the end of memory.
  const second = trap(engine.memoryBytes() - 8192);
  await expect(engine.runInBackground(second.address, second.end, 1, second.threads)).rejects.toThrow(
    /threads: thread 1 failed: .*out of bounds.*: the engine goes on with one thread/,
  );
  expect([engine.threads, engine.background]).toEqual([1, true]);
  await engine.runInBackground(second.address, second.address, 1, 1);
  const both = await createEngine({ background: true });
  const { record, ...recording } = startRecording();
  record.fill(rows(1024, 1e9), both.memoryBytes() - 64, 4096, 1);
  const { address, end } = installProgram(both, { record, ...recording });
  await expect(both.runInBackground(address, end, 1, 1)).rejects.toThrow(
    /a kernel failed \(.*out of bounds\), which closed it/,
  );
  engine.dispose();
});

test("options are checked; a compiled function runs on the calling thread", async () => {
  expect(() => createEngineSync({ background: true })).toThrow(/asynchronous form/);
  await expect(createEngine({ background: 1 as unknown as boolean })).rejects.toThrow(/must be true or false, got 1/);
  using engine = await createEngine({ background: true });
  using double = await compileFunction(({ x }) => ({ y: mul(x, 2) }), { x: [3] }, { engine });
  expect([...double({ x: [1, 2, 3] }).y]).toEqual([2, 4, 6]);
});

test("a process waits for a call in the background, and exits by itself after it", async () => {
  const entry = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
  const program = `
    import { adam, compile, dense, meanSquaredError, sequential } from ${JSON.stringify(entry)};
    const model = sequential({ input: [300] }, dense(300));
    const trainer = await compile(model, { loss: meanSquaredError(), optimizer: adam(), background: true });
    await trainer.trainSteps({ x: new Float32Array(30000), y: new Float32Array(30000).fill(1) }, { steps: 30 });
    console.log("trained", trainer.steps);`;
  const output = await new Promise<string>((resolve, reject) => {
    const args = ["--input-type=module", "-e", program];
    execFile(process.execPath, args, { timeout: 120_000 }, (error, out) => (error ? reject(error) : resolve(out)));
  });
  expect(output).toBe("trained 30\n");
});

async function using(work: (trainer: Trainer<"accuracy">) => Promise<void>): Promise<void> {
  const trainer = await compile(model, { ...recipe, background: true, threads: 2 });
  try {
    await work(trainer);
  } finally {
    trainer.dispose();
  }
}
