// The table that a model is trained on: in memory if it fits, else in files of samples.

import { PackedCells } from "../data/tableCells.js";
import { prepareTable, type TableData } from "../data/tableData.js";
import { TABLE_OPTIONS, type TableOptions } from "../data/tableOptions.js";
import { checkFull, type RowBlock, type TableRows } from "../data/tableRows.js";
import { sizeOfRow } from "../data/tableSample.js";
import type { TableSamples, TableTransform } from "../data/tableTransform.js";
import { readOptions } from "../engine/options.js";
import type { TrainingData } from "../train/data.js";
import { SpilledTable } from "./spilledTable.js";
import { countClasses } from "./tableScores.js";

export type PartSizes = { readonly training: number; readonly validation: number; readonly test: number };

export interface TrainingTable {
  readonly transform: TableTransform;
  readonly sizes: PartSizes;
  /** For people: columns and parts, and how they came about. */
  readonly summary: string;
  readonly training: TrainingData;
  readonly validation: TrainingData;
  /** The part that is held back, in one piece or many. */
  test(): Iterable<TableSamples>;
  /** How many distinct probabilities the scores may keep. Default: those of `tableScores`. */
  readonly scoreLimit?: number;
  /** Samples of it for a report: all, or the first that fit in memory. */
  testSamples(): TableSamples;
  /** How many samples of the training part each class has; none if the target has numbers. */
  readonly classCounts: readonly number[];
  close(): void;
}

type Options = TableOptions<PartSizes>;

/** Reads all rows. `memoryBytes`: what cells and features may take; a table of more is trained on from files. */
export async function readTrainingTable(
  rows: TableRows,
  options: Options,
  memoryBytes: number,
): Promise<TrainingTable> {
  const where = "train";
  const plan = readOptions(where, options, TABLE_OPTIONS);
  const cells = new PackedCells();
  const numbers: number[] = [];
  let names: readonly string[] = [];
  let bytes = 0;
  let spilled: SpilledTable | undefined;
  const spill = (): SpilledTable => {
    const table = new SpilledTable(where, rows.place, plan, memoryBytes);
    for (const block of blocksOf(cells, names, numbers)) table.add(block);
    return table;
  };
  try {
    for await (const block of rows.blocks()) {
      if (spilled !== undefined) {
        spilled.add(block);
        continue;
      }
      names = block.names;
      cells.add(block);
      for (const number of block.numbers) numbers.push(number);
      for (const row of block.rows) bytes += sizeOfRow(row);
      if (bytes > memoryBytes) spilled = spill();
    }
    if (spilled === undefined) {
      const prepared = prepareTable(checkFull({ where, place: rows.place, names, cells, numbers }), plan);
      const features = 4 * prepared.rows * prepared.transform.features.length;
      if (features <= memoryBytes) return inMemory(prepared.data() as unknown as TableData<PartSizes>);
      spilled = spill();
    }
    return spilled.finish();
  } catch (error) {
    spilled?.close();
    throw error;
  }
}

const BLOCK_ROWS = 1024;

function* blocksOf(cells: PackedCells, names: readonly string[], numbers: readonly number[]): Generator<RowBlock> {
  for (let first = 0; first < cells.length; first += BLOCK_ROWS) {
    const own = numbers.slice(first, first + BLOCK_ROWS);
    yield { names, rows: own.map((_, at) => names.map((_, column) => cells.at(first + at, column))), numbers: own };
  }
}

function inMemory(data: TableData<PartSizes>): TrainingTable {
  const { training, validation, test, transform } = data;
  return {
    ...{ transform, training, validation },
    sizes: { training: training.y.length, validation: validation.y.length, test: test.y.length },
    summary: data.summary(),
    test: () => [test],
    testSamples: () => test,
    classCounts: countClasses(transform, [training]),
    close: () => {},
  };
}
