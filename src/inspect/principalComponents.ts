// Many numbers a row as a few: embeddings as points in a plane.
import { checkInteger, DataError, ModelError, SteepestError, showValue } from "../engine/errors.js";
import { integer, type OptionsOf, readOptions } from "../engine/options.js";
import { type Shape, sizeOf } from "../graph/tensor.js";
import { flattenValues, type Values } from "../graph/values.js";

/** Rows: nested arrays [rows][columns], or values with their shape, as activations and parameters are: all axes but the last are rows. */
export type Rows = Values | { readonly shape: Shape; readonly data: ArrayLike<number> };

export interface PrincipalComponentsOptions {
  /** How many, at most the number of rows and of columns. Default 2. */
  components?: number;
  /** The module `ml-pca`, for bundled pages: `import * as library from "ml-pca"`. Default: the installed package. */
  library?: PcaLibrary;
}

/** What is used of `ml-pca`. */
export interface PcaLibrary {
  readonly PCA: new (
    rows: number[][],
    options: { center: boolean; scale: boolean },
  ) => {
    getEigenvectors(): { to2DArray(): number[][] };
    getExplainedVariance(): number[];
    predict(rows: number[][], options: { nComponents: number }): { to2DArray(): number[][] };
  };
}

const OPTIONS = {
  components: integer(2, { min: 1 }),
  library(where, name, value) {
    if (value === undefined || typeof (value as PcaLibrary | null)?.PCA === "function") return value as PcaLibrary;
    throw new ModelError(`${where}: ${name} must be the module ml-pca, got ${showValue(value)}`);
  },
} satisfies OptionsOf<PrincipalComponentsOptions>;

// A name that bundlers do not look into: they would refuse a package that is not there.
const PACKAGE: string = "ml-pca";

export interface PrincipalComponents {
  /** Where each row is along the components: [rows][components]. */
  readonly points: readonly (readonly number[])[];
  /** The directions, unit vectors [components][columns]. The largest number of each is positive. */
  readonly directions: readonly (readonly number[])[];
  /** The share of the rows' variance that is along each. */
  readonly explained: readonly number[];
}

/**
 * The principal components of rows, which are centred first: an embedding, or what a layer gives, as points to draw. It needs
 * the package `ml-pca`, an optional peer.
 *
 * @throws {DataError} If there are fewer than two rows, or a number is not finite.
 * @throws {SteepestError} If `ml-pca` is not installed.
 *
 * @example
 * const weights = trainer.parameters().get("0.weight");
 * const { points } = await principalComponents(weights); // [[0.3, -1.2], …]
 */
export async function principalComponents(
  rows: Rows,
  options: PrincipalComponentsOptions = {},
): Promise<PrincipalComponents> {
  const where = "principalComponents";
  const { components, library } = readOptions(where, options, OPTIONS);
  const table = tableOf(where, rows);
  const most = Math.min(table.length, table[0].length);
  checkInteger(where, "components", components, 1, most);
  const { PCA } = library ?? (await installed(where));
  const pca = new PCA(table, { center: true, scale: false });
  const columns = pca.getEigenvectors().to2DArray();
  const scores = pca.predict(table, { nComponents: components }).to2DArray();
  const signs = Array.from({ length: components }, (_, k) => signOf(columns.map((row) => row[k])));
  return {
    points: scores.map((row) => row.map((value, k) => value * signs[k])),
    directions: signs.map((sign, k) => columns.map((row) => row[k] * sign)),
    // Rows that are all alike have no variance to explain.
    explained: pca
      .getExplainedVariance()
      .slice(0, components)
      .map((share) => (Number.isFinite(share) ? share : 0)),
  };
}

async function installed(where: string): Promise<PcaLibrary> {
  try {
    return await import(/* webpackIgnore: true */ /* @vite-ignore */ PACKAGE);
  } catch (cause) {
    throw new SteepestError(
      `${where}: the package ml-pca must be there, got ${showValue((cause as Error).message)}: npm install ml-pca; in a bundled page hand it in as library`,
      { cause },
    );
  }
}

/** So that the direction does not depend on how it was found. */
function signOf(direction: readonly number[]): number {
  const largest = direction.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? -1 : 1;
}

function tableOf(where: string, rows: Rows): number[][] {
  const { shape, data } = shaped(where, rows);
  const columns = shape.at(-1) ?? 0;
  const count = sizeOf(shape.slice(0, -1));
  if (shape.length < 2 || columns < 1 || count < 2 || data.length !== count * columns) {
    throw new DataError(
      `${where}: must be given at least two rows of numbers, got ${data.length} values of shape [${shape}]: hand in [[…], […]], or { shape, data }`,
    );
  }
  const bad = Array.prototype.findIndex.call(data, (value: number) => !Number.isFinite(value));
  if (bad >= 0) throw new DataError(`${where}: every number must be finite, got ${data[bad]} at index ${bad}`);
  return Array.from({ length: count }, (_, row) => Array.from({ length: columns }, (_, j) => data[row * columns + j]));
}

function shaped(where: string, rows: Rows): { shape: Shape; data: ArrayLike<number> } {
  if (typeof rows === "object" && rows !== null && "shape" in rows && "data" in rows) return rows;
  const { shape, data } = flattenValues(where, rows as Values);
  return { shape: shape ?? [data.length], data };
}
