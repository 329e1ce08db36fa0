// What is searched: dimensions by name. They are plain data, so that a journal can say what was searched.
import { checkNumber, ModelError, showNames, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import { checkNames, integer, number, type RuleTable, unchecked } from "../engine/options.js";
import { exp, log } from "../engine/portableMath.js";

/** What a dimension is drawn as. */
export type ParameterValue = number | string | boolean | { readonly [name: string]: ParameterValue };

/** One dimension of a space: make it with `uniform`, `logUniform`, `integers`, `choices` or `variants`. */
export interface Dimension<T = unknown> {
  readonly kind: "uniform" | "logUniform" | "integers" | "choices" | "variants";
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly (number | string | boolean)[];
  readonly variants?: { readonly [name: string]: Space };
  /** For the compiler alone, and never there: the type of the values. */
  readonly type?: T;
}

/** Dimensions by the names of the parameters. */
export interface Space {
  readonly [name: string]: Dimension;
}

/** The parameters that are drawn from a space. */
export type ParametersOf<S extends Space> = {
  readonly [Name in keyof S]: S[Name] extends Dimension<infer T> ? T : never;
};

/** One of the variants by its name, with the parameters of that one. */
export type VariantOf<V extends { readonly [name: string]: Space }> = {
  [Name in keyof V]: { readonly kind: Name } & ParametersOf<V[Name]>;
}[keyof V];

/** A number between two others, each as likely as the next: for what may be added to. */
export function uniform(min: number, max: number): Dimension<number> {
  return checkDimension("uniform", { kind: "uniform", min, max }) as Dimension<number>;
}

/** A number between two positive ones whose logarithm is uniform: for what may be multiplied, such as a learning rate. */
export function logUniform(min: number, max: number): Dimension<number> {
  return checkDimension("logUniform", { kind: "logUniform", min, max }) as Dimension<number>;
}

/** A whole number from `min` to `max`, both among them. */
export function integers(min: number, max: number): Dimension<number> {
  return checkDimension("integers", { kind: "integers", min, max }) as Dimension<number>;
}

/** One of some numbers, texts or booleans. */
export function choices<const T extends number | string | boolean>(values: readonly T[]): Dimension<T> {
  return checkDimension("choices", { kind: "choices", values: isList(values) ? [...values] : values }) as Dimension<T>;
}

/**
 * One of some spaces, for parameters that only some choices have. What is drawn is an object with the name of the variant
 * as its `kind`, and with that variant's parameters.
 *
 * @example
 * const optimizer = variants({ sgd: { momentum: uniform(0, 0.99) }, adam: {} });
 * // drawn as { kind: "sgd", momentum: 0.3… } or { kind: "adam" }
 */
export function variants<V extends { readonly [name: string]: Space }>(spaces: V): Dimension<VariantOf<V>> {
  return checkDimension("variants", { kind: "variants", variants: spaces }) as Dimension<VariantOf<V>>;
}

const isScalar = (value: unknown): value is number | string | boolean =>
  typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
const isList = (values: unknown): values is readonly (number | string | boolean)[] => isArrayOf(values, isScalar);

const kind = unchecked<unknown>();
const RANGE = { kind, min: number(), max: number() };
const TABLES: Record<Dimension["kind"], RuleTable> = {
  uniform: RANGE,
  logUniform: RANGE,
  integers: { kind, min: integer(), max: integer() },
  choices: { kind, values: unchecked() },
  variants: { kind, variants: unchecked() },
};

/** Throws ModelError unless it is a dimension. */
function checkDimension(where: string, given: unknown): Dimension {
  const known = Object.keys(TABLES);
  const dimension = given as Dimension;
  if (kindOf(given) !== "Object" || !known.includes(dimension.kind)) {
    const came = kindOf(given) === "Object" ? `one of kind ${showValue(dimension.kind)}` : showValue(given);
    throw new ModelError(
      `${where}: must be a dimension, got ${came}: make one by uniform, logUniform, integers, choices or variants`,
    );
  }
  const table: RuleTable = TABLES[dimension.kind];
  checkNames(where, dimension, table);
  for (const name in table) table[name](where, name, dimension[name as keyof Dimension]);
  if (dimension.kind === "choices") checkChoices(where, dimension.values);
  else if (dimension.kind === "variants") checkVariants(where, dimension.variants);
  else checkRange(where, dimension);
  return dimension;
}

function checkRange(where: string, { kind, min = 0, max = 0 }: Dimension): void {
  if (kind === "logUniform" && min <= 0) {
    throw new ModelError(`${where}: min must be above 0, as it has a logarithm, got ${min}: take uniform`);
  }
  if (max <= min) throw new ModelError(`${where}: max must be above min, got ${min} and ${max}`);
  if (kind === "integers" && max - min >= 2 ** 32) {
    throw new ModelError(`${where}: must have at most 2^32 whole numbers, got ${min} to ${max}`);
  }
}

function checkChoices(where: string, values: unknown): void {
  if (!isList(values) || values.length === 0) {
    throw new ModelError(
      `${where}: values must be a list of numbers, texts or booleans, got ${showValue(values)}: name what else there is, and look it up`,
    );
  }
  if (new Set(values).size < values.length) {
    throw new ModelError(`${where}: values must differ, got ${showValue(values)}`);
  }
}

function checkVariants(where: string, spaces: unknown): void {
  if (kindOf(spaces) !== "Object" || Object.keys(spaces as object).length === 0) {
    throw new ModelError(`${where}: must have a space for each variant, got ${showValue(spaces)}`);
  }
  for (const [name, space] of Object.entries(spaces as object)) {
    checkDimensions(`${where}: ${showValue(name)}`, space);
    if (Object.hasOwn(space, "kind")) {
      throw new ModelError(
        `${where}: ${showValue(name)}: no dimension may be named "kind", got one: it is the variant's name`,
      );
    }
  }
}

function checkDimensions(where: string, given: unknown): void {
  if (kindOf(given) !== "Object") {
    throw new ModelError(`${where}: the space must be an object of dimensions by name, got ${showValue(given)}`);
  }
  for (const [name, dimension] of Object.entries(given as Space)) {
    checkDimension(`${where}: ${showValue(name)}`, dimension);
  }
}

/** Throws ModelError unless it is a space with at least one dimension. */
export function checkSpace(where: string, given: unknown): Space {
  checkDimensions(where, given);
  const names = Object.keys(given as Space);
  if (names.length === 0) {
    throw new ModelError(
      `${where}: the space must have a dimension, got ${showNames(names)}: add one such as uniform(0, 1)`,
    );
  }
  return given as Space;
}

// ——— Values ———

/** How many coordinates in [0, 1) a space has: one a dimension, and those of all variants, whichever is drawn. */
export function coordinatesOf(space: Space): number {
  return Object.values(space).reduce((sum, dimension) => sum + widthOf(dimension), 0);
}

function widthOf({ variants = {} }: Dimension): number {
  return 1 + Object.values(variants).reduce((sum, space) => sum + coordinatesOf(space), 0);
}

/** The parameters at a point, which has a coordinate in [0, 1) for each that the space has. */
export function parametersAt(space: Space, point: readonly number[]): Record<string, ParameterValue> {
  let at = 0;
  return Object.fromEntries(
    Object.entries(space).map(([name, dimension]) => {
      const width = widthOf(dimension);
      const value = valueAt(dimension, point.slice(at, at + width));
      at += width;
      return [name, value];
    }),
  );
}

function valueAt(dimension: Dimension, [first, ...rest]: readonly number[]): ParameterValue {
  const { kind, values = [], variants = {} } = dimension;
  if (kind === "choices") return values[Math.floor(first * values.length)];
  if (kind !== "variants") return numberAt(dimension, first);
  const names = Object.keys(variants);
  const drawn = Math.floor(first * names.length);
  const before = names.slice(0, drawn).reduce((sum, name) => sum + coordinatesOf(variants[name]), 0);
  return { kind: names[drawn], ...parametersAt(variants[names[drawn]], rest.slice(before)) };
}

/** A number of a range: at 0 its lower end, towards 1 its upper end. */
function numberAt({ kind, min = 0, max = 0 }: Dimension, at: number): number {
  if (kind === "integers") return Math.min(max, min + Math.floor(at * (max - min + 1)));
  const value = kind === "uniform" ? min + at * (max - min) : exp(log(min) + at * (log(max) - log(min)));
  return Math.min(max, Math.max(min, value));
}

/** All combinations of some values of each dimension: the first dimension changes last. */
export function gridOf(space: Space, levels: number): Record<string, ParameterValue>[] {
  return Object.entries(space).reduce<Record<string, ParameterValue>[]>(
    (points, [name, dimension]) => {
      const values = levelsOf(dimension, levels);
      return points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
    },
    [{}],
  );
}

/** How many combinations `gridOf` has, without making them. */
export function gridSize(space: Space, levels: number): number {
  return Object.values(space).reduce((product, { kind, min = 0, max = 0, values = [], variants = {} }) => {
    if (kind === "choices") return product * values.length;
    if (kind === "integers") return product * Math.min(levels, max - min + 1);
    if (kind !== "variants") return product * levels;
    return product * Object.values(variants).reduce((sum, inner) => sum + gridSize(inner, levels), 0);
  }, 1);
}

function levelsOf(dimension: Dimension, levels: number): ParameterValue[] {
  const { kind, min = 0, max = 0, values = [], variants = {} } = dimension;
  if (kind === "choices") return [...values];
  if (kind === "variants") {
    return Object.entries(variants).flatMap(([name, space]) =>
      gridOf(space, levels).map((parameters) => ({ kind: name, ...parameters })),
    );
  }
  if (kind === "integers") {
    const count = Math.min(levels, max - min + 1);
    return Array.from({ length: count }, (_, i) =>
      count === 1 ? min : min + Math.round((i * (max - min)) / (count - 1)),
    );
  }
  return Array.from({ length: levels }, (_, i) => {
    if (levels === 1) return numberAt(dimension, 0.5);
    // A logarithm's exponential may be next to the end.
    if (i === 0) return min;
    if (i === levels - 1) return max;
    return numberAt(dimension, i / (levels - 1));
  });
}

/** A budget: a positive number. */
export function budgetRule(fallback?: number) {
  return (where: string, name: string, value: unknown = fallback): number => {
    if (checkNumber(where, name, value, 0, Infinity) > 0) return value as number;
    throw new ModelError(`${where}: ${name} must be above 0, got ${showValue(value)}`);
  };
}
