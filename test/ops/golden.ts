// Values recorded from PyTorch by the scripts in test/golden, held against the operations of the same name.
import { describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import "../../src/platform/nodeKernels.js";
import { engineOf } from "./battery.js";

interface GoldenCase {
  operation: string;
  with: Record<string, unknown>;
  inputs: { shape: number[]; values: number[]; labels?: boolean }[];
  upstream: number[];
  shape: number[];
  output: number[];
  gradients: number[][];
  float32Errors: number[];
}

/** How a case's operation is called here. */
const calls: Record<string, (x: Tensor[], options: Record<string, never>) => Tensor> = {
  concatenate: (x, { axis }) => ops.concatenate(x, axis),
  stack: (x, { axis }) => ops.stack(x, axis),
  split: ([x], { parts, axis, part }) => ops.split(x, parts, axis)[part],
  slice: ([x], { bounds }) => ops.slice(x, bounds[0], bounds[1], bounds[2]),
  pad: ([x], { padding, options }) => ops.pad(x, padding, options),
  flip: ([x], { axes }) => ops.flip(x, axes),
  repeat: ([x], { count, axis }) => ops.repeat(x, count, axis),
  tile: ([x], { counts }) => ops.tile(x, counts),
  transpose: ([x], { axes }) => ops.transpose(x, axes),
  pow: ([a, b]) => ops.pow(a, b),
  sin: ([x]) => ops.sin(x),
  cos: ([x]) => ops.cos(x),
  clip: ([x], { least, most }) => ops.clip(x, least, most),
  average: (x) => ops.average(x),
  maximum: ([a, b]) => ops.maximum(a, b),
  max: ([x], { axes }) => ops.max(x, axes),
  variance: ([x], { axes, options }) => ops.variance(x, axes, options),
  standardDeviation: ([x], { axes, options }) => ops.standardDeviation(x, axes, options),
  logSumExp: ([x], { axes, options }) => ops.logSumExp(x, axes, options),
  cumulativeSum: ([x], { axis, options }) => ops.cumulativeSum(x, axis, options),
  product: ([x], { axes }) => ops.product(x, axes),
  matmul: ([a, b], { options }) => ops.matmul(a, b, options),
  einsum: (x, { equation }) => ops.einsum(equation, ...x),
  gather: ([x, indices], { axis }) => ops.gather(x, indices, axis),
  gatherAlong: ([x, indices], { axis }) => ops.gatherAlong(x, indices, axis),
  scatterAdd: ([x, indices, updates], { axis }) => ops.scatterAdd(x, indices, updates, axis),
  scatterUpdate: ([x, indices, updates], { axis }) => ops.scatterUpdate(x, indices, updates, axis),
  scatterAddAlong: ([x, indices, updates], { axis }) => ops.scatterAddAlong(x, indices, updates, axis),
  scatterUpdateAlong: ([x, indices, updates], { axis }) => ops.scatterUpdateAlong(x, indices, updates, axis),
  gatherNd: ([x, indices]) => ops.gatherNd(x, indices),
  scatterNd: ([indices, updates], { shape }) => ops.scatterNd(indices, updates, shape),
  scatterAddNd: ([x, indices, updates]) => ops.scatterAddNd(x, indices, updates),
  scatterUpdateNd: ([x, indices, updates]) => ops.scatterUpdateNd(x, indices, updates),
  segmentSum: ([x, segments], { count }) => ops.segmentSum(x, segments, count),
  pixelShuffle: ([x], { factor }) => ops.pixelShuffle(x, factor),
  pixelUnshuffle: ([x], { factor }) => ops.pixelUnshuffle(x, factor),
  roll: ([x], { shift, axis }) => ops.roll(x, shift, axis),
  diagonal: ([x], { options }) => ops.diagonal(x, options),
  diagonalMatrix: ([x], { options }) => ops.diagonalMatrix(x, options),
  conv3d: ([x, weight, bias], { options }) => ops.conv3d(x, weight, { ...(options as object), ...(bias && { bias }) }),
  convTranspose3d: ([x, weight, bias], { options }) =>
    ops.convTranspose3d(x, weight, { ...(options as object), ...(bias && { bias }) }),
  convTranspose2d: ([x, weight], { options }) => ops.convTranspose2d(x, weight, options),
  maxPool3d: ([x], { window, options }) => ops.maxPool3d(x, window, options),
  averagePool3d: ([x], { window, options }) => ops.averagePool3d(x, window, options),
  averagePool2d: ([x], { window, options }) => ops.averagePool2d(x, window, options),
  maxPoolWithIndices: ([x], { window, options }) => ops.maxPoolWithIndices(x, window, options).values,
  maxUnpool: ([x, indices], { size }) => ops.maxUnpool(x, indices, size),
  unpooled: ([x], { window, size, options }) => {
    const { values, indices } = ops.maxPoolWithIndices(x, window, options);
    return ops.maxUnpool(values, indices, size);
  },
  resize: ([x], { options }) => ops.resize(x, options),
  gridSample: ([x, grid], { options }) => ops.gridSample(x, grid, options),
  affineGrid: ([theta], { size, options }) => ops.affineGrid(theta, size, options),
  transformed: ([x, theta], { size, options }) => ops.gridSample(x, ops.affineGrid(theta, size, options), options),
  lpPool1d: ([x], { p, window, options }) => ops.lpPool1d(x, p, window, options),
  lpPool2d: ([x], { p, window, options }) => ops.lpPool2d(x, p, window, options),
  localResponseNorm: ([x], { size, options }) => ops.localResponseNorm(x, size, options),
  cosineSimilarity: ([a, b], { options }) => ops.cosineSimilarity(a, b, options),
  pairwiseDistance: ([a, b], { options }) => ops.pairwiseDistance(a, b, options),
  sort: ([x], { options }) => ops.sort(x, options).values,
  topK: ([x], { k, options }) => ops.topK(x, k, options).values,
  norm: ([x], { axes, options }) => {
    const { p } = options as { p?: number | string };
    return ops.norm(x, axes, p === undefined ? {} : { p: Number(p) });
  },
  sum: ([x], { axes }) => ops.sum(x, axes),
  mean: ([x], { axes }) => ops.mean(x, axes),
  softmax: ([x], { axis }) => ops.softmax(x, { axis }),
  logSoftmax: ([x], { axis }) => ops.logSoftmax(x, { axis }),
  squeeze: ([x], { axes }) => ops.squeeze(x, axes),
  linear: ([x, weight, bias]) => ops.linear(x, weight, bias),
  layerNorm: ([x, weight, bias]) => ops.layerNorm(x, { weight, bias }),
  conv1d: ([x, weight]) => ops.conv1d(x, weight),
  meanSquaredError: ([x, target], { options }) => ops.meanSquaredError(x, target, options),
  meanAbsoluteError: ([x, target], { options }) => ops.meanAbsoluteError(x, target, options),
  huber: ([x, target], { options }) => ops.huber(x, target, options),
  hinge: ([x, target], { options }) => ops.hinge(x, target, options),
  perceptronLoss: ([x, target], { options }) => ops.perceptronLoss(x, target, options),
  binaryCrossEntropy: ([x, target], { options }) => ops.binaryCrossEntropy(x, target, options),
  binaryCrossEntropyWithLogits: ([x, target], { options }) => ops.binaryCrossEntropyWithLogits(x, target, options),
  cosineEmbedding: ([a, b, target], { options }) => ops.cosineEmbedding(a, b, target, options),
  cosineSimilarityLoss: ([x, target], { options }) => ops.cosineSimilarityLoss(x, target, options),
  hingeEmbedding: ([x, target], { options }) => ops.hingeEmbedding(x, target, options),
  marginRanking: ([a, b, target], { options }) => ops.marginRanking(a, b, target, options),
  tripletMargin: ([a, b, c], { options }) => ops.tripletMargin(a, b, c, options),
  contrastive: ([a, b, target], { options }) => ops.contrastive(a, b, target, options),
  infoNce: ([queries, keys], { options }) => ops.infoNce(queries, keys, options),
  diceLoss: ([x, target], { options }) => ops.diceLoss(x, target, options),
  jaccardLoss: ([x, target], { options }) => ops.jaccardLoss(x, target, options),
  tverskyLoss: ([x, target], { options }) => ops.tverskyLoss(x, target, options),
  softmaxCrossEntropy: ([x, target], { options }) => ops.softmaxCrossEntropy(x, target, options),
  softmaxCrossEntropyWithDistributions: ([x, target], { options }) =>
    ops.softmaxCrossEntropyWithDistributions(x, target, options),
};

/** Outputs and gradients are no further from PyTorch's float64 than four times its own float32 error, or 1e-6 of a line's scale. */
export function describeGolden(golden: { readonly source: string; readonly cases: readonly unknown[] }): void {
  describe(`golden values: ${golden.source}`, () => {
    const cases = golden.cases as GoldenCase[];

    test("there are enough", () => expect(cases.length).toBeGreaterThan(50));

    cases.forEach((one, index) => {
      test(`${index}: ${one.operation} ${JSON.stringify(one.with)}`, () => checkGolden(one));
    });
  });
}

function checkGolden({ operation, with: options, inputs, ...expected }: GoldenCase): void {
  const tensors = Object.fromEntries(
    inputs.map(({ shape, labels }, i) => [`x${i}`, input(shape, { dtype: labels ? "uint32" : "float32" })]),
  );
  using run = compileFunctionSync(
    ({ upstream, ...x }: Record<string, Tensor>): Record<string, Tensor> => {
      const y = calls[operation](Object.values(x), options as Record<string, never>);
      expect(y.shape).toEqual(expected.shape);
      const trained = Object.values(x).filter(({ dtype }) => dtype === "float32");
      const gradients = ops.gradient(ops.sum(ops.mul(y, upstream)), trained);
      return Object.fromEntries([y, ...gradients].map((tensor, i) => [`line ${i}`, tensor]));
    },
    { ...tensors, upstream: expected.shape },
    { engine: engineOf("strict") },
  );
  const values = Object.fromEntries(inputs.map((one, i) => [`x${i}`, one.values]));
  const results = run({ ...values, upstream: expected.upstream });
  [expected.output, ...expected.gradients].forEach((line, i) => {
    expect(results[`line ${i}`].length, `line ${i}`).toBe(line.length);
    const largest = Math.max(1e-30, ...line.map(Math.abs));
    const error = Math.max(0, ...line.map((value, at) => Math.abs(results[`line ${i}`][at] - value))) / largest;
    expect(error, `line ${i}`).toBeLessThanOrEqual(Math.max(4 * expected.float32Errors[i], 1e-6));
  });
}
