import type { Shape, Tensor } from "../../../src/graph/tensor.js";
import * as joins from "../../../src/ops/join.js";
import * as shapes from "../../../src/ops/shape.js";
import * as slices from "../../../src/ops/slice.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";

const sizeOf = (shape: Shape) => shape.reduce((a, b) => a * b, 1);

/** The row-major place of each index list of `shape`, in order. */
export function indicesOf(shape: Shape): number[][] {
  return Array.from({ length: sizeOf(shape) }, (_, place) => {
    const index: number[] = [];
    let rest = place;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index.unshift(rest % shape[axis]);
      rest = Math.floor(rest / shape[axis]);
    }
    return index;
  });
}

export function placeOf(shape: Shape, index: readonly number[]): number {
  return index.reduce((place, i, axis) => place * shape[axis] + i, 0);
}

/** One input; each element of the result is the one of x that `from` says, or `otherwise`. */
function moved(
  name: string,
  shape: Shape,
  apply: (x: Tensor) => Tensor,
  result: Shape,
  from: (index: readonly number[]) => readonly number[] | undefined,
  { domain = "normal", otherwise = 0 }: { domain?: Domain; otherwise?: number } = {},
): Case {
  return {
    name,
    inputs: [{ shape, domain }],
    apply,
    reference: (x) =>
      indicesOf(result).map((index) => {
        const source = from(index);
        return source === undefined ? otherwise : x[placeOf(shape, source)];
      }),
  };
}

const show = JSON.stringify;

function concatenateCase(parts: readonly Shape[], axis: number, domain: Domain = "normal"): Case {
  const along = axis < 0 ? axis + parts[0].length : axis;
  const total = parts.reduce((sum, shape) => sum + shape[along], 0);
  const result = parts[0].map((size, at) => (at === along ? total : size));
  return {
    name: `${show(parts)} along ${axis}`,
    inputs: parts.map((shape) => ({ shape, domain })),
    apply: (...tensors) => joins.concatenate(tensors, axis),
    reference: (...data) =>
      indicesOf(result).map((index) => {
        let [which, at] = [0, index[along]];
        while (at >= parts[which][along]) {
          at -= parts[which][along];
          which++;
        }
        return data[which][
          placeOf(
            parts[which],
            index.map((i, place) => (place === along ? at : i)),
          )
        ];
      }),
  };
}

function splitCase(shape: Shape, parts: number | readonly number[], axis: number, which: number): Case {
  const along = axis < 0 ? axis + shape.length : axis;
  const sizes =
    typeof parts === "number" ? Array.from({ length: parts }, () => shape[along] / parts) : (parts as number[]);
  const first = sizes.slice(0, which).reduce((a, b) => a + b, 0);
  const result = shape.map((size, at) => (at === along ? sizes[which] : size));
  return moved(
    `${show(shape)} in ${show(parts)}, part ${which}`,
    shape,
    (x) => joins.split(x, parts, axis)[which],
    result,
    (index) => index.map((i, at) => (at === along ? i + first : i)),
  );
}

function sliceCase(
  shape: Shape,
  begin: slices.Bounds,
  end: slices.Bounds = [],
  step: slices.Bounds = [],
  domain: Domain = "normal",
): Case {
  // As Python's slice.indices() says.
  const ranges = shape.map((size, axis) => {
    const by = step[axis] ?? 1;
    const bound = (value: number | undefined, otherwise: number) => {
      if (value === undefined) return otherwise;
      const at = value < 0 ? value + size : value;
      return by > 0 ? Math.max(0, Math.min(size, at)) : Math.max(-1, Math.min(size - 1, at));
    };
    const first = bound(begin[axis], by > 0 ? 0 : size - 1);
    const last = bound(end[axis], by > 0 ? size : -1);
    const places: number[] = [];
    for (let at = first; by > 0 ? at < last : at > last; at += by) places.push(at);
    return places;
  });
  return moved(
    `${show(shape)} from ${show(begin)} to ${show(end)} by ${show(step)}`,
    shape,
    (x) => slices.slice(x, begin, end, step),
    ranges.map(({ length }) => length),
    (index) => index.map((i, axis) => ranges[axis][i]),
    { domain },
  );
}

function padCase(
  shape: Shape,
  padding: readonly (readonly [number, number])[],
  options: slices.PadOptions = {},
  domain: Domain = "normal",
): Case {
  const pairs = shape.map((_, axis) => padding[axis] ?? [0, 0]);
  const inside = (at: number, size: number) => {
    if (at >= 0 && at < size) return at;
    if (options.mode === "edge") return at < 0 ? 0 : size - 1;
    if (options.mode === "reflect") return at < 0 ? -at : 2 * size - 2 - at;
    if (options.mode === "symmetric") return at < 0 ? -1 - at : 2 * size - 1 - at;
    if (options.mode === "circular") return (at + size) % size;
    return undefined;
  };
  return moved(
    `${show(shape)} by ${show(padding)}, ${show(options)}`,
    shape,
    (x) => slices.pad(x, padding, options),
    shape.map((size, axis) => pairs[axis][0] + size + pairs[axis][1]),
    (index) => {
      const source = index.map((i, axis) => inside(i - pairs[axis][0], shape[axis]));
      return source.includes(undefined) ? undefined : (source as number[]);
    },
    { domain, otherwise: options.value ?? 0 },
  );
}

function flipCase(shape: Shape, axes?: number | readonly number[]): Case {
  const chosen =
    axes === undefined
      ? shape.map((_, axis) => axis)
      : [axes].flat().map((axis) => (axis < 0 ? axis + shape.length : axis));
  return moved(
    `${show(shape)} over ${show(axes)}`,
    shape,
    (x) => slices.flip(x, axes),
    shape,
    (index) => index.map((i, axis) => (chosen.includes(axis) ? shape[axis] - 1 - i : i)),
  );
}

export const joinSamples = {
  concatenate: {
    cases: [
      ...laneSizes.map((n) => concatenateCase([[n], [5], [n]], 0)),
      ...laneSizes.map((n) =>
        concatenateCase(
          [
            [3, n],
            [3, 4],
          ],
          -1,
        ),
      ),
      concatenateCase(
        [
          [3, 4],
          [2, 4],
          [1, 4],
        ],
        0,
      ),
      concatenateCase(
        [
          [2, 3, 4, 5],
          [2, 1, 4, 5],
        ],
        1,
      ),
      concatenateCase(
        [
          [2, 1, 3],
          [2, 1, 3],
        ],
        1,
      ),
      concatenateCase([[4]], 0),
      concatenateCase(
        [
          [3, 2],
          [3, 1],
        ],
        1,
        { classes: 7 },
      ),
      {
        ...concatenateCase([[3, 2]], 1),
        name: "a tensor with itself",
        apply: (x) => joins.concatenate([x, x], 1),
        reference: (x) => indicesOf([3, 4]).map(([i, j]) => x[i * 2 + (j % 2)]),
      },
      { ...concatenateCase([[1200], [900]], 0), differentiable: [false, false] },
    ],
  },
  stack: {
    cases: [
      ...[0, 1, 2, -1, -2].map(
        (axis): Case => ({
          name: `along ${axis}`,
          inputs: [{ shape: [2, 5] }, { shape: [2, 5] }, { shape: [2, 5] }],
          apply: (...tensors) => joins.stack(tensors, axis),
          reference: (...data) => {
            const along = axis < 0 ? axis + 3 : axis;
            const result = [2, 5];
            result.splice(along, 0, 3);
            return indicesOf(result).map((index) => {
              const rest = index.filter((_, at) => at !== along);
              return data[index[along]][placeOf([2, 5], rest)];
            });
          },
        }),
      ),
      { inputs: [{ shape: [] }, { shape: [] }], apply: (...x) => joins.stack(x), reference: (a, b) => [a[0], b[0]] },
    ],
  },
  split: {
    cases: [
      ...[0, 1, 2].map((which) => splitCase([4, 9], 3, -1, which)),
      ...[0, 1, 2].map((which) => splitCase([8, 5], [1, 4, 3], 0, which)),
      splitCase([2, 7, 3], [3, 4], 1, 1),
      splitCase([2, 4], 1, 1, 0),
      splitCase([3, 2], 2, 1, 1),
      {
        name: "the product of both halves",
        inputs: [{ shape: [3, 8] }],
        apply: (x) => joins.concatenate([...joins.split(x, 2)].reverse()),
        reference: (x) => indicesOf([3, 8]).map(([i, j]) => x[i * 8 + ((j + 4) % 8)]),
      },
    ],
  },
  slice: {
    cases: [
      ...laneSizes.map((n) => sliceCase([3, n + 2], [0, 1], [3, -1])),
      sliceCase([20], [3]),
      sliceCase([20], [3], [18], [4]),
      sliceCase([20], [-7], [-2], [2]),
      sliceCase([4, 6, 5], [1], [3]),
      sliceCase([4, 6, 5], [undefined, 2], [undefined, 5]),
      sliceCase([4, 6, 5], [1, 0, 2], [4, 6, 5], [2, 3, 1]),
      sliceCase([4, 6, 5], []),
      sliceCase([3, 3, 3, 3, 3, 3], [0, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2]),
      sliceCase([4, 5], [1, 1], [3, 4], [], { classes: 9 }),
      ...laneSizes.map((n) => sliceCase([2, n], [], [], [1, -1])),
      ...laneSizes.map((n) => sliceCase([3, 2 * n], [undefined, -1], [], [1, -2])),
      sliceCase([20], [15], [2], [-4]),
      sliceCase([20], [undefined], [3], [-1]),
      sliceCase([20], [-3], [undefined], [-3]),
      sliceCase([20], [99], [-99], [-7]),
      sliceCase([6, 5, 4], [5, 0, 3], [0, 5, 1], [-2, 3, -1]),
      sliceCase([6, 5], [4, 4], [-7, -7], [-(2 ** 40), -3]),
      sliceCase([1, 3], [], [], [-5, -1]),
      sliceCase([4, 5], [undefined, 3], [], [-1, -2], { classes: 9 }),
    ],
  },
  pad: {
    cases: [
      ...laneSizes.map((n) =>
        padCase(
          [2, n],
          [
            [0, 1],
            [2, 3],
          ],
        ),
      ),
      padCase([5], [[2, 0]], { value: -1.5 }),
      padCase(
        [2, 3, 4, 1],
        [
          [0, 0],
          [1, 2],
          [2, 1],
        ],
      ),
      padCase([2, 3], []),
      padCase([3, 4], [[1, 1]], {}, { classes: 5 }),
      ...(["reflect", "edge"] as const).flatMap((mode) => [
        ...[3, 4, 5, 9].map((n) => padCase([n], [[2, 1]], { mode })),
        padCase(
          [2, 4, 5, 3],
          [
            [0, 0],
            [1, 3],
            [2, 2],
          ],
          { mode },
        ),
        padCase(
          [2, 5],
          [
            [0, 0],
            [4, 4],
          ],
          { mode },
        ),
      ]),
      padCase([1, 3], [[2, 3]], { mode: "edge" }),
      ...laneSizes.map((n) =>
        padCase(
          [2, n],
          [
            [0, 0],
            [n, n],
          ],
          { mode: "symmetric" },
        ),
      ),
      ...laneSizes.map((n) => padCase([n, 3], [[n, 1]], { mode: "circular" })),
      padCase(
        [3, 4, 2],
        [
          [1, 2],
          [4, 0],
          [0, 1],
        ],
        { mode: "circular" },
      ),
      padCase(
        [3, 4, 2],
        [
          [3, 0],
          [1, 4],
          [2, 2],
        ],
        { mode: "symmetric" },
      ),
      padCase(
        [3, 4],
        [
          [0, 2],
          [1, 1],
        ],
        { mode: "circular" },
        { classes: 9 },
      ),
    ],
  },
  flip: {
    cases: [
      ...laneSizes.map((n) => flipCase([2, n], 1)),
      flipCase([3, 4]),
      flipCase([3, 4, 5], [0, -1]),
      flipCase([3, 4, 5], 1),
      flipCase([1, 1]),
    ],
  },
  squeeze: {
    cases: [
      { inputs: [{ shape: [2, 1, 3, 1] }], apply: (x) => shapes.squeeze(x), reference: (x) => x },
      { inputs: [{ shape: [2, 1, 3, 1] }], apply: (x) => shapes.squeeze(x, -1), reference: (x) => x },
    ],
  },
  expandDims: {
    cases: [0, 1, 2, -1, -3].map(
      (axis): Case => ({
        name: `axis ${axis}`,
        inputs: [{ shape: [2, 3] }],
        apply: (x) => shapes.expandDims(x, axis),
        reference: (x) => x,
      }),
    ),
  },
  repeat: {
    cases: [
      ...laneSizes.map((n) =>
        moved(
          `[2, ${n}]`,
          [2, n],
          (x) => shapes.repeat(x, 3, 1),
          [2, 3 * n],
          ([i, j]) => [i, Math.floor(j / 3)],
        ),
      ),
      moved(
        "rows",
        [3, 4],
        (x) => shapes.repeat(x, 2, -2),
        [6, 4],
        ([i, j]) => [i >> 1, j],
      ),
      moved(
        "labels",
        [5],
        (x) => shapes.repeat(x, 2, 0),
        [10],
        ([i]) => [i >> 1],
        { domain: { classes: 4 } },
      ),
    ],
  },
  tile: {
    cases: [
      ...laneSizes.map((n) =>
        moved(
          `[2, ${n}]`,
          [2, n],
          (x) => shapes.tile(x, [2, 3]),
          [4, 3 * n],
          ([i, j]) => [i % 2, j % n],
        ),
      ),
      moved(
        "three axes",
        [2, 3, 4],
        (x) => shapes.tile(x, [3, 2, 2]),
        [6, 6, 8],
        (index) => index.map((i, axis) => i % [2, 3, 4][axis]),
      ),
    ],
  },
} satisfies Record<string, Sample>;
