// A model's file, opened to predict: with what is done to a table before, and to its answers.

import type { Label } from "../data/labels.js";
import type { RawTable } from "../data/tableRows.js";
import { encodeRows, type TableTransform, tableTransformFrom } from "../data/tableTransform.js";
import { readNumber, refusal } from "../data/tableValues.js";
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { sizeOf } from "../graph/tensor.js";
import type { LoadedModel } from "../io/model.js";
import { crossEntropy, meanSquaredError } from "../nn/losses.js";
import type { AnyModel } from "../nn/model.js";
import { loadModel } from "../platform/nodeIo.js";
import { compile, type Predictor } from "../train/trainer.js";
import { modelOf, readInput } from "./fileFormats.js";

export interface OpenModel {
  readonly path: string;
  readonly predictor: Predictor;
  /** Of a model that `steepest train` made, or that has `table` in its preprocessing. */
  readonly transform: TableTransform | undefined;
  /** All that it was saved with. */
  readonly preprocessing: LoadedModel["preprocessing"];
  /** Features of rows: [rows, …inputShape]. Throws DataError for rows that do not fit, with the line. */
  featuresOf(table: RawTable): Float32Array;
  /** How many numbers the model gives for a row. */
  readonly width: number;
  dispose(): void;
}

/** Opens a file that `saveModel` wrote, or stdin for "-". Throws what `loadModel` throws, and ModelError for several inputs or outputs. */
export async function openModel(where: string, path: string): Promise<OpenModel> {
  const { model, preprocessing } = await (path === "-" ? modelOf(await readInput(path), path) : loadModel(path));
  const { inputShape, outputShape } = model;
  if (!Array.isArray(inputShape) || !Array.isArray(outputShape)) {
    const names = [inputShape, outputShape].map((one) => (Array.isArray(one) ? "one" : showNames(Object.keys(one))));
    throw new ModelError(
      `${where}: the model must have one input and one output, got ${names.join(" and ")} in ${showValue(path)}: load it in a program`,
    );
  }
  if ((model as unknown as AnyModel).states.size > 0) {
    throw new ModelError(
      `${where}: the model must have no states from row to row, got some in ${showValue(path)}: rows are predicted in batches`,
    );
  }
  const transform = preprocessing.table === undefined ? undefined : tableTransformFrom(preprocessing.table);
  const [input, width] = [sizeOf(inputShape), sizeOf(outputShape)];
  checkFits(where, path, transform, input, width);
  const isClassifier = transform !== undefined && transform.classes.length > 0;
  const loss = isClassifier ? crossEntropy() : meanSquaredError();
  // Without a table nobody knows what the outputs are: they are given as they are.
  const predictor = (await (transform === undefined ? compile(model) : compile(model, { loss }))) as Predictor;
  const known = transform?.toJSON();
  const missing = new Set(known?.missingValues);
  return {
    ...{ path, predictor, transform, preprocessing, width },
    featuresOf: (table) =>
      known === undefined
        ? plainFeatures(table, input)
        : encodeRows(table, known.columns, missing, transform?.features.length ?? 0),
    dispose: () => predictor.dispose(),
  };
}

function checkFits(
  where: string,
  path: string,
  transform: TableTransform | undefined,
  input: number,
  output: number,
): void {
  if (transform === undefined) return;
  if (Array.isArray(transform.toJSON().target)) {
    throw new ModelError(
      `${where}: the model's table must have one target, got several, ${showNames(transform.targets)}, in ${showValue(path)}: load it in a program`,
    );
  }
  const expected = [transform.features.length, Math.max(1, transform.classes.length)];
  if (expected[0] === input && expected[1] === output) return;
  throw new ModelError(
    `${where}: the model must take the ${expected[0]} features of its table and give ${expected[1]} values, got ${input} and ${output} in ${showValue(path)}: save it with the table that it was trained on`,
  );
}

/** All columns in their order, as numbers. */
function plainFeatures({ where, place, names, cells, numbers }: RawTable, size: number): Float32Array {
  if (names.length !== size) {
    throw new DataError(
      `${where}: the rows must have a column for each of the ${size} values that the model takes, got ${names.length}: ${showNames(names)}`,
    );
  }
  const x = new Float32Array(cells.length * size);
  for (let at = 0; at < cells.length; at++) {
    names.forEach((name, column) => {
      const refuse = refusal(where, name, `${place} ${numbers[at]}`);
      x[at * size + column] = readNumber(cells.at(at, column) ?? "", "plain", refuse);
    });
  }
  return x;
}

/** What a row's answer is, for people and programs. */
export interface Answer {
  /** A class, or a number in the target's own units; several numbers of a model without a table. */
  readonly prediction: Label | readonly number[];
  /** By class, if there are classes. */
  readonly probabilities?: Readonly<Record<string, number>>;
}

/** The answers to some rows, of the model's outputs. */
export function answersTo(
  { transform, width }: Pick<OpenModel, "transform" | "width">,
  outputs: Float32Array,
): Answer[] {
  const row = (at: number) => Array.from(outputs.subarray(at * width, (at + 1) * width), shortFloat);
  if (transform === undefined) {
    return Array.from({ length: outputs.length / width }, (_, at) => {
      const values = row(at);
      return { prediction: width === 1 ? values[0] : values };
    });
  }
  const { classes } = transform;
  return transform.decode(outputs).map((label, at): Answer => {
    if (classes.length === 0) return { prediction: shortFloat(label as number) };
    const chances = row(at);
    return {
      prediction: label,
      probabilities: Object.fromEntries(classes.map((name, index) => [name, chances[index]])),
    };
  });
}

/** As few digits as tell a float32 from all others. */
function shortFloat(value: number): number {
  const single = Math.fround(value);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === single) return short;
  }
  return Number(value.toPrecision(9));
}
