// Optimizers out of operations: against the kernels of the same form, and papers in float64.
import {
  type AdafactorOptions,
  adafactor,
  adam,
  clipByGlobalNorm,
  compileSync,
  conv1d,
  createEngine,
  createEngineSync,
  createWorkspaceSync,
  defineOptimizer,
  dense,
  flatten,
  groups,
  type LearningRate,
  type MuonOptions,
  meanSquaredError,
  muon,
  type Optimizer,
  sequential,
  sgd,
  tanh,
} from "steepest";
import * as G from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [3] }, dense(8), tanh(), dense(2));
const x = Array.from({ length: 40 }, (_, i) => [Math.sin(3 * i), Math.cos(5 * i), Math.sin(i * i)]);
const data = { x, y: x.map(([a, b, c]) => [2 * a - b, a * c]) };
const flatData = { x: Float32Array.from(x.flat()), y: data.y };
const loss = meanSquaredError();
const open = (optimizer: Optimizer) => compileSync(model, { loss, optimizer, engine, seed: 3 });

type Values = Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

function expectClose(actual: Values, expected: Values, tolerance: number): void {
  for (const [path, { data }] of expected) {
    data.forEach((value, i) => {
      expect(Math.abs((actual.get(path)?.data[i] as number) - value)).toBeLessThan(
        tolerance * Math.max(1, Math.abs(value)),
      );
    });
  }
}

const defined = {
  momentum: () =>
    defineOptimizer(
      "mine",
      ({ parameter, gradient, slots, learningRate }) => {
        const velocity = G.add(G.mul(slots.velocity, 0.9), gradient);
        return { parameter: G.sub(parameter, G.mul(learningRate, velocity)), velocity };
      },
      { learningRate: (step) => 0.1 / step, slots: { velocity: "zeros" } },
    ),
  adam: () =>
    defineOptimizer(
      "mine",
      ({ parameter, gradient, slots: { m, v }, learningRate, step }) => {
        const first = G.add(G.mul(m, 0.9), G.mul(gradient, 0.1));
        const second = G.add(G.mul(v, 0.999), G.mul(G.square(gradient), 0.001));
        const mean = G.div(first, G.sub(1, G.pow(0.9, step)));
        const root = G.sqrt(G.div(second, G.sub(1, G.pow(0.999, step))));
        return {
          parameter: G.sub(parameter, G.mul(learningRate, G.div(mean, G.add(root, 1e-8)))),
          m: first,
          v: second,
        };
      },
      { learningRate: 0.01, slots: { m: "zeros", v: "zeros" } },
    ),
};

describe("defineOptimizer", () => {
  test.each([
    ["momentum", defined.momentum(), sgd({ learningRate: (step) => 0.1 / step, momentum: 0.9 })],
    ["adam", defined.adam(), adam({ learningRate: 0.01 })],
  ])("%s takes the path of the kernel", (_, mine, kernel) => {
    using trainer = open(mine);
    using other = open(kernel);
    for (let i = 0; i < 5; i++) {
      for (const one of [trainer, other]) one.trainStepsSync(data, { steps: 10, batchSize: 8 });
      expectClose(trainer.parameters(), other.parameters(), 2e-5);
    }
  });

  test("within groups, clipped, in a workspace: the same", () => {
    const make = (inner: Optimizer) => clipByGlobalNorm(0.5, groups({ "*.bias": sgd(), "*": inner }));
    using trainer = open(make(defined.momentum()));
    using other = open(make(sgd({ learningRate: (step) => 0.1 / step, momentum: 0.9 })));
    using workspace = createWorkspaceSync({ engine, seed: 3 });
    workspace.setParameters(model, trainer.parameters());
    const step = workspace.step(
      (given, { apply }) => ({ loss: G.mean(G.square(G.sub(apply(given.x, model), given.y))) }),
      { inputs: { x: [40, 3], y: [40, 2] }, train: model, optimizer: make(defined.momentum()) },
    );
    for (const one of [trainer, other]) one.trainStepsSync(data, { steps: 8 });
    for (let i = 0; i < 8; i++) step(data);
    expectClose(trainer.parameters(), other.parameters(), 1e-5);
    expectClose(workspace.parameters(model), trainer.parameters(), 1e-5);
  });

  test("slots have shapes of their own, start at the parameters, stay if left out, and may change places", () => {
    const optimizer = defineOptimizer(
      "mine",
      ({ parameter, gradient, slots: { first, second, rows, start }, path }) => ({
        parameter: G.sub(parameter, G.mul(gradient, path.endsWith("bias") ? 0 : 0.1)),
        first: G.add(second, 1),
        second: first,
        ...(rows === undefined ? {} : { rows: G.add(rows, G.sum(start, 1)) }),
      }),
      {
        slots: {
          first: "zeros",
          second: "zeros",
          rows: (shape) => (shape.length === 2 ? [shape[0]] : undefined),
          start: "parameters",
        },
      },
    );
    using trainer = open(optimizer);
    const before = trainer.parameters();
    trainer.trainStepsSync(data, { steps: 3 });
    const { slots } = trainer.checkpoint().optimizer;
    const after = trainer.parameters();
    expect(after.get("0.bias")).toEqual(before.get("0.bias"));
    expect(after.get("0.weight")).not.toEqual(before.get("0.weight"));
    // (0, 0), (1, 0), (1, 1), (2, 1)
    expect(new Set(slots.get("first")?.get("0.weight")?.data)).toEqual(new Set([2]));
    expect(new Set(slots.get("second")?.get("2.bias")?.data)).toEqual(new Set([1]));
    expect(slots.get("start")?.get("0.weight")).toEqual(before.get("0.weight"));
    expect([...(slots.get("rows")?.keys() ?? [])]).toEqual(["0.weight", "2.weight"]);
    const weight = before.get("0.weight")?.data as Float32Array;
    slots
      .get("rows")
      ?.get("0.weight")
      ?.data.forEach((sum, row) => {
        expect(sum).toBeCloseTo(3 * weight.subarray(8 * row, 8 * row + 8).reduce((a, b) => a + b, 0), 4);
      });
  });

  test("constants of several values, of whole numbers too, and the step's number are there at every step", () => {
    const optimizer = defineOptimizer("mine", ({ parameter, step }) => {
      const flat = G.reshape(
        parameter,
        [-1].map(() => parameter.shape.reduce((a, b) => a * b, 1)),
      );
      const picked = G.gather(flat, G.cast(G.constant([1, 0]), "uint32"), 0);
      const extra = G.sum(G.mul(picked, G.constant([0, 0])));
      return { parameter: G.add(G.add(parameter, step), extra) };
    });
    using trainer = open(optimizer);
    const before = trainer.parameters();
    trainer.trainStepsSync(data, { steps: 4 });
    for (const [path, { data }] of trainer.parameters()) {
      data.forEach((value, i) => expect(value).toBeCloseTo((before.get(path)?.data[i] as number) + 10, 4));
    }
  });

  test("what it keeps is never denormal", () => {
    const optimizer = defineOptimizer(
      "mine",
      ({ parameter, slots: { tiny } }) => ({ parameter, tiny: G.add(G.mul(tiny, 0), 1e-40) }),
      { slots: { tiny: "zeros" } },
    );
    using trainer = open(optimizer);
    trainer.trainStepsSync(data, { steps: 2 });
    expect(new Set(trainer.checkpoint().optimizer.slots.get("tiny")?.get("0.weight")?.data)).toEqual(new Set([0]));
  });

  const elsewhere = G.input([3, 8], { name: "elsewhere" });
  const mine =
    (update: unknown, options: object = {}) =>
    () =>
      open(defineOptimizer("mine", update as never, options));
  test.each([
    [() => defineOptimizer("", () => ({}) as never), 'defineOptimizer: the name must be a text, got ""'],
    [() => defineOptimizer("mine", 5 as never), "defineOptimizer: update must be a function, got 5"],
    [mine(() => ({}), { rate: 1 }), 'defineOptimizer: unknown option "rate"'],
    [
      mine(() => ({}), { slots: ["m"] }),
      'defineOptimizer: slots must be an object by name, as { velocity: "zeros" }, got',
    ],
    [mine(() => ({}), { slots: { parameter: "zeros" } }), 'other than "parameter", got "parameter"'],
    [
      mine(() => ({}), { slots: { m: "ones" } }),
      'slot "m" must be "zeros", "parameters" or a function of the shape, got "ones"',
    ],
    [mine(() => ({}), { slots: { m: () => [-1] } }), 'compile: defineOptimizer: slot "m"'],
    [mine(() => ({})), 'optimizer mine: the update of "0.weight" must return an object with its next values'],
    [mine(() => 5), "must return an object with its next values, as { parameter: sub(parameter, …) }, got 5"],
    [
      mine(({ parameter }: G.Tensor & { parameter: G.Tensor }) => ({ parameter, m: parameter })),
      'must return what there is, parameter, got "m"',
    ],
    [
      mine(({ parameter }: { parameter: G.Tensor }) => ({ parameter: G.sum(parameter) })),
      'must return "parameter" as float32 [3, 8], got float32 []',
    ],
    [
      mine(({ parameter }: { parameter: G.Tensor }) => ({
        parameter: parameter.shape.length === 2 && parameter.shape[0] === 3 ? G.add(parameter, elsewhere) : parameter,
      })),
      'must depend on what it is given alone, got a result that depends on "elsewhere", which is of elsewhere',
    ],
    [
      mine(() => {
        throw new RangeError("no");
      }),
      "must not throw, got RangeError: no",
    ],
  ] as [() => unknown, string][])("refuses what is none: case %#", (create, message) => {
    const used = engine.allocator.usedBytes();
    expect(create).toThrowError(
      expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
    );
    expect(engine.allocator.usedBytes()).toBe(used);
  });
});

// ——— Muon and Adafactor: gradients come from the trainer, steps are done in float64 ———

type Matrix = number[][];
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));
const transposed = (a: Matrix): Matrix => a[0].map((_, j) => a.map((row) => row[j]));
const each = (a: Matrix, f: (value: number, i: number, j: number) => number): Matrix =>
  a.map((row, i) => row.map((value, j) => f(value, i, j)));

/** Jordan et al. 2024: iterations of the quintic, on the matrix with fewer rows than columns. */
function orthogonalized(g: Matrix, iterations: number): Matrix {
  if (g.length > g[0].length) return transposed(orthogonalized(transposed(g), iterations));
  const norm = Math.hypot(...g.flat());
  let y = each(g, (value) => value / (norm + 1e-7));
  for (let i = 0; i < iterations; i++) {
    const gram = product(y, transposed(y));
    const twice = product(gram, gram);
    const both = product(
      each(gram, (value, r, c) => -4.775 * value + 2.0315 * twice[r][c]),
      y,
    );
    y = each(y, (value, r, c) => 3.4445 * value + both[r][c]);
  }
  return y;
}

interface Shaped {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** With all axes but the last as rows: a kernel of a convolution is [window · inputs, outputs]. */
function asMatrix({ shape, data }: Shaped): Matrix {
  const columns = shape[shape.length - 1];
  return Array.from({ length: data.length / columns }, (_, i) =>
    Array.from({ length: columns }, (_, j) => data[i * columns + j]),
  );
}

const rootMeanSquare = (all: readonly number[]) => Math.hypot(...all) / Math.sqrt(all.length);

const slower = (step: number) => 0.05 / Math.sqrt(step);
const rateAt = (rate: LearningRate, step: number) => (typeof rate === "number" ? rate : rate(step));

/** A kernel of a convolution, and matrices that are wide and tall. */
const layers = (bias: boolean) =>
  sequential(
    { input: [3, 1] },
    conv1d(4, 2, { bias }),
    tanh(),
    flatten(),
    dense(3, { bias }),
    tanh(),
    dense(5, { bias }),
    dense(2, { bias }),
  );

/** Calls `check` for each parameter of each of 100 steps, with what it was, its gradient, and what it has become. */
function followed(
  optimizer: Optimizer,
  bias: boolean,
  check: (path: string, step: number, p: Shaped, g: Shaped, after: ArrayLike<number>) => void,
): void {
  using trainer = compileSync(layers(bias), { loss, optimizer, engine, seed: 3 });
  const start = trainer.evaluateSync(flatData).loss;
  for (let step = 1; step <= 100; step++) {
    const [before, gradients] = [trainer.parameters(), trainer.gradientsSync(flatData)];
    trainer.trainStepsSync(flatData, { steps: 1 });
    for (const [path, { data: after }] of trainer.parameters()) {
      check(path, step, before.get(path) as Shaped, gradients.get(path) as Shaped, after);
    }
  }
  expect(trainer.evaluateSync(flatData).loss).toBeLessThan(start);
}

describe("against papers, 100 steps", () => {
  test.each([
    { learningRate: 0.05, weightDecay: 0.1 },
    { learningRate: slower, momentum: 0.8, nesterov: false, iterations: 3 },
    {},
  ])("muon %o: momentum with its singular values near 1", (options: MuonOptions) => {
    const { learningRate = 0.02, momentum = 0.95, nesterov = true, iterations = 5, weightDecay = 0 } = options;
    const kept = new Map<string, Matrix>();
    followed(muon(options), false, (path, step, before, gradient, after) => {
      const [p, g, rate] = [asMatrix(before), asMatrix(gradient), rateAt(learningRate, step)];
      const m = each(g, (value, i, j) => momentum * (kept.get(path)?.[i][j] ?? 0) + (1 - momentum) * value);
      kept.set(path, m);
      const ahead = nesterov ? each(m, (value, i, j) => momentum * value + (1 - momentum) * g[i][j]) : m;
      const along = orthogonalized(ahead, iterations);
      const factor = Math.sqrt(Math.max(1, p[0].length / p.length));
      const expected = each(p, (value, i, j) => value - rate * (factor * along[i][j] + weightDecay * value)).flat();
      expect(Math.max(...expected.map((value, i) => Math.abs(value - after[i])))).toBeLessThan(2e-7 + 1e-4 * rate);
    });
  });

  test("muon refuses what is no matrix, by name", () => {
    expect(() => open(muon())).toThrow(
      'compile: muon: a parameter must have at least two axes, got "0.bias" of shape [8]: give it another optimizer',
    );
  });

  // Shazeer & Stern 2018, algorithms 4 (matrices) and 5 (vectors), with the steps of algorithm 6.
  test.each([
    { weightDecay: 0.1 },
    { learningRate: slower, beta2Decay: -0.6, epsilon1: 1e-3, epsilon2: 0.6, clipThreshold: 0.5 },
    { learningRate: 0.01, scaleByParameter: false },
    {},
  ])("adafactor %o: means of rows and columns, clipped, scaled", (options: AdafactorOptions) => {
    const { learningRate = (step: number) => Math.min(0.01, 1 / Math.sqrt(step)), beta2Decay = -0.8 } = options;
    const { epsilon1 = 1e-30, epsilon2 = 1e-3, clipThreshold = 1, scaleByParameter = true, weightDecay = 0 } = options;
    const kept = new Map<string, { r: number[]; c: number[]; v: number[] }>();
    followed(adafactor(options), true, (path, step, before, gradient, after) => {
      const beta = 1 - step ** beta2Decay;
      const follow = (old: readonly number[] | undefined, now: readonly number[]) =>
        now.map((value, i) => beta * (old?.[i] ?? 0) + (1 - beta) * value);
      const [p, g] = [[...(before.data as Float32Array)], gradient.data];
      const squares = Array.from(g, (value) => value ** 2 + epsilon1);
      const old = kept.get(path);
      const isMatrix = before.shape.length > 1;
      const matrix = isMatrix ? asMatrix({ shape: before.shape, data: squares }) : [squares];
      const average = (row: readonly number[]) => row.reduce((a, b) => a + b, 0) / row.length;
      const r = follow(old?.r, matrix.map(average));
      const c = follow(old?.c, transposed(matrix).map(average));
      const v = isMatrix ? each(matrix, (_, i, j) => (r[i] * c[j]) / average(r)).flat() : follow(old?.v, squares);
      kept.set(path, { r, c, v });
      const update = Array.from(g, (value, i) => value / Math.sqrt(v[i]));
      const clip = Math.max(1, rootMeanSquare(update) / clipThreshold);
      const rate = rateAt(learningRate, step);
      const size = scaleByParameter ? rate * Math.max(epsilon2, rootMeanSquare(p)) : rate;
      const expected = p.map((value, i) => value * (1 - weightDecay * rate) - (size * update[i]) / clip);
      expect(Math.max(...expected.map((value, i) => Math.abs(value - after[i])))).toBeLessThan(2e-7 + 1e-4 * size);
    });
  });

  test("the same bits for 1, 2 and 3 threads, and the loss falls", async () => {
    const large = sequential({ input: [100] }, dense(200), tanh(), dense(100));
    const rows = { x: Float32Array.from({ length: 1600 }, (_, i) => Math.sin(i)), y: new Float32Array(1600).fill(0.5) };
    const optimizer = groups({ "0.weight": muon(), "2.weight": adafactor(), "*": defined.adam() });
    const ends = [];
    for (const threads of [1, 2, 3]) {
      using own = await createEngine({ threads });
      using trainer = compileSync(large, { loss, optimizer, engine: own, seed: 1 });
      const losses = trainer.trainStepsSync(rows, { steps: 20 });
      expect(losses[19]).toBeLessThan(0.5 * losses[0]);
      ends.push(trainer.checkpoint());
    }
    for (const end of ends.slice(1)) expect(end).toEqual(ends[0]);
  });
});
