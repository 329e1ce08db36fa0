// Cells in packed columns come back as they went in.
import { expect, test } from "vitest";
import { chosenCells, columnOf, PackedCells } from "../../src/data/tableCells.js";

const day = new Date(5);
const list = [1];
const strange: readonly unknown[] = [
  ...["", " ", "0", "-0", "1", "01", "+1", "1.", ".5", "0.5", "12.50", "1.000", "-3.10", "1e3", "1e21", "1e-7", "0x10"],
  ...["123456789012345678901234567890", "0.1000000000000000055511151231257827", "9007199254740993", "Infinity", "NaN"],
  ...["0.30000000000000004", "0.123456789012345678", "1,5", " 1", "1 ", "1_000", "text", "Ünïcode", "constructor"],
  ...[0, -0, 1.5, 1e300, Number.NaN, Number.POSITIVE_INFINITY, 5n, true, false, null, undefined, day, list],
];

test("each value is what it was, in order and out of it, beyond a chunk", () => {
  const cells = new PackedCells();
  const count = 40_000;
  const value = (row: number, column: number) => strange[(row * 7 + column * 3) % strange.length];
  for (let first = 0; first < count; first += 1000) {
    const rows = Array.from({ length: 1000 }, (_, at) => [0, 1, 2].map((column) => value(first + at, column)));
    cells.add({ names: ["a", "b", "c"], rows, numbers: [] });
  }
  expect(cells.length).toBe(count);
  let different = 0;
  for (let row = 0; row < count; row++) {
    for (const column of [0, 1, 2]) if (!Object.is(cells.at(row, column), value(row, column))) different++;
  }
  expect(different).toBe(0);
  const chosen = chosenCells(cells, [39_999, 3]);
  expect(columnOf(chosen, 1, (one, row) => [one, row])).toEqual([
    [value(39_999, 1), 0],
    [value(3, 1), 1],
  ]);
});

test("numbers in every way of writing with a fixed count of digits", () => {
  const cells = new PackedCells();
  const texts = Array.from({ length: 20_000 }, (_, i) => ((i - 10_000) * Math.PI * 10 ** (i % 9)).toFixed(i % 19));
  cells.add({ names: ["a"], rows: texts.map((text) => [text]), numbers: [] });
  expect(columnOf(cells, 0, (one) => one)).toEqual(texts);
});

test("columns that come later, rows that end early, and more texts than are sought", () => {
  const cells = new PackedCells();
  cells.add({ names: ["a"], rows: [["x"], []], numbers: [1, 2] });
  const texts = Array.from({ length: 70_000 }, (_, i) => `text ${i % 69_000}`);
  cells.add({ names: ["a", "b"], rows: texts.map((text) => ["y", text]), numbers: [] });
  expect([cells.at(0, 0), cells.at(0, 1), cells.at(1, 0), cells.at(1, 1), cells.at(9, 5)]).toEqual([
    "x",
    ...new Array(4).fill(undefined),
  ]);
  expect(Array.from({ length: 70_000 }, (_, i) => cells.at(i + 2, 1))).toEqual(texts);
});
