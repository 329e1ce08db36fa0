// What keeps a page alive while it trains: how much a task does before the host gets its turn, counted, by a clock that the
// tests move on. How long such tasks take is measured by `npm run bench -- --workloads page-tasks`.
import { Worker } from "node:worker_threads";
import {
  adam,
  compile,
  createEngine,
  crossEntropy,
  defineLoss,
  dense,
  type Engine,
  functional,
  type Optimizer,
  relu,
  sequential,
  sgd,
} from "steepest";
import { mean, square, sub } from "steepest/graph";
import { afterEach, describe, expect, test, vi } from "vitest";
import { performance as hostClock } from "../../src/engine/host.js";
import { rows, startRecording } from "../../src/engine/instructions.js";
import { instantiateBare } from "../../src/engine/interpreter.js";
import { loadModule } from "../../src/engine/module.js";
import { serveReplica } from "../../src/engine/replicaWorker.js";
import type { ReplicaAnswer } from "../../src/engine/rounds.js";
import { withoutSharing } from "./sharing.js";

const KB = 1024;
const model = sequential({ input: [20] }, dense(30), relu(), dense(10));
const recipe = { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"], seed: 5 } as const;
const dataOf = (count: number) => ({
  x: Float32Array.from({ length: count * 20 }, (_, i) => Math.sin(i)),
  y: Uint8Array.from({ length: count }, (_, i) => i % 10),
});

/** A clock that tests move on; by `stepMs` each time it is read. */
function fakeClock(stepMs = 0) {
  let now = 0;
  vi.spyOn(hostClock, "now").mockImplementation(() => {
    now += stepMs;
    return now;
  });
  return {
    advance(ms: number) {
      now += ms;
    },
  };
}

/** Counts the host's turns: tasks that come between others. */
function countTurns() {
  let turns = 0;
  let timer: NodeJS.Immediate;
  const next = () => {
    turns += 1;
    timer = setImmediate(next);
  };
  next();
  return { turn: () => turns, stop: () => clearImmediate(timer) };
}

afterEach(() => vi.restoreAllMocks());

describe.each([true, false])("in the background: %s", (background) => {
  test("a call does as many steps as fit 12 ms, and the host gets its turn after each", async () => {
    using engine = await createEngine({ background });
    const clock = fakeClock();
    const turns = countTurns();
    const calls: { steps: number; turn: number }[] = [];
    /** Each step takes 5 ms by the clock. */
    const note = (steps: number) => {
      clock.advance(5 * steps);
      calls.push({ steps, turn: turns.turn() });
    };
    const watched: Engine = Object.create(engine, {
      run: {
        value(program: number, end: number, steps: number, threads?: number) {
          engine.run(program, end, steps, threads);
          note(steps);
        },
      },
      runInBackground: {
        async value(program: number, end: number, steps: number, threads?: number, reads?: never) {
          note(steps);
          return engine.runInBackground(program, end, steps, threads, reads);
        },
      },
    });
    // A copy to go back to is a call of its own.
    using trainer = await compile(model, { ...recipe, engine: watched, tripwire: false });
    const resident = trainer.load(dataOf(320));
    calls.length = 0;
    for await (const _ of trainer.fit(resident, { epochs: 3, batchSize: 16, shuffle: false }));
    await trainer.trainSteps(resident, { steps: 30, batchSize: 16, shuffle: false });
    await trainer.evaluate(resident, { batchSize: 16 });
    turns.stop();
    expect(calls.reduce((sum, { steps }) => sum + steps, 0)).toBe(3 * 20 + 30 + 20);
    expect(Math.max(...calls.map(({ steps }) => steps))).toBe(2);
    calls.slice(1).forEach(({ turn }, i) => {
      expect(turn, `call ${i + 1}`).toBeGreaterThan(calls[i].turn);
    });
  });
});

test("a trainer and its first programs are made in parts, with a turn between them", async () => {
  using engine = await createEngine({ background: false });
  const turns = countTurns();
  const notes: { what: string; turn: number }[] = [];
  const note = (what: string) => notes.push({ what, turn: turns.turn() });
  const noting = functional({ input: [20] }, (x, { apply }) => {
    note("trace");
    return apply(x, dense(1));
  });
  const loss = defineLoss("noting", (y, t) => {
    note("loss");
    return mean(square(sub(y, t)));
  });
  const rule = sgd();
  const optimizer: Optimizer = {
    ...rule,
    record(recorder, at) {
      note("record");
      rule.record(recorder, at);
    },
  };
  const turnsOf = (what: string) => notes.filter((one) => one.what === what).map(({ turn }) => turn);
  notes.length = 0;
  const before = turns.turn();
  using trainer = await compile(noting, { loss, optimizer, engine });
  // Options; losses; the gradient; the optimizer's plan; memory; first values; the trainer.
  expect(turns.turn() - before).toBeGreaterThanOrEqual(6);
  // Losses are tried in one task, the optimizer in a later one.
  expect(Math.min(...turnsOf("record"))).toBeGreaterThan(Math.max(...turnsOf("loss")));
  const resident = trainer.load({ x: new Float32Array(20 * 20), y: new Float32Array(20) });
  notes.length = 0;
  await trainer.trainSteps(resident, { steps: 1, batchSize: 16 });
  turns.stop();
  expect(notes.map(({ what }) => what)).toEqual(["trace", "loss", "record", "trace", "loss", "record"]);
  const [first, , written, second, , secondWritten] = notes.map(({ turn }) => turn);
  expect(written).toBeGreaterThan(first);
  expect(second).toBeGreaterThan(written);
  expect(secondWritten).toBeGreaterThan(second);
});

test("data are checked and copied in parts of 65,536 values, with a turn after each that takes longer than 2 ms", async () => {
  using engine = await createEngine({ background: true });
  fakeClock(3);
  const turns = countTurns();
  const copied = new Map<number, number>();
  const watched: Engine = Object.create(engine, {
    writable: {
      value(address: number, length: number, as?: "float32" | "uint32") {
        copied.set(turns.turn(), (copied.get(turns.turn()) ?? 0) + length * 4);
        return engine.writable(address, length, as);
      },
    },
  });
  using trainer = await compile(model, { ...recipe, engine: watched });
  copied.clear();
  await trainer.evaluate(dataOf(20_000));
  turns.stop();
  const bytes = [...copied.values()];
  // All of x and y: 400,000 and 20,000 values in 4 bytes each; beside them some words for the calls.
  expect(bytes.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(420_000 * 4);
  expect(Math.max(...bytes)).toBeLessThanOrEqual(65_536 * 4 + KB);
});

test("reading the samples of a fit and loading them are two tasks", async () => {
  using engine = await createEngine({ background: true });
  const turns = countTurns();
  let loadedIn = -1;
  const watched: Engine = Object.create(engine, {
    writable: {
      value(address: number, length: number, as?: "float32" | "uint32") {
        if (length === 16 * 20) loadedIn = turns.turn();
        return engine.writable(address, length, as);
      },
    },
  });
  using trainer = await compile(model, { ...recipe, engine: watched });
  const data = dataOf(16);
  const readIn = turns.turn();
  const done = trainer.evaluate(data);
  // A small array is read before the call returns.
  data.x.fill(Number.NaN);
  expect((await done).loss).toBeGreaterThan(0);
  turns.stop();
  expect(loadedIn).toBeGreaterThan(readIn);
});

test("a copy of the memory is brought up to date in messages of 1 MB at most, each after the answer to the last", async () => {
  const post = vi.spyOn(Worker.prototype, "postMessage");
  using trainer = await withoutSharing(() =>
    compile(sequential({ input: [200] }, dense(1400), relu(), dense(10)), { ...recipe, background: true }),
  );
  const x = Float32Array.from({ length: 1500 * 200 }, (_, i) => Math.sin(i));
  for await (const _ of trainer.fit({ x, y: new Uint8Array(1500) }, { batchSize: 500 }));
  const bytesOf = (regions: readonly { bytes: number }[]) => regions.reduce((sum, { bytes }) => sum + bytes, 0);
  const rounds = post.mock.calls
    .map(([message]) => message as Record<"writes" | "reads", readonly { bytes: number }[]>)
    .filter((message) => "writes" in message)
    .map(({ writes, reads }) => ({ there: bytesOf(writes), back: bytesOf(reads) }));
  // Data of 1.2 MB there; parameters of 1.2 MB and Adam's 2.4 MB back.
  expect(rounds.reduce((sum, { there }) => sum + there, 0)).toBeGreaterThan(1500 * 200 * 4);
  expect(rounds.reduce((sum, { back }) => sum + back, 0)).toBeGreaterThan(3 * 200 * 1400 * 4);
  expect(Math.max(...rounds.flatMap(({ there, back }) => [there, back]))).toBe(KB * KB);
  // There is one buffer, which travels along: no message goes out before it is back.
  const buffers = post.mock.calls.flatMap(([, transfer]) => (transfer as ArrayBuffer[] | undefined) ?? []);
  expect(buffers).toHaveLength(rounds.length);
});

describe("an abort is looked for after each step", () => {
  const [program, filled, control, scratch, steps] = [1024, 2048, 4096, 8192, 1000];
  const { record, words } = startRecording();
  record.fill(rows(4, 16), filled, 16, 1);
  const end = program + words().byteLength;

  test("in shared memory: the call ends with the step that it is at", async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536, shared: true });
    const { run } = instantiateBare(await loadModule("strict", true), memory);
    new Uint32Array(memory.buffer).set(words(), program / 4);
    expect(run(program, end, steps, 0, 1, control, scratch)).toBe(steps);
    // The word that ThreadTeam.interrupt sets: see assembly/program.ts.
    Atomics.store(new Int32Array(memory.buffer, control), 12, 1);
    expect(run(program, end, steps, 0, 1, control, scratch)).toBe(1);
  });

  test.each([
    ["1 ms: after a step", 1, 1],
    ["a quarter of it: after a part of one, and a part of two", 0.25, 3],
  ])("in a copy, whenever a millisecond has passed; parts that take %s", async (_, partMs, done) => {
    fakeClock(partMs);
    const module = await loadModule("strict", false);
    const answered = new Promise<ReplicaAnswer>((resolve) => {
      const serve = serveReplica({ replica: true, module }, resolve);
      const transferBuffer = new ArrayBuffer(KB * KB);
      new Uint32Array(transferBuffer).set(words());
      const writes = [{ address: program, bytes: end - program }];
      serve({
        transferBuffer,
        memoryBytes: 0,
        writes,
        call: { program, end, steps, control, scratch },
        reads: [],
      });
      serve({ interrupt: true });
    });
    expect(await answered).toMatchObject({ done });
  });
});
