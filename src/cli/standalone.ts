// A model's file to a file that predicts on its own, with what is done to numbers before it and after it.
import { featuresOf, type TableColumn } from "../data/tableColumns.js";
import { isCyclic } from "../data/tableDates.js";
import type { TableTransformData } from "../data/tableTransform.js";
import { loadModel } from "../platform/nodeIo.js";
import { saveStandalone } from "../platform/nodeStandalone.js";
import type { AroundOptions, StandaloneOptions } from "../standalone/index.js";
import { openModel } from "./modelFile.js";

/** What was written. */
export interface WrittenFiles {
  readonly files: readonly string[];
  /** What the file takes for a row of a table, in order. Absent of a model without a table. */
  readonly features: readonly string[] | undefined;
}

/**
 * Writes it. Of a table's model it takes features as they are before they are scaled, and gives classes or numbers in the target's own
 * units; of others, `scaler`, `targetScaler` and `labels` of the preprocessing become a part of it.
 */
export async function writeStandalone(
  where: string,
  from: string,
  to: string,
  options: Pick<StandaloneOptions, "format"> = {},
): Promise<WrittenFiles> {
  const { preprocessing } = await loadModel(from);
  const model = await openModel(where, from);
  try {
    const { scaler, targetScaler, labels } = preprocessing;
    const given = Object.entries({ scaler, targetScaler, labels }).filter(([, value]) => value !== undefined);
    const around = model.transform === undefined ? Object.fromEntries(given) : aroundTable(model.transform.toJSON());
    const files = await saveStandalone(model.predictor, to, { ...around, ...options });
    return { files, features: model.transform?.features };
  } finally {
    model.dispose();
  }
}

function aroundTable({ columns, target }: TableTransformData): AroundOptions {
  const scales = columns.flatMap(scalesOf);
  const scaler = { offset: scales.map(({ offset }) => offset), scale: scales.map(({ scale }) => scale) };
  if (!("type" in target)) return { scaler };
  if (target.type === "classes") return { scaler, labels: { labels: target.classes } };
  return { scaler, targetScaler: { offset: [target.offset], scale: [target.scale] } };
}

interface FeatureScale {
  readonly offset: number;
  readonly scale: number;
}

const NONE: FeatureScale = { offset: 0, scale: 1 };

/** How each feature of a column is scaled: see `columnEncoder`. */
function scalesOf(column: TableColumn): FeatureScale[] {
  const all = featuresOf(column).map(() => NONE);
  if (column.type === "number" || column.type === "ordinal") all[0] = column;
  if (column.type !== "date") return all;
  const parts = column.parts.flatMap((one): FeatureScale[] => (isCyclic(one.part) ? [NONE, NONE] : [one]));
  return all.map((none, index) => parts[index] ?? none);
}
