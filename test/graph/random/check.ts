// Holds one random model to account: what does not hold is an Error that says what.
import {
  compileSync,
  createWorkspaceSync,
  type Engine,
  functional,
  meanSquaredError,
  type Scope,
  sgd,
  zeros,
} from "steepest";
import { add, compileFunctionSync, gradient, type Tensor } from "steepest/graph";
import type { Value } from "./float64.js";
import { evaluate, lossOf, type RandomModel, trace } from "./model.js";
import type { Random } from "./move.js";

// Of the largest number of a value or a gradient. The worst of 530 models was 7.4e-6; a wrong sign, factor or element is
// an error of about 1.
const TOLERANCE = 5e-5;
const STEP = 2 ** -17;
// Models of more numbers than this have each leaf moved along some directions, smaller ones have each number moved.
const MAX_MOVED = 40;
const DIRECTIONS = 2;

/** What came of a model, flat and in order: outputs, loss, gradients of the leaves. */
type Results = Readonly<Record<string, Float32Array>>;

/** `engines`: the first gives the results, the others must give the same bits. */
export function checkModel(model: RandomModel, engines: readonly Engine[], random: Random): void {
  const [results, ...others] = engines.map((engine) => runFunction(model, engine));
  for (const other of others) {
    for (const [name, data] of Object.entries(other)) checkBits(`${name} with more threads`, data, results[name]);
  }
  checkForward(model, results);
  checkGradients(model, results, random);
  checkWorkspace(model, engines[0], results);
  checkTrainer(model, engines[0], results);
}

const leafName = (index: number) => `leaf${index}`;
const float32 = ({ data }: Value) => Float32Array.from(data);

function runFunction(model: RandomModel, engine: Engine): Results {
  const shapes = Object.fromEntries(model.leaves.map((index) => [leafName(index), model.values[index].shape]));
  using f = compileFunctionSync(
    (inputs) => {
      const leaves = model.leaves.map((index) => inputs[leafName(index)]);
      const { outputs, loss } = trace(model, leaves);
      const gradients = gradient(loss, leaves);
      return {
        ...Object.fromEntries(outputs.map((tensor, i) => [`output ${model.outputs[i].index}`, tensor])),
        loss,
        ...Object.fromEntries(gradients.map((tensor, i) => [`gradient of v${model.leaves[i]}`, tensor])),
      };
    },
    shapes,
    { engine },
  );
  return f(Object.fromEntries(model.leaves.map((index) => [leafName(index), float32(model.values[index])])));
}

function checkForward(model: RandomModel, results: Results): void {
  for (const { index } of model.outputs) {
    const expected = model.values[index].data;
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0.1);
    results[`output ${index}`].forEach((value, i) => {
      compare(`output ${index}, element ${i}`, value, expected[i], TOLERANCE * scale);
    });
  }
}

function checkGradients(model: RandomModel, results: Results, random: Random): void {
  for (const leaf of model.leaves) {
    const { data } = model.values[leaf];
    const directions = directionsFor(data.length, random);
    const slopes = directions.map((direction) => slopeAlong(model, leaf, direction));
    const scale = slopes.reduce((most: number, slope) => Math.max(most, Math.abs(slope ?? 0)), 0.1);
    directions.forEach((direction, i) => {
      const slope = slopes[i];
      if (slope === undefined) return;
      const exact = results[`gradient of v${leaf}`].reduce((sum, value, place) => sum + value * direction[place], 0);
      compare(`gradient of v${leaf}, direction ${i}`, exact, slope, TOLERANCE * scale);
    });
  }
}

/** Each element, or where there are many, some directions of all of them. */
function directionsFor(length: number, random: Random): Float64Array[] {
  if (length <= MAX_MOVED)
    return Array.from({ length }, (_, place) => new Float64Array(length).fill(1, place, place + 1));
  return Array.from({ length: DIRECTIONS }, () => Float64Array.from({ length }, () => random.below(2) * 2 - 1));
}

/** The central difference of the loss along a direction; undefined if the loss has a corner that close. */
function slopeAlong(model: RandomModel, leaf: number, direction: Float64Array): number | undefined {
  const center = model.values[leaf].data;
  const differenceOf = (h: number) => {
    const lossAt = (offset: number) => {
      const moved = center.map((value, i) => value + offset * direction[i]);
      return lossOf(model, evaluate(model, new Map([[leaf, moved]])));
    };
    return (lossAt(h) - lossAt(-h)) / (2 * h);
  };
  const [near, far] = [differenceOf(STEP), differenceOf(4 * STEP)];
  return Math.abs(near - far) <= 1e-5 * (Math.abs(near) + 1) ? near : undefined;
}

/** The first leaf as input, the others as parameters of a workspace's step: one step goes down the same gradients. */
function checkWorkspace(model: RandomModel, engine: Engine, results: Results): void {
  const [first, ...others] = model.leaves;
  using workspace = createWorkspaceSync({ engine });
  const step = workspace.step(
    ({ given }, scope) => {
      const { outputs, loss } = trace(model, [given, ...parametersOf(model, others, scope)]);
      return { ...Object.fromEntries(outputs.map((tensor, i) => [`output ${model.outputs[i].index}`, tensor])), loss };
    },
    { inputs: { given: model.values[first].shape }, optimizer: sgd({ learningRate: 1 }) },
  );
  workspace.setParameters(step, valuesOf(model, others));
  const found = step({ given: float32(model.values[first]) });
  for (const [name, data] of Object.entries(found)) checkBits(`workspace: ${name}`, data, results[name]);
  const after = workspace.parameters(step);
  for (const index of others) {
    const slopes = results[`gradient of v${index}`];
    const expected = float32(model.values[index]).map((value, i) => Math.fround(value - slopes[i]));
    checkBits(`workspace: v${index} after a step`, after.get(leafName(index))?.data, expected);
  }
}

/** All leaves as parameters of a model whose output is x + loss, and x is 0. */
function checkTrainer(model: RandomModel, engine: Engine, results: Results): void {
  const whole = functional({ input: [1] }, (x: Tensor, scope: Scope) =>
    add(x, trace(model, parametersOf(model, model.leaves, scope)).loss),
  );
  using trainer = compileSync(whole, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 1 }), engine });
  trainer.setParameters(valuesOf(model, model.leaves));
  const target = Math.fround(results.loss[0] - 0.5);
  const batch = { x: new Float32Array(3), y: new Float32Array(3).fill(target) };
  const gradients = trainer.gradientsSync(batch);
  trainer.trainBatchSync(batch);
  const after = trainer.parameters();
  // The slope of (loss - target)².
  const factor = 2 * (results.loss[0] - target);
  for (const index of model.leaves) {
    const slopes = gradients.get(leafName(index))?.data as Float32Array;
    const alone = results[`gradient of v${index}`];
    const scale = alone.reduce((most, value) => Math.max(most, Math.abs(value)), 0.1);
    slopes.forEach((slope, i) => {
      compare(`trainer: gradient of v${index}, element ${i}`, slope, factor * alone[i], TOLERANCE * scale);
    });
    const expected = float32(model.values[index]).map((value, i) => Math.fround(value - slopes[i]));
    checkBits(`trainer: v${index} after a step`, after.get(leafName(index))?.data, expected);
  }
}

const parametersOf = (model: RandomModel, indices: readonly number[], scope: Scope): Tensor[] =>
  indices.map((index) => scope.parameter(leafName(index), model.values[index].shape, zeros()));

const valuesOf = (model: RandomModel, indices: readonly number[]) =>
  new Map(indices.map((index) => [leafName(index), float32(model.values[index])]));

function compare(where: string, actual: number, expected: number, allowed: number): void {
  if (Math.abs(actual - expected) <= allowed) return;
  throw new Error(`${where}: expected ${expected}, got ${actual}`);
}

function checkBits(where: string, actual: Float32Array | undefined, expected: Float32Array): void {
  const wrong = expected.findIndex((value, i) => !Object.is(actual?.[i], value));
  if (actual?.length === expected.length && wrong < 0) return;
  throw new Error(`${where}: element ${wrong} must be ${expected[wrong]}, got ${actual?.[wrong]}`);
}
