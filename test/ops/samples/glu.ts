import { showShape, type Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/glu.js";
import { type Case, laneSizes, type Sample } from "../cases.js";
import { references } from "./activation.js";

const shapes = [...laneSizes.map((n) => [2 * n]), ...laneSizes.map((n) => [3, 2 * n]), [2, 3, 10], [1, 70], [33, 2]];

function cases(apply: (x: Tensor) => Tensor, f: (b: number) => number, name = ""): Case[] {
  return shapes.map((shape) => ({
    name: `${name} ${showShape(shape)}`,
    inputs: [{ shape, domain: "awayFromZero" }],
    apply,
    reference(x) {
      const columns = shape[shape.length - 1] / 2;
      return Float64Array.from({ length: x.length / 2 }, (_, i) => {
        const a = Math.floor(i / columns) * 2 * columns + (i % columns);
        return x[a] * f(x[a + columns]);
      });
    },
  }));
}

export const gluSamples = {
  glu: { cases: cases(ops.glu, references.sigmoid) },
  swiglu: { cases: cases(ops.swiglu, references.silu) },
  geglu: {
    cases: [
      ...cases(ops.geglu, references.gelu),
      ...cases((x) => ops.geglu(x, { approximate: "tanh" }), references.geluTanh, "tanh"),
    ],
  },
  reglu: { cases: cases(ops.reglu, references.relu) },
} satisfies Record<string, Sample>;
