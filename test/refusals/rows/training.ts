// Rows for what makes engines, trainers and workspaces, and for all of their methods. Each call has a trainer of its own.

import type { Engine, Samples, Trainer, Workspace } from "steepest";
import * as S from "steepest";
import { mean, square, sub, type Tensor } from "steepest/graph";
import type { Row } from "../sweep.js";

type Make = (...given: readonly unknown[]) => unknown;
type Methods = Readonly<Record<string, Make>>;

const model = S.sequential({ input: [2] }, S.dense(3), S.relu(), S.dense(1));
const normalized = S.sequential({ input: [2] }, S.dense(3), S.batchNorm(), S.dense(1));
const named = S.functional({ input: { a: [2], b: [1] } }, ({ a, b }, { apply }) => ({
  p: apply(a, S.dense(1)),
  q: apply(b, S.dense(2)),
}));
const loss = S.meanSquaredError();

const data = (): Samples => ({
  x: [
    [1, 2],
    [3, 4],
  ],
  y: [1, 2],
});

// What samples may be beside nested arrays, and where their errors say they are.
const samples = (path: string) =>
  ({
    [path]: ["array"],
    [`${path}.x`]: ["typed array"],
    [`${path}.x.0`]: ["typed array", "number"],
    [`${path}.x.1`]: ["typed array", "number"],
    [`${path}.y`]: ["typed array"],
    [`${path}.y.0`]: ["array", "typed array"],
    [`${path}.y.1`]: ["array", "typed array"],
  }) as const;
const weights = (path: string) =>
  ({
    [`${path}.weights`]: ["typed array"],
    [`${path}.weights.0`]: ["array", "typed array"],
    [`${path}.weights.1`]: ["array", "typed array"],
  }) as const;
const inData = [
  /^(data|validation|x|y|weights)\b/,
  // A function or an iterable is a source; what it throws itself comes out as it is.
  /^\w+: pass 1 of its source\b/,
  /^relu: must be given a tensor, got \{ pass/,
] as const;

/** A number that a call would be busy with for ever, within bounds. */
function bounded(given: unknown, most: number): unknown {
  return Number.isFinite(given) && (given as number) > most && Number.isSafeInteger(given) ? most : given;
}

function boundedOptions(options: unknown, ...names: readonly string[]): unknown {
  if (typeof options !== "object" || options === null || Object.getPrototypeOf(options) !== Object.prototype)
    return options;
  const copy: Record<string, unknown> = { ...options };
  for (const name of names) if (Object.hasOwn(copy, name)) copy[name] = bounded(copy[name], 3);
  return copy;
}

/** The least that a range test takes, for what would go on long. */
function boundedSteps(options: unknown): unknown {
  const steps = (options as { steps?: unknown } | undefined)?.steps;
  return Number.isSafeInteger(steps) && Number(steps) > 10 && Number(steps) <= 1e6
    ? { ...(options as object), steps: 10 }
    : options;
}

/**
 * What a user's own function throws is not the library's to refuse; and a source of validation is only opened after an epoch,
 * so the trainer has changed when it turns out to be none.
 */
function heard(options: unknown): unknown {
  const { onProgress, validation } = (options ?? {}) as { onProgress?: unknown; validation?: unknown };
  const isCalled = typeof onProgress === "function" && !String(onProgress).startsWith("class");
  const isSource =
    (typeof validation === "function" && !String(validation).startsWith("class")) || validation instanceof Set;
  if (!isCalled && !isSource) return options;
  return {
    ...(options as object),
    ...(isCalled ? { onProgress: () => {} } : {}),
    ...(isSource ? { validation: undefined } : {}),
  };
}

function called(options: unknown): unknown {
  const { onIteration } = (options ?? {}) as { onIteration?: unknown };
  const isCalled = typeof onIteration === "function" && !String(onIteration).startsWith("class");
  return isCalled ? { ...(options as object), onIteration: () => {} } : options;
}

function valuesOf(trainer: Trainer): string {
  const values = [...trainer.parameters()].map(([path, { data }]) => [path, ...data]);
  return JSON.stringify([values, trainer.steps, trainer.epochs]);
}

/** Calls a method of a trainer of its own; where it is refused nothing may have changed. */
function onTrainer(
  engine: Engine,
  use: (trainer: Methods, given: readonly unknown[]) => unknown,
  { of = model, ...options }: { weights?: true; of?: typeof model } = {},
): Make {
  return async (...given) => {
    const optimizer = S.averaged(S.sgd({ momentum: 0.5 }));
    const trainer = S.compileSync(of, { loss, optimizer, engine, ...options });
    const before = valuesOf(trainer);
    try {
      return await use(trainer as unknown as Methods, given);
    } catch (error) {
      // Values that are allowed, but lead nowhere.
      if (error instanceof S.DivergenceError) return error;
      if (valuesOf(trainer) !== before) throw new Error(`the trainer has changed, after ${String(error)}`);
      throw error;
    } finally {
      trainer.dispose();
    }
  };
}

async function all(results: unknown): Promise<unknown> {
  const list: unknown[] = [];
  for await (const one of results as AsyncIterable<unknown>) list.push(one);
  return list;
}

function makingRows(engine: Engine): readonly Row[] {
  const dispose = (made: unknown): void => (made as { dispose(): void }).dispose();
  const opaque = ["0", "1.loss", "1.loss.p", "1.loss.q", "1.optimizer", "1.engine"];
  const compiling = (call: Make): readonly Row[] => [
    {
      name: "compile",
      call,
      good: () => [
        model,
        {
          loss: S.binaryCrossEntropy(),
          optimizer: S.sgd(),
          accumulate: 2,
          recompute: true,
          metrics: ["accuracy"],
          seed: 1,
          frozen: ["0"],
          engine,
          build: undefined,
          threads: undefined,
          background: undefined,
          convolution: undefined,
          lossWeights: undefined,
          weights: undefined,
        },
      ],
      opaque,
      // Without either it predicts, or scores.
      optional: ["1"],
      where: ["engine"],
      after: dispose,
    },
    {
      name: "compile",
      call,
      good: () => [
        named,
        {
          loss: { p: loss, q: S.huber() },
          lossWeights: { p: 1, q: 0.5 },
          weights: { p: "b", q: true },
          metrics: [],
          optimizer: S.adam(),
          engine,
        },
      ],
      opaque: opaque.filter((path) => path !== "1.loss"),
      optional: ["1", "1.loss.p", "1.loss.q"],
      accepts: { "1.weights.p": ["boolean"], "1.metrics": ["object"] },
      after: dispose,
    },
  ];
  const engines = (call: Make): Row => ({
    name: "engine",
    call: (...given) => call(...given.map((options) => boundedOptions(options, "threads"))),
    good: () => [{ build: "strict", threads: 1, background: false, convolution: "direct" }],
    optional: ["0"],
    where: ["threads"],
    after: dispose,
  });
  const workspaces = (call: Make): Row => ({
    name: "createWorkspace",
    call,
    good: () => [{ seed: 1, engine, build: undefined, threads: undefined, convolution: undefined }],
    optional: ["0"],
    opaque: ["0.engine"],
    where: ["engine"],
    after: dispose,
  });
  return [
    ...compiling(S.compile as unknown as Make),
    ...compiling(S.compileSync as unknown as Make),
    engines(S.createEngine as unknown as Make),
    engines(S.createEngineSync as unknown as Make),
    workspaces(S.createWorkspace as unknown as Make),
    workspaces(S.createWorkspaceSync as unknown as Make),
  ];
}

function fittingRows(engine: Engine): readonly Row[] {
  const fit = (name: string, use: (trainer: Methods, given: readonly unknown[]) => unknown): Row => ({
    name: "fit",
    call: onTrainer(engine, (trainer, [given, options, ...rest]) =>
      use(trainer, [given, heard(boundedOptions(options, "epochs")), ...rest]),
    ),
    good: () => [
      data(),
      {
        epochs: 1,
        batchSize: 1,
        shuffle: true,
        validation: data(),
        validationParameters: "average",
        signal: new AbortController().signal,
        onProgress: () => {},
      },
    ],
    optional: ["1"],
    required: ["0.x", "0.y", "1.validation.x", "1.validation.y"],
    opaque: ["1.signal"],
    where: [name, ...inData],
    accepts: { ...samples("0"), ...samples("1.validation") },
  });
  /** `totalEpochs` takes the place of `epochs`. */
  const fitInAll = (name: string, use: (trainer: Methods, given: readonly unknown[]) => unknown): Row => ({
    name: "fit",
    call: onTrainer(engine, (trainer, [options]) => use(trainer, [data(), boundedOptions(options, "totalEpochs")])),
    good: () => [{ totalEpochs: 1 }],
    optional: ["0"],
    where: [name],
  });
  const steps = (name: string): Row => ({
    name: "trainSteps",
    call: onTrainer(engine, (trainer, [given, options, ...rest]) =>
      trainer[name](given, boundedOptions(options, "steps"), ...rest),
    ),
    good: () => [data(), { steps: 2, batchSize: 1, shuffle: false }],
    required: ["0.x", "0.y", "1.steps"],
    where: inData,
    accepts: samples("0"),
  });
  const scoring = (name: string): Row => ({
    name: "evaluate",
    call: onTrainer(engine, (trainer, given) => trainer[name](...given)),
    good: () => [data(), { batchSize: 1, parameters: "average" }],
    optional: ["1"],
    required: ["0.x", "0.y"],
    where: inData,
    accepts: samples("0"),
  });
  return [
    fit("fit", (trainer, given) => all(trainer.fit(...given))),
    fit("await fit", (trainer, given) => trainer.fit(...given)),
    fit("fitSync", (trainer, given) => trainer.fitSync(...given)),
    fitInAll("fit", (trainer, given) => all(trainer.fit(...given))),
    fitInAll("fitSync", (trainer, given) => trainer.fitSync(...given)),
    steps("trainSteps"),
    steps("trainStepsSync"),
    scoring("evaluate"),
    scoring("evaluateSync"),
    ...["updateNormalization", "updateNormalizationSync"].map(
      (name): Row => ({
        ...scoring(name),
        name: "updateNormalization",
        call: onTrainer(engine, (trainer, given) => trainer[name](...given), { of: normalized }),
        good: () => [data(), { batchSize: 2, parameters: "average" }],
        // A batch of one sample has no variance.
        where: [...inData, /^batchNorm\b/],
      }),
    ),
    {
      name: "trainFor",
      call: onTrainer(engine, (trainer, [milliseconds, given, ...rest]) =>
        trainer.trainFor(
          Number.isFinite(milliseconds) && (milliseconds as number) > 1 ? 1 : milliseconds,
          given === "loaded" ? trainer.load(data()) : given,
          ...rest,
        ),
      ),
      good: () => [1, "loaded", { batchSize: 1, shuffle: true }],
      optional: ["2"],
      where: inData,
    },
  ];
}

function batchRows(engine: Engine): readonly Row[] {
  const batch = (name: string): Row => ({
    name,
    call: onTrainer(engine, (trainer, given) => trainer[name](...given)),
    good: () => [data()],
    required: ["0.x", "0.y"],
    where: inData,
    accepts: samples("0"),
  });
  const weighted = (name: string): Row => ({
    name,
    call: onTrainer(engine, (trainer, given) => trainer[name](...given), { weights: true }),
    good: () => [{ ...data(), weights: [1, 0.5] }],
    required: ["0.x", "0.y"],
    where: inData,
    accepts: { ...samples("0"), ...weights("0") },
  });
  const predicting = (name: string): Row => ({
    name: "predict",
    call: onTrainer(engine, (trainer, given) => trainer[name](...given)),
    good: () => [
      [
        [1, 2],
        [3, 4],
      ],
      { output: "raw", inputShape: [2], parameters: "average" },
    ],
    optional: ["1"],
    where: ["dense", "sequential", "inputShape", ...inData],
    accepts: { "0": ["typed array"], "0.0": ["typed array", "number"], "0.1": ["typed array", "number"] },
  });
  const plain = (name: string, use: (trainer: Methods) => unknown): Row => ({
    name,
    call: onTrainer(engine, use),
    good: () => [],
  });
  return [
    ...["trainBatch", "trainBatchSync", "gradients", "gradientsSync", "load"].map(batch),
    ...["trainBatchSync", "evaluateSync", "load"].map(weighted),
    ...["gradients", "gradientsSync"].map(
      (name): Row => ({
        ...batch(name),
        name: "gradients",
        good: () => [data(), { inputs: true, loss: true }],
        optional: ["1"],
      }),
    ),
    ...["minimize", "minimizeSync"].map(
      (name): Row => ({
        name: "minimize",
        call: onTrainer(engine, (trainer, [given, options, ...rest]) =>
          (S as unknown as Methods)[name](trainer, given, called(boundedOptions(options, "iterations")), ...rest),
        ),
        good: () => [
          data(),
          {
            iterations: 2,
            maxEvaluations: 3,
            learningRate: 1,
            historySize: 2,
            gradientTolerance: 0,
            changeTolerance: 0,
            onIteration: () => {},
          },
        ],
        optional: ["1"],
        required: ["0.x", "0.y"],
        where: ["gradients", ...inData],
        accepts: samples("0"),
      }),
    ),
    predicting("predict"),
    predicting("predictSync"),
    {
      name: "parameters",
      call: onTrainer(engine, (trainer, given) => trainer.parameters(...given)),
      good: () => [{ of: "average" }],
      optional: ["0"],
      check: (values) => {
        if (!(values instanceof Map) || values.size === 0) throw new Error("it gave no values");
      },
    },
    {
      name: "setParameters",
      call: onTrainer(engine, (trainer, given) => trainer.setParameters(...given)),
      good: () => [{ "2.weight": [[1], [2], [3]], "2.bias": { shape: [1], data: [5] } }],
      records: ["0"],
      required: ["0.*", "0.*.data"],
      accepts: {
        "0": ["object"],
        "0.2.weight": ["typed array", "array", "object"],
        "0.2.weight.*": ["typed array", "number"],
        "0.2.bias": ["array", "typed array", "number"],
        "0.2.bias.data": ["typed array", "number"],
      },
    },
    {
      name: "restore",
      call: onTrainer(engine, (trainer, [given, ...rest]) =>
        trainer.restore(given === "taken" ? trainer.checkpoint() : given, ...rest),
      ),
      good: () => ["taken"],
      where: ["checkpoint"],
    },
    {
      name: "summary",
      call: onTrainer(engine, (trainer, given) => trainer.summary(...given)),
      good: () => [{ batchSize: 2 }],
      optional: ["0"],
      where: ["broadcastTo", "memory"],
    },
    plain("parameters", (trainer) => trainer.parameters()),
    plain("checkpoint", (trainer) => trainer.checkpoint()),
    plain("reset", (trainer) => trainer.reset()),
    plain("resetState", (trainer) => trainer.resetState()),
    plain("dispose", (trainer) => trainer.dispose()),
  ];
}

/** The methods of a workspace, and its steps. */
function workspaceRows(engine: Engine): readonly Row[] {
  const within =
    (use: (workspace: Workspace, given: readonly unknown[]) => unknown): Make =>
    (...given) => {
      const workspace = S.createWorkspaceSync({ engine });
      try {
        return use(workspace, given);
      } finally {
        workspace.dispose();
      }
    };
  const body = ({ x, y }: Record<string, Tensor>, { apply }: S.Scope) => ({
    loss: mean(square(sub(apply(x, model), y))),
  });
  const stepOf = (workspace: Workspace): Make =>
    workspace.step(body, { inputs: { x: [2, 2], y: [2, 1] }, optimizer: S.sgd() }) as unknown as Make;
  return [
    {
      name: "workspace.step",
      call: within((workspace, given) => (workspace.step as unknown as Make)(...given)),
      good: () => [body, { inputs: { x: [2, 2], y: [2, 1] }, train: model, optimizer: S.sgd(), training: true }],
      records: ["1.inputs"],
      required: ["1.inputs", "1.inputs.x", "1.inputs.y"],
      opaque: ["1.train", "1.optimizer"],
      accepts: { "1.inputs.x": ["tensor"], "1.inputs.y": ["tensor"], "1.train": ["array"] },
      where: ["relu", "mean", "sub", "dense", "sequential", "broadcast", "x:", "y:"],
    },
    {
      name: "workspace.step",
      call: within((workspace, given) => {
        try {
          return stepOf(workspace)(...given);
        } catch (error) {
          if (error instanceof S.DivergenceError) return error;
          throw error;
        }
      }),
      good: () => [
        {
          x: [
            [1, 2],
            [3, 4],
          ],
          y: [[1], [2]],
        },
      ],
      records: ["0"],
      where: ['"x"', '"y"'],
      accepts: {
        "0.x": ["typed array"],
        "0.y": ["typed array"],
        "0.x.*": ["typed array", "number"],
        "0.y.*": ["typed array", "number"],
      },
      // A step takes what floats are; a loss that is none is a divergence.
      nan: ["0.x.*.*", "0.y.*.*"],
    },
    {
      name: "workspace.parameters",
      call: within((workspace, given) => (workspace.parameters as unknown as Make)(...given)),
      good: () => [model],
      opaque: ["0"],
    },
    {
      name: "setParameters",
      call: within((workspace, given) => (workspace.setParameters as unknown as Make)(...given)),
      good: () => [model, { "2.bias": [5] }],
      opaque: ["0"],
      records: ["1"],
      required: ["1.*"],
      where: ["workspace"],
      accepts: { "1": ["object"], "1.2.bias": ["typed array", "number", "object"], "1.2.bias.*": ["typed array"] },
    },
  ];
}

function checkingRows(engine: Engine): readonly Row[] {
  return [
    {
      name: "checkGradients",
      call: S.checkGradients as unknown as Make,
      good: () => [
        model,
        {
          loss,
          data: { ...data(), weights: [1, 0.5] },
          weights: true,
          tolerance: 1e-2,
          directions: 1,
          seed: 1,
          engine,
        },
      ],
      opaque: ["0", "1.loss", "1.engine"],
      required: ["1.loss", "1.data", "1.data.x", "1.data.y"],
      accepts: { ...samples("1.data"), ...weights("1.data"), "0": ["function"] },
      where: inData,
    },
    {
      name: "findLearningRate",
      call: ((chosen, given, options, ...rest) =>
        (S.findLearningRate as unknown as Make)(chosen, given, boundedSteps(options), ...rest)) as Make,
      good: () => [
        model,
        data(),
        {
          from: 0.01,
          to: 0.1,
          steps: 10,
          batchSize: 2,
          loss,
          optimizer: (learningRate: S.LearningRate) => S.sgd({ learningRate }),
          engine,
        },
      ],
      opaque: ["0", "2.loss", "2.engine"],
      required: ["1.x", "1.y", "2.loss", "2.optimizer"],
      accepts: { ...samples("1"), "0": ["function"] },
      where: [...inData, "compile", "optimizer", "relu"],
    },
    {
      name: "numericalGradient",
      call: S.numericalGradient as unknown as Make,
      good: () => [([a]: Float64Array) => a * a, [1, 2], { step: 1e-4 }],
      optional: ["2"],
      where: ["relu"],
      accepts: { "1": ["typed array"] },
    },
    {
      name: "gradientDescent",
      call: ((f, x, options, ...rest) =>
        (S.gradientDescent as unknown as Make)(f, x, boundedOptions(options, "steps"), ...rest)) as Make,
      good: () => [([a]: Float64Array) => a * a, [1, 2], { learningRate: 0.1, steps: 2, momentum: 0.5 }],
      optional: ["2"],
      where: ["relu"],
      accepts: { "1": ["typed array"], "2.learningRate": ["function"] },
    },
  ];
}

export function trainingRows(engine: Engine): readonly Row[] {
  return [
    ...makingRows(engine),
    ...fittingRows(engine),
    ...batchRows(engine),
    ...workspaceRows(engine),
    ...checkingRows(engine),
  ];
}
