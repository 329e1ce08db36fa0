// What is done once, before or not at all: programs, checks, copies, penalties; and what a refusal leaves behind.
import type { Worker } from "node:worker_threads";
import {
  batchNorm,
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  defineLayer,
  dense,
  l2,
  MemoryError,
  meanSquaredError,
  relu,
  sequential,
  sgd,
} from "steepest";
import { describe, expect, test } from "vitest";

const config = { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.01 }) };
const data = {
  x: [
    [1, 2],
    [2, 1],
    [3, 5],
    [4, 4],
    [0, 1],
  ],
  y: [1, 2, 3, 4, 5],
};

describe("programs", () => {
  /** A trainer whose model counts how often it is traced. */
  const counting = () => {
    const count = { traces: 0 };
    const counted = defineLayer("counted", (x) => {
      count.traces += 1;
      return x;
    });
    return { count, trainer: compileSync(sequential({ input: [2] }, counted(), dense(1)), config) };
  };

  test("serve data that are handed in anew, whatever their number, and data in memory", () => {
    const { count, trainer } = counting();
    trainer.fitSync(data, { batchSize: 2 });
    trainer.evaluateSync(data, { batchSize: 5 });
    const { traces } = count;
    for (let call = 0; call < 5; call++) {
      const more = { x: [...data.x, ...data.x], y: [...data.y, ...data.y] };
      trainer.fitSync(structuredClone(data), { batchSize: 2 });
      trainer.fitSync(more, { batchSize: 2 });
      trainer.evaluateSync(more, { batchSize: 5 });
      const resident = trainer.load(data);
      trainer.trainStepsSync(resident, { steps: 3, batchSize: 2 });
      trainer.trainFor(0.001, resident, { batchSize: 2, shuffle: false });
      resident.dispose();
    }
    expect(count.traces).toBe(traces);
    trainer.dispose();
  });

  test("a first epoch plans each size of batch once", () => {
    const { count, trainer } = counting();
    const { traces } = count;
    trainer.fitSync(data, { batchSize: 2 });
    expect(count.traces - traces).toBe(2);
    trainer.dispose();
  });
});

test("a last batch that a layer cannot take is refused before anything is trained", async () => {
  using trainer = await compile(sequential({ input: [2] }, batchNorm(), dense(1)), config);
  const resident = trainer.load(data);
  const message = /batchNorm/;
  const options = { batchSize: 2 };
  expect(() => trainer.fitSync(data, options)).toThrow(message);
  await expect(trainer.fit(data, options)).rejects.toThrow(message);
  await expect(trainer.trainSteps(data, { steps: 1, ...options })).rejects.toThrow(message);
  expect(() => trainer.trainFor(1, resident, options)).toThrow(message);
  expect([trainer.steps, trainer.epochs]).toEqual([0, 0]);
  // Nothing was begun: the first pass is the one that a new trainer begins with.
  using fresh = await compile(sequential({ input: [2] }, batchNorm(), dense(1)), config);
  const four = { x: data.x.slice(0, 4), y: data.y.slice(0, 4) };
  expect(trainer.trainStepsSync(four, { steps: 4, ...options })).toEqual(
    fresh.trainStepsSync(four, { steps: 4, ...options }),
  );
});

describe("a sum over the samples has the penalties of regularizers once", () => {
  const model = sequential({ input: [2] }, dense(1, { bias: false, weightRegularizer: l2(0.5) }));
  const sums = { ...config, loss: meanSquaredError({ reduction: "sum" }), metrics: ["meanSquaredError"] } as const;
  const weights = { "0.weight": [2, -1] };
  const squares = data.x.map(([a, b], i) => (2 * a - b - data.y[i]) ** 2);
  const sum = squares.reduce((total, value) => total + value, 0);
  const penalty = 0.5 * (4 + 1);

  test.each([1, 2, 3, 5, 100])("scored in batches of %i", (batchSize) => {
    using trainer = compileSync(model, sums);
    trainer.setParameters(weights);
    const scores = trainer.evaluateSync(data, { batchSize });
    expect(scores.loss).toBeCloseTo(sum + penalty, 4);
    expect(scores.meanSquaredError).toBeCloseTo(sum / 5, 4);
    expect(Object.keys(scores)).toEqual(["loss", "meanSquaredError"]);
  });

  test("in an epoch's result too; a step's loss has it whole", () => {
    using trainer = compileSync(model, { ...sums, optimizer: sgd({ learningRate: 0 }) });
    trainer.setParameters(weights);
    const [{ loss }] = trainer.fitSync(data, { batchSize: 2 });
    expect(loss).toBeCloseTo(sum + penalty, 4);
    const losses = trainer.trainStepsSync(data, { steps: 3, batchSize: 2, shuffle: false });
    expect(losses[0]).toBeCloseTo(squares[0] + squares[1] + penalty, 4);
  });

  test("a mean has it as it was", () => {
    using trainer = compileSync(model, config);
    trainer.setParameters(weights);
    for (const batchSize of [1, 2, 5]) {
      expect(trainer.evaluateSync(data, { batchSize }).loss).toBeCloseTo(sum / 5 + penalty, 4);
    }
  });
});

describe("what a call is given is read before it returns", () => {
  test.each([false, true])("background: %s", async (background) => {
    using trainer = await compile(sequential({ input: [1] }, dense(1)), {
      loss: meanSquaredError(),
      optimizer: sgd({ learningRate: 0 }),
      background,
    });
    trainer.setParameters({ "0.weight": [1], "0.bias": [0] });
    const buffer = new Float32Array(1000);
    const predictions = [1, 2, 3].map((value) => trainer.predict(buffer.fill(value)));
    const batch = { x: Float32Array.of(2), y: Float32Array.of(0) };
    const [gradients, loss] = [trainer.gradients(batch), trainer.trainBatch(batch)];
    batch.x[0] = 0;
    const steps = trainer.trainSteps(batch, { steps: 1 });
    batch.x[0] = 7;
    expect((await Promise.all(predictions)).map((values) => [...new Set(values)])).toEqual([[1], [2], [3]]);
    expect((await gradients).get("0.weight")?.data[0]).toBe(8);
    expect(await loss).toBe(4);
    expect([...(await steps)]).toEqual([0]);
    const nested = [[5]];
    const prediction = trainer.predict(nested);
    nested[0][0] = 6;
    expect([...(await prediction)]).toEqual([5]);
  });
});

describe("a refused compile leaves nothing behind", () => {
  const model = sequential({ input: [2] }, dense(4), relu(), dense(1));

  test("no worker", async () => {
    const workers: Worker[] = [];
    const note = (worker: Worker) => workers.push(worker);
    process.on("worker", note);
    try {
      // A refusal that comes when the engine is there.
      const large = sequential({ input: [1 << 15] }, dense(1 << 15));
      await expect(compile(large, { ...config, threads: 3 })).rejects.toThrow(MemoryError);
    } finally {
      process.removeListener("worker", note);
    }
    // One more may watch the threads of all engines, and stays.
    await expect.poll(() => workers.filter(({ threadId }) => threadId === -1).length).toBeGreaterThanOrEqual(2);
    expect(workers.length).toBeLessThanOrEqual(3);
  });

  test("no memory of a shared engine", async () => {
    using engine = createEngineSync();
    const before = engine.allocator.usedBytes();
    const large = sequential({ input: [1 << 15] }, dense(1 << 15));
    expect(() => compileSync(large, { ...config, engine })).toThrow(MemoryError);
    await expect(compile(large, { ...config, engine })).rejects.toThrow(MemoryError);
    expect(engine.allocator.usedBytes()).toBe(before);
    using busy = await createEngine({ background: true });
    using trainer = await compile(model, { ...config, engine: busy });
    await trainer.fit(data);
    const used = busy.allocator.usedBytes();
    const abort = new AbortController();
    const training = trainer.fit(data, { epochs: 1e7, signal: abort.signal }).catch((error: unknown) => error);
    await expect.poll(() => busy.busy, { interval: 1 }).toBe(true);
    expect(() => compileSync(model, { ...config, engine: busy })).toThrow(/a call is running in the background/);
    abort.abort("enough");
    expect(await training).toBe("enough");
    await expect.poll(() => busy.allocator.usedBytes()).toBe(used);
    expect(() => compileSync(model, { ...config, engine: busy }).dispose()).not.toThrow();
  });
});
