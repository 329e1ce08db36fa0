// What layers keep from call to call, row by row: while training and predicting; zeros while scoring, and after a reset.
import {
  compile,
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  DataError,
  defineLayer,
  dense,
  functional,
  ModelError,
  meanSquaredError,
  ones,
  sequential,
  sgd,
} from "steepest";
import { add, mul, scale, type Tensor } from "steepest/graph";
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
