// The memory plan: when each node runs, and where each value is stored. It is made before anything is allocated.
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
import type { Choices } from "../engine/engine.js";
import type { Pointer } from "../engine/instructions.js";
import { placeAll, type Storage } from "./arena.js";
import { nodesBehind } from "./backward.js";
import { bytesOf, type Node, type Tensor } from "./tensor.js";

/** Values start on a cache line. */
export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** One node to run. With a fused activation, its result is the output of the activation. */
export interface Step {
  readonly node: Node;
  readonly outputs: readonly Tensor[];
  /** For each output, whether it is computed: see Operation.required. */
  readonly wanted: readonly boolean[];
  readonly epilogue: number;
}

/** Bytes that one or more values share: views of each other, or a value that overwrites another. */
type Shared = { -readonly [K in keyof Storage]: Storage[K] };

export interface Plan {
  /** What it was planned for. */
  readonly choices: Choices;
  readonly steps: readonly Step[];
  /** Bytes of the arena, and the bytes that its values would need without sharing. */
  readonly arenaBytes: number;
  readonly unsharedBytes: number;
  /** Offset of a value in the arena; `undefined` if it is pinned. */
  offsetOf(tensor: Tensor): number | undefined;
  /** The pinned tensor whose address this one shares. */
  pinnedOf(tensor: Tensor): Tensor | undefined;
  scratchOffsetOf(step: Step): number;
  /** The scratch of its operation. */
  scratchBytesOf(step: Step): number;
}

/**
 * Plans the nodes behind `outputs`. The caller determines the addresses of the tensors in `pinned`: all leaves must be
 * pinned, and results that are no views (the gradient of a parameter) may be.
 */
export function planMemory(outputs: readonly Tensor[], pinned: ReadonlyMap<Tensor, Pointer>, choices: Choices): Plan {
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
    const bytes = operation.scratchBytes?.(inputs, attributes, step.wanted, choices) ?? 0;
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

  /** The storage of an input that nothing reads after this step, and that may be overwritten. */
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
    choices,
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

/** The steps in order, and the last step that reads each tensor. */
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

/**
 * Merges an activation into the node before it, if both operations declare it and nothing else reads the value between
 * them.
 */
function fuse(nodes: readonly Node[], kept: ReadonlySet<Tensor>): FusedNode[] {
  /** The node that reads each tensor, or "several". */
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

/** The last step that reads each tensor. Outputs of the plan live to the end. */
function lastUses(steps: readonly FusedNode[], outputs: readonly Tensor[]): Map<Tensor, number> {
  const last = new Map<Tensor, number>();
  steps.forEach(({ node }, time) => {
    for (const tensor of node.inputs) last.set(tensor, time);
  });
  for (const tensor of outputs) last.set(tensor, steps.length);
  return last;
}
