// A row has the bits that it has among others: what runs on `gemmSmall`, alone or in tiny products, against `gemm`.
import { afterAll, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { hasRelaxedSimd } from "../../src/engine/features.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input, type Tensor } from "../../src/graph/tensor.js";
import { relu } from "../../src/ops/index.js";
import { linear, matmul } from "../../src/ops/matmul.js";
import "../../src/platform/nodeKernels.js";
import { createRandom } from "./cases.js";

const builds = hasRelaxedSimd() ? (["strict", "fast"] as const) : (["strict"] as const);
const engines = new Map(builds.map((build) => [build, createEngineSync({ build })]));
afterAll(() => {
  for (const engine of engines.values()) engine.dispose();
});

const numbers = (seed: number, length: number): Float32Array =>
  Float32Array.from({ length }, createRandom(seed).normal);

type Product = (x: Tensor, weight: Tensor, bias: Tensor) => Tensor;

const products: Record<string, { apply: Product; shapeOf(k: number, n: number): number[] }> = {
  "with bias and ReLU": { apply: (x, weight, bias) => relu(linear(x, weight, bias)), shapeOf: (k, n) => [k, n] },
  "with a transposed weight": {
    apply: (x, weight) => matmul(x, weight, { transposeB: true }),
    shapeOf: (k, n) => [n, k],
  },
};

for (const build of builds) {
  for (const [name, { apply, shapeOf }] of Object.entries(products)) {
    test.each([1, 3, 4, 7, 100, 127, 129, 200, 384, 385, 800, 1153])(`${build}, ${name}, %i deep`, (k) => {
      const rows = 70;
      for (const n of [1, 3, 5, 8, 33, 40]) {
        const [x, weight, bias] = [numbers(k, rows * k), numbers(n, n * k), numbers(3, n)];
        const run = (count: number, first: number): Float32Array => {
          using compiled = compileFunctionSync(
            ({ x, weight, bias }: Record<string, Tensor>) => ({ y: apply(x, weight, bias) }),
            { x: input([count, k]), weight: input(shapeOf(k, n)), bias: input([n]) },
            { engine: engines.get(build) as never },
          );
          return compiled({ x: x.slice(first * k, (first + count) * k), weight, bias }).y as Float32Array;
        };
        const whole = run(rows, 0);
        for (const row of [0, 37, rows - 1]) expect(run(1, row)).toEqual(whole.slice(row * n, (row + 1) * n));
      }
    });
  }
}
