// What comes of a step, and what buffers get, is from before the step's changes; also a parameter itself, or a view of one.
import { createWorkspaceSync, ones, sgd, zeros } from "steepest";
import { reshape, sum } from "steepest/graph";
import { expect, test } from "vitest";

test("outputs that are a parameter or a view of one", () => {
  using workspace = createWorkspaceSync();
  const step = workspace.step(
    (_, { parameter }) => {
      const weight = parameter("weight", [2, 2], ones());
      return { weight, line: reshape(weight, [4]), loss: sum(weight) };
    },
    { inputs: {}, optimizer: sgd({ learningRate: 0.25 }) },
  );
  for (const value of [1, 0.75]) {
    const { weight, line } = step({});
    expect([...weight, ...line]).toEqual(Array(8).fill(value));
  }
});

test("buffers that change places, and one that gets a parameter", () => {
  using workspace = createWorkspaceSync();
  const step = workspace.step(
    (_, { parameter, buffer, update }) => {
      const weight = parameter("weight", [2], ones());
      const [a, b, c] = [buffer("a", [2], ones()), buffer("b", [2], zeros()), buffer("c", [2], zeros())];
      update(a, b);
      update(b, a);
      update(c, weight);
      return { a, loss: sum(weight) };
    },
    { inputs: {}, optimizer: sgd({ learningRate: 0.25 }) },
  );
  expect([...step({}).a]).toEqual([1, 1]);
  const of = (name: string) => [...(workspace.parameters(step).get(name)?.data ?? [])];
  expect([of("a"), of("b"), of("c")]).toEqual([
    [0, 0],
    [1, 1],
    [1, 1],
  ]);
});
