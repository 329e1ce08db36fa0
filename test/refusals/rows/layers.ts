// A row for each layer: made, and put into a model of its own.

import type { Engine, Layer, Model } from "steepest";
import * as S from "steepest";
import { flatten } from "steepest/graph";
import type { Row } from "../sweep.js";

const line = [4];
const row = [6, 4];
const image = [6, 6, 4];
const volume = [4, 4, 4, 2];
const pixels = [4, 4, 8];

const name = "part";
const weight = () => ({
  weightInitializer: S.zeros(),
  weightRegularizer: S.l2(),
  weightConstraint: S.maxNorm(),
});
const bias = () => ({ biasInitializer: S.zeros(), biasRegularizer: S.l2(), biasConstraint: S.nonNegative() });
const stages = () => ({
  depthwiseInitializer: S.ones(),
  depthwiseRegularizer: S.l1(),
  depthwiseConstraint: S.unitNorm(),
  pointwiseInitializer: S.ones(),
  pointwiseRegularizer: S.l1(),
  pointwiseConstraint: S.unitNorm(),
});
const sampled = () => ({ name, interpolation: "nearest", padding: "border" });
const dense = () => ({ name, bias: true, ...weight(), ...bias() });
const recurrent = () => ({
  name,
  layers: 1,
  reverse: true,
  returnSequences: true,
  returnState: false,
  stateful: true,
  truncate: 3,
  dropout: 0.1,
  recurrentDropout: 0.2,
  bias: true,
  layerNorm: true,
  activation: "tanh",
  ...weight(),
  ...bias(),
  recurrentWeightInitializer: S.orthogonal(),
  recurrentWeightRegularizer: S.l2(),
  recurrentWeightConstraint: S.maxNorm(),
});
const norm = () => ({ name, epsilon: 1e-5, affine: true, ...weight(), ...bias() });
const block = () => ({
  name,
  ...{ hidden: 5, activation: "gelu", norm: "pre", dropout: 0.1, epsilon: 1e-5 },
  ...{
    keyHeads: 1,
    causal: true,
    window: 3,
    alibi: true,
    cache: 6,
    rotary: { features: 2, base: 100, interleaved: true },
  },
});
// What is given as a whole: its inside is not the caller's.
const parts = ["*.weight*", "*.recurrentWeight*", "*.bias*", "*.depthwise*", "*.pointwise*"];

type Given = readonly [shape: readonly number[], good: () => readonly unknown[], more?: Partial<Row>];

const number = { accepts: { "0": ["array"] } } as const;
// A list of one number is that number for the only axis.
const perAxis = {
  accepts: {
    "0": ["array"],
    "1": ["array"],
    "*.outputPadding": ["array"],
    "*.stride": ["array"],
    "*.dilation": ["array"],
    "*.padding": ["array", "number"],
  },
} as const;
const square = {
  accepts: {
    ...perAxis.accepts,
    "*.size": ["array"],
    "*.scale": ["array"],
  },
} as const;
const window = { stride: 1, dilation: 1, padding: "same" };
const around = { ...window, paddingMode: "replicate" };

const LAYERS: Readonly<Record<string, Given>> = {
  dense: [line, () => [4, dense()]],
  flatten: [row, () => []],
  reshape: [line, () => [[2, 2]]],
  permute: [row, () => [[2, 1]]],
  repeatVector: [line, () => [2]],
  zeroPad1d: [row, () => [[1, 2]], { accepts: { "0": ["number"] } }],
  zeroPad2d: [
    image,
    () => [
      [
        [1, 2],
        [0, 1],
      ],
    ],
    { accepts: { "0": ["number"] } },
  ],
  crop1d: [row, () => [[1, 2]], { accepts: { "0": ["number"] } }],
  crop2d: [
    image,
    () => [
      [
        [1, 2],
        [0, 1],
      ],
    ],
    { accepts: { "0": ["number"] } },
  ],
  conv1d: [row, () => [2, 3, { ...dense(), ...around, groups: 1 }], perAxis],
  conv2d: [image, () => [2, 3, { ...dense(), ...around, groups: 1 }], square],
  depthwiseConv1d: [row, () => [3, { ...dense(), ...around, multiplier: 1 }], perAxis],
  depthwiseConv2d: [image, () => [3, { ...dense(), ...around, multiplier: 1 }], square],
  separableConv1d: [row, () => [2, 3, { name, bias: true, ...bias(), ...stages(), ...around, multiplier: 1 }], perAxis],
  separableConv2d: [
    image,
    () => [2, 3, { name, bias: true, ...bias(), ...stages(), ...around, multiplier: 1 }],
    square,
  ],
  convTranspose1d: [
    row,
    () => [2, 3, { ...dense(), ...window, padding: 1, groups: 1, outputPadding: 0 }],
    { accepts: { ...perAxis.accepts, "*.padding": ["array", "string"] } },
  ],
  convTranspose2d: [
    image,
    () => [2, 3, { ...dense(), ...window, padding: 1, groups: 1, outputPadding: 0 }],
    { accepts: { ...square.accepts, "*.padding": ["array", "string"] } },
  ],
  convTranspose3d: [
    volume,
    () => [2, 2, { ...dense(), ...window, padding: 1, groups: 1, outputPadding: 0 }],
    { accepts: { ...square.accepts, "*.padding": ["array", "string"] } },
  ],
  maxPool1d: [
    row,
    () => [2, { name, stride: 1, padding: 1, dilation: 1, ceilMode: false }],
    { accepts: { ...perAxis.accepts, "1.padding": ["string", "array"] } },
  ],
  maxPool2d: [
    image,
    () => [2, { name, stride: 1, padding: 1, dilation: 1, ceilMode: false }],
    { accepts: { ...square.accepts, "1.padding": ["string", "array"] } },
  ],
  averagePool1d: [
    row,
    () => [2, { name, stride: 1, padding: 1, ceilMode: false, countIncludePad: true }],
    { accepts: { ...perAxis.accepts, "1.padding": ["string", "array"] } },
  ],
  averagePool2d: [
    image,
    () => [2, { name, stride: 1, padding: 1, ceilMode: false, countIncludePad: true }],
    { accepts: { ...square.accepts, "1.padding": ["string", "array"] } },
  ],
  conv3d: [volume, () => [2, 2, { ...dense(), ...around, groups: 1 }], square],
  maxPool3d: [
    volume,
    () => [2, { name, stride: 1, padding: 1, dilation: 1, ceilMode: false }],
    { accepts: { ...square.accepts, "1.padding": ["string", "array"] } },
  ],
  averagePool3d: [
    volume,
    () => [2, { name, stride: 1, padding: 1, ceilMode: false, countIncludePad: true, divisor: 3 }],
    { accepts: { ...square.accepts, "1.padding": ["string", "array"] } },
  ],
  lpPool1d: [
    row,
    () => [2, 2, { name, stride: 1, padding: 1, ceilMode: false }],
    { accepts: { "1": ["array"], "2.stride": ["array"], "2.padding": ["string", "array"] } },
  ],
  lpPool2d: [
    image,
    () => [2, 2, { name, stride: 1, padding: 1, ceilMode: false }],
    { accepts: { "1": ["array"], "2.stride": ["array"], "2.padding": ["string", "array"] } },
  ],
  pixelShuffle: [pixels, () => [2]],
  pixelUnshuffle: [pixels, () => [2]],
  pad: [
    image,
    () => [
      [
        [1, 2],
        [0, 1],
      ],
      { name, mode: "constant", value: 2 },
    ],
    { nan: ["1.value"] },
  ],
  adaptiveMaxPool1d: [row, () => [2, { name }], number],
  adaptiveMaxPool2d: [image, () => [2, { name }], number],
  adaptiveAveragePool1d: [row, () => [2, { name }], number],
  adaptiveAveragePool2d: [image, () => [2, { name }], number],
  globalMaxPool: [row, () => [{ name, keepDims: true }]],
  globalAveragePool: [image, () => [{ name, keepDims: true }]],
  resize: [
    image,
    () => [{ name, scale: 1.5, mode: "cubic", coordinates: "alignCorners", cubicCoefficient: -0.5 }],
    { accepts: { "0.scale": ["array"] }, required: ["0.scale"] },
  ],
  convLstm2d: [
    [3, 6, 6, 2],
    () => [
      2,
      3,
      {
        ...dense(),
        ...window,
        reverse: true,
        returnSequences: true,
        forgetBias: 1,
        recurrentWeightInitializer: S.orthogonal(),
        recurrentWeightRegularizer: S.l2(),
        recurrentWeightConstraint: S.maxNorm(),
      },
    ],
    square,
  ],
  simpleRnn: [row, () => [3, recurrent()]],
  lstm: [
    row,
    () => [3, { ...recurrent(), forgetBias: 1, peepholes: true, projection: 2, recurrentActivation: "sigmoid" }],
  ],
  gru: [row, () => [3, { ...recurrent(), reset: "after", recurrentActivation: "sigmoid" }]],
  upsample1d: [
    row,
    () => [{ name, scale: 2, mode: "linear", alignCorners: false }],
    { accepts: { "0.scale": ["array"] }, required: ["0.scale"] },
  ],
  upsample2d: [
    image,
    () => [{ name, scale: 2, mode: "bilinear", alignCorners: false }],
    { ...square, required: ["0.scale"] },
  ],
  batchNorm: [row, () => [{ ...norm(), momentum: 0.1, statistics: "running" }]],
  localResponseNorm: [row, () => [3, { name, alpha: 1e-4, beta: 0.75, k: 1 }]],
  layerNorm: [row, () => [{ ...norm(), axes: 1 }]],
  rmsNorm: [row, () => [{ name, epsilon: 1e-5, affine: true, ...weight(), axes: 1 }]],
  groupNorm: [row, () => [2, norm()]],
  instanceNorm: [row, () => [{ ...norm(), momentum: 0.1, statistics: "running" }]],
  l2Normalize: [row, () => [{ name, axis: 1, epsilon: 1e-5 }]],
  dropout: [line, () => [0.5]],
  alphaDropout: [line, () => [0.5]],
  spatialDropout1d: [row, () => [0.5]],
  spatialDropout2d: [image, () => [0.5]],
  randomFlip: [image, () => [{ name, direction: "both", probability: 0.5 }]],
  randomAffine: [image, () => [{ ...sampled(), rotation: 10, translation: 0.1, zoom: [0.5, 2] }]],
  randomRotation: [image, () => [10, sampled()]],
  randomTranslation: [image, () => [0.1, sampled()]],
  randomZoom: [image, () => [0.5, 2, sampled()]],
  randomCrop: [image, () => [{ name, size: [3, 3], padding: 1 }]],
  randomErasing: [image, () => [{ name, probability: 0.5, area: [0.1, 0.2], aspect: [0.5, 2], value: 1 }]],
  colorJitter: [image, () => [{ name, brightness: 0.5, contrast: 0.5, saturation: 0, range: [0, 1] }]],
  gaussianNoise: [line, () => [0.5]],
  gaussianDropout: [line, () => [0.5]],
  leakyRelu: [line, () => [{ negativeSlope: 0.1 }]],
  elu: [line, () => [{ alpha: 1 }]],
  celu: [line, () => [{ alpha: 1 }]],
  gelu: [line, () => [{ approximate: "tanh" }]],
  geglu: [line, () => [{ approximate: "tanh" }]],
  hardTanh: [line, () => [{ min: -1, max: 1 }]],
  threshold: [line, () => [{ threshold: 1, value: 0 }], { required: ["0.threshold"] }],
  softShrink: [line, () => [{ lambda: 0.5 }]],
  hardShrink: [line, () => [{ lambda: 0.5 }]],
  softmax: [row, () => [{ axis: 1 }]],
  softmin: [row, () => [{ axis: 1 }]],
  softplus: [line, () => [{ beta: 2, threshold: 10 }]],
  logSoftmax: [row, () => [{ axis: 1 }]],
  prelu: [row, () => [{ name, perChannel: false, weightShape: [6, 1], ...weight() }]],
  multiHeadAttention: [
    row,
    () => [
      2,
      {
        name,
        ...{ features: 4, valueFeatures: 2, outputFeatures: 3, keyHeads: 1, scale: 0.5, dropout: 0.1 },
        ...{ causal: true, window: 3, alibi: true, cache: 6, rotary: { features: 2, base: 100, interleaved: true } },
        ...{ bias: true, ...weight(), ...bias() },
      },
    ],
    { accepts: { "1.rotary": ["boolean"] } },
  ],
  transformerEncoder: [row, () => [2, block()], { accepts: { "1.rotary": ["boolean"] } }],
  learnedPositions: [row, () => [6, { name, stateful: true, ...weight() }]],
  sinusoidalPositions: [row, () => [{ name, stateful: true, base: 100 }]],
  residual: [line, () => [{ name }, S.dense(4), S.relu()]],
  recompute: [line, () => [S.dense(4)]],
};

// Those of two tensors: given one twice.
const PAIRS: Readonly<Record<string, Given>> = {
  bilinear: [row, () => [2, dense()]],
  cosineSimilarity: [row, () => [{ name, axis: 1, epsilon: 1e-6 }]],
  pairwiseDistance: [row, () => [{ name, p: 3, epsilon: 1e-6, keepDims: true }]],
};

const unpooling = { "0": ["array"], "0.0": ["number"], "1.stride": ["array"], "1.padding": ["array"] } as const;

// Those of `{ values, indices }`: given those of an image, or one of what they give.
const PLACES: Readonly<Record<string, Given>> = {
  maxPoolWithIndices: [
    image,
    () => [2, { name, stride: 2, padding: 0, dilation: 1, ceilMode: false }],
    { accepts: { ...unpooling, "1.padding": ["array", "string"], "1.dilation": ["array"] } },
  ],
  maxUnpool: [
    image,
    () => [2, { name, stride: 2, padding: 0, outputSize: 6 }],
    { accepts: { ...unpooling, "1.outputSize": ["array"] } },
  ],
};

/** A layer of places within a model of one tensor. */
function withPlaces(name: string, shape: readonly number[], given: readonly unknown[]): Layer {
  const made = (exports[name] as (...args: readonly unknown[]) => unknown)(...given);
  return S.functional({ input: shape }, (x, { apply }) =>
    name === "maxUnpool"
      ? apply(apply(x, S.maxPoolWithIndices(2)), made as ReturnType<typeof S.maxUnpool>)
      : apply(x, made as ReturnType<typeof S.maxPoolWithIndices>).values,
  );
}

// Those that take nothing: whatever is given is refused.
const PLAIN = [
  ...["relu", "relu6", "selu", "sigmoid", "silu", "logSigmoid", "mish", "hardSigmoid", "hardSwish", "identity"],
  ...["softsign", "step", "tanh", "tanhShrink", "glu", "swiglu", "reglu"],
];

const exports: Readonly<Record<string, unknown>> = { ...S };
const makerOf = (name: string) => exports[name] as (...args: readonly unknown[]) => Layer;

/** A layer's model; where it is small it is compiled, and predicts. */
function rowOf(engine: Engine, name: string, [shape, good, more = {}]: Given): Row {
  const made = makerOf(name);
  const pair = (...given: readonly unknown[]) => made(...given) as unknown as ReturnType<typeof S.bilinear>;
  const make = Object.hasOwn(PAIRS, name)
    ? (...given: readonly unknown[]) =>
        S.functional({ input: shape }, (x, { apply }) => apply({ a: x, b: x }, pair(...given)))
    : Object.hasOwn(PLACES, name)
      ? (...given: readonly unknown[]) => withPlaces(name, shape, given)
      : made;
  const args = good();
  return {
    name,
    call: (...given: readonly unknown[]) =>
      (S.sequential as (...all: unknown[]) => Model)({ input: shape }, make(...given)),
    good,
    opaque: [
      ...parts.flatMap((part) => opaqueIn(args, part)),
      ...(name === "residual" ? ["1", "2"] : []),
      ...(name === "recompute" ? ["0"] : []),
    ],
    // Options are all optional, and stand last.
    optional: typeof args.at(-1) === "object" && !Array.isArray(args.at(-1)) ? [`${args.length - 1}`] : [],
    check: (model) => checkModel(engine, model as Model),
    ...more,
    ...(more.required === undefined ? {} : { optional: [] }),
    ...(name === "residual" ? { optional: ["0", "1", "2"] } : {}),
  };
}

/** Paths of the options whose names begin so. */
function opaqueIn(args: readonly unknown[], pattern: string): string[] {
  const [, start] = pattern.split(".");
  const prefix = start.slice(0, -1);
  return args.flatMap((arg, index) =>
    typeof arg === "object" && arg !== null && !Array.isArray(arg)
      ? Object.keys(arg).flatMap((key) => (key.startsWith(prefix) && key !== "bias" ? [`${index}.${key}`] : []))
      : [],
  );
}

const MAX_ELEMENTS = 1e4;

export function checkModel(engine: Engine, model: Model): void {
  const sizes = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  const { inputShape, outputShape, parameters } = model;
  if (!outputShape.every((size) => Number.isSafeInteger(size) && size >= 1)) throw new Error(`gives [${outputShape}]`);
  const all = [inputShape, outputShape, ...[...parameters.values()].map(({ shape }) => shape)];
  if (all.some((shape) => sizes(shape) > MAX_ELEMENTS)) return;
  // By its own name, whatever that is.
  const whole = S.functional({ input: inputShape }, (x, { apply }) =>
    apply(flatten(apply(x, model)), S.dense(1, { name: "the end" })),
  );
  using trainer = S.compileSync(whole, { loss: S.meanSquaredError(), optimizer: S.sgd(), engine });
  if (trainer.predictSync(new Float32Array(2 * sizes(inputShape)).fill(0.5)).length !== 2)
    throw new Error("predicts no 2");
}

export const namesOfLayers: readonly string[] = [
  ...Object.keys(LAYERS),
  ...Object.keys(PAIRS),
  ...Object.keys(PLACES),
  ...PLAIN,
  "oneHot",
  "embedding",
  "tiedDense",
  "transformerDecoder",
];

export function layerRows(engine: Engine): readonly Row[] {
  const oneHot: Row = {
    name: "oneHot",
    call: (...given: readonly unknown[]) =>
      (S.sequential as (...all: unknown[]) => Model)(
        { input: [3], dtype: "uint32" },
        (S.oneHot as (...all: readonly unknown[]) => Layer)(...given),
      ),
    good: () => [5],
    check: (model) => checkModelShape(model as Model),
  };
  const words: Row = {
    name: "embedding",
    call: (...given: readonly unknown[]) =>
      (S.sequential as (...all: unknown[]) => Model)(
        { input: [3], dtype: "uint32" },
        (S.embedding as (...all: readonly unknown[]) => Layer)(...given),
      ),
    good: () => [5, 4, { name, paddingIndex: 0, ...weight() }],
    opaque: ["2.weightInitializer", "2.weightRegularizer", "2.weightConstraint"],
    optional: ["2"],
    check: (model) => checkModelShape(model as Model),
  };
  const table = S.embedding(5, 4);
  const tied: Row = {
    name: "tiedDense",
    call: (...given: readonly unknown[]) =>
      (S.sequential as (...all: unknown[]) => Model)(
        { input: [3], dtype: "uint32" },
        table,
        (S.tiedDense as (...all: readonly unknown[]) => Layer)(...given),
      ),
    good: () => [table, { name, bias: true, ...bias() }],
    opaque: ["0", "1.biasInitializer", "1.biasRegularizer", "1.biasConstraint"],
    optional: ["1"],
    check: (model) => checkModelShape(model as Model),
  };
  const decoder: Row = {
    name: "transformerDecoder",
    call: (...given: readonly unknown[]) =>
      S.functional({ input: { x: [3, 4], memory: [5, 4] } }, ({ x, memory }, { apply }) =>
        apply({ x, memory }, (S.transformerDecoder as (...all: readonly unknown[]) => never)(...given)),
      ),
    good: () => [2, block()],
    optional: ["1"],
    accepts: { "1.rotary": ["boolean"] },
    check: (model) => checkModelShape(model as Model),
  };
  const plain = PLAIN.map((name): Row => {
    const make = makerOf(name);
    return {
      name,
      call: (...given: readonly unknown[]) =>
        (S.sequential as (...all: unknown[]) => Model)({ input: line }, make(...given)),
      good: () => [undefined],
      optional: ["0"],
      // Empty options are as none.
      accepts: { "0": ["object"] },
      check: (model) => checkModel(engine, model as Model),
    };
  });
  return [
    ...Object.entries({ ...LAYERS, ...PAIRS, ...PLACES }).map(([name, given]) => rowOf(engine, name, given)),
    ...plain,
    oneHot,
    words,
    tied,
    decoder,
  ];
}

function checkModelShape({ outputShape }: Model): void {
  if (!outputShape.every((size) => Number.isSafeInteger(size) && size >= 1)) throw new Error(`gives [${outputShape}]`);
}
