// LSTM as a layer; its steps are the operation of the same name (src/ops/recurrentLstm.ts).
import { made } from "../engine/copies.js";
import { checkInteger } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { choice, flag, integer, joined, number, type OptionsOf, optional } from "../engine/options.js";
import { type Initializer, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import { linear, matmul } from "../ops/matmul.js";
import { type LstmOptions as LstmParameters, lstmStep, lstm as lstmSteps } from "../ops/recurrentLstm.js";
import { glorotUniform, zeros } from "./initializers.js";
import type { Layer } from "./layer.js";
import { readLayerOptions } from "./options.js";
import {
  activationOf,
  CELL_ACTIVATIONS,
  type Cell,
  type CellActivation,
  type CellParts,
  type CellState,
  normalizing,
  RECURRENT,
  type RecurrentOptions,
  recurrentLayer,
  weightsOf,
} from "./recurrent.js";

export interface LstmLayerOptions extends RecurrentOptions {
  /** What the bias of the forget gate begins with, if `biasInitializer` is not given: Jozefowicz et al. 2015. Default 1. */
  forgetBias?: number;
  /** Whether what goes into the gates includes the cell, times weights that begin at 0. Gers & Schmidhuber 2000. Default false. */
  peepholes?: boolean;
  /** How many states a product makes of the units' outputs: Sak et al. 2014, PyTorch's `proj_size`. Default: none is made. */
  projection?: number;
  /** Whether both products and the cell are normalized: Ba et al. 2016. Default false. */
  layerNorm?: boolean;
  /** Of the update and the output. Default `"tanh"`. */
  activation?: CellActivation;
  /** Of the gates. Default `"sigmoid"`. */
  recurrentActivation?: CellActivation;
}

const OPTIONS = joined(RECURRENT, {
  forgetBias: number(1),
  peepholes: flag(false),
  projection: optional(integer(undefined, { min: 1 })),
  layerNorm: flag(false),
  activation: choice("tanh", CELL_ACTIVATIONS),
  recurrentActivation: choice("sigmoid", CELL_ACTIVATIONS),
}) satisfies OptionsOf<LstmLayerOptions>;

/** 0, and `value` for the second of four gates. */
export function forgetting(value: number): Initializer {
  return made({
    name: "forgetBias",
    options: value,
    record(recorder, address, shape: Shape) {
      const n = sizeOf(shape);
      recorder.initializeConstant(elements(n), address, n, 0);
      recorder.initializeConstant(elements(n / 4), address + n, n / 4, value); // n / 4 words further on
    },
  });
}

/** What an LSTM may be given besides x. */
export type LstmInputs = {
  readonly lengths: readonly [];
  readonly mask: readonly [number];
  readonly hidden: Shape;
  readonly cell: Shape;
};

type Gives<Sequences extends boolean, State extends boolean> = State extends true
  ? { readonly output: Shape; readonly hidden: Shape; readonly cell: Shape }
  : Sequences extends true
    ? 2
    : 1;

/**
 * Long short-term memory over sequences [batch, time, features]: gates i, f, g, o as in PyTorch and Keras, by one kernel for all
 * steps. Gives the last output [batch, units] (of a bidirectional layer, that of each direction's last step), or with
 * `returnSequences` all of them [batch, time, units]; with `returnState` `{ output, hidden, cell }`. Further inputs, by name in
 * `apply({ x, lengths }, lstm(64))`: `lengths` uint32 [batch], where padding comes last: the state stays and outputs are 0 from
 * there on, and `reverse` begins there; or `mask` [batch, time], 0 in steps that are left out wherever they are; `hidden` and
 * `cell`, the first state [batch, units], of several layers or directions [batch, layers · directions, units].
 *
 * Parameters: weight [features, 4 · units], recurrentWeight [units, 4 · units], bias [4 · units], peepholes [3, units], projection
 * [units, states]; of several layers "0.weight", of both directions "forward.weight" and "backward.weight". PyTorch's weights are
 * their transposes, and its two biases are added. Steps with a mask, recurrent dropout, layer norm or other activations are made
 * of several operations, which is slower. Throws ModelError if an option or a shape does not fit.
 *
 * @example
 * const model = sequential({ input: [32, 16] }, lstm(64), dense(10)); // 32 steps of 16 features
 * const tagger = sequential({ input: [20, 8] }, lstm(32, { bidirectional: "concatenate", returnSequences: true }), dense(5));
 */
export function lstm<const Sequences extends boolean = false, const State extends boolean = false>(
  units: number,
  options: LstmLayerOptions & { returnSequences?: Sequences; returnState?: State } = {},
): Layer<2, Gives<Sequences, State>, LstmInputs> {
  checkInteger("lstm", "units", units, 1);
  const read = readLayerOptions("lstm", options as LstmLayerOptions, OPTIONS);
  const states = read.projection ?? units;
  const widths = { hidden: states, cell: units };
  return recurrentLayer({ kind: "lstm", widths, cell: (parts) => lstmCellOf(parts, units, states, read) }, read, [
    units,
    options,
  ]) as unknown as Layer<2, Gives<Sequences, State>, LstmInputs>;
}

interface CellOptions {
  readonly bias: boolean;
  readonly forgetBias: number;
  readonly peepholes: boolean;
  readonly projection: number | undefined;
  readonly layerNorm: boolean;
  readonly activation: CellActivation;
  readonly recurrentActivation: CellActivation;
}

function lstmCellOf(parts: CellParts, units: number, states: number, options: CellOptions): Cell {
  const { make, drop, drops } = parts;
  const { activation, recurrentActivation, layerNorm } = options;
  const { weight, recurrentWeight } = weightsOf(parts, 4, units, states);
  const bias = options.bias ? make("bias", [4 * units], forgetting(options.forgetBias)) : undefined;
  const peepholes = options.peepholes ? make("peepholes", [3, units], zeros()) : undefined;
  const projection = options.projection ? make("projection", [units, states], glorotUniform()) : undefined;
  const normed = (name: string, width: number) => normalizing(parts, layerNorm ? name : undefined, width);
  const [ofInput, ofState, normalize] = [
    normed("inputNorm", 4 * units),
    normed("stateNorm", 4 * units),
    normed("cellNorm", units),
  ];
  const more: LstmParameters = { ...(peepholes ? { peepholes } : {}), ...(projection ? { projection } : {}) };
  const usual = activation === "tanh" && recurrentActivation === "sigmoid" && !layerNorm && !drops;
  const of = {
    ...more,
    times: (hidden: Tensor) => ofState(matmul(drop(hidden), recurrentWeight)),
    gate: activationOf(recurrentActivation),
    activation: activationOf(activation),
    normalize,
  };
  return {
    project(x) {
      if (!layerNorm && bias) return linear(x, weight, bias);
      const product = ofInput(matmul(x, weight));
      return bias ? add(product, bias) : product;
    },
    whole: usual ? (projected, state, padding) => whole(projected, recurrentWeight, state, padding, more) : undefined,
    step: (projected, { hidden, cell }) => lstmStep(projected, hidden, cell as Tensor, of),
  };
}

function whole(
  projected: Tensor,
  recurrentWeight: Tensor,
  { hidden, cell }: CellState,
  { lengths, reverse }: { readonly lengths: Tensor | undefined; readonly reverse: boolean },
  more: LstmParameters,
) {
  const { outputs, ...state } = lstmSteps(projected, recurrentWeight, {
    hidden,
    cell: cell as Tensor,
    reverse,
    ...more,
    ...(lengths ? { lengths } : {}),
  });
  return { outputs, state };
}
