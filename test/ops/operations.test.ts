// The table of operations: what is in it, and what a tool can rely on.
import { describe, expect, test } from "vitest";
import { nodesBehind } from "../../src/graph/backward.js";
import type { Node } from "../../src/graph/tensor.js";
import { input, type Tensor } from "../../src/graph/tensor.js";
import { gatherBytes, gatherRows } from "../../src/ops/gather.js";
import * as ops from "../../src/ops/index.js";
import { type AttributesOf, type OperationName, operations } from "../../src/ops/operations.js";
import type { Sample } from "./cases.js";
import { samples } from "./samples.js";

test("an operation is called as its entry, and no two alike", () => {
  const names = Object.entries(operations).map(([key, operation]) => [key, operation.name]);
  for (const [key, name] of names) expect(name).toBe(key);
  expect(new Set(Object.values(operations)).size).toBe(names.length);
});

/** All nodes behind y and its gradients, and if there is something new among them, behind the gradients of these. */
function nodesOf(y: Tensor, inputs: readonly Tensor[], known: ReadonlySet<unknown> = new Set()): Node[] {
  const nodes = new Set(nodesBehind([y]));
  const weights: Tensor[] = [];
  let results = [y];
  for (let order = 0; order < 2; order++) {
    if (order > 0 && [...nodes].every(({ operation }) => known.has(operation))) break;
    results = results.flatMap((result) => gradientsOf(result, [...inputs, ...weights], weights));
    for (const node of nodesBehind(results)) nodes.add(node);
  }
  return [...nodes];
}

/** Of what has them. A gradient is linear in the weight that goes in, so that it is differentiated by that one too. */
function gradientsOf(y: Tensor, inputs: readonly Tensor[], weights: Tensor[]): Tensor[] {
  if (y.dtype !== "float32") return [];
  const weight = input(y.shape);
  weights.push(weight);
  const floats = inputs.filter(({ dtype }) => dtype === "float32");
  return floats.flatMap((x) => {
    try {
      return [ops.gradient(ops.sum(ops.mul(y, weight)), x)];
    } catch (error) {
      if (/has no derivative|does not depend/.test((error as Error).message)) return [];
      throw error;
    }
  });
}

/** Operations that read a trainer's memory: they have no sample row. */
function clocked(): Node[] {
  const clock = input([16], { dtype: "uint32" });
  const random = { clock, seed: [1, 0], stream: 0 } as const;
  const x = input([4, 3]);
  return [
    ops.dropout(x, { rate: 0.5, ...random }),
    ops.randomNormal([4], random),
    ops.randomUniform([4], random),
    gatherRows(input([8], { dtype: "uint32" }), clock, { source: 0, shape: [2, 3], dtype: "float32" }),
    gatherBytes(input([8], { dtype: "uint32" }), clock, { source: 0, shape: [2, 3], scale: 1, offset: 0 }),
  ].flatMap((y) => nodesOf(y, [x]));
}

describe("the table has", () => {
  const table = new Set<unknown>(Object.values(operations));
  const reached = new Set<unknown>();

  test("every operation that the sample rows and their gradients come to", () => {
    const missing = new Set<string>();
    const visit = (node: Node) => {
      reached.add(node.operation);
      if (!table.has(node.operation)) missing.add(node.operation.name);
    };
    for (const { cases } of Object.values<Sample>(samples)) {
      for (const { inputs, apply } of cases) {
        const tensors = inputs.map(({ shape, domain }) =>
          input(shape, { dtype: typeof domain === "object" ? "uint32" : "float32" }),
        );
        for (const node of nodesOf(apply(...tensors), tensors, reached)) visit(node);
      }
    }
    for (const node of clocked()) visit(node);
    expect([...missing]).toEqual([]);
  });

  test("nothing else", () => {
    const unreached = Object.values(operations).filter((operation) => !reached.has(operation));
    expect(unreached.map(({ name }) => name)).toEqual([]);
  });
});

/** What a tool has for each operation, typed by what the operation's nodes keep. */
type Handlers = { readonly [Name in OperationName]: (attributes: AttributesOf<Name>) => string };

test("a tool can be exhaustive, with each operation's attributes by type", () => {
  const some = {
    leakyRelu: ({ negativeSlope }) => `LeakyRelu ${negativeSlope.toFixed(2)}`,
    relu: (attributes) => `Relu ${attributes}`,
    transpose: ({ axes }) => `Transpose ${axes.join(" ")}`,
    maxPool: ({ height, width }) => `MaxPool ${height.window} ${width.stride}`,
  } satisfies Partial<Handlers>;
  expect(some.leakyRelu({ negativeSlope: 0.1 })).toBe("LeakyRelu 0.10");

  // @ts-expect-error the other operations are missing
  const incomplete: Handlers = some;
  expect(incomplete).toBe(some);
  // @ts-expect-error there is no such operation
  const unknown: Partial<Handlers> = { rely: () => "Rely" };
  expect(unknown).toBeDefined();
  // @ts-expect-error there is no such attribute
  const wrong: Partial<Handlers> = { leakyRelu: ({ slope }) => String(slope) };
  expect(wrong).toBeDefined();
});
