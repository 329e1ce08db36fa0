// Random numbers that a seed repeats: one 32-bit counter, mixed (the finalizer of MurmurHash3, Appleby 2011).

export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Normal, with mean 0 and standard deviation 1 (Box & Muller 1958). */
  normal(): number;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let bits = state;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** Puts the items in an order of the generator's (Fisher & Yates 1938), in place. */
export function shuffle<T>(items: T[], { uniform }: Random): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(uniform() * (last + 1));
    [items[last], items[other]] = [items[other] as T, items[last] as T];
  }
  return items;
}
