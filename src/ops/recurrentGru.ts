// GRU over projected inputs: Cho et al. 2014; see recurrent.ts and assembly/kernels/recurrentGru.ts. Gates are r, z, n, as
// PyTorch's; Keras' are z, r, h.
import { ModelError } from "../engine/errors.js";
import { choice, flag, type OptionsOf, readOptions } from "../engine/options.js";
import { applyAll, type BackwardContext, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, type Tensor } from "../graph/tensor.js";
import { add, mul, sub } from "./elementwise.js";
import { concatenate, split } from "./join.js";
import { matmul } from "./matmul.js";
import {
  cellSizes,
  checkLengths,
  checkShapeOf,
  gradientsIn,
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
import { scan } from "./scan.js";
import { broadcastTo } from "./shape.js";
import { sigmoid, tanh } from "./smooth.js";

export interface GruOptions {
  /** The state before the first step, [batch, units]. Default zeros. */
  hidden?: Tensor;
  /** Added to h·U, [3·units]; only with `reset: "after"`. Default none. */
  recurrentBias?: Tensor;
  /**
   * Whether the reset gate multiplies what comes of the state (`"after"` the product: PyTorch, and Keras by default) or the
   * state itself (`"before"`: Cho et al. 2014, Keras' `reset_after: false`). Default `"after"`.
   */
  reset?: "after" | "before";
  /** How many steps each sample has, uint32 [batch], from 1 on: what comes after is padding. Default all. */
  lengths?: Tensor;
  /** From each sample's last step to its first; outputs[t] still belongs to x[t]. Default false. */
  reverse?: boolean;
}

const RESET = /* @__PURE__ */ choice("after", ["after", "before"]);

const GRU = {
  hidden: STATE,
  recurrentBias: STATE,
  reset: RESET,
  lengths: STATE,
  reverse: flag(false),
} satisfies OptionsOf<GruOptions>;

export interface GruAttributes extends Steps {
  readonly reset: "after" | "before";
  readonly hasBias: boolean;
}

function sizesOf([x]: readonly Tensor[]) {
  const [batch, time, width] = x.shape;
  return { batch, time, units: width / 3 };
}

/** Elements of the packed weights (two where the product is), and of what samples need in a step. */
function gruScratch({ batch, units }: { batch: number; units: number }, reset: string, keepsLast: boolean) {
  const last = keepsLast ? batch * units : 0;
  if (reset === "after") return partsOf([packedSize(units, 3 * units), 0, batch * 3 * units, last]);
  return partsOf([packedSize(units, 2 * units), packedSize(units, units), batch * 4 * units, last]);
}

/** Inputs: x, U, h0, recurrent bias, lengths. Outputs: gates (in the place of x), states, the last, and with the reset after
 *  the product what of it goes into n. */
export const gruOp: Operation<GruAttributes> = {
  name: "gru",
  infer(inputs, { reset }) {
    const { batch, time, units } = sizesOf(inputs);
    const states: Shape = [batch, time, units];
    const shapes = [inputs[0].shape, states, [batch, units], ...(reset === "after" ? [states] : [])];
    return shapes.map((shape) => ({ shape }));
  },
  required: () => 0,
  scratchBytes: (inputs, { reset }, wanted) => gruScratch(sizesOf(inputs), reset, !wanted[2]).bytes,
  forward(record, { attributes, inputs, from, to, scratch }) {
    const { batch, time, units } = sizesOf(inputs);
    const { reset, hasBias, hasLengths } = attributes;
    const places = gruScratch({ batch, units }, reset, to[2] === 0).offsets;
    const [packed, packedN, work, last] = places.map((offset) => scratch + offset);
    const lengths = hasLengths ? from[from.length - 1] : 0;
    const amount = stepsWork(batch, time, 3 * units * units, 3 * units);
    const h = to[2] || last;
    const stride = 3 * units;
    if (reset === "after") {
      recordPacking(record, packed, from[1], { k: units, n: 3 * units, stride });
      const operands = [
        to[0],
        to[1],
        h,
        to[3],
        work,
        from[0],
        packed,
        hasBias ? from[3] : 0,
        from[2],
        lengths,
      ] as const;
      record.gruAfter(amount, ...operands, time, units, Number(attributes.reverse));
      return;
    }
    recordPacking(record, packed, from[1], { k: units, n: 2 * units, stride });
    recordPacking(record, packedN, from[1], { k: units, n: units, first: 2 * units, stride });
    const operands = [to[0], to[1], h, work, from[0], packed, packedN, from[2], lengths] as const;
    record.gruBefore(amount, ...operands, batch, time, units, Number(attributes.reverse));
  },
  backward: (context) => gruBackward(context),
  inPlace: [0],
};

function gruBackward(context: BackwardContext<GruAttributes>): readonly (Tensor | undefined)[] {
  const { attributes, inputs, outputs, gradientOf, hasGradient, needs } = context;
  const { reset, hasBias, hasLengths } = attributes;
  const [gates, states, last, ...products] = outputs;
  if ([gates, ...products].some(hasGradient)) return gradientsThrough(context, plainGru);
  const [, weight, start, ...rest] = inputs;
  const lengths = hasLengths ? rest.slice(-1) : [];
  const [hasOutputs, hasLast] = [hasGradient(states), hasGradient(last)];
  const given = [states, last].filter(hasGradient).map(gradientOf);
  const kept = [gates, weight, states, start, ...products];
  const [dgates, dstart, drecurrent] = applyAll(gruGradientOp, [...kept, ...given, ...lengths], {
    ...attributes,
    hasOutputs,
    hasLast,
  });
  const before = () => previousStates(states, start, lengths, attributes);
  const dweight = () =>
    reset === "after" ? weightGradient(before(), drecurrent) : weightGradientBefore(before(), gates, dgates);
  return [dgates, needs[1] ? dweight() : undefined, dstart, ...(hasBias ? [drecurrent] : [])];
}

/** Where r and z take h, and n takes r·h. */
function weightGradientBefore(before: Tensor, gates: Tensor, dgates: Tensor): Tensor {
  const units = before.shape[2];
  const [toGates, toNext] = split(dgates, [2 * units, units]);
  const kept = mul(split(gates, 3)[0], before);
  return concatenate([weightGradient(before, toGates), weightGradient(kept, toNext)], 1);
}

export interface GruGradientAttributes extends GruAttributes, StepsGradient {}

function gruGradientScratch({ batch, units }: { batch: number; units: number }, reset: string) {
  if (reset === "after") return partsOf([packedSize(3 * units, units), 0, batch * units]);
  return partsOf([packedSize(2 * units, units), packedSize(units, units), 2 * batch * units]);
}

/** Inputs: gates, U, states, h0, (reset after the product) what went into n of it, gradients of states and last state where
 *  there are such, lengths. Outputs: by x (in the place of the gates), h0, and (reset after) by h·U + b. */
export const gruGradientOp: Operation<GruGradientAttributes> = {
  name: "gruGradient",
  infer(inputs, { reset }) {
    const { batch, units } = sizesOf(inputs);
    const { shape } = inputs[0];
    return [shape, [batch, units], ...(reset === "after" ? [shape] : [])].map((one) => ({ shape: one }));
  },
  scratchBytes: (inputs, { reset }) => gruGradientScratch(sizesOf(inputs), reset).bytes,
  forward(record, { attributes, inputs, from, to, scratch }) {
    const { batch, time, units } = sizesOf(inputs);
    const { reset, reverse } = attributes;
    const places = gruGradientScratch({ batch, units }, reset).offsets;
    const [packed, packedN, work] = places.map((offset) => scratch + offset);
    const { outputs, last, lengths } = gradientsIn(from.slice(reset === "after" ? 5 : 4), attributes);
    const amount = stepsWork(batch, time, 3 * units * units, 3 * units);
    const shape = { n: units, stride: 3 * units, transposed: true };
    if (reset === "after") {
      recordPacking(record, packed, from[1], { k: 3 * units, ...shape });
      const operands = [to[0], to[2], to[1], work, from[0], from[4], from[2], from[3], outputs, last, packed] as const;
      record.gruAfterGradient(amount, ...operands, lengths, time, units, Number(reverse));
      return;
    }
    recordPacking(record, packed, from[1], { k: 2 * units, ...shape });
    recordPacking(record, packedN, from[1], { k: units, first: 2 * units, ...shape });
    const operands = [to[0], to[1], work, from[0], from[2], from[3], outputs, last, packed, packedN] as const;
    record.gruBeforeGradient(amount, ...operands, lengths, batch, time, units, Number(reverse));
  },
  backward: (context) => gradientsThrough(context, plainGruGradient),
  inPlace: [0],
};

// ——— The same by other operations ———

type Reset = GruAttributes["reset"];

/** What a step is made of, if it is not the usual: with other functions or products. */
export interface GruStep {
  readonly recurrentBias?: Tensor | undefined;
  /** h·U of the state: [batch, 3·units], or [batch, 2·units] with the reset before the product. */
  readonly times: (hidden: Tensor) => Tensor;
  /** (r·h)·U for n, with the reset before the product. */
  readonly timesKept?: ((kept: Tensor) => Tensor) | undefined;
  readonly gate?: (x: Tensor) => Tensor;
  readonly activation?: (x: Tensor) => Tensor;
}

/** One step from projected inputs [batch, 3·units]; `product` is what of h·U + b goes into n. */
export function gruStep(x: Tensor, hidden: Tensor, of: GruStep) {
  const { recurrentBias, times, timesKept, gate = sigmoid, activation = tanh } = of;
  const [xr, xz, xn] = split(x, 3);
  const sums = recurrentBias ? add(times(hidden), recurrentBias) : times(hidden);
  const products: readonly Tensor[] = split(sums, timesKept ? 2 : 3);
  const [r, z] = [gate(add(xr, products[0])), gate(add(xz, products[1]))];
  const product: Tensor | undefined = products[2];
  const n = activation(add(xn, timesKept ? timesKept(mul(r, hidden)) : mul(r, product)));
  return { gates: [r, z, n], product, hidden: add(n, mul(z, sub(hidden, n))) };
}

/** The products of a step with weights [units, 3·units]. */
export function gruProducts(weight: Tensor, reset: Reset): Pick<GruStep, "times" | "timesKept"> {
  if (reset === "after") return { times: (h) => matmul(h, weight) };
  const units = weight.shape[0];
  const [gates, next] = split(weight, [2 * units, units]);
  return { times: (h) => matmul(h, gates), timesKept: (kept) => matmul(kept, next) };
}

function plainGru([x, weight, start, ...rest]: readonly Tensor[], attributes: GruAttributes): (Tensor | undefined)[] {
  const { reset, reverse, hasBias, hasLengths } = attributes;
  const mask = hasLengths ? maskOf(rest[rest.length - 1], x.shape[1]) : undefined;
  const of = { ...gruProducts(weight, reset), recurrentBias: hasBias ? rest[0] : undefined };
  const [last, ys] = scan(
    (hidden: Tensor, row: { x: Tensor; mask?: Tensor }) => {
      const next = gruStep(row.x, hidden, of);
      const here = (value: Tensor) => held(row.mask, value, 0);
      const products: { product?: Tensor } = next.product ? { product: here(next.product) } : {};
      const rows = { gates: here(concatenate(next.gates, 1)), states: here(next.hidden), ...products };
      return [held(row.mask, next.hidden, hidden), rows as Record<string, Tensor>];
    },
    start,
    { x, ...(mask ? { mask } : {}) },
    { axis: 1, reverse },
  );
  return [ys.gates, ys.states, last, ys.product];
}

function plainGruGradient(inputs: readonly Tensor[], attributes: GruGradientAttributes): (Tensor | undefined)[] {
  const { reset, reverse, hasOutputs, hasLast, hasLengths } = attributes;
  const { batch, time, units } = sizesOf(inputs);
  const [gates, weight, states, start, ...others] = inputs;
  const products = reset === "after" ? others[0] : undefined;
  const rest = reset === "after" ? others.slice(1) : others;
  const lengths = hasLengths ? rest.slice(-1) : [];
  const mask = hasLengths ? maskOf(lengths[0], time) : undefined;
  const dlast = stateOrZeros(hasLast ? rest[Number(hasOutputs)] : undefined, [batch, units]);
  const before = previousStates(states, start, lengths, attributes);
  const parts = split(weight, [2 * units, units]);
  const slope = (s: Tensor) => mul(s, sub(1, s));
  type Row = { gates: Tensor; before: Tensor; products?: Tensor; outputs?: Tensor; mask?: Tensor };
  const [first, ys] = scan(
    (dh: Tensor, row: Row) => {
      const [r, z, n] = split(row.gates, 3);
      const d = row.outputs ? add(dh, row.outputs) : dh;
      const toNext = mul(mul(d, sub(1, z)), sub(1, mul(n, n)));
      const toUpdate = mul(mul(d, sub(row.before, n)), slope(z));
      const back = (a: Tensor, w: Tensor) => matmul(a, w, { transposeB: true });
      const toKept = row.products ? mul(toNext, row.products) : mul(back(toNext, parts[1]), row.before);
      const toReset = mul(toKept, slope(r));
      const dgates = concatenate([toReset, toUpdate, toNext], 1);
      const drecurrent = concatenate([toReset, toUpdate, row.products ? mul(toNext, r) : toNext], 1);
      const through = row.products
        ? back(drecurrent, weight)
        : add(back(concatenate([toReset, toUpdate], 1), parts[0]), mul(back(toNext, parts[1]), r));
      const here = (value: Tensor) => held(row.mask, value, 0);
      return [
        held(row.mask, add(mul(d, z), through), dh),
        { dgates: here(dgates), drecurrent: here(drecurrent) } as Record<string, Tensor>,
      ];
    },
    broadcastTo(dlast, [batch, units]),
    {
      gates,
      before,
      ...(products ? { products } : {}),
      ...(hasOutputs ? { outputs: rest[0] } : {}),
      ...(mask ? { mask } : {}),
    },
    { axis: 1, reverse: !reverse },
  );
  return [ys.dgates, first, reset === "after" ? ys.drecurrent : undefined];
}

// ——— What users call ———

/**
 * A GRU's steps, by one kernel for all of them: r, z = sigmoid(x + h·U + b), n = tanh(x + r·(h·U + b)),
 * h' = (1 - z)·n + z·h; with `reset: "before"`, n = tanh(x + (r·h)·U). projected [batch, time, 3·units] is `linear(x, weight,
 * bias)` with the gates r, z, n side by side, U = recurrentWeight [units, 3·units], b = recurrentBias. Outputs are [batch, time,
 * units], `hidden` [batch, units] is the state after each sample's last step. Where `lengths` end, outputs are 0 and the state
 * stays. Cho et al. 2014. Throws ModelError if a shape does not fit.
 *
 * @example
 * const x = linear(input([32, 20, 8]), input([8, 3 * 64]), input([3 * 64]));
 * const { outputs, hidden } = gru(x, input([64, 3 * 64])); // [32, 20, 64], [32, 64]
 */
export function gru(projected: Tensor, recurrentWeight: Tensor, options: GruOptions = {}) {
  const { hidden, recurrentBias, reset, lengths, reverse } = readOptions("gru", options, GRU);
  const { batch, time, units } = recurrentSizes("gru", projected, recurrentWeight, 3);
  checkGru("gru", units, recurrentWeight, { recurrentBias, reset });
  checkShapeOf("gru", "hidden", hidden, [batch, units]);
  const steps = listed(checkLengths("gru", lengths, batch, time));
  const first = stateOrZeros(hidden, [batch, units]);
  const inputs = [projected, recurrentWeight, first, ...listed(recurrentBias), ...steps];
  const hasBias = recurrentBias !== undefined;
  const [, outputs, last] = applyAll(gruOp, inputs, { reverse, reset, hasBias, hasLengths: lengths !== undefined });
  return { outputs, hidden: last };
}

interface GruParameters {
  readonly recurrentBias?: Tensor | undefined;
  readonly reset: Reset;
}

function checkGru(where: string, units: number, weight: Tensor, { recurrentBias, reset }: GruParameters): void {
  checkShapeOf(where, "recurrentWeight", weight, [units, 3 * units]);
  checkShapeOf(where, "recurrentBias", recurrentBias, [3 * units]);
  if (reset === "after" || recurrentBias === undefined) return;
  throw new ModelError(
    `${where}: recurrentBias must not be given with reset "before", whose only bias is that of the projection: leave it out`,
  );
}

type GruCellOptions = Pick<GruOptions, "recurrentBias" | "reset">;

const GRU_CELL = { recurrentBias: STATE, reset: RESET } satisfies OptionsOf<GruCellOptions>;

/** One step of `gru`, for `scan`: projected [batch, 3·units] and hidden [batch, units] → the next state. */
export function gruCell(
  projected: Tensor,
  hidden: Tensor,
  recurrentWeight: Tensor,
  options: GruCellOptions = {},
): Tensor {
  const { recurrentBias, reset } = readOptions("gruCell", options, GRU_CELL);
  const { batch, units } = cellSizes("gruCell", projected, recurrentWeight, 3);
  checkGru("gruCell", units, recurrentWeight, { recurrentBias, reset });
  checkShapeOf("gruCell", "hidden", checkTensor("gruCell", hidden, "hidden must be a tensor"), [batch, units]);
  return gruStep(projected, hidden, { ...gruProducts(recurrentWeight, reset), recurrentBias }).hidden;
}
