// Operations of each element, of rows, of matrices; losses and metrics. The arrays are so large that eight threads take
// part where a kernel is worth that: 32768 operations a thread, see src/engine/instructions.ts.
import { integers, oneHot, uniform } from "../numbers.js";
import { erf, matrixProduct, rowWise, softmaxOf } from "../reference.js";

const ROWS = 513;
const COLUMNS = 517;
const SIZE = ROWS * COLUMNS;
const SHAPE = [ROWS, COLUMNS];
const [M, K, N] = [97, 133, 259];

const small = uniform(SIZE, -1, 1, 2);
const wide = uniform(SIZE, -4, 4, 3);
const other = uniform(SIZE, -2, 2, 4);
const positive = uniform(SIZE, 0.01, 3, 5);
const probabilities = uniform(SIZE, 0.02, 0.98, 6);
const row = uniform(COLUMNS, 0.5, 2, 7);
const signs = Float32Array.from(integers(SIZE, 2, 8), (bit) => 2 * bit - 1);
const bits = Float32Array.from(integers(SIZE, 2, 9));
const labels = integers(ROWS, COLUMNS, 10);

/** y = f(x) for each element. `formula` gets x in float64. */
const unary = (operation, formula, x = wide, options = {}) => ({
  operation,
  inputs: { x: SHAPE },
  values: { x },
  trace: (graph, { x }) => graph[operation](x, options.argument),
  want: () => Float64Array.from(x, formula),
  ...options,
});

/** y = f(a, b), with b either as large as a or a row that is broadcast. */
const binary = (operation, formula, { a = wide, b = other, ...options } = {}) => ({
  operation,
  inputs: { a: SHAPE, b: b.length === SIZE ? SHAPE : [COLUMNS] },
  values: { a, b },
  trace: (graph, { a, b }) => graph[operation](a, b),
  want: () => Float64Array.from(a, (value, i) => formula(value, b[i % b.length])),
  ...options,
});

/** A loss of each element, as a sum or a mean. */
const loss = (operation, formula, { a = wide, b = other, argument, ...options } = {}) => ({
  operation,
  inputs: { a: SHAPE, b: SHAPE },
  values: { a, b },
  trace: (graph, { a, b }) => graph[operation](a, b, argument),
  want: () => {
    const total = a.reduce((sum, value, i) => sum + formula(value, b[i]), 0);
    return Float64Array.of(argument?.reduction === "sum" ? total : total / SIZE);
  },
  tolerance: 2e-6,
  floor: 0,
  ...options,
});

const product = (operation, aShape, bShape, form, m = M, k = K, n = N) => {
  const a = uniform(m * k, -1, 1, 11);
  const b = uniform(k * n, -1, 1, 12);
  const transposed = { transposeA: aShape[0] !== m, transposeB: bShape[0] !== k };
  return {
    operation,
    name: `${operation} ${form}`,
    inputs: { a: aShape, b: bShape },
    values: { a, b },
    trace: (graph, { a, b }) => graph.matmul(a, b, transposed),
    want: () => matrixProduct(a, b, { m, k, n, ...transposed }),
    floor: k / 4,
  };
};

const reduction = (operation, axes, groups, fold, options = {}) => ({
  operation,
  name: `${operation} over ${axes === undefined ? "all" : `axis ${axes}`}`,
  inputs: { x: SHAPE },
  values: { x: small },
  trace: (graph, { x }) => graph[operation](x, axes, options.argument),
  want: () => Float64Array.from(groups, fold),
  ...options,
});

const lines = Array.from({ length: ROWS }, (_, i) => small.subarray(i * COLUMNS, (i + 1) * COLUMNS));
const columns = Array.from({ length: COLUMNS }, (_, j) => Float32Array.from({ length: ROWS }, (_, i) => lines[i][j]));
const total = (values) => values.reduce((sum, value) => sum + value, 0);
const most = (values) => values.reduce((best, value) => Math.max(best, value));
const least = (values) => values.reduce((best, value) => Math.min(best, value));

const within = (x, low, high) => Math.min(Math.max(x, low), high);
// Klambauer et al. 2017.
const [SELU_SCALE, SELU_ALPHA] = [1.0507009873554805, 1.6732632423543772];

/** The first half of each line of 516, times a function of the second. */
const gated = (operation, gate, options = {}) =>
  unary(operation, undefined, wide.subarray(0, 512 * 516), {
    inputs: { x: [512, 516] },
    want: ({ x }) => Float64Array.from({ length: 512 * 258 }, (_, i) => x[placeOf(i)] * gate(x[placeOf(i) + 258])),
    ...options,
  });
const placeOf = (i) => Math.floor(i / 258) * 516 + (i % 258);

const logistic = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const geluTanh = (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const crossEntropyOf = (target) => -total(rowWise(wide, COLUMNS, softmaxOf).map((p, i) => target[i] * Math.log(p)));

export const ELEMENTWISE = [
  unary("step", (x) => (x >= 0 ? 1 : 0)),
  unary("identity", (x) => x),
  unary("relu", (x) => Math.max(x, 0)),
  unary("leakyRelu", (x) => (x > 0 ? x : 0.2 * x), wide, { argument: { negativeSlope: 0.2 } }),
  unary("elu", (x) => (x > 0 ? x : 1.5 * Math.expm1(x)), wide, { argument: { alpha: 1.5 } }),
  unary("sigmoid", logistic),
  unary("tanh", Math.tanh),
  unary("softplus", softplus),
  unary("silu", (x) => x * logistic(x)),
  unary("gelu", (x) => (x / 2) * (1 + erf(x / Math.SQRT2))),
  unary("gelu", geluTanh, wide, { name: "gelu with tanh", argument: { approximate: "tanh" } }),
  unary("selu", (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x))),
  unary("celu", (x) => (x > 0 ? x : 0.7 * Math.expm1(x / 0.7)), wide, { argument: { alpha: 0.7 } }),
  unary("logSigmoid", (x) => -softplus(-x)),
  unary("mish", (x) => x * Math.tanh(softplus(x))),
  unary("softsign", (x) => x / (1 + Math.abs(x))),
  unary("tanhShrink", (x) => x - Math.tanh(x)),
  unary("hardSigmoid", (x) => within(x + 3, 0, 6) / 6),
  unary("hardSwish", (x) => (x * within(x + 3, 0, 6)) / 6),
  unary("hardTanh", (x) => within(x, -0.5, 2), wide, { argument: { min: -0.5, max: 2 } }),
  unary("relu6", (x) => within(2 * x, 0, 6), wide, { trace: (graph, { x }) => graph.relu6(graph.scale(x, 2)) }),
  unary("threshold", (x) => (x > 0.5 ? x : -2), wide, { argument: { threshold: 0.5, value: -2 } }),
  unary("softShrink", (x) => Math.sign(x) * Math.max(0, Math.abs(x) - 0.5)),
  unary("hardShrink", (x) => (Math.abs(x) > 0.5 ? x : 0)),
  unary("prelu", (x, i) => (x > 0 ? x : row[i % COLUMNS] * x), wide, {
    inputs: { x: SHAPE, slopes: [COLUMNS] },
    values: { x: wide, slopes: row },
    trace: (graph, { x, slopes }) => graph.prelu(x, slopes),
  }),
  unary("sin", Math.sin),
  unary("cos", Math.cos),
  unary("clip", (x) => within(x, -1, 2), wide, { trace: (graph, { x }) => graph.clip(x, -1, 2) }),
  unary("stopGradient", (x) => x),
  unary("customGradient", (x) => x * x, wide, {
    trace: (graph, { x }) =>
      graph.customGradient(
        [x],
        (y) => graph.square(y),
        (gradient) => gradient,
      ),
  }),
  unary("customGradient", () => 3, wide, {
    name: "a gradient of one's own",
    trace: (graph, { x }) => {
      const y = graph.customGradient(
        [x],
        (z) => graph.step(z),
        (gradient) => graph.scale(gradient, 3),
      );
      return graph.gradient(graph.sum(y), x);
    },
  }),
  gated("glu", logistic),
  gated("swiglu", (x) => x * logistic(x)),
  gated("reglu", (x) => Math.max(x, 0)),
  gated("geglu", (x) => (x / 2) * (1 + erf(x / Math.SQRT2))),
  gated("geglu", geluTanh, { name: "geglu with tanh", argument: { approximate: "tanh" } }),
  unary("neg", (x) => -x),
  unary("square", (x) => x * x),
  unary("sqrt", Math.sqrt, positive),
  unary("exp", Math.exp),
  unary("log", Math.log, positive),
  unary("abs", Math.abs),
  unary("reciprocal", (x) => 1 / x, positive),
  unary("copyOf", (x) => x),
  unary("scale", (x) => 2.5 * x, wide, { argument: 2.5 }),
  unary("shift", (x) => x - 0.75, wide, { argument: -0.75 }),
  unary("pow", (x) => x ** 2.5, positive, { argument: 2.5 }),
  unary("reshape", (x) => x, wide, { argument: [-1, 27] }),
  unary("flatten", (x) => x, wide, { argument: 0 }),
  binary("add", (a, b) => a + b),
  binary("add", (a, b) => a + b, { name: "add a row", b: row }),
  binary("sub", (a, b) => a - b),
  binary("mul", (a, b) => a * b),
  binary("div", (a, b) => a / b, { b: row, name: "div by a row" }),
  binary("maximum", Math.max),
  binary("minimum", Math.min),
  binary("greater", (a, b) => (a > b ? 1 : 0)),
  binary("greaterEqual", (a, b) => (a >= b ? 1 : 0)),
  binary("less", (a, b) => (a < b ? 1 : 0)),
  binary("lessEqual", (a, b) => (a <= b ? 1 : 0)),
  binary("notEqual", (a, b) => (a !== b ? 1 : 0), { a: bits, b: signs }),
  binary("pow", (a, b) => a ** b, { a: positive, b: other, name: "pow of tensors" }),
  binary("average", (a, b) => (a + 2 * b) / 3, { trace: (graph, { a, b }) => graph.average([a, b, b]) }),
  binary("equal", (a, b) => (a === b ? 1 : 0), { a: bits, b: signs }),
  {
    operation: "where",
    inputs: { mask: SHAPE, a: SHAPE, b: SHAPE },
    values: { mask: bits, a: wide, b: other },
    trace: (graph, { mask, a, b }) => graph.where(mask, a, b),
    want: () => Float64Array.from(bits, (bit, i) => (bit === 1 ? wide[i] : other[i])),
  },
  {
    operation: "broadcastTo",
    inputs: { x: [COLUMNS] },
    values: { x: row },
    trace: (graph, { x }) => graph.broadcastTo(x, SHAPE),
    want: () => Float64Array.from({ length: SIZE }, (_, i) => row[i % COLUMNS]),
  },
  {
    operation: "transpose",
    inputs: { x: SHAPE },
    values: { x: small },
    trace: (graph, { x }) => graph.transpose(x),
    want: () => Float64Array.from({ length: SIZE }, (_, i) => small[(i % ROWS) * COLUMNS + Math.floor(i / ROWS)]),
  },
  product("matmul", [M, K], [K, N], "A·B"),
  product("matmul", [K, M], [K, N], "Aᵀ·B"),
  product("matmul", [M, K], [N, K], "A·Bᵀ"),
  product("matmul", [1, 784], [784, 128], "of one row", 1, 784, 128),
  product("matmul", [4, 3], [3, 2], "of few elements", 4, 3, 2),
  product("matmul", [130, 801], [801, 300], "in blocks", 130, 801, 300),
  {
    operation: "linear",
    inputs: { x: [M, K], weight: [K, N], bias: [N] },
    values: { x: uniform(M * K, -1, 1, 13), weight: uniform(K * N, -1, 1, 14), bias: uniform(N, -1, 1, 15) },
    trace: (graph, { x, weight, bias }) => graph.relu(graph.linear(x, weight, bias)),
    want({ x, weight, bias }) {
      const y = matrixProduct(x, weight, { m: M, k: K, n: N });
      return y.map((value, i) => Math.max(0, value + bias[i % N]));
    },
    floor: K / 4,
  },
  reduction("sum", undefined, [small], total, { floor: SIZE / 4 }),
  reduction("sum", 0, columns, total, { floor: ROWS / 4 }),
  reduction("sum", 1, lines, total, { floor: COLUMNS / 4, argument: { keepDims: true } }),
  reduction("mean", undefined, [small], (values) => total(values) / SIZE),
  reduction("mean", -1, lines, (values) => total(values) / COLUMNS),
  reduction("max", undefined, [small], most),
  reduction("max", 0, columns, most),
  reduction("max", 1, lines, most),
  reduction("min", 0, columns, least),
  reduction("min", 1, lines, least),
  {
    operation: "argmax",
    inputs: { x: SHAPE },
    values: { x: small },
    wordInputs: { want: { shape: [ROWS], data: lines.map((values) => values.indexOf(most(values))) } },
    trace: (graph, { x, want }) => graph.equal(graph.argmax(x), want),
    want: () => new Float64Array(ROWS).fill(1),
  },
  unary("softmax", undefined, wide, { want: () => rowWise(wide, COLUMNS, softmaxOf), floor: 0.01 }),
  unary("softmax", undefined, wide, {
    name: "softmax along the first axis",
    argument: { axis: 0 },
    want: () => {
      const powers = Float64Array.from(wide, Math.exp);
      const totals = columns.map((_, j) => lines.reduce((sum, _, i) => sum + powers[i * COLUMNS + j], 0));
      return powers.map((power, i) => power / totals[i % COLUMNS]);
    },
    floor: 0.01,
  }),
  unary("logSoftmax", undefined, wide, {
    want: () => rowWise(wide, COLUMNS, (line) => softmaxOf(line).map(Math.log)),
  }),
  loss("meanSquaredError", (y, t) => (y - t) ** 2),
  loss("meanSquaredError", (y, t) => (y - t) ** 2, { name: "squared error, sum", argument: { reduction: "sum" } }),
  loss("halfSquaredError", (y, t) => (y - t) ** 2 / 2),
  loss("meanAbsoluteError", (y, t) => Math.abs(y - t)),
  loss("huber", (y, t) => (Math.abs(y - t) <= 0.5 ? (y - t) ** 2 / 2 : 0.5 * (Math.abs(y - t) - 0.25)), {
    argument: { delta: 0.5 },
  }),
  loss("hinge", (y, t) => Math.max(0, 1 - t * y), { b: signs }),
  loss("perceptronLoss", (y, t) => ((y >= 0 ? 1 : 0) - t) * y, { b: bits }),
  loss("binaryCrossEntropy", (p, t) => -(t * Math.log(p) + (1 - t) * Math.log1p(-p)), { a: probabilities, b: bits }),
  loss("binaryCrossEntropyWithLogits", (z, t) => softplus(z) - t * z, { b: bits }),
  {
    operation: "softmaxCrossEntropy",
    inputs: { x: SHAPE },
    values: { x: wide },
    wordInputs: { labels: { shape: [ROWS], data: labels } },
    trace: (graph, { x, labels }) => graph.softmaxCrossEntropy(x, labels),
    want: () => Float64Array.of(crossEntropyOf(oneHot(COLUMNS, labels)) / ROWS),
    tolerance: 2e-6,
  },
  {
    operation: "softmaxCrossEntropyWithDistributions",
    inputs: { x: SHAPE, targets: SHAPE },
    values: { x: wide, targets: oneHot(COLUMNS, labels) },
    trace: (graph, { x, targets }) => graph.softmaxCrossEntropyWithDistributions(x, targets, { reduction: "sum" }),
    want: () => Float64Array.of(crossEntropyOf(oneHot(COLUMNS, labels))),
    tolerance: 2e-6,
  },
  {
    operation: "gradient",
    inputs: { x: SHAPE },
    values: { x: wide },
    trace: (graph, { x }) => graph.gradient(graph.sum(graph.tanh(x)), x),
    want: () => Float64Array.from(wide, (x) => 1 - Math.tanh(x) ** 2),
    floor: 2,
  },
  ...["correctClasses", "correctDistributions"].map((operation) => ({
    operation,
    inputs: { x: SHAPE, rows: SHAPE },
    values: {
      x: small,
      rows: oneHot(
        COLUMNS,
        lines.map((values) => values.indexOf(most(values))),
      ),
    },
    wordInputs: {
      labels: { shape: [ROWS], data: lines.map((values, i) => (i % 3 ? values.indexOf(most(values)) : 0)) },
    },
    trace: (graph, { x, rows, labels }) => {
      if (operation === "correctClasses") return graph.correctClasses(x, labels);
      return graph.correctDistributions(x, rows);
    },
    want: () => {
      const right = lines.filter((values, i) => i % 3 !== 0 || values.indexOf(most(values)) === 0).length;
      return Float64Array.of(operation === "correctClasses" ? right : ROWS);
    },
  })),
  {
    operation: "correctBinary",
    inputs: { a: SHAPE, b: SHAPE },
    values: { a: probabilities, b: bits },
    trace: (graph, { a, b }) => graph.correctBinary(a, b),
    want: () => Float64Array.of(bits.filter((bit, i) => bit === (probabilities[i] >= 0.5 ? 1 : 0)).length),
  },
];
