// Which tensors of PyTorch a model's parameters are: names and layouts, by layer.
import { ModelError, showValue } from "../engine/errors.js";
import { type Shape, showShape, sizeOf } from "../graph/tensor.js";
import type { AppliedLayer } from "../nn/layer.js";
import { checkModel } from "../nn/model.js";
import { isShape } from "../nn/ports.js";
import type { WeightHolder } from "./weights.js";

/** A parameter, or some rows of it, with its axes in PyTorch's order: a part of the rows of a tensor of PyTorch. */
export interface Piece {
  readonly path: string;
  /** Axis i of PyTorch's is axis `axes[i]` of ours. */
  readonly axes: readonly number[];
  /** Of the parameter. */
  readonly shape: Shape;
  /** Of its rows in PyTorch's order: [from, to]. Absent: all. */
  readonly rows?: readonly [number, number] | undefined;
  /** If its first axis is a flattened image [height, width, channels]: that shape. PyTorch's has the channels first. */
  readonly image?: Shape | undefined;
}

/** A tensor of PyTorch. */
export interface PyTorchTensor {
  readonly name: string;
  /** One below the other. None: PyTorch has it, and we have not. */
  readonly pieces: readonly Piece[];
  /** A second bias, which is added to this parameter: zeros on the way out. */
  readonly addedTo?: Piece | undefined;
  /** How many batches there have been, which is one whole number in PyTorch. Ours has the path, if it counts. */
  readonly count?: { readonly path: string | undefined } | undefined;
}

type Names = ReadonlyMap<string, Shape>;

/** A layer of a walk, as the functions that make its entries take it. */
interface Place {
  readonly where: string;
  readonly kind: string;
  /** Of its parameters here, as of all parameters in PyTorch. */
  readonly prefix: string;
  readonly theirs: string;
  readonly ours: Names;
  /** The image that it is applied to. */
  readonly image: Shape | undefined;
  /** The image that its features are, flattened. */
  readonly flattened: Shape | undefined;
  readonly seen: Seen;
}

/** What an entry is made of, before it has a path: PyTorch's name, our name, and the order of axes by their number. */
type Rule = readonly [theirs: string, ours: string, order?: (rank: number) => readonly number[]];

export const same = (rank: number): readonly number[] => Array.from({ length: rank }, (_, axis) => axis);
const turned = (rank: number): readonly number[] => [...same(rank)].reverse();
/** [...window, in, out] as [out, in, ...window]: convolutions; of transposed ones [...window, out, in] as [in, out, ...window]. */
const channelsFirst = (rank: number): readonly number[] => [rank - 1, rank - 2, ...same(rank - 2)];
/** [..., last] as [last, ...]. */
const lastFirst = (rank: number): readonly number[] => [rank - 1, ...same(rank - 1)];

const AFFINE: readonly Rule[] = [
  ["weight", "weight"],
  ["bias", "bias"],
];
const STATISTICS: readonly Rule[] = [...AFFINE, ["running_mean", "runningMean"], ["running_var", "runningVariance"]];
const CONVOLUTION: readonly Rule[] = [
  ["weight", "weight", channelsFirst],
  ["bias", "bias"],
];

/** By kind. What is neither here nor in `MAPS` and has parameters is refused. */
const RULES: Readonly<Record<string, readonly Rule[]>> = {
  dense: [
    ["weight", "weight", turned],
    ["bias", "bias"],
  ],
  bilinear: [
    ["weight", "weight", lastFirst],
    ["bias", "bias"],
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
  learnedPositions: AFFINE,
};

const MAPS: Readonly<Record<string, (place: Place) => PyTorchTensor[]>> = {
  lstm: recurrentEntries,
  gru: recurrentEntries,
  simpleRnn: recurrentEntries,
  multiHeadAttention: attentionEntries,
  prelu: slopeEntries,
};

/** Layers within layers that PyTorch calls otherwise. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  transformerEncoder: { attention: "self_attn", hidden: "linear1", output: "linear2" },
  transformerDecoder: {
    ...{ attention: "self_attn", crossAttention: "multihead_attn", hidden: "linear1", output: "linear2" },
  },
};

/** Layers before which, and after which, PyTorch has the channels first. */
const IMAGE =
  /^(?:conv|depthwiseConv|separableConv|max|average|adaptive|lpPool|upsample|resize|pixel|zeroPad|crop|instanceNorm|spatialDropout)/;
/** Layers behind which the last axis is no image's channels: those of features or of a sequence, and new shapes. */
const LEAVING =
  /^(?:dense|bilinear|flatten|reshape|permute|repeatVector|oneHot|global|embedding|lstm|gru|simpleRnn|multiHead|transformer|learnedPos|sinusoidal)/;
/** Whose parameters have a number for each feature, also of a flattened image. */
const BY_FEATURE = /^(?:batchNorm|layerNorm|rmsNorm|prelu)$/;
/** Layers of layers that are applied one after the other. */
const CHAINS = ["sequential", "residual"];

function pieceOf(prefix: string, name: string, shape: Shape, order = same, image?: Shape): Piece {
  return { path: `${prefix}${name}`, axes: order(shape.length), shape, image };
}

/** The error for a parameter that PyTorch's layer has not. */
function strange({ where, kind }: Place, name: string): ModelError {
  return new ModelError(
    `${where}: ${kind} must have the parameters of PyTorch's, got ${showValue(name)}: leave out the option that makes it`,
  );
}

/** By the rules of its kind. Throws ModelError if there is none for a parameter. */
function ruledEntries(place: Place): PyTorchTensor[] {
  const { kind, prefix, theirs, ours, flattened } = place;
  const entries: PyTorchTensor[] = [];
  for (const [name, shape] of ours) {
    if (name === "batchCount") continue;
    const rule = RULES[kind].find(([, own]) => own === name);
    if (rule === undefined) throw strange(place, name);
    const isByRow = shape.length === (kind === "dense" ? 2 : 1) && (kind === "dense" || BY_FEATURE.test(kind));
    if (isByRow) checkRows(place, shape[0]);
    const isFlattened = isByRow && flattened !== undefined && shape[0] === sizeOf(flattened);
    const piece = pieceOf(prefix, name, shape, orderOf(place, shape, rule[2]), isFlattened ? flattened : undefined);
    entries.push({ name: `${theirs}${rule[0]}`, pieces: [piece] });
  }
  if (ours.has("runningMean")) {
    const path = ours.has("batchCount") ? `${prefix}batchCount` : undefined;
    entries.push({ name: `${theirs}num_batches_tracked`, pieces: [], count: { path } });
  }
  return entries;
}

/** Weights of a normalization of several axes of an image begin with its channels, too. */
function orderOf({ where, kind, image }: Place, shape: Shape, order: Rule[2]): Rule[2] {
  if (order !== undefined || image === undefined || !kind.endsWith("Norm") || shape.length === 1) return order;
  if (shape.length === image.length) return lastFirst;
  throw new ModelError(
    `${where}: ${kind} of an image must be over its channels or the whole, got weights ${showShape(shape)}: PyTorch has the channels before them`,
  );
}

/** Refuses what may be behind a flattened image in a function, where it is not known what a layer is applied to. */
function checkRows({ where, prefix, flattened, seen, kind }: Place, rows: number): void {
  if (flattened !== undefined || !seen.flattened.has(rows)) return;
  throw new ModelError(
    `${where}: a ${kind} layer behind a flattened image must be in a chain, got ${showValue(prefix.slice(0, -1))} of a function: make these layers, from the image on, a sequential() of their own`,
  );
}

/** PyTorch has one slope, or one for each channel. */
function slopeEntries(place: Place): PyTorchTensor[] {
  const { where, prefix, theirs, ours, flattened } = place;
  const shape = ours.get("weight") ?? [];
  if (shape.slice(0, -1).some((size) => size !== 1)) {
    throw new ModelError(
      `${where}: prelu must have one slope, or one for each channel, got ${showShape(shape)}: PyTorch has no others`,
    );
  }
  const [size] = shape.slice(-1);
  checkRows(place, size);
  const image = flattened !== undefined && size === sizeOf(flattened) ? flattened : undefined;
  const piece: Piece = { path: `${prefix}weight`, axes: [0], shape: [size], image };
  return [{ name: `${theirs}weight`, pieces: [piece] }];
}

const RECURRENT_NAMES: readonly Rule[] = [
  ["weight_ih", "weight", turned],
  ["weight_hh", "recurrentWeight", turned],
  ["bias_ih", "bias"],
  ["bias_hh", "recurrentBias"],
  ["weight_hr", "projection", turned],
];

/** Our "1.backward.weight" is `weight_ih_l1_reverse`. */
function recurrentEntries(place: Place): PyTorchTensor[] {
  const { where, kind, prefix, theirs, ours } = place;
  const entries: PyTorchTensor[] = [];
  for (const [name, shape] of ours) {
    const [, layer = "0", way, part] = /^(?:(\d+)\.)?(?:(forward|backward)\.)?(\w+)$/.exec(name) ?? [];
    const rule = RECURRENT_NAMES.find(([, own]) => own === part);
    if (rule === undefined) throw strange(place, name);
    const [name_, , order] = rule;
    const end = `_l${layer}${way === "backward" ? "_reverse" : ""}`;
    const piece = pieceOf(prefix, name, shape, order);
    entries.push({ name: `${theirs}${name_}${end}`, pieces: [piece] });
    if (part !== "bias" || ours.has(name.replace(/bias$/, "recurrentBias"))) continue;
    if (kind === "gru") {
      throw new ModelError(
        `${where}: the reset of a gru must be "after" the product, got ${showValue(name)} without a recurrentBias: PyTorch has no reset "before"`,
      );
    }
    entries.push({ name: `${theirs}bias_hh${end}`, pieces: [], addedTo: piece });
  }
  return entries;
}

/** The products that each weight of attention is for. */
const PRODUCTS: Readonly<Record<string, readonly ("q" | "k" | "v")[]>> = {
  "": ["q", "k", "v"],
  query: ["q"],
  memory: ["k", "v"],
  key: ["k"],
  value: ["v"],
};

/**
 * PyTorch has the three products before attention one below the other in `in_proj_weight`, if what they are made of has as many
 * features; else each by itself.
 */
function attentionEntries(place: Place): PyTorchTensor[] {
  const { where, prefix, theirs, ours } = place;
  const named = (name: string, what: string) =>
    name === "" ? what : `${name}${what[0].toUpperCase()}${what.slice(1)}`;
  const products = Object.keys(PRODUCTS).filter((name) => ours.has(named(name, "weight")));
  const shapeOf = (name: string): Shape => ours.get(named(name, "weight")) ?? [];
  const [features] = shapeOf(products[0]);
  const fits = products.every((name) => shapeOf(name)[1] === features * PRODUCTS[name].length);
  if (!fits || ours.get("outputWeight")?.join() !== `${features},${features}`) {
    const shapes = [...products, "output"].map(
      (name) => `${named(name, "weight")} ${showShape(ours.get(named(name, "weight")) ?? [])}`,
    );
    throw new ModelError(
      `${where}: the heads of multiHeadAttention must together have the features of x for queries, keys, values and output, as PyTorch's, got ${shapes.join(", ")}: leave out keyHeads, features, valueFeatures and outputFeatures`,
    );
  }
  const biases = products.filter((name) => ours.has(named(name, "bias")));
  const whole =
    (what: string, order = same) =>
    (name: string) => {
      const own = named(name, what);
      return pieceOf(prefix, own, ours.get(own) ?? [], order);
    };
  const weights = products.map(whole("weight", turned));
  const isOne = products.every((name) => shapeOf(name)[0] === features);
  const entries: PyTorchTensor[] = isOne
    ? [{ name: `${theirs}in_proj_weight`, pieces: weights }]
    : products.flatMap((name, index) =>
        PRODUCTS[name].map((part, at) => ({
          name: `${theirs}${part}_proj_weight`,
          pieces: [{ ...weights[index], rows: [at * features, (at + 1) * features] as const }],
        })),
      );
  if (biases.length > 0) entries.push({ name: `${theirs}in_proj_bias`, pieces: biases.map(whole("bias")) });
  return [...entries, ...outputEntries(place)];
}

const outputEntries = ({ prefix, theirs, ours }: Place): PyTorchTensor[] =>
  (["weight", "bias"] as const).flatMap((what) => {
    const own = what === "weight" ? "outputWeight" : "outputBias";
    const shape = ours.get(own);
    const order = what === "weight" ? turned : same;
    return shape === undefined
      ? []
      : [{ name: `${theirs}out_proj.${what}`, pieces: [pieceOf(prefix, own, shape, order)] }];
  });

/** What the layers of a chain pass on. */
interface Chain {
  /** The image here, which PyTorch has with the channels first. In a function it is not known. */
  image: Shape | undefined | "unknown";
  /** The image that the features were, before they were flattened. */
  flattened: Shape | undefined;
}

/** Sizes of images in the whole model, and of those that were flattened where it is not known what. */
interface Seen {
  readonly images: Set<number>;
  readonly flattened: Set<number>;
}

interface Walk {
  readonly where: string;
  readonly prefix: string;
  readonly theirs: string;
  readonly renamed: Readonly<Record<string, string>>;
  readonly seen: Seen;
  /** Absent in functions, where a layer may be applied to anything. */
  readonly chain: Chain | undefined;
}

const unknown = (): Chain => ({ image: "unknown", flattened: undefined });

/** Every tensor of PyTorch for a list of layers. */
function entriesOfLayers(layers: readonly AppliedLayer[], walk: Walk): PyTorchTensor[] {
  return layers.flatMap((layer) => {
    const { kind, path, parts } = layer;
    const chain = walk.chain ?? unknown();
    const place: Place = {
      where: walk.where,
      kind,
      prefix: `${walk.prefix}${path}.`,
      theirs: `${walk.theirs}${walk.renamed[path] ?? path}.`,
      ours: new Map(layer.parameters.map(({ name, tensor }) => [name, tensor.shape])),
      image: chain.image === "unknown" ? undefined : chain.image,
      flattened: chain.flattened,
      seen: walk.seen,
    };
    if (parts === undefined || isMapped(kind)) {
      const entries = ownEntries(place, path);
      pass(chain, layer, walk.seen);
      return entries;
    }
    const { kind: model = kind } = parts as { readonly kind?: string };
    const isChain = CHAINS.includes(model);
    const { where, seen } = walk;
    const renamed = RENAMED[kind] ?? {};
    const inner = {
      where,
      seen,
      prefix: place.prefix,
      theirs: place.theirs,
      renamed,
      chain: isChain ? chain : undefined,
    };
    const entries = entriesOfLayers(parts.layers, inner);
    if (!isChain) pass(chain, layer, seen);
    return entries;
  });
}

/** Layers whose parameters are their own; those of others are of the layers within. */
const isMapped = (kind: string): boolean =>
  Object.hasOwn(RULES, kind) || Object.hasOwn(MAPS, kind) || kind === "convLstm2d";

function ownEntries(place: Place, path: string): PyTorchTensor[] {
  const { where, kind, ours } = place;
  if (ours.size === 0) return [];
  if (Object.hasOwn(RULES, kind)) return ruledEntries(place);
  if (Object.hasOwn(MAPS, kind)) return MAPS[kind](place);
  throw new ModelError(
    `${where}: the layer must be one that PyTorch has under this map, got ${kind} ${showValue(path)}: see docs/files.md`,
  );
}

/** Notes what the next layer of a chain is applied to. */
function pass(chain: Chain, { kind, outputShape }: AppliedLayer, seen: Seen): void {
  const shape = isShape(outputShape) ? (outputShape as Shape) : [];
  if (kind === "flatten") {
    if (chain.image === "unknown" && seen.images.has(sizeOf(shape))) seen.flattened.add(sizeOf(shape));
    chain.flattened = chain.image === "unknown" ? undefined : chain.image;
    chain.image = undefined;
  } else if (LEAVING.test(kind)) {
    chain.image = undefined;
    chain.flattened = undefined;
  } else if (shape.length > 1) {
    if (IMAGE.test(kind) || Array.isArray(chain.image)) chain.image = shape;
    const isImage = Array.isArray(chain.image) || shape.length > 2;
    // Of one pixel, the order is the same.
    if (isImage && sizeOf(shape) > (shape.at(-1) ?? 1)) seen.images.add(sizeOf(shape));
  }
}

/** All tensors of PyTorch for a model. What a function made itself has the same name and layout there. */
export function entriesOfModel(where: string, trainer: WeightHolder): PyTorchTensor[] {
  const model = checkModel(where, trainer.model);
  const chain: Chain | undefined = model.kind === "functional" ? undefined : { image: undefined, flattened: undefined };
  const seen: Seen = { images: new Set(), flattened: new Set() };
  const entries = entriesOfLayers(model.layers, { where, prefix: "", theirs: "", renamed: {}, chain, seen });
  const known = new Set(
    entries.flatMap(({ pieces, addedTo, count }) => [...pieces.map(({ path }) => path), addedTo?.path, count?.path]),
  );
  const own = [...model.parameters].filter(([path]) => !known.has(path));
  return [...entries, ...own.map(([name, { shape }]) => ({ name, pieces: [pieceOf("", name, shape)] }))];
}
