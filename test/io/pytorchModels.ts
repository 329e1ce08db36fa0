// The models that PyTorch's modules of test/golden/pytorchState.py are equivalent to. As a program, it writes their parameters, as a
// formula gives them, as files of toPyTorch into a folder, for that script: npx tsx test/io/pytorchModels.ts FOLDER
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createEngineSync, type Engine } from "../../src/engine/engine.js";
import * as steepest from "../../src/platform/node.js";
import { encodeSafetensors, toPyTorch } from "../../src/platform/nodeIo.js";
import { createWeights } from "../golden/starts.js";

const { batchNorm, bilinear, compileSync, conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d } = steepest;
const { convTranspose3d, dense, depthwiseConv1d, depthwiseConv2d, dropout, embedding, flatten, functional } = steepest;
const { groupNorm, gru, instanceNorm, layerNorm, learnedPositions, lstm, maxPool1d, multiHeadAttention, prelu } =
  steepest;
const { relu, residual, rmsNorm, sequential, simpleRnn, tanh, transformerDecoder, transformerEncoder } = steepest;

type AnyModel = Parameters<typeof compileSync>[0];

const chain = (input: readonly number[], ...layers: readonly unknown[]) =>
  sequential({ input }, ...(layers as never)) as never as AnyModel;
/** One layer of several tensors. */
const joined = (input: Readonly<Record<string, readonly number[]>>, layer: () => unknown) =>
  functional({ input } as never, (given, { apply }) => apply(given as never, layer() as never)) as never as AnyModel;

const both = { bidirectional: "concatenate", returnSequences: true } as const;

export const models = {
  dense: () => chain([5], dense(4), relu(), dense(3, { bias: false })),
  bilinear: () => joined({ a: [3], b: [2] }, () => bilinear(4)),
  image: () =>
    chain(
      [5, 6, 2],
      ...[conv2d(4, 3, { stride: 2, padding: 1 }), batchNorm(), relu(), conv2d(4, [1, 2], { groups: 2 })],
      ...[flatten(), dropout(0.5), dense(3)],
    ),
  flattened: () =>
    chain([3, 3, 1], conv2d(3, 2), flatten(), batchNorm(), prelu({ perChannel: true }), layerNorm(), dense(2)),
  nested: () =>
    chain(
      [3, 4, 1],
      sequential({ input: [3, 4, 1] }, conv2d(2, 2), relu()),
      ...[residual(conv2d(2, 3, { padding: 1 }), tanh()), layerNorm({ axes: 3 }), flatten(), dense(2)],
    ),
  sequence: () => chain([7, 3], conv1d(4, 2), maxPool1d(2), conv1d(8, 2, { groups: 4 }), flatten(), dense(2)),
  depthwise1d: () => chain([7, 3], depthwiseConv1d(3, { multiplier: 2 }), relu(), flatten(), dense(2)),
  depthwise2d: () =>
    chain(
      [5, 6, 3],
      depthwiseConv2d([3, 2], { multiplier: 2, stride: [1, 2] }),
      depthwiseConv2d(2, { bias: false }),
      conv2d(2, 1),
    ),
  upwards1d: () =>
    chain(
      [4, 3],
      convTranspose1d(4, 3, { stride: 2, padding: 1, outputPadding: 1 }),
      convTranspose1d(6, 2, { groups: 2 }),
    ),
  upwards: () =>
    chain(
      [3, 2, 2],
      ...[convTranspose2d(3, [2, 3], { stride: 2 }), groupNorm(3), prelu()],
      ...[convTranspose2d(6, 2, { groups: 3, bias: false }), prelu({ weightShape: [1, 1, 6] })],
    ),
  volume: () => chain([3, 3, 4, 1], conv3d(2, 2), relu(), convTranspose3d(1, 2)),
  batchNorm1d: () => chain([5], dense(4), batchNorm(), relu(), dense(2)),
  cumulative: () => chain([4, 2], conv1d(3, 2), batchNorm({ statistics: "cumulative" }), batchNorm({ affine: false })),
  instanceNorm: () =>
    chain(
      [3, 2, 3],
      instanceNorm({ affine: true }),
      instanceNorm({ affine: true, statistics: "running" }),
      instanceNorm(),
    ),
  groupNorm: () => chain([3, 4], groupNorm(2), conv1d(6, 1), groupNorm(3, { affine: false })),
  rmsNorm: () => chain([3], dense(4), rmsNorm()),
  lstm: () => chain([4, 3], lstm(2, { layers: 2, ...both })),
  unbiased: () => chain([4, 3], lstm(2, { bias: false, returnSequences: true })),
  projection: () => chain([4, 3], lstm(4, { projection: 2, returnSequences: true })),
  gru: () => chain([4, 3], gru(2, { returnSequences: true })),
  bothWaysGru: () => chain([4, 3], gru(2, { layers: 2, ...both })),
  simpleRnn: () => chain([4, 3], simpleRnn(2, { returnSequences: true })),
  bothWaysRnn: () => chain([4, 3], simpleRnn(2, { activation: "relu", ...both })),
  attention: () => chain([3, 4], multiHeadAttention(2)),
  unbiasedAttention: () => chain([3, 4], multiHeadAttention(2, { bias: false })),
  toMemory: () => joined({ x: [3, 4], memory: [5, 4] }, () => multiHeadAttention(2)),
  toOthers: () => joined({ x: [3, 4], memory: [5, 6] }, () => multiHeadAttention(2)),
  toValues: () => joined({ x: [3, 4], memory: [5, 4], value: [5, 4] }, () => multiHeadAttention(2)),
  toOtherValues: () => joined({ x: [3, 4], memory: [5, 6], value: [5, 3] }, () => multiHeadAttention(2)),
  encoder: () => chain([3, 4], transformerEncoder(2, { hidden: 6 }), layerNorm()),
  encoderBefore: () => chain([3, 4], transformerEncoder(2, { hidden: 6, norm: "pre", activation: "gelu" })),
  decoder: () => joined({ x: [3, 4], memory: [5, 4] }, () => transformerDecoder(2, { hidden: 6 })),
  embedding: () =>
    sequential(
      { input: [2], dtype: "uint32" },
      ...[embedding(7, 3), learnedPositions(5), flatten(), dense(2)],
    ) as never as AnyModel,
} satisfies Readonly<Record<string, () => AnyModel>>;

/** A trainer with parameters from a formula. Variances are positive, and counts whole. */
export function filled(make: () => AnyModel, engine: Engine) {
  const trainer = compileSync(make(), { engine });
  const next = createWeights(3);
  const values = [...trainer.parameters()].map(([path, { data }]) => {
    const drawn = Float32Array.from(data, next);
    if (path.endsWith(".runningVariance")) return [path, { data: drawn.map((value) => value * value + 0.5) }] as const;
    return [path, { data: path.endsWith(".batchCount") ? Float32Array.of(5) : drawn }] as const;
  });
  trainer.setParameters(new Map(values) as never);
  return trainer;
}

const [, program, folder] = process.argv;
if (program?.endsWith("pytorchModels.ts") && folder !== undefined) {
  const engine = createEngineSync();
  for (const [name, make] of Object.entries(models))
    writeFileSync(join(folder, `${name}.safetensors`), encodeSafetensors(toPyTorch(filled(make, engine))));
  engine.dispose();
}
