// Attention with the products before and behind it: of a sequence to itself, or to another.
import { ATTENTION_FEATURES } from "../engine/constants.js";
import { checkInteger, LARGEST_INT32, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import {
  flag,
  integer,
  joined,
  number,
  type OptionRule,
  optional,
  type ReadOptions,
  readOptions,
} from "../engine/options.js";
import {
  type Constraint,
  constant,
  type Initializer,
  type Regularizer,
  type Shape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { type AttendOptions, type AttentionTask, alibiSlopes, attend } from "../ops/attention.js";
import { shift } from "../ops/elementwise.js";
import { linear, matmul } from "../ops/matmul.js";
import { appendRows, checkTurned, turn } from "../ops/positions.js";
import { reshape } from "../ops/shape.js";
import { slice } from "../ops/slice.js";
import { glorotUniform, zeros } from "./initializers.js";
import type { BuiltLayer, Layer, LayerContext, LayerPlace, LayerState } from "./layer.js";
import { BIAS, parametersOf, readLayerOptions, WEIGHT } from "./options.js";
import { showBatch } from "./ports.js";
import { naming } from "./trial.js";

/** How rotary positions turn: see the operation `rotary`. */
export interface RotaryPositions {
  /** How many features of each head are turned, an even number. Default all. */
  features?: number | undefined;
  /** Default 10000. */
  base?: number;
  /** Whether pairs are features (2i, 2i + 1), and not halves. Default false. */
  interleaved?: boolean;
}

/** What a block of a transformer passes on to its attention. */
export interface AttentionRules {
  /** How many heads the keys and values have, of which each serves as many heads of the queries. Default as many. */
  keyHeads?: number;
  /** Whether a position sees none behind itself. Default false. */
  causal?: boolean;
  /** How far a position sees: those at a distance below this. Default all. */
  window?: number;
  /** Whether queries and keys are turned by their positions (Su et al. 2021). Default false. */
  rotary?: boolean | RotaryPositions;
  /** Whether distances are subtracted from the scores (Press et al. 2022). Default false. */
  alibi?: boolean;
  /**
   * How many positions are kept while predicting: each prediction goes on behind those before it, until `resetState()`. So a
   * sequence can be predicted position by position, with the bits of the whole at once; positions beyond these are NaN.
   * Needs `causal`, and no memory. Default 0: none are.
   */
  cache?: number;
}

export interface MultiHeadAttentionOptions extends AttentionRules {
  /** Names the layer in parameter paths ("attention.weight") and errors. Default: its number. */
  name?: string;
  /** Features of a head's queries and keys. Default those of the input / heads. */
  features?: number;
  /** Features of a head's values. Default `features`. */
  valueFeatures?: number;
  /** Features that come out. Default those of the input. */
  outputFeatures?: number;
  /** What scores are multiplied with. Default 1 / √features. */
  scale?: number;
  /** Share of the weights that become 0 while training. Default 0. */
  dropout?: number;
  /** Whether biases are added, before and behind. Default true. */
  bias?: boolean;
  /** Of all weights. Default `glorotUniform()`. */
  weightInitializer?: Initializer;
  /** Of all biases. Default `zeros()`. */
  biasInitializer?: Initializer;
  /** What each weight adds to the loss. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the bias adds to the loss: `l2(1e-4)`. Default nothing. */
  biasRegularizer?: Regularizer;
  /** What each weight is brought back to after each step. Default nothing. */
  weightConstraint?: Constraint;
  /** What the bias is brought back to after each step: `maxNorm(3)`. Default nothing. */
  biasConstraint?: Constraint;
}

/** What an attention layer takes next to x. */
export interface AttentionInputs {
  readonly [name: string]: Shape;
  readonly memory: Shape;
  readonly value: Shape;
  readonly mask: Shape;
  readonly lengths: Shape;
  readonly bias: Shape;
}

const ROTARY = {
  features: optional(integer(undefined, { min: 2 })),
  base: number(10_000, { min: 1 }),
  interleaved: flag(false),
};

/** What is turned by positions: nothing, all, or what is said. */
const rotaryRule: OptionRule<ReadOptions<typeof ROTARY> | undefined> = (where, name, value) => {
  if (value === undefined || value === false) return undefined;
  if (value === true) return readOptions(where, {}, ROTARY);
  if (kindOf(value) === "Object") return readOptions(`${where}: ${name}`, value as object, ROTARY);
  throw new ModelError(
    `${where}: rotary must be true, false, or an object such as { base: 10000 }, got ${showValue(value)}`,
  );
};

/** The rules of a table of options for `AttentionRules`. */
export const RULES = {
  keyHeads: optional(integer(undefined, { min: 1 })),
  causal: flag(false),
  window: optional(integer(undefined, { min: 1, max: LARGEST_INT32 })),
  rotary: rotaryRule,
  alibi: flag(false),
  cache: integer(0, { min: 0, max: 16_777_216 }), // as float32 counts positions
};

const OPTIONS = joined(WEIGHT, BIAS, RULES, {
  features: optional(integer(undefined, { min: 1 })),
  valueFeatures: optional(integer(undefined, { min: 1 })),
  outputFeatures: optional(integer(undefined, { min: 1 })),
  scale: optional(number()),
  dropout: number(0, { min: 0, max: 1 }),
});

type ForInputs<T> = { readonly x: T } & { readonly [Name in keyof AttentionInputs]?: T | undefined };

type Read = ReadOptions<typeof OPTIONS>;

/** Sizes of all heads together, and of one. */
interface Sizes {
  readonly heads: number;
  readonly keyHeads: number;
  readonly depth: number;
  readonly width: number;
  readonly queryColumns: number;
  readonly keyColumns: number;
  readonly valueColumns: number;
}

/** Queries, keys and values: what they are in, and where. */
interface Projected {
  readonly sources: readonly Tensor[];
  readonly parts: AttentionTask["parts"];
}

/**
 * Multi-head attention (Vaswani et al. 2017): x [batch, positions, features] is made queries, keys and values by one product,
 * each head attends with `features` of them, and one more product brings the heads together. With a `memory` [batch,
 * positions, features], keys and values are made of it: cross-attention (and values of `value`, if that is given too). A
 * `mask` [batch, keys] has 0 for padding, `lengths` (uint32 [batch]) says how many keys there are, a `bias` [batch, (heads,)
 * queries, keys] is added to the scores. PyTorch's and Keras' MultiheadAttention; see docs/layers.md.
 *
 * Parameters: `weight` [features, queries + keys + values] and `bias`; with a memory `queryWeight`, `queryBias`,
 * `memoryWeight` [features, keys + values] and `memoryBias`, with a value `keyWeight` and so on. Then `outputWeight`, `outputBias`.
 *
 * @throws ModelError if the heads do not divide the features, or masks and the like have other shapes than x.
 * @example
 * const model = sequential({ input: [20, 64] }, multiHeadAttention(4, { causal: true }), flatten(), dense(10));
 * @example
 * functional({ input: { x: [20, 64], lengths: [] }, dtype: { lengths: "uint32" } }, ({ x, lengths }, { apply }) =>
 *   apply({ x, lengths }, multiHeadAttention(4)));
 */
export function multiHeadAttention(
  heads: number,
  options: MultiHeadAttentionOptions = {},
): Layer<2, "same", AttentionInputs> {
  checkInteger(KIND, "heads", heads, 1);
  const read = readLayerOptions(KIND, options, OPTIONS);
  const { dropout } = read;
  if (Math.fround(dropout) === 1)
    throw new ModelError(`${KIND}: dropout must be below 1, got 1: nothing would be left`);
  if (read.cache > 0 && !read.causal) {
    throw new ModelError(`${KIND}: a cache needs causal: true, got false: positions would see those that come later`);
  }
  return {
    kind: KIND,
    name: read.name,
    inputNames: ["x", "memory?", "value?", "mask?", "lengths?", "bias?"],
    options: [heads, options],
    build: (place: LayerPlace, given: unknown) => buildAttention(place, given as ForInputs<Shape>, heads, read),
  } as unknown as Layer<2, "same", AttentionInputs>;
}

const KIND = "multiHeadAttention";

function buildAttention(
  { where, path }: LayerPlace,
  shapes: ForInputs<Shape>,
  heads: number,
  read: Read,
): BuiltLayer<never, never, never> {
  const sizes = sizesOf(where, shapes, heads, read);
  const { made, make } = parametersOf({ path }, read);
  const product = (name: string, inputs: number, outputs: number): ((x: Tensor) => Tensor) => {
    const isWhole = name === "";
    const weight = make(isWhole ? "weight" : `${name}Weight`, [inputs, outputs], glorotUniform(), "weight");
    if (!read.bias) return (x) => matmul(x, weight);
    const bias = make(isWhole ? "bias" : `${name}Bias`, [outputs], zeros(), "bias");
    return (x) => linear(x, weight, bias);
  };
  const project = projectionOf(where, shapes, sizes, product);
  const features = read.outputFeatures ?? shapes.x[1];
  const output = product("output", sizes.heads * sizes.width, features);
  const states = read.cache > 0 ? statesOf(path, sizes, read.cache) : undefined;
  const apply = (tensors: ForInputs<Tensor>, context: LayerContext): Tensor => {
    checkLengths(where, tensors, shapes, read);
    const start =
      states === undefined || context.training ? undefined : context.state(states.position, tensors.x.shape[0]);
    const turned = turnParts(project(tensors), sizes, read.rotary, start);
    const { sources, parts } =
      states === undefined || start === undefined ? turned : remember(turned, sizes, states, start, context);
    const rules = rulesOf(read, heads, tensors, context, start);
    return output(attend(sources, { ...sizes, parts }, rules));
  };
  return {
    outputShape: [...shapes.x.slice(0, -1), features],
    parameters: made,
    states: states === undefined ? [] : Object.entries(states).map(([name, state]) => ({ name, state })),
    apply: (tensors: unknown, context: LayerContext) =>
      naming(where, () => apply(tensors as ForInputs<Tensor>, context)),
  } as unknown as BuiltLayer<never, never, never>;
}

function sizesOf(where: string, { x, memory, value }: ForInputs<Shape>, heads: number, read: Read): Sizes {
  for (const [name, shape] of Object.entries({ x, memory, value })) {
    if (shape === undefined || shape.length === 2) continue;
    throw new ModelError(`${where}: ${name} must be [batch, positions, features], got ${showBatch(shape)}`);
  }
  if (value !== undefined && memory === undefined) {
    throw new ModelError(`${where}: a value must come with a memory, got a value alone: keys are made of the memory`);
  }
  const depth = read.features ?? x[1] / heads;
  const { keyHeads = heads, valueFeatures: width = depth } = read;
  if (!Number.isInteger(depth)) {
    throw new ModelError(
      `${where}: heads must divide the ${x[1]} features of x ${showBatch(x)}, got ${heads}: or say how many a head has, as { features: 16 }`,
    );
  }
  if (heads % keyHeads !== 0) {
    throw new ModelError(`${where}: heads must be a multiple of keyHeads, got ${heads} and ${keyHeads}`);
  }
  if (Math.max(depth, width) > ATTENTION_FEATURES) {
    throw new ModelError(
      `${where}: a head must have at most ${ATTENTION_FEATURES} features, got ${Math.max(depth, width)}: take more heads`,
    );
  }
  if (read.cache > 0 && memory !== undefined) {
    throw new ModelError(`${where}: a cache is for attention to x itself, got a memory: leave one of them out`);
  }
  const [queryColumns, keyColumns, valueColumns] = [heads * depth, keyHeads * depth, keyHeads * width];
  return { heads, keyHeads, depth, width, queryColumns, keyColumns, valueColumns };
}

type MakeProduct = (name: string, inputs: number, outputs: number) => (x: Tensor) => Tensor;

/** The products before attention, as few as the inputs allow. */
function projectionOf(
  where: string,
  shapes: ForInputs<Shape>,
  { queryColumns, keyColumns, valueColumns }: Sizes,
  product: MakeProduct,
): (tensors: ForInputs<Tensor>) => Projected {
  const { x, memory, value } = shapes;
  const at = (input: number, column: number) => ({ input, column });
  if (memory === undefined) {
    const all = product("", x[1], queryColumns + keyColumns + valueColumns);
    const parts = [at(0, 0), at(0, queryColumns), at(0, queryColumns + keyColumns)] as const;
    return (tensors) => ({ sources: [all(tensors.x)], parts });
  }
  const queries = product("query", x[1], queryColumns);
  const given = (tensor: Tensor | undefined): Tensor => {
    if (tensor !== undefined) return tensor;
    throw new ModelError(`${where}: it was first applied with a memory and needs one each time, got none`);
  };
  if (value === undefined) {
    const both = product("memory", memory[1], keyColumns + valueColumns);
    const parts = [at(0, 0), at(1, 0), at(1, keyColumns)] as const;
    return (tensors) => ({ sources: [queries(tensors.x), both(given(tensors.memory))], parts });
  }
  const keys = product("key", memory[1], keyColumns);
  const values = product("value", value[1], valueColumns);
  const parts = [at(0, 0), at(1, 0), at(2, 0)] as const;
  return (tensors) => ({
    sources: [queries(tensors.x), keys(given(tensors.memory)), values(given(tensors.value))],
    parts,
  });
}

/** Refuses what the layer was not built for, and masks of other lengths. */
function checkLengths(where: string, tensors: ForInputs<Tensor>, shapes: ForInputs<Shape>, { cache }: Read): void {
  const { x, memory, value, mask } = tensors;
  for (const name of ["memory", "value"] as const) {
    if ((tensors[name] === undefined) === (shapes[name] === undefined)) continue;
    const [was, is] = tensors[name] === undefined ? ["with", "without"] : ["without", "with"];
    throw new ModelError(
      `${where}: it was first applied ${was} a ${name}, which its parameters are for, got x ${is} one: use another layer`,
    );
  }
  const keys = (memory ?? x).shape[1];
  if (value !== undefined && value.shape[1] !== keys) {
    throw new ModelError(`${where}: value must have the ${keys} positions of the memory, got ${value.shape[1]}`);
  }
  if (mask !== undefined && (mask.shape.length !== 2 || mask.shape[1] !== keys || mask.shape[0] !== x.shape[0])) {
    throw new ModelError(
      `${where}: mask must be ${showShape([x.shape[0], keys])}, a number for each key, got ${showShape(mask.shape)}`,
    );
  }
  if (cache > 0 && x.shape[1] > cache) {
    throw new ModelError(
      `${where}: x must have at most the ${cache} positions that the cache keeps, got ${x.shape[1]}`,
    );
  }
  if (cache > 0 && (mask ?? tensors.lengths ?? tensors.bias) !== undefined) {
    throw new ModelError(`${where}: with a cache there must be no mask, lengths or bias, got one: leave it out`);
  }
}

/** Rotary positions of queries and keys. */
function turnParts(
  { sources, parts }: Projected,
  { depth, queryColumns, keyColumns }: Sizes,
  turning: ReadOptions<typeof ROTARY> | undefined,
  start: Tensor | undefined,
): Projected {
  if (turning === undefined) return { sources, parts };
  const { features = depth, base, interleaved } = turning;
  checkTurned("rotary", features, depth);
  const turned = (x: Tensor, columns: number): Tensor =>
    turn(x, { columns, depth, features, base, interleaved, direction: 1 }, start);
  if (sources.length === 1) return { sources: [turned(sources[0], queryColumns + keyColumns)], parts };
  const [q, k, ...rest] = sources;
  return { sources: [turned(q, queryColumns), turned(k, keyColumns), ...rest], parts };
}

/** What is kept while predicting. */
interface CacheStates {
  /** How many positions there have been. */
  readonly position: LayerState;
  /** Keys and values, side by side. */
  readonly cache: LayerState;
}

function statesOf(path: string, { keyColumns, valueColumns }: Sizes, capacity: number): CacheStates {
  return {
    position: { name: `${path}.position`, shape: [1], predictsOnly: true },
    cache: { name: `${path}.cache`, shape: [capacity, keyColumns + valueColumns], predictsOnly: true },
  };
}

/** Keys and values of all positions so far: the new ones are written behind those that are there. */
function remember(
  { sources: [all] }: Projected,
  { queryColumns, keyColumns, valueColumns }: Sizes,
  { position, cache }: CacheStates,
  start: Tensor,
  context: LayerContext,
): Projected {
  const [batch, count] = all.shape;
  const columns = queryColumns + keyColumns + valueColumns;
  const before = context.state(cache, batch);
  const kept = appendRows(before, slice(all, [0, 0, queryColumns], [batch, count, columns]), start);
  context.update(before, kept);
  context.update(context.state(position, batch), shift(start, count));
  return {
    sources: [all, kept],
    parts: [
      { input: 0, column: 0 },
      { input: 1, column: 0 },
      { input: 1, column: keyColumns },
    ],
  };
}

function rulesOf(
  { causal, window, scale, alibi, dropout: rate }: Read,
  heads: number,
  { mask, lengths, bias }: ForInputs<Tensor>,
  { training, clock, seed, stream }: LayerContext,
  start: Tensor | undefined,
): AttendOptions {
  const [batch, queries, keys] = bias?.shape ?? [];
  return {
    causal,
    window,
    scale,
    mask,
    lengths,
    bias: bias?.shape.length === 3 ? reshape(bias, [batch, 1, queries, keys]) : bias,
    slopes: alibi ? constant(Float32Array.from(alibiSlopes(heads))) : undefined,
    start,
    dropout: training && rate > 0 ? { rate, clock, seed: [...seed], stream: stream() } : undefined,
  };
}
