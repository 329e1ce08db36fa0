// scan against the same steps written one after another, and what its body may and may not do.
import { createEngine } from "steepest";
import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.js";
import { nodesBehind } from "../../src/graph/backward.js";
import { indexBounds } from "../../src/graph/bounds.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { planMemory } from "../../src/graph/plan.js";
import { buildProgram } from "../../src/graph/program.js";
import { bytesOf, constant, input, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import { applyLoop } from "../../src/ops/loop.js";
import { engineOf } from "./battery.js";
import { createRandom } from "./cases.js";

const { add, gradient, matmul, mul, scan, sigmoid, slice, square, stack, sum, tanh } = ops;

const SIZES = { time: 6, batch: 3, features: 4, units: 5 } as const;
type Cell = (state: readonly [h: Tensor, c: Tensor], x: Tensor) => readonly [h: Tensor, c: Tensor];

/** An LSTM cell: gates i, f, g, o of x·W + h·U + b. */
function lstmCell(w: Tensor, u: Tensor, b: Tensor): Cell {
  const units = u.shape[0];
  return ([h, c], x) => {
    const gates = add(add(matmul(x, w), matmul(h, u)), b);
    const [i, f, g, o] = [0, 1, 2, 3].map((k) => slice(gates, [0, k * units], [h.shape[0], (k + 1) * units]));
    const next = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(g)));
    return [mul(sigmoid(o), tanh(next)), next];
  };
}

type Inputs = Record<"x" | "h0" | "c0" | "w" | "u" | "b", Tensor>;
const shapesAt = (time: number) => {
  const { batch, features, units } = SIZES;
  return {
    x: [time, batch, features],
    h0: [batch, units],
    c0: [batch, units],
    w: [features, 4 * units],
    u: [units, 4 * units],
    b: [4 * units],
  };
};

function looped({ x, h0, c0, w, u, b }: Inputs) {
  const cell = lstmCell(w, u, b);
  const [[h, c], hs] = scan(
    (state, row) => {
      const [h, c] = cell(state, row);
      return [[h, c], h];
    },
    [h0, c0],
    x,
  );
  return { h, c, hs };
}

function unrolled({ x, h0, c0, w, u, b }: Inputs) {
  const cell = lstmCell(w, u, b);
  let [h, c] = [h0, c0];
  const hs: Tensor[] = [];
  for (let t = 0; t < x.shape[0]; t++) {
    [h, c] = cell([h, c], ops.reshape(slice(x, [t], [t + 1]), x.shape.slice(1)));
    hs.push(h);
  }
  return { h, c, hs: stack(hs, 0) };
}

/** What the layer gives, and the gradients of all that goes in, of a loss that all of it has a part in. */
function withGradients(layer: typeof looped) {
  return (t: Inputs) => {
    const { h, c, hs } = layer(t);
    const weights = ops.scale(ops.cumulativeSum(hs, 0), 0.5);
    const loss = add(sum(mul(square(hs), ops.stopGradient(weights))), add(sum(tanh(c)), sum(mul(h, c))));
    const of = Object.values(t);
    const gradients = gradient(loss, of);
    return { h, c, hs, ...Object.fromEntries(gradients.map((one, i) => [`d${Object.keys(t)[i]}`, one])) };
  };
}

const random = createRandom(3);
const valuesFor = (shapes: Record<string, readonly number[]>) =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.6 * random.normal()),
    ]),
  );

function run(trace: (t: Inputs) => Record<string, Tensor>, values: object, engine = engineOf("strict"), time = 6) {
  const f = compileFunctionSync(trace, shapesAt(time), { engine });
  const results = f(values as never);
  f.dispose();
  return results as Record<string, Float32Array>;
}

function expectNear(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  const scale = Math.max(...expected.map(Math.abs));
  expect(scale).toBeGreaterThan(0);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(tolerance * scale);
  });
}

describe("an LSTM", () => {
  const values = valuesFor(shapesAt(SIZES.time));

  test("has the bits of its steps one after another; its gradients are those up to rounding", () => {
    const [loop, steps] = [run(withGradients(looped), values), run(withGradients(unrolled), values)];
    for (const name of ["h", "c", "hs"]) expect(loop[name]).toEqual(steps[name]);
    // Sums over time are added up in another order.
    for (const name of ["dx", "dh0", "dc0", "dw", "du", "db"]) expectNear(loop[name], steps[name], 2 ** -20);
  });

  test("gives the same bits for 1, 2, 3, 4 and 8 threads", async () => {
    const { batch, features, units } = { batch: 64, features: 48, units: 64 };
    const shapes = {
      x: [3, batch, features],
      h0: [batch, units],
      c0: [batch, units],
      w: [features, 4 * units],
      u: [units, 4 * units],
      b: [4 * units],
    };
    const wide = valuesFor(shapes);
    const runWith = (engine: Engine) => {
      const f = compileFunctionSync(withGradients(looped), shapes, { engine });
      return f(wide as never);
    };
    const alone = runWith(engineOf("strict"));
    for (const threads of [2, 3, 4, 8]) {
      using engine = await createEngine({ threads });
      expect(runWith(engine)).toEqual(alone);
    }
  });

  test("has second derivatives, those of its steps", () => {
    const second =
      (layer: typeof looped) =>
      (t: Inputs): Record<string, Tensor> => {
        const { hs, c } = layer(t);
        const first = gradient(add(sum(mul(hs, square(hs))), sum(tanh(c))), [t.x, t.u, t.h0]);
        const norm = first.map((one) => sum(mul(square(one), one))).reduce((a, b) => add(a, b));
        const of = [t.x, t.w, t.u, t.b, t.h0, t.c0];
        return Object.fromEntries(gradient(norm, of).map((one, i) => [`d${i}`, one]));
      };
    const [loop, steps] = [run(second(looped), values), run(second(unrolled), values)];
    for (const name of Object.keys(steps)) expectNear(loop[name], steps[name], 2 ** -17);
  });
});

describe("the program", () => {
  const sizeAt = (time: number, trained: boolean) => {
    const engine = engineOf("strict");
    const inputs = Object.fromEntries(
      Object.entries(shapesAt(time)).map(([name, shape]) => [name, input(shape, { name })]),
    ) as Inputs;
    const results = Object.values(trained ? withGradients(looped)(inputs) : looped(inputs));
    const program = buildProgram(engine, { results, inputs: Object.values(inputs) });
    const { listing } = program.program;
    const size = { bytes: program.bytes, arena: program.plan.arenaBytes, instructions: listing.length, listing };
    program.dispose();
    return size;
  };

  test.each([false, true])(
    "does not grow with the number of steps, memory grows in proportion (trained: %s)",
    (trained) => {
      const [ten, hundred, long] = [10, 105, 200].map((time) => sizeAt(time, trained));
      expect(long.instructions).toBe(ten.instructions);
      const [perStep, later] = [(hundred.arena - ten.arena) / 95, (long.arena - hundred.arena) / 95];
      expect(Math.abs(later - perStep)).toBeLessThan(0.02 * perStep);
      // What is stored of a step: x, hs and, trained, the values and their gradients.
      expect(perStep).toBeLessThan((trained ? 40 : 2) * 4 * SIZES.batch * 4 * SIZES.units);
    },
  );

  test("stores what the gradient reads, and nothing without one", () => {
    const stored = (trained: boolean) =>
      sizeAt(10, trained).listing.filter(({ kernel }) => kernel === "writeRow").length;
    expect(stored(false)).toBe(1);
    // hs, h and c before each step, c and tanh(c) after it, the gates and the activations of them; then dx of each.
    expect(stored(true)).toBeGreaterThan(8);
    expect(stored(true)).toBeLessThan(20);
  });

  test("says of instructions in the body which node of it they are", () => {
    const { listing } = sizeAt(10, false);
    const tanhs = listing.filter(({ kernel }) => kernel === "tanh");
    expect(tanhs.length).toBeGreaterThan(0);
    for (const { origin, times } of tanhs) {
      expect(origin).toMatchObject({ operation: { name: "tanh" } });
      expect(times).toBe(10);
    }
    expect(listing.find(({ kernel }) => kernel === "repeat")).toMatchObject({
      origin: { operation: { name: "scan" } },
    });
  });
});

test("no steps: the carry is what it was, and so is its gradient", () => {
  const values = valuesFor(shapesAt(0));
  const { h, hs, dh0, dw, dx } = run(withGradients(looped), values, engineOf("strict"), 0);
  expect(h).toEqual(values.h0);
  expect([hs.length, dx.length]).toEqual([0, 0]);
  expect(dh0).toEqual(values.c0);
  expect(dw.every((value) => value === 0)).toBe(true);
});

test("what the body makes of tensors from outside alone is calculated once", () => {
  const [x, w] = [input([7, 3]), input([3])];
  const [, ys] = scan((h, row) => [add(h, row), mul(row, ops.exp(w))], w, x);
  const names = nodesBehind([ys]).map(({ operation }) => operation.name);
  expect(names).toEqual(["exp", "scan"]);
});

describe("random numbers", () => {
  const TIME = 5;
  const clock = input([16], { name: "clock", dtype: "uint32" });
  const key = { clock, seed: [1, 2] as const, stream: 3 };
  const draw = (trace: () => Record<string, Tensor>, step = 1) => {
    const f = compileFunctionSync(trace, { clock }, { engine: engineOf("strict") });
    const words = new Uint32Array(16);
    words[0] = step;
    const results = f({ clock: words });
    f.dispose();
    return results as Record<string, Float32Array>;
  };
  const rowsOf = (values: Float32Array, count = TIME) =>
    Array.from(
      { length: count },
      (_, t) => `${values.slice((t * values.length) / count, ((t + 1) * values.length) / count)}`,
    );
  const drawn = (options: { reverse?: boolean } = {}) =>
    scan(() => [[], ops.randomNormal([40], key)], [], undefined, { length: TIME, ...options })[1];

  test("are others in each step that draws them, and of each step of training; the same in reverse", () => {
    const { forth, back, before } = draw(() => ({
      forth: drawn(),
      back: drawn({ reverse: true }),
      before: ops.randomNormal([40], key),
    }));
    expect(new Set([...rowsOf(forth), `${before}`]).size).toBe(TIME + 1);
    expect(back).toEqual(forth);
    expect(draw(() => ({ forth: drawn() }))).toEqual({ forth });
    const later = draw(() => ({ forth: drawn() }), 2).forth;
    expect(new Set([...rowsOf(later), ...rowsOf(forth)]).size).toBe(2 * TIME);
  });

  test("are the same in all steps where they are drawn outside", () => {
    const { ys } = draw(() => {
      const mask = ops.dropout(ops.broadcastTo(constant(1), [40]), { ...key, rate: 0.5 });
      return { ys: scan(() => [[], mask], [], undefined, { length: TIME })[1] };
    });
    expect(new Set(rowsOf(ys)).size).toBe(1);
    expect(new Set(ys)).toEqual(new Set([0, 2]));
  });

  test("of a scan in a scan are others in each of its steps", () => {
    const { ys } = draw(() => ({
      ys: scan(() => [[], drawn()], [], undefined, { length: 3 })[1],
    }));
    expect(new Set(rowsOf(ys, 3 * TIME)).size).toBe(3 * TIME);
  });

  test("are drawn again by the gradient", () => {
    const { y, slope } = draw(() => {
      const x = ops.broadcastTo(constant(3), [TIME, 64]);
      const [, y] = scan((_, row) => [[], ops.dropout(row, { ...key, rate: 0.5 })], [], x);
      return { y, slope: gradient(sum(y), x) };
    });
    expect(new Set(rowsOf(y)).size).toBe(TIME);
    expect(slope).toEqual(y.map((value) => value / 3));
  });
});

test("indices are refused that are too large for what a step chooses from", () => {
  const [words, table, carried] = [input([4, 2], { dtype: "uint32" }), input([6, 3]), input([2], { dtype: "uint32" })];
  const [last, ys] = scan(
    (before, word) => [word, add(ops.gather(table, word), ops.gather(table, before))],
    carried,
    words,
  );
  const bounds = indexBounds([ys]);
  expect([bounds.get(words), bounds.get(carried)]).toEqual([6, 6]);
  // Through what is handed on: the last carry is a row of words.
  const later = indexBounds([ops.gather(input([5, 3]), last)]);
  expect([later.get(words), later.get(carried)]).toEqual([5, 6]);
  const f = compileFunctionSync(
    (t: { words: Tensor }) => ({ y: scan((s, word) => [add(s, ops.gather(table0(), word))], zeros(), t.words)[0] }),
    { words },
    { engine: engineOf("strict") },
  );
  expect(() => f({ words: [0, 1, 2, 3, 4, 5, 6, 0] })).toThrow(/words.*6/);
});
const table0 = () => ops.broadcastTo(constant(1), [6, 3]);
const zeros = () => ops.broadcastTo(constant(0), [2, 3]);

test("an operation without a derivative in the body is refused by its name, as outside", () => {
  const x = input([4, 3], { name: "x" });
  const [, ys] = scan((h, row) => [h, ops.oneHot(ops.argmax(add(row, h)), 3)], input([3]), x);
  expect(() => gradient(sum(ys), x)).toThrow(
    "gradient: oneHot has no derivative, but the loss depends on it through argmax",
  );
  // What no gradient goes through may have none.
  const [h] = scan((h, row) => [add(h, ops.gather(row, ops.argmax(ops.stopGradient(row))))], constant(0), x);
  expect(gradient(h, x).shape).toEqual([4, 3]);
});

describe("is refused", () => {
  const [x, h] = [input([4, 3], { name: "x" }), input([3], { name: "h" })];
  test.each<[string, () => unknown, string]>([
    ["a body that is none", () => scan(3 as never, h, x), "scan: the body must be a function, got 3"],
    ["another carry", () => scan((h) => [{ b: h.a }] as never, { a: h }, x), "scan: the carry must come back with "],
    [
      "a carry of another shape",
      () => scan((_, row) => [add(row, x)], h, x),
      "scan: the carry must come back as float32 of shape [3], as h of init, got float32 of shape [4, 3]",
    ],
    ["a carry of another dtype", () => scan((h) => [ops.argmax(h)], constant(1), input([2])), "got uint32 of shape []"],
    [
      "nothing back",
      () => scan(() => undefined as never, h, x),
      "scan: the body must return an array of the carry and y, got undefined: return [carry, y]",
    ],
    ["a promise", () => scan((async () => [h]) as never, h, x), "it must not be asynchronous"],
    ["a y that is no tensor", () => scan((h) => [h, [1]] as never, h, x), "y[0] must be a tensor, got 1"],
    [
      "a number in init",
      () => scan((h) => [h], 1 as never, x),
      "scan: init must be a tensor, or several in an array or an object, got 1",
    ],
    ["xs that are scalars", () => scan((h) => [h], h, constant(1)), "scan: xs must have an axis to go along"],
    ["an axis that is not there", () => scan((h) => [h], h, x, { axis: 2 }), "scan: "],
    [
      "two lengths",
      () => scan((h) => [h], h, [x, input([5])]),
      "scan: xs must have the same length along the axis, got 4, 5",
    ],
    [
      "another length than asked for",
      () => scan((h) => [h], h, x, { length: 3 }),
      "xs and the option length must have the same length along the axis, got 4, 3",
    ],
    [
      "neither xs nor a length",
      () => scan((h) => [h], h, undefined),
      "scan: there must be xs, or the option length, got neither",
    ],
    ["half a step", () => scan((h) => [h], h, undefined, { length: 0.5 }), "length must be a whole number"],
    ["no tensors at all", () => scan(() => [[]], [], x), "scan: the body must return at least one tensor"],
    ["an unknown option", () => scan((h) => [h], h, x, { reversed: true } as never), "reversed"],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(expect.objectContaining({ name: "ModelError" }));
  });
});

test("axes: ys go along that of xs, counted from the end too, and along 0 where they have too few", () => {
  const x = input([2, 5, 3]);
  const shapes = (axis: number) => {
    const [, { same, scalar }] = scan((_, row) => [[], { same: row, scalar: sum(row) }], [], x, { axis });
    return [same.shape, scalar.shape];
  };
  expect([0, 1, 2, -1, -2].map(shapes)).toEqual([
    [[2, 5, 3], [2]],
    [[2, 5, 3], [5]],
    [[2, 5, 3], [3]],
    [[2, 5, 3], [3]],
    [[2, 5, 3], [5]],
  ]);
});

test("types: the carry comes out as init went in, ys as y is", () => {
  const [t, c] = [input([3, 2]), input([2])];
  const [[p, q], ys] = scan(([p, q], x) => [[add(p, x), q], { a: p, b: q }], [c, c], t);
  const [{ h }, none] = scan(({ h, c }, { m, n }) => [{ h: add(h, mul(m, n)), c }], { h: c, c }, { m: t, n: t });
  const nothing: undefined = none;
  // @ts-expect-error the carry has another name
  expect(() => scan(({ h }) => [{ q: h }, h], { h: c }, t)).toThrow("the carry must come back with");
  expect([p, q, h, ys.a, ys.b].map(({ shape }) => shape)).toEqual([[2], [2], [2], [3, 2], [3, 2]]);
  expect(nothing).toBeUndefined();
});

test("its memory is what its plan says: nothing besides inputs, outputs and scratch", () => {
  const symbol = input([3]);
  const [last] = applyLoop(
    {
      length: 2,
      reverse: false,
      carries: new Map([[symbol, input([3])]]),
      xs: new Map(),
      next: [square(symbol)],
      ys: [],
    },
    { rows: new Map(), clocks: new Map(), fixed: new Map(), isOutside: () => false },
  );
  const leaves = nodesBehind([last]).flatMap(({ inputs }) => inputs);
  const plan = planMemory([last], new Map(leaves.map((leaf) => [leaf, 0])), { convolution: "auto" });
  const [step] = plan.steps;
  // The result, and for a step its counter and the square: nothing of the stacks, which nobody reads.
  expect(step.wanted).toEqual([true, false, false]);
  expect(plan.scratchBytesOf(step)).toBe(64 + 64);
  expect(plan.arenaBytes).toBe(3 * 64);
  expect(bytesOf(last)).toBe(12);
});
