// Recurrent layers, in one direction and in both, and attention.
import { showValue } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import { fieldOf } from "../io/jsonFields.js";
import { multiHeadAttention } from "../nn/attention.js";
import { spatialDropout1d } from "../nn/dropout.js";
import { gru } from "../nn/gru.js";
import type { AnyLayer } from "../nn/layer.js";
import { lstm } from "../nn/lstm.js";
import type { Merge } from "../nn/recurrent.js";
import { simpleRnn } from "../nn/simpleRnn.js";
import { flip } from "../ops/slice.js";
import { cellActivationOf } from "./activations.js";
import { type Fields, fieldsOf } from "./fields.js";
import { type Call, floats, type Given, type KerasLayer, once, reshaped, type TakeOptions } from "./layer.js";
import type { Weight } from "./weights.js";

/** The weights of one direction, by the names that they have here. */
type Cells = (of: KerasLayer, config: Fields, options: TakeOptions) => readonly (readonly [string, Weight])[];

interface Kind {
  readonly cells: Cells;
  make(of: KerasLayer, config: KerasLayer, options: object): AnyLayer;
}

/** Columns [gates · units] in another order of gates. */
function regated({ shape, data }: Weight, order: readonly number[]): Weight {
  const columns = shape[shape.length - 1] ?? 0;
  const units = columns / order.length;
  if (!Number.isInteger(units)) return { shape, data };
  const made = new Float32Array(data.length);
  for (let row = 0; row < data.length; row += columns) {
    order.forEach((gate, index) => {
      made.set(data.subarray(row + gate * units, row + (gate + 1) * units), row + index * units);
    });
  }
  return { shape, data: made };
}

const namesOf = (config: Fields): string[] => [
  "kernel",
  "recurrent_kernel",
  ...(config.flag("use_bias", true) ? ["bias"] : []),
];

const plainCells: Cells = (of, config, options) => {
  const [weight, recurrentWeight, bias] = of.take(namesOf(config), options);
  return [
    ["weight", weight],
    ["recurrentWeight", recurrentWeight],
    ...(bias === undefined ? [] : [["bias", bias] as const]),
  ];
};

// Keras' gates are z, r and h, ours r, z and n.
const GRU_ORDER = [1, 0, 2];

const gruCells: Cells = (of, config, options) => {
  const [weight, recurrentWeight, bias] = of.take(namesOf(config), options).map((found) => regated(found, GRU_ORDER));
  const both = [
    ["weight", weight],
    ["recurrentWeight", recurrentWeight],
  ] as const;
  if (bias === undefined) return both;
  if (!isAfter(of, config)) return [...both, ["bias", bias]];
  // Two rows: of the input, and of the state.
  const columns = bias.data.length / 2;
  const row = (index: number): Weight => ({
    shape: [columns],
    data: bias.data.slice(index * columns, (index + 1) * columns),
  });
  if (bias.shape.length !== 2 || bias.shape[0] !== 2) {
    throw new FormatError(
      `${of.where}: bias must have two rows with reset_after, got ${showValue(bias.shape)}: the file is damaged`,
    );
  }
  return [...both, ["bias", row(0)], ["recurrentBias", row(1)]];
};

/** Keras' default is true since version 2; TensorFlow.js has none but false. */
const isAfter = (of: KerasLayer, config: Fields): boolean => config.flag("reset_after", !of.reading.dialect.isScript);

const KINDS: Readonly<Record<string, Kind>> = {
  SimpleRNN: {
    cells: plainCells,
    make: (of, cell, options) =>
      simpleRnn(cell.fields.integer("units"), {
        ...options,
        activation: cellActivationOf(cell, "activation", "tanh"),
        name: of.name,
      }),
  },
  LSTM: {
    cells: plainCells,
    make: (of, cell, options) => lstm(cell.fields.integer("units"), { ...options, ...gatesOf(cell), name: of.name }),
  },
  GRU: {
    cells: gruCells,
    make: (of, cell, options) =>
      gru(cell.fields.integer("units"), {
        ...options,
        ...gatesOf(cell),
        reset: isAfter(of, cell.fields) ? "after" : "before",
        name: of.name,
      }),
  },
};

function gatesOf(cell: KerasLayer) {
  const fallback = cell.reading.dialect.isScript ? "hard_sigmoid" : "sigmoid";
  return {
    activation: cellActivationOf(cell, "activation", "tanh"),
    recurrentActivation: cellActivationOf(cell, "recurrent_activation", fallback),
  };
}

/** What a layer of one or two directions is told. */
interface Run {
  readonly layer: () => AnyLayer;
  /** Of the input, one mask for all steps. */
  readonly dropout: number;
  readonly backwards: boolean;
  readonly sequences: boolean;
  readonly state: boolean;
}

function runOf(of: KerasLayer, kind: Kind, cell: KerasLayer, bidirectional?: Merge): Run {
  const { fields } = cell;
  for (const name of ["time_major", "return_runs"]) if (fields.flag(name, false)) throw of.unsupported(` with ${name}`);
  const [sequences, state] = [fields.flag("return_sequences", false), fields.flag("return_state", false)];
  const backwards = fields.flag("go_backwards", false);
  const dropout = fields.number("dropout", 0);
  const recurrentDropout = fields.number("recurrent_dropout", 0);
  const options = {
    bias: fields.flag("use_bias", true),
    returnSequences: sequences,
    returnState: state,
    reverse: backwards,
    stateful: fields.flag("stateful", false),
    ...(bidirectional === undefined ? {} : { bidirectional }),
    ...(recurrentDropout > 0 ? { recurrentDropout } : {}),
  };
  const layer = once(() => kind.make(of, cell, options));
  return { layer: () => layer(undefined), dropout, backwards, sequences, state };
}

function calling(of: KerasLayer, run: Run): Call {
  const drop = run.dropout > 0 ? spatialDropout1d(run.dropout) : undefined;
  return (given) => {
    const [first, ...more] = [...given.xs, ...(given.named.initial_state ?? [])];
    if (first === undefined)
      throw new FormatError(`${of.where}: must be applied to a tensor, got none: the file is damaged`);
    const x = drop === undefined ? floats(first) : given.scope.apply(floats(first), drop);
    const [hidden, cell] = more;
    const layer = run.layer() as never;
    const inputs = { x, ...(hidden === undefined ? {} : { hidden }), ...(cell === undefined ? {} : { cell }) };
    const made = given.scope.apply(inputs as never, layer) as Tensor | Record<string, Tensor>;
    const named = run.state ? (made as Record<string, Tensor>) : { output: made as Tensor };
    // Keras gives the outputs of a backward layer in the order in which they were made.
    const output = run.backwards && run.sequences ? flip(named.output, 1) : named.output;
    return run.state ? [output, named.hidden, ...(named.cell === undefined ? [] : [named.cell])] : output;
  };
}

function recurrent(kind: Kind): (of: KerasLayer) => Call {
  return (of) => {
    for (const [name, weight] of kind.cells(of, of.fields, { inside: ["cell"] })) of.begin(name, weight);
    const run = runOf(of, kind, of);
    return calling(of, run);
  };
}

const MERGES: Readonly<Record<string, Merge>> = {
  concat: "concatenate",
  sum: "sum",
  ave: "average",
  mul: "multiply",
};

// What the two directions must have in common.
const SHARED = [
  "units",
  "activation",
  "recurrent_activation",
  "use_bias",
  "reset_after",
  "return_sequences",
  "return_state",
];

function readBidirectional(of: KerasLayer): Call {
  const [inner, backward] = [of.fields.any("layer"), of.fields.any("backward_layer")];
  const className = fieldOf(inner, "class_name");
  if (typeof className !== "string" || !Object.hasOwn(KINDS, className))
    throw of.unsupported(` around ${showValue(typeof className === "string" ? className.slice(0, 60) : className)}`);
  const config = fieldOf(inner, "config");
  const other = fieldOf(backward, "config");
  const differs = (name: string) => JSON.stringify(fieldOf(config, name)) !== JSON.stringify(fieldOf(other, name));
  if (backward !== undefined && SHARED.some(differs)) throw of.unsupported(" with another backward_layer");
  const mode = of.fields.any("merge_mode");
  if (typeof mode !== "string" || !Object.hasOwn(MERGES, mode))
    throw of.unsupported(` with merge_mode ${showValue(mode)}`);
  const kind = KINDS[className];
  const cell: KerasLayer = { ...of, fields: fieldsOf(of.where, config) };
  const run = runOf(of, kind, cell, MERGES[mode]);
  if (run.state || run.backwards || cell.fields.flag("stateful", false))
    throw of.unsupported(` around a ${className} with return_state, go_backwards or stateful`);
  for (const part of ["forward", "backward"] as const) {
    const found = kind.cells(of, cell.fields, { part, inside: [`${part}_layer/cell`] });
    for (const [name, weight] of found) of.begin(`${part}.${name}`, weight);
  }
  return calling(of, run);
}

// ——— Attention ———

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

function readAttention(of: KerasLayer): Call {
  const { fields } = of;
  for (const name of ["attention_axes"]) if (fields.any(name) !== undefined) throw of.unsupported(` with ${name}`);
  const [heads, features, bias] = [
    fields.integer("num_heads"),
    fields.integer("key_dim"),
    fields.flag("use_bias", true),
  ];
  const valueFeatures = fields.any("value_dim") === undefined ? features : fields.integer("value_dim");
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
      features,
      valueFeatures,
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
    if (x === values && keys === values) {
      begin("", [query, key, value]);
      return given.scope.apply(x, layer(given) as never);
    }
    begin("query", [query]);
    if (keys !== values) {
      begin("key", [key]);
      begin("value", [value]);
      return given.scope.apply({ x, memory: keys, value: values } as never, layer(given) as never) as Tensor;
    }
    begin("memory", [key, value]);
    return given.scope.apply({ x, memory: values } as never, layer(given) as never) as Tensor;
  };
}

export const recurrentReaders: Readonly<Record<string, (of: KerasLayer) => Call>> = {
  SimpleRNN: recurrent(KINDS.SimpleRNN),
  LSTM: recurrent(KINDS.LSTM),
  GRU: recurrent(KINDS.GRU),
  Bidirectional: readBidirectional,
  MultiHeadAttention: readAttention,
};
