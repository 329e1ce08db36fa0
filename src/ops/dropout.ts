// Dropout, by element and by channel: see assembly/kernels/dropout.ts. Linear in x, so its gradient is the same operation on the gradient.
import { CLOCK_BYTES } from "../engine/constants.js";
import { ModelError, showValue } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, constant, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { add, mul, scale, shift } from "./elementwise.js";
import { broadcastTo } from "./shape.js";

/** Which random numbers: a layer has them from its context. */
export interface RandomOptions {
  /** uint32 `[16]`, the block that assembly/kernels/step.ts draws: each step has numbers of its own. */
  clock: Tensor;
  /** Key of the random numbers, two uint32. */
  seed: readonly [number, number];
  /** Number of this use of randomness in the model, a uint32: each has numbers of its own. */
  stream: number;
}

export interface DropoutOptions extends RandomOptions {
  /** Share of the elements that become 0, in [0, 1). */
  rate: number;
}

// Checked by `checkRandom`.
export const CLOCK = unchecked<Tensor>();
export const SEED = unchecked<readonly [number, number]>();
export const STREAM = unchecked<number>();

const DROPOUT = {
  rate: unchecked<number>(), // by the operation, which layers ask before they have a clock
  clock: CLOCK,
  seed: SEED,
  stream: STREAM,
} satisfies OptionsOf<DropoutOptions>;

export interface Mask extends Omit<DropoutOptions, "clock"> {
  /** The operation's name, for errors. */
  readonly name: string;
}

const CLOCK_WORDS = CLOCK_BYTES / 4;
const COST_OF_RANDOM = 8;

/** Refuses a clock, seed or stream that random numbers cannot be drawn with. */
export function checkRandom(where: string, { clock, seed, stream }: RandomOptions): void {
  checkTensor(where, clock, "clock must be a tensor");
  if (clock.dtype !== "uint32" || clock.shape.length !== 1 || clock.shape[0] !== CLOCK_WORDS) {
    throw new ModelError(
      `${where}: clock must be uint32 of shape [${CLOCK_WORDS}], got ${clock.dtype} of shape ${showShape(clock.shape)}: a layer has one in its context`,
    );
  }
  if (!Array.isArray(seed) || seed.length !== 2 || ![...seed, stream].every(isWord)) {
    throw new ModelError(
      `${where}: seed must be two and stream one whole number of 0 to 4294967295, got seed ${showValue(seed)} and stream ${showValue(stream)}`,
    );
  }
}

export const dropoutOp: Operation<Mask> = {
  name: "dropout",
  clocks: () => [1],
  infer: ([x, clock], { name, rate, seed, stream }) => {
    if (!(typeof rate === "number" && rate >= 0 && Math.fround(rate) < 1)) {
      throw new ModelError(
        `${name}: rate must be a number of at least 0 and less than 1, got ${showValue(rate)}: it is the share that becomes 0`,
      );
    }
    checkFloat(name, x);
    checkRandom(name, { clock, seed, stream });
    return [{ shape: x.shape }];
  },
  forward: (record, { attributes: { rate, seed, stream }, outputs, to, from: [x, clock] }) => {
    const n = sizeOf(outputs[0].shape);
    record.dropout(elements(n, COST_OF_RANDOM), to[0], x, clock, n, rate, ...seed, stream);
  },
  backward: ({ attributes, gradient, inputs: [, clock] }) => [
    apply(dropoutOp, [gradient, clock], attributes),
    undefined,
  ],
  inPlace: [0],
};

function isWord(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

/**
 * Sets a share `rate` of the elements to 0, at random, anew at each step, and scales the others by 1 / (1 - rate), so
 * that nothing is to be done at inference (Srivastava et al. 2014). Forward and backward pass have the same mask.
 *
 * @param x float32 of any shape; the result has the same.
 * @throws ModelError where the rate is not in [0, 1), or the clock or the stream does not fit.
 */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  return drop("dropout", x, options);
}

function drop(name: string, x: Tensor, options: DropoutOptions): Tensor {
  const { clock, rate, seed, stream } = readOptions(name, options, DROPOUT);
  checkTensor(name, clock, "clock must be a tensor");
  return apply(dropoutOp, [checkTensor(name, x), clock], { name, rate, seed, stream });
}

/**
 * Dropout of whole channels: x [batch, ...window, channels], and each channel of each sample is set to 0 in all of the
 * window, with probability `rate`, or scaled by 1 / (1 - rate). For neighbours that tell much the same, as in images
 * (Tompson et al. 2015). Errors as `dropout`, and for less than two axes.
 */
export function spatialDropout(x: Tensor, options: DropoutOptions): Tensor {
  const [batch, ...rest] = checkTensor("spatialDropout", x).shape;
  if (rest.length === 0) {
    throw new ModelError(
      `spatialDropout: x must be [batch, ...window, channels], got ${showShape(x.shape)}: use dropout()`,
    );
  }
  checkFloat("spatialDropout", x);
  return mul(
    x,
    drop("spatialDropout", ones([batch, ...rest.slice(0, -1).map(() => 1), rest[rest.length - 1]]), options),
  );
}

function ones(shape: Shape): Tensor {
  return broadcastTo(constant(1), shape);
}

// What SELU tends to for x → -∞, negated: its scale times its alpha.
const SELU_LEAST = 1.0507009873554805 * 1.6732632423543772;

/**
 * Dropout for SELU: what is dropped becomes SELU's least value, and all is scaled and shifted so that mean 0 and variance 1
 * stay (Klambauer et al. 2017). Errors as `dropout`.
 */
export function alphaDropout(x: Tensor, options: DropoutOptions): Tensor {
  const kept = drop("alphaDropout", x, options);
  const { rate } = options;
  const isKept = scale(drop("alphaDropout", ones(x.shape), options), 1 - rate); // the same mask: 1 or 0
  const factor = 1 / Math.sqrt((1 - rate) * (1 + rate * SELU_LEAST ** 2));
  // factor·(x where kept, else -least) + factor·least·rate
  const rest = shift(scale(isKept, factor * SELU_LEAST), factor * SELU_LEAST * (rate - 1));
  return add(scale(kept, (1 - rate) * factor), rest);
}
