// Every node of a traced model knows the layer that it came from: tools tell by it where a value was made.
import { defineLayer, dense, functional, type Model, relu, residual, sequential } from "steepest";
import { add, gradient, input, mean, square, type Tensor } from "steepest/graph";
import { expect, test } from "vitest";
import { nodesBehind } from "../../src/graph/backward.js";
import { layerContext } from "../../src/nn/layer.js";
import { checkModel } from "../../src/nn/model.js";

/** Operations with their scopes behind a model's outputs. */
function scopesOf(model: Model, shape: readonly number[]): string[] {
  const clock = input([16], { name: "clock", dtype: "uint32" });
  const y = checkModel("test", model).trace(
    [input([3, ...shape])],
    layerContext({ training: true, clock, seed: [0, 0] }),
  )[0];
  return shown([y]);
}

function shown(results: readonly Tensor[]): string[] {
  return nodesBehind(results).map(({ operation, scope }) => `${scope}: ${operation.name}`);
}

test("a chain's nodes, by number or name, and what is outside of layers", () => {
  const model = functional({ input: [4] }, (x, { apply }) =>
    square(apply(x, dense(4), relu(), dense(2, { name: "end" }))),
  );
  expect(scopesOf(model, [4])).toEqual(["0: linear", "1: relu", "end: linear", ": square"]);
});

test("nested: models in models, layers in layers", () => {
  const inner = sequential({ input: [4], name: "inner" }, dense(4), relu());
  const twice = defineLayer("twice", (x, { apply }) => add(apply(x, dense(4)), square(apply(x, inner))));
  const model = sequential({ input: [4] }, twice(), residual(dense(4), relu()), dense(1));
  expect(scopesOf(model, [4])).toEqual([
    "0.0: linear",
    "0.inner.0: linear",
    "0.inner.1: relu",
    "0: square",
    "0: add",
    "1.0: linear",
    "1.1: relu",
    "1: add",
    "2: linear",
  ]);
});

test("a shared layer's nodes are under the path of its first application, as its parameters are", () => {
  const shared = dense(4);
  const model = functional({ input: [4] }, (x, { apply }) => apply(x, shared, relu(), shared));
  expect(scopesOf(model, [4])).toEqual(["0: linear", "1: relu", "0: linear"]);
  expect([...model.parameters.keys()]).toEqual(["0.weight", "0.bias"]);
});

test("backward nodes have the scope of their forward node; an error within a layer leaves none", () => {
  const failing = defineLayer("failing", (x, { apply }) => {
    apply(x, dense(2));
    throw new Error("stop");
  });
  expect(() => sequential({ input: [4] }, failing())).toThrow("stop");
  const x = input([3, 4]);
  const clock = input([16], { name: "clock", dtype: "uint32" });
  const model = sequential({ input: [4] }, dense(4, { name: "a" }), relu(), dense(1, { name: "b" }));
  const loss = mean(
    square(checkModel("test", model).trace([x], layerContext({ training: true, clock, seed: [0, 0] }))[0]),
  );
  const forward = new Set(nodesBehind([loss]));
  const backward = nodesBehind([gradient(loss, x)]).filter((node) => !forward.has(node));
  expect(new Set(backward.map(({ scope }) => scope))).toEqual(new Set(["", "b", "1", "a"]));
  // One of a layer's nodes behind another's: the gradient by a's input is of layer a.
  expect(backward.at(-1)?.scope).toBe("a");
});
