// Tensors without elements: one axis has size 0. What NumPy makes of them, and gradients of their own shapes.
import type { Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/index.js";
import type { Case, Domain } from "../cases.js";

type Shape = readonly number[];

/** One case: what comes out is `expected`, whatever the inputs hold. */
function fixed(
  name: string,
  shapes: readonly (Shape | { readonly shape: Shape; readonly domain: Domain })[],
  apply: (...tensors: Tensor[]) => Tensor,
  expected: readonly number[] | ((...inputs: Float64Array[]) => ArrayLike<number>),
  differentiable?: readonly boolean[],
): Case {
  return {
    name,
    inputs: shapes.map((one) => ("domain" in one ? one : { shape: one })),
    apply,
    reference: typeof expected === "function" ? expected : () => expected,
    ...(differentiable ? { differentiable } : {}),
  };
}

const labels = (shape: Shape, classes: number) => ({ shape, domain: { classes } });
const zeros = (n: number): number[] => new Array<number>(n).fill(0);
const same = (x: Float64Array) => x;

const elementwise: Case[] = [
  fixed("add, broadcast", [[0, 3], [3]], ops.add, []),
  fixed(
    "mul, broadcast to nothing",
    [
      [2, 0, 3],
      [1, 1],
    ],
    ops.mul,
    [],
  ),
  fixed(
    "a broadcast operand's gradient is 0",
    [
      [1, 3],
      [0, 3],
    ],
    ops.div,
    [],
  ),
  fixed("pow of tensors", [[0, 2], [2]], ops.pow, []),
  fixed("relu", [[0, 5]], ops.relu, []),
  fixed("sigmoid", [[3, 0]], ops.sigmoid, []),
  fixed("prelu", [[0, 4], [4]], ops.prelu, []),
  fixed("where", [[0, 3], [3], [0, 1]], ops.where, []),
  fixed("softmax over nothing", [[3, 0]], (x) => ops.softmax(x), []),
  fixed("softmax of no rows", [[0, 3]], (x) => ops.softmax(x, { axis: 0 }), []),
  fixed("logSoftmax", [[0, 3]], (x) => ops.logSoftmax(x), []),
  fixed("glu", [[0, 6]], (x) => ops.glu(x), []),
  fixed("glu of no columns", [[3, 0]], (x) => ops.swiglu(x), []),
  fixed(
    "cosineSimilarity of no rows",
    [
      [0, 3],
      [0, 3],
    ],
    (a, b) => ops.cosineSimilarity(a, b),
    [],
  ),
  fixed(
    "cosineSimilarity of nothing",
    [
      [2, 0],
      [2, 0],
    ],
    (a, b) => ops.cosineSimilarity(a, b),
    [0, 0],
  ),
  fixed(
    "pairwiseDistance of no rows",
    [
      [0, 3],
      [1, 3],
    ],
    (a, b) => ops.pairwiseDistance(a, b),
    [],
  ),
  fixed(
    "pairwiseDistance of nothing",
    [
      [2, 0],
      [2, 0],
    ],
    (a, b) => ops.pairwiseDistance(a, b),
    [0, 0],
  ),
  fixed("localResponseNorm of no pixels", [[0, 3, 4]], (x) => ops.localResponseNorm(x, 3), []),
  fixed("localResponseNorm of no channels", [[2, 0]], (x) => ops.localResponseNorm(x, 3), []),
  fixed("layerNorm of no rows", [[0, 6], [6], [6]], (x, weight, bias) => ops.layerNorm(x, { weight, bias }), []),
  fixed("groupNorm of no samples", [[0, 3, 4], [4]], (x, weight) => ops.groupNorm(x, 2, { weight }), []),
  fixed("l2Normalize", [[3, 0]], (x) => ops.l2Normalize(x), []),
  fixed("cumulativeSum", [[2, 0]], (x) => ops.cumulativeSum(x), []),
  fixed("cumulativeProduct", [[2, 0]], (x) => ops.cumulativeProduct(x), []),
];

const reductions: Case[] = [
  fixed("sum of all", [[0]], (x) => ops.sum(x), [0]),
  fixed("sum over the empty axis", [[2, 0, 3]], (x) => ops.sum(x, 1), zeros(6)),
  fixed("sum, kept", [[3, 0]], (x) => ops.sum(x, 1, { keepDims: true }), zeros(3)),
  fixed("sum over another axis", [[3, 0]], (x) => ops.sum(x, 0), []),
  fixed("sum over two axes apart", [[0, 3, 0]], (x) => ops.sum(x, [0, 2]), zeros(3)),
  fixed("sum over two axes, one of them not empty", [[2, 3, 0]], (x) => ops.sum(x, [0, 2]), zeros(3)),
  fixed("product", [[2, 0]], (x) => ops.product(x, 1), [1, 1]),
  fixed("product of all", [[0, 4]], (x) => ops.product(x), [1]),
  fixed("mean over an axis that is not empty", [[0, 3]], (x) => ops.mean(x, 1), []),
  fixed("max over an axis that is not empty", [[0, 3]], (x) => ops.max(x, 1), []),
  fixed("argmax over an axis that is not empty", [[0, 3]], (x) => ops.argmax(x, 1), [], [false]),
  fixed("variance over an axis that is not empty", [[3, 0]], (x) => ops.variance(x, 0), []),
  fixed("logSumExp", [[2, 0]], (x) => ops.logSumExp(x, 1), [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]),
  ...[0, 0.5, 1, 2, 3].map((p) => fixed(`norm, p ${p}`, [[2, 0]], (x) => ops.norm(x, 1, { p }), [0, 0])),
  fixed("norm over an axis that is not empty", [[0, 2]], (x) => ops.norm(x, 1, { p: -1 }), []),
];

const products: Case[] = [
  fixed(
    "inner size 0",
    [
      [3, 0],
      [0, 5],
    ],
    (a, b) => ops.matmul(a, b),
    zeros(15),
  ),
  fixed(
    "inner size 0, larger than a strip",
    [
      [40, 0],
      [0, 300],
    ],
    (a, b) => ops.matmul(a, b),
    zeros(12_000),
  ),
  fixed(
    "inner size 0, transposed",
    [
      [3, 0],
      [5, 0],
    ],
    (a, b) => ops.matmul(a, b, { transposeB: true }),
    zeros(15),
  ),
  fixed(
    "inner size 0, the left one transposed",
    [
      [0, 3],
      [0, 5],
    ],
    (a, b) => ops.matmul(a, b, { transposeA: true }),
    zeros(15),
  ),
  fixed(
    "inner size 0, an activation behind it",
    [
      [3, 0],
      [0, 5],
    ],
    (a, b) => ops.sigmoid(ops.matmul(a, b)),
    new Array(15).fill(0.5),
  ),
  fixed(
    "inner size 0, batched",
    [
      [2, 3, 0],
      [2, 0, 5],
    ],
    (a, b) => ops.matmul(a, b),
    zeros(30),
  ),
  fixed(
    "inner size 0, one matrix for all",
    [
      [2, 3, 0],
      [0, 5],
    ],
    (a, b) => ops.matmul(a, b),
    zeros(30),
  ),
  fixed(
    "no rows",
    [
      [0, 4],
      [4, 5],
    ],
    (a, b) => ops.matmul(a, b),
    [],
  ),
  fixed(
    "no matrices",
    [
      [0, 3, 4],
      [4, 5],
    ],
    (a, b) => ops.matmul(a, b),
    [],
  ),
  fixed("linear of no rows", [[0, 4], [4, 5], [5]], ops.linear, []),
  fixed("linear of no features", [[3, 0], [0, 2], [2]], ops.linear, (_, __, bias) => [...bias, ...bias, ...bias]),
  fixed("two vectors of nothing", [[0], [0]], (a, b) => ops.matmul(a, b), [0]),
  fixed("a vector of nothing", [[0], [0, 3]], (a, b) => ops.matmul(a, b), zeros(3)),
  fixed(
    "einsum of three",
    [
      [2, 0],
      [0, 3],
      [3, 2],
    ],
    (a, b, c) => ops.einsum("ij,jk,kl->il", a, b, c),
    zeros(4),
  ),
  fixed(
    "einsum",
    [
      [2, 0],
      [0, 3],
    ],
    (a, b) => ops.einsum("ij,jk->ki", a, b),
    zeros(6),
  ),
];

const moves: Case[] = [
  fixed("reshape", [[0, 6]], (x) => ops.reshape(x, [2, 0, 5]), []),
  fixed("reshape, a size left open", [[0, 6]], (x) => ops.reshape(x, [-1, 3]), []),
  fixed("flatten", [[0, 2, 3]], (x) => ops.flatten(x), []),
  fixed("transpose", [[2, 0, 3]], (x) => ops.transpose(x), []),
  fixed("broadcastTo nothing", [[1, 3]], (x) => ops.broadcastTo(x, [0, 3]), []),
  fixed("tile no times", [[2, 3]], (x) => ops.tile(x, [1, 0]), []),
  fixed("repeat no times", [[2, 3]], (x) => ops.repeat(x, 0, 1), []),
  fixed("flip", [[0, 3]], (x) => ops.flip(x), []),
  fixed("slice to nothing", [[4, 3]], (x) => ops.slice(x, [2], [2]), []),
  fixed("slice of nothing", [[0, 3]], (x) => ops.slice(x, [5, 1], [9]), []),
  fixed(
    "pad nothing",
    [[0, 2]],
    (x) =>
      ops.pad(
        x,
        [
          [1, 2],
          [0, 1],
        ],
        { value: 7 },
      ),
    new Array(9).fill(7),
  ),
  fixed("pad to nothing", [[3, 2]], (x) => ops.pad(x, [[-1, -2]]), []),
  fixed(
    "concatenate",
    [
      [2, 0],
      [2, 3],
      [2, 0],
    ],
    (...x) => ops.concatenate(x, 1),
    (_, x) => x,
  ),
  fixed(
    "concatenate nothing",
    [
      [0, 2],
      [0, 3],
    ],
    (...x) => ops.concatenate(x, 1),
    [],
  ),
  fixed("stack", [[0], [0]], (...x) => ops.stack(x), []),
  fixed("split, the part that is all", [[2, 3]], (x) => ops.split(x, [0, 3, 0])[1], same),
  fixed("split, the part that is nothing", [[2, 3]], (x) => ops.split(x, [0, 3])[0], []),
  fixed("split of nothing", [[2, 0]], (x) => ops.split(x, 3)[1], []),
  fixed("gather, no indices", [[4, 3], labels([0], 4)], (x, at) => ops.gather(x, at), []),
  fixed("gather of no columns", [[4, 0], labels([3], 4)], (x, at) => ops.gather(x, at), []),
  fixed("gatherAlong, no indices", [[4, 3], labels([4, 0], 3)], (x, at) => ops.gatherAlong(x, at, 1), []),
  fixed(
    "scatterAdd, nothing to add",
    [[4, 3], labels([0], 4), [0, 3]],
    (x, at, updates) => ops.scatterAdd(x, at, updates),
    same,
  ),
  fixed("slice of nothing, backwards", [[0, 3]], (x) => ops.slice(x, [], [], [-1, -2]), []),
  fixed("slice backwards to nothing", [[4, 3]], (x) => ops.slice(x, [1], [2], [-1]), []),
  fixed("roll", [[0, 3]], (x) => ops.roll(x, 2, 0), []),
  fixed("roll along another axis", [[0, 3]], (x) => ops.roll(x, 2, 1), []),
  fixed("diagonal of nothing", [[0, 3]], (x) => ops.diagonal(x), []),
  fixed("diagonal beyond the matrix", [[2, 3]], (x) => ops.diagonal(x, { offset: 7 }), []),
  fixed("diagonal below the matrix", [[2, 3]], (x) => ops.diagonal(x, { offset: -2 }), []),
  fixed("a matrix with a diagonal of nothing", [[0]], (x) => ops.diagonalMatrix(x), []),
  fixed("a matrix beside a diagonal of nothing", [[0]], (x) => ops.diagonalMatrix(x, { offset: 2 }), zeros(4)),
  fixed(
    "scatterUpdate, nothing to put",
    [[4, 3], labels([0], 4), [0, 3]],
    (x, at, updates) => ops.scatterUpdate(x, at, updates),
    same,
  ),
  fixed(
    "scatterUpdateAlong, nothing to put",
    [[4, 3], labels([4, 0], 3), [4, 0]],
    (x, at, updates) => ops.scatterUpdateAlong(x, at, updates),
    same,
  ),
  fixed(
    "scatterAddAlong, nothing to add",
    [[4, 3], labels([4, 0], 3), [4, 0]],
    (x, at, updates) => ops.scatterAddAlong(x, at, updates),
    same,
  ),
  fixed("segmentSum of no rows", [[0, 2], labels([0], 3)], (x, at) => ops.segmentSum(x, at, 3), zeros(6)),
  fixed("segmentSum of no segments", [[3, 0], labels([3], 3)], (x, at) => ops.segmentSum(x, at, 3), []),
  fixed("gatherNd, no indices", [[4, 3], labels([0, 2], 3)], (x, at) => ops.gatherNd(x, at), []),
  fixed("gatherNd of no columns", [[4, 3, 0], labels([5, 2], 3)], (x, at) => ops.gatherNd(x, at), []),
  fixed(
    "scatterNd, nothing to add",
    [labels([0, 2], 3), [0]],
    (at, updates) => ops.scatterNd(at, updates, [2, 3]),
    zeros(6),
  ),
  fixed("oneHot", [labels([0], 4)], (at) => ops.oneHot(at, 4), []),
  fixed("sort", [[2, 0]], (x) => ops.sort(x).values, []),
  fixed("sort, the indices", [[0, 3]], (x) => ops.sort(x, { axis: 0 }).indices, [], [false]),
  fixed("topK of none", [[2, 3]], (x) => ops.topK(x, 0).values, []),
];

const images: Case[] = [
  fixed(
    "conv2d of no images",
    [[0, 5, 5, 3], [3, 3, 3, 20], [20]],
    (x, weight, bias) => ops.conv2d(x, weight, { bias }),
    [],
  ),
  fixed(
    "conv2d to few channels",
    [
      [0, 5, 5, 3],
      [3, 3, 3, 4],
    ],
    (x, weight) => ops.conv2d(x, weight),
    [],
  ),
  fixed(
    "conv2d, pointwise",
    [
      [0, 5, 5, 3],
      [1, 1, 3, 20],
    ],
    (x, weight) => ops.conv2d(x, weight),
    [],
  ),
  fixed(
    "conv2d, depthwise",
    [
      [0, 5, 5, 6],
      [3, 3, 1, 6],
    ],
    (x, weight) => ops.conv2d(x, weight, { groups: 6 }),
    [],
  ),
  fixed(
    "conv1d",
    [
      [0, 9, 3],
      [3, 3, 4],
    ],
    (x, weight) => ops.conv1d(x, weight),
    [],
  ),
  fixed(
    "convTranspose2d",
    [
      [0, 4, 4, 3],
      [2, 2, 5, 3],
    ],
    (x, weight) => ops.convTranspose2d(x, weight, { stride: 2 }),
    [],
  ),
  fixed(
    "conv3d",
    [
      [0, 3, 4, 4, 3],
      [2, 2, 2, 3, 5],
    ],
    (x, weight) => ops.conv3d(x, weight, { padding: 1 }),
    [],
  ),
  fixed(
    "convTranspose3d",
    [
      [0, 3, 4, 4, 3],
      [2, 2, 2, 5, 3],
    ],
    (x, weight) => ops.convTranspose3d(x, weight, { stride: 2 }),
    [],
  ),
  fixed("maxPool3d", [[0, 4, 4, 4, 3]], (x) => ops.maxPool3d(x, 2), []),
  fixed("averagePool3d", [[0, 4, 4, 4, 3]], (x) => ops.averagePool3d(x, 2), []),
  fixed("maxPool2d", [[0, 4, 4, 3]], (x) => ops.maxPool2d(x, 2), []),
  fixed("averagePool1d", [[0, 4, 3]], (x) => ops.averagePool1d(x, 2), []),
  fixed("globalAveragePool", [[0, 4, 4, 3]], (x) => ops.globalAveragePool(x), []),
  fixed("resize", [[0, 2, 4, 4, 3]], (x) => ops.resize(x, { scale: 1.5, mode: "cubic" }), []),
  fixed(
    "gridSample",
    [
      [0, 3, 4, 2],
      [0, 2, 2, 2],
    ],
    (x, grid) => ops.gridSample(x, grid, { mode: "cubic" }),
    [],
  ),
  fixed(
    "gridSample at no points",
    [
      [2, 3, 4, 2],
      [2, 0, 2, 2],
    ],
    (x, grid) => ops.gridSample(x, grid),
    [],
  ),
  fixed("upsample2d", [[0, 4, 4, 3]], (x) => ops.upsample2d(x, { scale: 2, mode: "bilinear" }), []),
];

/** By kind of operation. */
export const emptyCases = { elementwise, reductions, products, moves, images };
