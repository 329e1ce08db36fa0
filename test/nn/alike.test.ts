// A traced function must do the same each time, options and all: what it does otherwise is refused, never ignored.
import * as S from "steepest";
import {
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  defineLayer,
  dense,
  functional,
  type Initializer,
  type Layer,
  ModelError,
  meanSquaredError,
  relu,
  type Scope,
  sequential,
  sgd,
} from "steepest";
import { constant, input, mean, mul, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** What the second trace of a function says; nothing where it is taken. */
function secondTrace(
  shape: readonly number[],
  body: (time: number, x: Tensor, scope: Scope) => Tensor,
): string | undefined {
  let traces = 0;
  const model = functional({ input: [...shape] }, (x, scope) => body(traces++ === 0 ? 0 : 1, x, scope));
  try {
    using trainer = compileSync(sequential({ input: [...shape] } as never, model, S.flatten(), dense(1)), {
      loss: meanSquaredError(),
      optimizer: sgd(),
      engine,
    });
    trainer.predictSync(new Float32Array(shape.reduce((a, b) => a * b)));
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError);
    return (error as Error).message;
  }
}

type Pair = readonly [shape: readonly number[], one: () => Layer, other: () => Layer];
const line = [4];
const row = [6, 4];
const image = [6, 6, 4];
const volume = [4, 4, 4, 2];
const pixels = [4, 4, 8];
const PAIRS: Record<string, Pair> = {
  dense: [line, () => dense(4), () => dense(4, { bias: false })],
  "dense units": [line, () => dense(4), () => dense(5)],
  "dense name": [line, () => dense(4, { name: "a" }), () => dense(4, { name: "b" })],
  "dense initializer": [
    line,
    () => dense(4, { weightInitializer: S.normal({ standardDeviation: 0.1 }) }),
    () => dense(4, { weightInitializer: S.normal({ standardDeviation: 0.2 }) }),
  ],
  "dense regularizer": [
    line,
    () => dense(4, { weightRegularizer: S.l2(0.1) }),
    () => dense(4, { weightRegularizer: S.l2(0.2) }),
  ],
  "dense constraint": [
    line,
    () => dense(4, { weightConstraint: S.maxNorm(1) }),
    () => dense(4, { weightConstraint: S.maxNorm(2) }),
  ],
  leakyRelu: [line, () => S.leakyRelu({ negativeSlope: 0.01 }), () => S.leakyRelu({ negativeSlope: 0.9 })],
  elu: [line, () => S.elu(), () => S.elu({ alpha: 2 })],
  celu: [line, () => S.celu(), () => S.celu({ alpha: 2 })],
  gelu: [line, () => S.gelu(), () => S.gelu({ approximate: "tanh" })],
  geglu: [line, () => S.geglu(), () => S.geglu({ approximate: "tanh" })],
  hardTanh: [line, () => S.hardTanh(), () => S.hardTanh({ max: 2 })],
  threshold: [line, () => S.threshold({ threshold: 1 }), () => S.threshold({ threshold: 2 })],
  softShrink: [line, () => S.softShrink(), () => S.softShrink({ lambda: 1 })],
  hardShrink: [line, () => S.hardShrink(), () => S.hardShrink({ lambda: 1 })],
  softmax: [row, () => S.softmax(), () => S.softmax({ axis: 1 })],
  softmin: [row, () => S.softmin(), () => S.softmin({ axis: 1 })],
  softplus: [row, () => S.softplus(), () => S.softplus({ beta: 2 })],
  logSoftmax: [row, () => S.logSoftmax(), () => S.logSoftmax({ axis: 1 })],
  prelu: [line, () => S.prelu(), () => S.prelu({ perChannel: true })],
  "prelu shape": [row, () => S.prelu({ weightShape: [6, 1] }), () => S.prelu({ weightShape: [1, 4] })],
  "prelu initializer": [line, () => S.prelu(), () => S.prelu({ weightInitializer: S.constantValue(0.5) })],
  dropout: [line, () => S.dropout(0.1), () => S.dropout(0.2)],
  alphaDropout: [line, () => S.alphaDropout(0.1), () => S.alphaDropout(0.2)],
  spatialDropout1d: [row, () => S.spatialDropout1d(0.1), () => S.spatialDropout1d(0.2)],
  spatialDropout2d: [image, () => S.spatialDropout2d(0.1), () => S.spatialDropout2d(0.2)],
  gaussianNoise: [line, () => S.gaussianNoise(0.1), () => S.gaussianNoise(0.2)],
  gaussianDropout: [line, () => S.gaussianDropout(0.1), () => S.gaussianDropout(0.2)],
  "batchNorm statistics": [line, () => S.batchNorm(), () => S.batchNorm({ statistics: "none" })],
  localResponseNorm: [row, () => S.localResponseNorm(3), () => S.localResponseNorm(3, { k: 2 })],
  batchNorm: [line, () => S.batchNorm(), () => S.batchNorm({ momentum: 0.2 })],
  layerNorm: [row, () => S.layerNorm(), () => S.layerNorm({ axes: 2 })],
  rmsNorm: [row, () => S.rmsNorm(), () => S.rmsNorm({ epsilon: 0.1 })],
  groupNorm: [row, () => S.groupNorm(2), () => S.groupNorm(4)],
  instanceNorm: [row, () => S.instanceNorm(), () => S.instanceNorm({ affine: true })],
  l2Normalize: [row, () => S.l2Normalize(), () => S.l2Normalize({ axis: 1 })],
  conv1d: [row, () => S.conv1d(2, 3), () => S.conv1d(2, 3, { padding: "causal" })],
  conv2d: [image, () => S.conv2d(2, 3), () => S.conv2d(2, 2)],
  conv3d: [volume, () => S.conv3d(2, 2), () => S.conv3d(2, 2, { padding: 1 })],
  maxPool3d: [volume, () => S.maxPool3d(2), () => S.maxPool3d(2, { stride: 1 })],
  averagePool3d: [volume, () => S.averagePool3d(2), () => S.averagePool3d(2, { divisor: 3 })],
  lpPool1d: [row, () => S.lpPool1d(2, 2), () => S.lpPool1d(3, 2)],
  lpPool2d: [image, () => S.lpPool2d(2, 2), () => S.lpPool2d(2, 2, { stride: 1 })],
  pixelShuffle: [pixels, () => S.pixelShuffle(1), () => S.pixelShuffle(2)],
  pixelUnshuffle: [pixels, () => S.pixelUnshuffle(1), () => S.pixelUnshuffle(2)],
  pad: [row, () => S.pad([[1, 1]]), () => S.pad([[1, 1]], { mode: "edge" })],
  depthwiseConv1d: [row, () => S.depthwiseConv1d(3), () => S.depthwiseConv1d(3, { multiplier: 2 })],
  depthwiseConv2d: [image, () => S.depthwiseConv2d(3), () => S.depthwiseConv2d([3, 2])],
  separableConv1d: [row, () => S.separableConv1d(2, 3), () => S.separableConv1d(3, 3)],
  separableConv2d: [image, () => S.separableConv2d(2, 3), () => S.separableConv2d(2, 3, { stride: 2 })],
  convTranspose1d: [row, () => S.convTranspose1d(2, 3), () => S.convTranspose1d(2, 3, { stride: 2 })],
  convTranspose2d: [image, () => S.convTranspose2d(2, 3), () => S.convTranspose2d(2, 3, { bias: false })],
  convTranspose3d: [volume, () => S.convTranspose3d(2, 2), () => S.convTranspose3d(2, 2, { outputSize: 5 })],
  "conv2d padding mode": [
    image,
    () => S.conv2d(2, 3, { padding: 1 }),
    () => S.conv2d(2, 3, { padding: 1, paddingMode: "reflect" }),
  ],
  resize: [image, () => S.resize({ scale: 2 }), () => S.resize({ scale: 2, coordinates: "alignCorners" })],
  maxPool1d: [row, () => S.maxPool1d(2), () => S.maxPool1d(3)],
  maxPool2d: [image, () => S.maxPool2d(2), () => S.maxPool2d(2, { stride: 1 })],
  averagePool1d: [row, () => S.averagePool1d(2), () => S.averagePool1d(3)],
  averagePool2d: [image, () => S.averagePool2d(2), () => S.averagePool2d(2, { padding: 1 })],
  adaptiveMaxPool1d: [row, () => S.adaptiveMaxPool1d(2), () => S.adaptiveMaxPool1d(3)],
  adaptiveMaxPool2d: [image, () => S.adaptiveMaxPool2d(2), () => S.adaptiveMaxPool2d([2, 3])],
  adaptiveAveragePool1d: [row, () => S.adaptiveAveragePool1d(2), () => S.adaptiveAveragePool1d(3)],
  adaptiveAveragePool2d: [image, () => S.adaptiveAveragePool2d(2), () => S.adaptiveAveragePool2d(3)],
  globalMaxPool: [row, () => S.globalMaxPool(), () => S.globalMaxPool({ keepDims: true })],
  globalAveragePool: [row, () => S.globalAveragePool(), () => S.globalAveragePool({ keepDims: true })],
  upsample1d: [row, () => S.upsample1d({ scale: 2 }), () => S.upsample1d({ scale: 3 })],
  upsample2d: [image, () => S.upsample2d({ scale: 2 }), () => S.upsample2d({ scale: 2, mode: "bilinear" })],
  reshape: [line, () => S.reshape([2, 2]), () => S.reshape([4, 1])],
  permute: [row, () => S.permute([1, 2]), () => S.permute([2, 1])],
  repeatVector: [line, () => S.repeatVector(2), () => S.repeatVector(3)],
  zeroPad1d: [row, () => S.zeroPad1d(1), () => S.zeroPad1d([1, 2])],
  zeroPad2d: [image, () => S.zeroPad2d(1), () => S.zeroPad2d(2)],
  crop1d: [row, () => S.crop1d(1), () => S.crop1d(2)],
  crop2d: [image, () => S.crop2d(1), () => S.crop2d(2)],
  learnedPositions: [row, () => S.learnedPositions(6), () => S.learnedPositions(7)],
  sinusoidalPositions: [row, () => S.sinusoidalPositions(), () => S.sinusoidalPositions({ base: 100 })],
  multiHeadAttention: [row, () => S.multiHeadAttention(2), () => S.multiHeadAttention(2, { causal: true })],
  transformerEncoder: [row, () => S.transformerEncoder(2), () => S.transformerEncoder(2, { norm: "pre" })],
  convLstm2d: [[2, 6, 6, 4], () => S.convLstm2d(2, 2), () => S.convLstm2d(2, 2, { reverse: true })],
  simpleRnn: [row, () => S.simpleRnn(3), () => S.simpleRnn(3, { reverse: true })],
  lstm: [row, () => S.lstm(3), () => S.lstm(3, { peepholes: true })],
  gru: [row, () => S.gru(3), () => S.gru(3, { reset: "before" })],
  residual: [line, () => S.residual(dense(4)), () => S.residual(dense(4, { bias: false }))],
  randomFlip: [image, () => S.randomFlip(), () => S.randomFlip({ probability: 0.25 })],
  randomAffine: [image, () => S.randomAffine({ rotation: 5 }), () => S.randomAffine({ rotation: 6 })],
  randomRotation: [image, () => S.randomRotation(5), () => S.randomRotation(6)],
  randomTranslation: [image, () => S.randomTranslation(0.1), () => S.randomTranslation(0.2)],
  randomZoom: [image, () => S.randomZoom(0.9, 1.1), () => S.randomZoom(0.8, 1.1)],
  randomCrop: [image, () => S.randomCrop({ padding: 1 }), () => S.randomCrop({ padding: 2 })],
  randomErasing: [image, () => S.randomErasing(), () => S.randomErasing({ value: 1 })],
  colorJitter: [image, () => S.colorJitter({ brightness: 0.1 }), () => S.colorJitter({ brightness: 0.2 })],
  "a nested chain": [
    line,
    () => sequential({ input: [4] }, dense(4)),
    () => sequential({ input: [4] }, dense(4), relu()),
  ],
  "a nested function": [
    line,
    () => functional({ input: [4] }, (x, { apply }) => apply(x, dense(4))),
    () => functional({ input: [4] }, (x, { apply }) => apply(x, dense(4, { bias: false }))),
  ],
};

// Those that the loop below cannot make, or that take or give more than one tensor of numbers.
const taking: string[] = [
  ...["threshold", "oneHot", "embedding", "maxPoolWithIndices", "maxUnpool"],
  ...["bilinear", "cosineSimilarity", "pairwiseDistance", "transformerDecoder"],
];

describe("layers that a function makes anew with other options are refused", () => {
  test.each(Object.entries(PAIRS))("%s", (_, [shape, one, other]) => {
    const apply = (time: number, x: Tensor, scope: Scope): Tensor => scope.apply(x, (time === 0 ? one : other)());
    expect(secondTrace(shape, apply)).toMatch(
      /^functional: it applies \w+\(\) as layer 0 with other options than when it was built: what it applies/,
    );
    expect(secondTrace(shape, (_time, x, scope) => scope.apply(x, one()))).toBeUndefined();
  });

  test("of several tensors too", () => {
    const other = { stride: 1 };
    const pooled = (time: number, x: Tensor, { apply }: Scope) =>
      apply(x, S.maxPoolWithIndices(2, time === 0 ? {} : other)).values;
    expect(secondTrace(image, pooled)).toContain("it applies maxPoolWithIndices() as layer 0 with other options");
    const back = (time: number, x: Tensor, { apply }: Scope) =>
      apply(apply(x, S.maxPoolWithIndices(2)), S.maxUnpool(2, time === 0 ? {} : { outputSize: 7 }));
    expect(secondTrace(image, back)).toContain("it applies maxUnpool() as layer 1 with other options");
    expect(secondTrace(image, (_, x, scope) => back(0, x, scope))).toBeUndefined();
    for (const [name, one, another] of [
      ["bilinear", S.bilinear(2), S.bilinear(3)],
      ["cosineSimilarity", S.cosineSimilarity(), S.cosineSimilarity({ axis: 1 })],
      ["pairwiseDistance", S.pairwiseDistance(), S.pairwiseDistance({ p: 1 })],
    ] as const) {
      const pair = (time: number, x: Tensor, { apply }: Scope) => apply({ a: x, b: x }, time === 0 ? one : another);
      expect(secondTrace(row, pair)).toContain(`it applies ${name}() as layer 0 with other options`);
    }
    const decoded = (time: number, x: Tensor, { apply }: Scope) =>
      apply({ x, memory: x }, S.transformerDecoder(2, time === 0 ? {} : { causal: false }));
    expect(secondTrace(row, decoded)).toContain("it applies transformerDecoder() as layer 0 with other options");
    expect(secondTrace(row, (_, x, scope) => decoded(0, x, scope))).toBeUndefined();
  });

  test("every layer that has options is among them", () => {
    // Layers without options are told by their kind alone.
    const makers = Object.entries(S).filter(([name, make]) => {
      if (typeof make !== "function" || taking.includes(name) || /^(create|compile|check)/.test(name)) return false;
      for (const args of [[], [2], [2, 2], [0.5], [[1]], [{ scale: 2 }]]) {
        try {
          const layer = (make as (...all: unknown[]) => Partial<Layer> | undefined)(...args);
          // What is asynchronous refuses later.
          if (layer instanceof Promise) layer.catch(() => {});
          if (typeof layer?.build === "function") return layer.options !== undefined;
        } catch {}
      }
      return false;
    });
    expect(makers.length).toBeGreaterThan(45);
    for (const [name] of makers) expect(Object.keys(PAIRS), name).toContain(name);
  });
});

describe("so are layers and parameters of a user's own", () => {
  test("defineLayer, with what its options hold", () => {
    const scaled = defineLayer("scaled", (x, _scope, { by }: { by: unknown }) => mul(x, constant(Number(by) || 1)));
    const otherwise = (one: unknown, other: unknown) =>
      secondTrace([4], (time, x, { apply }) => apply(x, scaled({ by: time === 0 ? one : other })));
    for (const [one, other] of [
      [1, 2],
      [
        [1, 2],
        [1, 3],
      ],
      [{ a: { b: 1 } }, { a: { b: 2 } }],
      [{ a: 1 }, { a: 1, b: 2 }],
      [new Map([["a", 1]]), new Map([["a", 2]])],
      [Float32Array.of(1), Float32Array.of(2)],
      [() => 1, () => 2],
      [relu(), S.tanh()],
      [S.dropout(0.1), S.dropout(0.2)],
      [constant([1]), constant([2])],
      [0, -0],
      [Number.NaN, 0],
    ]) {
      expect(otherwise(one, other)).toMatch(/scaled\(\) as layer 0 with other options/);
    }
    for (const [one, other] of [
      [{ a: [1, { b: Number.NaN }] }, { a: [1, { b: Number.NaN }] }],
      [{ a: 1 }, { a: 1, b: undefined }],
      [new Map([["a", [1]]]), new Map([["a", [1]]])],
      [() => 1, () => 1],
      [dense(3), dense(3)],
      [constant([1]), constant([1])],
      [new Date(5), new Date(5)],
    ]) {
      expect(otherwise(one, other)).toBeUndefined();
    }
  });

  test("a layer written by hand, by its fields", () => {
    const times = (factor: number): Layer =>
      Object.assign(
        {
          kind: "times",
          build: (_place: unknown, outputShape: readonly number[]) => ({
            outputShape,
            parameters: [],
            apply: (x: Tensor) => mul(x, constant(factor)),
          }),
        },
        { factor },
      );
    expect(secondTrace([4], (time, x, { apply }) => apply(x, times(1 + time)))).toMatch(
      /times\(\) as layer 0 with other/,
    );
    expect(secondTrace([4], (_, x, { apply }) => apply(x, times(3)))).toBeUndefined();
  });

  test("parameters: initializer, regularizer, constraint, and whether they are trained", () => {
    type Made = (scope: Scope) => Tensor;
    const other = (one: Made, two: Made) =>
      secondTrace([4], (time, x, scope) => mul(x, (time === 0 ? one : two)(scope)));
    const p =
      (initializer?: Initializer, options = {}): Made =>
      ({ parameter }) =>
        parameter("p", [4], initializer, options);
    const message = /functional: parameter "p" must be made alike each time, got another initializer, regularizer/;
    expect(other(p(S.zeros()), p(S.ones()))).toMatch(message);
    expect(other(p(S.constantValue(1)), p(S.constantValue(2)))).toMatch(message);
    expect(other(p(S.ones(), { regularizer: S.l1(1) }), p(S.ones()))).toMatch(message);
    expect(other(p(S.ones(), { constraint: S.maxNorm(1) }), p(S.ones(), { constraint: S.maxNorm(3) }))).toMatch(
      message,
    );
    expect(other(p(S.zeros()), ({ buffer }) => buffer("p", [4]))).toMatch(message);
    expect(other(p(S.constantValue(1)), p(S.constantValue(1)))).toBeUndefined();
    expect(other(p(), ({ parameter }) => parameter("p", [1]))).toMatch(/"p" is \[4\], and now \[1\] is asked for/);
    expect(other(p(), ({ parameter }) => parameter("q", [4]))).toMatch(
      /it makes the parameter "q", but made none of that name when it was built/,
    );
    // In one trace too.
    expect(() =>
      functional({ input: [4] }, (x, { parameter }) => mul(parameter("p", [4]), mul(x, parameter("p", [4], S.ones())))),
    ).toThrow(message);
  });
});

describe("the order of what is applied must be the same", () => {
  test("fewer, more, or one layer in the place of two", () => {
    const [one, two] = [dense(4), dense(4)];
    expect(secondTrace([4], (time, x, { apply }) => (time === 0 ? apply(x, one, two) : apply(x, one)))).toMatch(
      /it applies 1 layers, but applied 2 when it was built/,
    );
    expect(secondTrace([4], (time, x, { apply }) => (time === 0 ? apply(x, one) : apply(x, one, two)))).toMatch(
      /it applies dense\(\) as layer 1, but applied 1 when it was built/,
    );
    expect(secondTrace([4], (time, x, { apply }) => apply(x, one, time === 0 ? two : one))).toMatch(
      /it applies one dense\(\) as layers 0 and 1, but applied two when it was built/,
    );
    expect(secondTrace([4], (time, x, { apply }) => apply(x, one, time === 0 ? one : two))).toBeUndefined();
    expect(secondTrace([4], (_, x, { apply }) => apply(x, one, two, one, two))).toBeUndefined();
  });

  test("a model that is called is the one that was called, or one made alike", () => {
    const inner = () => sequential({ input: [4] }, dense(4));
    const other = () => sequential({ input: [4] }, dense(4), relu());
    expect(secondTrace([4], (_, x, { apply }) => apply(x, inner()))).toBeUndefined();
    expect(secondTrace([4], (time, x, { apply }) => apply(x, time === 0 ? inner() : other()))).toMatch(
      /with other options/,
    );
    expect(
      secondTrace([4], (time, x, scope) => (time === 0 ? scope.apply(x, inner()) : scope.apply(x, dense(4)))),
    ).toMatch(/dense\(\) instead of sequential\(\)/);
  });

  test("the trace of a workspace's step is the only one", () => {
    using workspace = createWorkspaceSync({ engine });
    const step = workspace.step(({ x }, { apply }) => ({ y: mean(apply(x, S.leakyRelu())) }), {
      inputs: { x: [1, 4] },
    });
    expect(step({ x: [1, 2, 3, 4] }).y[0]).toBe(2.5);
    expect(input([1]).shape).toEqual([1]);
  });
});
