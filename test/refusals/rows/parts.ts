// Rows for what models and trainings are made of: models, functions of tensors, losses, optimizers, initializers and so on.

import type { Constraint, Engine, Initializer, Model, Regularizer, Scope } from "steepest";
import * as S from "steepest";
import { mean, mul, square, sub, type Tensor } from "steepest/graph";
import type { Row } from "../sweep.js";
import { checkModel } from "./layers.js";
import { scheduleRows } from "./schedules.js";

type Make = (...given: readonly unknown[]) => unknown;

function modelRows(engine: Engine): readonly Row[] {
  const sequential = S.sequential as unknown as Make;
  const functional = S.functional as unknown as Make;
  const defineLayer = S.defineLayer as unknown as (...given: readonly unknown[]) => Make;
  const check: NonNullable<Row["check"]> = (model) => checkModel(engine, model as Model);
  const model = S.sequential({ input: [4, 4, 1] }, S.conv2d(2, 3), S.flatten());
  const images = S.sequential({ input: [4, 4, 1] }, S.conv2d(2, 3), S.globalMaxPool());
  return [
    {
      name: "sequential",
      call: sequential,
      good: () => [{ input: [4], dtype: "float32", name: "part" }, S.dense(2), S.relu()],
      opaque: ["1", "2"],
      optional: ["2"],
      required: ["0.input"],
      // The input may be of indices, and of any size, which the layers refuse.
      where: ["dense", "linear", "matmul"],
      check,
    },
    {
      name: "functional",
      call: functional,
      good: () => [
        { input: { a: [4], b: [4] }, dtype: { a: "float32", b: "float32" }, name: "part" },
        ({ a, b }: { a: Tensor; b: Tensor }) => mul(a, b),
      ],
      required: ["0.input", "0.input.a", "0.input.b"],
      records: ["0.input"],
      accepts: { "0.input": ["array"], "0.dtype": ["string"] },
      where: ["mul", "relu"],
      check: () => {},
    },
    {
      name: "layer",
      call: (kind, body, options) =>
        sequential({ input: [4] }, (defineLayer(kind, body) as (options: unknown) => unknown)(options)),
      good: () => ["layer", (x: Tensor) => x, { name: "part", by: 2 }],
      optional: ["2"],
      records: ["2"],
      // An option of the user's own.
      untouched: ["2.by"],
      accepts: { "2.name": ["undefined"] },
      where: ["defineLayer", "relu", '"part"', /^[\w ]* ("part"|0)/],
      check,
    },
    {
      name: "input",
      call: (shape: never) => images.outputShapeFor(shape),
      good: () => [[6, 6, 1]],
      where: ["conv2d"],
      check: (shape) => {
        if (!Array.isArray(shape)) throw new Error("no shape came out");
      },
    },
    {
      name: "input",
      call: (shape: never) => model.outputShapeFor(shape),
      good: () => [[4, 4, 1]],
      where: ["conv2d"],
      check: () => {},
    },
  ];
}

/** The methods of a scope, called in a function's first trace. */
function scopeRows(): readonly Row[] {
  const within =
    (use: (scope: Record<keyof Scope, Make>, x: Tensor, given: readonly unknown[]) => unknown): Make =>
    (...given) => {
      let result: unknown;
      S.functional({ input: [4] }, (x, scope) => {
        result = use(scope as never, x, given);
        return x;
      });
      return result;
    };
  const opaque = ["0", "1", "2", "3.regularizer", "3.constraint"];
  return [
    {
      name: "apply",
      call: within(({ apply }, x, layers) => apply(x, ...layers)),
      good: () => [S.dense(3), S.relu()],
      opaque,
      optional: ["0", "1"],
    },
    {
      name: "apply",
      call: within(({ apply }, x, [given]) => apply(given === "x" ? x : given, S.dense(3))),
      good: () => ["x"],
      accepts: { "0": ["tensor"] },
      where: ["dense", "linear"],
    },
    {
      name: "parameter",
      call: within(({ parameter }, _, given) => parameter(...given)),
      good: () => ["p", [4], S.zeros(), { regularizer: S.l2(), constraint: S.maxNorm() }],
      opaque: ["2", "3.regularizer", "3.constraint"],
      optional: ["2", "3"],
      where: ["functional", "p:", "maxNorm"],
    },
    {
      name: "buffer",
      call: within(({ buffer }, _, given) => buffer(...given)),
      good: () => ["b", [4], S.zeros()],
      opaque: ["2"],
      optional: ["2"],
      where: ["functional", "b:"],
    },
    {
      name: "state",
      call: within(({ state }, _, given) => state(...given)),
      good: () => ["h", [2, 4]],
      where: ["functional"],
    },
    {
      name: "update",
      call: within(({ update, buffer }, x, [of, value]) =>
        update(of === "b" ? buffer("b", [2, 4]) : of, value === "x" ? x : value),
      ),
      good: () => ["b", "x"],
      accepts: { "0": ["tensor"], "1": ["tensor"] },
    },
  ];
}

function checkParts(engine: Engine, options: object): void {
  checkModel(engine, S.sequential({ input: [4] }, S.dense(3, options)));
}

function parameterRows(engine: Engine): readonly Row[] {
  const of =
    (option: string): NonNullable<Row["check"]> =>
    (made) =>
      checkParts(engine, { [option]: made as Initializer | Regularizer | Constraint });
  const initializer = { check: of("weightInitializer") };
  const regularizer = { check: of("weightRegularizer") };
  const constraint = { check: of("weightConstraint"), accepts: { "*.axis": ["array"] } as const };
  const none = { good: () => [undefined], optional: ["0"], accepts: { "0": ["object"] } as const };
  const plain = [
    ["zeros", S.zeros],
    ["ones", S.ones],
    ["glorotUniform", S.glorotUniform],
    ["glorotNormal", S.glorotNormal],
    ["heUniform", S.heUniform],
    ["heNormal", S.heNormal],
    ["lecunUniform", S.lecunUniform],
    ["lecunNormal", S.lecunNormal],
  ] as const;
  return [
    ...plain.map(([name, call]): Row => ({ name, call, ...none, ...initializer })),
    { name: "constantValue", call: S.constantValue, good: () => [0.5], ...initializer },
    { name: "uniform", call: S.uniform, good: () => [{ low: -1, high: 1 }], optional: ["0"], ...initializer },
    {
      name: "normal",
      call: S.normal,
      good: () => [{ mean: 0, standardDeviation: 1 }],
      optional: ["0"],
      ...initializer,
    },
    { name: "orthogonal", call: S.orthogonal, good: () => [{ gain: 1 }], optional: ["0"], ...initializer },
    { name: "l1", call: S.l1, good: () => [0.1], optional: ["0"], ...regularizer },
    { name: "l2", call: S.l2, good: () => [0.1], optional: ["0"], ...regularizer },
    { name: "mixUp", call: S.mixUp, good: () => [{ alpha: 0.5 }], optional: ["0"] },
    { name: "cutMix", call: S.cutMix, good: () => [{ alpha: 0.5 }], optional: ["0"] },
    { name: "l1l2", call: S.l1l2, good: () => [{ l1: 0.1, l2: 0.1 }], optional: ["0"], ...regularizer },
    {
      name: "maxNorm",
      call: (...given: readonly unknown[]) => used((S.maxNorm as Make)(...given)),
      good: () => [2, { axis: 0 }],
      optional: ["0", "1"],
      ...constraint,
    },
    {
      name: "unitNorm",
      call: (...given: readonly unknown[]) => used((S.unitNorm as Make)(...given)),
      good: () => [{ axis: 0 }],
      optional: ["0"],
      ...constraint,
    },
    {
      name: "minMaxNorm",
      call: (...given: readonly unknown[]) => used((S.minMaxNorm as Make)(...given)),
      good: () => [{ min: 0, max: 1, rate: 1, axis: 0 }],
      optional: ["0"],
      ...constraint,
    },
    { name: "nonNegative", call: S.nonNegative, ...none, check: of("weightConstraint") },
  ];
}

/** Axes are looked at when there is a parameter. */
function used(constraint: unknown): unknown {
  S.sequential({ input: [4] }, S.dense(3, { weightConstraint: constraint as Constraint }));
  return constraint;
}

/** Losses of pairs, labelled batches and regions, each with the shape of an output that it takes. */
function pairLossRows(engine: Engine): Row[] {
  const region = { from: "probabilities", over: "batch", smooth: 1, background: false, reduction: "sum" };
  const of = (name: string, call: Row["call"], options: object, shape: readonly number[]): Row => ({
    name,
    call,
    good: () => [{ reduction: "sum", ...options }],
    optional: ["0"],
    check: (loss) => {
      const model = S.sequential({ input: [2] }, S.dense(shape.reduce((a, b) => a * b, 1)), S.reshape([...shape]));
      S.compileSync(model, { loss, optimizer: S.sgd(), engine } as never).dispose();
    },
  });
  return [
    of("cosineEmbedding", S.cosineEmbedding, { margin: 0.5, ignoreValue: 0 }, [2, 3]),
    of("contrastive", S.contrastive, { margin: 0.5, ignoreValue: 0 }, [2, 3]),
    of("tripletMargin", S.tripletMargin, { margin: 0.5, p: 1, swap: true, ignoreValue: 0 }, [3, 2]),
    of("marginRanking", S.marginRanking, { margin: 0.5, ignoreValue: 0 }, [2]),
    of("hingeEmbedding", S.hingeEmbedding, { margin: 0.5, ignoreValue: 0 }, [3]),
    of("cosineSimilarityLoss", S.cosineSimilarityLoss, {}, [3]),
    of("batchTriplet", S.batchTriplet, { margin: 0.5, mining: "hard", squared: true }, [3]),
    of("supervisedContrastive", S.supervisedContrastive, { temperature: 0.5, normalize: false }, [3]),
    of("diceLoss", S.diceLoss, { ...region, targets: "classes" }, [4, 3]),
    of("jaccardLoss", S.jaccardLoss, { ...region, targets: "distributions" }, [4, 3]),
    of("tverskyLoss", S.tverskyLoss, { ...region, targets: "probabilities", alpha: 0.3, beta: 0.7 }, [4, 3]),
  ];
}

function lossRows(engine: Engine): readonly Row[] {
  const check: NonNullable<Row["check"]> = (loss) => {
    S.compileSync(S.sequential({ input: [2] }, S.dense(3)), { loss, optimizer: S.sgd(), engine } as never).dispose();
  };
  const simple = [
    ["meanSquaredError", S.meanSquaredError],
    ["halfSquaredError", S.halfSquaredError],
    ["meanAbsoluteError", S.meanAbsoluteError],
    ["hinge", S.hinge],
    ["perceptron", S.perceptron],
    ["logCosh", S.logCosh],
    ["meanAbsolutePercentageLoss", S.meanAbsolutePercentageLoss],
    ["meanSquaredLogarithmicError", S.meanSquaredLogarithmicError],
    ["multiLabelMargin", S.multiLabelMargin],
    ["multiLabelSoftMargin", S.multiLabelSoftMargin],
    ["softMargin", S.softMargin],
    ["squaredHinge", S.squaredHinge],
  ] as const;
  const classOptions = [
    ["focal", S.focal, { targets: "classes", gamma: 1, ignoreIndex: -1 }],
    ["klDivergence", S.klDivergence, { logTarget: true }],
    ["multiMargin", S.multiMargin, { margin: 0.5, p: 2, ignoreIndex: -1 }],
    ["negativeLogLikelihood", S.negativeLogLikelihood, { ignoreIndex: -1 }],
    ["ordinal", S.ordinal, { ignoreIndex: -1, reduction: "sum" }],
    ["poissonNegativeLogLikelihood", S.poissonNegativeLogLikelihood, { logInput: false, full: true, epsilon: 1e-6 }],
    ["quantile", S.quantile, { quantiles: 0.25 }],
    ["smoothL1", S.smoothL1, { beta: 0.5 }],
  ] as const;
  return [
    ...simple.map(([name, call]): Row => ({ name, call, good: () => [{ reduction: "sum" }], optional: ["0"], check })),
    { name: "huber", call: S.huber, good: () => [{ reduction: "mean", delta: 1 }], optional: ["0"], check },
    {
      name: "binaryCrossEntropy",
      call: S.binaryCrossEntropy,
      good: () => [{ reduction: "mean", from: "probabilities" }],
      optional: ["0"],
      check,
    },
    {
      name: "crossEntropy",
      call: S.crossEntropy,
      good: () => [{ reduction: "mean", targets: "distributions" }],
      optional: ["0"],
      check,
    },
    {
      name: "crossEntropy",
      call: S.crossEntropy,
      good: () => [{ reduction: "mean", targets: "classes", ignoreIndex: -1 }],
      optional: ["0"],
      check,
    },
    ...pairLossRows(engine),
    ...classOptions.map(
      ([name, call, options]): Row => ({ name, call, good: () => [options], optional: ["0"], check }),
    ),
    {
      name: "gaussianNegativeLogLikelihood",
      call: S.gaussianNegativeLogLikelihood,
      good: () => [{ full: true }],
      optional: ["0"],
    },
    {
      name: "ctc",
      call: S.ctc,
      good: () => [{ labels: 3, blank: 2, zeroInfinity: true, reduction: "sum" }],
      optional: ["0.blank", "0.zeroInfinity", "0.reduction"],
      check: (loss, [options]) => {
        // How many classes there are is known to the model alone.
        if (Number((options as { blank?: unknown }).blank ?? 0) > 7) return;
        const model = S.sequential({ input: [5, 2] }, S.dense(8));
        S.compileSync(model, { loss, optimizer: S.sgd(), engine } as never).dispose();
      },
    },
    {
      name: "defineLoss",
      call: S.defineLoss,
      good: () => [
        "mine",
        (y: Tensor, t: Tensor) => mean(square(sub(y, t))),
        {
          targets: "values",
          reduction: "mean",
          predict: (y: Tensor) => y,
          correct: (y: Tensor) => mean(y),
          includes: ["softmax"],
        },
      ],
      optional: ["2"],
      accepts: { "0": ["string"], "2.includes.0": ["string"] },
    },
    {
      name: "defineMetric",
      call: S.defineMetric,
      good: () => ["mine", ({ output }: { output: Tensor }) => output, { finish: Math.sqrt }],
      optional: ["2"],
      accepts: { "0": ["string"] },
    },
    {
      name: "perplexity",
      call: S.perplexity as never,
      good: () => [undefined],
      optional: ["0"],
      accepts: { "0": ["object"] },
    },
    { name: "topK", call: S.topK, good: () => [3] },
  ];
}

const DECAY = { weightDecay: 0.1, decoupled: true };
const BETAS = { beta1: 0.9, beta2: 0.9 };
const EPSILON = { epsilon: 1e-8 };

/** Optimizers of options alone, with all that they take besides a learning rate. */
const plainOptimizers: readonly (readonly [string, Row["call"], object])[] = [
  ["sgd", S.sgd, { momentum: 0.9, dampening: 0, nesterov: true, weightDecay: 0, decoupled: false, lazy: true }],
  ["adam", S.adam, { ...BETAS, ...EPSILON, weightDecay: 0, decoupled: true, amsgrad: false, lazy: true }],
  ["adamW", S.adamW, { ...BETAS, ...EPSILON, weightDecay: 0.1, amsgrad: true }],
  ["nadam", S.nadam, { ...BETAS, ...EPSILON, ...DECAY, momentumDecay: 0.1 }],
  ["radam", S.radam, { ...BETAS, ...EPSILON, ...DECAY }],
  ["adamax", S.adamax, { ...BETAS, ...EPSILON, ...DECAY }],
  ["adagrad", S.adagrad, { ...EPSILON, ...DECAY, learningRateDecay: 0.1, initialAccumulator: 0.1 }],
  ["adadelta", S.adadelta, { ...EPSILON, ...DECAY, rho: 0.9 }],
  ["rmsprop", S.rmsprop, { ...EPSILON, ...DECAY, alpha: 0.9, momentum: 0.9, centered: true }],
  ["lion", S.lion, { ...BETAS, ...DECAY }],
  ["rprop", S.rprop, { shorter: 0.5, longer: 1.5, minStep: 1e-6, maxStep: 1 }],
  [
    "adafactor",
    S.adafactor,
    { beta2Decay: -0.8, epsilon1: 1e-30, epsilon2: 1e-3, clipThreshold: 1, scaleByParameter: true, weightDecay: 0.1 },
  ],
  ["lars", S.lars, { momentum: 0.9, weightDecay: 0.1, trustCoefficient: 0.1 }],
  ["lamb", S.lamb, { ...BETAS, ...EPSILON, weightDecay: 0.1 }],
];

function optimizerRows(engine: Engine): readonly Row[] {
  const check: NonNullable<Row["check"]> = (optimizer, [first]) => {
    // What a function gives is looked at here, not where it is handed in: see test/optim/invalid.test.ts.
    if (typeof (first as { learningRate?: unknown } | undefined)?.learningRate === "function") return;
    const options = { loss: S.meanSquaredError(), optimizer, engine } as never;
    S.compileSync(S.sequential({ input: [2] }, S.dense(1)), options).dispose();
  };
  const rate = { "0.learningRate": ["function"] } as const;
  const clips = [
    ["clipByGlobalNorm", S.clipByGlobalNorm],
    ["clipByNorm", S.clipByNorm],
    ["clipByValue", S.clipByValue],
  ] as const;
  return [
    ...clips.map(([name, call]): Row => ({ name, call, good: () => [0.5, S.adam()], opaque: ["1"], check })),
    {
      name: "averaged",
      call: S.averaged,
      good: () => [S.adam(), { decay: 0.9, start: 2, every: 2 }],
      opaque: ["0"],
      optional: ["1"],
      check,
    },
    {
      name: "averaged",
      call: S.averaged,
      good: () => [S.adam(), { mean: true, start: 2 }],
      opaque: ["0"],
      optional: ["1"],
      check,
    },
    {
      name: "groups",
      call: S.groups,
      good: () => [{ "*.bias": S.sgd(), "*": S.adam() }],
      opaque: ["0.*.bias", "0.*"],
      required: ["0.*.bias", "0.*"],
      records: ["0"],
      check,
    },
    {
      name: "learningRateAt",
      call: S.learningRateAt,
      good: () => [S.sgd({ learningRate: (step) => 1 / step }), 3],
      opaque: ["0"],
    },
    {
      name: "learningRateAt",
      call: S.learningRateAt,
      good: () => [S.groups({ "*": S.sgd({ learningRate: (step) => 1 / step }) }), 3, "*"],
      opaque: ["0"],
    },
    {
      // A user's own, which `compile` looks at.
      name: "optimizer",
      call: (optimizer) => check(optimizer, []),
      good: () => [
        {
          name: "mine",
          learningRate: 0.1,
          hyperparameters: {},
          slots: () => [{ name: "sum" }],
          scratchBytes: () => 64,
          order: (tensors: unknown) => tensors,
          record: () => {},
          finish: () => {},
        },
      ],
      optional: ["0.hyperparameters", "0.slots", "0.scratchBytes", "0.order", "0.finish"],
      required: ["0.name", "0.learningRate", "0.record"],
      accepts: { "0.learningRate": ["function", "object"], "0.name": ["string"] },
      untouched: ["0.hyperparameters"],
      records: ["0"],
      where: ["compile"],
      check: () => {},
    },
    ...plainOptimizers.map(
      ([name, call, options]): Row => ({
        name,
        call,
        good: () => [{ learningRate: 0.1, ...options }],
        optional: ["0"],
        accepts: rate,
        check,
      }),
    ),
    {
      name: "muon",
      call: S.muon,
      good: () => [
        {
          learningRate: 0.1,
          momentum: 0.9,
          nesterov: true,
          iterations: 2,
          epsilon: 1e-7,
          weightDecay: 0.1,
        },
      ],
      optional: ["0"],
      accepts: rate,
      check: (optimizer, args) => check(S.groups({ "*.weight": optimizer as S.Optimizer, "*": S.sgd() }), args),
    },
    {
      name: "sharpnessAware",
      call: S.sharpnessAware,
      good: () => [S.adam(), { rho: 0.1, adaptive: true }],
      opaque: ["0"],
      optional: ["1"],
      check,
    },
    {
      name: "defineOptimizer",
      call: S.defineOptimizer,
      good: () => [
        "mine",
        ({ parameter }: S.UpdateInputs) => ({ parameter }),
        { learningRate: 0.1, slots: { velocity: "zeros", rows: () => undefined }, hyperparameters: {} },
      ],
      optional: ["2"],
      records: ["2.slots", "2.hyperparameters"],
      untouched: ["2.hyperparameters"],
      accepts: {
        "0": ["string"],
        "2.learningRate": ["function"],
        "2.slots": ["object"],
        "2.slots.velocity": ["function"],
      },
      where: ["compile"],
    },
    {
      name: "lookahead",
      call: S.lookahead,
      good: () => [S.adam(), { every: 3, alpha: 0.5 }],
      opaque: ["0"],
      optional: ["1"],
      check,
    },
  ];
}

export function partRows(engine: Engine): readonly Row[] {
  return [
    ...modelRows(engine),
    ...scopeRows(),
    ...parameterRows(engine),
    ...lossRows(engine),
    ...optimizerRows(engine),
    ...scheduleRows,
  ];
}
