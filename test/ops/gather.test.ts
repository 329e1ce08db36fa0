// The kernel that takes batches out of data, by itself: its table holds addresses, which a compiled function has none of.
import { createEngineSync } from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { rows, startRecording } from "../../src/engine/instructions.js";
import type { Recorder } from "../../src/engine/recorder.js";
import { installProgram } from "../../src/graph/program.js";
import { laneSizes } from "./cases.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const ROW = 2; // word of the clock: see assembly/kernels/step.ts
const GUARD = 0x5eed5eed;
const GUARDS = 16;

interface Gathering {
  count: number;
  width: number;
  batch: number;
  first: number;
  order?: number[];
  /** Units of each part that the rows are gathered in. */
  cuts?: number[];
}

/** Gathers from the second of two sources; returns the rows, after looking at the words behind them. */
function gather(task: Gathering, words: Uint32Array): Uint32Array {
  return gatherFrom(task, words, (record, ...places) => record.gatherRows(...places));
}

interface GatheringBytes extends Gathering {
  scale: number;
  offset: number;
}

function gatherBytes({ scale, offset, ...task }: GatheringBytes, bytes: Uint8Array): Float32Array {
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  const record = (recorder: Recorder, ...places: Places): void => recorder.gatherBytes(...places, scale, offset);
  return new Float32Array(gatherFrom(task, words, record).slice().buffer);
}

type Places = Parameters<Recorder["gatherRows"]>;

function gatherFrom(
  { count, width, batch, first, order, cuts = [] }: Gathering,
  words: Uint32Array,
  record: (recorder: Recorder, ...places: Places) => void,
): Uint32Array {
  const take = (values: Uint32Array): number => {
    const address = engine.allocator.allocate(values.byteLength);
    engine.words(address, values.length).set(values);
    return address;
  };
  const clock = new Uint32Array(16).fill(77);
  clock[ROW] = first;
  const [x, orderAt, clockAt] = [take(words), order === undefined ? 0 : take(Uint32Array.from(order)), take(clock)];
  const feed = take(Uint32Array.of(count, orderAt, 0, x));
  const y = take(new Uint32Array(batch * width + GUARDS).fill(GUARD));
  const recording = startRecording();
  record(recording.record, rows(batch, 0), y, feed, clockAt, 1, width);
  const program = installProgram(engine, recording);
  const bounds = [0, ...cuts, batch];
  for (let i = bounds.length - 1; i > 0; i--) engine.runRange(program.address, bounds[i - 1], bounds[i]);
  const result = engine.words(y, batch * width + GUARDS).slice();
  expect(result.subarray(batch * width).every((word) => word === GUARD)).toBe(true);
  expect(engine.words(x, words.length)).toEqual(words);
  for (const address of [x, clockAt, feed, y, program.address]) engine.allocator.free(address);
  if (orderAt !== 0) engine.allocator.free(orderAt);
  return result.subarray(0, batch * width);
}

const wordsOf = (count: number, width: number): Uint32Array =>
  Uint32Array.from({ length: count * width }, (_, i) => Math.imul(i + 1, 0x9e3779b1));

const orderOf = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 5 + 3) % count);

describe("gatherRows", () => {
  test.each(laneSizes)("rows of %i words, in order and as they are stored, in any parts", (width) => {
    const words = wordsOf(7, width);
    for (const order of [undefined, orderOf(7)]) {
      for (const [batch, first] of [
        [7, 0],
        [3, 0],
        [3, 2],
        [1, 6],
      ]) {
        const expected = Array.from({ length: batch }, (_, r) => order?.[first + r] ?? first + r).flatMap((row) => [
          ...words.subarray(row * width, (row + 1) * width),
        ]);
        const task = { count: 7, width, batch, first, ...(order === undefined ? {} : { order }) };
        expect([...gather(task, words)]).toEqual(expected);
        if (batch > 1) expect([...gather({ ...task, cuts: [1] }, words)]).toEqual(expected);
      }
    }
  });

  test("copies bit by bit: a signalling NaN stays what it is", () => {
    const words = Uint32Array.of(9, 0x7f800001, 0xffffffff, 1);
    expect(gather({ count: 4, width: 1, batch: 3, first: 1 }, words)).toEqual(words.slice(1));
  });
});

describe("gatherBytes", () => {
  const bytesOf = (count: number, width: number): Uint8Array =>
    Uint8Array.from({ length: count * width }, (_, i) => (i * 37 + 11) & 255);

  test.each([...laneSizes, 31, 784])("rows of %i bytes, as float32 times scale plus offset", (width) => {
    const bytes = bytesOf(7, width);
    for (const [scale, offset] of [
      [1, 0],
      [Math.fround(1 / 255), 0],
      [Math.fround(-2 / 255), Math.fround(0.3)],
    ]) {
      for (const order of [undefined, orderOf(7)]) {
        const expected = [2, 3, 4].flatMap((row) => {
          const from = order?.[row] ?? row;
          const values = bytes.subarray(from * width, (from + 1) * width);
          return Array.from(values, (byte) => Math.fround(Math.fround(byte * scale) + offset));
        });
        const task = { count: 7, width, batch: 3, first: 2, scale, offset, ...(order === undefined ? {} : { order }) };
        expect([...gatherBytes(task, bytes)]).toEqual(expected);
        expect([...gatherBytes({ ...task, cuts: [1, 2] }, bytes)]).toEqual(expected);
      }
    }
  });
});
