// ctc() as a loss of compile: sequences of labels, padded with the blank, of sequences whose lengths the model gives.
import {
  adam,
  checkGradients,
  compileSync,
  createEngineSync,
  ctc,
  DataError,
  dense,
  functional,
  ModelError,
  sequential,
  topK,
} from "steepest";
import { compileFunctionSync, constant, ctcLoss, input, type Shape, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import { createRandom } from "../ops/cases.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const TIME = 7;
const X: Shape = [TIME, 2];
const BLANK = 3;
const random = createRandom(12);
const COUNT = 9;
const strokes = Float32Array.from({ length: COUNT * TIME * 2 }, random.normal);
const lengths = Uint32Array.from({ length: COUNT }, (_, i) => [7, 4, 3, 5, 6][i % 5]);
const labels = [[0, 1, 2], [1], [2, 0], [], [0, 0, 0], [1, 1], [2], [0, 1], [0, 1, 2]];
const y = labels.map((row) => [...row, BLANK, BLANK, BLANK].slice(0, 3));

const plain = () => sequential({ input: [TIME, 2] }, dense(4));

/** The same, whose second output are the lengths that went in. */
const withLengths = () =>
  functional({ input: { x: X, steps: [] }, dtype: { steps: "uint32" } }, ({ x, steps }, { apply }) => ({
    logits: apply(x, dense(4)),
    steps,
  }));

/** Losses of single samples, from the operation. */
function lossesOf(logits: Float32Array, steps: Uint32Array): number[] {
  const targets = constant(Uint32Array.from(y.flat()), [COUNT, 3]);
  const inputLengths = constant(steps);
  using f = compileFunctionSync(
    ({ x }: { x: Tensor }) => ({ losses: ctcLoss(x, targets, { blank: BLANK, inputLengths, reduction: "none" }) }),
    { x: input([COUNT, TIME, 4]) },
    { engine },
  );
  return [...f({ x: logits }).losses];
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("the loss of a trainer", () => {
  test("is the operation's, by sample and label, whatever the batches", async () => {
    using trainer = compileSync(plain(), {
      loss: ctc({ labels: 3, blank: BLANK }),
      optimizer: adam(),
      engine,
      seed: 4,
    });
    const logarithms = trainer.predictSync(strokes);
    const all = new Uint32Array(COUNT).fill(TIME);
    const losses = lossesOf(logarithms, all).map((loss, i) => loss / Math.max(1, labels[i].length));
    for (const batchSize of [1, 2, 5, COUNT]) {
      const { loss } = trainer.evaluateSync({ x: strokes, y }, { batchSize });
      expect(Math.abs(loss - mean(losses)) / mean(losses)).toBeLessThan(1e-6);
    }
    // What predict() gives are logarithms of probabilities.
    for (let row = 0; row < logarithms.length; row += 4) {
      const sum = [...logarithms.subarray(row, row + 4)].reduce((total, value) => total + Math.exp(value), 0);
      expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
    }
  });

  test("goes down, also by steps of several batches, with the same bits as one large batch is near", () => {
    const options = { loss: ctc({ labels: 3, blank: BLANK }), optimizer: adam({ learningRate: 0.1 }), engine, seed: 4 };
    using trainer = compileSync(plain(), options);
    using several = compileSync(plain(), { ...options, accumulate: 3 });
    const losses = trainer.trainStepsSync({ x: strokes, y }, { steps: 30, batchSize: 9, shuffle: false });
    const again = several.trainStepsSync({ x: strokes, y }, { steps: 30, batchSize: 3, shuffle: false });
    expect(losses[29]).toBeLessThan(losses[0] / 2);
    losses.forEach((loss, step) => expect(Math.abs(again[step] - loss)).toBeLessThan(1e-4));
  });

  test("takes each sample to its length, which an output gives: to the bit as if it were alone and no longer", () => {
    const loss = { logits: ctc({ labels: 3, blank: BLANK, lengths: "steps", reduction: "sum" }) };
    using trainer = compileSync(withLengths(), { loss, optimizer: adam(), engine, seed: 4 });
    const whole = trainer.evaluateSync(
      { x: { x: strokes, steps: lengths }, y: { logits: y } },
      { batchSize: COUNT },
    ).loss;
    const short = { logits: ctc({ labels: 3, blank: BLANK, reduction: "sum" }) };
    using alone = compileSync(withLengths(), { loss: short, optimizer: adam(), engine, seed: 4 });
    let sum = 0;
    for (let i = 0; i < COUNT; i++) {
      const one = {
        x: { x: strokes.slice(i * TIME * 2, (i + 1) * TIME * 2), steps: [lengths[i]] },
        y: { logits: [y[i]] },
      };
      const cut = { x: one.x.x.slice(0, lengths[i] * 2), steps: one.x.steps };
      const padded = trainer.evaluateSync(one).loss;
      expect(alone.evaluateSync({ x: cut, y: one.y, inputShape: { x: [lengths[i], 2], steps: [] } }).loss).toBe(padded);
      sum += padded;
    }
    expect(Math.abs(sum - whole) / whole).toBeLessThan(1e-6);
    expect(alone.evaluateSync({ x: { x: strokes, steps: lengths }, y: { logits: y } }).loss).not.toBeCloseTo(whole, 3);
  });

  test("has the right gradient", async () => {
    const report = await checkGradients(withLengths(), {
      loss: { logits: ctc({ labels: 3, blank: BLANK, lengths: "steps" }) },
      data: { x: { x: strokes, steps: lengths }, y: { logits: y } as never },
      seed: 4,
      engine,
    });
    expect(report.worst.error).toBeLessThan(1e-3);
  });

  test("of a sample with too little time is infinite, or nothing with zeroInfinity", () => {
    const [x, tight] = [strokes.slice(0, 4), [[0, 0, 0]]];
    const evaluate = (zeroInfinity: boolean) => {
      using trainer = compileSync(sequential({ input: [2, 2] }, dense(4)), {
        loss: ctc({ labels: 3, blank: BLANK, zeroInfinity }),
        optimizer: adam(),
        engine,
      });
      return trainer.evaluateSync({ x, y: tight }).loss;
    };
    expect(evaluate(false)).toBe(Number.POSITIVE_INFINITY);
    expect(evaluate(true)).toBe(0);
  });
});

describe("refused", () => {
  const message = (f: () => unknown, type: typeof ModelError | typeof DataError): string => {
    const used = engine.allocator.usedBytes();
    try {
      f();
    } catch (error) {
      expect(error).toBeInstanceOf(type);
      expect(engine.allocator.usedBytes()).toBe(used);
      return (error as Error).message;
    }
    return "nothing";
  };

  test("outputs, lengths and metrics that do not fit", () => {
    const tried = (model: unknown, loss: unknown, metrics: unknown = []) =>
      message(() => compileSync(model as never, { loss, optimizer: adam(), engine, metrics } as never), ModelError);
    const three = { labels: 3 };
    expect([
      tried(sequential({ input: [2] }, dense(4)), ctc(three)),
      tried(plain(), ctc({ ...three, blank: 4 })),
      tried(plain(), ctc({ ...three, lengths: "steps" })),
      tried(withLengths(), { logits: ctc({ ...three, lengths: "logits" }) }),
      tried(withLengths(), { logits: ctc({ ...three, lengths: "length" }) }),
      tried(plain(), ctc(three), ["accuracy"]),
      tried(plain(), ctc(three), [topK(2)]),
      tried(plain(), ctc(three), ["meanAbsoluteError"]),
    ]).toMatchInlineSnapshot(`
      [
        "compile: ctc needs an output of [batch, time, classes], got [batch, 4]: end the model in dense(classes), applied to a sequence",
        "compile: ctc: blank must be one of the 4 classes, got 4 for an output [batch, 7, 4]: the labels and the blank are one class each",
        "compile: ctc: lengths must name an output of one whole number a sample (uint32), got "steps": the only output has no name",
        "compile: output "logits": ctc: lengths must name an output of one whole number a sample (uint32), got "logits", which is float32 [batch, 7, 4]",
        "compile: output "logits": ctc: lengths must name an output of one whole number a sample (uint32), got "length": the outputs are logits, steps",
        "compile: ctc has no right and wrong, so no accuracy: leave it out, and compare what predict() gives",
        "compile: topK: needs a class for each position, but a target of ctc is no output: leave it out, and compare what predict() gives",
        "compile: meanAbsoluteError compares values, but a target of ctc is no output: leave it out, and compare what predict() gives",
      ]
    `);
  });

  test("targets that are no labels, and labels behind a blank", () => {
    using trainer = compileSync(plain(), { loss: ctc({ labels: 3, blank: BLANK }), optimizer: adam(), engine });
    const tried = (row: readonly number[]) =>
      message(
        () => trainer.evaluateSync({ x: strokes.slice(0, 2 * TIME * 2), y: [[0, 1, 2], row] as never }),
        DataError,
      );
    expect([tried([0, BLANK, 1]), tried([0, 1, 4]), tried([0, 1])]).toMatchInlineSnapshot(`
      [
        "y: ctc() takes 3 for padding, which only others of it may follow, got 1 behind it at index 5: let another class be the blank",
        "y: every label must be a whole number from 0 to 3, got 4 at index 5",
        "y: nested arrays must be rectangular of shape [2, 3], got an array of 2 at depth 1",
      ]
    `);
    // A sample may begin with a label where the one before it ends with a blank.
    expect(trainer.evaluateSync({ x: strokes, y }).loss).toBeGreaterThan(0);
  });
});
