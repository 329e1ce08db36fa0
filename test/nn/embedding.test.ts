// Embeddings: rows that move and rows that must not, under every optimizer; weights that are shared; lazy optimizers.
import {
  adam,
  averaged,
  type Checkpoint,
  checkGradients,
  clipByGlobalNorm,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  DataError,
  dense,
  embedding,
  flatten,
  type Layer,
  l2,
  ModelError,
  maxNorm,
  meanSquaredError,
  normal,
  type Optimizer,
  ones,
  sequential,
  sgd,
  tiedDense,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { createRandom } from "../ops/cases.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const SIZE = 7;
const FEATURES = 5; // no multiple of the lanes

const rowsOf = (data: Float32Array, features = FEATURES): number[][] =>
  Array.from({ length: data.length / features }, (_, row) => [...data.subarray(row * features, (row + 1) * features)]);

function batches(seed: number, words: readonly number[], steps = 20) {
  const random = createRandom(seed);
  return Array.from({ length: steps }, () => ({
    x: Uint32Array.from({ length: 4 * 3 }, () => words[random.below(words.length)]),
    y: Uint32Array.from({ length: 4 }, () => random.below(SIZE)),
  }));
}

describe("the padding row", () => {
  const optimizers: Record<string, () => Optimizer> = {
    sgd: () => sgd({ learningRate: 0.5 }),
    momentum: () => sgd({ learningRate: 0.5, momentum: 0.9 }),
    nesterov: () => sgd({ learningRate: 0.5, momentum: 0.9, nesterov: true }),
    adam: () => adam({ learningRate: 0.1 }),
    "lazy adam": () => adam({ learningRate: 0.1, lazy: true }),
    averaged: () => averaged(adam({ learningRate: 0.1 }), { decay: 0.5 }),
    clipped: () => clipByGlobalNorm(0.5, adam({ learningRate: 0.1 })),
  };
  const paddings = [0, 3, SIZE - 1];
  for (const [name, optimizer] of Object.entries(optimizers)) {
    test(`is zeros and stays so under ${name}, with a penalty, a constraint and a tied layer`, () => {
      for (const paddingIndex of paddings) {
        const words = embedding(SIZE, FEATURES, {
          name: "words",
          paddingIndex,
          weightInitializer: normal({ mean: 1 }),
          weightRegularizer: l2(0.1),
          weightConstraint: maxNorm(2, { axis: 1 }),
        });
        const layers: Layer[] = [words, flatten(), dense(FEATURES), tiedDense(words)];
        const model = sequential({ input: [3], dtype: "uint32" }, ...layers);
        using trainer = compileSync(model, { loss: crossEntropy(), optimizer: optimizer(), engine });
        const first = rowsOf(trainer.parameters().get("words.weight")?.data as Float32Array);
        for (const { x, y } of batches(1, [...Array(SIZE).keys()])) trainer.trainBatchSync({ x, y });
        const row = rowsOf(trainer.parameters().get("words.weight")?.data as Float32Array);
        row.forEach((values, index) => {
          if (index === paddingIndex) expect(values).toEqual(Array(FEATURES).fill(0));
          else expect(values).not.toEqual(first[index]);
        });
        expect(first[paddingIndex]).toEqual(Array(FEATURES).fill(0));
        if (name !== "averaged") continue;
        const average = rowsOf(trainer.parameters({ of: "average" }).get("words.weight")?.data as Float32Array);
        expect(average[paddingIndex]).toEqual(Array(FEATURES).fill(0));
      }
    });
  }

  test("has no gradient, so that it counts in no norm", () => {
    const model = sequential(
      { input: [3], dtype: "uint32" },
      embedding(SIZE, FEATURES, { name: "words", paddingIndex: 2, weightInitializer: ones() }),
      flatten(),
      dense(1, { weightInitializer: ones() }),
    );
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd(), engine });
    const gradients = trainer.gradientsSync({ x: Uint32Array.of(2, 4, 4, 2, 2, 1), y: [0, 0] });
    const row = rowsOf(gradients.get("words.weight")?.data as Float32Array).map(([first]) => first);
    // 2/2 · y for two samples: y is 10 (two words of five ones) and 5.
    expect(row).toEqual([0, 5, 0, 0, 20, 0, 0]);
  });
});

describe("tied weights", () => {
  test("are one parameter, whose gradient is that of both uses", async () => {
    const words = embedding(SIZE, FEATURES, { name: "words" });
    const model = sequential(
      { input: [3], dtype: "uint32" },
      words,
      dense(FEATURES),
      tiedDense(words, { name: "out" }),
    );
    expect([...model.parameters.keys()]).toEqual(["words.weight", "1.weight", "1.bias", "out.bias"]);
    expect(model.outputShape).toEqual([3, SIZE]);
    const x = Uint32Array.of(0, 1, 2, 3, 4, 5);
    const y = Uint32Array.of(6, 5, 4, 3, 2, 1);
    const report = await checkGradients(model, { loss: crossEntropy(), data: { x, y }, engine });
    expect(report.passed).toBe(true);
  });

  test("one model's layers serve another, which has a weight of its own", () => {
    const words = embedding(SIZE, FEATURES);
    const build = () => sequential({ input: [3], dtype: "uint32" }, words, tiedDense(words, { bias: false }));
    const [one, other] = [build(), build()];
    expect(one.parameters.get("0.weight")).not.toBe(other.parameters.get("0.weight"));
    expect([...one.parameters.keys()]).toEqual(["0.weight"]);
  });

  test("refuse an embedding that is not there yet, other features, and what is none", () => {
    const words = embedding(SIZE, FEATURES);
    expect(() => sequential({ input: [FEATURES] }, tiedDense(words))).toThrow(
      "tiedDense 0: its embedding must be applied before it, got one that is not part of the model",
    );
    expect(() => sequential({ input: [3], dtype: "uint32" }, words, dense(4), tiedDense(words))).toThrow(
      "tiedDense 2: input must be [batch, …, 5], the features of its embedding, got [batch, 3, 4]",
    );
    expect(() => tiedDense(dense(3) as never)).toThrow("tiedDense: must be given an embedding(…)");
  });
});

describe("refusals", () => {
  test("an index that is no word, with its place", () => {
    const model = sequential({ input: [3], dtype: "uint32" }, embedding(SIZE, FEATURES), flatten(), dense(1));
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd(), engine });
    const x = Uint32Array.of(0, 1, 2, 3, 7, 5);
    expect(() => trainer.predictSync(x)).toThrow(DataError);
    expect(() => trainer.predictSync(x)).toThrow(
      "x: every index must be a whole number from 0 to 6, as it chooses among 7, got 7 at index 4",
    );
  });

  test("numbers that are no indices, and paddings that are no row", () => {
    expect(() => sequential({ input: [3] }, embedding(SIZE, FEATURES))).toThrow(
      'embedding 0: input must be whole numbers below 7, got float32 [batch, 3]: give the model\'s input the dtype "uint32"',
    );
    expect(() => embedding(SIZE, FEATURES, { paddingIndex: SIZE })).toThrow(ModelError);
    expect(() => embedding(0, FEATURES)).toThrow(ModelError);
  });
});

describe("lazy optimizers", () => {
  const optimizers = {
    adam: (lazy: boolean) => adam({ learningRate: 0.1, lazy }),
    momentum: (lazy: boolean) => sgd({ learningRate: 0.1, momentum: 0.9, lazy }),
    nesterov: (lazy: boolean) => sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true, lazy }),
  };
  const modelOf = (features: number) =>
    sequential({ input: [3], dtype: "uint32" }, embedding(SIZE, features, { name: "words" }), flatten(), dense(SIZE));

  for (const [name, make] of Object.entries(optimizers)) {
    for (const features of [1, 3, 4, FEATURES, 8, 11]) {
      test(`${name}, ${features} features: rows that a step does not touch stay as they are, the others move as ever`, () => {
        const model = modelOf(features);
        const data = { loss: crossEntropy(), engine, seed: 4 };
        using lazy = compileSync(model, { ...data, optimizer: make(true) });
        using dense = compileSync(model, { ...data, optimizer: make(false) });
        const values = (trainer: typeof lazy) =>
          rowsOf(trainer.parameters().get("words.weight")?.data as Float32Array, features);
        const start = values(lazy);
        // All words once: after one step both are the same, as all of it was touched, or had nothing to move along.
        const [first, second] = [
          { x: Uint32Array.of(0, 1, 2, 3, 4, 5), y: Uint32Array.of(1, 2) },
          { x: Uint32Array.of(0, 0, 2, 2, 0, 2), y: Uint32Array.of(1, 2) },
        ];
        lazy.trainBatchSync(first);
        dense.trainBatchSync(first);
        expect(values(lazy)).toEqual(values(dense));
        expect(values(lazy)[6]).toEqual(start[6]);
        const [before, others] = [values(lazy), values(dense)];
        lazy.trainBatchSync(second);
        dense.trainBatchSync(second);
        const touched = [0, 2];
        values(lazy).forEach((row, index) => {
          if (touched.includes(index)) expect(row).toEqual(values(dense)[index]);
          else expect(row).toEqual(before[index]);
        });
        // What was touched once moves on where the optimizer is dense: the test could not fail without.
        for (const index of [1, 3, 4, 5]) expect(values(dense)[index]).not.toEqual(others[index]);
      });
    }
  }

  test("a training gives the same bits for any number of threads, and from its checkpoint", async () => {
    const model = sequential({ input: [3], dtype: "uint32" }, embedding(900, 70), flatten(), dense(SIZE));
    const random = createRandom(3);
    const x = Uint32Array.from({ length: 60 * 3 }, () => random.below(900));
    const y = Uint32Array.from({ length: 60 }, () => random.below(SIZE));
    const run = async (threads: number, cut: boolean): Promise<Float32Array> => {
      const optimizer = adam({ learningRate: 0.05, lazy: true });
      using own = await createEngine({ threads });
      using trainer = compileSync(model, { loss: crossEntropy(), optimizer, engine: own, seed: 2 });
      const steps = { steps: 3, batchSize: 20 };
      trainer.trainStepsSync({ x, y }, steps);
      if (cut) {
        const saved: Checkpoint = trainer.checkpoint();
        trainer.reset();
        trainer.restore(saved);
      }
      trainer.trainStepsSync({ x, y }, steps);
      return Float32Array.from(trainer.parameters().get("0.weight")?.data ?? []);
    };
    const one = await run(1, false);
    expect(await run(2, false)).toEqual(one);
    expect(await run(3, true)).toEqual(one);
  });
});
