// Layers against recorded values of PyTorch: see test/golden/pool.py for what a file holds.
import { expect } from "vitest";
import type { Engine } from "../../src/engine/engine.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Shape, type Tensor } from "../../src/graph/tensor.js";
import { type Layer, layerContext } from "../../src/nn/layer.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";

export interface RecordedCase {
  readonly layer: string;
  readonly arguments: readonly unknown[];
  readonly shape: Shape;
  readonly outputShape: Shape;
  /** x, and the parameters by name. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly upstream: readonly number[];
  /** The lines that are compared: the output y, and the gradients dx, dweight, … */
  readonly exact: Readonly<Record<string, readonly number[]>>;
  /** Largest error that PyTorch makes in float32 on each line, relative to the line's largest number. */
  readonly float32Error: Readonly<Record<string, number>>;
  readonly training?: boolean;
  /** Buffers before the step, and after it where it trains. */
  readonly buffers?: Readonly<Record<string, readonly number[]>>;
  readonly updated?: Readonly<Record<string, readonly number[]>>;
}

/** No line may be worse than four times PyTorch's own float32 error on it, or than this. */
const MIN_ERROR = 1e-6;

function checkLine(where: string, actual: ArrayLike<number>, expected: readonly number[], float32Error: number): void {
  expect(actual.length, where).toBe(expected.length);
  const scale = Math.max(1e-30, ...expected.map(Math.abs));
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i] - value) / scale), 0);
  expect(worst, where).toBeLessThanOrEqual(Math.max(4 * float32Error, MIN_ERROR));
}

export function checkRecorded(engine: Engine, layer: Layer, one: RecordedCase): void {
  const built = layer.build({ where: layer.kind, path: "0" }, one.shape.slice(1));
  const tensors = new Map(built.parameters.map(({ name, tensor }) => [name, tensor]));
  const clock = constant(Uint32Array.from([0]));
  const context = layerContext({ training: one.training ?? true, clock, seed: [0, 0] });
  using compiled = compileFunctionSync(
    ({ x, dy }) => {
      const y = built.apply(x, context);
      expect(y.shape).toEqual(one.outputShape);
      expect(built.outputShape).toEqual(one.outputShape.slice(1));
      const names = Object.keys(one.inputs);
      const wrt = names.map((name) => (name === "x" ? x : (tensors.get(name) as Tensor)));
      const slopes = gradient(sum(mul(y, dy)), wrt);
      const updates = [...context.updates].map(([buffer, value]) => [buffer.name, value] as const);
      return { y, ...Object.fromEntries([...names.map((name, i) => [`d${name}`, slopes[i]] as const), ...updates]) };
    },
    { x: input(one.shape), dy: input(one.outputShape) },
    { engine },
  );
  const given = { ...one.inputs, ...one.buffers };
  for (const [name, tensor] of tensors) {
    compiled.setParameter(tensor.name, Float32Array.from(given[name]));
  }
  const result: Record<string, Float32Array> = compiled({
    x: Float32Array.from(one.inputs.x),
    dy: Float32Array.from(one.upstream),
  });
  for (const [name, expected] of Object.entries(one.exact)) {
    checkLine(name, result[name], expected, one.float32Error[name]);
  }
  for (const [name, expected] of Object.entries(one.updated ?? {})) {
    checkLine(name, result[(tensors.get(name) as Tensor).name], expected, 0);
  }
}
