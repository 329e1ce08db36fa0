// Saves checkpoints while a fit runs, and removes old ones.
import { checkFunction, DataError, ModelError, showValue } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import { kindOf } from "../engine/kind.js";
import { integer, number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { encodeCheckpoint } from "../io/checkpoint.js";
import type { CheckpointStore } from "../io/store.js";
import type { Callback, FitContext } from "../train/callbacks.js";
import { checkMonitor, MODE, type Mode, scoreName, scoreOf, signOf } from "./monitor.js";

/** Where checkpoints go: a store of steepest/io, or what has these methods of one. */
export type CheckpointTarget = Pick<CheckpointStore, "save" | "list" | "remove">;

export interface CheckpointsOptions {
  /** Where they go: `folderStore(path)`, `opfsStore()`, `indexedDbStore()` or `memoryStore()` of steepest/io, or a custom one. */
  store: CheckpointTarget;
  /** After every so many steps. Default none. */
  everySteps?: number;
  /** After so many minutes, at the end of the call into the engine. Default none. */
  everyMinutes?: number;
  /** After every so many epochs. Default 1 if nothing else says when. */
  everyEpochs?: number;
  /**
   * A score whose best epoch is saved as "best", next to the others: "validation.loss", "validation.accuracy", … Default: none.
   */
  best?: string;
  /** Whether small values of it are good ("min") or large ones. Default "auto": by the name of the score. */
  mode?: Mode;
  /** So many are kept, the last ones; "best" is not counted. Default 3. */
  keep?: number;
}

const OPTIONS = {
  store: checkTarget,
  everySteps: optional(integer(undefined, { min: 1 })),
  everyMinutes: optional(number(undefined, { min: 0 })),
  everyEpochs: optional(integer(undefined, { min: 1 })),
  best: optional(scoreName("")),
  mode: MODE,
  keep: integer(3, { min: 1 }),
} satisfies OptionsOf<CheckpointsOptions>;

function checkTarget(where: string, name: string, value: unknown): CheckpointTarget {
  if (typeof value !== "object" || value === null)
    throw new ModelError(`${where}: ${name} must be an object with save, list and remove, got ${showValue(value)}`);
  for (const method of ["save", "list", "remove"] as const)
    checkFunction(where, `${name}.${method}`, (value as Partial<CheckpointTarget>)[method]);
  return value as CheckpointTarget;
}

const NUMBERED = /^step-(\d+)$/;
const MINUTE_MS = 60_000;

/**
 * Saves checkpoints as "step-1200": by steps, by minutes or by epochs, and one more at the end of the fit unless it failed. Only the
 * last `keep` of them stay; an old one is removed when the new one has been saved. A training that goes on from one has the bits of
 * this one. If one cannot be saved, the fit ends with the store's error.
 *
 * @throws {ModelError} For an option that is out of range; when the fit begins, for a score that it does not have.
 * @example
 * const store = memoryStore();
 * await trainer.fit({ x, y }, { epochs: 2, callbacks: [checkpoints({ store, everySteps: 2, best: "loss" })] });
 * const latest = await loadLatest(store, { prefix: "step-" });
 * if (latest !== undefined) trainer.restore(latest.checkpoint);
 */
export function checkpoints(options: CheckpointsOptions): Callback {
  const where = "checkpoints";
  const { store, everySteps, everyMinutes, everyEpochs, best, mode, keep } = readOptions(where, options, OPTIONS);
  const bySteps = everySteps !== undefined;
  if (bySteps && everyMinutes !== undefined)
    throw new ModelError(
      `${where}: everySteps must be left out next to everyMinutes, got ${everySteps}: take one of them`,
    );
  const epochs = everyEpochs ?? (bySteps || everyMinutes !== undefined ? Number.POSITIVE_INFINITY : 1);
  const sign = best === undefined ? 1 : signOf(where, { monitor: best, mode });
  let bestValue: number | undefined;
  let saved = { step: -1, at: 0 };
  let isBest = false;
  const isDue = (step: number): boolean =>
    bySteps ? step % everySteps === 0 : performance.now() - saved.at >= (everyMinutes ?? Infinity) * MINUTE_MS;

  const save = async ({ step, checkpoint }: FitContext): Promise<void> => {
    if (saved.step === step) return;
    await store.save(`step-${step}`, encodeCheckpoint(checkpoint()));
    saved = { step, at: performance.now() };
    const numbered = (await store.list()).flatMap((name) => NUMBERED.exec(name)?.[1] ?? []);
    const old = numbered.sort((a, b) => Number(a) - Number(b)).slice(0, -keep);
    for (const number of old) if (Number(number) !== step) await store.remove(`step-${number}`);
  };
  return {
    name: where,
    every: everySteps ?? "call",
    get reads() {
      return bySteps || isDue(0);
    },
    onBegin({ setup, step }) {
      if (best !== undefined) checkMonitor(where, best, setup);
      saved = { step, at: performance.now() };
    },
    onEpoch(context) {
      if (best === undefined) return;
      const value = scoreOf(where, context, best);
      isBest = bestValue === undefined ? !Number.isNaN(value) : sign * (bestValue - value) > 0;
      if (isBest) bestValue = value;
    },
    async onSave(context) {
      const { epoch, epochEnded, step } = context;
      if (epochEnded && isBest) await store.save("best", encodeCheckpoint(context.checkpoint()));
      if (epochEnded) isBest = false;
      if (isDue(step) || (epochEnded && epoch % epochs === 0)) await save(context);
    },
    onEnd: (context) => (context.end.reason === "failed" ? undefined : save(context)),
    state: () => ({ best: bestValue ?? null }),
    restore(state) {
      const { best } = (kindOf(state) === "Object" ? state : {}) as { best?: unknown };
      if (best !== null && typeof best !== "number")
        throw new DataError(`${where}: its state must have best, got ${showValue(state)}: restore another checkpoint`);
      bestValue = best ?? undefined;
    },
  };
}
