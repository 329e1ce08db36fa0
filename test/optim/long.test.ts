// A long block of parameters is gone through in two places side by side: with the bits of a short one, and to its last element.
import { createEngineSync, sgd } from "steepest";
import { expect, test } from "vitest";
import { createBench, gradientAt } from "./bench.js";

const SHORT = 4096;
const STEPS = 3;

test.each([
  ["sgd", sgd({ learningRate: 0.1 })],
  ["sgd with decay", sgd({ learningRate: 0.1, weightDecay: 0.01 })],
  ["momentum", sgd({ learningRate: 0.1, momentum: 0.9 })],
  ["momentum with dampening and decay", sgd({ learningRate: 0.1, momentum: 0.9, dampening: 0.5, weightDecay: 0.01 })],
  ["nesterov", sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true })],
])("%s", (_, optimizer) => {
  using engine = createEngineSync({ threads: 1 });
  const start = gradientAt(0, SHORT);
  const short = createBench(engine, optimizer, start);
  const gradients = Array.from({ length: STEPS }, (_, step) => gradientAt(step + 1, SHORT));
  for (const gradient of gradients) short.step(gradient);
  const expected = new Uint32Array(short.read(short.parameters).buffer);
  // The first that are long, then those whose halves are no whole lines, then many.
  for (const length of [2 ** 18 - 16, 2 ** 18, 2 ** 18 + 16, 2 ** 18 + 48, 2 ** 19 + 2 ** 10 + 112]) {
    const long = createBench(engine, optimizer, repeated(start, length));
    for (const gradient of gradients) long.step(repeated(gradient, length));
    const found = new Uint32Array(long.read(long.parameters).buffer);
    expect(
      found.findIndex((bits, index) => bits !== expected[index % SHORT]),
      `${length} elements`,
    ).toBe(-1);
  }
});

const repeated = (values: Float32Array, length: number) => Float32Array.from({ length }, (_, i) => values[i % SHORT]);
