// Optimizers out of operations: the graph of a step, tensor by tensor, becomes instructions of the step's program.
import { CLOCK_BYTES, CLOCK_STEP } from "../engine/constants.js";
import { made } from "../engine/copies.js";
import { checkFunction, ModelError, showNames, showValue } from "../engine/errors.js";
import { elements, type Pointer, serial } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { leavesBehind } from "../graph/backward.js";
import { lower } from "../graph/lower.js";
import { align, type Plan, planMemory } from "../graph/plan.js";
import {
  bytesOf,
  checkShape,
  input,
  isTensor,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import { copyOf } from "../ops/elementwise.js";
import { cast } from "../ops/rounding.js";
import { reshape } from "../ops/shape.js";
import { part } from "../ops/slice.js";
import {
  type LearningRate,
  learningRate,
  type Optimizer,
  type OptimizerPlacement,
  type OptimizerSlot,
  type TrainedTensor,
} from "./optimizer.js";

/**
 * What a slot has for a parameter: a value for each of its values, which starts at zeros or at the parameter; or zeros of the shape
 * that a function gives of the parameter's, nothing if it gives `undefined`.
 */
export type SlotStart = "zeros" | "parameters" | ((shape: Shape) => Shape | undefined);

/** What an update is made of: symbolic tensors of one parameter. */
export interface UpdateInputs<S extends string = string> {
  /** Of the parameter: "0.weight". */
  readonly path: string;
  readonly parameter: Tensor;
  /** Of the parameter's shape. */
  readonly gradient: Tensor;
  /** What was kept from the step before, by the slots' names. */
  readonly slots: Readonly<Record<S, Tensor>>;
  /** A scalar: the rate of the step. */
  readonly learningRate: Tensor;
  /** A scalar: the step's number, from 1. */
  readonly step: Tensor;
}

/** The parameter's next values, and those of its slots; a slot that is left out stays as it is. */
export type Update<S extends string = string> = { readonly parameter: Tensor } & { readonly [K in S]?: Tensor };

export interface DefineOptimizerOptions<S extends string = never> {
  /** Default 0.01. */
  learningRate?: LearningRate;
  /** What is kept from step to step, by name: `{ velocity: "zeros" }`. Default nothing. */
  slots?: Readonly<Record<S, SlotStart>>;
  /** Its other numbers, for whoever looks. Default none. */
  hyperparameters?: Readonly<Record<string, number>>;
}

const OPTIONS = {
  learningRate: learningRate(0.01),
  // Checked below.
  slots: unchecked<Readonly<Record<string, SlotStart>>>({}),
  hyperparameters: optional(unchecked<Readonly<Record<string, number>>>()),
} satisfies OptionsOf<DefineOptimizerOptions<string>>;

/**
 * An optimizer out of operations of `steepest/graph`. The update is traced for each parameter when a program is made, and its
 * operations run within the step: nothing of it runs in JavaScript later. It works wherever others do. Kernels of one pass, as
 * `adam` has, are faster: see docs/optimizers.md for those.
 *
 * @param update From symbolic tensors of one parameter to its next values, `{ parameter, …slots }`. Slots keep no denormals.
 * @throws ModelError if the name, an option or a slot is not valid; and, when it meets a model, if the update returns anything but
 * float32 tensors of the right shapes, or uses tensors that are not its own.
 * @example
 * const momentum = defineOptimizer(
 *   "momentum",
 *   ({ parameter, gradient, slots, learningRate }) => {
 *     const velocity = add(mul(slots.velocity, 0.9), gradient);
 *     return { parameter: sub(parameter, mul(learningRate, velocity)), velocity };
 *   },
 *   { learningRate: 0.1, slots: { velocity: "zeros" } },
 * );
 */
export function defineOptimizer<const S extends string = never>(
  name: string,
  update: (inputs: UpdateInputs<S>) => Update<S>,
  options: DefineOptimizerOptions<S> = {},
): Optimizer {
  if (typeof name !== "string" || name === "") {
    throw new ModelError(`defineOptimizer: the name must be a text, got ${showValue(name)}`);
  }
  checkFunction("defineOptimizer", "update", update);
  const { learningRate, slots, hyperparameters } = readOptions("defineOptimizer", options, OPTIONS);
  const starts = checkStarts(slots);
  if (hyperparameters !== undefined && kindOf(hyperparameters) !== "Object") {
    throw new ModelError(
      `defineOptimizer: hyperparameters must be an object of numbers, got ${showValue(hyperparameters)}`,
    );
  }
  const traced = (tensor: TrainedTensor) => trace(name, update as AnyUpdate, starts, tensor);
  return made<Optimizer>({
    name,
    learningRate,
    ...(hyperparameters && { hyperparameters }),
    slots: (tensors) => slotsOf(starts, tensors).map(({ slot }) => slot),
    scratchBytes: (tensors) => Math.max(0, ...tensors.map((tensor) => bytesFor(traced(tensor)))),
    record(recorder, at) {
      const all = slotsOf(starts, at.tensors);
      at.tensors.forEach((tensor, index) => {
        const places = all.flatMap(({ slot, of }, place): [string, Pointer][] => {
          if (of === undefined) return [[slot.name, tensor.slots[place]]];
          return of === tensor ? [[slot.name, at.slots[place]]] : [];
        });
        recordUpdate(recorder, traced(tensor), at, index, new Map(places));
      });
    },
  });
}

// An optimizer is laid out before there is an engine that could choose.
const CHOICES = { convolution: "direct" } as const;

type AnyUpdate = (inputs: UpdateInputs) => unknown;
type Starts = readonly (readonly [name: string, start: SlotStart])[];

function checkStarts(slots: unknown): Starts {
  if (kindOf(slots) !== "Object") {
    throw new ModelError(
      `defineOptimizer: slots must be an object by name, as { velocity: "zeros" }, got ${showValue(slots)}`,
    );
  }
  return Object.entries(slots as object).map(([name, start]) => {
    if (name === "parameter" || name === "" || name.includes("/")) {
      throw new ModelError(
        `defineOptimizer: a slot must have a name without a slash, other than "parameter", got ${showValue(name)}`,
      );
    }
    if (start === "zeros" || start === "parameters" || typeof start === "function") return [name, start] as const;
    throw new ModelError(
      `defineOptimizer: slot ${showValue(name)} must be "zeros", "parameters" or a function of the shape, got ${showValue(start)}`,
    );
  });
}

/** The slots of all tensors; `of` is whose a slot is that has a shape of its own. */
function slotsOf(
  starts: Starts,
  tensors: readonly TrainedTensor[],
): { readonly slot: OptimizerSlot; readonly of?: TrainedTensor }[] {
  return starts.flatMap(([name, start]): { slot: OptimizerSlot; of?: TrainedTensor }[] => {
    if (typeof start !== "function") return [{ slot: { name, start } }];
    return tensors.flatMap((of) => {
      const shape = slotShape(name, start, of.shape);
      return shape === undefined ? [] : [{ slot: { name, length: sizeOf(shape), path: of.path }, of }];
    });
  });
}

function slotShape(name: string, start: SlotStart, shape: Shape): Shape | undefined {
  if (typeof start !== "function") return shape;
  const given = start(shape);
  return given === undefined ? undefined : checkShape(`defineOptimizer: slot ${showValue(name)}`, given, 1);
}

/** The graph of one parameter's update. */
interface Traced {
  readonly leaves: Readonly<Record<"parameter" | "gradient" | "learningRate" | "clock", Tensor>>;
  readonly slots: ReadonlyMap<string, Tensor>;
  /** The next values, by name of the slot; of the parameter as "parameter". */
  readonly results: readonly (readonly [name: string, value: Tensor])[];
  readonly constants: readonly Tensor[];
  readonly plan: Plan;
}

function trace(name: string, update: AnyUpdate, starts: Starts, { path, shape }: TrainedTensor): Traced {
  const leaf = (of: Shape, what: string): Tensor => input(of, { name: what });
  const leaves = {
    parameter: leaf(shape, "parameter"),
    gradient: leaf(shape, "gradient"),
    learningRate: leaf([], "learningRate"),
    clock: input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" }),
  };
  const slots = new Map<string, Tensor>();
  for (const [slot, start] of starts) {
    const own = slotShape(slot, start, shape);
    if (own !== undefined) slots.set(slot, leaf(own, slot));
  }
  const { clock, ...given } = leaves;
  const step = reshape(cast(part(clock, [CLOCK_STEP / 4], [1]), "float32"), []);
  const where = `optimizer ${name}: the update of ${showValue(path)}`;
  const returned = update({ path, ...given, slots: Object.fromEntries(slots), step });
  const results = checkUpdate(where, returned, new Map([["parameter", leaves.parameter], ...slots]));
  const own = new Set([...Object.values(leaves), ...slots.values()]);
  const others = leavesBehind(results.map(([, value]) => value)).filter((tensor) => !own.has(tensor));
  const foreign = others.find(({ source }) => source.kind !== "constant");
  if (foreign !== undefined) {
    throw new ModelError(
      `${where} must depend on what it is given alone, got a result that depends on ${showValue(foreign.name)}, which is of elsewhere`,
    );
  }
  const pinned = new Map([...own, ...others].map((tensor) => [tensor, 0]));
  const plan = planMemory(
    results.map(([, value]) => value),
    pinned,
    CHOICES,
  );
  return { leaves, slots, results, constants: others, plan };
}

function checkUpdate(
  where: string,
  returned: unknown,
  known: ReadonlyMap<string, Tensor>,
): (readonly [string, Tensor])[] {
  const named = kindOf(returned) === "Object" && !isTensor(returned) ? Object.entries(returned as object) : [];
  if (!named.some(([name]) => name === "parameter")) {
    throw new ModelError(
      `${where} must return an object with its next values, as { parameter: sub(parameter, …) }, got ${showValue(returned)}`,
    );
  }
  return named.map(([name, value]) => {
    const { shape } = known.get(name) ?? {};
    if (shape === undefined) {
      throw new ModelError(`${where} must return what there is, ${showNames(known.keys())}, got ${showValue(name)}`);
    }
    if (!isTensor(value) || !sameShape(value.shape, shape) || value.dtype !== "float32") {
      const got = isTensor(value) ? `${value.dtype} ${showShape(value.shape)}` : showValue(value);
      throw new ModelError(`${where} must return ${showValue(name)} as float32 ${showShape(shape)}, got ${got}`);
    }
    // Leaves and views of them would be changed by the results that are written before them.
    const { source } = value;
    const isComputed = source.kind === "result" && source.node.operation.forward !== undefined;
    return [name, isComputed ? value : copyOf(value)] as const;
  });
}

/** Bytes within a step: values between the operations, and constants behind them. */
function bytesFor({ plan, constants }: Traced): number {
  return align(plan.arenaBytes) + constants.reduce((bytes, tensor) => bytes + align(bytesOf(tensor)), 0);
}

function recordUpdate(
  recorder: Recorder,
  { leaves, slots, results, constants, plan }: Traced,
  at: OptimizerPlacement,
  index: number,
  slotPlaces: ReadonlyMap<string, Pointer>,
): void {
  const { parameters, gradients } = at.tensors[index];
  const pinned = new Map<Tensor, Pointer>([
    [leaves.parameter, parameters],
    [leaves.gradient, gradients],
    [leaves.learningRate, at.learningRates[0]],
    [leaves.clock, at.clock],
  ]);
  for (const [name, tensor] of slots) pinned.set(tensor, slotPlaces.get(name) as Pointer);
  let next = at.scratch + align(plan.arenaBytes);
  for (const tensor of constants) {
    pinned.set(tensor, next);
    recordConstant(recorder, tensor, next);
    next += align(bytesOf(tensor));
  }
  const addressOf = lower(plan, recorder, at.scratch, pinned);
  for (const [name, value] of results) {
    const n = sizeOf(value.shape);
    if (name === "parameter") recorder.copy(elements(n), parameters, addressOf(value), n);
    else recorder.copyNormal(elements(n), slotPlaces.get(name) as Pointer, addressOf(value), n);
  }
}

/** Fills runs of equal values: most constants are one number. */
function recordConstant(recorder: Recorder, { source, dtype }: Tensor, address: Pointer): void {
  if (source.kind !== "constant") return;
  // The words of whole numbers, read as float32.
  const words = dtype === "uint32" ? new Float32Array(Uint32Array.from(source.data).buffer) : source.data;
  for (let begin = 0, end = 0; begin < words.length; begin = end) {
    while (end < words.length && Object.is(words[end], words[begin])) end++;
    const n = end - begin;
    recorder.fill(n === 1 ? serial : elements(n), address + 4 * begin, n, words[begin]);
  }
}
