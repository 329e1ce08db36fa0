// Attention layers, positions and blocks: padded batches to the bit, caches to the bit, memory that grows linearly, refusals.
import {
  adam,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  dense,
  embedding,
  functional,
  type Layer,
  learnedPositions,
  ModelError,
  meanSquaredError,
  multiHeadAttention,
  sequential,
  sgd,
  sinusoidalPositions,
  tiedDense,
  transformerDecoder,
  transformerEncoder,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { planMemory } from "../../src/graph/plan.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import { type AttentionOptions, attention } from "../../src/ops/attention.js";
import { mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";
import { createRandom } from "../ops/cases.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const numbers = (seed: number, length: number): Float32Array =>
  Float32Array.from({ length }, createRandom(seed).normal);

describe("memory", () => {
  test("grows linearly with the sequence, and the program not at all", () => {
    const measure = (length: number) => {
      const x = input([1, length, 64]);
      const y = attention(x, x, x, { heads: 4, causal: true });
      const dx = gradient(sum(y), x);
      const { arenaBytes, steps } = planMemory([dx], new Map([[x, 64]]), { convolution: "auto" });
      return { bytes: arenaBytes / length, steps: steps.length };
    };
    const sizes = [64, 128, 256, 512, 1024, 2048, 4096].map(measure);
    expect(new Set(sizes.map(({ steps }) => steps)).size).toBe(1);
    for (const { bytes } of sizes) expect(bytes).toBeLessThanOrEqual(sizes[0].bytes);
    // A matrix of scores would take 4 · 4096 · 4 bytes a position.
    expect(sizes[6].bytes).toBeLessThan(8192);
  });
});

describe("padding", () => {
  const [batch, positions, features, heads] = [4, 37, 24, 3];
  const lengths = [1, 37, 20, 33];
  const q = numbers(1, batch * positions * features);
  const k = numbers(2, batch * positions * features);
  const v = numbers(3, batch * positions * features);
  const dy = numbers(4, batch * positions * features);

  /** y, dq, dk and dv. */
  function run(count: number, length: number, values: readonly Float32Array[], options: AttentionOptions) {
    const shape = [count, length, features];
    using compiled = compileFunctionSync(
      ({ q, k, v, dy }: Record<string, Tensor>) => {
        const y = attention(q, k, v, { heads, ...options });
        const [dq, dk, dv] = gradient(sum(mul(y, dy)), [q, k, v]);
        return { y, dq, dk, dv };
      },
      { q: input(shape), k: input(shape), v: input(shape), dy: input(shape) },
      { engine },
    );
    return compiled({ q: values[0], k: values[1], v: values[2], dy: values[3] }) as unknown as Record<
      string,
      Float32Array
    >;
  }

  for (const causal of [false, true]) {
    for (const kind of ["lengths", "mask"] as const) {
      test(`a batch padded by ${kind} has the bits of its samples one by one, causal ${causal}`, () => {
        const mask = Float32Array.from({ length: batch * positions }, (_, i) =>
          Number(i % positions < lengths[Math.floor(i / positions)]),
        );
        const padding =
          kind === "lengths"
            ? { lengths: constant(Uint32Array.from(lengths)) }
            : { mask: constant(mask, [batch, positions]) };
        // Gradients of padding are 0.
        const kept = dy.map((value, i) => value * mask[Math.floor(i / features)]);
        const whole = run(batch, positions, [q, k, v, kept], { ...padding, causal });
        lengths.forEach((length, sample) => {
          const part = (data: Float32Array) =>
            data.slice(sample * positions * features, (sample * positions + length) * features);
          const alone = run(1, length, [part(q), part(k), part(v), part(dy)], { causal });
          for (const name of ["y", "dq", "dk", "dv"]) expect(part(whole[name]), name).toEqual(alone[name]);
          const end = (data: Float32Array) =>
            data.slice((sample * positions + length) * features, (sample + 1) * positions * features);
          for (const name of ["dk", "dv"]) expect(end(whole[name]).every((value) => value === 0)).toBe(true);
        });
      });
    }
  }

  test("a query that sees no key gives zeros, and all gradients are finite", () => {
    const mask = constant(new Float32Array(batch * positions), [batch, positions]);
    const none = run(batch, positions, [q, k, v, dy], { mask });
    for (const name of ["y", "dq", "dk", "dv"]) expect(none[name].every((value) => value === 0)).toBe(true);
    const bias = constant(
      Float32Array.from({ length: positions ** 2 }, (_, i) => (i < 3 * positions ? -Infinity : 0)),
      [positions, positions],
    );
    const some = run(batch, positions, [q, k, v, dy], { bias });
    expect(some.y.subarray(0, 3 * features).every((value) => value === 0)).toBe(true);
    expect(some.y.subarray(3 * features, 4 * features).every((value) => value !== 0)).toBe(true);
    for (const name of ["y", "dq", "dk", "dv"]) expect(some[name].every(Number.isFinite)).toBe(true);
  });
});

describe("dropout on the weights", () => {
  const shape = [2, 40, 16];
  const random = {
    clock: constant(Uint32Array.from({ length: 16 }, (_, i) => (i === 0 ? 7 : 0))),
    seed: [5, 6] as const,
  };

  test("keeps its share, scaled; its weights are 0 or 1 / (1 - rate) times as large", () => {
    // Values are one-hot, so that y is the weights; scores are all 0, so that these are 1 / keys.
    const keys = 40;
    using weights = compileFunctionSync(
      ({ q, k, v }: Record<string, Tensor>) => ({
        y: attention(q, k, v, { dropout: { rate: 0.25, ...random, seed: [5, 6], stream: 3 } }),
      }),
      { q: input([1, 40, 8]), k: input([1, keys, 8]), v: input([1, keys, keys]) },
      { engine },
    );
    const identity = Float32Array.from({ length: keys * keys }, (_, i) => Number(i % (keys + 1) === 0));
    const y = weights({ q: new Float32Array(320), k: new Float32Array(320), v: identity }).y;
    const kept = y.filter((value) => value !== 0);
    for (const value of kept) expect(value).toBeCloseTo(1 / keys / 0.75, 7);
    expect(Math.abs(kept.length / y.length - 0.75)).toBeLessThan(0.04);
  });

  test("gradients are those of the dropped weights", () => {
    const options: AttentionOptions = {
      heads: 2,
      causal: true,
      dropout: { rate: 0.4, clock: random.clock, seed: [5, 6], stream: 1 },
    };
    const size = 2 * 40 * 16;
    const values = { q: numbers(1, size), k: numbers(2, size), v: numbers(3, size), dy: numbers(4, size) };
    const signature = { q: input(shape), k: input(shape), v: input(shape), dy: input(shape) };
    using loss = compileFunctionSync(
      ({ q, k, v, dy }: Record<string, Tensor>) => ({ y: sum(mul(attention(q, k, v, options), dy)) }),
      signature,
      { engine },
    );
    using slopes = compileFunctionSync(
      ({ q, k, v, dy }: Record<string, Tensor>) => {
        const [dq, dk, dv] = gradient(sum(mul(attention(q, k, v, options), dy)), [q, k, v]);
        return { q: dq, k: dk, v: dv };
      },
      signature,
      { engine },
    );
    const exact = slopes(values) as unknown as Record<"q" | "k" | "v", Float32Array>;
    for (const name of ["q", "k", "v"] as const) {
      const direction = numbers(9, size);
      const at = (h: number) =>
        loss({ ...values, [name]: values[name].map((value, i) => value + h * direction[i]) }).y[0];
      const numerical = (at(0.01) - at(-0.01)) / 0.02;
      const expected = exact[name].reduce((total, value, i) => total + value * direction[i], 0);
      expect(Math.abs(numerical - expected)).toBeLessThan(2e-3 * Math.max(1, Math.abs(expected)));
    }
  });
});

describe("threads", () => {
  test("give the same bits for any number of them, with few owners and many", async () => {
    for (const [batch, length] of [
      [1, 200],
      [5, 70],
    ]) {
      const shape = [batch, length, 32];
      const size = batch * length * 32;
      const runs: Record<string, Float32Array>[] = [];
      for (const threads of [1, 2, 3]) {
        await using own = await createEngine({ threads });
        using compiled = compileFunctionSync(
          ({ x, dy }: Record<string, Tensor>) => {
            const y = attention(x, x, x, { heads: 4, keyHeads: 4, causal: true });
            return { y, dx: gradient(sum(mul(y, dy)), x) };
          },
          { x: input(shape), dy: input(shape) },
          { engine: own },
        );
        runs.push(compiled({ x: numbers(1, size), dy: numbers(2, size) }) as unknown as Record<string, Float32Array>);
      }
      expect(runs[1]).toEqual(runs[0]);
      expect(runs[2]).toEqual(runs[0]);
    }
  });
});

/** A character model as small as the bench's is large. */
function languageModel(length: number, position: "learned" | "sinusoidal" | "rotary" | "alibi", grouped = false) {
  const words = embedding(11, 24, { name: "words" });
  const rules = {
    causal: true,
    norm: "pre" as const,
    cache: length,
    rotary: position === "rotary",
    alibi: position === "alibi",
    ...(grouped ? { keyHeads: 1, window: 5 } : {}),
  };
  const positions: Layer[] =
    position === "learned"
      ? [learnedPositions(length, { stateful: true })]
      : position === "sinusoidal"
        ? [sinusoidalPositions({ stateful: true })]
        : [];
  const blocks: Layer[] = [
    transformerEncoder(3, { ...rules, hidden: 200 }),
    transformerEncoder(3, { ...rules, activation: "gelu" }),
  ];
  return sequential({ input: [length], dtype: "uint32" }, words, ...positions, ...blocks, tiedDense(words) as Layer);
}

describe("a cache of keys and values", () => {
  for (const position of ["learned", "sinusoidal", "rotary", "alibi"] as const) {
    for (const grouped of [false, true]) {
      test(`gives position by position the bits of the whole at once, ${position}${grouped ? ", grouped, with a window" : ""}`, () => {
        const length = 70;
        const model = languageModel(length, position, grouped);
        using trainer = compileSync(model, {
          loss: crossEntropy(),
          optimizer: adam({ learningRate: 0.01 }),
          engine,
          seed: 3,
        });
        const random = createRandom(4);
        const text = Uint32Array.from({ length: 2 * length }, () => random.below(11));
        trainer.trainBatchSync({ x: text, y: Uint32Array.from(text, (word) => (word + 1) % 11) });
        trainer.resetState();
        const whole = trainer.predictSync(text);
        trainer.resetState();
        const parts = Array.from({ length }, (_, t) => Uint32Array.of(text[t], text[length + t]));
        const predicted = parts.map((x) => trainer.predictSync(x, { inputShape: [1] }).slice());
        predicted.forEach((row, t) => {
          expect(row.slice(0, 11)).toEqual(whole.slice(t * 11, t * 11 + 11));
          expect(row.slice(11)).toEqual(whole.slice((length + t) * 11, (length + t) * 11 + 11));
        });
        // In pieces of other sizes too.
        trainer.resetState();
        const piece = (from: number, to: number) =>
          trainer.predictSync(Uint32Array.of(...text.slice(from, to), ...text.slice(length + from, length + to)), {
            inputShape: [to - from],
          });
        expect(piece(0, 40).slice(0, 40 * 11)).toEqual(whole.slice(0, 40 * 11));
        expect(piece(40, 43).slice(0, 33)).toEqual(whole.slice(40 * 11, 43 * 11));
        // What goes beyond the cache is not a number.
        trainer.resetState();
        trainer.predictSync(text);
        expect(trainer.predictSync(parts[0], { inputShape: [1] }).every(Number.isNaN)).toBe(true);
      });
    }
  }

  test("the model with a cache trains and is scored as the one without", () => {
    const losses = [0, 16].map((cache) => {
      const rules = { causal: true, cache };
      const model = sequential({ input: [9, 8] }, transformerEncoder(2, rules), dense(3));
      using trainer = compileSync(model, {
        loss: meanSquaredError(),
        optimizer: sgd({ learningRate: 0.1 }),
        engine,
        seed: 1,
      });
      const x = numbers(1, 4 * 72);
      const trained = [1, 2, 3].map(() => trainer.trainBatchSync({ x, y: numbers(2, 4 * 27) }));
      // Scoring begins each sample anew, in any batches.
      const scores = [1, 4].map((batchSize) => trainer.evaluateSync({ x, y: numbers(2, 4 * 27) }, { batchSize }));
      return [trained, scores];
    });
    expect(losses[1]).toEqual(losses[0]);
  });

  test("needs causal, no memory, no mask, and room", () => {
    expect(() => multiHeadAttention(2, { cache: 4 })).toThrow("multiHeadAttention: a cache needs causal: true");
    const own = multiHeadAttention(2, { cache: 4, causal: true });
    expect(() =>
      functional({ input: { x: [3, 4], memory: [5, 4] } }, ({ x, memory }, { apply }) => apply({ x, memory }, own)),
    ).toThrow("a cache is for attention to x itself, got a memory");
    expect(() => sequential({ input: [8, 4] }, multiHeadAttention(2, { cache: 4, causal: true }))).toThrow(
      "multiHeadAttention 0: x must have at most the 4 positions that the cache keeps, got 8",
    );
  });
});

describe("refusals", () => {
  const apply = (shapes: Record<string, readonly number[]>, layer: Layer<never, never, never>, dtype = {}) =>
    functional({ input: { x: [6, 8], ...shapes }, dtype }, (tensors, scope) =>
      (scope.apply as (x: unknown, layer: unknown) => Tensor)(tensors, layer),
    );
  const attend = (options = {}) => multiHeadAttention(2, options) as never;

  test("masks and the like of other shapes", () => {
    expect(() => apply({ mask: [5] }, attend())).toThrow(
      "multiHeadAttention 0: mask must be [2, 6], a number for each key, got [2, 5]",
    );
    expect(() => apply({ memory: [4, 3], mask: [6] }, attend())).toThrow("mask must be [2, 4]");
    expect(() => apply({ bias: [6, 5] }, attend())).toThrow("bias must be float32 [6, 6]");
    expect(() => apply({ lengths: [] }, attend())).toThrow("lengths must be uint32 [2], got float32 [2]");
    expect(() => apply({ value: [6, 8] }, attend())).toThrow("a value must come with a memory");
    expect(() => apply({ memory: [4, 3], value: [5, 3] }, attend())).toThrow(
      "value must have the 4 positions of the memory",
    );
  });

  test("heads that do not fit, dropout of all, positions beyond the last", () => {
    expect(() => sequential({ input: [6, 9] }, multiHeadAttention(2))).toThrow(
      "heads must divide the 9 features of x [batch, 6, 9], got 2",
    );
    expect(() => sequential({ input: [6, 8] }, multiHeadAttention(4, { keyHeads: 3 }))).toThrow("multiple of keyHeads");
    expect(() => sequential({ input: [6, 600] }, multiHeadAttention(2))).toThrow("at most 256 features, got 300");
    expect(() => multiHeadAttention(2, { dropout: 1 })).toThrow(ModelError);
    expect(() => sequential({ input: [6, 8] }, multiHeadAttention(8, { rotary: true }))).toThrow(
      "even number of features",
    );
    expect(() => sequential({ input: [6, 8] }, learnedPositions(5))).toThrow(
      "learnedPositions 0: input must have at most 5 positions, got 6",
    );
    expect(() => sequential({ input: [6] }, sinusoidalPositions() as Layer)).toThrow(
      "input must be [batch, positions, features]",
    );
  });

  test("a bias that is to be trained", () => {
    const x = input([1, 3, 4]);
    const bias = input([3, 3], { name: "bias" });
    expect(() => gradient(sum(attention(x, x, x, { bias })), bias)).toThrow(
      "attention: bias gets no gradient, but one is asked for with respect to bias",
    );
  });
});

describe("blocks", () => {
  test("name their parameters after their parts", () => {
    const model = functional({ input: { x: [5, 8], memory: [7, 4] } }, ({ x, memory }, { apply }) => {
      const encoded = apply(x, transformerEncoder(2, { name: "encoder", hidden: 6 }));
      return apply({ x: encoded, memory }, transformerDecoder(2, { name: "decoder", keyHeads: 1 }));
    });
    const shapes = Object.fromEntries([...model.parameters].map(([path, { shape }]) => [path, shape]));
    expect(shapes).toMatchObject({
      "encoder.attention.weight": [8, 24],
      "encoder.attention.outputWeight": [8, 8],
      "encoder.hidden.weight": [8, 6],
      "encoder.norm2.bias": [8],
      "decoder.attention.weight": [8, 16],
      "decoder.crossAttention.queryWeight": [8, 8],
      "decoder.crossAttention.memoryWeight": [4, 8],
      "decoder.output.weight": [32, 8],
      "decoder.norm3.weight": [8],
    });
    expect(model.outputShape).toEqual([5, 8]);
  });

  test("a causal block's positions do not depend on later ones", () => {
    const model = sequential({ input: [9, 8] }, transformerEncoder(2, { causal: true, dropout: 0.1 }));
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd(), engine });
    const x = numbers(1, 72);
    const y = trainer.predictSync(x).slice();
    const other = trainer.predictSync(x.map((value, i) => (i < 40 ? value : -value)));
    expect(other.slice(0, 40)).toEqual(y.slice(0, 40));
    expect(other.slice(40)).not.toEqual(y.slice(40));
  });
});
