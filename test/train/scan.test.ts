// A scan within a model: trained, in a workspace's step, predicting, and from a checkpoint, it is the same model unrolled.
import {
  adam,
  batchNorm,
  checkGradients,
  compile,
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  defineLayer,
  dense,
  dropout,
  functional,
  type Layer,
  ModelError,
  meanSquaredError,
  ones,
  type Scope,
  sequential,
  sgd,
} from "steepest";
import {
  add,
  broadcastTo,
  constant,
  input,
  mean,
  mul,
  parameter,
  reshape,
  scan,
  slice,
  square,
  stack,
  sub,
  type Tensor,
  tanh,
} from "steepest/graph";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [TIME, FEATURES, UNITS] = [5, 3, 4];
const recipe = { loss: meanSquaredError(), optimizer: adam({ learningRate: 0.02 }) };
const wave = (length: number, of: number) => Float32Array.from({ length }, (_, i) => Math.sin(of * i + 1));
const SAMPLES = 22;
const data = { x: wave(SAMPLES * TIME * FEATURES, 0.7), y: wave(SAMPLES * TIME * 2, 0.3) };

type Cell = (h: Tensor, x: Tensor) => Tensor;

/** Layers and a parameter of the function itself, used in each step. */
function cellOf({ apply, parameter }: Scope): Cell {
  const [input, recurrent] = [dense(UNITS, { name: "input" }), dense(UNITS, { name: "recurrent", bias: false })];
  return (h, x) => tanh(mul(add(apply(x, input), apply(h, recurrent)), parameter("gain", [UNITS], ones())));
}

const start = (x: Tensor, size = UNITS) => broadcastTo(constant(0), [x.shape[0], size]);

const looped = functional({ input: [TIME, FEATURES] }, (x, scope) => {
  const cell = cellOf(scope);
  const [last, hs] = scan(
    (h: Tensor, x: Tensor) => {
      const next = cell(h, x);
      return [next, next];
    },
    start(x),
    x,
    { axis: 1 },
  );
  return add(scope.apply(hs, dense(2, { name: "out" })), reshape(mean(last, -1), [-1, 1, 1]));
});

const unrolledTo = (time: number) =>
  functional({ input: [time, FEATURES] }, (x, scope) => {
    const cell = cellOf(scope);
    const hs: Tensor[] = [];
    let h = start(x);
    for (let t = 0; t < time; t++) {
      h = cell(h, reshape(slice(x, [0, t], [x.shape[0], t + 1]), [-1, FEATURES]));
      hs.push(h);
    }
    return add(scope.apply(stack(hs, 1), dense(2, { name: "out" })), reshape(mean(h, -1), [-1, 1, 1]));
  });

const unrolled = unrolledTo(TIME);

/** The largest difference, as a part of the largest number. */
function distance(a: Float32Array, b: Float32Array): number {
  const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest(a.map((value, i) => value - b[i])) / largest(b);
}

test("a trainer of it trains as one of the model unrolled, for other lengths and sizes of batches too", () => {
  expect([...looped.parameters.keys()]).toEqual([...unrolled.parameters.keys()]);
  using scanning = compileSync(looped, { ...recipe, engine, seed: 3 });
  using plain = compileSync(unrolled, { ...recipe, engine, seed: 3 });
  expect(scanning.predictSync(data.x)).toEqual(plain.predictSync(data.x));
  // Its program does not depend on the length, so that longer sequences need no other model.
  using longer = compileSync(unrolledTo(9), { engine });
  longer.setParameters(plain.parameters());
  const x = wave(2 * 9 * FEATURES, 0.4);
  expect(scanning.predictSync(x, { inputShape: [9, FEATURES] })).toEqual(longer.predictSync(x));
  const gradients = plain.gradientsSync(data);
  for (const [path, { data: found }] of scanning.gradientsSync(data)) {
    expect(distance(found, gradients.get(path)?.data as Float32Array), path).toBeLessThan(2e-6);
  }
  const options = { epochs: 3, batchSize: 8 };
  const expected = plain.fitSync(data, options);
  scanning.fitSync(data, options).forEach(({ loss }, epoch) => {
    expect(loss / expected[epoch].loss).toBeCloseTo(1, 4);
  });
  expect(scanning.evaluateSync(data).loss).toBeLessThan(expected[0].loss);
  const parameters = plain.parameters();
  for (const [path, { data: found }] of scanning.parameters()) {
    expect(distance(found, parameters.get(path)?.data as Float32Array), path).toBeLessThan(1e-3);
  }
});

test("its gradients are what differences give", async () => {
  const few = { x: data.x.subarray(0, 3 * TIME * FEATURES), y: data.y.subarray(0, 3 * TIME * 2) };
  const report = await checkGradients(looped, { loss: meanSquaredError(), data: few, engine });
  expect(report.passed, JSON.stringify(report.worst)).toBe(true);
});

test("a workspace's step of it is a step of the trainer, up to rounding", () => {
  using workspace = createWorkspaceSync({ engine });
  using trainer = compileSync(looped, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.1 }), engine });
  const step = workspace.step(({ x, y }, { apply }) => ({ loss: mean(square(sub(apply(x, looped), y))) }), {
    inputs: { x: [SAMPLES, TIME, FEATURES], y: [SAMPLES, TIME, 2] },
    train: looped,
    optimizer: sgd({ learningRate: 0.1 }),
  });
  workspace.setParameters(looped, trainer.parameters());
  for (let count = 0; count < 3; count++) {
    expect(distance(step(data).loss, Float32Array.of(trainer.trainBatchSync(data)))).toBeLessThan(1e-6);
  }
  const parameters = trainer.parameters();
  for (const [path, { data: found }] of workspace.parameters(looped)) {
    expect(distance(found, parameters.get(path)?.data as Float32Array), path).toBeLessThan(1e-5);
  }
});

describe("with dropout in its body", () => {
  const model = functional({ input: [TIME, FEATURES] }, (x, scope) => {
    const cell = cellOf(scope);
    const [last] = scan((h: Tensor, x: Tensor) => [scope.apply(cell(h, x), dropout(0.3))], start(x), x, { axis: 1 });
    return scope.apply(last, dense(2));
  });
  const pairs = { x: data.x, y: wave(SAMPLES * 2, 0.3) };
  const options = { steps: 7, batchSize: 8 };

  test("it gives the same bits for any number of threads, and in the background", async () => {
    const results = [];
    for (const where of [{ threads: 1 }, { threads: 2 }, { threads: 3 }, { threads: 2, background: true }]) {
      using trainer = await compile(model, { ...recipe, ...where, seed: 4 });
      const losses = await trainer.trainSteps(pairs, options);
      results.push({ losses, parameters: trainer.parameters(), predictions: await trainer.predict(pairs.x) });
    }
    for (const result of results.slice(1)) expect(result).toEqual(results[0]);
  });

  test("it goes on from a checkpoint with the bits of one that was never stopped", () => {
    using straight = compileSync(model, { ...recipe, engine, seed: 4 });
    using first = compileSync(model, { ...recipe, engine, seed: 4 });
    using second = compileSync(model, { ...recipe, engine, seed: 5 });
    for (const trainer of [straight, first]) trainer.trainStepsSync(pairs, options);
    second.restore(decodeCheckpoint(encodeCheckpoint(first.checkpoint())));
    expect(second.trainStepsSync(pairs, options)).toEqual(straight.trainStepsSync(pairs, options));
    expect(second.checkpoint()).toEqual(straight.checkpoint());
  });

  test("a predictor of it draws nothing, and gives what the trainer does", () => {
    using trainer = compileSync(model, { ...recipe, engine, seed: 4 });
    using predictor = compileSync(model, { engine });
    trainer.trainStepsSync(pairs, options);
    predictor.setParameters(trainer.parameters());
    const predictions = predictor.predictSync(pairs.x);
    expect(predictions).toEqual(trainer.predictSync(pairs.x));
    expect(predictor.predictSync(pairs.x)).toEqual(predictions);
  });
});

describe("tensors from elsewhere are refused when the model is built, by name", () => {
  const refused = (message: string) =>
    expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) });
  const building = (body: (x: Tensor, scope: Scope) => Tensor) => () => functional({ input: [TIME, FEATURES] }, body);

  test("of a scan's body, that leaves it other than by its carry and outputs", () => {
    let leaked: Tensor | undefined;
    const leaking = (x: Tensor): Tensor => {
      const [last] = scan(
        (sum: Tensor, row: Tensor) => {
          leaked = tanh(sum);
          return [add(sum, row), row];
        },
        start(x, FEATURES),
        x,
        { axis: 1 },
      );
      return add(last, leaked as Tensor);
    };
    expect(building(leaking)).toThrow(
      refused(
        "functional: the results must depend on its inputs and parameters only, got one that depends on another input, ",
      ),
    );
  });

  test("inputs, parameters, and what a buffer becomes", () => {
    const [other, weight] = [input([TIME, FEATURES], { name: "other" }), parameter([FEATURES], ones(), "loose")];
    expect(building((x) => add(x, other))).toThrow(refused('depends on another input, "other": a tensor of a loop'));
    expect(building((x) => mul(x, weight))).toThrow(
      refused('depends on another parameter, "loose": make it with scope.parameter() or scope.buffer()'),
    );
    const becoming = (x: Tensor, { buffer, update }: Scope) => {
      update(buffer("kept", [TIME, FEATURES]), other);
      return x;
    };
    expect(building(becoming)).toThrow(refused('depends on another input, "other"'));
  });

  test("of an earlier trace, when the program is made; nothing has changed", () => {
    let first: Tensor | undefined;
    const model = functional({ input: [2] }, (x, { apply }) => {
      first ??= mean(x, 0);
      return add(apply(x, dense(2)), first);
    });
    using trainer = compileSync(model, { ...recipe, engine });
    const before = trainer.parameters();
    expect(() => trainer.trainBatchSync({ x: [1, 2], y: [3, 4] })).toThrow(
      refused(
        'functional: the results must depend on its inputs and parameters only, got one that depends on another input, "x"',
      ),
    );
    expect(trainer.parameters()).toEqual(before);
  });
});

describe("what is kept from step to step is refused in the body of a scan, by its name", () => {
  const remembering = defineLayer("remembering", (x, { state, update }) => {
    const h = state("h", [...x.shape]);
    update(h, x);
    return h;
  });
  const counting = (x: Tensor, { buffer, update }: Scope) => {
    const [sum] = scan(
      (sum: Tensor, x: Tensor) => {
        const next = add(sum, x);
        update(buffer("total", [FEATURES]), mean(next, 0));
        return [next];
      },
      start(x, FEATURES),
      x,
      { axis: 1 },
    );
    return sum;
  };
  const within =
    (layer: Layer) =>
    (x: Tensor, { apply }: Scope) =>
      scan((h: Tensor, x: Tensor) => [add(h, apply(x, layer))], start(x, FEATURES), x, { axis: 1 })[0];
  const refusals: [string, (x: Tensor, scope: Scope) => Tensor, RegExp][] = [
    ["running statistics", within(batchNorm()), /update: the body of scan .*, got "0\.running(Mean|Variance)": use it/],
    ["those of a model within", within(sequential({ input: [FEATURES] }, batchNorm())), /got ".*running/],
    ["a state", within(remembering({ name: "memory" })), /state: the body of scan .*, got "memory\.h": use it/],
    ["a buffer", counting, /update: the body of scan .*, got "total": use it outside of the body/],
  ];

  test.each(refusals)("%s", (_, body, message) => {
    const make = () => functional({ input: [TIME, FEATURES] }, body);
    expect(make).toThrow(ModelError);
    expect(make).toThrow(message);
    using workspace = createWorkspaceSync({ engine });
    const inputs = { x: [2, TIME, FEATURES] };
    expect(() => workspace.step(({ x }, scope) => ({ y: body(x, scope) }), { inputs, training: true })).toThrow(
      message,
    );
    // What was refused leaves nothing behind: the next model is no body of a loop.
    expect(() =>
      functional({ input: [FEATURES] }, (x, { apply }) => apply(x, batchNorm(), remembering())),
    ).not.toThrow();
  });

  test("outside of it, a buffer takes the last carry", () => {
    const model = functional({ input: [TIME, FEATURES] }, (x, { buffer, update, apply }) => {
      const [sum] = scan((sum: Tensor, x: Tensor) => [add(sum, x)], start(x, FEATURES), x, { axis: 1 });
      update(buffer("total", [FEATURES]), mean(sum, 0));
      return apply(sum, dense(1));
    });
    using trainer = compileSync(model, { ...recipe, engine });
    const x = wave(2 * TIME * FEATURES, 0.5);
    trainer.trainBatchSync({ x, y: [0, 1] });
    const found = trainer.parameters().get("total")?.data as Float32Array;
    const expected = new Float32Array(FEATURES);
    x.forEach((value, i) => {
      expected[i % FEATURES] += value / 2;
    });
    expect(distance(found, expected)).toBeLessThan(1e-6);
  });
});
