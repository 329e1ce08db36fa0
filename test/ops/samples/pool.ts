import type { Shape, Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/pool.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";

/** The elements that one window sees along an axis, as places in it: those in the padding are below 0 or past the end. */
type Windows = readonly (readonly number[])[];

interface AxisOptions {
  readonly stride?: number;
  readonly padding?: number | "same" | "valid" | readonly [before: number, after: number];
  readonly dilation?: number;
  readonly ceilMode?: boolean;
}

/** PyTorch's documentation of MaxPool2d: windows as lists of places, one by one until none fits. */
function windowsOf(size: number, window: number, options: AxisOptions = {}): Windows {
  const { stride = window, padding = 0, dilation = 1, ceilMode = false } = options;
  const span = dilation * (window - 1) + 1;
  const at = (start: number) => Array.from({ length: window }, (_, tap) => start + tap * dilation);
  const windows: number[][] = [];
  if (padding === "same") {
    const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + span - size);
    for (let o = 0; o < Math.ceil(size / stride); o++) windows.push(at(o * stride - Math.floor(total / 2)));
    return windows;
  }
  const [before, after] = padding === "valid" ? [0, 0] : [padding, padding].flat();
  for (let start = -before; ; start += stride) {
    const fits = start + span <= size + after;
    const begins = ceilMode && start < size && start - stride + span < size + after;
    if (!fits && !begins) return windows;
    windows.push(at(start).filter((place) => place < size + after));
  }
}

/** PyTorch's bins of adaptive pooling. */
function binsOf(size: number, out: number): Windows {
  return Array.from({ length: out }, (_, o) => {
    const first = Math.floor((o * size) / out);
    const stop = Math.ceil(((o + 1) * size) / out);
    return Array.from({ length: stop - first }, (_, i) => first + i);
  });
}

/** f(the window's values within the image, how many places it has in all) for every window and channel of [batch, height, width, channels]. */
function poolReference(
  x: Float64Array,
  [batch, height, width, channels]: readonly number[],
  [down, across]: readonly [Windows, Windows],
  f: (values: number[], places: number) => number,
): number[] {
  const result: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (const rows of down) {
      for (const columns of across) {
        for (let c = 0; c < channels; c++) {
          const values: number[] = [];
          for (const row of rows) {
            for (const column of columns) {
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              values.push(x[((b * height + row) * width + column) * channels + c]);
            }
          }
          result.push(f(values, rows.length * columns.length));
        }
      }
    }
  }
  return result;
}

const largest = (values: number[]) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
const sumOf = (values: number[]) => values.reduce((a, b) => a + b, 0);
const withPadding = (values: number[], places: number) => sumOf(values) / places;
const withoutPadding = (values: number[]) => sumOf(values) / values.length;

type Pool2d = (x: Tensor, window: ops.Size2d, options?: ops.PoolOptions) => Tensor;
type Pool1d = (x: Tensor, window: number, options?: ops.PoolOptions<number>) => Tensor;
type Options2d = ops.MaxPoolOptions & ops.AveragePoolOptions;
type Fold = (values: number[], places: number) => number;

const pairOf = <T>(value: T | readonly T[]): readonly [T, T] =>
  (Array.isArray(value) ? value : [value, value]) as readonly [T, T];

function windows2d([, height, width]: Shape, window: ops.Size2d, options: Options2d): [Windows, Windows] {
  const windows = pairOf<number>(window as number);
  const each = (axis: 0 | 1): AxisOptions => {
    const { stride, padding, dilation, ceilMode } = options;
    const of = <T>(value: T | readonly T[] | undefined) => (value === undefined ? {} : { value: pairOf(value)[axis] });
    const found = { stride: of(stride as number), padding: of(padding as number), dilation: of(dilation as number) };
    return {
      ...(found.stride.value === undefined ? {} : { stride: found.stride.value }),
      ...(found.padding.value === undefined ? {} : { padding: found.padding.value }),
      ...(found.dilation.value === undefined ? {} : { dilation: found.dilation.value }),
      ...(ceilMode === undefined ? {} : { ceilMode }),
    };
  };
  return [windowsOf(height, windows[0], each(0)), windowsOf(width, windows[1], each(1))];
}

function case2d(op: Pool2d, fold: Fold, domain: Domain, shape: Shape, window: ops.Size2d, options: Options2d): Case {
  return {
    name: `${JSON.stringify(shape)} window ${JSON.stringify(window)} ${JSON.stringify(options)}${domain === "special" ? ", special" : ""}`,
    inputs: [{ shape, domain }],
    apply: (x) => op(x, window, options),
    reference: (x) => poolReference(x, shape, windows2d(shape, window, options), fold),
  };
}

function case1d(op: Pool1d, fold: Fold, domain: Domain, shape: Shape, window: number, options: AxisOptions): Case {
  const image = [shape[0], 1, shape[1], shape[2]];
  return {
    name: `${JSON.stringify(shape)} window ${window} ${JSON.stringify(options)}`,
    inputs: [{ shape, domain }],
    apply: (x) => op(x, window, options),
    reference: (x) => poolReference(x, image, [[[0]], windowsOf(shape[1], window, options)], fold),
  };
}

const layouts2d: readonly (readonly [Shape, ops.Size2d, ops.PoolOptions])[] = [
  ...laneSizes.map((c) => [[2, 4, 6, c], 2, {}] as const),
  [[1, 5, 7, 3], 2, {}],
  [[2, 5, 7, 8], 2, {}],
  [[2, 7, 5, 4], 3, { stride: 1 }],
  [[2, 7, 5, 4], 3, { stride: 2, padding: 1 }],
  [[1, 9, 8, 5], [3, 2], { stride: [2, 3], padding: [1, 0] }],
  [[1, 6, 7, 8], [2, 4], { stride: [3, 1], padding: [1, 2] }],
  [[2, 5, 5, 1], 3, { stride: 4 }],
  [[1, 7, 9, 4], 2, { padding: "same" }],
  [[1, 7, 8, 4], 3, { stride: 2, padding: "same" }],
  [[1, 4, 5, 3], 4, { stride: 1, padding: "same" }],
  [[1, 7, 8, 4], 2, { padding: "valid" }],
  [[1, 7, 8, 4], 2, { ceilMode: true }],
  [[1, 6, 7, 3], 3, { stride: 2, padding: 1, ceilMode: true }],
  [[1, 5, 8, 3], 2, { stride: 3, padding: 1, ceilMode: true }],
  [[1, 2, 2, 1], 3, { stride: 2, ceilMode: true }],
  [[2, 2, 5, 4], [4, 3], { stride: [3, 2], ceilMode: true }],
  [[2, 1, 2, 3], 5, { padding: 1, ceilMode: true }],
  [[1, 4, 3, 2], [4, 3], {}],
  [[3, 1, 1, 6], 1, {}],
  [
    [1, 6, 7, 3],
    3,
    {
      stride: 2,
      padding: [
        [1, 0],
        [0, 1],
      ],
    },
  ],
  [
    [2, 5, 6, 4],
    [4, 2],
    {
      stride: [3, 2],
      padding: [
        [0, 2],
        [1, 0],
      ],
      ceilMode: true,
    },
  ],
];
const layouts1d: readonly (readonly [Shape, number, ops.PoolOptions<number>])[] = [
  ...laneSizes.map((n) => [[2, n, 3], 1, {}] as const),
  ...[4, 5, 7, 8, 9, 16, 17].map((n) => [[2, n, 4], 3, { stride: 2, padding: 1 }] as const),
  [[1, 10, 5], 4, { padding: "same" }],
  [[1, 10, 5], 4, { stride: 3, ceilMode: true }],
  [[2, 2, 5], 4, { stride: 3, ceilMode: true }],
  [[1, 10, 5], 4, { stride: 2, padding: [2, 1] }],
  [[1, 9, 3], 5, { stride: 3, padding: [0, 2], ceilMode: true }],
];
const dilated: readonly (readonly [Shape, ops.Size2d, ops.MaxPoolOptions])[] = [
  [[1, 7, 8, 4], 2, { dilation: 2 }],
  [[2, 9, 7, 3], 3, { stride: [1, 2], dilation: [3, 2], padding: [1, 2] }],
  [[1, 8, 9, 5], [2, 3], { stride: 2, dilation: [1, 3], padding: "same" }],
  [[1, 8, 8, 1], 2, { stride: 3, dilation: 3, padding: 2, ceilMode: true }],
  [[1, 2, 3, 4], 2, { stride: 3, dilation: 3, ceilMode: true }],
];
const bins2d: readonly (readonly [Shape, ops.Size2d])[] = [
  ...laneSizes.map(
    (c) =>
      [
        [2, 5, 7, c],
        [2, 3],
      ] as const,
  ),
  [[1, 4, 4, 4], 1],
  [
    [1, 3, 2, 5],
    [7, 5],
  ],
  [
    [2, 9, 8, 4],
    [4, 8],
  ],
];
const bins1d: readonly (readonly [Shape, number])[] = [
  ...laneSizes.map((n) => [[2, n, 3], 4] as const),
  [[3, 5, 4], 1],
];

function adaptive2d(op: (x: Tensor, size: ops.Size2d) => Tensor, fold: Fold, domain: Domain): Sample {
  return {
    cases: bins2d.map(([shape, size]) => ({
      name: `${JSON.stringify(shape)} to ${JSON.stringify(size)}`,
      inputs: [{ shape, domain }],
      apply: (x) => op(x, size),
      reference: (x) => {
        const [height, width] = pairOf<number>(size as number);
        return poolReference(x, shape, [binsOf(shape[1], height), binsOf(shape[2], width)], fold);
      },
    })),
  };
}

function adaptive1d(op: (x: Tensor, size: number) => Tensor, fold: Fold, domain: Domain): Sample {
  return {
    cases: bins1d.map(([shape, size]) => ({
      name: `${JSON.stringify(shape)} to ${size}`,
      inputs: [{ shape, domain }],
      apply: (x) => op(x, size),
      reference: (x) => poolReference(x, [shape[0], 1, shape[1], shape[2]], [[[0]], binsOf(shape[1], size)], fold),
    })),
  };
}

function globalCases(op: (x: Tensor, options?: { keepDims?: boolean }) => Tensor, fold: Fold, domain: Domain): Sample {
  const one = (shape: Shape, keepDims = false): Case => {
    const pixels = shape.slice(1, -1).reduce((a, b) => a * b, 1);
    const all = Array.from({ length: pixels }, (_, i) => i);
    return {
      name: `${JSON.stringify(shape)}${keepDims ? ", kept" : ""}`,
      inputs: [{ shape, domain }],
      apply: (x) => op(x, { keepDims }),
      reference: (x) => poolReference(x, [shape[0], 1, pixels, shape[shape.length - 1]], [[[0]], [all]], fold),
    };
  };
  return {
    cases: [...laneSizes.map((c) => one([3, 5, c])), one([2, 4, 3, 6]), one([2, 3, 5]), one([2, 4, 3, 6], true)],
  };
}

const special2d: readonly (readonly [Shape, ops.Size2d, ops.PoolOptions])[] = [
  [[2, 6, 6, 5], 2, {}],
  [[2, 6, 6, 8], 2, {}],
  [[2, 6, 5, 4], 3, { stride: 2, padding: 1 }],
];

const byDivisor = { divisor: 7 };
const ofSeven = (values: number[]) => sumOf(values) / 7;
const uncounted = { countIncludePad: false };

export const poolSamples = {
  maxPool1d: { cases: layouts1d.map((layout) => case1d(ops.maxPool1d, largest, "distinct", ...layout)) },
  maxPool2d: {
    cases: [
      ...[...layouts2d, ...dilated].map((layout) => case2d(ops.maxPool2d, largest, "distinct", ...layout)),
      ...special2d.map((layout) => case2d(ops.maxPool2d, largest, "special", ...layout)),
    ],
  },
  averagePool1d: {
    cases: [
      ...layouts1d.map((layout) => case1d(ops.averagePool1d, withPadding, "normal", ...layout)),
      ...layouts1d.map(([shape, window, options]) =>
        case1d(ops.averagePool1d, ofSeven, "positive", shape, window, { ...options, ...byDivisor }),
      ),
    ],
  },
  averagePool2d: {
    cases: [
      ...layouts2d.map((layout) => case2d(ops.averagePool2d, withPadding, "normal", ...layout)),
      ...layouts2d
        .filter(([, , { padding = 0 }]) => padding !== 0)
        .map(([shape, window, options]) =>
          case2d(ops.averagePool2d, withoutPadding, "normal", shape, window, { ...options, ...uncounted }),
        ),
      ...layouts2d.map(([shape, window, options]) =>
        case2d(ops.averagePool2d, ofSeven, "positive", shape, window, { ...options, ...byDivisor }),
      ),
      ...special2d.map((layout) => case2d(ops.averagePool2d, withPadding, "special", ...layout)),
    ],
  },
  adaptiveMaxPool1d: adaptive1d(ops.adaptiveMaxPool1d, largest, "distinct"),
  adaptiveMaxPool2d: adaptive2d(ops.adaptiveMaxPool2d, largest, "distinct"),
  adaptiveAveragePool1d: adaptive1d(ops.adaptiveAveragePool1d, withoutPadding, "normal"),
  adaptiveAveragePool2d: adaptive2d(ops.adaptiveAveragePool2d, withoutPadding, "normal"),
  globalMaxPool: globalCases(ops.globalMaxPool, largest, "distinct"),
  globalAveragePool: globalCases(ops.globalAveragePool, withoutPadding, "normal"),
} satisfies Record<string, Sample>;
