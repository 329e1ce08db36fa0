// Losses of pairs, batches and regions: PyTorch's values and gradients, and what is refused. The battery has them in ops.test.ts.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { input } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import golden from "../golden/pairLosses.json" with { type: "json" };
import { describeGolden } from "./golden.js";

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
  ])("%s", (_, build, text) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  });

  test("but the sum of nothing is 0", () => {
    expect(ops.marginRanking(none, none, none, { reduction: "sum" }).shape).toEqual([]);
    expect(ops.diceLoss(input([0, 2]), input([0, 2]), { reduction: "none" }).shape).toEqual([0, 2]);
  });
});
