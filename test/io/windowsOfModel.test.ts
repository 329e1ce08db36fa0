// Convolutions, poolings and statistics that a function has between its layers, as imported models do: saved, loaded, and refused if
// the file says of them what no function of the library makes.
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import type { Scope } from "../../src/nn/scope.js";
import {
  compileSync,
  createEngineSync,
  dense,
  flatten,
  functional,
  meanSquaredError,
  SteepestError,
  sgd,
} from "../../src/platform/node.js";
import * as ops from "../../src/platform/nodeGraph.js";
import { decodeModel, decodeSafetensors, encodeModel, encodeSafetensors } from "../../src/platform/nodeIo.js";
import { fromOnnx } from "../../src/platform/nodeOnnx.js";

type Tensor = ops.Tensor;

const engine = createEngineSync();
afterAll(() => engine.dispose());

const ROWS = 2;
const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(1.3 * i + 0.2));
const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Predictions and parameters, before and after two steps. */
function valuesOf(model: unknown): string {
  const options = { engine, seed: 3, loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.01 }) };
  const trainer = compileSync(model as never, options as never);
  const { inputShape, outputShape } = trainer.model as unknown as { inputShape: number[]; outputShape: number[] };
  const [{ dtype }] = (trainer.model as unknown as { inputs: { dtype: string }[] }).inputs;
  const wanted = ROWS * size(inputShape);
  const x = (dtype === "uint32" ? Uint32Array.from({ length: wanted }, (_, i) => i % 3) : wave(wanted)) as never;
  const all: unknown[] = [trainer.predictSync(x)];
  for (let step = 0; step < 2; step++) trainer.trainBatchSync({ x, y: wave(ROWS * size(outputShape)) as never });
  all.push(
    trainer.predictSync(x),
    [...trainer.parameters()].map(([path, { data }]) => [path, [...data]]),
  );
  trainer.dispose();
  return JSON.stringify(all);
}

function saved(model: unknown): Uint8Array {
  const trainer = compileSync(model as never, { engine, seed: 3 } as never);
  const bytes = encodeModel(trainer);
  trainer.dispose();
  return bytes;
}

type Body = (x: Tensor, scope: Scope) => Tensor;

/** A model of a sequence or an image, and a layer behind what is done to it. */
const over = (input: readonly number[], body: Body) =>
  functional(
    { input } as never,
    ((x: Tensor, scope: Scope) => scope.apply(body(x, scope) as never, flatten() as never, dense(2) as never)) as never,
  );

const image = (body: Body) => over([7, 6, 4], body);
const line = (body: Body) => over([11, 4], body);
const weight = ({ parameter }: Scope, ...shape: number[]): Tensor => parameter("w", shape as never) as never;

const models: Readonly<Record<string, unknown>> = {
  conv2d: image((x, s) => ops.conv2d(x as never, weight(s, 3, 3, 4, 5) as never)),
  "conv2d, strides, dilation, uneven padding, bias": image((x, s) =>
    ops.conv2d(x as never, weight(s, 2, 3, 4, 5) as never, {
      stride: [2, 3],
      dilation: [1, 2],
      padding: [
        [1, 0],
        [2, 1],
      ],
      bias: s.parameter("b", [5]) as never,
    }),
  ),
  "conv2d that leaves the end": image((x, s) => ops.conv2d(x as never, weight(s, 2, 2, 4, 3) as never, { stride: 4 })),
  "conv2d, same and groups": image((x, s) =>
    ops.conv2d(x as never, weight(s, 3, 3, 2, 6) as never, { stride: 2, padding: "same", groups: 2 }),
  ),
  "conv2d, several of each channel": image((x, s) =>
    ops.conv2d(x as never, weight(s, 3, 3, 1, 8) as never, { groups: 4, padding: 1 }),
  ),
  "conv1d, causal": line((x, s) =>
    ops.conv1d(x as never, weight(s, 3, 4, 2) as never, { padding: "causal", dilation: 2 }),
  ),
  "conv1d, stride": line((x, s) => ops.conv1d(x as never, weight(s, 4, 4, 3) as never, { stride: 3, padding: [0, 1] })),
  convTranspose2d: image((x, s) =>
    ops.convTranspose2d(x as never, weight(s, 3, 3, 5, 4) as never, {
      stride: [2, 3],
      padding: [1, 0],
      outputPadding: 1,
      bias: s.parameter("b", [5]) as never,
    }),
  ),
  "convTranspose2d, same, groups": image((x, s) =>
    ops.convTranspose2d(x as never, weight(s, 3, 3, 2, 4) as never, { stride: 2, padding: "same", groups: 2 }),
  ),
  convTranspose1d: line((x, s) =>
    ops.convTranspose1d(x as never, weight(s, 2, 3, 4) as never, { stride: 3, dilation: 2, padding: [1, 2] }),
  ),
  maxPool2d: image((x) => ops.maxPool2d(x as never, 2)),
  "maxPool2d, ceilMode, dilation, padding": image((x) =>
    ops.maxPool2d(x as never, [2, 3], { stride: 2, dilation: [2, 1], padding: 1, ceilMode: true }),
  ),
  "maxPool2d, same": image((x) => ops.maxPool2d(x as never, 3, { stride: 2, padding: "same" })),
  maxPool1d: line((x) => ops.maxPool1d(x as never, 3, { stride: 2 })),
  averagePool2d: image((x) => ops.averagePool2d(x as never, 3, { stride: 2, padding: 1 })),
  "averagePool2d, without padding": image((x) =>
    ops.averagePool2d(x as never, 3, { stride: 2, padding: 1, countIncludePad: false, ceilMode: true }),
  ),
  "averagePool2d, same, divisor": image((x) => ops.averagePool2d(x as never, 2, { padding: "same", divisor: 3 })),
  averagePool1d: line((x) => ops.averagePool1d(x as never, 4, { padding: [1, 2] })),
  "adaptive pools": image((x) => ops.adaptiveMaxPool2d(ops.adaptiveAveragePool2d(x as never, [4, 5]) as never, 3)),
  "adaptive pool of a sequence": line((x) => ops.adaptiveMaxPool1d(x as never, 4)),
  "batchNorm by given statistics": image((x, { buffer, parameter }) => {
    const [mean, variance] = [buffer("mean", [4]), ops.add(buffer("variance", [4]), 1)] as never[];
    const all = { mean, variance, weight: parameter("scale", [4]), bias: parameter("shift", [4]), epsilon: 1e-3 };
    const some = { mean, variance, bias: all.bias };
    return ops.batchNorm(ops.batchNorm(ops.batchNorm(x as never, all as never), some as never), { mean, variance });
  }),
  "batchNorm by the batch": image((x, s) => {
    const [scale, bias] = [s.parameter("scale", [4]), s.parameter("shift", [4])] as never[];
    const once = ops.batchNorm(x as never, { weight: scale, bias, epsilon: 1e-3 } as never);
    return ops.batchNorm(once, { bias: s.parameter("more", [4]) as never });
  }),
  "groupNorm and instanceNorm": image((x, s) => {
    const weight = s.parameter("scale", [4]) as never;
    return ops.groupNorm(ops.instanceNorm(ops.groupNorm(x as never, 2, { weight })), 1, { epsilon: 0.01 });
  }),
  "layerNorm and rmsNorm": image((x, s) => {
    const [weight, bias] = [s.parameter("scale", [4]), s.parameter("shift", [4])] as never[];
    const once = ops.rmsNorm(ops.layerNorm(x as never, { weight, bias, epsilon: 1e-3 }), { weight });
    const all = { weight: s.parameter("scales", [6, 4]), bias: s.parameter("shifts", [6, 4]), axes: 2 };
    return ops.rmsNorm(ops.layerNorm(ops.layerNorm(once, all as never), { bias, axes: 1 }), { axes: 3 });
  }),
  "norms of rows": over([6], (x) => ops.groupNorm(ops.batchNorm(x as never), 3)),
  "variance and deviation": image((x) =>
    ops.concatenate(
      [ops.variance(x as never, [1, 2]), ops.standardDeviation(x as never, [1, 2], { correction: 0 })] as never,
      1,
    ),
  ),
};

describe("is loaded as it was saved:", () => {
  for (const [name, model] of Object.entries(models)) {
    test(name, () => {
      const { model: loaded } = decodeModel(saved(model));
      expect(valuesOf(loaded)).toBe(valuesOf(model));
    });
  }

  test.each(["../onnx/files/torchCnn.onnx", "../onnx/files/torchMixer.onnx", "../../examples/data/digitsTo4.onnx"])(
    "%s, imported",
    async (path) => {
      const { model } = await fromOnnx(new Uint8Array(readFileSync(new URL(path, import.meta.url))));
      expect(valuesOf(decodeModel(saved(model)).model)).toBe(valuesOf(model));
    },
  );
});

interface Step {
  operation?: string;
  to: number[];
  with: Record<string, never>;
}

/** A saved model whose operation says something else of itself. */
function changed(
  name: string,
  operation: string,
  change: (attributes: Step["with"], step: Step) => unknown,
): Uint8Array {
  const { tensors, metadata } = decodeSafetensors(saved(models[name]));
  const { checksum: _, architecture, ...notes } = metadata;
  const read = JSON.parse(architecture);
  const found: Step[] = [];
  JSON.stringify(read, (_key, value) => {
    if (value?.operation === operation) found.push(value);
    return value;
  });
  expect(found.length).toBeGreaterThan(0);
  for (const step of found) change(step.with, step);
  return encodeSafetensors(Object.fromEntries(tensors), { ...notes, architecture: JSON.stringify(read) });
}

const BAD = [-1, 0.5, 1e9, 2 ** 31, "a", null, {}];

test.each([
  ["conv2d, strides, dilation, uneven padding, bias", "convolution", []],
  ["conv1d, causal", "convolution", []],
  ["convTranspose2d", "convolutionInputGradient", []],
  ["maxPool2d, ceilMode, dilation, padding", "maxPool", ["height", "width"]],
  ["averagePool2d", "averagePool", ["height", "width"]],
  ["adaptive pools", "averagePool", ["height", "width"]],
  ["batchNorm by given statistics", "normalize", []],
  ["batchNorm by the batch", "normalize", []],
  ["batchNorm by the batch", "statistics", []],
  ["groupNorm and instanceNorm", "normalize", []],
  ["groupNorm and instanceNorm", "statistics", []],
  ["layerNorm and rmsNorm", "normalizeRows", []],
  ["variance and deviation", "deviation", []],
] as const)("%s: what no function makes is refused", (name, operation, inner) => {
  const keys: string[][] = [];
  changed(name, operation, (attributes) => {
    keys.length = 0;
    for (const key of Object.keys(attributes)) {
      if ((inner as readonly string[]).includes(key)) keys.push(...Object.keys(attributes[key]).map((k) => [key, k]));
      keys.push([key]);
    }
  });
  let refused = 0;
  for (const [key, part] of keys) {
    for (const bad of BAD) {
      const bytes = changed(name, operation, (attributes) => {
        const at: Record<string, unknown> = part === undefined ? attributes : attributes[key];
        at[part ?? key] = bad;
      });
      try {
        compileSync(decodeModel(bytes).model as never, { engine } as never).dispose();
      } catch (error) {
        if (!(error instanceof SteepestError)) throw error;
        refused++;
      }
    }
  }
  // Some numbers are others that fit: an epsilon, a divisor.
  expect(refused).toBeGreaterThan(0.8 * keys.length * BAD.length);
});

test.each([
  ["height", { out: 5 }, /each window must begin in the input, got .* over 7: the file is damaged/],
  ["width", { pad: 2 }, /pad must be a whole number from 0 to 1, got 2/],
  ["name", "max pool", /name must be that of a function, got "max pool": the file is damaged/],
] as const)("a pooling whose %s is %j", (key, value, message) => {
  const bytes = changed("maxPool2d", "maxPool", (attributes) => {
    const at = attributes as Record<string, unknown>;
    at[key] = typeof value === "string" ? value : { ...(at[key] as object), ...value };
  });
  expect(() => decodeModel(bytes)).toThrow(message);
});

test("a normalization by statistics of something else is refused", () => {
  const swapped = changed("batchNorm by the batch", "normalize", (_, { to }) => to.splice(1, 2, to[2], to[1]));
  expect(() => decodeModel(swapped)).toThrow(
    /statistics must be those of what is normalized, got others: the file is damaged/,
  );
  const ofInput = changed("batchNorm by the batch", "normalize", (_, { to }) => to.splice(0, 1, 0));
  expect(() => decodeModel(ofInput)).toThrow(/statistics must be those of what is normalized/);
});

test("a norm of rows has weights of the size of a row, as many as it says", () => {
  const refused = (change: Parameters<typeof changed>[2]) =>
    expect(() => decodeModel(changed("layerNorm and rmsNorm", "normalizeRows", change))).toThrow(
      /its rows and weights must have the size of the last axes of .*: the file is damaged/,
    );
  refused((_, { to }) => to.length > 1 && to.splice(1, 1, to[0]));
  refused((_, { to }) => to.push(to[0]));
  refused((attributes) => Object.assign(attributes, { columns: 5 }));
});
