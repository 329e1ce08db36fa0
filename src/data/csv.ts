// CSV: text to rows, a piece at a time. csv-parse reads the records; what is done here is to find where one ends.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { choice, flag, fn, type OptionRule, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { type CsvParser, dataHost } from "./host.js";
import { type RowBlock, rowsFrom, type TableRows } from "./tableRows.js";
import { checkEncoding, checkSource, type TableSource, textsOf } from "./tableSource.js";

export interface CsvOptions {
  /** Between two values. Default: the most frequent of comma, semicolon, tab and | in the first line, the comma if there is none. */
  delimiter?: string | undefined;
  /** Around values that contain a delimiter, a line break, or the quote itself, doubled. `false`: quotes are letters. Default `"`. */
  quote?: string | false;
  /** Of bytes: a label that `TextDecoder` knows. Default: UTF-16 if it begins with that mark, else UTF-8. */
  encoding?: string | undefined;
  /** Whether the first row has the names. Default true. */
  header?: boolean;
  /** Names of the columns, in place of the header's. Default without a header: "column 1" and so on. */
  names?: readonly string[] | undefined;
  /** Rows with fewer values than names: "error", or "fill", which takes the rest as missing, and ignores empty values at the end of longer rows. Default "error". */
  ragged?: "error" | "fill";
  /**
   * csv-parse's `parse`, if it cannot be loaded by its name, as in a page:
   * `import { parse } from "csv-parse/browser/esm/sync"`. Default: that of the installed package.
   */
  parser?: CsvParser | undefined;
}

const oneCharacter = (where: string, name: string, value: unknown): string => {
  if (typeof value === "string" && value.length === 1 && !/[\r\n\ufeff]/.test(value)) return value;
  throw new ModelError(`${where}: ${name} must be one character that is no line break, got ${showValue(value)}`);
};

const encodingRule: OptionRule<string | undefined> = (where, name, value) => {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new ModelError(`${where}: ${name} must be text, got ${showValue(value)}`);
  return checkEncoding(where, value);
};

const namesRule: OptionRule<readonly string[] | undefined> = (where, name, value) => {
  if (value === undefined) return undefined;
  const isName = (one: unknown): one is string => typeof one === "string" && one !== "";
  if (isArrayOf(value, isName) && value.length > 0 && new Set(value).size === value.length) return [...value];
  throw new ModelError(`${where}: ${name} must be an array of different texts, not empty, got ${showValue(value)}`);
};

export const CSV_OPTIONS = {
  delimiter: optional<string>(oneCharacter),
  quote: (where, name, value = '"') => (value === false ? false : oneCharacter(where, name, value)),
  encoding: encodingRule,
  header: flag(true),
  names: namesRule,
  ragged: choice("error", ["error", "fill"]),
  parser: optional(fn<CsvParser>()),
} satisfies OptionsOf<CsvOptions>;

type CsvPlan = { readonly [Name in keyof typeof CSV_OPTIONS]: ReturnType<(typeof CSV_OPTIONS)[Name]> };

/**
 * The rows of a CSV file (RFC 4180, and what is found in its place: other delimiters, any line breaks, a byte order mark, spaces
 * around values). Values are texts; blank lines are skipped. Read as it is gone through, in flat memory; a stream can be gone
 * through once. `csv-parse` is an optional peer: install it.
 *
 * @throws {DataError} While it is read: for wrong quotes, rows that are too short or too long, and names that come twice, with the
 * line; {ModelError} for wrong options.
 * @example
 * for await (const { age } of csvRows("name,age\nAda,36\n")) {
 *   // "36"
 * }
 */
export function csvRows(source: TableSource, options: CsvOptions = {}): TableRows {
  return csvRowsFor("csvRows", source, readOptions("csvRows", options, CSV_OPTIONS));
}

/** The same for a function of another name. */
export function csvRowsFor(where: string, source: TableSource, plan: CsvPlan): TableRows {
  checkSource(where, source);
  if (plan.quote !== false && plan.quote === plan.delimiter) {
    throw new ModelError(`${where}: quote and delimiter must differ, got ${showValue(plan.quote)} for both`);
  }
  return rowsFrom("line", () => csvBlocks(where, source, plan));
}

async function parserOf(where: string, parser: CsvParser | undefined): Promise<CsvParser> {
  if (parser !== undefined) return parser;
  const host = dataHost();
  if (host !== undefined) return host.csvParser(where);
  throw new ModelError(
    `${where}: parser must be given here, as packages cannot be loaded by name: import { parse } from "csv-parse/browser/esm/sync", and add { parser: parse }`,
  );
}

async function* csvBlocks(where: string, source: TableSource, plan: CsvPlan): AsyncGenerator<RowBlock> {
  const parser = await parserOf(where, plan.parser);
  const { quote } = plan;
  let delimiter = plan.delimiter;
  let names: readonly string[] | undefined;
  let line = 1;
  for await (const text of wholeRecords(where, textsOf(where, source, plan.encoding), quote)) {
    delimiter ??= delimiterOf(text, quote);
    const { records, numbers } = parsed(where, parser, text, { delimiter, quote }, line);
    line += breaksIn(text);
    if (records.length === 0) continue;
    if (names === undefined) {
      names = namesOf(where, plan, records[0], numbers[0]);
      if (plan.header) {
        records.shift();
        numbers.shift();
      }
    }
    const columns = names;
    const rows = records.map((record, at) => fitted(where, record, columns, numbers[at], plan.ragged));
    if (rows.length > 0) yield { names, rows, numbers };
  }
}

// Longer than any record; a quote that is not closed must not take all memory.
const MAX_RECORD = 2 ** 24;

/** Text up to the end of a record, with `\n` as the only line break. Each quote opens or closes, doubled ones do both. */
async function* wholeRecords(
  where: string,
  texts: AsyncIterable<string>,
  quote: string | false,
): AsyncGenerator<string> {
  let rest = "";
  let isOpen = false;
  let line = 1;
  let isHalf = false; // a carriage return whose line feed may come
  for await (const piece of texts) {
    let text: string = isHalf ? `\r${piece}` : piece;
    isHalf = text.endsWith("\r");
    if (isHalf) text = text.slice(0, -1);
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
    const { end, open } = lastEnd(text, quote, isOpen);
    isOpen = open;
    if (end < 0) {
      rest += text;
      if (rest.length > MAX_RECORD) {
        throw new DataError(
          `${where}: a row must have at most ${MAX_RECORD} characters, got more from line ${line}: a quote is not closed`,
        );
      }
      continue;
    }
    const whole = rest + text.slice(0, end + 1);
    line += breaksIn(whole);
    yield whole;
    rest = text.slice(end + 1);
  }
  if (rest !== "") yield rest;
}

/** Where the last line break outside of quotes is, and whether the text ends within quotes. */
function lastEnd(text: string, quote: string | false, wasOpen: boolean): { end: number; open: boolean } {
  if (quote === false) return { end: text.lastIndexOf("\n"), open: false };
  let open = wasOpen;
  for (let at = text.indexOf(quote); at >= 0; at = text.indexOf(quote, at + 1)) open = !open;
  let isOutside = !open;
  let to = text.length;
  while (to > 0) {
    const from = text.lastIndexOf(quote, to - 1);
    if (isOutside) {
      const end = text.lastIndexOf("\n", to - 1);
      if (end > from) return { end, open };
    }
    isOutside = !isOutside;
    to = from;
  }
  return { end: -1, open };
}

function breaksIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

const DELIMITERS = [",", ";", "\t", "|"];

/** The most frequent delimiter in the first line that is not blank, outside of quotes. */
function delimiterOf(text: string, quote: string | false): string {
  const counts = new Map(DELIMITERS.map((one) => [one, 0]));
  let isOpen = false;
  let isBlank = true;
  for (const character of text) {
    if (character === quote) isOpen = !isOpen;
    if (isOpen) continue;
    if (character === "\n" && !isBlank) break;
    if (character.trim() !== "") isBlank = false;
    const count = counts.get(character);
    if (count !== undefined) counts.set(character, count + 1);
  }
  const best = Math.max(...counts.values());
  return best === 0 ? "," : (DELIMITERS.find((one) => counts.get(one) === best) ?? ",");
}

interface Format {
  readonly delimiter: string;
  readonly quote: string | false;
}

/** Records with the line that each begins at, without blank ones. */
function parsed(
  where: string,
  parser: CsvParser,
  text: string,
  { delimiter, quote }: Format,
  first: number,
): { records: string[][]; numbers: number[] } {
  // Trimming would take a tab that is a delimiter.
  const trim = delimiter.trim() !== "";
  const format = { delimiter, quote, record_delimiter: "\n", relax_column_count: true, trim, bom: false };
  let all: unknown;
  try {
    all = (parser as unknown as (text: string, options: object) => unknown)(text, format);
  } catch (error) {
    throw quoteError(where, error, first);
  }
  if (!isArrayOf(all, Array.isArray)) {
    throw new ModelError(
      `${where}: parser must be the synchronous parse of csv-parse, whose result is an array of arrays, got ${showValue(all)}`,
    );
  }
  const mayBreak = quote !== false && text.includes(quote);
  const records: string[][] = [];
  const numbers: number[] = [];
  let line = first;
  for (const record of all as string[][]) {
    const isBlank = record.length === 1 && record[0] === "";
    if (!isBlank) {
      records.push(record);
      numbers.push(line);
    }
    line += 1;
    if (mayBreak) for (const value of record) line += breaksIn(value);
  }
  return { records, numbers };
}

/** What csv-parse found, with the line of the file instead of that of the piece. */
function quoteError(where: string, error: unknown, first: number): unknown {
  const { code, lines } = (error ?? {}) as { code?: unknown; lines?: unknown };
  if (typeof code !== "string" || typeof lines !== "number") return error;
  // Its record is all that there is in the last piece.
  const isOpen = code === "CSV_QUOTE_NOT_CLOSED";
  const line = isOpen ? first : first + lines - 1;
  const rule = isOpen
    ? "a quote that opens a value must be closed"
    : "a value with a quote in it must be in quotes, and the quote doubled";
  return new DataError(
    `${where}: ${rule}, got ${code} at line ${line}: mend the line, or set quote: false if quotes are letters`,
    { cause: error },
  );
}

function namesOf(where: string, plan: CsvPlan, first: readonly string[], line: number): readonly string[] {
  const { header, names: given } = plan;
  if (given !== undefined) {
    if (given.length === first.length) return given;
    throw new ModelError(`${where}: names must be one for each of the ${first.length} columns, got ${given.length}`);
  }
  const names = first.map((name, at) => (header && name.trim() !== "" ? name.trim() : `column ${at + 1}`));
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return names;
  throw new DataError(
    `${where}: each column must have a name of its own, got ${showValue(twice)} twice in line ${line} (${showNames(names)}): give others as names`,
  );
}

function fitted(
  where: string,
  record: string[],
  names: readonly string[],
  line: number,
  ragged: "error" | "fill",
): string[] {
  const { length } = names;
  if (record.length === length) return record;
  if (ragged === "fill") {
    if (record.length < length) return record;
    if (record.slice(length).every((value) => value === "")) return record.slice(0, length);
  }
  const remedy =
    record.length < length ? 'ragged: "fill" takes the rest as missing' : "check its quotes and delimiters";
  throw new DataError(
    `${where}: each row must have ${length} values, got ${record.length} in line ${line}, ${showValue(record)}: ${remedy}`,
  );
}
