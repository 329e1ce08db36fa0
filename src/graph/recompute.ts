// Segments: parts of a graph whose values are computed again in the backward pass instead of being kept until then
// (activation checkpointing: Chen et al. 2016, "Training deep nets with sublinear memory cost").
//
//   forward    x ─▶ segment a ─▶ y ─▶ segment b ─▶ z ─▶ loss        x, y and z are kept, and nothing within a and b
//   backward                   y ─▶ b again ─▶ gradients of b ◀─┘   nodes run in the order in which they are made, so
//              x ─▶ a again ─▶ gradients of a ◀─┘                   those made here run just before they are needed
//
// Nodes that run again have the operations and attributes of their originals, so their values have the same bits: dropout
// draws the same mask. Gradients belong to the originals, in the order in which they would be added up without segments.
import { applyAgain, currentSegment } from "./operation.js";
import { type Node, nextId, type Segment, type Tensor } from "./tensor.js";

/** The segment of a node; undefined if its values are kept. */
export type SegmentOf = (node: Node) => Segment | undefined;

/** The values that the backward rules of nodes read. */
export interface BackwardValues {
  /** The tensor that the rule of `node` reads in place of `tensor`, one of the node's own. */
  valueOf(node: Node, tensor: Tensor): Tensor;
  /** Is told of each gradient. What it depends on is kept, and need not be computed again. */
  made(gradient: Tensor): void;
}

const KEPT: BackwardValues = { valueOf: (_, tensor) => tensor, made() {} };

/** The tensor that a tensor has the values of: itself, if it is not computed again. */
export function originalOf(tensor: Tensor): Tensor {
  const { source } = tensor;
  if (source.kind !== "result" || source.node.original === undefined) return tensor;
  return source.node.original.outputs[source.index];
}

/** The values for a backward pass through `nodes`, which are in order. Segments that are being traced are a part of it. */
export function backwardValues(nodes: readonly Node[], segmentOf: SegmentOf): BackwardValues {
  const members = membersOf(nodes, segmentOf);
  if (members.size === 0) return KEPT;
  const reads = createReads();
  const again = new Map<Segment, ReadonlyMap<Tensor, Tensor>>();

  /** A tensor, seen from a segment: as it, or the innermost segment around it that has the tensor, computes it again. */
  function seenFrom(segment: Segment | undefined, tensor: Tensor): Tensor {
    for (let one = segment; one !== undefined && members.has(one); one = one.within) {
      const found = valuesIn(one).get(tensor);
      if (found !== undefined) return found;
    }
    return tensor;
  }

  /** The values of a segment's tensors. They are made when the first is asked for. */
  function valuesIn(segment: Segment): ReadonlyMap<Tensor, Tensor> {
    const known = again.get(segment);
    if (known !== undefined) return known;
    const values = new Map<Tensor, Tensor>();
    for (const node of members.get(segment) as readonly Node[]) {
      const before = node.outputs.map((tensor) => seenFrom(segment.within, tensor));
      const isKept = before.every(reads.has);
      const inputs = node.inputs.map((tensor) => values.get(tensor) ?? seenFrom(segment.within, tensor));
      const after = isKept ? before : applyAgain(node, inputs);
      node.outputs.forEach((tensor, index) => {
        values.set(tensor, reads.has(before[index]) ? before[index] : after[index]);
      });
    }
    again.set(segment, values);
    return values;
  }

  return { valueOf: (node, tensor) => seenFrom(segmentOf(node), tensor), made: reads.add };
}

/** The nodes of each segment, with those of the segments in it. */
function membersOf(nodes: readonly Node[], segmentOf: SegmentOf): Map<Segment, Node[]> {
  const traced = new Set<Segment>();
  for (let one = currentSegment(); one !== undefined; one = one.within) traced.add(one);
  const members = new Map<Segment, Node[]>();
  for (const node of nodes) {
    for (let one = segmentOf(node); one !== undefined && !traced.has(one); one = one.within) {
      const known = members.get(one);
      if (known === undefined) members.set(one, [node]);
      else known.push(node);
    }
  }
  return members;
}

/** What the nodes of a backward pass read, which is made after this. */
export function createReads() {
  const first = nextId();
  const read = new Set<Tensor>();
  return {
    has: (tensor: Tensor): boolean => read.has(tensor),
    /** Adds everything that a gradient depends on, up to what was made before the backward pass. */
    add(gradient: Tensor): void {
      const stack = [gradient];
      while (stack.length > 0) {
        const tensor = stack.pop() as Tensor;
        const { source } = tensor;
        if (source.kind !== "result" || read.has(tensor)) continue;
        read.add(tensor);
        const { id, operation, inputs } = source.node;
        // What is kept for a view is what it is a view of.
        if (id > first || operation.forward === undefined) stack.push(...inputs);
      }
    },
  };
}
