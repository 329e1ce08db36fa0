// An optimizer's memory: what it asks for, checked, and where it has its tensors, slots and scratch.
import { ALIGNMENT } from "../engine/allocator.js";
import { CLOCK_LEARNING_RATES } from "../engine/constants.js";
import { ModelError, SteepestError, showValue } from "../engine/errors.js";
import { elements, operandsOf, type Pointer, startRecording } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import type { Recorder } from "../engine/recorder.js";
import { align } from "../graph/plan.js";
import type { Shape } from "../graph/tensor.js";
import {
  type Optimizer,
  type OptimizerBlock,
  type OptimizerPlacement,
  type OptimizerSlot,
  rateAt,
  ratesOf,
  type TrainedTensor,
} from "./optimizer.js";

/** What checkpoints have of a slot: values by path, each somewhere in its block. */
export interface SlotPart {
  readonly path: string;
  readonly shape: Shape;
  /** In bytes. */
  readonly offset: number;
  /** Whose values they are; none if the slot has a length of its own. */
  readonly tensor: TrainedTensor | undefined;
}

export interface SlotLayout {
  readonly name: string;
  readonly start: "zeros" | "parameters";
  readonly perturbed: boolean;
  /** A multiple of 64. */
  readonly bytes: number;
  readonly parts: readonly SlotPart[];
}

/** What an optimizer asks for. */
export interface OptimizerLayout {
  readonly optimizer: Optimizer;
  /** In the order in which they are stored. */
  readonly tensors: readonly TrainedTensor[];
  readonly slots: readonly SlotLayout[];
  readonly scratchBytes: number;
  readonly clockBytes: number;
}

/** Where it is given that: tensors and gradients in the order of the layout's tensors. */
export interface OptimizerAddresses {
  readonly parameters: readonly Pointer[];
  readonly gradients: readonly Pointer[];
  readonly slots: readonly Pointer[];
  readonly scratch: Pointer;
  readonly clock: Pointer;
}

/**
 * What the optimizer asks for with these tensors. All of it is checked, and a step recorded for a trial: throws ModelError
 * that begins with `where`.
 */
export function layoutOptimizer(where: string, optimizer: Optimizer, given: readonly TrainedTensor[]): OptimizerLayout {
  const named = `${where}: optimizer ${optimizer.name}`;
  const ask = <T>(method: string, call: () => T): T => {
    try {
      return call();
    } catch (error) {
      if (error instanceof ModelError) throw new ModelError(`${where}: ${error.message}`, { cause: error });
      throw new ModelError(`${named}: ${method} must not throw, got ${messageOf(error)}`, { cause: error });
    }
  };
  // A schedule that has no rate for the first step is refused before there is anything to train.
  const rates = ratesOf(optimizer);
  ask("learningRate(1)", () => rates.map((rate) => rateAt(rate, 1)));
  const tensors = ask("order()", () => optimizer.order?.(given) ?? given);
  checkOrder(named, given, tensors);
  const slots = ask("slots()", () => optimizer.slots?.(tensors) ?? []);
  if (!Array.isArray(slots)) {
    throw new ModelError(
      `${named}: slots() must give an array such as [{ name: "velocity" }], got ${showValue(slots)}`,
    );
  }
  const layouts = slots.map((slot) => layoutSlot(named, slot, tensors));
  checkUnique(named, layouts, tensors);
  const scratchBytes = ask("scratchBytes()", () => optimizer.scratchBytes?.(tensors) ?? 0);
  if (!isSize(scratchBytes, 0)) {
    throw new ModelError(`${named}: scratchBytes() must give a number of bytes, got ${showValue(scratchBytes)}`);
  }
  const clockBytes = align(CLOCK_LEARNING_RATES + 4 * rates.length);
  const layout = { optimizer, tensors, slots: layouts, scratchBytes: align(scratchBytes), clockBytes };
  ask("record()", () => tryRecording(layout));
  return layout;
}

function messageOf(error: unknown): string {
  // An instruction that is no good is the optimizer's own doing here.
  if (error instanceof SteepestError) return error.message.replace(/: please report it.*$/, "");
  if (kindOf(error) !== "Error") return showValue(error);
  const { name, message } = error as Error;
  return `${name}: ${message}`;
}

const MAX_BYTES = 2 ** 32;

function isSize(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) < MAX_BYTES;
}

function checkOrder(where: string, given: readonly TrainedTensor[], ordered: readonly TrainedTensor[]): void {
  const isWhole = Array.isArray(ordered) && ordered.length === given.length;
  if (isWhole && new Set(ordered).size === given.length && ordered.every((tensor) => given.includes(tensor))) return;
  throw new ModelError(
    `${where}: order() must give the ${given.length} tensors that it was given, each once, got ${showValue(ordered)}`,
  );
}

function layoutSlot(where: string, slot: OptimizerSlot, all: readonly TrainedTensor[]): SlotLayout {
  const {
    name,
    length,
    tensors = all,
    start = "zeros",
    perturbed = false,
    path = "all",
  } = (slot ?? {}) as OptimizerSlot;
  // Names of files' tensors are "optimizer/velocity/0.weight".
  if (typeof name !== "string" || name === "" || name.includes("/")) {
    throw new ModelError(
      `${where}: each slot must have a name without a slash, as { name: "velocity" }, got ${showValue(slot?.name ?? slot)}`,
    );
  }
  const here = `${where}: slot ${showValue(name)}`;
  if (start !== "zeros" && start !== "parameters") {
    throw new ModelError(`${here}: start must be "zeros" or "parameters", got ${showValue(start)}`);
  }
  if (length === undefined) {
    if (
      !Array.isArray(tensors) ||
      new Set(tensors).size < tensors.length ||
      !tensors.every((one) => all.includes(one))
    ) {
      throw new ModelError(`${here}: tensors must be some of those that slots() was given, got ${showValue(tensors)}`);
    }
    let bytes = 0;
    const parts = (tensors as readonly TrainedTensor[]).map((tensor) => {
      const offset = bytes;
      bytes += align(tensor.length * 4);
      return { path: tensor.path, shape: tensor.shape, offset, tensor };
    });
    return { name, start, perturbed, bytes, parts };
  }
  if (!isSize(length, 1)) {
    throw new ModelError(`${here}: length must be a whole number of at least 1, got ${showValue(length)}`);
  }
  if (start === "parameters") {
    throw new ModelError(
      `${here}: must start at "zeros", as it has a length of its own, got "parameters": leave its length out for one value a parameter`,
    );
  }
  if (perturbed) {
    throw new ModelError(
      `${here}: must have a value for each parameter if it is perturbed, got a length: leave it out`,
    );
  }
  if (typeof path !== "string" || path === "") {
    throw new ModelError(`${here}: path must be a text, got ${showValue(path)}`);
  }
  return {
    name,
    start,
    perturbed: false,
    bytes: align(length * 4),
    parts: [{ path, shape: [length], offset: 0, tensor: undefined }],
  };
}

/** Checkpoints tell values apart by slot and path. */
function checkUnique(where: string, slots: readonly SlotLayout[], all: readonly TrainedTensor[]): void {
  const known = new Set<string>();
  for (const { name, parts } of slots) {
    for (const { path, tensor } of parts) {
      // Models of a workspace may have the same paths: tensors are told apart by themselves.
      const key = `${name}/${tensor === undefined ? path : all.indexOf(tensor)}`;
      if (known.has(key)) {
        throw new ModelError(
          `${where}: slots must have names of their own, got ${showValue(name)} twice for ${showValue(path)}`,
        );
      }
      known.add(key);
    }
  }
}

/** The instructions' addresses, where everything is stored. */
export function placeOptimizer(
  { optimizer, tensors, slots }: OptimizerLayout,
  at: OptimizerAddresses,
): OptimizerPlacement {
  const offsets = slots.map(({ parts }) => new Map(parts.map(({ tensor, offset }) => [tensor, offset])));
  const placed = tensors.map((tensor, index) => ({
    path: tensor.path,
    shape: tensor.shape,
    length: tensor.length,
    parameters: at.parameters[index],
    gradients: at.gradients[index],
    slots: offsets.map((of, slot) => at.slots[slot] + (of.get(of.has(undefined) ? undefined : tensor) ?? Number.NaN)),
    factor: 0,
  }));
  return {
    tensors: placed,
    blocks: blocksOf(placed),
    slots: at.slots,
    scratch: at.scratch,
    clock: at.clock,
    learningRates: ratesOf(optimizer).map((_, index) => at.clock + CLOCK_LEARNING_RATES + 4 * index),
  };
}

/** The part of a placement that an optimizer within another has: some of the tensors, with the slots from `first` to `end`. */
export function narrowed(
  at: OptimizerPlacement,
  tensors: OptimizerPlacement["tensors"],
  first: number,
  end: number,
): OptimizerPlacement {
  const own = tensors.map((tensor) => ({ ...tensor, slots: tensor.slots.slice(first, end) }));
  return { ...at, tensors: own, blocks: blocksOf(own), slots: at.slots.slice(first, end) };
}

/** Records the step of an optimizer within another: gradients that have a factor are multiplied with it, by one of the two. */
export function recordWithin(optimizer: Optimizer, recorder: Recorder, at: OptimizerPlacement): void {
  optimizer.record(recorder, optimizer.scalesGradients === true ? at : scaled(recorder, at));
}

/** Records the scaling of gradients in memory. Returns the placement without factors. */
export function scaled(recorder: Recorder, at: OptimizerPlacement): OptimizerPlacement {
  if (at.tensors.every(({ factor }) => factor === 0)) return at;
  for (const { gradients, factor, length } of at.blocks) {
    if (factor !== 0) recorder.scaleBy(elements(length), gradients, factor, length);
  }
  return withFactors(at, () => 0);
}

/** The placement with other factors, by the place of a tensor among `tensors`. */
export function withFactors(at: OptimizerPlacement, factorOf: (index: number) => Pointer): OptimizerPlacement {
  const tensors = at.tensors.map((tensor, index) => ({ ...tensor, factor: factorOf(index) }));
  return { ...at, tensors, blocks: blocksOf(tensors) };
}

/** Tensors that are stored behind one another, as their gradients and all that slots have for them are, are one block. */
export function blocksOf(tensors: readonly OptimizerBlock[]): OptimizerBlock[] {
  const blocks: OptimizerBlock[] = [];
  for (const { parameters, gradients, slots, factor, length } of tensors) {
    const block = { parameters, gradients, slots, factor, length: align(length * 4) / 4 };
    const last = blocks.at(-1);
    if (last === undefined || !follows(last, block)) blocks.push(block);
    else blocks[blocks.length - 1] = { ...last, length: last.length + block.length };
  }
  return blocks;
}

/** For lazy optimizers: the tensors that have rows, each by itself with their number, and the others in blocks. */
export function splitRows({ tensors }: OptimizerPlacement): {
  readonly whole: readonly OptimizerBlock[];
  readonly matrices: readonly (OptimizerBlock & { readonly count: number })[];
} {
  const matrices = tensors.filter(({ shape }) => shape.length > 1);
  return {
    whole: blocksOf(tensors.filter(({ shape }) => shape.length <= 1)),
    matrices: matrices.map((tensor) => ({ ...tensor, count: tensor.shape[0] })),
  };
}

function follows(last: OptimizerBlock, { parameters, gradients, slots, factor }: OptimizerBlock): boolean {
  const bytes = last.length * 4;
  // A slot that has nothing for them, or a length of its own, is the same for both.
  const isNext = (slot: Pointer, index: number) =>
    Object.is(slot, last.slots[index]) || slot === last.slots[index] + bytes;
  return (
    parameters === last.parameters + bytes &&
    gradients === last.gradients + bytes &&
    factor === last.factor &&
    slots.every(isNext)
  );
}

/** Records a step nowhere: what it would write must be the optimizer's to write. */
function tryRecording(layout: OptimizerLayout): void {
  const { optimizer, tensors, slots, scratchBytes, clockBytes } = layout;
  const regions: { address: Pointer; bytes: number }[] = [];
  let end = ALIGNMENT;
  const take = (bytes: number): Pointer => {
    const address = end;
    end += bytes;
    regions.push({ address, bytes });
    return address;
  };
  const takeAll = (): Pointer[] => tensors.map(({ length }) => take(align(length * 4)));
  const at = {
    parameters: takeAll(),
    gradients: takeAll(),
    slots: slots.map(({ bytes }) => take(bytes)),
    scratch: take(scratchBytes),
    clock: end + ALIGNMENT,
  };
  // Addresses of instructions are 32 bits. A step that needs more is refused when memory is taken.
  if (end + clockBytes > MAX_BYTES) return;
  const recording = startRecording();
  const placement = placeOptimizer(layout, at);
  optimizer.perturb?.(recording.record, placement);
  optimizer.record(recording.record, placement);
  optimizer.finish?.(recording.record, placement);
  const words = recording.words();
  for (const output of operandsOf(words, 0, words.byteLength).outputs) {
    if (regions.some(({ address, bytes }) => output >= address && output < address + bytes)) continue;
    throw new ModelError(
      `optimizer ${optimizer.name}: record() must write parameters, gradients, slots and scratch alone, got an instruction that writes elsewhere: take addresses from its second argument, and ask for scratchBytes`,
    );
  }
}
