import {
  checkGradients,
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  crossEntropy,
  defineLayer,
  dense,
  dropout,
  flatten,
  functional,
  type Layer,
  leakyRelu,
  ModelError,
  meanSquaredError,
  oneHot,
  ones,
  relu,
  sequential,
  sgd,
  softmax,
  tanh,
} from "steepest";
import { add, constant, customGradient, mul, randomNormal, reshape, scale, sum, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());
const recipe = { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.1 }), engine } as const;

const paths = ({ parameters }: { parameters: ReadonlyMap<string, unknown> }) => [...parameters.keys()];

describe("functional", () => {
  test("a chain is the same as sequential: bits of a training, paths, summary's rows", () => {
    const x = Float32Array.from({ length: 30 }, (_, i) => Math.fround(Math.sin(i)));
    const y = Float32Array.from({ length: 20 }, (_, i) => Math.fround(Math.cos(i)));
    const layers = (): Layer[] => [dense(5, { name: "first" }), tanh(), dropout(0.5), dense(2)];
    const chain = sequential({ input: [3] }, ...layers());
    const free = functional({ input: [3] }, (tensor, { apply }) => apply(tensor, ...layers()));
    expect(paths(free)).toEqual(["first.weight", "first.bias", "3.weight", "3.bias"]);
    expect(paths(chain)).toEqual(paths(free));
    const train = (model: typeof chain) => {
      using trainer = compileSync(model, { ...recipe, seed: 4 });
      const losses = trainer.trainStepsSync({ x, y }, { steps: 7, batchSize: 4 });
      return [...losses, ...trainer.predictSync(x)];
    };
    expect(train(free as typeof chain)).toEqual(train(chain));
  });

  test("a skip has the gradient of both ways", async () => {
    const model = functional({ input: [4] }, (x, { apply }) => apply(add(x, apply(x, dense(4), tanh())), dense(2)));
    const data = { x: Float32Array.from({ length: 12 }, (_, i) => Math.cos(i)), y: new Float32Array(6).fill(0.5) };
    const report = await checkGradients(model, { loss: meanSquaredError(), data, engine });
    expect(report.worst.error).toBeLessThan(2e-3);
    expect(report.passed).toBe(true);
    expect(paths(model)).toEqual(["0.weight", "0.bias", "2.weight", "2.bias"]);
  });

  test("a layer that is applied twice has one set of parameters, and the sum of both gradients", () => {
    const model = functional({ input: { a: [3], b: [3] } }, ({ a, b }, { apply }) => {
      const shared = dense(1, { weightInitializer: ones() });
      return add(apply(a, shared), scale(apply(b, shared), 2));
    });
    expect(paths(model)).toEqual(["0.weight", "0.bias"]);
    using trainer = compileSync(model, recipe);
    expect([...trainer.predictSync({ a: [[1, 2, 3]], b: [[1, 0, 0]] })]).toEqual([8]);
    const gradients = trainer.gradientsSync({ x: { a: [[1, 2, 3]], b: [[1, 0, 0]] }, y: [[7]] });
    // 2 · (8 - 7) · (a + 2b)
    expect([...(gradients.get("0.weight")?.data ?? [])]).toEqual([6, 4, 6]);
    expect([...(gradients.get("0.bias")?.data ?? [])]).toEqual([6]);
  });

  test("several inputs and outputs: scores, predictions and losses by name", () => {
    const model = functional({ input: { image: [2, 2], meta: [3] } }, ({ image, meta }, { apply }) => {
      const hidden = add(apply(image, flatten(), dense(8), relu()), apply(meta, dense(8)));
      return { kind: apply(hidden, dense(3)), size: apply(hidden, dense(1)) };
    });
    expect(model.outputShape).toEqual({ kind: [3], size: [1] });
    using trainer = compileSync(model, {
      loss: { kind: crossEntropy(), size: meanSquaredError() },
      lossWeights: { size: 0.5 },
      metrics: ["accuracy"],
      optimizer: sgd({ learningRate: 0.2 }),
      engine,
    });
    const count = 40;
    const image = Float32Array.from({ length: count * 4 }, (_, i) => Math.sin(i * 7));
    const meta = Float32Array.from({ length: count * 3 }, (_, i) => Math.cos(i * 5));
    const kind = Uint8Array.from({ length: count }, (_, i) => (meta[3 * i] > 0.3 ? 2 : image[4 * i] > 0 ? 1 : 0));
    const size = Float32Array.from({ length: count }, (_, i) => meta[3 * i + 1] - image[4 * i + 3]);
    const data = { x: { image, meta }, y: { kind, size } };
    const before = trainer.evaluateSync(data);
    expect(before.loss).toBeCloseTo(before["kind.loss"] + 0.5 * before["size.loss"], 5);
    trainer.fitSync(data, { epochs: 60, batchSize: 16 });
    const after = trainer.evaluateSync(data);
    expect(after["kind.accuracy"]).toBeGreaterThan(0.9);
    expect(after["size.loss"]).toBeLessThan(before["size.loss"] / 4);
    expect(Object.keys(after)).toEqual(["loss", "kind.loss", "size.loss", "kind.accuracy"]);
    const predictions = trainer.predictSync({ image, meta });
    expect([predictions.kind.length, predictions.size.length]).toEqual([count * 3, count]);
    expect(predictions.kind.subarray(0, 3).reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    expect(trainer.summary()).toMatch(/^meta +input +\[3\]$/m);
  });

  test("what does not fit is refused, and says where and why", () => {
    const two = functional({ input: { a: [2], b: [2] } }, ({ a, b }, { apply }) => ({
      p: apply(a, dense(1)),
      q: apply(b, dense(1)),
    }));
    const losses = { p: meanSquaredError(), q: meanSquaredError() };
    const optimizer = sgd();
    // @ts-expect-error: losses go by the outputs' names
    expect(() => compileSync(two, { loss: meanSquaredError(), optimizer, engine })).toThrow(
      /loss must name the outputs' losses: \{ p: …, q: … \}/,
    );
    // @ts-expect-error: there is no r
    expect(() => compileSync(two, { loss: { ...losses, r: meanSquaredError() }, optimizer, engine })).toThrow(
      /loss: unknown option "r"/,
    );
    expect(() => compileSync(two, { loss: {}, optimizer, engine })).toThrow(/at least one of p, q, got none/);
    const mixed = { p: meanSquaredError(), q: meanSquaredError({ reduction: "sum" }) };
    expect(() => compileSync(two, { loss: mixed, optimizer, engine })).toThrow(/one reduction/);
    // @ts-expect-error: there is no r
    expect(() => compileSync(two, { loss: losses, lossWeights: { r: 1 }, optimizer, engine })).toThrow(
      /lossWeights: unknown option "r"/,
    );
    using trainer = compileSync(two, { loss: losses, optimizer, engine });
    // @ts-expect-error: b is missing
    expect(() => trainer.predictSync({ a: [1, 2] })).toThrow(/x: must be an object with a, b, got \{ a \}/);
    const y = { p: [[1]], q: [[1], [2]] };
    expect(() => trainer.trainBatchSync({ x: { a: [[1, 2]], b: [[1, 2]] }, y })).toThrow(
      /y\.q: must have 1 value for each of the 1/,
    );
    expect(() => trainer.predictSync({ a: [[1, 2]], b: new Float32Array(4) })).toThrow(
      /x\.b: must have the 1 samples of x\.a, each of shape \[2\], got 2/,
    );
    expect(() => sequential({ input: [2] }, two as unknown as Layer)).toThrow(
      /each layer must take one tensor, but functional\(\) takes a, b: use functional/,
    );
    expect(() => functional({ input: [2] }, () => constant([[1, 2]]))).toThrow(/batch axis in front/);
    expect(() => functional({ input: [2] }, () => 7 as never)).toThrow(/must return a tensor/);
    expect(() => functional({ input: [2] }, (x) => reshape(x, [-1]))).toThrow(
      /must have the batch axis in front, got \[4\]/,
    );
    expect(() =>
      functional({ input: [2] }, (x, { apply }) => apply(x, dense(2, { name: "a" }), dense(2, { name: "a" }))),
    ).toThrow(/"a" twice/);
    expect(() =>
      compileSync(sequential({ input: [2] }, dense(2), softmax()), { loss: crossEntropy(), optimizer, engine }),
    ).toThrow(/ends in softmax\(\)/);
  });

  test("a function that does otherwise the next time is refused", () => {
    let calls = 0;
    const model = functional({ input: [2] }, (x, { apply }) => {
      calls += 1;
      return calls === 1 ? apply(x, dense(2)) : apply(x, relu(), dense(2));
    });
    expect(() => compileSync(model, recipe).predictSync([1, 2])).toThrow(/relu\(\) instead of dense\(\) as layer 0/);
  });
});

describe("nested models", () => {
  const encoder = () => sequential({ input: [4], name: "encoder" }, dense(3), tanh());

  test("parameters are addressed by path", () => {
    const model = sequential({ input: [4] }, encoder(), dense(2, { name: "head" }));
    expect(paths(model)).toEqual(["encoder.0.weight", "encoder.0.bias", "head.weight", "head.bias"]);
    using trainer = compileSync(model, recipe);
    trainer.setParameters({ "encoder.0.bias": [1, 2, 3] });
    expect([...(trainer.parameters().get("encoder.0.bias")?.data ?? [])]).toEqual([1, 2, 3]);
  });

  test("an input of another shape is refused", () => {
    expect(() => sequential({ input: [5] }, encoder())).toThrow(
      /sequential "encoder": input must be \[batch, 4\], got \[batch, 5\]/,
    );
  });

  test("one model within two branches has its parameters once", () => {
    const inner = encoder();
    const model = functional({ input: { a: [4], b: [4] } }, ({ a, b }, { apply }) =>
      mul(apply(a, inner), apply(b, inner)),
    );
    expect(paths(model)).toEqual(["encoder.0.weight", "encoder.0.bias"]);
  });

  test("a model that is applied twice is the same both times", () => {
    const inner = sequential({ input: [2] }, dense(2, { weightInitializer: ones() }));
    const model = functional({ input: [2] }, (x, { apply }) => add(apply(x, inner), apply(x, inner)));
    expect(paths(model)).toEqual(["0.0.weight", "0.0.bias"]);
    using trainer = compileSync(model, recipe);
    expect([...trainer.predictSync([1, 2])]).toEqual([6, 6]);
  });

  test("a model of several outputs is applied", () => {
    const parts = functional({ input: [4], name: "parts" }, (x, { apply }) => ({
      mean: apply(x, dense(2)),
      rest: apply(x, dense(2)),
    }));
    const model = functional({ input: [4] }, (x, { apply }) => {
      const { mean, rest } = apply(x, parts);
      return add(mean, rest);
    });
    expect(paths(model)).toEqual(["parts.0.weight", "parts.0.bias", "parts.1.weight", "parts.1.bias"]);
    using trainer = compileSync(model, recipe);
    expect(trainer.predictSync([1, 2, 3, 4]).length).toBe(2);
  });
});

describe("frozen", () => {
  const model = sequential({ input: [4] }, sequential({ input: [4], name: "encoder" }, dense(3), tanh()), dense(1));
  const data = { x: Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)), y: new Float32Array(10).fill(1) };

  test("patterns freeze what they match, as groups have them", () => {
    using trainer = compileSync(model, { ...recipe, frozen: ["*.bias"] });
    const before = trainer.parameters();
    trainer.trainStepsSync(data, { steps: 2 });
    for (const [path, { data }] of trainer.parameters()) {
      if (path.endsWith("bias")) expect(data).toEqual(before.get(path)?.data);
      else expect(data).not.toEqual(before.get(path)?.data);
    }
  });

  test("frozen parameters stay, the others move, as with the others' gradients alone", () => {
    using trainer = compileSync(model, { ...recipe, frozen: ["encoder"] });
    using whole = compileSync(model, recipe);
    const before = trainer.parameters();
    expect([...before].map(([path, { data: values }]) => [path, ...values])).toEqual(
      [...whole.parameters()].map(([path, { data: values }]) => [path, ...values]),
    );
    expect([...trainer.gradientsSync(data).keys()]).toEqual(["1.weight", "1.bias"]);
    trainer.trainBatchSync(data);
    whole.trainBatchSync(data);
    const after = trainer.parameters();
    for (const path of ["encoder.0.weight", "encoder.0.bias"]) expect(after.get(path)).toEqual(before.get(path));
    for (const path of ["1.weight", "1.bias"]) expect(after.get(path)).toEqual(whole.parameters().get(path));
    expect(trainer.summary()).toContain("4 parameters (and 15 frozen)");
    trainer.reset();
    expect(trainer.parameters()).toEqual(before);
  });

  test("an unknown path, and nothing left to train, are refused", () => {
    expect(() => compileSync(model, { ...recipe, frozen: ["decoder"] })).toThrow(
      /frozen must name parameters, .* got "decoder"/,
    );
    using trainer = compileSync(model, { ...recipe, frozen: ["encoder", "1"] });
    expect(() => trainer.trainBatchSync(data)).toThrow(/freeze fewer/);
  });
});

describe("defineLayer", () => {
  const scaled = defineLayer<{ by?: number }>("scaled", (x, { parameter }, { by = 1 }) => {
    if (x.shape.length !== 2) throw new ModelError(`scaled: input must be [batch, features], got [${x.shape}]`);
    return scale(mul(x, parameter("factor", [x.shape[1]], ones())), by);
  });

  test("it has parameters, options, paths and shape checks", () => {
    const model = sequential({ input: [3] }, scaled({ by: 2 }), scaled({ name: "last" }));
    expect(paths(model)).toEqual(["0.factor", "last.factor"]);
    using trainer = compileSync(model, { ...recipe, loss: meanSquaredError({ reduction: "sum" }) });
    expect([...trainer.predictSync([1, 2, 3])]).toEqual([2, 4, 6]);
    trainer.trainBatchSync({ x: [[1, 0, 2]], y: [[1, 0, 4]] });
    // d/df (2·f·x - y)² = 2·(2 - 1)·2 for the first, 0 for the others.
    expect([...(trainer.parameters().get("0.factor")?.data ?? [])]).toEqual([Math.fround(1 - 0.4), 1, 1]);
    expect(() => leakyRelu(0.2 as never)).toThrow(
      /leakyRelu: options must be an object such as \{ negativeSlope: … \}, got 0.2/,
    );
    expect(() => sequential({ input: [2, 2] }, scaled())).toThrow(/scaled 0: scaled: input must be/);
  });

  test("it knows training from predicting, keeps buffers, and may be made of other layers", () => {
    const counting = defineLayer("counting", (x, { training, buffer, update, apply }) => {
      const seen = buffer("seen", [1]);
      update(seen, add(seen, 1));
      const y = apply(x, dense(2, { weightInitializer: ones() }));
      return training ? scale(y, 10) : add(y, seen);
    });
    const model = sequential({ input: [1] }, counting());
    expect(paths(model)).toEqual(["0.seen", "0.0.weight", "0.0.bias"]);
    using trainer = compileSync(model, { ...recipe, optimizer: sgd({ learningRate: 0 }) });
    const losses = trainer.trainStepsSync(
      {
        x: [[1], [1]],
        y: [
          [10, 10],
          [10, 10],
        ],
      },
      { steps: 3 },
    );
    expect([...losses]).toEqual([0, 0, 0]);
    expect([...trainer.predictSync([1])]).toEqual([4, 4]);
    expect(trainer.evaluateSync({ x: [[1]], y: [[4, 4]] }).loss).toBe(0);
    expect([...(trainer.parameters().get("0.seen")?.data ?? [])]).toEqual([3]);
    expect([...trainer.gradientsSync({ x: [[1]], y: [[4, 4]] }).keys()]).toEqual(["0.0.weight", "0.0.bias"]);
    trainer.reset();
    expect([...(trainer.parameters().get("0.seen")?.data ?? [])]).toEqual([0]);
  });

  test("customGradient: the user's rule is what goes back", () => {
    const straightThrough = defineLayer("straightThrough", (x: Tensor) =>
      customGradient(
        [x],
        (value) => scale(value, 0),
        (gradient) => gradient,
      ),
    );
    const model = sequential({ input: [1] }, dense(1, { bias: false, weightInitializer: ones() }), straightThrough());
    using trainer = compileSync(model, recipe);
    // The result is 0 whatever x is; the rule hands 2·(0 - 1) on to the weight, times x = 3.
    expect([...(trainer.gradientsSync({ x: [[3]], y: [[1]] }).get("0.weight")?.data ?? [])]).toEqual([-6]);
    const wrong = defineLayer("wrong", (x: Tensor) =>
      customGradient(
        [x],
        (value) => value,
        (gradient) => sum(gradient),
      ),
    );
    expect(() => compileSync(sequential({ input: [1] }, dense(2), wrong()), recipe)).toThrow(
      /compile: customGradient: the gradient of input 0 must be \[2, 2\], got \[\]/,
    );
  });
});

describe("other sizes of the input", () => {
  // Sums over all pixels: any size of image gives one number.
  const total = defineLayer("total", (x: Tensor) => reshape(sum(x, [1, 2]), [x.shape[0], x.shape[3]]));
  const model = sequential({ input: [2, 2, 1] }, total(), dense(1, { weightInitializer: ones() }));

  test("cost a plan, not a model", () => {
    using trainer = compileSync(model, recipe);
    expect([
      ...trainer.predictSync([
        [
          [[1], [2]],
          [[3], [4]],
        ],
      ]),
    ]).toEqual([10]);
    const large = new Float32Array(2 * 9).fill(1);
    expect([...trainer.predictSync(large, { inputShape: [3, 3, 1] })]).toEqual([9, 9]);
    const batch = { x: large, y: [[9], [9]], inputShape: [3, 3, 1] };
    expect(trainer.trainBatchSync(batch)).toBe(0);
    expect(trainer.evaluateSync(batch).loss).toBe(0);
    expect(trainer.fitSync(batch, { epochs: 2 })[1].loss).toBe(0);
    expect([...trainer.predictSync([1, 2, 3, 4])]).toEqual([10]);
    expect(trainer.summary()).toMatch(/planned in \d+\.\d ms: \d+ steps; \d+ programs? held/);
  });

  test("are refused where the layers do not allow them", () => {
    using trainer = compileSync(sequential({ input: [2, 2] }, flatten(), dense(1)), recipe);
    expect(() => trainer.predictSync(new Float32Array(9), { inputShape: [3, 3] })).toThrow(
      /linear: input must be \[batch, …, 4\], got \[2, 9\]/,
    );
  });
});

describe("indices", () => {
  test("uint32 inputs, one-hot: other values are refused, others than indices too", () => {
    const model = sequential(
      { input: [2], dtype: "uint32" },
      oneHot(3),
      flatten(),
      dense(1, { weightInitializer: ones() }),
    );
    using trainer = compileSync(model, recipe);
    expect(model.layers[0].outputShape).toEqual([2, 3]);
    expect([
      ...trainer.predictSync([
        [0, 2],
        [1, 7],
      ]),
    ]).toEqual([2, 1]);
    expect(() => trainer.predictSync([0.5, 1])).toThrow(
      /x: every value must be a whole number of at least 0, got 0.5 at index 0/,
    );
    expect(() => trainer.trainBatchSync({ x: [[1, -1]], y: [[1]] })).toThrow(/got -1 at index 1/);
    const before = trainer.evaluateSync({ x: [[0, 1]], y: [[5]] }).loss;
    trainer.fitSync(
      {
        x: [
          [0, 1],
          [1, 2],
        ],
        y: [[5], [4]],
      },
      { epochs: 20 },
    );
    expect(trainer.evaluateSync({ x: [[0, 1]], y: [[5]] }).loss).toBeLessThan(before / 10);
    expect(() => sequential({ input: [2] }, oneHot(3))).toThrow(/uint32/);
  });
});

describe("workspace", () => {
  test("two optimizers in turn, each on its own model's parameters, over shared values", () => {
    using workspace = createWorkspaceSync({ seed: 1, engine });
    const first = sequential({ input: [1], name: "first" }, dense(1, { weightInitializer: ones() }));
    const second = sequential({ input: [1], name: "second" }, dense(1, { weightInitializer: ones() }));
    const options = { inputs: { x: [1, 1] }, optimizer: sgd({ learningRate: 0.25 }) };
    const product = (x: Tensor, apply: (x: Tensor, ...layers: Layer[]) => Tensor) => sum(apply(x, first, second));
    const up = workspace.step(({ x }, { apply }) => ({ loss: product(x, apply) }), { ...options, train: first });
    const down = workspace.step(({ x }, { apply }) => ({ loss: scale(product(x, apply), -1) }), {
      ...options,
      train: second,
    });
    expect([...up({ x: [2] }).loss]).toEqual([2]);
    // first: w = 1 - 0.25·2, b = -0.25; y = 0.5·2 - 0.25 = 0.75
    expect([...(workspace.parameters(first).get("0.weight")?.data ?? [])]).toEqual([0.5]);
    expect([...down({ x: [2] }).loss]).toEqual([-0.75]);
    expect([...(workspace.parameters(second).get("0.weight")?.data ?? [])]).toEqual([1.1875]);
    expect([...(workspace.parameters(first).get("0.weight")?.data ?? [])]).toEqual([0.5]);
    expect([up.steps, down.steps]).toEqual([1, 1]);
    workspace.setParameters(first, { "0.weight": [3] });
    const see = workspace.step(({ x }, { apply }) => ({ y: apply(x, first) }), { inputs: { x: [1, 1] } });
    expect([...see({ x: [1] }).y]).toEqual([2.75]);
  });

  test("steps draw different random numbers from each other and from call to call, the same in every workspace", () => {
    const draw = () => {
      using workspace = createWorkspaceSync({ seed: 3, engine });
      const step = () =>
        workspace.step((_, { randomness }) => ({ z: randomNormal([8], randomness()) }), { inputs: {} });
      const [first, second] = [step(), step()];
      return [first, second, first].map((one) => [...one({}).z]);
    };
    const numbers = draw();
    expect(new Set(numbers.flat()).size).toBe(24);
    expect(draw()).toEqual(numbers);
  });

  test("a step may have layers of its own, and trains what its loss depends on", () => {
    using workspace = createWorkspaceSync({ engine });
    const step = workspace.step(
      ({ x, y }, { apply }) => {
        const out = apply(x, dense(4), tanh(), dense(1));
        const error = add(out, scale(y, -1));
        return { loss: sum(mul(error, error)), out };
      },
      { inputs: { x: [3, 2], y: [3, 1] }, optimizer: sgd({ learningRate: 0.05 }) },
    );
    expect(paths(step)).toEqual(["0.weight", "0.bias", "2.weight", "2.bias"]);
    const feed = {
      x: [
        [0, 1],
        [1, 0],
        [1, 1],
      ],
      y: [[1], [1], [0]],
    };
    const first = step(feed).loss[0];
    for (let i = 0; i < 300; i++) step(feed);
    expect(step(feed).loss[0]).toBeLessThan(first / 50);
    expect(workspace.parameters(step).get("2.bias")?.shape).toEqual([1]);
  });

  test("what does not fit is refused, and disposal gives all memory back", () => {
    const free = engine.allocator.usedBytes();
    const workspace = createWorkspaceSync({ engine });
    const model = sequential({ input: [2] }, dense(1));
    const inputs = { x: [1, 2] };
    const optimizer = sgd();
    expect(() => workspace.step(({ x }, { apply }) => ({ out: apply(x, model) }), { inputs, optimizer })).toThrow(
      /scalar named loss, got out/,
    );
    expect(() => workspace.step(({ x }, { apply }) => ({ loss: apply(x, model) }), { inputs, optimizer })).toThrow(
      /a loss of shape \[1, 1\]/,
    );
    const step = workspace.step(({ x }, { apply }) => ({ loss: sum(apply(x, model)) }), {
      inputs,
      optimizer,
      train: model,
    });
    expect(() => step({} as never)).toThrow(/values must be an object with x, got {}/);
    expect(() => step({ x: [1, 2, 3] })).toThrow(/shape \[1, 2\]/);
    expect(() => workspace.setParameters(model, { "9": [1] })).toThrow(/must name the model's parameters, got "9"/);
    expect(() =>
      workspace.step(() => ({ loss: sum(constant([1])) }), {
        inputs: {},
        optimizer,
        train: sequential({ input: [1] }, relu()),
      }),
    ).toThrow(/train must name a model with parameters/);
    workspace.dispose();
    expect(() => step({ x: [1, 2] })).toThrow(/disposed/);
    expect(engine.allocator.usedBytes()).toBe(free);
  });
});
