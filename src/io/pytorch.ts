// Parameters under PyTorch's names and in its layouts: what `load_state_dict` takes, and what `state_dict` gives.
import { showNames, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/tensor.js";
import { checkFinite } from "../train/checkpoint.js";
import { floatsFrom } from "./conversion.js";
import { READERS } from "./fileKinds.js";
import { FormatError } from "./formatError.js";
import { entriesOfModel, type Piece, type PyTorchTensor, same } from "./pytorchMap.js";
import type { SafetensorsFile, SafetensorsInput } from "./safetensors.js";
import { checkTrainer, type WeightHolder } from "./weights.js";

/** For each element in PyTorch's layout, the index of ours. */
function sourceIndices({ axes, shape, rows, image }: Piece): Uint32Array {
  // A flattened image has three axes in place of its first one.
  const whole = image === undefined ? shape : [...image, ...shape.slice(1)];
  const rank = image?.length ?? 1;
  const first = image === undefined ? [0] : [rank - 1, ...same(rank - 1)];
  const order = axes.flatMap((axis) => (axis === 0 ? first : [axis + rank - 1]));
  const strides = whole.map((_, axis) => sizeOf(whole.slice(axis + 1)));
  const indices = new Uint32Array(sizeOf(shape));
  const at = order.map(() => 0);
  let source = 0;
  for (let index = 0; index < indices.length; index++) {
    indices[index] = source;
    for (let axis = order.length - 1; axis >= 0; axis--) {
      source += strides[order[axis]];
      if (++at[axis] < whole[order[axis]]) break;
      source -= at[axis] * strides[order[axis]];
      at[axis] = 0;
    }
  }
  if (rows === undefined) return indices;
  const size = sizeOf(shape) / shape[axes[0]];
  return indices.subarray(rows[0] * size, rows[1] * size);
}

/** Of the tensor in PyTorch. */
function shapeOf({ pieces, addedTo, count }: PyTorchTensor): Shape {
  if (count !== undefined) return [];
  if (addedTo !== undefined) return addedTo.shape;
  const [{ axes, shape }] = pieces;
  const counts = pieces.map((piece) => {
    const [from, to] = piece.rows ?? [0, piece.shape[piece.axes[0]]];
    return to - from;
  });
  return [counts.reduce((sum, one) => sum + one, 0), ...axes.slice(1).map((axis) => shape[axis])];
}

/**
 * The parameters of a trainer as PyTorch's `load_state_dict` takes them: `encodeSafetensors(toPyTorch(trainer))` is a file for
 * `safetensors.torch.load_file`. Names are those of an equivalent `nn.Sequential`, or of modules that are called as the layers.
 * A dense layer's weight is transposed, a convolution's has its channels first, as have the rows of a dense layer behind a
 * flattened image; gates have PyTorch's order already. See docs/files.md for the map by layer.
 *
 * @throws {ModelError} If a layer has parameters and no equivalent in PyTorch under this map, by name.
 * @throws {SteepestError} If a value is not finite, as after a divergence.
 */
export function toPyTorch(trainer: WeightHolder): Record<string, SafetensorsInput> {
  checkTrainer("toPyTorch", trainer, ["parameters"]);
  const entries = entriesOfModel("toPyTorch", trainer);
  const values = trainer.parameters();
  checkFinite("toPyTorch", values, "call reset(), or load what was saved before");
  const arrayOf = (path: string): Float32Array => (values.get(path) as { data: Float32Array }).data;
  const tensors = entries.map((entry): [string, SafetensorsInput] => {
    const { name, pieces, count } = entry;
    const shape = shapeOf(entry);
    if (count !== undefined) {
      const batches = count.path === undefined ? 0 : arrayOf(count.path)[0];
      return [name, { shape, data: BigInt64Array.of(BigInt(batches)) }];
    }
    const data = new Float32Array(sizeOf(shape));
    let at = 0;
    for (const piece of pieces) {
      const ours = arrayOf(piece.path);
      for (const source of sourceIndices(piece)) data[at++] = ours[source];
    }
    return [name, { shape, data }];
  });
  return Object.fromEntries(tensors);
}

/** Tensors as `decodeSafetensors` and `decodePyTorch` give them. */
type Tensors = SafetensorsFile["tensors"];

/**
 * Sets a trainer's parameters from PyTorch's `state_dict`: the reverse of `toPyTorch`. Two biases of a recurrent layer are added
 * where there is one here. Nothing is changed if a tensor is missing, unknown, or of another shape.
 *
 * @param tensors By name, as `decodeSafetensors` gives them.
 * @returns What was converted to float32: a line for each tensor of another dtype, with how many values were rounded, if any were.
 * @throws {FormatError} If the tensors do not fit the model, or a value is not finite; {ModelError} as `toPyTorch`.
 */
export function fromPyTorch(trainer: WeightHolder, tensors: Tensors): { readonly converted: readonly string[] } {
  checkTrainer("fromPyTorch", trainer, ["setParameters"]);
  const where = "fromPyTorch";
  if (typeof tensors?.get !== "function" || typeof tensors.keys !== "function") {
    throw new FormatError(
      `${where}: tensors must be a Map by name, got ${showValue(tensors)}: hand in what decodeSafetensors() gives`,
    );
  }
  const entries = entriesOfModel(where, trainer);
  const wanted = new Set(entries.map(({ name }) => name));
  const extra = [...tensors.keys()].filter((name) => !wanted.has(name));
  if (extra.length > 0) {
    const [first] = extra;
    const isCheckpoint = /^(?:parameters|states|optimizer|kept)\//.test(first);
    const isQuantized = first.endsWith(".scale") && tensors.get(first.slice(0, -".scale".length))?.dtype === "I8";
    const kind = isCheckpoint ? "checkpoint" : isQuantized ? "quantized model" : undefined;
    if (kind !== undefined) throw new FormatError(`${where}: tensors must be of PyTorch, got ${READERS[kind]}`);
    throw new FormatError(
      `${where}: this model has no such parameters, got ${showNames(extra)}: make the model that the tensors are of`,
    );
  }
  const converted: string[] = [];
  const values = new Map<string, { data: Float32Array }>();
  const arrayOf = (path: string, size: number): Float32Array => {
    const { data } = values.get(path) ?? { data: new Float32Array(size) };
    values.set(path, { data });
    return data;
  };
  for (const entry of entries) {
    const { name, pieces, addedTo, count } = entry;
    if (count !== undefined) {
      const batches = batchesOf(where, name, tensors, count.path !== undefined);
      if (count.path !== undefined) arrayOf(count.path, 1)[0] = batches;
      continue;
    }
    const data = floatsOf(where, name, tensors, shapeOf(entry), converted);
    let at = 0;
    for (const piece of pieces) {
      const ours = arrayOf(piece.path, sizeOf(piece.shape));
      for (const source of sourceIndices(piece)) ours[source] = data[at++];
    }
    if (addedTo === undefined) continue;
    // The other bias is there already: it comes before this one.
    arrayOf(addedTo.path, data.length).forEach((one, index, all) => {
      all[index] = one + data[index];
    });
  }
  for (const [path, { data }] of trainer.parameters()) if (!values.has(path)) values.set(path, { data });
  trainer.setParameters(values);
  return { converted };
}

/** How many batches there have been. Only averages over all of them need it; PyTorch's oldest files have none. */
function batchesOf(where: string, name: string, tensors: Tensors, isNeeded: boolean): number {
  const found = tensors.get(name);
  if (found === undefined && !isNeeded) return 0;
  const { shape = [], data = [] } = found ?? {};
  const batches = data.length === 1 && shape.length === 0 ? Number(data[0]) : -1;
  if (Number.isSafeInteger(batches) && batches >= 0) return batches;
  throw new FormatError(
    `${where}: ${showValue(name)} must be one whole number from 0 on, got ${found === undefined ? "none" : `${showShape(shape)} of ${showValue(data[0])}`}: the statistics are averages over so many batches`,
  );
}

/** A tensor's values as float32. Throws FormatError if it is missing, of another shape, or not finite. */
function floatsOf(where: string, name: string, tensors: Tensors, wanted: Shape, converted: string[]): Float32Array {
  const found = tensors.get(name);
  if (found === undefined) {
    throw new FormatError(
      `${where}: the model needs ${showValue(name)}, got ${showNames(tensors.keys())}: make the model that the tensors are of`,
    );
  }
  const { dtype, shape, data } = found;
  if (!sameShape(shape, wanted)) {
    throw new FormatError(
      `${where}: ${showValue(name)} must be ${showShape(wanted)} for this model, got ${showShape(shape)}: make the model that the tensors are of, and read a file of this library with decodeWeights()`,
    );
  }
  if (dtype === "BOOL")
    throw new FormatError(`${where}: ${showValue(name)} must be of numbers, got ${dtype}: convert it`);
  const { data: floats, said } = floatsFrom(name, found);
  if (said !== undefined) converted.push(said);
  const at = indexOfNotFinite(floats);
  if (at < 0) return floats;
  throw new FormatError(
    `${where}: every value must be finite in float32, ${showValue(name)} has got ${data[at]} at index ${at}`,
  );
}
