// What is printed, and where: for people, or for programs.
import { stripVTControlCharacters } from "node:util";

/** Whether a stream is a terminal that shows colours, or was said to be: https://no-color.org, https://force-color.org */
function hasColours(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  return stream.isTTY === true && stream.hasColors?.() === true;
}

/** Styles are taken away again when something is printed where there are none. */
const styled =
  (on: number, off: number) =>
  (text: string): string =>
    `\u001b[${on}m${text}\u001b[${off}m`;

export const bold = styled(1, 22);
export const dim = styled(2, 22);
export const green = styled(32, 39);

export type Say = (text: string) => void;

export interface Voice {
  /** Says something to people. */
  readonly say: Say;
  /** Where that goes: stdout, or stderr if stdout is for a program. */
  readonly stream: "stdout" | "stderr";
  /** The object of `--json`, as a line: the last one. What is no number is null. */
  result(result: object): void;
}

let isFileMade = false;

/** Whether what goes to stdout may be lost, as the result is a file. */
export const areWordsBesides = (): boolean => isFileMade;

/** How a command speaks that was given `--json` or not. `output`: the file that it makes; "-" is stdout, where nothing else may be then. */
export function voiceOf({ json }: { readonly json: boolean }, output = ""): Voice {
  const isTaken = output === "-";
  if (output !== "" && !isTaken) isFileMade = true;
  const stream = json || isTaken ? "stderr" : "stdout";
  const print = stream === "stderr" ? console.error : console.log;
  return {
    stream,
    say: (text) => print(hasColours(process[stream]) ? text : stripVTControlCharacters(text)),
    result(result) {
      if (json) (isTaken ? console.error : console.log)(JSON.stringify(result));
    },
  };
}

/** Rows of cells as columns, the first of which begin left. */
export function columnsOf(rows: readonly (readonly string[])[], alignRight: readonly number[] = []): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          alignRight.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Bytes in units of 1024. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

/** A number for people. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toPrecision(4);
  return Number.isInteger(value) ? value.toLocaleString("en-US") : value.toFixed(4);
}
