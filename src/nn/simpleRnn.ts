// The simple recurrent layer; its steps are the operation `rnn` (src/ops/recurrent.ts).
import { checkInteger } from "../engine/errors.js";
import { choice, flag, joined, type OptionsOf } from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import { linear, matmul } from "../ops/matmul.js";
import { rnn } from "../ops/recurrent.js";
import { zeros } from "./initializers.js";
import type { Layer } from "./layer.js";
import { readLayerOptions } from "./options.js";
import {
  activationOf,
  CELL_ACTIVATIONS,
  type Cell,
  type CellActivation,
  type CellParts,
  normalizing,
  RECURRENT,
  type RecurrentInputPorts,
  type RecurrentOptions,
  type RecurrentOutputs,
  recurrentLayer,
  weightsOf,
} from "./recurrent.js";

export interface SimpleRnnOptions extends RecurrentOptions {
  /** Of the sum of what comes of input and state. Default `"tanh"`; by one kernel: `"tanh"` and `"relu"`. */
  activation?: CellActivation;
  /** Whether both products are normalized: Ba et al. 2016. Default false. */
  layerNorm?: boolean;
}

const OPTIONS = joined(RECURRENT, {
  activation: choice("tanh", CELL_ACTIVATIONS),
  layerNorm: flag(false),
}) satisfies OptionsOf<SimpleRnnOptions>;

/**
 * A simple recurrent network over sequences [batch, time, features] (Elman 1990): h = tanh(x·W + h·U + b), by one kernel for
 * all steps; PyTorch's RNN, Keras' SimpleRNN. Inputs, outputs and options as `lstm()`, without a cell. Parameters: weight
 * [features, units], recurrentWeight [units, units], bias [units]. Throws ModelError if an option or a shape does not fit.
 *
 * @example
 * const model = sequential({ input: [32, 16] }, simpleRnn(64, { activation: "relu" }), dense(10));
 */
export function simpleRnn<const Sequences extends boolean = false, const State extends boolean = false>(
  units: number,
  options: SimpleRnnOptions & { returnSequences?: Sequences; returnState?: State } = {},
): Layer<2, RecurrentOutputs<Sequences, State>, RecurrentInputPorts> {
  checkInteger("simpleRnn", "units", units, 1);
  const read = readLayerOptions("simpleRnn", options as SimpleRnnOptions, OPTIONS);
  const of = {
    kind: "simpleRnn",
    widths: { hidden: units },
    cell: (parts: CellParts) => rnnCellOf(parts, units, read),
  };
  return recurrentLayer(of, read, [units, options]) as unknown as Layer<
    2,
    RecurrentOutputs<Sequences, State>,
    RecurrentInputPorts
  >;
}

interface CellOptions {
  readonly bias: boolean;
  readonly layerNorm: boolean;
  readonly activation: CellActivation;
}

function rnnCellOf(parts: CellParts, units: number, { bias: hasBias, layerNorm, activation }: CellOptions): Cell {
  const { make, drop, drops } = parts;
  const { weight, recurrentWeight } = weightsOf(parts, 1, units, units);
  const bias = hasBias ? make("bias", [units], zeros()) : undefined;
  const ofInput = normalizing(parts, layerNorm ? "inputNorm" : undefined, units);
  const ofState = normalizing(parts, layerNorm ? "stateNorm" : undefined, units);
  const usual = (activation === "tanh" || activation === "relu") && !layerNorm && !drops;
  const f = activationOf(activation);
  return {
    project(x) {
      if (!layerNorm && bias) return linear(x, weight, bias);
      const product = ofInput(matmul(x, weight));
      return bias ? add(product, bias) : product;
    },
    whole: usual
      ? (projected, { hidden }, { lengths, reverse }) => {
          const found = rnn(projected, recurrentWeight, {
            hidden,
            activation,
            reverse,
            ...(lengths ? { lengths } : {}),
          });
          return { outputs: found.outputs, state: { hidden: found.hidden } };
        }
      : undefined,
    step: (projected: Tensor, { hidden }) => ({
      hidden: f(add(projected, ofState(matmul(drop(hidden), recurrentWeight)))),
    }),
  };
}
