// JSON lines: an object in each line.
import { DataError, showValue } from "../engine/errors.js";
import { type OptionsOf, readOptions } from "../engine/options.js";
import { blockOfObjects, type RowBlock, rowsFrom, type TableRows } from "./tableRows.js";
import { checkSource, type TableSource, textsOf } from "./tableSource.js";

export type JsonLinesOptions = Record<never, never>;

const OPTIONS = {} satisfies OptionsOf<JsonLinesOptions>;

/**
 * The rows of a file of JSON lines: an object in each, with a value by the name of each column. An object may lack some, and have
 * others than those before. Read as it is gone through, in flat memory; a stream can be gone through once.
 *
 * @throws {DataError} While it is read: for a line that is no object of JSON.
 * @example
 * for await (const { age } of jsonLineRows('{"name": "Ada", "age": 36}\n')) {
 *   // 36
 * }
 */
export function jsonLineRows(source: TableSource, options: JsonLinesOptions = {}): TableRows {
  readOptions("jsonLineRows", options, OPTIONS);
  return jsonLineRowsFor("jsonLineRows", source);
}

/** The same for a function of another name. */
export function jsonLineRowsFor(where: string, source: TableSource): TableRows {
  checkSource(where, source);
  return rowsFrom("line", () => jsonBlocks(where, source));
}

async function* jsonBlocks(where: string, source: TableSource): AsyncGenerator<RowBlock> {
  const names = new Map<string, number>();
  let line = 1;
  for await (const lines of linesOf(textsOf(where, source))) {
    const objects: unknown[] = [];
    const numbers: number[] = [];
    lines.forEach((text, at) => {
      if (text.trim() === "") return;
      objects.push(objectOf(where, text, line + at));
      numbers.push(line + at);
    });
    if (objects.length > 0) yield blockOfObjects(where, "line", objects, names, line, numbers);
    line += lines.length;
  }
}

/** Whole lines, as many as each piece of text ends. */
async function* linesOf(texts: AsyncIterable<string>): AsyncGenerator<string[]> {
  let rest: string[] = [];
  for await (const text of texts) {
    const [first, ...lines] = text.split("\n");
    rest.push(first);
    if (lines.length === 0) continue;
    const last = lines.pop() ?? "";
    yield [rest.join(""), ...lines];
    rest = [last];
  }
  yield [rest.join("")];
}

function objectOf(where: string, text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const remedy = text.trim().startsWith("[")
      ? "of a file that is one array, hand table() what JSON.parse gives"
      : "mend the line";
    throw new DataError(`${where}: line ${line} must be an object of JSON, got ${showValue(text.trim())}: ${remedy}`, {
      cause,
    });
  }
}
