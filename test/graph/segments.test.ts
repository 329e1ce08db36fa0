// The choice of segments: what is computed again, where segments end, and that they are run late.
import { add, input, matmul, relu, square, sum, type Tensor, tanh } from "steepest/graph";
import { describe, expect, test } from "vitest";
import { buildGradient, nodesBehind } from "../../src/graph/backward.js";
import { planMemory } from "../../src/graph/plan.js";
import type { SegmentOf } from "../../src/graph/recompute.js";
import { chooseSegments } from "../../src/graph/segments.js";
import { gradientRules } from "../../src/ops/gradient.js";

/** The segment of each node before the loss, as letters in order; "." for what is kept. */
function shown(loss: Tensor, segmentOf: SegmentOf): string {
  const letters = new Map<unknown, string>([[undefined, "."]]);
  return nodesBehind([loss])
    .map((node) => {
      const segment = segmentOf(node);
      if (!letters.has(segment)) letters.set(segment, String.fromCharCode(96 + letters.size));
      return letters.get(segment);
    })
    .join("");
}

function planOf(loss: Tensor, wrt: readonly Tensor[], segmentOf: SegmentOf) {
  const gradients = buildGradient(loss, wrt, gradientRules, { segmentOf });
  const pinned = new Map(wrt.map((tensor) => [tensor, 0]));
  for (const node of nodesBehind([loss, ...gradients]))
    for (const tensor of node.inputs) if (tensor.source.kind !== "result") pinned.set(tensor, 0);
  return planMemory([loss, ...gradients], pinned, { convolution: "auto" });
}

const w = input([64, 64], { name: "w" });
const x = input([512, 64], { name: "x" });

function chain(length: number, layer: (h: Tensor) => Tensor): Tensor {
  let h = square(x);
  for (let at = 0; at < length; at++) h = layer(h);
  return sum(square(h));
}

const kept: SegmentOf = () => undefined;

describe("chosen segments", () => {
  test("a long chain needs bytes of the order of the square root of its length", () => {
    const needs = (length: number) => {
      const loss = chain(length, (h) => tanh(matmul(h, w)));
      const chosen = chooseSegments(loss, [w], gradientRules);
      const value = 512 * 64 * 4;
      return [kept, chosen].map((segmentOf) => planOf(loss, [w], segmentOf).arenaBytes / value);
    };
    for (const length of [16, 64, 256]) {
      const [all, few] = needs(length);
      expect(all).toBeGreaterThan(length);
      expect(few).toBeLessThan(2 * Math.sqrt(length) + 4);
    }
  });

  test("the end is kept; segments end between blocks, where one value is read across, and not within", () => {
    const block = (h: Tensor) => add(h, tanh(matmul(relu(matmul(h, w)), w)));
    const loss = chain(12, block);
    const letters = shown(loss, chooseSegments(loss, [w], gradientRules));
    expect(letters).toMatch(/^[a-z]+\.+$/);
    const ends = [...letters.matchAll(/([a-z])(?!\1)/g)].map(({ index }) => index + 1);
    expect(ends.length).toBeGreaterThan(2);
    // One node before the blocks, then five in each. The last segment ends where the rest fits.
    for (const end of ends.slice(0, -1)) expect(end % 5).toBe(1);
  });

  test("what is computed again runs just before its gradients", () => {
    const loss = chain(12, (h) => tanh(matmul(h, w)));
    const { steps } = planOf(loss, [w], chooseSegments(loss, [w], gradientRules));
    const again = steps.flatMap(({ node }, at) => (node.original === undefined ? [] : [at]));
    // Segments are apart: gradients run between them, and before the first.
    const gaps = again.filter((at, index) => index > 0 && at - again[index - 1] > 1).length;
    expect(gaps).toBeGreaterThan(0);
    expect(again[0]).toBeGreaterThan(steps.findIndex(({ node }) => node.outputs[0] === loss));
  });
});
