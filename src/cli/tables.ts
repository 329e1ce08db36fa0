// Tables that a command is given: a file, or what comes in on stdin.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { csvRows } from "../data/csv.js";
import { jsonLineRows } from "../data/jsonLines.js";
import { parquetRows } from "../data/parquet.js";
import type { TableRows } from "../data/tableRows.js";
import { oneOf, UsageError } from "./options.js";

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

/** The rows of a file, or of stdin if it is "-". They are read as they are gone through. */
export function rowsOf(path: string, given: Given): TableRows {
  const format = oneOf("format", given.format, FORMATS) || formatOf(path);
  const isStdin = path === "-";
  if (format === "parquet") {
    if (isStdin) throw new UsageError("parquet must be a file, as it is read from its end, got stdin");
    return parquetRows(fileOf(path));
  }
  const source = isStdin ? process.stdin : fileOf(path);
  if (format === "jsonl") return jsonLineRows(source);
  return csvRows(source, {
    ...(given.delimiter === "" ? {} : { delimiter: given.delimiter === "tab" ? "\t" : given.delimiter }),
    ...(given.encoding === "" ? {} : { encoding: given.encoding }),
    header: !given["no-header"],
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
