// Repeats: the instructions of a body run so many times, and find their round through a word in memory.
import type { Worker } from "node:worker_threads";
import { createEngine, createEngineSync, ThreadError } from "steepest";
import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.js";
import {
  elements,
  operandsOf,
  type Pointer,
  repeatAt,
  rows,
  serial,
  startRecording,
} from "../../src/engine/instructions.js";
import type { Recorder } from "../../src/engine/recorder.js";
import { installProgram, type Program } from "../../src/graph/program.js";
import { createRandom } from "../ops/cases.js";

const N = 1000;
/** Units that all threads are woken for, however few they are. */
const shared = rows(N / 4, 1e9);
const random = createRandom(5);
const stack = (rows: number) => Float32Array.from({ length: rows * N }, random.normal);

interface Bench {
  readonly engine: Engine;
  take(values: ArrayLike<number>): Pointer;
  record(body: (record: Recorder) => void): Program;
  run(program: Program): void;
}

function bench(engine: Engine): Bench {
  return {
    engine,
    take(values) {
      const address = engine.allocator.allocate(values.length * 4);
      engine.write(address, values);
      return address;
    },
    record(body) {
      const recording = startRecording();
      body(recording.record);
      return installProgram(engine, recording);
    },
    run: (program) => engine.run(program.address, program.end, 1, program.threads),
  };
}

/** sums[t] = x[0] + … + x[t], in float32: in each round a row comes in, is added, and goes out. */
function recordSums(record: Recorder, at: Record<"x" | "row" | "sum" | "sums" | "counter", Pointer>, length: number) {
  record.repeat(at.counter, length, () => {
    record.readRow(shared, at.row, at.x, at.counter, N, length, 0);
    record.add(shared, at.sum, at.sum, at.row, N);
    record.writeRow(elements(N), at.sums, at.sum, at.counter, N, length, 0); // by one thread
  });
}

function sumsOf(x: Float32Array, start: number): Float32Array {
  const sums = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) sums[i] = (i < N ? start : sums[i - N]) + x[i];
  return sums;
}

function places(bench: Bench, x: Float32Array) {
  const [row, sum, sums, counter] = [N, N, x.length, 1].map((n) => bench.take(new Float32Array(n)));
  return { x: bench.take(x), row, sum, sums, counter };
}

test.each([1, 2, 3, 4, 8])("%i threads: a body runs in each round, on what the last one left", async (threads) => {
  using engine = await createEngine({ threads });
  const one = bench(engine);
  const [x, start] = [stack(7), 0.5];
  const at = places(one, x);
  const program = one.record((record) => {
    record.fill(shared, at.sum, N, start);
    recordSums(record, at, 7);
    record.scaleShift(shared, at.row, at.sum, N, 2, 0);
  });
  expect(program.threads).toBe(N / 4);
  for (let time = 0; time < 3; time++) {
    engine.clear(at.sums, x.length * 4);
    one.run(program);
    const expected = sumsOf(x, start);
    expect(engine.floats(at.sums, x.length)).toEqual(expected);
    expect(engine.floats(at.row, N)).toEqual(expected.slice(-N).map((value) => 2 * value));
  }
});

test.each([1, 2, 3, 8])(
  "%i threads: repeats in repeats, before, behind and between other instructions",
  async (threads) => {
    using engine = await createEngine({ threads });
    const one = bench(engine);
    const [x, y] = [stack(3), stack(4)];
    const [xAt, yAt, row, value, out] = [x, y, new Float32Array(N), new Float32Array(N), new Float32Array(4 * N)].map(
      one.take,
    );
    const [outer, inner, alone] = [0, 0, 0].map(() => one.take([0]));
    const program = one.record((record) => {
      record.fill(shared, value, N, 1);
      record.repeat(outer, 4, () => {
        record.repeat(inner, 3, () => {
          record.readRow(shared, row, xAt, inner, N, 3, 1);
          record.scaleShift(shared, value, value, N, -0.5, 0);
          record.add(shared, value, value, row, N);
        });
        // Serial throughout: the others go on to the next instruction.
        record.repeat(alone, 2, () => record.scaleShift(serialOf(N), value, value, N, 1, 0.25));
        record.repeat(inner, 0, () => record.fill(shared, value, N, Number.NaN));
        record.repeat(inner, 5, () => {});
        record.readRow(shared, row, yAt, outer, N, 4, 0);
        record.add(shared, value, value, row, N);
        record.writeRow(shared, out, value, outer, N, 4, 0);
      });
    });
    one.run(program);
    const expected = Array.from({ length: 4 }, () => new Float32Array(N));
    for (let i = 0; i < N; i++) {
      let state = 1;
      for (let o = 0; o < 4; o++) {
        for (let k = 2; k >= 0; k--) state = Math.fround(-0.5 * state + x[k * N + i]);
        state = Math.fround(Math.fround(state + 0.25) + 0.25);
        expected[o][i] = state = Math.fround(state + y[o * N + i]);
      }
    }
    expected.forEach((values, o) => {
      expect(engine.floats(out + o * N * 4, N)).toEqual(values);
    });
  },
);

/** All units, by one thread. */
const serialOf = (n: number) => rows(n / 4, 0);

test("the listing has a repeat's instructions behind it, with how often they run and what they are for", () => {
  const { record, ...recording } = startRecording();
  const [a, b, c] = [{ node: "a" }, { node: "b" }, { node: "c" }];
  record.fill(serial, 64, 4, 1);
  record.label(a, () => {
    record.repeat(128, 5, () => {
      record.label(b, () => {
        record.fill(rows(9, 1e9), 64, 36, 1);
        record.repeat(192, 2, () => record.label(c, () => record.copy(serial, 64, 256, 4)));
        record.square(serial, 64, 256, 4);
      });
      record.log(serial, 64, 256, 4);
    });
    record.repeat(128, 0, () => record.log(serial, 64, 256, 4));
    record.repeat(128, 3, () => {});
  });
  record.exp(serial, 64, 256, 4);
  const words = recording.words();
  const listing = recording.listing();
  expect(listing.map(({ kernel, units, times, origin }) => [kernel, units, times, origin])).toEqual([
    ["fill", 1, 1, undefined],
    ["repeat", 0, 1, a],
    ["fill", 9, 5, b],
    ["repeat", 0, 5, b],
    ["copy", 1, 10, c],
    ["square", 1, 5, b],
    ["log", 1, 5, a],
    ["exp", 1, 1, undefined],
  ]);
  for (const { offset, units } of listing) expect(words[offset + 2]).toBe(units);
  expect(recording.threads()).toBe(9);
  // The outer one has a body that others share in, the inner one has not.
  const [outer, inner] = [listing[1], listing[3]].map(({ offset }) => [words[offset + 3], repeatAt(words, offset)]);
  expect(outer).toEqual([9, { counter: 128, count: 5, body: listing[2].offset, end: listing[7].offset }]);
  expect(inner).toEqual([1, { counter: 192, count: 2, body: listing[4].offset, end: listing[5].offset }]);
  expect(repeatAt(words, listing[0].offset)).toBeUndefined();
  const { outputs, inputs } = operandsOf(words, 0, words.byteLength);
  expect([...outputs].sort((x, y) => x - y)).toEqual([64, 128, 192]);
  expect([...inputs]).toEqual([256]);
});

test.each([
  [undefined, 3],
  [0, 3],
  [64.5, 3],
  [64, -1],
  [64, 2 ** 32],
  [64, undefined],
])("no repeat is made of %s and %s", (counter, count) => {
  const { record } = startRecording();
  expect(() => record.repeat(counter as number, count as number, () => {})).toThrow(
    /^instruction repeat: must be given/,
  );
});

describe("a step that is torn in a body", () => {
  // The second of two threads writes beyond the memory's end in round 1 (of 0 to 2), the first does not.
  const WIDTH = 1024;
  const torn = async (): Promise<{ failedAt: Pointer; program: Program; offsets: Map<string, Pointer> }> => {
    using engine = await createEngine({ threads: 2 });
    const one = bench(engine);
    const [x, lasting, counter] = [new Float32Array(WIDTH), [0], [0]].map(one.take);
    const end = engine.memoryBytes();
    const program = one.record((record) => {
      record.fill(serial, lasting, 1, 1);
      record.repeat(counter, 3, () => {
        record.writeRow(rows(WIDTH / 4, 1e9), end - 1.5 * WIDTH * 4, x, counter, WIDTH, 3, 0);
        record.copy(serial, lasting, counter, 1);
        record.log(serial, x, x, 1);
      });
      record.exp(serial, lasting, lasting, 1);
    });
    const offsets = new Map(program.listing.map(({ kernel, offset }) => [kernel, program.address + offset * 4]));
    try {
      one.run(program);
    } catch (error) {
      expect(error).toBeInstanceOf(ThreadError);
      expect(engine.words(counter, 1)[0]).toBe(1);
      return { failedAt: (error as ThreadError).failedAt, program, offsets };
    }
    throw new Error("nobody trapped");
  };

  test("counts as torn in all of the body that the first round went through, and in nothing behind it", async () => {
    const { failedAt, offsets } = await torn();
    // What lasts may begin within the body, or behind it.
    expect(failedAt).toBeGreaterThan(offsets.get("log") as number);
    expect(failedAt).toBeLessThan(offsets.get("exp") as number);
  });
});

test("a worker that is killed in a repeat: nothing behind it was begun, and those that are left do it anew", async () => {
  const workers: Worker[] = [];
  const note = (worker: Worker) => workers.push(worker);
  process.on("worker", note);
  using engine = await createEngine({ threads: 3, background: true });
  process.off("worker", note);
  const one = bench(engine);
  const x = stack(3);
  const at = places(one, x);
  const [lasting, rounds] = [one.take([7]), one.take([0])];
  const programOf = (count: number) =>
    one.record((record) => {
      record.repeat(rounds, count, () => {
        record.fill(shared, at.sum, N, 0.5);
        recordSums(record, at, 3);
      });
      record.fill(serial, lasting, 1, 8);
    });
  const endless = programOf(2 ** 31);
  const lasts = endless.address + endless.listing.slice(-1)[0].offset * 4;
  const release = await engine.acquire();
  const running = engine.runInBackground(endless.address, endless.end, 1, endless.threads);
  const failure = running.then(
    () => undefined,
    (error: unknown) => error,
  );
  await expect.poll(() => Atomics.load(engine.words(rounds, 1), 0)).toBeGreaterThan(3);
  await workers[1].terminate();
  const error = await failure;
  release();
  expect(error).toBeInstanceOf(ThreadError);
  const { stepsDone, failedAt } = error as ThreadError;
  expect(stepsDone).toBe(0);
  expect(failedAt).toBeGreaterThanOrEqual(endless.address);
  expect(failedAt).toBeLessThan(lasts);
  expect([engine.threads, engine.floats(lasting, 1)[0]]).toEqual([2, 7]);
  const again = programOf(2);
  one.run(again);
  expect(engine.floats(at.sums, x.length)).toEqual(sumsOf(x, 0.5));
  expect(engine.floats(lasting, 1)[0]).toBe(8);
});

test("an interrupt acts after the step, not in a repeat", async () => {
  using engine = await createEngine({ threads: 2, background: true });
  const one = bench(engine);
  const at = places(one, stack(3));
  const [rounds, steps] = [one.take([0]), one.take([0])];
  const program = one.record((record) => {
    record.repeat(rounds, 1000, () => recordSums(record, at, 3));
    record.scaleShift(serial, steps, steps, 1, 1, 1);
  });
  const release = await engine.acquire();
  const running = engine.runInBackground(program.address, program.end, 1_000_000, program.threads);
  await expect.poll(() => Atomics.load(engine.words(rounds, 1), 0)).toBeGreaterThan(3);
  engine.interrupt();
  const done = await running;
  release();
  expect(done).toBeLessThan(1_000_000);
  expect([engine.words(rounds, 1)[0], engine.floats(steps, 1)[0]]).toEqual([999, done]);
});

test("a single unit of a row, and rows in reverse, are read and written alone", () => {
  using engine = createEngineSync();
  const one = bench(engine);
  for (const width of [1, 3, 4, 5, 8, 17]) {
    const x = Float32Array.from({ length: 3 * width }, random.normal);
    const [from, row, to, counter] = [x, new Float32Array(width + 4), new Float32Array(3 * width), [0]].map(one.take);
    const units = Math.ceil(width / 4);
    const program = one.record((record) => {
      record.readRow(rows(units, 1), row, from, counter, width, 3, 1);
      record.writeRow(rows(units, 1), to, row, counter, width, 3, 0);
    });
    const [read, write] = program.listing.map(({ offset }) => program.address + offset * 4);
    for (let round = 0; round < 3; round++) {
      engine.write(counter, [round], "uint32");
      for (const instruction of [read, write])
        for (let unit = units - 1; unit >= 0; unit--) engine.runRange(instruction, unit, unit + 1);
    }
    const reversed = [2, 1, 0].flatMap((index) => [...x.subarray(index * width, (index + 1) * width)]);
    expect([...engine.floats(to, 3 * width)]).toEqual(reversed);
    expect([...engine.floats(row + width * 4, 4)]).toEqual([0, 0, 0, 0]);
  }
});
