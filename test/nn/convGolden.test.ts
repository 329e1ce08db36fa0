// Convolution layers against PyTorch in float64: test/golden/conv.py. No line may be worse than four times PyTorch's own
// float32 error on it, or 1e-6, whichever is larger.
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { createEngineSync, type Engine } from "../../src/engine/engine.js";
import { buildProgram } from "../../src/graph/program.js";
import { bytesOf, input, type Shape, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  separableConv1d,
  separableConv2d,
} from "../../src/index.js";
import type { Layer } from "../../src/nn/layer.js";
import { layerContext } from "../../src/nn/layer.js";
import { gradient, mul, sum } from "../../src/ops/index.js";
import "../../src/platform/node.js";

interface Recorded {
  readonly shape: number[];
  readonly values: number[];
  readonly error: number;
}

interface GoldenCase {
  readonly layer: string;
  readonly filters: number;
  readonly window: number[];
  readonly options: object;
  readonly given: Readonly<Record<string, Omit<Recorded, "error">>>;
  readonly upstream: number[];
  readonly expected: Readonly<Record<string, Recorded>>;
}

const golden: { cases: GoldenCase[] } = JSON.parse(
  readFileSync(new URL("../golden/conv.json", import.meta.url), "utf8"),
);

const layers = {
  ...{ conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d },
  ...{ separableConv1d, separableConv2d },
};

/** Of the recorded ones, those of at least 16 channels on both sides and 10×10 pixels. */
const isLarge = ([, channels, height, width = 0]: Shape, filters: number, window: readonly number[]): boolean =>
  window.join() === "3,3" && Math.min(channels, filters) >= 16 && Math.min(height, width) >= 10;

/** Axes of PyTorch's tensor in the order that they have here. */
function axesOf(name: string, shape: Shape): number[] {
  const sizes = shape.map((_, axis) => axis).slice(2);
  if (name === "bias") return [0];
  return name === "input" || name === "output" ? [0, ...sizes, 1] : [...sizes, 1, 0];
}

/** Elements of a row-major tensor, its axes in the order of `axes`. */
function permuted(values: ArrayLike<number>, shape: Shape, axes: readonly number[]): number[] {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const visit = (depth: number, at: number): number[] =>
    depth === axes.length
      ? [values[at]]
      : Array.from({ length: shape[axes[depth]] }, (_, i) => visit(depth + 1, at + i * strides[axes[depth]])).flat();
  return visit(0, 0);
}

/** The values of `outputs`, with each tensor of `given` filled; and whether a minimal filtering was part of it. */
function evaluate(engine: Engine, given: ReadonlyMap<Tensor, number[]>, outputs: readonly Tensor[]) {
  const places = new Map([...given.keys()].map((tensor) => [tensor, engine.allocator.allocate(bytesOf(tensor))]));
  const { program, addressOf, dispose } = buildProgram(engine, { results: outputs, places });
  for (const [tensor, values] of given) engine.floats(addressOf(tensor), values.length).set(values);
  engine.run(program.address, program.end, 1, program.threads);
  const results = outputs.map((tensor) => engine.floats(addressOf(tensor), sizeOf(tensor.shape)).slice());
  dispose();
  for (const address of places.values()) engine.allocator.free(address);
  return { results, isMinimal: program.listing.some(({ kernel }) => kernel === "convolveWinograd") };
}

// A minimal filtering may have four times the error of the plain sums: test/ops/winograd.test.ts.
describe.each([
  ["strict", "auto"],
  ["fast", "auto"],
  ["strict", "direct"],
  ["fast", "direct"],
] as const)("%s, %s", (build, convolution) => {
  const engine = createEngineSync({ build, convolution });
  afterAll(() => engine.dispose());

  test.each(
    golden.cases.map(
      (one) => [`${one.layer} ${JSON.stringify([one.given.input.shape, one.window, one.options])}`, one] as const,
    ),
  )("%s", (_, { layer, filters, window, options, given, upstream, expected }) => {
    const create = layers[layer as keyof typeof layers] as (...args: unknown[]) => Layer;
    const hereShape = (name: string, shape: Shape) => axesOf(name, shape).map((axis) => shape[axis]);
    const x = input(hereShape("input", given.input.shape));
    const built = create(filters, window.length === 1 ? window[0] : window, options).build(
      { where: layer, path: "0" },
      x.shape.slice(1),
    );
    const clock = input([1], { dtype: "uint32" });
    const y = built.apply(x, layerContext({ training: true, clock, seed: [0, 0] }));
    const dy = input(y.shape);
    const leaves = new Map<string, Tensor>([["input", x], ...built.parameters.map((p) => [p.name, p.tensor] as const)]);
    expect([...leaves.keys()]).toEqual(Object.keys(given));
    const values = new Map([[dy, permuted(upstream, expected.output.shape, axesOf("output", expected.output.shape))]]);
    for (const [name, { shape, values: all }] of Object.entries(given)) {
      const leaf = leaves.get(name) as Tensor;
      expect(leaf.shape, name).toEqual(hereShape(name, shape));
      values.set(leaf, permuted(all, shape, axesOf(name, shape)));
    }
    const slopes = gradient(sum(mul(y, dy)), [...leaves.values()]);
    const { results, isMinimal } = evaluate(engine, values, [y, ...slopes]);
    expect(isMinimal).toBe(convolution === "auto" && isLarge(given.input.shape, filters, window));
    ["output", ...leaves.keys()].forEach((name, index) => {
      const { shape, values: exact, error } = expected[name];
      const largest = Math.max(...exact.map(Math.abs));
      const worst = permuted(exact, shape, axesOf(name, shape)).reduce(
        (most, value, i) => Math.max(most, Math.abs(results[index][i] - value) / largest),
        results[index].length === exact.length ? 0 : Number.NaN,
      );
      expect(worst, name).toBeLessThanOrEqual(Math.max(4 * error, 1e-6) * (isMinimal ? 4 : 1));
    });
  });
});
