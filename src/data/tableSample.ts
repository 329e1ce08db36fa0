// Some of a table's rows, drawn while all of them go by, in bounded memory and in their order.
import { type RandomNumbers, randomNumbers } from "../engine/randomNumbers.js";
import { PackedCells } from "./tableCells.js";

// Of ten columns of numbers 6 MB. The standard error of a mean of half as many rows is 0.6 % of a standard deviation.
const MAX_ROWS = 2 ** 16;

/** About as many bytes as a row takes in packed columns, if no text comes twice. */
export function sizeOfRow(row: readonly unknown[]): number {
  let bytes = 9 * row.length;
  for (const value of row) if (typeof value === "string") bytes += value.length;
  return bytes;
}

interface Drawn {
  readonly cells: PackedCells;
  /** Of each row: which one it is in the table, how errors number it, and what was drawn for it. */
  readonly places: number[];
  readonly numbers: number[];
  readonly draws: number[];
  bytes: number;
}

/**
 * Each row is drawn a number from 0 to 1, and those below a limit are kept. When they become too many the limit is halved, so at any time
 * the rows that are there are as likely as all others.
 */
export class RowSample {
  readonly #random: RandomNumbers;
  readonly #maxBytes: number;
  #limit = 1;
  #drawn = nothingDrawn();

  /** `maxBytes`: what the rows may take in packed columns. */
  constructor(seed: number, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#random = randomNumbers(seed);
  }

  /** `place`: which row it is in the table. */
  add(names: readonly string[], row: readonly unknown[], place: number, number: number): void {
    const draw = this.#random.uniform();
    if (draw >= this.#limit) return;
    keep(this.#drawn, names, row, { place, number, draw });
    while (
      this.#drawn.draws.length > MAX_ROWS ||
      (this.#drawn.bytes > this.#maxBytes && this.#drawn.draws.length > 1)
    ) {
      this.#limit /= 2;
      const { cells, places, numbers, draws } = this.#drawn;
      const fewer = nothingDrawn();
      draws.forEach((one, at) => {
        if (one >= this.#limit) return;
        const values = names.map((_, column) => cells.at(at, column));
        keep(fewer, names, values, { place: places[at], number: numbers[at], draw: one });
      });
      this.#drawn = fewer;
    }
  }

  get rows(): Omit<Drawn, "draws" | "bytes"> {
    return this.#drawn;
  }
}

const nothingDrawn = (): Drawn => ({ cells: new PackedCells(), places: [], numbers: [], draws: [], bytes: 0 });

function keep(
  drawn: Drawn,
  names: readonly string[],
  row: readonly unknown[],
  { place, number, draw }: { readonly place: number; readonly number: number; readonly draw: number },
): void {
  drawn.cells.add({ names, rows: [row], numbers: [number] });
  drawn.places.push(place);
  drawn.numbers.push(number);
  drawn.draws.push(draw);
  drawn.bytes += sizeOfRow(row);
}
