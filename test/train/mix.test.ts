// mixUp and cutMix: the inputs and the loss of a step against float64 with the same random numbers.
import {
  compile,
  compileSync,
  createEngine,
  crossEntropy,
  cutMix,
  dense,
  embedding,
  flatten,
  type Mix,
  ModelError,
  meanSquaredError,
  mixUp,
  sequential,
  sgd,
} from "steepest";
import { describe, expect, test } from "vitest";
import { betaQuantiles } from "../../src/nn/mix.js";
import { uniforms } from "../ops/philox.js";

const [HEIGHT, WIDTH, CLASSES, BATCH, SEED] = [6, 5, 3, 8, 5];
const PIXELS = HEIGHT * WIDTH;
const x = Float32Array.from(uniforms(BATCH * PIXELS, [1, 2, 3], [4, 5]));
const y = Uint8Array.from({ length: BATCH }, (_, i) => (i * i) % CLASSES);

describe("shares are quantiles of a Beta distribution", () => {
  test.each<[number, (p: number) => number]>([
    [1, (p) => p],
    [0.5, (p) => Math.sin((Math.PI * p) / 2) ** 2],
    [2, (p) => 0.5 - Math.sin(Math.asin(1 - 2 * p) / 3)],
  ])("alpha %d", (alpha, quantile) => {
    const found = betaQuantiles(alpha);
    for (const [i, share] of found.entries()) {
      expect(Math.abs(share - quantile((i + 0.5) / found.length))).toBeLessThan(1e-6);
    }
  });
});

const before = (sample: number): number => (sample + BATCH - 1) % BATCH;

/** The mixed images of the first step and the share of their own targets. */
const references: Record<string, (u: Float64Array) => { mixed: Float64Array; own: number }> = {
  mixUp(u) {
    const own = betaQuantiles(0.4)[Math.floor(u[0] * 1024)];
    const of = (at: number, sample: number) => x[sample * PIXELS + (at % PIXELS)];
    const mixed = Float64Array.from(x, (_, at) => {
      const sample = Math.floor(at / PIXELS);
      return own * of(at, sample) + (1 - own) * of(at, before(sample));
    });
    return { mixed, own };
  },
  cutMix(u) {
    const side = Math.sqrt(1 - betaQuantiles(1)[Math.floor(u[0] * 1024)]);
    const isIn = (at: number, size: number, middle: number) => Math.abs((at + 0.5) / size - middle) <= side / 2;
    let taken = 0;
    const mixed = Float64Array.from(x, (value, at) => {
      const [sample, pixel] = [Math.floor(at / PIXELS), at % PIXELS];
      const inside = isIn(Math.floor(pixel / WIDTH), HEIGHT, u[1]) && isIn(pixel % WIDTH, WIDTH, u[2]);
      if (inside) taken += 1;
      return inside ? x[before(sample) * PIXELS + pixel] : value;
    });
    return { mixed, own: 1 - taken / x.length };
  },
};

const mixes: [string, Mix][] = [
  ["mixUp", mixUp({ alpha: 0.4 })],
  ["cutMix", cutMix()],
];

const network = () => sequential({ input: [HEIGHT, WIDTH, 1] }, flatten(), dense(CLASSES));

describe.each(mixes)("%s", (name, mix) => {
  test("the loss of a step, for classes and for distributions", () => {
    const { mixed, own } = references[name](uniforms(3, [1, 0, 4], [SEED, 0]));
    expect(own).toBeGreaterThan(0);
    expect(own).toBeLessThan(1);
    using plain = compileSync(network(), { loss: crossEntropy(), seed: SEED });
    const lossOf = (labels: Uint8Array) => plain.evaluateSync({ x: mixed, y: labels }).loss;
    const expected = own * lossOf(y) + (1 - own) * lossOf(y.map((_, sample) => y[before(sample)]));
    const optimizer = sgd({ learningRate: 0.1 });
    using trainer = compileSync(network(), { loss: crossEntropy(), optimizer, mix, seed: SEED });
    expect(Math.abs(trainer.trainBatchSync({ x, y }) - expected)).toBeLessThan(1e-6);
    const rows = Float32Array.from({ length: BATCH * CLASSES }, (_, i) =>
      Number(y[Math.floor(i / CLASSES)] === i % CLASSES),
    );
    const loss = crossEntropy({ targets: "distributions" });
    using other = compileSync(network(), { loss, optimizer, mix, seed: SEED });
    expect(Math.abs(other.trainBatchSync({ x, y: rows }) - expected)).toBeLessThan(1e-6);
  });

  test("other shares at every step, nothing while scoring, the same bits for several threads", async () => {
    const results = [];
    for (const threads of [1, 3]) {
      using engine = await createEngine({ threads, background: false });
      const optimizer = sgd({ learningRate: 1e-30 });
      const options = { loss: crossEntropy(), optimizer, seed: SEED, engine };
      const trainer = await compile(network(), { ...options, mix });
      const losses = trainer.trainStepsSync({ x, y }, { steps: 5, batchSize: BATCH });
      expect(new Set(losses).size).toBe(5);
      const plain = await compile(network(), options);
      expect(trainer.evaluateSync({ x, y })).toEqual(plain.evaluateSync({ x, y }));
      expect(trainer.predictSync(x)).toEqual(plain.predictSync(x));
      results.push([...losses]);
      trainer.dispose();
      plain.dispose();
    }
    expect(results[1]).toEqual(results[0]);
  });
});

test.each<[string, () => unknown, string]>([
  [
    "another thing",
    () => compileSync(network(), { loss: crossEntropy(), mix: {} as Mix }),
    "compile: mix must be mixUp() or cutMix(), got {}",
  ],
  ["alpha", () => mixUp({ alpha: 0 }), "mixUp: alpha must be a number between 0.05 and 16, got 0"],
  [
    "cutMix of rows",
    () => compileSync(sequential({ input: [4] }, dense(2)), { loss: crossEntropy(), mix: cutMix() }),
    "compile: mix: cutMix() is for models of one input [height, width, channels], got",
  ],
  [
    "indices",
    () => {
      const words = sequential({ input: [4], dtype: "uint32" }, embedding(9, 2), flatten(), dense(2));
      return compileSync(words, { loss: crossEntropy(), mix: mixUp() });
    },
    "compile: mix: mixUp() mixes numbers, got an input of uint32: leave mix out",
  ],
  [
    "weights",
    () => compileSync(network(), { loss: meanSquaredError(), weights: true, mix: mixUp() }),
    "compile: mix: mixUp() needs a loss in which all samples count alike, got meanSquaredError",
  ],
])("refuses %s", (_, make, message) => {
  expect(make).toThrow(ModelError);
  expect(make).toThrow(message);
});
