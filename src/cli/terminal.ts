// What is printed, and where: for people, or for programs.

/** Whether a stream is a terminal that shows colours: https://no-color.org */
function hasColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && stream.hasColors?.() === true;
}

const styled =
  (on: number, off: number) =>
  (text: string): string =>
    hasColours(process.stdout) ? `\u001b[${on}m${text}\u001b[${off}m` : text;

export const bold = styled(1, 22);
export const dim = styled(2, 22);
export const green = styled(32, 39);

/** Says something to people: on stdout, or on stderr if that is for a program. */
export type Say = (text: string) => void;

export const sayWith = (json: boolean): Say => (json ? (text) => console.error(text) : (text) => console.log(text));

/** The object that a program reads, as the last line. What is no number is null. */
export function printResult(result: object): void {
  console.log(JSON.stringify(result));
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
