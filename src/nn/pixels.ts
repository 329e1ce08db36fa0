// Pixels as channels and channels as pixels; each layer applies the operation of the same name (src/ops/pixels.ts).
import { checkNone } from "../engine/errors.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import * as pixels from "../ops/pixels.js";
import { axesOf, type Layer } from "./layer.js";

function moving(
  kind: string,
  factor: number,
  shapeOf: (where: string, shape: Shape, factor: number) => Shape,
  apply: (x: Tensor, factor: number) => Tensor,
): Layer<3, 3> {
  pixels.checkFactor(kind, factor);
  return axesOf<3, 3>({
    kind,
    options: [factor],
    build: ({ where }, inputShape) => ({
      outputShape: shapeOf(where, inputShape, factor),
      parameters: [],
      apply: (x) => apply(x, factor),
    }),
  });
}

/**
 * [batch, height, width, channels · factor²] → [batch, height · factor, width · factor, channels], in PyTorch's order: see
 * the operation `pixelShuffle`. Building throws ModelError if the channels are no multiple of factor².
 *
 * @example
 * const upscaler = sequential({ input: [14, 14, 3] }, conv2d(12, 3, { padding: 1 }), pixelShuffle(2)); // [28, 28, 3]
 */
export function pixelShuffle(factor: number, ...none: []): Layer<3, 3> {
  checkNone("pixelShuffle", none);
  return moving("pixelShuffle", factor, pixels.shuffledShape, pixels.pixelShuffle);
}

/** The reverse of `pixelShuffle`: [batch, height, width, channels] → [batch, height / factor, width / factor, channels · factor²]. */
export function pixelUnshuffle(factor: number, ...none: []): Layer<3, 3> {
  checkNone("pixelUnshuffle", none);
  return moving("pixelUnshuffle", factor, pixels.unshuffledShape, pixels.pixelUnshuffle);
}
