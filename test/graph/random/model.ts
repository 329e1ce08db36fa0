// Random functional models: leaves, operations on whatever is there so far, outputs, and a scalar of all of them.
import type { Tensor } from "../../../src/graph/tensor.js";
import { constant } from "../../../src/graph/tensor.js";
import { add, mul } from "../../../src/ops/elementwise.js";
import { sum } from "../../../src/ops/reduce.js";
import { countOf, type Value } from "./float64.js";
import type { Applied, Choice, Picked, Random } from "./move.js";
import { moves } from "./moves.js";

/** Values by number: leaves, and the results of moves in order. */
export interface RandomModel {
  readonly leaves: readonly number[];
  readonly moves: readonly { readonly applied: Applied; readonly results: readonly number[] }[];
  readonly values: readonly Value[];
  /** What comes out, and what each element of it counts for in the loss. */
  readonly outputs: readonly { readonly index: number; readonly weights: Float32Array }[];
}

export interface Size {
  readonly moves: number;
  readonly axes: readonly number[];
  /** Values have at most so many elements. */
  readonly elements: number;
}

/** Numbers beyond it are not made: what float32 loses of them would drown what is wrong. */
const LARGEST = 12;

export function randomModel(random: Random, size: Size): RandomModel {
  const values: Value[] = [];
  const leaves: number[] = [];
  const made: { applied: Applied; results: number[] }[] = [];
  const number = () => Math.fround((random.below(2) ? 1 : -1) * (0.1 + 1.4 * random.uniform()));
  const addLeaf = (shape: readonly number[]): Picked => {
    const value = { shape: [...shape], data: Float64Array.from({ length: countOf(shape) }, number) };
    leaves.push(values.push(value) - 1);
    return { index: values.length - 1, value };
  };
  const draw = () => size.axes[random.below(size.axes.length)];
  const shape = [draw(), draw()];
  for (const one of [shape, shape.slice(1), [draw(), shape[0], 1], [shape[0], 1], []]) addLeaf(one);
  const choice: Choice = {
    ...random,
    pick(fits = () => true) {
      for (let attempt = 0; attempt < 12; attempt++) {
        const back = random.below(2) ? random.below(Math.min(4, values.length)) : random.below(values.length);
        const index = values.length - 1 - back;
        if (fits(values[index])) return { index, value: values[index] };
      }
      return undefined;
    },
    leaf(wanted) {
      const found = leaves.find((index) => `${values[index].shape}` === `${wanted}`);
      return found === undefined || random.below(3) === 0 ? addLeaf(wanted) : { index: found, value: values[found] };
    },
  };
  while (made.length < size.moves) {
    const [leafCount, valueCount] = [leaves.length, values.length];
    const applied = moves[random.below(moves.length)](choice);
    const results = applied?.evaluate(...applied.inputs.map((index) => values[index]));
    if (applied === undefined || results === undefined || !results.every((value) => isTame(value, size))) {
      leaves.length = leafCount;
      values.length = valueCount;
      continue;
    }
    made.push({ applied, results: results.map((value) => values.push(value) - 1) });
  }
  // What nobody reads, and sometimes what somebody does.
  const read = new Set(made.flatMap(({ applied }) => applied.inputs));
  const results = made.flatMap(({ results }) => results);
  const outputs = results.filter((index) => !read.has(index) || random.below(6) === 0);
  const weightsFor = (index: number) => Float32Array.from({ length: values[index].data.length }, number);
  const used = leaves.filter((index) => read.has(index));
  return {
    leaves: used,
    moves: made,
    values,
    outputs: outputs.map((index) => ({ index, weights: weightsFor(index) })),
  };
}

function isTame({ shape, data }: Value, { elements }: Size): boolean {
  return shape.length <= 4 && data.length <= elements && data.every((x) => Math.abs(x) <= LARGEST);
}

/** All values in float64, with other leaves in the place of some. */
export function evaluate(model: RandomModel, moved: ReadonlyMap<number, Float64Array>): Value[] {
  const values = [...model.values];
  for (const [index, data] of moved) values[index] = { shape: values[index].shape, data };
  for (const { applied, results } of model.moves) {
    applied.evaluate(...applied.inputs.map((index) => values[index])).forEach((value, i) => {
      values[results[i]] = value;
    });
  }
  return values;
}

/** The sum of all outputs' elements, each times its weight. */
export function lossOf({ outputs }: RandomModel, values: readonly Value[]): number {
  let loss = 0;
  for (const { index, weights } of outputs) {
    values[index].data.forEach((value, i) => {
      loss += value * weights[i];
    });
  }
  return loss;
}

/** The same in the library: applies all moves to `leaves`, in the order of `model.leaves`. */
export function trace(model: RandomModel, leaves: readonly Tensor[]): { outputs: Tensor[]; loss: Tensor } {
  const tensors: Tensor[] = [];
  model.leaves.forEach((index, i) => {
    tensors[index] = leaves[i];
  });
  for (const { applied, results } of model.moves) {
    applied.apply(...applied.inputs.map((index) => tensors[index])).forEach((tensor, i) => {
      tensors[results[i]] = tensor;
    });
  }
  const outputs = model.outputs.map(({ index }) => tensors[index]);
  const terms = model.outputs.map(({ index, weights }) =>
    sum(mul(tensors[index], constant(weights, model.values[index].shape))),
  );
  return { outputs, loss: terms.reduce((loss, term) => add(loss, term)) };
}

/** Only what one output needs, for which it then is a smaller model. */
export function coneOf(model: RandomModel, output: RandomModel["outputs"][number]): RandomModel {
  const needed = new Set([output.index]);
  const kept = model.moves
    .toReversed()
    .filter(({ applied, results }) => {
      if (!results.some((index) => needed.has(index))) return false;
      for (const index of applied.inputs) needed.add(index);
      return true;
    })
    .toReversed();
  return { ...model, leaves: model.leaves.filter((index) => needed.has(index)), moves: kept, outputs: [output] };
}

export function show({ leaves, moves, values, outputs }: RandomModel): string {
  const name = (index: number) => `v${index} [${values[index].shape}]`;
  const lines = moves.map(
    ({ applied, results }) =>
      `${results.map(name).join(", ")} = ${applied.name}: ${applied.inputs.map(name).join(", ")}`,
  );
  const given = `given ${leaves.map(name).join(", ")}`;
  return [given, ...lines, `out ${outputs.map(({ index }) => name(index)).join(", ")}`].join("\n");
}
