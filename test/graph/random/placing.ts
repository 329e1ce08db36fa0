// Moves that take elements by their places, and put them there.
import { constant, type Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/index.js";
import { alongAxis, at, countOf, tabulate, type Value } from "./float64.js";
import { type Choice, hasRank, type Move, type Picked, single } from "./move.js";

const places = (choice: Choice, count: number, below: number): number[] =>
  Array.from({ length: count }, () => choice.below(below));
const words = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  constant(Uint32Array.from(values), shape);

/** A value with axes, and one of these. */
function pickAxis(choice: Choice): (Picked & { axis: number; size: number }) | undefined {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const axis = choice.below(x.value.shape.length);
  return { ...x, axis, size: x.value.shape[axis] };
}

const stepped: Move = (choice) => {
  const x = pickAxis(choice);
  if (x === undefined) return undefined;
  const { axis } = x;
  const step = [-3, -2, -1, 2, 3][choice.below(5)];
  const bounds = (bound: number | undefined) =>
    x.value.shape.slice(0, axis + 1).map((_, i) => (i === axis ? bound : undefined));
  return single(
    `every ${step}-th along ${axis}`,
    x,
    (tensor) => ops.slice(tensor, bounds(undefined), bounds(undefined), bounds(step)),
    (value) =>
      alongAxis(value, axis, (line) => {
        const ordered = step < 0 ? line.toReversed() : line;
        return ordered.filter((_, i) => i % Math.abs(step) === 0);
      }),
  );
};

const MODES = ["reflect", "symmetric", "edge", "circular"] as const;

const padded: Move = (choice) => {
  const x = pickAxis(choice);
  if (x === undefined || x.size < 2) return undefined;
  const { axis, size } = x;
  const mode = MODES[choice.below(MODES.length)];
  const [before, after] = [choice.below(size), choice.below(size)];
  const sourceOf = {
    reflect: (i: number) => (i < 0 ? -i : i < size ? i : 2 * size - 2 - i),
    symmetric: (i: number) => (i < 0 ? -1 - i : i < size ? i : 2 * size - 1 - i),
    edge: (i: number) => Math.min(Math.max(i, 0), size - 1),
    circular: (i: number) => (i + size) % size,
  }[mode];
  const padding = x.value.shape.map((_, i): [number, number] => (i === axis ? [before, after] : [0, 0]));
  return single(
    `pad ${mode} by ${before} and ${after} along ${axis}`,
    x,
    (tensor) => ops.pad(tensor, padding, { mode }),
    (value) =>
      alongAxis(value, axis, (line) =>
        Array.from({ length: before + size + after }, (_, i) => line[sourceOf(i - before)]),
      ),
  );
};

const diagonal: Move = (choice) => {
  const x = choice.pick(hasRank(2));
  if (x === undefined) return undefined;
  const [rows, columns] = x.value.shape;
  const offset = choice.below(rows + columns - 1) - (rows - 1);
  const length = offset < 0 ? Math.min(rows + offset, columns) : Math.min(rows, columns - offset);
  return single(
    `diagonal ${offset}`,
    x,
    (tensor) => ops.diagonal(tensor, { offset }),
    (value) =>
      tabulate([...value.shape.slice(2), length], (index) => {
        const i = index[index.length - 1];
        return at(value, [i + Math.max(0, -offset), i + Math.max(0, offset), ...index.slice(0, -1)]);
      }),
  );
};

const gatherAlong: Move = (choice) => {
  const x = pickAxis(choice);
  if (x === undefined) return undefined;
  const { axis, size } = x;
  const shape = x.value.shape.with(axis, 1 + choice.below(4));
  const chosen: Value = { shape, data: Float64Array.from(places(choice, countOf(shape), size)) };
  return single(
    `gatherAlong ${axis}`,
    x,
    (tensor) => ops.gatherAlong(tensor, words([...chosen.data], shape), axis),
    (value) => tabulate(shape, (index) => at(value, index.with(axis, at(chosen, index)))),
  );
};

const scatters = { scatterAdd: ops.scatterAdd, scatterUpdate: ops.scatterUpdate };

/** Rows of one value are added to those of another, or replace them: of several for one row, the last stays. */
const scatter =
  (name: keyof typeof scatters): Move =>
  (choice) => {
    const x = pickAxis(choice);
    if (x === undefined) return undefined;
    const { axis, size } = x;
    const updates = choice.pick(
      ({ shape }) =>
        shape.length === x.value.shape.length && shape.every((other, i) => i === axis || other === x.value.shape[i]),
    );
    if (updates === undefined) return undefined;
    const rows = places(choice, updates.value.shape[axis], size);
    return {
      name: `${name} at ${rows} along ${axis}`,
      inputs: [x.index, updates.index],
      apply: (x, updates) => [scatters[name](x, words(rows), updates, axis)],
      evaluate: (x, updates) => [
        tabulate(x.shape, (index) => {
          const found = rows.flatMap((row, i) => (row === index[axis] ? [at(updates, index.with(axis, i))] : []));
          if (name === "scatterUpdate") return found.at(-1) ?? at(x, index);
          return found.reduce((sum, value) => sum + value, at(x, index));
        }),
      ],
    };
  };

const segmentSum: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const [rows, ...rest] = x.value.shape;
  const count = 1 + choice.below(4);
  const segments = places(choice, rows, count);
  return single(
    `segmentSum ${segments}`,
    x,
    (tensor) => ops.segmentSum(tensor, words(segments), count),
    (value) =>
      tabulate([count, ...rest], ([segment, ...index]) =>
        segments.reduce((sum, one, row) => (one === segment ? sum + at(value, [row, ...index]) : sum), 0),
      ),
  );
};

const gatherNd: Move = (choice) => {
  const x = choice.pick(hasRank(2));
  if (x === undefined) return undefined;
  const [rows, columns, ...rest] = x.value.shape;
  const chosen = Array.from({ length: 1 + choice.below(5) }, () => [choice.below(rows), choice.below(columns)]);
  return single(
    `gatherNd ${chosen.join(" ")}`,
    x,
    (tensor) => ops.gatherNd(tensor, words(chosen.flat(), [chosen.length, 2])),
    (value) => tabulate([chosen.length, ...rest], ([which, ...index]) => at(value, [...chosen[which], ...index])),
  );
};

export const placingMoves: readonly Move[] = [
  stepped,
  padded,
  diagonal,
  gatherAlong,
  scatter("scatterAdd"),
  scatter("scatterUpdate"),
  segmentSum,
  gatherNd,
];
