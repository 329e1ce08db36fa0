// What is said of mistakes that come of habit, and that the refusals are those that the shortest programs showed.
import { createEngineSync, createWorkspaceSync, dense, sequential, sgd } from "steepest";
import * as ops from "steepest/graph";
import { compileFunctionSync, input, type Tensor } from "steepest/graph";
import { describe, expect, test } from "vitest";

const x = input([2, 3], { name: "x" });
const square = input([2, 2], { name: "square" });
const any = (value: unknown): never => value as never;

describe("habits of other libraries", () => {
  test.each([
    [
      () => ops.sum(x, 1, any({ keepdim: true })),
      'sum: unknown option "keepdim": the options are keepDims: write keepDims',
    ],
    [
      () => ops.sum(x, any({ keepDims: true })),
      "got { keepDims } for x of shape [2, 3]: options come behind the axes, and undefined stands for all axes",
    ],
    [
      () => ops.mean(x, 1, any({ keepdims: true })),
      'mean: unknown option "keepdims": the options are keepDims: write keepDims',
    ],
    [
      () => ops.matmul(square, square, any({ transpose_b: true })),
      'unknown option "transpose_b": the options are transposeA, transposeB: write transposeB',
    ],
    [() => ops.matmul(square, square, any({ adjoint_a: true })), "write transposeA"],
    [() => ops.softmax(x, any({ dim: 1 })), 'softmax: unknown option "dim": the options are axis: write axis'],
    [() => ops.layerNorm(x, any({ eps: 1e-3 })), "write epsilon"],
    [() => ops.conv1d(input([1, 8, 2]), input([3, 2, 4]), any({ strides: 2 })), "write stride"],
    [() => ops.dropout(x, any({ p: 0.5 })), "write rate"],
    [() => ops.argmax(x, any([0, 1])), "argmax: axis must be one whole number, got [0, 1]: do it one axis at a time"],
    [() => ops.concatenate([x, x], any([])), "concatenate: axis must be one whole number, got []"],
    [() => ops.softmax(x, any({ axis: [0, 1] })), "softmax: axis must be one whole number, got [0, 1]"],
    [
      () => ops.slice(x, any(0), any(1)),
      "slice: begin must be an array of numbers (or undefined), one an axis, got 0: write [0]",
    ],
    [() => ops.reshape(x, any(6)), "reshape: the new shape must be an array of numbers, got 6: write [6] for one axis"],
    [() => input(any(2)), "input: the shape must be an array of numbers, got 2: write [2] for one axis"],
    [() => ops.concatenate(any([x, null])), "concatenate: entry 1 of the array must be a tensor, got null"],
    [() => ops.linear(x, input([3, 1]), any(undefined)), "linear: operand 3 must be a tensor, got undefined"],
    [
      () => ops.add(x, any([1, 2, 3])),
      "add: operands must be tensors or numbers, got [1, 2, 3]: numbers and arrays become one with constant()",
    ],
    [() => ops.relu(any(ops.relu)), "relu: must be given a tensor, got the function relu"],
    [
      () => ops.relu(any({ shape: [2], dtype: "float32" })),
      "relu: must be given a tensor, got a float32 tensor of shape [2]",
    ],
  ])("%s", (call, message) => {
    expect(call).toThrow(message);
  });
});

describe("shapes", () => {
  test.each([
    [() => ops.broadcastTo(x, [2.5, 3]), "broadcastTo: every size of a shape must be a whole number"],
    [() => ops.broadcastTo(x, [-1, 2, 3]), "broadcastTo: every size of a shape must be a whole number"],
    [() => ops.broadcastTo(x, [-2, 3]), "broadcastTo: every size of a shape must be a whole number"],
  ])("%s", (call, message) => {
    expect(call).toThrow(message);
  });

  test("-1 keeps a size", () => {
    expect(ops.broadcastTo(input([2, 1]), [4, -1, 3]).shape).toEqual([4, 2, 3]);
    expect(ops.broadcastTo(x, [-1, -1])).toBe(x);
  });
});

describe("compileFunction", () => {
  const compile =
    (trace: unknown, shapes: unknown = { x: [2] }) =>
    () =>
      compileFunctionSync(any(trace), any(shapes));

  test.each([
    [
      compile(({ x: one }: { x: Tensor }) => one),
      "the function must return an object of tensors by name, got a float32 tensor of shape [2]: return { y: … }",
    ],
    [compile(() => undefined), "the function must return an object of tensors by name, got undefined"],
    [compile(async ({ x: one }: { x: Tensor }) => ({ y: one })), "it must not be asynchronous"],
    [compile(() => ({ y: 3 })), 'the result "y" must be a tensor, got 3'],
    [compile(undefined), "what is traced must be a function, got undefined"],
    [compile(() => ({}), { x: 2 }), 'input "x": the shape must be an array of numbers, got 2: write [2]'],
    [compile(({ x: one }: { x: Tensor }) => ({ y: one }), [2]), "inputs must be an object of shapes by name"],
  ])("%#", (call, message) => {
    expect(call).toThrow(message);
  });

  test("the options of an engine are not heard beside one, and so refused", () => {
    const engine = createEngineSync();
    const make = (options: object) => () => compileFunctionSync(({ x: one }) => ({ y: one }), { x: [2] }, options);
    expect(make({ engine, threads: 2 })).toThrow("threads must be left out beside engine, which has its own, got 2");
    expect(make({ engine: {} })).toThrow("engine must be one that createEngine() made, got {}");
    expect(make({ seed: -1 })).toThrow("seed must be a whole number of at least 0, got -1");
    engine.dispose();
  });

  test("values are named as the inputs are", () => {
    using f = compileFunctionSync(({ a, b }) => ({ y: ops.add(a, b) }), { a: [2], b: [2] });
    expect(() => f(any({ a: [1, 2] }))).toThrow("the values must be an object with a, b, got a");
    expect(() => f(any({ a: [1, 2], b: [1, 2], c: [1] }))).toThrow("must be an object with a, b, got a, b, c");
  });
});

test("a step of a workspace that is refused gives back the memory it took, and takes the next one's numbers from none", () => {
  const engine = createEngineSync();
  const workspace = createWorkspaceSync({ engine, seed: 1 });
  const model = sequential({ input: [2] }, dense(1));
  const used = engine.allocator.usedBytes();
  const step = (body: unknown) => () =>
    workspace.step(any(body), { inputs: { x: [4, 2] }, optimizer: sgd({ learningRate: 0.1 }) });
  type Scope = { apply: (x: Tensor, model: unknown) => Tensor };
  const losses = (x: Tensor, { apply }: Scope) => ops.argmax(apply(x, model), 0, {});
  expect(step(({ x: one }: { x: Tensor }, scope: Scope) => ({ loss: losses(one, scope) }))).toThrow("loss");
  expect(step(({ x: one }: { x: Tensor }, { apply }: Scope) => ({ y: apply(one, model) }))).toThrow("loss");
  expect(step(() => undefined)).toThrow("workspace.step");
  expect(engine.allocator.usedBytes()).toBe(used);
  workspace.dispose();
  engine.dispose();
});
