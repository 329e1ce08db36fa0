// Sequences of different lengths as rectangular batches.
import { DataError, LARGEST_INT32, ModelError, showValue } from "../engine/errors.js";
import { choice, flag, integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { randomNumbers, shuffle } from "../engine/randomNumbers.js";

/** Ids of tokens, one sequence. */
export type IdSequence = ArrayLike<number>;

export interface PadSequencesOptions {
  /** The length of all; longer sequences are cut at the end. Default: the longest. */
  length?: number | undefined;
  /** What fills up. Default 0. */
  value?: number;
  /** Where it is added. Masks and lengths of layers need "right". Default "right". */
  side?: "right" | "left";
}

const PAD_OPTIONS = {
  length: optional(integer(undefined, { min: 1 })),
  value: integer(0, { min: 0, max: 2 ** 32 - 1 }),
  side: choice("right", ["right", "left"]),
} satisfies OptionsOf<PadSequencesOptions>;

/** Sequences of one length. */
export interface PaddedSequences {
  /** [samples, length], one sequence after another. */
  readonly ids: Uint32Array;
  /** [samples]: how many ids of each are its own. */
  readonly lengths: Uint32Array;
  /** [samples, length]: 1 for an id of its own, 0 for padding. */
  readonly mask: Float32Array;
  readonly shape: readonly [samples: number, length: number];
}

/**
 * Makes sequences as long as the longest, or as `length`.
 *
 * @throws {DataError} If there is no sequence, or one is empty or has something else than whole numbers from 0 to 2^32 - 1.
 * @example
 * const { ids, lengths } = padSequences([[5, 6, 7], [8]]);
 * // ids: [5, 6, 7, 8, 0, 0], lengths: [3, 1]
 */
export function padSequences(sequences: readonly IdSequence[], options: PadSequencesOptions = {}): PaddedSequences {
  const { length, value, side } = readOptions("padSequences", options, PAD_OPTIONS);
  checkSequences("padSequences", sequences);
  return pad("padSequences", sequences, { length: length ?? longestOf(sequences), value, left: side === "left" });
}

function longestOf(sequences: readonly IdSequence[]): number {
  return sequences.reduce((longest, { length }) => Math.max(longest, length), 0);
}

function pad(
  where: string,
  sequences: readonly IdSequence[],
  { length, value, left }: { length: number; value: number; left: boolean },
): PaddedSequences {
  const samples = sequences.length;
  if (samples * length > LARGEST_INT32) {
    throw new ModelError(
      `${where}: a batch must have at most ${LARGEST_INT32} ids with its padding, got ${samples} sequences of ${length}: make them shorter`,
    );
  }
  const ids = new Uint32Array(samples * length).fill(value);
  const mask = new Float32Array(samples * length);
  const lengths = Uint32Array.from(sequences, (sequence) => Math.min(sequence.length, length));
  sequences.forEach((sequence, row) => {
    const first = row * length + (left ? length - lengths[row] : 0);
    for (let i = 0; i < lengths[row]; i++) ids[first + i] = sequence[i];
    mask.fill(1, first, first + lengths[row]);
  });
  return { ids, lengths, mask, shape: [samples, length] };
}

function checkSequences(where: string, sequences: readonly IdSequence[]): void {
  if (!Array.isArray(sequences) || sequences.length === 0) {
    throw new DataError(`${where}: the sequences must be an array with at least one, got ${showValue(sequences)}`);
  }
  // Not forEach, which passes over holes.
  for (const [row, sequence] of sequences.entries() as Iterable<[number, unknown]>) {
    const isList = Array.isArray(sequence) || ArrayBuffer.isView(sequence);
    if (!isList || !((sequence as unknown as IdSequence).length > 0)) {
      throw new DataError(
        `${where}: each sequence must be an array of ids, not empty, got ${showValue(sequence)} at ${row}`,
      );
    }
    for (let i = 0; i < (sequence as unknown as IdSequence).length; i++) {
      const id: unknown = (sequence as unknown as IdSequence)[i];
      if (typeof id === "number" && id >>> 0 === id) continue;
      throw new DataError(
        `${where}: each id must be a whole number from 0 to 2^32 - 1, got ${showValue(id)} at ${row}, ${i}`,
      );
    }
  }
}

export interface BatchByLengthOptions {
  /** Sequences in a batch; the last one of a length may have fewer. */
  batchSize: number;
  /** Lengths are filled up to a multiple of it, so that there are fewer different ones: each has a program. Default 8. */
  multiple?: number;
  /** What fills up. Default 0. */
  value?: number;
  /** Whether sequences of similar length, and the batches, come in a random order. Default true. */
  shuffle?: boolean;
  /** Of the order: another one for each epoch gives other batches. Default 0. */
  seed?: number;
}

const BATCH_OPTIONS = {
  batchSize: integer(undefined, { min: 1 }),
  multiple: integer(8, { min: 1 }),
  value: integer(0, { min: 0, max: 2 ** 32 - 1 }),
  shuffle: flag(true),
  seed: integer(0, { min: 0 }),
} satisfies OptionsOf<BatchByLengthOptions>;

/** A batch of sequences of similar length. */
export interface LengthBatch extends PaddedSequences {
  /** [samples]: which of the sequences they are, to find what belongs to them. */
  readonly rows: Uint32Array;
}

/**
 * Sequences in batches of similar length, so that little is padding. Each sequence is in one batch.
 *
 * @throws {DataError} As `padSequences`; {ModelError} for wrong options.
 * @example
 * const batches = batchByLength([[1], [2, 3, 4], [5]], { batchSize: 2, multiple: 1 });
 * // one of [1] and [5], length 1, and one of [2, 3, 4], length 3
 */
export function batchByLength(sequences: readonly IdSequence[], options: BatchByLengthOptions): LengthBatch[] {
  const { batchSize, multiple, value, shuffle: shuffled, seed } = readOptions("batchByLength", options, BATCH_OPTIONS);
  checkSequences("batchByLength", sequences);
  const random = randomNumbers(seed);
  const rows = Array.from(sequences, (_, row) => row);
  if (shuffled) shuffle(rows, random);
  const byLength = new Map<number, number[]>();
  for (const row of rows) {
    const length = Math.ceil(sequences[row].length / multiple) * multiple;
    const same = byLength.get(length);
    if (same === undefined) byLength.set(length, [row]);
    else same.push(row);
  }
  const batches = [...byLength]
    .sort(([a], [b]) => a - b)
    .flatMap(([length, all]) =>
      Array.from({ length: Math.ceil(all.length / batchSize) }, (_, index): LengthBatch => {
        const some = all.slice(index * batchSize, (index + 1) * batchSize);
        const own = some.map((row) => sequences[row]);
        const padded = pad("batchByLength", own, { length, value, left: false });
        return { ...padded, rows: Uint32Array.from(some) };
      }),
    );
  return shuffled ? shuffle(batches, random) : batches;
}
