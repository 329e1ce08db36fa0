// The mathematics of a round: what the shards computed becomes one thing, by sums whose order depends on nothing but the number
// of shards.
import type { ValuesByPath } from "../train/checkpoint.js";

/** What a shard gives to a mean. */
export interface Part {
  readonly values: ValuesByPath;
  /** How much it counts: its samples, or 1. A whole number. */
  readonly weight: number;
}

type Sums = Map<string, Float64Array>;

/**
 * The weighted mean, in float64, over parts that come in the order of their shards. They are added up in a tree: neighbours
 * first, then neighbours of these. A part is asked for when its turn comes, so that log2(parts) sums are in memory and not all
 * parts. Values that are the same in all parts keep their bits: their products with whole numbers, and the sums of these, fit
 * float64, and the quotient is exact.
 */
export async function meanOf(parts: AsyncIterable<Part>): Promise<Sums> {
  // Sums of 1, 2, 4, … parts, the largest first: the digits of a binary counter.
  const sums: { readonly parts: number; readonly values: Sums }[] = [];
  let total = 0;
  for await (const { values, weight } of parts) {
    total += weight;
    let added = { parts: 1, values: scaled(values, weight) };
    for (let last = sums.at(-1); last?.parts === added.parts; last = sums.at(-1)) {
      sums.pop();
      added = { parts: added.parts * 2, values: addTo(last.values, added.values) };
    }
    sums.push(added);
  }
  const [first, ...rest] = sums.reverse().map(({ values }) => values);
  const sum = rest.reduce((smaller, larger) => addTo(larger, smaller), first);
  for (const data of sum.values()) for (let i = 0; i < data.length; i++) data[i] /= total;
  return sum;
}

function scaled(values: ValuesByPath, weight: number): Sums {
  const sums: Sums = new Map();
  for (const [path, { data }] of values) {
    // A loop, because Float64Array.from with a function takes thirty times as long.
    const sum = new Float64Array(data.length);
    for (let i = 0; i < data.length; i++) sum[i] = data[i] * weight;
    sums.set(path, sum);
  }
  return sums;
}

/** Adds the second to the first, and returns that. */
function addTo(sums: Sums, more: Sums): Sums {
  for (const [path, sum] of sums) {
    const others = more.get(path) as Float64Array;
    for (let i = 0; i < sum.length; i++) sum[i] += others[i];
  }
  return sums;
}

/** A mean as values of the library: each rounded once. */
export function rounded(mean: Sums, shapes: ValuesByPath): ValuesByPath {
  return new Map(
    [...mean].map(([path, data]) => [path, { shape: shapes.get(path)?.shape ?? [], data: Float32Array.from(data) }]),
  );
}

export interface OuterOptimizer {
  readonly learningRate: number;
  readonly momentum: number;
}

/** Parameters, and the velocity of the outer optimizer. */
export interface Outer {
  readonly parameters: ValuesByPath;
  readonly velocity: ValuesByPath;
}

/**
 * The outer step of DiLoCo (Douillard et al. 2023): the difference d = p - mean is taken for a gradient, v' = momentum · v + d,
 * p' = p - rate · (d + momentum · v'), as stochastic gradient descent with Nesterov momentum has it. Rate 1 without momentum gives
 * the mean itself, bit by bit: local SGD. Computed in float64, rounded once.
 */
export function outerStep(
  { parameters, velocity }: Outer,
  mean: ReadonlyMap<string, Float64Array>,
  { learningRate, momentum }: OuterOptimizer,
): Outer {
  const next = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const moved = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [path, { shape, data }] of parameters) {
    const goal = mean.get(path) as Float64Array;
    const before = velocity.get(path)?.data;
    const parameter = new Float32Array(data.length);
    const speed = new Float32Array(before === undefined ? 0 : data.length);
    for (let i = 0; i < data.length; i++) {
      // In this form, not p - rate · d, a rate of 1 leaves exactly the mean.
      const along = (1 - learningRate) * data[i] + learningRate * goal[i];
      if (before === undefined) parameter[i] = along;
      else {
        speed[i] = momentum * before[i] + (data[i] - goal[i]);
        parameter[i] = along - learningRate * momentum * speed[i];
      }
    }
    next.set(path, { shape, data: parameter });
    if (before !== undefined) moved.set(path, { shape, data: speed });
  }
  return { parameters: next, velocity: moved };
}
