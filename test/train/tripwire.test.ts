// A step whose loss, gradients or values are not finite: where it began is named, and the trainer goes back to before it.
import {
  adam,
  batchNorm,
  type CompileOptions,
  clipByGlobalNorm,
  compileSync,
  createEngine,
  createEngineSync,
  createWorkspaceSync,
  DivergenceError,
  defineLayer,
  dense,
  dropout,
  meanSquaredError,
  minimizeSync,
  relu,
  type Samples,
  sequential,
  sgd,
  sharpnessAware,
  zeros,
} from "steepest";
import { constant, exp, greater, log, mean, scale, softmax, sqrt, square, sub, where } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const logarithm = defineLayer("logarithm", (x) => log(x));
const root = defineLayer("root", (x) => sqrt(x));
const BAD = 7;
/** Positive numbers, but for a 0 in one sample. */
const x = Array.from({ length: 24 }, (_, i) => (i === 2 * BAD + 1 ? 0 : 0.5 + ((i * 37) % 24) / 24));
const y = Array.from({ length: 12 }, (_, i) => Math.sin(i));
const data = { x, y };

const model = sequential({ input: [2] }, logarithm(), dense(8), batchNorm(), relu(), dropout(0.2), dense(1));
const options = { loss: meanSquaredError(), optimizer: adam({ learningRate: 0.01 }), seed: 3, engine };
type Trainer = ReturnType<typeof trainerWith>;

function trainerWith(more: Partial<CompileOptions> = {}) {
  return compileSync(model, { ...options, ...more } as typeof options);
}

/** Everything that a training goes on with. */
function stateOf(trainer: Trainer): unknown {
  const { parameters, optimizer, steps, epochs, position, states } = trainer.checkpoint();
  const bits = (values: ReadonlyMap<string, { readonly data: Float32Array }>) =>
    [...values].map(([path, { data }]) => [path, [...new Uint32Array(data.buffer, data.byteOffset, data.length)]]);
  const slots = [...optimizer.slots].map(([slot, values]) => [slot, bits(values)]);
  return { parameters: bits(parameters), slots, steps, epochs, position, states };
}

function divergenceOf(train: () => unknown): DivergenceError {
  try {
    train();
  } catch (error) {
    if (error instanceof DivergenceError) return error;
    throw error;
  }
  throw new Error("it did not diverge");
}

/** The steps of `trainSteps` up to one, in the same trainer without the others: what "back at the end of step" means. */
function upTo(steps: number, batchSize: number, more: Partial<CompileOptions> = {}): unknown {
  using trainer = trainerWith({ ...more, tripwire: false });
  if (steps > 0) trainer.trainStepsSync(data, { steps, batchSize });
  return stateOf(trainer);
}

const origin = {
  layer: "0",
  operation: "log",
  phase: "forward",
  tensor: { name: "output of log", value: Number.NEGATIVE_INFINITY },
  sample: BAD,
};

describe("a divergence names step, layer, operation, tensor and samples, and goes back to the step before", () => {
  test.each<[string, Partial<CompileOptions>, number]>([
    ["in one call", {}, 4],
    ["batches of 5, the last smaller", {}, 5],
    ["all samples a step", {}, 12],
    ["momentum", { optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) }, 4],
    ["several batches a step", { accumulate: 2 }, 3],
    ["several batches a step, the last smaller", { accumulate: 3 }, 2],
    ["gradients taken twice", { optimizer: sharpnessAware(sgd({ learningRate: 0.1 })) }, 4],
    ["all watched", { tripwire: "all" }, 4],
    ["values computed again", { recompute: true }, 4],
  ])("trainSteps: %s", (_, more, batchSize) => {
    using trainer = trainerWith(more);
    const error = divergenceOf(() => trainer.trainStepsSync(data, { steps: 30, batchSize }));
    expect(error.origin).toMatchObject({ ...origin, step: error.step });
    expect([error.layer, error.operation, error.tensor?.index[1]]).toEqual(["0", "log", 1]);
    expect(error.samples).toContain(BAD);
    expect(error.samples?.length).toBe(Math.min(12, batchSize * (more.accumulate ?? 1)));
    expect(error.rewoundTo).toBe(error.step - 1);
    expect(trainer.steps).toBe(error.step - 1);
    expect(stateOf(trainer)).toEqual(upTo(error.step - 1, batchSize, more));
    expect(error.message).toContain(
      `it began in the forward pass, in log of layer "0": output of log [${error.tensor?.shape.join(", ")}] had -Infinity at [${error.tensor?.index.join(", ")}], sample 7 of `,
    );
    expect(error.message).toContain(`; the trainer is back at the end of step ${error.step - 1}: `);
  });

  test("long after the last copy, and goes on with the same bits", () => {
    const good = { x: x.map((value) => value + 0.1), y };
    using trainer = trainerWith();
    using straight = trainerWith({ tripwire: false });
    for (const one of [trainer, straight]) one.trainStepsSync(good, { steps: 3, batchSize: 4 });
    const error = divergenceOf(() => trainer.fitSync(data, { epochs: 3, batchSize: 4 }));
    expect(error.rewoundTo).toBe(error.step - 1);
    if (error.step > 4) straight.trainStepsSync(data, { steps: error.step - 4, batchSize: 4 });
    expect(stateOf(trainer)).toEqual(stateOf(straight));
    for (const one of [trainer, straight]) one.setParameters(straight.parameters());
    const after = [trainer, straight].map((one) => one.trainStepsSync(good, { steps: 4 }));
    expect(after[0]).toEqual(after[1]);
  });

  test("fit in the background, with threads", async () => {
    const own = await createEngine({ threads: 2, background: true });
    try {
      using trainer = trainerWith({ engine: own });
      const fitting = trainer.fit(data, { epochs: 2, batchSize: 4 });
      const error = await fitting.then(
        () => undefined,
        (reason: unknown) => reason as DivergenceError,
      );
      expect(error?.origin).toMatchObject({ ...origin, step: error?.step });
      expect(stateOf(trainer)).toEqual(upTo((error?.step as number) - 1, 4));
    } finally {
      own.dispose();
    }
  });

  test("trainFor", () => {
    using trainer = trainerWith();
    const resident = trainer.load(data);
    const error = divergenceOf(() => {
      for (let i = 0; i < 100; i++) trainer.trainFor(1, resident, { batchSize: 4 });
    });
    expect(error.origin).toMatchObject({ ...origin, step: error.step });
    expect(stateOf(trainer)).toEqual(upTo(error.step - 1, 4));
  });
});

describe("single batches", () => {
  const good = { x: [1, 2, 3, 4], y: [1, 2] };
  const bad = { x: [1, 2, 3, 0], y: [1, 2] };
  const diverge = (trainer: Trainer): DivergenceError =>
    divergenceOf(() => {
      for (let i = 0; i < 5; i++) trainer.trainBatchSync(good);
      trainer.trainBatchSync(bad);
    });

  test("the last copy is some steps old, which the error says", () => {
    using trainer = trainerWith();
    const start = stateOf(trainer);
    const error = diverge(trainer);
    expect(error.origin).toMatchObject({ ...origin, sample: 1, step: 1, valuesOf: 0, samples: [0, 1] });
    expect([error.step, error.rewoundTo, trainer.steps]).toEqual([6, 0, 0]);
    expect(error.message).toContain("with the values from after step 0; the trainer is back at the end of step 0");
    expect(stateOf(trainer)).toEqual(start);
  });

  test("with all watched, it is that of the step before", async () => {
    using straight = trainerWith();
    for (let i = 0; i < 5; i++) straight.trainBatchSync(good);
    using trainer = trainerWith({ tripwire: "all" });
    const error = diverge(trainer);
    expect(error.origin).toMatchObject({ ...origin, sample: 1, step: 6, valuesOf: undefined });
    expect(stateOf(trainer)).toEqual(stateOf(straight));
    const again = await trainer.trainBatch(bad).catch((reason: unknown) => reason as DivergenceError);
    expect((again as DivergenceError).rewoundTo).toBe(5);
    expect(stateOf(trainer)).toEqual(stateOf(straight));
  });
});

describe("where it begins", () => {
  const errorOf = (layer: Parameters<typeof sequential>[1], given: Samples, more: Partial<CompileOptions> = {}) => {
    const own = sequential({ input: [2] }, layer, dense(1));
    using trainer = compileSync(own, { ...options, optimizer: sgd({ learningRate: 0.1 }), ...more } as typeof options);
    return divergenceOf(() => trainer.trainStepsSync(given, { steps: 20 }));
  };

  test("in the backward pass, a step before the loss shows it", () => {
    const error = errorOf(sequential({ input: [2] }, dense(2), root()), { x: [0, 0], y: [1] });
    expect(error.step).toBe(2);
    expect(error.origin).toMatchObject({ layer: "0.1", phase: "backward", step: 1 });
    expect(Math.abs(error.tensor?.value as number)).toBe(Infinity);
    expect(error.rewoundTo).toBe(0);
    expect(error.message).toContain("it began in step 1 in the backward pass, in ");
  });

  test("after a last step whose loss was finite: only if all is watched", () => {
    const own = sequential({ input: [2] }, dense(2), root(), dense(1));
    const train = (tripwire: "loss" | "all") => {
      using trainer = compileSync(own, { ...options, tripwire });
      trainer.trainStepsSync({ x: [0, 0], y: [1] }, { steps: 1 });
    };
    train("loss");
    const error = divergenceOf(() => train("all"));
    expect(error.message).toMatch(/^training: values were not finite after step 1 \(epoch 1\), whose loss was 1, with/);
    expect([error.origin?.phase, error.rewoundTo]).toEqual(["backward", 0]);
  });

  test("in the optimizer's update", () => {
    const optimizer = sgd({ learningRate: 1e38 });
    const error = errorOf(dense(1), { x: [1e3, 1e3], y: [1e3] }, { optimizer });
    expect(error.origin).toMatchObject({ phase: "update", operation: "sgd", step: 1 });
    expect(error.tensor?.name).toMatch(/^[01]\.weight$/);
  });

  test("in clipped gradients of an infinite norm", () => {
    const optimizer = clipByGlobalNorm(1, sgd({ learningRate: 0.1 }));
    const error = errorOf(sequential({ input: [2] }, dense(2), root()), { x: [0, 0], y: [1] }, { optimizer });
    expect([error.origin?.phase, error.origin?.step]).toEqual(["backward", 1]);
  });

  test("not in a mask, which is infinite on purpose", () => {
    const masked = defineLayer("masked", (of) =>
      exp(exp(scale(softmax(where(greater(of, constant(0)), of, constant(Number.NEGATIVE_INFINITY))), 1e4))),
    );
    const error = errorOf(masked(), { x: [1, -1], y: [1] });
    expect(error.origin).toMatchObject({ operation: "exp", phase: "forward", tensor: { value: Infinity } });
  });
});

describe("without a copy", () => {
  test("tripwire: false leaves the values as they are", () => {
    using trainer = trainerWith({ tripwire: false });
    const error = divergenceOf(() => trainer.trainStepsSync(data, { steps: 30, batchSize: 4 }));
    expect([error.origin, error.rewoundTo, error.layer]).toEqual([undefined, undefined, undefined]);
    expect([...trainer.parameters()].some(([, { data: values }]) => values.some(Number.isNaN))).toBe(true);
  });

  test("no copy of more than 32 MiB, unless it is asked for", () => {
    const large = sequential({ input: [1] }, root(), dense(1e6, { weightInitializer: zeros() }), dense(1));
    const rewoundTo = (more: Partial<CompileOptions>) => {
      using trainer = compileSync(large, { ...options, ...more } as typeof options);
      return divergenceOf(() => trainer.trainStepsSync({ x: [-1], y: [1] }, { steps: 1 })).rewoundTo;
    };
    expect([rewoundTo({}), rewoundTo({ tripwire: "loss" })]).toEqual([undefined, 0]);
  });

  test("values that were set begin anew", () => {
    using trainer = trainerWith();
    trainer.trainStepsSync({ x: [1, 2, 3, 4], y: [1, 2] }, { steps: 2 });
    trainer.setParameters(trainer.parameters());
    expect(divergenceOf(() => trainer.trainBatchSync({ x: [0, 1, 3, 4], y: [1, 2] })).rewoundTo).toBeUndefined();
  });

  test("a copy is freed with its trainer", () => {
    const before = engine.allocator.usedBytes();
    using trainer = trainerWith();
    divergenceOf(() => trainer.trainStepsSync(data, { steps: 30, batchSize: 4 }));
    trainer.dispose();
    expect(engine.allocator.usedBytes()).toBe(before);
  });
});

test("a workspace names results and parameters that are not finite", () => {
  using workspace = createWorkspaceSync({ engine });
  const own = sequential({ input: [1] }, root(), dense(1));
  const step = workspace.step(
    (given, { apply }) => {
      const out = apply(given.x, own);
      return { loss: mean(square(sub(out, given.y))), out };
    },
    { inputs: { x: [1, 1], y: [1, 1] }, train: own, optimizer: sgd({ learningRate: 0.1 }) },
  );
  expect(() => step({ x: [-1], y: [1] })).toThrow(
    "workspace.step: the loss became NaN at step 1, with learning rate 0.1; not finite: result loss, result out, parameter 0.1.weight, parameter 0.1.bias: ",
  );
});

test("minimize names gradients that are not finite", () => {
  using trainer = compileSync(sequential({ input: [1] }, root(), dense(1)), { loss: meanSquaredError(), engine });
  expect(() => minimizeSync(trainer, { x: [-1], y: [1] })).toThrow(
    "minimize: the loss became NaN at step 1, with learning rate 1; not finite: gradient of 1.weight, gradient of 1.bias: ",
  );
});

test.each([true, "gradients", 1, null])("tripwire %o is refused", (tripwire) => {
  expect(() => compileSync(model, { ...options, tripwire } as never)).toThrow(
    /^compile: tripwire must be "loss", "all" or false, got /,
  );
});
