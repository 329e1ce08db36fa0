// Landscapes to go down: each is written once, over any kind of numbers, so that what is drawn is what is descended.

/** What a landscape is computed with: tensors to descend, plain numbers to draw. */
export interface Arithmetic<T> {
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
  square(a: T): T;
  cos(a: T): T;
  constant(value: number): T;
}

export const numbers: Arithmetic<number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  square: (a) => a * a,
  cos: Math.cos,
  constant: (value) => value,
};

export interface Landscape {
  readonly title: string;
  readonly text: string;
  /** What is shown: x from `left` to `right`, y from `bottom` to `top`. */
  readonly view: { readonly left: number; readonly right: number; readonly bottom: number; readonly top: number };
  readonly start: readonly [x: number, y: number];
  /** Where it is lowest, and how low. */
  readonly minima: readonly (readonly [x: number, y: number])[];
  readonly lowest: number;
  height<T>(x: T, y: T, with_: Arithmetic<T>): T;
}

const view = (left: number, right: number, bottom: number, top: number) => ({ left, right, bottom, top });

export const LANDSCAPES = {
  ravine: {
    title: "Ravine",
    text: "Flat along one axis, fifty times as steep along the other: a rate that is right for one is wrong for the other.",
    view: view(-11, 11, -2.2, 2.2),
    start: [-10, 1.6],
    minima: [[0, 0]],
    lowest: 0,
    height: (x, y, { add, mul, square, constant }) => add(mul(constant(0.5), square(x)), mul(constant(25), square(y))),
  },
  rosenbrock: {
    title: "Rosenbrock",
    text: "A bent valley (Rosenbrock 1960): easy to find, and long to follow, as its floor hardly falls.",
    view: view(-2, 2, -1, 3),
    start: [-1.2, 1],
    minima: [[1, 1]],
    lowest: 0,
    height: (x, y, { add, sub, mul, square, constant }) =>
      add(square(sub(constant(1), x)), mul(constant(100), square(sub(y, square(x))))),
  },
  saddle: {
    title: "Saddle",
    text: "It begins beside a ridge, where there is almost no slope to follow. On both sides it falls.",
    view: view(-2, 2, -2.4, 2.4),
    start: [1.5, 0.001],
    minima: [
      [0, Math.SQRT2],
      [0, -Math.SQRT2],
    ],
    lowest: -1,
    height: (x, y, { add, sub, mul, square, constant }) =>
      add(sub(square(x), square(y)), mul(constant(0.25), square(square(y)))),
  },
  himmelblau: {
    title: "Himmelblau",
    text: "Four valleys of the same depth (Himmelblau 1972). Which one is found depends on the optimizer.",
    view: view(-6, 6, -6, 6),
    start: [-0.4, -1],
    minima: [
      [3, 2],
      [-2.805118086952745, 3.131312518250573],
      [-3.779310253377747, -3.28318599128617],
      [3.584428340330492, -1.848126526964404],
    ],
    lowest: 0,
    height: (x, y, { add, sub, square, constant }) =>
      add(square(sub(add(square(x), y), constant(11))), square(sub(add(x, square(y)), constant(7)))),
  },
  beale: {
    title: "Beale",
    text: "Plains with steep walls around them (Beale 1958): slopes are tiny here, and huge there.",
    view: view(-4.5, 4.5, -4.5, 4.5),
    start: [1, 1.5],
    minima: [[3, 0.5]],
    lowest: 0,
    height(x, y, { add, sub, mul, square, constant }) {
      const y2 = square(y);
      const part = (value: number, power: typeof x) => square(add(sub(constant(value), x), mul(x, power)));
      return add(add(part(1.5, y), part(2.25, y2)), part(2.625, mul(y, y2)));
    },
  },
  eggs: {
    title: "Hollows",
    text: "A bowl full of hollows (Rastrigin 1974, flatter): who rolls with momentum passes some of them.",
    view: view(-4, 4, -4, 4),
    start: [-3.4, 2.7],
    minima: [[0, 0]],
    lowest: 0,
    height(x, y, { add, sub, mul, square, cos, constant }) {
      const along = (value: typeof x) =>
        add(square(value), mul(constant(1.5), sub(constant(1), cos(mul(constant(2 * Math.PI), value)))));
      return add(along(x), along(y));
    },
  },
} satisfies Record<string, Landscape>;

export type LandscapeName = keyof typeof LANDSCAPES;
export const LANDSCAPE_NAMES = Object.keys(LANDSCAPES) as LandscapeName[];

/** The height of a point, as a plain number. */
export const heightAt = ({ height }: Landscape, x: number, y: number): number => height(x, y, numbers);

/**
 * Heights of side × side cells of the view, from the upper left, row by row, as shares of how they are drawn: 0 is lowest,
 * 1 highest. Gives way after each row, so that who asks may do other things in between; what it returns is the relief.
 */
export function* reliefOf(landscape: Landscape, side: number): Generator<undefined, Float32Array> {
  const { left, right, bottom, top } = landscape.view;
  const heights = new Float32Array(side * side);
  let most = 0;
  for (let row = 0; row < side; row++) {
    const y = top - ((row + 0.5) / side) * (top - bottom);
    for (let column = 0; column < side; column++) {
      const x = left + ((column + 0.5) / side) * (right - left);
      // Valleys are what matters: heights are shown by their logarithm.
      const height = Math.log1p(Math.max(0, heightAt(landscape, x, y) - landscape.lowest));
      heights[row * side + column] = height;
      most = Math.max(most, height);
    }
    yield;
  }
  return heights.map((value) => value / most);
}
