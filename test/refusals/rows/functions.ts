// Rows for what is no operation: making tensors, compiling functions, gradients, textbook optimization.
import { type Engine, zeros } from "steepest";
import * as graph from "steepest/graph";
import { type CompiledFunction, compileFunction, compileFunctionSync, input, type Tensor } from "steepest/graph";
import type { Row } from "../sweep.js";

const x = input([3]);
const y = graph.sum(graph.square(x));

/** How much an instruction has to do. */
function checkWork(result: unknown): void {
  const { units, cost } = result as { units: number; cost: number };
  if (!Number.isSafeInteger(units) || !(cost >= 0)) throw new Error(`it has ${units} units and costs ${cost}`);
}

const workRows: readonly Row[] = [
  { name: "elements", call: graph.elements, good: () => [12, 2], optional: ["1"], check: checkWork },
  { name: "rows", call: graph.rows, good: () => [3, 12], check: checkWork },
];

const tensorRows: readonly Row[] = [
  {
    name: "input",
    call: graph.input,
    good: () => [[2, 3], { name: "image", dtype: "uint32" }],
    optional: ["1"],
    where: ["image"],
  },
  {
    name: "parameter",
    call: graph.parameter,
    good: () => [[2, 3], zeros(), "w", { regularizer: undefined, constraint: undefined }],
    optional: ["2", "3"],
    opaque: ["1"],
    where: ["w: "],
  },
  {
    name: "constant",
    call: graph.constant,
    good: () => [
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      [3, 2],
    ],
    optional: ["1"],
    accepts: { "0": ["number", "typed array"], "0.0": ["number", "typed array"] },
    nan: ["0", "0.*", "0.*.*"],
  },
  {
    name: "gradient",
    call: graph.gradient,
    good: () => [y, x],
    accepts: { "1": ["array"], "1.0": ["tensor"] },
    check: () => {},
  },
  { name: "gradient", call: graph.gradient, good: () => [y, [x]], accepts: { "1": ["tensor"] }, check: () => {} },
  {
    name: "gradient",
    call: graph.gradient,
    good: () => [graph.square(x), x, { cotangent: graph.input(x.shape) }],
    accepts: { "1": ["array"], "1.0": ["tensor"] },
    optional: ["2"],
    required: ["2.cotangent"],
    check: () => {},
  },
  {
    name: "customGradient",
    call: (inputs: never, forward: never, rule: never) =>
      graph.gradient(graph.sum(graph.customGradient(inputs, forward, rule)), x),
    good: () => [[x], (one: Tensor) => graph.scale(one, 2), (slope: Tensor) => slope],
    where: ["scale", "relu"],
  },
];

const steps = input([4, 3]);
const scanRows: readonly Row[] = [
  {
    name: "scan",
    call: graph.scan,
    good: () => [(h: Tensor, row: Tensor) => [graph.add(h, row), h], x, steps, { axis: 0, reverse: true, length: 4 }],
    optional: ["3"],
    accepts: { "2": ["undefined"] },
    where: ["add", "relu"],
    check: (result) => checkScan(result),
  },
];

const recomputeRows: readonly Row[] = [
  {
    name: "recompute",
    call: (f: (x: Tensor) => Tensor) => graph.recompute(f)(x),
    good: () => [(one: Tensor) => graph.square(one)],
    where: ["relu"],
    check: () => {},
  },
];

const sequence = (width: number) => input([2, 4, width]);
const lengths = input([2], { dtype: "uint32" });
const recurrentRows: readonly Row[] = [
  {
    name: "rnn",
    call: graph.rnn,
    good: () => [sequence(3), input([3, 3]), { hidden: input([2, 3]), activation: "tanh", lengths, reverse: true }],
    optional: ["2"],
    check: checkSteps,
  },
  {
    name: "lstm",
    call: graph.lstm,
    good: () => [
      sequence(12),
      input([2, 12]),
      {
        hidden: input([2, 2]),
        cell: input([2, 3]),
        peepholes: input([3, 3]),
        projection: input([3, 2]),
        lengths,
        reverse: true,
      },
    ],
    required: ["2.projection"],
    check: checkSteps,
  },
  {
    name: "gru",
    call: graph.gru,
    good: () => [
      sequence(9),
      input([3, 9]),
      { hidden: input([2, 3]), recurrentBias: input([9]), reset: "after", lengths, reverse: true },
    ],
    optional: ["2"],
    check: checkSteps,
  },
  {
    name: "rnnCell",
    call: graph.rnnCell,
    good: () => [input([2, 3]), input([2, 3]), input([3, 3]), { activation: "relu" }],
    optional: ["3"],
  },
  {
    name: "lstmCell",
    call: graph.lstmCell,
    good: () => [
      input([2, 12]),
      { hidden: input([2, 2]), cell: input([2, 3]) },
      input([2, 12]),
      { peepholes: input([3, 3]), projection: input([3, 2]) },
    ],
    required: ["3.projection"],
    check: () => {},
  },
  {
    name: "gruCell",
    call: graph.gruCell,
    good: () => [input([2, 9]), input([2, 3]), input([3, 9]), { recurrentBias: input([9]), reset: "after" }],
    optional: ["3"],
  },
];

function checkSteps(result: unknown): void {
  const { outputs, hidden } = result as { outputs: Tensor; hidden: Tensor };
  if (outputs.shape.length !== 3 || hidden.shape.length !== 2) throw new Error("it is not { outputs, hidden }");
}

function checkScan(result: unknown): void {
  if (!Array.isArray(result) || result.length !== 2) throw new Error("it is not [carry, ys]");
}

const descentRows: readonly Row[] = [
  {
    name: "numericalGradient",
    call: graph.numericalGradient,
    good: () => [([a]: Float64Array) => a * a, [1, 2], { step: 1e-4 }],
    optional: ["2"],
    where: ["relu"],
    accepts: { "1": ["typed array"] },
    check: checkNumbers,
  },
  {
    name: "gradientDescent",
    call: graph.gradientDescent,
    good: () => [
      ([a]: Float64Array) => a * a,
      [1, 2],
      { learningRate: 0.1, steps: 3, momentum: 0.5, gradient: ([a]: Float64Array) => [2 * a, 0] },
    ],
    optional: ["2"],
    where: ["relu"],
    accepts: { "1": ["typed array"], "2.learningRate": ["function"] },
    check: (descent) => checkNumbers((descent as graph.Descent).values),
  },
];

function checkNumbers(result: unknown): void {
  if (!(result instanceof Float64Array) || result.length === 0) throw new Error("no numbers came out");
}

function doubled(options: object): CompiledFunction<{ x: number[] }, { y: Tensor }> {
  const w = graph.parameter([3], zeros(), "w");
  return compileFunctionSync((inputs) => ({ y: graph.add(graph.scale(inputs.x, 2), w) }), { x: [3] }, options);
}

/** Compiled, called and disposed of. */
function compilingRows(engine: Engine): readonly Row[] {
  const compile = (compiling: typeof compileFunction | typeof compileFunctionSync): Row => ({
    name: "compileFunction",
    call: compiling as never,
    good: () => [
      (inputs: { x: Tensor }) => ({ y: graph.square(inputs.x) }),
      { x: [3] },
      { engine, seed: 1, build: undefined, threads: undefined, convolution: undefined },
    ],
    optional: ["2"],
    records: ["1"],
    opaque: ["2.engine"],
    where: ["square", "relu", "engine: "],
    accepts: { "1.x": ["tensor"], "0": ["function"] },
    check: (f) => {
      if (typeof f !== "function") throw new Error("no function came out");
    },
    after: (f) => (f as CompiledFunction<{ x: number[] }, { y: Tensor }>).dispose(),
  });
  const f = doubled({ engine });
  const gathering = compileFunctionSync(
    (inputs) => ({ y: graph.gather(inputs.x, inputs.labels) }),
    { x: [3, 2], labels: input([2], { dtype: "uint32" }) },
    { engine },
  );
  return [
    compile(compileFunction),
    compile(compileFunctionSync),
    {
      name: "compileFunction",
      call: f,
      good: () => [{ x: [1, 2, 3] }],
      records: ["0"],
      where: ['"x"'],
      accepts: { "0.x": ["typed array"] },
      nan: ["0.x.*"],
      check: checkResult,
    },
    {
      name: "compileFunction",
      call: gathering,
      good: () => [
        {
          x: [
            [1, 2],
            [3, 4],
            [5, 6],
          ],
          labels: [2, 0],
        },
      ],
      records: ["0"],
      where: ['"x"', '"labels"'],
      accepts: { "0.x": ["typed array"], "0.x.0": ["number", "typed array"], "0.labels": ["typed array"] },
      nan: ["0.x.*", "0.x.*.*"],
      check: checkResult,
    },
    { name: "compileFunction", call: f.parameter, good: () => ["w"], check: checkFloats },
    {
      name: "compileFunction",
      call: f.setParameter,
      good: () => ["w", [1, 2, 3]],
      where: ['"w"'],
      accepts: { "1": ["typed array"] },
      nan: ["1.*"],
      check: () => {},
    },
  ];
}

function checkResult(result: unknown): void {
  checkFloats((result as { y: unknown }).y);
}

function checkFloats(values: unknown): void {
  if (!(values instanceof Float32Array) || values.length === 0) throw new Error("no numbers came out");
}

function checkingRows(engine: Engine): readonly Row[] {
  return [
    {
      name: "checkGradients",
      call: graph.checkGradients as never,
      good: () => [
        (inputs: { x: Tensor }) => graph.square(inputs.x),
        { at: { x: { shape: [3], values: [1, 2, 3] } }, engine, seed: 1, directions: 1, tolerance: 1e-2 },
      ],
      records: ["1.at"],
      required: ["1.at", "1.at.x.shape", "1.at.x.values"],
      opaque: ["1.engine"],
      where: ["square", "relu"],
      accepts: { "1.at.x.values": ["typed array"] },
      check: (report) => {
        if (typeof (report as graph.GradientReport).passed !== "boolean") throw new Error("no report came out");
      },
    },
  ];
}

/** What is refused as an engine, and what an engine is made with: nothing may be left of one. */
function engineRows(): readonly Row[] {
  const trace = (inputs: { x: Tensor }) => ({ y: graph.square(inputs.x) });
  const own = (compiling: typeof compileFunction | typeof compileFunctionSync, options: object): Row => ({
    name: "compileFunction",
    call: (...args: never[]) => (compiling as (...all: unknown[]) => unknown)(...args),
    good: () => [trace, { x: [3] }, options],
    untouched: ["0", "1", "1.x", "1.x.0", "2"],
    optional: ["2"],
    where: ["engine: "],
    check: () => {},
    after: (f) => (f as CompiledFunction<{ x: number[] }, { y: Tensor }>).dispose(),
  });
  return [own(compileFunctionSync, { build: "strict", threads: 1, engine: undefined, seed: 3 })];
}

export function functionRows(engine: Engine): readonly Row[] {
  return [
    ...workRows,
    ...tensorRows,
    ...scanRows,
    ...recomputeRows,
    ...recurrentRows,
    ...descentRows,
    ...compilingRows(engine),
    ...checkingRows(engine),
    ...engineRows(),
  ];
}
