// Gated linear units: the last axis of x is [a, b], half each, and the result a · f(b). Dauphin et al. 2017, Shazeer 2020.
import { ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { readOptions } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { constant, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { gradientByDecomposition, type WithGradient } from "./decomposition.js";
import { mul } from "./elementwise.js";
import { GELU, type GeluOptions, gelu, silu } from "./gated.js";
import { gradient } from "./gradient.js";
import { relu } from "./piecewise.js";
import { sum } from "./reduce.js";
import { reshape } from "./shape.js";
import { sigmoid } from "./smooth.js";

interface Gate {
  readonly name: string;
  /** The public function, which errors name. */
  readonly where?: string;
  /** Number of the gate in assembly/kernels/glu.ts. */
  readonly code: number;
  /** Operations on one element. */
  readonly cost: number;
  readonly f: (b: Tensor) => Tensor;
}

function halved(shape: Shape): Shape {
  return [...shape.slice(0, -1), shape[shape.length - 1] / 2];
}

/* @__NO_SIDE_EFFECTS__ */
function gatedUnit({ name, where = name, code, cost, f }: Gate): WithGradient {
  const gradientOp: Operation = {
    name: `${name}Gradient`,
    infer: ([, x]) => [{ shape: x.shape }],
    forward(record, { inputs: [, { shape }], to, from }) {
      const columns = shape[shape.length - 1] / 2;
      const work = rows(sizeOf(shape) / columns / 2, sizeOf(shape) * cost);
      record.gatedLinearGradient(work, to[0], from[0], from[1], columns, code);
    },
    backward: gradientByDecomposition(([dy, x]) => gradient(sum(mul(decomposition(x, f), dy)), x)),
    inPlace: [1],
  };
  return {
    name,
    infer([x]) {
      checkFloat(where, x);
      const size = x.shape[x.shape.length - 1] ?? 1;
      if (size % 2 === 0) return [{ shape: halved(x.shape) }];
      throw new ModelError(
        `${where}: the last axis must have an even size, to be halved, got ${showShape(x.shape)}: make it twice what is to come out`,
      );
    },
    forward(record, { outputs: [{ shape }], to, from }) {
      const columns = shape[shape.length - 1];
      record.gatedLinear(rows(sizeOf(shape) / columns, sizeOf(shape) * cost), to[0], from[0], columns, code);
    },
    backward: ({ inputs: [x], gradient: dy }) => [apply(gradientOp, [dy, x], undefined)],
    gradient: gradientOp,
  };
}

/** a · f(b) out of operations, for gradients of gradients. */
function decomposition(x: Tensor, f: (b: Tensor) => Tensor): Tensor {
  const shape = halved(x.shape);
  const pairs = reshape(x, [sizeOf(shape.slice(0, -1)), 2, shape[shape.length - 1]]);
  const half = (mask: readonly number[]) => reshape(sum(mul(pairs, constant(mask, [2, 1])), 1), shape);
  return mul(half([1, 0]), f(half([0, 1])));
}

export const gluOp = gatedUnit({ name: "glu", code: 0, cost: 8, f: sigmoid });
export const swigluOp = gatedUnit({ name: "swiglu", code: 1, cost: 8, f: silu });
export const gegluOp = gatedUnit({ name: "geglu", code: 2, cost: 12, f: gelu });
export const gegluTanhOp = gatedUnit({
  name: "gegluTanh",
  where: "geglu",
  code: 3,
  cost: 10,
  f: (b) => gelu(b, { approximate: "tanh" }),
});
export const regluOp = gatedUnit({ name: "reglu", code: 4, cost: 2, f: relu });

/**
 * a · sigmoid(b), where a is the first half of x's last axis and b the second: [..., 2n] → [..., n], as PyTorch's.
 * Throws ModelError if the last axis has an odd size, or for a uint32 input; so do the others.
 */
export function glu(x: Tensor): Tensor {
  return apply(gluOp, [x], undefined);
}

/** a · silu(b), halves as `glu`: the second one is the gate. */
export function swiglu(x: Tensor): Tensor {
  return apply(swigluOp, [x], undefined);
}

/** a · gelu(b), halves as `glu`: the second one is the gate. */
export function geglu(x: Tensor, options: GeluOptions = {}): Tensor {
  const { approximate } = readOptions("geglu", options, GELU);
  return apply(approximate === "none" ? gegluOp : gegluTanhOp, [x], undefined);
}

/** a · relu(b), halves as `glu`: the second one is the gate. */
export function reglu(x: Tensor): Tensor {
  return apply(regluOp, [x], undefined);
}
