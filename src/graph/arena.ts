// Offsets in the arena: each storage gets the lowest offset that is free during its whole life, the largest storage
// first.
//
// The bytes in use are kept in a tree over time, so that in a graph of thousands of nodes, a storage need not be
// compared with all others. A node of the tree is an interval of time, and its two children are the halves:
//
//   time        0 1 2 3 4 5 6 7        a storage that lives from 1 to 5 belongs to the fewest nodes that make up
//               └──────┬──────┘        its life: [1], [2 3], [4 5]
//               └──┬──┘ └──┬──┘
//               └┬┘ └┬┘ └┬┘ └┬┘

/** The first and the last step, both included. */
interface Life {
  readonly first: number;
  readonly last: number;
}

/** Bytes that are in use during a life. */
export interface Storage extends Life {
  readonly bytes: number;
  offset: number;
}

/** Sets all offsets. Returns the bytes of the arena. */
export function placeAll(storages: readonly Storage[]): number {
  const times = storages.reduce((max, { last }) => Math.max(max, last + 1), 1);
  const taken = createTimeline(times);
  let total = 0;
  for (const storage of [...storages].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    storage.offset = firstFree(taken.during(storage), storage.bytes);
    taken.add(storage);
    total = Math.max(total, storage.offset + storage.bytes);
  }
  return total;
}

/** Disjoint stretches of bytes in order, touching ones merged: start, end, start, end, … */
type Spans = number[];

interface Timeline {
  /** The bytes that are in use at any time of a life. */
  during(life: Life): Spans[];
  add(storage: Storage): void;
}

function createTimeline(times: number): Timeline {
  /** For each node, the bytes in use during all of its time, and those in use during a part of it. */
  const whole = new Map<number, Spans>();
  const some = new Map<number, Spans>();
  /**
   * Calls back for each node that a life overlaps, with whether the life covers the node. Children of covered nodes are
   * skipped.
   */
  const visit = (
    life: Life,
    at: (node: number, covered: boolean) => void,
    node = 1,
    from = 0,
    to = times - 1,
  ): void => {
    const { first, last } = life;
    if (last < from || to < first) return;
    const covered = first <= from && to <= last;
    at(node, covered);
    if (covered) return;
    const middle = (from + to) >> 1;
    visit(life, at, 2 * node, from, middle);
    visit(life, at, 2 * node + 1, middle + 1, to);
  };
  return {
    during(life) {
      const found: Spans[] = [];
      visit(life, (node, covered) => {
        const spans = (covered ? some : whole).get(node);
        if (spans !== undefined) found.push(spans);
      });
      return found;
    },
    add(storage) {
      const { bytes, offset } = storage;
      if (bytes === 0) return;
      visit(storage, (node, covered) => {
        addSpan(some, node, offset, offset + bytes);
        if (covered) addSpan(whole, node, offset, offset + bytes);
      });
    },
  };
}

/** The lowest offset from which so many bytes are free in all of these. */
function firstFree(taken: readonly Spans[], bytes: number): number {
  let offset = 0;
  for (let moved = true; moved; ) {
    moved = false;
    for (const spans of taken) {
      const next = firstEndingBehind(spans, offset);
      if (next === spans.length || spans[next] >= offset + bytes) continue;
      offset = spans[next + 1];
      moved = true;
    }
  }
  return offset;
}

/** Index of the first span that ends after `offset`. */
function firstEndingBehind(spans: Spans, offset: number): number {
  let low = 0;
  let high = spans.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[2 * middle + 1] > offset) high = middle;
    else low = middle + 1;
  }
  return 2 * low;
}

function addSpan(of: Map<number, Spans>, node: number, start: number, end: number): void {
  const spans = of.get(node);
  if (spans === undefined) {
    of.set(node, [start, end]);
    return;
  }
  // Spans that overlap or touch are merged. Bytes are whole numbers, so a span that ends at `start` touches.
  const from = firstEndingBehind(spans, start - 1);
  let to = from;
  while (to < spans.length && spans[to] <= end) to += 2;
  const merged = from === to ? [start, end] : [Math.min(start, spans[from]), Math.max(end, spans[to - 1])];
  spans.splice(from, to - from, ...merged);
}
