// What is done around a model: scaling of its input and output, and the names of classes.

import { type LabelMap, type LabelMapData, labelMapFrom } from "../data/labels.js";
import { type Scaler, type ScalerData, scalerFrom } from "../data/scalers.js";
import { featuresOf } from "../data/tableColumns.js";
import { type TableTransform, type TableTransformData, tableTransformFrom } from "../data/tableTransform.js";
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { showShape, sizeOf } from "../graph/tensor.js";
import type { AnyModel } from "../nn/model.js";
import type { Port } from "../nn/ports.js";
import type { FileData } from "./loader.js";

/** Options of what is done around a model. */
export interface AroundOptions {
  /**
   * Scales the input before the model, in a model of one input: a scaler, or what its `toJSON` gave, as in the preprocessing of a
   * model's file. Its columns are the sample's last axis. Default none.
   */
  scaler?: Scaler | ScalerData;
  /** The scaler of the targets, in a model of one output: its scaling is taken back. Default none. */
  targetScaler?: Scaler | ScalerData;
  /**
   * The labels of the classes, in a model of one output: a label map, or what its `toJSON` gave. The file then has `classify(x)` too:
   * the label of the largest value; of a single value, the second label from 0.5 on. Default none.
   */
  labels?: LabelMap | LabelMapData;
  /**
   * What was learned of the table that the model was trained on, in a model of one input and one output: `transform` of `readTable`
   * and the like, or what its `toJSON` gave, as in the preprocessing of a model's file. The file then takes rows too: `features(rows)`
   * and `predictRows(rows)`; labels or scaling of the target are the table's. Default none.
   */
  table?: TableTransform | TableTransformData;
}

export type Surroundings = Pick<FileData, "scaler" | "targetScaler" | "labels" | "table">;

type Given = { readonly [Name in keyof Required<AroundOptions>]: AroundOptions[Name] | undefined };

export function surroundingsOf(where: string, { inputs, outputs }: AnyModel, given: Given): Surroundings {
  const { scaler, targetScaler, labels } = given.table === undefined ? given : ofTable(where, inputs, given);
  if (labels !== undefined && targetScaler !== undefined) {
    throw new ModelError(`${where}: labels are of classes, targetScaler of numbers, got both: leave out one of them`);
  }
  return {
    scaler: scaler && scalerFor(where, "scaler", scaler, inputs),
    targetScaler: targetScaler && scalerFor(where, "targetScaler", targetScaler, outputs),
    labels: labels && labelsFor(where, labels, outputs),
    table: given.table && tableFor(plain(given.table)),
  };
}

/** What is around a model of a table: all of it is the table's. */
function ofTable(where: string, inputs: readonly Port[], { table, ...others }: Given): Partial<Given> {
  const [twice] = Object.entries(others).filter(([, value]) => value !== undefined);
  if (twice !== undefined) {
    throw new ModelError(
      `${where}: the table has its own scaling and labels, got ${twice[0]} too: leave out one of them`,
    );
  }
  const transform = tableTransformFrom(plain(table as TableTransform));
  const { target } = transform.toJSON();
  if (!("type" in target)) {
    throw new ModelError(
      `${where}: the table must have one target, got several, ${showNames(transform.targets)}: leave it out, and use the transform in a program`,
    );
  }
  const { shape, dtype } = onlyPort(where, "table", inputs);
  const [{ length }, size] = [transform.features, sizeOf(shape)];
  if (size !== length || dtype !== "float32") {
    throw new ModelError(
      `${where}: the table must have the ${size} features that the model takes, got ${length}: hand in the transform that it was trained with`,
    );
  }
  if (target.type === "classes") return { labels: labelMapFrom({ labels: [...target.classes] }) };
  return { targetScaler: { offset: [target.offset], scale: [target.scale] } };
}

function tableFor({ columns, missingValues }: TableTransformData): FileData["table"] {
  return { columns: columns.map((column) => ({ ...column, size: featuresOf(column).length })), missing: missingValues };
}

function scalerFor(where: string, name: string, given: Scaler | ScalerData, ports: readonly Port[]): ScalerData {
  const { shape, dtype } = onlyPort(where, name, ports);
  const data = scalerFrom(plain(given)).toJSON();
  const columns = shape.at(-1) ?? 1;
  if (data.offset.length === columns && dtype === "float32") return data;
  throw new ModelError(
    `${where}: ${name} must have ${columns} columns, for ${dtype} of shape ${showShape(shape)}, got ${data.offset.length}: fit it to the last axis`,
  );
}

function labelsFor(where: string, given: LabelMap | LabelMapData, outputs: readonly Port[]): FileData["labels"] {
  const { shape } = onlyPort(where, "labels", outputs);
  const { labels } = labelMapFrom(plain(given));
  const wanted = Math.max(2, shape.at(-1) ?? 1);
  if (labels.length === wanted) return labels;
  throw new ModelError(
    `${where}: labels must be ${wanted}, as the output has shape ${showShape(shape)}, got ${labels.length}: hand in the map of the targets`,
  );
}

function onlyPort(where: string, name: string, ports: readonly Port[]): Port {
  if (ports.length === 1) return ports[0];
  const names = ports.map(({ key }) => showValue(key)).join(", ");
  throw new ModelError(`${where}: ${name} is for a model of one, got ${names}: do it outside of the file`);
}

/** What `toJSON` gives, where it is not that already. */
function plain<T extends object>(given: { toJSON(): T } | T): T {
  return "toJSON" in given ? (given.toJSON as () => T)() : given;
}
