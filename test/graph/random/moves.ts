// Operations that a random model may apply: for each, what it can be applied to and its formula in float64.
import type { Tensor } from "../../../src/graph/tensor.js";
import { constant } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/index.js";
import {
  alongAxis,
  at,
  commonShape,
  countOf,
  foldOver,
  matrixProduct,
  tabulate,
  transposed,
  type Value,
} from "./float64.js";
import { hasRank, type Move, single } from "./move.js";
import { placingMoves } from "./placing.js";

type Unary = [apply: (x: Tensor) => Tensor, f: (x: number) => number, allowed?: (x: number) => boolean];

const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const gelu = (x: number) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const farFromZero = (x: number) => Math.abs(x) > 0.3;
const within = (most: number) => (x: number) => Math.abs(x) < most;
/** What rounds otherwise in float32 is left out. */
const farFromWhole = (x: number) => Math.abs(x - Math.round(x)) > 0.01;
const farFromHalf = (x: number) => farFromWhole(x + 0.5);
const quotientIsFarFromWhole = (a: Value, b: Value) =>
  b.data.every(farFromZero) &&
  tabulate(commonShape(a.shape, b.shape) as number[], (index) => at(a, index) / at(b, index)).data.every(farFromWhole);

/** Numbers in them are multiples of 1/8, which float32 has exactly. */
const unaries: Record<string, Unary> = {
  abs: [ops.abs, Math.abs],
  acos: [ops.acos, Math.acos, within(0.9)],
  acosh: [ops.acosh, Math.acosh, (x) => x > 1.2],
  asin: [ops.asin, Math.asin, within(0.9)],
  asinh: [ops.asinh, Math.asinh],
  atan: [ops.atan, Math.atan],
  atanh: [ops.atanh, Math.atanh, within(0.9)],
  ceil: [ops.ceil, Math.ceil, farFromWhole],
  clip: [(x) => ops.clip(x, -0.75, 1.25), (x) => Math.min(Math.max(x, -0.75), 1.25)],
  cos: [ops.cos, Math.cos],
  cosh: [ops.cosh, Math.cosh, within(3)],
  elu: [ops.elu, (x) => (x > 0 ? x : Math.expm1(x))],
  exp: [ops.exp, Math.exp, (x) => x < 2],
  expm1: [ops.expm1, Math.expm1, (x) => x < 2],
  floor: [ops.floor, Math.floor, farFromWhole],
  gelu: [(x) => ops.gelu(x, { approximate: "tanh" }), gelu],
  leakyRelu: [(x) => ops.leakyRelu(x, { negativeSlope: 0.125 }), (x) => (x > 0 ? x : x / 8)],
  log: [ops.log, Math.log, (x) => x > 0.1],
  log1p: [ops.log1p, Math.log1p, (x) => x > -0.8],
  logit: [ops.logit, (x) => Math.log(x / (1 - x)), (x) => x > 0.1 && x < 0.9],
  neg: [ops.neg, (x) => -x],
  reciprocal: [ops.reciprocal, (x) => 1 / x, farFromZero],
  relu: [ops.relu, (x) => Math.max(x, 0)],
  round: [ops.round, Math.round, farFromHalf],
  rsqrt: [ops.rsqrt, (x) => 1 / Math.sqrt(x), (x) => x > 0.1],
  scale: [(x) => ops.scale(x, -1.75), (x) => -1.75 * x],
  shift: [(x) => ops.shift(x, 0.625), (x) => x + 0.625],
  sigmoid: [ops.sigmoid, logistic],
  silu: [ops.silu, (x) => x * logistic(x)],
  sign: [ops.sign, Math.sign, farFromZero],
  sin: [ops.sin, Math.sin],
  sinh: [ops.sinh, Math.sinh, within(3)],
  softplus: [ops.softplus, softplus],
  "softplus, beta 2": [(x) => ops.softplus(x, { beta: 2 }), (x) => softplus(2 * x) / 2],
  softsign: [ops.softsign, (x) => x / (1 + Math.abs(x))],
  sqrt: [ops.sqrt, Math.sqrt, (x) => x > 0.1],
  square: [ops.square, (x) => x * x],
  tan: [ops.tan, Math.tan, within(1.2)],
  tanh: [ops.tanh, Math.tanh],
  trunc: [ops.trunc, Math.trunc, farFromWhole],
  "pow 2.5": [(x) => ops.pow(x, 2.5), (x) => x ** 2.5, (x) => x > 0.1],
};

type Binary = [
  apply: (a: Tensor, b: Tensor) => Tensor,
  f: (a: number, b: number) => number,
  allowed?: (a: Value, b: Value) => boolean,
];

const binaries: Record<string, Binary> = {
  add: [ops.add, (a, b) => a + b],
  atan2: [ops.atan2, Math.atan2, (a, b) => a.data.every(farFromZero) && b.data.every(farFromZero)],
  div: [ops.div, (a, b) => a / b, (_, b) => b.data.every(farFromZero)],
  floorDiv: [ops.floorDiv, (a, b) => Math.floor(a / b), quotientIsFarFromWhole],
  maximum: [ops.maximum, Math.max],
  minimum: [ops.minimum, Math.min],
  mod: [ops.mod, (a, b) => a - b * Math.floor(a / b), quotientIsFarFromWhole],
  mul: [ops.mul, (a, b) => a * b],
  pow: [ops.pow, (a, b) => a ** b, (a) => a.data.every((x) => x > 0.3)],
  sub: [ops.sub, (a, b) => a - b],
  xlogy: [ops.xlogy, (a, b) => a * Math.log(b), (_, b) => b.data.every((x) => x > 0.1)],
};

const total = (elements: number[]) => elements.reduce((sum, value) => sum + value, 0);
const largest = (elements: number[]) => elements.reduce((most, value) => Math.max(most, value));
const variance = (elements: number[]) => {
  const mean = total(elements) / elements.length;
  return total(elements.map((value) => (value - mean) ** 2)) / elements.length;
};
const logSumExp = (elements: number[]) => {
  const most = largest(elements);
  return most + Math.log(total(elements.map((value) => Math.exp(value - most))));
};

type Reduce = (x: Tensor, axes: readonly number[], options: { keepDims: boolean }) => Tensor;

const reductions: Record<string, [Reduce, (elements: number[]) => number]> = {
  logSumExp: [ops.logSumExp, logSumExp],
  max: [ops.max, largest],
  mean: [ops.mean, (elements) => total(elements) / elements.length],
  norm: [
    (x, axes, options) => ops.norm(x, axes, { ...options, p: 3 }),
    (elements) => total(elements.map((value) => Math.abs(value) ** 3)) ** (1 / 3),
  ],
  min: [ops.min, (elements) => -largest(elements.map((value) => -value))],
  product: [ops.product, (elements) => elements.reduce((product, value) => product * value, 1)],
  sum: [ops.sum, total],
  variance: [(x, axes, options) => ops.variance(x, axes, { ...options, correction: 0 }), variance],
};

const normalized = (line: number[]) => {
  const mean = total(line) / line.length;
  const deviation = Math.sqrt(variance(line) + 2 ** -4);
  return line.map((value) => (value - mean) / deviation);
};

/** Along an axis; the others along the last one. */
const lines: Record<string, [(x: Tensor, axis: number) => Tensor, (line: number[]) => number[], lastOnly?: boolean]> = {
  cumulativeProduct: [
    ops.cumulativeProduct,
    (line) => line.map((_, i) => line.slice(0, i + 1).reduce((product, value) => product * value)),
  ],
  cumulativeSum: [ops.cumulativeSum, (line) => line.map((_, i) => total(line.slice(0, i + 1)))],
  layerNorm: [(x) => ops.layerNorm(x, { epsilon: 2 ** -4 }), normalized, true],
  logSoftmax: [(x, axis) => ops.logSoftmax(x, { axis }), (line) => line.map((value) => value - logSumExp(line))],
  roll: [(x, axis) => ops.roll(x, -1, axis), (line) => [...line.slice(1), line[0]]],
  softmax: [(x, axis) => ops.softmax(x, { axis }), (line) => line.map((value) => Math.exp(value - logSumExp(line)))],
  softmin: [
    (x, axis) => ops.softmin(x, { axis }),
    (line) => line.map((value) => Math.exp(-value - logSumExp(line.map((one) => -one)))),
  ],
};

const mapped = ({ shape, data }: Value, f: (x: number) => number): Value => ({ shape, data: data.map(f) });

const unaryMoves = Object.entries(unaries).map(
  ([name, [apply, f, allowed]]): Move =>
    (choice) => {
      const x = choice.pick(({ data }) => allowed === undefined || data.every(allowed));
      return x && single(name, x, apply, (value) => mapped(value, f));
    },
);

const binaryMoves = Object.entries(binaries).map(
  ([name, [apply, f, allowed]]): Move =>
    (choice) => {
      const a = choice.pick();
      const fits = (b: Value) => a !== undefined && commonShape(a.value.shape, b.shape) !== undefined;
      const b = choice.pick((b) => fits(b) && (allowed === undefined || allowed(a?.value as Value, b)));
      if (a === undefined || b === undefined) return undefined;
      return {
        name,
        inputs: [a.index, b.index],
        apply: (a, b) => [apply(a, b)],
        evaluate: (a, b) => [
          tabulate(commonShape(a.shape, b.shape) as number[], (index) => f(at(a, index), at(b, index))),
        ],
      };
    },
);

const reductionMoves = Object.entries(reductions).map(
  ([name, [apply, fold]]): Move =>
    (choice) => {
      const x = choice.pick(hasRank(1));
      if (x === undefined) return undefined;
      const chosen = x.value.shape.map((_, axis) => axis).filter(() => choice.below(2) === 0);
      const axes = chosen.length > 0 ? chosen : [choice.below(x.value.shape.length)];
      const keepDims = choice.below(2) === 0;
      const shown = `${name} over ${axes}${keepDims ? ", kept" : ""}`;
      return single(
        shown,
        x,
        (tensor) => apply(tensor, axes, { keepDims }),
        (value) => foldOver(value, axes, keepDims, fold),
      );
    },
);

const lineMoves = Object.entries(lines).map(
  ([name, [apply, f, lastOnly = false]]): Move =>
    (choice) => {
      const x = choice.pick(hasRank(1));
      if (x === undefined) return undefined;
      const axis = lastOnly ? x.value.shape.length - 1 : choice.below(x.value.shape.length);
      return single(
        `${name} along ${axis}`,
        x,
        (tensor) => apply(tensor, axis),
        (value) => alongAxis(value, axis, f),
      );
    },
);

const matmul: Move = (choice) => {
  const a = choice.pick(hasRank(2, 3));
  if (a === undefined) return undefined;
  const k = a.value.shape[a.value.shape.length - 1];
  const fits = (b: Value, axis: number) =>
    hasRank(2, 3)(b) &&
    b.shape[b.shape.length - axis] === k &&
    commonShape(a.value.shape.slice(0, -2), b.shape.slice(0, -2)) !== undefined;
  const transposeB = choice.below(2) === 0;
  const found = choice.pick((b) => fits(b, transposeB ? 1 : 2));
  const size = 1 + choice.below(6);
  const b = found ?? choice.leaf(transposeB ? [size, k] : [k, size]);
  const swapped = (x: Value) => {
    const axes = x.shape.map((_, axis) => axis);
    return transposed(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
  };
  return {
    name: transposeB ? "matmul, b transposed" : "matmul",
    inputs: [a.index, b.index],
    apply: (a, b) => [ops.matmul(a, b, { transposeB })],
    evaluate: (a, b) => [matrixProduct(a, transposeB ? swapped(b) : b)],
  };
};

const activations = { identity: unaries.scale, relu: unaries.relu, sigmoid: unaries.sigmoid, tanh: unaries.tanh };

/** An activation behind it is fused, as long as nobody else reads what is in between. */
const dense = Object.entries(activations).map(
  ([name, [apply, f]]): Move =>
    (choice) => {
      const x = choice.pick(hasRank(2, 2));
      if (x === undefined) return undefined;
      const units = 1 + choice.below(9);
      const [weight, bias] = [choice.leaf([x.value.shape[1], units]), choice.leaf([units])];
      return {
        name: `linear and ${name === "identity" ? "scale" : name}`,
        inputs: [x.index, weight.index, bias.index],
        apply: (x, weight, bias) => [apply(ops.linear(x, weight, bias))],
        evaluate: (x, weight, bias) => {
          const product = matrixProduct(x, weight);
          return [tabulate(product.shape, (index) => f(at(product, index) + at(bias, index)))];
        },
      };
    },
);

/** Of the last axis of both, those before it broadcast: einsum's ellipsis. */
const innerProduct: Move = (choice) => {
  const a = choice.pick(hasRank(1, 3));
  const size = a?.value.shape.at(-1);
  const b = a && choice.pick(({ shape }) => shape.at(-1) === size && commonShape(a.value.shape, shape) !== undefined);
  if (!a || !b) return undefined;
  return {
    name: "einsum ...i,...i->...",
    inputs: [a.index, b.index],
    apply: (a, b) => [ops.einsum("...i,...i->...", a, b)],
    evaluate: (a, b) => {
      const products = tabulate(commonShape(a.shape, b.shape) as number[], (index) => at(a, index) * at(b, index));
      return [foldOver(products, [products.shape.length - 1], false, total)];
    },
  };
};

/** h ← tanh(h + w·x) along an axis, from a leaf: the last h, and all of them. */
const scan: Move = (choice) => {
  const x = choice.pick(hasRank(1, 3));
  if (x === undefined) return undefined;
  const axis = choice.below(x.value.shape.length);
  const reverse = choice.below(2) === 0;
  const rest = x.value.shape.toSpliced(axis, 1);
  const [init, weight] = [choice.leaf(rest), choice.leaf([])];
  return {
    name: `scan along ${axis}${reverse ? ", reverse" : ""}`,
    inputs: [x.index, init.index, weight.index],
    apply(x, init, weight) {
      const step = (h: Tensor, row: Tensor): [Tensor, Tensor] => {
        const next = ops.tanh(ops.add(h, ops.mul(weight, row)));
        return [next, next];
      };
      return ops.scan(step, init, x, { axis, reverse });
    },
    evaluate(x, init, { data: [w] }) {
      const steps = Array.from({ length: x.shape[axis] }, (_, t) => t);
      const hs: Value[] = [];
      let h = init;
      for (const t of reverse ? steps.toReversed() : steps) {
        const before = h;
        h = tabulate(rest, (index) => Math.tanh(at(before, index) + w * at(x, index.toSpliced(axis, 0, t))));
        hs[t] = h;
      }
      return [h, tabulate(x.shape, (index) => at(hs[index[axis]], index.toSpliced(axis, 1)))];
    },
  };
};

const where: Move = (choice) => {
  const a = choice.pick();
  const b = a && choice.pick(({ shape }) => commonShape(a.value.shape, shape) !== undefined);
  const common = a && b && (commonShape(a.value.shape, b.value.shape) as number[]);
  const c = common && choice.pick(({ shape }) => commonShape(common, shape) !== undefined);
  if (!a || !b || !c) return undefined;
  return {
    name: "where greater",
    inputs: [a.index, b.index, c.index],
    apply: (a, b, c) => [ops.where(ops.greater(a, b), a, c)],
    evaluate: (a, b, c) => [
      tabulate(commonShape(commonShape(a.shape, b.shape) as number[], c.shape) as number[], (index) =>
        at(a, index) > at(b, index) ? at(a, index) : at(c, index),
      ),
    ],
  };
};

// ——— Moves that change where elements are ———

const reshape: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const count = countOf(x.value.shape);
  const factors = [1, 2, 3, 4, 5, 6].filter((factor) => count % factor === 0);
  const first = factors[choice.below(factors.length)];
  const shape = [[count], [first, count / first], [1, ...x.value.shape.slice(0, 3)]][choice.below(3)];
  if (countOf(shape) !== count) return undefined;
  return single(
    `reshape to [${shape}]`,
    x,
    (tensor) => ops.reshape(tensor, shape),
    ({ data }) => ({ shape, data }),
  );
};

const transpose: Move = (choice) => {
  const x = choice.pick(hasRank(2));
  if (x === undefined) return undefined;
  const axes = x.value.shape.map((_, axis) => axis);
  for (let last = axes.length - 1; last > 0; last--) {
    const other = choice.below(last + 1);
    [axes[last], axes[other]] = [axes[other], axes[last]];
  }
  return single(
    `transpose to ${axes}`,
    x,
    (tensor) => ops.transpose(tensor, axes),
    (value) => transposed(value, axes),
  );
};

const slice: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const begin = x.value.shape.map((size) => choice.below(size));
  const end = x.value.shape.map((size, axis) => begin[axis] + 1 + choice.below(size - begin[axis]));
  return single(
    `slice from ${begin} to ${end}`,
    x,
    (tensor) => ops.slice(tensor, begin, end),
    (value) =>
      tabulate(
        end.map((stop, axis) => stop - begin[axis]),
        (index) =>
          at(
            value,
            index.map((i, axis) => i + begin[axis]),
          ),
      ),
  );
};

const pad: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const padding = x.value.shape.map((): [number, number] => [choice.below(3), choice.below(3)]);
  return single(
    `pad by ${JSON.stringify(padding)}`,
    x,
    (tensor) => ops.pad(tensor, padding),
    (value) =>
      tabulate(
        value.shape.map((size, axis) => padding[axis][0] + size + padding[axis][1]),
        (index) => {
          const source = index.map((i, axis) => i - padding[axis][0]);
          return source.every((i, axis) => i >= 0 && i < value.shape[axis]) ? at(value, source) : 0;
        },
      ),
  );
};

const flip: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const axis = choice.below(x.value.shape.length);
  return single(
    `flip axis ${axis}`,
    x,
    (tensor) => ops.flip(tensor, axis),
    (value) => alongAxis(value, axis, (line) => line.toReversed()),
  );
};

const repeat: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const axis = choice.below(x.value.shape.length);
  return single(
    `repeat 2 along ${axis}`,
    x,
    (tensor) => ops.repeat(tensor, 2, axis),
    (value) => alongAxis(value, axis, (line) => line.flatMap((element) => [element, element])),
  );
};

const broadcastTo: Move = (choice) => {
  const x = choice.pick();
  const other = x && choice.pick(({ shape }) => commonShape(x.value.shape, shape) !== undefined);
  if (!x || !other) return undefined;
  const shape = commonShape(x.value.shape, other.value.shape) as number[];
  return single(
    `broadcast to [${shape}]`,
    x,
    (tensor) => ops.broadcastTo(tensor, shape),
    (value) => tabulate(shape, (index) => at(value, index)),
  );
};

const gather: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const axis = choice.below(x.value.shape.length);
  const places = Array.from({ length: 1 + choice.below(5) }, () => choice.below(x.value.shape[axis]));
  return single(
    `gather ${places} along ${axis}`,
    x,
    (tensor) => ops.gather(tensor, constant(Uint32Array.from(places)), axis),
    (value) => alongAxis(value, axis, (line) => places.map((place) => line[place])),
  );
};

const concatenate: Move = (choice) => {
  const a = choice.pick(hasRank(1));
  if (a === undefined) return undefined;
  const axis = choice.below(a.value.shape.length);
  const b = choice.pick(
    ({ shape }) =>
      shape.length === a.value.shape.length && shape.every((size, i) => i === axis || size === a.value.shape[i]),
  );
  if (b === undefined) return undefined;
  return {
    name: `concatenate along ${axis}`,
    inputs: [a.index, b.index],
    apply: (a, b) => [ops.concatenate([a, b], axis)],
    evaluate: (a, b) => [
      tabulate(a.shape.with(axis, a.shape[axis] + b.shape[axis]), (index) => {
        const i = index[axis];
        return i < a.shape[axis] ? at(a, index) : at(b, index.with(axis, i - a.shape[axis]));
      }),
    ],
  };
};

/** Two results, of which later moves may use one, both or none. */
const split: Move = (choice) => {
  const x = choice.pick((value) => hasRank(1)(value) && value.shape.some((size) => size > 1));
  if (x === undefined) return undefined;
  const axis = x.value.shape.findIndex((size) => size > 1);
  const first = 1 + choice.below(x.value.shape[axis] - 1);
  return {
    name: `split at ${first} along ${axis}`,
    inputs: [x.index],
    apply: (x) => ops.split(x, [first, x.shape[axis] - first], axis),
    evaluate: (x) => [
      alongAxis(x, axis, (line) => line.slice(0, first)),
      alongAxis(x, axis, (line) => line.slice(first)),
    ],
  };
};

const sort: Move = (choice) => {
  const x = choice.pick(hasRank(1));
  if (x === undefined) return undefined;
  const axis = choice.below(x.value.shape.length);
  return single(
    `sort along ${axis}`,
    x,
    (tensor) => ops.sort(tensor, { axis }).values,
    (value) => alongAxis(value, axis, (line) => line.toSorted((a, b) => a - b)),
  );
};

export const moves: readonly Move[] = [
  ...unaryMoves,
  ...binaryMoves,
  ...binaryMoves,
  ...reductionMoves,
  ...lineMoves,
  ...dense,
  ...placingMoves,
  scan,
  scan,
  innerProduct,
  matmul,
  matmul,
  where,
  reshape,
  reshape,
  transpose,
  slice,
  pad,
  flip,
  repeat,
  broadcastTo,
  gather,
  concatenate,
  split,
  split,
  sort,
];
