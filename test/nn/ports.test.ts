// Layers and models of several tensors: applied by a scope, to objects of them; never as one of a chain.
import {
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  defineLayer,
  dense,
  functional,
  type Layer,
  ModelError,
  meanSquaredError,
  ones,
  relu,
  type Scope,
  type Shape,
  sequential,
  sgd,
} from "steepest";
import { add, constant, div, input, matmul, mul, oneHot, reshape, scale, sum, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const options = { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.1 }), engine };
const weightInitializer = ones();

/** The sum of a sequence's first `lengths` steps: [batch, time, features], uint32 [batch] → total and last one's share. */
const summed = defineLayer("summed", ["x", "lengths"], ({ x, lengths }, { parameter }) => {
  const [batch, time] = x.shape;
  // Row n of the table has n ones, then zeros.
  const table = Array.from({ length: time + 1 }, (_, n) => Array.from({ length: time }, (_, t) => Number(t < n)));
  const mask = matmul(oneHot(lengths, time + 1), constant(table));
  const kept = mul(x, reshape(mask, [batch, time, 1]));
  return {
    total: mul(sum(kept, 1), parameter("factor", [x.shape[2]], ones())),
    count: sum(mask, 1, { keepDims: true }),
  };
});

describe("layers of several tensors", () => {
  const model = functional(
    { input: { x: [3, 2], lengths: [] }, dtype: { lengths: "uint32" } },
    ({ x, lengths }, { apply }) => {
      const { total, count } = apply({ x, lengths }, summed({ name: "sums" }));
      return add(apply(total, dense(1, { weightInitializer })), count);
    },
  );

  test("take and give objects of tensors, of any dtype, with one axis too", () => {
    expect(model.inputShape).toEqual({ x: [3, 2], lengths: [] });
    expect([...model.parameters.keys()]).toEqual(["sums.factor", "1.weight", "1.bias"]);
    expect(model.layers[0].outputShape).toEqual({ total: [2], count: [1] });
    using trainer = compileSync(model, options);
    const x = [1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60];
    // Sums of the first step (1 + 2), and of all three, and how many they are.
    expect([...trainer.predictSync({ x, lengths: [1, 3] })]).toEqual([4, 213]);
    trainer.trainBatchSync({ x: { x, lengths: Uint32Array.of(2, 1) }, y: [0, 0] });
    expect(trainer.summary()).toContain("total [2], count [1]");
  });

  test("are built and traced once a batch size, with their parameters once", () => {
    const shared = summed({ name: "shared" });
    const twice = functional({ input: { x: [3, 2], lengths: [] }, dtype: { lengths: "uint32" } }, (given, { apply }) =>
      add(apply(given, shared).total, apply(given, shared).total),
    );
    expect([...twice.parameters.keys()]).toEqual(["shared.factor"]);
    using trainer = compileSync(twice, options);
    for (const count of [1, 2, 3]) {
      const x = new Float32Array(6 * count).fill(1);
      const lengths = Array.from({ length: count }, (_, index) => index + 1);
      expect([...trainer.predictSync({ x, lengths })]).toEqual(lengths.flatMap((one) => [2 * one, 2 * one]));
    }
  });

  test("models are such layers, nested too, with what each was made with", () => {
    const pair = functional({ input: { a: [2], b: [2] }, name: "pair" }, ({ a, b }, { apply }) => ({
      sum: add(a, b),
      product: apply(mul(a, b), dense(2, { weightInitializer })),
    }));
    const outer = functional(
      { input: [2], name: "outer" },
      (x, { apply }) => apply({ a: x, b: scale(x, 2) }, pair).product,
    );
    const whole = sequential({ input: [2] }, outer, dense(1, { weightInitializer }));
    expect([...whole.parameters.keys()]).toEqual(["outer.pair.0.weight", "outer.pair.0.bias", "1.weight", "1.bias"]);
    using trainer = compileSync(whole, options);
    expect([...trainer.predictSync([1, 2])]).toEqual([20]);
  });

  test("in a workspace's step", () => {
    using workspace = createWorkspaceSync({ engine });
    const step = workspace.step(({ x, lengths }, { apply }) => apply({ x, lengths }, summed()), {
      inputs: { x: [1, 2, 1], lengths: input([1], { dtype: "uint32" }) },
    });
    expect([...step({ x: [3, 4], lengths: [1] }).total]).toEqual([3]);
  });
});

/** The mean of a sequence's steps, of those whose mask is 1 if there is one; plus what is carried in. */
const averaged = defineLayer("averaged", ["x", "mask?", "carry?"], ({ x, mask, carry }, { parameter }) => {
  const [batch, time] = x.shape;
  const weights = mask === undefined ? constant(Array<number>(time).fill(1)) : reshape(mask, [batch, time]);
  const kept = mul(x, reshape(weights, [-1, time, 1]));
  const mean = div(sum(kept, 1), mask === undefined ? time : sum(weights, 1, { keepDims: true }));
  const scaled = mul(mean, parameter("factor", [x.shape[2]], ones()));
  return carry === undefined ? scaled : add(scaled, carry);
});

describe("what may be left out", () => {
  const x = [1, 2, 3, 4, 5, 6];

  test("x alone, in a chain too", () => {
    using trainer = compileSync(sequential({ input: [3, 2] }, averaged(), dense(1, { weightInitializer })), options);
    expect([...trainer.predictSync(x)]).toEqual([7]);
    using wrapped = compileSync(sequential({ input: [3, 2] }, relu(), averaged({ name: "a" })), options);
    expect([...wrapped.predictSync(x)]).toEqual([3, 4]);
    const counted = averaged() as Layer<2, 1, { mask: Shape }>;
    // @ts-expect-error: it takes two axes
    expect(() => sequential({ input: [3, 2, 1] }, counted, dense(1))).toThrow(/shapes/);
  });

  test("by name: with a mask, with what is carried in, with both, with nothing; one set of parameters", () => {
    const shared = averaged({ name: "shared" });
    const model = functional({ input: { x: [3, 2], mask: [3], carry: [2] } }, ({ x, mask, carry }, { apply }) => ({
      alone: apply(x, shared),
      none: apply({ x }, shared),
      nothing: apply({ x, mask: undefined }, shared),
      masked: apply({ x, mask }, shared),
      carried: apply({ carry, x }, shared),
      both: apply({ x, mask, carry }, shared),
    }));
    expect([...model.parameters.keys()]).toEqual(["shared.factor"]);
    using predictor = compileSync(model);
    const { alone, none, nothing, masked, carried, both } = predictor.predictSync({
      x,
      mask: [0, 1, 1],
      carry: [10, 20],
    });
    for (const mean of [alone, none, nothing]) expect([...mean]).toEqual([3, 4]);
    expect([...masked]).toEqual([4, 5]);
    expect([...carried]).toEqual([13, 24]);
    expect([...both]).toEqual([14, 25]);
  });

  test("next to several that must be there", () => {
    const shifted = defineLayer("shifted", ["a", "b", "by?"], ({ a, b, by }) => add(add(a, b), by ?? 1));
    const model = functional({ input: [2] }, (x, { apply }) => ({
      without: apply({ a: x, b: x }, shifted()),
      with: apply({ a: x, b: x, by: x }, shifted()),
    }));
    using predictor = compileSync(model);
    expect(predictor.predictSync([1, 2])).toEqual({ without: Float32Array.of(3, 5), with: Float32Array.of(3, 6) });
    // @ts-expect-error: two must be there
    expect(() => sequential({ input: [2] }, shifted())).toThrow(
      /must take one tensor, but shifted\(\) takes a, b, by\?/,
    );
  });

  test("types: what is left out is undefined, the rest is a tensor", () => {
    defineLayer("typed", ["x", "mask?"], ({ x, mask }) => {
      // @ts-expect-error: it may be left out
      const always: Tensor = mask;
      const maybe: Tensor | undefined = mask;
      return maybe === undefined ? x : add(x, always);
    });
    const layer: Layer<number, number, { mask: Shape; carry: Shape }> = averaged();
    const one: Layer = layer;
    expect(one.inputNames).toEqual(["x", "mask?", "carry?"]);
    // @ts-expect-error: y is none of its tensors
    const other: Layer<number, number, { y: Shape }> = layer;
    expect(other).toBe(layer);
  });

  test("what does not fit", () => {
    const within = (body: (x: Tensor, scope: Scope) => Tensor) => () => functional({ input: [3, 2] }, body);
    // @ts-expect-error: x is missing
    expect(within((x, { apply }) => apply({ mask: x }, averaged()))).toThrow(
      /functional: apply: what averaged\(\) is applied to: must be an object with x, mask\?, carry\?, got { mask }/,
    );
    // @ts-expect-error: it has no lengths
    expect(within((x, { apply }) => apply({ x, lengths: x }, averaged()))).toThrow(/got { x, lengths }/);
    // @ts-expect-error: a number is no tensor
    expect(within((x, { apply }) => apply({ x, mask: 3 }, averaged()))).toThrow(/"mask" must be a tensor, got 3/);
    // What it makes must not depend on what is left out.
    const growing = defineLayer("growing", ["x", "by?"], ({ x, by }, { parameter }) =>
      by === undefined ? x : mul(x, parameter("more", [1])),
    )();
    expect(within((x, { apply }) => add(apply(x, growing), apply({ x, by: x }, growing)))).toThrow(
      /it makes the parameter "more", but made none of that name when it was built/,
    );
  });
});

const first = { input: [2] } as const;
const named = functional({ input: { a: [2], b: [3] } }, ({ a }) => a);
const giving = functional(first, (x) => ({ y: x, z: x }));

// `// @ts-expect-error`: the compiler knows it too; checked by `tsc -p test`.
describe("what does not fit is refused by the compiler and at run time", () => {
  const refused = (act: () => unknown, message: string): void => {
    expect(act).toThrow(ModelError);
    expect(act).toThrow(message);
  };
  const within = (body: (x: Tensor, scope: Scope) => unknown) => () => functional(first, body as never);

  test("a model of several inputs or outputs in a chain", () => {
    refused(
      // @ts-expect-error: it takes two
      () => sequential(first, named),
      "sequential: each layer must take one tensor, but functional() takes a, b: use functional()",
    );
    refused(
      // @ts-expect-error: it gives two
      () => sequential(first, giving, dense(1)),
      "sequential: apply: in a chain each layer must give one tensor, but functional() gives y, z: apply it by itself",
    );
    refused(
      // @ts-expect-error: it gives two
      () => sequential(first, dense(2), giving),
      "sequential: the last layer must give one tensor, got y, z of functional(): use functional()",
    );
    refused(
      // @ts-expect-error: it takes two
      within((x, { apply }) => apply(x, relu(), named)),
      "functional: apply: in a chain each layer must take one tensor, but functional() takes a, b",
    );
  });

  test("one tensor for several, and several for one", () => {
    refused(
      // @ts-expect-error: a tensor is no object of two
      within((x, { apply }) => apply(x, named)),
      "functional: apply: functional() takes an object with a, b, got one tensor: name what it is",
    );
    refused(
      // @ts-expect-error: dense takes one
      within((x, { apply }) => apply({ a: x, b: x }, dense(2))),
      "functional: apply: dense() takes one tensor, got an object with a, b: apply it to one of them",
    );
  });

  test("other names, what is no tensor, other shapes and dtypes", () => {
    refused(
      // @ts-expect-error: b is missing
      within((x, { apply }) => apply({ a: x }, named)),
      "must be an object with a, b, got { a }",
    );
    refused(
      // @ts-expect-error: a number is no tensor
      within((x, { apply }) => apply({ a: x, b: 3 }, named)),
      '"b" must be a tensor, got 3',
    );
    refused(
      within((x, { apply }) => apply({ a: x, b: x }, named)),
      "functional 0: input.b must be [batch, 3], got [batch, 2]",
    );
    const counted = functional({ input: { x: [2], n: [] }, dtype: { n: "uint32" } }, ({ x }) => x);
    refused(
      within((x, { apply }) => apply({ x, n: sum(x, 1) }, counted)),
      "input.n must be uint32 [batch], got float32 [2]",
    );
  });

  test("a custom layer that gives something else than it said", () => {
    const odd = (result: unknown): Layer => ({
      kind: "odd",
      build: () => ({ outputShape: { y: [2] } as never, parameters: [], apply: () => result as never }),
    });
    refused(
      within((x, { apply }) => apply(x, odd(undefined))),
      "odd 0: its apply(): must be an object with y, got undefined",
    );
    refused(
      within((x, { apply }) => apply(x, odd({ y: 1 }))),
      "odd 0: its apply() must give tensors, got 1",
    );
  });

  test.each([[[]], [["a", "a"]], ["a"], [["a", 3]], [[""]], [["a", "a?"]], [["?"]], [["a?", "b?"]]])(
    "inputs of a defined layer: %j",
    (inputs) => {
      expect(() => defineLayer("odd", inputs as never, (({ a }: { a: Tensor }) => a) as never)).toThrow(ModelError);
    },
  );
});

test("one number a sample: input []", () => {
  const model = functional({ input: [] }, (x, { apply }) =>
    apply(reshape(x, [-1, 1]), dense(1, { weightInitializer })),
  );
  expect(model.inputShape).toEqual([]);
  using trainer = compileSync(model, options);
  expect([...trainer.predictSync([1, 2, 3])]).toEqual([1, 2, 3]);
  expect([...trainer.predictSync(Float32Array.of(4))]).toEqual([4]);
  expect(trainer.trainBatchSync({ x: [1, 2], y: [[1], [2]] })).toBe(0);
  // Numbers in, numbers out.
  const same = functional({ input: [] }, (x, { parameter }) => mul(x, reshape(parameter("w", [1], ones()), [])));
  using scaled = compileSync(same, options);
  expect(scaled.trainBatchSync({ x: [1, 3], y: [1, 1] })).toBe(2);
});
