// Metrics in the program against those over arrays, which are those of scikit-learn (test/metrics/sklearn.test.ts): of the
// trainer's own predictions, whatever the batches, with weights, ignored positions, any number of threads.
import * as S from "steepest";
import { mean, square, stack, sub, sum } from "steepest/graph";
import * as exact from "steepest/metrics";
import { afterAll, describe, expect, test } from "vitest";

const engine = S.createEngineSync();
afterAll(() => engine.dispose());

const random = (count: number, seed = 1) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(seed * 99 + i * 1.7 + Math.cos(i)));
/** Quarters, some of them 0: their sums are exact. */
const quarters = (count: number) => Float32Array.from({ length: count }, (_, i) => ((i * 5) % 7) / 4);

const ROWS = 53;
const BATCHES = [1, 8, ROWS];

const classMetrics = [
  "accuracy",
  S.precision(),
  S.precision({ name: "precisionOf2", class: 2 }),
  S.recall({ average: "micro" }),
  S.specificity({ average: "weighted" }),
  S.f1({ average: "weighted" }),
  S.fBeta({ beta: 2 }),
  S.intersectionOverUnion(),
  S.balancedAccuracy({ adjusted: true }),
  S.cohenKappa(),
  S.cohenKappa({ name: "linear", distance: "linear" }),
  S.cohenKappa({ name: "quadratic", distance: "quadratic" }),
  S.matthews(),
  S.topK(2),
] as const;

const argmaxRows = (p: Float32Array, classes: number): number[] =>
  Array.from({ length: p.length / classes }, (_, row) => {
    const one = p.subarray(row * classes, (row + 1) * classes);
    return one.indexOf(Math.max(...one));
  });

/** What `classMetrics` are, of class indices; labels are the classes. */
function expectedOfClasses(answers: number[], targets: number[], classes: number, weights: number[]) {
  const labels = Array.from({ length: classes }, (_, index) => index);
  const options = { labels, weights };
  const { precision, micro, macro, weighted } = exact.precisionRecallFScoreSupport(answers, targets, options);
  const f2 = exact.precisionRecallFScoreSupport(answers, targets, { ...options, beta: 2 });
  const total = weights.reduce((a, b) => a + b, 0);
  const matrix = exact.confusionMatrix(answers, targets, options).matrix;
  const [column, row] = [
    (index: number) => matrix.reduce((all, one) => all + one[index], 0),
    (index: number) => matrix[index].reduce((a, b) => a + b, 0),
  ];
  const specificity = labels.map(
    (index) => (total - row(index) - column(index) + matrix[index][index]) / (total - row(index)),
  );
  return {
    accuracy: exact.accuracy(answers, targets, { weights }),
    precision: macro.precision,
    precisionOf2: precision[2],
    recall: micro.recall,
    specificity: labels.reduce((all, index) => all + specificity[index] * row(index), 0) / total,
    f1: weighted.fScore,
    fBeta: f2.macro.fScore,
    intersectionOverUnion: exact.intersectionOverUnion(answers, targets, options).macro,
    balancedAccuracy: exact.balancedAccuracy(answers, targets, { adjusted: true, weights }),
    cohenKappa: exact.cohenKappa(answers, targets, options),
    linear: exact.cohenKappa(answers, targets, { ...options, distance: "linear" }),
    quadratic: exact.cohenKappa(answers, targets, { ...options, distance: "quadratic" }),
    matthews: exact.matthews(answers, targets, { weights }),
  };
}

function expectClose(scores: object, expected: object, digits: number, where = ""): void {
  for (const [name, value] of Object.entries(expected)) {
    const got = (scores as Record<string, number>)[name];
    expect(Math.abs(got - value), `${where} ${name}: ${got}, not ${value}`).toBeLessThan(10 ** -digits);
  }
}

describe("classes", () => {
  const x = random(ROWS * 3 * 4);
  const y = Int32Array.from({ length: ROWS * 3 }, (_, i) => (i % 11 === 0 ? -1 : ((i * 7) % 13) % 4));
  const model = S.sequential({ input: [3, 4] }, S.dense(4));
  const loss = S.crossEntropy({ ignoreIndex: -1 });

  test.each([false, true])("by position, without those that are ignored; weights: %s", (isWeighted) => {
    const given = isWeighted ? quarters(ROWS * 3) : undefined;
    const options = { loss, metrics: classMetrics, engine, seed: 5 };
    using trainer = isWeighted ? S.compileSync(model, { ...options, weights: true }) : S.compileSync(model, options);
    const data = { x, y, ...(given === undefined ? {} : { weights: given }) };
    const kept = Array.from(y, (_, i) => i).filter((i) => y[i] >= 0);
    const p = trainer.predictSync(x);
    const answers = argmaxRows(p, 4);
    const weights = kept.map((i) => given?.[i] ?? 1);
    const targets = kept.map((i) => y[i]);
    const expected = {
      ...expectedOfClasses(
        kept.map((i) => answers[i]),
        targets,
        4,
        weights,
      ),
      top2Accuracy: exact.topKAccuracy(
        kept.flatMap((i) => [...p.subarray(4 * i, 4 * i + 4)]),
        targets,
        { weights },
      ),
    };
    for (const batchSize of BATCHES) {
      const scores = trainer.evaluateSync(data, { batchSize });
      expectClose(scores, expected, 12, `batches of ${batchSize}`);
      expect(Object.keys(scores)).toEqual(["loss", ...Object.keys(expected)]);
    }
  });

  test("probabilities: log loss, Brier, calibration, areas", () => {
    const metrics = [
      S.logLoss(),
      S.brier(),
      S.expectedCalibrationError({ bins: 7 }),
      S.rocAuc({ bins: 2000, class: 1 }),
      S.rocAuc({ bins: 2000, name: "all" }),
      S.rocAuc({ bins: 2000, name: "weighted", average: "weighted" }),
      S.prAuc({ bins: 2000 }),
      S.averagePrecision({ bins: 2000 }),
      S.rocAuc({ bins: 8, name: "coarse" }),
    ];
    using trainer = S.compileSync(model, { loss, metrics, engine, weights: true, seed: 5 });
    const weights = quarters(ROWS * 3);
    const kept = Array.from(y, (_, i) => i).filter((i) => y[i] >= 0);
    const p = kept.flatMap((i) => [...trainer.predictSync(x).subarray(4 * i, 4 * i + 4)]);
    const [targets, w] = [kept.map((i) => y[i]), kept.map((i) => weights[i])];
    const of1 = p.filter((_, i) => i % 4 === 1);
    const expected = {
      logLoss: exact.logLoss(p, targets, { weights: w }),
      brier: exact.brier(p, targets, { weights: w }),
      expectedCalibrationError: exact.expectedCalibrationError(p, targets, { weights: w, bins: 7 }),
      rocAuc: exact.rocAuc(
        of1,
        targets.map((one) => Number(one === 1)),
        { weights: w },
      ),
      all: exact.rocAuc(p, targets, { weights: w }),
      weighted: exact.rocAuc(p, targets, { weights: w, average: "weighted" }),
    };
    for (const batchSize of BATCHES) {
      const scores = trainer.evaluateSync({ x, y, weights }, { batchSize }) as Record<string, number>;
      expectClose({ ...scores, rocAuc: 0, all: 0, weighted: 0 }, { ...expected, rocAuc: 0, all: 0, weighted: 0 }, 6);
      // Few of the pairs are in one bin together.
      expectClose(scores, { rocAuc: expected.rocAuc, all: expected.all, weighted: expected.weighted }, 2.5);
      expectClose(scores, { prAuc: exact.prAuc(p, targets, { weights: w }) }, 2);
      expectClose(scores, { averagePrecision: exact.averagePrecision(p, targets, { weights: w }) }, 2);
      // With wide bins, the error is not more than the share of pairs that are not told apart.
      const odds = (one: number) => Math.floor(((Math.log(one / (1 - one)) + 17) * 8) / 34);
      const coarse = exact.rocAuc(p.map(odds), targets, { weights: w });
      expectClose(scores, { coarse }, 9);
      expect(Math.abs(coarse - expected.all)).toBeGreaterThan(1e-4);
    }
  });

  test("the same bits for any number of threads, and with several batches a step", async () => {
    const metrics = [...classMetrics, S.rocAuc(), S.prAuc(), S.expectedCalibrationError(), S.logLoss()] as const;
    const all: string[] = [];
    for (const threads of [1, 2, 3, 4]) {
      using trainer = await S.compile(model, { loss, optimizer: S.sgd(), metrics, threads, seed: 5 });
      const [{ durationMs: _, samplesPerSecond: __, ...epoch }] = await trainer.fit({ x, y }, { batchSize: 8 });
      all.push(JSON.stringify([epoch, await trainer.evaluate({ x, y }, { batchSize: 8 })]));
    }
    expect(new Set(all).size).toBe(1);
    const frozen = { loss, optimizer: S.sgd({ learningRate: 0 }), metrics, engine, seed: 5 };
    using one = S.compileSync(model, frozen);
    using parts = S.compileSync(model, { ...frozen, loss: S.crossEntropy({ reduction: "sum" }), accumulate: 3 });
    const known = { x, y: y.map((label) => Math.max(0, label)) };
    const [{ precision, matthews, rocAuc }] = parts.fitSync(known, { batchSize: 4 });
    const wanted = one.evaluateSync(known);
    expectClose(
      { precision, matthews, rocAuc },
      { precision: wanted.precision, matthews: wanted.matthews, rocAuc: wanted.rocAuc },
      12,
    );
  });

  test("an unfinished pass goes on from a checkpoint with its sums", () => {
    const options = {
      loss,
      optimizer: S.sgd({ learningRate: 0 }),
      metrics: [S.f1(), S.rocAuc({ bins: 50 })],
      engine,
      seed: 5,
    };
    using whole = S.compileSync(model, options);
    whole.trainStepsSync({ x, y }, { steps: 3, batchSize: 8 });
    const checkpoint = whole.checkpoint();
    using other = S.compileSync(model, options);
    other.restore(checkpoint);
    const [a, b] = [whole, other].map(
      (trainer) => trainer.fitSync({ x, y }, { batchSize: 8 })[0] as never as { f1: number; rocAuc: number },
    );
    expect([b.f1, b.rocAuc]).toEqual([a.f1, a.rocAuc]);
    const scores = whole.evaluateSync({ x, y }) as never as { f1: number };
    expect(a.f1).toBeCloseTo(scores.f1, 12);
  });
});

describe("yes and no", () => {
  const x = random(ROWS * 4, 3);
  const y = Float32Array.from({ length: ROWS }, (_, i) => Number((i * 7) % 13 > 8));
  const weights = quarters(ROWS);
  const metrics = [
    S.binaryAccuracy(),
    S.binaryAccuracy({ threshold: 0.3, name: "lower" }),
    S.precision({ threshold: 0.3 }),
    S.recall(),
    S.f1(),
    S.cohenKappa(),
    S.matthews(),
    S.balancedAccuracy(),
    S.rocAuc({ bins: 8000 }),
    S.logLoss(),
    S.brier(),
    S.expectedCalibrationError(),
  ] as const;

  test.each([true, false])("one label, from logits: %s", (fromLogits) => {
    const model = fromLogits
      ? S.sequential({ input: [4] }, S.dense(1))
      : S.sequential({ input: [4] }, S.dense(1), S.sigmoid());
    const loss = S.binaryCrossEntropy({ from: fromLogits ? "logits" : "probabilities" });
    using trainer = S.compileSync(model, { loss, metrics, weights: true, engine });
    const p = Array.from(trainer.predictSync(x) as Float32Array);
    const [yes, lower] = [0.5, 0.3].map((threshold) => p.map((one) => Number(one >= threshold)));
    const targets = Array.from(y);
    const options = { weights };
    const scores = exact.precisionRecallFScoreSupport(yes, targets, { labels: [1], weights });
    const expected = {
      binaryAccuracy: exact.accuracy(yes, targets, options),
      lower: exact.accuracy(lower, targets, options),
      precision: exact.precisionRecallFScoreSupport(lower, targets, { labels: [1], weights }).precision[0],
      recall: scores.recall[0],
      f1: scores.fScore[0],
      cohenKappa: exact.cohenKappa(yes, targets, options),
      matthews: exact.matthews(yes, targets, options),
      balancedAccuracy: exact.balancedAccuracy(yes, targets, options),
      logLoss: exact.logLoss(p, targets, options),
      brier: exact.brier(p, targets, options),
      expectedCalibrationError: exact.expectedCalibrationError(p, targets, options),
    };
    for (const batchSize of BATCHES) {
      const given = trainer.evaluateSync({ x, y, weights }, { batchSize });
      expectClose(given, expected, 6, `batches of ${batchSize}`);
      expectClose(given, { rocAuc: exact.rocAuc(p, targets, options) }, 2.5);
    }
  });

  test("several labels: each, macro, micro", () => {
    const model = S.sequential({ input: [4] }, S.dense(3));
    const labels = Float32Array.from({ length: ROWS * 3 }, (_, i) => Number((i * 5) % 7 > 3 + (i % 3)));
    const metrics = [
      S.precision(),
      S.recall({ average: "micro" }),
      S.f1({ class: 1 }),
      S.rocAuc({ bins: 2000 }),
    ] as const;
    using trainer = S.compileSync(model, { loss: S.binaryCrossEntropy(), metrics, engine });
    const p = trainer.predictSync(x);
    const column = (of: ArrayLike<number>, index: number) => Array.from(of).filter((_, i) => i % 3 === index);
    const each = [0, 1, 2].map((index) => {
      const answers = column(p, index).map((one) => Number(one >= 0.5));
      return exact.precisionRecallFScoreSupport(answers, column(labels, index), { labels: [1] });
    });
    const flat = exact.precisionRecallFScoreSupport(
      Array.from(p, (one) => Number(one >= 0.5)),
      Array.from(labels),
      { labels: [1] },
    );
    const expected = {
      precision: each.reduce((all, { precision }) => all + precision[0] / 3, 0),
      recall: flat.recall[0],
      f1: each[1].fScore[0],
    };
    const auc = [0, 1, 2].reduce((all, i) => all + exact.rocAuc(column(p, i), column(labels, i)) / 3, 0);
    for (const batchSize of BATCHES) {
      const scores = trainer.evaluateSync({ x, y: labels }, { batchSize });
      expectClose(scores, expected, 12);
      expectClose(scores, { rocAuc: auc }, 2.5);
    }
  });

  test("signs, from a raw score of 0 on", () => {
    const model = S.sequential({ input: [4] }, S.dense(1));
    using trainer = S.compileSync(model, {
      loss: S.hinge(),
      metrics: ["accuracy", S.f1(), S.rocAuc({ bins: 8000 })],
      engine,
    });
    const p = Array.from(trainer.predictSync(x));
    const scores = trainer.evaluateSync({ x, y: y.map((one) => 2 * one - 1) }, { batchSize: 8 });
    const answers = p.map((one) => Number(one >= 0));
    expectClose(
      scores,
      { f1: exact.precisionRecallFScoreSupport(answers, Array.from(y), { labels: [1] }).fScore[0] },
      12,
    );
    expectClose(scores, { rocAuc: exact.rocAuc(p, Array.from(y)) }, 2.5);
  });
});

describe("values", () => {
  const x = random(ROWS * 4, 5);
  const metrics = [
    S.rootMeanSquaredError(),
    S.meanAbsolutePercentageError(),
    S.rSquared(),
    S.explainedVariance(),
    S.pearson(),
  ] as const;

  test.each([
    [0, 1e-5],
    [1000, 1e-4],
  ])("around %s, with weights", (middle, most) => {
    const y = Float32Array.from({ length: ROWS }, (_, i) => middle + x[4 * i] - 0.5 * x[4 * i + 1] + Math.cos(i));
    const weights = quarters(ROWS);
    // Near the middle of the targets, so that R² is that of a model that knows them.
    const model = S.sequential({ input: [4] }, S.dense(1));
    using trainer = S.compileSync(model, { loss: S.meanSquaredError(), metrics, weights: true, engine, seed: 2 });
    if (middle !== 0) {
      const parameters = trainer.parameters();
      const bias = [...parameters.keys()].find((path) => path.endsWith("bias")) as string;
      trainer.setParameters({ [bias]: [middle] } as never);
    }
    const [p, targets] = [Array.from(trainer.predictSync(x) as Float32Array), Array.from(y)];
    for (const batchSize of BATCHES) {
      const scores = trainer.evaluateSync({ x, y, weights }, { batchSize });
      const options = { weights };
      for (const [got, wanted] of [
        [scores.rootMeanSquaredError, exact.rootMeanSquaredError(p, targets, options)],
        [scores.meanAbsolutePercentageError, exact.meanAbsolutePercentageError(p, targets, options)],
        [scores.rSquared, exact.rSquared(p, targets, options)],
        [scores.explainedVariance, exact.explainedVariance(p, targets, options)],
        [scores.pearson, exact.pearson(p, targets, options)],
      ]) {
        expect(Math.abs(got - wanted)).toBeLessThan(most * Math.max(1, Math.abs(wanted)));
      }
    }
  });

  test("several columns: the mean over these", () => {
    const y = Float32Array.from({ length: ROWS * 2 }, (_, i) => 3 * x[2 * i] + i / 40);
    using trainer = S.compileSync(S.sequential({ input: [4] }, S.dense(2)), {
      loss: S.meanSquaredError(),
      metrics,
      engine,
    });
    const p = trainer.predictSync(x);
    const column = (of: ArrayLike<number>, index: number) => Array.from(of).filter((_, i) => i % 2 === index);
    const average = (score: typeof exact.pearson) =>
      (score(column(p, 0), column(y, 0)) + score(column(p, 1), column(y, 1))) / 2;
    const scores = trainer.evaluateSync({ x, y }, { batchSize: 8 });
    expectClose(scores, { rSquared: average(exact.rSquared), explainedVariance: average(exact.explainedVariance) }, 5);
    expectClose(scores, { pearson: average(exact.pearson) }, 5);
  });
});

describe("custom sums", () => {
  const x = random(ROWS * 4, 7);
  const y = random(ROWS, 8);
  const model = S.sequential({ input: [4] }, S.dense(1));
  const loss = S.meanSquaredError();

  test("are summed over all batches in float64, and finished", () => {
    const bias = S.defineMetric("bias", {
      sums: ({ prediction, target }) => stack([sum(prediction), sum(target), sum(square(sub(prediction, target)))]),
      finish: ([predicted, actual, squares]) => predicted - actual + 10 * squares,
    });
    using trainer = S.compileSync(model, { loss, metrics: [bias], engine });
    const p = trainer.predictSync(x);
    const total = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
    const squares = total(Array.from(p, (one, i) => (one - y[i]) ** 2));
    for (const batchSize of BATCHES) {
      const scores = trainer.evaluateSync({ x, y }, { batchSize });
      // The score has the metric's name, and is a number.
      const typed: number = scores.bias;
      expect(typed).toBeCloseTo(total(p) - total(y) + 10 * squares, 3);
      // @ts-expect-error no metric has this name
      expect(scores.other).toBeUndefined();
    }
  });

  test("what is no metric is refused, with its name", () => {
    const of =
      (metric: S.Metric, options: object = {}) =>
      () =>
        S.compileSync(model, { loss, metrics: [metric], engine, ...options });
    const sums = ({ output }: S.Measured) => output;
    using trainer = S.compileSync(model, {
      loss,
      metrics: [S.defineMetric("growing", { sums, finish: ([first]) => first })],
      engine,
    });
    expect(() => trainer.evaluateSync({ x, y }, { batchSize: 8 })).toThrow(
      /growing: its sums must be of one size for all batches, got 2 and 8/,
    );
    expect(of(S.defineMetric("text", { sums: ({ output }) => mean(output), finish: () => "a" as never }))).toThrow(
      /text.*finish must give a number, got "a"/,
    );
    expect(() => S.defineMetric("both", { sums, finish: () => 1 }, { finish: Math.sqrt })).toThrow(/both|defineMetric/);
    expect(of(S.precision())).toThrow(/precision: compares classes, but meanSquaredError has values/);
    const classes = S.sequential({ input: [4] }, S.dense(3));
    const cross = { loss: S.crossEntropy(), engine };
    expect(() => S.compileSync(classes, { ...cross, metrics: [S.precision({ class: 3 })] })).toThrow(
      /precision: class must be .* 2.*got 3/,
    );
    expect(() => S.compileSync(classes, { ...cross, metrics: [S.recall({ threshold: 0.3 })] })).toThrow(
      /recall: threshold is for answers of yes or no/,
    );
    expect(() => S.compileSync(classes, { ...cross, metrics: [S.rSquared()] })).toThrow(/rSquared: compares values/);
    const many = S.sequential({ input: [4] }, S.dense(6000));
    expect(() => S.compileSync(many, { ...cross, metrics: [S.f1()] })).toThrow(/must have 1 to 16384 sums, got 18002/);
    const labels = { loss: S.binaryCrossEntropy(), engine };
    expect(() => S.compileSync(classes, { ...labels, metrics: [S.matthews()] })).toThrow(/matthews: .*3 labels/);
  });

  test("several outputs have their own sums", () => {
    const two = S.functional({ input: [4] }, (given, { apply }) => ({
      kind: apply(given, S.dense(3)),
      level: apply(given, S.dense(1)),
    }));
    using trainer = S.compileSync(two, {
      loss: { kind: S.crossEntropy(), level: S.meanSquaredError() },
      metrics: { kind: [S.f1()], level: [S.rSquared()] },
      engine,
    });
    const kinds = Array.from(y, (_, i) => i % 3);
    const p = trainer.predictSync(x);
    const scores = trainer.evaluateSync({ x, y: { kind: kinds, level: y } }, { batchSize: 8 });
    const f1 = exact.precisionRecallFScoreSupport(argmaxRows(p.kind, 3), kinds).macro.fScore;
    expectClose(scores, { "kind.f1": f1, "level.rSquared": exact.rSquared(Array.from(p.level), Array.from(y)) }, 5);
  });
});

test("the sums of metrics of one kind are computed once", () => {
  const model = S.sequential({ input: [4] }, S.dense(3));
  const optimizer = S.sgd();
  const of = (metrics: S.Metric[]) => {
    using trainer = S.compileSync(model, { loss: S.crossEntropy(), optimizer, metrics, engine });
    trainer.trainStepsSync({ x: random(40), y: new Uint8Array(10) }, { steps: 1, batchSize: 4 });
    return Object.keys(trainer.checkpoint().position?.open[0].totals ?? {}).length;
  };
  const one = of([S.f1()]);
  expect(one).toBe(1 + 3 * 3 + 2);
  expect(of([S.f1(), S.precision(), S.recall(), S.matthews(), S.cohenKappa()])).toBe(one);
});
