import { type Shape, sizeOf } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/conv.js";
import { mul } from "../../../src/ops/elementwise.js";
import { gradient } from "../../../src/ops/gradient.js";
import { relu } from "../../../src/ops/piecewise.js";
import { sum } from "../../../src/ops/reduce.js";
import { sigmoid, tanh } from "../../../src/ops/smooth.js";
import { type Case, laneSizes, type Sample } from "../cases.js";

/** One axis of a window: what the definition needs. */
interface Axis {
  readonly window: number;
  readonly stride?: number;
  readonly dilation?: number;
  readonly before?: number;
  readonly after?: number;
  /** Of a transposed convolution. */
  readonly extra?: number;
}

interface Setting {
  readonly batch: number;
  readonly size: readonly [height: number, width: number];
  readonly channels: number;
  readonly outChannels: number;
  readonly groups?: number;
  readonly axes: readonly [Axis, Axis];
}

const full = ({ window, stride = 1, dilation = 1, before = 0, after = 0, extra = 0 }: Axis) => ({
  window,
  stride,
  dilation,
  before,
  after,
  extra,
});

function outSize(size: number, axis: Axis): number {
  const { window, stride, dilation, before, after } = full(axis);
  let count = 0;
  for (let start = -before; start + (window - 1) * dilation < size + after; start += stride) count++;
  return count;
}

/** The places of y, of x (inside of it) and of the weight that belong together, as flat indices, three after three. */
function allPlaces(setting: Setting, out: readonly number[]): Int32Array {
  const { batch, size, channels, outChannels, groups = 1 } = setting;
  const [v, h] = setting.axes.map(full);
  const [perGroup, outPerGroup] = [channels / groups, outChannels / groups];
  const places: number[] = [];
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < out[0]; i++)
      for (let j = 0; j < out[1]; j++)
        for (let k = 0; k < outChannels; k++)
          for (let ky = 0; ky < v.window; ky++)
            for (let kx = 0; kx < h.window; kx++)
              for (let c = 0; c < perGroup; c++) {
                const row = i * v.stride + ky * v.dilation - v.before;
                const column = j * h.stride + kx * h.dilation - h.before;
                if (row < 0 || row >= size[0] || column < 0 || column >= size[1]) continue;
                const channel = Math.floor(k / outPerGroup) * perGroup + c;
                places.push(((n * out[0] + i) * out[1] + j) * outChannels + k);
                places.push(((n * size[0] + row) * size[1] + column) * channels + channel);
                places.push(((ky * h.window + kx) * perGroup + c) * outChannels + k);
              }
  return Int32Array.from(places);
}

/** result[to] += a[…] · b[…] over all places; the three numbers say which of a triple is which. */
function accumulate(result: Float64Array, a: Float64Array, b: Float64Array, places: Int32Array, to: number): void {
  const [first, second] = [0, 1, 2].filter((index) => index !== to);
  for (let i = 0; i < places.length; i += 3) result[places[i + to]] += a[places[i + first]] * b[places[i + second]];
}

/** Computed when it is first asked for. */
function once<T>(compute: () => T): () => T {
  let known: T | undefined;
  return () => {
    known ??= compute();
    return known;
  };
}

/** Every element of the result has so many terms at most; see matmul.ts for the bound. */
const toleranceOf = (terms: number): number => Math.max(8, 2 * Math.sqrt(terms)) * 2 ** -24;

/** So much larger may the error of a minimal filtering be; test/ops/winograd.test.ts compares the two forms. */
const MINIMAL = 4;

/** Options as a user would give them, the paddings named in `padding` or explicit. */
function optionsOf({ groups = 1, axes }: Setting, rank: 1 | 2, padding?: "same" | "causal") {
  const pick = (name: "stride" | "dilation") => {
    const values = axes.map((axis) => full(axis)[name]);
    return rank === 1 ? values[1] : values;
  };
  const pads = axes.map(({ before = 0, after = 0 }) => [before, after]);
  const explicit = rank === 1 ? pads[1] : pads;
  return { stride: pick("stride"), dilation: pick("dilation"), groups, padding: padding ?? explicit } as object;
}

const nameOf = ({ batch, size, channels, outChannels, groups = 1, axes }: Setting, more = ""): string => {
  const [v, h] = axes.map(full);
  const both = (name: "window" | "stride" | "dilation") => `${v[name]}×${h[name]}`;
  const pads = [v.before, v.after, h.before, h.after].join(",");
  return `${batch}×${size[0]}×${size[1]}×${channels} by ${both("window")} to ${outChannels}, stride ${both("stride")}, dilation ${both("dilation")}, pads ${pads}, groups ${groups}${more}`;
};

const ACTIVATIONS = { relu, sigmoid, tanh } as const;
const EXPECTED = {
  relu: (x: number) => Math.max(x, 0),
  sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
};

interface Extras {
  readonly minimal?: boolean;
  readonly padding?: "same" | "causal";
  readonly bias?: boolean;
  readonly activation?: keyof typeof ACTIVATIONS | undefined;
}

function convCase(
  rank: 1 | 2,
  setting: Setting,
  { padding, bias = false, activation, minimal = false }: Extras = {},
): Case {
  const { batch, size, channels, outChannels, groups = 1, axes } = setting;
  const out = axes.map((axis, i) => outSize(size[i], axis));
  const terms = axes[0].window * axes[1].window * (channels / groups);
  const drop = (shape: Shape) => (rank === 1 ? [shape[0], ...shape.slice(2)] : shape);
  const window = axes.map((axis) => axis.window).slice(2 - rank);
  const shapes = [drop([batch, ...size, channels]), [...window, channels / groups, outChannels]];
  if (bias) shapes.push([outChannels]);
  const convolve = rank === 1 ? ops.conv1d : ops.conv2d;
  const places = once(() => allPlaces(setting, out));
  return {
    name: nameOf(setting, `${padding ? ` ${padding}` : ""}${bias ? " bias" : ""} ${activation ?? ""}`),
    inputs: shapes.map((shape) => ({ shape })),
    apply: (x, weight, offset) => {
      const y = convolve(x, weight, { ...optionsOf(setting, rank, padding), ...(bias ? { bias: offset } : {}) });
      return activation === undefined ? y : ACTIVATIONS[activation](y);
    },
    reference: (x, weight, offset) => {
      const y = new Float64Array(batch * out[0] * out[1] * outChannels);
      if (bias) for (let i = 0; i < y.length; i++) y[i] = offset[i % outChannels];
      accumulate(y, x, weight, places(), 0);
      return activation === undefined ? y : y.map(EXPECTED[activation]);
    },
    // A bounded activation leaves the rounding of a sum that is √terms as large as itself.
    tolerance: toleranceOf(terms) * (activation === undefined ? 1 : Math.sqrt(terms)) * (minimal ? MINIMAL : 1),
    // ReLU has no derivative where a difference crosses 0.
    ...(activation === "relu" ? { differentiable: [false, false, false] } : {}),
  };
}

/** `setting` is that of the convolution that is transposed: its size is the result's, its outChannels the input's. */
function transposeCase(
  rank: 1 | 2,
  setting: Setting,
  { padding, bias = false }: { padding?: "same"; bias?: boolean } = {},
): Case {
  const { batch, channels, outChannels, groups = 1, axes } = setting;
  const inSize = setting.size;
  const size = axes.map((axis, i) => {
    const { window, stride, dilation, before, after, extra } = full(axis);
    if (padding === "same") return inSize[i] * stride;
    return (inSize[i] - 1) * stride + dilation * (window - 1) + 1 - before - after + extra;
  }) as [number, number];
  const drop = (shape: Shape) => (rank === 1 ? [shape[0], ...shape.slice(2)] : shape);
  const window = axes.map((axis) => axis.window).slice(2 - rank);
  const shapes = [drop([batch, ...inSize, outChannels]), [...window, channels / groups, outChannels]];
  if (bias) shapes.push([channels]);
  const extra = axes.map((axis) => axis.extra ?? 0);
  const convolve = rank === 1 ? ops.convTranspose1d : ops.convTranspose2d;
  const places = once(() => allPlaces({ ...setting, size }, inSize));
  return {
    name: nameOf(setting, ` transposed${padding ? ` ${padding}` : ""}${bias ? " bias" : ""}, extra ${extra}`),
    inputs: shapes.map((shape) => ({ shape })),
    apply: (x, weight, offset) =>
      convolve(x, weight, {
        ...optionsOf(setting, rank, padding),
        outputPadding: rank === 1 ? extra[1] : extra,
        ...(bias ? { bias: offset } : {}),
      } as object),
    reference: (x, weight, offset) => {
      const y = new Float64Array(batch * size[0] * size[1] * channels);
      if (bias) for (let i = 0; i < y.length; i++) y[i] = offset[i % channels];
      accumulate(y, x, weight, places(), 1);
      return y;
    },
    tolerance: toleranceOf(axes[0].window * axes[1].window * (outChannels / groups)),
  };
}

/** The gradient for x (or the weight) of sum(conv(x, weight) · r), whose own gradients are second derivatives. */
function gradientCase(setting: Setting, of: "input" | "weight", minimal = false): Case {
  const { batch, size, channels, outChannels, groups = 1, axes } = setting;
  const out = axes.map((axis, i) => outSize(size[i], axis));
  const shapes: Shape[] = [
    [batch, ...size, channels],
    [...axes.map((axis) => axis.window), channels / groups, outChannels],
    [batch, ...out, outChannels],
  ];
  const places = once(() => allPlaces(setting, out));
  const [index, terms] =
    of === "input" ? [0, (axes[0].window * axes[1].window * outChannels) / groups] : [1, batch * out[0] * out[1]];
  return {
    name: nameOf(setting, `, gradient of the ${of}`),
    inputs: shapes.map((shape) => ({ shape })),
    apply: (x, weight, r) => gradient(sum(mul(ops.conv2d(x, weight, optionsOf(setting, 2)), r)), [x, weight][index]),
    reference: (x, weight, r) => {
      const result = new Float64Array(sizeOf(shapes[index]));
      accumulate(result, r, of === "input" ? weight : x, places(), index + 1);
      return result;
    },
    // Linear in two of the three: the gradient for the third is 0, and not computed.
    differentiable: [of === "weight", of === "input", true],
    tolerance: toleranceOf(terms) * (minimal ? MINIMAL : 1),
  };
}

const at = <T>(values: readonly T[], index: number): T => values[index % values.length];
const flat: Axis = { window: 1 };

/** Sizes around the lane width in all places, with odd strides, dilations and pads. */
const images: Setting[] = laneSizes.map((channels, i) => ({
  batch: 1 + (i % 3),
  size: [at([5, 9, 4, 7], i), at([8, 5, 9, 17, 4], i)],
  channels,
  outChannels: at(laneSizes, i + 4),
  axes: [
    {
      window: at([3, 1, 2, 3], i),
      stride: at([1, 2, 1, 3], i),
      dilation: at([1, 1, 2], i),
      before: at([0, 1, 2], i),
      after: at([1, 0], i),
    },
    {
      window: at([2, 3, 1, 3, 4], i),
      stride: at([1, 1, 2, 3], i),
      dilation: at([1, 2, 1, 1], i),
      before: at([1, 2, 0], i),
      after: at([0, 1, 3], i),
    },
  ],
}));

const square = (window: number, more: Omit<Axis, "window"> = {}): [Axis, Axis] => [
  { window, ...more },
  { window, ...more },
];

const image = (
  batch: number,
  size: readonly [number, number],
  channels: number,
  outChannels: number,
  axes: readonly [Axis, Axis],
  groups = 1,
): Setting => ({ batch, size, channels, outChannels, groups, axes });

const sequence = (batch: number, length: number, channels: number, outChannels: number, axis: Axis, groups = 1) =>
  image(batch, [1, length], channels, outChannels, [flat, axis], groups);

const padded = { before: 1, after: 1 };
const large: Setting[] = [
  image(2, [12, 11], 1, 8, square(3)), // one channel: neighbours are packed together
  image(1, [9, 30], 1, 9, square(5, { before: 2, after: 2 })),
  image(3, [9, 9], 3, 5, square(3, { stride: 2, ...padded })),
  image(1, [6, 6], 70, 4, square(3, padded)), // more rows in a run than are packed at a time
  image(1, [5, 4], 50, 3, square(3, padded)), // deeper than a block
  image(1, [3, 3], 4, 260, square(2)), // wider than a strip
  image(9, [8, 8], 4, 8, square(3, padded)), // a sum of several parts
  image(1, [3, 3], 5, 6, square(3)), // the whole image is one window
  image(2, [4, 5], 8, 8, square(1)), // a product of matrices
  image(2, [5, 5], 8, 4, square(1, { stride: 2 })),
  image(1, [4, 4], 3, 4, square(2, { before: 3, after: 2 })), // pixels that see nothing but padding
  image(1, [7, 7], 2, 3, square(2, { stride: 3 })), // x's pixels that no window sees
  image(1, [9, 9], 2, 3, square(3, { stride: 2, dilation: 2, ...padded })),
  image(1, [13, 13], 2, 3, square(3, { stride: 2, dilation: 3, before: 2, after: 1 })),
  image(1, [11, 11], 2, 3, square(2, { stride: 4, dilation: 6 })),
];

/** Few output channels: patches are not packed. */
const narrow: Setting[] = [
  ...[1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 16, 17, 25, 32, 33].map((outChannels, i) =>
    image(2, [5 + (i % 3), 6 + (i % 4)], at([4, 1, 3], i), outChannels, square(3, at([padded, {}], i))),
  ),
  ...[1, 2, 3, 4, 5, 6, 7].map((width) => image(1, [2, width + 1], 2, 8, square(2))), // lines shorter than a tile
  image(2, [18, 19], 2, 8, square(2)), // more pixels than a table holds, its end within a line
  image(1, [2, 300], 1, 3, square(2, padded)), // a line longer than a table
  image(1, [4, 6], 3, 8, square(2, { before: 4, after: 5 })), // windows of nothing but padding, all around
  image(2, [7, 6], 3, 5, square(2, { stride: 2, dilation: 2, before: 1, after: 2 })),
  image(1, [7, 5], 4, 16, [{ window: 3, ...padded }, { window: 3 }]), // padded in one direction
  image(1, [5, 7], 4, 16, [{ window: 3 }, { window: 3, before: 2 }]),
  image(1, [5, 4], 42, 8, square(3, padded)), // 378 of 384 numbers in a window
  image(1, [21, 1500], 4, 1, [
    { window: 3, before: 1 },
    { window: 1, after: 1 },
  ]), // a copy in two pieces
];

const grouped: Setting[] = [
  image(2, [5, 6], 6, 4, square(3, padded), 2),
  image(1, [5, 5], 8, 16, square(2, { dilation: 2 }), 4),
  image(1, [6, 5], 9, 3, square(3, { stride: 2 }), 3),
  ...[3, 4, 5, 16, 17, 35].map((channels) => image(2, [7, 9], channels, channels, square(3, padded), channels)),
  image(
    1,
    [8, 9],
    8,
    8,
    [
      { window: 3, stride: 2, before: 1 },
      { window: 2, stride: 3, dilation: 2, after: 2 },
    ],
    8,
  ),
  image(1, [5, 5], 3, 3, square(3, { dilation: 2, before: 3, after: 3 }), 3),
  image(1, [5, 5], 3, 6, square(3, padded), 3), // two outputs of each channel
];

/** Winograd's minimal filtering: tiles that reach beyond the image on every side, channels that do not fill a vector. */
export const minimal: Setting[] = [
  image(1, [8, 8], 32, 32, square(3, padded)),
  image(1, [13, 14], 16, 17, square(3)),
  image(2, [11, 12], 18, 16, [
    { window: 3, before: 1 },
    { window: 3, before: 2, after: 1 },
  ]),
  image(1, [8, 8], 44, 100, square(3, padded)), // more channels than a block, wider than a strip
  image(8, [10, 11], 17, 16, square(3, padded)), // enough tiles for the gradient of the weights
  image(1, [35, 33], 17, 35, square(3, { before: 1 })), // and several blocks of it
];

const forwardOnly = { differentiable: [false, false, false] };

const sequences: Setting[] = [
  ...laneSizes.map((channels, i) =>
    sequence(1 + (i % 2), at([9, 5, 17], i), channels, at(laneSizes, i + 5), {
      window: at([1, 2, 3, 5], i),
      stride: at([1, 2, 1, 3], i),
      before: at([0, 1, 2], i),
      after: at([2, 0], i),
    }),
  ),
  sequence(2, 12, 4, 6, { window: 3, dilation: 3, before: 2, after: 1 }, 2),
  sequence(2, 12, 5, 5, { window: 3, stride: 2 }, 5),
];

export const convSamples = {
  conv2d: {
    cases: [
      ...[...images, ...large, ...narrow, ...grouped].map((setting) => convCase(2, setting)),
      convCase(2, image(2, [6, 7], 3, 5, square(3, padded)), { padding: "same" }),
      convCase(2, image(1, [5, 5], 2, 3, square(4, { before: 1, after: 2 })), { padding: "same" }),
      convCase(
        2,
        image(1, [7, 8], 2, 3, [
          { window: 3, stride: 2, before: 1, after: 1 },
          { window: 3, stride: 2, before: 0, after: 1 },
        ]),
        { padding: "same" },
      ),
      ...(["relu", "sigmoid", "tanh"] as const).flatMap((activation) => [
        convCase(2, image(2, [5, 6], 3, 9, square(3)), { bias: true, activation }),
        convCase(2, image(2, [5, 6], 3, 8, square(3, padded)), { bias: true, activation }),
        convCase(2, image(2, [5, 6], 3, 20, square(3)), { bias: true, activation }),
        convCase(2, image(2, [4, 4], 4, 8, square(1)), { bias: true, activation }),
        convCase(2, image(2, [5, 6], 6, 6, square(3, padded), 6), { bias: true, activation }),
      ]),
      convCase(2, image(2, [5, 6], 4, 6, square(3), 2), { bias: true }),
      ...[
        image(2, [5, 6], 3, 5, square(3, padded)),
        image(2, [5, 6], 4, 6, square(3, { stride: 2, after: 1 }), 2),
        image(2, [5, 6], 5, 5, square(3, padded), 5),
        image(2, [4, 4], 4, 6, square(1)),
        image(1, [7, 6], 2, 4, square(2, { stride: 2, dilation: 3 }), 2),
      ].flatMap((setting) => [gradientCase(setting, "input"), gradientCase(setting, "weight")]),
      ...minimal.slice(0, 3).map((setting, i) =>
        convCase(2, setting, {
          bias: i !== 1,
          activation: ([undefined, "tanh", "relu"] as const)[i],
          minimal: true,
        }),
      ),
      gradientCase(minimal[0], "input", true),
      // Without differences of references, which would take long: the gradients are the operations of the rows above.
      { ...convCase(2, minimal[3], { bias: true, activation: "sigmoid", minimal: true }), ...forwardOnly },
      { ...gradientCase(minimal[4], "weight", true), ...forwardOnly },
      { ...gradientCase(minimal[5], "weight", true), ...forwardOnly },
    ],
  },
  conv1d: {
    cases: [
      ...sequences.map((setting) => convCase(1, setting)),
      convCase(1, sequence(2, 9, 3, 4, { window: 3, dilation: 2, before: 4 }), { padding: "causal", bias: true }),
      convCase(1, sequence(2, 9, 3, 4, { window: 4, before: 1, after: 2 }), { padding: "same" }),
      convCase(1, sequence(2, 9, 3, 8, { window: 3 }), { bias: true, activation: "tanh" }),
    ],
  },
  convTranspose2d: {
    cases: [
      ...laneSizes.map((channels, i) =>
        transposeCase(
          2,
          image(1 + (i % 2), [at([3, 4, 2], i), at([5, 3, 4], i)], channels, at(laneSizes, i + 4), [
            {
              window: at([3, 2, 4], i),
              stride: at([1, 2, 3], i),
              dilation: at([1, 1, 1, 2], i),
              before: at([0, 1], i),
              extra: at([0, 1, 2], i),
            },
            { window: at([2, 3], i), stride: at([2, 1, 3], i), before: at([0, 1], i), after: at([1, 0], i) },
          ]),
          { bias: i % 2 === 0 },
        ),
      ),
      transposeCase(2, image(2, [4, 4], 4, 6, square(4, { stride: 2, before: 1, after: 1 }), 2), { bias: true }),
      transposeCase(2, image(2, [4, 4], 6, 6, square(3, { stride: 2, before: 1, after: 1, extra: 1 }), 6), {
        bias: true,
      }),
      transposeCase(2, image(1, [3, 3], 4, 5, square(2, { stride: 3 })), { bias: true }), // gaps with nothing but bias
      transposeCase(2, image(1, [3, 3], 4, 5, square(2, { stride: 1, dilation: 3, extra: 2 }))),
      transposeCase(2, image(1, [3, 4], 4, 5, square(3, { stride: 2, before: 0, after: 1 })), { padding: "same" }),
      transposeCase(2, image(2, [3, 4], 8, 4, square(1)), { bias: true }),
    ],
  },
  convTranspose1d: {
    cases: [
      ...laneSizes.map((channels, i) =>
        transposeCase(
          1,
          sequence(1 + (i % 2), at([5, 9, 4], i), channels, at(laneSizes, i + 5), {
            window: at([1, 2, 3, 5], i),
            stride: at([2, 1, 3], i),
            before: at([0, 0, 1], i),
            extra: at([1, 0, 2], i),
          }),
        ),
      ),
      transposeCase(1, sequence(2, 6, 4, 6, { window: 4, stride: 2, before: 1, after: 1 }, 2), { bias: true }),
    ],
  },
} satisfies Record<string, Sample>;
