// Recurrent layers, in one direction and in both.
import { ModelError, showValue } from "../engine/errors.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import { fieldOf, isJsonObject } from "../io/jsonFields.js";
import { convLstm2d } from "../nn/convLstm2d.js";
import { spatialDropout1d } from "../nn/dropout.js";
import { gru } from "../nn/gru.js";
import type { AnyLayer } from "../nn/layer.js";
import { lstm } from "../nn/lstm.js";
import type { Merge } from "../nn/recurrent.js";
import { simpleRnn } from "../nn/simpleRnn.js";
import { add, average, mul } from "../ops/elementwise.js";
import { concatenate, split } from "../ops/join.js";
import { expandDims, reshape, squeeze } from "../ops/shape.js";
import { flip } from "../ops/slice.js";
import { cellActivationOf } from "./activations.js";
import { type Fields, fieldsOf } from "./fields.js";
import { windowOf } from "./images.js";
import { type Call, floats, type KerasLayer, once, single, type TakeOptions } from "./layer.js";
import { maskOf, repeated } from "./masks.js";
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
  /** Whether outputs in padding are zeros, and not those of the step before. */
  readonly zeros: boolean;
  /** How two directions become one, if that is left to do: the layer has them side by side. */
  readonly merge?: Merge | undefined;
}

function runOf(of: KerasLayer, kind: Kind, cell: KerasLayer, bidirectional?: Merge): Run {
  const { fields } = cell;
  for (const name of ["time_major", "return_runs"]) if (fields.flag(name, false)) throw of.unsupported(` with ${name}`);
  const [sequences, state] = [fields.flag("return_sequences", false), fields.flag("return_state", false)];
  const backwards = fields.flag("go_backwards", false);
  const dropout = fields.number("dropout", 0);
  const recurrentDropout = fields.number("recurrent_dropout", 0);
  // TensorFlow.js repeats outputs in padding before it joins the two, Keras has zeros there.
  const merge = of.reading.dialect.isScript && sequences ? bidirectional : undefined;
  const options = {
    bias: fields.flag("use_bias", true),
    returnSequences: sequences,
    returnState: state,
    reverse: backwards,
    stateful: fields.flag("stateful", false),
    ...(bidirectional === undefined ? {} : { bidirectional: merge === undefined ? bidirectional : "concatenate" }),
    ...(recurrentDropout > 0 ? { recurrentDropout } : {}),
  };
  const layer = once(() => kind.make(of, cell, options));
  const zeros = fields.flag("zero_output_for_mask", false) || (bidirectional !== undefined && merge === undefined);
  return { layer: () => layer(undefined), dropout, backwards, sequences, state, zeros, merge };
}

function calling(of: KerasLayer, run: Run): Call {
  const drop = run.dropout > 0 ? spatialDropout1d(run.dropout) : undefined;
  return (given) => {
    const [first, hidden, cell] = [...given.xs, ...(given.named.initial_state ?? [])];
    if (first === undefined)
      throw new FormatError(`${of.where}: must be applied to a tensor, got none: the file is damaged`);
    const x = drop === undefined ? floats(first) : given.scope.apply(floats(first), drop);
    const layer = run.layer() as never;
    const mask = maskOf(of, first);
    const more = { hidden, cell, mask };
    const inputs = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined));
    const made = given.scope.apply({ x, ...inputs } as never, layer) as Tensor | Record<string, Tensor>;
    const named = run.state ? (made as Record<string, Tensor>) : { output: made as Tensor };
    const output = run.sequences ? sequence(run, named.output, mask) : named.output;
    if (run.sequences && mask !== undefined) of.reading.masks.set(output, mask);
    return run.state ? [output, named.hidden, ...(named.cell === undefined ? [] : [named.cell])] : output;
  };
}

/** All outputs of a layer, as Keras gives them. */
function sequence({ merge, backwards, zeros }: Run, made: Tensor, mask: Tensor | undefined): Tensor {
  if (merge !== undefined) {
    const [forward, backward] = split(made, 2).map((part, index) =>
      mask === undefined ? part : repeated(part, mask, index === 1),
    );
    return MERGERS[merge](forward, backward);
  }
  const output = mask === undefined || zeros ? made : repeated(made, mask, backwards);
  // Those of a backward layer come in the order in which they were made.
  return backwards ? flip(output, 1) : output;
}

const MERGERS: Readonly<Record<Merge, (a: Tensor, b: Tensor) => Tensor>> = {
  concatenate: (a, b) => concatenate([a, b]),
  sum: add,
  average: (a, b) => average([a, b]),
  multiply: mul,
};

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

const CELLS: Readonly<Record<string, string>> = { SimpleRNNCell: "SimpleRNN", LSTMCell: "LSTM", GRUCell: "GRU" };

/** A cell in a loop, which is the layer of that cell. */
function readRnn(of: KerasLayer): Call {
  const inner = of.fields.any("cell");
  const className = fieldOf(inner, "class_name");
  if (typeof className !== "string" || !Object.hasOwn(CELLS, className))
    throw of.unsupported(` of ${showValue(typeof className === "string" ? className.slice(0, 60) : className)}`);
  const config = fieldOf(inner, "config");
  const flags = ["return_sequences", "return_state", "go_backwards", "stateful", "time_major", "zero_output_for_mask"];
  const ofLoop = Object.fromEntries(flags.map((name) => [name, of.fields.any(name)]));
  const fields = fieldsOf(of.where, { ...(isJsonObject(config) ? config : {}), ...ofLoop });
  return recurrent(KINDS[CELLS[className]])({ ...of, fields });
}

// ——— Convolutions in a loop ———

/** @param axes Of the images: rows are images of height one. */
function convolutional(axes: 1 | 2): (of: KerasLayer) => Call {
  return (of) => {
    const { fields } = of;
    const { window, padding, strides, dilations } = windowOf(of, axes);
    const gates = gatesOf(of);
    if (gates.activation !== "tanh" || gates.recurrentActivation !== "sigmoid")
      throw of.unsupported(
        ` with activations ${showValue(gates.activation)} and ${showValue(gates.recurrentActivation)}`,
      );
    for (const name of ["return_state", "stateful"])
      if (fields.flag(name, false)) throw of.unsupported(` with ${name}`);
    if (fields.number("recurrent_dropout", 0) > 0) throw of.unsupported(" with recurrent_dropout");
    for (const [name, weight] of plainCells(of, fields, { inside: ["cell"] }))
      of.begin(name, axes === 2 || name === "bias" ? weight : { ...weight, shape: [1, ...weight.shape] });
    const flat = (sizes: readonly number[]) => (axes === 1 ? [1, sizes[0]] : sizes) as [number, number];
    const [sequences, reverse] = [fields.flag("return_sequences", false), fields.flag("go_backwards", false)];
    const bias = fields.flag("use_bias", true);
    const given = { name: of.name, bias, padding, stride: flat(strides), dilation: flat(dilations), reverse };
    const layer = convLstm2d(fields.integer("filters"), flat(window), { ...given, returnSequences: sequences });
    const rate = fields.number("dropout", 0);
    const drop = rate > 0 ? spatialDropout1d(rate) : undefined;
    return (call) => {
      const x = single(of, call);
      if (maskOf(of, x) !== undefined) throw maskError(of);
      const [batch, time, ...sizes] = x.shape;
      // One mask for all steps.
      const rows = () => reshape(x, [batch, time, sizeOf(sizes)]);
      const kept = drop === undefined ? x : reshape(call.scope.apply(rows(), drop), x.shape);
      const images = axes === 1 ? expandDims(kept, 2) : kept;
      const made = call.scope.apply(images, layer as never) as Tensor;
      const y = axes === 1 ? squeeze(made, [made.shape.length - 3]) : made;
      return sequences && reverse ? flip(y, 1) : y;
    };
  };
}

const maskError = ({ where }: KerasLayer): ModelError =>
  new ModelError(`${where}: its steps must all be there, got a mask: there is nothing for padding of images`);

export const recurrentReaders: Readonly<Record<string, (of: KerasLayer) => Call>> = {
  SimpleRNN: recurrent(KINDS.SimpleRNN),
  LSTM: recurrent(KINDS.LSTM),
  GRU: recurrent(KINDS.GRU),
  Bidirectional: readBidirectional,
  RNN: readRnn,
  ConvLSTM1D: convolutional(1),
  ConvLSTM2D: convolutional(2),
};
