// Kernels that only gradients reach, also those of a gradient: what comes back to x of a sum.
import { integers } from "../numbers.js";
import { range } from "../reference.js";
import { given, row } from "./rows.js";

const [A, B, C] = [65, 34, 62];
const SHAPE = [A, B, C];
const x = given(SHAPE, 111, { low: 0.5, high: 1.5 });
const ties = given(SHAPE, 0, { data: Float32Array.from(integers(A * B * C, 9, 112)) });
const r = given(SHAPE, 113);

/** The gradient for `x` of Σ f(x); `of` gives the tensor to be summed. */
const back = (operation, inputs, of, formula, options = {}) =>
  row(operation, inputs, (graph, tensors) => graph.gradient(graph.sum(of(graph, tensors)), tensors.x), SHAPE, formula, {
    name: `gradient of ${operation}`,
    ...options,
  });

const line = (x, i, k) => range(B).map((j) => x(i, j, k));
const maxima = (values) => {
  const most = Math.max(...values);
  return values.filter((value) => value === most).length;
};
/** Whether the element is the first largest of its window of two times two. */
const isLargest = (x, i, j, k) => {
  const [top, left] = [j - (j % 2), k - (k % 2)];
  const window = [0, 1].flatMap((a) => [0, 1].map((b) => x(i, top + a, left + b)));
  return window.indexOf(Math.max(...window)) === 2 * (j - top) + (k - left);
};

export const GRADIENTS = [
  back(
    "clip",
    { x, r },
    (graph, { x, r }) => graph.mul(graph.clip(x, 0.8, 1.2), r),
    ({ x, r }, i, j, k) => (x(i, j, k) >= Math.fround(0.8) && x(i, j, k) <= Math.fround(1.2) ? r(i, j, k) : 0),
  ),
  back(
    "max",
    { x: ties },
    (graph, { x }) => graph.max(x, 1),
    ({ x }, i, j, k) => {
      const values = line(x, i, k);
      return values[j] === Math.max(...values) ? 1 / maxima(values) : 0;
    },
  ),
  back(
    "product",
    { x },
    (graph, { x }) => graph.product(x, 1),
    ({ x }, i, j, k) => line(x, i, k).reduce((so, value, at) => (at === j ? so : so * value), 1),
    { tolerance: 8e-6, floor: 0 },
  ),
  back(
    "maxPool2d",
    { x },
    (graph, { x }) => {
      const y = graph.maxPool2d(graph.reshape(x, [...SHAPE, 1]), 2);
      return graph.square(graph.gradient(graph.sum(graph.square(y)), x));
    },
    ({ x }, i, j, k) => (isLargest(x, i, j, k) ? 8 * x(i, j, k) : 0),
    { name: "gradient of a gradient of maxPool2d" },
  ),
  back(
    "gatherAlong",
    { x, r, places: given([A, 3, C], 0, { data: integers(A * 3 * C, B, 114) }) },
    (graph, { x, places }) => graph.square(graph.gatherAlong(x, places, 1)),
    ({ x, places }, i, j, k) => 2 * x(i, j, k) * range(3).filter((at) => places(i, at, k) === j).length,
  ),
  row(
    "product",
    { x: given([5, 7, 6], 115, { low: 0.5, high: 1.5 }) },
    (graph, { x }) => graph.product(x),
    [],
    ({ x }) => range(210).reduce((so, at) => so * x(Math.floor(at / 42), Math.floor(at / 6) % 7, at % 6), 1),
    {
      name: "product of all",
      tolerance: 1e-5,
      floor: 0,
    },
  ),
  row(
    "pow",
    { x, r: given([C], 116) },
    (graph, { x, r }) => graph.pow(x, r),
    SHAPE,
    ({ x, r }, i, j, k) => x(i, j, k) ** r(k),
    {
      name: "pow of a row",
    },
  ),
  row(
    "equal",
    { a: given([A, 1], 0, { data: integers(A, 7, 117) }), b: given([B], 0, { data: integers(B, 7, 118) }) },
    (graph, { a, b }) => graph.equal(a, b),
    [A, B],
    ({ a, b }, i, j) => (a(i, 0) === b(j) ? 1 : 0),
    { name: "equal of whole numbers" },
  ),
];
