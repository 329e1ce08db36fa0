// Embeddings, attention and blocks of transformers against recorded values of PyTorch: see test/golden/attention.py.
import * as steepest from "steepest";
import { createEngineSync, type Layer } from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Shape, type Tensor } from "../../src/graph/tensor.js";
import { layerContext } from "../../src/nn/layer.js";
import { alibiSlopes, attention } from "../../src/ops/attention.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";
import golden from "../golden/attention.json" with { type: "json" };

const engine = createEngineSync();
afterAll(() => engine.dispose());

interface RecordedCase {
  readonly layer: string;
  readonly arguments: readonly unknown[];
  readonly shapes: Readonly<Record<string, Shape>>;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly upstream: readonly number[];
  readonly outputShape: Shape;
  readonly exact: Readonly<Record<string, readonly number[]>>;
  readonly float32Error: Readonly<Record<string, number>>;
  readonly tokens?: readonly number[];
  readonly tokensShape?: Shape;
  readonly lengths?: readonly number[];
  readonly memoryLengths?: readonly number[];
  readonly bias?: readonly number[];
}

const cases = golden.cases as unknown as readonly RecordedCase[];
/** No line may be worse than four times PyTorch's own float32 error on it, or than this. */
const MIN_ERROR = 1e-6;

const counts = (lengths: readonly number[] | undefined): Tensor | undefined =>
  lengths && constant(Uint32Array.from(lengths));

/** The operation, or the layer with the recorded parameters, applied to what was recorded. */
function resultOf(one: RecordedCase, tensors: Record<string, Tensor>): { y: Tensor; parameters: Map<string, Tensor> } {
  const lengths = counts(one.lengths);
  if (one.layer === "attention") {
    const [given] = one.arguments as [{ alibi?: boolean; bias?: boolean; heads: number; causal?: boolean }];
    const { alibi = false, bias = false, ...options } = given;
    const { q, k, v } = tensors;
    const y = attention(q, k, v, {
      ...options,
      ...(lengths && { lengths }),
      ...(alibi ? { slopes: constant(alibiSlopes(options.heads)) } : {}),
      ...(bias ? { bias: constant(Float32Array.from(one.bias ?? []), [q.shape[1], k.shape[1]]) } : {}),
    });
    return { y, parameters: new Map() };
  }
  const layer = (steepest as unknown as Record<string, (...options: readonly unknown[]) => Layer>)[one.layer](
    ...one.arguments,
  );
  const clock = constant(Uint32Array.from([0]));
  const context = layerContext({ training: true, clock, seed: [0, 0] });
  const place = { where: one.layer, path: "0" };
  if (one.tokens !== undefined) {
    const shape = one.tokensShape as Shape;
    const built = layer.build(place, shape.slice(1), "uint32");
    const parameters = new Map(built.parameters.map(({ name, tensor }) => [name, tensor]));
    return { y: built.apply(constant(Uint32Array.from(one.tokens), shape), context), parameters };
  }
  const memoryLengths = counts(one.memoryLengths);
  const { x, memory } = tensors;
  const given = { x, ...(memory && { memory }), ...(lengths && { lengths }), ...(memoryLengths && { memoryLengths }) };
  const shapes = Object.fromEntries(Object.entries(given).map(([name, { shape }]) => [name, shape.slice(1)]));
  const dtypes = Object.fromEntries(Object.entries(given).map(([name, { dtype }]) => [name, dtype]));
  const built = layer.build(place, shapes as never, dtypes as never);
  return {
    y: built.apply(given as never, context),
    parameters: new Map(built.parameters.map(({ name, tensor }) => [name, tensor])),
  };
}

function check(one: RecordedCase): void {
  const names = Object.keys(one.inputs);
  const set = new Map<string, string>();
  const leaves = names.filter((name) => ["q", "k", "v", "x", "memory"].includes(name));
  const shapes = Object.fromEntries(leaves.map((name) => [name, input(one.shapes[name], { name })]));
  using compiled = compileFunctionSync(
    ({ dy, ...tensors }: Record<string, Tensor>) => {
      const { y, parameters } = resultOf(one, tensors);
      expect(y.shape).toEqual(one.outputShape);
      const wrt = names.map((name) => tensors[name] ?? (parameters.get(name) as Tensor));
      for (const [name, tensor] of parameters) {
        expect(tensor.shape, name).toEqual(one.shapes[name]);
        set.set(name, tensor.name);
      }
      const slopes = gradient(sum(mul(y, dy)), wrt);
      return { y, ...Object.fromEntries(names.map((name, index) => [`d${name}`, slopes[index]])) };
    },
    { ...shapes, dy: input(one.outputShape) },
    { engine },
  );
  for (const [name, path] of set) compiled.setParameter(path, Float32Array.from(one.inputs[name]));
  const values = Object.fromEntries(leaves.map((name) => [name, Float32Array.from(one.inputs[name])]));
  const results = compiled({ ...values, dy: Float32Array.from(one.upstream) }) as Record<string, Float32Array>;
  for (const [name, expected] of Object.entries(one.exact)) {
    const scale = Math.max(1e-30, ...expected.map(Math.abs));
    const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(results[name][i] - value) / scale), 0);
    // What cancels out, as a bias of keys does in a softmax, is rounding alone in PyTorch too.
    const isRounding = scale < 1e-12;
    const allowed = isRounding ? 1e-6 / scale : Math.max(4 * one.float32Error[name], MIN_ERROR);
    expect(worst, name).toBeLessThanOrEqual(allowed);
  }
}

describe("golden values of PyTorch", () => {
  cases.forEach((one, index) => {
    test(`${index}: ${one.layer} ${JSON.stringify(one.arguments)} of ${JSON.stringify(Object.values(one.shapes).slice(0, 3))}`, () =>
      check(one));
  });

  test("are as many as are asked for, of each kind", () => {
    const kinds = new Set(cases.map(({ layer }) => layer));
    expect(cases.length).toBeGreaterThanOrEqual(60);
    expect([...kinds]).toEqual([
      "embedding",
      "attention",
      "multiHeadAttention",
      "transformerEncoder",
      "transformerDecoder",
    ]);
  });
});
