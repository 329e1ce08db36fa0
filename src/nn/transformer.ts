// Blocks of transformers: attention and two dense layers, each with a normalization and what came in added.
import { checkInteger, ModelError } from "../engine/errors.js";
import { choice, integer, joined, number, optional } from "../engine/options.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import { gelu, relu, silu } from "./activations.js";
import { type AttentionRules, multiHeadAttention, RULES } from "./attention.js";
import { layerOf } from "./defineLayer.js";
import { dense } from "./dense.js";
import { dropout } from "./dropout.js";
import type { Layer } from "./layer.js";
import { layerNorm } from "./norm.js";
import { NAME, readLayerOptions } from "./options.js";
import type { Scope } from "./scope.js";

const ACTIVATIONS = { relu, gelu, silu };

export interface TransformerOptions extends AttentionRules {
  /** Names the layer in parameter paths ("block.attention.weight") and errors. Default: its number. */
  name?: string;
  /** Features between the two dense layers. Default four times those of the input. */
  hidden?: number;
  /** Between the two dense layers. Default "relu", as in PyTorch. */
  activation?: "relu" | "gelu" | "silu";
  /**
   * Whether normalization comes first, x + f(norm(x)), or last, norm(x + f(x)). Default "post", as in the paper and PyTorch;
   * deep models train more easily with "pre".
   */
  norm?: "pre" | "post";
  /** Share of what becomes 0 while training: of the weights of attention, between the dense layers, and before each addition. Default 0. */
  dropout?: number;
  /** Of the normalizations. Default 1e-5. */
  epsilon?: number;
}

const OPTIONS = joined(NAME, RULES, {
  hidden: optional(integer(undefined, { min: 1 })),
  activation: choice("relu", ["relu", "gelu", "silu"]),
  norm: choice("post", ["pre", "post"]),
  dropout: number(0, { min: 0, max: 1 }),
  epsilon: number(1e-5, { min: 0 }),
});

type Named<Names extends string> = { readonly [Name in Names]?: Tensor | undefined };

/** What both blocks are made of. */
function blockParts(kind: string, heads: number, options: TransformerOptions, isCausal = false) {
  checkInteger(kind, "heads", heads, 1);
  const { name, hidden, activation, norm, dropout: rate, epsilon, ...rules } = readLayerOptions(kind, options, OPTIONS);
  if (Math.fround(rate) === 1) throw new ModelError(`${kind}: dropout must be below 1, got 1: nothing would be left`);
  const given = Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined)) as AttentionRules;
  const causal = options.causal ?? isCausal;
  return {
    name,
    rules: { ...given, causal },
    rate,
    /** One of the block's parts, with what came in added. */
    around(scope: Scope, x: Tensor, index: number, inner: (x: Tensor) => Tensor): Tensor {
      const normed = (y: Tensor) => scope.apply(y, layerNorm({ name: `norm${index}`, epsilon }));
      const after = (y: Tensor) => scope.apply(y, dropout(rate));
      return norm === "pre" ? add(x, after(inner(normed(x)))) : normed(add(x, after(inner(x))));
    },
    feedForward(scope: Scope, x: Tensor): Tensor {
      const features = x.shape[2];
      const inner = dense(hidden ?? 4 * features, { name: "hidden" });
      return scope.apply(x, inner, ACTIVATIONS[activation](), dropout(rate), dense(features, { name: "output" }));
    },
  };
}

export interface EncoderInputs {
  readonly [name: string]: Shape;
  readonly mask: Shape;
  readonly lengths: Shape;
  readonly bias: Shape;
}

/**
 * A block of a transformer's encoder, or with `causal` of a language model: attention of x [batch, positions, features] to
 * itself, and two dense layers. `mask`, `lengths` and `bias` as in multiHeadAttention(). PyTorch's TransformerEncoderLayer.
 * Its layers are called `attention`, `norm1`, `hidden`, `output` and `norm2`.
 *
 * @throws ModelError as multiHeadAttention().
 * @example
 * const model = sequential({ input: [20, 64] }, transformerEncoder(4, { causal: true, norm: "pre", activation: "gelu" }), dense(65));
 */
export function transformerEncoder(heads: number, options: TransformerOptions = {}): Layer<2, "same", EncoderInputs> {
  const { name, rules, rate, around, feedForward } = blockParts("transformerEncoder", heads, options);
  const body = ({ x, ...rest }: { x: Tensor } & Named<"mask" | "lengths" | "bias">, scope: Scope): Tensor => {
    const attention = multiHeadAttention(heads, { ...rules, name: "attention", dropout: rate });
    const attended = around(scope, x, 1, (y) => scope.apply({ x: y, ...rest }, attention));
    return around(scope, attended, 2, (y) => feedForward(scope, y));
  };
  const inputNames = ["x", "mask?", "lengths?", "bias?"];
  return layerOf({ kind: "transformerEncoder", name, inputNames, options: [heads, options] }, body) as never;
}

export interface DecoderInputs {
  readonly [name: string]: Shape;
  readonly mask: Shape;
  readonly lengths: Shape;
  readonly memoryMask: Shape;
  readonly memoryLengths: Shape;
}

/**
 * A block of a transformer's decoder: attention of x [batch, positions, features] to itself, which is causal unless options
 * say otherwise, then to a `memory` [batch, positions, features], then two dense layers. `mask` and `lengths` are of x,
 * `memoryMask` and `memoryLengths` of the memory. PyTorch's TransformerDecoderLayer. Its layers are called `attention`, `norm1`,
 * `crossAttention`, `norm2`, `hidden`, `output` and `norm3`.
 *
 * @throws ModelError as multiHeadAttention().
 * @example
 * functional({ input: { x: [8, 32], memory: [20, 32] } }, ({ x, memory }, { apply }) =>
 *   apply({ x, memory }, transformerDecoder(4)));
 */
export function transformerDecoder(
  heads: number,
  options: TransformerOptions = {},
): Layer<{ readonly x: Shape; readonly memory: Shape }, number, DecoderInputs> {
  const { name, rules, rate, around, feedForward } = blockParts("transformerDecoder", heads, options, true);
  type Tensors = { x: Tensor; memory: Tensor } & Named<"mask" | "lengths" | "memoryMask" | "memoryLengths">;
  const body = ({ x, memory, mask, lengths, memoryMask, memoryLengths }: Tensors, scope: Scope): Tensor => {
    const own = multiHeadAttention(heads, { ...rules, name: "attention", dropout: rate });
    const { keyHeads } = rules;
    const cross = multiHeadAttention(heads, {
      name: "crossAttention",
      dropout: rate,
      ...(keyHeads === undefined ? {} : { keyHeads }),
    });
    const toItself = around(scope, x, 1, (y) => scope.apply({ x: y, mask, lengths }, own));
    const toMemory = around(scope, toItself, 2, (y) =>
      scope.apply({ x: y, memory, mask: memoryMask, lengths: memoryLengths }, cross),
    );
    return around(scope, toMemory, 3, (y) => feedForward(scope, y));
  };
  const inputNames = ["x", "memory", "mask?", "lengths?", "memoryMask?", "memoryLengths?"];
  return layerOf({ kind: "transformerDecoder", name, inputNames, options: [heads, options] }, body) as never;
}
