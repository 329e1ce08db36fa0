// What the rows of test/ops/samples are, and the numbers that their inputs are filled with. Plain arithmetic and nothing of
// Node's or a test runner's: the suite of all runtimes (test/everywhere) bundles it with the rows.
import type { Shape, Tensor } from "../../src/graph/tensor.js";

/**
 * Which values an input is filled with. `distribution`: rows (last axis) sum to 1; `distinct`: no two alike, in
 * this input or in the case's other distinct ones; `signs`: -1 or 1; `bits`: 0 or 1; `{ classes }`: uint32 labels, from 0 or `from` on;
 * `special`: 0, -0, infinities and NaN among ordinary values, where the reference says what must come out.
 */
export type Domain =
  | "normal"
  | "positive"
  | "probability"
  | "awayFromZero"
  | "distinct"
  | "signs"
  | "bits"
  | "special"
  | "distribution"
  | { readonly classes: number; readonly from?: number };

export interface Case {
  /** Default: the shapes. */
  readonly name?: string;
  readonly inputs: readonly { readonly shape: Shape; readonly domain?: Domain }[];
  apply(...tensors: Tensor[]): Tensor;
  /** The same in float64, row-major. */
  reference(...inputs: Float64Array[]): ArrayLike<number>;
  /** Which inputs get a gradient check. Default: all float inputs whose domain is not signs, bits or special. */
  readonly differentiable?: readonly boolean[];
  /** Its indices choose what is not there: they are refused where they are handed in, so that only kernels see them. */
  readonly refused?: boolean;
  /** Largest forward error relative to scale (see `checkForward`), default 8·2^-24; gradients are allowed eight times it. */
  readonly tolerance?: number;
}

export interface Sample {
  readonly cases: readonly Case[];
}

/** Sizes below, at and above the lane width, its double and its fourfold. */
export const laneSizes = [1, 3, 4, 5, 7, 8, 9, 16, 17] as const;

const sizeOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

export const TOLERANCE = 8 * 2 ** -24;

export type Data = Float32Array | Uint32Array;

/** Which inputs have a gradient that is to be checked. */
export function differentiable(one: Case): readonly boolean[] {
  if (one.differentiable !== undefined) return one.differentiable;
  const never = ["signs", "bits", "special"];
  return one.inputs.map(({ domain = "normal" }) => typeof domain === "string" && !never.includes(domain));
}

/**
 * |y - reference| ≤ tolerance · max(|reference|, root mean square of the reference), element by element; infinities
 * and NaN must be where the reference (rounded to float32) has them; uint32 results must be equal.
 */
export function checkForward(one: Case, exact: boolean, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  if (actual.length !== expected.length) {
    throw new Error(`the reference has ${expected.length} values, the result ${actual.length}`);
  }
  const finite = Array.from(expected).filter((value) => Number.isFinite(value));
  const rms = Math.sqrt(finite.reduce((total, value) => total + value * value, 0) / Math.max(1, finite.length));
  const tolerance = exact ? 0 : (one.tolerance ?? TOLERANCE);
  for (let index = 0; index < actual.length; index++) {
    const scale = Math.max(Math.abs(expected[index]), rms);
    compare(`forward, element ${index}`, actual[index], expected[index], tolerance, scale);
  }
}

export function compare(where: string, actual: number, expected: number, tolerance: number, scale: number): void {
  const rounded = Math.fround(expected);
  if (Object.is(actual, rounded) || actual === rounded) return;
  const error = Math.abs(actual - expected) / scale;
  if (Number.isFinite(rounded) && error <= tolerance) return;
  throw new Error(
    `${where}: expected ${expected}, got ${actual}: error ${error} of scale ${scale}, allowed ${tolerance}`,
  );
}

export interface Random {
  uniform(): number;
  normal(): number;
  below(count: number): number;
}

/** log(x) for 0 < x ≤ 1, which hosts round otherwise: ln m·2^e, and 2·artanh((m - 1) / (m + 1)) for ln m. */
function logOf(x: number): number {
  let [m, exponent] = [x, 0];
  for (; m < 0.75; exponent--) m *= 2;
  const s = (m - 1) / (m + 1);
  let sum = 0;
  for (let n = 27; n > 0; n -= 2) sum = sum * s * s + 1 / n;
  return exponent * Math.LN2 + 2 * s * sum;
}

/** cos(2π·turns) for 0 ≤ turns < 1, by its series up to a quarter of a turn. */
function cosOfTurns(turns: number): number {
  const near = Math.abs(turns - 0.5);
  const x = 2 * Math.PI * (near < 0.25 ? near : 0.5 - near);
  let sum = 0;
  for (let n = 24; n > 0; n -= 2) sum = (1 - sum) * ((x * x) / (n * (n - 1)));
  return near < 0.25 ? sum - 1 : 1 - sum;
}

/** Mulberry32 (T. Ettinger, public domain): fixed numbers for a fixed seed. */
export function createRandom(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b9) >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    // Box & Muller 1958.
    normal: () => Math.sqrt(-2 * logOf(1 - uniform())) * cosOfTurns(uniform()),
    below: (count) => Math.floor(uniform() * count),
  };
}

export function drawInputs({ inputs }: Case, random: Random): Data[] {
  return inputs.map(({ shape, domain = "normal" }, index) => {
    const length = sizeOf(shape);
    if (typeof domain === "object")
      return Uint32Array.from({ length }, () => random.below(domain.classes) + (domain.from ?? 0));
    if (domain === "distinct") return drawDistinct(length, index / inputs.length, random);
    if (domain === "distribution") return drawDistributions(length, shape.at(-1) ?? 1, random);
    return Float32Array.from({ length }, scalarDomains[domain](random));
  });
}

const SPECIAL = [0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1, -2.5, 0.75];

const scalarDomains = {
  normal: (random: Random) => random.normal,
  positive: (random: Random) => () => 0.2 + 2.8 * random.uniform(),
  probability: (random: Random) => () => 0.05 + 0.9 * random.uniform(),
  awayFromZero: (random: Random) => () => (random.uniform() < 0.5 ? -1 : 1) * (0.2 + 2 * random.uniform()),
  signs: (random: Random) => () => (random.uniform() < 0.5 ? -1 : 1),
  bits: (random: Random) => () => random.below(2),
  special: (random: Random) => () => SPECIAL[random.below(SPECIAL.length)],
} as const;

/** A shuffled grid around zero; `shift` (0 to 1) keeps the grids of several inputs apart. */
function drawDistinct(length: number, shift: number, random: Random): Float32Array {
  const grid = Float32Array.from({ length }, (_, index) => (index + 0.3 + shift - Math.floor(length / 2)) * 0.03);
  for (let last = length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [grid[last], grid[other]] = [grid[other], grid[last]];
  }
  return grid;
}

function drawDistributions(length: number, row: number, random: Random): Float32Array {
  const weights = Array.from({ length }, () => 0.1 + random.uniform());
  return Float32Array.from(weights, (weight, index) => {
    const begin = index - (index % row);
    return weight / weights.slice(begin, begin + row).reduce((a, b) => a + b);
  });
}
