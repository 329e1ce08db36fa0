// Losses of pairs, batches and regions: PyTorch's values and gradients, and what is refused. The battery has them in ops.test.ts.
import { afterAll, describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { ModelError } from "../../src/engine/errors.js";

import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import { gradient } from "../../src/ops/gradient.js";
import * as ops from "../../src/ops/index.js";
import golden from "../golden/pairLosses.json" with { type: "json" };
import { describeGolden } from "./golden.js";
import "../../src/platform/nodeKernels.js";

describeGolden(golden);

describe("refused", () => {
  const [x, wide, none] = [input([4, 3]), input([4, 5]), input([0, 3])];
  const labels = input([4], { dtype: "uint32" });
  test.each<[string, () => unknown, string]>([
    [
      "vectors of two sizes",
      () => ops.cosineEmbedding(x, wide, input([4])),
      "a, b must have one shape, got [4, 3], [4, 5]",
    ],
    [
      "a target for each feature",
      () => ops.cosineEmbedding(x, x, x),
      "cosineEmbedding: target must have shape [4], one for each pair, got [4, 3]",
    ],
    ["labels as signs", () => ops.contrastive(x, x, labels), "contrastive: operands must be float32"],
    ["scalars", () => ops.tripletMargin(input([]), input([]), input([])), "must be [..., features], got scalars"],
    ["a mean of nothing", () => ops.hingeEmbedding(none, none), "hingeEmbedding: there is no mean of no elements"],
    ["a margin below 0", () => ops.tripletMargin(x, x, x, { margin: -1 }), "tripletMargin: margin must be"],
    ["a margin that is no cosine", () => ops.cosineEmbedding(x, x, input([4]), { margin: 2 }), "margin must be"],
    ["a temperature of 0", () => ops.infoNce(x, x, { temperature: 0 }), "infoNce: temperature must be"],
    [
      "too few keys",
      () => ops.infoNce(x, input([3, 3])),
      "queries must be [n, features] and keys [n or more, features], got [4, 3] and [3, 3]",
    ],
    ["other keys both ways", () => ops.infoNce(x, input([5, 3]), { symmetric: true }), "and keys the same, got"],
    [
      "a region without classes",
      () => ops.diceLoss(input([4]), input([4])),
      "prediction must be [batch, ..., classes]",
    ],
    [
      "a target of another shape",
      () => ops.jaccardLoss(x, wide),
      "class indices, uint32 [4], got float32 of shape [4, 5]",
    ],
    [
      "only background",
      () => ops.tverskyLoss(input([4, 1]), input([4, 1]), { background: false }),
      "tverskyLoss: without background there must be at least two classes, got 1",
    ],
    ["a weight below 0", () => ops.tverskyLoss(x, x, { alpha: -1 }), "tverskyLoss: alpha must be"],
    [
      "weights of other pairs",
      () => ops.contrastive(x, x, input([4]), { weights: input([3]) }),
      "contrastive: must give a value for each weight, [3] or with more axes, got [4]",
    ],
    [
      "weights of samples, over the batch",
      () => ops.diceLoss(x, x, { over: "batch", weights: input([4]) }),
      "diceLoss: must give a value for each weight, [4] or with more axes, got [3]",
    ],
    ["an ignored NaN", () => ops.marginRanking(x, x, x, { ignoreValue: Number.NaN }), "ignoreValue must be a finite"],
  ])("%s", (_, build, text) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  });

  test("but the sum of nothing is 0", () => {
    expect(ops.marginRanking(none, none, none, { reduction: "sum" }).shape).toEqual([]);
    expect(ops.diceLoss(input([0, 2]), input([0, 2]), { reduction: "none" }).shape).toEqual([0, 2]);
  });
});

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** Values, loss and gradient of a loss of x, [4, 6], as two vectors or numbers, under weights and targets. */
type Of = (x: Tensor, t: Tensor, options: object) => Tensor;
const half = (x: Tensor, index: number) => ops.split(x, 2, 1)[index];
const weighable: Record<string, Of> = {
  cosineEmbedding: (x, t, options) => ops.cosineEmbedding(half(x, 0), half(x, 1), t, { margin: 0.1, ...options }),
  contrastive: (x, t, options) => ops.contrastive(half(x, 0), half(x, 1), t, { margin: 3, ...options }),
  marginRanking: (x, t, options) => ops.marginRanking(ops.sum(half(x, 0), 1), ops.sum(half(x, 1), 1), t, options),
  hingeEmbedding: (x, t, options) => ops.hingeEmbedding(ops.sum(x, 1), t, options),
  cosineSimilarityLoss: (x, _, options) => ops.cosineSimilarityLoss(half(x, 0), half(x, 1), options),
  tripletMargin: (x, _, options) => ops.tripletMargin(half(x, 0), half(x, 1), ops.tanh(half(x, 1)), options),
  infoNce: (x, _, options) => ops.infoNce(half(x, 0), half(x, 1), { temperature: 0.5, ...options }),
  diceLoss: (x, _, options) =>
    ops.diceLoss(
      x,
      constant(
        Float32Array.from({ length: 24 }, (_, i) => i % 2),
        [4, 6],
      ),
      options,
    ),
  jaccardLoss: (x, _, options) =>
    ops.jaccardLoss(x, constant(Uint32Array.of(0, 5, 2, 1)), { background: false, ...options }),
};
const signed = ["cosineEmbedding", "contrastive", "marginRanking", "hingeEmbedding"];

describe.each(Object.entries(weighable))("%s", (name, of) => {
  const x = Float32Array.from({ length: 24 }, (_, i) => 2 * Math.sin(5 * i));
  const target = [1, -1, 0, -1];
  const run = (options: object, weights?: readonly number[]) => {
    using both = compileFunctionSync(
      ({ x, t, w }: Record<"x" | "t" | "w", Tensor>) => {
        const y = of(x, t, { ...options, ...(weights && { weights: w }) });
        return { y, dx: gradient(ops.sum(y), x) };
      },
      { x: [4, 6], t: [4], w: [4] },
      { engine },
    );
    const { y, dx } = both({ x, t: target, w: weights ?? [1, 1, 1, 1] });
    return { y: typeof y === "number" ? [y] : [...y], dx: [...dx] };
  };
  const each = run({ reduction: "none" });
  const per = each.y.length / 4;
  const near = (found: readonly number[], wanted: readonly number[]) => {
    expect(found).toHaveLength(wanted.length);
    found.forEach((value, i) => expect(Math.abs(value - wanted[i])).toBeLessThan(3e-6));
  };
  /** What the values come to if they weigh this. */
  const total = (w: readonly number[]) => each.y.reduce((sum, value, i) => sum + value * w[Math.floor(i / per)], 0);

  test("weights multiply values and gradients, and a mean is over their sum", () => {
    const weights = [0.5, 2, 1, 0];
    near(
      run({ reduction: "none" }, weights).y,
      each.y.map((value, i) => value * weights[Math.floor(i / per)]),
    );
    near(run({ reduction: "sum" }, weights).y, [total(weights)]);
    const mean = run({}, weights);
    near(mean.y, [total(weights) / (3.5 * per)]);
    near(run({}).y, [total([1, 1, 1, 1]) / each.y.length]);
    // Of infoNce, whose rows see one another, the gradient is no multiple.
    if (name === "infoNce") return;
    near(
      mean.dx,
      each.dx.map((value, i) => (value * weights[Math.floor(i / 6)]) / (3.5 * per)),
    );
  });

  test.runIf(signed.includes(name))("what is ignored is in no mean, with weights and without", () => {
    const counted = [1, 1, 0, 1];
    const plain = run({ ignoreValue: 0 });
    near(plain.y, [total(counted) / 3]);
    near(
      plain.dx,
      each.dx.map((value, i) => (value * counted[Math.floor(i / 6)]) / 3),
    );
    near(
      run({ ignoreValue: 0, reduction: "none" }).y,
      each.y.map((value, i) => value * counted[i]),
    );
    near(run({ ignoreValue: 0 }, [0.5, 2, 5, 0]).y, [total([0.5, 2, 0, 0]) / 2.5]);
  });
});
