// What the padding of a convolution is made of: the same as the input padded before, in every layer that has it. PyTorch's
// values are in test/golden/conv.json.
import { afterAll, describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { ModelError } from "../../src/engine/errors.js";
import type { Layer, Margins } from "../../src/index.js";
import * as S from "../../src/index.js";
import { compileSync } from "../../src/index.js";
import "../../src/platform/node.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const values = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + 0.3));

/** Makes a layer with these options. */
type Make = (options: object) => Layer;

const none = { padding: "valid" };
const LINE: Margins[] = [[2, 2]];
const PLANE: Margins[] = [
  [2, 2],
  [1, 1],
];
const SPACE: Margins[] = [
  [1, 1],
  [0, 0],
  [2, 2],
];

const CASES: readonly (readonly [string, Make, number[], object, Margins[]])[] = [
  ["conv1d", (options) => S.conv1d(3, 3, options), [7, 4], { padding: 2 }, LINE],
  ["conv1d, a stride", (options) => S.conv1d(3, 3, { stride: 2, ...options }), [7, 4], { padding: 2 }, LINE],
  ["conv2d", (options) => S.conv2d(3, 3, options), [5, 6, 4], { padding: [2, 1] }, PLANE],
  ["conv2d, groups", (options) => S.conv2d(4, 3, { groups: 2, ...options }), [5, 6, 4], { padding: [2, 1] }, PLANE],
  ["conv2d, same", (options) => S.conv2d(3, [5, 3], options), [5, 6, 4], { padding: "same" }, PLANE],
  ["conv3d", (options) => S.conv3d(3, [3, 1, 3], options), [4, 3, 5, 2], { padding: [1, 0, 2] }, SPACE],
  ["depthwiseConv1d", (options) => S.depthwiseConv1d(3, options), [7, 4], { padding: 2 }, LINE],
  [
    "depthwiseConv2d",
    (options) => S.depthwiseConv2d(3, { multiplier: 2, ...options }),
    [5, 6, 4],
    { padding: [2, 1] },
    PLANE,
  ],
  ["separableConv1d", (options) => S.separableConv1d(3, 3, options), [7, 4], { padding: 2 }, LINE],
  [
    "separableConv2d",
    (options) => S.separableConv2d(3, 3, { stride: 2, ...options }),
    [5, 6, 4],
    { padding: [2, 1] },
    PLANE,
  ],
];

const MODES = { reflect: "reflect", replicate: "edge", circular: "circular" } as const;

const chain = (input: readonly number[], ...layers: readonly Layer[]) =>
  (S.sequential as (options: object, ...all: readonly Layer[]) => S.Model)({ input }, ...layers);

const options = { loss: S.meanSquaredError(), optimizer: S.sgd({ learningRate: 0.1 }), engine, seed: 5 };

describe.each(CASES)("%s", (_, make, shape, padded, margins) => {
  test.each(["reflect", "replicate", "circular"] as const)("%s", (paddingMode) => {
    const size = shape.reduce((product, one) => product * one, 2);
    const within = chain(shape, S.identity(), make({ ...padded, paddingMode }));
    const before = chain(shape, S.pad(margins, { mode: MODES[paddingMode] }), make(none));
    using one = compileSync(within, options);
    using other = compileSync(before, options);
    const x = values(size);
    const y = values(2 * within.outputShape.reduce((product, axis) => product * axis, 1));
    for (let step = 0; step < 3; step++) {
      expect(one.trainBatchSync({ x, y })).toBe(other.trainBatchSync({ x, y }));
    }
    expect(one.predictSync(x)).toEqual(other.predictSync(x));
    const parameters = [...one.parameters()];
    expect(parameters).toEqual([...other.parameters()]);
    expect(parameters.length).toBeGreaterThan(1);
  });
});

test("zeros are the default", () => {
  const [shape, x] = [[5, 6, 4], values(120)];
  using zeros = compileSync(chain(shape, S.conv2d(3, 3, { padding: 1, paddingMode: "zeros" })), options);
  using none = compileSync(chain(shape, S.conv2d(3, 3, { padding: 1 })), options);
  using edge = compileSync(chain(shape, S.conv2d(3, 3, { padding: 1, paddingMode: "replicate" })), options);
  expect(zeros.predictSync(x)).toEqual(none.predictSync(x));
  expect(edge.predictSync(x)).not.toEqual(none.predictSync(x));
});

test("the padding is that of the input at hand, whatever its size", () => {
  const model = S.sequential(
    { input: [8, 8, 1] },
    S.conv2d(2, 3, { padding: "same", stride: 2, paddingMode: "circular", name: "conv" }),
  );
  // Of 5 rows, "same" with a stride of 2 pads one before and one after; of 8 none before.
  const other = S.sequential(
    { input: [5, 5, 1] },
    S.pad(
      [
        [1, 1],
        [1, 1],
      ],
      { mode: "circular" },
    ),
    S.conv2d(2, 3, { stride: 2, name: "conv" }),
  );
  using trainer = compileSync(model, options);
  using expected = compileSync(other, options);
  expected.setParameters(trainer.parameters());
  const x = values(25);
  expect(trainer.predictSync(x, { inputShape: [5, 5, 1] })).toEqual(expected.predictSync(x));
});

test.each<[() => unknown, string]>([
  [
    () => S.conv2d(4, 3, { paddingMode: "edge" as never }),
    'conv2d: paddingMode must be "zeros" or "reflect" or "replicate" or "circular", got "edge"',
  ],
  [
    () => S.conv1d(4, 3, { padding: "causal", paddingMode: "circular" }),
    'conv1d: paddingMode must be "zeros" or "replicate" with padding "causal", got "circular": it would show what comes later',
  ],
  [
    () => S.sequential({ input: [3, 5, 1] }, S.conv2d(4, 3, { padding: 3, paddingMode: "reflect" })),
    "conv2d 0: axis 1 of an input [1, 3, 5, 1] can mirror at most 2 elements at either end, got [3, 3]: add fewer",
  ],
  [
    () => S.sequential({ input: [3, 2] }, S.separableConv1d(4, 3, { padding: 4, paddingMode: "circular" })),
    "separableConv1d 0: axis 1 of an input [1, 3, 2] can repeat at most 3 elements at either end, got [4, 4]: add fewer",
  ],
  [() => S.convTranspose2d(4, 3, { paddingMode: "reflect" } as never), 'convTranspose2d: unknown option "paddingMode"'],
])("refuses %#: %s", (build, message) => {
  expect(build).toThrow(ModelError);
  expect(build).toThrow(message);
});
