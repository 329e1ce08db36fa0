// Values of cells: what they are by themselves, and read as the type that their column has.
import { DataError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";

/** What a value is by itself. "grouped" may have a decimal comma or thousands; "localDate" a month or a day first. */
export type ValueKind =
  | "missing"
  | "number"
  | "infinite"
  | "grouped"
  | "boolean"
  | "date"
  | "localDate"
  | "text"
  | "other";

export type Decimal = "plain" | "." | ",";
export type DateOrder = "iso" | "dayFirst" | "monthFirst";

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const INFINITE = /^[+-]?inf(?:inity)?$/i;
const GROUPED = /^[+-]?\d{1,3}(?:[.,' \u00a0\u202f’]\d{3})*(?:[.,]\d+)?$|^[+-]?\d+,\d+$/;
const TIME = String.raw`(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$`;
const ISO = new RegExp(String.raw`^(\d{4})[-/](\d{1,2})[-/](\d{1,2})${TIME}`, "i");
const LOCAL = new RegExp(String.raw`^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})${TIME}`, "i");
const BOOLEANS: ReadonlyMap<string, number> = new Map([
  ["true", 1],
  ["yes", 1],
  ["false", 0],
  ["no", 0],
]);

/** A value that is there, as categories have it. */
export const textOf = (value: unknown): string =>
  kindOf(value) === "Date" ? new Date(value as Date).toISOString() : String(value).trim();

export function isMissing(value: unknown, missing: ReadonlySet<string>): boolean {
  if (value === undefined || value === null) return true;
  if (typeof value === "string") return missing.has(value.trim());
  return Number.isNaN(value) || (kindOf(value) === "Date" && Number.isNaN(Number(value)));
}

export function kindOfCell(value: unknown, missing: ReadonlySet<string>): ValueKind {
  if (isMissing(value, missing)) return "missing";
  if (typeof value === "number") return Number.isFinite(value) ? "number" : "infinite";
  if (typeof value === "bigint") return "number";
  if (typeof value === "boolean") return "boolean";
  if (typeof value !== "string") return kindOf(value) === "Date" ? "date" : "other";
  const text = value.trim();
  if (NUMBER.test(text)) return Number.isFinite(Number(text)) ? "number" : "infinite";
  if (INFINITE.test(text)) return "infinite";
  if (BOOLEANS.has(text.toLowerCase())) return "boolean";
  if (GROUPED.test(text)) return "grouped";
  if (ISO.test(text)) return "date";
  return LOCAL.test(text) ? "localDate" : "text";
}

/** Throws DataError that names the column and the place of the value. */
export type Refuse = (rule: string, value: unknown, remedy: string) => never;

export function refusal(where: string, column: string, place: string): Refuse {
  return (rule, value, remedy) => {
    throw new DataError(
      `${where}: column ${showValue(column)}: ${rule}, got ${showValue(value)} in ${place}: ${remedy}`,
    );
  };
}

/** A number from a value that is there. */
export function readNumber(value: unknown, decimal: Decimal, refuse: Refuse): number {
  if (typeof value === "boolean") return Number(value);
  let text = typeof value === "string" ? value.trim() : value;
  if (typeof text === "string" && decimal !== "plain") {
    text = text.replace(decimal === "." ? /[,' \u00a0\u202f’]/g : /[.' \u00a0\u202f’]/g, "").replace(",", ".");
  }
  const isNumber =
    typeof text === "number" || typeof text === "bigint" || (typeof text === "string" && NUMBER.test(text));
  const isInfinite = typeof text === "string" && INFINITE.test(text);
  if (!isNumber && !isInfinite) {
    const grouped = typeof value === "string" && decimal === "plain" && GROUPED.test(value.trim());
    const remedy = grouped
      ? 'say what its point is, as { decimal: "," }'
      : 'mend it, name it in missingValues, or take the column as a "category"';
    return refuse("each value must be a number", value, remedy);
  }
  const number = isInfinite ? Infinity : Number(text);
  if (Number.isFinite(number)) return number;
  return refuse("each number must be finite", value, "mend it, or name it in missingValues");
}

/** 0 or 1 from a value that is there. */
export function readBoolean(value: unknown, refuse: Refuse): number {
  if (typeof value === "boolean" || value === 0 || value === 1) return Number(value);
  const text = typeof value === "string" ? value.trim().toLowerCase() : "";
  const known = BOOLEANS.get(text) ?? (text === "1" ? 1 : text === "0" ? 0 : undefined);
  return (
    known ?? refuse("each value must be true or false, yes or no, 1 or 0", value, 'take the column as a "category"')
  );
}

/** Milliseconds since 1970 from a value that is there. Times without a zone are in UTC. */
export function readDate(value: unknown, order: DateOrder, refuse: Refuse): number {
  if (kindOf(value) === "Date") return Number(value);
  const text = typeof value === "string" ? value.trim() : "";
  const iso = ISO.exec(text);
  const local = order === "iso" ? null : LOCAL.exec(text);
  const found = iso ?? local;
  if (found === null) {
    const remedy = LOCAL.test(text)
      ? 'say what comes first, as { type: "date", order: "dayFirst" }'
      : "write dates as 2024-01-31, or 2024-01-31T12:00:00Z";
    return refuse("each value must be a date", value, remedy);
  }
  const [, a, b, c, ...time] = found;
  const [year, month, day] = iso ? [a, b, c] : order === "dayFirst" ? [c, b, a] : [c, a, b];
  const instant = instantOf(Number(year), Number(month), Number(day), time);
  return instant ?? refuse("each date must be one of the calendar", value, "mend it, or name it in missingValues");
}

function instantOf(
  year: number,
  month: number,
  day: number,
  [hours = "0", minutes = "0", seconds = "0", fraction = "0", zone = "Z"]: readonly (string | undefined)[],
): number | undefined {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  const [h, m, s] = [Number(hours), Number(minutes), Number(seconds)];
  if (!isReal || h > 23 || m > 59 || s > 59) return undefined;
  const offset = /^z$/i.test(zone)
    ? 0
    : Number(`${zone[0]}1`) * (60 * Number(zone.slice(1, 3)) + Number(zone.slice(-2)));
  return date.getTime() + ((h * 60 + m - offset) * 60 + s) * 1000 + Math.floor(Number(`0.${fraction}`) * 1000);
}
