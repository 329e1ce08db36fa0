// Activation layers against PyTorch, what they refuse when they are built, and that they train.
import * as steepest from "steepest";
import { compileSync, dense, type Layer, ModelError, meanSquaredError, sequential, sgd } from "steepest";
import { describe, expect, test } from "vitest";
import { nodesBehind } from "../../src/graph/backward.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import type { Shape, Tensor } from "../../src/graph/tensor.js";
import { layerContext } from "../../src/nn/layer.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";
import golden from "../golden/activations2.json" with { type: "json" };
import { engineOf } from "../ops/battery.js";

interface Line {
  readonly values: readonly number[];
  readonly error: number;
}

const layers = steepest as unknown as Record<string, (options: object) => Layer>;

/** Largest error of a line relative to its scale, and what is allowed: 1e-6, or four times PyTorch's own in float32. */
function checkLine(name: string, actual: Float32Array, { values, error }: Line): void {
  expect(actual.length, name).toBe(values.length);
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(actual[i] - value)), 0);
  expect(worst / scale, name).toBeLessThanOrEqual(Math.max(1e-6, 4 * error));
}

describe("golden values of PyTorch: outputs, gradients, second derivatives", () => {
  golden.cases.forEach(({ layer, options, shape, input, upstream, secondUpstream, lines }, index) => {
    test.each(["strict", "fast"] as const)(`%s: ${index} ${layer} ${JSON.stringify(options)} [${shape}]`, (build) => {
      const outputShape = layers[layer](options).build({ where: layer, path: "0" }, shape.slice(1)).outputShape;
      using run = compileFunctionSync(
        ({ x, dy, ddx }): Record<string, Tensor> => {
          const built = layers[layer](options).build({ where: layer, path: "0" }, shape.slice(1));
          const output = built.apply(x, layerContext({ training: true, clock: x, seed: [0, 0] }));
          const loss = sum(mul(output, dy));
          const first = gradient(loss, [x, ...built.parameters.map(({ tensor }) => tensor)]);
          const second = gradient(sum(mul(first[0], ddx)), x);
          return { output, gradient: first[0], second, ...(first[1] ? { weightGradient: first[1] } : {}) };
        },
        { x: shape, dy: [shape[0], ...outputShape], ddx: shape },
        { engine: engineOf(build) },
      );
      const results = run({ x: input, dy: upstream, ddx: secondUpstream });
      expect(Object.keys(lines).length).toBeGreaterThanOrEqual(2);
      for (const [name, line] of Object.entries(lines)) checkLine(name, results[name], line as Line);
    });
  });

  test("are of every activation layer with a curve or an option", () => {
    const recorded = new Set(golden.cases.map(({ layer }) => layer));
    expect(recorded.size).toBe(28);
  });
});

describe("prelu", () => {
  test("is trained: it finds the slope that made the data", () => {
    const model = sequential({ input: [2] }, steepest.prelu({ perChannel: true, name: "bend" }));
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.2 }) });
    expect(trainer.parameters().get("bend.weight")?.data).toEqual(Float32Array.of(0.25, 0.25));
    const x = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 1.3) * 2);
    const slopes = [-0.5, 0.75];
    const y = x.map((value, i) => (value > 0 ? value : slopes[i % 2] * value));
    trainer.trainStepsSync({ x, y }, { steps: 200 });
    const learnt = Array.from(trainer.parameters().get("bend.weight")?.data ?? []);
    learnt.forEach((slope, i) => {
      expect(Math.abs(slope - slopes[i])).toBeLessThan(1e-3);
    });
  });
});

describe("refused when the model is built", () => {
  const build = (shape: Shape, ...of: Layer[]) => sequential({ input: shape }, ...of);
  test.each([
    [
      () => build([4, 5], steepest.softmax({ axis: 3 })),
      "softmax 0: axis must be a whole number from 1 to 2 (0 is the",
    ],
    [() => build([4], steepest.logSoftmax({ axis: 0 })), "logSoftmax 0: axis must be a whole number from 1 to 1"],
    [() => build([4], dense(3), steepest.softmax({ axis: -2 })), "softmax 1: axis must be"],
    [
      () => build([7], steepest.glu()),
      "glu 0: the last axis must have an even size, to be halved, got [batch, 7]: make it twice what is to come out",
    ],
    [() => build([4], dense(5), steepest.swiglu()), "swiglu 1: the last axis must have an even size"],
    [() => steepest.geglu({ approximate: "erf" as "none" }), 'geglu: approximate must be "none" or "tanh", got "erf"'],
    [() => steepest.celu({ alpha: -1 }), "celu: alpha must be a number of at least 1e-37, got -1"],
    [() => steepest.hardTanh({ min: 3 }), "hardTanh: min must be less than max, got min 3 and max 1"],
    [() => steepest.threshold({} as { threshold: number }), "threshold: threshold must be a finite number"],
    [() => steepest.hardShrink({ lambda: Number.NaN }), "hardShrink: lambda must be a number of at least 0, got NaN"],
    [() => steepest.prelu({ channels: 3 } as object), 'prelu: unknown option "channels"'],
    [
      () =>
        compileSync(build([4], dense(1), steepest.logSigmoid()), {
          loss: steepest.binaryCrossEntropy(),
          optimizer: sgd(),
        }),
      "binaryCrossEntropy takes logits, but the model ends in logSigmoid()",
    ],
  ])("case %#", (make, message) => {
    expect(make).toThrow(ModelError);
    expect(make).toThrow(message);
  });
});

test("halves of the last axis come out of glu", () => {
  const model = sequential({ input: [3] }, dense(8), steepest.swiglu(), dense(2));
  expect(model.layers.map(({ outputShape }) => outputShape)).toEqual([[8], [4], [2]]);
});

test("softmax along the last axis moves nothing", () => {
  const built = steepest.softmax({ axis: 2 }).build({ where: "softmax", path: "0" }, [3, 4]);
  using _ = compileFunctionSync(
    ({ x }) => {
      const y = built.apply(x, layerContext({ training: false, clock: x, seed: [0, 0] }));
      expect(nodesBehind([y]).map((node) => node.operation.name)).toEqual(["softmax"]);
      return { y };
    },
    { x: [2, 3, 4] },
    { engine: engineOf("strict") },
  );
});
