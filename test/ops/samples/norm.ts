import { type Shape, sizeOf, type Tensor } from "../../../src/graph/tensor.js";
import type { EPILOGUE } from "../../../src/ops/activation.js";
import * as ops from "../../../src/ops/index.js";
import { relu } from "../../../src/ops/piecewise.js";
import { sigmoid, tanh } from "../../../src/ops/smooth.js";
import { type Case, laneSizes, type Sample } from "../cases.js";
import { references } from "./activation.js";

/** Which values are normalized together: a number for each element of `shape` [batch, …, channels]. */
type Partition = (place: readonly number[]) => number;

/** For each element the number of its group, counted from 0. */
function partition(shape: Shape, groupOf: Partition): { groups: Int32Array; count: number } {
  const numbers = new Map<number, number>();
  const groups = Int32Array.from({ length: sizeOf(shape) }, (_, index) => {
    const place = new Array<number>(shape.length);
    let rest = index;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    const group = groupOf(place);
    if (!numbers.has(group)) numbers.set(group, numbers.size);
    return numbers.get(group) as number;
  });
  return { groups, count: numbers.size };
}

/** Each element less its group's mean, over √(the group's variance + epsilon). */
function normalized(
  x: Float64Array,
  { groups, count }: { groups: Int32Array; count: number },
  epsilon: number,
): Float64Array {
  const n = new Float64Array(count);
  const mean = new Float64Array(count);
  const variance = new Float64Array(count);
  for (const group of groups) n[group] += 1;
  for (let i = 0; i < x.length; i++) mean[groups[i]] += x[i] / n[groups[i]];
  for (let i = 0; i < x.length; i++) variance[groups[i]] += (x[i] - mean[groups[i]]) ** 2 / n[groups[i]];
  return x.map((value, i) => (value - mean[groups[i]]) / Math.sqrt(variance[groups[i]] + epsilon));
}

interface Layout {
  readonly shape: Shape;
  readonly groupOf: Partition;
  /** Shape of weight and bias. */
  readonly parameters: Shape;
  readonly apply: (x: Tensor, options: ops.NormalizationOptions) => Tensor;
  readonly epsilon?: number;
  readonly affine?: "both" | "weight" | "bias" | "none";
  readonly name?: string;
}

// Gradients of values normalized together are differences: their errors are those of their terms.
const TOLERANCE = 32 * 2 ** -24;

function caseOf(layout: Layout): Case {
  const { shape, groupOf, parameters, affine = "both", epsilon = 1e-5, name } = layout;
  const hasWeight = affine === "both" || affine === "weight";
  const hasBias = affine === "both" || affine === "bias";
  const groups = partition(shape, groupOf);
  const extra = { shape: parameters, domain: "awayFromZero" } as const;
  return {
    name: `${JSON.stringify(shape)} ${name ?? ""} ${affine}`,
    inputs: [{ shape }, ...(hasWeight ? [extra] : []), ...(hasBias ? [extra] : [])],
    apply: (x, ...rest) =>
      layout.apply(x, {
        ...(hasWeight ? { weight: rest[0] } : {}),
        ...(hasBias ? { bias: rest[hasWeight ? 1 : 0] } : {}),
        ...(layout.epsilon === undefined ? {} : { epsilon }),
      }),
    reference: (x, ...rest) => {
      const one = sizeOf(parameters);
      return normalized(x, groups, epsilon).map((value, index) => {
        const scaled = hasWeight ? value * rest[0][index % one] : value;
        return hasBias ? scaled + rest[hasWeight ? 1 : 0][index % one] : scaled;
      });
    },
    tolerance: TOLERANCE,
  };
}

const affines = ["both", "weight", "bias", "none"] as const;

// ——— By columns ———

const batchLayout = (shape: Shape, more: Partial<Layout> = {}): Layout => ({
  shape,
  groupOf: (place) => place[place.length - 1],
  parameters: shape.slice(-1),
  apply: ops.batchNorm,
  ...more,
});

const instanceLayout = (shape: Shape, more: Partial<Layout> = {}): Layout => ({
  ...batchLayout(shape),
  groupOf: (place) => place[0] * 1000 + place[place.length - 1],
  apply: ops.instanceNorm,
  ...more,
});

function groupLayout(shape: Shape, groups: number, more: Partial<Layout> = {}): Layout {
  const width = shape[shape.length - 1] / groups;
  return {
    ...batchLayout(shape),
    groupOf: (place) => place[0] * 1000 + Math.floor(place[place.length - 1] / width),
    apply: (x, options) => ops.groupNorm(x, groups, options),
    name: `in ${groups}`,
    ...more,
  };
}

/** By given statistics, which get gradients too. */
function fixedCase(shape: Shape, affine: boolean): Case {
  const channels = shape.slice(-1);
  return {
    name: `${JSON.stringify(shape)} by given statistics${affine ? "" : ", none"}`,
    inputs: [
      { shape },
      { shape: channels },
      { shape: channels, domain: "positive" },
      ...(affine ? [{ shape: channels }, { shape: channels }] : []),
    ],
    apply: (x, mean, variance, weight, bias) =>
      ops.batchNorm(x, { mean, variance, ...(affine ? { weight, bias } : {}) }),
    reference: (x, mean, variance, weight, bias) =>
      x.map((value, index) => {
        const c = index % channels[0];
        const y = (value - mean[c]) / Math.sqrt(variance[c] + 1e-5);
        return affine ? y * weight[c] + bias[c] : y;
      }),
    tolerance: TOLERANCE,
  };
}

/** With an activation behind it, which is computed in the same pass. Every code must be here that an activation has. */
const fusible = {
  relu: [relu, references.relu],
  sigmoid: [sigmoid, references.sigmoid],
  tanh: [tanh, references.tanh],
} as const satisfies Record<keyof typeof EPILOGUE, unknown>;

function fusedCase(shape: Shape, activation: keyof typeof EPILOGUE): Case {
  const plain = caseOf(batchLayout(shape));
  const [apply, reference] = fusible[activation];
  return {
    ...plain,
    name: `${JSON.stringify(shape)} and ${activation}`,
    apply: (...inputs) => apply(plain.apply(...inputs)),
    reference: (...inputs) => Float64Array.from(plain.reference(...inputs) as Float64Array, reference),
  };
}

// Rows that can be folded and rows that cannot, around the kernels' parts of 256, stripes and chunks.
const columnShapes: readonly Shape[] = [
  ...laneSizes.map((c) => [4, 5, c]),
  ...laneSizes.map((c) => [3, c]),
  [2, 3, 4, 16],
  [7, 24],
  [16, 3],
  [2, 65],
];
const longShapes: readonly Shape[] = [
  [5, 103, 3],
  [2, 260, 4],
  [9, 60, 17],
  [3, 2100],
];

// ——— By rows ———

const rowLayout = (shape: Shape, axes = 1, more: Partial<Layout> = {}): Layout => ({
  shape,
  groupOf: (place) => place.slice(0, shape.length - axes).reduce((so, at) => so * 1000 + at, 0),
  parameters: shape.slice(shape.length - axes),
  apply: (x, options) => ops.layerNorm(x, axes === 1 ? options : { ...options, axes }),
  ...more,
});

const rowLayouts: readonly Layout[] = [
  // The variance of two values alone would make the gradient a difference of equals.
  ...laneSizes.filter((n) => n > 2).map((n) => rowLayout([5, n])),
  ...[20, 31, 33, 64, 67, 1030].map((n) => rowLayout([2, n])),
  ...affines.map((affine) => rowLayout([2, 3, 6], 1, { affine })),
  rowLayout([2, 3, 5], 2, { name: "two axes" }),
  rowLayout([2, 3, 5], 3, { name: "all axes" }),
  rowLayout([4, 9], 1, { epsilon: 0.5, name: "epsilon 0.5" }),
  rowLayout([259, 5]),
];

function rmsCase(shape: Shape, axes = 1, hasWeight = true, epsilon = 2 ** -23): Case {
  const parameters = shape.slice(shape.length - axes);
  const columns = sizeOf(parameters);
  return {
    name: `${JSON.stringify(shape)} ${axes} ${epsilon}${hasWeight ? "" : " none"}`,
    inputs: [{ shape }, ...(hasWeight ? [{ shape: parameters }] : [])],
    apply: (x, weight) => ops.rmsNorm(x, { axes, epsilon, ...(hasWeight ? { weight } : {}) }),
    reference: (x, weight) => {
      const squares = new Float64Array(x.length / columns);
      for (let i = 0; i < x.length; i++) squares[Math.floor(i / columns)] += x[i] ** 2 / columns;
      return x.map((value, i) => {
        const y = value / Math.sqrt(squares[Math.floor(i / columns)] + epsilon);
        return hasWeight ? y * weight[i % columns] : y;
      });
    },
    tolerance: TOLERANCE,
  };
}

function l2Case(shape: Shape, axis: number): Case {
  const along = axis < 0 ? axis + shape.length : axis;
  return {
    name: `${JSON.stringify(shape)} along ${axis}`,
    inputs: [{ shape, domain: "awayFromZero" }],
    apply: (x) => ops.l2Normalize(x, { axis }),
    reference: (x) => {
      const inner = sizeOf(shape.slice(along + 1));
      const length = shape[along];
      return x.map((value, index) => {
        const first = Math.floor(index / (inner * length)) * inner * length + (index % inner);
        let square = 0;
        for (let i = 0; i < length; i++) square += x[first + i * inner] ** 2;
        return value / Math.sqrt(square);
      });
    },
    tolerance: TOLERANCE,
  };
}

export const normSamples = {
  batchNorm: {
    cases: [
      ...columnShapes.map((shape) => caseOf(batchLayout(shape))),
      ...longShapes.map((shape) => caseOf(batchLayout(shape))),
      ...affines.map((affine) => caseOf(batchLayout([6, 5, 3], { affine }))),
      caseOf(batchLayout([5, 4, 6], { epsilon: 0.25, name: "epsilon 0.25" })),
      ...(["relu", "sigmoid", "tanh"] as const).map((activation) => fusedCase([6, 7], activation)),
      fusedCase([4, 9, 8], "tanh"),
      fixedCase([3, 4, 5], true),
      fixedCase([6, 8], false),
    ],
  },
  instanceNorm: {
    cases: [
      ...laneSizes.map((c) => caseOf(instanceLayout([2, 9, c]))),
      ...laneSizes.filter((n) => n > 2).map((n) => caseOf(instanceLayout([2, n, 3]))),
      ...affines.map((affine) => caseOf(instanceLayout([2, 3, 4, 5], { affine }))),
      caseOf(instanceLayout([2, 300, 3])),
    ],
  },
  groupNorm: {
    cases: [
      ...[1, 2, 4, 8].map((groups) => caseOf(groupLayout([2, 3, 5, 8], groups))),
      ...laneSizes.map((width) => caseOf(groupLayout([2, 5, 2 * width], 2))),
      ...[3, 4, 5, 8].map((width) => caseOf(groupLayout([3, 3 * width], 3))),
      ...affines.map((affine) => caseOf(groupLayout([2, 7, 6], 3, { affine }))),
      caseOf(groupLayout([2, 270, 6], 2)),
    ],
  },
  layerNorm: { cases: rowLayouts.map(caseOf) },
  rmsNorm: {
    cases: [
      ...laneSizes.filter((n) => n > 2).map((n) => rmsCase([5, n])),
      ...[33, 64, 1030].map((n) => rmsCase([2, n])),
      rmsCase([2, 3, 5], 2),
      rmsCase([7, 6], 1, false),
      rmsCase([7, 6], 1, true, 0.5),
    ],
  },
  l2Normalize: {
    cases: [...laneSizes.filter((n) => n > 2).map((n) => l2Case([4, n], -1)), l2Case([3, 4, 5], 1), l2Case([3, 5], 0)],
  },
} satisfies Record<string, Sample>;
