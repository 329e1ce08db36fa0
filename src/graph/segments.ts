// Divides a graph into segments (src/graph/recompute.ts), so that a training step needs few bytes.
//
//   nodes in order   ─▶ ├── segment ──┤ ├── segment ──┤ ├──── kept ────┤ loss
//                                     b               b
//
// What is read across the end of a segment is kept (b); what the backward pass reads within it is there only while the
// segment is gone through backward. By then, later segments are done with. So a segment has to fit in a limit together with
// what is kept before it: an early one may be large. The nodes at the end fit as they are, and are not computed again.
import { buildGradient, type GradientRules, nodesBehind } from "./backward.js";
import { createReads, type SegmentOf } from "./recompute.js";
import { bytesOf, type Node, type Segment, type Tensor } from "./tensor.js";

/** A value that a node makes. */
interface Value {
  readonly bytes: number;
  /** Number of the last node that reads it. */
  readonly last: number;
  /** Whether the backward pass reads it. */
  readonly read: boolean;
}

/** What a segment needs. */
interface Extent {
  /** What is kept for the segments after it. */
  readonly kept: number;
  /** What is there while it is gone through backward, besides what is kept before it. */
  readonly within: number;
}

/** Segments for the gradients of `loss` with respect to `wrt`, chosen so that little memory is needed. */
export function chooseSegments(loss: Tensor, wrt: readonly Tensor[], rules: GradientRules): SegmentOf {
  const nodes = nodesBehind([loss]);
  const values = valuesOf(nodes, loss, wrt, rules);
  const ends = endsWithin(values, smallestLimit(values)) ?? [];
  const segments = new Map<Node, Segment>();
  ends.forEach((end, index) => {
    const segment: Segment = { within: undefined };
    for (let at = index === 0 ? 0 : ends[index - 1]; at < end; at++) segments.set(nodes[at], segment);
  });
  return (node) => segments.get(node);
}

/** The values of each node. Views have no bytes: what they are views of is read instead. */
function valuesOf(
  nodes: readonly Node[],
  loss: Tensor,
  wrt: readonly Tensor[],
  rules: GradientRules,
): readonly (readonly Value[])[] {
  const reads = createReads();
  // Only to see what it reads.
  for (const gradient of buildGradient(loss, wrt, rules, { segmentOf: () => undefined })) reads.add(gradient);
  const last = new Map<Tensor, number>();
  nodes.forEach(({ inputs }, at) => {
    for (const tensor of inputs) last.set(rootOf(tensor), at);
  });
  return nodes.map(({ operation, outputs }, at) =>
    outputs.flatMap((tensor, index): Value[] => {
      if (operation.forward === undefined && index === 0) return [];
      return [{ bytes: bytesOf(tensor), last: last.get(tensor) ?? at, read: reads.has(tensor) }];
    }),
  );
}

/** What a view is a view of; any other tensor itself. */
function rootOf(tensor: Tensor): Tensor {
  let root = tensor;
  while (root.source.kind === "result" && root.source.index === 0 && root.source.node.operation.forward === undefined) {
    root = root.source.node.inputs[0];
  }
  return root;
}

// How close the search comes to the smallest limit.
const PRECISION = 1.01;

/** The smallest limit that there are segments for. */
function smallestLimit(values: readonly (readonly Value[])[]): number {
  let [low, high] = [0, Math.max(1, ...values.flat().map(({ bytes }) => bytes))];
  while (endsWithin(values, high) === undefined) [low, high] = [high, 2 * high];
  while (high > PRECISION * low) {
    const middle = (low + high) / 2;
    if (endsWithin(values, middle) === undefined) low = middle;
    else high = middle;
  }
  return high;
}

/** Where segments end, each with what is kept before it within a limit of bytes; `undefined` if none fit. */
function endsWithin(values: readonly (readonly Value[])[], limit: number): number[] | undefined {
  const count = values.length;
  // The fewest bytes that are kept at the end of a segment, and where it begins.
  const kept = new Float64Array(count + 1).fill(Number.POSITIVE_INFINITY);
  const begin = new Int32Array(count + 1);
  kept[0] = 0;
  let first: number | undefined;
  for (let end = 1; end <= count; end++) {
    for (const [start, extent] of extentsTo(values, end, limit)) {
      if (kept[start] + extent.within > limit) continue;
      // At the end, the segment that is not computed again is to be as long as it can.
      if (end === count) first = start;
      const sum = kept[start] + extent.kept;
      if (sum >= kept[end]) continue;
      kept[end] = sum;
      begin[end] = start;
    }
  }
  if (first === undefined) return undefined;
  const ends: number[] = [];
  for (let end = first; end > 0; end = begin[end]) ends.unshift(end);
  return ends;
}

/** The segments that end before node `end`, by their first node, from the shortest, up to a limit of bytes. */
function* extentsTo(
  values: readonly (readonly Value[])[],
  end: number,
  limit: number,
): Generator<[start: number, extent: Extent]> {
  let [kept, read, largest] = [0, 0, 0];
  for (let start = end - 1; start >= 0; start--) {
    for (const { bytes, last, read: isRead } of values[start]) {
      if (last >= end) kept += bytes;
      else if (isRead) read += bytes;
      largest = Math.max(largest, bytes);
    }
    // Two gradients, of what comes in and of what goes out.
    const within = read + 2 * largest;
    if (within > limit) return;
    yield [start, { kept, within }];
  }
}
