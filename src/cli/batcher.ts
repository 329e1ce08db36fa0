// Predictions that are asked for at the same time are one batch.
import { SteepestError } from "../engine/errors.js";
import { breathe } from "../engine/host.js";

export interface Batcher {
  /** The outputs of some rows' features. Rejects with OverloadError if too many rows wait already. */
  predict(x: Float32Array, rows: number): Promise<Float32Array>;
  /** Rows that wait, those of the batch that is computed included. */
  readonly waiting: number;
  /** Batches so far. */
  readonly batches: number;
}

/** More is asked for than can wait. */
export class OverloadError extends SteepestError {
  override name = "OverloadError";
}

interface Asked {
  readonly x: Float32Array;
  readonly rows: number;
  resolve(outputs: Float32Array): void;
  reject(error: unknown): void;
}

export interface BatcherOptions {
  /** Rows a batch, at most; more only if one request has more. */
  readonly batchRows: number;
  /** Rows that may wait. */
  readonly queueRows: number;
}

/**
 * While a batch is computed, those who ask queue up; then they are the next batch. So a single one never waits for others, and
 * many share the work.
 */
export function createBatcher(
  compute: (x: Float32Array) => Promise<Float32Array>,
  { batchRows, queueRows }: BatcherOptions,
): Batcher {
  const queue: Asked[] = [];
  let waiting = 0;
  let batches = 0;
  let isRunning = false;
  const next = (): Asked[] => {
    let rows = 0;
    let count = 0;
    while (count < queue.length && (count === 0 || rows + queue[count].rows <= batchRows)) rows += queue[count++].rows;
    return queue.splice(0, count);
  };
  const run = async (): Promise<void> => {
    isRunning = true;
    // Requests that arrived together come one after another in the same turn.
    await breathe();
    while (queue.length > 0) {
      const batch = next();
      batches++;
      try {
        share(batch, await compute(joined(batch)));
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
      for (const { rows } of batch) waiting -= rows;
      await breathe();
    }
    isRunning = false;
  };
  return {
    predict(x, rows) {
      // An empty queue takes a request of any size.
      if (waiting > 0 && waiting + rows > queueRows) {
        return Promise.reject(
          new OverloadError(
            `predict: at most ${queueRows} rows may wait, got ${waiting} and ${rows} more: ask again later`,
          ),
        );
      }
      waiting += rows;
      return new Promise((resolve, reject) => {
        queue.push({ x, rows, resolve, reject });
        if (!isRunning) void run();
      });
    },
    get waiting() {
      return waiting;
    },
    get batches() {
      return batches;
    },
  };
}

function joined(batch: readonly Asked[]): Float32Array {
  if (batch.length === 1) return batch[0].x;
  const all = new Float32Array(batch.reduce((sum, { x }) => sum + x.length, 0));
  let at = 0;
  for (const { x } of batch) {
    all.set(x, at);
    at += x.length;
  }
  return all;
}

/** To each its own rows. */
function share(batch: readonly Asked[], outputs: Float32Array): void {
  const width = outputs.length / batch.reduce((sum, { rows }) => sum + rows, 0);
  let at = 0;
  for (const { rows, resolve } of batch) {
    resolve(outputs.slice(at, at + rows * width));
    at += rows * width;
  }
}
