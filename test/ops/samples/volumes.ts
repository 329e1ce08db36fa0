import type { Shape, Tensor } from "../../../src/graph/tensor.js";
import * as conv from "../../../src/ops/conv3d.js";
import * as pool from "../../../src/ops/pool3d.js";
import { type Case, laneSizes, type Sample } from "../cases.js";
import { indicesOf, placeOf } from "./join.js";

const show = JSON.stringify;
type Three = readonly [number, number, number];
type Pairs = readonly (readonly [before: number, after: number])[];

interface Setting {
  readonly window: Three;
  readonly stride?: Three;
  readonly dilation?: Three;
  readonly pads?: Pairs;
  readonly groups?: number;
}

const NONE: Pairs = [
  [0, 0],
  [0, 0],
  [0, 0],
];

const full = ({ window, stride = [1, 1, 1], dilation = [1, 1, 1], pads = NONE, groups = 1 }: Setting) => ({
  window,
  stride,
  dilation,
  pads,
  groups,
});

function outSizes(sizes: readonly number[], setting: Setting): number[] {
  const { window, stride, dilation, pads } = full(setting);
  return sizes.map((size, axis) => {
    const room = size + pads[axis][0] + pads[axis][1] - dilation[axis] * (window[axis] - 1) - 1;
    return Math.floor(room / stride[axis]) + 1;
  });
}

/** For each index of the result and each tap the place in the volume, if it is inside. */
function eachTap(
  volume: readonly number[],
  out: readonly number[],
  setting: Setting,
  visit: (index: readonly number[], tap: readonly number[], place: readonly number[]) => void,
): void {
  const { window, stride, dilation, pads } = full(setting);
  const taps = indicesOf(window);
  for (const index of indicesOf(out)) {
    for (const tap of taps) {
      const place = index.map((i, axis) => i * stride[axis] + tap[axis] * dilation[axis] - pads[axis][0]);
      if (place.every((at, axis) => at >= 0 && at < volume[axis])) visit(index, tap, place);
    }
  }
}

/** y += or x += over all that belongs together. `forward`: y from x; else x from y. */
function convolve(
  large: Shape,
  small: Shape,
  weight: Shape,
  setting: Setting,
  data: Float64Array,
  w: Float64Array,
  forward: boolean,
): Float64Array {
  const { groups } = full(setting);
  const result = new Float64Array((forward ? small : large).reduce((a, b) => a * b, 1));
  const [each, outChannels] = [weight[3], weight[4]];
  eachTap(large.slice(1, 4), small.slice(1, 4), setting, (index, tap, place) => {
    for (let b = 0; b < large[0]; b++) {
      for (let k = 0; k < outChannels; k++) {
        for (let c = 0; c < each; c++) {
          const channel = Math.floor(k / (outChannels / groups)) * each + c;
          const y = placeOf(small, [b, ...index, k]);
          const x = placeOf(large, [b, ...place, channel]);
          const factor = w[placeOf(weight, [...tap, c, k])];
          if (forward) result[y] += data[x] * factor;
          else result[x] += data[y] * factor;
        }
      }
    }
  });
  return result;
}

function optionsOf(setting: Setting): conv.Conv3dOptions {
  const { stride, dilation, pads, groups } = full(setting);
  return { stride, dilation, padding: pads as never, groups };
}

/** As of sums in matmul.ts: rounding errors of a sum of k terms grow with √k. */
const toleranceOf = (terms: number): number => Math.max(8, 2 * Math.sqrt(terms)) * 2 ** -24;

const withBias = (y: Float64Array, bias?: Float64Array) =>
  bias === undefined ? y : y.map((value, i) => value + bias[i % bias.length]);

function convCase(input: Shape, outChannels: number, setting: Setting, bias = false): Case {
  const { window, groups } = full(setting);
  const weight = [...window, input[4] / groups, outChannels];
  const output = [input[0], ...outSizes(input.slice(1, 4), setting), outChannels];
  return {
    name: `${show(input)} to ${outChannels}, ${show(setting)}`,
    inputs: [{ shape: input }, { shape: weight }, ...(bias ? [{ shape: [outChannels] }] : [])],
    apply: (x, w, b) => conv.conv3d(x, w, { ...optionsOf(setting), ...(b ? { bias: b } : {}) }),
    reference: (x, w, b) => withBias(convolve(input, output, weight, setting, x, w, true), b),
    tolerance: toleranceOf(weight.slice(0, 4).reduce((a, b) => a * b, 1)),
  };
}

function transposedCase(
  input: Shape,
  outChannels: number,
  setting: Setting,
  extra: Three = [0, 0, 0],
  bias = false,
): Case {
  const { window, stride, dilation, pads, groups } = full(setting);
  const weight = [...window, outChannels / groups, input[4]];
  const sizes = input.slice(1, 4).map((size, axis) => {
    const [before, after] = pads[axis];
    return (size - 1) * stride[axis] + dilation[axis] * (window[axis] - 1) + 1 - before - after + extra[axis];
  });
  const output = [input[0], ...sizes, outChannels];
  return {
    name: `${show(input)} to ${outChannels}, ${show(setting)} and ${show(extra)}`,
    inputs: [{ shape: input }, { shape: weight }, ...(bias ? [{ shape: [outChannels] }] : [])],
    apply: (x, w, b) => {
      const open = bias ? { outputSize: sizes as never } : { outputPadding: extra };
      return conv.convTranspose3d(x, w, { ...optionsOf(setting), ...open, ...(b ? { bias: b } : {}) });
    },
    reference: (x, w, b) => withBias(convolve(output, input, weight, setting, x, w, false), b),
    tolerance: toleranceOf(window.reduce((a, b) => a * b, input[4] / groups)),
  };
}

type Fold = (values: number[], places: number) => number;
const largest: Fold = (values) => Math.max(...values);
const mean: Fold = (values, places) => values.reduce((a, b) => a + b, 0) / places;
const meanInside: Fold = (values) => values.reduce((a, b) => a + b, 0) / values.length;

function poolCase(
  op: (x: Tensor, window: pool.Size3d, options: never) => Tensor,
  fold: Fold,
  input: Shape,
  setting: Setting,
  more: object = {},
): Case {
  const { window, stride, dilation, pads } = full(setting);
  const out = outSizes(input.slice(1, 4), setting);
  return {
    name: `${show(input)} ${show(setting)} ${show(more)}`,
    inputs: [{ shape: input, domain: fold === largest ? "distinct" : "normal" }],
    apply: (x) => {
      const dilated = dilation.some((by) => by !== 1) ? { dilation } : {};
      return op(x, window, { stride, padding: pads, ...dilated, ...more } as never);
    },
    reference: (x) => {
      const seen = new Map<string, number[]>();
      for (const index of indicesOf([input[0], ...out, input[4]])) seen.set(index.join(), []);
      eachTap(input.slice(1, 4), out, setting, (index, _, place) => {
        for (let b = 0; b < input[0]; b++) {
          for (let c = 0; c < input[4]; c++) {
            seen.get([b, ...index, c].join())?.push(x[placeOf(input, [b, ...place, c])]);
          }
        }
      });
      return [...seen.values()].map((values) => fold(values, window[0] * window[1] * window[2]));
    },
  };
}

const padded: Setting = {
  window: [3, 2, 3],
  stride: [2, 1, 2],
  pads: [
    [1, 0],
    [0, 1],
    [1, 1],
  ],
};

const poolCases = (op: Parameters<typeof poolCase>[0], fold: Fold, more: object = {}) => [
  ...laneSizes.map((n) => poolCase(op, fold, [2, 2, 4, 2, n], { window: [2, 2, 2], stride: [2, 2, 2] }, more)),
  poolCase(op, fold, [1, 5, 4, 6, 3], padded, more),
  poolCase(op, fold, [2, 3, 3, 4, 2], { window: [1, 3, 2], stride: [1, 1, 1] }, more),
];

export const volumeSamples = {
  conv3d: {
    cases: [
      ...laneSizes.map((n) => convCase([1, 3, 3, 4, 2], n, { window: [2, 2, 3] })),
      ...laneSizes.map((n) => convCase([1, 2, 3, 3, n], 2, { window: [2, 3, 2] })),
      convCase([2, 5, 4, 5, 3], 4, { ...padded, stride: [2, 2, 1] }, true),
      convCase([1, 6, 5, 4, 2], 3, { window: [2, 2, 2], dilation: [3, 2, 1] }),
      convCase([1, 3, 4, 3, 4], 6, { window: [3, 2, 2], groups: 2 }, true),
      convCase([1, 4, 3, 3, 3], 3, { window: [2, 2, 2], groups: 3 }),
      convCase([2, 3, 4, 4, 3], 5, { window: [1, 1, 1] }, true),
    ],
  },
  convTranspose3d: {
    cases: [
      ...laneSizes.map((n) => transposedCase([1, 2, 2, 3, 2], n, { window: [2, 2, 2] })),
      transposedCase([2, 3, 2, 3, 3], 4, { window: [2, 3, 2], stride: [2, 2, 1] }, [1, 0, 0]),
      transposedCase([1, 3, 3, 2, 2], 3, { ...padded, window: [3, 3, 3], stride: [3, 1, 2] }, [2, 0, 1], true),
      transposedCase([1, 2, 3, 2, 2], 2, { window: [2, 2, 2], dilation: [3, 1, 2] }),
      transposedCase([1, 3, 2, 2, 4], 6, { window: [2, 2, 1], groups: 2, stride: [1, 2, 1] }, [0, 1, 0], true),
    ],
  },
  maxPool3d: {
    cases: [
      ...poolCases(pool.maxPool3d, largest),
      poolCase(pool.maxPool3d, largest, [1, 5, 5, 4, 2], { window: [2, 2, 2], dilation: [3, 2, 1], stride: [1, 2, 1] }),
    ],
  },
  averagePool3d: {
    cases: [
      ...poolCases(pool.averagePool3d, mean),
      ...poolCases(pool.averagePool3d, meanInside, { countIncludePad: false }),
      ...poolCases(pool.averagePool3d, (values) => meanInside(values, 0) * (values.length / 5), { divisor: 5 }),
    ],
  },
} satisfies Record<string, Sample>;
