// Recurrent operations: what all of them share, and the simple one (Elman 1990). LSTM and GRU: recurrentLstm.ts, recurrentGru.ts.
//
// Each goes over the time steps of projected inputs x·W + b [batch, time, gates·units], which are one product for all steps,
// in one kernel forward and one backward (assembly/kernels/recurrent*.ts). The gradients of the weights are products over all
// steps again. Steps of other operations (recurrentCells.ts) compute the same: for what is rarely asked for, a gradient of a
// gradient.
import { EPILOGUE_RELU, EPILOGUE_TANH } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows, type Workload } from "../engine/instructions.js";
import { choice, flag, type OptionRule, type OptionsOf, optional, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { buildGradient } from "../graph/backward.js";
import { lowerBound } from "../graph/bounds.js";
import { apply, applyAll, type BackwardContext, type Operation } from "../graph/operation.js";
import { align } from "../graph/plan.js";
import { checkTensor, constant, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { less, where } from "./comparison.js";
import { add, mul, sub } from "./elementwise.js";
import { gradientRules } from "./gradient.js";
import { matmul } from "./matmul.js";
import { relu } from "./piecewise.js";
import { sum } from "./reduce.js";
import { cast } from "./rounding.js";
import { scan } from "./scan.js";
import { broadcastTo, reshape } from "./shape.js";
import { tanh } from "./smooth.js";
import { identity } from "./view.js";

/** What the kernels of one operation are told besides tensors. */
export interface Steps {
  readonly reverse: boolean;
  /** Whether the last input is the lengths of the samples. */
  readonly hasLengths: boolean;
}

/** What a gradient of it also says: which gradients have come in. */
export interface StepsGradient extends Steps {
  readonly hasOutputs: boolean;
  readonly hasLast: boolean;
}

// ——— Checks ———

/** Sizes of projected inputs [batch, time, gates·units] and recurrent weights [states, gates·units]. */
export function recurrentSizes(where: string, projected: Tensor, weight: Tensor, gates: number) {
  checkFloat(where, projected, weight);
  const [batch, time, width] = projected.shape;
  if (projected.shape.length !== 3 || width % gates !== 0) {
    const wanted = gates === 1 ? "units" : `${gates} · units`;
    throw new ModelError(
      `${where}: projected inputs must be [batch, time, ${wanted}], got ${showShape(projected.shape)}: they are linear(x, weight, bias) of all time steps`,
    );
  }
  const units = width / gates;
  return { batch, time, units, states: weight.shape[0] };
}

/** The same for one step, [batch, gates·units]. */
export function cellSizes(where: string, projected: Tensor, weight: Tensor, gates: number) {
  checkFloat(where, projected, weight);
  const [batch, width] = projected.shape;
  if (projected.shape.length === 2 && width % gates === 0) {
    return { batch, units: width / gates, states: weight.shape[0] };
  }
  const wanted = gates === 1 ? "units" : `${gates} · units`;
  throw new ModelError(`${where}: projected inputs must be [batch, ${wanted}], got ${showShape(projected.shape)}`);
}

export function checkShapeOf(where: string, name: string, tensor: Tensor | undefined, shape: Shape): void {
  if (tensor === undefined) return;
  checkTensor(where, tensor, `${name} must be a tensor`);
  if (tensor.dtype === "float32" && sameShape(tensor.shape, shape)) return;
  throw new ModelError(
    `${where}: ${name} must be float32 ${showShape(shape)}, got ${tensor.dtype} ${showShape(tensor.shape)}`,
  );
}

/** Lengths as they are, known to be from 1 to `time`: others are refused where they are handed in. */
export const lengthsOp: Operation<{ time: number }> = {
  name: "lengths",
  infer: ([{ shape, dtype }]) => [{ shape, dtype }],
  bounds: ({ attributes: { time }, outputs: [y], boundOf }) => [lowerBound(boundOf(y), { most: time })],
};

/** Refuses what are not the lengths of so many samples; numbers that are known are checked too. */
export function checkLengths(
  where: string,
  lengths: Tensor | undefined,
  batch: number,
  time: number,
): Tensor | undefined {
  if (lengths === undefined) return undefined;
  const { dtype, shape, source } = checkTensor(where, lengths, "lengths must be a tensor");
  if (dtype !== "uint32" || !sameShape(shape, [batch])) {
    throw new ModelError(
      `${where}: lengths must be uint32 [${batch}], one for each sample, got ${dtype} ${showShape(shape)}`,
    );
  }
  const wrong = source.kind === "constant" ? source.data.find((length) => length < 1 || length > time) : undefined;
  if (wrong === undefined) return apply(lengthsOp, [lengths], { time });
  throw new ModelError(
    `${where}: a length must be a whole number from 1 to ${time}, the number of time steps, got ${wrong}`,
  );
}

/** Zeros if no first state is given. */
export function stateOrZeros(state: Tensor | undefined, shape: Shape): Tensor {
  return state ?? gradientRules.full(shape, 0);
}

/** A tensor in an array, or nothing. */
export function listed(tensor: Tensor | undefined): readonly Tensor[] {
  return tensor === undefined ? [] : [tensor];
}

/** [batch, time, width] → [batch · time, width] */
export function flatSteps(x: Tensor): Tensor {
  const [batch, time, width] = x.shape;
  return reshape(x, [batch * time, width]);
}

/** The gradient of weights: Σ over all steps of aᵀ·b. */
export function weightGradient(a: Tensor, b: Tensor): Tensor {
  return matmul(flatSteps(a), flatSteps(b), { transposeA: true });
}

// ——— Recording ———

/** Offsets of parts of a scratch memory, in bytes, and how much they are together. */
export function partsOf(sizes: readonly number[]): { readonly offsets: readonly number[]; readonly bytes: number } {
  let bytes = 0;
  const offsets = sizes.map((size) => {
    const offset = bytes;
    bytes += align(size * 4);
    return offset;
  });
  return { offsets, bytes };
}

/** Elements of packed weights [k, n]. */
export function packedSize(k: number, n: number): number {
  return k * Math.ceil(n / 8) * 8;
}

export interface Packing {
  readonly k: number;
  readonly n: number;
  /** Which columns, of how many in all. */
  readonly first?: number;
  readonly stride: number;
  readonly transposed?: boolean;
}

export function recordPacking(
  record: Recorder,
  to: Pointer,
  from: Pointer,
  { k, n, first = 0, stride, transposed = false }: Packing,
): void {
  record.packRecurrent(rows(Math.ceil(n / 8), k * n), to, from, k, n, first, stride, Number(transposed));
}

/** Of all steps: `products` multiply-adds and `elements` of gates in each. */
export function stepsWork(batch: number, time: number, products: number, elements: number): Workload {
  return rows(batch, batch * time * (products * 0.5 + elements * 10));
}

// ——— The same by other operations ———

/** 1 where a sample has a step, [batch, time]. */
export function maskOf(lengths: Tensor, time: number): Tensor {
  const places = constant(
    Float32Array.from({ length: time }, (_, place) => place),
    [1, time],
  );
  return less(places, reshape(cast(lengths, "float32"), [lengths.shape[0], 1]));
}

/** `mask`, a row of maskOf: what a sample has after a step, or before it if there is none. */
export function held(mask: Tensor | undefined, after: Tensor, before: Tensor | number): Tensor {
  return mask === undefined ? after : where(reshape(mask, [mask.shape[0], 1]), after, before);
}

/**
 * The gradients for the inputs of an operation of several outputs, through the same calculation out of operations that have
 * derivatives.
 */
export function gradientsThrough<Attributes>(
  { inputs, outputs, attributes, needs, hasGradient, gradientOf }: BackwardContext<Attributes>,
  plain: (inputs: readonly Tensor[], attributes: Attributes) => readonly (Tensor | undefined)[],
): readonly (Tensor | undefined)[] {
  // Views, so that the inputs stand apart: one may depend on another, and that is not to be counted here.
  const views = inputs.map((tensor) => (tensor.dtype === "float32" ? identity(tensor) : tensor));
  const parts = plain(views, attributes).flatMap((result, index) =>
    result !== undefined && hasGradient(outputs[index]) ? [sum(mul(result, gradientOf(outputs[index])))] : [],
  );
  const wanted = views.filter((_, index) => needs[index]);
  const found = buildGradient(
    parts.reduce((a, b) => add(a, b)),
    wanted,
    gradientRules,
  );
  return views.map((view, index) => (needs[index] ? found[wanted.indexOf(view)] : undefined));
}

// ——— States before each step ———

/** states [batch, time, width], start [batch, width], lengths → the state that each step began with; 0 in the padding. */
export const previousStatesOp: Operation<Steps> = {
  name: "previousStates",
  infer: ([states]) => [{ shape: states.shape }],
  forward(record, { attributes: { reverse, hasLengths }, inputs: [{ shape }], from, to }) {
    const [batch, time, width] = shape;
    const lengths = hasLengths ? from[2] : 0;
    record.previousStates(rows(batch, sizeOf(shape)), to[0], from[0], from[1], lengths, time, width, Number(reverse));
  },
  backward: ({ attributes, gradient, inputs: [, , ...lengths] }) =>
    applyAll(previousStatesGradientOp, [gradient, ...lengths], attributes),
};

/** dy, lengths → gradients of the states and of the first. */
export const previousStatesGradientOp: Operation<Steps> = {
  name: "previousStatesGradient",
  infer: ([{ shape }]) => [{ shape }, { shape: [shape[0], shape[2]] }],
  forward(record, { attributes: { reverse, hasLengths }, inputs: [{ shape }], from, to }) {
    const [batch, time, width] = shape;
    const lengths = hasLengths ? from[1] : 0;
    const work = rows(batch, sizeOf(shape));
    record.previousStatesGradient(work, to[0], to[1], from[0], lengths, time, width, Number(reverse));
  },
  backward: ({ attributes, outputs, gradientOf, inputs: [, ...lengths] }) => [
    previousStates(gradientOf(outputs[0]), gradientOf(outputs[1]), lengths, attributes),
  ],
};

export function previousStates(
  states: Tensor,
  start: Tensor,
  lengths: readonly Tensor[],
  { reverse, hasLengths }: Steps,
): Tensor {
  return applyAll(previousStatesOp, [states, start, ...lengths], { reverse, hasLengths })[0];
}

// ——— The simple one ———

export interface RnnOptions {
  /** The state before the first step, [batch, units]. Default zeros. */
  hidden?: Tensor;
  /** Of the sum of input and state. Default `"tanh"`. */
  activation?: "tanh" | "relu";
  /** How many steps each sample has, uint32 [batch], from 1 on: what comes after is padding. Default all. */
  lengths?: Tensor;
  /** From each sample's last step to its first; outputs[t] still belongs to x[t]. Default false. */
  reverse?: boolean;
}

/** A tensor, whose shape is checked against others. */
export const GIVEN: OptionRule<Tensor> = (where, name, value) => checkTensor(where, value, `${name} must be a tensor`);
/** The same, which may be left out. */
export const STATE = /* @__PURE__ */ optional(GIVEN);

const RNN = {
  hidden: STATE,
  activation: choice("tanh", ["tanh", "relu"]),
  lengths: STATE,
  reverse: flag(false),
} satisfies OptionsOf<RnnOptions>;

export interface RnnAttributes extends Steps {
  readonly activation: "tanh" | "relu";
}

const CODES = { tanh: EPILOGUE_TANH, relu: EPILOGUE_RELU } as const;

/** Inputs: x, U, h0, lengths. Outputs: all states (in the place of x), the last. */
export const rnnOp: Operation<RnnAttributes> = {
  name: "rnn",
  infer: ([x, , start]) => [{ shape: x.shape }, { shape: start.shape }],
  required: () => 0,
  scratchBytes: ([x], _, [, wantsLast]) => rnnScratch(x.shape, !wantsLast).bytes,
  forward(record, { attributes: { reverse, hasLengths, activation }, inputs: [{ shape }], from, to, scratch }) {
    const [batch, time, units] = shape;
    const [packed, work, last] = rnnScratch(shape, to[1] === 0).offsets.map((offset) => scratch + offset);
    const lengths = hasLengths ? from[3] : 0;
    const sizes = [time, units, Number(reverse), CODES[activation]] as const;
    recordPacking(record, packed, from[1], { k: units, n: units, stride: units });
    const amount = stepsWork(batch, time, units * units, units);
    record.rnn(amount, to[0], to[1] || last, work, from[0], packed, from[2], lengths, ...sizes);
  },
  backward: ({ attributes, inputs: [, weight, start, ...lengths], outputs, gradientOf, hasGradient, needs }) => {
    const [states, last] = outputs;
    const [hasOutputs, hasLast] = [hasGradient(states), hasGradient(last)];
    const given = [...(hasOutputs ? [gradientOf(states)] : []), ...(hasLast ? [gradientOf(last)] : [])];
    const [dx, dstart] = applyAll(rnnGradientOp, [states, weight, ...given, ...lengths], {
      ...attributes,
      hasOutputs,
      hasLast,
    });
    const before = () => previousStates(states, start, lengths, attributes);
    return [dx, needs[1] ? weightGradient(before(), dx) : undefined, dstart];
  },
  inPlace: [0],
};

function rnnScratch([batch, , units]: Shape, keepsLast: boolean) {
  return partsOf([packedSize(units, units), batch * units, keepsLast ? batch * units : 0]);
}

export interface RnnGradientAttributes extends RnnAttributes, StepsGradient {}

/** Inputs: states, U, dstates and dlast if there are any, lengths. Outputs: dx (in the place of the states), dh0. */
export const rnnGradientOp: Operation<RnnGradientAttributes> = {
  name: "rnnGradient",
  infer: ([{ shape }]) => [{ shape }, { shape: [shape[0], shape[2]] }],
  scratchBytes: ([{ shape }]) => rnnScratch(shape, false).bytes,
  forward(record, { attributes, inputs: [{ shape }], from, to, scratch }) {
    const { reverse, hasOutputs, hasLast, activation } = attributes;
    const [batch, time, units] = shape;
    const [packed, work] = rnnScratch(shape, false).offsets.map((offset) => scratch + offset);
    const { outputs, last, lengths } = gradientsIn(from.slice(2), attributes);
    recordPacking(record, packed, from[1], { k: units, n: units, stride: units, transposed: true });
    const amount = stepsWork(batch, time, units * units, units);
    const sizes = [time, units, Number(reverse), CODES[activation]] as const;
    const dy = hasOutputs ? outputs : 0;
    record.rnnGradient(amount, to[0], to[1], work, from[0], dy, hasLast ? last : 0, packed, lengths, ...sizes);
  },
  backward: (context) => gradientsThrough(context, plainRnnGradient),
  inPlace: [0],
};

/** What comes in of gradients of outputs and last state, and the lengths: in this order, 0 for what there is not. */
export function gradientsIn(from: readonly Pointer[], { hasOutputs, hasLast, hasLengths }: StepsGradient) {
  const rest = [...from];
  const next = (is: boolean): Pointer => (is ? (rest.shift() as Pointer) : 0);
  return { outputs: next(hasOutputs), last: next(hasLast), lengths: next(hasLengths) };
}

function plainRnnGradient(
  [states, weight, ...rest]: readonly Tensor[],
  { reverse, activation, hasOutputs, hasLast, hasLengths }: RnnGradientAttributes,
): Tensor[] {
  const [batch, time, units] = states.shape;
  const outputs = hasOutputs ? rest[0] : undefined;
  const last = hasLast ? rest[Number(hasOutputs)] : undefined;
  const mask = hasLengths ? maskOf(rest[rest.length - 1], time) : undefined;
  const xs = { states, ...(outputs ? { outputs } : {}), ...(mask ? { mask } : {}) };
  const [start, dx] = scan(
    (dh: Tensor, row: { states: Tensor; outputs?: Tensor; mask?: Tensor }) => {
      const d = row.outputs ? add(dh, row.outputs) : dh;
      const slope = activation === "relu" ? less(0, row.states) : sub(1, mul(row.states, row.states));
      const dz = held(row.mask, mul(d, slope), 0);
      return [held(row.mask, matmul(dz, weight, { transposeB: true }), dh), dz];
    },
    broadcastTo(stateOrZeros(last, [batch, units]), [batch, units]),
    xs,
    { axis: 1, reverse: !reverse },
  );
  return [dx as Tensor, start];
}

/**
 * A simple recurrent layer's steps: h[t] = tanh(projected[t] + h[t - 1]·U), or with ReLU, by one kernel for all of them.
 * projected [batch, time, units] is `linear(x, weight, bias)`, U = recurrentWeight [units, units]. Outputs are [batch, time,
 * units], `hidden` [batch, units] is the state after each sample's last step. Where `lengths` end, outputs are 0 and the state
 * stays. Throws ModelError if a shape does not fit.
 *
 * @example
 * const x = linear(input([32, 20, 8]), input([8, 64]), input([64]));
 * const { outputs, hidden } = rnn(x, input([64, 64])); // [32, 20, 64], [32, 64]
 */
export function rnn(projected: Tensor, recurrentWeight: Tensor, options: RnnOptions = {}) {
  const { hidden, activation, lengths, reverse } = readOptions("rnn", options, RNN);
  const { batch, time, units } = recurrentSizes("rnn", projected, recurrentWeight, 1);
  checkShapeOf("rnn", "recurrentWeight", recurrentWeight, [units, units]);
  checkShapeOf("rnn", "hidden", hidden, [batch, units]);
  const steps = listed(checkLengths("rnn", lengths, batch, time));
  const inputs = [projected, recurrentWeight, stateOrZeros(hidden, [batch, units]), ...steps];
  const [outputs, last] = applyAll(rnnOp, inputs, { reverse, activation, hasLengths: lengths !== undefined });
  return { outputs, hidden: last };
}

const CELL = { activation: choice("tanh", ["tanh", "relu"]) } satisfies OptionsOf<Pick<RnnOptions, "activation">>;

/** One step of `rnn`, for `scan`: projected and hidden [batch, units] → the next state. */
export function rnnCell(
  projected: Tensor,
  hidden: Tensor,
  recurrentWeight: Tensor,
  options: Pick<RnnOptions, "activation"> = {},
): Tensor {
  const { activation } = readOptions("rnnCell", options, CELL);
  const { batch, units } = cellSizes("rnnCell", projected, recurrentWeight, 1);
  checkShapeOf("rnnCell", "recurrentWeight", recurrentWeight, [units, units]);
  checkShapeOf("rnnCell", "hidden", checkTensor("rnnCell", hidden, "hidden must be a tensor"), [batch, units]);
  const sums = add(projected, matmul(hidden, recurrentWeight));
  return activation === "relu" ? relu(sums) : tanh(sums);
}
