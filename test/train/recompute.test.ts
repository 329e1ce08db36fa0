// recompute: layers whose values are computed again in the backward pass. Everything has the bits of a training that keeps
// its values, and takes less memory.
import {
  adam,
  averaged,
  batchNorm,
  checkGradients,
  compile,
  compileSync,
  conv2d,
  createWorkspaceSync,
  crossEntropy,
  defineLayer,
  dense,
  dropout,
  elu,
  flatten,
  functional,
  gelu,
  globalAveragePool,
  type Layer,
  layerNorm,
  lstm,
  maxPool2d,
  meanSquaredError,
  multiHeadAttention,
  recompute,
  relu,
  residual,
  sequential,
  sgd,
  sigmoid,
  silu,
  softplus,
  tanh,
} from "steepest";
import {
  add,
  compileFunctionSync,
  concatenate,
  gradient,
  matmul,
  mean,
  mul,
  recompute as recomputeFunction,
  scan,
  square,
  sum,
  type Tensor,
  tanh as tanhOf,
} from "steepest/graph";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { describe, expect, test } from "vitest";

const wave = (length: number, of: number) => Float32Array.from({ length }, (_, i) => Math.sin(of * i + 1));
const same = <T>(one: T): T => one;
type Wrap = <L extends Layer>(layer: L) => L;

const SAMPLES = 12;
const images = {
  x: wave(SAMPLES * 8 * 8 * 3, 0.7),
  y: Uint32Array.from({ length: SAMPLES }, (_, i) => i % 4),
};

/** A block with all that could change if it ran twice: random numbers, running statistics, fused activations. */
const block = (channels: number) =>
  residual(
    conv2d(channels, 3, { padding: "same", bias: false }),
    batchNorm(),
    relu(),
    dropout(0.2),
    conv2d(channels, 3, { padding: "same" }),
    elu(),
  );

const picture = (wrap: Wrap) =>
  sequential(
    { input: [8, 8, 3] },
    conv2d(6, 3, { padding: "same" }),
    batchNorm(),
    relu(),
    wrap(block(6)),
    wrap(block(6)),
    maxPool2d(2),
    wrap(sequential({ input: [4, 4, 6], name: "deep" }, wrap(block(6)), wrap(block(6)))),
    globalAveragePool(),
    wrap(dense(4)),
  );

/** Everything that a training leaves: losses, scores, parameters and buffers. */
async function trained(wrap: Wrap, options: object = {}): Promise<unknown[]> {
  using trainer = await compile(picture(wrap), {
    loss: crossEntropy(),
    metrics: ["accuracy"],
    optimizer: averaged(adam({ learningRate: 0.01 }), { decay: 0.9 }),
    seed: 3,
    ...options,
  });
  const results: unknown[] = [];
  for await (const epoch of trainer.fit(images, { epochs: 2, batchSize: 5 }))
    results.push({ ...epoch, durationMs: 0, samplesPerSecond: 0 });
  results.push(await trainer.evaluate(images), await trainer.predict(images.x), trainer.parameters());
  results.push(trainer.parameters({ of: "average" }), await trainer.gradients(images, { inputs: true }));
  return results;
}

describe("bits of a training", () => {
  test("are those without, with nested blocks, for any number of threads", async () => {
    const kept = await trained(same);
    for (const threads of [1, 2, 3, 4, 8]) expect(await trained(recompute, { threads })).toEqual(kept);
  });

  test("with several batches a step, and frozen parameters", async () => {
    for (const options of [{ accumulate: 2 }, { frozen: ["3", "deep.0"] }, { build: "fast" }]) {
      expect(await trained(recompute, options)).toEqual(await trained(same, options));
    }
  });

  test("paths are the same, so a checkpoint of one continues in the other", () => {
    const recipe = { loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }) };
    using kept = compileSync(picture(same), recipe);
    using other = compileSync(picture(recompute), { ...recipe, seed: 9 });
    kept.trainStepsSync(images, { steps: 3, batchSize: 5 });
    other.restore(decodeCheckpoint(encodeCheckpoint(kept.checkpoint())));
    expect([...other.parameters().keys()]).toEqual([...kept.parameters().keys()]);
    const continued = [kept, other].map((trainer) => trainer.trainStepsSync(images, { steps: 4, batchSize: 5 }));
    expect(continued[1]).toEqual(continued[0]);
    expect(other.parameters()).toEqual(kept.parameters());
  });

  test.for<[string, (wrap: Wrap) => Layer]>([
    [
      "activations that are fused into the product only if it runs twice",
      (wrap) =>
        wrap(
          sequential(
            { input: [5, 6] },
            ...[relu, tanh, sigmoid, gelu, silu, softplus, elu].flatMap((activation) => [dense(6), activation()]),
          ),
        ),
    ],
    [
      "layer normalization, attention",
      (wrap) => wrap(sequential({ input: [5, 6] }, layerNorm(), multiHeadAttention(2), dense(6))),
    ],
    ["a recurrent layer", (wrap) => wrap(lstm(6, { returnSequences: true, dropout: 0.2, recurrentDropout: 0.2 }))],
    ["a layer within a loop's body", (wrap) => looping(wrap)()],
    ["a loop in it", (wrap) => wrap(looping(same)())],
  ])("%s", ([, layer]) => {
    const data = { x: wave(7 * 5 * 6, 0.3), y: wave(7 * 2, 0.9) };
    const results = [same, recompute].map((wrap) => {
      const model = sequential({ input: [5, 6] }, dense(6), layer(wrap), layer(wrap), flatten(), dense(2));
      using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.05 }) });
      return [trainer.trainStepsSync(data, { steps: 5, batchSize: 3 }), trainer.parameters()];
    });
    expect(results[1]).toEqual(results[0]);
  });
});

/** h ← layers of [h, x], with dropout, over the steps. */
const looping = (wrap: Wrap) =>
  defineLayer("looping", (x, { apply }) => {
    const cell = wrap(sequential({ input: [12] }, dense(8), tanh(), dropout(0.3), dense(6), tanh()));
    const step = (h: Tensor, row: Tensor) => {
      const next = apply(concatenate([h, row], 1), cell);
      return [next, next] as const;
    };
    return scan(step, mean(x, 1), x, { axis: 1 })[1];
  });

describe("the other ways to compute", () => {
  test("a custom step, with layers and with functions", () => {
    const results = [same, recompute].map((wrap) => {
      using workspace = createWorkspaceSync({ seed: 4 });
      const model = functional({ input: [6] }, (x, { apply }) =>
        apply(x, ...[1, 2, 3].map(() => wrap(sequential({ input: [6] }, dense(6), gelu(), dropout(0.1), dense(6))))),
      );
      const step = workspace.step(({ x }, { apply }) => ({ loss: mean(square(apply(x, model))) }), {
        inputs: { x: [5, 6] },
        optimizer: adam(),
      });
      return [1, 2, 3].map((at) => step({ x: wave(30, at) }));
    });
    expect(results[1]).toEqual(results[0]);
  });

  test("a function, and the gradient of its gradient, nested too", () => {
    const results = [<F>(f: F) => f, recomputeFunction].map((wrap) => {
      const layer = wrap((x: Tensor, w: Tensor) => tanhOf(matmul(x, w)));
      const pair = wrap((x: Tensor, w: Tensor) => square(layer(layer(x, w), w)));
      using f = compileFunctionSync(
        ({ x, w }) => {
          const loss = sum(mul(pair(pair(x, w), w), x));
          const slopes = gradient(loss, [x, w]);
          const steepness = add(sum(square(slopes[0])), sum(square(slopes[1])));
          return { loss, dx: slopes[0], dw: slopes[1], curvature: gradient(steepness, w) };
        },
        { x: [5, 4], w: [4, 4] },
      );
      return f({ x: wave(20, 0.7), w: wave(16, 0.4) });
    });
    expect(results[1]).toEqual(results[0]);
    expect(results[0].curvature.some((one) => Math.abs(one) > 1e-3)).toBe(true);
  });

  test("a layer that takes the gradient of what is computed again", () => {
    const results = [same, recompute].map((wrap) => {
      const slope = defineLayer("slope", (x, { apply }) => {
        const y = apply(x, wrap(sequential({ input: [6] }, dense(6), tanh(), dense(6), tanh())));
        return add(y, gradient(sum(square(y)), x));
      });
      const model = sequential({ input: [6] }, dense(6), wrap(slope()), wrap(slope()), dense(1));
      using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: adam() });
      const losses = trainer.trainStepsSync({ x: wave(60, 0.3), y: wave(10, 0.2) }, { steps: 4 });
      return [losses, trainer.parameters()];
    });
    expect(results[1]).toEqual(results[0]);
  });

  test("a layer that is applied wrapped and as it is has one set of parameters, with the bits of the plain one", () => {
    const [x, y] = [wave(6 * 4, 1.3), wave(6 * 4, 2.1)];
    const train = (first: Wrap, second: Wrap, third: Wrap) => {
      const [layer, part] = [dense(4), sequential({ input: [4] }, dense(4), tanh())];
      const model = functional({ input: [4] }, (x, { apply }) =>
        apply(x, first(layer), first(part), second(layer), tanh(), second(part), third(layer)),
      );
      using trainer = compileSync(model, {
        loss: meanSquaredError(),
        optimizer: adam({ learningRate: 0.01 }),
        seed: 4,
      });
      return [
        [...model.parameters.keys()],
        trainer.trainStepsSync({ x, y }, { steps: 9, batchSize: 3 }),
        trainer.parameters(),
      ];
    };
    const plain = train(same, same, same);
    expect(plain[0]).toEqual(["0.weight", "0.bias", "1.0.weight", "1.0.bias"]);
    expect(train(recompute, same, same)).toEqual(plain);
    expect(train(same, recompute, recompute)).toEqual(plain);
    expect(train(recompute, recompute, same)).toEqual(plain);
    expect(train((layer) => recompute(recompute(layer)), recompute, same)).toEqual(plain);
  });

  test("checkGradients agrees with differences", async () => {
    const data = { x: images.x.subarray(0, 2 * 192), y: images.y.subarray(0, 2) };
    const model = sequential(
      { input: [8, 8, 3] },
      ...[1, 2].map(() => recompute(residual(conv2d(3, 3, { padding: "same" }), tanh()))),
      flatten(),
      dense(4),
    );
    const { passed, worst } = await checkGradients(model, { loss: crossEntropy(), data });
    expect(passed, JSON.stringify(worst)).toBe(true);
  });

  test("only what is a layer or a model, or a function that is not asynchronous", () => {
    const bad = recompute as (layer: unknown) => Layer;
    expect(() => bad(relu)).toThrow(/^recompute: must be given layers such as dense\(10\), got the function/);
    expect(() => recomputeFunction(async () => 1)()).toThrow(
      /^recompute: .* got a Promise: it must not be asynchronous/,
    );
  });
});

/** He et al. 2016 for CIFAR: three stages of `blocks` blocks of two convolutions, 6 · blocks + 2 layers. */
function residualNetwork(blocks: number, wrap: Wrap) {
  const layers: Layer[] = [conv2d(16, 3, { padding: "same", bias: false }), batchNorm(), relu()];
  for (const [stage, channels] of [16, 32, 64].entries()) {
    const size = 32 >> stage;
    if (stage > 0) layers.push(conv2d(channels, 3, { padding: "same", stride: 2, bias: false }));
    const convolution = () => conv2d(channels, 3, { padding: "same", bias: false });
    const pair = () =>
      [1, 2].flatMap(() => [residual(convolution(), batchNorm(), relu(), convolution(), batchNorm()), relu()]);
    for (let at = 0; at < blocks; at += 2) layers.push(wrap(sequential({ input: [size, size, channels] }, ...pair())));
  }
  return sequential({ input: [32, 32, 3] }, ...layers, globalAveragePool(), dense(10));
}

describe("memory", () => {
  // A copy of the values, to go back to, has the same size whatever is computed again.
  const recipe = {
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.05, momentum: 0.9 }),
    tripwire: false,
  } as const;
  /** What the summary says that a training takes, in MiB. */
  const plannedIn = (text: string) => Number(/planned for batches of 32: ([\d.]+) MiB/.exec(text)?.[1]);
  const savedIn = (text: string) => Number(/recompute saves ([\d.]+) MiB/.exec(text)?.[1]);

  test("a network of 50 layers trains in less than a third, if the library chooses in a quarter, with the same bits", () => {
    const batch = { x: wave(2 * 32 * 32 * 3, 0.37), y: Uint32Array.of(3, 8) };
    const runs = (
      [
        [same, false],
        [recompute, false],
        [same, true],
      ] as const
    ).map(([wrap, chosen]) => {
      using trainer = compileSync(residualNetwork(8, wrap), { ...recipe, recompute: chosen });
      const losses = [1, 2].map(() => trainer.trainBatchSync(batch));
      const parameters = [...trainer.parameters().values()].map(({ data }) =>
        Buffer.from(data.buffer).toString("latin1"),
      );
      return { losses, parameters, summary: trainer.summary() };
    });
    const [kept, wrapped, chosen] = runs;
    const whole = plannedIn(kept.summary);
    expect(plannedIn(wrapped.summary)).toBeLessThan(whole / 3);
    expect(plannedIn(chosen.summary)).toBeLessThan(whole / 3.9);
    for (const { losses, parameters, summary } of [wrapped, chosen]) {
      expect(losses).toEqual(kept.losses);
      expect(parameters.every((bytes, index) => bytes === kept.parameters[index])).toBe(true);
      expect(savedIn(summary)).toBeCloseTo(whole - plannedIn(summary), 0);
    }
    expect(kept.summary).not.toContain("recompute");
    expect(wrapped.summary).toMatch(/^3 +sequential .* recomputed/m);
  });

  test("what the library chooses has the same bits: accumulated, with wrapped layers, for any number of threads", async () => {
    const kept = await trained(same);
    for (const threads of [1, 3]) expect(await trained(recompute, { threads, recompute: true })).toEqual(kept);
    const [one, other] = [false, true].map((chosen) => trained(same, { recompute: chosen, accumulate: 3 }));
    expect(await other).toEqual(await one);
  });

  test("nothing is chosen if everything fits at the end of the step, or nothing can be trained", () => {
    using small = compileSync(sequential({ input: [4] }, dense(2)), { ...recipe, recompute: true });
    expect(small.summary()).not.toContain("recompute");
    using none = compileSync(sequential({ input: [4] }, relu()), { ...recipe, recompute: true });
    expect(none.summary()).not.toContain("recompute");
  });
});
