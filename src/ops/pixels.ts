// Channels as pixels and pixels as channels: sub-pixel convolution of Shi et al. 2016.
import { checkInteger, ModelError } from "../engine/errors.js";
import { checkTensor, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { reshape, transpose } from "./shape.js";

const MAX_FACTOR = 2 ** 15;

function checkImage(where: string, shape: Shape): void {
  if (shape.length === 3) return;
  throw new ModelError(
    `${where}: input must be [batch, height, width, channels], got ${showShape(["batch", ...shape])}: reshape() it`,
  );
}

/** One sample's shape: [height, width, channels · factor²] → [height · factor, width · factor, channels]. Throws ModelError if it does not fit. */
export function shuffledShape(where: string, shape: Shape, factor: number): Shape {
  checkImage(where, shape);
  const [height, width, channels] = shape;
  if (channels % factor ** 2 === 0) return [height * factor, width * factor, channels / factor ** 2];
  throw new ModelError(`${where}: the channels must be a multiple of ${factor}² = ${factor ** 2}, got ${channels}`);
}

/** The reverse of `shuffledShape`. */
export function unshuffledShape(where: string, shape: Shape, factor: number): Shape {
  checkImage(where, shape);
  const [height, width, channels] = shape;
  if (height % factor === 0 && width % factor === 0) return [height / factor, width / factor, channels * factor ** 2];
  throw new ModelError(`${where}: height and width must be multiples of ${factor}, got ${height} and ${width}`);
}

/** Refuses what is no factor. */
export function checkFactor(where: string, factor: number): void {
  checkInteger(where, "factor", factor, 1, MAX_FACTOR);
}

/**
 * [batch, height, width, channels · factor²] → [batch, height · factor, width · factor, channels]: of each pixel, channel
 * c · factor² + row · factor + column becomes channel c of the pixel (row, column) in its square, as PyTorch's
 * `pixel_shuffle`. (TensorFlow's `depth_to_space` has c last.) float32 or uint32. Throws ModelError if the channels are no
 * multiple of factor².
 *
 * @example
 * pixelShuffle(input([8, 14, 14, 12]), 2); // [8, 28, 28, 3]
 */
export function pixelShuffle(x: Tensor, factor: number): Tensor {
  checkFactor("pixelShuffle", factor);
  const [batch, height, width] = checkTensor("pixelShuffle", x).shape;
  const shape = shuffledShape("pixelShuffle", x.shape.slice(1), factor);
  const squares = reshape(x, [batch, height, width, shape[2], factor, factor]);
  return reshape(transpose(squares, [0, 1, 4, 2, 5, 3]), [batch, ...shape]);
}

/**
 * [batch, height · factor, width · factor, channels] → [batch, height, width, channels · factor²]: the reverse of
 * `pixelShuffle`, PyTorch's `pixel_unshuffle`. Throws ModelError if height or width is no multiple of the factor.
 *
 * @example
 * pixelUnshuffle(input([8, 28, 28, 3]), 2); // [8, 14, 14, 12]
 */
export function pixelUnshuffle(x: Tensor, factor: number): Tensor {
  checkFactor("pixelUnshuffle", factor);
  const [batch, , , channels] = checkTensor("pixelUnshuffle", x).shape;
  const shape = unshuffledShape("pixelUnshuffle", x.shape.slice(1), factor);
  const squares = reshape(x, [batch, shape[0], factor, shape[1], factor, channels]);
  return reshape(transpose(squares, [0, 1, 3, 5, 2, 4]), [batch, ...shape]);
}
