// Averages of the parameters over the steps: what evaluate, predict, parameters and a fit's validation make of them.
import {
  adam,
  averaged,
  compileSync,
  createEngineSync,
  dense,
  meanSquaredError,
  nonNegative,
  type Optimizer,
  sequential,
  sgd,
  tanh,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

// y = 2 x0 - x1 + noise, which a small model learns.
const model = sequential({ input: [2] }, dense(8), tanh(), dense(1));
const x = Array.from({ length: 40 }, (_, i) => [Math.sin(3 * i), Math.cos(5 * i)]);
const data = { x, y: x.map(([a, b]) => [2 * a - b]) };
const loss = meanSquaredError();
const open = (optimizer: Optimizer) => compileSync(model, { loss, optimizer, engine, seed: 3 });

describe("averages", () => {
  test.each([
    ["exponential", { decay: 0.8 }],
    ["a mean from step 5", { mean: true, start: 5 }],
  ] as const)("%s, against float64; training goes on as without", (_, options) => {
    using trainer = open(averaged(adam({ learningRate: 0.03 }), options));
    using plain = open(adam({ learningRate: 0.03 }));
    const values = () => [...trainer.parameters().values()].flatMap(({ data }) => [...data]);
    const averages = () => [...trainer.parameters({ of: "average" }).values()].flatMap(({ data }) => [...data]);
    let expected = values();
    expect(averages()).toEqual(expected);
    for (let step = 1; step <= 100; step++) {
      trainer.trainStepsSync(data, { steps: 1, batchSize: 8 });
      const [now, gain] = [values(), "decay" in options ? 0.2 : step < 5 ? 1 : 1 / (step - 4)];
      expected = expected.map((before, i) => before + gain * (now[i] - before));
      averages().forEach((value, i) => {
        expect(Math.abs(value - expected[i])).toBeLessThan(2e-6);
      });
    }
    plain.trainStepsSync(data, { steps: 100, batchSize: 8 });
    expect(trainer.parameters()).toEqual(plain.parameters());
    expect(averages()).not.toEqual(values());
  });

  test("evaluate and predict with them are those of a trainer that has them as parameters", async () => {
    using trainer = open(averaged(sgd({ learningRate: 0.1 }), { decay: 0.9 }));
    using other = open(sgd());
    trainer.trainStepsSync(data, { steps: 15, batchSize: 8 });
    other.setParameters(trainer.parameters({ of: "average" }));
    const current = trainer.evaluateSync(data);
    expect(trainer.evaluateSync(data, { parameters: "average" })).toEqual(other.evaluateSync(data));
    expect(trainer.predictSync(x, { parameters: "average" })).toEqual(other.predictSync(x));
    expect(await trainer.evaluate(data, { parameters: "average" })).toEqual(other.evaluateSync(data));
    expect(trainer.evaluateSync(data)).toEqual(current);
    expect(current).not.toEqual(other.evaluateSync(data));
  });

  test("scores of a fit's validation are those of evaluate with averages after each epoch; the training is the same", async () => {
    const optimizer = averaged(sgd({ learningRate: 0.1 }), { decay: 0.9 });
    const validation = { x: x.slice(0, 9), y: data.y.slice(0, 9) };
    const options = { epochs: 3, batchSize: 8, validation, validationParameters: "average" };
    using trainer = open(optimizer);
    using plain = open(optimizer);
    let epoch = 0;
    for await (const result of trainer.fit(data, options)) {
      const average = trainer.evaluateSync(validation, { parameters: "average" });
      expect(result.validation).toEqual(average);
      expect(average).not.toEqual(trainer.evaluateSync(validation));
      const [alone] = plain.fitSync(data, { batchSize: 8, validation });
      expect(result.loss).toBe(alone.loss);
      expect(alone.validation).toEqual(trainer.evaluateSync(validation));
      epoch++;
    }
    expect(epoch).toBe(3);
    expect(trainer.parameters()).toEqual(plain.parameters());
  });

  test("of a validation are refused before anything changes if there are none, or nothing is scored", () => {
    using trainer = open(averaged(sgd()));
    using plain = open(sgd());
    const before = trainer.parameters();
    const validation = data;
    expect(() => trainer.fitSync(data, { validation, validationParameters: "mean" })).toThrow(
      'fit: validationParameters must be "average", got "mean"',
    );
    expect(() => trainer.fitSync(data, { validationParameters: "average" })).toThrow(
      'fit: validationParameters must be left out without validation, got "average": give the data that are scored as validation',
    );
    expect(() => plain.fitSync(data, { validation, validationParameters: "average" })).toThrow(
      'fit: validationParameters must be left out, as the optimizer keeps no average, got "average"',
    );
    expect(trainer.parameters()).toEqual(before);
  });

  test("start at parameters that are set before the first step, and anew after reset()", () => {
    using trainer = open(averaged(sgd({ learningRate: 0.1 })));
    const start = trainer.parameters();
    trainer.setParameters({ "0.bias": new Float32Array(8).fill(0.5) });
    expect(trainer.parameters({ of: "average" })).toEqual(trainer.parameters());
    trainer.trainStepsSync(data, { steps: 3 });
    const average = trainer.parameters({ of: "average" });
    trainer.setParameters({ "0.bias": new Float32Array(8).fill(9) });
    expect(trainer.parameters({ of: "average" })).toEqual(average);
    trainer.reset();
    expect(trainer.parameters({ of: "average" })).toEqual(start);
  });

  test("a mean has no decay, not even the default one", () => {
    expect(() => averaged(sgd(), { mean: true, decay: 0.999 })).toThrow(
      "averaged: mean gives all steps the same weight, got a decay of 0.999 too: leave one out",
    );
    expect(averaged(sgd(), { mean: false, decay: 0.5 }).hyperparameters).toMatchObject({ averageDecay: 0.5 });
  });

  test("are of parameters that meet their constraints; a name that is none is refused", () => {
    const layers = sequential({ input: [2] }, dense(1, { weightConstraint: nonNegative() }));
    const optimizer = averaged(sgd({ learningRate: 3 }), { decay: 0 });
    using trainer = compileSync(layers, { loss, optimizer, engine });
    trainer.trainStepsSync(data, { steps: 1 });
    expect(trainer.parameters({ of: "average" })).toEqual(trainer.parameters());
    expect(() => trainer.evaluateSync(data, { parameters: "mean" })).toThrow(
      'evaluate: parameters must be "average", got "mean"',
    );
    using plain = open(sgd());
    expect(() => plain.predictSync(x, { parameters: "average" })).toThrow(
      'predict: parameters must be left out, as the optimizer keeps no average, got "average": compile with averaged(…) around it',
    );
  });
});
