// The sweep over all that "steepest/graph" exports: see sweep.ts for the rule that it holds.
import * as S from "steepest";
import { createEngineSync } from "steepest";
import * as graph from "steepest/graph";
import { compileFunctionSync, type Tensor } from "steepest/graph";
import { describe, expect, test } from "vitest";
import { nodesBehind } from "../../src/graph/backward.js";
import { isTensor } from "./badValues.js";
import { graphRows } from "./rows/all.js";
import { type Row, sweep, sweptCalls } from "./sweep.js";

const engine = createEngineSync();
const canary = compileFunctionSync(({ x }) => ({ y: graph.sum(graph.square(x)) }), { x: [3] }, { engine });

const rows = graphRows(engine);

/** What must stay as it is: memory in use, and a function that others have in the engine. */
function watch(): unknown {
  return { used: engine.allocator.usedBytes(), value: canary({ x: [1, 2, 3] }).y[0] };
}

// Larger results are not computed: their shape is looked at.
const MAX_ELEMENTS = 1e5;

/** A result is a tensor or holds some; it can be compiled and run, and gives as many numbers as its shape says. */
function checkTensors(result: unknown): void {
  const tensors = tensorsIn(result);
  if (tensors.length === 0) throw new Error("it is no tensor");
  for (const { shape, dtype, name } of tensors) {
    const right = shape.every((size) => Number.isSafeInteger(size) && size >= 0);
    if (!right) throw new Error(`its shape is [${shape}]`);
    if (!["float32", "uint32"].includes(dtype)) throw new Error(`its dtype is ${String(dtype)}`);
    if (typeof name !== "string") throw new Error("it has no name");
  }
  const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  const nodes = nodesBehind(tensors);
  const all = [...tensors, ...nodes.flatMap((node) => [...node.inputs, ...node.outputs])];
  if (all.some(({ shape }) => elements(shape) > MAX_ELEMENTS)) return;
  const inputs = [...new Set(all)].filter(({ source }) => source.kind === "input");
  const name = (tensor: Tensor) => `input ${tensor.id}`;
  using f = compileFunctionSync(
    () => Object.fromEntries(tensors.map((tensor, index) => [`${index}`, tensor])),
    Object.fromEntries(inputs.map((tensor) => [name(tensor), tensor])),
    { engine },
  );
  const values = f(
    Object.fromEntries(
      inputs.map((tensor) => [
        name(tensor),
        new Float32Array(elements(tensor.shape)).fill(tensor.dtype === "uint32" ? 0 : 0.5),
      ]),
    ),
  );
  tensors.forEach(({ shape }, index) => {
    const { length } = values[`${index}`];
    if (length !== elements(shape)) throw new Error(`[${shape}] has ${length} values`);
  });
}

function tensorsIn(result: unknown): Tensor[] {
  if (isTensor(result)) return [result as Tensor];
  if (Array.isArray(result)) return result.flatMap(tensorsIn);
  const isPlain = typeof result === "object" && result !== null && Object.getPrototypeOf(result) === Object.prototype;
  return isPlain ? Object.values(result).flatMap(tensorsIn) : [];
}

describe("bad arguments", () => {
  sweep(rows, watch, checkTensors);
});

// What "steepest" exports too, engines and errors, has its rows there.
test("every export has a row", () => {
  const swept = new Set(rows.flatMap(({ call, name }) => [call, name]));
  const isSwept = (name: string, value: unknown) =>
    swept.has(value as Row["call"]) || swept.has(name) || (S as Record<string, unknown>)[name] === value;
  const missing = Object.entries(graph).flatMap(([name, value]) => (isSwept(name, value) ? [] : [name]));
  expect(missing).toEqual([]);
});

test("the calls are many", () => {
  const { calls, refused } = sweptCalls();
  console.info(`${calls} calls, of which ${refused} were refused`);
  expect(calls).toBeGreaterThan(30_000);
});
