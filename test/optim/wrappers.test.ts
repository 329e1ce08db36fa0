// What is put around optimizers, and optimizers that users write: against float64, PyTorch, and one another.
import { readFileSync } from "node:fs";
import {
  adam,
  averaged,
  clipByGlobalNorm,
  clipByNorm,
  clipByValue,
  compileSync,
  createEngine,
  createEngineSync,
  createWorkspaceSync,
  DivergenceError,
  dense,
  groups,
  lars,
  learningRateAt,
  lookahead,
  meanSquaredError,
  type Optimizer,
  sequential,
  sgd,
  tanh,
} from "steepest";
import { elements, mean, rows, square, sub } from "steepest/graph";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";
import { type Pointer, serial, startRecording } from "../../src/engine/instructions.js";
import type { Recorder } from "../../src/engine/recorder.js";
import { installProgram } from "../../src/graph/program.js";
import { layoutOptimizer, placeOptimizer } from "../../src/optim/placement.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const GUARD = 0x7fc0beef;

function take(values: ArrayLike<number>): Pointer {
  const address = engine.allocator.allocate(values.length * 4 + 64);
  engine.floats(address, values.length).set(values);
  engine.words(address + values.length * 4, 16).fill(GUARD);
  return address;
}

function guarded(address: Pointer, length: number): boolean {
  return engine.words(address + length * 4, 16).every((word) => word === GUARD);
}

function run(record: (recorder: Recorder) => void): number {
  const recording = startRecording();
  record(recording.record);
  const program = installProgram(engine, recording);
  engine.run(program.address, program.end, 1);
  return program.address;
}

/** Numbers of all magnitudes from 1e-6 to 1e2. */
const numbers = (length: number, seed = 1) =>
  Float32Array.from({ length }, (_, i) => Math.sin(seed * 100 + 7 * i) * 10 ** ((i % 9) - 6));

describe("kernels", () => {
  test.each([1, 3, 4, 4095, 4096, 4097, 20_001])("norm and factor of %i elements", (n) => {
    const x = numbers(n);
    const parts = Math.ceil(n / 4096);
    const [at, sums, factor] = [take(x), take(new Float32Array(parts * 2)), take([0])];
    const program = run((record) => {
      record.sumSquares(rows(parts, n), sums, at, n);
      record.clipFactor(serial, factor, sums, parts, 0.01);
    });
    const norm = Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0));
    expect(engine.floats(factor, 1)[0]).toBe(Math.fround(norm > 0.01 ? 0.01 / norm : 1));
    expect([guarded(at, n), guarded(sums, parts * 2), guarded(factor, 1)]).toEqual([true, true, true]);
    const whole = engine.words(sums, parts * 2).slice();
    engine.floats(sums, parts * 2).fill(0);
    for (let unit = parts - 1; unit >= 0; unit--) engine.runRange(program, unit, unit + 1);
    expect(engine.words(sums, parts * 2)).toEqual(whole);
    run((record) => record.scaleBy(elements(n), at, factor, n));
    expect(engine.floats(at, n)).toEqual(x.map((value) => value * engine.floats(factor, 1)[0]));
    expect(guarded(at, n)).toBe(true);
  });

  test("a norm of nothing, beyond float32, of infinities and NaN", () => {
    const factorOf = (x: readonly number[]): number => {
      const [at, sums, factor] = [take(x), take([0, 0]), take([0])];
      run((record) => {
        record.sumSquares(rows(1, 4), sums, at, x.length);
        record.clipFactor(serial, factor, sums, 1, 2);
      });
      return engine.floats(factor, 1)[0];
    };
    expect(factorOf([0, 0, 0])).toBe(1);
    expect(factorOf([3e38, 0])).toBe(Math.fround(2 / Math.fround(3e38)));
    expect(factorOf([1, Number.POSITIVE_INFINITY])).toBe(0); // times infinity that is NaN: it comes through
    expect(factorOf([1, Number.NaN])).toBe(1);
  });

  test.each([
    ["exponential", 0.9, 1, 1],
    ["exponential from step 4", 0.75, 4, 1],
    ["exponential of every second from step 3", 0.75, 3, 2],
    ["mean", 1, 1, 1],
    ["mean from step 3", 1, 3, 1],
    ["mean of every third from step 2", 1, 2, 3],
  ])("moving average, %s", (_, decay, start, every) => {
    const n = 48;
    const average = Float64Array.from(numbers(n));
    const [at, p, clock] = [take(average), take(numbers(n, 2)), take(new Float32Array(16))];
    for (let step = 1; step <= 12; step++) {
      const values = numbers(n, step + 2);
      engine.floats(p, n).set(values);
      run((record) => {
        record.advance(serial, clock, 0, 0, 0);
        record.movingAverage(elements(n), at, p, clock, start, every, decay);
      });
      const due = step < start || (step - start) % every === 0;
      const gain = !due ? 0 : step < start ? 1 : decay < 1 ? 1 - decay : 1 / ((step - start) / every + 1);
      average.forEach((before, i) => {
        average[i] = before + gain * (values[i] - before);
      });
      engine.floats(at, n).forEach((value, i) => {
        expect(Math.abs(value - average[i])).toBeLessThan(1e-6 * Math.max(1e-3, ...average.map(Math.abs)) * step);
      });
      expect(guarded(at, n)).toBe(true);
    }
  });
});

/** Tensors under an optimizer, stored in the order that it likes. */
function bench(optimizer: Optimizer, start: Readonly<Record<string, readonly number[]>>) {
  const tensors = Object.entries(start).map(([path, { length }]) => ({ path, shape: [length], length }));
  const layout = layoutOptimizer("test", optimizer, tensors);
  const padded = (length: number) => Math.ceil(length / 16) * 16;
  const block = (): Pointer =>
    take(new Float32Array(layout.tensors.reduce((sum, { length }) => sum + padded(length), 0)));
  const [p, g] = [block(), block()];
  let offset = 0;
  const offsets = new Map<string, number>();
  for (const { path, length } of layout.tensors) {
    offsets.set(path, offset);
    offset += padded(length);
  }
  const at = (base: Pointer) => layout.tensors.map(({ path }) => base + 4 * (offsets.get(path) as number));
  const clock = take(new Float32Array(layout.clockBytes / 4));
  const names = typeof optimizer.learningRate === "object" ? Object.keys(optimizer.learningRate) : [undefined];
  const rates = take(new Float32Array(names.length));
  const placement = placeOptimizer(layout, {
    parameters: at(p),
    gradients: at(g),
    slots: layout.slots.map(({ bytes }) => take(new Float32Array(bytes / 4))),
    scratch: take(new Float32Array(layout.scratchBytes / 4 + 1)),
    clock,
  });
  const write = (base: Pointer, values: Readonly<Record<string, ArrayLike<number>>>): void => {
    for (const [path, some] of Object.entries(values)) {
      engine.floats(base + 4 * (offsets.get(path) as number), some.length).set(some);
    }
  };
  const read = (base: Pointer): Record<string, Float32Array> =>
    Object.fromEntries(
      tensors.map(({ path, length }) => [
        path,
        engine.floats(base + 4 * (offsets.get(path) as number), length).slice(),
      ]),
    );
  write(p, start);
  let steps = 0;
  return {
    blocks: placement.blocks.length,
    step(gradients: Readonly<Record<string, ArrayLike<number>>>) {
      steps += 1;
      engine.floats(rates, names.length).set(names.map((group) => learningRateAt(optimizer, steps, group)));
      engine.words(clock, 2)[1] = 0;
      write(g, gradients);
      run((record) => {
        record.advance(serial, clock, rates, names.length, 0);
        optimizer.record(record, placement);
        optimizer.finish?.(record, placement);
      });
    },
    parameters: () => read(p),
    gradients: () => read(g),
  };
}

interface Golden {
  readonly gradients: Record<string, number[]>;
  readonly norm: Record<string, { readonly max: number; readonly gradients: Record<string, number[]> }>;
  readonly value: { readonly max: number; readonly gradients: Record<string, number[]> };
}

// Recorded by clipping.py, which is next to it.
const golden: Golden = JSON.parse(readFileSync(new URL("../golden/clipping.json", import.meta.url), "utf8"));

describe("clipping", () => {
  const norm = Math.sqrt(
    Object.values(golden.gradients)
      .flat()
      .reduce((sum, g) => sum + g ** 2, 0),
  );

  /** Leaves gradients scaled in memory. */
  const inMemory = (optimizer: Optimizer): Optimizer => ({ ...optimizer, scalesGradients: false });

  test.each(Object.entries(golden.norm))("by the global norm: %s, as PyTorch", (_, { max, gradients }) => {
    const { step, gradients: clipped } = bench(clipByGlobalNorm(max, inMemory(sgd())), golden.gradients);
    step(golden.gradients);
    for (const [path, values] of Object.entries(clipped())) {
      // PyTorch adds 1e-6 to the norm.
      const tolerance = 2e-7 + 1e-6 / norm;
      values.forEach((value, i) => {
        expect(Math.abs(value - gradients[path][i])).toBeLessThanOrEqual(tolerance * Math.abs(gradients[path][i]));
      });
    }
  });

  test("by value, as PyTorch", () => {
    const { max, gradients } = golden.value;
    const { step, gradients: clipped } = bench(clipByValue(max, sgd()), golden.gradients);
    step(golden.gradients);
    for (const [path, values] of Object.entries(clipped())) expect(values).toEqual(Float32Array.from(gradients[path]));
  });

  test("each parameter by its own norm", () => {
    const { step, gradients: clipped } = bench(clipByNorm(2, inMemory(sgd())), golden.gradients);
    step(golden.gradients);
    const factors = Object.entries(clipped()).map(([path, values]) => {
      const own = Math.hypot(...golden.gradients[path]);
      const factor = Math.min(1, 2 / own);
      values.forEach((value, i) => {
        expect(Math.abs(value - factor * golden.gradients[path][i])).toBeLessThan(3e-7 * 3);
      });
      return factor;
    });
    expect(new Set(factors).size).toBe(4);
  });

  test("the global norm is that of all groups together around them, and of one within", () => {
    const around = bench(
      clipByGlobalNorm(1, groups({ "a.*": inMemory(sgd()), "*": inMemory(adam()) })),
      golden.gradients,
    );
    const plain = bench(clipByGlobalNorm(1, inMemory(sgd())), golden.gradients);
    const within = bench(groups({ "a.*": clipByGlobalNorm(1, inMemory(sgd())), "*": sgd() }), golden.gradients);
    for (const one of [around, plain, within]) one.step(golden.gradients);
    expect(around.gradients()).toEqual(plain.gradients());
    const { "a.weight": weight, "a.bias": bias, ...rest } = within.gradients();
    expect(Math.hypot(...weight, ...bias)).toBeCloseTo(1, 6);
    for (const [path, values] of Object.entries(rest))
      expect(values).toEqual(Float32Array.from(golden.gradients[path]));
  });

  test("a factor goes through wrappers and groups to those that scale, and the others' gradients are scaled in memory", () => {
    const steps = (read: (optimizer: Optimizer) => Optimizer) => {
      const last = clipByNorm(0.3, lookahead(read(sgd())));
      const inner = groups({ "a.*": averaged(read(adam())), "b.weight": lars(), "*": last });
      const one = bench(clipByGlobalNorm(2, clipByNorm(0.5, inner)), golden.gradients);
      for (let step = 0; step < 6; step++) one.step(golden.gradients);
      return { parameters: one.parameters(), gradients: one.gradients() };
    };
    const [read, scaled] = [steps((optimizer) => optimizer), steps(inMemory)];
    expect(read.parameters).toEqual(scaled.parameters);
    expect(read.gradients).not.toEqual(scaled.gradients);
  });

  test("the outermost comes first: the norms within are of what it leaves", () => {
    const { step, parameters } = bench(
      clipByGlobalNorm(2, clipByNorm(0.9, sgd({ learningRate: 1 }))),
      golden.gradients,
    );
    const before = parameters();
    step(golden.gradients);
    const left = Object.values(golden.gradients).map((g) => g.map((value) => (value * 2) / norm));
    const factors = left.map((g) => Math.min(1, 0.9 / Math.hypot(...g)));
    expect(factors.map((factor) => factor < 1)).toContain(true);
    expect(factors).toContain(1);
    Object.entries(parameters()).forEach(([path, values], k) => {
      values.forEach((value, i) => expect(value).toBeCloseTo(before[path][i] - factors[k] * left[k][i], 5));
    });
  });
});

describe("groups", () => {
  const start = golden.gradients;

  test("are their optimizers, each on its own tensors, bit by bit; each in one block", () => {
    const rate = (step: number) => 0.1 / step;
    const parts = { "*.bias": sgd({ learningRate: rate, momentum: 0.9 }), "*": adam({ learningRate: 0.02 }) };
    const both = bench(groups(parts), start);
    const only = (of: RegExp) => Object.fromEntries(Object.entries(start).filter(([path]) => of.test(path)));
    const apart = [bench(parts["*.bias"], only(/bias/)), bench(parts["*"], only(/weight/))];
    for (let step = 1; step <= 5; step++) {
      const gradients = Object.fromEntries(
        Object.entries(start).map(([path, { length }], i) => [path, numbers(length, step + 10 * i)]),
      );
      both.step(gradients);
      for (const one of apart) {
        const own = Object.keys(one.parameters());
        one.step(Object.fromEntries(own.map((path) => [path, gradients[path]])));
      }
    }
    expect(both.parameters()).toEqual({ ...apart[0].parameters(), ...apart[1].parameters() });
    expect([both.blocks, apart[0].blocks, apart[1].blocks]).toEqual([2, 1, 1]);
  });

  test("the first pattern counts; a pattern is a path, a layer, or has stars", () => {
    const optimizer = groups({
      "a.bias": sgd({ learningRate: 1 }),
      a: sgd({ learningRate: 2 }),
      "*ias": sgd({ learningRate: 3 }),
      "*": sgd({ learningRate: 4 }),
    });
    const { step, parameters } = bench(optimizer, { "a.bias": [0], "a.weight": [0], "ab.bias": [0], "b.weight": [0] });
    step({ "a.bias": [-1], "a.weight": [-1], "ab.bias": [-1], "b.weight": [-1] });
    expect(Object.values(parameters()).map(([value]) => value)).toEqual([1, 2, 3, 4]);
  });

  test("have a learning rate each, which a divergence names", () => {
    const optimizer = groups({
      "*.bias": sgd({ learningRate: 0.5 }),
      "*": adam({ learningRate: (step) => step * 2 ** 100 }),
    });
    expect(learningRateAt(optimizer, 3, "*.bias")).toBe(0.5);
    expect(learningRateAt(optimizer, 3, "*")).toBe(3 * 2 ** 100);
    expect(() => learningRateAt(optimizer, 3)).toThrow(
      'learningRateAt: group must be one of "*.bias", "*", got undefined',
    );
    using trainer = compileSync(sequential({ input: [2] }, dense(1)), { loss: meanSquaredError(), optimizer, engine });
    const train = () => trainer.trainStepsSync({ x: [[1, 2]], y: [[1]] }, { steps: 3 });
    expect(train).toThrow(DivergenceError);
    trainer.reset();
    expect(train).toThrow('at step 2 (epoch 2), with learning rates 0.5 of "*.bias", 2.535301e+30 of "*"');
  });

  test("a divergence names the one rate of its step too", () => {
    const optimizer = sgd({ learningRate: (step) => step * 2 ** 100 });
    const model = sequential({ input: [2] }, dense(1));
    const once = { x: [[1, 2]], y: [[1]] };
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer, engine });
    expect(() => trainer.trainStepsSync(once, { steps: 3 })).toThrow(
      "at step 2 (epoch 2), with learning rate 2.535301e+30",
    );
    using workspace = createWorkspaceSync({ engine });
    const step = workspace.step((given, { apply }) => ({ loss: mean(square(sub(apply(given.x, model), given.y))) }), {
      inputs: { x: [1, 2], y: [1, 1] },
      train: model,
      optimizer,
    });
    expect(() => [step(once), step(once)]).toThrow("at step 2, with learning rate 2.535301e+30");
  });

  const compiling = (optimizer: Optimizer) => () =>
    compileSync(sequential({ input: [2] }, dense(2), dense(1)), { loss: meanSquaredError(), optimizer, engine });

  test.each([
    [
      groups({ "*.bias": sgd() }),
      'compile: groups: every parameter must match a pattern, got "0.weight" and the patterns "*.bias": add "*"',
    ],
    [
      groups({ nothing: sgd(), "*": sgd() }),
      'compile: groups: "nothing" must match a parameter that is trained, got 0.weight, 0.bias',
    ],
    [
      groups({ "*": sgd(), "*.bias": sgd() }),
      'compile: groups: "*.bias" must match a parameter that no pattern before it does, got "0.bias" taken: put it first',
    ],
  ] as [Optimizer, string][])("are refused: case %#", (optimizer, message) => {
    expect(compiling(optimizer)).toThrowError(
      expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
    );
  });
});

// y = 2 x0 - x1 + noise, which a small model learns.
const model = sequential({ input: [2] }, dense(8), tanh(), dense(1));
const x = Array.from({ length: 40 }, (_, i) => [Math.sin(3 * i), Math.cos(5 * i)]);
const data = { x, y: x.map(([a, b]) => [2 * a - b]) };
const loss = meanSquaredError();
const open = (optimizer: Optimizer) => compileSync(model, { loss, optimizer, engine, seed: 3 });

/** Sign descent, p -= rate · sign(g): two instructions that are there. */
const signDescent = (learningRate: number): Optimizer => ({
  name: "signDescent",
  learningRate,
  record(recorder, { blocks, learningRates: [rate] }) {
    for (const { parameters, gradients, length } of blocks) {
      recorder.sign(elements(length), gradients, gradients, length);
      recorder.sgd(elements(length), parameters, gradients, 0, rate, 0);
    }
  },
});

/** p -= rate · ‖p‖ / ‖g‖ · g, tensor by tensor (LARS without momentum, You et al. 2017), and how often in a slot. */
const layerwise = (learningRate: number): Optimizer => ({
  name: "layerwise",
  learningRate,
  slots: () => [{ name: "steps", length: 3 }],
  scratchBytes: (tensors) => 12 * tensors.length + 4,
  record(recorder, { tensors, blocks, slots: [count], scratch, learningRates: [rate] }) {
    const one = scratch + 12 * tensors.length;
    tensors.forEach(({ parameters, gradients, length }, index) => {
      const [p, g, ratio] = [0, 4, 8].map((offset) => scratch + 12 * index + offset);
      recorder.deviation(rows(1, 2 * length), p, parameters, length, 1, 0, 1, 1);
      recorder.deviation(rows(1, 2 * length), g, gradients, length, 1, 0, 1, 1);
      recorder.div(elements(1), ratio, p, g, 1);
      recorder.scaleBy(elements(length), gradients, ratio, length);
    });
    for (const { parameters, gradients, length } of blocks) {
      recorder.sgd(elements(length), parameters, gradients, 0, rate, 0);
    }
    recorder.fill(elements(1), one, 1, 1);
    recorder.add(elements(1), count, count, one, 1);
  },
});

describe("a user's optimizer", () => {
  test("sign descent", () => {
    const { step, parameters } = bench(signDescent(0.25), { a: [1, 2, 3], b: [4] });
    step({ a: [0.1, -7, 0], b: [1e-30] });
    expect(parameters()).toEqual({ a: Float32Array.of(0.75, 2.25, 3), b: Float32Array.of(3.75) });
  });

  test("one with norms by tensor, scratch and a slot of its own length, against float64 and from a checkpoint", () => {
    using trainer = open(layerwise(0.01));
    // Biases that are 0 would stay 0.
    const sines = [...trainer.parameters()].map(([path, { data }]) => [path, data.map((_, i) => Math.sin(i + 1))]);
    trainer.setParameters(Object.fromEntries(sines));
    const gradients = trainer.gradientsSync(data);
    const start = trainer.parameters();
    trainer.trainStepsSync(data, { steps: 1 });
    for (const [path, { data }] of trainer.parameters()) {
      const [p, g] = [start, gradients].map((of) => of.get(path)?.data as Float32Array);
      const ratio = Math.hypot(...p) / Math.hypot(...g);
      data.forEach((value, i) => {
        expect(Math.abs(value - (p[i] - 0.01 * ratio * g[i]))).toBeLessThan(1e-6);
      });
    }
    trainer.trainStepsSync(data, { steps: 4, batchSize: 8 });
    const checkpoint = decodeCheckpoint(encodeCheckpoint(trainer.checkpoint()));
    expect(checkpoint.optimizer.slots.get("steps")).toEqual(
      new Map([["all", { shape: [3], data: Float32Array.of(5, 0, 0) }]]),
    );
    using other = open(layerwise(0.01));
    other.restore(checkpoint);
    for (const one of [trainer, other]) one.trainStepsSync(data, { steps: 3, batchSize: 8 });
    expect(other.checkpoint()).toEqual(trainer.checkpoint());
    const steps = new Map([["all", { shape: [2], data: new Float32Array(2) }]]);
    const changed = { ...checkpoint, optimizer: { ...checkpoint.optimizer, slots: new Map([["steps", steps]]) } };
    expect(() => other.restore(changed)).toThrow('the optimizer\'s steps: "all" must be [3] for this model');
  });

  test("composes with all that is around others", () => {
    const own = { "0.*": signDescent(0.01), "*": layerwise(0.01) };
    using trainer = open(clipByGlobalNorm(1, averaged(groups(own))));
    const losses = trainer.trainStepsSync(data, { steps: 40 });
    expect(losses[39]).toBeLessThan(0.5 * losses[0]);
    expect([...trainer.checkpoint().optimizer.slots].map(([name, parts]) => [name, ...parts.keys()])).toEqual([
      ["steps", "*"],
      ["average", "0.weight", "0.bias", "2.weight", "2.bias"],
    ]);
  });

  const mine = (more: Partial<Optimizer> & Record<string, unknown>) =>
    ({ name: "mine", learningRate: 0.1, record: () => {}, ...more }) as Optimizer;
  const unknown = { path: "0.bias", shape: [8], length: 8 };

  test.each([
    [{ name: undefined }, 'compile: an optimizer must have a name, as { name: "mine", … }, got undefined'],
    [{ name: "" }, 'compile: an optimizer must have a name, as { name: "mine", … }, got ""'],
    [{ record: 5 }, "compile: mine: record must be a function, got 5"],
    [{ learningRate: "fast" }, "compile: mine: learningRate must be a number or a function of the step"],
    [{ learningRate: {} }, "compile: mine: learningRate must have a rate for each group, got {}"],
    [
      { slots: () => "sum" },
      'compile: optimizer mine: slots() must give an array such as [{ name: "velocity" }], got "sum"',
    ],
    [{ slots: () => [{}] }, 'each slot must have a name without a slash, as { name: "velocity" }, got {}'],
    [
      { slots: () => [{ name: "a/b" }] },
      'each slot must have a name without a slash, as { name: "velocity" }, got "a/b"',
    ],
    [
      { slots: () => [{ name: "a" }, { name: "a" }] },
      'slots must have names of their own, got "a" twice for "0.weight"',
    ],
    [{ slots: () => [{ name: "a", length: 1.5 }] }, 'slot "a": length must be a whole number of at least 1, got 1.5'],
    [{ slots: () => [{ name: "a", start: "ones" }] }, 'slot "a": start must be "zeros" or "parameters", got "ones"'],
    [{ slots: () => [{ name: "a", length: 2, start: "parameters" }] }, 'slot "a": must start at "zeros"'],
    [
      { slots: () => [{ name: "a", tensors: [unknown] }] },
      'slot "a": tensors must be some of those that slots() was given',
    ],
    [{ scratchBytes: () => -1 }, "compile: optimizer mine: scratchBytes() must give a number of bytes, got -1"],
    [
      { order: () => [] },
      "compile: optimizer mine: order() must give the 4 tensors that it was given, each once, got []",
    ],
    [
      {
        record() {
          throw new RangeError("no");
        },
      },
      "compile: optimizer mine: record() must not throw, got RangeError: no",
    ],
    [
      { record: (recorder: Recorder) => recorder.sgd(elements(4), undefined as never, 64, 0, 64, 0) },
      "compile: optimizer mine: record() must not throw, got instruction sgd: parameter 1 must be an address, got undefined",
    ],
    [
      { record: (recorder: Recorder) => recorder.sgd(elements(4), 1e6, 64, 0, 64, 0) },
      "compile: optimizer mine: record() must write parameters, gradients, slots and scratch alone",
    ],
  ] as [Record<string, unknown>, string][])("is refused if it is none: case %#", (more, message) => {
    const used = engine.allocator.usedBytes();
    expect(() => open(mine(more))).toThrowError(
      expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
    );
    expect(engine.allocator.usedBytes()).toBe(used);
  });
});

const wrappers: readonly ((inner: Optimizer) => Optimizer)[] = [
  (inner) => clipByGlobalNorm(0.05, inner),
  (inner) => groups({ "*.bias": sgd({ learningRate: 0.01, momentum: 0.5 }), "*": inner }),
  (inner) => averaged(inner, { decay: 0.9 }),
  (inner) => clipByValue(0.02, inner),
];
const orders = wrappers.flatMap((a, i) =>
  wrappers.flatMap((b, j) =>
    wrappers.flatMap((c, k) =>
      new Set([i, j, k]).size < 3 ? [] : [[`${i}${j}${k}`, () => a(b(c(adam({ learningRate: 0.02 }))))]],
    ),
  ),
) as [string, () => Optimizer][];

test("a wrapper needs its own scratch and that of what it wraps", () => {
  const tensors = [1, 2, 3].map((length) => ({ path: `${length}`, shape: [length], length }));
  const needs = (optimizer: Optimizer) => optimizer.scratchBytes?.(tensors as never);
  expect(needs(averaged(sgd()))).toBe(0);
  const clipped = needs(clipByNorm(1, sgd())) as number;
  expect(clipped).toBeGreaterThan(0);
  expect(needs(averaged(clipByNorm(1, sgd())))).toBe(clipped);
  expect(needs(clipByNorm(2, averaged(clipByNorm(1, sgd()))))).toBe(2 * clipped);
});

describe("wrappers in every order", () => {
  test.each(orders)("%s: trainer and workspace take one path; saved and gone on with, the same bits", (order, make) => {
    using straight = open(make());
    using first = open(make());
    using second = open(make());
    const losses = straight.trainStepsSync(data, { steps: 6 });
    first.trainStepsSync(data, { steps: 3 });
    second.restore(decodeCheckpoint(encodeCheckpoint(first.checkpoint())));
    second.trainStepsSync(data, { steps: 3 });
    expect(second.checkpoint()).toEqual(straight.checkpoint());
    if (order.includes("2")) {
      expect(second.parameters({ of: "average" })).toEqual(straight.parameters({ of: "average" }));
    }

    using workspace = createWorkspaceSync({ engine, seed: 3 });
    using start = open(sgd());
    workspace.setParameters(model, start.parameters());
    const step = workspace.step((given, { apply }) => ({ loss: mean(square(sub(apply(given.x, model), given.y))) }), {
      inputs: { x: [40, 2], y: [40, 1] },
      train: model,
      optimizer: make(),
    });
    for (const expected of losses) expect(step(data).loss[0]).toBeCloseTo(expected, 6);
    const trained = workspace.parameters(model);
    for (const [path, { data }] of straight.parameters()) {
      data.forEach((value, i) => expect(trained.get(path)?.data[i]).toBeCloseTo(value, 5));
    }
  });

  test("the same bits for 1, 2, 3, 4 and 8 threads", async () => {
    const large = sequential({ input: [100] }, dense(400), tanh(), dense(100));
    const rows = { x: numbers(100 * 8), y: numbers(100 * 8, 2) };
    const optimizer = clipByGlobalNorm(
      0.5,
      averaged(groups({ "*.bias": sgd(), "*": clipByNorm(0.3, adam()) }), { decay: 0.5 }),
    );
    const ends = [];
    for (const threads of [1, 2, 3, 4, 8]) {
      using own = await createEngine({ threads });
      using trainer = compileSync(large, { loss, optimizer, engine: own, seed: 1, accumulate: 2 });
      trainer.trainStepsSync(rows, { steps: 4, batchSize: 3 });
      ends.push(trainer.checkpoint());
    }
    for (const end of ends.slice(1)) expect(end).toEqual(ends[0]);
  });
});
