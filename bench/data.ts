// Seeded data, the same for every implementation.

/** Uniform numbers in [0, 1): mulberry32 (Tommy Ettinger 2017). */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `length` uniform numbers in [-limit, limit). */
export function uniformValues(random: () => number, length: number, limit = 1): Float32Array {
  return Float32Array.from({ length }, () => (2 * random() - 1) * limit);
}

/** Initial weights and biases of dense layers, in turn: Glorot & Bengio 2010, equation 16, and zeros. */
export function initialParameters(sizes: readonly number[], seed: number): Float32Array[] {
  const random = createRandom(seed);
  return sizes.slice(1).flatMap((units, i) => {
    const inputs = sizes[i];
    return [uniformValues(random, inputs * units, Math.sqrt(6 / (inputs + units))), new Float32Array(units)];
  });
}

/** Samples behind one another, in batches of the same size. */
export interface BatchedData {
  readonly x: Float32Array;
  readonly y: Float32Array | Uint32Array;
  readonly batch: number;
  readonly batches: number;
}

/** The four cases of exclusive or, as one batch. */
export function xorData(): BatchedData {
  return { x: Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1), y: Float32Array.of(0, 1, 1, 0), batch: 4, batches: 1 };
}

const UNIQUE_BATCHES = 8;
const LABEL_NOISE = 0.2;

/**
 * Uniform inputs with the classes that a random linear map gives them. Each input comes twice, with 20 % of the labels
 * replaced at random each time: no network can fit both, so gradients never shrink into the denormal range, where
 * multiplying takes a hundred cycles.
 */
export function classificationData(
  batch: number,
  inputs: number,
  classes: number,
  seed: number,
  uniqueBatches = UNIQUE_BATCHES,
): BatchedData {
  const random = createRandom(seed);
  const map = uniformValues(random, inputs * classes);
  const count = uniqueBatches * batch;
  const x = new Float32Array(2 * count * inputs);
  const y = new Uint32Array(2 * count);
  const scores = new Float64Array(classes);
  for (let i = 0; i < count * inputs; i++) x[i] = random();
  x.copyWithin(count * inputs, 0, count * inputs);
  for (let sample = 0; sample < count; sample++) {
    scores.fill(0);
    for (let p = 0; p < inputs; p++) {
      const value = x[sample * inputs + p] - 0.5;
      for (let c = 0; c < classes; c++) scores[c] += value * map[p * classes + c];
    }
    y[sample] = scores.indexOf(Math.max(...scores));
    y[count + sample] = y[sample];
  }
  for (let i = 0; i < y.length; i++) if (random() < LABEL_NOISE) y[i] = Math.floor(random() * classes);
  return { x, y, batch, batches: 2 * uniqueBatches };
}
