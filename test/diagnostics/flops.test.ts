// How many operations a step needs: counted here by hand, or one by one in loops.
import { expect, test } from "vitest";
import { flopsOf } from "../../src/diagnostics/flops.js";
import { nodesBehind } from "../../src/graph/backward.js";
import { input, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";

/** The sum over the nodes of this name behind the results. */
function flops(name: string, ...results: readonly Tensor[]): number {
  const nodes = nodesBehind(results).filter(({ operation }) => operation.name === name);
  expect(nodes.length, name).toBeGreaterThan(0);
  return nodes.reduce((sum, node) => sum + flopsOf(node), 0);
}

const gradients = (y: Tensor, ...of: readonly Tensor[]): readonly Tensor[] => ops.gradient(ops.sum(y), of);

test("products: two for each multiplication, forward and backward", () => {
  const [x, w, b] = [input([8, 16]), input([16, 32]), input([32])];
  const y = ops.linear(x, w, b);
  expect(flops("linear", y)).toBe(2 * 8 * 16 * 32);
  expect(flops("matmul", ...gradients(y, x))).toBe(2 * 8 * 16 * 32);
  expect(flops("matmul", ...gradients(y, w))).toBe(2 * 8 * 16 * 32);
  const [p, q] = [input([6, 3, 4]), input([6, 4, 5])];
  const product = ops.matmul(p, q);
  expect(flops("batchedMatmul", product)).toBe(2 * 6 * 3 * 4 * 5);
  expect(flops("batchedMatmul", ...gradients(product, p, q))).toBe(2 * 2 * 6 * 3 * 4 * 5);
  expect(flops("matmul", ops.matmul(input([0, 4]), input([4, 5])))).toBe(0);
});

test("convolutions: a product of the same size forward and in both gradients, by groups and the other way too", () => {
  const [x, w] = [input([2, 9, 9, 4]), input([3, 3, 4, 8])];
  const y = ops.conv2d(x, w, { stride: 2 });
  const count = 2 * 2 * 4 * 4 * 8 * 3 * 3 * 4;
  expect(flops("convolution", y)).toBe(count);
  expect(flops("convolutionInputGradient", ...gradients(y, x))).toBe(count);
  expect(flops("convolutionWeightGradient", ...gradients(y, w))).toBe(count);
  const grouped = ops.conv2d(x, input([3, 3, 2, 8]), { groups: 2 });
  expect(flops("convolution", grouped)).toBe(2 * 2 * 7 * 7 * 8 * 3 * 3 * 2);
  const transposed = ops.convTranspose2d(input([2, 4, 4, 8]), input([3, 3, 4, 8]), { stride: 2 });
  expect(flops("convolutionInputGradient", transposed)).toBe(2 * 2 * 4 * 4 * 8 * 3 * 3 * 4);
});

test("recurrence: the state by its weights in each step, forward and backward", () => {
  const [batch, time, units] = [3, 5, 6];
  const wide = (gates: number) => [input([batch, time, gates * units]), input([units, gates * units])] as const;
  const [x1, u1] = wide(1);
  const plain = ops.rnn(x1, u1).outputs;
  expect(flops("rnn", plain)).toBe(batch * time * 2 * units * units);
  expect(flops("rnnGradient", ...gradients(plain, x1))).toBe(batch * time * 2 * units * units);
  const [x3, u3] = wide(3);
  for (const reset of ["after", "before"] as const) {
    const gated = ops.gru(x3, u3, { reset }).outputs;
    expect(flops("gru", gated)).toBe(batch * time * 2 * units * 3 * units);
    expect(flops("gruGradient", ...gradients(gated, x3))).toBe(batch * time * 2 * units * 3 * units);
  }
  const [x4, u4] = wide(4);
  const long = ops.lstm(x4, u4).outputs;
  expect(flops("lstm", long)).toBe(batch * time * 2 * units * 4 * units);
  expect(flops("lstmGradient", ...gradients(long, x4))).toBe(batch * time * 2 * units * 4 * units);
  // States of two numbers out of cells of six.
  const projected = ops.lstm(x4, input([2, 4 * units]), { projection: input([units, 2]) }).outputs;
  expect(flops("lstm", projected)).toBe(batch * time * 2 * (2 * 4 * units + units * 2));
});

test.each([
  { causal: false, window: undefined },
  { causal: true, window: undefined },
  { causal: false, window: 3 },
  { causal: true, window: 3 },
])("attention: the pairs that a query may see, %o", ({ causal, window }) => {
  const [batch, heads, depth, width, queries, keys] = [2, 4, 5, 3, 7, 9];
  const [q, k] = [queries, keys].map((count) => input([batch, count, heads * depth])) as [Tensor, Tensor];
  const v = input([batch, keys, heads * width]);
  const y = ops.attention(q, k, v, { heads, causal, ...(window === undefined ? {} : { window }) });
  let pairs = 0;
  for (let query = 0; query < queries; query++) {
    for (let key = 0; key < keys; key++) {
      const isNear = window === undefined || Math.abs(query - key) < window;
      if (isNear && !(causal && key > query)) pairs += batch * heads;
    }
  }
  expect(flops("attention", y)).toBe(pairs * 2 * (depth + width));
  expect(flops("attentionGradient", ...gradients(y, q, k, v))).toBe(pairs * 2 * (3 * depth + 2 * width));
});

test("loops: the body in each step; what does not change in it is moved out, and counts once", () => {
  const [h, xs, w, v] = [input([2, 3]), input([10, 2, 3]), input([3, 3]), input([3, 3])];
  const [last] = ops.scan(
    (carry: Tensor, x: Tensor) => {
      const next = ops.tanh(ops.add(ops.matmul(carry, ops.matmul(w, v)), x));
      return [next, next] as [Tensor, Tensor];
    },
    h,
    xs,
  );
  expect(flops("scan", last)).toBe(10 * (2 * 2 * 3 * 3 + 6 + 6));
  expect(flops("matmul", last)).toBe(2 * 3 * 3 * 3);
});

test("numbers by elements, windows by what they see, and none for what is moved", () => {
  const x = input([2, 4, 4, 3]);
  expect(flops("relu", ops.relu(x))).toBe(2 * 4 * 4 * 3);
  expect(flops("add", ops.add(x, input([3])))).toBe(2 * 4 * 4 * 3);
  expect(flops("sum", ops.sum(x))).toBe(2 * 4 * 4 * 3);
  expect(flops("softmax", ops.softmax(input([5, 7])))).toBe(5 * 5 * 7);
  const pooled = ops.maxPool2d(x, 2);
  expect(flops("maxPool", pooled)).toBe(2 * 2 * 2 * 3 * 4);
  expect(flops("maxPoolGradient", ...gradients(pooled, x))).toBe(2 * 2 * 2 * 3);
  expect(flops("transpose", ops.transpose(x, [0, 3, 1, 2]))).toBe(0);
  expect(flops("sort", ops.sort(input([3, 8])).values)).toBe(3 * 8 * 3);
});
