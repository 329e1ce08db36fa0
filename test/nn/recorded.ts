// Layers against recorded values of PyTorch: see test/golden/pool.py for what a file holds.
import { expect } from "vitest";
import type { Engine } from "../../src/engine/engine.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Shape, type Tensor } from "../../src/graph/tensor.js";
import { type AnyLayer, type Layer, layerContext } from "../../src/nn/layer.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";

export interface RecordedCase {
  readonly layer: string;
  readonly arguments: readonly unknown[];
  /** With the batch; by name, if it takes several tensors. */
  readonly shape: Shape | Readonly<Record<string, Shape>>;
  readonly outputShape: Shape;
  /** x, or the tensors that it takes by name, and the parameters by name. */
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

export function checkLine(
  where: string,
  actual: ArrayLike<number>,
  expected: readonly number[],
  float32Error: number,
): void {
  expect(actual.length, where).toBe(expected.length);
  const scale = Math.max(1e-30, ...expected.map(Math.abs));
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i] - value) / scale), 0);
  expect(worst, where).toBeLessThanOrEqual(Math.max(4 * float32Error, MIN_ERROR));
}

export function checkRecorded(engine: Engine, given: AnyLayer, one: RecordedCase): void {
  const layer = given as Layer;
  const isNamed = !Array.isArray(one.shape);
  const shapes = (isNamed ? one.shape : { x: one.shape }) as Readonly<Record<string, Shape>>;
  const sample = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, shape.slice(1)]));
  const built = layer.build({ where: layer.kind, path: "0" }, (isNamed ? sample : sample.x) as Shape);
  const tensors = new Map(built.parameters.map(({ name, tensor }) => [name, tensor]));
  const clock = constant(Uint32Array.from([0]));
  const context = layerContext({ training: one.training ?? true, clock, seed: [0, 0] });
  using compiled = compileFunctionSync(
    ({ dy, ...xs }: Record<string, Tensor>) => {
      const y = built.apply((isNamed ? xs : xs.x) as Tensor, context);
      expect(y.shape).toEqual(one.outputShape);
      expect(built.outputShape).toEqual(one.outputShape.slice(1));
      const names = Object.keys(one.inputs);
      const wrt = names.map((name) => xs[name] ?? (tensors.get(name) as Tensor));
      const slopes = gradient(sum(mul(y, dy)), wrt);
      const updates = [...context.updates].map(([buffer, value]) => [buffer.name, value] as const);
      return { y, ...Object.fromEntries([...names.map((name, i) => [`d${name}`, slopes[i]] as const), ...updates]) };
    },
    {
      ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, input(shape)])),
      dy: input(one.outputShape),
    },
    { engine },
  );
  const values = { ...one.inputs, ...one.buffers };
  for (const [name, tensor] of tensors) {
    compiled.setParameter(tensor.name, Float32Array.from(values[name]));
  }
  const result: Record<string, Float32Array> = compiled({
    ...Object.fromEntries(Object.keys(shapes).map((name) => [name, Float32Array.from(one.inputs[name])])),
    dy: Float32Array.from(one.upstream),
  });
  for (const [name, expected] of Object.entries(one.exact)) {
    checkLine(name, result[name], expected, one.float32Error[name]);
  }
  for (const [name, expected] of Object.entries(one.updated ?? {})) {
    checkLine(name, result[(tensors.get(name) as Tensor).name], expected, 0);
  }
}
