// Random sequences of every method that trains or scores, against a trainer in plain JavaScript: however calls are cut,
// grouped and mixed, each epoch visits each sample once, in the seed's order, also if a step has several batches.
import {
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  dense,
  type Engine,
  type EngineOptions,
  meanSquaredError,
  type ResidentData,
  sequential,
  sgd,
  type Trainer,
  zeros,
} from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lehmer } from "./blobs.js";
import { type PlainData, PlainTrainer } from "./plainTrainer.js";

const SEQUENCES = Number(process.env.STEEPEST_SEQUENCES ?? (process.env.STEEPEST_EXHAUSTIVE ? 2000 : 500));
const CALLS = 12;
const WIDTH = 23;
const RATE = 0.1;

const model = sequential({ input: [WIDTH] }, dense(1, { bias: false, weightInitializer: zeros() }));
const config = { loss: meanSquaredError({ reduction: "sum" }), optimizer: sgd({ learningRate: RATE }) };

type Random = (below: number) => number;

/** A data set, as the library and as the reference have it. */
interface Data {
  readonly plain: PlainData;
  readonly samples: { x: Float32Array; y: Float32Array };
}

function dataOf(count: number, random: Random): Data {
  const indices = Array.from({ length: count }, () => random(WIDTH));
  const targets = indices.map(() => random(1000) / 100 - 5);
  const x = new Float32Array(count * WIDTH);
  indices.forEach((index, sample) => {
    x[sample * WIDTH + index] = 1;
  });
  return { plain: { indices, targets: targets.map(Math.fround) }, samples: { x, y: Float32Array.from(targets) } };
}

// Some hundred thousand numbers are compared: an assertion for each took a third of the time.
function close(found: number, expected: number): void {
  if (Math.abs(found - expected) <= 1e-5 * Math.abs(expected) + 1e-6) return;
  expect.fail(`got ${found}, and the reference ${expected}`);
}

function same(found: Float32Array, expected: ArrayLike<number>): void {
  if (found.length === expected.length && found.every((value, i) => value === expected[i])) return;
  expect([...found]).toEqual([...Array.from(expected)]);
  expect.fail("they differ by signs of zeros");
}

/** What tells a trainer from others of the same engine. */
interface Kind {
  readonly seed: number;
  /** Batches a step. */
  readonly accumulate: number;
}

/** A trainer next to its reference, and the calls that both are given. */
class Pair {
  readonly #data: Data[];
  readonly #resident = new Map<Data, ResidentData>();
  readonly #plain: PlainTrainer;

  constructor(
    private trainer: Trainer,
    { seed, accumulate }: Kind,
    private readonly random: Random,
  ) {
    this.#plain = new PlainTrainer(WIDTH, seed, RATE, accumulate);
    // Two of one size: without memory of their own they are one data set, whose values have changed.
    this.#data = [11, 11, 4, 1 + random(14)].map((count) => dataOf(count, random));
  }

  /** One call of any kind; then both must be in the same state. */
  async call(): Promise<void> {
    const calls = [
      this.#fit,
      this.#fit,
      this.#trainSteps,
      this.#trainSteps,
      this.#trainFor,
      this.#trainFor,
      this.#trainBatch,
      this.#score,
      this.#abort,
      this.#goOn,
      this.#dispose,
      this.#reset,
    ];
    await calls[this.random(calls.length)].call(this);
    const { trainer } = this;
    expect([trainer.steps, trainer.epochs]).toEqual([this.#plain.steps, this.#plain.epochs]);
    same(trainer.parameters().get("0.weight")?.data as Float32Array, this.#plain.weights);
  }

  dispose(): void {
    this.trainer.dispose();
  }

  #pick(): { data: Data; given: Data["samples"] | ResidentData; owner: unknown } {
    const data = this.#data[this.random(this.#data.length)];
    if (this.random(2) === 0) return { data, given: data.samples, owner: data.plain.indices.length };
    return { data, given: this.#load(data), owner: data };
  }

  #load(data: Data): ResidentData {
    const found = this.#resident.get(data) ?? this.trainer.load(data.samples);
    this.#resident.set(data, found);
    return found;
  }

  #way() {
    return { batchSize: 1 + this.random(6), shuffle: this.random(3) > 0 };
  }

  async #fit(): Promise<void> {
    const { data, given, owner } = this.#pick();
    const way = this.#way();
    const options = { ...way, epochs: 1 + this.random(3), validation: this.#pick().given };
    const check = ({ loss, epoch, step, samples }: { loss: number; epoch: number; step: number; samples: number }) => {
      const losses = this.#walkToEnd({ data: data.plain, owner, ...way });
      close(
        loss,
        losses.reduce((sum, value) => sum + value, 0),
      );
      expect([epoch, step, samples]).toEqual([this.#plain.epochs, this.#plain.steps, data.plain.indices.length]);
    };
    const form = this.random(4);
    if (form === 0) for (const result of this.trainer.fitSync(given, options)) check(result);
    else if (form === 1) for (const result of await this.trainer.fit(given, options)) check(result);
    else {
      for await (const result of this.trainer.fit(given, options)) {
        check(result);
        if (form === 2) {
          await this.#score();
          await this.#trainSteps();
          await this.#trainBatch();
        }
        // Left in the middle, now and then.
        if (this.random(4) === 0) break;
      }
    }
  }

  #walkToEnd(walk: Parameters<PlainTrainer["walk"]>[0]): number[] {
    for (;;) {
      const { ended } = this.#plain.walk(walk);
      if (ended !== undefined) return ended;
    }
  }

  async #trainSteps(): Promise<void> {
    const { data, given, owner } = this.#pick();
    const { batchSize, shuffle } = this.#way();
    const whole = this.random(5) === 0;
    const options = { steps: 1 + this.random(9), shuffle, ...(whole ? {} : { batchSize }) };
    const losses = await (this.random(2) ? this.trainer.trainSteps : this.trainer.trainStepsSync)(given, options);
    const walk = { data: data.plain, owner, shuffle, batchSize: whole ? Number.POSITIVE_INFINITY : batchSize };
    for (const loss of losses) close(loss, this.#plain.walk(walk).loss);
  }

  #trainFor(): void {
    const data = this.#data[this.random(this.#data.length)];
    const way = this.#way();
    for (const loss of this.trainer.trainFor(1e-6, this.#load(data), way)) {
      close(loss, this.#plain.walk({ data: data.plain, owner: data, ...way }).loss);
    }
  }

  async #trainBatch(): Promise<void> {
    const batch = dataOf(1 + this.random(5), this.random);
    const given = { x: batch.samples.x.slice(), y: batch.samples.y.slice() };
    const training = this.random(2) ? this.trainer.trainBatch(given) : this.trainer.trainBatchSync(given);
    // What was handed in is read before the call returns.
    given.x.fill(1);
    given.y.fill(Number.NaN);
    close(
      await training,
      this.#plain.step(
        batch.plain,
        batch.plain.indices.map((_, i) => i),
      ),
    );
  }

  async #score(): Promise<void> {
    const { data, given } = this.#pick();
    const options = { batchSize: 1 + this.random(20) };
    const expected = this.#plain.loss(data.plain);
    close(this.trainer.evaluateSync(given, options).loss, expected);
    close((await this.trainer.evaluate(given, options)).loss, expected);
    const predictions = await this.trainer.predict(data.samples.x);
    same(
      predictions,
      data.plain.indices.map((index) => this.#plain.weights[index]),
    );
    const gradients = (await this.trainer.gradients(data.samples)).get("0.weight")?.data as Float32Array;
    const sums = new Float64Array(WIDTH);
    data.plain.indices.forEach((index, i) => {
      sums[index] += 2 * (this.#plain.weights[index] - data.plain.targets[i]);
    });
    gradients.forEach((value, i) => {
      close(value, sums[i]);
    });
  }

  /** A fit that is ended at its first report. What it had done counts, and goes on later. */
  async #abort(): Promise<void> {
    const { data, given, owner } = this.#pick();
    const way = this.#way();
    const abort = new AbortController();
    const onProgress = () => abort.abort(new Error("enough"));
    const fit = this.trainer.fit(given, { ...way, epochs: 2, signal: abort.signal, onProgress });
    await expect(fit).rejects.toThrow("enough");
    while (this.#plain.steps < this.trainer.steps) this.#plain.walk({ data: data.plain, owner, ...way });
  }

  /** A checkpoint, and on from it: in this trainer, or in another of another seed. */
  async #goOn(): Promise<void> {
    const checkpoint = structuredClone(this.trainer.checkpoint());
    if (this.random(2) === 0) {
      this.trainer.trainBatchSync(this.#data[0].samples);
      this.trainer.trainStepsSync(this.#data[0].samples, { steps: 3, batchSize: 2 });
      this.trainer.restore(checkpoint);
    } else {
      const other = await this.another();
      other.restore(checkpoint);
      this.trainer.dispose();
      this.#resident.clear();
      this.trainer = other;
    }
    this.#plain.restored();
    expect(this.trainer.checkpoint()).toEqual(checkpoint);
  }

  another: () => Promise<Trainer> = async () => {
    throw new Error("not set");
  };

  #dispose(): void {
    for (const [data, resident] of this.#resident) {
      if (this.random(2) === 0) continue;
      resident.dispose();
      this.#resident.delete(data);
      this.#plain.forget(data);
    }
  }

  #reset(): void {
    this.trainer.reset();
    this.#plain.reset();
  }
}

const kinds: Record<string, EngineOptions> = {
  "this thread": {},
  "two threads": { threads: 2 },
  background: { background: true },
  "background, two threads": { background: true, threads: 2 },
  "a copy": { background: true },
};

async function engineFor(kind: string): Promise<Engine> {
  const sharing = globalThis.SharedArrayBuffer;
  // As in a page that is not isolated.
  if (kind === "a copy") (globalThis as { SharedArrayBuffer?: unknown }).SharedArrayBuffer = undefined;
  try {
    return await createEngine(kinds[kind]);
  } finally {
    globalThis.SharedArrayBuffer = sharing;
  }
}

async function play(sequence: number, open: (kind: Kind) => Promise<Trainer>, trainers: number): Promise<void> {
  const next = lehmer(sequence + 1);
  const random: Random = (below) => Math.floor(next() * below);
  const pairs: Pair[] = [];
  for (let i = 0; i < trainers; i++) {
    // Every other trainer has steps of one batch.
    const kind = { seed: sequence * 10 + i, accumulate: (sequence + i) % 2 === 0 ? 1 : 2 + random(3) };
    const pair = new Pair(await open(kind), kind, random);
    pair.another = () => open({ ...kind, seed: random(1000) });
    pairs.push(pair);
  }
  for (let call = 0; call < CALLS * trainers; call++) await pairs[random(trainers)].call();
  for (const pair of pairs) pair.dispose();
}

const ways = [...Object.keys(kinds), "an engine of its own"];
const part = Math.ceil(SEQUENCES / ways.length);

describe.each(Object.keys(kinds))("over %s, shared by two trainers", (kind) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor(kind);
  });
  afterAll(() => engine.dispose());

  test(`${part} sequences`, { timeout: 600_000 }, async () => {
    const before = engine.allocator.usedBytes();
    const first = ways.indexOf(kind) * part;
    for (let i = 0; i < part; i++)
      await play(first + i, async (kind) => compile(model, { ...config, ...kind, engine }), 2);
    expect(engine.allocator.usedBytes()).toBe(before);
  });
});

test(`over an engine of its own: ${part} sequences`, { timeout: 600_000 }, async () => {
  const first = ways.length * part;
  for (let i = 0; i < part; i++) await play(first + i, async (kind) => compileSync(model, { ...config, ...kind }), 1);
});

test("a trainer that goes on with the same few samples would be found", async () => {
  // The reference against itself: it notices a pass that is begun anew in each call.
  const engine = createEngineSync();
  const random: Random = (below) => Math.floor(next() * below);
  const next = lehmer(5);
  const trainer = compileSync(model, { ...config, engine, seed: 1 });
  const startOver = <F extends (...given: never[]) => unknown>(method: F) => ({
    value: (...given: Parameters<F>) => {
      trainer.reset();
      return method(...given);
    },
  });
  const broken: Trainer = Object.create(trainer, {
    trainSteps: startOver(trainer.trainSteps),
    trainStepsSync: startOver(trainer.trainStepsSync),
  });
  const pair = new Pair(broken, { seed: 1, accumulate: 1 }, random);
  await expect(
    (async () => {
      for (let call = 0; call < 40; call++) await pair.call();
    })(),
  ).rejects.toThrow();
  engine.dispose();
});
