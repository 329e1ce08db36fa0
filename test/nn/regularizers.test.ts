// Regularizers and constraints in a trainer: the loss has the penalty, its gradient is trained with, the constraint holds
// after every step.
import {
  adam,
  type Constraint,
  compileSync,
  createEngine,
  type DenseOptions,
  dense,
  l1,
  l1l2,
  l2,
  ModelError,
  maxNorm,
  meanSquaredError,
  minMaxNorm,
  nonNegative,
  normal,
  type Regularizer,
  sequential,
  sgd,
  tanh,
  unitNorm,
} from "steepest";
import { describe, expect, test } from "vitest";
import { startRecording } from "../../src/engine/instructions.js";
import { installProgram } from "../../src/graph/program.js";
import { type Shape, sizeOf } from "../../src/graph/tensor.js";
import { engineOf } from "../ops/battery.js";

const engine = engineOf("strict");
const wave = (n: number, by: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => 2 * Math.sin(i * by + 1));
const data = { x: wave(8 * 3, 1.7), y: wave(8 * 2, 0.9) };

function trainerOf(options: DenseOptions, learningRate = 0.1) {
  const model = sequential({ input: [3] }, dense(2, { name: "only", ...options }));
  return compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate }), engine, seed: 4 });
}

const dataOf = (trainer: ReturnType<typeof trainerOf>, name: string): Float32Array =>
  trainer.parameters().get(`only.${name}`)?.data as Float32Array;

describe("regularizers", () => {
  const total = (values: ArrayLike<number>, f: (value: number) => number): number =>
    Array.from(values).reduce((sum, value) => sum + f(value), 0);
  // Name, regularizer, penalty of all, derivative of one.
  const all: [string, Regularizer, (w: ArrayLike<number>) => number, (w: number) => number][] = [
    ["l1", l1(0.03), (w) => 0.03 * total(w, Math.abs), (w) => 0.03 * Math.sign(w)],
    ["l1, default", l1(), (w) => 0.01 * total(w, Math.abs), (w) => 0.01 * Math.sign(w)],
    ["l2", l2(0.2), (w) => 0.2 * total(w, (v) => v * v), (w) => 0.4 * w],
    ["l2, default", l2(), (w) => 0.01 * total(w, (v) => v * v), (w) => 0.02 * w],
    [
      "l1l2",
      l1l2({ l1: 0.05, l2: 0.1 }),
      (w) => 0.05 * total(w, Math.abs) + 0.1 * total(w, (v) => v * v),
      (w) => 0.05 * Math.sign(w) + 0.2 * w,
    ],
  ];

  test.each(all)("%s: the loss has the penalty, and a step its gradient", (_, regularizer, penalty, slope) => {
    for (const which of ["weight", "bias"] as const) {
      const options = { biasInitializer: normal({ standardDeviation: 1 }) };
      using plain = trainerOf(options);
      using trainer = trainerOf({ ...options, [`${which}Regularizer`]: regularizer });
      const start = dataOf(plain, which).slice();
      expect(dataOf(trainer, which)).toEqual(start);
      const added = trainer.evaluateSync(data).loss - plain.evaluateSync(data).loss;
      expect(Math.abs(added - penalty(start))).toBeLessThan(1e-5);
      const [reported] = trainer.trainStepsSync(data, { steps: 1 });
      const [bare] = plain.trainStepsSync(data, { steps: 1 });
      expect(Math.abs(reported - bare - penalty(start))).toBeLessThan(1e-5);
      const moved = dataOf(trainer, which);
      dataOf(plain, which).forEach((value, i) => {
        expect(Math.abs(moved[i] - (value - 0.1 * slope(start[i])))).toBeLessThan(1e-6);
      });
    }
  });

  test("l1 makes weights small that nothing needs", () => {
    using trainer = trainerOf({ weightRegularizer: l1(0.5) }, 0.01);
    trainer.trainStepsSync({ x: data.x, y: new Float32Array(16) }, { steps: 1000 });
    expect(dataOf(trainer, "weight").every((value) => Math.abs(value) < 0.02)).toBe(true);
  });

  test.each([
    [() => l1(-1), "l1: strength must be a number of at least 0, got -1"],
    [() => l2(Number.NaN), "l2: strength must be a number of at least 0, got NaN"],
    [() => l1l2({ l1: "1" as never }), 'l1l2: l1 must be a number of at least 0, got "1"'],
    [() => l1l2({ l3: 1 } as object), 'l1l2: unknown option "l3": the options are l1, l2'],
  ])("refused: case %#", (make, message) => {
    expect(make).toThrow(ModelError);
    expect(make).toThrow(message);
  });
});

/** Applies a constraint to values of a shape, cut into units at random places, and watches what lies behind them. */
function constrained(constraint: Constraint, shape: Shape, values: ArrayLike<number>): Float32Array {
  const n = sizeOf(shape);
  const address = engine.allocator.allocate(n * 4 + 64);
  const results = [[1], [1, 2, 3]].map((cuts) => {
    engine.words(address, n + 16).fill(0x7fc0beef);
    engine.floats(address, n).set(values);
    const recording = startRecording();
    constraint.record(recording.record, address, shape);
    const program = installProgram(engine, recording);
    for (const { offset, units } of program.listing) {
      const places = [0, ...cuts.map((cut) => Math.floor((units * cut) / cuts.length))];
      for (let i = cuts.length; i > 0; i--) engine.runRange(program.address + offset * 4, places[i - 1], places[i]);
    }
    engine.allocator.free(program.address);
    expect(engine.words(address + n * 4, 16).every((word) => word === 0x7fc0beef)).toBe(true);
    return engine.floats(address, n).slice();
  });
  engine.allocator.free(address);
  expect(results[1]).toEqual(results[0]);
  return results[0];
}

/** In float64: element i belongs to the norm number `groupOf(i)`. */
function reference(values: Float32Array, groupOf: (i: number) => number, wanted: (norm: number) => number): number[] {
  const squares = new Map<number, number>();
  values.forEach((value, i) => {
    squares.set(groupOf(i), (squares.get(groupOf(i)) ?? 0) + value * value);
  });
  return Array.from(values, (value, i) => {
    const norm = Math.sqrt(squares.get(groupOf(i)) as number);
    return norm === 0 ? value : (value * wanted(norm)) / norm;
  });
}

describe("constraints of norms", () => {
  const clip =
    (least: number, most: number, rate = 1) =>
    (norm: number) =>
      rate * Math.min(Math.max(norm, least), most) + (1 - rate) * norm;
  const sizes = [1, 3, 4, 5, 7, 8, 9, 16, 17];
  // Shape, axis, which norm an element is of.
  const shapes: [number[], number | number[] | undefined, (i: number) => number][] = [
    ...sizes.map((n): (typeof shapes)[number] => [[6, n], undefined, (i) => i % n]),
    ...sizes.map((n): (typeof shapes)[number] => [[n], undefined, () => 0]),
    ...sizes.map((n): (typeof shapes)[number] => [[3, n], 1, (i) => Math.floor(i / n)]),
    ...sizes.map((n): (typeof shapes)[number] => [[3, 5, n], 1, (i) => Math.floor(i / (5 * n)) * n + (i % n)]),
    [[3, 3, 4, 6], undefined, (i) => i % 6],
    [[3, 3, 4, 6], [0, 1, 2], (i) => i % 6],
    [[3, 3, 4, 6], [1, 0], (i) => i % 24],
    [[3, 3, 4, 6], -2, (i) => Math.floor(i / 24) * 6 + (i % 6)],
    [[2, 3, 4], [0, 1, 2], () => 0],
  ];
  const constraints: [string, (axis: number | number[] | undefined) => Constraint, (norm: number) => number][] = [
    ["maxNorm", (axis) => maxNorm(1.5, { ...(axis === undefined ? {} : { axis }) }), clip(0, 1.5)],
    ["unitNorm", (axis) => unitNorm({ ...(axis === undefined ? {} : { axis }) }), () => 1],
    [
      "minMaxNorm",
      (axis) => minMaxNorm({ min: 2, max: 3, rate: 0.25, ...(axis === undefined ? {} : { axis }) }),
      clip(2, 3, 0.25),
    ],
  ];

  test.each(constraints)("%s, against float64, over shapes and axes", (_, make, wanted) => {
    for (const [shape, axis, groupOf] of shapes) {
      const values = wave(sizeOf(shape), 0.77);
      const expected = reference(values, groupOf, wanted);
      constrained(make(axis), shape, values).forEach((value, i) => {
        expect(Math.abs(value - expected[i]), `${shape} ${axis} ${i}`).toBeLessThan(
          3e-7 * Math.abs(expected[i]) + 1e-30,
        );
      });
    }
  });

  test("what is within the norm keeps its bits; zeros stay; NaN spreads over its own norm only", () => {
    const values = Float32Array.of(0.3, 0, Number.NaN, 0.1, 0, 1, 0.2, 0, 2);
    const result = constrained(maxNorm(1), [3, 3], values);
    expect(Array.from(result, (value, i) => (i % 3 === 2 ? Number.isNaN(value) : Object.is(value, values[i])))).toEqual(
      new Array(9).fill(true),
    );
    expect(constrained(unitNorm(), [2, 1], [0, 0])).toEqual(new Float32Array(2));
  });

  test("numbers whose squares float32 cannot hold", () => {
    constrained(unitNorm(), [2, 2], [3e30, 1e-30, 4e30, 0]).forEach((value, i) => {
      expect(Math.abs(value - [0.6, 1, 0.8, 0][i])).toBeLessThan(1e-7);
    });
  });

  test("nonNegative", () => {
    expect(Array.from(constrained(nonNegative(), [5], [1, -1, 0, 3, -0.5]))).toEqual([1, 0, 0, 3, 0]);
  });

  test.each([
    [() => maxNorm(0), "maxNorm: max must be a number greater than 0, got 0"],
    [() => maxNorm(Number.POSITIVE_INFINITY), "maxNorm: max must be a number of at least 0, got Infinity"],
    [() => minMaxNorm({ min: 2 }), "minMaxNorm: min must be a number between 0 and 1, got 2"],
    [() => minMaxNorm({ rate: 1.5 }), "minMaxNorm: rate must be a number between 0 and 1, got 1.5"],
    [() => unitNorm({ axes: 1 } as object), 'unitNorm: unknown option "axes"'],
    [
      () => constrained(unitNorm({ axis: 2 }), [3, 4], wave(12, 1)),
      "unitNorm: axis must be of the parameter's 2 axes [3, 4], next to each other and each once, got 2",
    ],
    [
      () => constrained(maxNorm(1, { axis: [0, 2] }), [2, 3, 4], wave(24, 1)),
      "maxNorm: axis must be of the parameter's",
    ],
    [() => constrained(maxNorm(1, { axis: [1, -1] }), [2, 3], wave(6, 1)), "each once, got [1, -1]"],
    [
      () => constrained(maxNorm(1, { axis: [] }), [2, 3], wave(6, 1)),
      "maxNorm: axis must be of the parameter's 2 axes",
    ],
  ])("refused: case %#", (make, message) => {
    expect(make).toThrow(ModelError);
    expect(make).toThrow(message);
  });
});

describe("constraints in a trainer", () => {
  test("hold after every step; the step before is the one without", () => {
    using plain = trainerOf({}, 0.5);
    using trainer = trainerOf({ weightConstraint: maxNorm(0.7), biasConstraint: nonNegative() }, 0.5);
    let wasReached = 0;
    for (let step = 0; step < 10; step++) {
      plain.setParameters(trainer.parameters());
      plain.trainStepsSync(data, { steps: 1 });
      trainer.trainStepsSync(data, { steps: 1 });
      const free = dataOf(plain, "weight");
      const expected = reference(
        free,
        (i) => i % 2,
        (norm) => Math.min(norm, 0.7),
      );
      dataOf(trainer, "weight").forEach((value, i) => {
        expect(Math.abs(value - expected[i])).toBeLessThan(1e-6);
      });
      wasReached += Number(free.some((value, i) => Math.abs(value - expected[i]) > 1e-3));
      expect(dataOf(trainer, "bias")).toEqual(dataOf(plain, "bias").map((value) => Math.max(value, 0)));
    }
    expect(wasReached).toBeGreaterThan(2);
  });

  test("and regularizers: the same bits for several threads", async () => {
    const run = async (threads: number): Promise<string> => {
      using own = await createEngine({ threads, build: "strict", background: false });
      const model = sequential(
        { input: [256] },
        dense(256, { weightConstraint: unitNorm(), weightRegularizer: l2() }),
        tanh(),
        dense(4, { weightConstraint: minMaxNorm({ axis: 1 }), biasConstraint: maxNorm(0.01), weightRegularizer: l1() }),
      );
      using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: adam(), engine: own, seed: 2 });
      trainer.trainStepsSync({ x: wave(64 * 256, 0.3), y: wave(64 * 4, 0.7) }, { steps: 5, batchSize: 32 });
      return [...trainer.parameters().values()].map((value) => Buffer.from(value.data.buffer).toString("hex")).join();
    };
    expect(await run(3)).toBe(await run(1));
  });

  test("refused when the layer is built", () => {
    const build = (options: DenseOptions) => () => sequential({ input: [4] }, dense(3, options));
    expect(build({ weightConstraint: unitNorm({ axis: 2 }) })).toThrow(/unitNorm: axis must be/);
    expect(build({ weightRegularizer: 0.1 as never })).toThrow(
      /dense: weightRegularizer must be a regularizer such as l2\(\), got 0\.1/,
    );
    expect(build({ biasConstraint: "max" as never })).toThrow(
      /dense: biasConstraint must be a constraint such as maxNorm\(\), got "max"/,
    );
  });
});
