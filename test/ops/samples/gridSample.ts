import type { Shape } from "../../../src/graph/tensor.js";
import { affineGrid, type GridSampleOptions, gridSample } from "../../../src/ops/gridSample.js";
import { type Case, laneSizes, type Sample } from "../cases.js";
import { indicesOf, placeOf } from "./join.js";

type Rules = Required<GridSampleOptions>;

/** A place outside brought inside, by steps: mirrored as often as it takes. */
function inside(place: number, size: number, { padding, alignCorners }: Rules): number {
  if (padding === "zeros") return place;
  let at = place;
  if (padding === "reflection") {
    const [low, high] = alignCorners ? [0, size - 1] : [-0.5, size - 0.5];
    if (low === high) return 0;
    while (at < low || at > high) at = at < low ? 2 * low - at : 2 * high - at;
  }
  return Math.min(Math.max(at, 0), size - 1);
}

/** Keys 1981, a = -0.75. */
function keys(distance: number): number {
  const [d, a] = [Math.abs(distance), -0.75];
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
}

/** Pixels of an axis and their shares. */
function tapsAt(point: number, size: number, rules: Rules): (readonly [pixel: number, share: number])[] {
  const place = rules.alignCorners ? ((point + 1) / 2) * (size - 1) : ((point + 1) * size - 1) / 2;
  if (rules.mode === "cubic") {
    const first = Math.floor(place);
    return [-1, 0, 1, 2].map((i) => [inside(first + i, size, rules), keys(place - first - i)] as const);
  }
  const at = inside(place, size, rules);
  if (rules.mode === "nearest") return [[Math.round(at), 1]];
  const first = Math.floor(at);
  return [0, 1].map((i) => [first + i, 1 - Math.abs(at - first - i)] as const);
}

/** PyTorch's documentation of grid_sample, in real numbers, point by point. */
function sampled(x: Float64Array, shape: Shape, grid: Float64Array, points: Shape, rules: Rules): number[] {
  const sizes = shape.slice(1, -1);
  const axes = sizes.length;
  const result: number[] = [];
  for (const index of indicesOf(points)) {
    const at = placeOf([...points, axes], [...index, 0]);
    const taps = sizes.map((size, axis) => tapsAt(grid[at + axes - 1 - axis], size, rules));
    for (let channel = 0; channel < shape[axes + 1]; channel++) {
      let sum = 0;
      for (const choice of indicesOf(taps.map(({ length }) => length))) {
        const chosen = choice.map((tap, axis) => taps[axis][tap]);
        if (chosen.some(([pixel], axis) => pixel < 0 || pixel >= sizes[axis])) continue;
        const value = x[placeOf(shape, [index[0], ...chosen.map(([pixel]) => pixel), channel])];
        sum += chosen.reduce((product, [, share]) => product * share, value);
      }
      result.push(sum);
    }
  }
  return result;
}

function gridCase(shape: Shape, points: readonly number[], options: GridSampleOptions): Case {
  const rules: Rules = { mode: "linear", padding: "zeros", alignCorners: false, ...options };
  const places = [shape[0], ...points];
  return {
    name: `${JSON.stringify(shape)} at ${JSON.stringify(points)}, ${JSON.stringify(options)}`,
    inputs: [{ shape }, { shape: [...places, points.length] }],
    apply: (x, grid) => gridSample(x, grid, options),
    reference: (x, grid) => sampled(x, shape, grid, places, rules),
    // Points are rounded in float32 to 2^-24 of the image's size, and slopes are steep where cubic.
    tolerance: 64 * 2 ** -24,
  };
}

function affineCase(batch: number, size: readonly number[], alignCorners: boolean): Case {
  const axes = size.length;
  return {
    name: `${batch} of ${JSON.stringify(size)}${alignCorners ? ", corners" : ""}`,
    inputs: [{ shape: [batch, axes, axes + 1] }],
    apply: (theta) => affineGrid(theta, size, { alignCorners }),
    reference: (theta) =>
      indicesOf([batch, ...size]).flatMap(([n, ...index]) => {
        const point = index.map((i, axis) => {
          if (!alignCorners) return (i + 0.5) * (2 / size[axis]) - 1;
          return size[axis] === 1 ? 0 : -1 + (2 * i) / (size[axis] - 1);
        });
        const homogeneous = [...point.reverse(), 1];
        return Array.from({ length: axes }, (_, row) =>
          homogeneous.reduce(
            (sum, one, column) => sum + one * theta[placeOf([batch, axes, axes + 1], [n, row, column])],
            0,
          ),
        );
      }),
  };
}

const MODES = ["linear", "nearest", "cubic"] as const;
const PADDINGS = ["zeros", "border", "reflection"] as const;

export const gridSampleSamples = {
  gridSample: {
    cases: [
      gridCase([1, 3, 2, 2], [2, 2], {}),
      ...laneSizes.map((n) => gridCase([2, 3, 4, n], [2, 3], {})),
      ...MODES.flatMap((mode) =>
        PADDINGS.flatMap((padding) =>
          [false, true].map((alignCorners) => gridCase([2, 4, 3, 3], [2, 2], { mode, padding, alignCorners })),
        ),
      ),
      ...PADDINGS.map((padding) => gridCase([1, 2, 3, 4, 2], [2, 1, 3], { padding })),
      gridCase([1, 1, 3, 2], [3, 2], { padding: "reflection", alignCorners: true }),
      gridCase([1, 3, 2, 2, 1], [1, 2, 2], { mode: "cubic", padding: "border" }),
      gridCase([2, 3, 3, 2], [1, 3], { mode: "cubic" }),
    ],
  },
  affineGrid: {
    cases: [
      affineCase(1, [2, 2], false),
      ...laneSizes.map((n) => affineCase(2, [2, n], false)),
      affineCase(2, [3, 5], true),
      affineCase(1, [1, 4], true),
      affineCase(2, [2, 3, 2], false),
      affineCase(1, [3, 1, 2], true),
    ],
  },
} satisfies Record<string, Sample>;
