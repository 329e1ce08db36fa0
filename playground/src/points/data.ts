// Points in the square [-6, 6]² and what is known of each: a class, or a value to be learned.
import { createRandom, type Random, shuffle } from "../random.js";

/** Half the side of the square. */
export const EXTENT = 6;

export interface Point {
  readonly x: number;
  readonly y: number;
  /** A class, 0 or 1; for regressions a value from -1 to 1. */
  readonly label: number;
}

export const CLASS_SETS = ["circle", "xor", "gauss", "spiral"] as const;
export const VALUE_SETS = ["plane", "hills"] as const;
export const DATA_SETS = [...CLASS_SETS, ...VALUE_SETS] as const;
export type DataSet = (typeof DATA_SETS)[number];

export const isRegression = (set: DataSet): boolean => (VALUE_SETS as readonly string[]).includes(set);

export interface DataOptions {
  readonly set: DataSet;
  /** From 0 to 50, percent: how far points are moved from where their label was found. */
  readonly noise: number;
  readonly count: number;
  readonly seed: number;
}

type Draw = (random: Random, index: number, options: DataOptions) => Point;

const between = ({ uniform }: Random, low: number, high: number): number => low + (high - low) * uniform();
const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Moves a point that has its label already. `reach` is how far, in units of the square, all of the noise goes. */
function moved(point: Point, reach: number, { noise }: DataOptions, random: Random): Point {
  const spread = (noise / 100) * reach;
  const move = (value: number) => clamp(value + spread * between(random, -1, 1), -EXTENT, EXTENT);
  return { x: move(point.x), y: move(point.y), label: point.label };
}

/** A disc of class 1 in a ring of class 0. */
const circle: Draw = (random, index, options) => {
  const inside = index % 2 === 0;
  const radius = inside ? 2.5 * Math.sqrt(random.uniform()) : between(random, 3.5, 5);
  const angle = between(random, 0, 2 * Math.PI);
  const point = { x: radius * Math.cos(angle), y: radius * Math.sin(angle), label: inside ? 1 : 0 };
  return moved(point, 5, options, random);
};

/** Class 1 where both coordinates have one sign, with a gap along the axes. */
const xor: Draw = (random, _, options) => {
  const gap = (value: number) => value + (value > 0 ? 0.3 : -0.3);
  const x = gap(between(random, -5, 5));
  const y = gap(between(random, -5, 5));
  return moved({ x, y, label: x * y > 0 ? 1 : 0 }, 5, options, random);
};

/** Two clouds, which noise makes wider. */
const gauss: Draw = (random, index, { noise }) => {
  const label = index % 2;
  const center = label === 1 ? 2 : -2;
  const deviation = 0.7 + noise / 33;
  const coordinate = () => clamp(center + deviation * random.normal(), -EXTENT, EXTENT);
  return { x: coordinate(), y: coordinate(), label };
};

/** Two arms, each of a turn and three quarters. */
const spiral: Draw = (random, index, options) => {
  const label = index % 2;
  const along = Math.floor(index / 2) / (options.count / 2);
  const angle = 1.75 * along * 2 * Math.PI + label * Math.PI;
  const point = { x: 5 * along * Math.sin(angle), y: 5 * along * Math.cos(angle), label };
  return moved(point, 1.6, options, random);
};

/** A value that rises from one corner to the other. */
const plane: Draw = (random, _, options) => {
  const x = between(random, -EXTENT, EXTENT);
  const y = between(random, -EXTENT, EXTENT);
  return moved({ x, y, label: (x + y) / (2 * EXTENT) }, 5, options, random);
};

const HILLS = [
  [-4, 2.5, 1],
  [0, 2.5, -1],
  [4, 2.5, 1],
  [-4, -2.5, -1],
  [0, -2.5, 1],
  [4, -2.5, -1],
] as const;

/** Three hills and three hollows. */
const hills: Draw = (random, _, options) => {
  const x = between(random, -EXTENT, EXTENT);
  const y = between(random, -EXTENT, EXTENT);
  let label = 0;
  for (const [a, b, sign] of HILLS) {
    const height = sign * Math.max(0, 1 - Math.hypot(x - a, y - b) / 2.2);
    if (Math.abs(height) > Math.abs(label)) label = height;
  }
  return moved({ x, y, label }, 5, options, random);
};

const DRAWS = { circle, xor, gauss, spiral, plane, hills } satisfies Record<DataSet, Draw>;

/** `count` points in an order of the seed's. */
export function drawPoints(options: DataOptions): Point[] {
  const random = createRandom(options.seed);
  const points = Array.from({ length: options.count }, (_, index) => DRAWS[options.set](random, index, options));
  return shuffle(points, random);
}

/** The first `share` percent to train with, the others to test; at least one point in each. */
export function splitPoints(points: readonly Point[], share: number): { train: Point[]; test: Point[] } {
  const count = clamp(Math.round((points.length * share) / 100), 1, points.length - 1);
  return { train: points.slice(0, count), test: points.slice(count) };
}

/** What the network is told of a point. Coordinates are divided by 3, so that all are of about the same size. */
export const FEATURES = {
  x: (x) => x / 3,
  y: (_, y) => y / 3,
  xx: (x) => (x / 3) ** 2,
  yy: (_, y) => (y / 3) ** 2,
  xy: (x, y) => (x * y) / 9,
  sinx: (x) => Math.sin(x),
  siny: (_, y) => Math.sin(y),
} satisfies Record<string, (x: number, y: number) => number>;
export type Feature = keyof typeof FEATURES;
export const FEATURE_NAMES = Object.keys(FEATURES) as Feature[];

/** [points, features], row by row. */
export function featuresOf(points: readonly { x: number; y: number }[], features: readonly Feature[]): Float32Array {
  const values = new Float32Array(points.length * features.length);
  let next = 0;
  for (const { x, y } of points) for (const feature of features) values[next++] = FEATURES[feature](x, y);
  return values;
}

/** The middles of side × side cells of the square, from the upper left, row by row. */
export function gridPoints(side: number): { x: number; y: number }[] {
  const middle = (index: number) => ((index + 0.5) / side) * 2 * EXTENT - EXTENT;
  return Array.from({ length: side * side }, (_, i) => ({ x: middle(i % side), y: -middle(Math.floor(i / side)) }));
}
