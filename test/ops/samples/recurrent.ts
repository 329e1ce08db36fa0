// Samples of recurrent operations: their steps spelt out in float64. The result of a case is all that they give, in a row.
import type { Tensor } from "../../../src/graph/tensor.js";
import { scale } from "../../../src/ops/elementwise.js";
import { concatenate } from "../../../src/ops/join.js";
import { rnn, rnnCell } from "../../../src/ops/recurrent.js";
import { gru, gruCell } from "../../../src/ops/recurrentGru.js";
import { lstm, lstmCell } from "../../../src/ops/recurrentLstm.js";
import { reshape } from "../../../src/ops/shape.js";
import type { Case, Sample } from "../cases.js";

export interface Sizes {
  readonly batch: number;
  readonly time: number;
  readonly units: number;
}

export interface Direction {
  readonly reverse?: boolean;
  readonly lengths?: boolean;
}

type Vector = readonly number[] | Float64Array;
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** a [k] · w [k, n], columns `first` to `first + count`. */
function product(a: Vector, w: Float64Array, n: number, first = 0, count = n): Float64Array {
  return Float64Array.from({ length: count }, (_, j) => {
    let sum = 0;
    for (let k = 0; k < a.length; k++) sum += a[k] * w[k * n + first + j];
    return sum;
  });
}

const rowOf = (x: Float64Array, index: number, width: number): Float64Array =>
  x.slice(index * width, (index + 1) * width);

/** Takes each sample through its steps: `step` gives the next state (a list of vectors), whose first one is put out. */
function unrolled(
  { batch, time }: Sizes,
  { reverse = false }: Direction,
  lengths: Float64Array | undefined,
  start: (sample: number) => readonly Vector[],
  step: (state: readonly Vector[], row: number) => readonly Vector[],
): Float64Array {
  const outputs: number[] = [];
  const last: number[][] = [];
  for (let sample = 0; sample < batch; sample++) {
    let state = start(sample);
    const steps = lengths?.[sample] ?? time;
    const sequence = Array.from({ length: time }, () => new Array<number>(state[0].length).fill(0));
    for (let s = 0; s < steps; s++) {
      const t = reverse ? steps - 1 - s : s;
      state = step(state, sample * time + t);
      sequence[t] = [...state[0]];
    }
    outputs.push(...sequence.flat());
    state.forEach((vector, index) => {
      last[index] = [...(last[index] ?? []), ...vector];
    });
  }
  return Float64Array.from([...outputs, ...last.flat()]);
}

const inARow = (...tensors: Tensor[]): Tensor => concatenate(tensors.map((tensor) => reshape(tensor, [-1])));
const showCase = (sizes: object, more: object): string => JSON.stringify({ ...sizes, ...more }).replaceAll('"', "");
const some = <T>(is: boolean | undefined, one: T): T[] => (is ? [one] : []);
/** The next of these tensors as an option, if there is such. */
const named = <const N extends string>(name: N, is: boolean | undefined, left: Tensor[]): { [K in N]?: Tensor } =>
  is ? ({ [name]: left.shift() } as { [K in N]?: Tensor }) : {};
const lengthsOf = ({ batch, time }: Sizes) => ({ shape: [batch], domain: { classes: time, from: 1 } }) as const;

// Sums of many steps, each with the rounding of those before it.
const TOLERANCE = 24 * 2 ** -24;

/** Small weights keep what one step rounds from growing in those after it. */
const factorOf = (units: number): number => (units > 16 ? 1 / 16 : 1 / 2);
const tame = (weight: Tensor): Tensor => scale(weight, factorOf(weight.shape[0]));

// ——— The simple one ———

export function rnnCase(sizes: Sizes, direction: Direction = {}, activation: "tanh" | "relu" = "tanh"): Case {
  const { batch, time, units } = sizes;
  const f = activation === "tanh" ? Math.tanh : (x: number) => Math.max(x, 0);
  return {
    name: showCase(sizes, { ...direction, activation }),
    inputs: [
      { shape: [batch, time, units] },
      { shape: [units, units] },
      { shape: [batch, units] },
      ...some(direction.lengths, lengthsOf(sizes)),
    ],
    apply(x, u, hidden, lengths) {
      const options = { hidden, activation, reverse: direction.reverse ?? false };
      const found = rnn(x, tame(u), { ...options, ...named("lengths", direction.lengths, [lengths]) });
      return inARow(found.outputs, found.hidden);
    },
    reference: (x, u, start, lengths) =>
      unrolled(
        sizes,
        direction,
        lengths,
        (b) => [rowOf(start, b, units)],
        ([h], row) => [product(h, u, units).map((sum, j) => f(x[row * units + j] + factorOf(units) * sum))],
      ),
    tolerance: TOLERANCE,
  };
}

// ——— LSTM ———

export interface LstmCase extends Direction {
  readonly peepholes?: boolean;
  /** How many states a projection makes. */
  readonly states?: number;
}

export function lstmCase(sizes: Sizes, more: LstmCase = {}): Case {
  const { batch, time, units } = sizes;
  const { states = units, peepholes, lengths: hasLengths } = more;
  const projected = more.states !== undefined;
  return {
    name: showCase(sizes, more),
    inputs: [
      { shape: [batch, time, 4 * units] },
      { shape: [states, 4 * units] },
      { shape: [batch, states] },
      { shape: [batch, units] },
      ...some(peepholes, { shape: [3, units] }),
      ...some(projected, { shape: [units, states] }),
      ...some(hasLengths, lengthsOf(sizes)),
    ],
    apply(x, u, hidden, cell, ...rest) {
      const left = [...rest];
      const found = lstm(x, tame(u), {
        hidden,
        cell,
        ...named("peepholes", peepholes, left),
        ...named("projection", projected, left),
        ...named("lengths", hasLengths, left),
        reverse: more.reverse ?? false,
      });
      return inARow(found.outputs, found.hidden, found.cell);
    },
    reference(x, u, h0, c0, ...rest) {
      const left = [...rest];
      const p = peepholes ? (left.shift() as Float64Array) : new Float64Array(3 * units);
      const projection = projected ? (left.shift() as Float64Array) : undefined;
      return unrolled(
        sizes,
        more,
        left[0],
        (b) => [rowOf(h0, b, states), rowOf(c0, b, units)],
        ([h, c], row) => lstmReference(rowOf(x, row, 4 * units), h, c, u, p, projection),
      );
    },
    tolerance: TOLERANCE,
  };
}

function lstmReference(x: Vector, h: Vector, c: Vector, u: Float64Array, p: Float64Array, projection?: Float64Array) {
  const units = c.length;
  const sums = product(h, u, 4 * units).map((sum, j) => x[j] + factorOf(h.length) * sum);
  const cell = Float64Array.from(c, (before, j) => {
    const input = logistic(sums[j] + p[j] * before);
    const forget = logistic(sums[units + j] + p[units + j] * before);
    return forget * before + input * Math.tanh(sums[2 * units + j]);
  });
  const output = cell.map((now, j) => logistic(sums[3 * units + j] + p[2 * units + j] * now) * Math.tanh(now));
  return [projection ? product(output, projection, projection.length / units) : output, cell];
}

// ——— GRU ———

export interface GruCase extends Direction {
  readonly reset?: "after" | "before";
  readonly bias?: boolean;
}

export function gruCase(sizes: Sizes, more: GruCase = {}): Case {
  const { batch, time, units } = sizes;
  const { reset = "after", bias, lengths: hasLengths } = more;
  return {
    name: showCase(sizes, more),
    inputs: [
      { shape: [batch, time, 3 * units] },
      { shape: [units, 3 * units] },
      { shape: [batch, units] },
      ...some(bias, { shape: [3 * units] }),
      ...some(hasLengths, lengthsOf(sizes)),
    ],
    apply(x, u, hidden, ...rest) {
      const left = [...rest];
      const found = gru(x, tame(u), {
        hidden,
        reset,
        ...named("recurrentBias", bias, left),
        ...named("lengths", hasLengths, left),
        reverse: more.reverse ?? false,
      });
      return inARow(found.outputs, found.hidden);
    },
    reference(x, u, start, ...rest) {
      const b = bias ? rest[0] : new Float64Array(3 * units);
      return unrolled(
        sizes,
        more,
        rest[Number(bias ?? false)],
        (sample) => [rowOf(start, sample, units)],
        ([h], row) => [gruReference(rowOf(x, row, 3 * units), h, u, b, reset)],
      );
    },
    tolerance: TOLERANCE,
  };
}

function gruReference(x: Vector, h: Vector, u: Float64Array, bias: Float64Array, reset: "after" | "before") {
  const units = h.length;
  const sums = product(h, u, 3 * units).map((sum, j) => factorOf(units) * sum + bias[j]);
  const r = Float64Array.from(h, (_, j) => logistic(x[j] + sums[j]));
  const kept = product(
    r.map((gate, j) => gate * h[j]),
    u,
    3 * units,
    2 * units,
    units,
  );
  return Float64Array.from(h, (before, j) => {
    const z = logistic(x[units + j] + sums[units + j]);
    const inner = reset === "after" ? r[j] * sums[2 * units + j] : factorOf(units) * kept[j];
    return (1 - z) * Math.tanh(x[2 * units + j] + inner) + z * before;
  });
}

// ——— Single steps ———

const rnnCellCase = (batch: number, units: number, activation: "tanh" | "relu"): Case => ({
  ...rnnCase({ batch, time: 1, units }, {}, activation),
  inputs: [{ shape: [batch, units] }, { shape: [units, units] }, { shape: [batch, units] }],
  apply: (x, u, hidden) => {
    const next = rnnCell(x, hidden, tame(u), { activation });
    return inARow(next, next);
  },
});

const lstmCellCase = (batch: number, units: number): Case => ({
  ...lstmCase({ batch, time: 1, units }, { peepholes: true, states: 3 }),
  inputs: [
    { shape: [batch, 4 * units] },
    { shape: [3, 4 * units] },
    { shape: [batch, 3] },
    { shape: [batch, units] },
    { shape: [3, units] },
    { shape: [units, 3] },
  ],
  apply: (x, u, hidden, cell, peepholes, projection) => {
    const next = lstmCell(x, { hidden, cell }, tame(u), { peepholes, projection });
    return inARow(next.hidden, next.hidden, next.cell);
  },
});

const gruCellCase = (batch: number, units: number, reset: "after" | "before"): Case => ({
  ...gruCase({ batch, time: 1, units }, { reset }),
  inputs: [{ shape: [batch, 3 * units] }, { shape: [units, 3 * units] }, { shape: [batch, units] }],
  apply: (x, u, hidden) => {
    const next = gruCell(x, hidden, tame(u), { reset });
    return inARow(next, next);
  },
});

const small = { batch: 2, time: 3, units: 2 };
const padded = { batch: 5, time: 4, units: 3 };
// Below, at and above the lanes, the panels' columns and the tiles' rows.
const shapes: readonly Sizes[] = [
  { batch: 1, time: 1, units: 1 },
  { batch: 3, time: 2, units: 4 },
  { batch: 7, time: 3, units: 5 },
  { batch: 6, time: 2, units: 8 },
  { batch: 13, time: 2, units: 9 },
];
const directions: readonly Direction[] = [{ reverse: true }, { lengths: true }, { reverse: true, lengths: true }];
// More rows than are packed at a time, and a deeper sum than a panel holds.
const many = { batch: 67, time: 2, units: 3 };
const deep = { batch: 2, time: 2, units: 100 };

export const recurrentSamples = {
  rnn: {
    cases: [
      rnnCase(small),
      ...shapes.map((sizes) => rnnCase(sizes)),
      ...directions.map((direction) => rnnCase(padded, direction)),
      rnnCase(padded, { lengths: true }, "relu"),
      rnnCase(many, { lengths: true }),
      rnnCase(small, { reverse: true, lengths: true }),
    ],
  },
  rnnCell: { cases: [rnnCellCase(2, 3, "tanh"), rnnCellCase(5, 4, "relu")] },
  lstm: {
    cases: [
      lstmCase(small),
      lstmCase(small, { peepholes: true, states: 3 }),
      ...shapes.map((sizes) => lstmCase(sizes)),
      ...directions.map((direction) => lstmCase(padded, direction)),
      lstmCase(padded, { peepholes: true, lengths: true }),
      lstmCase(padded, { states: 2, lengths: true, reverse: true }),
      lstmCase({ ...padded, units: 5 }, { peepholes: true, states: 9 }),
      lstmCase(many, { lengths: true }),
      lstmCase(deep),
      lstmCase({ batch: 2, time: 2, units: 1 }, { peepholes: true, states: 2, lengths: true, reverse: true }),
    ],
  },
  lstmCell: { cases: [lstmCellCase(2, 2), lstmCellCase(3, 5)] },
  gru: {
    cases: [
      gruCase(small, { bias: true }),
      gruCase(small, { reset: "before" }),
      ...shapes.map((sizes) => gruCase(sizes, { bias: true })),
      ...shapes.map((sizes) => gruCase(sizes, { reset: "before" })),
      ...directions.map((direction) => gruCase(padded, direction)),
      ...directions.map((direction) => gruCase(padded, { ...direction, reset: "before" })),
      gruCase(many, { bias: true, lengths: true }),
      gruCase({ ...deep, units: 140 }),
      gruCase(small, { bias: true, reverse: true, lengths: true }),
    ],
  },
  gruCell: { cases: [gruCellCase(2, 3, "after"), gruCellCase(3, 4, "before")] },
} satisfies Record<string, Sample>;
