// Elements chosen by indices, put in places, and in order: operators as operations. Indices are uint32 here.
import { constant, type Tensor } from "../graph/tensor.js";
import { add, scale, shift } from "../ops/elementwise.js";
import { gather, gatherAlong, oneHot } from "../ops/indexing.js";
import { gatherNd, scatterAddNd, scatterUpdateNd } from "../ops/indexingNd.js";
import { concatenate } from "../ops/join.js";
import { argmax, argmin } from "../ops/reduce.js";
import { cast, mod } from "../ops/rounding.js";
import { scatterAddAlong, scatterUpdateAlong } from "../ops/scatter.js";
import { broadcastTo, transpose } from "../ops/shape.js";
import { pad, slice } from "../ops/slice.js";
import { topK } from "../ops/sort.js";
import { maxUnpool } from "../ops/unpool.js";
import { last, plain, type Step } from "./imported.js";
import type { Read } from "./readElements.js";

/** Indices along an axis of a size. What is known may count from the end; what depends on the data may not. */
function indicesOf(step: Step, index: number, sizes: readonly number[]): Tensor {
  const known = step.knownOf(index);
  if (known !== undefined) {
    const width = sizes.length;
    const data = Array.from(known.data, (one, at) => (one < 0 ? one + sizes[at % width] : one));
    const wrong = data.findIndex((one, at) => !(one >= 0 && one < sizes[at % width]));
    if (wrong >= 0) throw step.error(`indices must be within [${sizes}], got ${known.data[wrong]}`);
    return constant(Uint32Array.from(data), known.dims);
  }
  const indices = step.tensor(index);
  return indices.dtype === "uint32" ? indices : cast(indices, "uint32");
}

function gathered(step: Step) {
  const shape = step.shapeOf(0);
  const axis = step.axis(step.int("axis", 0), shape.length);
  return plain(gather(step.tensor(0), indicesOf(step, 1, [shape[axis]]), axis));
}

/** The beginning of each axis but one, as much as the indices have. */
function partFor(x: Tensor, indices: Tensor, axis: number): Tensor {
  const end = x.shape.map((size, at) => (at === axis ? size : Math.min(size, indices.shape[at] ?? size)));
  return end.every((size, at) => size === x.shape[at])
    ? x
    : slice(
        x,
        end.map(() => 0),
        end,
      );
}

function gatheredAlong(step: Step) {
  const shape = step.shapeOf(0);
  const axis = step.axis(step.int("axis", 0), shape.length);
  const indices = indicesOf(step, 1, [shape[axis]]);
  return plain(gatherAlong(partFor(step.tensor(0), indices, axis), indices, axis));
}

function gatheredNd(step: Step) {
  const count = step.int("batch_dims", 0);
  const [shape, places] = [step.shapeOf(0), step.shapeOf(1)];
  const end = count + (places.at(-1) ?? 0);
  if (!(count >= 0 && count < places.length && end <= shape.length))
    throw step.error(`indices must be of at most ${shape.length} axes of [${shape}], got [${places}]`);
  const indices = indicesOf(step, 1, shape.slice(count, end));
  return plain(gatherNd(step.tensor(0), count === 0 ? indices : withBatch(indices, shape.slice(0, count))));
}

/** Indices within each sample of a batch as indices among all: the sample's own come before them. */
function withBatch(indices: Tensor, batch: readonly number[]): Tensor {
  const samples = batch.reduce((a, b) => a * b, 1);
  const own = new Uint32Array(samples * batch.length);
  for (let sample = 0; sample < samples; sample++) {
    let rest = sample;
    for (let axis = batch.length - 1; axis >= 0; axis--) {
      own[sample * batch.length + axis] = rest % batch[axis];
      rest = Math.floor(rest / batch[axis]);
    }
  }
  const between = indices.shape.slice(batch.length, -1);
  const places = constant(own, [...batch, ...between.map(() => 1), batch.length]);
  const all = broadcastTo(places, [...batch, ...between, batch.length]);
  return concatenate([all, indices], -1);
}

/** "none" or "add": what becomes of an element that something is put on. */
function reductionOf(step: Step): string {
  const reduction = step.text("reduction", "none");
  if (reduction === "none" || reduction === "add") return reduction;
  throw step.error(`reduction must be none or add, got ${reduction}`);
}

const updated =
  (axes: (step: Step) => readonly number[], put: (step: Step, x: Tensor, indices: Tensor, updates: Tensor) => Tensor) =>
  (step: Step) => {
    const indices = indicesOf(step, 1, axes(step));
    const [x, updates] = [step.tensor(0), step.tensor(2)];
    const same = x.dtype === updates.dtype;
    const float = (one: Tensor) => (same || one.dtype === "float32" ? one : cast(one, "float32"));
    return plain(put(step, float(x), indices, float(updates)));
  };

const axisOf = (step: Step): number => step.axis(step.int("axis", 0), step.rank(0));

const scatteredAlong = updated(
  (step) => [step.shapeOf(0)[axisOf(step)]],
  (step, x, indices, updates) =>
    (reductionOf(step) === "add" ? scatterAddAlong : scatterUpdateAlong)(x, indices, updates, axisOf(step)),
);

const scatteredNd = updated(
  (step) => step.shapeOf(0).slice(0, step.shapeOf(1).at(-1)),
  (step, x, indices, updates) => (reductionOf(step) === "add" ? scatterAddNd : scatterUpdateNd)(x, indices, updates),
);

function oneHotOf(step: Step) {
  const [classes] = step.numbers(1);
  const [off, on] = step.numbers(2);
  const hot = oneHot(indicesOf(step, 0, [classes]), classes);
  const rank = hot.shape.length;
  const axis = step.axis(step.int("axis", -1), rank);
  const axes = Array.from({ length: rank - 1 }, (_, at) => at);
  const placed = axis === rank - 1 ? hot : transpose(hot, axes.toSpliced(axis, 0, rank - 1));
  return plain(shift(scale(placed, on - off), off));
}

const chosen =
  (compute: typeof argmax): Read =>
  (step) => {
    step.only("select_last_index", 0);
    const axis = step.axis(step.int("axis", 0), step.rank(0));
    return plain(compute(step.tensor(0), axis, { keepDims: step.int("keepdims", 1) === 1 }));
  };

function largest(step: Step) {
  const axis = step.axis(step.int("axis", -1), step.rank(0));
  const [k] = step.has(1) ? step.numbers(1) : [step.int("k", 1)];
  const { values, indices } = topK(step.tensor(0), k, { axis, largest: step.int("largest", 1) === 1 });
  return [plain(values), plain(indices)];
}

// Places among all elements of a tensor are calculated in float32.
const MAX_PLACES = 2 ** 24;

/** Places in the image of a sample and a channel, [batch, …, channels], as places among all elements [batch, channels, …]. */
export function placesAmongAll(step: Step, indices: Tensor, pixels: number): Tensor {
  const { shape } = indices;
  const [batch, channels] = [shape[0], shape[shape.length - 1]];
  if (batch * channels * pixels > MAX_PLACES)
    throw step.error(`its indices must be below ${MAX_PLACES}, got ${batch * channels * pixels} elements`);
  const offsets = Float32Array.from({ length: batch * channels }, (_, image) => image * pixels);
  const around = [batch, ...shape.slice(1, -1).map(() => 1), channels];
  return cast(add(cast(indices, "float32"), constant(offsets, around)), "uint32");
}

function unpooled(step: Step) {
  const [, , ...image] = step.shapeOf(0);
  const window = step.ints("kernel_shape") ?? [];
  const strides = step.ints("strides") ?? window.map(() => 1);
  const pads = step.ints("pads") ?? window.flatMap(() => [0, 0]);
  const sizes = image.map(
    (size, axis) => (size - 1) * strides[axis] + window[axis] - pads[axis] - pads[axis + image.length],
  );
  const pixels = sizes.reduce((a, b) => a * b, 1);
  const [batch, channels] = step.shapeOf(0);
  if (batch * channels * pixels > MAX_PLACES)
    throw step.error(`its indices must be below ${MAX_PLACES}, got ${batch * channels * pixels} elements`);
  const places = step.last(1);
  const within = cast(mod(places.dtype === "float32" ? places : cast(places, "float32"), pixels), "uint32");
  const unpooledImage = maxUnpool(step.last(0), within, (sizes.length === 1 ? sizes[0] : sizes) as never);
  // The places are those of the smallest size that fits; what is asked for beyond it is empty.
  const wanted = step.has(2) ? step.numbers(2).slice(2) : sizes;
  const around = sizes.map((size, axis) => [0, wanted[axis] - size] as const);
  return last(
    wanted.every((size, axis) => size === sizes[axis])
      ? unpooledImage
      : pad(unpooledImage, [[0, 0], ...around, [0, 0]]),
  );
}

export const indexReaders = {
  Gather: gathered,
  GatherElements: gatheredAlong,
  GatherND: gatheredNd,
  ScatterElements: scatteredAlong,
  ScatterND: scatteredNd,
  OneHot: oneHotOf,
  ArgMax: chosen(argmax),
  ArgMin: chosen(argmin),
  TopK: largest,
  MaxUnpool: unpooled,
} satisfies Record<string, Read>;
