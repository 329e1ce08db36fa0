// GRU as a layer; its steps are the operation of the same name (src/ops/recurrentGru.ts).
import { checkInteger, ModelError } from "../engine/errors.js";
import { choice, flag, joined, type OptionsOf } from "../engine/options.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import { linear, matmul } from "../ops/matmul.js";
import { gruProducts, gruStep, gru as gruSteps } from "../ops/recurrentGru.js";
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

export interface GruLayerOptions extends RecurrentOptions {
  /**
   * Whether the reset gate multiplies what the product makes of the state (`"after"`: PyTorch, Keras' default) or the state
   * itself (`"before"`: Cho et al. 2014, Keras' `reset_after: false`). Default `"after"`.
   */
  reset?: "after" | "before";
  /** Whether both products are normalized: Ba et al. 2016; only with the reset after the product. Default false. */
  layerNorm?: boolean;
  /** Of the update. Default `"tanh"`. */
  activation?: CellActivation;
  /** Of the gates. Default `"sigmoid"`. */
  recurrentActivation?: CellActivation;
}

const OPTIONS = joined(RECURRENT, {
  reset: choice("after", ["after", "before"]),
  layerNorm: flag(false),
  activation: choice("tanh", CELL_ACTIVATIONS),
  recurrentActivation: choice("sigmoid", CELL_ACTIVATIONS),
}) satisfies OptionsOf<GruLayerOptions>;

/**
 * Gated recurrent units over sequences [batch, time, features] (Cho et al. 2014): gates r, z, n as in PyTorch (Keras' are z, r, h),
 * by one kernel for all steps. Inputs, outputs and options as `lstm()`, without a cell. Parameters: weight [features, 3 · units],
 * recurrentWeight [units, 3 · units], bias [3 · units], and with the reset after the product recurrentBias [3 · units], as in
 * PyTorch and Keras. Throws ModelError if an option or a shape does not fit.
 *
 * @example
 * const model = sequential({ input: [32, 16] }, gru(64, { layers: 2, dropout: 0.2 }), dense(10));
 */
export function gru<const Sequences extends boolean = false, const State extends boolean = false>(
  units: number,
  options: GruLayerOptions & { returnSequences?: Sequences; returnState?: State } = {},
): Layer<2, RecurrentOutputs<Sequences, State>, RecurrentInputPorts> {
  checkInteger("gru", "units", units, 1);
  const read = readLayerOptions("gru", options as GruLayerOptions, OPTIONS);
  if (read.layerNorm && read.reset === "before") {
    throw new ModelError(`gru: layerNorm must be with reset "after", got "before": leave one of them out`);
  }
  const of = { kind: "gru", widths: { hidden: units }, cell: (parts: CellParts) => gruCellOf(parts, units, read) };
  return recurrentLayer(of, read, [units, options]) as unknown as Layer<
    2,
    RecurrentOutputs<Sequences, State>,
    RecurrentInputPorts
  >;
}

interface CellOptions {
  readonly bias: boolean;
  readonly reset: "after" | "before";
  readonly layerNorm: boolean;
  readonly activation: CellActivation;
  readonly recurrentActivation: CellActivation;
}

function gruCellOf(parts: CellParts, units: number, options: CellOptions): Cell {
  const { make, drop, drops } = parts;
  const { reset, layerNorm, activation, recurrentActivation } = options;
  const { weight, recurrentWeight } = weightsOf(parts, 3, units, units);
  const shape: Shape = [3 * units];
  const bias = options.bias ? make("bias", shape, zeros()) : undefined;
  const recurrentBias = options.bias && reset === "after" ? make("recurrentBias", shape, zeros()) : undefined;
  const ofInput = normalizing(parts, layerNorm ? "inputNorm" : undefined, 3 * units);
  const ofState = normalizing(parts, layerNorm ? "stateNorm" : undefined, 3 * units);
  const { times, timesKept } = gruProducts(recurrentWeight, reset);
  const usual = activation === "tanh" && recurrentActivation === "sigmoid" && !layerNorm && !drops;
  const of = {
    recurrentBias,
    times: (hidden: Tensor) => ofState(times(drop(hidden))),
    timesKept: timesKept && ((kept: Tensor) => timesKept(drop(kept))),
    gate: activationOf(recurrentActivation),
    activation: activationOf(activation),
  };
  return {
    project(x) {
      if (!layerNorm && bias) return linear(x, weight, bias);
      const product = ofInput(matmul(x, weight));
      return bias ? add(product, bias) : product;
    },
    whole: usual
      ? (projected, { hidden }, { lengths, reverse }) => {
          const optional = { ...(lengths ? { lengths } : {}), ...(recurrentBias ? { recurrentBias } : {}) };
          const found = gruSteps(projected, recurrentWeight, { hidden, reset, reverse, ...optional });
          return { outputs: found.outputs, state: { hidden: found.hidden } };
        }
      : undefined,
    step: (projected, { hidden }) => ({ hidden: gruStep(projected, hidden, of).hidden }),
  };
}
