// What is told of a fit as it goes on, and may end it: the interface of callbacks, and their memory in checkpoints.
import { ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import type { OptionRule } from "../engine/options.js";
import { type Shape, sizeOf } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import type { Checkpoint, JsonValue, ValuesByPath } from "./checkpoint.js";
import type { EpochResult, Progress } from "./fit.js";
import { jsonCopy } from "./json.js";
import type { ParametersOptions } from "./options.js";
import type { ParameterUpdate, ParameterValues } from "./parameters.js";

/** What a fit is about to do. */
export interface FitSetup {
  /** The optimizer's name. */
  readonly optimizer: string;
  readonly batchSize: number;
  /** The last epoch of this fit, from 1, counted since the trainer was made. */
  readonly epochs: number;
  readonly seed: number;
  readonly build: string;
  readonly threads: number;
  /** Names that can be monitored: "loss", "accuracy", "validation.loss", … */
  readonly scores: readonly string[];
  /** What `trainer.summary()` gives. */
  summary(): string;
}

/**
 * A fit, between two of its steps. What it reads is from after the last step. A callback may also call what the trainer has to
 * predict and to score; whatever trains, restores or resets is refused until the fit has ended.
 */
export interface FitContext {
  readonly setup: FitSetup;
  /** The current epoch, from 1, counted since the trainer was made. In `onEpoch` the one that has ended. */
  readonly epoch: number;
  /** Steps done since the trainer was made. */
  readonly step: number;
  /**
   * Learning rates are multiplied by it from the next step on, whatever the optimizer's schedule says. Each callback has its
   * own, which begins with 1 and ends with the fit; they are multiplied.
   */
  learningRateFactor: number;
  /** Ends the fit: after this step in `onStep`, after this epoch in `onEpoch`. The reason is in `fit.end`. */
  stop(reason: string): void;
  /** As `trainer.parameters`. */
  parameters(options?: ParametersOptions): Map<string, ParameterValues>;
  /** As `trainer.setParameters`: training goes on from these values. */
  setParameters(values: ParameterUpdate): void;
  /**
   * As `trainer.checkpoint`: a fit that goes on from it has the bits of this one. Take it in `onSave`, when all callbacks have learned
   * what they learn of the step or epoch.
   */
  checkpoint(): Checkpoint;
}

export interface StepContext<M extends string = never, O extends Ports = Shape> extends FitContext {
  /** That of the last step. */
  readonly loss: number;
  /** Those of all steps since this callback was last called, the last one included. */
  readonly losses: Float32Array;
  /** That of the last step, by group if the optimizer has several. */
  readonly learningRate: number | Readonly<Record<string, number>>;
  /** Where the epoch stands, with its scores so far. It is computed when it is read. */
  readonly progress: Progress<M, O>;
}

export interface SaveContext extends FitContext {
  /** Whether the last step was the last of its epoch, of which all callbacks have been told. */
  readonly epochEnded: boolean;
}

export interface EpochContext<M extends string = never, O extends Ports = Shape> extends FitContext {
  readonly result: EpochResult<M, O>;
}

/** How a fit ended. */
export interface FitEnd {
  /**
   * "finished": all epochs are done; "stopped": a callback called `stop`; "aborted": by its signal; "left": the loop over its
   * results was; "failed": by an error.
   */
  readonly reason: "finished" | "stopped" | "aborted" | "left" | "failed";
  /** What stopped it: the callback, and the reason that it gave. */
  readonly by?: string;
  readonly why?: string;
  readonly error?: unknown;
}

export interface EndContext extends FitContext {
  readonly end: FitEnd;
}

/**
 * What is told of a fit as it goes on. Callbacks are called in the order in which they are given. Each method may return a promise,
 * for which the fit waits; `fitSync` cannot wait. If one throws, the fit ends with its error, and the trainer stays as it is.
 *
 * A callback keeps its memory from fit to fit: make a new one for a new training.
 *
 * @example
 * const lossesByStep: number[] = [];
 * const recorder: Callback = { name: "recorder", onStep: ({ loss }) => void lossesByStep.push(loss) };
 * await trainer.fit({ x, y }, { callbacks: [recorder] });
 */
export interface Callback<M extends string = never, O extends Ports = Shape> {
  /** In errors, and in checkpoints, which have its memory under it. Callbacks of one fit have different names. */
  readonly name: string;
  /**
   * After which steps `onStep` and `onSave` are called: those whose numbers, counted since the trainer was made, are multiples of this. "call":
   * after each call into the engine, of as many steps as take about 12 ms, which costs nothing. Default 1.
   */
  readonly every?: number | "call";
  /**
   * Whether `onStep` or `onSave` reads parameters or takes checkpoints. If no callback does, a background that has a copy of the memory need
   * not copy them back. Default true.
   */
  readonly reads?: boolean;
  /** Whether it writes to the terminal: an awaited fit then shows nothing of its own. Default false. */
  readonly shows?: boolean;
  /** Before the first step, when it has its memory back. What cannot work is refused here. */
  onBegin?(context: FitContext): unknown;
  onStep?(context: StepContext<M, O>): unknown;
  /** After an epoch and its validation, before the loop over the fit gets the result. */
  onEpoch?(context: EpochContext<M, O>): unknown;
  /** After all callbacks have been told of a step, or of an epoch and its last step: for checkpoints. `every` counts here too. */
  onSave?(context: SaveContext): unknown;
  /** Once, however the fit ends, if `onBegin` was called. Close files here. */
  onEnd?(context: EndContext): unknown;
  /** Its memory, for checkpoints: see `Checkpoint.callbacks`. */
  state?(): JsonValue | undefined;
  /** Arrays that belong to its memory, such as the best parameters so far: see `Checkpoint.kept`. */
  kept?(): ValuesByPath | undefined;
  /** Goes on with the memory of a checkpoint. Called before `onBegin`, in the first fit after a restore. */
  restore?(state: JsonValue, kept: ValuesByPath | undefined): unknown;
}

/** For any model and metrics. */
export type AnyCallback = Callback;

/** The memory of the callbacks, as a trainer keeps it between fits. */
export interface CallbackMemory {
  /** Of the last fit's callbacks, which may still change. */
  readonly callbacks: readonly AnyCallback[];
  /** From a checkpoint, what no callback has asked for yet. */
  readonly restored: SavedMemory;
}

/** The memory of callbacks by name, in a checkpoint. */
export interface SavedMemory {
  readonly callbacks: Readonly<Record<string, JsonValue>>;
  readonly kept: ReadonlyMap<string, ValuesByPath>;
}

export const NO_MEMORY: CallbackMemory = { callbacks: [], restored: { callbacks: {}, kept: new Map() } };

const HOOKS = ["onBegin", "onStep", "onEpoch", "onSave", "onEnd", "state", "kept", "restore"] as const;

/** Reads the option `callbacks`. */
export const callbackList: OptionRule<readonly AnyCallback[]> = (where, name, value = []) => {
  const refuse = (rule: string, got: unknown): ModelError =>
    new ModelError(`${where}: ${name}${rule}, got ${showValue(got)}`);
  if (!Array.isArray(value)) throw refuse(" must be an array of callbacks", value);
  const names = new Set<string>();
  // The first hole ends it, however many there are.
  for (const one of value) {
    const index = names.size;
    checkCallback(one, (rule, got) => refuse(`[${index}]${rule}`, got));
    if (names.has(one.name)) throw refuse(`[${index}] must have another name than those before it`, one.name);
    names.add(one.name);
  }
  return [...value];
};

function checkCallback(one: unknown, refuse: (rule: string, got: unknown) => ModelError): void {
  if (kindOf(one) !== "Object") {
    const remedy = typeof one === "function" ? ": call it if it makes one, or write { name: …, onEpoch() { … } }" : "";
    throw refuse(` must be an object with a name and methods such as onEpoch${remedy}`, one);
  }
  const { name, every = 1, reads = true, shows = false } = one as Partial<AnyCallback>;
  if (typeof name !== "string" || name === "") throw refuse(".name must be a string that is not empty", name);
  if (every !== "call" && !(Number.isSafeInteger(every) && every >= 1))
    throw refuse('.every must be a whole number of at least 1, or "call"', every);
  for (const [key, flag] of Object.entries({ reads, shows }))
    if (typeof flag !== "boolean") throw refuse(`.${key} must be true or false`, flag);
  for (const hook of HOOKS) {
    const method: unknown = (one as Partial<AnyCallback>)[hook];
    const isFunction = typeof method === "function" && !/^class\b/.test(Function.prototype.toString.call(method));
    if (method !== undefined && !isFunction) throw refuse(`.${hook} must be a function`, method);
  }
}

/** Copies the memory: of the callbacks, and what was restored for others. Throws ModelError if a state is not JSON. */
export function readMemory({ callbacks, restored }: CallbackMemory): Partial<SavedMemory> {
  const states = { ...restored.callbacks };
  const kept = new Map(restored.kept);
  for (const one of callbacks) {
    const { name } = one;
    const where = `checkpoint: callback ${showValue(name)}`;
    const state = one.state?.();
    if (state !== undefined) states[name] = copyState(name, "checkpoint", state);
    const arrays = one.kept?.();
    if (arrays !== undefined) kept.set(name, copyKept(where, arrays));
  }
  return {
    ...(Object.keys(states).length === 0 ? {} : { callbacks: states }),
    ...(kept.size === 0 ? {} : { kept }),
  };
}

function copyState(name: string, where: string, state: unknown): JsonValue {
  return jsonCopy(
    state,
    (got) =>
      new ModelError(
        `${where}: callback ${showValue(name)}: its state must be what JSON holds (objects, arrays, strings, finite numbers, true, false, null), got ${got}: arrays of numbers belong into kept()`,
      ),
  );
}

function copyKept(where: string, arrays: ValuesByPath): ValuesByPath {
  checkKept(where, arrays);
  return new Map([...arrays].map(([path, { shape, data }]) => [path, { shape: [...shape], data: data.slice() }]));
}

function checkKept(where: string, arrays: ValuesByPath): void {
  if (kindOf(arrays) !== "Map")
    throw new ModelError(`${where}: what it keeps must be a Map of arrays by path, got ${showValue(arrays)}`);
  for (const [path, one] of arrays) {
    const { shape, data } = (one ?? {}) as Partial<ParameterValues>;
    if (kindOf(data) === "Float32Array" && Array.isArray(shape) && sizeOf(shape) === data?.length) continue;
    throw new ModelError(
      `${where}: ${showValue(path)} must be { shape, data: Float32Array } of one size, got ${showValue(one)}`,
    );
  }
}

/** The memory of callbacks in a checkpoint whose form has been checked, copied. */
export function memoryOf(where: string, { callbacks = {}, kept = new Map() }: Checkpoint): CallbackMemory {
  const arrays = [...kept].map(
    ([name, all]) => [name, copyKept(`${where}: callback ${showValue(name)}`, all)] as const,
  );
  const states = Object.entries(callbacks).map(([name, state]) => [name, copyState(name, where, state)] as const);
  return { callbacks: [], restored: { callbacks: Object.fromEntries(states), kept: new Map(arrays) } };
}
