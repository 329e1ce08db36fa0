// What is done very often, one way of use each. What is held meanwhile must not grow.
import { getEventListeners } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  binaryCrossEntropy,
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  DivergenceError,
  defineLayer,
  dense,
  type Engine,
  sequential,
  sgd,
  tanh,
} from "../../src/platform/node.js";
import { checkpoints, csvLog, earlyStopping, jsonLog, reduceOnPlateau } from "../../src/platform/nodeCallbacks.js";
import { source } from "../../src/platform/nodeData.js";
import { exp } from "../../src/platform/nodeGraph.js";
import { folderStore } from "../../src/platform/nodeIo.js";
import { type Held, measure, turn } from "./held.js";

/** Says that it has been done once more, to be awaited. `engine`: the one that is looked into. */
export type Done = (engine: Engine) => Promise<void> | undefined;

export interface Soak {
  /** What is done. */
  readonly what: string;
  /** How often in the tests (0: it is left out), and in `npm run test:soak`. */
  readonly short: number;
  readonly long: number;
  run(times: number, done: Done): Promise<void>;
}

interface Measuring {
  /** How often it is measured: after each such part. */
  readonly moments: number;
  /** Whether objects are counted, which takes seconds each time. Default false. */
  readonly exact?: boolean;
  readonly onHeld?: (held: Held) => void;
}

/** Does it so often, and measures meanwhile. */
export async function heldBy({ run }: Soak, times: number, { moments, exact, onHeld }: Measuring): Promise<Held[]> {
  const all: Held[] = [];
  let count = 0;
  const add = async (engine: Engine): Promise<void> => {
    const held = await measure(count, engine, exact ?? false);
    // Kinds are compared of the first and the last; what is between them would only be held.
    if (all.length > 1) all.push({ ...(all.pop() as Held), kinds: undefined });
    all.push(held);
    onHeld?.(held);
  };
  await run(times, (engine) => {
    count += 1;
    return count % Math.floor(times / moments) === 0 ? add(engine) : undefined;
  });
  if (count !== times) throw new Error(`it was done ${count} times, and should be ${times}`);
  return all;
}

const XOR = { x: [0, 0, 0, 1, 1, 0, 1, 1], y: [0, 1, 1, 0] };
const WORKERS = { threads: 2, background: true };
const model = sequential({ input: [2] }, dense(8), tanh(), dense(1));
const loss = binaryCrossEntropy();
const exponential = defineLayer("exponential", (x) => exp(x));
const repeated = (count: number) => ({
  x: Array.from({ length: count }, () => XOR.x).flat(),
  y: Array.from({ length: count }, () => XOR.y).flat(),
});

async function steps(times: number, done: Done): Promise<void> {
  using engine = createEngineSync();
  using trainer = compileSync(model, { loss, optimizer: sgd({ learningRate: 0.5 }), engine });
  const data = trainer.load(XOR);
  for (let i = 0; i < times; i++) {
    trainer.trainStepsSync(data, { steps: 1000 });
    for (let step = 0; step < 500; step++) trainer.trainBatchSync(XOR);
    for (let step = 0; step < 500; step++) trainer.trainStepsSync(data, { steps: 1 });
    await done(engine);
  }
}

/** Two each time: one that has an engine of its own, and one with an engine that is disposed of after it. */
const trainers =
  (options: { threads?: number; background?: boolean }) =>
  async (times: number, done: Done): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const own = await compile(model, { loss, optimizer: adam(), ...options });
      await own.trainSteps(XOR, { steps: 3 });
      await own.predict(XOR.x);
      own.dispose();
      const engine = await createEngine(options);
      const other = await compile(model, { loss, optimizer: adam(), engine });
      await other.trainSteps(XOR, { steps: 3 });
      await other.evaluate(XOR);
      await done(engine);
      other.dispose();
      engine.dispose();
      // Workers end some turns later: without these, more and more of them would be ending at the same time.
      await turn();
    }
  };

/** One pass over batches that come over time. */
const stream =
  (options: { threads?: number; background?: boolean }) =>
  async (times: number, done: Done): Promise<void> => {
    using engine = await createEngine(options);
    using trainer = await compile(model, { loss, optimizer: adam(), engine });
    async function* batches() {
      for (let i = 0; i < times; i++) {
        yield { x: XOR.x, y: XOR.y };
        await done(engine);
      }
    }
    await trainer.fit(source(batches), { epochs: 1 });
  };

/** Passes over a source that is made of others. */
async function passes(times: number, done: Done): Promise<void> {
  using engine = createEngineSync();
  using trainer = compileSync(model, { loss, optimizer: adam(), engine });
  const numbers = source(function* () {
    for (let i = 0; i < 24; i++) yield i;
  });
  const rows = numbers
    .filter((i) => i < 20)
    .zip(numbers)
    .shuffle(4)
    .map(([i, j]) => ({ x: [i % 2, j % 3], y: [i % 2] }));
  const { training, validation } = rows.split({ parts: { training: 0.6, validation: 0.4 } });
  for (let i = 0; i < times; i++) {
    await trainer.fit(training.prefetch(3), { batchSize: 2, validation });
    await done(engine);
  }
}

/** The results of all epochs are kept for who awaits the fit at last; so these are long. */
async function iterated(times: number, done: Done): Promise<void> {
  using engine = createEngineSync();
  using trainer = compileSync(model, { loss, optimizer: adam(), engine });
  const data = trainer.load(repeated(250));
  for await (const _ of trainer.fit(data, { every: "step", batchSize: 1, epochs: times / 1000 })) await done(engine);
}

/** Fits with everything that writes, and a divergence in between. */
async function written(times: number, done: Done): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "steepest-soak-"));
  try {
    using engine = createEngineSync();
    const options = { loss, optimizer: adam({ learningRate: 0.01 }), engine, tripwire: "all" } as const;
    using trainer = compileSync(sequential({ input: [2] }, exponential(), dense(1)), options);
    const store = folderStore(join(folder, "checkpoints"));
    const logs = [join(folder, "log.jsonl"), join(folder, "log.csv")] as const;
    for (let i = 0; i < times; i++) {
      const callbacks = [
        jsonLog(logs[0], { layers: true }),
        csvLog(logs[1]),
        checkpoints({ store, everySteps: 3, best: "loss", keep: 2 }),
        earlyStopping({ monitor: "loss", patience: 3 }),
        reduceOnPlateau({ monitor: "loss", patience: 1 }),
      ];
      await trainer.fit(repeated(4), { epochs: 2, batchSize: 4, callbacks });
      diverge(() => trainer.trainBatchSync({ x: [200, 200], y: [0] }));
      for (const log of logs) rmSync(log);
      const files = readdirSync(folder, { recursive: true });
      // The folder, two checkpoints and the best one.
      if (files.length > 4) throw new Error(`there are more and more files: ${files.join(", ")}`);
      await done(engine);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function diverge(train: () => void): void {
  try {
    train();
  } catch (error) {
    if (error instanceof DivergenceError) return;
    throw error;
  }
  throw new Error("it did not diverge");
}

async function predictions(times: number, done: Done): Promise<void> {
  using engine = createEngineSync();
  using background = await createEngine(WORKERS);
  using here = compileSync(model, { loss, optimizer: adam(), engine });
  using there = await compile(model, { loss, optimizer: adam(), engine: background });
  for (let i = 0; i < times; i++) {
    for (let call = 0; call < 900; call++) here.predictSync(XOR.x);
    for (let call = 0; call < 90; call++) await here.predict(XOR.x);
    for (let call = 0; call < 10; call++) await there.predict(XOR.x);
    await done(engine);
  }
}

async function evaluations(times: number, done: Done): Promise<void> {
  using engine = createEngineSync();
  using background = await createEngine(WORKERS);
  const options = { loss, optimizer: adam(), metrics: ["accuracy"] } as const;
  using here = compileSync(model, { ...options, engine });
  using there = await compile(model, { ...options, engine: background });
  const data = [repeated(2), here.load(repeated(3)), source(() => [repeated(1), repeated(2)])] as const;
  for (let i = 0; i < times; i++) {
    here.evaluateSync(repeated(1 + (i % 5)), { batchSize: 3 });
    await here.evaluate(data[i % data.length] as (typeof data)[number]);
    await there.evaluate(data[0]);
    await done(engine);
  }
}

/** Fits that are paused and go on, that are aborted, that are left; one signal outlives them all. */
const interrupted =
  (options: { threads?: number; background?: boolean }) =>
  async (times: number, done: Done): Promise<void> => {
    using engine = await createEngine(options);
    using trainer = await compile(model, { loss, optimizer: adam(), engine });
    const { signal } = new AbortController();
    const data = trainer.load(repeated(4));
    for (let i = 0; i < times; i++) {
      const paused = trainer.fit(data, { epochs: 3, batchSize: 4, signal });
      const history = paused.then((all) => all);
      await paused.pause();
      paused.resume();
      await history;
      const abort = new AbortController();
      const endless = trainer.fit(data, { epochs: 1e6, batchSize: 4, signal: abort.signal });
      const failure = endless.catch((error: unknown) => (error as Error).message);
      await turn();
      abort.abort(new Error("no more"));
      if ((await failure) !== "no more") throw new Error("it was not aborted");
      // In batches of the same size: others would need a program for what the abort has left of the pass (832 bytes for each size).
      for await (const _ of trainer.fit(data, { every: "step", batchSize: 4, epochs: 5, signal })) break;
      const listeners = getEventListeners(signal, "abort").length;
      if (listeners > 0) throw new Error(`${listeners} listeners are left`);
      await done(engine);
    }
  };

export const SOAKS: readonly Soak[] = [
  { what: "2000 steps", short: 8, long: 500, run: steps },
  { what: "two trainers", short: 40, long: 10_000, run: trainers({}) },
  { what: "two trainers with workers", short: 8, long: 500, run: trainers(WORKERS) },
  { what: "a batch of a stream", short: 2000, long: 1_000_000, run: stream({}) },
  { what: "a batch of a stream in the background", short: 400, long: 50_000, run: stream(WORKERS) },
  { what: "a pass over a source", short: 80, long: 20_000, run: passes },
  { what: "a step of an iterated fit", short: 2000, long: 100_000, run: iterated },
  { what: "a fit with logs, checkpoints and a divergence", short: 12, long: 2000, run: written },
  { what: "1000 predictions", short: 4, long: 1000, run: predictions },
  { what: "three evaluations", short: 40, long: 10_000, run: evaluations },
  { what: "three interrupted fits", short: 40, long: 10_000, run: interrupted({}) },
  { what: "three interrupted fits in the background", short: 20, long: 2000, run: interrupted(WORKERS) },
];
