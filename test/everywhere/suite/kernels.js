// Every operation of steepest/graph against its formula in float64. The arrays are so large that eight threads take
// part where a kernel is worth that: 32768 operations a thread, see src/engine/instructions.ts.
import { expect } from "./checks.js";
import { integers, oneHot, uniform } from "./numbers.js";
import { erf, matrixProduct, rowWise, softmaxOf } from "./reference.js";

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

const logistic = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const geluTanh = (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const crossEntropyOf = (target) => -total(rowWise(wide, COLUMNS, softmaxOf).map((p, i) => target[i] * Math.log(p)));

const CHECKS = [
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
  unary("negate", (x) => -x),
  unary("square", (x) => x * x),
  unary("squareRoot", Math.sqrt, positive),
  unary("exp", Math.exp),
  unary("log", Math.log, positive),
  unary("absolute", Math.abs),
  unary("reciprocal", (x) => 1 / x, positive),
  unary("copyOf", (x) => x),
  unary("scale", (x) => 2.5 * x, wide, { argument: 2.5 }),
  unary("shift", (x) => x - 0.75, wide, { argument: -0.75 }),
  unary("power", (x) => x ** 2.5, positive, { argument: 2.5 }),
  unary("reshape", (x) => x, wide, { argument: [-1, 27] }),
  unary("flatten", (x) => x, wide, { argument: 0 }),
  binary("add", (a, b) => a + b),
  binary("add", (a, b) => a + b, { name: "add a row", b: row }),
  binary("subtract", (a, b) => a - b),
  binary("multiply", (a, b) => a * b),
  binary("divide", (a, b) => a / b, { b: row, name: "divide by a row" }),
  binary("maximum", Math.max),
  binary("minimum", Math.min),
  binary("greater", (a, b) => (a > b ? 1 : 0)),
  binary("greaterEqual", (a, b) => (a >= b ? 1 : 0)),
  binary("equal", (a, b) => (a === b ? 1 : 0), { a: bits, b: signs }),
  {
    operation: "select",
    inputs: { mask: SHAPE, a: SHAPE, b: SHAPE },
    values: { mask: bits, a: wide, b: other },
    trace: (graph, { mask, a, b }) => graph.select(mask, a, b),
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
  {
    operation: "gatherRows",
    inputs: { x: SHAPE },
    values: { x: small },
    wordInputs: {
      order: { shape: [ROWS], data: Uint32Array.from({ length: ROWS }, (_, i) => ROWS - 1 - i) },
      clock: { shape: [16], data: new Uint32Array(16) },
    },
    trace: (graph, { x, order, clock }) => graph.gatherRows(x, order, clock, ROWS),
    want: () => Float64Array.from({ length: SIZE }, (_, i) => lines[ROWS - 1 - Math.floor(i / COLUMNS)][i % COLUMNS]),
  },
  {
    operation: "dropout",
    inputs: { x: SHAPE },
    values: { x: new Float32Array(SIZE).fill(3) },
    wordInputs: { clock: { shape: [16], data: new Uint32Array(16) } },
    // What is kept is doubled: the values themselves are random, so the digest compares them.
    trace: (graph, { x, clock }) => {
      const y = graph.dropout(x, { rate: 0.5, clock, seed: [1, 2], stream: 3 });
      return graph.multiply(y, graph.subtract(y, 6));
    },
    want: () => new Float64Array(SIZE),
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

/** What steepest/graph exports beside operations. */
const NO_OPERATIONS = [
  "checkGradients",
  "compileFunction",
  "compileFunctionSync",
  "constant",
  "gradientDescent",
  "input",
  "numericalGradient",
  "parameter",
];

async function runCheck(check, graph, kit) {
  const { inputs, values, wordInputs = {}, trace, want, tolerance = 4e-7, floor = 1 } = check;
  const words = Object.entries(wordInputs).map(([name, { shape, data }]) => [
    name,
    graph.input(shape, { name, dtype: "uint32" }),
    Uint32Array.from(data),
  ]);
  const shapes = { ...inputs, ...Object.fromEntries(words.map(([name, tensor]) => [name, tensor])) };
  const f = await graph.compileFunction((tensors) => ({ y: trace(graph, tensors) }), shapes, { engine: kit.engine });
  const { y } = f({ ...values, ...Object.fromEntries(words.map(([name, , data]) => [name, data])) });
  f.dispose();
  kit.digest.add(y);
  // Float64 takes longer than the kernels: once a process is enough.
  check.expected ??= want(values);
  const { expected } = check;
  expect(y.length === expected.length, `gave ${y.length} values instead of ${expected.length}`);
  const near = (value, i) => Math.abs(value - expected[i]) <= tolerance * (Math.abs(expected[i]) + floor);
  const wrong = y.findIndex((value, i) => !near(value, i));
  expect(wrong < 0, `element ${wrong} is ${y[wrong]}, float64 gives ${expected[wrong]}`);
}

/** Checks all of them; their results' bits go into `kit.digest`. */
export async function checkKernels(graph, kit, checks) {
  for (const check of CHECKS) {
    await checks.check(`kernels: ${check.name ?? check.operation}`, () => runCheck(check, graph, kit));
  }
  await checks.check("kernels: every operation has a check", () => {
    const known = new Set([...NO_OPERATIONS, ...CHECKS.map(({ operation }) => operation)]);
    const missing = Object.keys(graph).filter((name) => !known.has(name));
    expect(missing.length === 0, `test/everywhere/suite/kernels.js has no row for ${missing.join(", ")}`);
  });
}
