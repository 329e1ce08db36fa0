// Softmax and its logarithm along the last axis.
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows, type Work } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";

const COST = 10;

interface RowActivation {
  readonly name: string;
  readonly forward: (record: Recorder, to: [Work, y: Pointer, x: Pointer, columns: number]) => void;
  readonly backward: (record: Recorder, to: [Work, dx: Pointer, dy: Pointer, y: Pointer, columns: number]) => void;
}

function rowWise({ name, forward, backward }: RowActivation): Operation {
  const work = ({ shape }: Tensor): [Work, columns: number] => {
    const columns = shape[shape.length - 1];
    return [rows(sizeOf(shape) / columns, sizeOf(shape) * COST), columns];
  };
  const slope: Operation = {
    name: `${name} gradient`,
    infer: ([dy]) => [{ shape: dy.shape }],
    forward(record, { outputs, to, from }) {
      const [units, columns] = work(outputs[0]);
      backward(record, [units, to[0], from[0], from[1], columns]);
    },
    inPlace: [0, 1],
  };
  return {
    name,
    infer([x]) {
      checkFloat(name, x);
      if (x.shape.length === 0) {
        throw new ModelError(
          `${name}: input must have at least one axis, got the scalar "${x.name}": reshape() it to [1] first`,
        );
      }
      return [{ shape: x.shape }];
    },
    forward(record, { outputs, to, from }) {
      const [units, columns] = work(outputs[0]);
      forward(record, [units, to[0], from[0], columns]);
    },
    backward: ({ outputs, gradient }) => [apply(slope, [gradient, outputs[0]], undefined)],
    inPlace: [0],
  };
}

const normalized = rowWise({
  name: "softmax",
  forward: (record, to) => record.softmax(...to),
  backward: (record, to) => record.softmaxBackward(...to),
});

/**
 * eˣ / Σ eˣ along the last axis, so that each row `[..., columns]` sums to 1; the row's maximum is taken off first,
 * so nothing overflows. Entries of -Infinity get probability 0. Throws ModelError for a scalar or a uint32 input.
 */
export function softmax(x: Tensor): Tensor {
  return apply(normalized, [x], undefined);
}

const logNormalized = rowWise({
  name: "logSoftmax",
  forward: (record, to) => record.logSoftmax(...to),
  backward: (record, to) => record.logSoftmaxBackward(...to),
});

/** log softmax(x) along the last axis, computed without ever taking the logarithm of 0. Throws as `softmax`. */
export function logSoftmax(x: Tensor): Tensor {
  return apply(logNormalized, [x], undefined);
}
