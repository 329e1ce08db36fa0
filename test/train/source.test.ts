// Sources: streamed training has the bits of training on the same samples in memory; what a source may do wrong is refused by
// pass and batch, and leaves the trainer usable.
import { Readable } from "node:stream";
import {
  adam,
  batchNorm,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  dense,
  dropout,
  type Engine,
  findLearningRate,
  ModelError,
  meanSquaredError,
  relu,
  type SourcePass,
  SteepestError,
  sequential,
  sgd,
} from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobs, lehmer } from "./blobs.js";

const engine = createEngineSync();
let background: Engine;
beforeAll(async () => {
  background = await createEngine({ background: true, threads: 2 });
});
afterAll(() => {
  engine.dispose();
  background.dispose();
});

const model = sequential({ input: [2] }, dense(12), batchNorm(), relu(), dropout(0.2), dense(3));
const recipe = {
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 0.01 }),
  metrics: ["accuracy"],
  seed: 3,
} as const;
const DATA = blobs(157);

type Batch = { x: Float32Array; y: Uint8Array };

/** The samples from `first` on, in batches of random sizes. */
function* batches({ skip = 0 }: Partial<SourcePass> = {}, seed = 5, { x, y } = DATA): Generator<Batch, void> {
  const random = lehmer(seed);
  for (let first = skip; first < y.length; ) {
    const end = Math.min(y.length, first + 1 + Math.floor(random() * 40));
    yield { x: x.slice(2 * first, 2 * end), y: y.slice(first, end) };
    first = end;
  }
}

async function* slowly(pass?: SourcePass): AsyncGenerator<Batch, void> {
  for (const batch of batches(pass)) {
    await new Promise((resolve) => setImmediate(resolve));
    yield batch;
  }
}

const again = () => batches();

interface Scored {
  readonly loss: number;
  readonly accuracy?: number;
  readonly epoch: number;
  readonly step: number;
  readonly samples: number;
}
const timeless = (results: readonly Scored[]) =>
  results.map(({ loss, accuracy, epoch, step, samples }) => ({ loss, accuracy, epoch, step, samples }));
/** The same but for the passes, which are counted by samples or not. */
const open = (on: Engine = engine, accumulate = 1) => compileSync(model, { ...recipe, accumulate, engine: on });
const values = (trainer: ReturnType<typeof open>) => {
  const { parameters, optimizer, steps, epochs } = trainer.checkpoint();
  return { parameters, optimizer, steps, epochs };
};

describe("the bits of training in memory", () => {
  test.each([
    [8, 1],
    [157, 1],
    [500, 1],
    [10, 3],
  ])("batches of %i samples, %i a step, by every kind of source", async (batchSize, accumulate) => {
    const options = { batchSize, epochs: 3 };
    using inMemory = open(engine, accumulate);
    const expected = inMemory.fitSync(DATA, { ...options, shuffle: false, validation: blobs(40) });
    const check = (trainer: ReturnType<typeof open>, results: readonly Scored[]) => {
      expect(timeless(results)).toEqual(timeless(expected));
      expect(values(trainer)).toEqual(values(inMemory));
    };
    using synchronous = open(engine, accumulate);
    check(synchronous, synchronous.fitSync(again, options));
    const kinds = {
      function: again,
      asynchronous: slowly,
      iterable: { [Symbol.iterator]: again },
      "asynchronous iterable": { [Symbol.asyncIterator]: () => slowly() },
      source: { count: 157, open: again },
      "promised web stream": async () => webStream(batches()),
      "stream of Node": () => Readable.from(batches()),
    };
    const named = Object.entries(kinds);
    for (const [name, source] of batchSize === 8 ? named : named.slice(0, 2)) {
      for (const on of name === "function" || name === "asynchronous" ? [engine, background] : [engine]) {
        using trainer = open(on, accumulate);
        const results = await trainer.fit(source, { ...options, validation: blobs(40) });
        check(trainer, results);
        expect(results.map(({ validation }) => validation)).toEqual(expected.map(({ validation }) => validation));
        expect(trainer.evaluateSync(again)).toEqual(inMemory.evaluateSync(DATA));
        expect(await trainer.evaluate(source, { batchSize: 9 })).toEqual(inMemory.evaluateSync(DATA, { batchSize: 9 }));
      }
    }
  });

  test("steps are cut in any way: a call goes on where the last one stopped, and opens nothing anew", async () => {
    using inMemory = open();
    const shuffle = false;
    const expected = inMemory.trainStepsSync(DATA, { steps: 40, batchSize: 10, shuffle });
    let opened = 0;
    const source = (pass: SourcePass) => {
      opened += 1;
      return slowly(pass);
    };
    for (const on of [engine, background]) {
      opened = 0;
      using trainer = open(on);
      const losses: number[] = [];
      for (const steps of [1, 5, 2, 8, 10, 14])
        losses.push(...(await trainer.trainSteps(source, { steps, batchSize: 10 })));
      expect(losses).toEqual([...expected]);
      expect(values(trainer)).toEqual(values(inMemory));
      expect(opened).toBe(3);
    }
  });

  test("a pass that ends with a step is an epoch when that step is done", async () => {
    const source = () => batches({}, 3, blobs(40));
    using trainer = open();
    trainer.trainStepsSync(source, { steps: 4, batchSize: 10 });
    expect(trainer.epochs).toBe(1);
    await trainer.trainSteps(source, { steps: 4, batchSize: 10 });
    expect(trainer.epochs).toBe(2);
  });

  test("another batch size, and a call of the other form, go on with the same pass", async () => {
    let opened = 0;
    const source = () => {
      opened += 1;
      return batches();
    };
    const plain = sequential({ input: [2] }, dense(3));
    using inMemory = compileSync(plain, { ...recipe, engine });
    using trainer = compileSync(plain, { ...recipe, engine });
    for (const batchSize of [10, 7, 30, 4]) {
      const options = { steps: 3, batchSize };
      const expected = inMemory.trainStepsSync(DATA, { ...options, shuffle: false });
      const inTurn = batchSize === 7 || batchSize === 4;
      expect(inTurn ? trainer.trainStepsSync(source, options) : await trainer.trainSteps(source, options)).toEqual(
        expected,
      );
    }
    expect(opened).toBe(1);
    expect(trainer.parameters()).toEqual(inMemory.parameters());
  });

  test("a checkpoint in mid-epoch goes on with the same bits, in another trainer", async () => {
    using inMemory = open();
    const expected = inMemory.fitSync(DATA, { epochs: 3, batchSize: 16, shuffle: false });
    const seen: SourcePass[] = [];
    const skipping = (pass: SourcePass) => {
      seen.push(pass);
      return Object.assign(batches(pass), { skipped: pass.skip });
    };
    for (const source of [again, slowly, skipping]) {
      using first = open();
      await first.trainSteps(source === slowly ? () => slowly() : source, { steps: 14, batchSize: 16 });
      const checkpoint = first.checkpoint();
      expect(checkpoint.position?.open).toMatchObject([{ number: 2, samples: 0, row: 64 }]);
      using second = open();
      second.restore(structuredClone(checkpoint));
      const rest = await second.fit(source === slowly ? () => slowly() : source, { epochs: 2, batchSize: 16 });
      expect(timeless(rest)).toEqual(timeless(expected.slice(1)));
      expect(values(second)).toEqual(values(inMemory));
    }
    expect(seen).toEqual([
      { pass: 1, skip: 0 },
      { pass: 2, skip: 0 },
      { pass: 2, skip: 64 },
      { pass: 3, skip: 0 },
    ]);
  });

  test("larger than its memory: batches of any size, read while rows are free", async () => {
    const wide = sequential({ input: [5000] }, dense(1));
    const config = { loss: meanSquaredError(), optimizer: sgd({ learningRate: 1e-4 }), engine, seed: 1 };
    const count = 1000;
    const fractions = (length: number) => new Float32Array(length).map((_, i) => (i % 997) / 997);
    const data = { x: fractions(count * 5000), y: fractions(count) };
    const source = function* () {
      for (const [from, to] of [
        [0, 1],
        [1, 950],
        [950, 953],
        [953, count],
      ])
        yield { x: data.x.subarray(from * 5000, to * 5000), y: data.y.subarray(from, to) };
    };
    using inMemory = compileSync(wide, config);
    using trainer = compileSync(wide, config);
    const [expected] = inMemory.fitSync(data, { batchSize: 64, shuffle: false });
    const [{ loss }] = trainer.fitSync(source, { batchSize: 64 });
    expect(loss).toBe(expected.loss);
    expect((await trainer.fit(source, { batchSize: 64 }))[0].loss).toBe(
      inMemory.fitSync(data, { batchSize: 64, shuffle: false })[0].loss,
    );
  });

  test("weights, single samples, lists, several inputs of bytes", () => {
    const line = sequential({ input: [2] }, dense(1));
    const openWeighted = () =>
      compileSync(line, {
        loss: meanSquaredError(),
        optimizer: sgd({ learningRate: 0.1 }),
        weights: true,
        engine,
        seed: 1,
      });
    const x = [
      [1, 2],
      [3, 4],
      [5, 6],
    ];
    const y = [[1], [2], [3]];
    const weights = [1, 0.5, 2];
    using inMemory = openWeighted();
    using trainer = openWeighted();
    const samples = x.map((row, i) => ({ x: row, y: y[i], weights: weights[i] }));
    const source = () => [samples[0], { x: Uint8Array.of(3, 4), y: [[2]], weights: [0.5] }, [samples[2]]];
    inMemory.fitSync({ x, y, weights }, { batchSize: 2, shuffle: false });
    trainer.fitSync(source, { batchSize: 2 });
    expect(trainer.parameters()).toEqual(inMemory.parameters());
  });

  test("updateNormalization", async () => {
    using inMemory = open();
    using trainer = open();
    inMemory.updateNormalizationSync(DATA, { batchSize: 20 });
    await trainer.updateNormalization(slowly, { batchSize: 20 });
    expect(trainer.parameters()).toEqual(inMemory.parameters());
  });
});

function webStream(from: Iterable<Batch>): ReadableStream<Batch> {
  const iterator = from[Symbol.iterator]();
  return new ReadableStream({
    pull(controller) {
      const { done, value } = iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

describe("progress", () => {
  test("the end is known when it has been read, or from a count", async () => {
    for (const [source, known] of [
      [slowly, false],
      [{ count: 157, open: slowly }, true],
    ] as const) {
      using trainer = open();
      const seen: { samples: number; samplesPerEpoch: number; batches: number; remainingMs: number }[] = [];
      await trainer.fit(source, { batchSize: 16, onProgress: (progress) => void seen.push(progress) });
      expect(seen[0].samplesPerEpoch).toBe(known ? 157 : Number.POSITIVE_INFINITY);
      expect(seen[0].batches).toBe(known ? 10 : Number.POSITIVE_INFINITY);
      expect(seen.at(-1)).toMatchObject({ samples: 157, samplesPerEpoch: 157, batch: 10, batches: 10, remainingMs: 0 });
    }
  });
});

/** Batches, and what became of their iterator. */
function watched(make: (index: number) => unknown) {
  const log = { opened: 0, closed: 0, given: 0 };
  const source = (_: SourcePass) => {
    log.opened += 1;
    let index = 0;
    const iterator = {
      next: () => {
        log.given += 1;
        const value = make(index++);
        return value instanceof Promise ? value : { done: value === undefined, value };
      },
      return: () => {
        log.closed += 1;
        return { done: true, value: undefined };
      },
      [Symbol.iterator]: () => iterator,
    };
    return iterator as Iterable<Batch>;
  };
  return { source, log };
}

const some = (count: number): Batch => blobs(count);

describe("faults", () => {
  const usable = (trainer: ReturnType<typeof open>) => {
    const bytes = trainer.checkpoint();
    expect(trainer.fitSync(DATA, { batchSize: 16 })[0].loss).toBeGreaterThan(0);
    trainer.restore(bytes);
    expect(trainer.fitSync(again, { batchSize: 16 })).toHaveLength(1);
  };

  test("a source that throws: its error comes out, its iterator is closed, and the pass can be gone on with", async () => {
    for (const asynchronous of [false, true]) {
      using trainer = open();
      const failure = new RangeError("the disk is gone");
      let broken = true;
      const { source, log } = watched((index) => {
        if (index === 6) return undefined;
        if (index === 3 && broken) throw failure;
        return some(10);
      });
      const fit = () => trainer.fit(source, { batchSize: 10 });
      if (asynchronous) await expect(fit()).rejects.toBe(failure);
      else expect(() => trainer.fitSync(source, { batchSize: 10 })).toThrow(failure);
      expect(log).toMatchObject({ opened: 1, closed: 1 });
      const { steps, epochs } = trainer;
      expect(steps).toBeLessThanOrEqual(3);
      expect(epochs).toBe(0);
      broken = false;
      const [{ samples, step }] = await fit();
      expect([samples, step]).toEqual([60, 6]);
      usable(trainer);
    }
  });

  test("wrong batches are refused by pass and batch, and nothing is trained on them", async () => {
    const cases: [unknown, string][] = [
      [
        { x: [[1, 2]], y: [7] },
        "fit: pass 1 of its source, batch 2: y: every label must be a whole number from 0 to 2, got 7 at index 0",
      ],
      [{ x: [[1, 2, 3]], y: [1] }, "fit: pass 1 of its source, batch 2: x: must be samples of shape [2]"],
      [
        { x: Float32Array.of(1, 2, 3), y: [1] },
        "batch 2: x: must be samples of shape [2] (2 values each), got 3 values",
      ],
      [
        { x: Float32Array.of(1, Number.NaN), y: [1] },
        "batch 2: x: every value must be a finite float32, got NaN at index 1",
      ],
      [
        { x: Float32Array.of(1, 2, 3, 4), y: [1] },
        "batch 2: y: must have 1 value for each of the 2 samples in x, got 1",
      ],
      [{ x: [], y: [] }, "batch 2: x: must be samples of shape [2], got none"],
      [{ x: [[1, 2]] }, "batch 2: the batch: must be an object with x and y"],
      [3, "batch 2: the batch: must be an object with x and y, got 3"],
      [null, "batch 2: the batch: must be an object with x and y, got null"],
      [{ x: [[1, 2]], y: [1], weights: [1] }, "batch 2: weights: the losses must take weights"],
    ];
    for (const [batch, message] of cases) {
      using trainer = open();
      const { source, log } = watched((index) => [some(10), batch][index]);
      expect(() => trainer.fitSync(source, { batchSize: 10 })).toThrow(message);
      expect(log.closed).toBe(1);
      await expect(trainer.fit(source, { batchSize: 20 })).rejects.toThrow(message);
      expect(log.closed).toBe(2);
      expect(trainer.steps).toBe(0);
      // Nothing was trained on, so its pass was not counted.
      expect(trainer.checkpoint().position).toEqual({ passes: 0, open: [] });
      usable(trainer);
    }
  });

  test("empty passes, used-up generators, counts that are wrong, passes that change", async () => {
    using trainer = open();
    expect(() => trainer.fitSync(() => [])).toThrow("fit: pass 1 of its source: must give samples, got none");
    expect(() => trainer.evaluateSync(() => [])).toThrow("evaluate: pass 1 of its source: must give samples, got none");
    const once = batches();
    await expect(trainer.fit(once, { epochs: 2 })).rejects.toThrow(
      "fit: pass 2 of its source was used up by an earlier pass, got the same generator or stream again: hand in a function that makes a new one for each pass",
    );
    expect(trainer.epochs).toBe(1);
    await expect(trainer.fit(webStream(batches()), { epochs: 2 })).rejects.toThrow("used up");
    await expect(trainer.fit(Readable.from(batches()), { epochs: 2 })).rejects.toThrow("used up");
    expect(trainer.epochs).toBe(3);
    expect(() => trainer.fitSync({ count: 158, open: again })).toThrow(
      "must give 158 samples, as its count says, got 157",
    );
    expect(() => trainer.fitSync({ count: 0, open: again })).toThrow(
      "count of a source must be a whole number of at least 1, got 0",
    );
    using other = open();
    other.trainStepsSync(again, { steps: 5, batchSize: 20 });
    const checkpoint = other.checkpoint();
    other.restore(checkpoint);
    expect(() => other.fitSync(() => [some(50)])).toThrow(
      "must give the 100 samples again that were trained on before, got 50",
    );
    other.restore(checkpoint);
    expect(() => other.fitSync(() => Object.assign([some(50)], { skipped: 200 }))).toThrow(
      "skipped must be a whole number from 0 to 100, got 200",
    );
    usable(other);
  });

  test("what is no source, and options that do not fit one", async () => {
    using trainer = open();
    const wrong = [() => undefined, () => 3, () => ({}), () => "ab"] as unknown as (() => never)[];
    for (const source of wrong)
      expect(() => trainer.fitSync(source)).toThrow(/must be something that gives batches|must be an object/);
    expect(() => trainer.fitSync(again, { shuffle: true })).toThrow(ModelError);
    expect(() => trainer.trainStepsSync(again, { steps: 1 })).toThrow(
      "trainSteps: batchSize must be given with a source",
    );
    expect(trainer.steps).toBe(0);
  });

  test("synchronous methods refuse what takes time, and close it", () => {
    using trainer = open();
    const source = async function* () {
      yield some(10);
    };
    expect(() => trainer.fitSync(source)).toThrow(
      "fit: pass 1 of its source takes time, which a synchronous method cannot wait for: call the method without Sync, and await it",
    );
    expect(() => trainer.evaluateSync(async () => batches())).toThrow(SteepestError);
    expect(() => trainer.trainStepsSync(webStream(batches()), { steps: 1, batchSize: 8 })).toThrow("takes time");
    usable(trainer);
  });

  test("an abort gets through to a source that hangs, at every place; so does the end of the trainer", async () => {
    for (const on of [engine, background]) {
      for (const hangsAt of [0, 2]) {
        using trainer = open(on);
        const abort = new AbortController();
        const { source, log } = watched((index) => {
          if (index < hangsAt) return some(10);
          const once = () => (trainer.steps < hangsAt ? setImmediate(once) : abort.abort());
          setImmediate(once);
          return new Promise(() => {});
        });
        await expect(trainer.fit(source, { batchSize: 10, signal: abort.signal })).rejects.toThrow("aborted");
        expect(log).toMatchObject({ opened: 1, closed: 1 });
        expect(trainer.steps).toBe(hangsAt);
        const stopped = new AbortController();
        const validation = watched(() => {
          setImmediate(() => stopped.abort());
          return new Promise(() => {});
        });
        const fit = trainer.fit(again, { validation: validation.source, signal: stopped.signal });
        await expect(fit).rejects.toThrow("aborted");
        expect(validation.log.closed).toBe(1);
        usable(trainer);
      }
      const trainer = open(on);
      const before = on.allocator.blocks().length;
      const { source, log } = watched((index) => (index < 1 ? some(10) : new Promise(() => {})));
      const fit = trainer.fit(source, { batchSize: 100 });
      const ended = expect(fit).rejects.toThrow("trainer: it has been disposed of");
      await expect.poll(() => log.opened, { interval: 1 }).toBe(1);
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      trainer.dispose();
      await ended;
      expect(log.closed).toBe(1);
      expect(on.allocator.blocks().length).toBeLessThan(before);
    }
  });

  test("memory is flat, and given back: after the end, an error, an abort, and when other data come", async () => {
    using trainer = open();
    trainer.fitSync(again, { batchSize: 16 });
    trainer.trainStepsSync(DATA, { steps: 1, batchSize: 10 });
    const blocks = () => engine.allocator.blocks().length;
    const before = blocks();
    const { source, log } = watched((index) => (index < 3000 ? some(10) : undefined));
    await trainer.trainSteps(source, { steps: 4, batchSize: 10 });
    // It stays open for the next call …
    expect(log.closed).toBe(0);
    expect(blocks()).toBeGreaterThan(before);
    // … until other data are trained on.
    trainer.fitSync(again, { batchSize: 16 });
    expect(log.closed).toBe(1);
    expect(blocks()).toBe(before);
    await trainer.trainSteps(source, { steps: 4, batchSize: 10 });
    trainer.reset();
    expect(log.closed).toBe(2);
    expect(blocks()).toBe(before);
    const peak = engine.memoryBytes();
    for (let i = 0; i < 20; i++) await trainer.fit(slowly, { batchSize: 16 });
    expect(blocks()).toBe(before);
    expect(engine.memoryBytes()).toBe(peak);
  });

  test("a source may not use the trainer that reads it, but may end it", async () => {
    const trainer = open();
    const source = function* () {
      yield some(10);
      expect(() => trainer.fitSync(DATA)).toThrow("fit is still running");
      trainer.dispose();
      yield some(10);
    };
    await expect(trainer.fit(source, { batchSize: 10 })).rejects.toThrow("it has been disposed of");
  });
});

test("findLearningRate takes sources", async () => {
  const { curve } = await findLearningRate(model, again, {
    loss: crossEntropy(),
    optimizer: (learningRate) => adam({ learningRate }),
    steps: 12,
    seed: 1,
  });
  expect(curve.length).toBeGreaterThan(3);
});
