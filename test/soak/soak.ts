// Long use: very many steps of one trainer, and very many trainers one after the other. What they hold is measured at intervals,
// after a collection of garbage, and must not grow.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Worker } from "node:worker_threads";
import {
  adam,
  binaryCrossEntropy,
  compile,
  compileSync,
  createEngineSync,
  dense,
  type Engine,
  sequential,
  sgd,
  tanh,
} from "../../src/platform/node.js";

/** What is held at a moment. */
export interface Held {
  /** Steps or cycles done. */
  readonly done: number;
  /** Of the trainer's memory; of a trainer that is made for it, after the cycles. */
  readonly wasmPages: number;
  /** Bytes that are allocated in it. */
  readonly usedBytes: number;
  readonly heapBytes: number;
  /** Outside of the heap, such as array buffers. */
  readonly externalBytes: number;
  /** Timers, ports, workers and whatever else would keep the process alive. */
  readonly handles: number;
  readonly workers: number;
  readonly residentBytes: number;
}

const XOR = { x: [0, 0, 0, 1, 1, 0, 1, 1], y: [0, 1, 1, 0] };
const model = sequential({ input: [2] }, dense(8), tanh(), dense(1));
const loss = binaryCrossEntropy();
const CALL_STEPS = 1000;
// Every so many cycles one has two threads and a background, which take a worker each.
const WORKERS_EVERY = 50;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const turn = () => new Promise((resolve) => setImmediate(resolve));

const living = new Set<Worker>();
process.on("worker", (worker: Worker) => {
  living.add(worker);
  worker.once("exit", () => living.delete(worker));
});

async function measure(done: number, engine: Engine): Promise<Held> {
  // What a collection finds to be garbage may have something to clean up, which then is garbage.
  for (let i = 0; i < 4; i++) {
    collect();
    await turn();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return {
    done,
    wasmPages: engine.memoryBytes() / 65536,
    usedBytes: engine.allocator.usedBytes(),
    heapBytes: heapUsed,
    externalBytes: external,
    handles: process.getActiveResourcesInfo().length,
    workers: living.size,
    residentBytes: rss,
  };
}

/** Half of the steps one by one, half of them a thousand a call, in turns. Yields what is held so many times. */
export async function* soakSteps(steps: number, intervals: number): AsyncGenerator<Held> {
  using engine = createEngineSync();
  using trainer = compileSync(model, { loss, optimizer: sgd({ learningRate: 0.5 }), engine });
  const data = trainer.load(XOR);
  for (let interval = 0; interval <= intervals; interval++) {
    const goal = Math.round((steps * interval) / intervals);
    while (trainer.steps < goal) {
      trainer.trainStepsSync(data, { steps: CALL_STEPS });
      for (let i = 0; i < CALL_STEPS / 2; i++) trainer.trainBatchSync(XOR);
      for (let i = 0; i < CALL_STEPS / 2; i++) trainer.trainStepsSync(data, { steps: 1 });
    }
    yield await measure(trainer.steps, engine);
  }
}

/** A trainer is made, trains, predicts and is disposed of, again and again. */
export async function* soakCycles(cycles: number, intervals: number): AsyncGenerator<Held> {
  for (let cycle = 0, interval = 0; cycle <= cycles; cycle++) {
    if (cycle >= (cycles * interval) / intervals) {
      interval += 1;
      using engine = createEngineSync();
      using trainer = compileSync(model, { loss, optimizer: adam(), engine });
      trainer.trainStepsSync(XOR, { steps: 3 });
      yield await measure(cycle, engine);
    }
    const workers = cycle % WORKERS_EVERY === 0 ? { threads: 2, background: true } : {};
    const trainer = await compile(model, { loss, optimizer: adam(), ...workers });
    await trainer.trainSteps(XOR, { steps: 3 });
    await trainer.predict(XOR.x);
    trainer.dispose();
    await turn();
  }
}

/** What grew from the second measurement, when everything has been used once, to the last. */
export function growth([, first, ...rest]: readonly Held[]): string[] {
  const last = rest.at(-1) as Held;
  const allowed = { wasmPages: 0, usedBytes: 0, handles: 0, workers: 0, heapBytes: 2 ** 20, externalBytes: 2 ** 20 };
  return Object.entries(allowed)
    .map(([name, bytes]) => ({ name, bytes, by: last[name as keyof Held] - first[name as keyof Held] }))
    .filter(({ by, bytes }) => by > bytes)
    .map(({ name, by }) => `${name} grew by ${by}, from ${first[name as keyof Held]} to ${last[name as keyof Held]}`);
}
