// Attention: with products before and behind it, and without.
import { ModelError, showValue } from "../engine/errors.js";
import { constant, type Tensor } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import { multiHeadAttention } from "../nn/attention.js";
import { dropout } from "../nn/dropout.js";
import type { Scope } from "../nn/scope.js";
import { add, mul, scale, sub } from "../ops/elementwise.js";
import { matmul } from "../ops/matmul.js";
import { sum } from "../ops/reduce.js";
import { expandDims } from "../ops/shape.js";
import { tanh } from "../ops/smooth.js";
import { softmax } from "../ops/softmax.js";
import { type Call, floats, type Given, type KerasLayer, once, reshaped } from "./layer.js";
import { maskOf } from "./masks.js";
import type { Weight } from "./weights.js";

/** [features, heads, size] → [features, heads · size]; of the product behind, [heads, size, features] → [heads · size, features]. */
const folded = (weight: Weight, isOutput: boolean): Weight => {
  const [a = 0, b = 0, c = 0] = weight.shape;
  return reshaped(weight, isOutput ? [a * b, c] : [a, b * c]);
};

/** Matrices with as many rows beside each other, or rows behind each other. */
function beside(weights: readonly Weight[]): Weight {
  const rows = weights[0].shape.length === 1 ? 1 : (weights[0].shape[0] ?? 0);
  const widths = weights.map(({ data }) => data.length / Math.max(rows, 1));
  const width = widths.reduce((sum, one) => sum + one, 0);
  const shape = weights[0].shape.length === 1 ? [width] : [rows, width];
  if (!widths.every(Number.isInteger)) return { shape, data: new Float32Array(0) };
  const data = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    let at = row * width;
    weights.forEach((weight, index) => {
      data.set(weight.data.subarray(row * widths[index], (row + 1) * widths[index]), at);
      at += widths[index];
    });
  }
  return { shape, data };
}

interface Heads {
  readonly heads: number;
  /** Of keys and values, if they have fewer. */
  readonly keyHeads?: number;
  readonly features: number;
  readonly valueFeatures: number;
}

function readMultiHead(of: KerasLayer): Call {
  const { fields } = of;
  for (const name of ["attention_axes"]) if (fields.any(name) !== undefined) throw of.unsupported(` with ${name}`);
  const [heads, features] = [fields.integer("num_heads"), fields.integer("key_dim")];
  const valueFeatures = fields.any("value_dim") === undefined ? features : fields.integer("value_dim");
  return attending(of, { heads, features, valueFeatures });
}

function readGrouped(of: KerasLayer): Call {
  const [heads, keyHeads] = [of.fields.integer("num_query_heads"), of.fields.integer("num_key_value_heads")];
  const features = of.fields.integer("head_dim");
  return attending(of, { heads, keyHeads, features, valueFeatures: features });
}

/** The mask of keys: where both they and the values are there. */
function keyMask(of: KerasLayer, keys: Tensor, values: Tensor): Tensor | undefined {
  const [a, b] = [maskOf(of, keys), maskOf(of, values)];
  return a === undefined || b === undefined || a === b ? (a ?? b) : mul(a, b);
}

function attending(of: KerasLayer, { heads, ...sizes }: Heads): Call {
  const { fields } = of;
  const bias = fields.flag("use_bias", true);
  const dropout = fields.number("dropout", 0);
  const product = (part: string, folder: string) => {
    const inside = [folder, `_${folder}`];
    const [weight, offset] = of.take(bias ? ["kernel", "bias"] : ["kernel"], { part, inside });
    const flat = offset === undefined ? undefined : { shape: [offset.data.length], data: offset.data };
    return { weight: folded(weight, part === "attention_output"), bias: flat };
  };
  const [query, key, value, output] = [
    ["query", "query_dense"],
    ["key", "key_dense"],
    ["value", "value_dense"],
    ["attention_output", "output_dense"],
  ].map(([part, folder]) => product(part, folder));
  const outputFeatures = output.weight.shape[1];
  const begin = (name: string, products: readonly (typeof query)[]) => {
    const full = (what: string) => (name === "" ? what : `${name}${what[0].toUpperCase()}${what.slice(1)}`);
    of.begin(full("weight"), beside(products.map(({ weight }) => weight)));
    if (bias) of.begin(full("bias"), beside(products.map((one) => one.bias as Weight)));
  };
  begin("output", [output]);
  const layer = once(({ flags }: Given) =>
    multiHeadAttention(heads, {
      name: of.name,
      ...sizes,
      outputFeatures,
      bias,
      dropout,
      causal: flags.has("use_causal_mask"),
    }),
  );
  return (given) => {
    const [x, values, keys = values] = [
      ...(given.named.query ?? []),
      ...given.xs,
      ...(given.named.value ?? []),
      ...(given.named.key ?? []),
    ].map(floats);
    if (values === undefined)
      throw new FormatError(`${of.where}: must be applied to a query and a value, got one: the file is damaged`);
    const mask = keyMask(of, keys, values);
    const masked = mask === undefined ? {} : { mask };
    const call = (inputs: object) =>
      given.scope.apply({ ...inputs, ...masked } as never, layer(given) as never) as Tensor;
    if (x === values && keys === values) {
      begin("", [query, key, value]);
      return call({ x });
    }
    begin("query", [query]);
    if (keys !== values) {
      begin("key", [key]);
      begin("value", [value]);
      return call({ x, memory: keys, value: values });
    }
    begin("memory", [key, value]);
    return call({ x, memory: values });
  };
}

// ——— Without products before it ———

/** What is not to be seen has so much less. */
const HIDDEN = 1e9;
// A small file could ask for a very large mask.
const MOST_SCORES = 2 ** 24;

/** The scores [batch, queries, keys]: products (Luong), or sums through a tanh (Bahdanau). */
type Scores = (query: Tensor, key: Tensor, scope: Scope) => Tensor;

function readScored(of: KerasLayer, scoresOf: Scores): Call {
  const rate = of.fields.number("dropout", 0);
  const drop = rate > 0 ? dropout(rate) : undefined;
  return (given) => {
    const [query, value, key = value] = given.xs.map(floats);
    if (value === undefined)
      throw new FormatError(`${of.where}: must be applied to a query and a value, got one: the file is damaged`);
    const [queries, keys] = [query.shape[1], key.shape[1]];
    let scores = scoresOf(query, key, given.scope);
    const mask = maskOf(of, value);
    if (mask !== undefined) scores = sub(scores, scale(sub(1, expandDims(mask, 1)), HIDDEN));
    if (given.flags.has("use_causal_mask")) {
      if (queries * keys > MOST_SCORES) {
        throw new ModelError(
          `${of.where}: a causal mask must be for at most ${MOST_SCORES} scores, got ${queries} · ${keys}: take shorter sequences`,
        );
      }
      const later = Float32Array.from({ length: queries * keys }, (_, at) =>
        at % keys > Math.floor(at / keys) ? HIDDEN : 0,
      );
      scores = sub(scores, constant(later, [queries, keys]));
    }
    const shares = softmax(scores);
    const y = matmul(drop === undefined ? shares : given.scope.apply(shares, drop), value);
    const own = maskOf(of, query);
    return own === undefined ? y : mul(y, expandDims(own, 2));
  };
}

/** A parameter with the values of a weight, of one axis. */
function parameterOf(of: KerasLayer, name: string): (scope: Scope) => Tensor {
  const [{ data }] = of.take([name]);
  of.begin(name, { shape: [data.length], data });
  return (scope) => scope.parameter(`${of.name}.${name}`, [data.length]);
}

const sums = (query: Tensor, key: Tensor): Tensor => add(expandDims(query, 2), expandDims(key, 1));

function readDotProduct(of: KerasLayer): Call {
  const mode = of.fields.text("score_mode", "dot");
  const isScaled = of.fields.flag("use_scale", false);
  if (mode !== "dot") throw of.unsupported(` with score_mode ${showValue(mode.slice(0, 60))}`);
  const factor = isScaled ? parameterOf(of, "scale") : undefined;
  return readScored(of, (query, key, scope) => {
    const products = matmul(query, key, { transposeB: true });
    return factor === undefined ? products : mul(products, factor(scope));
  });
}

function readAdditive(of: KerasLayer): Call {
  const factors = of.fields.flag("use_scale", true) ? parameterOf(of, "scale") : undefined;
  return readScored(of, (query, key, scope) => {
    const each = tanh(sums(query, key));
    return sum(factors === undefined ? each : mul(each, factors(scope)), -1);
  });
}

export const attentionReaders: Readonly<Record<string, (of: KerasLayer) => Call>> = {
  MultiHeadAttention: readMultiHead,
  GroupedQueryAttention: readGrouped,
  Attention: readDotProduct,
  AdditiveAttention: readAdditive,
};
