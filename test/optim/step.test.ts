// The instructions that frame a training step: the clock, the loss trace, the totals.
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { serial, startRecording } from "../../src/engine/instructions.js";
import type { Recorder } from "../../src/engine/recorder.js";
import { installProgram } from "../../src/graph/program.js";
import "../../src/platform/nodeKernels.js";

const engine = createEngineSync();

function run(steps: number, record: (recorder: Recorder) => void): void {
  const recording = startRecording();
  record(recording.record);
  const program = installProgram(engine, recording);
  engine.run(program.address, program.end, steps);
}

function takeBlock(words: number, fill = 0): number {
  const address = engine.allocator.allocate(words * 4);
  engine.words(address, words).fill(fill);
  return address;
}

describe("advance", () => {
  test("counts steps, positions and rows, and takes the learning rate that is due", () => {
    const clock = takeBlock(16, 0xffff);
    const rates = takeBlock(16);
    engine.words(clock, 4).set([40, 0, 7, 96]);
    engine.floats(rates, 3).set([0.5, 0.25, 0.125]);
    const seen: number[][] = [];
    for (let i = 0; i < 3; i++) {
      run(1, (record) => record.advance(serial, clock, rates, 1, 32));
      seen.push([...engine.words(clock, 4), engine.floats(clock, 6)[5]]);
    }
    expect(seen).toEqual([
      [41, 1, 96, 128, 0.5],
      [42, 2, 128, 160, 0.25],
      [43, 3, 160, 192, 0.125],
    ]);
    expect(engine.words(clock, 16).slice(6)).toEqual(new Uint32Array(10).fill(0xffff));
  });

  test("takes as many rates as there are groups, also behind the clock's first line", () => {
    const [clock, rates] = [takeBlock(48), takeBlock(60)];
    engine.floats(rates, 60).set(Array.from({ length: 60 }, (_, i) => i + 0.5));
    for (let step = 0; step < 3; step++) {
      run(1, (record) => record.advance(serial, clock, rates, 20, 0));
      expect([...engine.floats(clock, 25).slice(5)]).toEqual(Array.from({ length: 20 }, (_, i) => 20 * step + i + 0.5));
    }
    expect([...engine.words(clock, 48).slice(25)]).toEqual(Array(23).fill(0));
  });

  test("leaves the learning rate as it is where there are no rates", () => {
    const clock = takeBlock(16);
    engine.floats(clock, 6)[5] = 0.75;
    run(5, (record) => record.advance(serial, clock, 0, 0, 0));
    expect([...engine.words(clock, 4), engine.floats(clock, 6)[5]]).toEqual([5, 5, 0, 0, 0.75]);
  });
});

test("traceLoss writes one loss a step", () => {
  const [clock, trace, loss] = [takeBlock(16), takeBlock(16, 0xabcd), takeBlock(16)];
  for (const value of [2.5, 1.5, Number.POSITIVE_INFINITY]) {
    engine.floats(loss, 1)[0] = value;
    run(1, (record) => {
      record.advance(serial, clock, 0, 0, 1);
      record.traceLoss(serial, trace, clock, loss);
    });
  }
  expect([...engine.floats(trace, 3)]).toEqual([2.5, 1.5, Number.POSITIVE_INFINITY]);
  expect(engine.words(trace, 4)[3]).toBe(0xabcd);
});

test.each([1, 2, 5])("addTotals sums %i numbers in float64", (n) => {
  const [totals, values] = [takeBlock(64), takeBlock(32)];
  engine.doubles(totals, n + 1).fill(2 ** 40);
  engine.floats(values, n + 1).set(Float32Array.from({ length: n + 1 }, (_, i) => (i + 1) * 2 ** -10));
  run(3, (record) => record.addTotals(serial, totals, values, 1.5, n));
  const sums = Array.from({ length: n }, (_, i) => 2 ** 40 + 4.5 * (i + 1) * 2 ** -10);
  expect([...engine.doubles(totals, n + 1)]).toEqual([...sums, 2 ** 40]);
});
