// Operations that move elements, put them in order, or fold them along an axis.
import { integers } from "../numbers.js";
import { momentsOf, range, sumOf } from "../reference.js";
import { given, row } from "./rows.js";

// Three axes, none a multiple of four, of which each operation takes one.
const [A, B, C] = [37, 41, 53];
const SHAPE = [A, B, C];
const x = given(SHAPE, 71);
const small = given([5, 7, 6], 72, { low: 0.5, high: 1.5 });
const ties = given(SHAPE, 0, { data: Float32Array.from(integers(A * B * C, 9, 73)) });
// Rows that are named twice, in no order, and one that is not there.
const names = given([29], 0, { data: integers(29, B, 74) });
// The same, but for one that is not there, as places of maxima: indices that are handed in would be refused.
const missing = names.data.map((index, i) => (i === 5 ? B : index));
const scores = given([29, B + 1], 0, {
  data: Float32Array.from(range(29).flatMap((i) => range(B + 1).map((j) => (j === missing[i] ? 1 : 0)))),
});
const places = given([A, 3, C], 0, { data: integers(A * 3 * C, B, 75) });

const line = ({ x: at }, i, k) => Float64Array.from(range(B), (j) => at(i, j, k));
/** A line in ascending order; sorted once. */
const sorted = new Map();
function ordered(name, read, i, k) {
  const key = `${name} ${i} ${k}`;
  if (!sorted.has(key)) sorted.set(key, line(read, i, k).sort());
  return sorted.get(key);
}

const least = (values) => values.reduce((best, value) => Math.min(best, value));
const most = (values) => values.reduce((best, value) => Math.max(best, value));

/** Along axis 1. */
const folded = (operation, fold, options = {}) =>
  row(
    operation,
    { x },
    (graph, { x }) => graph[operation](x, 1),
    [A, C],
    (read, i, k) => fold(line(read, i, k)),
    options,
  );

/** Where the elements of a line stand in order; equal ones in the order they came. */
const orderOf = (values, descending) =>
  range(values.length).sort((a, b) => (descending ? values[b] - values[a] : values[a] - values[b]) || a - b);

const padded = (mode, place) =>
  row(
    "pad",
    { x },
    (graph, { x }) =>
      graph.pad(
        x,
        [
          [1, 0],
          [3, 2],
        ],
        mode,
      ),
    [A + 1, B + 5, C],
    place,
    { name: `pad ${mode?.mode ?? ""}` },
  );

/** Which element stands at a padded place: of the edge, or mirrored there. */
const clamped = (place, size) => Math.min(Math.max(place, 0), size - 1);
const mirrored = (place, size) => size - 1 - Math.abs(size - 1 - Math.abs(place));

export const MOVING = [
  row(
    "expandDims",
    { x },
    (graph, { x }) => graph.expandDims(x, 1),
    [A, 1, B, C],
    ({ x }, i, _, j, k) => x(i, j, k),
  ),
  row(
    "squeeze",
    { x: given([A, 1, B], 76) },
    (graph, { x }) => graph.squeeze(x, 1),
    [A, B],
    ({ x }, i, j) => x(i, 0, j),
  ),
  row(
    "repeat",
    { x },
    (graph, { x }) => graph.repeat(x, 3, 1),
    [A, 3 * B, C],
    ({ x }, i, j, k) => x(i, Math.floor(j / 3), k),
  ),
  row(
    "tile",
    { x },
    (graph, { x }) => graph.tile(x, [2, 1, 3]),
    [2 * A, B, 3 * C],
    ({ x }, i, j, k) => x(i % A, j, k % C),
  ),
  row(
    "transpose",
    { x },
    (graph, { x }) => graph.transpose(x, [2, 0, 1]),
    [C, A, B],
    ({ x }, k, i, j) => x(i, j, k),
  ),
  row(
    "slice",
    { x },
    (graph, { x }) => graph.slice(x, [1, -9], [undefined, -2], [2, 3]),
    [18, 3, C],
    ({ x }, i, j, k) => x(1 + 2 * i, B - 9 + 3 * j, k),
  ),
  row(
    "flip",
    { x },
    (graph, { x }) => graph.flip(x, [0, 2]),
    SHAPE,
    ({ x }, i, j, k) => x(A - 1 - i, j, C - 1 - k),
  ),
  padded(undefined, ({ x }, i, j, k) => x(i - 1, j - 3, k)),
  padded({ mode: "reflect" }, ({ x }, i, j, k) => x(mirrored(i - 1, A), mirrored(j - 3, B), k)),
  padded({ mode: "edge" }, ({ x }, i, j, k) => x(clamped(i - 1, A), clamped(j - 3, B), k)),
  row(
    "concatenate",
    { x, y: given([A, 11, C], 77) },
    (graph, { x, y }) => graph.concatenate([x, y, x], 1),
    [A, 2 * B + 11, C],
    ({ x, y }, i, j, k) => (j < B ? x(i, j, k) : j < B + 11 ? y(i, j - B, k) : x(i, j - B - 11, k)),
  ),
  row(
    "stack",
    { x, y: given(SHAPE, 78) },
    (graph, { x, y }) => graph.stack([x, y], -1),
    [A, B, C, 2],
    ({ x, y }, i, j, k, l) => [x, y][l](i, j, k),
  ),
  row(
    "split",
    { x },
    (graph, { x }) => {
      const [first, second] = graph.split(x, [11, B - 11], 1);
      return graph.concatenate([second, first], 1);
    },
    SHAPE,
    ({ x }, i, j, k) => x(i, (j + 11) % B, k),
  ),
  row(
    "gather",
    { x, names },
    (graph, { x, names }) => graph.gather(x, names, 1),
    [A, 29, C],
    ({ x, names }, i, j, k) => x(i, names(j), k),
  ),
  row(
    "gather",
    { x, scores },
    (graph, { x, scores }) => graph.gather(x, graph.argmax(scores, 1), 1),
    [A, 29, C],
    ({ x }, i, j, k) => (missing[j] === B ? Number.NaN : x(i, missing[j], k)),
    {
      name: "gather of what is not there",
    },
  ),
  row(
    "gatherAlong",
    { x, places },
    (graph, { x, places }) => graph.gatherAlong(x, places, 1),
    [A, 3, C],
    ({ x, places }, i, j, k) => x(i, places(i, j, k), k),
  ),
  row(
    "scatterAdd",
    { x, names, updates: given([A, 29, C], 79) },
    (graph, { x, names, updates }) => graph.scatterAdd(x, names, updates, 1),
    SHAPE,
    ({ x, names, updates }, i, j, k) => x(i, j, k) + sumOf(29, (from) => (names(from) === j ? updates(i, from, k) : 0)),
  ),
  row(
    "oneHot",
    { names },
    (graph, { names }) => graph.oneHot(names, B),
    [29, B],
    ({ names }, i, j) => (names(i) === j ? 1 : 0),
  ),
  row(
    "cumulativeSum",
    { x },
    (graph, { x }) => graph.cumulativeSum(x, 1),
    SHAPE,
    ({ x }, i, j, k) => sumOf(j + 1, (to) => x(i, to, k)),
    { floor: 8 },
  ),
  row(
    "cumulativeSum",
    { x },
    (graph, { x }) => graph.cumulativeSum(x, 2, { reverse: true, exclusive: true }),
    SHAPE,
    ({ x }, i, j, k) => sumOf(C - 1 - k, (to) => x(i, j, k + 1 + to)),
    { name: "cumulativeSum backwards", floor: 8 },
  ),
  row(
    "sort",
    { x: ties },
    (graph, { x }) => graph.sort(x, { axis: 1 }).values,
    SHAPE,
    (read, i, j, k) => ordered("ties", read, i, k)[j],
  ),
  row(
    "sort",
    { x: ties, order: given(SHAPE, 0, { data: orders() }) },
    (graph, { x, order }) => graph.equal(graph.sort(x, { axis: 1, descending: true }).indices, order),
    SHAPE,
    () => 1,
    { name: "the order of sort" },
  ),
  row(
    "topK",
    { x },
    (graph, { x }) => graph.topK(x, 5, { axis: 1 }).values,
    [A, 5, C],
    (read, i, j, k) => ordered("x", read, i, k)[B - 1 - j],
  ),
  row(
    "argmin",
    { x, at: given([A, C], 0, { data: Uint32Array.from(range(A * C), (at) => leastAt(Math.floor(at / C), at % C)) }) },
    (graph, { x, at }) => graph.equal(graph.argmin(x, 1), at),
    [A, C],
    () => 1,
  ),
  row(
    "product",
    { x: small },
    (graph, { x }) => graph.product(x, [0, 1]),
    [6],
    ({ x }, k) => range(35).reduce((so, at) => so * x(Math.floor(at / 7), at % 7, k), 1),
    {
      tolerance: 4e-6,
      floor: 0,
    },
  ),
  folded("logSumExp", (values) => Math.log(sumOf(B, (j) => Math.exp(values[j])))),
  folded("norm", (values) => Math.hypot(...values)),
  folded("variance", (values) => (momentsOf(values).variance * B) / (B - 1)),
  folded("standardDeviation", (values) => Math.sqrt((momentsOf(values).variance * B) / (B - 1))),
  ...[1, Number.POSITIVE_INFINITY].map((p) =>
    row(
      "norm",
      { x },
      (graph, { x }) => graph.norm(x, 2, { p }),
      [A, B],
      ({ x }, i, j) => {
        const sizes = range(C).map((k) => Math.abs(x(i, j, k)));
        return p === 1 ? sumOf(C, (k) => sizes[k]) : most(sizes);
      },
      { name: `norm ${p}`, floor: 8 },
    ),
  ),
  row(
    "max",
    { x },
    (graph, { x }) => graph.max(x, [0, 2]),
    [B],
    ({ x }, j) => most(range(A * C).map((at) => x(Math.floor(at / C), j, at % C))),
  ),
  row(
    "min",
    { x },
    (graph, { x }) => graph.min(x, [0, 2]),
    [B],
    ({ x }, j) => least(range(A * C).map((at) => x(Math.floor(at / C), j, at % C))),
  ),
  row(
    "sum",
    { x },
    (graph, { x }) => graph.sum(x, [0, 2]),
    [B],
    ({ x }, j) => sumOf(A * C, (at) => x(Math.floor(at / C), j, at % C)),
    { floor: 400 },
  ),
  row(
    "einsum",
    { x, y: given([A, 9, C], 80) },
    (graph, { x, y }) => graph.einsum("ijk,ilk->ilj", x, y),
    [A, 9, B],
    ({ x, y }, i, l, j) => sumOf(C, (k) => x(i, j, k) * y(i, l, k)),
    {
      floor: 10,
    },
  ),
  row(
    "matmul",
    { x, y: given([A, C, 9], 81) },
    (graph, { x, y }) => graph.matmul(x, y),
    [A, B, 9],
    ({ x, y }, i, j, l) => sumOf(C, (k) => x(i, j, k) * y(i, k, l)),
    {
      name: "matmul of many matrices",
      floor: 10,
    },
  ),
];

/** For each element of a line of `ties`, descending, where it stood. */
function orders() {
  const result = new Uint32Array(A * B * C);
  for (let i = 0; i < A; i++) {
    for (let k = 0; k < C; k++) {
      const values = range(B).map((j) => ties.data[(i * B + j) * C + k]);
      orderOf(values, true).forEach((from, j) => {
        result[(i * B + j) * C + k] = from;
      });
    }
  }
  return result;
}

function leastAt(i, k) {
  const values = range(B).map((j) => x.data[(i * B + j) * C + k]);
  return values.indexOf(least(values));
}
