// What all recurrent layers share: many layers, both directions, states, padding, dropout. A cell says how one of them goes
// through its steps: by one kernel for all (src/ops/recurrent*.ts), or by `scan` where something else is wanted of a step.
import { ModelError, showValue } from "../engine/errors.js";
import { flag, integer, joined, type OptionRule, type OptionsOf } from "../engine/options.js";
import {
  type Constraint,
  type Initializer,
  type Regularizer,
  type Shape,
  sameShape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { less, where } from "../ops/comparison.js";
import * as drops from "../ops/dropout.js";
import { add, clip, mul, scale, shift } from "../ops/elementwise.js";
import { gradientRules } from "../ops/gradient.js";
import { concatenate, stack } from "../ops/join.js";
import { layerNorm } from "../ops/normRows.js";
import { hardSigmoid, relu, softsign } from "../ops/piecewise.js";
import { checkLengths, held, maskOf, stateOrZeros } from "../ops/recurrent.js";
import { sum } from "../ops/reduce.js";
import { cast } from "../ops/rounding.js";
import { scan } from "../ops/scan.js";
import { reshape } from "../ops/shape.js";
import { slice } from "../ops/slice.js";
import { sigmoid, tanh } from "../ops/smooth.js";
import { identity, stopGradient } from "../ops/view.js";
import { layerOf } from "./defineLayer.js";
import { glorotUniform, ones, orthogonal } from "./initializers.js";
import type { Layer } from "./layer.js";
import { BIAS, NAME, partOptions } from "./options.js";
import type { Scope } from "./scope.js";

/** How the two directions of a bidirectional layer become one. */
export type Merge = "concatenate" | "sum" | "average" | "multiply";

/** Functions that a cell may have, by name. */
export type CellActivation = "tanh" | "relu" | "sigmoid" | "hardSigmoid" | "steepHardSigmoid" | "softsign" | "linear";

/** Options of all recurrent layers. */
export interface RecurrentOptions {
  /** Names the layer in parameter paths ("encoder.weight") and errors. Default: its number. */
  name?: string;
  /** So many, one upon the other. Default 1. */
  layers?: number;
  /** Goes through the sequence in both directions, each with weights of its own, and merges them so. Default: one direction. */
  bidirectional?: Merge;
  /** Goes from each sample's last step to its first. Default false. */
  reverse?: boolean;
  /** Whether all outputs are given, [batch, time, …], or the last only, [batch, …]. Default false: the last. */
  returnSequences?: boolean;
  /** Whether the last state is given too: `{ output, hidden }`, an LSTM's with `cell`. Default false. */
  returnState?: boolean;
  /** Begins where the last call's batch has stopped, row by row, while predicting too, until `resetState()`. Default false. */
  stateful?: boolean;
  /** Cuts the gradient each so many steps: truncated backpropagation through time. Default: nowhere. */
  truncate?: number;
  /** Rate of dropout between layers. Default 0. */
  dropout?: number;
  /** Rate of dropout of the state in the products, by one mask for all steps: Gal & Ghahramani 2016. Default 0. */
  recurrentDropout?: number;
  /** Whether a bias is added. Default true. */
  bias?: boolean;
  /** Of the weight [features, gates · units]. Default `glorotUniform()`, as in Keras. */
  weightInitializer?: Initializer;
  /** What the weight adds to the loss: `l2(1e-4)`. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the weight is brought back to after each step: `maxNorm(3)`. Default nothing. */
  weightConstraint?: Constraint;
  /** Of the weight of the state [states, gates · units]. Default `orthogonal()`, as in Keras. */
  recurrentWeightInitializer?: Initializer;
  /** What the weight of the state adds to the loss: `l2(1e-4)`. Default nothing. */
  recurrentWeightRegularizer?: Regularizer;
  /** What the weight of the state is brought back to after each step: `maxNorm(3)`. Default nothing. */
  recurrentWeightConstraint?: Constraint;
  /** Of the bias [gates · units]. Default `zeros()`. */
  biasInitializer?: Initializer;
  /** What the bias adds to the loss: `l2(1e-4)`. Default nothing. */
  biasRegularizer?: Regularizer;
  /** What the bias is brought back to after each step: `maxNorm(3)`. Default nothing. */
  biasConstraint?: Constraint;
}

/** A rate of dropout: from 0 on, below 1. */
const rate: OptionRule<number> = (where, name, value = 0) => {
  if (typeof value === "number" && value >= 0 && value < 1) return value;
  throw new ModelError(`${where}: ${name} must be a number from 0 on, below 1, got ${showValue(value)}`);
};

const MERGES: readonly Merge[] = ["concatenate", "sum", "average", "multiply"];

const merge: OptionRule<Merge | undefined> = (where, name, value) => {
  if (value === undefined || MERGES.includes(value as Merge)) return value as Merge | undefined;
  throw new ModelError(
    `${where}: ${name} must be one of ${MERGES.join(", ")}, which says how directions are merged, got ${showValue(value)}`,
  );
};

const steps: OptionRule<number | undefined> = (where, name, value) =>
  value === undefined ? undefined : integer(1, { min: 1 })(where, name, value);

/** A table of the options of all recurrent layers. */
export const RECURRENT = joined(
  NAME,
  {
    layers: integer(1, { min: 1, max: 1000 }),
    bidirectional: merge,
    reverse: flag(false),
    returnSequences: flag(false),
    returnState: flag(false),
    stateful: flag(false),
    truncate: steps,
    dropout: rate,
    recurrentDropout: rate,
  },
  BIAS,
  partOptions("weight"),
  partOptions("recurrentWeight"),
) satisfies OptionsOf<RecurrentOptions>;

/** 0.2 · x + 0.5 within [0, 1]: the hard sigmoid of Keras 2 and TensorFlow.js. */
const steepHardSigmoid = (x: Tensor): Tensor => clip(shift(scale(x, 0.2), 0.5), 0, 1);

/** A function of a cell by its name. */
export function activationOf(name: CellActivation): (x: Tensor) => Tensor {
  const known = { tanh, relu, sigmoid, hardSigmoid, steepHardSigmoid, softsign, linear: identity };
  return known[name];
}

export const CELL_ACTIVATIONS: readonly CellActivation[] = [
  "tanh",
  "relu",
  "sigmoid",
  "hardSigmoid",
  "steepHardSigmoid",
  "softsign",
  "linear",
];

/** The last state by name, of one layer in one direction. */
export interface CellState {
  readonly hidden: Tensor;
  readonly cell?: Tensor;
}

/** What the steps of one layer go by, besides the inputs. */
export interface Padding {
  readonly lengths: Tensor | undefined;
  readonly mask: Tensor | undefined;
  readonly reverse: boolean;
}

/** One layer in one direction, with its parameters. */
export interface Cell {
  /** x [batch, time, features] → what goes into the gates, of all steps in one product. */
  project(x: Tensor): Tensor;
  /** All steps by one kernel; absent if the steps are others. */
  readonly whole?: ((projected: Tensor, state: CellState, padding: Padding) => Unrolled) | undefined;
  /** One step: projected is [batch, gates · units]. */
  step(projected: Tensor, state: CellState): CellState;
}

export interface Unrolled {
  readonly outputs: Tensor;
  readonly state: CellState;
}

/** What makes the parameters of a cell and may drop something of its state. */
export interface CellParts {
  readonly features: number;
  /** A parameter by its name in the layer; those called `…Initializer` and so on say how it is made. */
  make(name: string, shape: Shape, initializer: Initializer): Tensor;
  /** The state as the products see it: with dropout, its mask is the same in all steps. */
  drop(hidden: Tensor): Tensor;
  /** Whether `drop` does anything. */
  readonly drops: boolean;
}

export interface RecurrentKind {
  readonly kind: string;
  /** Width of each state by name: `hidden`, and an LSTM's `cell`. */
  readonly widths: { readonly hidden: number; readonly cell?: number };
  cell(of: CellParts): Cell;
}

type Read = { readonly [K in keyof Required<RecurrentOptions>]: RecurrentOptions[K] | undefined } & {
  readonly layers: number;
  readonly dropout: number;
  readonly recurrentDropout: number;
};

type StateName = "hidden" | "cell";

/** What a recurrent layer may be given besides x, for the compiler. */
export type RecurrentInputPorts = {
  readonly lengths: readonly [];
  readonly mask: readonly [number];
  readonly hidden: Shape;
};

/** What it gives, for the compiler. */
export type RecurrentOutputs<Sequences extends boolean, State extends boolean> = State extends true
  ? { readonly output: Shape; readonly hidden: Shape }
  : Sequences extends true
    ? 2
    : 1;

/** The tensors that it is given. */
interface RecurrentInputs {
  readonly x: Tensor;
  readonly lengths?: Tensor | undefined;
  readonly mask?: Tensor | undefined;
  readonly hidden?: Tensor | undefined;
  readonly cell?: Tensor | undefined;
}

// ——— The layer ———

/** A recurrent layer, made of cells of one kind. */
export function recurrentLayer(of: RecurrentKind, options: Read, made: unknown): Layer<never, never, never> {
  const { kind, widths } = of;
  if (options.stateful && options.bidirectional !== undefined) {
    throw new ModelError(
      `${kind}: stateful must not be given with bidirectional, whose backward direction begins at the end of a sequence: leave one out`,
    );
  }
  const states: readonly StateName[] = widths.cell === undefined ? ["hidden"] : ["hidden", "cell"];
  const inputNames = ["x", "lengths?", "mask?", ...states.map((name) => `${name}?`)];
  const about = { kind, name: options.name as string | undefined, inputNames, options: made };
  return layerOf(about, (inputs: RecurrentInputs, scope) => runLayers(of, options, inputs, scope));
}

function runLayers(of: RecurrentKind, options: Read, inputs: RecurrentInputs, scope: Scope) {
  const { layers, bidirectional, returnSequences, returnState } = options;
  const lengths = checkInputs(of, inputs, options);
  const directions = bidirectional === undefined ? 1 : 2;
  const first = statesGiven(of, inputs, layers * directions);
  const last: CellState[] = [];
  let x = inputs.x;
  for (let layer = 0; layer < layers; layer++) {
    if (layer > 0 && scope.training && options.dropout > 0) {
      x = drops.dropout(x, { rate: options.dropout, ...scope.randomness() });
    }
    const ways = Array.from({ length: directions }, (_, way) => {
      const place = { layer, way, start: first?.[layer * directions + way] };
      return runDirection(of, options, { ...inputs, lengths, x }, scope, place);
    });
    last.push(...ways.map(({ state }) => state));
    x = merged(
      ways.map(({ outputs }) => outputs),
      bidirectional,
    );
  }
  const ends = last.slice(-directions).map(({ hidden }) => hidden);
  const output = returnSequences ? x : merged(ends, bidirectional);
  if (!returnState) return output;
  const together = (name: StateName) => {
    const tensors = last.map((state) => state[name] as Tensor);
    return tensors.length === 1 ? tensors[0] : stack(tensors, 1);
  };
  return { output, hidden: together("hidden"), ...(of.widths.cell === undefined ? {} : { cell: together("cell") }) };
}

function merged(ways: readonly Tensor[], how: Merge | undefined): Tensor {
  const [forward, backward] = ways;
  if (how === undefined) return forward;
  if (how === "concatenate") return concatenate([forward, backward], -1);
  if (how === "multiply") return mul(forward, backward);
  const both = add(forward, backward);
  return how === "sum" ? both : scale(both, 0.5);
}

function checkInputs({ kind, widths }: RecurrentKind, inputs: RecurrentInputs, { stateful }: Read): Tensor | undefined {
  const { x, lengths, mask, hidden, cell } = inputs;
  if (x.shape.length !== 3 || x.dtype !== "float32") {
    throw new ModelError(`input must be [batch, time, features], got ${x.dtype} ${showShape(x.shape)}`);
  }
  const [batch, time] = x.shape;
  if (mask !== undefined && (mask.dtype !== "float32" || !sameShape(mask.shape, [batch, time]))) {
    throw new ModelError(
      `mask must be float32 [${batch}, ${time}], 1 where there is a step and 0 where there is none, got ${mask.dtype} ${showShape(mask.shape)}`,
    );
  }
  if (mask !== undefined && lengths !== undefined) {
    throw new ModelError("lengths and mask must not both be given: lengths are faster if padding comes last");
  }
  if ((hidden === undefined) !== (cell === undefined) && widths.cell !== undefined) {
    throw new ModelError("hidden and cell must be given both or neither, got one: give the other too");
  }
  if (stateful && hidden !== undefined) {
    throw new ModelError("a stateful layer must not be given a first state, as it has its own: leave out one of them");
  }
  return checkLengths(kind, lengths, batch, time);
}

/** The first states of all layers and directions, if they are given. */
function statesGiven({ widths }: RecurrentKind, inputs: RecurrentInputs, count: number): CellState[] | undefined {
  if (inputs.hidden === undefined) return undefined;
  const batch = inputs.x.shape[0];
  const all = (Object.keys(widths) as StateName[]).map((name) => {
    const tensor = inputs[name] as Tensor;
    const shape = [batch, ...(count === 1 ? [] : [count]), widths[name] as number];
    if (tensor.dtype !== "float32" || !sameShape(tensor.shape, shape)) {
      throw new ModelError(
        `${name} must be float32 ${showShape(shape)}, a state for each layer and direction, got ${tensor.dtype} ${showShape(tensor.shape)}`,
      );
    }
    const rows = reshape(tensor, [batch, count, widths[name] as number]);
    const one = (index: number) =>
      reshape(slice(rows, [0, index], [batch, index + 1]), [batch, widths[name] as number]);
    return Array.from({ length: count }, (_, index) => [name, count === 1 ? tensor : one(index)] as const);
  });
  return Array.from({ length: count }, (_, index) => Object.fromEntries(all.map((one) => one[index])) as never);
}

interface Place {
  readonly layer: number;
  /** 0: in the layer's direction; 1: in the other. */
  readonly way: number;
  readonly start: CellState | undefined;
}

function runDirection(
  of: RecurrentKind,
  options: Read,
  { x, lengths, mask }: RecurrentInputs,
  scope: Scope,
  { layer, way, start }: Place,
): Unrolled {
  const { widths } = of;
  const prefix = pathOf(options, layer, way);
  const batch = x.shape[0];
  const names = Object.keys(widths) as StateName[];
  const kept = options.stateful
    ? names.map((name) => scope.state(`${prefix}${name}`, [batch, widths[name] as number]))
    : [];
  const zeros = () => names.map((name) => [name, stateOrZeros(undefined, [batch, widths[name] as number])]);
  const own = options.stateful ? names.map((name, index) => [name, kept[index]]) : zeros();
  const state = start ?? (Object.fromEntries(own) as unknown as CellState);
  const cell = of.cell(partsIn(options, scope, prefix, x, widths.hidden));
  const padding = { lengths, mask, reverse: Boolean(options.reverse) !== (way === 1) };
  const found = unrollInParts(cell, cell.project(x), state, padding, options.truncate);
  kept.forEach((target, index) => {
    scope.update(target, found.state[names[index]] as Tensor);
  });
  return found;
}

/** "0.reverse.": only what is needed to tell the layers and directions apart. */
function pathOf({ layers, bidirectional }: Read, layer: number, way: number): string {
  const direction = bidirectional === undefined ? "" : way === 0 ? "forward." : "backward.";
  return `${layers === 1 ? "" : `${layer}.`}${direction}`;
}

/** The options of a parameter are called after it. */
function partsIn(options: Read, scope: Scope, prefix: string, x: Tensor, width: number): CellParts {
  const given = options as unknown as Readonly<Record<string, unknown>>;
  const drops = scope.training && options.recurrentDropout > 0;
  const mask = drops ? dropMask(options.recurrentDropout, scope, [x.shape[0], width]) : undefined;
  return {
    features: x.shape[2],
    make: (name, shape, initializer) =>
      scope.parameter(
        `${prefix}${name}`,
        shape,
        (given[`${name}Initializer`] as Initializer | undefined) ?? initializer,
        {
          regularizer: given[`${name}Regularizer`] as Regularizer | undefined,
          constraint: given[`${name}Constraint`] as Constraint | undefined,
        },
      ),
    drop: (hidden) => (mask === undefined ? hidden : mul(hidden, mask)),
    drops,
  };
}

function dropMask(rate: number, scope: Scope, shape: Shape): Tensor {
  return drops.dropout(gradientRules.full(shape, 1), { rate, ...scope.randomness() });
}

// ——— Steps ———

/** All steps, with the gradient cut each `truncate` of them. */
function unrollInParts(
  cell: Cell,
  projected: Tensor,
  start: CellState,
  padding: Padding,
  truncate: number | undefined,
): Unrolled {
  const time = projected.shape[1];
  if (truncate === undefined || truncate >= time) return unroll(cell, projected, start, padding);
  const begins = Array.from({ length: Math.ceil(time / truncate) }, (_, index) => index * truncate);
  const outputs: Tensor[] = [];
  let state = start;
  for (const [index, begin] of (padding.reverse ? begins.reverse() : begins).entries()) {
    const end = Math.min(begin + truncate, time);
    const cut = (x: Tensor) => slice(x, [0, begin], [x.shape[0], end]);
    const part: Padding = {
      reverse: padding.reverse,
      mask: padding.mask && cut(padding.mask),
      lengths: padding.lengths && cast(clip(shift(cast(padding.lengths, "float32"), -begin), 0, end - begin), "uint32"),
    };
    // A state that is only held, before a sample's first step or after its last, is not cut off.
    if (index > 0) state = detached(state, padding, padding.reverse ? end : begin);
    const found = unroll(cell, cut(projected), state, part);
    outputs.push(found.outputs);
    state = found.state;
  }
  return { outputs: concatenate(padding.reverse ? outputs.reverse() : outputs, 1), state };
}

/** The state without a gradient, for samples that have steps from this place on. */
function detached(state: CellState, { lengths, mask }: Padding, place: number): CellState {
  const goesOn = lengths
    ? less(place, reshape(cast(lengths, "float32"), [lengths.shape[0], 1]))
    : mask && less(0, sum(slice(mask, [0, place]), 1, { keepDims: true }));
  const cut = (x: Tensor) => (goesOn ? where(goesOn, stopGradient(x), x) : stopGradient(x));
  return { hidden: cut(state.hidden), ...(state.cell === undefined ? {} : { cell: cut(state.cell) }) };
}

function unroll(cell: Cell, projected: Tensor, start: CellState, padding: Padding): Unrolled {
  if (cell.whole !== undefined && padding.mask === undefined) return cell.whole(projected, start, padding);
  const mask = padding.mask ?? (padding.lengths && maskOf(padding.lengths, projected.shape[1]));
  const [state, outputs] = scan(
    (before: { [name: string]: Tensor }, row: { [name: string]: Tensor }) => {
      const after = cell.step(row.x, before as unknown as CellState) as unknown as { [name: string]: Tensor };
      const next = Object.keys(before).map((name) => [name, held(row.mask, after[name], before[name])]);
      return [Object.fromEntries(next), held(row.mask, after.hidden, 0)];
    },
    { ...start } as { [name: string]: Tensor },
    { x: projected, ...(mask === undefined ? {} : { mask }) } as { [name: string]: Tensor },
    { axis: 1, reverse: padding.reverse },
  );
  return { outputs: outputs as unknown as Tensor, state: state as unknown as CellState };
}

// ——— What cells are made of ———

/** The weights that all kinds have, and the input's product. */
export function weightsOf({ make, features }: CellParts, gates: number, units: number, states: number) {
  return {
    weight: make("weight", [features, gates * units], glorotUniform()),
    recurrentWeight: make("recurrentWeight", [states, gates * units], orthogonal()),
  };
}

/** A weight for what is normalized, begins as 1: Ba et al. 2016. Without `name` nothing is normalized. */
export function normalizing(parts: CellParts, name: string | undefined, width: number): (x: Tensor) => Tensor {
  if (name === undefined) return (x) => x;
  const weight = parts.make(name, [width], ones());
  return (x) => layerNorm(x, { weight });
}
