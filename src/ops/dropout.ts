// Dropout: see assembly/kernels/dropout.ts. Linear in x, so its gradient is the same operation on the gradient.
import { checkOptions, ModelError } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { showShape, sizeOf, type Tensor } from "../graph/tensor.js";

export interface DropoutOptions {
  /** Share of the elements that become 0, in [0, 1). */
  rate: number;
  /** uint32 `[16]`, the block that assembly/kernels/step.ts draws: each step has a mask of its own. */
  clock: Tensor;
  /** Key of the random numbers, two uint32. */
  seed: readonly [number, number];
  /** Number of this dropout in the model, a uint32: each has masks of its own. */
  stream: number;
}

type Mask = Omit<DropoutOptions, "clock">;

const CLOCK_WORDS = 16;
const COST_OF_RANDOM = 8;

const dropping: Operation<Mask> = {
  name: "dropout",
  infer: ([x, clock], { rate, seed, stream }) => {
    if (!(typeof rate === "number" && rate >= 0 && Math.fround(rate) < 1)) {
      throw new ModelError(
        `dropout: rate must be a number of at least 0 and less than 1, got ${String(rate)}: it is the share that becomes 0`,
      );
    }
    if (x.dtype !== "float32") throw new ModelError(`dropout: its input must be float32, got ${x.dtype}`);
    if (clock.dtype !== "uint32" || clock.shape.length !== 1 || clock.shape[0] !== CLOCK_WORDS) {
      throw new ModelError(
        `dropout: clock must be uint32 of shape [${CLOCK_WORDS}], got ${clock.dtype} of shape ${showShape(clock.shape)}`,
      );
    }
    if (seed.length !== 2 || ![...seed, stream].every(isWord)) {
      throw new ModelError(
        `dropout: seed must be two and stream one whole number of 0 to 4294967295, got seed [${seed}] and stream ${stream}`,
      );
    }
    return [{ shape: x.shape }];
  },
  forward: (record, { attributes: { rate, seed, stream }, outputs, to, from: [x, clock] }) => {
    const n = sizeOf(outputs[0].shape);
    record.dropout(elements(n, COST_OF_RANDOM), to[0], x, clock, n, rate, ...seed, stream);
  },
  backward: ({ attributes, gradient, inputs: [, clock] }) => [
    apply(dropping, [gradient, clock], attributes),
    undefined,
  ],
  inPlace: [0],
};

function isWord(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

/**
 * Sets a share `rate` of the elements to 0, at random, anew at each step, and scales the others by 1 / (1 - rate), so
 * that nothing is to be done at inference (Srivastava et al. 2014). Forward and backward pass have the same mask.
 *
 * @param x float32 of any shape; the result has the same.
 * @throws ModelError where the rate is not in [0, 1), or the clock or the stream does not fit.
 */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  checkOptions("dropout", options, ["rate", "clock", "seed", "stream"]);
  const { clock, ...mask } = options;
  return apply(dropping, [x, clock], mask);
}
