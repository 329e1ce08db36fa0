// Threads as a trainer has them: workers beside the main thread, over one memory.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import {
  adam,
  type Build,
  compile,
  createEngine,
  createEngineSync,
  crossEntropy,
  dense,
  dropout,
  relu,
  sequential,
  ThreadError,
} from "steepest";
import { describe, expect, test } from "vitest";
import { LEFT, SEQUENCE, viewControl } from "../../src/engine/control.js";
import type { Engine } from "../../src/engine/engine.js";
import { rows, startRecording } from "../../src/engine/instructions.js";
import type { KernelMemory } from "../../src/engine/interpreter.js";
import { installProgram } from "../../src/graph/program.js";
import { lehmer } from "../train/blobs.js";

const random = lehmer(9);
const data = {
  x: Float32Array.from({ length: 300 * 200 }, () => random() - 0.5),
  y: Uint8Array.from({ length: 300 }, () => Math.floor(random() * 10)),
};
const model = sequential({ input: [200] }, dense(256), relu(), dropout(0.2), dense(128), relu(), dense(10));
const recipe = { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"], seed: 5 } as const;

async function train(threads: number, build: Build): Promise<string> {
  using trainer = await compile(model, { ...recipe, threads, build });
  expect(trainer.threads).toBe(threads);
  const results = [];
  for await (const { loss, accuracy } of trainer.fit(data, { epochs: 2, batchSize: 128 })) results.push(loss, accuracy);
  const weights = [...trainer.parameters().values()].map((values) =>
    Buffer.from(values.data.buffer).toString("base64"),
  );
  return JSON.stringify([results, weights, [...trainer.predictSync(data.x)]]);
}

describe.each(["strict", "fast"] as const)("%s", (build) => {
  test("1, 2, 3, 4 and 8 threads give the same bits", async () => {
    const alone = await train(1, build);
    for (const threads of [2, 3, 4, 8])
      expect((await train(threads, build)) === alone, `${threads} threads`).toBe(true);
  });
});

/** An instruction of which the last one's share of so many threads lies beyond the memory's end, so that it alone traps. */
function trapInstruction(engine: Engine, among: number) {
  const { record, ...recording } = startRecording();
  const end = engine.memoryBytes();
  // What lies before the end is nobody's.
  const share = 1024;
  const n = share * among;
  record.fill(rows(n / 4, 1e9), end - (n - share) * 4, n, 1);
  return installProgram(engine, { record, ...recording });
}

describe("a thread that dies", () => {
  test("is an error that names the reason; training goes on from the last step with one thread", async () => {
    const engine = await createEngine({ threads: 2 });
    using trainer = await compile(model, { ...recipe, engine });
    using reference = await compile(model, recipe);
    trainer.trainStepsSync(data, { steps: 3, batchSize: 100 });
    const trap = trapInstruction(engine, 2);
    expect(() => engine.run(trap.address, trap.end, 1, trap.threads)).toThrow(ThreadError);
    expect(engine.threads).toBe(1);
    trainer.trainStepsSync(data, { steps: 2, batchSize: 100, shuffle: false });
    reference.trainStepsSync(data, { steps: 3, batchSize: 100 });
    reference.trainStepsSync(data, { steps: 2, batchSize: 100, shuffle: false });
    expect(trainer.parameters()).toEqual(reference.parameters());
    engine.dispose();
  });

  test("says what happened", async () => {
    using engine = await createEngine({ threads: 3 });
    const trap = trapInstruction(engine, 3);
    expect(() => engine.run(trap.address, trap.end, 1, trap.threads)).toThrow(
      /threads: thread \d failed: .*out of bounds.*: the engine goes on with 2 threads/,
    );
    expect(engine.threads).toBe(2);
    // Of the two that are left, the second one's share reaches as far.
    expect(() => engine.run(trap.address, trap.end, 1, trap.threads)).toThrow(/goes on with one thread/);
    engine.run(trap.address, trap.address, 1);
  });
});

test.each([false, true])(
  "a thread that dies between runs while another is still on its way out of the last: the rest go on (background: %s)",
  async (background) => {
    const workers: Worker[] = [];
    process.on("worker", (worker: Worker) => workers.push(worker));
    using engine = await createEngine({ threads: 3, background });
    process.removeAllListeners("worker");
    const address = engine.allocator.allocate(4096);
    const { record, ...recording } = startRecording();
    record.fill(rows(1024, 1e9), address, 1024, 1);
    const { address: program, end, threads } = installProgram(engine, { record, ...recording });
    await engine.runInBackground(program, end, 1, threads);
    const { words } = viewControl(engine.heap.words as unknown as KernelMemory, engine.allocator.blocks()[0].address);
    await expect.poll(() => [1, 2].map((worker) => words[LEFT + worker])).toEqual([1, 1]);
    expect(words[SEQUENCE]).toBe(1);
    // The second is held back, and let go by somebody else, as the calling thread may be waiting for it.
    words[LEFT + 2] = 0;
    await workers[background ? 1 : 0].terminate();
    const release = `
      const { words, index } = require("node:worker_threads").workerData;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      Atomics.store(words, index, 1);`;
    const released = once(new Worker(release, { eval: true, workerData: { words, index: LEFT + 2 } }), "exit");
    await expect(engine.runInBackground(program, end, 1, threads)).rejects.toThrow(
      /thread 1 .*: the engine goes on with 2 threads/,
    );
    expect(await engine.runInBackground(program, end, 3, threads)).toBe(3);
    await released;
  },
);

describe("a step that a thread's death cuts short", () => {
  /** An engine that does `whole` steps of its third run (of a trainer without copies, which are runs too) and the first instruction of the next, then loses a thread. */
  function losing(engine: Engine, whole: number, at: "plan" | "optimizer"): Engine {
    let runs = 0;
    const run: Engine["run"] = (program, end, steps, threads) => {
      runs += 1;
      if (runs !== 3) return engine.run(program, end, steps, threads);
      engine.run(program, end, whole);
      engine.runRange(program, 0, 1);
      throw new ThreadError("threads: thread 1 ended", whole, at === "plan" ? program : end);
    };
    return Object.create(engine, { run: { value: run } });
  }

  test("counts as not begun before the optimizer: the weights are those of an undisturbed training", async () => {
    using engine = createEngineSync();
    const small = { x: data.x.subarray(0, 50 * 200), y: data.y.subarray(0, 50) };
    // The first run initializes the parameters.
    using disturbed = await compile(model, { ...recipe, engine: losing(engine, 1, "plan"), tripwire: false });
    using reference = await compile(model, { ...recipe, engine });
    disturbed.trainBatchSync(small);
    expect(() => disturbed.trainStepsSync(small, { steps: 1 })).toThrow(ThreadError);
    expect(disturbed.steps).toBe(2);
    disturbed.trainStepsSync(small, { steps: 2 });
    reference.trainStepsSync(small, { steps: 4 });
    expect(disturbed.parameters()).toEqual(reference.parameters());
  });

  test("closes the trainer after that, until reset()", async () => {
    using engine = createEngineSync();
    using trainer = await compile(model, { ...recipe, engine: losing(engine, 0, "optimizer"), tripwire: false });
    const start = trainer.parameters();
    trainer.trainStepsSync(data, { steps: 1 });
    expect(() => trainer.trainStepsSync(data, { steps: 1 })).toThrow(ThreadError);
    expect(() => trainer.predictSync(data.x)).toThrow(/closed, as step 2 was torn .*: call reset\(\) to start anew/);
    trainer.reset();
    expect(trainer.parameters()).toEqual(start);
    expect(trainer.trainStepsSync(data, { steps: 2 })).toHaveLength(2);
  });

  test("a thread that dies while idle is named at the next run, which loses nothing", async () => {
    const workers: Worker[] = [];
    process.on("worker", (worker: Worker) => workers.push(worker));
    using engine = await createEngine({ threads: 2 });
    process.removeAllListeners("worker");
    using trainer = await compile(model, { ...recipe, engine });
    using reference = await compile(model, recipe);
    for (const worker of workers) await worker.terminate();
    expect(() => trainer.trainBatchSync(data)).toThrow(/the engine goes on with one thread/);
    expect([trainer.steps, engine.threads]).toEqual([0, 1]);
    expect(trainer.trainBatchSync(data)).toBe(reference.trainBatchSync(data));
  });
});

test("a trap in the calling thread's own share closes the engine, and lets the workers go", async () => {
  using engine = await createEngine({ threads: 2 });
  const { record, ...recording } = startRecording();
  record.fill(rows(1024, 1e9), engine.memoryBytes() - 64, 4096, 1);
  const { address, end, threads } = installProgram(engine, { record, ...recording });
  expect(() => engine.run(address, end, 1, threads)).toThrow(/a kernel failed \(.*out of bounds\), which closed it/);
  expect(() => engine.run(address, end, 1, threads)).toThrow(/a kernel failed/);
});

describe("options and ends", () => {
  test("threads are a whole number from 1 to 64, and need the asynchronous form", async () => {
    await expect(createEngine({ threads: 0 })).rejects.toThrow(/threads must be a whole number from 1 to 64, got 0/);
    await expect(createEngine({ threads: 65 })).rejects.toThrow(/threads must be a whole number from 1 to 64, got 65/);
    expect(() => createEngineSync({ threads: 2 })).toThrow(/use the asynchronous form/);
  });

  test("a process with an idle trainer exits by itself, and so does one that disposed of it", async () => {
    const entry = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
    const program = (last: string) => `
      import { adam, compile, dense, meanSquaredError, sequential } from ${JSON.stringify(entry)};
      const model = sequential({ input: [300] }, dense(300));
      const trainer = await compile(model, { loss: meanSquaredError(), optimizer: adam(), threads: 2 });
      trainer.trainStepsSync({ x: new Float32Array(30000), y: new Float32Array(30000).fill(1) }, { steps: 3 });
      console.log("trained", trainer.threads);
      ${last}`;
    for (const last of ["", "trainer.dispose();"]) {
      const output = await new Promise<string>((resolve, reject) => {
        const args = ["--input-type=module", "-e", program(last)];
        execFile(process.execPath, args, { timeout: 120_000 }, (error, out) => (error ? reject(error) : resolve(out)));
      });
      expect(output).toBe("trained 2\n");
    }
  });
});
