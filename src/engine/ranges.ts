// A set of bytes, kept as stretches in order of their addresses, with gaps between them.

export interface Region {
  readonly address: number;
  readonly bytes: number;
}

export interface Ranges {
  add(region: Region): void;
  remove(region: Region): void;
  overlaps(region: Region): boolean;
  /** The parts of a region that are in the set. */
  within(region: Region): Region[];
  isEmpty(): boolean;
}

export function createRanges(): Ranges {
  let stretches: { begin: number; end: number }[] = [];
  const remove = ({ address, bytes }: Region): void => {
    if (bytes === 0) return;
    const end = address + bytes;
    stretches = stretches.flatMap((one) => {
      if (one.end <= address || one.begin >= end) return [one];
      const before = { begin: one.begin, end: address };
      const after = { begin: end, end: one.end };
      return [before, after].filter((part) => part.begin < part.end);
    });
  };
  const within = ({ address, bytes }: Region): Region[] =>
    stretches
      .map((one) => ({ begin: Math.max(one.begin, address), end: Math.min(one.end, address + bytes) }))
      .filter(({ begin, end }) => begin < end)
      .map(({ begin, end }) => ({ address: begin, bytes: end - begin }));
  return {
    add({ address, bytes }) {
      if (bytes === 0) return;
      let [begin, end] = [address, address + bytes];
      const apart = stretches.filter((one) => one.end < begin || one.begin > end);
      for (const one of stretches) {
        if (apart.includes(one)) continue;
        begin = Math.min(begin, one.begin);
        end = Math.max(end, one.end);
      }
      stretches = [...apart, { begin, end }].sort((a, b) => a.begin - b.begin);
    },
    remove,
    overlaps: (region) => within(region).length > 0,
    within,
    isEmpty: () => stretches.length === 0,
  };
}
