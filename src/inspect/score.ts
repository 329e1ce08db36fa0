// What is asked about: a number that the model's outputs give for each sample, whose gradient says what it depends on.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { fn, type OptionsOf, optional, unchecked } from "../engine/options.js";
import { checkTensor, input, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import type { Values } from "../graph/values.js";
import { fromList, type Ports, type Traced } from "../nn/ports.js";
import { mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import type { Extras, Sight } from "./look.js";

export interface ScoreOptions {
  /**
   * The class that is asked about: one index, or one for each sample. Default: the class that the model chooses. An output of
   * a single number is asked about itself.
   */
  target?: number | ArrayLike<number>;
  /** Which output, if they have names. Default: the only one. */
  output?: string;
  /**
   * Anything else: makes a tensor of the outputs (an object of tensors if they have names), out of operations of
   * `steepest/graph`. It is summed; so it must not mix samples. Default: what `target` says.
   */
  score?: (outputs: never) => Tensor;
}

export const SCORE = {
  target: optional(unchecked<number | ArrayLike<number>>()),
  output: optional(unchecked<string>()),
  score: optional(fn<(outputs: never) => Tensor>()),
} satisfies OptionsOf<ScoreOptions>;

export interface ScorePlan {
  readonly target: number | ArrayLike<number> | undefined;
  readonly output: string | undefined;
  readonly score: ((outputs: never) => Tensor) | undefined;
}

/** A score of a prediction. */
export interface Score {
  /** The sum over the batch, a scalar. */
  readonly total: Tensor;
  readonly extras: Extras;
  /** The output whose class is chosen, [batch, classes]; absent if there is nothing to choose. */
  readonly choice: Tensor | undefined;
}

/** The name that the choice of classes has among the inputs: ones and zeros, [batch, classes]. */
export const CHOICE = "choice";

export function scoreOf(where: string, sight: Sight, { output, score, target }: ScorePlan): Score {
  if (score !== undefined) {
    if (target !== undefined || output !== undefined) {
      throw new ModelError(`${where}: score must be alone, got target or output too: let score choose`);
    }
    const given = score(fromList<Ports, Tensor>(sight.model.outputs, sight.outputs) as Traced<Ports> as never);
    return { total: sum(checkTensor(where, given, "score must give a tensor")), extras: {}, choice: undefined };
  }
  const { outputs } = sight.model;
  const index = outputs.length === 1 && output === undefined ? 0 : outputs.findIndex(({ key }) => key === output);
  if (index < 0) {
    const names = outputs.map(({ key }) => key ?? "");
    throw new ModelError(`${where}: output must be one of ${showNames(names)}, got ${showValue(output)}`);
  }
  const tensor = sight.outputs[index];
  const { shape } = outputs[index];
  if (sizeOf(shape) === 1) {
    if (target === undefined) return { total: sum(tensor), extras: {}, choice: undefined };
    throw new ModelError(`${where}: target must be left out, as the output is one number, got ${showValue(target)}`);
  }
  if (shape.length !== 1) {
    throw new ModelError(
      `${where}: the output must be one number or classes, got ${showShape(shape)}: say by score what is asked about`,
    );
  }
  const chosen = input(tensor.shape, { name: CHOICE });
  return { total: sum(mul(tensor, chosen)), extras: { [CHOICE]: chosen }, choice: tensor };
}

/** Ones where the asked class of each sample is. `outputs`: what the model gives, for samples that are not told. */
export function choiceOf(
  where: string,
  { target }: ScorePlan,
  [batch, classes]: readonly number[],
  outputs: () => Float32Array,
): Float32Array {
  const indices = typeof target === "number" ? Array.from({ length: batch }, () => target) : target;
  if (indices !== undefined) checkTargets(where, indices, batch, classes);
  const chosen = indices ?? argmaxes(outputs(), batch, classes);
  const ones = new Float32Array(batch * classes);
  for (let i = 0; i < batch; i++) ones[i * classes + chosen[i]] = 1;
  return ones;
}

function checkTargets(where: string, indices: ArrayLike<number>, batch: number, classes: number): void {
  const isList = Array.isArray(indices) || ArrayBuffer.isView(indices);
  if (!isList || indices.length !== batch) {
    throw new DataError(
      `${where}: target must be a class or one for each of ${batch} samples, got ${showValue(indices)}`,
    );
  }
  for (let i = 0; i < batch; i++) {
    if (Number.isInteger(indices[i]) && indices[i] >= 0 && indices[i] < classes) continue;
    throw new DataError(
      `${where}: target must be a class from 0 to ${classes - 1}, got ${showValue(indices[i])} at index ${i}`,
    );
  }
}

function argmaxes(values: Float32Array, batch: number, classes: number): number[] {
  return Array.from({ length: batch }, (_, row) => {
    let best = 0;
    for (let j = 1; j < classes; j++) if (values[row * classes + j] > values[row * classes + best]) best = j;
    return best;
  });
}

/** Values that a look with this score is run with. */
export type Feed = Readonly<Record<string, Values>>;
