// Operations on images and sequences: convolutions, pooling, up-sampling, normalization.
import { momentsOf, range, sumOf } from "../reference.js";
import { given, row } from "./rows.js";

const [N, H, W, C] = [5, 13, 11, 6];
const IMAGES = [N, H, W, C];
const x = given(IMAGES, 91);
const [L, D] = [37, 7];
const sequences = given([N, L, D], 92);

/** A number at each of two axes: [vertical, horizontal]. */
const grid = (height, width, f) => sumOf(height, (i) => sumOf(width, (j) => f(i, j)));

/** With these strides, dilations, and zeros before; `groups` of channels. Inputs: x, weight [h, w, c / groups, k], bias. */
function convolved([h, w], channels, outputs, { stride = [1, 1], dilation = [1, 1], before = [0, 0], groups = 1 }) {
  const [each, outEach] = [channels / groups, outputs / groups];
  return ({ x, weight, bias }, n, i, j, k) => {
    const base = Math.floor(k / outEach) * each;
    const at = (a, b, c) =>
      x(n, i * stride[0] + a * dilation[0] - before[0], j * stride[1] + b * dilation[1] - before[1], base + c);
    return bias(k) + grid(h, w, (a, b) => sumOf(each, (c) => at(a, b, c) * weight(a, b, c, k)));
  };
}

const conv2d = (name, [h, w], outputs, out, options, numbers = {}) => {
  const { groups = 1 } = options;
  const inputs = { x, weight: given([h, w, C / groups, outputs], 93), bias: given([outputs], 94) };
  const trace = (graph, { x, weight, bias }) => graph.conv2d(x, weight, { ...options, bias });
  const formula = convolved([h, w], C, outputs, { groups, ...numbers });
  return row("conv2d", inputs, trace, [N, ...out, outputs], formula, { name: `conv2d ${name}`, floor: 8 });
};

/** As the sum over all places that were scattered there. Inputs: x [n, i, j, k], weight [h, w, c / groups, k], bias [c]. */
const transposed = ([inHeight, inWidth], [h, w], outputs, { stride, before, groups = 1 }) => {
  const [each, outEach] = [C / groups, outputs / groups];
  return ({ x, weight, bias }, n, y, z, c) => {
    const group = Math.floor(c / outEach);
    const from = (place, tap, axis) => (place + before[axis] - tap) / stride[axis];
    const taken = grid(h, w, (a, b) => {
      const [i, j] = [from(y, a, 0), from(z, b, 1)];
      if (!Number.isInteger(i) || !Number.isInteger(j) || i >= inHeight || j >= inWidth) return 0;
      return sumOf(each, (k) => x(n, i, j, group * each + k) * weight(a, b, c % outEach, group * each + k));
    });
    return bias(c) + taken;
  };
};

/** The elements of a window that lie in the image, along one axis. */
const seen = (size, window, stride, pad, dilation, out) =>
  range(window)
    .map((tap) => out * stride - pad + tap * dilation)
    .filter((place) => place >= 0 && place < size);
/** Those of a bin, one of `count`. */
const binned = (size, count, out) =>
  range(size).slice(Math.floor((out * size) / count), Math.ceil(((out + 1) * size) / count));

const largest = (values) => values.reduce((best, value) => (Number.isNaN(best) || best >= value ? best : value));
const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** `rows` and `columns` give the places that an output sees; of one axis where `x` is a sequence. */
const pooled2d = (operation, trace, [height, width], fold, rows, columns, options = {}) =>
  row(
    operation,
    { x },
    trace,
    [N, height, width, C],
    ({ x }, n, i, j, c) => fold(rows(i).flatMap((a) => columns(j).map((b) => x(n, a, b, c)))),
    options,
  );
const pooled1d = (operation, trace, length, fold, places, options = {}) =>
  row(
    operation,
    { x: sequences },
    trace,
    [N, length, D],
    ({ x }, n, i, c) => fold(places(i).map((a) => x(n, a, c))),
    options,
  );

const WINDOW = { stride: 2, padding: 1 };
const window3 = (size) => (out) => seen(size, 3, 2, 1, 1, out);
const bins = (size, count) => (out) => binned(size, count, out);
const holed = given(IMAGES, 0, { data: x.data.map((value, i) => (i % 401 === 17 ? Number.NaN : value)) });

const pools = [
  pooled2d("maxPool2d", (graph, { x }) => graph.maxPool2d(x, 3, WINDOW), [7, 6], largest, window3(H), window3(W)),
  pooled2d(
    "maxPool2d",
    (graph, { x }) => graph.maxPool2d(x, [2, 3], { stride: [3, 1], dilation: [2, 1] }),
    [4, 9],
    largest,
    (i) => seen(H, 2, 3, 0, 2, i),
    (j) => seen(W, 3, 1, 0, 1, j),
    { name: "maxPool2d with dilation" },
  ),
  row(
    "maxPool2d",
    { x: holed },
    (graph, { x }) => graph.maxPool2d(x, 3, WINDOW),
    [N, 7, 6, C],
    ({ x }, n, i, j, c) => {
      const values = window3(H)(i).flatMap((a) => window3(W)(j).map((b) => x(n, a, b, c)));
      return values.some(Number.isNaN) ? Number.NaN : largest(values);
    },
    { name: "maxPool2d with NaN" },
  ),
  pooled1d("maxPool1d", (graph, { x }) => graph.maxPool1d(x, 3, WINDOW), 19, largest, window3(L)),
  pooled2d(
    "averagePool2d",
    (graph, { x }) => graph.averagePool2d(x, 3, { ...WINDOW, countIncludePad: false }),
    [7, 6],
    meanOf,
    window3(H),
    window3(W),
  ),
  pooled2d(
    "averagePool2d",
    (graph, { x }) => graph.averagePool2d(x, 3, WINDOW),
    [7, 6],
    (values) => meanOf(values) * (values.length / 9),
    window3(H),
    window3(W),
    { name: "averagePool2d with its padding" },
  ),
  pooled1d(
    "averagePool1d",
    (graph, { x }) => graph.averagePool1d(x, 4),
    9,
    meanOf,
    (i) => seen(L, 4, 4, 0, 1, i),
  ),
  pooled2d(
    "adaptiveMaxPool2d",
    (graph, { x }) => graph.adaptiveMaxPool2d(x, [4, 7]),
    [4, 7],
    largest,
    bins(H, 4),
    bins(W, 7),
  ),
  pooled2d(
    "adaptiveAveragePool2d",
    (graph, { x }) => graph.adaptiveAveragePool2d(x, [4, 7]),
    [4, 7],
    meanOf,
    bins(H, 4),
    bins(W, 7),
  ),
  pooled1d("adaptiveMaxPool1d", (graph, { x }) => graph.adaptiveMaxPool1d(x, 10), 10, largest, bins(L, 10)),
  pooled1d("adaptiveAveragePool1d", (graph, { x }) => graph.adaptiveAveragePool1d(x, 10), 10, meanOf, bins(L, 10)),
  pooled2d(
    "globalMaxPool",
    (graph, { x }) => graph.globalMaxPool(x, { keepDims: true }),
    [1, 1],
    largest,
    () => range(H),
    () => range(W),
  ),
  pooled2d(
    "globalAveragePool",
    (graph, { x }) => graph.globalAveragePool(x, { keepDims: true }),
    [1, 1],
    meanOf,
    () => range(H),
    () => range(W),
  ),
];

/** Between the two nearest places, which lie in the middle of their pixels. */
const between = (size, scale, out, at) => {
  const place = Math.max(0, (out + 0.5) / scale - 0.5);
  const left = Math.floor(place);
  return at(left) * (1 - (place - left)) + at(Math.min(left + 1, size - 1)) * (place - left);
};

const growing = [
  row(
    "upsample2d",
    { x },
    (graph, { x }) => graph.upsample2d(x, { scale: [2, 3] }),
    [N, 2 * H, 3 * W, C],
    ({ x }, n, i, j, c) => x(n, Math.floor(i / 2), Math.floor(j / 3), c),
  ),
  row(
    "upsample2d",
    { x },
    (graph, { x }) => graph.upsample2d(x, { scale: 2, mode: "bilinear" }),
    [N, 2 * H, 2 * W, C],
    ({ x }, n, i, j, c) => between(H, 2, i, (a) => between(W, 2, j, (b) => x(n, a, b, c))),
    { name: "upsample2d bilinear" },
  ),
  row(
    "upsample1d",
    { x: sequences },
    (graph, { x }) => graph.upsample1d(x, { size: 50 }),
    [N, 50, D],
    ({ x }, n, i, c) => x(n, Math.floor((i * L) / 50), c),
  ),
  row(
    "upsample1d",
    { x: sequences },
    (graph, { x }) => graph.upsample1d(x, { scale: 3, mode: "linear" }),
    [N, 3 * L, D],
    ({ x }, n, i, c) => between(L, 3, i, (a) => x(n, a, c)),
    { name: "upsample1d linear" },
  ),
];

const EPSILON = 1e-5;
const scales = { weight: given([C], 95, { low: 0.5, high: 1.5 }), bias: given([C], 96) };

/** (x - mean) / √(variance + epsilon) · weight + bias, by the elements that `others` gives of an index. */
const normalized = (name, trace, others, options) => {
  const known = new Map();
  return row(
    name,
    { x, ...scales },
    trace,
    IMAGES,
    ({ x, weight, bias }, n, i, j, c) => {
      const { key, elements } = others(x, n, i, j, c);
      if (!known.has(key)) known.set(key, momentsOf(elements()));
      const { mean, variance } = known.get(key);
      return ((x(n, i, j, c) - mean) / Math.sqrt(variance + EPSILON)) * weight(c) + bias(c);
    },
    { floor: 4, ...options },
  );
};
/** All values of an image with channels from `c` to before `to`. */
const ofImage = (x, n, c, to) =>
  range(H * W * (to - c)).map((at) => x(n, Math.floor(at / W) % H, at % W, c + Math.floor(at / (H * W))));

const norms = [
  normalized(
    "batchNorm",
    (graph, { x, weight, bias }) => graph.batchNorm(x, { weight, bias }),
    (x, _n, _i, _j, c) => ({ key: c, elements: () => range(N).flatMap((n) => ofImage(x, n, c, c + 1)) }),
  ),
  normalized(
    "instanceNorm",
    (graph, { x, weight, bias }) => graph.instanceNorm(x, { weight, bias }),
    (x, n, _i, _j, c) => ({ key: n * C + c, elements: () => ofImage(x, n, c, c + 1) }),
  ),
  normalized(
    "groupNorm",
    (graph, { x, weight, bias }) => graph.groupNorm(x, 3, { weight, bias }),
    (x, n, _i, _j, c) => {
      const group = Math.floor(c / 2);
      return { key: n * 3 + group, elements: () => ofImage(x, n, 2 * group, 2 * group + 2) };
    },
  ),
  normalized(
    "layerNorm",
    (graph, { x, weight, bias }) => graph.layerNorm(x, { weight, bias }),
    (x, n, i, j) => ({ key: (n * H + i) * W + j, elements: () => range(C).map((c) => x(n, i, j, c)) }),
    { floor: 8 },
  ),
  row(
    "batchNorm",
    { x, ...scales, mean: given([C], 97), variance: given([C], 98, { low: 0.5, high: 2 }) },
    (graph, { x, ...rest }) => graph.batchNorm(x, rest),
    IMAGES,
    ({ x, weight, bias, mean, variance }, n, i, j, c) =>
      ((x(n, i, j, c) - mean(c)) / Math.sqrt(variance(c) + EPSILON)) * weight(c) + bias(c),
    { name: "batchNorm by given statistics" },
  ),
  row(
    "rmsNorm",
    { x, weight: scales.weight },
    (graph, { x, weight }) => graph.rmsNorm(x, { weight, epsilon: EPSILON }),
    IMAGES,
    ({ x, weight }, n, i, j, c) =>
      (x(n, i, j, c) / Math.sqrt(sumOf(C, (k) => x(n, i, j, k) ** 2) / C + EPSILON)) * weight(c),
  ),
  row(
    "l2Normalize",
    { x },
    (graph, { x }) => graph.l2Normalize(x),
    IMAGES,
    ({ x }, n, i, j, c) => x(n, i, j, c) / Math.hypot(...range(C).map((k) => x(n, i, j, k))),
  ),
  row(
    "l2Normalize",
    { x },
    (graph, { x }) => graph.l2Normalize(x, { axis: 1 }),
    IMAGES,
    ({ x }, n, i, j, c) => x(n, i, j, c) / Math.hypot(...range(H).map((k) => x(n, k, j, c))),
    { name: "l2Normalize along the height" },
  ),
];

const T = { weight: given([3, 2, 4, C], 99), bias: given([8], 100) };

export const IMAGE_KERNELS = [
  conv2d("in general", [3, 3], 10, [11, 9], {}),
  conv2d(
    "with stride, dilation and padding",
    [3, 2],
    9,
    [7, 11],
    {
      stride: [2, 1],
      dilation: [1, 2],
      padding: [
        [2, 1],
        [1, 1],
      ],
    },
    { stride: [2, 1], dilation: [1, 2], before: [2, 1] },
  ),
  conv2d("of one pixel", [1, 1], 16, [H, W], {}),
  conv2d("in groups", [3, 3], 4, [H, W], { groups: 2, padding: "same" }, { before: [1, 1] }),
  conv2d("of each channel", [3, 3], C, [H, W], { groups: C, padding: 1 }, { before: [1, 1] }),
  conv2d("of each channel, doubled", [2, 3], 2 * C, [12, 9], { groups: C }),
  row(
    "conv1d",
    { x: sequences, weight: given([4, D, 12], 101), bias: given([12], 102) },
    (graph, { x, weight, bias }) => graph.tanh(graph.conv1d(x, weight, { bias, dilation: 2, padding: "causal" })),
    [N, L, 12],
    ({ x, weight, bias }, n, i, k) =>
      Math.tanh(bias(k) + grid(4, D, (a, c) => x(n, i + 2 * a - 6, c) * weight(a, c, k))),
    { floor: 8 },
  ),
  row(
    "convTranspose2d",
    { x, ...T },
    (graph, { x, weight, bias }) =>
      graph.convTranspose2d(x, weight, { bias, stride: [2, 3], padding: [1, 0], groups: 2, outputPadding: [1, 2] }),
    [N, 26, 34, 8],
    transposed([H, W], [3, 2], 8, { stride: [2, 3], before: [1, 0], groups: 2 }),
    { floor: 8 },
  ),
  row(
    "convTranspose1d",
    { x: sequences, weight: given([4, 5, D], 103) },
    (graph, { x, weight }) => graph.convTranspose1d(x, weight, { stride: 2, padding: 1 }),
    [N, 2 * L, 5],
    ({ x, weight }, n, y, c) =>
      sumOf(4, (a) => {
        const i = (y + 1 - a) / 2;
        return Number.isInteger(i) ? sumOf(D, (k) => x(n, i, k) * weight(a, c, k)) : 0;
      }),
    { floor: 8 },
  ),
  ...pools,
  ...growing,
  ...norms,
];
