// The function of a functional model as data: which layers and operations it applies to what. It is traced for batches of
// three sizes, while training and predicting, with each layer's results cut off from what the layer computes.
import { CLOCK_BYTES } from "../engine/constants.js";
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { leavesBehind, nodesBehind } from "../graph/backward.js";
import { currentLoop } from "../graph/operation.js";
import {
  type Initializer,
  input,
  isTensor,
  type Node,
  nextId,
  type ParameterOptions,
  type Tensor,
} from "../graph/tensor.js";
import { type AnyLayer, layerContext } from "../nn/layer.js";
import { createModule } from "../nn/module.js";
import { fromList, type Port, type Traced } from "../nn/ports.js";
import type { Scope } from "../nn/scope.js";
import { FormatError } from "./formatError.js";
import { acrossBatches, type Json, toJson } from "./modelArguments.js";
import { isSaved, savedAttributes } from "./operationsOfModel.js";

/** What a function does in order. Values are numbered: the inputs first, then what each step gives. */
export interface RecordedSteps {
  readonly steps: readonly RecordedStep[];
  readonly results: Slots;
}

/** One value, or several by name. */
export type Slots = number | { readonly [name: string]: number };

export type RecordedStep =
  /** Applies a layer. `gives`: the names of its results, if there are several. */
  | { readonly apply: number; readonly to: Slots; readonly gives?: readonly string[] }
  | { readonly operation: string; readonly to: readonly number[]; readonly with?: Json; readonly random?: number }
  | { readonly constant: Json; readonly shape: Json }
  | { readonly parameter: string; readonly shape: Json; readonly initializer: Json; readonly options: Json }
  | { readonly buffer: string; readonly shape: Json; readonly initializer: Json }
  | { readonly state: string; readonly shape: Json }
  | { readonly update: number; readonly value: number }
  /** Takes the next random numbers; gives the clock. */
  | { readonly random: true };

/** The function while training, and while predicting if that differs. */
export interface RecordedFunction {
  readonly training: RecordedSteps;
  readonly predicting?: RecordedSteps;
}

// Primes, so that a size of the batch is told from others.
const BATCHES = [2, 3, 5];
const SEED = [0x5eed_1234, 0x5eed_5678] as const;

/** Something that was asked of the scope, with the number that was due then. */
interface RecordedEvent {
  readonly at: number;
  readonly gives: readonly Tensor[];
  step(slot: SlotOf): RecordedStep;
}

interface Recording {
  readonly events: RecordedEvent[];
  /** Tensors that events read. */
  readonly roots: Tensor[];
  /** By stream, the number of the event that took it. */
  readonly streams: Map<number, number>;
  applications: number;
}

type SlotOf = (tensor: Tensor) => number;

export interface FunctionToRecord {
  /** How errors begin. */
  readonly where: string;
  readonly inputs: readonly Port[];
  readonly body: (x: Traced<never>, scope: Scope) => unknown;
  /** The number of a layer. */
  readonly layer: (layer: AnyLayer) => number;
}

export function recordFunction({ where, inputs, body, layer }: FunctionToRecord): RecordedFunction {
  // Layers that the function makes anew in each trace are those of the first.
  const numbers: number[] = [];
  const numberOf = (index: number, given: AnyLayer): number => {
    numbers[index] ??= layer(given);
    return numbers[index];
  };
  let recording = emptyRecording();
  const about = { where, layer, numberOf };
  const module = createModule<Traced<never>, unknown>("functional", "", (x, scope) =>
    body(
      x,
      recordingScope(about, () => recording, scope),
    ),
  );
  const traced = (training: boolean) =>
    acrossBatches(
      where,
      BATCHES.map((batch) => {
        recording = emptyRecording();
        const clock = input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" });
        const x = inputs.map(({ key, shape, dtype }) => input([batch, ...shape], { name: key ?? "x", dtype }));
        const context = layerContext({ training, clock, seed: SEED, batch });
        const results = module.trace(fromList(inputs, x) as never, context);
        return stepsOf(about, recording, x, results) as unknown as Json;
      }),
      BATCHES,
    ) as unknown as RecordedSteps;
  const [training, predicting] = [traced(true), traced(false)];
  return JSON.stringify(training) === JSON.stringify(predicting) ? { training } : { training, predicting };
}

function emptyRecording(): Recording {
  return { events: [], roots: [], streams: new Map(), applications: 0 };
}

interface About extends Pick<FunctionToRecord, "where" | "layer"> {
  numberOf(index: number, layer: AnyLayer): number;
}

/** A scope that tells what the function asks of it. */
function recordingScope({ where, layer, numberOf }: About, current: () => Recording, scope: Scope): Scope {
  const tell = ({ reads = [], ...event }: RecordedEvent & { readonly reads?: readonly Tensor[] }): void => {
    if (currentLoop() !== "") {
      throw new FormatError(
        `${where}: what the body of a loop applies cannot be saved, got ${currentLoop()}: make a layer of it by defineLayer()`,
      );
    }
    const { events, roots } = current();
    events.push(event);
    roots.push(...reads);
  };
  const json = (value: unknown) => toJson(where, value, layer);
  const applyOne = (x: unknown, given: AnyLayer): unknown => {
    const recording = current();
    const number = numberOf(recording.applications, given);
    recording.applications += 1;
    const at = nextId();
    const result = scope.apply(x as never, given as never) as unknown;
    const names = isTensor(result) ? undefined : Object.keys(result as object);
    const gives = tensorsIn(result).map((tensor) => input(tensor.shape, { name: tensor.name, dtype: tensor.dtype }));
    const step = (slot: SlotOf) => ({ apply: number, to: slotsOf(x, slot), ...(names && { gives: names }) });
    tell({ at, gives, reads: tensorsIn(x), step });
    return names === undefined ? gives[0] : Object.fromEntries(names.map((name, index) => [name, gives[index]]));
  };
  return {
    training: scope.training,
    randomness() {
      const random = scope.randomness();
      const { streams } = current();
      streams.set(random.stream, streams.size);
      tell({ at: nextId(), gives: [random.clock], step: () => ({ random: true }) });
      return random;
    },
    apply: (x: unknown, ...layers: readonly AnyLayer[]) =>
      (layers.length === 0 ? scope.apply(x as never) : layers.reduce(applyOne, x)) as never,
    parameter(name, shape, ...rest) {
      const made = scope.parameter(name, shape, ...rest);
      const { initializer, options } = sourceOf(made);
      const parts = { shape: json(shape), initializer: json(initializer), options: json(options) };
      tell({ at: nextId(), gives: [made], step: () => ({ parameter: name, ...parts }) });
      return made;
    },
    buffer(name, shape, ...rest) {
      const made = scope.buffer(name, shape, ...rest);
      const parts = { shape: json(shape), initializer: json(sourceOf(made).initializer) };
      tell({ at: nextId(), gives: [made], step: () => ({ buffer: name, ...parts }) });
      return made;
    },
    state(name, shape) {
      const made = scope.state(name, shape);
      tell({ at: nextId(), gives: [made], step: () => ({ state: name, shape: json(shape) }) });
      return made;
    },
    update(target, value) {
      scope.update(target, value);
      const step = (slot: SlotOf) => ({ update: slot(target), value: slot(value) });
      tell({ at: nextId(), gives: [], reads: [target, value], step });
    },
  };
}

function sourceOf({ source }: Tensor): { readonly initializer?: Initializer; readonly options?: ParameterOptions } {
  return source.kind === "parameter" ? source : {};
}

/** A tensor, or those of an object; what is left out is none. */
function tensorsIn(value: unknown): Tensor[] {
  return isTensor(value) ? [value] : Object.values(value as Readonly<Record<string, unknown>>).filter(isTensor);
}

function slotsOf(value: unknown, slot: SlotOf): Slots {
  if (isTensor(value)) return slot(value);
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  return Object.fromEntries(entries.flatMap(([name, one]) => (isTensor(one) ? [[name, slot(one)]] : [])));
}

/** Events, operations and constants in the order in which they were made. */
function stepsOf(about: About, recording: Recording, x: readonly Tensor[], results: unknown): RecordedSteps {
  const { events, roots } = recording;
  const read = [...roots, ...tensorsIn(results)];
  const given = new Set(events.flatMap(({ gives }) => gives));
  const constants = leavesBehind(read).filter((leaf) => leaf.source.kind === "constant" && !given.has(leaf));
  const made = [
    ...events,
    ...nodesBehind(read).map((node) => ({
      at: node.id,
      gives: node.outputs,
      step: (slot: SlotOf) => operationStep(about, node, slot, recording),
    })),
    ...constants.map((leaf) => ({ at: leaf.id, gives: [leaf], step: () => constantStep(about, leaf) })),
  ].sort((a, b) => a.at - b.at);
  const slots = new Map(x.map((tensor, index) => [tensor, index]));
  let next = x.length;
  const slot = (tensor: Tensor): number => {
    const found = slots.get(tensor);
    if (found !== undefined) return found;
    throw new FormatError(
      `${about.where}: a function that uses a parameter of a layer cannot be saved, got ${showValue(tensor.name)}: make a layer of both by defineLayer()`,
    );
  };
  const steps = made.map(({ gives, step }) => {
    const one = step(slot);
    for (const tensor of gives) slots.set(tensor, next++);
    return one;
  });
  return { steps, results: slotsOf(results, slot) };
}

function constantStep({ where, layer }: About, { source, shape }: Tensor): RecordedStep {
  const data = source.kind === "constant" ? source.data : [];
  return { constant: toJson(where, data, layer), shape: [...shape] };
}

function operationStep({ where, layer }: About, node: Node, slot: SlotOf, { streams }: Recording): RecordedStep {
  const { name } = node.operation;
  if (!isSaved(name)) {
    throw new FormatError(
      `${where}: the operation must be one that can be saved between layers, got ${name}: make a layer of what is around it by defineLayer(), and give that to loadModel() by name`,
    );
  }
  const step = { operation: name, to: node.inputs.map(slot) };
  const attributes = savedAttributes(name, node.attributes);
  if (attributes === undefined) return step;
  const { seed, stream, ...rest } = attributes as { readonly seed?: unknown; readonly stream?: number };
  if (kindOf(seed) !== "Array") return { ...step, with: toJson(where, attributes, layer) };
  const random = streams.get(stream as number);
  if (random === undefined) {
    throw new FormatError(
      `${where}: random numbers must be those of scope.randomness() to be saved, got the stream ${showValue(stream)}`,
    );
  }
  return { ...step, with: toJson(where, rest, layer), random };
}
