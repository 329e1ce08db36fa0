// Random functional models against float64: values forward, gradients against central differences; through compileFunction
// with one thread and three, a step of a workspace, and a trainer. STEEPEST_MODELS=5000 tries more of them.
import { createEngine, type Engine } from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../ops/cases.js";
import { checkModel } from "./random/check.js";
import { coneOf, type RandomModel, randomModel, type Size, show } from "./random/model.js";

const MODELS = Number(process.env.STEEPEST_MODELS ?? 100);

/** Small ones for what goes wrong at the edges; large ones in which several threads have something to do. */
const sizes: Record<string, Size & { share: number }> = {
  small: { moves: 14, axes: [1, 2, 3, 4, 5, 8, 9], elements: 150, share: 1 },
  large: { moves: 8, axes: [64, 97, 130], elements: 20_000, share: 0.04 },
};

let engines: Engine[];
beforeAll(async () => {
  engines = [await createEngine({ threads: 1 }), await createEngine({ threads: 3 })];
});
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

function failureOf(model: RandomModel, seed: number): Error | undefined {
  try {
    checkModel(model, engines, createRandom(seed));
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** The part behind one output that fails by itself, the one of fewest moves, or else all of it. */
function smallestFailure(model: RandomModel, seed: number): RandomModel {
  const cones = model.outputs.map((output) => coneOf(model, output)).sort((a, b) => a.moves.length - b.moves.length);
  return cones.find((cone) => failureOf(cone, seed) !== undefined) ?? model;
}

describe.each(Object.entries(sizes))("%s models", (_, { share, ...size }) => {
  test("are right, forward and backward", { timeout: 600_000 }, () => {
    const before = engines.map(({ allocator }) => allocator.usedBytes());
    for (let seed = 1; seed <= MODELS * share; seed++) {
      const model = randomModel(createRandom(seed), size);
      if (failureOf(model, seed) === undefined) continue;
      const smallest = smallestFailure(model, seed);
      throw new Error(`seed ${seed}: ${failureOf(smallest, seed)?.message}\n${show(smallest)}`);
    }
    expect(engines.map(({ allocator }) => allocator.usedBytes())).toEqual(before);
  });
});
