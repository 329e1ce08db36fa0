// The wide build has the strict build's bits: every operation and its gradients, products of all widths, trainings. V8's flag
// is not set here, as it is the same code with it and without; test/everywhere runs it with the flag.
import { readFileSync } from "node:fs";
import { afterAll, describe, test } from "vitest";
import { createEngineSync, type Engine } from "../../src/engine/engine.js";
import { provideKernels } from "../../src/engine/module.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import * as steepest from "../../src/index.js";
import * as ops from "../../src/ops/index.js";
import { checkSameBits, plainResults, watchedResults } from "../ops/battery.js";
import { type Case, createRandom } from "../ops/cases.js";
import { samples } from "../ops/samples.js";

/** An engine over the kernels of a file in dist/. */
function engineOver(file: string): Engine {
  const bytes = readFileSync(new URL(`../../dist/${file}`, import.meta.url));
  provideKernels({ load: () => Promise.resolve(bytes), loadSync: () => bytes });
  return createEngineSync();
}

const strict = engineOver("strict.wasm");
const wide = engineOver("wide.wasm");
afterAll(() => {
  strict.dispose();
  wide.dispose();
});

describe("operations", () => {
  test.each(Object.entries(samples))("%s", (_, { cases }) => {
    cases.forEach((one: Case, index) => {
      const expected = plainResults(strict, one, index + 1);
      watchedResults(wide, one, index + 1).forEach((result, output) => {
        checkSameBits(`${one.name ?? index}, result ${output}`, result, expected[output]);
      });
    });
  });
});

test("products of all widths around those of panels", () => {
  const random = createRandom(7);
  const draw = (length: number) => Float32Array.from({ length }, random.normal);
  for (const n of [1, 7, 8, 9, 15, 16, 17, 24, 25, 31, 32, 33, 40, 255, 257, 300]) {
    for (const [m, k] of [
      [1, 9],
      [4, 30],
      [29, 400],
      [61, 20],
    ] as const) {
      const given = { a: draw(m * k), b: draw(k * n), bT: draw(k * n), aT: draw(m * k), bias: draw(n) };
      const [expected, got] = [strict, wide].map((engine) => {
        const run = compileFunctionSync(
          ({ a, b, bT, aT, bias }) => ({
            plain: ops.tanh(ops.add(ops.matmul(a, b), bias)),
            right: ops.matmul(a, ops.transpose(bT)),
            left: ops.matmul(ops.transpose(aT), b),
          }),
          { a: [m, k], b: [k, n], bT: [n, k], aT: [k, m], bias: [n] },
          { engine },
        );
        const result = run(given);
        run.dispose();
        return result;
      });
      for (const name of ["plain", "right", "left"] as const) {
        checkSameBits(`${name} ${m} × ${n} × ${k}`, got[name], expected[name]);
      }
    }
  }
});

const { clipByGlobalNorm, clipByNorm, clipByValue, dense } = steepest;
const optimizers: Record<string, steepest.Optimizer> = {
  sgd: steepest.sgd({ learningRate: 0.05 }),
  momentum: steepest.sgd({ learningRate: 0.05, momentum: 0.9 }),
  nesterov: steepest.sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }),
  adam: steepest.adam({ learningRate: 0.01 }),
  lazy: steepest.adam({ lazy: true }),
  averaged: steepest.averaged(steepest.adam({ learningRate: 0.01 })),
  "clipped by the norm": clipByNorm(0.01, steepest.adam()),
  "clipped by the norm of all": clipByGlobalNorm(0.01, steepest.adam()),
  "clipped by value": clipByValue(0.001, steepest.adam()),
};

test.each(Object.entries(optimizers))("20 steps of training by %s", (_, optimizer) => {
  const random = createRandom(3);
  const x = Float32Array.from({ length: 37 * 19 }, random.normal);
  const y = Uint32Array.from({ length: 37 }, () => random.below(5));
  const [expected, got] = [strict, wide].map((engine) => {
    const model = steepest.sequential(
      { input: [19] },
      dense(33, { weightRegularizer: steepest.l2(0.01), weightConstraint: steepest.maxNorm(1) }),
      steepest.gaussianNoise(0.1),
      steepest.gelu(),
      steepest.dropout(0.3),
      steepest.layerNorm(),
      dense(5),
    );
    const trainer = steepest.compileSync(model, { loss: steepest.crossEntropy(), optimizer, engine, seed: 5 });
    trainer.fitSync({ x, y }, { epochs: 5, batchSize: 10 });
    const values = new Map([...trainer.parameters()].map(([path, { data }]) => [path, data.slice()]));
    trainer.dispose();
    return values;
  });
  for (const [path, values] of expected) checkSameBits(path, got.get(path) ?? new Float32Array(0), values);
});
