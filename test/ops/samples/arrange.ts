import type { Shape } from "../../../src/graph/tensor.js";
import * as diagonals from "../../../src/ops/diagonal.js";
import { pixelShuffle, pixelUnshuffle } from "../../../src/ops/pixels.js";
import { roll } from "../../../src/ops/roll.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { indicesOf, placeOf } from "./join.js";

const show = JSON.stringify;

function rollCase(
  shape: Shape,
  shift: number | readonly number[],
  axis?: number | readonly number[],
  domain: Domain = "normal",
): Case {
  return {
    name: `${show(shape)} by ${show(shift)} along ${show(axis)}`,
    inputs: [{ shape, domain }],
    apply: (x) => roll(x, shift, axis),
    reference: (x) => {
      const rolled = new Float64Array(x.length);
      const [shifts, axes] = [[shift].flat(), axis === undefined ? [] : [axis].flat()];
      indicesOf(shape).forEach((index, place) => {
        const to = [...index];
        axes.forEach((at, which) => {
          const along = at < 0 ? at + shape.length : at;
          to[along] = (((to[along] + shifts[which]) % shape[along]) + shape[along]) % shape[along];
        });
        const line = axis === undefined ? (((place + shifts[0]) % x.length) + x.length) % x.length : placeOf(shape, to);
        rolled[line] = x[place];
      });
      return rolled;
    },
  };
}

function diagonalCase(shape: Shape, offset: number, [row, column] = [0, 1], domain: Domain = "normal"): Case {
  const [down, across] = [row, column].map((axis) => (axis < 0 ? axis + shape.length : axis));
  const length = indicesOf(shape).filter((index) => index[across] - index[down] === offset);
  const others = shape.filter((_, axis) => axis !== down && axis !== across);
  const count = length.length / others.reduce((a, b) => a * b, 1);
  return {
    name: `${show(shape)} offset ${offset}, axes ${row} and ${column}`,
    inputs: [{ shape, domain }],
    apply: (x) => diagonals.diagonal(x, { offset, axes: [row, column] }),
    reference: (x) =>
      indicesOf([...others, count]).map((index) => {
        const at = index[others.length];
        const rest = index.slice(0, -1);
        const whole = shape.map((_, axis) => {
          if (axis === down) return at + Math.max(0, -offset);
          return axis === across ? at + Math.max(0, offset) : (rest.shift() as number);
        });
        return x[placeOf(shape, whole)];
      }),
  };
}

function matrixCase(shape: Shape, offset: number, domain: Domain = "normal"): Case {
  const n = shape[shape.length - 1];
  const size = n + Math.abs(offset);
  return {
    name: `${show(shape)} offset ${offset}`,
    inputs: [{ shape, domain }],
    apply: (x) => diagonals.diagonalMatrix(x, { offset }),
    reference: (x) =>
      indicesOf([...shape.slice(0, -1), size, size]).map((index) => {
        const [row, column] = index.slice(-2);
        if (column - row !== offset) return 0;
        return x[placeOf(shape, [...index.slice(0, -2), Math.min(row, column)])];
      }),
  };
}

/** What PyTorch's documentation of PixelShuffle says, channels last: `small` [batch, height, width, channels · factor²]. */
function shuffleCase(small: Shape, factor: number, back: boolean, domain: Domain = "normal"): Case {
  const [batch, height, width, all] = small;
  const large = [batch, height * factor, width * factor, all / factor ** 2];
  return {
    name: `${show(back ? large : small)} by ${factor}`,
    inputs: [{ shape: back ? large : small, domain }],
    apply: (x) => (back ? pixelUnshuffle(x, factor) : pixelShuffle(x, factor)),
    reference: (x) => {
      const result = new Float64Array(x.length);
      indicesOf(large).forEach(([b, row, column, c], place) => {
        const [y, ky, z, kx] = [Math.floor(row / factor), row % factor, Math.floor(column / factor), column % factor];
        const other = placeOf(small, [b, y, z, (c * factor + ky) * factor + kx]);
        if (back) result[other] = x[place];
        else result[place] = x[other];
      });
      return result;
    },
  };
}

const shuffles = (back: boolean) => [
  ...laneSizes.map((n) => shuffleCase([2, 2, 3, 4 * n], 2, back)),
  shuffleCase([1, 2, 1, 18], 3, back),
  shuffleCase([2, 3, 2, 5], 1, back),
  shuffleCase([1, 2, 3, 8], 2, back, { classes: 9 }),
];

export const arrangeSamples = {
  pixelShuffle: { cases: shuffles(false) },
  pixelUnshuffle: { cases: shuffles(true) },
  roll: {
    cases: [
      ...laneSizes.map((n) => rollCase([3, n], 1, 1)),
      ...laneSizes.map((n) => rollCase([n, 5], -2, 0)),
      rollCase([4, 5], 7),
      rollCase([4, 5], 0, 1),
      rollCase([2, 6, 3], [2, -1], [1, -1]),
      rollCase([2, 6, 3], [2, 3], [1, 1]),
      rollCase([3, 4], [1], 1),
      rollCase([5, 3], 12, 0, { classes: 7 }),
    ],
  },
  diagonal: {
    cases: [
      ...laneSizes.map((n) => diagonalCase([n, n], 0)),
      ...laneSizes.map((n) => diagonalCase([5, n], 0)),
      diagonalCase([4, 6], 2),
      diagonalCase([6, 4], -3),
      diagonalCase([3, 4, 5], 1, [1, 2]),
      diagonalCase([3, 4, 5], -1, [-1, 0]),
      diagonalCase([2, 3, 2, 3], 0, [1, 3]),
      diagonalCase([4, 4], 1, [0, 1], { classes: 5 }),
    ],
  },
  diagonalMatrix: {
    cases: [
      ...laneSizes.map((n) => matrixCase([n], 0)),
      matrixCase([3, 4], 2),
      matrixCase([2, 3, 4], -1),
      matrixCase([3, 2], 0, { classes: 5 }),
    ],
  },
} satisfies Record<string, Sample>;
