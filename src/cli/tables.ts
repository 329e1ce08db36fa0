// Tables that a command is given: a file, or what comes in on stdin.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CSV_OPTIONS, csvRowsFor } from "../data/csv.js";
import { jsonLineRowsFor } from "../data/jsonLines.js";
import { PARQUET_OPTIONS, parquetRowsFor } from "../data/parquet.js";
import { rowsFrom, type TableRows } from "../data/tableRows.js";
import { readOptions } from "../engine/options.js";
import { piecesOfFile } from "../platform/filePieces.js";
import { oneOf, UsageError } from "./options.js";
import { bytesText } from "./terminal.js";
import { sizeOfFile, type WorkDisplay } from "./workDisplay.js";

export const TABLE_INPUT_OPTIONS = {
  format: { placeholder: "NAME", default: "", help: "csv, jsonl or parquet; else by the file's ending, csv on stdin" },
  delimiter: { placeholder: "TEXT", default: "", help: "of CSV; else found in the first line (tab: a tab)" },
  encoding: { placeholder: "NAME", default: "", help: "of CSV, as windows-1252; else UTF-8, or UTF-16 by its mark" },
  "no-header": { help: 'of CSV: the first line has values; columns are called "column 1" and so on' },
} as const;

type Given = {
  readonly format: string;
  readonly delimiter: string;
  readonly encoding: string;
  readonly "no-header": boolean;
};

const FORMATS = ["", "csv", "jsonl", "parquet"] as const;

/** The rows of a file, or of stdin if it is "-". They are read as they are gone through; `work` shows how far that has come. */
export function rowsOf(where: string, path: string, given: Given, work: WorkDisplay): TableRows {
  const format = oneOf("format", given.format, FORMATS) || formatOf(path);
  if (format === "parquet") {
    if (path === "-") throw new UsageError("parquet must be a file, as it is read from its end, got stdin");
    return shown(parquetRowsFor(where, fileOf(path), readOptions(where, {}, PARQUET_OPTIONS)), work);
  }
  const bytes: BytesRead = { read: 0, total: sizeOfFile(path) };
  const source = () => counted(path === "-" ? process.stdin : piecesOfFile(where, path), bytes);
  if (format === "jsonl") return shown(jsonLineRowsFor(where, source), work, bytes);
  const options = {
    ...(given.delimiter === "" ? {} : { delimiter: given.delimiter === "tab" ? "\t" : given.delimiter }),
    ...(given.encoding === "" ? {} : { encoding: given.encoding }),
    header: !given["no-header"],
  };
  return shown(csvRowsFor(where, source, readOptions(where, options, CSV_OPTIONS)), work, bytes);
}

/** How many bytes were read, of how many: that is not known of stdin. */
interface BytesRead {
  read: number;
  readonly total: number | undefined;
}

async function* counted(pieces: AsyncIterable<Uint8Array>, bytes: BytesRead): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    bytes.read += piece.length;
    yield piece;
  }
}

/** The same rows, which are shown as they go by: how many, and of how many bytes. */
function shown(rows: TableRows, work: WorkDisplay, bytes?: BytesRead): TableRows {
  return rowsFrom(rows.place, async function* () {
    let count = 0;
    for await (const block of rows.blocks()) {
      count += block.rows.length;
      const text = `${count.toLocaleString("en-US")} rows`;
      const { read, total } = bytes ?? { read: 0, total: undefined };
      const of = total === undefined ? "" : ` of ${bytesText(total)}`;
      work.show(read, total, read === 0 ? text : `${text}  ${bytesText(read)}${of}`);
      yield block;
    }
  });
}

/** Refuses a model and a table that are both to come on stdin. */
export function checkStdin(model: string, data: string): void {
  if (model === "-" && data === "-") throw new UsageError("the model or the data may be stdin, got - for both");
}

// A text with a line break in it would be taken for the table itself.
const fileOf = (path: string): URL => pathToFileURL(resolve(path));

/** By the ending of a file's name. */
export function formatOf(path: string): "csv" | "jsonl" | "parquet" {
  if (/\.(jsonl|ndjson)$/i.test(path)) return "jsonl";
  return /\.parquet$/i.test(path) ? "parquet" : "csv";
}
