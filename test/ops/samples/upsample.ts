import type { Shape } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/upsample.js";
import { type Case, laneSizes, type Sample } from "../cases.js";

/** What a new pixel takes of which old ones. */
type Shares = readonly (readonly [place: number, share: number])[];

/** PyTorch's documentation of Upsample, in real numbers. */
function sharesOf(size: number, out: number, linear: boolean, alignCorners: boolean): Shares[] {
  return Array.from({ length: out }, (_, o) => {
    if (!linear) return [[Math.floor((o * size) / out), 1]];
    const aligned = out === 1 ? 0 : (o * (size - 1)) / (out - 1);
    const place = alignCorners ? aligned : Math.max(0, ((o + 0.5) * size) / out - 0.5);
    const left = Math.min(size - 1, Math.floor(place + 1e-12));
    return [
      [left, 1 - (place - left)],
      [Math.min(size - 1, left + 1), place - left],
    ];
  });
}

function mix(x: Float64Array, [batch, height, width, channels]: Shape, down: Shares[], across: Shares[]): number[] {
  const result: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (const rows of down) {
      for (const columns of across) {
        for (let c = 0; c < channels; c++) {
          let value = 0;
          for (const [row, part] of rows) {
            for (const [column, share] of columns) {
              if (part * share !== 0) value += part * share * x[((b * height + row) * width + column) * channels + c];
            }
          }
          result.push(value);
        }
      }
    }
  }
  return result;
}

function case2d(shape: Shape, size: readonly [number, number], options: ops.Upsample2dOptions): Case {
  const linear = options.mode === "bilinear";
  const { alignCorners = false } = options;
  return {
    name: `${JSON.stringify(shape)} ${JSON.stringify(options)}`,
    inputs: [{ shape }],
    apply: (x) => ops.upsample2d(x, options),
    reference: (x) =>
      mix(
        x,
        shape,
        sharesOf(shape[1], size[0], linear, alignCorners),
        sharesOf(shape[2], size[1], linear, alignCorners),
      ),
  };
}

function case1d(shape: Shape, size: number, options: ops.Upsample1dOptions): Case {
  const { alignCorners = false } = options;
  return {
    name: `${JSON.stringify(shape)} ${JSON.stringify(options)}`,
    inputs: [{ shape }],
    apply: (x) => ops.upsample1d(x, options),
    reference: (x) =>
      mix(
        x,
        [shape[0], 1, shape[1], shape[2]],
        [[[0, 1]]],
        sharesOf(shape[1], size, options.mode === "linear", alignCorners),
      ),
  };
}

const kinds2d = [{}, { mode: "bilinear" }, { mode: "bilinear", alignCorners: true }] as const;
const kinds1d = [{}, { mode: "linear" }, { mode: "linear", alignCorners: true }] as const;

const sizes2d: readonly (readonly [Shape, readonly [number, number]])[] = [
  [
    [1, 3, 4, 5],
    [7, 5],
  ],
  [
    [2, 5, 3, 4],
    [9, 16],
  ],
  [
    [1, 7, 8, 3],
    [3, 4],
  ],
  [
    [1, 1, 3, 4],
    [4, 1],
  ],
  [
    [2, 4, 1, 1],
    [1, 5],
  ],
  [
    [1, 4, 9, 8],
    [4, 17],
  ],
];

export const upsampleSamples = {
  upsample1d: {
    cases: kinds1d.flatMap((kind) => [
      ...laneSizes.map((n) => case1d([2, n, 3], 2 * n, { scale: 2, ...kind })),
      ...laneSizes.map((n) => case1d([1, 5, 4], n, { size: n, ...kind })),
    ]),
  },
  upsample2d: {
    cases: kinds2d.flatMap((kind) => [
      ...laneSizes.map((c) => case2d([2, 3, 2, c], [6, 4], { scale: 2, ...kind })),
      case2d([1, 3, 4, 4], [9, 4], { scale: [3, 1], ...kind }),
      ...sizes2d.map(([shape, size]) => case2d(shape, size, { size, ...kind })),
    ]),
  },
} satisfies Record<string, Sample>;
