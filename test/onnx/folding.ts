// Models with batch normalization behind what can take it in, and behind what cannot.

import type { Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/graph.js";
import {
  batchNorm,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  dense,
  depthwiseConv1d,
  depthwiseConv2d,
  dropout,
  flatten,
  functional,
  instanceNorm,
  ones,
  relu,
  separableConv1d,
  separableConv2d,
  sequential,
} from "../../src/index.js";
import type { Layer } from "../../src/nn/layer.js";
import type { AnyModel } from "../../src/nn/model.js";
import type { Scope } from "../../src/nn/scope.js";

export interface Folded {
  readonly model: () => AnyModel;
  /** How many nodes of batch normalization stay. */
  readonly stay: number;
}

const chain = (stay: number, input: readonly number[], ...layers: Layer[]): Folded => ({
  model: () => sequential({ input }, ...(layers as never)) as unknown as AnyModel,
  stay,
});
/** A model of several outputs, or of what no chain has. */
const branched = (
  stay: number,
  input: readonly number[],
  body: (x: Tensor, scope: Scope) => Tensor | Record<string, Tensor>,
): Folded => ({
  model: () => functional({ input } as never, body as never) as unknown as AnyModel,
  stay,
});

const row = [5];
const sequence = [7, 4];
const image = [6, 5, 4];
const volume = [4, 3, 5, 4];
const bare = { bias: false } as const;

/** Mean and variance of a normalization, as parameters. */
const statistics = (scope: Scope, channels: number) => ({
  mean: scope.buffer("mean", [channels]),
  variance: scope.buffer("variance", [channels], ones()),
});

/** What is normalized at once. */
const TAKEN: Readonly<Record<string, Folded>> = {
  dense: chain(0, row, dense(4), batchNorm(), relu()),
  "dense without bias": chain(0, row, dense(4, bare), batchNorm()),
  "dense of a sequence": chain(0, sequence, dense(3), batchNorm()),
  "dense of a sequence without bias": chain(0, sequence, dense(3, bare), batchNorm()),
  "dense of a flattened image": chain(0, image, conv2d(3, 2), flatten(), dense(4), batchNorm()),
  conv1d: chain(0, sequence, conv1d(3, 2), batchNorm(), relu()),
  "conv1d without bias": chain(0, sequence, conv1d(3, 2, bare), batchNorm()),
  "conv1d in groups": chain(0, sequence, conv1d(6, 3, { groups: 2, padding: "causal" }), batchNorm()),
  conv2d: chain(0, image, conv2d(3, 2, { padding: "same" }), batchNorm(), relu(), conv2d(2, 2), batchNorm()),
  "conv2d without bias": chain(0, image, conv2d(3, [2, 3], bare), batchNorm()),
  "conv2d in groups": chain(0, image, conv2d(6, 2, { groups: 2, stride: 2 }), batchNorm()),
  "conv2d in groups without bias": chain(0, image, conv2d(8, 2, { ...bare, groups: 4 }), batchNorm()),
  conv3d: chain(0, volume, conv3d(3, 2), batchNorm()),
  "conv3d without bias": chain(0, volume, conv3d(3, [1, 2, 2], bare), batchNorm()),
  "conv3d in groups": chain(0, volume, conv3d(6, 2, { groups: 2 }), batchNorm()),
  depthwiseConv1d: chain(0, sequence, depthwiseConv1d(3), batchNorm()),
  "depthwiseConv1d without bias": chain(0, sequence, depthwiseConv1d(3, { ...bare, multiplier: 2 }), batchNorm()),
  depthwiseConv2d: chain(0, image, depthwiseConv2d(3, { multiplier: 2 }), batchNorm()),
  "depthwiseConv2d without bias": chain(0, image, depthwiseConv2d(2, bare), batchNorm()),
  separableConv1d: chain(0, sequence, separableConv1d(3, 2), batchNorm()),
  "separableConv2d without bias": chain(0, image, separableConv2d(3, 2, bare), batchNorm()),
  convTranspose1d: chain(0, sequence, convTranspose1d(3, 3, { stride: 2 }), batchNorm(), relu()),
  "convTranspose1d without bias": chain(0, sequence, convTranspose1d(3, 2, bare), batchNorm()),
  convTranspose2d: chain(0, image, convTranspose2d(3, [2, 3], { stride: 2, padding: "same" }), batchNorm()),
  "convTranspose2d without bias": chain(0, image, convTranspose2d(3, 2, bare), batchNorm()),
  "convTranspose2d in groups": chain(0, image, convTranspose2d(6, 3, { groups: 2, stride: 2 }), batchNorm()),
  "convTranspose2d in groups without bias": chain(0, image, convTranspose2d(8, 2, { ...bare, groups: 4 }), batchNorm()),
  "without weight and bias of its own": chain(0, image, conv2d(3, 2), batchNorm({ affine: false })),
  "what is nothing in a prediction between": chain(0, row, dense(4), dropout(0.5), batchNorm()),
  "instance normalization by running statistics": chain(
    0,
    image,
    conv2d(3, 2),
    instanceNorm({ statistics: "running", affine: true }),
  ),
};

/** What others read too, or what is no product. */
const LEFT: Readonly<Record<string, Folded>> = {
  "an activation between": chain(1, image, conv2d(3, 2), relu(), batchNorm()),
  "an activation between, behind dense": chain(1, row, dense(4, bare), relu(), batchNorm()),
  "normalization first": chain(1, image, batchNorm(), conv2d(3, 2)),
  "normalization alone": chain(1, row, batchNorm()),
  "normalization of normalization": chain(1, row, dense(4), batchNorm(), batchNorm()),
  "channels of another layout": chain(1, image, conv2d(3, 2), flatten(), batchNorm()),
  "sums of products": chain(1, volume, convTranspose3d(3, 2), batchNorm()),
  "a result that is read twice": branched(1, row, (x, { apply }) => {
    const y = apply(x, dense(4));
    return ops.add(y, apply(y, batchNorm()));
  }),
  "a result that two normalize": branched(2, image, (x, { apply }) => {
    const y = apply(x, conv2d(3, 2));
    return ops.add(apply(y, batchNorm()), apply(y, relu(), batchNorm()));
  }),
  "a result that is an output": branched(1, row, (x, { apply }) => {
    const y = apply(x, dense(4));
    return { y, normal: apply(y, batchNorm()) };
  }),
  "a result that is an output in another shape": branched(1, row, (x, { apply }) => {
    const y = apply(x, dense(4));
    return { whole: ops.reshape(y, [x.shape[0], 2, 2]), normal: apply(y, batchNorm()) };
  }),
  "statistics that are calculated": branched(1, row, (x, scope) => {
    const y = scope.apply(x, dense(4));
    const { mean, variance } = statistics(scope, 4);
    return ops.batchNorm(y, { mean: ops.tanh(mean), variance: ops.exp(variance) });
  }),
  "a result that a loop gives": branched(1, sequence, (x, scope) => {
    const [weight, bias] = [scope.parameter("weight", [4, 3]), scope.parameter("bias", [3])];
    const start = ops.reshape(ops.sum(x, [1, 2]), [x.shape[0], 1]);
    const [last, normals] = ops.scan(
      (_: Tensor, now: Tensor) => {
        const y = ops.linear(now, weight, bias);
        return [y, ops.batchNorm(y, statistics(scope, 3))] as const;
      },
      ops.mul(start, scope.parameter("none", [1, 3])),
      x,
      { axis: 1 },
    );
    return { last, normals };
  }),
};

/** Parameters that several have: each use has its own. */
const SHARED: Readonly<Record<string, Folded>> = {
  "one convolution, normalized once of twice": branched(0, image, (x, { apply }) => {
    const shared = conv2d(3, 2);
    return { plain: apply(x, shared), normal: apply(ops.mul(x, x), shared, batchNorm()) };
  }),
  "one dense layer, normalized in two ways": branched(0, row, (x, { apply }) => {
    const shared = dense(4);
    return ops.sub(apply(x, shared, batchNorm()), apply(ops.mul(x, x), shared, batchNorm()));
  }),
  "one normalization of two convolutions": branched(0, image, (x, { apply }) => {
    const shared = batchNorm();
    return ops.sub(apply(x, conv2d(3, 2), shared), apply(x, conv2d(3, 2), shared));
  }),
  "one normalization, behind a product and an activation": branched(1, row, (x, { apply }) => {
    const shared = batchNorm();
    return ops.sub(apply(x, dense(4), shared), apply(x, dense(4), relu(), shared));
  }),
  "one bias, of a product and of a sum": branched(0, row, (x, scope) => {
    const [weight, bias] = [scope.parameter("weight", [5, 4]), scope.parameter("bias", [4])];
    const y = ops.batchNorm(ops.linear(x, weight, bias), statistics(scope, 4));
    return ops.add(y, bias);
  }),
};

export const FOLDED = { ...TAKEN, ...LEFT, ...SHARED };
