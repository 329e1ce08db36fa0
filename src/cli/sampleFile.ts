// Samples in a file, as they are trained on: read in their order, or in another in each pass.
import { upTo } from "../data/parts.js";
import type { TableSamples } from "../data/tableTransform.js";
import { randomNumbers, shuffle } from "../engine/randomNumbers.js";
import type { Source } from "../train/source.js";
import { TemporaryFile } from "./temporaryFile.js";

const BATCH_ROWS = 1024;
const BATCH_BYTES = 2 ** 20;
const WRITE_BYTES = 2 ** 18;
const MAX_BLOCKS = 2 ** 16;

export interface SampleForm {
  /** Features of a sample. */
  readonly width: number;
  /** Whether targets are class indices. */
  readonly hasClasses: boolean;
  readonly hasWeights: boolean;
}

export interface ShuffleOptions {
  readonly seed: number;
  /** Rows from many places of the file are in memory at once, in so many bytes. */
  readonly bufferBytes: number;
}

/**
 * Samples of one form, each in so many float32:
 *
 *   │ features … │ target │ weight, if there are some │
 */
export class SampleFile {
  readonly #form: SampleForm;
  readonly #stride: number;
  readonly #batchRows: number;
  readonly #file = new TemporaryFile();
  readonly #pending: Float32Array;
  #pendingRows = 0;
  #rows = 0;

  constructor(form: SampleForm) {
    this.#form = form;
    this.#stride = form.width + (form.hasWeights ? 2 : 1);
    this.#batchRows = Math.max(1, Math.min(BATCH_ROWS, Math.floor(BATCH_BYTES / (4 * this.#stride))));
    this.#pending = new Float32Array(this.#stride * Math.max(1, Math.floor(WRITE_BYTES / (4 * this.#stride))));
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds one of some samples. */
  add({ x, y, weights }: TableSamples, row: number): void {
    const { width } = this.#form;
    const at = this.#pendingRows * this.#stride;
    this.#pending.set(x.subarray(row * width, (row + 1) * width), at);
    this.#pending[at + width] = y[row];
    if (weights !== undefined) this.#pending[at + width + 1] = weights[row];
    this.#pendingRows++;
    this.#rows++;
    if (this.#pendingRows * this.#stride === this.#pending.length) this.#flush();
  }

  #flush(): void {
    this.#file.append(bytesOf(this.#pending.subarray(0, this.#pendingRows * this.#stride)));
    this.#pendingRows = 0;
  }

  /** All samples in their order, so many at a time, in the same arrays. Default: about a megabyte of them. */
  *inOrder(batchRows = this.#batchRows): Generator<TableSamples> {
    const read = new Float32Array(Math.min(batchRows, this.#rows) * this.#stride);
    const samplesOf = this.#sampler(Math.min(batchRows, this.#rows));
    for (let first = 0; first < this.#rows; first += batchRows) {
      const count = Math.min(batchRows, this.#rows - first);
      this.#read(read.subarray(0, count * this.#stride), first);
      yield samplesOf(read, upTo(count));
    }
  }

  /**
   * All samples in the order of a seed and a pass. Blocks of rows are taken from anywhere in the file until the buffer is full, and the
   * rows in it are shuffled: rows of one block come near each other, among those of all the others in the buffer.
   */
  *shuffled({ seed, bufferBytes }: ShuffleOptions, pass: number): Generator<TableSamples> {
    const random = randomNumbers(seed + (pass % 2 ** 20) * 2 ** 32);
    const blockRows = Math.max(64, Math.ceil(this.#rows / MAX_BLOCKS));
    const blocks = shuffle(upTo(Math.ceil(this.#rows / blockRows)), random);
    const blockSize = blockRows * this.#stride;
    const together = Math.min(blocks.length, Math.max(1, Math.floor(bufferBytes / (4 * blockSize))));
    const buffer = new Float32Array(together * blockSize);
    const samplesOf = this.#sampler(this.#batchRows);
    for (let next = 0; next < blocks.length; next += together) {
      let held = 0;
      for (const block of blocks.subarray(next, next + together)) {
        const count = Math.min(blockRows, this.#rows - block * blockRows);
        this.#read(buffer.subarray(held * this.#stride, (held + count) * this.#stride), block * blockRows);
        held += count;
      }
      const order = shuffle(upTo(held), random);
      for (let at = 0; at < held; at += this.#batchRows) {
        yield samplesOf(buffer, order.subarray(at, at + this.#batchRows));
      }
    }
  }

  /** For a trainer: shuffled, or in order. */
  source(shuffling?: ShuffleOptions): Source {
    return {
      count: this.#rows,
      open: ({ pass }) => (shuffling === undefined ? this.inOrder() : this.shuffled(shuffling, pass)),
    };
  }

  close(): void {
    this.#file.close();
  }

  #read(values: Float32Array, row: number): void {
    if (this.#pendingRows > 0) this.#flush();
    this.#file.read(bytesOf(values), 4 * row * this.#stride);
  }

  /** What makes samples of rows: in the same arrays each time, as those of before have been read by then. */
  #sampler(most: number): (values: Float32Array, order: Uint32Array) => TableSamples {
    const { width, hasClasses, hasWeights } = this.#form;
    const stride = this.#stride;
    const x = new Float32Array(most * width);
    const y = hasClasses ? new Uint32Array(most) : new Float32Array(most);
    const weights = hasWeights ? new Float32Array(most) : undefined;
    return (values, order) => {
      const count = order.length;
      order.forEach((from, row) => {
        const at = from * stride;
        for (let feature = 0; feature < width; feature++) x[row * width + feature] = values[at + feature];
        y[row] = values[at + width];
        if (weights !== undefined) weights[row] = values[at + width + 1];
      });
      return {
        x: x.subarray(0, count * width),
        y: y.subarray(0, count),
        ...(weights === undefined ? {} : { weights: weights.subarray(0, count) }),
      };
    };
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
