// Softmax and its logarithm along one axis.
import { type Pointer, rows, type Workload } from "../engine/instructions.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { gradientByDecomposition, type WithGradient } from "./decomposition.js";
import { mul, neg, sub } from "./elementwise.js";
import { exp } from "./exponential.js";
import { sum } from "./reduce.js";
import { lineOf, reshape, transpose } from "./shape.js";

const COST = 10;

interface RowActivation {
  readonly name: string;
  readonly forward: (record: Recorder, to: [Workload, y: Pointer, x: Pointer, columns: number]) => void;
  readonly backward: (record: Recorder, to: [Workload, dx: Pointer, dy: Pointer, y: Pointer, columns: number]) => void;
  /** What `backward` computes, out of operations: for gradients of gradients. */
  readonly gradient: (dy: Tensor, y: Tensor) => Tensor;
}

/* @__NO_SIDE_EFFECTS__ */
function rowWise({ name, forward, backward, gradient: decomposition }: RowActivation): WithGradient {
  const work = ({ shape }: Tensor): [Workload, columns: number] => {
    const columns = shape[shape.length - 1];
    return [rows(sizeOf(shape) / columns, sizeOf(shape) * COST), columns];
  };
  const gradientOp: Operation = {
    name: `${name}Gradient`,
    infer: ([dy]) => [{ shape: dy.shape }],
    forward(record, { outputs, to, from }) {
      const [units, columns] = work(outputs[0]);
      backward(record, [units, to[0], from[0], from[1], columns]);
    },
    backward: gradientByDecomposition(([dy, y]) => decomposition(dy, y)),
    inPlace: [0, 1],
  };
  return {
    name,
    infer([x]) {
      checkFloat(name, x);
      return [{ shape: x.shape }];
    },
    forward(record, { outputs, to, from }) {
      const [units, columns] = work(outputs[0]);
      forward(record, [units, to[0], from[0], columns]);
    },
    backward: ({ outputs, gradient }) => [apply(gradientOp, [gradient, outputs[0]], undefined)],
    inPlace: [0],
    gradient: gradientOp,
  };
}

/** y·(dy - Σ dy·y), row by row: the gradient behind y = softmax(x). */
export function softmaxGradient(dy: Tensor, y: Tensor): Tensor {
  return mul(y, sub(dy, sum(mul(dy, y), -1, { keepDims: true })));
}

export const softmaxOp = rowWise({
  name: "softmax",
  forward: (record, to) => record.softmax(...to),
  backward: (record, to) => record.softmaxGradient(...to),
  gradient: softmaxGradient,
});

export interface SoftmaxOptions {
  /** Along which axis; negative ones count from the back. Default -1, the last: others are transposed to it and back. */
  axis?: number;
}

/** The axis is checked against the tensor. */
export const SOFTMAX = { axis: unchecked(-1) } satisfies OptionsOf<SoftmaxOptions>;

function alongAxis(operation: Operation, x: Tensor, options: SoftmaxOptions, where = operation.name): Tensor {
  const { axis } = readOptions(where, options, SOFTMAX);
  const { line, along } = lineOf(where, x, axis);
  const last = line.shape.length - 1;
  // Transposing by this is a view where the axis is the last already.
  const swapped = line.shape.map((_, at) => (at === along ? last : at === last ? along : at));
  return reshape(transpose(apply(operation, [transpose(line, swapped)], undefined), swapped), x.shape);
}

/**
 * eˣ / Σ eˣ along an axis, so that each row `[..., columns]` sums to 1; the row's maximum is taken off first,
 * so nothing overflows. Entries of -Infinity get probability 0. A scalar is taken as [1]. Throws ModelError for a uint32
 * input or an axis that does not exist.
 */
export function softmax(x: Tensor, options: SoftmaxOptions = {}): Tensor {
  return alongAxis(softmaxOp, x, options);
}

/** softmax(-x): the smallest element has the largest share. Options and errors as `softmax`. */
export function softmin(x: Tensor, options: SoftmaxOptions = {}): Tensor {
  checkFloat("softmin", x);
  return alongAxis(softmaxOp, neg(x), options, "softmin");
}

export const logSoftmaxOp = rowWise({
  name: "logSoftmax",
  forward: (record, to) => record.logSoftmax(...to),
  backward: (record, to) => record.logSoftmaxGradient(...to),
  gradient: (dy, y) => sub(dy, mul(exp(y), sum(dy, -1, { keepDims: true }))),
});

/** log softmax(x) along an axis, computed without ever taking the logarithm of 0. Options and errors as `softmax`. */
export function logSoftmax(x: Tensor, options: SoftmaxOptions = {}): Tensor {
  return alongAxis(logSoftmaxOp, x, options);
}
