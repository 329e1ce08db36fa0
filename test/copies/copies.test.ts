// Several copies of the package in one process: of one version they work together to the bit; of two they refuse.
import { runInContext } from "node:vm";
import { beforeAll, describe, expect, test } from "vitest";
import { bundle, type Copy, createRealm, load, version } from "./bundle.js";

let code: string;
let otherCode: string;
let [a, b, c]: Copy[] = [];
let other: Copy;

beforeAll(async () => {
  [code, otherCode] = await Promise.all([bundle(), bundle("9.8.7")]);
  [a, b, c] = [load(code), load(code), load(code)];
  other = load(otherCode);
});

/** Who makes what of a training. */
interface Makers {
  layers: Copy;
  operations: Copy;
  options: Copy;
  compile: Copy;
  engine: Copy;
}

const everythingBy = (copy: Copy): Makers => ({
  layers: copy,
  operations: copy,
  options: copy,
  compile: copy,
  engine: copy,
});

const data = {
  x: Array.from({ length: 24 }, (_, i) => [Math.sin(i), Math.cos(3 * i), (i % 5) / 5]),
  y: Array.from({ length: 24 }, (_, i) => i % 3),
};

/** Losses, predictions and parameters of a training whose parts stand side by side in one graph. */
async function train({ layers, operations, options, compile, engine }: Makers): Promise<number[]> {
  const { concatenate, sin, square, mul, mean, broadcastTo, stopGradient, div, add } = operations.graph;
  const { dense, relu, batchNorm, dropout, prelu } = layers;
  const { heNormal, maxNorm, l2, crossEntropy, adam } = options;
  const model = layers.functional({ input: [3] }, (x, { apply, parameter }) => {
    const wave = mul(sin(x), parameter("wave", [3], options.ones()));
    const wide = apply(
      concatenate([x, square(x), wave], 1),
      dense(16, { weightInitializer: heNormal(), weightConstraint: maxNorm(2), weightRegularizer: l2(0.01) }),
      batchNorm(),
      relu(),
    );
    const scale = broadcastTo(mean(wide, 1, { keepDims: true }), wide.shape);
    const shared = mul(wide, add(div(scale, 2), stopGradient(scale)));
    return apply(shared, dropout(0.2), dense(8), prelu(), dense(3));
  });
  const own = await engine.createEngine();
  const trainer = await compile.compile(model, {
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 0.05 }),
    metrics: ["accuracy"],
    engine: own,
    seed: 4,
  });
  const losses = await trainer.trainSteps(data, { steps: 12, batchSize: 8 });
  const { loss } = await trainer.evaluate(data);
  const predicted = await trainer.predict(data.x);
  const values = [...trainer.parameters().values()].flatMap((one) => [...one.data]);
  trainer.dispose();
  own.dispose();
  return [...losses, loss, ...(predicted as Float32Array), ...values];
}

/** Value and gradient of a function whose operations come from two copies by turns, and the bytes of its program. */
async function differentiate(first: Copy, second: Copy, compile: Copy): Promise<number[]> {
  const { input, constant } = first.graph;
  const x = input([2, 3], { name: "x" });
  const deep = second.graph.exp(first.graph.sin(second.graph.mul(x, constant([[1], [2]]))));
  const loss = first.graph.sum(second.graph.mul(deep, first.graph.add(deep, x)));
  const [dx] = second.graph.gradient(loss, [x]);
  const f = await compile.graph.compileFunction(() => ({ loss, dx }), { x });
  const out = f({ x: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] });
  f.dispose();
  return [...out.loss, ...out.dx, f.plannedBytes];
}

/** The gradient of x in three branches, which depends on the order in which they are added up: 0 or 1. */
function sumBranches(first: Copy, second: Copy): number {
  const x = first.graph.input([1]);
  const large = first.graph.scale(first.graph.neg(first.graph.neg(x)), 1e8);
  const small = second.graph.scale(x, 1);
  const opposite = first.graph.scale(first.graph.neg(x), 1e8);
  const loss = first.graph.sum(second.graph.add(first.graph.add(large, opposite), small));
  const [dx] = first.graph.gradient(loss, [x]);
  const f = first.graph.compileFunctionSync(() => ({ dx }), { x });
  const [value] = f({ x: [3] }).dx;
  f.dispose();
  return value;
}

describe("copies of one version give the bits of one copy", () => {
  test("a training whose layers, operations, options, programs and engine come from different copies", async () => {
    const right = await train(everythingBy(a));
    expect(right.every(Number.isFinite)).toBe(true);
    expect(new Set(right.slice(0, 12)).size).toBe(12);
    const parts = Object.keys(everythingBy(a)) as (keyof Makers)[];
    for (const part of parts) expect(await train({ ...everythingBy(a), [part]: b }), part).toEqual(right);
    expect(await train({ layers: a, operations: b, options: c, compile: b, engine: a })).toEqual(right);
    expect(await train({ layers: c, operations: a, options: b, compile: a, engine: c })).toEqual(right);
  });

  test("gradients through operations of two copies", async () => {
    const right = await differentiate(a, a, a);
    expect(await differentiate(a, b, c)).toEqual(right);
    expect(await differentiate(b, a, b)).toEqual(right);
    expect(sumBranches(a, b)).toBe(sumBranches(a, a));
    expect(sumBranches(b, c)).toBe(sumBranches(a, a));
  });

  test("a workspace of one, a model and an optimizer of another", () => {
    const run = (of: Copy, workspaceOf: Copy): number[] => {
      const model = of.sequential({ input: [3] }, of.dense(4), of.tanh(), of.dense(1));
      const workspace = workspaceOf.createWorkspaceSync({ seed: 2 });
      const { mean, square, sub } = of.graph;
      const step = workspace.step(({ x, y }, { apply }) => ({ loss: mean(square(sub(apply(x, model), y))) }), {
        inputs: { x: [24, 3], y: [24, 1] },
        train: model,
        optimizer: of.sgd({ learningRate: 0.1 }),
      });
      const losses = Array.from({ length: 5 }, () => step(data).loss[0]);
      workspace.dispose();
      return losses;
    };
    expect(run(a, b)).toEqual(run(b, b));
  });

  test("of another realm, or where the global object is frozen, the values are right too", async () => {
    const right = await train(everythingBy(a));
    const close = (found: number[], what: string) => {
      expect(found.length).toBe(right.length);
      // Each numbers for itself, so sums may come in another order.
      found.forEach((value, i) => {
        expect(Math.abs(value - right[i]), `${what}, ${i}`).toBeLessThan(1e-4 * (1 + Math.abs(right[i])));
      });
    };
    const elsewhere = load(code, createRealm());
    close(await train({ ...everythingBy(a), operations: elsewhere }), "operations of another realm");
    close(await train({ ...everythingBy(elsewhere), layers: a }), "layers of this realm in another");
    const frozen = createRealm();
    // What a frozen object answers; that of a context cannot be frozen.
    runInContext("Reflect.defineProperty = () => false", frozen);
    const [first, second] = [load(code, frozen), load(code, frozen)];
    close(await train({ ...everythingBy(first), operations: second }), "beside a frozen global object");
  });

  test("weights and checkpoints go from one copy's trainer to another's", () => {
    const make = (of: Copy, seed: number) =>
      of.compileSync(of.sequential({ input: [3] }, of.dense(3)), {
        loss: of.crossEntropy(),
        optimizer: of.adam(),
        seed,
      });
    const [from, to] = [make(a, 1), make(b, 2)];
    from.trainStepsSync(data, { steps: 2 });
    to.restore(c.io.decodeCheckpoint(b.io.encodeCheckpoint(from.checkpoint())));
    expect(to.parameters()).toEqual(from.parameters());
    const other = make(c, 3);
    a.io.decodeWeights(other, b.io.encodeWeights(to));
    expect(other.parameters()).toEqual(from.parameters());
    for (const trainer of [from, to, other]) trainer.dispose();
  });
});

describe("what another version made is refused", () => {
  const rows: [string, () => unknown][] = [
    ["a tensor", () => a.graph.add(a.graph.input([2]), other.graph.input([2]))],
    ["a layer", () => a.sequential({ input: [2] }, other.dense(1))],
    ["a model", () => compileWith({ model: other.sequential({ input: [2] }, other.dense(1)) })],
    ["a model in a model", () => a.sequential({ input: [2] }, other.sequential({ input: [2] }, other.dense(1)))],
    ["a loss", () => compileWith({ loss: other.meanSquaredError() }).trainStepsSync(data, { steps: 1 })],
    ["an optimizer", () => compileWith({ optimizer: other.adam() })],
    ["an engine", () => compileWith({ engine: other.createEngineSync() })],
    ["an initializer", () => a.sequential({ input: [2] }, a.dense(1, { weightInitializer: other.ones() }))],
    ["a constraint", () => a.sequential({ input: [2] }, a.dense(1, { weightConstraint: other.maxNorm() }))],
    ["an activation", () => a.sequential({ input: [2] }, other.relu())],
    [
      "an engine for a function",
      () =>
        a.graph.compileFunctionSync(
          ({ x }) => ({ y: a.graph.exp(x) }),
          { x: [1] },
          { engine: other.createEngineSync() },
        ),
    ],
    ["an engine for a workspace", () => a.createWorkspaceSync({ engine: other.createEngineSync() })],
    ["an input", () => a.graph.compileFunctionSync(({ x }) => ({ y: a.graph.exp(x) }), { x: other.graph.input([1]) })],
    ["a result", () => a.graph.compileFunctionSync(() => ({ y: other.graph.exp(other.graph.constant(1)) }), {})],
  ];
  const compileWith = (options: object) => {
    const { model = a.sequential({ input: [3] }, a.dense(1)), ...rest } = options as {
      model?: ReturnType<Copy["sequential"]>;
    };
    return a.compileSync(model, { loss: a.meanSquaredError(), optimizer: a.sgd(), ...rest });
  };

  test.each(rows)("%s", (_, use) => {
    let error: unknown;
    try {
      use();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(a.ModelError);
    const { message } = error as Error;
    expect(message).toContain("steepest 9.8.7");
    expect(message).toContain(`steepest ${version}`);
    expect(message).toContain("npm ls steepest");
  });
});

describe("errors are instances of every copy's classes", () => {
  const makers = {
    SteepestError: (of: Copy) => new of.SteepestError("x"),
    ModelError: (of: Copy) => new of.ModelError("x"),
    DataError: (of: Copy) => new of.DataError("x"),
    MemoryError: (of: Copy) => new of.MemoryError("x"),
    ThreadError: (of: Copy) => new of.ThreadError("x"),
    DivergenceError: (of: Copy) => new of.DivergenceError("training", { step: 1, loss: Number.NaN, learningRate: 1 }),
    FormatError: (of: Copy) => new of.io.FormatError("x"),
  };
  const classOf = (of: Copy, name: string) => (name === "FormatError" ? of.io.FormatError : of[name as "ModelError"]);

  test.each(Object.keys(makers) as (keyof typeof makers)[])("%s", (name) => {
    for (const of of [a, b, other, load(code, createRealm())]) {
      const error = makers[name](of);
      expect(error.name).toBe(name);
      for (const asked of Object.keys(makers)) {
        expect(error instanceof classOf(a, asked), `${name} instanceof ${asked}`).toBe(
          asked === name || asked === "SteepestError",
        );
      }
    }
    expect(makers[name](a) instanceof Error).toBe(true);
  });

  test("a derived class has its own instances alone, and nothing else is an instance", () => {
    class Derived extends a.ModelError {}
    expect(new Derived("x")).toBeInstanceOf(Derived);
    expect(new Derived("x")).toBeInstanceOf(b.ModelError);
    expect(new Derived("x")).toBeInstanceOf(b.SteepestError);
    expect(new a.ModelError("x")).not.toBeInstanceOf(Derived);
    expect(new b.ModelError("x")).not.toBeInstanceOf(Derived);
    for (const value of [
      undefined,
      null,
      1,
      "ModelError",
      {},
      Object.create(null),
      new Error("x"),
      { name: "ModelError" },
    ])
      expect((value as unknown) instanceof a.SteepestError).toBe(false);
  });
});
