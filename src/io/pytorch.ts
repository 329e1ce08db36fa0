// Parameters under PyTorch's names and in its layouts: what `load_state_dict` takes, and what `state_dict` gives.
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/tensor.js";
import type { AppliedLayer } from "../nn/layer.js";
import { checkModel } from "../nn/model.js";
import { isShape } from "../nn/ports.js";
import { checkFinite } from "../train/checkpoint.js";
import { FormatError } from "./formatError.js";
import type { SafetensorsFile, SafetensorsInput } from "./safetensors.js";
import { checkTrainer, type WeightHolder } from "./weights.js";

/** A parameter with its axes in PyTorch's order, as a part of the rows of a tensor of PyTorch. */
interface Piece {
  readonly path: string;
  /** Axis i of PyTorch's is axis `axes[i]` of ours. */
  readonly axes: readonly number[];
  readonly shape: Shape;
  /** If its first axis is a flattened image [height, width, channels]: that shape. PyTorch's has the channels first. */
  readonly image?: Shape | undefined;
}

/** A tensor of PyTorch. */
interface Entry {
  readonly name: string;
  /** One below the other. None: PyTorch has it, and we have not. */
  readonly pieces: readonly Piece[];
  /** A second bias, which is added to this parameter: zeros on the way out. */
  readonly addedTo?: Piece | undefined;
}

type Names = ReadonlyMap<string, Shape>;

/** What an entry is made of, before it has a path: PyTorch's name, our names, and the order of axes by their number. */
type Rule = readonly [theirs: string, ours: readonly string[], order?: (rank: number) => readonly number[]];

const same = (rank: number): readonly number[] => Array.from({ length: rank }, (_, axis) => axis);
const turned = (rank: number): readonly number[] => [...same(rank)].reverse();
/** [...window, in, out] as [out, in, ...window]: convolutions; of transposed ones [...window, out, in] as [in, out, ...window]. */
const channelsFirst = (rank: number): readonly number[] => [rank - 1, rank - 2, ...same(rank - 2)];

const AFFINE: readonly Rule[] = [
  ["weight", ["weight"]],
  ["bias", ["bias"]],
];
const STATISTICS: readonly Rule[] = [
  ...AFFINE,
  ["running_mean", ["runningMean"]],
  ["running_var", ["runningVariance"]],
];
const CONVOLUTION: readonly Rule[] = [
  ["weight", ["weight"], channelsFirst],
  ["bias", ["bias"]],
];
const ATTENTION: readonly Rule[] = [
  ["in_proj_weight", ["weight"], turned],
  ["in_proj_bias", ["bias"]],
  ["in_proj_weight", ["queryWeight", "memoryWeight"], turned],
  ["in_proj_bias", ["queryBias", "memoryBias"]],
  ["out_proj.weight", ["outputWeight"], turned],
  ["out_proj.bias", ["outputBias"]],
];

/** By kind. What is not here and has parameters is refused. */
const RULES: Readonly<Record<string, readonly Rule[]>> = {
  dense: [
    ["weight", ["weight"], turned],
    ["bias", ["bias"]],
  ],
  conv1d: CONVOLUTION,
  conv2d: CONVOLUTION,
  conv3d: CONVOLUTION,
  depthwiseConv1d: CONVOLUTION,
  depthwiseConv2d: CONVOLUTION,
  convTranspose1d: CONVOLUTION,
  convTranspose2d: CONVOLUTION,
  convTranspose3d: CONVOLUTION,
  batchNorm: STATISTICS,
  instanceNorm: STATISTICS,
  layerNorm: AFFINE,
  groupNorm: AFFINE,
  rmsNorm: AFFINE,
  embedding: AFFINE,
  prelu: AFFINE,
  multiHeadAttention: ATTENTION,
};

/** Layers within layers that PyTorch calls otherwise. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  transformerEncoder: { attention: "self_attn", hidden: "linear1", output: "linear2" },
  transformerDecoder: {
    ...{ attention: "self_attn", crossAttention: "multihead_attn", hidden: "linear1", output: "linear2" },
  },
};

const RECURRENT = ["lstm", "gru", "simpleRnn"];

/** Layers before which, and after which, PyTorch has the channels first. */
const IMAGE =
  /^(?:conv|depthwiseConv|maxPool|averagePool|adaptive|lpPool|upsample|pixelShuffle|pixelUnshuffle|zeroPad|crop)/;
/** Layers behind which an image is still one. */
const KEEPING =
  /^(?:batchNorm|instanceNorm|groupNorm|dropout|spatialDropout|relu|.*elu|sigmoid|tanh|silu|mish|hard.*|soft.*|identity)/i;

function pieceOf(prefix: string, name: string, shape: Shape, order = same, image?: Shape): Piece {
  return { path: `${prefix}${name}`, axes: order(shape.length), shape, image };
}

function entriesOf(rules: readonly Rule[], ours: Names, prefix: string, theirs: string, image?: Shape): Entry[] {
  return rules.flatMap(([name, from, order]) => {
    const given = from.flatMap((one) => {
      const shape = ours.get(one);
      return shape === undefined ? [] : [pieceOf(prefix, one, shape, order, one === "weight" ? image : undefined)];
    });
    return given.length < from.length ? [] : [{ name: `${theirs}${name}`, pieces: given }];
  });
}

const RECURRENT_NAMES: readonly Rule[] = [
  ["weight_ih", ["weight"], turned],
  ["weight_hh", ["recurrentWeight"], turned],
  ["bias_ih", ["bias"]],
  ["bias_hh", ["recurrentBias"]],
  ["weight_hr", ["projection"], turned],
];

/** Our "1.backward.weight" is `weight_ih_l1_reverse`. */
function recurrentEntries(where: string, kind: string, ours: Names, prefix: string, theirs: string): Entry[] {
  const entries: Entry[] = [];
  for (const [name, shape] of ours) {
    const [, layer = "0", way, part] = /^(?:(\d+)\.)?(?:(forward|backward)\.)?(\w+)$/.exec(name) ?? [];
    const rule = RECURRENT_NAMES.find(([, [own]]) => own === part);
    if (rule === undefined) {
      throw new ModelError(
        `${where}: ${kind} must have the parameters of PyTorch's, got ${showValue(name)}: leave out the option that makes it`,
      );
    }
    const [name_, , order] = rule;
    const end = `_l${layer}${way === "backward" ? "_reverse" : ""}`;
    const piece = pieceOf(prefix, name, shape, order);
    entries.push({ name: `${theirs}${name_}${end}`, pieces: [piece] });
    const isAlone = part === "bias" && !ours.has(name.replace(/bias$/, "recurrentBias"));
    if (isAlone) entries.push({ name: `${theirs}bias_hh${end}`, pieces: [], addedTo: piece });
  }
  return entries;
}

/** Every tensor of PyTorch for a list of layers in a row. */
function entriesOfLayers(where: string, of: Walk): Entry[] {
  const entries: Entry[] = [];
  let image: Shape | undefined;
  let flattened: Shape | undefined;
  for (const layer of of.layers) {
    const { kind, path, parts, outputShape } = layer;
    const prefix = `${of.prefix}${path}.`;
    const theirs = `${of.theirs}${of.renamed[path] ?? path}.`;
    const ours: Names = new Map(layer.parameters.map(({ name, tensor }) => [name, tensor.shape]));
    if (kind === "flatten" && image !== undefined) flattened = image;
    if (kind === "dense" && flattened !== undefined && !of.isChain) {
      throw new ModelError(
        `${where}: a dense layer behind a flattened image must be in a chain, got ${showValue(path)} of a function: make these layers a sequential() of their own`,
      );
    }
    const rows = kind === "dense" && ours.get("weight")?.[0] === sizeOf(flattened ?? []) ? flattened : undefined;
    if (kind === "dense" || kind === "globalAveragePool" || kind === "globalMaxPool") flattened = undefined;
    if (RECURRENT.includes(kind)) entries.push(...recurrentEntries(where, kind, ours, prefix, theirs));
    else if (Object.hasOwn(RULES, kind)) entries.push(...entriesOf(RULES[kind], ours, prefix, theirs, rows));
    else if (parts !== undefined && ours.size > 0) {
      const { kind: model } = parts as { readonly kind?: string };
      const renamed = RENAMED[kind] ?? {};
      const isChain = model !== "functional" && kind !== "functional";
      entries.push(...entriesOfLayers(where, { layers: parts.layers, prefix, theirs, renamed, isChain }));
    } else if (ours.size > 0) {
      throw new ModelError(
        `${where}: the layer must be one that PyTorch has under this map, got ${kind} ${showValue(path)}: see docs/files.md`,
      );
    }
    const isImage = isShape(outputShape) && outputShape.length > 1 && (IMAGE.test(kind) || KEEPING.test(kind));
    image = isImage && (IMAGE.test(kind) || image !== undefined) ? (outputShape as Shape) : undefined;
  }
  return entries;
}

interface Walk {
  readonly layers: readonly AppliedLayer[];
  readonly prefix: string;
  readonly theirs: string;
  readonly renamed: Readonly<Record<string, string>>;
  /** Whether each layer is applied to what the one before gives. */
  readonly isChain: boolean;
}

/** All tensors of PyTorch for a model. What a functional model made itself has the same name and layout there. */
function entriesOfModel(where: string, trainer: WeightHolder): Entry[] {
  const model = checkModel(where, trainer.model);
  const isChain = model.kind !== "functional";
  const entries = entriesOfLayers(where, { layers: model.layers, prefix: "", theirs: "", renamed: {}, isChain });
  const known = new Set(entries.flatMap(({ pieces, addedTo }) => [...pieces, addedTo].map((piece) => piece?.path)));
  const counts = [...model.parameters].filter(([path]) => path.endsWith(".batchCount"));
  const own = [...model.parameters].filter(([path]) => !known.has(path) && !counts.some(([count]) => count === path));
  return [...entries, ...own.map(([name, { shape }]) => ({ name, pieces: [pieceOf("", name, shape)] }))];
}

/** For each element of PyTorch's layout, the index of ours. */
function sourceIndices({ axes, shape, image }: Piece): Uint32Array {
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
  return indices;
}

function shapeOf(pieces: readonly Piece[]): Shape {
  const shapes = pieces.map(({ axes, shape }) => axes.map((axis) => shape[axis]));
  const rows = shapes.reduce((sum, [size]) => sum + size, 0);
  return [rows, ...shapes[0].slice(1)];
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
  const tensors = entries.map(({ name, pieces, addedTo }): [string, SafetensorsInput] => {
    if (addedTo !== undefined) return [name, { shape: addedTo.shape, data: new Float32Array(sizeOf(addedTo.shape)) }];
    const shape = shapeOf(pieces);
    const data = new Float32Array(sizeOf(shape));
    let at = 0;
    for (const piece of pieces) {
      const { data: ours } = values.get(piece.path) as { data: Float32Array };
      for (const source of sourceIndices(piece)) data[at++] = ours[source];
    }
    return [name, { shape, data }];
  });
  const counts = entries.flatMap(({ name }): [string, SafetensorsInput][] =>
    name.endsWith("running_mean")
      ? [[name.replace(/running_mean$/, "num_batches_tracked"), { shape: [], data: BigInt64Array.of(0n) }]]
      : [],
  );
  return Object.fromEntries([...tensors, ...counts]);
}

/** Tensors as `decodeSafetensors` and `decodePyTorch` give them. */
type Tensors = SafetensorsFile["tensors"];

/**
 * Sets a trainer's parameters from PyTorch's `state_dict`: the reverse of `toPyTorch`. Two biases of a recurrent layer are added
 * where there is one here. Nothing is changed if a tensor is missing, unknown, or of another shape.
 *
 * @param tensors By name, as `decodeSafetensors` gives them.
 * @returns What was converted to float32: a line for each tensor of another dtype. Of float64 values are rounded.
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
  const extra = [...tensors.keys()].filter((name) => !wanted.has(name) && !/num_batches_tracked$/.test(name));
  if (extra.length > 0) {
    throw new FormatError(
      `${where}: this model has no such parameters, got ${showNames(extra)}: make the model that the tensors are of`,
    );
  }
  const converted: string[] = [];
  const values = new Map<string, { data: Float32Array }>();
  const added: [string, Float32Array][] = [];
  for (const { name, pieces, addedTo } of entries) {
    const shape = addedTo?.shape ?? shapeOf(pieces);
    const data = floatsOf(where, name, tensors, shape, converted);
    if (addedTo !== undefined) added.push([addedTo.path, data]);
    let at = 0;
    for (const piece of pieces) {
      const ours = new Float32Array(sizeOf(piece.shape));
      for (const source of sourceIndices(piece)) ours[source] = data[at++];
      values.set(piece.path, { data: ours });
    }
  }
  for (const [path, data] of added)
    values.get(path)?.data.forEach((one, index, all) => {
      all[index] = one + data[index];
    });
  for (const [path, { data }] of trainer.parameters()) if (!values.has(path)) values.set(path, { data });
  trainer.setParameters(values);
  return { converted };
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
      `${where}: ${showValue(name)} must be ${showShape(wanted)} for this model, got ${showShape(shape)}`,
    );
  }
  if (dtype === "I64" || dtype === "U64" || dtype === "BOOL") {
    throw new FormatError(`${where}: ${showValue(name)} must be of numbers with a fraction, got ${dtype}: convert it`);
  }
  if (dtype !== "F32") converted.push(`${name}: ${dtype} to float32`);
  const floats = Float32Array.from(data);
  const at = indexOfNotFinite(floats);
  if (at < 0) return floats;
  throw new FormatError(
    `${where}: every value must be finite in float32, ${showValue(name)} has got ${data[at]} at index ${at}`,
  );
}
