// The complete state of a training: copied into a checkpoint, and restored from one.
import { checkInteger, DataError, ModelError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { kindOf } from "../engine/kind.js";
import { readValues } from "../graph/store.js";
import { type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { memoryOf, readMemory } from "./callbacks.js";
import { checkPosition, cursorAt, type Position, positionOf } from "./cursor.js";
import type { SlotValues } from "./optimizer.js";
import { type ParameterValues, readParameters } from "./parameters.js";
import { claimRows, readRows } from "./rowStates.js";
import { namesOfTotals } from "./scores.js";
import {
  checkTrains,
  isUpToDate,
  lastingOf,
  type State,
  seedOf,
  setCounts,
  stateAddress,
  wordsOfSeed,
} from "./state.js";

/** Copies of values, by the path of their parameter. */
export type ValuesByPath = ReadonlyMap<string, ParameterValues>;

/** What JSON can hold, unchanged. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * The state of a training: with it, a trainer of the same model and optimizer continues with the same bits. It is plain
 * data, which can be posted to a worker or put into IndexedDB. `encodeCheckpoint` of steepest/io converts it to bytes.
 *
 * @example
 * const checkpoint = trainer.checkpoint();
 * using other = await compile(model, { loss: crossEntropy(), optimizer: adam() });
 * other.restore(checkpoint);
 * await other.trainSteps({ x, y }, { steps: 10 }); // the steps that trainer would do next
 */
export interface Checkpoint {
  /** Updates of the parameters and passes over the data since the start. */
  readonly steps: number;
  readonly epochs: number;
  /** The order of the samples and dropout follow from it. */
  readonly seed: number;
  /** The position in the data. Absent in checkpoints of earlier versions, which were taken between passes. */
  readonly position?: Position;
  readonly parameters: ValuesByPath;
  /**
   * The states of the layers (`scope.state`), [rows, …] by path. Absent if they are zeros, as at the start and after
   * `resetState()`, and in checkpoints of earlier versions.
   */
  readonly states?: ValuesByPath;
  readonly optimizer: {
    readonly name: string;
    /** Its state, by slot ("velocity", "firstMoment", …) and path. */
    readonly slots: ReadonlyMap<string, ValuesByPath>;
  };
  /** What the callbacks of `fit` keep (`state()`), by name. Absent if there are none, and in checkpoints of earlier versions. */
  readonly callbacks?: Readonly<Record<string, JsonValue>>;
  /** Arrays that callbacks keep (`kept()`), such as the best parameters so far, by name and path. Absent as `callbacks` is. */
  readonly kept?: ReadonlyMap<string, ValuesByPath>;
}

/** Makes a checkpoint. */
export function takeCheckpoint(state: State): Checkpoint {
  if (!isUpToDate(state)) {
    throw new SteepestError(
      "checkpoint: the background, which has a copy of the memory, is in the midst of its work: do this between epochs, or when the call has come to its end",
    );
  }
  checkTrains(state, "checkpoint");
  const { engine, steps, epochs, config } = state;
  const readSlot = (values: ReadonlyMap<string, SlotValues>): ValuesByPath =>
    new Map([...values].map(([path, slot]) => [path, readValues(engine, slot, slot.address)]));
  const checkpoint = {
    steps,
    epochs,
    seed: seedOf(config),
    position: positionOf(state.cursor, totalNames(state)),
    parameters: readParameters(state),
    ...readStates(state),
    optimizer: {
      name: config.optimizer.layout.optimizer.name,
      slots: new Map([...state.optimizer.values].map(([slot, values]) => [slot, readSlot(values)])),
    },
    ...readMemory(state.memory),
  };
  checkFinite("checkpoint", namedValues(checkpoint), "call reset(), or restore() an earlier checkpoint");
  return checkpoint;
}

/** Throws if a value is not finite: it could not be loaded again. */
export function checkFinite(where: string, values: ReadonlyMap<string, ParameterValues>, remedy: string): void {
  for (const [name, { data }] of values) {
    const at = indexOfNotFinite(data);
    if (at < 0) continue;
    throw new SteepestError(
      `${where}: every value must be finite, got ${data[at]} in "${name}" at index ${at}: ${remedy}`,
    );
  }
}

/** Copies the states, or nothing if all are zeros. */
function readStates({ engine, config, rowStates }: State): Pick<Checkpoint, "states"> {
  const { rows } = rowStates;
  if (rows === undefined) return {};
  const states = [...config.model.states].map(([path, of]): [string, ParameterValues] => {
    const shape = [rows, ...of.shape];
    return [path, { shape, data: readRows(engine, rowStates, of, rows) }];
  });
  return { states: new Map(states) };
}

/**
 * All values of a checkpoint, by the names that they have in files: "parameters/0.weight", "states/0.h",
 * "optimizer/velocity/0.weight", "kept/earlyStopping/0.weight".
 */
export function namedValues({
  parameters,
  states = new Map(),
  optimizer,
  kept = new Map(),
}: Checkpoint): Map<string, ParameterValues> {
  const under = (block: string, values: ValuesByPath) =>
    [...values].map(([path, value]) => [`${block}/${path}`, value] as const);
  return new Map([
    ...under("parameters", parameters),
    ...under("states", states),
    ...[...optimizer.slots].flatMap(([slot, values]) => under(`optimizer/${slot}`, values)),
    ...[...kept].flatMap(([name, values]) => under(`kept/${name.replace(/[%/]/g, encodeURIComponent)}`, values)),
  ]);
}

/** Checks everything, then sets it. This also works after a step that was interrupted in its optimizer. */
export function restoreCheckpoint(state: State, checkpoint: Checkpoint): void {
  checkForm("restore", checkpoint);
  const { steps, epochs, seed, parameters, states, optimizer } = checkpoint;
  checkInteger("restore", "steps", steps, 0);
  checkInteger("restore", "epochs", epochs, 0);
  checkInteger("restore", "seed", seed, 0);
  const { position = { passes: epochs, open: [] } } = checkpoint;
  checkPosition("restore", position);
  const { engine, values, config } = state;
  const slots = state.optimizer.values;
  checkBlock(config.model.parameters, "parameters", parameters);
  checkTrains(state, "restore");
  checkOptimizer(state, optimizer);
  for (const [slot, wanted] of slots) checkBlock(wanted, `the optimizer's ${slot}`, valuesIn(optimizer, slot));
  const rows = checkStates(state, states);
  const memory = memoryOf("restore", checkpoint);
  // This may throw MemoryError, so it comes before any change.
  if (rows !== undefined) for (const of of config.model.states.values()) stateAddress(state, of, rows);

  // Clearing marks whole blocks as newer here than in a copy of the memory, including the gaps between values.
  for (const { address, bytes } of lastingOf(state)) engine.clear(address, bytes);
  for (const [path, { data }] of parameters) values.write(config.model.parameters.get(path) as Tensor, data);
  for (const [slot, all] of slots) {
    const saved = valuesIn(optimizer, slot);
    for (const [path, { address }] of all) engine.write(address, (saved.get(path) as ParameterValues).data);
  }
  setCounts(state, steps, epochs, cursorAt(position, totalNames(state)));
  if (rows !== undefined) writeStates(state, states as ValuesByPath, rows);
  setSeed(state, seed);
  state.memory = memory;
  state.broken = undefined;
}

/** Checks the states of a checkpoint. Returns how many rows they have, or `undefined` if all are zeros. */
function checkStates({ config }: State, states: ValuesByPath | undefined): number | undefined {
  if (states === undefined || states.size === 0) return undefined;
  const first: unknown = states.values().next().value?.shape;
  const rows: unknown = Array.isArray(first) ? first[0] : undefined;
  checkInteger("restore", "the number of rows of the states", rows as number, 1);
  const wanted = [...config.model.states].map(
    ([path, { shape }]) => [path, { shape: [rows as number, ...shape] }] as const,
  );
  checkBlock(new Map(wanted), "states", states);
  return rows as number;
}

/** Sets the states, whose memory is zeros. */
function writeStates(state: State, states: ValuesByPath, rows: number): void {
  claimRows(state.rowStates, "restore", rows);
  for (const [path, of] of state.config.model.states) {
    state.engine.write(stateAddress(state, of, rows), (states.get(path) as ParameterValues).data);
  }
}

function totalNames({ config }: State): string[] {
  return namesOfTotals(config.scores);
}

/** Throws if `checkpoint` does not have the form of one. */
export function checkForm(where: string, checkpoint: Checkpoint): void {
  const { parameters, states, optimizer, callbacks, kept } = checkpoint ?? {};
  const { name, slots } = optimizer ?? {};
  const refuse = (got: string) =>
    new ModelError(
      `${where}: needs a checkpoint with Maps of parameters and slots, as checkpoint() or decodeCheckpoint() gives it, got ${got}: take it anew`,
    );
  if (typeof checkpoint !== "object" || checkpoint === null) throw refuse(showValue(checkpoint));
  if (!isMap(parameters)) throw refuse(`${showValue(parameters)} as parameters`);
  if (states !== undefined && !isMap(states)) throw refuse(`${showValue(states)} as states`);
  if (typeof optimizer !== "object") throw refuse(`${showValue(optimizer)} as optimizer`);
  if (!isMap(slots)) throw refuse(`${showValue(slots)} as slots of the optimizer`);
  if (typeof name !== "string") throw refuse(`${showValue(name)} as the optimizer's name`);
  for (const [slot, values] of slots) if (!isMap(values)) throw refuse(`${showValue(values)} as its ${slot}`);
  if (callbacks !== undefined && kindOf(callbacks) !== "Object") throw refuse(`${showValue(callbacks)} as callbacks`);
  if (kept !== undefined && !isMap(kept)) throw refuse(`${showValue(kept)} as kept`);
  for (const [name, values] of kept ?? []) if (!isMap(values)) throw refuse(`${showValue(values)} kept by ${name}`);
}

function isMap(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return kindOf(value) === "Map";
}

/** Throws if `block` does not have exactly the wanted paths, with their shapes. */
function checkBlock(wanted: ReadonlyMap<string, { readonly shape: Shape }>, what: string, block: ValuesByPath): void {
  const remedy = "restore it into the model that it was taken of";
  for (const [path, { shape }] of wanted) {
    const found = block.get(path);
    if (found === undefined || found === null) {
      throw new ModelError(
        `restore: ${what}: the model has "${path}" ${showShape(shape)}, the checkpoint has ${block.size === 0 ? "nothing" : showNames(block.keys())}: ${remedy}`,
      );
    }
    if (!Array.isArray(found.shape) || !sameShape(found.shape, shape)) {
      throw new ModelError(
        `restore: ${what}: "${path}" must be ${showShape(shape)} for this model, the checkpoint has ${showValue(found.shape)}: ${remedy}`,
      );
    }
    checkData(`restore: ${what}: "${path}"`, found.data, sizeOf(shape));
  }
  for (const path of block.keys()) {
    if (wanted.has(path)) continue;
    throw new ModelError(
      `restore: ${what}: the checkpoint has "${path}", this model has ${wanted.size === 0 ? "none" : showNames(wanted.keys())}: ${remedy}`,
    );
  }
}

function checkData(where: string, data: Float32Array, length: number): void {
  if (kindOf(data) !== "Float32Array" || data.length !== length) {
    throw new DataError(`${where}: must be a Float32Array of ${length} values: take the checkpoint anew`);
  }
  const at = indexOfNotFinite(data);
  if (at < 0) return;
  throw new DataError(
    `${where}: every value must be finite, got ${data[at]} at index ${at}: use an earlier checkpoint`,
  );
}

/** Throws if the optimizer or its slots differ. Hyperparameters may: a training may continue with another rate. */
function checkOptimizer(state: State, { name, slots }: Checkpoint["optimizer"]): void {
  const ownName = state.config.optimizer.layout.optimizer.name;
  const own = [...state.optimizer.values.keys()];
  if (name === ownName && slots.size === own.length && own.every((slot) => slots.has(slot))) return;
  const show = (name: string, slots: readonly string[]) =>
    `${name} with ${slots.length === 0 ? "no state" : showNames(slots)}`;
  throw new ModelError(
    `restore: the checkpoint is of ${show(name, [...slots.keys()])}, this trainer's optimizer is ${show(ownName, own)}: ` +
      "compile with the optimizer that it was taken of, or set the parameters alone",
  );
}

function valuesIn({ slots }: Checkpoint["optimizer"], slot: string): ValuesByPath {
  return slots.get(slot) as ValuesByPath;
}

/** The seed is in programs that draw random numbers. They are held by their seeds: programFor looks for them anew. */
function setSeed(state: State, seed: number): void {
  if (seed === seedOf(state.config)) return;
  state.config = { ...state.config, seed: wordsOfSeed(seed) };
  state.programs.last = undefined;
  state.programs.prepared = undefined;
}
