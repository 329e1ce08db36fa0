// Maximum pooling with places and its reverse as layers of several tensors. PyTorch's values are in test/golden/volumes.json.
import { afterAll, describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { ModelError } from "../../src/engine/errors.js";
import type { Tensor } from "../../src/graph/tensor.js";
import {
  compileSync,
  conv2d,
  dense,
  flatten,
  functional,
  type Layer,
  maxPoolWithIndices,
  maxUnpool,
  meanSquaredError,
  type Scope,
  sequential,
  sgd,
} from "../../src/index.js";
import golden from "../golden/volumes.json" with { type: "json" };
import "../../src/platform/node.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const there =
  (window: number | [number, number], more = {}) =>
  (x: Tensor, { apply }: Scope) =>
    apply(apply(x, maxPoolWithIndices(window, more)), maxUnpool(window, more));

test.each(golden.cases.filter(({ operation }) => operation === "unpooled"))("as PyTorch: $with", (one) => {
  const { window, size } = one.with as unknown as { window: number | [number, number]; size: [number, number] };
  const [{ shape, values }] = one.inputs;
  const model = functional({ input: shape.slice(1) }, (x, { apply }) =>
    apply(apply(x, maxPoolWithIndices(window)), maxUnpool(window, { outputSize: size })),
  );
  using predictor = compileSync(model, { engine });
  const result = predictor.predictSync(Float32Array.from(values as number[]));
  expect([...result]).toEqual((one.output as number[]).map(Math.fround));
});

test("sizes are those of the image at hand, and the stride's and padding's", () => {
  const model = functional({ input: [8, 6, 2] }, there(2));
  expect(model.outputShape).toEqual([8, 6, 2]);
  expect(model.outputShapeFor([4, 10, 2] as never)).toEqual([4, 10, 2]);
  expect(functional({ input: [9, 6, 2] }, there(2)).outputShape).toEqual([8, 6, 2]);
  expect(functional({ input: [9, 7, 2] }, there([3, 2], { stride: [2, 1], padding: 1 })).outputShape).toEqual([
    9, 7, 2,
  ]);
  expect(functional({ input: [10, 2] }, there(2)).outputShape).toEqual([10, 2]);
  const { outputShape } = functional({ input: [6, 6, 3] }, (x, { apply }) => apply(x, maxPoolWithIndices(2)));
  expect(outputShape).toEqual({ values: [3, 3, 3], indices: [3, 3, 3] });
});

test("one dimension, by hand", () => {
  using predictor = compileSync(functional({ input: [6, 1] }, there(3)), { engine });
  expect([...predictor.predictSync([1, 5, 2, 7, 7, 6])]).toEqual([0, 5, 0, 7, 0, 0]);
});

test("gradients go through values to where they were taken", () => {
  const model = functional({ input: [4, 4, 1] }, (x, { apply }) => {
    const { values, indices } = apply(x, maxPoolWithIndices(2));
    const between = apply(values, conv2d(1, 1, { name: "between" }));
    return apply(apply({ values: between, indices }, maxUnpool(2)), flatten());
  });
  using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.5 }), engine });
  trainer.setParameters({ "between.weight": [[[[2]]]], "between.bias": [0] });
  const x = [1, 2, 3, 4, 5, 6, 7, 8, 16, 15, 14, 13, 12, 11, 10, 9];
  const y = new Array(16).fill(0);
  const { parameters, inputs } = trainer.gradientsSync({ x, y }, { inputs: true }) as never as {
    parameters: Map<string, { data: Float32Array }>;
    inputs: { data: Float32Array };
  };
  // The maxima 6, 8, 16 and 14, doubled; the slope of their mean square over 16 elements is 2 · 2m / 16.
  const expected = x.map((value) => ([6, 8, 16, 14].includes(value) ? ((2 * 2 * value) / 16) * 2 : 0));
  expect([...inputs.data]).toEqual(expected);
  const slope = [6, 8, 16, 14].reduce((sum, m) => sum + ((2 * 2 * m) / 16) * m, 0);
  expect([...(parameters.get("between.weight")?.data ?? [])]).toEqual([slope]);
});

describe("what does not fit is refused", () => {
  const within = (body: (x: Tensor, scope: Scope) => Tensor) => () => functional({ input: [6, 6, 2] }, body);
  test.each<[string, () => unknown, string]>([
    [
      "in a chain",
      () => sequential({ input: [6, 6, 2] }, maxPoolWithIndices(2) as unknown as Layer, dense(1)),
      "in a chain each layer must give one tensor, but maxPoolWithIndices() gives values, indices",
    ],
    [
      "another window's places",
      within((x, { apply }) => apply({ values: x, indices: apply(x, maxPoolWithIndices(2)).indices }, maxUnpool(2))),
      "maxUnpool: indices must have the shape of x [2, 6, 6, 2], got [2, 3, 3, 2]",
    ],
    [
      "places that are no whole numbers",
      within((x, { apply }) => apply({ values: x, indices: x }, maxUnpool(2))),
      "maxUnpool",
    ],
    [
      "a size that the stride does not leave open",
      within((x, { apply }) => apply(apply(x, maxPoolWithIndices(2)), maxUnpool(2, { outputSize: [6, 8] }))),
      "maxUnpool: outputSize must be less than a stride from [6, 6], got [6, 8]",
    ],
    [
      "too much padding",
      within((x, { apply }) => apply(apply(x, maxPoolWithIndices(6)), maxUnpool(6, { padding: 3 }))),
      "maxUnpool: the padding must leave something of each axis, got [0, 0]: pad less",
    ],
    [
      "a window that does not fit",
      within((x, { apply }) => apply(x, maxPoolWithIndices(7)).values),
      "maxPoolWithIndices",
    ],
    [
      "one tensor",
      within((x, { apply }) => apply(x, maxUnpool(2) as unknown as Layer)),
      "maxUnpool() takes an object with values, indices, got one tensor",
    ],
    [
      "vectors",
      () =>
        functional({ input: { values: [4], indices: [4] }, dtype: { indices: "uint32" } }, (x, { apply }) =>
          apply(x, maxUnpool(2)),
        ),
      "values must be [batch, length, channels] or [batch, height, width, channels], got [2, 4]",
    ],
    ["other options", () => maxUnpool(2, { size: 4 } as never), 'maxUnpool: unknown option "size"'],
    ["other options", () => maxPoolWithIndices(2, { size: 4 } as never), 'maxPoolWithIndices: unknown option "size"'],
  ])("%s", (_, build, message) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(message);
  });
  test("but a place beyond the image is left out", () => {
    const model = functional(
      { input: { values: [2, 1], indices: [2, 1] }, dtype: { indices: "uint32" } },
      (x, { apply }) => apply(x, maxUnpool(2)),
    );
    using predictor = compileSync(model, { engine });
    expect([...predictor.predictSync({ values: [5, 6], indices: [3, 0] })]).toEqual([6, 0, 0, 5]);
    expect([...predictor.predictSync({ values: [5, 6], indices: [4, 0] })]).toEqual([6, 0, 0, 0]);
  });
});
