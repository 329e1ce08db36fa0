// What Keras does to data within a model: other sizes of images, categories, changes at random.
import { ModelError, showValue } from "../engine/errors.js";
import { constant, showShape, type Tensor } from "../graph/tensor.js";
import { randomFlip, randomRotation, randomTranslation, randomZoom } from "../nn/augment.js";
import { resize } from "../nn/upsample.js";
import { greaterEqual } from "../ops/comparison.js";
import { oneHot } from "../ops/indexing.js";
import { max, sum } from "../ops/reduce.js";
import { cast } from "../ops/rounding.js";
import { expandDims, squeeze } from "../ops/shape.js";
import { slice } from "../ops/slice.js";
import { checkChannels } from "./images.js";
import { applying, type Call, type KerasLayer, single } from "./layer.js";

type Read = (of: KerasLayer) => Call;

function sizeOfImage(of: KerasLayer): readonly [number, number] {
  checkChannels(of);
  return [of.fields.integer("height"), of.fields.integer("width")];
}

function readResizing(of: KerasLayer): Call {
  const size = sizeOfImage(of);
  const mode = of.fields.text("interpolation", "bilinear");
  if (mode !== "bilinear" && mode !== "nearest")
    throw of.unsupported(` with interpolation ${showValue(mode.slice(0, 60))}`);
  for (const name of ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"])
    if (of.fields.flag(name, false)) throw of.unsupported(` with ${name}`);
  if (mode === "bilinear") return applying(of, () => resize({ size, mode: "linear" }));
  return applying(of, () => resize({ size, rounding: "roundPreferCeil" }));
}

function readCenterCrop(of: KerasLayer): Call {
  const [height, width] = sizeOfImage(of);
  return (given) => {
    const x = single(of, given);
    const [batch, rows = 0, columns = 0] = x.shape;
    const [top, left] = [Math.floor((rows - height) / 2), Math.floor((columns - width) / 2)];
    if (top >= 0 && left >= 0) return slice(x, [0, top, left], [batch, top + height, left + width]);
    throw new ModelError(
      `${of.where}: images must be at least ${showShape([height, width])}, got ${showShape([rows, columns])}: there is nothing for a crop of smaller ones`,
    );
  };
}

/** Indices as rows: of each, or of all along the last axis. */
function encoding(of: KerasLayer, mode: string, tokens: number): (indices: Tensor) => Tensor {
  if (!["one_hot", "multi_hot", "count"].includes(mode))
    throw of.unsupported(` with output_mode ${showValue(mode.slice(0, 60))}`);
  return (indices) => {
    const rank = indices.shape.length;
    const rows = oneHot(indices.dtype === "uint32" ? indices : cast(indices, "uint32"), tokens);
    if (mode === "one_hot") return indices.shape[rank - 1] === 1 && rank > 1 ? squeeze(rows, [rank - 1]) : rows;
    return mode === "count" ? sum(rows, rank - 1) : max(rows, rank - 1);
  };
}

function readCategories(of: KerasLayer): Call {
  const mode = of.fields.text("output_mode", "multi_hot").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const encode = encoding(of, mode, of.fields.integer("num_tokens"));
  return ({ xs: [x] }) => encode(x);
}

function readDiscretization(of: KerasLayer): Call {
  const bounds = of.fields.list("bin_boundaries", []);
  const mode = of.fields.text("output_mode", "int");
  const encode = mode === "int" ? (indices: Tensor) => indices : encoding(of, mode, bounds.length + 1);
  if (bounds.length === 0) throw of.unsupported(" without bin_boundaries");
  return (given) => {
    const edges = constant(Float32Array.from(bounds));
    return encode(sum(greaterEqual(expandDims(single(of, given), -1), edges), -1));
  };
}

// ——— At random, while training ———

const PADDINGS = { reflect: "reflection", constant: "zeros", nearest: "border" } as const;

function resamplingOf(of: KerasLayer) {
  checkChannels(of);
  const [fill, mode] = [of.fields.text("fill_mode", "reflect"), of.fields.text("interpolation", "bilinear")];
  if (!Object.hasOwn(PADDINGS, fill) || of.fields.number("fill_value", 0) !== 0)
    throw of.unsupported(` with fill_mode ${showValue(fill.slice(0, 60))}`);
  if (mode !== "bilinear" && mode !== "nearest")
    throw of.unsupported(` with interpolation ${showValue(mode.slice(0, 60))}`);
  const interpolation = mode === "bilinear" ? "linear" : "nearest";
  return { name: of.name, padding: PADDINGS[fill as keyof typeof PADDINGS], interpolation } as const;
}

/** A range about 0, or from one number to another. */
function rangeOf(of: KerasLayer, name: string): readonly [number, number] {
  const [low = 0, high = low] = of.fields.list(name, [0]);
  return Array.isArray(of.fields.any(name)) ? [low, high] : [-low, low];
}

/** Half of a range that lies about 0. */
function reachOf(of: KerasLayer, name: string): number {
  const [low, high] = rangeOf(of, name);
  if (low === -high && high >= 0) return high;
  throw of.unsupported(` with ${name} [${low}, ${high}]`);
}

export const preprocessingReaders: Readonly<Record<string, Read>> = {
  Resizing: readResizing,
  CenterCrop: readCenterCrop,
  CategoryEncoding: readCategories,
  Discretization: readDiscretization,
  RandomFlip(of) {
    checkChannels(of);
    const mode = of.fields.text("mode", "horizontal_and_vertical");
    const direction = mode === "horizontal_and_vertical" ? "both" : mode;
    if (direction !== "both" && direction !== "horizontal" && direction !== "vertical")
      throw of.unsupported(` with mode ${showValue(mode.slice(0, 60))}`);
    return applying(of, () => randomFlip({ name: of.name, direction }));
  },
  RandomRotation(of) {
    const [reach, options] = [reachOf(of, "factor"), resamplingOf(of)];
    return applying(of, () => randomRotation(Math.min(360 * reach, 180), options));
  },
  RandomTranslation(of) {
    const [vertical, horizontal] = [reachOf(of, "height_factor"), reachOf(of, "width_factor")];
    const options = resamplingOf(of);
    return applying(of, () => randomTranslation([vertical, horizontal], options));
  },
  RandomZoom(of) {
    const [low, high] = rangeOf(of, "height_factor");
    const options = resamplingOf(of);
    const isOne =
      of.fields.any("width_factor") === undefined || rangeOf(of, "width_factor").join() === `${low},${high}`;
    if (!isOne || low <= -1) throw of.unsupported(" with another width_factor");
    // Keras counts how much more is seen.
    return applying(of, () => randomZoom(1 / (1 + high), 1 / (1 + low), options));
  },
};
