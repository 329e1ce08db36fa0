// The loss around a trained model, along directions in the space of its parameters.
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { integer, number, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { randomNumbers } from "../engine/randomNumbers.js";
import type { Shape } from "../graph/tensor.js";
import type { AnyModel } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import { isResident, type TrainingData } from "../train/data.js";
import type { ParameterValues } from "../train/parameters.js";
import type { Evaluator } from "../train/trainer.js";
import { checkInspected } from "./look.js";

/** A direction: numbers by the path of a parameter. Parameters that it does not name stay as they are. */
export type Direction = ReadonlyMap<string, { readonly data: ArrayLike<number> }>;

export interface LossLandscapeOptions {
  /** Points along each direction, an odd number of them, so that one is the model itself. At most 999, default 21. */
  points?: number;
  /** How far it goes to both sides, in lengths of the directions. Default 1. */
  range?: number;
  /** One or two directions, such as the way from the start to the end. Default: two at random. */
  directions?: readonly Direction[];
  /** Of random directions. Default 0. */
  seed?: number;
}

const OPTIONS = {
  points: integer(21, { min: 1, max: 999 }),
  range: number(1, { min: Number.MIN_VALUE }),
  directions: optional(unchecked<readonly Direction[]>()),
  seed: integer(0, { min: 0 }),
} satisfies OptionsOf<LossLandscapeOptions>;

export interface LossLandscape {
  /** Where the points are along each direction, from -range to range. */
  readonly positions: readonly number[];
  /** The loss at each point: [along the first direction][along the second]; along one direction, rows of one number. */
  readonly losses: readonly (readonly number[])[];
}

/** What is looked at: it is scored with other parameters, and gets its own back. */
export type Landscape<I extends Ports = Shape, O extends Ports = Shape, T extends Ports = O> = Pick<
  Evaluator<never, I, O, T>,
  "model" | "parameters" | "setParameters" | "evaluate" | "load" | "build"
>;

/**
 * The loss on these data around the trainer's parameters, along two directions (or one). Random directions have, for each unit
 * of a layer, the length of its weights; so models of different scales can be compared. Biases, norms and buffers stay as they
 * are. Afterwards, and after an error, the trainer has its own parameters again.
 *
 * @returns The losses of `points` × `points` evaluations. A loss that is not finite is returned as it is.
 * @throws {ModelError} If a direction names what the model does not have, or `points` is even.
 * @see H. Li et al., "Visualizing the Loss Landscape of Neural Nets" (2018)
 */
export async function lossLandscape<I extends Ports, O extends Ports, T extends Ports>(
  trainer: Landscape<I, O, T>,
  data: TrainingData<I, T>,
  options: LossLandscapeOptions = {},
): Promise<LossLandscape> {
  const where = "lossLandscape";
  const { points, range, directions, seed } = readOptions(where, options, OPTIONS);
  const model = checkInspected(where, trainer as never);
  if (points % 2 === 0) {
    throw new ModelError(
      `${where}: points must be odd, so that one is the model itself, got ${points}: take ${points + 1}`,
    );
  }
  const start = trainer.parameters();
  const along =
    directions === undefined ? randomDirections(model, start, seed) : checkDirections(where, start, directions);
  const steps = Array.from({ length: points }, (_, i) => (points === 1 ? 0 : ((2 * i) / (points - 1) - 1) * range));
  const resident = isResident(data) ? undefined : trainer.load(data as never);
  const losses: number[][] = [];
  try {
    for (const first of steps) {
      const row: number[] = [];
      for (const second of along.length > 1 ? steps : [0]) {
        trainer.setParameters(moved(start, along, [first, second]));
        row.push((await trainer.evaluate((resident ?? data) as never)).loss);
      }
      losses.push(row);
    }
  } finally {
    trainer.setParameters(start);
    resident?.dispose();
  }
  return { positions: steps, losses };
}

/** The parameters, moved by so much along each direction. */
function moved(
  start: ReadonlyMap<string, ParameterValues>,
  directions: readonly Direction[],
  by: readonly number[],
): Map<string, ParameterValues> {
  const values = new Map<string, ParameterValues>();
  for (const [path, { shape, data }] of start) {
    const at = data.slice();
    directions.forEach((direction, index) => {
      const step = direction.get(path)?.data;
      if (step !== undefined) for (let i = 0; i < at.length; i++) at[i] += by[index] * step[i];
    });
    values.set(path, { shape, data: at });
  }
  return values;
}

/** Two random directions. The numbers of a unit, which is an index of the last axis, have the length of its weights. */
function randomDirections(model: AnyModel, start: ReadonlyMap<string, ParameterValues>, seed: number): Direction[] {
  const random = randomNumbers(seed);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  return [0, 1].map(() => {
    const direction = new Map<string, { data: Float64Array }>();
    for (const [path, { shape, data }] of start) {
      const { source } = model.parameters.get(path) as { source: { kind: string; trainable?: boolean } };
      if (shape.length < 2 || source.trainable !== true) continue;
      const drawn = Float64Array.from(data, normal);
      const units = shape[shape.length - 1];
      const lengths = (of: ArrayLike<number>): Float64Array => {
        const squares = new Float64Array(units);
        for (let i = 0; i < of.length; i++) squares[i % units] += of[i] * of[i];
        return squares.map(Math.sqrt);
      };
      const [own, random] = [lengths(data), lengths(drawn)];
      direction.set(path, { data: drawn.map((value, i) => (value * own[i % units]) / random[i % units]) });
    }
    return direction;
  });
}

function checkDirections(
  where: string,
  start: ReadonlyMap<string, ParameterValues>,
  directions: readonly Direction[],
): readonly Direction[] {
  const isList = Array.isArray(directions) && (directions.length === 1 || directions.length === 2);
  if (!isList || !directions.every((one) => typeof one?.get === "function" && typeof one.keys === "function")) {
    throw new ModelError(
      `${where}: directions must be one or two Maps of numbers by the path of a parameter, got ${showValue(directions)}`,
    );
  }
  for (const direction of directions) {
    for (const [path, values] of direction) {
      const own = start.get(path);
      if (own === undefined) {
        throw new ModelError(
          `${where}: directions must name parameters of the model, got ${showValue(path)}: there are ${showNames(start.keys())}`,
        );
      }
      const { length } = values?.data ?? [];
      if (length === own.data.length && Array.from(values.data).every(Number.isFinite)) continue;
      throw new ModelError(
        `${where}: a direction of ${showValue(path)} must have ${own.data.length} finite numbers as { data }, got ${showValue(values)}`,
      );
    }
  }
  return directions;
}
