import type { Shape } from "../../../src/graph/tensor.js";
import { type ResizeOptions, resize } from "../../../src/ops/resize.js";
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

// ——— By ONNX' definitions, axis by axis ———

type Rules = Required<Pick<ResizeOptions, "mode" | "coordinates" | "rounding" | "cubicCoefficient">>;

/** Place of new pixel `o`; the formulas of ONNX' operator Resize (version 19), with the scale that they are told. */
function onnxPlace(o: number, size: number, out: number, scale: number, coordinates: Rules["coordinates"]): number {
  switch (coordinates) {
    case "halfPixel":
      return (o + 0.5) / scale - 0.5;
    case "pytorchHalfPixel":
      return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
    case "halfPixelSymmetric": {
      const adjustment = out / (scale * size);
      const center = size / 2;
      return center * (1 - adjustment) + (o + 0.5) / scale - 0.5;
    }
    case "alignCorners":
      return out === 1 ? 0 : (o * (size - 1)) / (out - 1);
    case "asymmetric":
      return o / scale;
  }
}

function roundOnnx(place: number, rounding: Rules["rounding"]): number {
  // The places of the rows are well away from halves and whole numbers, or right on them.
  const near = Math.round(2 * place) / 2;
  const exact = Math.abs(place - near) < 1e-9 ? near : place;
  const half = exact - Math.floor(exact) === 0.5;
  if (rounding === "floor") return Math.floor(exact);
  if (rounding === "ceil") return Math.ceil(exact);
  if (half) return rounding === "roundPreferFloor" ? Math.floor(exact) : Math.ceil(exact);
  return Math.round(exact);
}

/** Keys 1981, equation 15 for any a. */
function keys(distance: number, a: number): number {
  const d = Math.abs(distance);
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
}

function onnxShares(size: number, out: number, scale: number, rules: Rules): Shares[] {
  return Array.from({ length: out }, (_, o) => {
    const place = onnxPlace(o, size, out, scale, rules.coordinates);
    const inside = (at: number) => Math.min(Math.max(at, 0), size - 1);
    if (rules.mode === "nearest") return [[inside(roundOnnx(place, rules.rounding)), 1]];
    const first = Math.floor(place + 1e-12);
    if (rules.mode === "linear")
      return [0, 1].map((i) => [inside(first + i), 1 - Math.abs(place - first - i)] as const);
    return [-1, 0, 1, 2].map((i) => [inside(first + i), keys(place - first - i, rules.cubicCoefficient)] as const);
  });
}

/** x along one axis: [outer, size, inner] → [outer, out, inner]. */
function mixAxis(x: ArrayLike<number>, size: number, inner: number, shares: Shares[]): number[] {
  const result: number[] = [];
  for (let outer = 0; outer < x.length / (size * inner); outer++) {
    for (const taps of shares) {
      for (let i = 0; i < inner; i++) {
        let value = 0;
        for (const [place, share] of taps) if (share !== 0) value += share * x[(outer * size + place) * inner + i];
        result.push(value);
      }
    }
  }
  return result;
}

function resizeCase(shape: Shape, options: ResizeOptions): Case {
  const rules: Rules = {
    mode: "nearest",
    coordinates: "halfPixel",
    rounding: "roundPreferFloor",
    cubicCoefficient: -0.75,
    ...options,
  };
  const sizes = shape.slice(1, -1);
  const given = (value: ResizeOptions["size"], axis: number) => (typeof value === "object" ? value[axis] : value);
  const outs = sizes.map(
    (size, axis) => given(options.size, axis) ?? Math.floor(size * (given(options.scale, axis) ?? 0)),
  );
  return {
    name: `${JSON.stringify(shape)} ${JSON.stringify(options)}`,
    inputs: [{ shape }],
    apply: (x) => resize(x, options),
    reference: (x) => {
      let value: ArrayLike<number> = x;
      const so = [...shape];
      for (const [axis, size] of sizes.entries()) {
        const inner = so.slice(axis + 2).reduce((a, b) => a * b, 1);
        const scale = given(options.scale, axis) ?? outs[axis] / size;
        value = mixAxis(value, size, inner, onnxShares(size, outs[axis], scale, rules));
        so[axis + 1] = outs[axis];
      }
      return value;
    },
  };
}

const COORDINATES = ["halfPixel", "pytorchHalfPixel", "halfPixelSymmetric", "alignCorners", "asymmetric"] as const;
const ROUNDINGS = ["floor", "ceil", "roundPreferFloor", "roundPreferCeil"] as const;

const resizeCases = [
  ...laneSizes.map((n) => resizeCase([2, 3, 2, n], { size: [5, 3], mode: "cubic" })),
  ...laneSizes.map((n) => resizeCase([1, n, 3], { scale: 1.5, mode: "cubic" })),
  ...COORDINATES.flatMap((coordinates) => [
    resizeCase([1, 5, 4, 2], { size: [8, 3], mode: "linear", coordinates }),
    resizeCase([1, 5, 7, 1], { scale: [0.5, 1.3], mode: "cubic", coordinates }),
    resizeCase([2, 4, 3], { size: 1, mode: "linear", coordinates }),
    resizeCase([1, 4, 6, 3], { size: [9, 4], coordinates }),
    ...ROUNDINGS.map((rounding) => resizeCase([1, 7, 2], { size: 5, coordinates, rounding })),
  ]),
  ...ROUNDINGS.map((rounding) => resizeCase([2, 4, 6, 3], { scale: 0.5, rounding })),
  resizeCase([1, 6, 5, 4], { scale: [2, 0.7], mode: "cubic", cubicCoefficient: -0.5 }),
  resizeCase([2, 3, 4, 2, 3], { size: [5, 2, 4], mode: "linear" }),
  resizeCase([1, 3, 2, 3, 5], { scale: 2, mode: "cubic" }),
  resizeCase([1, 2, 3, 2, 2], { size: [3, 2, 5] }),
  resizeCase([1, 4, 3], { size: 2, mode: "cubic" }),
];

export const resizeSamples = {
  resize: { cases: resizeCases },
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
