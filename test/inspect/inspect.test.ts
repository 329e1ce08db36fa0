// Looking inside: what layers give against formulas in float64, gradients against differences, attributions against what
// their papers promise.
import {
  adam,
  averagePool2d,
  compile,
  compileSync,
  conv2d,
  crossEntropy,
  dense,
  dropout,
  embedding,
  flatten,
  functional,
  globalAveragePool,
  gru,
  lstm,
  meanSquaredError,
  recompute,
  relu,
  sequential,
  tanh,
} from "steepest";
import { add, mul, slice, sum, type Tensor } from "steepest/graph";
import { activationGradients, activations, gradCam, integratedGradients, saliency } from "steepest/inspect";
import { describe, expect, it } from "vitest";
import { lehmer } from "../train/blobs.js";

const numbers = (count: number, seed: number): Float32Array => {
  const random = lehmer(seed);
  return Float32Array.from({ length: count }, () => random() * 2 - 1);
};

const valuesOf = (values: { data: ArrayLike<number> } | undefined): number[] => Array.from(values?.data ?? []);

function close(actual: ArrayLike<number>, wanted: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) expect(Math.abs(actual[i] - wanted[i]), `at ${i}`).toBeLessThan(tolerance);
}

/** y = x · w + b in float64, for [rows][inputs] flat. */
function linear(x: ArrayLike<number>, w: ArrayLike<number>, b: ArrayLike<number>): number[] {
  const inputs = w.length / b.length;
  return Array.from({ length: (x.length / inputs) * b.length }, (_, at) => {
    const [row, unit] = [Math.floor(at / b.length), at % b.length];
    let total = b[unit];
    for (let i = 0; i < inputs; i++) total += x[row * inputs + i] * w[i * b.length + unit];
    return total;
  });
}

const mlp = () => sequential({ input: [5] }, dense(4, { name: "hidden" }), tanh(), dropout(0.5), dense(3));

describe("activations", () => {
  it("are what the layers give, without dropout, and the trainer stays as it was", async () => {
    using trainer = compileSync(mlp(), { loss: crossEntropy(), optimizer: adam(), seed: 3 });
    const x = numbers(15, 1);
    trainer.trainBatchSync({ x, y: [0, 1, 2] });
    const before = trainer.checkpoint();
    const came = await activations(trainer, x);
    expect([...came.keys()]).toEqual(["hidden", "1", "2", "3"]);
    const parameter = (path: string) => valuesOf(trainer.parameters().get(path));
    const hidden = linear(x, parameter("hidden.weight"), parameter("hidden.bias"));
    close(valuesOf(came.get("hidden")), hidden, 1e-6);
    expect(came.get("hidden")?.shape).toEqual([3, 4]);
    const curved = hidden.map(Math.tanh);
    close(valuesOf(came.get("1")), curved, 1e-6);
    close(valuesOf(came.get("2")), curved, 1e-6);
    close(valuesOf(came.get("3")), linear(curved, parameter("3.weight"), parameter("3.bias")), 1e-6);
    expect(valuesOf(came.get("3"))).toEqual(Array.from(trainer.predictSync(x, { output: "raw" })));
    expect(trainer.checkpoint()).toEqual(before);
  });

  it("are chosen by path and pattern, those in other layers too", async () => {
    const block = sequential({ input: [4], name: "block" }, dense(4), relu());
    using trainer = compileSync(
      sequential({ input: [4] }, block, recompute(dense(4, { name: "again" })), block, dense(2)),
    );
    const x = numbers(8, 2);
    const paths = async (layers: string | string[]) => [...(await activations(trainer, x, { layers })).keys()];
    expect([...(await activations(trainer, x)).keys()]).toEqual([
      "block.0", "block.1", "block", "again", "block.0#2", "block.1#2", "block#2", "3",
    ]); // biome-ignore format: a list of paths
    expect(await paths("block")).toEqual(["block"]);
    expect(await paths(["block.*", "3"])).toEqual(["block.0", "block.1", "block.0#2", "block.1#2", "3"]);
    await expect(paths("blok")).rejects.toThrow(
      'activations: layers must be paths of layers in the model, got "blok": there are',
    );
    await expect(paths([])).rejects.toThrow("activations: layers must be paths");
  });

  it("are those of recurrent layers, of named inputs, and of indices", async () => {
    const model = functional(
      { input: { words: [6], size: [2] }, dtype: { words: "uint32" } },
      ({ words, size }, { apply }) => {
        const states = apply(words, embedding(7, 3, { name: "words" }), lstm(4, { name: "memory" }));
        return add(apply(states, dense(2)), apply(size, dense(2)));
      },
    );
    using trainer = compileSync(model, { seed: 1 });
    const came = await activations(trainer, { words: [[1, 2, 3, 4, 5, 6]], size: [[0.5, -1]] });
    const table = trainer.parameters().get("words.weight");
    expect(valuesOf(came.get("words"))).toEqual(Array.from(table?.data.slice(3, 21) ?? []));
    expect(came.get("memory")?.shape).toEqual([1, 4]);
    await expect(activations(trainer, { words: [[1, 2, 3, 4, 5, 7]], size: [[0, 0]] })).rejects.toThrow("7");
  });
});

describe("gradients", () => {
  it("by what a layer gives are the slopes of the class that is asked about", async () => {
    using trainer = compileSync(mlp(), { loss: crossEntropy(), seed: 3 });
    const x = numbers(10, 4);
    const target = [2, 0];
    const came = await activationGradients(trainer, x, { layers: ["1", "hidden"], target });
    const weight = valuesOf(trainer.parameters().get("3.weight"));
    const hidden = valuesOf((await activations(trainer, x)).get("1"));
    const wanted = target.flatMap((unit) => [0, 1, 2, 3].map((i) => weight[i * 3 + unit]));
    close(valuesOf(came.get("1")), wanted, 1e-6);
    close(
      valuesOf(came.get("hidden")),
      wanted.map((slope, i) => slope * (1 - hidden[i] ** 2)),
      1e-6,
    );
  });

  it("by the inputs agree with differences, whatever the score", async () => {
    using trainer = compileSync(mlp(), { loss: crossEntropy(), seed: 5 });
    const x = Float64Array.from(numbers(5, 6));
    const raw = (values: ArrayLike<number>) => trainer.predictSync(Float32Array.from(values), { output: "raw" });
    const slopes = (of: (outputs: Float32Array) => number) =>
      Array.from(x, (value, i) => {
        const at = (by: number) => of(raw(x.with(i, value + by)));
        return (at(1e-2) - at(-1e-2)) / 2e-2;
      });
    const outputs = raw(x);
    const best = outputs.indexOf(Math.max(...outputs));
    const chosen = slopes((all) => all[best]);
    close((await saliency(trainer, x, { absolute: false })).data, chosen, 2e-3);
    close((await saliency(trainer, x)).data, chosen.map(Math.abs), 2e-3);
    close(
      (await saliency(trainer, x, { absolute: false, target: 1 })).data,
      slopes((all) => all[1]),
      2e-3,
    );
    const score = (logits: Tensor) => sum(mul(slice(logits, [0, 0], [1, 2]), slice(logits, [0, 1], [1, 3])));
    const mixed = slopes(([a, b, c]) => a * b + b * c);
    close((await saliency(trainer, x, { absolute: false, score })).data, mixed, 4e-3);
  });

  it("need something to differentiate by, and a score that fits", async () => {
    using words = compileSync(sequential({ input: [3], dtype: "uint32" }, embedding(5, 2), gru(3), dense(2)));
    await expect(saliency(words, [[1, 2, 3]])).rejects.toThrow("saliency: inputs of whole numbers have no gradients");
    expect((await activationGradients(words, [[1, 2, 3]], { layers: "0" })).get("0")?.shape).toEqual([1, 3, 2]);
    using trainer = compileSync(mlp());
    const x = numbers(10, 7);
    await expect(saliency(trainer, x, { target: 3 })).rejects.toThrow(
      "saliency: target must be a class from 0 to 2, got 3",
    );
    await expect(saliency(trainer, x, { target: [0] })).rejects.toThrow("one for each of 2 samples");
    await expect(saliency(trainer, x, { output: "digit" })).rejects.toThrow("output must be one of");
    await expect(saliency(trainer, x, { score: (y: Tensor) => y, target: 1 })).rejects.toThrow("score must be alone");
    using value = compileSync(sequential({ input: [2] }, dense(1)), { loss: meanSquaredError() });
    await expect(saliency(value, [[1, 2]], { target: 0 })).rejects.toThrow("target must be left out");
    close(
      (await saliency(value, [[1, 2]], { absolute: false })).data,
      valuesOf(value.parameters().get("0.weight")),
      1e-7,
    );
    using image = compileSync(sequential({ input: [4, 4, 1] }, conv2d(2, 3)));
    await expect(saliency(image, numbers(16, 1))).rejects.toThrow("say by score what is asked about");
  });
});

describe("integrated gradients", () => {
  it("add up to the difference of the scores, from any baseline", async () => {
    using trainer = compileSync(mlp(), { loss: crossEntropy(), seed: 8 });
    const x = numbers(10, 9);
    const baseline = numbers(5, 10);
    for (const from of [undefined, baseline]) {
      const { data, shape } = await integratedGradients(trainer, x, {
        target: 1,
        steps: 200,
        ...(from && { baseline: from }),
      });
      expect(shape).toEqual([2, 5]);
      const score = (values: Float32Array) => trainer.predictSync(values, { output: "raw" });
      const start = score(from ?? new Float32Array(5))[1];
      const ends = score(x);
      for (const row of [0, 1]) {
        const total = data.slice(5 * row, 5 * row + 5).reduce((all, one) => all + one, 0);
        expect(total).toBeCloseTo(ends[3 * row + 1] - start, 4);
      }
    }
    await expect(integratedGradients(trainer, x, { baseline: [1, 2] })).rejects.toThrow(
      "baseline must be 5 finite numbers",
    );
  });

  it("are weight times input for what is linear, exactly", async () => {
    using trainer = compileSync(sequential({ input: [3] }, dense(1)), { seed: 2 });
    const x = numbers(3, 11);
    const { data } = await integratedGradients(trainer, x, { steps: 1 });
    close(
      data,
      valuesOf(trainer.parameters().get("0.weight")).map((weight, i) => weight * x[i]),
      1e-7,
    );
  });
});

describe("Grad-CAM", () => {
  const model = () =>
    sequential({ input: [6, 6, 1] }, conv2d(3, 3, { name: "maps" }), relu(), averagePool2d(2), flatten(), dense(2));

  it("weighs the channels of a layer by the means of their gradients", async () => {
    using trainer = compileSync(model(), { loss: crossEntropy(), seed: 4 });
    const x = numbers(72, 12);
    const maps = (await activations(trainer, x, { layers: "1" })).get("1");
    const slopes = (await activationGradients(trainer, x, { layers: "1", target: 1 })).get("1");
    const [batch, height, width, channels] = maps?.shape ?? [];
    const pixels = height * width;
    const wanted: number[] = [];
    for (let sample = 0; sample < batch; sample++) {
      const at = (of: typeof maps, pixel: number, channel: number) =>
        of?.data[(sample * pixels + pixel) * channels + channel] ?? Number.NaN;
      const all = Array.from({ length: pixels }, (_, pixel) => pixel);
      const weights = Array.from(
        { length: channels },
        (_, c) => all.reduce((sum, p) => sum + at(slopes, p, c), 0) / pixels,
      );
      wanted.push(
        ...all.map((p) =>
          Math.max(
            0,
            weights.reduce((sum, weight, c) => sum + weight * at(maps, p, c), 0),
          ),
        ),
      );
    }
    const came = await gradCam(trainer, x, { layer: "1", target: 1, resized: false });
    expect(came.shape).toEqual([2, 4, 4]);
    close(came.data, wanted, 1e-6);
    expect(Math.max(...wanted)).toBeGreaterThan(0);
    // The last layer that gives images is the pooled one, at the image's size.
    expect((await gradCam(trainer, x)).shape).toEqual([2, 6, 6]);
    await expect(gradCam(trainer, x, { layer: "4" })).rejects.toThrow('got "4": these do: maps, 1, 2');
    using flat = compileSync(mlp());
    await expect(gradCam(flat, numbers(5, 1))).rejects.toThrow("no layer gives any");
  });

  it("finds the half of the image that decides", async () => {
    const random = lehmer(20);
    const [x, y] = [new Float32Array(64 * 64), new Uint32Array(64)];
    for (let i = 0; i < 64; i++) {
      y[i] = i % 2;
      for (let p = 0; p < 64; p++) x[i * 64 + p] = 0.2 * random() + (p % 8 < 4 === (y[i] === 0) && p >= 32 ? 1 : 0);
    }
    using trainer = await compile(
      sequential(
        { input: [8, 8, 1] },
        conv2d(8, 3, { padding: "same" }),
        relu(),
        averagePool2d(2),
        flatten(),
        dense(2),
      ),
      { loss: crossEntropy(), optimizer: adam({ learningRate: 0.02 }), seed: 1, metrics: ["accuracy"] },
    );
    await trainer.fit({ x, y }, { epochs: 20, batchSize: 16 });
    expect(trainer.evaluateSync({ x, y }).accuracy).toBe(1);
    const { data } = await gradCam(trainer, x, { layer: "1", target: Array.from(y) });
    let [upper, lower] = [0, 0];
    data.forEach((value, i) => {
      if (i % 64 < 32) upper += value;
      else lower += value;
    });
    expect(lower).toBeGreaterThan(2 * upper);
  });

  it("takes any model that ends in pooled maps", async () => {
    using trainer = compileSync(sequential({ input: [5, 5, 2] }, conv2d(4, 3), globalAveragePool(), dense(3)));
    expect((await gradCam(trainer, numbers(50, 3))).shape).toEqual([1, 5, 5]);
  });
});
