import type { Shape } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/embedding.js";
import type { Case, Sample } from "../cases.js";

const show = JSON.stringify;

function embeddingCase(size: number, features: number, indices: Shape, paddingIndex?: number): Case {
  return {
    name: `${show(indices)} of ${size} × ${features}${paddingIndex === undefined ? "" : `, padding ${paddingIndex}`}`,
    inputs: [{ shape: [size, features] }, { shape: indices, domain: { classes: size } }],
    apply: (weight, chosen) => ops.embedding(weight, chosen, paddingIndex === undefined ? {} : { paddingIndex }),
    reference: (weight, chosen) =>
      Array.from(chosen).flatMap((row) => [...weight.subarray(row * features, (row + 1) * features)]),
    // The padding row has none, which finite differences know nothing of: test/nn/embedding.test.ts.
    ...(paddingIndex === undefined ? {} : { differentiable: [false, false] }),
  };
}

export const embeddingSamples = {
  embedding: {
    cases: [
      embeddingCase(3, 2, [4]),
      embeddingCase(5, 7, [2, 3]),
      embeddingCase(1, 1, []),
      embeddingCase(65, 16, [4, 9]),
      embeddingCase(300, 9, [40, 3, 2]),
      embeddingCase(6, 5, [3, 4], 0),
      embeddingCase(6, 5, [3, 4], 5),
    ],
  },
} satisfies Record<string, Sample>;
