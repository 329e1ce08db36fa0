// Who does the parts of a round. The run asks for a round; a scheduler sees to it that somebody does it.
import { breathe } from "../engine/host.js";
import { BitsError, type Executor } from "./executor.js";

export interface RoundTask {
  readonly round: number;
  readonly shards: number;
  /** Shards that are done twice, to compare. */
  readonly audits: readonly number[];
}

export interface Scheduler {
  /** Resolves when the round is merged. Rejects if it cannot be. */
  run(task: RoundTask): Promise<void>;
  /** Workers that are there. */
  workers(): Promise<number>;
  /** Waits a while, when there is nothing to do. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/** In this process: each executor takes one shard after another. One that throws is out; the others do its shard. */
export function inProcess(executors: readonly Executor[]): Scheduler {
  const alive = new Set(executors);
  async function share(tasks: readonly ((executor: Executor) => Promise<unknown>)[]): Promise<void> {
    const waiting = [...tasks];
    let lastError: unknown;
    while (waiting.length > 0) {
      if (alive.size === 0) throw lastError;
      await Promise.all(
        [...alive].map(async (executor) => {
          for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
            try {
              await task(executor);
            } catch (error) {
              if (error instanceof BitsError) throw error;
              lastError = error;
              waiting.push(task);
              alive.delete(executor);
              return;
            }
          }
        }),
      );
    }
  }
  return {
    async run({ round, shards, audits }) {
      const indices = Array.from({ length: shards }, (_, shard) => shard);
      await share(indices.map((shard) => (executor) => executor.shard(round, shard)));
      await share(audits.map((shard) => (executor) => executor.shard(round, shard, true)));
      await share([(executor) => executor.merge(round)]);
    },
    workers: async () => alive.size,
    idle: breathe,
    close: async () => {},
  };
}
