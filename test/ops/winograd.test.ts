// Winograd's minimal filtering: when it is used, that `convolution: "direct"` turns it off, and its error beside that of the
// plain sums. That it computes convolutions at all, for any number of threads, is in test/ops/samples/conv.ts.
import { expect, test } from "vitest";
import { createEngineSync, type Engine } from "../../src/engine/engine.js";
import { buildProgram } from "../../src/graph/program.js";
import { input, type Shape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import {
  adam,
  compileSync,
  conv2d,
  crossEntropy,
  dense,
  flatten,
  maxPool2d,
  relu,
  sequential,
} from "../../src/index.js";
import * as ops from "../../src/ops/index.js";
import "../../src/platform/node.js";
import { minimal } from "./samples/conv.js";

interface Setting {
  readonly batch: number;
  readonly size: readonly [height: number, width: number];
  readonly channels: number;
  readonly outChannels: number;
  readonly pads?: readonly [before: number, after: number];
}

type Values = readonly [x: Float32Array, weight: Float32Array, dy: Float32Array];

const direct = createEngineSync({ convolution: "direct" });
const auto = createEngineSync();

function shapesOf({ batch, size, channels, outChannels, pads = [1, 1] }: Setting): readonly [Shape, Shape, Shape] {
  const [outHeight, outWidth] = size.map((one) => one + pads[0] + pads[1] - 2);
  return [
    [batch, ...size, channels],
    [3, 3, channels, outChannels],
    [batch, outHeight, outWidth, outChannels],
  ];
}

/** y, dx and dW, and the kernels that computed them. */
function run(engine: Engine, setting: Setting, values?: Values) {
  const { pads = [1, 1] } = setting;
  const leaves = shapesOf(setting).map((shape) => input(shape));
  const [x, weight, dy] = leaves;
  const y = ops.conv2d(x, weight, { padding: [pads, pads] });
  const results = [y, ...ops.gradient(ops.sum(ops.mul(y, dy)), [x, weight])];
  const built = buildProgram(engine, { results, inputs: leaves });
  values?.forEach((data, i) => {
    engine.write(built.addressOf(leaves[i]), data);
  });
  if (values !== undefined) engine.run(built.program.address, built.program.end, 1);
  const read = (tensor: Tensor) => engine.floats(built.addressOf(tensor), sizeOf(tensor.shape)).slice();
  const read3 = values === undefined ? [] : results.map(read);
  built.dispose();
  return { results: read3, kernels: built.program.listing.map(({ kernel }) => kernel) };
}

const used = (kernels: readonly string[]) => ({
  forward: kernels.filter((kernel) => kernel === "convolveWinograd").length,
  weights: kernels.filter((kernel) => kernel === "convolveWinogradWeights").length,
});

const square = (batch: number, size: number, channels: number, outChannels = channels): Setting => ({
  batch,
  size: [size, size],
  channels,
  outChannels,
});

// Forward and the gradient of x are two; which of them pay was measured, see src/ops/winograd.ts.
test.each<[Setting, forward: number, weights: number]>([
  [square(32, 32, 32, 64), 2, 1],
  [square(1, 12, 16), 2, 0],
  [square(64, 12, 16), 2, 1],
  [square(64, 12, 15, 16), 0, 0],
  [square(64, 12, 16, 15), 0, 0],
  [square(32, 7, 64), 0, 1],
  [square(64, 4, 256), 0, 1],
  [square(32, 3, 256), 0, 0],
  [square(1, 8, 128), 2, 0],
  [square(1, 12, 256), 0, 0],
  [square(1, 16, 256), 2, 0],
  [square(1, 28, 512), 2, 0],
])("%j: forward and dx %i, dW %i", (setting, forward, weights) => {
  expect(used(run(auto, setting).kernels)).toEqual({ forward, weights });
  expect(used(run(direct, setting).kernels)).toEqual({ forward: 0, weights: 0 });
});

test("the rows of the sample table are computed so", () => {
  const kernels = minimal.map(({ batch, size, channels, outChannels, axes }) => {
    const leaves = [input([batch, ...size, channels]), input([3, 3, channels, outChannels])];
    const pads = axes.map(({ before = 0, after = 0 }) => [before, after]);
    const y = ops.conv2d(leaves[0], leaves[1], { padding: pads as [[number, number], [number, number]] });
    const built = buildProgram(auto, { results: [y, ...ops.gradient(ops.sum(y), leaves)], inputs: leaves });
    built.dispose();
    return used(built.program.listing.map(({ kernel }) => kernel));
  });
  expect(kernels.map(({ forward }) => forward)).toEqual(minimal.map(() => 2));
  expect(kernels.map(({ weights }) => weights)).toEqual([0, 0, 0, 0, 1, 1]);
});

test("other windows, strides, dilations and groups are plain sums", () => {
  const x = input([8, 24, 24, 32]);
  const of = (shape: Shape, options: object) => {
    const weight = input(shape);
    const built = buildProgram(auto, { results: [ops.conv2d(x, weight, options)], inputs: [x, weight] });
    built.dispose();
    return used(built.program.listing.map(({ kernel }) => kernel)).forward;
  };
  expect(of([3, 3, 32, 32], {})).toBe(1);
  expect(of([3, 3, 32, 32], { stride: [1, 2] })).toBe(0);
  expect(of([3, 3, 32, 32], { dilation: [2, 1] })).toBe(0);
  expect(of([3, 3, 16, 32], { groups: 2 })).toBe(0);
  expect(of([3, 2, 32, 32], {})).toBe(0);
  expect(of([5, 5, 32, 32], {})).toBe(0);
});

test("the option of compile, createWorkspace and compileFunction is that of the engine", () => {
  const trainer = compileSync(sequential({ input: [16, 16, 16] }, conv2d(16, 3)), { convolution: "direct" });
  const plain = compileSync(sequential({ input: [16, 16, 16] }, conv2d(16, 3)));
  const x = Float32Array.from({ length: 16 ** 3 }, (_, i) => Math.sin(i));
  const [a, b] = [trainer, plain].map((one) => one.predictSync(x) as Float32Array);
  expect(a).not.toEqual(b);
  a.forEach((value, i) => {
    expect(Math.abs(value - b[i])).toBeLessThan(2e-5);
  });
  trainer.dispose();
  plain.dispose();
});

// ——— Error ———

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

function normal(length: number, seed: number): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
}

/** y, dx and dW in float64. */
function exactOf(
  { batch, size, channels, outChannels, pads = [1, 1] }: Setting,
  [x, weight, dy]: Values,
): Float64Array[] {
  const [, , [, outHeight, outWidth]] = shapesOf({ batch, size, channels, outChannels, pads });
  const [y, dx, dW] = [dy, x, weight].map(({ length }) => new Float64Array(length));
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++)
        for (let ky = 0; ky < 3; ky++)
          for (let kx = 0; kx < 3; kx++) {
            const [row, column] = [i + ky - pads[0], j + kx - pads[0]];
            if (row < 0 || row >= size[0] || column < 0 || column >= size[1]) continue;
            const to = ((n * outHeight + i) * outWidth + j) * outChannels;
            const from = ((n * size[0] + row) * size[1] + column) * channels;
            for (let c = 0; c < channels; c++) {
              const w = ((ky * 3 + kx) * channels + c) * outChannels;
              let sum = 0;
              for (let k = 0; k < outChannels; k++) {
                y[to + k] += x[from + c] * weight[w + k];
                dW[w + k] += x[from + c] * dy[to + k];
                sum += dy[to + k] * weight[w + k];
              }
              dx[from + c] += sum;
            }
          }
  return [y, dx, dW];
}

/** Root mean square of the error, and its largest value. */
function errorsOf(result: Float32Array, exact: Float64Array): [rms: number, largest: number] {
  let [sum, largest] = [0, 0];
  exact.forEach((value, i) => {
    sum += (result[i] - value) ** 2;
    largest = Math.max(largest, Math.abs(result[i] - value));
  });
  return [Math.sqrt(sum / exact.length), largest];
}

/** How many times the error of the plain sums: of y, dx and dW. */
function ratios(setting: Setting, values: Values): number[][] {
  const exact = exactOf(setting, values);
  const [a, b] = [auto, direct].map((engine) => run(engine, setting, values).results);
  return exact.map((line, i) => {
    const [error, plain] = [errorsOf(a[i], line), errorsOf(b[i], line)];
    return [error[0] / plain[0], error[1] / plain[1]];
  });
}

function expectWithinFour(found: number[][]): void {
  for (const [rms, largest] of found) {
    expect(rms).toBeLessThanOrEqual(4);
    expect(largest).toBeLessThanOrEqual(4);
  }
  if (process.env.SHOW_RATIOS)
    console.log(found.map((line) => line.map((one) => one.toFixed(2)).join(" / ")).join(", "));
}

test.each([
  square(8, 14, 16),
  square(8, 12, 32, 48),
  square(4, 16, 64),
  square(4, 16, 32, 128),
  square(1, 32, 256, 32),
])("%j, random numbers: at most four times the error of the plain sums", (setting) => {
  const [x, weight, dy] = shapesOf(setting).map((shape, i) => normal(sizeOf(shape), 7 + i));
  expectWithinFour(ratios(setting, [x, weight, dy]));
  // What comes out of ReLU has a mean.
  expectWithinFour(ratios(setting, [x.map((value) => Math.max(value, 0)), weight, dy]));
});

test("trained weights and what they are given: at most four times the error of the plain sums", () => {
  // Stripes of four directions in noise.
  const [side, count] = [16, 256];
  const noise = normal(count * side * side, 3);
  const images = noise.map((value, i) => {
    const [row, column] = [Math.floor(i / side) % side, i % side];
    const angle = ((Math.floor(i / side ** 2) % 4) * Math.PI) / 4;
    return value / 2 + Math.sin(1.3 * (row * Math.cos(angle) + column * Math.sin(angle)));
  });
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 4);
  const model = sequential(
    { input: [side, side, 1] },
    ...([conv2d(16, 3, { padding: 1, name: "first" }), relu()] as const),
    ...([conv2d(32, 3, { padding: 1, name: "second" }), relu(), maxPool2d(2), flatten(), dense(4)] as const),
  );
  const trainer = compileSync(model, { loss: crossEntropy(), optimizer: adam({ learningRate: 0.003 }), seed: 1 });
  const losses = trainer.trainStepsSync({ x: images, y: labels }, { steps: 60, batchSize: 32 });
  expect(losses[losses.length - 1]).toBeLessThan(0.2);
  const parameters = trainer.parameters();
  const of = (name: string) => parameters.get(name)?.data as Float32Array;
  const [batch, weight] = [8, of("second.weight")];
  const first = { ...square(batch, side, 1, 16) };
  const dy = normal(batch * side * side * 32, 5);
  const [sums] = exactOf(first, [
    images.slice(0, batch * side * side),
    of("first.weight"),
    normal(batch * side * side * 16, 9),
  ]);
  const bias = of("first.bias");
  const x = Float32Array.from(sums, (value, i) => Math.max(0, value + bias[i % 16]));
  expectWithinFour(ratios(square(batch, side, 16, 32), [x, weight, dy]));
  trainer.dispose();
});

test("a sample has the same bits alone and in a batch", () => {
  const one = square(1, 13, 24, 40);
  const five = { ...one, batch: 5 };
  const [x, weight, dy] = shapesOf(five).map((shape, i) => normal(sizeOf(shape), 11 + i));
  const [y, dx] = run(auto, five, [x, weight, dy]).results;
  for (let n = 0; n < 5; n++) {
    const part = (all: Float32Array) => all.subarray((n * all.length) / 5, ((n + 1) * all.length) / 5);
    const alone = run(auto, one, [part(x), weight, part(dy)]).results;
    expect(alone[0]).toEqual(part(y).slice());
    expect(alone[1]).toEqual(part(dx).slice());
  }
});
