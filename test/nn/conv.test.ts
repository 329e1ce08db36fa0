// Convolution layers: shapes, parameters, what they refuse, and that they train.
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { ModelError } from "../../src/engine/errors.js";
import { planMemory } from "../../src/graph/plan.js";
import { input, type Shape } from "../../src/graph/tensor.js";
import {
  adam,
  compileSync,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  crossEntropy,
  dense,
  depthwiseConv1d,
  depthwiseConv2d,
  flatten,
  type Layer,
  relu,
  separableConv1d,
  separableConv2d,
  sequential,
} from "../../src/index.js";
import { layerContext } from "../../src/nn/layer.js";
import { checkModel } from "../../src/nn/model.js";
import * as ops from "../../src/ops/index.js";
import "../../src/platform/node.js";

const context = () => layerContext({ training: true, clock: input([1], { dtype: "uint32" }), seed: [0, 0] });

const shapesOf = (layer: Layer, inputShape: Shape) => {
  const model = sequential({ input: inputShape }, layer);
  const result = checkModel("test", model).trace([input([3, ...inputShape])], context())[0];
  expect(result.shape).toEqual([3, ...model.outputShape]);
  return [model.outputShape, ...[...model.parameters.values()].map(({ shape }) => shape)];
};

// Output sizes by PyTorch's formula floor((size + pads - dilation·(window - 1) - 1) / stride) + 1, by hand.
test.each<[string, Layer, Shape, Shape[]]>([
  ["valid", conv2d(8, 3), [28, 28, 1], [[26, 26, 8], [3, 3, 1, 8], [8]]],
  [
    "same",
    conv2d(8, [3, 2], { padding: "same", bias: false }),
    [5, 4, 3],
    [
      [5, 4, 8],
      [3, 2, 3, 8],
    ],
  ],
  [
    "same, with a stride",
    conv2d(8, 3, { padding: "same", stride: 2, bias: false }),
    [5, 6, 3],
    [
      [3, 3, 8],
      [3, 3, 3, 8],
    ],
  ],
  [
    "numbers",
    conv2d(4, 3, { padding: [1, 0], stride: [2, 1], bias: false }),
    [7, 7, 6],
    [
      [4, 5, 4],
      [3, 3, 6, 4],
    ],
  ],
  [
    "each side",
    conv2d(4, 3, {
      padding: [
        [0, 1],
        [2, 0],
      ],
      dilation: 2,
      groups: 2,
      bias: false,
    }),
    [7, 7, 6],
    [
      [4, 5, 4],
      [3, 3, 3, 4],
    ],
  ],
  ["1d", conv1d(5, 4, { padding: [1, 2], stride: 2 }), [9, 3], [[5, 5], [4, 3, 5], [5]]],
  ["causal", conv1d(5, 4, { padding: "causal", dilation: 3 }), [9, 3], [[9, 5], [4, 3, 5], [5]]],
  ["depthwise", depthwiseConv2d(3, { multiplier: 2 }), [6, 5, 4], [[4, 3, 8], [3, 3, 1, 8], [8]]],
  ["depthwise 1d", depthwiseConv1d(3), [6, 4], [[4, 4], [3, 1, 4], [4]]],
  ["separable", separableConv2d(10, 3, { multiplier: 2 }), [6, 5, 4], [[4, 3, 10], [3, 3, 1, 8], [1, 1, 8, 10], [10]]],
  [
    "separable 1d",
    separableConv1d(10, 3, { bias: false }),
    [6, 4],
    [
      [4, 10],
      [3, 1, 4],
      [1, 4, 10],
    ],
  ],
  [
    "transposed",
    convTranspose2d(6, 4, { stride: 2, padding: 1, groups: 2 }),
    [7, 5, 4],
    [[14, 10, 6], [4, 4, 3, 4], [6]],
  ],
  [
    "transposed, one more",
    convTranspose2d(6, 3, { stride: 2, outputPadding: [1, 0], bias: false }),
    [7, 5, 4],
    [
      [16, 11, 6],
      [3, 3, 6, 4],
    ],
  ],
  [
    "transposed 1d",
    convTranspose1d(6, 3, { stride: 3, padding: "same", bias: false }),
    [7, 4],
    [
      [21, 6],
      [3, 6, 4],
    ],
  ],
  [
    "transposed 1d, of a size that the stride leaves open",
    convTranspose1d(6, 3, { stride: 3, outputSize: 23, bias: false }),
    [7, 4],
    [
      [23, 6],
      [3, 6, 4],
    ],
  ],
  [
    "transposed 2d, of a size",
    convTranspose2d(6, 3, { stride: 2, padding: 1, outputSize: [14, 9], bias: false }),
    [7, 5, 4],
    [
      [14, 9, 6],
      [3, 3, 6, 4],
    ],
  ],
  [
    "transposed 3d",
    convTranspose3d(6, [2, 3, 3], { stride: 2, padding: [0, 1, 1], groups: 2 }),
    [3, 5, 4, 4],
    [[6, 9, 7, 6], [2, 3, 3, 3, 4], [6]],
  ],
  [
    "transposed 3d, one more",
    convTranspose3d(6, 3, { stride: 2, outputPadding: [1, 0, 1], bias: false }),
    [3, 5, 4, 4],
    [
      [8, 11, 10, 6],
      [3, 3, 3, 6, 4],
    ],
  ],
  [
    "transposed 3d, of a size",
    convTranspose3d(6, 2, { stride: [3, 2, 1], outputSize: [9, 11, 5], bias: false }),
    [3, 5, 4, 4],
    [
      [9, 11, 5, 6],
      [2, 2, 2, 6, 4],
    ],
  ],
])("shapes: %s", (_, layer, inputShape, shapes) => {
  expect(shapesOf(layer, inputShape)).toEqual(shapes);
});

test.each<[() => unknown, string]>([
  [
    () => sequential({ input: [4, 5, 1] }, conv2d(8, 5)),
    'conv2d 0: the window must fit into the padded input, got a height of 5 and an input of 4: pad more (padding: "same") or take a smaller window',
  ],
  [
    () => sequential({ input: [9, 5, 1] }, conv2d(8, 3, { name: "edges", dilation: [1, 3] })),
    'conv2d "edges": the window must fit into the padded input, got a width of 3 (dilation 3 makes it 7) and an input of 5',
  ],
  [
    () => sequential({ input: [4, 4, 6] }, conv2d(8, 3, { groups: 4 })),
    "conv2d 0: groups must divide the input's 6 channels and the 8 filters, got 4",
  ],
  [
    () => sequential({ input: [4, 4, 6] }, convTranspose2d(8, 3, { groups: 4 })),
    "convTranspose2d 0: groups must divide",
  ],
  [
    () => sequential({ input: [28, 28] }, conv2d(8, 3) as Layer),
    "conv2d 0: input must be [batch, height, width, channels], got [batch, 28, 28]: reshape() it to have a channel axis of 1",
  ],
  [
    () => sequential({ input: [28, 28, 1] }, conv1d(8, 3) as Layer),
    "conv1d 0: input must be [batch, length, channels], got",
  ],
  [() => conv2d(0, 3), "conv2d: filters must be a whole number of at least 1, got 0"],
  [
    () => conv2d(4, [3, 3, 3] as never),
    "conv2d: window must be a whole number or [vertical, horizontal], got [3, 3, 3]",
  ],
  [() => conv2d(4, 3, { stride: 0 }), "conv2d: stride must be a whole number of at least 1, got 0"],
  [() => conv2d(4, 3, { padding: -1 }), 'conv2d: padding must be "valid", "same", a number'],
  [() => conv2d(4, 3, { padding: "causal" as never }), "conv2d: padding must be"],
  [() => convTranspose1d(4, 3, { padding: "causal" as never }), "convTranspose1d: padding must be"],
  [() => conv2d(4, 3, { strides: 2 } as never), 'conv2d: unknown option "strides"'],
  [() => depthwiseConv2d(3, { groups: 2 } as never), 'depthwiseConv2d: unknown option "groups"'],
  [
    () => sequential({ input: [4, 4, 2] }, convTranspose2d(4, 3, { stride: 2, outputPadding: 2 })),
    "convTranspose2d 0: outputPadding must be less than the stride or the dilation, got 2 with stride 2 and dilation 1",
  ],
  [
    () => sequential({ input: [4, 2] }, convTranspose1d(4, 3, { stride: 2, padding: "same", outputPadding: 1 })),
    'convTranspose1d 0: padding "same" has outputs of input · stride already, got outputPadding 1',
  ],
  [
    () => sequential({ input: [1, 1, 2] }, convTranspose2d(4, 3, { padding: 2 })),
    "convTranspose2d 0: the padding must leave something of the height, got 2 + 2 of 3: pad less",
  ],
  [
    () => sequential({ input: [4, 2] }, convTranspose1d(4, 3, { stride: 2, outputSize: 11 })),
    "convTranspose1d 0: outputSize must be from 9 to 10 here, got 11: change stride or padding for other sizes",
  ],
  [
    () => sequential({ input: [4, 4, 2] }, convTranspose2d(4, 3, { stride: 2, outputSize: [9, 8] })),
    "convTranspose2d 0: outputSize must be from 9 to 10 here, got 8",
  ],
  [
    () => convTranspose2d(4, 3, { outputPadding: 1, outputSize: 9 }),
    "convTranspose2d: outputPadding or outputSize can be given, got both: leave one out",
  ],
  [
    () => sequential({ input: [4, 4, 4, 2] }, convTranspose3d(4, 3, { stride: 2, outputPadding: [0, 2, 0] })),
    "convTranspose3d 0: outputPadding must be less than the stride or the dilation, got 2 with stride 2 and dilation 1",
  ],
  [
    () => sequential({ input: [4, 4, 4, 2] }, convTranspose3d(4, 3, { stride: 2, outputSize: [9, 9, 12] })),
    "convTranspose3d 0: outputSize must be from 9 to 10 here, got 12",
  ],
  [
    () => convTranspose3d(4, [3, 3] as never),
    "convTranspose3d: window must be a whole number or [depth, height, width], got [3, 3]",
  ],
  [
    () => sequential({ input: [4, 4, 2] }, convTranspose3d(4, 3) as Layer),
    "convTranspose3d 0: input must be [batch, depth, height, width, channels], got [batch, 4, 4, 2]",
  ],
  [
    () => ops.conv2d(input([1, 5, 5, 3]), input([3, 3, 4, 8])),
    "conv2d: weight must be [3, 3, 3, 8] (…window, channels / groups, outChannels), got [3, 3, 4, 8]",
  ],
  [() => ops.conv1d(input([1, 5, 3]), input([3, 3, 8]), { bias: input([3]) }), "conv1d: bias must be [8], got [3]"],
  [
    () => ops.convTranspose2d(input([1, 5, 5, 3]), input([3, 3, 8, 4])),
    "convTranspose2d: weight must be [3, 3, outChannels / groups, 3]",
  ],
])("refuses %#: %s", (build, message) => {
  expect(build).toThrow(ModelError);
  expect(build).toThrow(message);
});

test("an activation is part of the pass that convolves, in one dimension too", () => {
  for (const [layer, shape] of [
    [conv2d(4, 3), [6, 6, 2]],
    [conv1d(4, 3), [6, 2]],
    [separableConv2d(4, 3), [6, 6, 2]],
    [convTranspose2d(4, 3, { stride: 2 }), [6, 6, 2]],
  ] as const) {
    const model = sequential({ input: shape }, layer as Layer, relu());
    const x = input([2, ...shape]);
    const y = checkModel("test", model).trace([x], context())[0];
    const plan = planMemory([y], new Map([x, ...model.parameters.values()].map((tensor) => [tensor, 0])), {
      convolution: "auto",
    });
    expect(plan.steps.map(({ node }) => node.operation.name)).not.toContain("relu");
  }
});

test("the gradient for the images themselves is not computed", () => {
  const model = sequential({ input: [6, 6, 1] }, conv2d(4, 3), flatten());
  const y = checkModel("test", model).trace([input([2, 6, 6, 1])], context())[0];
  const slopes = ops.gradient(ops.sum(ops.square(y)), [...model.parameters.values()]);
  const plan = planMemory(slopes, new Map(), { convolution: "auto" });
  const names = plan.steps.map(({ node }) => node.operation.name);
  expect(names).toContain("convolutionWeightGradient");
  expect(names).not.toContain("convolutionInputGradient");
});

describe.each(["strict", "fast"] as const)("%s", (build) => {
  test("tells bars that lie from bars that stand, wherever they are", () => {
    let state = 1;
    const random = () => {
      state = (state * 48271) % 2147483647;
      return state / 2147483647;
    };
    const [count, size] = [128, 8];
    const x = new Float32Array(count * size * size);
    const y = new Uint32Array(count);
    for (let n = 0; n < count; n++) {
      y[n] = n % 2;
      const [row, column] = [Math.floor(random() * 6), Math.floor(random() * 6)];
      for (let i = 0; i < 3; i++) {
        const [r, c] = y[n] === 0 ? [row, column + i] : [row + i, column];
        x[(n * size + Math.min(r, 7)) * size + Math.min(c, 7)] = 1;
      }
    }
    const model = sequential(
      { input: [size, size, 1] },
      conv2d(4, 3, { padding: "same" }),
      relu(),
      separableConv2d(8, 3, { stride: 2 }),
      relu(),
      flatten(),
      dense(2),
    );
    const trainer = compileSync(model, {
      loss: crossEntropy(),
      optimizer: adam({ learningRate: 0.02 }),
      engine: createEngineSync({ build }),
      seed: 3,
    });
    const losses = trainer.trainStepsSync({ x, y }, { steps: 80, batchSize: 32 });
    trainer.dispose();
    expect(losses[0]).toBeGreaterThan(0.5);
    expect(losses[79]).toBeLessThan(0.1);
  });
});
