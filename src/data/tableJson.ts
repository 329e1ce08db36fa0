// Checks a fitted table that may come from a file.
import { DataError, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import type { TableTarget } from "./tableColumns.js";
import { isCyclic } from "./tableDates.js";
import { DATE_PARTS, MAX_HASH } from "./tableOptions.js";
import type { TableTransformData } from "./tableTransform.js";

type Test = (value: unknown) => boolean;
type Fields = { readonly [field: string]: Test };

const isText: Test = (value) => typeof value === "string";
const isFlag: Test = (value) => typeof value === "boolean";
const isNumber: Test = (value) => Number.isFinite(value);
const isScale: Test = (value) => Number.isFinite(value) && (value as number) > 0;
const isFill: Test = (value) => value === null || isNumber(value);
const oneOf =
  (...choices: readonly unknown[]): Test =>
  (value) =>
    choices.includes(value);
const texts = (value: unknown): value is readonly string[] =>
  isArrayOf(value, (one): one is string => isText(one)) && new Set(value).size === value.length;
const isDecimal = oneOf("plain", ".", ",");

const scaled = { offset: isNumber, scale: isScale };
const filled = { fill: isFill, indicator: isFlag };

const isPart: Test = (value) => {
  if (!fits(value, { part: oneOf(...DATE_PARTS), ...scaled })) return false;
  const { part, offset, scale } = value as { part: (typeof DATE_PARTS)[number]; offset: number; scale: number };
  return !isCyclic(part) || (offset === 0 && scale === 1);
};

const isCategoryRule: Test = (value) => oneOf("feature", "zeros", "error")(value) || fits(value, { value: isText });

/** The fields of each type of column, besides its name. */
const COLUMNS: ReadonlyMap<unknown, Fields> = new Map<unknown, Fields>([
  ["number", { ...filled, ...scaled, decimal: isDecimal }],
  ["boolean", filled],
  [
    "date",
    {
      ...filled,
      order: oneOf("iso", "dayFirst", "monthFirst"),
      parts: (value) => isArrayOf(value, (one): one is object => isPart(one)) && value.length > 0,
    },
  ],
  [
    "category",
    {
      categories: (value) => texts(value) && value.length > 0,
      missing: isCategoryRule,
      unknown: oneOf("zeros", "error"),
    },
  ],
  ["ordinal", { ...filled, ...scaled, values: (value) => texts(value) && value.length > 1 }],
  [
    "hash",
    {
      size: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_HASH,
      seed: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
      words: isFlag,
    },
  ],
]);

const isLabel: Test = (value) => isText(value) || isFlag(value) || isNumber(value);

const TARGETS: ReadonlyMap<unknown, Fields> = new Map<unknown, Fields>([
  [
    "classes",
    {
      classes: (value) =>
        isArrayOf(value, (one): one is string => isLabel(one)) &&
        value.length > 1 &&
        new Set(value.map(String)).size === value.length,
    },
  ],
  ["numbers", { ...scaled, decimal: isDecimal }],
]);

/** Whether an object has the fields and no others. */
function fits(value: unknown, fields: Fields): boolean {
  if (kindOf(value) !== "Object") return false;
  const names = Object.keys(fields);
  const object = value as Record<string, unknown>;
  return (
    Object.keys(object).length === names.length &&
    names.every((name) => Object.hasOwn(object, name) && fields[name](object[name]))
  );
}

/** The field that is wrong, and its value, if one is. */
function wrongIn(path: string, value: unknown, kinds: ReadonlyMap<unknown, Fields>): [string, unknown] | undefined {
  if (kindOf(value) !== "Object") return [path, value];
  const object = value as Record<string, unknown>;
  const fields = kinds.get(object.type);
  if (fields === undefined) return [`${path}.type`, object.type];
  const all: Fields = { name: isText, type: isText, ...fields };
  if (fits(object, all)) return undefined;
  const wrong = Object.keys(all).find((field) => !Object.hasOwn(object, field) || !all[field](object[field]));
  return wrong === undefined ? [path, value] : [`${path}.${wrong}`, object[wrong]];
}

function checkTargets(
  target: TableTransformData["target"],
  check: (wrong: [string, unknown] | undefined) => void,
  refuse: (field: string, value: unknown) => never,
): readonly TableTarget[] {
  if (!Array.isArray(target)) {
    check(wrongIn("target", target, TARGETS));
    return [target as TableTarget];
  }
  if (target.length === 0) refuse("target", target);
  for (let at = 0; at < target.length; at++) {
    check(wrongIn(`target[${at}]`, target[at], TARGETS));
    const { type, classes } = target[at];
    if (type !== target[0].type) refuse(`target[${at}].type`, type);
    if (type === "classes" && classes.length !== 2) refuse(`target[${at}].classes`, classes);
  }
  return target;
}

/** Returns a copy of the data. Throws DataError if they are not what `toJSON` gives. */
export function checkTableData(where: string, data: TableTransformData): TableTransformData {
  if (kindOf(data) !== "Object") throw new DataError(`${where}: the data must be an object, got ${showValue(data)}`);
  const { missingValues, columns, target, weights } = data;
  const refuse = (field: string, value: unknown): never => {
    throw new DataError(`${where}: ${field} must be what toJSON() gives, got ${showValue(value)}: is the file whole?`);
  };
  const check = (wrong: [string, unknown] | undefined): void => {
    if (wrong !== undefined) refuse(...wrong);
  };
  if (!texts(missingValues)) refuse("missingValues", missingValues);
  if (!Array.isArray(columns) || columns.length === 0) refuse("columns", columns);
  // One after another, as an array may have a billion holes.
  for (let at = 0; at < columns.length; at++) check(wrongIn(`columns[${at}]`, columns[at], COLUMNS));
  const names = columns.map(({ name }) => name);
  if (new Set(names).size < names.length) refuse("columns", names);
  const targets = checkTargets(target, check, refuse);
  for (const { name } of targets) {
    if (names.includes(name)) refuse("target.name", name);
    names.push(name);
  }
  if (weights !== undefined && (!isText(weights) || names.includes(weights))) {
    refuse("weights", weights);
  }
  return JSON.parse(JSON.stringify({ missingValues, columns, target, weights }));
}
