// Scaled dot-product attention as one operation: see assembly/kernels/attention.ts. Heads are next to each other in the last
// axis, so nothing is transposed; queries, keys and values may be parts of one tensor, as one product gives them.
import {
  ATTENTION_BLOCK,
  ATTENTION_FEATURES,
  ATTENTION_PARTS_ALL,
  ATTENTION_PARTS_KEYS,
  ATTENTION_PARTS_QUERIES,
  ATTENTION_WIDE,
  ATTENTION_WIDE_BLOCK,
} from "../engine/constants.js";
import { checkInteger, checkNumber, LARGEST_INT32, ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { flag, integer, number, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { backpropagate } from "../graph/backward.js";
import { apply, applyAll, type BackwardContext, type Operation, type Placement } from "../graph/operation.js";
import { checkTensor, constant, type Shape, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { greater, less, notEqual, where } from "./comparison.js";
import { gradientByDecomposition } from "./decomposition.js";
import { CLOCK, checkRandom, type RandomOptions, SEED, STREAM } from "./dropout.js";
import { add, mul, scale, sub } from "./elementwise.js";
import { gradientRules } from "./gradient.js";
import { matmul } from "./matmul.js";
import { cast } from "./rounding.js";
import { broadcastTo, expandDims, reshape, transpose } from "./shape.js";
import { slice } from "./slice.js";
import { softmax } from "./softmax.js";

export interface AttentionOptions {
  /** How many heads the queries have, next to each other in the last axis. Default 1. */
  heads?: number;
  /** How many heads the keys and values have, each for as many heads of the queries. Default as many. */
  keyHeads?: number;
  /** What scores are multiplied with. Default 1 / √features of a head. */
  scale?: number;
  /** Whether a query sees no keys behind its own position. Default false. */
  causal?: boolean;
  /** How far a query sees: keys at a distance below this, before it (and behind it, if it is not causal). Default all. */
  window?: number;
  /** float32 [batch, keys]: a key with 0 is padding, and hidden. Default none is. */
  mask?: Tensor;
  /** uint32 [batch]: how many keys there are, the first ones. Default all. */
  lengths?: Tensor;
  /**
   * float32 that is added to the scores, [queries, keys] or [batch or 1, heads or 1, queries, keys]; -Infinity hides. It gets
   * no gradient. Default none.
   */
  bias?: Tensor;
  /** float32 [heads]: slopes · distance is subtracted from the scores (ALiBi): see `alibiSlopes`. Default none. */
  slopes?: Tensor;
  /** float32 [batch, 1]: the position of the first query, for those that go on behind keys that are there. Default 0. */
  start?: Tensor;
  /** Share of the weights that become 0 in training, with its random numbers. Default none. */
  dropout?: RandomOptions & { rate: number };
}

const OPTIONS = {
  heads: integer(1, { min: 1 }),
  keyHeads: optional(integer(undefined, { min: 1 })),
  scale: optional(number()),
  causal: flag(false),
  window: optional(integer(undefined, { min: 1, max: LARGEST_INT32 })),
  mask: unchecked<Tensor | undefined>(),
  lengths: unchecked<Tensor | undefined>(),
  bias: unchecked<Tensor | undefined>(),
  slopes: unchecked<Tensor | undefined>(),
  start: unchecked<Tensor | undefined>(),
  dropout: unchecked<AttentionOptions["dropout"]>(),
} satisfies OptionsOf<AttentionOptions>;

/** What is left when heads are counted. */
export type AttendOptions = {
  readonly [Name in Exclude<keyof AttentionOptions, "heads" | "keyHeads">]?: AttentionOptions[Name] | undefined;
};

/** Where queries, keys or values are: in which input, and from which column on. */
interface Part {
  readonly input: number;
  readonly column: number;
}

/** Inputs next to the parts, in the order in which kernels take them. */
const EXTRAS = ["mask", "lengths", "bias", "slopes", "start", "clock"] as const;
type Extra = (typeof EXTRAS)[number];

/** What is asked for; sizes are those of one head. */
export interface AttentionTask {
  readonly heads: number;
  readonly keyHeads: number;
  /** Features of queries and keys, and of values. */
  readonly depth: number;
  readonly width: number;
  readonly scale: number;
  readonly causal: boolean;
  /** 0: none. */
  readonly window: number;
  readonly rate: number;
  readonly seed: readonly [number, number];
  readonly stream: number;
  /** How many inputs the parts are in, the first ones. */
  readonly sources: number;
  readonly parts: readonly [q: Part, k: Part, v: Part];
  /** Which input each extra one is. */
  readonly extras: Readonly<Partial<Record<Extra, number>>>;
}

// A head with so few units on its own is shared out by blocks.
const FEW_UNITS = 8;

function blockOf({ depth, width }: AttentionTask): number {
  return Math.max(depth, width) > ATTENTION_WIDE ? ATTENTION_WIDE_BLOCK : ATTENTION_BLOCK;
}

/** Sizes of the batch and of both sequences. */
function sizesOf(task: AttentionTask, inputs: readonly Tensor[]): { batch: number; queries: number; keys: number } {
  const [batch, queries] = inputs[task.parts[0].input].shape;
  return { batch, queries, keys: inputs[task.parts[1].input].shape[1] };
}

/** The parameters that forward and backward kernels share, but for scale and rate. */
function parametersOf(task: AttentionTask, inputs: readonly Tensor[], from: readonly number[]) {
  const { heads, keyHeads, depth, width, extras, parts } = task;
  const { queries, keys } = sizesOf(task, inputs);
  const addressOf = (part: Part) => from[part.input] + part.column * 4;
  const stepOf = (part: Part) => inputs[part.input].shape[2];
  const [q, k, v] = parts;
  const [mask, lengths, bias, slopes, start, clock] = EXTRAS.map((name) => {
    const index = extras[name];
    return index === undefined ? 0 : from[index];
  });
  const biasShape = extras.bias === undefined ? [1, 1] : inputs[extras.bias].shape;
  const [biasBatches, biasHeads] = biasShape.length === 4 ? biasShape : [1, 1];
  const biasHead = biasHeads === 1 ? 0 : queries * keys;
  const biasBatch = biasBatches === 1 ? 0 : biasHeads * queries * keys;
  return {
    addresses: [addressOf(q), addressOf(k), addressOf(v), mask, lengths, bias, slopes, start, clock] as const,
    sizes: [heads, keyHeads, queries, keys, depth, width, stepOf(q), stepOf(k), stepOf(v)] as const,
    rules: [Number(task.causal), task.window, biasBatch, biasHead, ...task.seed, task.stream] as const,
  };
}

/** Multiply-adds of the two products, and the exponentials. */
function costOf(task: AttentionTask, inputs: readonly Tensor[]): number {
  const { batch, queries, keys } = sizesOf(task, inputs);
  const seen = Math.min(keys, task.window === 0 ? keys : task.window);
  return batch * task.heads * queries * seen * ((task.depth + task.width) * 0.3 + 4);
}

export const attentionOp: Operation<AttentionTask> = {
  name: "attention",
  required: () => 1,
  clocks: ({ extras: { clock } }) => (clock === undefined ? [] : [clock]),
  infer(inputs, task) {
    const { batch, queries } = sizesOf(task, inputs);
    return [{ shape: [batch, queries, task.heads * task.width] }, { shape: [batch, task.heads, queries] }];
  },
  forward(record, { attributes: task, inputs, from, to }) {
    const { batch, queries } = sizesOf(task, inputs);
    const { addresses, sizes, rules } = parametersOf(task, inputs, from);
    const units = batch * task.heads * Math.ceil(queries / blockOf(task));
    const work = rows(units, costOf(task, inputs));
    record.attention(work, to[0], to[1], ...addresses, ...sizes, ...rules, task.scale, task.rate);
  },
  backward: (context) => attentionGradients(context),
  ofNothing: 0,
};

function attentionGradients(context: BackwardContext<AttentionTask>): (Tensor | undefined)[] {
  const { attributes: task, gradient, inputs, outputs, needs, hasGradient } = context;
  if (hasGradient(outputs[1])) {
    throw new ModelError("attention: the logarithms of its sums have no gradient: use its result alone");
  }
  for (const name of ["bias", "slopes"] as const) {
    const index = task.extras[name];
    if (index === undefined || !needs[index]) continue;
    throw new ModelError(
      `attention: ${name} gets no gradient, but one is asked for with respect to ${inputs[index].name}: stopGradient() it, or calculate the scores by matmul() and softmax()`,
    );
  }
  const gradients = applyAll(attentionGradientOp, [...inputs, gradient, ...outputs], task);
  return inputs.map((_, index) => (index < task.sources && needs[index] ? gradients[index] : undefined));
}

/** Inputs: those of the attention, then the gradient of its result, and its two outputs. Gives the gradients of the sources. */
export const attentionGradientOp: Operation<AttentionTask> = {
  name: "attentionGradient",
  clocks: ({ extras: { clock } }) => (clock === undefined ? [] : [clock]),
  infer: (inputs, { sources }) => inputs.slice(0, sources).map(({ shape }) => ({ shape })),
  forward: recordGradients,
  // Made when it is asked for: a bundler would keep what is called when the module loads.
  backward: (context) => gradientByDecomposition(composedGradients)(context),
};

/** The same as `attentionGradientOp`. The result and the sums are inputs too, but are calculated again from the sources here. */
function composedGradients(inputs: readonly Tensor[], task: AttentionTask): Tensor[] {
  const sources = inputs.slice(0, task.sources);
  const dy = inputs[inputs.length - 3];
  const found = backpropagate(new Map([[composed(inputs, task), dy]]), sources, gradientRules);
  return found.map((gradient, index) => gradient ?? gradientRules.full(sources[index].shape, 0));
}

/** The same as `attentionOp`, made of other operations and of the matrix of scores. */
function composed(inputs: readonly Tensor[], task: AttentionTask): Tensor {
  const { heads, keyHeads, depth, width, scale: factor, extras, parts } = task;
  if (extras.start !== undefined || extras.clock !== undefined) {
    throw new ModelError(
      "attention: a gradient of a gradient must be taken without start and dropout: leave them out, or use matmul() and softmax()",
    );
  }
  const { batch, queries, keys } = sizesOf(task, inputs);
  const headsOf = ({ input, column }: Part, positions: number, count: number, features: number): Tensor => {
    const x = slice(inputs[input], [0, 0, column], [batch, positions, column + count * features]);
    const split = transpose(reshape(x, [batch, positions, count, features]), [0, 2, 1, 3]);
    if (count === heads) return split;
    const wide = broadcastTo(expandDims(split, 2), [batch, count, heads / count, positions, features]);
    return reshape(wide, [batch, heads, positions, features]);
  };
  const [q, k, v] = [
    headsOf(parts[0], queries, heads, depth),
    headsOf(parts[1], keys, keyHeads, depth),
    headsOf(parts[2], keys, keyHeads, width),
  ];
  let scores = scale(matmul(q, k, { transposeB: true }), factor);
  const distances = Float32Array.from({ length: queries * keys }, (_, at) => Math.floor(at / keys) - (at % keys));
  const far = distances.map(Math.abs);
  if (extras.slopes !== undefined) {
    scores = sub(scores, mul(reshape(inputs[extras.slopes], [heads, 1, 1]), constant(far, [queries, keys])));
  }
  if (extras.bias !== undefined) scores = add(scores, inputs[extras.bias]);
  const isNear = distances.map((distance, at) =>
    Number(!(task.causal && distance < 0) && !(task.window !== 0 && far[at] >= task.window)),
  );
  let visible = broadcastTo(constant(isNear, [queries, keys]), [batch, heads, queries, keys]);
  if (extras.mask !== undefined) visible = mul(visible, reshape(notEqual(inputs[extras.mask], 0), [batch, 1, 1, keys]));
  if (extras.lengths !== undefined) {
    const counts = reshape(cast(inputs[extras.lengths], "float32"), [batch, 1, 1, 1]);
    visible = mul(visible, less(constant(Float32Array.from({ length: keys }, (_, j) => j)), counts));
  }
  visible = mul(visible, greater(scores, constant(-Infinity)));
  const weights = mul(softmax(where(visible, scores, constant(-1e30))), visible);
  return reshape(transpose(matmul(weights, v), [0, 2, 1, 3]), [batch, queries, heads * width]);
}

function recordGradients(
  record: Parameters<NonNullable<Operation<AttentionTask>["forward"]>>[0],
  { attributes: task, inputs, from, to }: Placement<AttentionTask>,
): void {
  const { batch, queries, keys } = sizesOf(task, inputs);
  const { addresses, sizes, rules } = parametersOf(task, inputs, from);
  const [dq, dk, dv] = task.parts.map(({ input, column }) => to[input] + column * 4);
  const [dy, y, logSums] = from.slice(inputs.length - 3);
  const block = blockOf(task);
  const owners = batch * task.keyHeads;
  const recordPart = (units: number, share: number, which: number): void => {
    const work = rows(units, costOf(task, inputs) * share);
    record.attentionGradient(
      work,
      ...([dq, dk, dv, dy, y, logSums] as const),
      ...addresses,
      ...sizes,
      ...rules,
      which,
      task.scale,
      task.rate,
    );
  };
  if (owners >= FEW_UNITS || Math.max(queries, keys) <= block) recordPart(owners, 2.5, ATTENTION_PARTS_ALL);
  else {
    recordPart(owners * Math.ceil(keys / block), 2, ATTENTION_PARTS_KEYS);
    recordPart(batch * task.heads * Math.ceil(queries / block), 1.5, ATTENTION_PARTS_QUERIES);
  }
}

/**
 * Scaled dot-product attention (Vaswani et al. 2017): each query gets the mean of the values, weighted by the softmax over
 * the keys of query · key · scale, for each head. Scores are computed in blocks, forward and again backward, and never
 * stored as a whole (Dao et al. 2022), so memory grows linearly with the sequences. PyTorch's
 * `scaled_dot_product_attention`, but heads are next to each other in the last axis. A query that sees no key gives zeros,
 * and no gradient. For gradients of gradients use matmul() and softmax().
 *
 * @param q float32 [batch, queries, heads · features].
 * @param k float32 [batch, keys, keyHeads · features].
 * @param v float32 [batch, keys, keyHeads · width]; the result is [batch, queries, heads · width].
 * @throws ModelError if shapes do not fit, or a head has more than 256 features.
 * @example
 * const q = input([8, 20, 64]);
 * attention(q, q, q, { heads: 4, causal: true }); // [8, 20, 64]
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const read = readOptions("attention", options, OPTIONS);
  const { heads, keyHeads = heads } = read;
  checkFloat("attention", q, k, v);
  for (const [name, { shape }] of Object.entries({ q, k, v })) {
    if (shape.length === 3) continue;
    throw new ModelError(`attention: ${name} must be [batch, positions, heads · features], got ${showShape(shape)}`);
  }
  const depth = featuresOf("q", q.shape, heads);
  if (k.shape[2] !== depth * keyHeads || k.shape[0] !== q.shape[0]) {
    throw new ModelError(
      `attention: k must be ${showShape([q.shape[0], "keys", depth * keyHeads])} for q ${showShape(q.shape)} of ${heads} heads, got ${showShape(k.shape)}`,
    );
  }
  if (!sameShape(v.shape.slice(0, 2), k.shape.slice(0, 2))) {
    throw new ModelError(
      `attention: v must be ${showShape([...k.shape.slice(0, 2), "features"])}, as many positions as k, got ${showShape(v.shape)}`,
    );
  }
  const width = featuresOf("v", v.shape, keyHeads);
  const partOf = (input: number): Part => ({ input, column: 0 });
  return attend([q, k, v], { heads, keyHeads, depth, width, parts: [partOf(0), partOf(1), partOf(2)] }, read);
}

/** `attention` of queries, keys and values that are parts of the sources, as one product gives them. Shapes are the caller's. */
export function attend(
  sources: readonly Tensor[],
  sizes: Pick<AttentionTask, "heads" | "keyHeads" | "depth" | "width" | "parts">,
  options: AttendOptions,
): Tensor {
  const { heads, keyHeads, depth } = sizes;
  if (heads % keyHeads !== 0) {
    throw new ModelError(`attention: heads must be a multiple of keyHeads, got ${heads} and ${keyHeads}`);
  }
  const { dropout } = options;
  if (dropout !== undefined) checkDropout(dropout);
  const clock = dropout === undefined || dropout.rate === 0 ? undefined : dropout.clock;
  const inputs = [...sources];
  const extras: Partial<Record<Extra, number>> = {};
  checkExtras(sizes, sources, options);
  for (const [name, tensor] of Object.entries({ ...options, clock })) {
    if (tensor === undefined || !EXTRAS.includes(name as Extra)) continue;
    extras[name as Extra] = inputs.push(tensor as Tensor) - 1;
  }
  return apply(attentionOp, inputs, {
    ...sizes,
    scale: options.scale ?? 1 / Math.sqrt(depth),
    causal: options.causal ?? false,
    window: options.window ?? 0,
    rate: clock === undefined ? 0 : (dropout?.rate ?? 0),
    seed: dropout?.seed ?? [0, 0],
    stream: dropout?.stream ?? 0,
    sources: sources.length,
    extras,
  });
}

/** Features of one head. */
function featuresOf(name: string, shape: Shape, heads: number): number {
  const features = shape[2] / heads;
  if (!Number.isInteger(features)) {
    throw new ModelError(
      `attention: the last axis of ${name} must be a multiple of its ${heads} heads, got ${showShape(shape)}`,
    );
  }
  if (features <= ATTENTION_FEATURES) return features;
  throw new ModelError(
    `attention: a head must have at most ${ATTENTION_FEATURES} features, got ${features} in ${name} ${showShape(shape)}: take more heads`,
  );
}

// Checked by `checkRandom`.
const DROPOUT = {
  rate: unchecked<number>(),
  clock: CLOCK,
  seed: SEED,
  stream: STREAM,
} satisfies OptionsOf<RandomOptions & { rate: number }>;

function checkDropout(dropout: RandomOptions & { rate: number }): void {
  readOptions("attention: dropout", dropout, DROPOUT);
  checkNumber("attention", "dropout rate", dropout.rate, 0, 1);
  if (Math.fround(dropout.rate) === 1) throw new ModelError("attention: dropout rate must be below 1, got 1");
  checkRandom("attention", dropout);
}

/** Refuses masks and the like of other shapes. */
function checkExtras(
  { heads, parts }: Pick<AttentionTask, "heads" | "parts">,
  sources: readonly Tensor[],
  { mask, lengths, bias, slopes, start }: AttendOptions,
): void {
  const [batch, queries] = sources[parts[0].input].shape;
  const keys = sources[parts[1].input].shape[1];
  const check = (name: string, tensor: Tensor | undefined, shape: Shape, dtype = "float32"): void => {
    if (tensor === undefined) return;
    const got = checkTensor("attention", tensor, `${name} must be a tensor`);
    if (got.dtype === dtype && sameShape(got.shape, shape)) return;
    throw new ModelError(
      `attention: ${name} must be ${dtype} ${showShape(shape)}, got ${got.dtype} ${showShape(got.shape)}`,
    );
  };
  check("mask", mask, [batch, keys]);
  check("lengths", lengths, [batch], "uint32");
  check("slopes", slopes, [heads]);
  check("start", start, [batch, 1]);
  if (bias === undefined) return;
  const { shape } = checkTensor("attention", bias, "bias must be a tensor");
  const [biasBatch, biasHeads] = shape.length === 4 ? shape : [1, 1];
  const fits = [1, batch].includes(biasBatch) && [1, heads].includes(biasHeads);
  if (bias.dtype === "float32" && fits && [2, 4].includes(shape.length)) {
    if (sameShape(shape.slice(-2), [queries, keys])) return;
  }
  throw new ModelError(
    `attention: bias must be float32 [${queries}, ${keys}] or [1 or ${batch}, 1 or ${heads}, ${queries}, ${keys}], got ${bias.dtype} ${showShape(shape)}`,
  );
}

/**
 * The slopes of ALiBi (Press et al. 2022) for so many heads, for `attention`'s option `slopes`: 2^(-8i / heads), i from 1; if that is no power
 * of two, those of the next lower one, and then every second of twice as many.
 *
 * @example
 * alibiSlopes(4); // [0.25, 0.0625, 0.015625, 0.00390625]
 */
export function alibiSlopes(heads: number): number[] {
  checkInteger("alibiSlopes", "heads", heads, 1, 4096);
  const power = 2 ** Math.floor(Math.log2(heads));
  // 2^(-8 / power) by roots alone, which all hosts round alike.
  const slopes = (count: number): number[] => {
    let ratio = 2 ** -8;
    for (let n = count; n > 1; n /= 2) ratio = Math.sqrt(ratio);
    return Array.from({ length: count }, (_, index) => {
      let slope = ratio;
      for (let i = 0; i < index; i++) slope *= ratio;
      return slope;
    });
  };
  const others = slopes(2 * power).filter((_, index) => index % 2 === 0);
  return [...slopes(power), ...others.slice(0, heads - power)];
}
