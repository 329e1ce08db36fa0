import {
  adam,
  binaryCrossEntropy,
  type CompileOptions,
  compile,
  compileSync,
  createEngineSync,
  crossEntropy,
  DataError,
  DivergenceError,
  dense,
  dropout,
  flatten,
  ModelError,
  meanSquaredError,
  relu,
  sequential,
  sgd,
  sigmoid,
  tanh,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { blobs, lehmer } from "./blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(16), relu(), dense(3));
const recipe = {
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 0.01 }),
  metrics: ["accuracy"],
  engine,
} as const;
const bitsOf = (values: Float32Array): string => Buffer.from(values.buffer.slice(0)).toString("hex");
const weightsOf = (trainer: { parameters(): Map<string, { data: Float32Array }> }): string =>
  [...trainer.parameters()].map(([path, { data }]) => `${path} ${bitsOf(data)}`).join("\n");

describe("fit", () => {
  test("learns, and reports epochs, steps and samples as they are defined", async () => {
    using trainer = await compile(model, { ...recipe, seed: 3 });
    const data = blobs(100);
    const results = [];
    for await (const result of trainer.fit(data, { epochs: 20, batchSize: 32, validation: blobs(60, 11) }))
      results.push(result);
    expect(results.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(results.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => 4 * (i + 1)));
    expect(results.every(({ samples }) => samples === 100)).toBe(true);
    expect(results[19].loss).toBeLessThan(results[0].loss / 4);
    expect(results[19].validation?.accuracy).toBeGreaterThan(0.9);
    expect((await trainer.evaluate(data)).accuracy).toBeGreaterThan(0.95);
    expect([trainer.epochs, trainer.steps]).toEqual([20, 80]);
  });

  test("the same seed gives the same bits, another seed others; asynchronous and synchronous forms agree", async () => {
    const run = async (seed: number, sync: boolean): Promise<string> => {
      using trainer = compileSync(model, { ...recipe, seed });
      if (sync) trainer.fitSync(blobs(90), { epochs: 3, batchSize: 8 });
      else for await (const _ of trainer.fit(blobs(90), { epochs: 3, batchSize: 8 }));
      return weightsOf(trainer);
    };
    const first = await run(5, true);
    expect(await run(5, true)).toBe(first);
    expect(await run(5, false)).toBe(first);
    expect(await run(6, true)).not.toBe(first);
  });

  test("how steps are grouped into calls changes no bit: batch by batch gives what one fit gives", () => {
    const data = blobs(50);
    using whole = compileSync(model, { ...recipe, seed: 1 });
    whole.fitSync(data, { epochs: 2, batchSize: 16, shuffle: false });
    using single = compileSync(model, { ...recipe, seed: 1 });
    for (let epoch = 0; epoch < 2; epoch++) {
      for (let first = 0; first < 50; first += 16) {
        const last = Math.min(first + 16, 50);
        single.trainBatchSync({ x: data.x.subarray(first * 2, last * 2), y: data.y.subarray(first, last) });
      }
    }
    expect(weightsOf(single)).toBe(weightsOf(whole));
    using steps = compileSync(model, { ...recipe, seed: 1 });
    steps.trainStepsSync(data, { steps: 8, batchSize: 16, shuffle: false });
    expect(weightsOf(steps)).toBe(weightsOf(whole));
  });

  test("batches of changing sizes, one by one, read what they were given", () => {
    const data = blobs(60);
    using whole = compileSync(model, { ...recipe, seed: 1 });
    using single = compileSync(model, { ...recipe, seed: 1 });
    let first = 0;
    for (const size of [2, 8, 2, 20, 1, 8, 2, 17]) {
      const batch = { x: data.x.slice(first * 2, (first + size) * 2), y: data.y.slice(first, first + size) };
      const [resident] = whole.trainStepsSync(batch, { steps: 1 });
      expect(single.trainBatchSync(batch)).toBe(resident);
      single.predictSync(data.x.subarray(0, 2 * size * 3));
      first += size;
    }
    expect(weightsOf(single)).toBe(weightsOf(whole));
  });

  test("the smaller last batch is trained exactly: the mean over its own samples", () => {
    // One linear unit, MSE, SGD, five samples in batches of two, against float64.
    const x = [0.5, -1, 2, 1.5, -0.25];
    const y = [1, 0, 3, 2, -1];
    let [w, b] = [0, 0];
    for (let first = 0; first < 5; first += 2) {
      const batch = [first, first + 1].filter((i) => i < 5);
      const errors = batch.map((i) => w * x[i] + b - y[i]);
      w -= (0.1 * 2 * errors.reduce((sum, error, k) => sum + error * x[batch[k]], 0)) / batch.length;
      b -= (0.1 * 2 * errors.reduce((sum, error) => sum + error, 0)) / batch.length;
    }
    const line = sequential({ input: [1] }, dense(1));
    using trainer = compileSync(line, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.1 }), engine });
    trainer.setParameters({ "0.weight": [0] });
    trainer.fitSync({ x, y }, { batchSize: 2, shuffle: false });
    expect(trainer.parameters().get("0.weight")?.data[0]).toBeCloseTo(w, 6);
    expect(trainer.parameters().get("0.bias")?.data[0]).toBeCloseTo(b, 6);
  });

  test("every epoch goes over every sample, in a new order", () => {
    // A linear unit without bias that starts at 0 and moves by rate·t·x: with x = 1 and targets far away the
    // first loss of each step betrays which sample it saw.
    const unit = sequential({ input: [1] }, dense(1, { bias: false }));
    using trainer = compileSync(unit, {
      loss: meanSquaredError(),
      optimizer: sgd({ learningRate: 0 }),
      engine,
      seed: 4,
    });
    trainer.setParameters({ "0.weight": [0] });
    const y = Float32Array.from({ length: 50 }, (_, i) => i);
    const orders: number[][] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      const seen: number[] = [];
      trainer.fitSync(
        { x: new Float32Array(50).fill(1), y },
        { batchSize: 1, onProgress: ({ losses }) => seen.push(...losses) },
      );
      orders.push(seen.map(Math.sqrt));
    }
    for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual([...y]);
    expect(orders[0]).not.toEqual(orders[1]);
    expect(orders[1]).not.toEqual(orders[2]);
  });

  test("progress adds up, and a signal ends it", async () => {
    using trainer = compileSync(model, { ...recipe });
    let samples = 0;
    let losses = 0;
    trainer.fitSync(blobs(100), {
      batchSize: 8,
      onProgress: (progress) => {
        expect(progress.samples).toBeGreaterThan(samples);
        expect(progress.remainingMs).toBeGreaterThanOrEqual(0);
        samples = progress.samples;
        losses += progress.losses.length;
      },
    });
    expect([samples, losses]).toEqual([100, 13]);
    const controller = new AbortController();
    const fit = trainer.fit(blobs(100), {
      epochs: 1000,
      batchSize: 8,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(fit.next()).rejects.toThrow(/abort/i);
    expect(trainer.fitSync(blobs(100)).length).toBe(1);
  });

  test("leaving the loop ends the fit; two at a time are refused", async () => {
    using trainer = compileSync(model, { ...recipe });
    for await (const { epoch } of trainer.fit(blobs(100), { epochs: 1000 })) if (epoch === 2) break;
    expect(trainer.epochs).toBe(2);
    const fit = trainer.fit(blobs(100), { epochs: 2, batchSize: 1 });
    const first = fit.next();
    expect(() => trainer.fitSync(blobs(10))).toThrow(/^fit: fit is still running: await it/);
    expect(() => trainer.trainBatchSync(blobs(10))).toThrow(/^trainBatch: fit is still running: await it/);
    expect(() => trainer.reset()).toThrow(/^reset: fit is still running: await it/);
    expect(() => trainer.restore({} as never)).toThrow(/^restore: fit is still running: await it/);
    await first;
    await fit.return();
    expect(trainer.epochs).toBe(3);
  });

  test("a schedule gives each step its rate", () => {
    using trainer = compileSync(model, {
      ...recipe,
      optimizer: sgd({ learningRate: (step) => (step === 3 ? 0.1 : 0) }),
    });
    const before = weightsOf(trainer);
    trainer.trainStepsSync(blobs(30), { steps: 2 });
    expect(weightsOf(trainer)).toBe(before);
    trainer.trainStepsSync(blobs(30), { steps: 1 });
    const after = weightsOf(trainer);
    expect(after).not.toBe(before);
    trainer.trainStepsSync(blobs(30), { steps: 5 });
    expect(weightsOf(trainer)).toBe(after);
  });

  test("a diverging loss is an error that names the step; reset() starts anew", () => {
    const line = sequential({ input: [1] }, dense(1));
    using trainer = compileSync(line, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 100 }), engine });
    const start = weightsOf(trainer);
    const data = { x: [1, 2, 3], y: [1, 2, 3] };
    expect(() => trainer.trainStepsSync(data, { steps: 100 })).toThrow(DivergenceError);
    trainer.reset();
    expect(weightsOf(trainer)).toBe(start);
    try {
      trainer.fitSync(data, { epochs: 100 });
      expect.unreachable();
    } catch (error) {
      expect((error as DivergenceError).message).toMatch(
        /loss became (Infinity|NaN) at step \d+ \(epoch \d+\), with learning rate 100/,
      );
      expect((error as DivergenceError).step).toBeLessThan(40);
    }
  });
});

describe("evaluate and predict", () => {
  test("scores are those of the predictions, whatever the batch size", async () => {
    using trainer = compileSync(model, { ...recipe });
    const data = blobs(700);
    trainer.fitSync(data, { epochs: 2 });
    const before = weightsOf(trainer);
    const probabilities = await trainer.predict(data.x);
    let [loss, right] = [0, 0];
    for (let i = 0; i < 700; i++) {
      const row = probabilities.subarray(3 * i, 3 * i + 3);
      expect(row[0] + row[1] + row[2]).toBeCloseTo(1, 6);
      loss -= Math.log(row[data.y[i]]) / 700;
      if (row.indexOf(Math.max(...row)) === data.y[i]) right += 1;
    }
    for (const batchSize of [1, 64, 256, 1000]) {
      const scores = await trainer.evaluate(data, { batchSize });
      expect(scores.loss).toBeCloseTo(loss, 5);
      expect(scores.accuracy).toBe(right / 700);
    }
    expect(weightsOf(trainer)).toBe(before);
    const alone = trainer.predictSync([[data.x[0], data.x[1]]]);
    alone.forEach((value, i) => expect(value).toBeCloseTo(probabilities[i], 6));
    const logits = trainer.predictSync(data.x.subarray(0, 2), { output: "raw" });
    const exponentials = logits.map(Math.exp);
    const total = exponentials.reduce((sum, value) => sum + value, 0);
    exponentials.forEach((value, i) => expect(value / total).toBeCloseTo(alone[i], 6));
  });

  test("dropout acts while training only", () => {
    const noisy = sequential({ input: [2] }, dense(32), relu(), dropout(0.5), dense(3));
    using trainer = compileSync(noisy, { ...recipe, optimizer: sgd({ learningRate: 0 }) });
    const data = blobs(30);
    const losses = trainer.trainStepsSync(data, { steps: 4 });
    expect(new Set(losses).size).toBe(4);
    const scores = trainer.evaluateSync(data);
    expect(trainer.evaluateSync(data)).toEqual(scores);
    trainer.reset();
    expect(trainer.trainStepsSync(data, { steps: 4 })).toEqual(losses);
  });

  test("nested arrays, one number a sample, and shapes of several axes", async () => {
    const xor = sequential({ input: [2] }, dense(8), tanh(), dense(1));
    using trainer = await compile(xor, {
      loss: binaryCrossEntropy(),
      optimizer: adam({ learningRate: 0.05 }),
      metrics: ["accuracy"],
      engine,
      seed: 1,
    });
    const data = {
      x: [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ],
      y: [0, 1, 1, 0],
    };
    await trainer.trainSteps(data, { steps: 500 });
    expect((await trainer.evaluate(data)).accuracy).toBe(1);
    const images = sequential({ input: [2, 3] }, flatten(), dense(1), sigmoid());
    using second = await compile(images, {
      loss: binaryCrossEntropy({ from: "probabilities" }),
      optimizer: sgd(),
      engine,
    });
    expect(
      second.predictSync([
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ]).length,
    ).toBe(1);
    expect(
      second.predictSync([
        [1, 2, 3],
        [4, 5, 6],
      ]).length,
    ).toBe(1);
  });
});

test("gradients are those of the loss, and change nothing", () => {
  // y = w·x + b, mean squared error: dw = mean of 2·(y - t)·x, db = mean of 2·(y - t).
  using trainer = compileSync(sequential({ input: [1] }, dense(1)), {
    loss: meanSquaredError(),
    optimizer: sgd(),
    engine,
  });
  trainer.setParameters({ "0.weight": [2], "0.bias": [1] });
  const gradients = trainer.gradientsSync({ x: [1, 3], y: [0, 0] });
  expect([...(gradients.get("0.weight")?.data ?? [])]).toEqual([3 * 1 + 7 * 3]);
  expect([...(gradients.get("0.bias")?.data ?? [])]).toEqual([3 + 7]);
  expect([trainer.steps, trainer.parameters().get("0.weight")?.data[0]]).toEqual([0, 2]);
});

describe("memory", () => {
  test("a thousand trainers, disposed of, leave nothing; fits leave nothing", () => {
    const used = engine.allocator.usedBytes();
    for (let i = 0; i < 1000; i++) compileSync(model, { ...recipe }).dispose();
    expect(engine.allocator.usedBytes()).toBe(used);
    using trainer = compileSync(model, { ...recipe });
    trainer.fitSync(blobs(64), { batchSize: 16 });
    const after = engine.allocator.usedBytes();
    for (let i = 0; i < 5; i++) trainer.fitSync(blobs(64), { batchSize: 16 });
    expect(engine.allocator.usedBytes()).toBeLessThanOrEqual(after);
  });

  test("resident data serve several fits, until disposed of", () => {
    using trainer = compileSync(model, { ...recipe, seed: 2 });
    using other = compileSync(model, { ...recipe, seed: 2 });
    const data = trainer.load(blobs(64));
    trainer.fitSync(data);
    trainer.fitSync(data);
    expect(trainer.evaluateSync(data).accuracy).toBeGreaterThan(0);
    data.dispose();
    other.fitSync(blobs(64));
    other.fitSync(blobs(64));
    expect(weightsOf(trainer)).toBe(weightsOf(other));
  });

  test("data belong to the trainer that loaded them, and go with it", () => {
    const used = engine.allocator.usedBytes();
    const trainer = compileSync(model, { ...recipe });
    using other = compileSync(model, { ...recipe });
    const data = trainer.load(blobs(30));
    expect(() => other.fitSync(data)).toThrow(/loaded by another trainer/);
    data.dispose();
    expect(() => trainer.fitSync(data)).toThrow(/or disposed of/);
    trainer.load(blobs(500));
    trainer.dispose();
    other.dispose();
    expect(engine.allocator.usedBytes()).toBe(used);
  });

  test("a fit whose trainer is disposed of ends, and touches nobody's memory", async () => {
    const trainer = compileSync(model, { ...recipe });
    const fit = trainer.fit(blobs(100), { epochs: 100 });
    await fit.next();
    trainer.dispose();
    const bystander = compileSync(model, { ...recipe });
    const before = weightsOf(bystander);
    await expect(fit.next()).rejects.toThrow(/disposed of/);
    expect(weightsOf(bystander)).toBe(before);
    bystander.dispose();
  });

  test("after dispose() everything says so", async () => {
    const trainer = compileSync(model, { ...recipe });
    trainer.dispose();
    trainer.dispose();
    expect(() => trainer.predictSync([0, 0])).toThrow(/disposed of/);
    expect(() => trainer.fitSync(blobs(10))).toThrow(/disposed of/);
    await expect(trainer.evaluate(blobs(10))).rejects.toThrow(/disposed of/);
    expect(() => trainer.parameters()).toThrow(/disposed of/);
  });
});

describe("mistakes are refused where they are made, and nothing is lost", () => {
  const bad =
    (options: Record<string, unknown>): (() => unknown) =>
    () =>
      compileSync(model, { ...recipe, ...options } as unknown as CompileOptions<"accuracy">);

  test("in the model and the options", () => {
    // @ts-expect-error: the compiler knows it too
    expect(() => sequential({ input: [] }, dense(10))).toThrow(
      "dense 0: input must be [batch, …, features], got [batch]: add reshape([1]) before it",
    );
    expect(() => sequential({ input: [784] })).toThrow(/needs at least one layer/);
    expect(() => sequential({ input: [0] }, dense(1))).toThrow(/shape of one sample/);
    expect(() => sequential({ input: [1] }, dense(1, { name: "a" }), dense(1, { name: "a" }))).toThrow(/"a" twice/);
    expect(() => dense(0)).toThrow("dense: units must be a whole number of at least 1, got 0");
    expect(() => dense(1, { activaton: "relu" } as never)).toThrow(
      /unknown option "activaton": the options are name, weightInitializer/,
    );
    expect(bad({ loss: undefined })).toThrow(/loss must be a loss such as/);
    expect(bad({ optimiser: 1 })).toThrow(/unknown option "optimiser"/);
    expect(bad({ metrics: ["acuracy"] })).toThrow(/a metric must be one of accuracy, .* got "acuracy"/);
    expect(bad({ seed: -1 })).toThrow(/seed must be a whole number/);
    expect(bad({ loss: meanSquaredError() })).toThrow(/no right and wrong/);
    expect(() => sgd({ learningRate: -1 })).toThrow(ModelError);
    expect(() => adam({ beta1: 1 })).toThrow(ModelError);
    const ends = sequential({ input: [2] }, dense(1), sigmoid());
    expect(() => compileSync(ends, { loss: binaryCrossEntropy(), optimizer: sgd(), engine })).toThrow(
      /takes logits, but the model ends in sigmoid\(\)/,
    );
  });

  test("a model too large for 4 GiB, with the bytes; the engine works on", () => {
    const used = engine.allocator.usedBytes();
    const huge = sequential({ input: [40000] }, dense(40000));
    expect(() => compileSync(huge, { loss: meanSquaredError(), optimizer: sgd(), engine })).toThrow(/6400160000 bytes/);
    expect(engine.allocator.usedBytes()).toBe(used);
  });

  test("in the data; the trainer works on", () => {
    using trainer = compileSync(model, { ...recipe });
    const { x, y } = blobs(9);
    const good = weightsOf(trainer);
    const used = engine.allocator.usedBytes();
    const refuse = (data: { x: unknown; y: unknown }, message: RegExp | string): void => {
      expect(() => trainer.fitSync(data as never)).toThrow(message);
      expect(() => trainer.fitSync(data as never)).toThrow(DataError);
    };
    refuse(
      { x: x.subarray(0, 17), y },
      "x: must be samples of shape [2] (2 values each), got 17 values, which is no multiple of 2",
    );
    refuse({ x, y: y.subarray(0, 8) }, "y: must have 1 value for each of the 9 samples in x, got 8 values for 9");
    refuse(
      { x, y: Uint8Array.from(y, (v, i) => (i === 4 ? 3 : v)) },
      "y: every label must be a whole number from 0 to 2, got 3 at index 4",
    );
    refuse({ x, y: Float32Array.from(y, (v, i) => (i === 2 ? 0.5 : v)) }, /from 0 to 2, got 0.5 at index 2/);
    refuse(
      { x: x.map((v, i) => (i === 5 ? Number.NaN : v)), y },
      "x: every value must be a finite float32, got NaN at index 5",
    );
    refuse({ x: Float64Array.from(x, (v, i) => (i === 7 ? 1e39 : v)), y }, /got 1e\+39 at index 7/);
    refuse({ x: [], y: [] }, /got none: an empty data set/);
    refuse({ x: [[1, 2], [3]], y: [0, 1] }, /must be rectangular of shape \[2, 2\], got an array of 1/);
    refuse(
      {
        x: [
          [1, 2, 3],
          [4, 5, 6],
        ],
        y: [0, 1],
      },
      /got nested arrays of shape \[2, 3\]/,
    );
    refuse({ x: "abc", y }, /must be a typed array or nested arrays/);
    refuse(
      { x, y: BigInt64Array.from(y, BigInt) },
      "y: must be a typed array or nested arrays of numbers, got a BigInt64Array of 9",
    );
    refuse({ x, y: new Float32Array(27) }, /use crossEntropy\({ targets: "distributions" }\)/);
    expect(() => trainer.fitSync({ x, y }, { epochs: 0 })).toThrow(
      /epochs must be a whole number of at least 1, got 0/,
    );
    expect(() => trainer.fitSync({ x, y }, { batchsize: 3 } as never)).toThrow(/unknown option "batchsize"/);
    expect(() => trainer.setParameters({ "0.weight": x })).toThrow(/must have shape \[2, 16\]/);
    expect(() => trainer.setParameters({ "9.weight": x })).toThrow(/got "9.weight": they are 0.weight, 0.bias/);
    expect(weightsOf(trainer)).toBe(good);
    expect(engine.allocator.usedBytes()).toBe(used);
    expect(trainer.fitSync({ x, y })[0].epoch).toBe(1);
  });

  test("targets that the loss cannot take", () => {
    const one = sequential({ input: [1] }, dense(1));
    using bits = compileSync(one, { loss: binaryCrossEntropy(), optimizer: sgd(), engine });
    expect(() => bits.fitSync({ x: [1, 2], y: [0, 2] })).toThrow(
      "y: every target must lie within 0 and 1, got 2 at index 1",
    );
    using rows = compileSync(model, { ...recipe, loss: crossEntropy({ targets: "distributions" }) });
    expect(() => rows.fitSync({ x: [[1, 2]], y: [[0.5, 0.5, 0.5]] })).toThrow(/must sum to 1, got 1.5 for sample 0/);
  });
});

test("what is planned is what is taken: memory stays within a tenth of plan and data", () => {
  using own = createEngineSync();
  const digits = sequential({ input: [784] }, dense(512), relu(), dense(512), relu(), dense(10));
  using trainer = compileSync(digits, { loss: crossEntropy(), optimizer: adam(), engine: own });
  const planned = Number(/: ([\d.]+) MiB\n/.exec(trainer.summary({ batchSize: 128 }))?.[1]) * 2 ** 20;
  const count = 1000;
  trainer.fitSync({ x: new Float32Array(count * 784), y: new Uint8Array(count) }, { batchSize: 128 });
  expect(own.memoryBytes()).toBeLessThan(1.1 * (planned + count * (784 + 2) * 4));
});

test("random data of many shapes trains without a fault", () => {
  const random = lehmer(3);
  for (const [features, hidden, classes, count, batchSize] of [
    [1, 1, 2, 5, 2],
    [3, 5, 4, 33, 8],
    [17, 9, 2, 65, 64],
    [5, 130, 7, 20, 100],
  ]) {
    using trainer = compileSync(sequential({ input: [features] }, dense(hidden), tanh(), dense(classes)), {
      ...recipe,
    });
    const x = Float32Array.from({ length: features * count }, () => random() - 0.5);
    const y = Uint8Array.from({ length: count }, () => Math.floor(random() * classes));
    const results = trainer.fitSync({ x, y }, { epochs: 30, batchSize });
    expect(results[29].loss).toBeLessThan(results[0].loss);
  }
});
