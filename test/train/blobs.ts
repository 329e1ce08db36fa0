// Small data sets for training tests, the same in every run.

/** Numbers in [0, 1) from a multiplicative congruential generator (Lehmer 1951; Park & Miller 1988). */
export function lehmer(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** Two features, three classes: clouds around (0, 2), (2, -1) and (-2, -1). */
export function blobs(count: number, seed = 7): { x: Float32Array; y: Uint8Array } {
  const random = lehmer(seed);
  const centers = [
    [0, 2],
    [2, -1],
    [-2, -1],
  ];
  const x = new Float32Array(count * 2);
  const y = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    y[i] = i % 3;
    for (let axis = 0; axis < 2; axis++) x[i * 2 + axis] = centers[y[i]][axis] + (random() + random() + random() - 1.5);
  }
  return { x, y };
}
