// An optimizer in a trainer, or in a step of a workspace: the parameters that it changes, and its memory.
import { ModelError, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import type { Lease } from "../engine/lease.js";
import type { Region } from "../engine/ranges.js";
import type { Recorder } from "../engine/recorder.js";
import { type BlockLayout, offsetIn, type ValueStore } from "../graph/store.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { type NamedRate, type Optimizer, ratesOf } from "../optim/optimizer.js";
import { layoutOptimizer, type OptimizerLayout, placeOptimizer } from "../optim/placement.js";

/** An optimizer and the parameters that it changes. */
export interface OptimizerPlan {
  readonly layout: OptimizerLayout;
  /** The parameters, in the order of the layout's tensors. */
  readonly parameters: readonly Tensor[];
  readonly rates: readonly NamedRate[];
}

/** Stands for the optimizer if nothing is trained. */
export const NO_OPTIMIZER: Optimizer = { name: "none", learningRate: 0, slots: () => [], record: () => {} };

/** Throws ModelError, which begins with `where`, if the optimizer does not fit the parameters. */
export function planOptimizer(
  where: string,
  optimizer: Optimizer,
  parameters: readonly (readonly [path: string, tensor: Tensor])[],
): OptimizerPlan {
  const trained = parameters.map(([path, { shape }]) => ({ path, shape, length: sizeOf(shape) }));
  const layout = layoutOptimizer(where, optimizer, trained);
  const tensors = new Map(trained.map((of, index) => [of, parameters[index][1]] as const));
  const ordered = layout.tensors.map((of) => tensors.get(of as (typeof trained)[number]) as Tensor);
  return { layout, parameters: ordered, rates: ratesOf(optimizer) };
}

/** A part of a slot: that of a parameter, or all of a slot that has its own length. */
export interface SlotValues {
  readonly address: Pointer;
  readonly shape: Shape;
  readonly parameter: Tensor | undefined;
}

/** An optimizer with memory. */
export interface PlacedOptimizer {
  /** The memory that it keeps from step to step. */
  readonly slots: readonly Region[];
  /** The parts of the slots, by name and path. Groups may have slots of the same name. */
  readonly values: ReadonlyMap<string, ReadonlyMap<string, SlotValues>>;
  /** For each slot that starts at the parameters, as averages do: the address that can replace each parameter. */
  readonly averages: ReadonlyMap<string, ReadonlyMap<Tensor, Pointer>>;
  /** The address of each parameter at which gradients are taken a second time; empty if they are taken once. */
  readonly perturbed: ReadonlyMap<Tensor, Pointer>;
  /** Copies the parameters into these. */
  startSlots(): void;
  /** Records what is at these addresses, from the gradients in this block. */
  perturb(recorder: Recorder, gradients: Pointer): void;
  /** Records a step. */
  record(recorder: Recorder): void;
  /** Records what comes after the constraints. */
  finish(recorder: Recorder): void;
}

/** Where the optimizer's inputs and outputs are stored. */
export interface OptimizerPlaces {
  readonly values: ValueStore;
  /** Address of the gradients, and their layout. */
  readonly gradients: Pointer;
  readonly block: BlockLayout;
  readonly clock: Pointer;
}

export function placeOptimizerIn(lease: Lease, plan: OptimizerPlan, at: OptimizerPlaces): PlacedOptimizer {
  const { layout, parameters } = plan;
  const { optimizer } = layout;
  const slots = layout.slots.map(({ bytes }) => ({ address: lease.takeZeros(bytes), bytes }));
  const scratch = layout.scratchBytes === 0 ? 0 : lease.takeZeros(layout.scratchBytes);
  const placementWith = (gradients: Pointer) =>
    placeOptimizer(layout, {
      parameters: parameters.map(at.values.addressOf),
      gradients: parameters.map((tensor) => gradients + offsetIn(at.block, tensor)),
      slots: slots.map(({ address }) => address),
      scratch,
      clock: at.clock,
    });
  const placement = placementWith(at.gradients);
  const averages = averagesIn(plan, slots);
  const { engine } = at.values;
  return {
    slots,
    values: valuesIn(plan, slots),
    averages,
    perturbed: perturbedIn(plan, slots),
    perturb: (recorder, gradients) => optimizer.perturb?.(recorder, placementWith(gradients)),
    startSlots() {
      for (const places of averages.values()) {
        for (const [parameter, address] of places) engine.write(address, at.values.read(parameter).data);
      }
    },
    record: (recorder) => optimizer.record(recorder, placement),
    finish: (recorder) => optimizer.finish?.(recorder, placement),
  };
}

function valuesIn(
  { layout, parameters }: OptimizerPlan,
  slots: readonly Region[],
): ReadonlyMap<string, ReadonlyMap<string, SlotValues>> {
  const found = new Map<string, Map<string, SlotValues>>();
  layout.slots.forEach(({ name, parts, perturbed }, index) => {
    if (perturbed) return;
    const values = found.get(name) ?? new Map<string, SlotValues>();
    found.set(name, values);
    for (const { path, shape, offset, tensor } of parts) {
      const parameter = tensor && parameters[layout.tensors.indexOf(tensor)];
      values.set(path, { address: slots[index].address + offset, shape, parameter });
    }
  });
  return found;
}

function perturbedIn({ layout, parameters }: OptimizerPlan, slots: readonly Region[]): ReadonlyMap<Tensor, Pointer> {
  const found = new Map<Tensor, Pointer>();
  layout.slots.forEach(({ perturbed, parts }, index) => {
    if (!perturbed) return;
    for (const { offset, tensor } of parts) {
      if (tensor === undefined) continue;
      found.set(parameters[layout.tensors.indexOf(tensor)], slots[index].address + offset);
    }
  });
  return found;
}

function averagesIn(
  { layout, parameters }: OptimizerPlan,
  slots: readonly Region[],
): ReadonlyMap<string, ReadonlyMap<Tensor, Pointer>> {
  const found = new Map<string, Map<Tensor, Pointer>>();
  layout.slots.forEach(({ name, start, parts }, index) => {
    if (start !== "parameters") return;
    const places = found.get(name) ?? new Map<Tensor, Pointer>();
    found.set(name, places);
    for (const { offset, tensor } of parts) {
      if (tensor !== undefined) places.set(parameters[layout.tensors.indexOf(tensor)], slots[index].address + offset);
    }
  });
  return found;
}

/** Throws if the optimizer keeps no averages of this name. */
export function checkAverage(
  where: string,
  option: string,
  { averages }: PlacedOptimizer,
  name: unknown,
): string | undefined {
  if (name === undefined || averages.has(name as string)) return name as string | undefined;
  const known = [...averages.keys()].map((slot) => showValue(slot));
  const rule = known.length === 0 ? "left out, as the optimizer keeps no average" : known.join(" or ");
  const remedy = known.length === 0 ? ": compile with averaged(…) around it" : "";
  throw new ModelError(`${where}: ${option} must be ${rule}, got ${showValue(name)}${remedy}`);
}
