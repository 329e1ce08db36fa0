// Small texts that say what is done. Values are elsewhere (CheckpointStore); a record names them.

/** Texts by scope and name: the run itself, and each of its rounds. */
export interface Records {
  read(scope: string, name: string): Promise<string | undefined>;
  /** Keeps the text unless there is one already. Resolves to the one that is there then. */
  claim(scope: string, name: string, text: string): Promise<string>;
  write(scope: string, name: string, text: string): Promise<void>;
  /** Removes all of a scope. */
  removeScope(scope: string): Promise<void>;
}

/** In the memory of this process. */
export function memoryRecords(): Records {
  const scopes = new Map<string, Map<string, string>>();
  const of = (scope: string): Map<string, string> => {
    const found = scopes.get(scope) ?? new Map<string, string>();
    scopes.set(scope, found);
    return found;
  };
  return {
    read: async (scope, name) => scopes.get(scope)?.get(name),
    async claim(scope, name, text) {
      const texts = of(scope);
      const there = texts.get(name) ?? text;
      texts.set(name, there);
      return there;
    },
    async write(scope, name, text) {
      of(scope).set(name, text);
    },
    async removeScope(scope) {
      scopes.delete(scope);
    },
  };
}

export const RUN = "run";

export function scopeOf(round: number): string {
  return `round-${round}`;
}

/** A shard's part of a round is done. Everything but `by` and `milliseconds` has one value, whoever computed it. */
export interface ShardRecord {
  /** Names of values. */
  readonly update: string;
  readonly state: string;
  /** Mean over the steps. */
  readonly loss: number;
  readonly samples: number;
  readonly by: string;
  readonly milliseconds: number;
}

/** A round is merged. */
export interface MergeRecord {
  readonly merged: string;
  readonly loss: number;
  readonly samples: number;
  readonly by: string;
  readonly milliseconds: number;
  /** Who computed the shards, in their order. */
  readonly shards: readonly { readonly by: string; readonly samples: number; readonly milliseconds: number }[];
}

const isText = (value: unknown): boolean => typeof value === "string" && value.length <= 300;
const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);

/** `undefined` for a text that is no such record: it counts as none. */
export function parseShard(text: string | undefined): ShardRecord | undefined {
  const record = parseJson(text) as ShardRecord | undefined;
  if (record === undefined) return undefined;
  const { update, state, loss, samples, by, milliseconds } = record;
  const isWhole = [update, state, by].every(isText) && [loss, samples, milliseconds].every(isNumber);
  return isWhole ? record : undefined;
}

export function parseMerge(text: string | undefined): MergeRecord | undefined {
  const record = parseJson(text) as MergeRecord | undefined;
  if (record === undefined) return undefined;
  const { merged, loss, samples, by, milliseconds, shards } = record;
  const isWhole = [merged, by].every(isText) && [loss, samples, milliseconds].every(isNumber) && Array.isArray(shards);
  const known = (one: MergeRecord["shards"][number]): boolean =>
    isText(one?.by) && [one?.samples, one?.milliseconds].every(isNumber);
  return isWhole && shards.every(known) ? record : undefined;
}

/** The object in a text that anybody may have written; `undefined` if there is none. */
export function parseJson(text: string | null | undefined): object | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What each worker did of the shards of a round. */
export function byWorker(
  shards: MergeRecord["shards"],
): Map<string, { readonly samples: number; readonly milliseconds: number }> {
  const found = new Map<string, { samples: number; milliseconds: number }>();
  for (const { by, samples, milliseconds } of shards) {
    const before = found.get(by) ?? { samples: 0, milliseconds: 0 };
    found.set(by, { samples: before.samples + samples, milliseconds: before.milliseconds + milliseconds });
  }
  return found;
}
