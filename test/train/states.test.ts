// What layers keep from call to call, row by row: while training and predicting; zeros while scoring, and after a reset.
import {
  adam,
  type Checkpoint,
  compile,
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  crossEntropy,
  DataError,
  defineLayer,
  dense,
  embedding,
  functional,
  gru,
  learnedPositions,
  ModelError,
  meanSquaredError,
  multiHeadAttention,
  ones,
  sequential,
  sgd,
} from "steepest";
import { add, mul, scale, type Tensor, tanh } from "steepest/graph";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** h ← h/2 + x, given out: a running sum that forgets. */
const running = defineLayer("running", (x, { state, update }) => {
  const h = state("h", [x.shape[0], x.shape[1]]);
  const next = add(scale(h, 0.5), x);
  update(h, next);
  return next;
});
const options = { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.1 }), engine };
const weightInitializer = ones();

describe("states that only predictions go on with", () => {
  /** Learns which of four ids comes next: the one after. */
  const tokens = () => embedding(4, 8);
  const attend = () => multiHeadAttention(2, { causal: true, cache: 6 });
  const create = () =>
    sequential({ input: [6], dtype: "uint32" }, tokens(), learnedPositions(6, { stateful: true }), attend(), dense(4));
  const x = Uint32Array.from({ length: 5 * 6 }, (_, i) => (i + (i % 7)) % 4);
  const data = { x, y: x.map((id) => (id + 1) % 4) };
  const training = { loss: crossEntropy(), optimizer: adam(), engine };

  test("let batches be shuffled, of any sizes, and added up", () => {
    for (const accumulate of [1, 2]) {
      using trainer = compileSync(create(), { ...training, accumulate });
      using plain = compileSync(
        sequential(
          { input: [6], dtype: "uint32" },
          tokens(),
          learnedPositions(6),
          multiHeadAttention(2, { causal: true }),
          dense(4),
        ),
        { ...training, accumulate },
      );
      const losses = (one: typeof trainer) =>
        [...one.fitSync(data, { epochs: 3, batchSize: 2 })].map(({ loss }) => loss);
      expect(losses(trainer)).toEqual(losses(plain));
    }
  });

  test("are not touched by training, and a checkpoint has no rows of them before a prediction", () => {
    using trainer = compileSync(create(), training);
    trainer.trainBatchSync(data);
    expect(trainer.checkpoint().states).toBeUndefined();
    const text = x.subarray(0, 4);
    trainer.predictSync(text.subarray(0, 2), { inputShape: [2] });
    const { states } = trainer.checkpoint();
    trainer.trainBatchSync(data); // five rows, where the states have one
    trainer.gradientsSync(data);
    expect(trainer.checkpoint().states).toEqual(states);
    const second = trainer.predictSync(text.subarray(2), { inputShape: [2] });
    expect(() => trainer.predictSync(x)).toThrow("predict: the model's state holds 1 row, one for each of a batch");
    expect(second).toHaveLength(8);
  });

  test("have as many rows in a checkpoint as those that training goes on with", () => {
    const model = sequential({ input: [6], dtype: "uint32" }, tokens(), attend(), gru(4, { stateful: true }), dense(4));
    using trainer = compileSync(model, training);
    trainer.predictSync(x.subarray(0, 2), { inputShape: [2] }); // room for one row
    trainer.resetState();
    const last = { x, y: [0, 1, 2, 3, 0] };
    trainer.trainBatchSync(last);
    const checkpoint = trainer.checkpoint();
    expect([...(checkpoint.states ?? [])].map(([path, { shape }]) => [path, shape[0]])).toEqual(
      ["1.position", "1.cache", "2.hidden"].map((path) => [path, 5]),
    );
    for (const [path, { data }] of checkpoint.states ?? [])
      expect(
        data.every((v) => v === 0),
        path,
      ).toBe(!path.includes("hidden"));
    using other = compileSync(model, training);
    other.restore(checkpoint);
    expect(other.trainBatchSync(last)).toBe(trainer.trainBatchSync(last));
  });
});

describe("a trainer's states", () => {
  const model = sequential({ input: [1] }, running(), dense(1, { weightInitializer }));

  test("go on from prediction to prediction, row by row, until they are reset", async () => {
    using trainer = compileSync(model, options);
    expect([...trainer.predictSync([1, 10])]).toEqual([1, 10]);
    expect([...(await trainer.predict([1, 10]))]).toEqual([1.5, 15]);
    expect([...trainer.predictSync([0, 0], { output: "raw" })]).toEqual([0.75, 7.5]);
    expect(() => trainer.predictSync([1])).toThrow(DataError);
    expect(() => trainer.predictSync([1, 2, 3])).toThrow(
      "predict: the model's state holds 2 rows, one for each of a batch, got a batch of 3: call resetState() first",
    );
    // What was refused had needed more memory, into which the state moved.
    expect([...trainer.predictSync([0, 0])]).toEqual([0.375, 3.75]);
    trainer.resetState();
    expect([...trainer.predictSync([1, 2, 3])]).toEqual([1, 2, 3]);
    trainer.resetState();
    expect([...trainer.predictSync([1])]).toEqual([1]);
    trainer.reset();
    expect([...trainer.predictSync([1, 2])]).toEqual([1, 2]);
  });

  test("more rows than a prediction otherwise takes at once are still rows of one batch", () => {
    using trainer = compileSync(model, options);
    const x = Float32Array.from({ length: 600 }, (_, i) => i);
    trainer.predictSync(x);
    const second = trainer.predictSync(x);
    expect([second[1], second[299], second[599]]).toEqual([1.5, 448.5, 898.5]);
  });

  test("an evaluation begins each sample with zeros, in any batches, and leaves them as they are", () => {
    using trainer = compileSync(model, options);
    trainer.predictSync([1, 10]);
    for (const batchSize of [1, 2, 4]) {
      expect(trainer.evaluateSync({ x: [1, 2, 3, 4], y: [0, 0, 0, 0] }, { batchSize })).toEqual({ loss: 7.5 });
    }
    expect([...trainer.predictSync([1, 10])]).toEqual([1.5, 15]);
  });

  test("training steps go on with them as the same recurrence in plain numbers does", () => {
    using trainer = compileSync(model, options);
    // Two rows, three steps: rows 0 and 1 first, then 2 and 3, which go on with them.
    const x = [1, 2, 3, 4, 5, 6];
    const y = [0, 1, 0, 1, 0, 1];
    const losses = trainer.trainStepsSync({ x, y }, { steps: 3, batchSize: 2, shuffle: false });
    let [w, b] = [1, 0];
    const h = [0, 0];
    for (let step = 0; step < 3; step++) {
      let [loss, dw, db] = [0, 0, 0];
      for (const row of [0, 1]) {
        h[row] = h[row] / 2 + x[2 * step + row];
        const error = w * h[row] + b - y[2 * step + row];
        loss += error ** 2 / 2;
        dw += error * h[row];
        db += error;
      }
      expect(losses[step]).toBeCloseTo(loss, 4);
      w -= 0.1 * dw;
      b -= 0.1 * db;
    }
    expect(trainer.predictSync([0, 0])[0]).toBeCloseTo((w * h[0]) / 2 + b, 4);
  });

  test("what cannot go on row by row is refused before anything is trained", () => {
    using trainer = compileSync(model, options);
    const data = { x: [1, 2, 3, 4, 5], y: [1, 2, 3, 4, 5] };
    expect(() => trainer.fitSync(data, { batchSize: 2, shuffle: false })).toThrow("got 5 samples in batches of 2");
    expect(() => trainer.fitSync({ x: [1, 2], y: [1, 2] }, { batchSize: 1 })).toThrow("write shuffle: false");
    expect(trainer.steps).toBe(0);
    expect(trainer.fitSync(data, { epochs: 2 }).length).toBe(2);
    expect(() => trainer.trainBatchSync({ x: [1], y: [1] })).toThrow("trainBatch: the model's state holds 5 rows");
  });

  test("gradients read them and change nothing", () => {
    using trainer = compileSync(model, options);
    trainer.predictSync([2]);
    // h = 1 + 3 = 4, error 4: dw = 2·4·4.
    const gradients = () => trainer.gradientsSync({ x: [3], y: [0] }).get("1.weight")?.data[0];
    expect([gradients(), gradients()]).toEqual([32, 32]);
    expect([...trainer.predictSync([0])]).toEqual([1]);
  });

  test("of nested and shared layers each is kept once; what comes out is from before the change", () => {
    const before = defineLayer("before", (x, { state, update }) => {
      const h = state("h", [x.shape[0], 1]);
      update(h, x);
      return h;
    });
    const inner = sequential({ input: [1], name: "inner" }, before());
    const twice = functional({ input: [1] }, (x, { apply }) => ({ a: apply(x, inner), b: apply(x, inner) }));
    using trainer = compileSync(twice, { engine });
    expect(trainer.predictSync([5])).toEqual({ a: Float32Array.of(0), b: Float32Array.of(0) });
    expect(trainer.predictSync([7])).toEqual({ a: Float32Array.of(5), b: Float32Array.of(5) });
  });

  test("in the background too, with more threads, they are the same", async () => {
    for (const background of [false, true]) {
      const { loss, optimizer } = options;
      using trainer = await compile(model, { loss, optimizer, background, threads: 2 });
      await trainer.predict([1, 10]);
      expect([...(await trainer.predict([1, 10]))]).toEqual([1.5, 15]);
      expect([...trainer.predictSync([0, 0])]).toEqual([0.75, 7.5]);
    }
  });

  test("their memory is given back", () => {
    const used = engine.allocator.usedBytes();
    const trainer = compileSync(model, options);
    trainer.predictSync([1, 2]);
    trainer.resetState();
    trainer.predictSync(new Float32Array(300));
    trainer.dispose();
    expect(engine.allocator.usedBytes()).toBe(used);
    expect(() => trainer.resetState()).toThrow("disposed of");
  });
});

test("a workspace's steps keep them, also where nothing is trained; steps of one model share them", () => {
  const model = sequential({ input: [1] }, running());
  const used = engine.allocator.usedBytes();
  {
    using workspace = createWorkspaceSync({ engine });
    const inputs = { x: [2, 1] };
    const step = workspace.step(({ x }, { apply }) => ({ y: apply(x, model) }), { inputs });
    const other = workspace.step(({ x }, { apply }) => ({ y: scale(apply(x, model), 2) }), { inputs });
    expect([...step({ x: [1, 10] }).y]).toEqual([1, 10]);
    expect([...other({ x: [1, 10] }).y]).toEqual([3, 30]);
    workspace.resetState();
    expect([...step({ x: [1, 10] }).y]).toEqual([1, 10]);
    expect(() => workspace.step(({ x }, { apply }) => ({ y: apply(x, model) }), { inputs: { x: [3, 1] } })).toThrow(
      "has 2 rows in another step, got 3: give all steps that share it one batch size",
    );
  }
  expect(engine.allocator.usedBytes()).toBe(used);
});

test("a state's shape is a row for each of the batch, the same each time", () => {
  const made = (shape: (x: Tensor) => number[]) => () =>
    functional({ input: [2] }, (x, { state }) => mul(x, state("h", shape(x))));
  expect(made(() => [])).toThrow('state "h" must have a row for each of the batch, got the shape []');
  expect(made(() => [5, 2])).toThrow('"h" must have a row for each of the batch, [2, …], got [5, …]');
  expect(made((x) => [...x.shape])).not.toThrow();
  let traces = 0;
  const changing = functional({ input: [2] }, (x, { state }) => {
    state("h", [x.shape[0], traces++ + 1]);
    return scale(x, 1);
  });
  expect(() => compileSync(changing, { engine }).predictSync([1, 2])).toThrow(ModelError);
  expect(() =>
    functional({ input: [2] }, (x, { state, update }) => {
      update(state("h", [x.shape[0], 3]), x);
      return x;
    }),
  ).toThrow("update: the new value of h must be float32 [2, 3], got float32 [2, 2]");
});

describe("a checkpoint has the states", () => {
  /** One at the top, one in a model within: what is kept feeds what is trained. */
  const remembering = defineLayer("remembering", (x, { state, update, parameter }) => {
    const h = state("h", [x.shape[0], 3]);
    const next = tanh(add(mul(h, parameter("decay", [3], ones())), x));
    update(h, next);
    return next;
  });
  const inner = sequential({ input: [3], name: "inner" }, dense(3), remembering({ name: "memory" }));
  const model = functional({ input: [3] }, (x, { apply }) => apply(x, remembering(), inner, dense(2)));
  const wave = (length: number, of: number) => Float32Array.from({ length }, (_, i) => Math.sin(of * i + 1));
  const data = { x: wave(24 * 3, 0.7), y: wave(24 * 2, 0.3) };
  const plan = { batchSize: 4, shuffle: false };
  const recipe = { loss: meanSquaredError(), optimizer: adam({ learningRate: 0.05 }) };

  test.each([
    ["one thread", { threads: 1 }],
    ["three threads", { threads: 3 }],
    ["the background", { background: true, threads: 2 }],
  ])("a training that is stopped within a pass has the bits of one that was not: %s", async (_, where) => {
    using straight = await compile(model, { ...recipe, ...where, seed: 5 });
    using first = await compile(model, { ...recipe, ...where, seed: 5 });
    using second = await compile(model, { ...recipe, ...where, seed: 6 });
    // The other trainer has states of more rows, in which those of the checkpoint have room.
    await second.predict(wave(9 * 3, 1));
    for (const trainer of [straight, first]) await trainer.trainSteps(data, { ...plan, steps: 8 });
    const checkpoint = first.checkpoint();
    expect([...(checkpoint.states ?? [])].map(([path, { shape }]) => [path, shape])).toEqual([
      ["0.h", [4, 3]],
      ["inner.memory.h", [4, 3]],
    ]);
    for (const { data } of checkpoint.states?.values() ?? []) expect(data.every((value) => value !== 0)).toBe(true);
    second.restore(decodeCheckpoint(encodeCheckpoint(checkpoint)));
    expect(second.checkpoint()).toEqual(checkpoint);
    const rest = { ...plan, steps: 7 };
    expect(await second.trainSteps(data, rest)).toEqual(await straight.trainSteps(data, rest));
    const x = wave(4 * 3, 2);
    for (let call = 0; call < 2; call++) expect(await second.predict(x)).toEqual(await straight.predict(x));
    expect(second.checkpoint()).toEqual(straight.checkpoint());
    // Others would have come out without the states.
    const { states: _states, ...without } = checkpoint;
    second.restore(without);
    expect(await second.trainSteps(data, rest)).not.toEqual(await first.trainSteps(data, rest));
  });

  const trained = (): Checkpoint => {
    using trainer = compileSync(model, { ...recipe, engine });
    trainer.trainStepsSync(data, { ...plan, steps: 3 });
    return trainer.checkpoint();
  };

  test("one without states, as after resetState() or of an earlier version, restores zeros for any number of rows", () => {
    const used = engine.allocator.usedBytes();
    {
      using trainer = compileSync(model, { ...recipe, engine });
      const start = trainer.checkpoint();
      expect("states" in start).toBe(false);
      const x = wave(2 * 3, 1);
      const fresh = trainer.predictSync(x);
      expect(trainer.predictSync(x)).not.toEqual(fresh);
      trainer.restore(start);
      expect(trainer.predictSync(x)).toEqual(fresh);
      trainer.restore({ ...start, states: new Map() });
      expect(trainer.predictSync(wave(3 * 3, 1)).subarray(0, 4)).toEqual(fresh);
      trainer.resetState();
      expect(trainer.checkpoint()).toEqual(start);
    }
    expect(engine.allocator.usedBytes()).toBe(used);
  });

  test("states that do not fit are refused, with nothing changed", () => {
    using trainer = compileSync(model, { ...recipe, engine, seed: 3 });
    trainer.predictSync(wave(2 * 3, 1));
    const before = trainer.checkpoint();
    const good = trained();
    const state = (shape: number[], data = new Float32Array(shape.reduce((a, b) => a * b, 1))) => ({ shape, data });
    const refuse = (states: unknown, message: string) => {
      const refused = () => trainer.restore({ ...good, states } as Checkpoint);
      expect(refused).toThrow(message);
      expect(trainer.checkpoint()).toEqual(before);
    };
    const of = (...entries: [string, unknown][]) => new Map([...(good.states ?? []), ...entries]);
    refuse({}, "needs a checkpoint with Maps of parameters and slots");
    refuse(
      new Map([["0.h", state([4, 3])]]),
      'restore: states: the model has "inner.memory.h" [4, 3], the checkpoint has 0.h',
    );
    refuse(
      of(["0.h", state([5, 3])]),
      'restore: states: "inner.memory.h" must be [5, 3] for this model, the checkpoint has',
    );
    refuse(of(["0.h", state([4, 2])]), 'restore: states: "0.h" must be [4, 3] for this model');
    refuse(of(["0.h", state([0, 3])]), "restore: the number of rows of the states must be");
    refuse(of(["0.h", undefined]), "restore: the number of rows of the states must be");
    refuse(
      of(["0.h", state([4, 3], new Float32Array(12).fill(Number.NaN))]),
      "every value must be finite, got NaN at index 0",
    );
    refuse(
      of(["other.h", state([4, 3])]),
      'restore: states: the checkpoint has "other.h", this model has 0.h, inner.memory.h',
    );
    using stateless = compileSync(sequential({ input: [3] }, dense(2)), { ...recipe, engine });
    const { parameters, optimizer } = stateless.checkpoint();
    expect(() => stateless.restore({ ...good, parameters, optimizer })).toThrow(
      'restore: states: the checkpoint has "0.h", this model has none',
    );
  });

  test("a state that is not finite is not saved", () => {
    const doubling = defineLayer("doubling", (x, { state, update }) => {
      const h = state("h", [x.shape[0], 1]);
      update(h, add(scale(h, 1e30), x));
      return x;
    });
    using trainer = compileSync(sequential({ input: [1] }, doubling(), dense(1)), { ...recipe, engine });
    for (let call = 0; call < 3; call++) trainer.predictSync([1]);
    expect(() => trainer.checkpoint()).toThrow(
      'checkpoint: every value must be finite, got Infinity in "states/0.h" at index 0',
    );
    trainer.resetState();
    expect(trainer.checkpoint().steps).toBe(0);
  });
});
