// Convolutions and poolings that a saved model may have between its layers, applied again as their attributes say. These are a
// stranger's: what goes to the kernels is checked as the options of a user are.
import { checkInteger, LARGEST_INT32, showValue } from "../engine/errors.js";
import { apply } from "../graph/operation.js";
import { checkTensor, showShape, type Tensor } from "../graph/tensor.js";
import { convolve, convolveTransposed } from "../ops/conv.js";
import { type AttributesOf, operations } from "../ops/operations.js";
import { EVERYWHERE } from "../ops/pool.js";
import { checkPixels, openOf, windowOf } from "../ops/window.js";
import { FormatError } from "./formatError.js";

type Convolution = AttributesOf<"convolution">;
type Pool = AttributesOf<"maxPool">;
type Axis = Pool["height"];
/** Size, window, stride, dilation, zeros before, windows: of one axis. */
type Sizes = readonly [size: number, window: number, stride: number, dilation: number, before: number, out: number];

/** How far the last window reaches over the end; below 0 if it stays away from it. */
const beyond = ([size, window, stride, dilation, before, out]: Sizes): number =>
  (out - 1) * stride + (window - 1) * dilation + 1 - before - size;

/** The window over one axis or two; `g.height` and `g.width` are of what the convolution takes. */
function windowIn(x: Tensor, g: Convolution) {
  const vertical: Sizes = [g.height, g.windowHeight, g.strideY, g.dilationY, g.padTop, g.outHeight];
  const horizontal: Sizes = [g.width, g.windowWidth, g.strideX, g.dilationX, g.padLeft, g.outWidth];
  const axes = checkTensor(CONVOLUTION, x).shape.length === 3 ? [horizontal] : [vertical, horizontal];
  const pads = axes.map((sizes) => [sizes[4], Math.max(0, beyond(sizes))]);
  const options = {
    stride: axes.map(([, , stride]) => stride),
    dilation: axes.map(([, , , dilation]) => dilation),
    padding: axes.length === 1 ? pads[0] : pads,
    groups: g.groups,
  };
  return { window: windowOf(CONVOLUTION, axes.length, options), sizes: axes.map(([size]) => size) };
}

const CONVOLUTION = "convolution";

export const convolved = ([x, weight, bias]: readonly Tensor[], g: Convolution): Tensor =>
  convolve(CONVOLUTION, x, weight, bias, windowIn(x, g).window);

export function convolvedBack([x, weight, bias]: readonly Tensor[], g: Convolution): Tensor {
  const { window, sizes: outputSize } = windowIn(x, g);
  const open = openOf(CONVOLUTION, outputSize.length, { outputSize });
  return convolveTransposed(CONVOLUTION, x, weight, bias, window, open);
}

const WHERE = "pooling";

export const pooled =
  (name: "maxPool" | "averagePool") =>
  ([x]: readonly Tensor[], of: Pool): Tensor => {
    const { shape } = checkTensor(WHERE, x);
    if (shape.length !== 4) {
      throw new FormatError(
        `${WHERE}: input must be [batch, height, width, channels], got ${showShape(shape)}: the file is damaged`,
      );
    }
    checkPixels(WHERE, shape);
    if (typeof of.name !== "string" || !/^\w{1,40}$/.test(of.name)) {
      throw new FormatError(
        `${WHERE}: name must be that of a function, got ${showValue(of.name)}: the file is damaged`,
      );
    }
    const [height, width] = [of.height, of.width].map((axis, at) => axisOf(name, shape[at + 1], axis ?? {}));
    return apply(operations[name], [x], { height, width, name: of.name, batch: shape[0], channels: shape[3] });
  };

function axisOf(name: string, size: number, given: Partial<Axis>): Axis {
  const whole = (key: keyof Axis, min: number, max: number) => checkInteger(WHERE, key, given[key], min, max);
  const out = whole("out", 1, LARGEST_INT32);
  if (given.stride === 0) {
    return { size, out, window: Math.ceil(size / out) + 1, stride: 0, pad: 0, dilation: 1, limit: 0 };
  }
  const [window, stride] = [whole("window", 1, EVERYWHERE), whole("stride", 1, EVERYWHERE)];
  const dilation = whole("dilation", 1, name === "maxPool" ? EVERYWHERE : 1);
  const span = (window - 1) * dilation + 1;
  const pad = whole("pad", 0, Math.floor(span / 2));
  const limit = given.limit === 0 || given.limit === EVERYWHERE ? given.limit : whole("limit", size, size + span);
  if (span > EVERYWHERE || (out - 1) * stride >= size + pad) {
    throw new FormatError(
      `${WHERE}: each window must begin in the input, got ${showValue(given)} over ${size}: the file is damaged`,
    );
  }
  return { size, out, window, stride, pad, dilation, limit };
}
