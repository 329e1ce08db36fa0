// The memory plan: which node runs when, and where each value lies, before anything is allocated.
//
//   arena   ┌───────────────┬──────────┬───────────────┐   time (steps) runs downwards:
//   step 0  │ hidden        │          │               │   a value takes its bytes from the step
//   step 1  │ hidden        │ logits   │               │   that writes it to the last that reads it;
//   step 2  │ hidden        │ logits   │ probabilities │   two values share bytes when their
//   step 3  │ hidden        │ dlogits  │               │   lifetimes do not meet.
//   step 4  │ dhidden       │ dlogits  │               │
//           └───────────────┴──────────┴───────────────┘
import { ALIGNMENT } from "../engine/allocator.js";
import { checkMade } from "../engine/copies.js";
import type { Pointer } from "../engine/instructions.js";
import { placeAll, type Storage } from "./arena.js";
import { nodesBehind } from "./backward.js";
import { bytesOf, type Node, type Tensor } from "./tensor.js";

/** Values start on a cache line. */
export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** One node to run; with a fused activation its result is the activation's output. */
export interface Step {
  readonly node: Node;
  readonly outputs: readonly Tensor[];
  /** For each output, whether it is computed: see Operation.required. */
  readonly wanted: readonly boolean[];
  readonly epilogue: number;
}

/** Bytes that one or more values share: views of each other, or a value computed in another's place. */
type Shared = { -readonly [K in keyof Storage]: Storage[K] };

export interface Plan {
  readonly steps: readonly Step[];
  /** Bytes of the arena, and what its values would take if none shared bytes with another. */
  readonly arenaBytes: number;
  readonly unsharedBytes: number;
  /** Offset of a value in the arena, `undefined` where it is pinned. */
  offsetOf(tensor: Tensor): number | undefined;
  /** The tensor whose pinned address this one shares. */
  pinnedOf(tensor: Tensor): Tensor | undefined;
  scratchOffsetOf(step: Step): number;
  /** What its operation has asked for. */
  scratchBytesOf(step: Step): number;
}

/**
 * Plans the nodes behind `outputs`. Tensors in `pinned` lie where the caller says: leaves must all be
 * there, and results that are no views (a parameter's gradient) may be.
 */
export function planMemory(outputs: readonly Tensor[], pinned: ReadonlyMap<Tensor, Pointer>): Plan {
  for (const tensor of outputs) checkMade(tensor.name, tensor);
  const { steps, lastUse } = stepsOf(outputs, pinned);
  const storages = new Map<Tensor, Shared>();
  const pinnedOf = new Map<Tensor, Tensor>();
  const scratches = new Map<Step, { storage: Shared; bytes: number }>();
  const arena: Shared[] = [];
  let unsharedBytes = 0;
  const take = (bytes: number, first: number, last: number): Shared => {
    const storage = { bytes: align(bytes), first, last, offset: 0 };
    unsharedBytes += storage.bytes;
    arena.push(storage);
    return storage;
  };

  steps.forEach((step, time) => {
    const { operation, inputs, attributes } = step.node;
    step.outputs.forEach((tensor, index) => {
      if (!step.wanted[index]) return;
      const last = lastUse.get(tensor) ?? time;
      const isView = operation.forward === undefined && index === 0;
      if (isView) return shareView(tensor, inputs[0], last);
      if (pinned.has(tensor)) {
        pinnedOf.set(tensor, tensor);
        return;
      }
      const reused = index === 0 ? reusable(step, time, tensor) : undefined;
      if (reused === undefined) storages.set(tensor, take(bytesOf(tensor), time, last));
      else {
        reused.last = last;
        storages.set(tensor, reused);
      }
    });
    const bytes = operation.scratchBytes?.(inputs, attributes, step.wanted) ?? 0;
    if (bytes > 0) scratches.set(step, { storage: take(bytes, time, time), bytes });
  });

  function shareView(view: Tensor, of: Tensor, last: number): void {
    const storage = storages.get(of);
    if (storage === undefined) pinnedOf.set(view, pinnedOf.get(of) ?? of);
    else {
      storage.last = Math.max(storage.last, last);
      storages.set(view, storage);
    }
  }

  /** The storage of an input that dies here and may be overwritten. */
  function reusable(step: Step, time: number, output: Tensor): Shared | undefined {
    for (const index of step.node.operation.inPlace ?? []) {
      const tensor = step.node.inputs[index];
      const storage = tensor && storages.get(tensor);
      if (storage && storage.last === time && bytesOf(tensor) === bytesOf(output)) return storage;
    }
    return undefined;
  }

  const arenaBytes = placeAll(arena);
  return {
    steps,
    arenaBytes,
    unsharedBytes,
    offsetOf: (tensor) => storages.get(tensor)?.offset,
    pinnedOf: (tensor) => pinnedOf.get(tensor),
    scratchOffsetOf: (step) => scratches.get(step)?.storage.offset ?? 0,
    scratchBytesOf: (step) => scratches.get(step)?.bytes ?? 0,
  };
}

type FusedNode = Omit<Step, "wanted">;

/** What is to run, in order, and the step at which each tensor is read last. */
function stepsOf(outputs: readonly Tensor[], pinned: ReadonlyMap<Tensor, Pointer>) {
  const fused = fuse(nodesBehind(outputs), new Set([...outputs, ...pinned.keys()]));
  const lastUse = lastUses(fused, outputs);
  const steps = fused.map((one): Step => {
    const required = one.node.operation.required?.(one.node.attributes) ?? one.outputs.length;
    const isWanted = (output: Tensor, index: number) => index < required || lastUse.has(output) || pinned.has(output);
    return { ...one, wanted: one.outputs.map(isWanted) };
  });
  return { steps, lastUse };
}

/** Merges an activation into the node before it, where both declare it and nobody else reads what lies between. */
function fuse(nodes: readonly Node[], kept: ReadonlySet<Tensor>): FusedNode[] {
  /** What reads each tensor: a node, or several. */
  const readers = new Map<Tensor, Node | "several">();
  for (const node of nodes) {
    for (const tensor of node.inputs) readers.set(tensor, readers.has(tensor) ? "several" : node);
  }
  const fused = new Set<Node>();
  const steps: FusedNode[] = [];
  for (const node of nodes) {
    if (fused.has(node)) continue;
    const [result] = node.outputs;
    const found = readers.get(result);
    const reader = found === "several" ? undefined : found;
    const code = reader?.operation.epilogue;
    if (node.operation.acceptsEpilogue && reader !== undefined && code !== undefined && !kept.has(result)) {
      fused.add(reader);
      steps.push({ node, outputs: reader.outputs, epilogue: code });
    } else {
      steps.push({ node, outputs: node.outputs, epilogue: 0 });
    }
  }
  return steps;
}

/** The step at which each tensor is read last; outputs of the plan live to the end. */
function lastUses(steps: readonly FusedNode[], outputs: readonly Tensor[]): Map<Tensor, number> {
  const last = new Map<Tensor, number>();
  steps.forEach(({ node }, time) => {
    for (const tensor of node.inputs) last.set(tensor, time);
  });
  for (const tensor of outputs) last.set(tensor, steps.length);
  return last;
}
