import { constant, type Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/attention.js";
import type { Case, Sample } from "../cases.js";

interface Given {
  readonly batch?: number;
  readonly queries: number;
  readonly keys?: number;
  readonly heads?: number;
  readonly keyHeads?: number;
  readonly depth: number;
  readonly width?: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly scale?: number;
  readonly slopes?: boolean;
  readonly mask?: readonly number[];
  readonly lengths?: readonly number[];
  readonly bias?: "shared" | "each";
  readonly start?: readonly number[];
}

/** Straight from the formula. */
function reference(
  { batch = 2, queries, keys = queries, heads = 1, keyHeads = heads, depth, width = depth, ...rules }: Given,
  [q, k, v]: readonly Float64Array[],
  bias: Float32Array | undefined,
): number[] {
  const { causal = false, window = Infinity, scale = 1 / Math.sqrt(depth), slopes, mask, lengths, start } = rules;
  const steep = slopes ? ops.alibiSlopes(heads) : [];
  const result: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < queries; i++)
      for (let h = 0; h < heads; h++) {
        const group = Math.floor(h / (heads / keyHeads));
        const position = i + (start?.[b] ?? 0);
        const scores = Array.from({ length: keys }, (_, j) => {
          const far = position - j;
          const isHidden = (causal && far < 0) || Math.abs(far) >= window || mask?.[b * keys + j] === 0;
          if (isHidden || j >= (lengths?.[b] ?? keys)) return -Infinity;
          const [query, key] = [((b * queries + i) * heads + h) * depth, ((b * keys + j) * keyHeads + group) * depth];
          let dot = 0;
          for (let c = 0; c < depth; c++) dot += q[query + c] * k[key + c];
          const places = rules.bias === "each" ? (b * heads + h) * queries + i : i;
          return dot * scale + (bias?.[places * keys + j] ?? 0) - (steep[h] ?? 0) * Math.abs(far);
        });
        const top = Math.max(...scores);
        const weights = scores.map((score) => (top === -Infinity ? 0 : Math.exp(score - top)));
        const total = weights.reduce((sum, weight) => sum + weight, 0) || 1;
        for (let c = 0; c < width; c++) {
          let sum = 0;
          for (let j = 0; j < keys; j++)
            sum += (weights[j] / total) * v[(b * keys + j) * keyHeads * width + group * width + c];
          result.push(sum);
        }
      }
  return result;
}

export function attentionCase(given: Given): Case {
  const { batch = 2, queries, keys = queries, heads = 1, keyHeads = heads, depth, width = depth } = given;
  const { causal, window, scale, slopes, mask, lengths, bias, start } = given;
  const shape = bias === "each" ? [batch, heads, queries, keys] : [queries, keys];
  const size = shape.reduce((product, one) => product * one, 1);
  // Some are hidden.
  const added =
    bias && Float32Array.from({ length: size }, (_, i) => (i % 11 === 7 ? -Infinity : ((i * 7) % 13) / 6 - 1));
  const apply = (q: Tensor, k: Tensor, v: Tensor): Tensor =>
    ops.attention(q, k, v, {
      heads,
      keyHeads,
      ...(causal ? { causal } : {}),
      ...(window ? { window } : {}),
      ...(scale ? { scale } : {}),
      ...(slopes ? { slopes: constant(ops.alibiSlopes(heads)) } : {}),
      ...(mask ? { mask: constant(Float32Array.from(mask), [batch, keys]) } : {}),
      ...(lengths ? { lengths: constant(Uint32Array.from(lengths)) } : {}),
      ...(added ? { bias: constant(added, shape) } : {}),
      ...(start ? { start: constant(Float32Array.from(start), [batch, 1]) } : {}),
    });
  return {
    name: JSON.stringify(given),
    inputs: [
      { shape: [batch, queries, heads * depth] },
      { shape: [batch, keys, keyHeads * depth] },
      { shape: [batch, keys, keyHeads * width] },
    ],
    apply,
    reference: (...inputs) => reference(given, inputs, added),
    tolerance: 2 ** -19,
  };
}

const every = (count: number, hidden: (index: number) => boolean): number[] =>
  Array.from({ length: count }, (_, index) => (hidden(index) ? 0 : 1));

export const attentionSamples = {
  attention: {
    cases: [
      attentionCase({ queries: 1, depth: 1 }),
      attentionCase({ queries: 3, depth: 4 }),
      attentionCase({ batch: 1, queries: 2, keys: 5, depth: 3, width: 7, heads: 2 }),
      attentionCase({ queries: 9, depth: 5, causal: true, heads: 2 }),
      attentionCase({ queries: 17, depth: 16, causal: true, heads: 4 }),
      attentionCase({ queries: 65, depth: 8, causal: true }),
      attentionCase({ batch: 1, queries: 70, keys: 131, depth: 12, width: 9 }),
      attentionCase({ queries: 130, depth: 8, causal: true, window: 20, batch: 1 }),
      attentionCase({ queries: 70, depth: 4, window: 5, batch: 1 }),
      attentionCase({ queries: 6, depth: 8, heads: 6, keyHeads: 2, causal: true }),
      attentionCase({ queries: 5, depth: 8, heads: 4, keyHeads: 1 }),
      attentionCase({ queries: 7, keys: 10, depth: 4, heads: 2, scale: 0.3, slopes: true }),
      attentionCase({ queries: 80, depth: 4, heads: 3, slopes: true, causal: true, batch: 1 }),
      attentionCase({ queries: 5, keys: 9, depth: 4, heads: 2, lengths: [4, 9] }),
      attentionCase({ queries: 70, depth: 4, heads: 1, lengths: [66, 3], causal: true }),
      attentionCase({ queries: 4, keys: 12, depth: 4, heads: 2, mask: every(24, (i) => i % 3 === 1) }),
      // A sample all of whose keys are hidden.
      attentionCase({ queries: 3, keys: 4, depth: 8, mask: every(8, (i) => i >= 4) }),
      attentionCase({ queries: 5, keys: 70, depth: 4, mask: every(140, (i) => i % 70 < 64), causal: false }),
      attentionCase({ queries: 6, keys: 11, depth: 4, heads: 2, bias: "shared" }),
      attentionCase({ queries: 6, keys: 9, depth: 4, heads: 2, bias: "each", causal: true }),
      attentionCase({ queries: 3, keys: 12, depth: 4, heads: 2, causal: true, start: [0, 9] }),
      attentionCase({ queries: 2, keys: 6, depth: 130, batch: 1 }),
      attentionCase({ queries: 35, depth: 140, batch: 1, causal: true }),
      attentionCase({ batch: 1, queries: 3, depth: 2, heads: 3, causal: true }),
    ],
  },
} satisfies Record<string, Sample>;
