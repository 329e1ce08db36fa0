// LSTM over projected inputs: Hochreiter & Schmidhuber 1997, forget gate by Gers et al. 2000; see recurrent.ts and
// assembly/kernels/recurrentLstm.ts. Gates are i, f, g, o, as PyTorch's and Keras'.
import type { Pointer } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import { applyAll, type BackwardContext, type Operation } from "../graph/operation.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import { add, mul, sub } from "./elementwise.js";
import { concatenate, split, stack } from "./join.js";
import { matmul } from "./matmul.js";
import {
  cellSizes,
  checkLengths,
  checkShapeOf,
  GIVEN,
  gradientsThrough,
  held,
  listed,
  maskOf,
  packedSize,
  partsOf,
  previousStates,
  recordPacking,
  recurrentSizes,
  STATE,
  type Steps,
  type StepsGradient,
  stateOrZeros,
  stepsWork,
  weightGradient,
} from "./recurrent.js";
import { sum } from "./reduce.js";
import { scan } from "./scan.js";
import { broadcastTo } from "./shape.js";
import { sigmoid, tanh } from "./smooth.js";

export interface LstmOptions {
  /** The state before the first step, [batch, states]. Default zeros. */
  hidden?: Tensor;
  /** The cell before the first step, [batch, units]. Default zeros. */
  cell?: Tensor;
  /** [3, units]: what of the cell goes into the gates i, f and o. Gers & Schmidhuber 2000. Default none. */
  peepholes?: Tensor;
  /** [units, states]: what makes the state of the output. Sak et al. 2014. Default none; there are as many states as units. */
  projection?: Tensor;
  /** How many steps each sample has, uint32 [batch], from 1 on: what comes after is padding. Default all. */
  lengths?: Tensor;
  /** From each sample's last step to its first; outputs[t] still belongs to x[t]. Default false. */
  reverse?: boolean;
}

const LSTM = {
  hidden: STATE,
  cell: STATE,
  peepholes: STATE,
  projection: STATE,
  lengths: STATE,
  reverse: flag(false),
} satisfies OptionsOf<LstmOptions>;

export interface LstmAttributes extends Steps {
  readonly hasPeepholes: boolean;
  readonly hasProjection: boolean;
}

interface Sizes {
  readonly batch: number;
  readonly time: number;
  readonly units: number;
  readonly states: number;
}

function sizesOf([x, weight]: readonly Tensor[]): Sizes {
  const [batch, time, width] = x.shape;
  return { batch, time, units: width / 4, states: weight.shape[0] };
}

/** What follows the inputs that are always there. */
function optionalOf<T>(rest: readonly T[], { hasPeepholes, hasProjection, hasLengths }: LstmAttributes) {
  const left = [...rest];
  const next = (is: boolean): T | undefined => (is ? left.shift() : undefined);
  return { peepholes: next(hasPeepholes), projection: next(hasProjection), lengths: next(hasLengths) };
}

function workOf({ batch, time, units, states }: Sizes, hasProjection: boolean) {
  return stepsWork(batch, time, states * 4 * units + (hasProjection ? units * states : 0), 4 * units);
}

/** Elements of the packed weights, of the packed projection, and of what samples need in a step. */
function scratchSizes({ batch, units, states }: Sizes, hasProjection: boolean): number[] {
  const projected = hasProjection ? [packedSize(units, states), batch * (5 * units + states)] : [0, batch * 4 * units];
  return [packedSize(states, 4 * units), ...projected];
}

function lstmScratch(sizes: Sizes, { hasProjection }: LstmAttributes, wanted: readonly boolean[]) {
  const { batch, units, states } = sizes;
  const last = [wanted[2] ? 0 : batch * states, wanted[3] ? 0 : batch * units];
  return partsOf([...scratchSizes(sizes, hasProjection), ...last]);
}

/** Inputs: x, U, h0, c0, peepholes, projection, lengths. Outputs: gates (in the place of x), states, the last state and cell,
 *  cells. */
export const lstmOp: Operation<LstmAttributes> = {
  name: "lstm",
  infer(inputs) {
    const { batch, time, units, states } = sizesOf(inputs);
    return [
      { shape: inputs[0].shape },
      { shape: [batch, time, states] },
      { shape: [batch, states] },
      { shape: [batch, units] },
      { shape: [batch, time, units] },
    ];
  },
  required: () => 0,
  scratchBytes: (inputs, attributes, wanted) => lstmScratch(sizesOf(inputs), attributes, wanted).bytes,
  forward(record, { attributes, inputs, from, to, scratch }) {
    const { batch, time, units, states } = sizesOf(inputs);
    const wanted = to.map((address) => address !== 0);
    const places = lstmScratch({ batch, time, units, states }, attributes, wanted).offsets;
    const [packed, packedP, work, h, c] = places.map((offset) => scratch + offset);
    const { peepholes = 0, projection, lengths = 0 } = optionalOf<Pointer>(from.slice(4), attributes);
    recordPacking(record, packed, from[1], { k: states, n: 4 * units, stride: 4 * units });
    if (projection !== undefined) recordPacking(record, packedP, projection, { k: units, n: states, stride: states });
    record.lstm(
      workOf({ batch, time, units, states }, attributes.hasProjection),
      ...([to[0], to[1], to[2] || h, to[3] || c, to[4], work, from[0], packed, from[2], from[3]] as const),
      peepholes,
      projection === undefined ? 0 : packedP,
      lengths,
      ...([batch, time, units, states, Number(attributes.reverse)] as const),
    );
  },
  backward: (context) => lstmBackward(context),
  inPlace: [0],
};

function lstmBackward(context: BackwardContext<LstmAttributes>): readonly (Tensor | undefined)[] {
  const { attributes, inputs, outputs, gradientOf, hasGradient, needs } = context;
  const [gates, states, hidden, cell, cells] = outputs;
  if (hasGradient(gates) || hasGradient(cells)) return gradientsThrough(context, plainLstm);
  const [, weight, hidden0, cell0, ...rest] = inputs;
  const { peepholes, projection, lengths } = optionalOf(rest, attributes);
  const flags = { hasOutputs: hasGradient(states), hasLast: hasGradient(hidden), hasCell: hasGradient(cell) };
  const given = [states, hidden, cell].filter(hasGradient).map(gradientOf);
  const [dgates, dhidden0, dcell0, dstates] = applyAll(
    lstmGradientOp,
    [gates, weight, cells, cell0, ...rest.slice(0, rest.length - listed(lengths).length), ...given, ...listed(lengths)],
    { ...attributes, ...flags },
  );
  const dweight = needs[1]
    ? weightGradient(previousStates(states, hidden0, listed(lengths), attributes), dgates)
    : undefined;
  const dpeepholes =
    peepholes && peepholeGradients(dgates, previousStates(cells, cell0, listed(lengths), attributes), cells);
  const dprojection = projection && weightGradient(mul(split(gates, 4)[3], tanh(cells)), dstates);
  return [dgates, dweight, dhidden0, dcell0, ...listed(dpeepholes), ...listed(dprojection)];
}

function peepholeGradients(dgates: Tensor, before: Tensor, after: Tensor): Tensor {
  const [toInput, toForget, , toOutput] = split(dgates, 4);
  return stack([mul(toInput, before), mul(toForget, before), mul(toOutput, after)].map((part) => sum(part, [0, 1])));
}

export interface LstmGradientAttributes extends LstmAttributes, StepsGradient {
  readonly hasCell: boolean;
}

/** Of what comes after the first four inputs. */
function gradientInputs<T>(rest: readonly T[], attributes: LstmGradientAttributes) {
  const { hasPeepholes, hasProjection, hasOutputs, hasLast, hasCell, hasLengths } = attributes;
  const left = [...rest];
  const next = (is: boolean): T | undefined => (is ? left.shift() : undefined);
  return {
    peepholes: next(hasPeepholes),
    projection: next(hasProjection),
    outputs: next(hasOutputs),
    last: next(hasLast),
    lastCell: next(hasCell),
    lengths: next(hasLengths),
  };
}

function lstmGradientScratch({ batch, units, states }: Sizes, hasProjection: boolean) {
  const projected = hasProjection ? packedSize(states, units) : 0;
  const work = batch * (states + (hasProjection ? units : 0));
  return partsOf([packedSize(4 * units, states), projected, work]);
}

/** Inputs: gates, U, cells, c0, peepholes, projection, gradients of states, last state and last cell if there are any,
 *  lengths. Outputs: by x (in the place of the gates), h0, c0, and with a projection by the states. */
export const lstmGradientOp: Operation<LstmGradientAttributes> = {
  name: "lstmGradient",
  infer(inputs, { hasProjection }) {
    const { batch, time, units, states } = sizesOf(inputs);
    const shapes: Shape[] = [inputs[0].shape, [batch, states], [batch, units]];
    return [...shapes, ...(hasProjection ? [[batch, time, states]] : [])].map((shape) => ({ shape }));
  },
  scratchBytes: (inputs, { hasProjection }) => lstmGradientScratch(sizesOf(inputs), hasProjection).bytes,
  forward(record, { attributes, inputs, from, to, scratch }) {
    const { batch, time, units, states } = sizesOf(inputs);
    const { hasProjection, reverse } = attributes;
    const places = lstmGradientScratch({ batch, time, units, states }, hasProjection).offsets;
    const [packed, packedP, work] = places.map((offset) => scratch + offset);
    const given = gradientInputs<Pointer>(from.slice(4), attributes);
    const { peepholes = 0, projection, outputs = 0, last = 0, lastCell = 0, lengths = 0 } = given;
    recordPacking(record, packed, from[1], { k: 4 * units, n: states, stride: 4 * units, transposed: true });
    if (projection !== undefined) {
      recordPacking(record, packedP, projection, { k: states, n: units, stride: states, transposed: true });
    }
    record.lstmGradient(
      workOf({ batch, time, units, states }, hasProjection),
      ...([to[0], to[1], to[2], to[3] ?? 0, work, from[0], from[2], from[3], outputs, last, lastCell, packed] as const),
      peepholes,
      projection === undefined ? 0 : packedP,
      lengths,
      ...([batch, time, units, states, Number(reverse)] as const),
    );
  },
  backward: (context) => gradientsThrough(context, plainLstmGradient),
  inPlace: [0],
};

// ——— The same by other operations ———

interface LstmParameters {
  readonly peepholes?: Tensor | undefined;
  readonly projection?: Tensor | undefined;
}

/** What a step is made of, if it is not the usual: with other functions, products or a normalized cell. */
export interface LstmStep extends LstmParameters {
  /** h·U [batch, 4·units] of the state. */
  readonly times: (hidden: Tensor) => Tensor;
  readonly gate?: (x: Tensor) => Tensor;
  readonly activation?: (x: Tensor) => Tensor;
  /** What the output is made from instead of the cell. */
  readonly normalize?: (cell: Tensor) => Tensor;
}

/** One step from projected inputs [batch, 4·units]: gates are what the sigmoids and the tanh gave, in their order. */
export function lstmStep(x: Tensor, hidden: Tensor, cell: Tensor, of: LstmStep) {
  const { times, peepholes, projection, gate = sigmoid, activation = tanh, normalize = (c) => c } = of;
  const [i, f, g, o] = split(add(x, times(hidden)), 4);
  const [pi, pf, po] = peepholes === undefined ? [] : split(peepholes, 3, 0);
  const peeped = (sums: Tensor, by: Tensor | undefined, at: Tensor) => gate(by ? add(sums, mul(by, at)) : sums);
  const [input, forget, update] = [peeped(i, pi, cell), peeped(f, pf, cell), activation(g)];
  const next = add(mul(forget, cell), mul(input, update));
  const output = peeped(o, po, next);
  const state = mul(output, activation(normalize(next)));
  const gates = [input, forget, update, output];
  return { gates, cell: next, hidden: projection ? matmul(state, projection) : state };
}

function plainLstm(inputs: readonly Tensor[], attributes: LstmAttributes): Tensor[] {
  const [x, weight, hidden0, cell0, ...rest] = inputs;
  const { lengths, ...parameters } = optionalOf(rest, attributes);
  const mask = lengths && maskOf(lengths, x.shape[1]);
  const [last, ys] = scan(
    ({ hidden, cell }: { hidden: Tensor; cell: Tensor }, row: { x: Tensor; mask?: Tensor }) => {
      const next = lstmStep(row.x, hidden, cell, { times: (h) => matmul(h, weight), ...parameters });
      const here = (value: Tensor) => held(row.mask, value, 0);
      return [
        { hidden: held(row.mask, next.hidden, hidden), cell: held(row.mask, next.cell, cell) },
        { gates: here(concatenate(next.gates, 1)), states: here(next.hidden), cells: here(next.cell) },
      ];
    },
    { hidden: hidden0, cell: cell0 },
    { x, ...(mask ? { mask } : {}) },
    { axis: 1, reverse: attributes.reverse },
  );
  return [ys.gates, ys.states, last.hidden, last.cell, ys.cells];
}

function plainLstmGradient(inputs: readonly Tensor[], attributes: LstmGradientAttributes): Tensor[] {
  const [gates, weight, cells, cell0, ...rest] = inputs;
  const { batch, units, states } = sizesOf(inputs);
  const { peepholes, projection, outputs, last, lastCell, lengths } = gradientInputs(rest, attributes);
  const mask = lengths && maskOf(lengths, gates.shape[1]);
  const before = previousStates(cells, cell0, listed(lengths), attributes);
  const [pi, pf, po] = peepholes === undefined ? [] : split(peepholes, 3, 0);
  const plus = (a: Tensor, b: Tensor, by: Tensor | undefined) => (by ? add(a, mul(b, by)) : a);
  const slope = (s: Tensor) => mul(s, sub(1, s));
  type Row = { gates: Tensor; cells: Tensor; before: Tensor; outputs?: Tensor; mask?: Tensor };
  const [first, ys] = scan(
    ({ dh, dc }: { dh: Tensor; dc: Tensor }, row: Row) => {
      const [i, f, g, o] = split(row.gates, 4);
      const d = row.outputs ? add(dh, row.outputs) : dh;
      const dm = projection ? matmul(d, projection, { transposeB: true }) : d;
      const t = tanh(row.cells);
      const toOutput = mul(mul(dm, t), slope(o));
      const toCell = plus(add(mul(mul(dm, o), sub(1, mul(t, t))), dc), toOutput, po);
      const toInput = mul(mul(toCell, g), slope(i));
      const toForget = mul(mul(toCell, row.before), slope(f));
      const dgates = concatenate([toInput, toForget, mul(mul(toCell, i), sub(1, mul(g, g))), toOutput], 1);
      const dcell = plus(plus(mul(toCell, f), toInput, pi), toForget, pf);
      const next = {
        dh: held(row.mask, matmul(dgates, weight, { transposeB: true }), dh),
        dc: held(row.mask, dcell, dc),
      };
      return [next, { dgates: held(row.mask, dgates, 0), dstates: held(row.mask, d, 0) }];
    },
    {
      dh: broadcastTo(stateOrZeros(last, [batch, states]), [batch, states]),
      dc: broadcastTo(stateOrZeros(lastCell, [batch, units]), [batch, units]),
    },
    { gates, cells, before, ...(outputs ? { outputs } : {}), ...(mask ? { mask } : {}) },
    { axis: 1, reverse: !attributes.reverse },
  );
  return [ys.dgates, first.dh, first.dc, ys.dstates];
}

// ——— What users call ———

/**
 * An LSTM's steps, by one kernel for all of them: i, f, o = sigmoid(x + h·U), g = tanh(x + h·U), c' = f·c + i·g,
 * h' = o·tanh(c'). projected [batch, time, 4·units] is `linear(x, weight, bias)` with the gates i, f, g, o side by side, U =
 * recurrentWeight [states, 4·units]; with `peepholes` p_i·c and p_f·c are added to what goes into i and f, p_o·c' to o, with a
 * `projection` P the state is (o·tanh(c'))·P. Outputs are [batch, time, states], `hidden` [batch, states] and `cell` [batch,
 * units] those after each sample's last step. Where `lengths` end, outputs are 0 and the state stays. Hochreiter &
 * Schmidhuber 1997. Throws ModelError if a shape does not fit.
 *
 * @example
 * const x = linear(input([32, 20, 8]), input([8, 4 * 64]), input([4 * 64]));
 * const { outputs, hidden, cell } = lstm(x, input([64, 4 * 64])); // [32, 20, 64], [32, 64], [32, 64]
 */
export function lstm(projected: Tensor, recurrentWeight: Tensor, options: LstmOptions = {}) {
  const { hidden, cell, peepholes, projection, lengths, reverse } = readOptions("lstm", options, LSTM);
  const { batch, time, units, states } = recurrentSizes("lstm", projected, recurrentWeight, 4);
  checkLstm("lstm", units, states, recurrentWeight, { peepholes, projection });
  checkShapeOf("lstm", "hidden", hidden, [batch, states]);
  checkShapeOf("lstm", "cell", cell, [batch, units]);
  const steps = checkLengths("lstm", lengths, batch, time);
  const first = [stateOrZeros(hidden, [batch, states]), stateOrZeros(cell, [batch, units])];
  const inputs = [projected, recurrentWeight, ...first, ...[peepholes, projection, steps].flatMap(listed)];
  const [, outputs, last, lastCell] = applyAll(lstmOp, inputs, {
    reverse,
    hasPeepholes: peepholes !== undefined,
    hasProjection: projection !== undefined,
    hasLengths: lengths !== undefined,
  });
  return { outputs, hidden: last, cell: lastCell };
}

function checkLstm(
  where: string,
  units: number,
  states: number,
  recurrentWeight: Tensor,
  { peepholes, projection }: LstmParameters,
): void {
  checkShapeOf(where, "recurrentWeight", recurrentWeight, [projection ? states : units, 4 * units]);
  checkShapeOf(where, "peepholes", peepholes, [3, units]);
  checkShapeOf(where, "projection", projection, [units, states]);
}

type LstmCellOptions = Pick<LstmOptions, "peepholes" | "projection">;

const LSTM_STATE = { hidden: GIVEN, cell: GIVEN };
const LSTM_CELL = { peepholes: STATE, projection: STATE } satisfies OptionsOf<LstmCellOptions>;

/** One step of `lstm`, for `scan`: projected [batch, 4·units], state { hidden [batch, states], cell [batch, units] } → the next. */
export function lstmCell(
  projected: Tensor,
  state: { readonly hidden: Tensor; readonly cell: Tensor },
  recurrentWeight: Tensor,
  options: LstmCellOptions = {},
) {
  const parameters = readOptions("lstmCell", options, LSTM_CELL);
  const { units, states } = cellSizes("lstmCell", projected, recurrentWeight, 4);
  checkLstm("lstmCell", units, states, recurrentWeight, parameters);
  const { hidden, cell } = readOptions("lstmCell: state", state, LSTM_STATE);
  checkShapeOf("lstmCell", "state.hidden", hidden, [projected.shape[0], states]);
  checkShapeOf("lstmCell", "state.cell", cell, [projected.shape[0], units]);
  const times = (h: Tensor) => matmul(h, recurrentWeight);
  const next = lstmStep(projected, hidden, cell, { times, ...parameters });
  return { hidden: next.hidden, cell: next.cell };
}
