// The operations of a quantised prediction: see assembly/kernels/int8.ts. No layer makes them, and they have no derivatives, so
// they are not among those of src/ops.
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import type { Convolution } from "../ops/window.js";

/** How an input becomes whole numbers: q = round(x · inverse), between `least` and `most`. */
export interface InputScale {
  readonly inverse: number;
  readonly least: number;
  readonly most: number;
}

/** Words that hold a row of so many int16. */
export const pairsOf = (length: number): number => Math.ceil(length / 2);

/** x [..., k] → int16 in pairs, [..., ⌈k/2⌉] words. */
const quantizePairsOp: Operation<InputScale> = {
  name: "quantizePairs",
  infer: ([{ shape }]) => [
    { shape: [...shape.slice(0, -1), pairsOf(shape[shape.length - 1] as number)], dtype: "uint32" },
  ],
  forward: (record, { attributes: { inverse, least, most }, inputs: [{ shape }], from, to }) => {
    const k = shape[shape.length - 1] as number;
    const count = sizeOf(shape) / k;
    record.quantizePairs(rows(count, count * k), to[0], from[0], k, inverse, least, most);
  },
};

/** Inputs: pairs [..., pairs], packed weights, scales [n], perhaps a bias [n]. */
const linearInt8Op: Operation<{ readonly shape: Shape }> = {
  name: "linearInt8",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes: { shape }, inputs: [q], from: [x, w, scale, bias = 0], to, epilogue }) => {
    const n = shape[shape.length - 1] as number;
    const pairs = q.shape[q.shape.length - 1] as number;
    const m = sizeOf(shape) / n;
    record.linearInt8(rows(m, m * n * pairs * 0.5), to[0], x, w, scale, bias, n, pairs, epilogue);
  },
  acceptsEpilogue: true,
};

/** The same for an image of pairs [batch, height, width, pairs]. */
const convolutionInt8Op: Operation<Convolution> = {
  name: "convolutionInt8",
  infer: (_, { output }) => [{ shape: output }],
  forward: (record, { attributes: g, from: [x, w, scale, bias = 0], to, epilogue }) => {
    const pixels = g.batch * g.outHeight * g.outWidth;
    const pairs = pairsOf(g.channels);
    const work = rows(pixels, pixels * g.outChannels * g.windowHeight * g.windowWidth * pairs * 0.5);
    const image = [g.height, g.width, pairs, g.outHeight, g.outWidth, g.outChannels] as const;
    const window = [g.windowHeight, g.windowWidth, g.strideY, g.strideX, g.dilationY, g.dilationX] as const;
    record.convolveInt8(work, to[0], x, w, scale, bias, ...image, ...window, g.padTop, g.padLeft, epilogue);
  },
  acceptsEpilogue: true,
};

export function quantizedInput(x: Tensor, scale: InputScale): Tensor {
  return apply(quantizePairsOp, [x], scale);
}

/** `operands`: pairs, packed weights, scales, perhaps a bias. `window`: absent for a product. */
export function quantizedProduct(operands: readonly Tensor[], shape: Shape, window: Convolution | undefined): Tensor {
  return window === undefined ? apply(linearInt8Op, operands, { shape }) : apply(convolutionInt8Op, operands, window);
}
