import { customGradient } from "../../../src/ops/custom.js";
import { mul, scale, square } from "../../../src/ops/elementwise.js";
import { stopGradient } from "../../../src/ops/view.js";
import { laneSizes, type Sample } from "../cases.js";

export const customSamples = {
  stopGradient: {
    cases: laneSizes.map((n) => ({
      inputs: [{ shape: [2, n] }],
      apply: (x) => stopGradient(x),
      reference: (x) => x,
      differentiable: [false],
    })),
  },
  customGradient: {
    cases: laneSizes.flatMap((n) => [
      {
        name: `square of [${n}]`,
        inputs: [{ shape: [n] }],
        apply: (x) => customGradient([x], square, (gradient, { inputs }) => mul(gradient, scale(inputs[0], 2))),
        reference: (x) => x.map((value) => value * value),
      },
      {
        name: `product of [3, ${n}] and [3, ${n}]`,
        inputs: [{ shape: [3, n] }, { shape: [3, n] }],
        apply: (a, b) =>
          customGradient([a, b], mul, (gradient, { inputs }) => [mul(gradient, inputs[1]), mul(gradient, inputs[0])]),
        reference: (a, b) => a.map((value, i) => value * b[i]),
      },
    ]),
  },
} satisfies Record<string, Sample>;
