import { createEngineSync, DataError } from "steepest";
import {
  add,
  argmax,
  compileFunction,
  compileFunctionSync,
  constant,
  gradient,
  type Initializer,
  input,
  matmul,
  mean,
  mul,
  parameter,
  square,
  sum,
} from "steepest/graph";
import { describe, expect, test } from "vitest";

const ones: Initializer = {
  name: "ones",
  record: (recorder, address, [length]) =>
    recorder.fill({ units: Math.ceil(length / 4), cost: length }, address, length, 1),
};

describe("compileFunction", () => {
  test("indices come out as numbers", () => {
    using f = compileFunctionSync(({ x }) => ({ place: argmax(x) }), { x: [2, 3] });
    expect(f({ x: [1, 5, 2, 7, 0, 9] }).place).toEqual(Float32Array.of(1, 2));
  });

  test("computes a function and its gradients, again and again", async () => {
    using f = await compileFunction(
      ({ x, w }) => {
        const loss = sum(square(matmul(x, w)));
        return { loss, dw: gradient(loss, w) };
      },
      { x: [2, 2], w: [2, 1] },
    );
    // x·w = [5, 11]; loss = 25 + 121; dw = 2·xᵀ·(x·w) = [2·(5 + 33), 2·(10 + 44)].
    for (let i = 0; i < 3; i++) {
      const { loss, dw } = f({
        x: [
          [1, 2],
          [3, 4],
        ],
        w: [1, 2],
      });
      expect([...loss]).toEqual([146]);
      expect([...dw]).toEqual([76, 108]);
    }
    expect([...f({ x: new Float32Array(4), w: [1, 2] }).loss]).toEqual([0]);
  });

  test("an input, a constant or the same tensor twice can be a result; scalars are numbers", () => {
    using f = compileFunctionSync(({ x }) => ({ x, twice: mul(x, 2), again: x }), { x: [] });
    const { x, twice, again } = f({ x: 21 });
    expect([x[0], twice[0], again[0]]).toEqual([21, 42, 21]);
  });

  test("without inputs it is called with none: an empty object, or nothing", () => {
    using f = compileFunctionSync(() => ({ y: constant([3]) }), {});
    expect([...f({}).y]).toEqual([3]);
    expect([...(f as unknown as () => { y: Float32Array })().y]).toEqual([3]);
    for (const given of [{ x: 1 }, [], 5, null]) expect(() => f(given as never)).toThrow(DataError);
  });

  test("parameters stay between calls and can be set", () => {
    const w = parameter([3], ones, "w");
    using f = compileFunctionSync(({ x }) => ({ y: add(x, w) }), { x: [3] });
    expect([...f({ x: [1, 2, 3] }).y]).toEqual([2, 3, 4]);
    f.setParameter("w", [10, 20, 30]);
    expect([...f({ x: [1, 2, 3] }).y]).toEqual([11, 22, 33]);
    expect([...f.parameter("w")]).toEqual([10, 20, 30]);
    expect(() => f.parameter("v")).toThrow(/one of the parameters w, got "v"/);
  });

  test("mistakes name what came and what was wanted; memory goes back", () => {
    const engine = createEngineSync();
    const used = engine.allocator.usedBytes();
    const f = compileFunctionSync(({ x }) => ({ y: mean(x) }), { x: [2, 3] }, { engine });
    expect(() => f({ x: [1, 2] })).toThrow('"x": must have shape [2, 3] (6 values), got shape [2]');
    expect(() => f({ x: new Float32Array(5) })).toThrow(/got 5 values/);
    expect(f({ x: [1, 2, 3, 4, 5, 6] }).y[0]).toBe(3.5);
    f.dispose();
    f.dispose();
    expect(() => f({ x: new Float32Array(6) })).toThrow(/disposed of/);
    const stray = input([2], { name: "stray" });
    const compiling = (trace: (x: ReturnType<typeof input>) => ReturnType<typeof input>) => () =>
      compileFunctionSync(({ x }) => ({ y: trace(x) }), { x: [2] }, { engine });
    expect(compiling((x) => add(x, stray))).toThrow(/one that depends on another, "stray": name it among the inputs/);
    expect(compiling((x) => gradient(x, x))).toThrow(/the loss must be a scalar/);
    expect(engine.allocator.usedBytes()).toBe(used);
    engine.dispose();
  });

  test("what is refused in the middle gives back what it took, and its own engine", () => {
    const engine = createEngineSync();
    const used = engine.allocator.usedBytes();
    const failing: Initializer = {
      name: "failing",
      record: () => {
        throw new Error("no values");
      },
    };
    const make = (options: object) =>
      compileFunctionSync(({ x }) => ({ y: add(x, parameter([3], failing)) }), { x: [3] }, options);
    expect(() => make({ engine })).toThrow("no values");
    expect(engine.allocator.usedBytes()).toBe(used);
    expect(() => make({})).toThrow("no values");
    engine.dispose();
  });

  test("parameters of one name cannot be told apart by it, but by themselves", () => {
    const [a, b] = [parameter([1], ones), parameter([1], ones)];
    using f = compileFunctionSync(({ x }) => ({ y: add(add(x, a), b) }), { x: [1] });
    f.setParameter(a, [5]);
    expect([...f.parameter(a), ...f.parameter(b), ...f({ x: [1] }).y]).toEqual([5, 1, 7]);
    expect(() => f.parameter(parameter([1], ones))).toThrow("must be asked for one of the parameters");
    f.setParameter(a, [1]);
    expect([...f({ x: [1] }).y]).toEqual([3]);
    expect(() => f.parameter("parameter")).toThrow(
      /must differ in their names to be asked for by these, got 2 named "parameter": hand in the parameter itself/,
    );
  });
});
