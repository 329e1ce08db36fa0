// Rows for convolutions, pooling, normalization, and what draws random numbers.
import * as ops from "steepest/graph";
import { input } from "steepest/graph";
import type { Row } from "../sweep.js";

const sequence = input([2, 8, 4]);
const image = input([2, 8, 8, 4]);
const volume = input([1, 4, 3, 4, 2]);
const bias = input([4]);
const clock = input([16], { dtype: "uint32" });

const window1 = { stride: 2, dilation: 1, groups: 2, bias };
const window2 = { stride: [2, 1], dilation: 1, groups: 2, bias };
const size2: Row["accepts"] = { "1": ["array"], "1.0": ["number"] };
const either2 = { "2.stride": ["number"], "2.dilation": ["array"], "2.dilation.0": ["number"] } as const;
const padding = {
  "2.padding": ["string", "array"],
  "2.padding.0": ["number", "array"],
  "2.padding.0.0": ["number"],
} as const;

const convRows: readonly Row[] = [
  {
    name: "conv1d",
    call: ops.conv1d,
    good: () => [sequence, input([3, 2, 4]), { ...window1, padding: [1, 1] }],
    optional: ["2"],
    accepts: {
      "2.padding": ["string", "number"],
      "2.stride": ["array"],
      "2.stride.0": ["number"],
      "2.dilation": ["array"],
      "2.dilation.0": ["number"],
    },
  },
  {
    name: "conv2d",
    call: ops.conv2d,
    good: () => [image, input([3, 3, 2, 4]), { ...window2, padding: 1 }],
    optional: ["2"],
    accepts: { ...either2, ...padding },
  },
  {
    name: "conv2d",
    call: ops.conv2d,
    good: () => [
      image,
      input([3, 3, 2, 4]),
      {
        ...window2,
        padding: [
          [1, 0],
          [1, 1],
        ],
      },
    ],
    optional: ["2"],
    accepts: { ...either2, "2.padding": ["string", "number"], "2.padding.*": ["number"] },
  },
  {
    name: "conv3d",
    call: ops.conv3d,
    good: () => [volume, input([2, 2, 2, 2, 4]), { stride: [2, 1, 1], dilation: 1, groups: 1, padding: 1, bias }],
    optional: ["2"],
    accepts: { "2.stride": ["number"], "2.dilation": ["array"], "2.dilation.0": ["number"], ...padding },
  },
  {
    name: "convTranspose3d",
    call: ops.convTranspose3d,
    good: () => [
      volume,
      input([2, 2, 2, 4, 2]),
      {
        stride: 2,
        dilation: 1,
        groups: 1,
        padding: [
          [1, 0],
          [0, 0],
          [0, 1],
        ],
        outputPadding: 1,
        bias,
      },
    ],
    optional: ["2"],
    accepts: {
      "2.stride": ["array"],
      "2.stride.0": ["number"],
      "2.dilation": ["array"],
      "2.dilation.0": ["number"],
      "2.outputPadding": ["array"],
      "2.outputPadding.0": ["number"],
      "2.padding": ["string", "number"],
      "2.padding.*": ["number"],
    },
  },
  {
    name: "convTranspose2d",
    call: ops.convTranspose2d,
    good: () => [image, input([3, 3, 4, 4]), { stride: 2, padding: 1, outputSize: [16, 15] }],
    optional: ["2"],
    accepts: {
      "2.padding": ["string", "array"],
      "2.padding.0": ["number", "array"],
      "2.padding.0.0": ["number"],
      "2.stride": ["array"],
      "2.stride.0": ["number"],
      "2.outputSize": ["number"],
    },
  },
  {
    name: "convTranspose1d",
    call: ops.convTranspose1d,
    good: () => [sequence, input([3, 2, 4]), { ...window1, padding: 1, outputPadding: 1 }],
    optional: ["2"],
    accepts: {
      ...padding,
      "2.stride": ["array"],
      "2.stride.0": ["number"],
      "2.dilation": ["array"],
      "2.dilation.0": ["number"],
      "2.outputPadding": ["array"],
      "2.outputPadding.0": ["number"],
    },
  },
  {
    name: "convTranspose2d",
    call: ops.convTranspose2d,
    good: () => [image, input([3, 3, 2, 4]), { ...window2, padding: 1, outputPadding: [1, 0] }],
    optional: ["2"],
    accepts: { ...either2, ...padding, "2.outputPadding": ["number"] },
  },
];

const poolAccepts = {
  "1": ["array"],
  "1.0": ["number"],
  "2.stride": ["array", "number"],
  "2.stride.0": ["number"],
  "2.dilation": ["array"],
  "2.dilation.0": ["number"],
  "2.padding": ["string", "array"],
  "2.padding.0": ["number"],
} as const;

const poolRows: readonly Row[] = [
  {
    name: "averagePool2d",
    call: ops.averagePool2d,
    good: () => [
      image,
      2,
      {
        stride: 2,
        padding: [
          [1, 0],
          [0, 1],
        ],
        divisor: 3,
      },
    ],
    optional: ["2"],
    accepts: { ...poolAccepts, "2.padding": ["string", "number"], "2.padding.*": ["number"] },
  },
  {
    name: "averagePool1d",
    call: ops.averagePool1d,
    good: () => [sequence, 2, { padding: [1, 0], divisor: 3 }],
    optional: ["2"],
    accepts: { ...poolAccepts, "2.padding": ["string", "number"] },
  },
  {
    name: "maxPool3d",
    call: ops.maxPool3d,
    good: () => [volume, 2, { stride: [1, 2, 1], padding: 1, dilation: 1, ceilMode: false }],
    optional: ["2"],
    accepts: { ...poolAccepts, "2.padding.0": ["number", "array"], "2.padding.0.0": ["number"] },
  },
  {
    name: "averagePool3d",
    call: ops.averagePool3d,
    good: () => [
      volume,
      [2, 1, 2],
      {
        stride: 1,
        padding: [
          [1, 0],
          [0, 0],
          [0, 1],
        ],
        countIncludePad: false,
        divisor: 3,
      },
    ],
    optional: ["2"],
    accepts: { ...poolAccepts, "1": ["number"], "2.padding": ["string", "number"], "2.padding.*": ["number"] },
  },
  {
    name: "maxPoolWithIndices",
    call: ops.maxPoolWithIndices,
    good: () => [image, 2, { stride: 2, padding: 1, dilation: 1, ceilMode: true }],
    optional: ["2"],
    accepts: poolAccepts,
  },
  {
    name: "maxUnpool",
    call: ops.maxUnpool,
    good: () => [image, input([2, 8, 8, 4], { dtype: "uint32" }), [16, 16]],
    accepts: { "2": ["number"] },
  },
  {
    name: "lpPool2d",
    call: ops.lpPool2d,
    good: () => [image, 2, 3, { stride: 2, padding: 1, ceilMode: true }],
    optional: ["3"],
    where: ["averagePool2d"],
    accepts: {
      "2": ["array"],
      "2.0": ["number"],
      "3.stride": ["array", "number"],
      "3.stride.0": ["number"],
      "3.padding": ["string", "array"],
      "3.padding.0": ["number"],
    },
  },
  {
    name: "lpPool1d",
    call: ops.lpPool1d,
    good: () => [sequence, 3, 3, { stride: 2 }],
    optional: ["3"],
    where: ["averagePool1d"],
    accepts: { "2": ["array"], "2.0": ["number"], "3.stride": ["array", "number"], "3.stride.0": ["number"] },
  },
  {
    name: "localResponseNorm",
    call: ops.localResponseNorm,
    good: () => [image, 3, { alpha: 1, beta: 0.5, k: 2 }],
    optional: ["2"],
  },
  {
    name: "cosineSimilarity",
    call: ops.cosineSimilarity,
    good: () => [image, image, { axis: 1, epsilon: 1e-6 }],
    optional: ["2"],
  },
  {
    name: "pairwiseDistance",
    call: ops.pairwiseDistance,
    good: () => [image, image, { p: 3, epsilon: 0, keepDims: true }],
    optional: ["2"],
    where: ["norm: p"],
  },
  {
    name: "maxPool1d",
    call: ops.maxPool1d,
    good: () => [sequence, 2, { stride: 2, padding: 1, dilation: 1, ceilMode: true }],
    optional: ["2"],
    accepts: poolAccepts,
  },
  {
    name: "maxPool2d",
    call: ops.maxPool2d,
    good: () => [image, [2, 3], { stride: [2, 1], padding: 1, dilation: 1, ceilMode: true }],
    optional: ["2"],
    accepts: { ...poolAccepts, "1": ["number"] },
  },
  {
    name: "averagePool1d",
    call: ops.averagePool1d,
    good: () => [sequence, 2, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }],
    optional: ["2"],
    accepts: poolAccepts,
  },
  {
    name: "averagePool2d",
    call: ops.averagePool2d,
    good: () => [image, 2, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }],
    optional: ["2"],
    accepts: poolAccepts,
  },
  { name: "adaptiveMaxPool1d", call: ops.adaptiveMaxPool1d, good: () => [sequence, 3], accepts: size2 },
  { name: "adaptiveMaxPool2d", call: ops.adaptiveMaxPool2d, good: () => [image, 3], accepts: size2 },
  { name: "adaptiveAveragePool1d", call: ops.adaptiveAveragePool1d, good: () => [sequence, 3], accepts: size2 },
  {
    name: "adaptiveAveragePool2d",
    call: ops.adaptiveAveragePool2d,
    good: () => [image, [3, 2]],
    accepts: { "1": ["number"] },
  },
  { name: "globalMaxPool", call: ops.globalMaxPool, good: () => [image, { keepDims: true }], optional: ["1"] },
  { name: "globalAveragePool", call: ops.globalAveragePool, good: () => [image, { keepDims: true }], optional: ["1"] },
  {
    name: "resize",
    call: ops.resize,
    good: () => [image, { size: [12, 5], mode: "nearest", coordinates: "asymmetric", rounding: "floor" }],
    accepts: { "1.size": ["number"] },
  },
  {
    name: "resize",
    call: ops.resize,
    good: () => [volume, { scale: 1.5, mode: "cubic", cubicCoefficient: -0.5 }],
    accepts: { "1.scale": ["array"] },
  },
  {
    name: "gridSample",
    call: ops.gridSample,
    good: () => [image, input([2, 3, 5, 2]), { mode: "cubic", padding: "border", alignCorners: true }],
    optional: ["2"],
  },
  {
    name: "affineGrid",
    call: ops.affineGrid,
    good: () => [input([2, 2, 3]), [5, 4], { alignCorners: true }],
    optional: ["2"],
  },
  {
    name: "upsample1d",
    call: ops.upsample1d,
    good: () => [sequence, { scale: 2, mode: "linear", alignCorners: true }],
    accepts: { "1.scale": ["array"], "1.scale.0": ["number"] },
  },
  {
    name: "upsample2d",
    call: ops.upsample2d,
    good: () => [image, { size: [12, 5], mode: "nearest", alignCorners: false }],
    accepts: { "1.size": ["number"] },
  },
];

const parameters = { weight: input([4]), bias, epsilon: 1e-3 };

const normRows: readonly Row[] = [
  {
    name: "batchNorm",
    call: ops.batchNorm,
    good: () => [image, { ...parameters, mean: input([4]), variance: input([4]) }],
    optional: ["1"],
  },
  { name: "batchNorm", call: ops.batchNorm, good: () => [image, parameters], optional: ["1"] },
  { name: "groupNorm", call: ops.groupNorm, good: () => [image, 2, parameters], optional: ["2"] },
  { name: "instanceNorm", call: ops.instanceNorm, good: () => [image, parameters], optional: ["1"] },
  { name: "layerNorm", call: ops.layerNorm, good: () => [image, { ...parameters, axes: 1 }], optional: ["1"] },
  {
    name: "rmsNorm",
    call: ops.rmsNorm,
    good: () => [image, { weight: input([4]), epsilon: 1e-3, axes: 1 }],
    optional: ["1"],
  },
  { name: "l2Normalize", call: ops.l2Normalize, good: () => [image, { axis: 1, epsilon: 1e-6 }], optional: ["1"] },
];

const random = { clock, seed: [1, 2], stream: 3 };
const required = ["1.clock", "1.seed", "1.stream", "1.rate"];

const randomRows: readonly Row[] = [
  { name: "dropout", call: ops.dropout, good: () => [image, { ...random, rate: 0.5 }], required },
  { name: "spatialDropout", call: ops.spatialDropout, good: () => [image, { ...random, rate: 0.5 }], required },
  { name: "alphaDropout", call: ops.alphaDropout, good: () => [image, { ...random, rate: 0.5 }], required },
  {
    name: "randomNormal",
    call: ops.randomNormal,
    good: () => [[2, 3], { ...random, mean: 1, standardDeviation: 2 }],
    required,
  },
  { name: "randomUniform", call: ops.randomUniform, good: () => [[2, 3], { ...random, low: -1, high: 2 }], required },
];

export const imageRows: readonly Row[] = [...convRows, ...poolRows, ...normRows, ...randomRows];
