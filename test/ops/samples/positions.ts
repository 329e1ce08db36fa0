import { constant, type Shape } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/positions.js";
import { cast } from "../../../src/ops/rounding.js";
import type { Case, Sample } from "../cases.js";

interface Turning {
  readonly heads?: number;
  readonly features?: number;
  readonly base?: number;
  readonly interleaved?: boolean;
}

/** Positions of the first rows, so far out that angles in float32 would be wrong. */
const FAR = [3, 4000];
const startOf = (batch: number) => Float32Array.from({ length: batch }, (_, index) => FAR[index % FAR.length]);

function rotaryCase(shape: Shape, options: Turning, isFar = false): Case {
  const [batch, positions, line] = shape;
  const { heads = 1, base = 10_000, interleaved = false } = options;
  const depth = line / heads;
  const { features = depth } = options;
  return {
    name: `${JSON.stringify(shape)} ${JSON.stringify(options)}${isFar ? ", far out" : ""}`,
    inputs: [{ shape }],
    apply: (x) => ops.rotary(x, { ...options, ...(isFar ? { start: constant(startOf(batch), [batch, 1]) } : {}) }),
    reference: (x) => {
      const y = x.slice();
      for (let row = 0; row < batch * positions; row++)
        for (let head = 0; head < heads; head++)
          for (let i = 0; i < features / 2; i++) {
            const start = isFar ? startOf(batch)[Math.floor(row / positions)] : 0;
            const angle = (start + (row % positions)) * base ** ((-2 * i) / features);
            const first = row * line + head * depth;
            const [a, b] = interleaved ? [first + 2 * i, first + 2 * i + 1] : [first + i, first + i + features / 2];
            y[a] = x[a] * Math.cos(angle) - x[b] * Math.sin(angle);
            y[b] = x[b] * Math.cos(angle) + x[a] * Math.sin(angle);
          }
      return y;
    },
  };
}

function sinusoidsCase(positions: number, features: number, base: number, batch?: number): Case {
  return {
    name: `${positions} × ${features}, base ${base}${batch === undefined ? "" : ", far out"}`,
    inputs: batch === undefined ? [] : [{ shape: [batch, 1], domain: { classes: 5000 } }],
    differentiable: [false],
    apply: (start) => ops.sinusoids(positions, features, { base, ...(start ? { start: cast(start, "float32") } : {}) }),
    reference: (start) =>
      Array.from({ length: (batch ?? 1) * positions * features }, (_, at) => {
        const feature = at % features;
        const row = Math.floor(at / features);
        const position = (row % positions) + (batch === undefined ? 0 : start[Math.floor(row / positions)]);
        const angle = position * base ** ((-2 * Math.floor(feature / 2)) / features);
        return feature % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
      }),
  };
}

function appendCase(batch: number, capacity: number, count: number, features: number): Case {
  return {
    name: `${count} rows of ${features} to ${batch} × ${capacity}`,
    inputs: [
      { shape: [batch, capacity, features] },
      { shape: [batch, count, features] },
      { shape: [batch, 1], domain: { classes: capacity } },
    ],
    differentiable: [false, false, false],
    apply: (cache, rows, start) => ops.appendRows(cache, rows, cast(start, "float32")),
    reference: (cache, rows, start) => {
      const y = cache.slice();
      for (let b = 0; b < batch; b++)
        for (let row = 0; row < count && start[b] + row < capacity; row++)
          for (let i = 0; i < features; i++)
            y[(b * capacity + start[b] + row) * features + i] = rows[(b * count + row) * features + i];
      return y;
    },
  };
}

export const positionSamples = {
  rotary: {
    cases: [
      rotaryCase([1, 1, 2], {}),
      rotaryCase([2, 3, 8], { heads: 2 }),
      rotaryCase([2, 5, 6], { interleaved: true }),
      rotaryCase([2, 4, 22], { base: 100 }),
      rotaryCase([2, 3, 20], { heads: 2, features: 6 }),
      rotaryCase([2, 3, 16], { heads: 2 }, true),
      rotaryCase([3, 2, 14], { interleaved: true, features: 10 }, true),
    ],
  },
  sinusoids: {
    cases: [
      sinusoidsCase(1, 1, 10_000),
      sinusoidsCase(7, 5, 10_000),
      sinusoidsCase(4000, 12, 100),
      sinusoidsCase(3, 16, 10_000, 2),
    ],
  },
  appendRows: { cases: [appendCase(1, 4, 1, 3), appendCase(3, 5, 2, 8), appendCase(2, 3, 3, 5)] },
} satisfies Record<string, Sample>;
