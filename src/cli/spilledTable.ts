// A table that is larger than memory: its rows in a file while they are learned, then samples of each part in a file of their own.
import { deserialize, serialize } from "node:v8";
import type { TablePlan } from "../data/tableOptions.js";
import type { RowBlock, TableRows } from "../data/tableRows.js";
import { type LearnedTable, TableLearner } from "../data/tableStream.js";
import { summaryText } from "../data/tableSummary.js";
import type { TableSamples } from "../data/tableTransform.js";
import { SampleFile } from "./sampleFile.js";
import { countClasses } from "./tableScores.js";
import { TemporaryFile } from "./temporaryFile.js";
import type { TrainingTable } from "./trainingTable.js";

// Samples that are made, or shown, at once.
const PIECE_BYTES = 2 ** 22;
// 65,536 of them took 0.2 GB while they were merged.
const SCORE_LIMIT = 2 ** 12;

export class SpilledTable {
  readonly #learner: TableLearner;
  readonly #plan: TablePlan;
  readonly #bufferBytes: number;
  readonly #rows = new TemporaryFile();
  /** Where each block begins, and the last one ends. */
  readonly #ends: number[] = [0];

  /** A quarter of the memory is for the sample, and once that has gone, a quarter for the shuffle. */
  constructor(where: string, place: TableRows["place"], plan: TablePlan, memoryBytes: number) {
    this.#learner = new TableLearner(where, place, plan, memoryBytes / 4);
    this.#plan = plan;
    this.#bufferBytes = memoryBytes / 4;
  }

  add(block: RowBlock): void {
    const kept = this.#learner.add(block);
    if (kept.rows.length === 0) return;
    this.#rows.append(serialize(kept));
    this.#ends.push(this.#rows.bytes);
  }

  /** What is trained on, when all rows are there. */
  finish(): TrainingTable {
    const learned = this.#learner.learn();
    const { transform } = learned;
    const form = {
      width: transform.features.length,
      hasClasses: transform.classes.length > 0,
      hasWeights: this.#plan.weights !== undefined,
    };
    const [training, validation, test] = Object.keys(this.#plan.parts).map(() => new SampleFile(form));
    const files = [training, validation, test];
    const close = (): void => files.forEach((file) => void file.close());
    try {
      this.#divide(learned, files);
    } catch (error) {
      close();
      throw error;
    }
    this.#rows.close();
    const sizes = { training: training.rows, validation: validation.rows, test: test.rows };
    const shown = Math.floor(PIECE_BYTES / (4 * form.width));
    const { seed } = this.#plan;
    return {
      ...{ transform, sizes, close, scoreLimit: SCORE_LIMIT },
      summary: `${summaryText(learned.columns, Object.entries(sizes), form.width)}\n${HOW}`,
      training: training.source({ seed, bufferBytes: this.#bufferBytes }),
      validation: validation.source(),
      test: () => test.inOrder(),
      testSamples: () => firstOf(test, shown),
      classCounts: countClasses(transform, training.inOrder()),
    };
  }

  /** Writes each row's sample to the file of its part. */
  #divide({ transform, samplesOf, partsOf }: LearnedTable, files: readonly SampleFile[]): void {
    const step = Math.max(1, Math.floor(PIECE_BYTES / (4 * transform.features.length)));
    let first = 0;
    for (const { names, rows, numbers } of this.#read()) {
      for (let at = 0; at < rows.length; at += step) {
        const piece = { names, rows: rows.slice(at, at + step), numbers: numbers.slice(at, at + step) };
        const samples = samplesOf(piece);
        partsOf(piece, first + at).forEach((part, row) => void files[part].add(samples, row));
      }
      first += rows.length;
    }
  }

  *#read(): Generator<RowBlock> {
    for (let block = 1; block < this.#ends.length; block++) {
      const from = this.#ends[block - 1];
      const bytes = Buffer.allocUnsafe(this.#ends[block] - from);
      this.#rows.read(bytes, from);
      yield deserialize(bytes) as RowBlock;
    }
  }

  /** Without what it was to become. */
  close(): void {
    this.#rows.close();
  }
}

const HOW =
  "larger than --memory: what columns become is learned from a sample, parts are drawn row by row, samples are in temporary files";

function firstOf(file: SampleFile, most: number): TableSamples {
  for (const samples of file.inOrder(most)) return samples;
  throw new Error("a part without rows is refused before");
}
