// Losses of pairs, labelled batches and regions in compile(): the graph's functions on the parts of an output, float64 of their
// papers, whole trainings, and what is refused.
import * as S from "steepest";
import * as G from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import iris from "../golden/iris.json" with { type: "json" };
import { createRandom } from "../ops/cases.js";

const engine = S.createEngineSync();
afterAll(() => engine.dispose());

type Row = readonly number[];
const { normal, below } = createRandom(21);
const draw = (length: number) => Float32Array.from({ length }, normal);
const rowsOf = (x: ArrayLike<number>, n: number): number[][] =>
  Array.from({ length: x.length / n }, (_, row) => Array.from({ length: n }, (_, i) => x[row * n + i]));
const total = (values: Row) => values.reduce((a, b) => a + b, 0);
const distance = (a: Row, b: Row) => Math.sqrt(total(a.map((value, i) => (value - b[i]) ** 2)));

/** What a model's loss makes of its inputs: they are its outputs. */
function scored(shape: S.Shape, loss: S.Loss, options: object = {}) {
  const model = S.sequential({ input: [...shape] } as { input: [number] }, S.identity());
  return S.compileSync(model, { loss, engine, ...options } as never) as unknown as S.Evaluator<"accuracy">;
}

function closeTo(actual: ArrayLike<number>, wanted: ArrayLike<number>, tolerance = 2e-6): void {
  const scale = Math.max(1e-3, ...Array.from(wanted, Math.abs));
  expect(actual.length).toBe(wanted.length);
  Array.from(wanted).forEach((value, i) => {
    expect(Math.abs(actual[i] - value) / scale, `${i}: ${actual[i]}, not ${value}`).toBeLessThan(tolerance);
  });
}

const BATCH = 7;
const SIGNS = [1, -1, -1, 1, 1, -1, 1];
const WEIGHTS = [1, 0, 2, 0.5, 3, 1, 0];

/** Of a batch, by the graph's functions. */
function byGraph(x: Float32Array, shape: readonly number[], f: (x: G.Tensor) => G.Tensor) {
  using run = G.compileFunctionSync(
    ({ x }: { x: G.Tensor }) => {
      const y = f(x);
      return { y, dx: G.gradient(G.mean(y), x) };
    },
    { x: [BATCH, ...shape] },
    { engine },
  );
  const { y, dx } = run({ x });
  return { values: Array.from(y), dx: Array.from(dx) };
}

const at = (x: G.Tensor, axis: number, index: number) => G.squeeze(G.split(x, x.shape[axis], axis)[index], axis);
const signs = G.constant(Float32Array.from(SIGNS));
const none = { reduction: "none" } as const;

describe("losses of pairs are the graph's, of the parts of an output", () => {
  const cases: Record<string, [S.Shape, (options?: object) => S.Loss, (x: G.Tensor) => G.Tensor]> = {
    cosineEmbedding: [
      [2, 3],
      (options) => S.cosineEmbedding({ margin: 0.2, ...options }),
      (x) => G.cosineEmbedding(at(x, 1, 0), at(x, 1, 1), signs, { ...none, margin: 0.2 }),
    ],
    contrastive: [
      [2, 3],
      (options) => S.contrastive({ margin: 3, ...options }),
      (x) => G.contrastive(at(x, 1, 0), at(x, 1, 1), signs, { ...none, margin: 3 }),
    ],
    tripletMargin: [
      [3, 2],
      (options) => S.tripletMargin({ margin: 2, ...options }),
      (x) => {
        const away = (index: number) => G.pairwiseDistance(at(x, 1, 0), at(x, 1, index));
        // With the target -1 the second is the positive.
        return G.relu(G.add(G.mul(signs, G.sub(away(1), away(2))), 2));
      },
    ],
    marginRanking: [
      [2],
      (options) => S.marginRanking({ margin: 0.5, ...options }),
      (x) => G.marginRanking(at(x, 1, 0), at(x, 1, 1), signs, { ...none, margin: 0.5 }),
    ],
    hingeEmbedding: [[], (options) => S.hingeEmbedding(options), (x) => G.hingeEmbedding(x, signs, none)],
  };
  test.each(Object.entries(cases))("%s", (name, [shape, make, f]) => {
    const x = draw(BATCH * shape.reduce((a, b) => a * b, 1));
    const { values, dx } = byGraph(x, shape, f);
    using mean = scored(shape, make());
    closeTo([mean.evaluateSync({ x, y: SIGNS }, { batchSize: 3 }).loss], [total(values) / BATCH]);
    closeTo(mean.gradientsSync({ x, y: SIGNS }, { inputs: true }).inputs.data, dx);
    using sum = scored(shape, make({ reduction: "sum" }));
    closeTo([sum.gradientsSync({ x, y: SIGNS }, { loss: true }).loss], [total(values)]);
    using weighed = scored(shape, make(), { weights: true });
    const wanted = total(values.map((value, i) => value * WEIGHTS[i])) / total(WEIGHTS);
    closeTo([weighed.evaluateSync({ x, y: SIGNS, weights: WEIGHTS } as never).loss], [wanted]);
    // A target of 0 is ignored: whatever the batches, it is in no mean, and no accuracy.
    const some = SIGNS.map((sign, i) => (i % 3 === 1 ? 0 : sign));
    const counted = some.map((sign) => Math.abs(sign));
    using ignoring = scored(shape, make({ ignoreValue: 0 }));
    const rest = total(values.map((value, i) => value * counted[i])) / total(counted);
    closeTo([ignoring.evaluateSync({ x, y: some }, { batchSize: 3 }).loss], [rest]);
    if (name !== "tripletMargin" && name !== "marginRanking") return;
    using judged = scored(shape, make({ ignoreValue: 0 }), { metrics: ["accuracy"] });
    using trainer = scored(shape, make(), { metrics: ["accuracy"] });
    const right = rowsOf(x, x.length / BATCH).filter((row, i) => {
      const [a, b, c] = rowsOf(row, 2);
      const gap = name === "marginRanking" ? row[0] - row[1] : distance(a, c) - distance(a, b);
      return gap * SIGNS[i] > 0;
    });
    expect(trainer.evaluateSync({ x, y: SIGNS }).accuracy).toBeCloseTo(right.length / BATCH, 6);
    const isRight = rowsOf(x, x.length / BATCH).map((row) =>
      Number(right.some((one) => one.every((v, k) => v === row[k]))),
    );
    const hits = total(isRight.map((value, i) => value * counted[i])) / total(counted);
    expect(judged.evaluateSync({ x, y: some }, { batchSize: 3 }).accuracy).toBeCloseTo(hits, 6);
  });

  test("ranking by position, and cosine similarity with its weights", () => {
    const x = draw(BATCH * 6);
    using ranked = scored([3, 2], S.marginRanking({ margin: 1 }));
    const y = Array.from({ length: BATCH * 3 }, (_, i) => (i % 3 === 0 ? 1 : -1));
    const gaps = rowsOf(x, 2).map(([a, b], i) => Math.max(0, 1 - y[i] * (a - b)));
    closeTo([ranked.evaluateSync({ x, y: rowsOf(y, 3) }).loss], [total(gaps) / gaps.length]);
    const target = draw(BATCH * 6);
    const cosines = rowsOf(x, 6).map((row, i) => {
      const other = rowsOf(target, 6)[i];
      const dot = (a: Row, b: Row) => total(a.map((value, k) => value * b[k]));
      return -dot(row, other) / Math.sqrt(dot(row, row) * dot(other, other));
    });
    using similar = scored([6], S.cosineSimilarityLoss(), { weights: true });
    const wanted = total(cosines.map((value, i) => value * WEIGHTS[i])) / total(WEIGHTS);
    closeTo([similar.evaluateSync({ x, y: target, weights: WEIGHTS } as never).loss], [wanted]);
  });
});

/** Derivatives of a float64 function by central differences. */
function differences(f: (x: number[]) => number, x: ArrayLike<number>): number[] {
  const center = Array.from(x);
  const moved = (i: number, by: number) => f(center.map((value, k) => (k === i ? value + by : value)));
  return center.map((_, i) => (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5);
}

const LABELS = [0, 2, 0, 1, 2, 2, 5, 0, 1];
const others = (i: number, alike: boolean) =>
  LABELS.flatMap((label, j) => (j !== i && (label === LABELS[i]) === alike ? [j] : []));

/** The equations of Schroff et al. 2015 and Hermans et al. 2017, in float64. */
function tripletReference(x: number[], mining: string, margin: number, squared: boolean): number[] {
  const rows = rowsOf(x, 3);
  const d = (i: number, j: number) => distance(rows[i], rows[j]) ** (squared ? 2 : 1);
  const hinge = (positive: number, negative: number) => Math.max(0, positive - negative + margin);
  const anchors = LABELS.map((_, i) => i).filter((i) => others(i, true).length > 0);
  const negatives = (i: number) => others(i, false).map((j) => d(i, j));
  if (mining === "hard") {
    return anchors.map((i) => hinge(Math.max(...others(i, true).map((j) => d(i, j))), Math.min(...negatives(i))));
  }
  const pairs = anchors.flatMap((i) => others(i, true).map((j): [number, number] => [i, d(i, j)]));
  if (mining === "semihard") {
    return pairs.map(([i, own]) => {
      const farther = negatives(i).filter((value) => value > own);
      return hinge(own, farther.length > 0 ? Math.min(...farther) : Math.max(...negatives(i)));
    });
  }
  return pairs.flatMap(([i, own]) => negatives(i).map((value) => hinge(own, value))).filter((loss) => loss > 0);
}

describe("triplets of a batch are those of the papers in float64", () => {
  const x = draw(LABELS.length * 3);
  const data = { x, y: LABELS };
  test.each([
    ["all", 1, false],
    ["all", 0.2, true],
    ["hard", 1, false],
    ["hard", 0.3, true],
    ["semihard", 1, false],
    ["semihard", 0.2, false],
    ["semihard", 0.7, true],
  ] as const)("%s, margin %s, squared %s", (mining, margin, squared) => {
    for (const reduction of ["mean", "sum"] as const) {
      const of = (values: number[]) => {
        const losses = tripletReference(values, mining, margin, squared);
        return total(losses) / (reduction === "mean" ? losses.length : 1);
      };
      using trainer = scored([3], S.batchTriplet({ mining, margin, squared, reduction }));
      const { loss, inputs } = trainer.gradientsSync(data, { inputs: true });
      closeTo([loss], [of(Array.from(x))]);
      closeTo(inputs.data, differences(of, x), 1e-5);
    }
  });

  test("a batch without a triple has loss 0 and no gradient; equal vectors have a gradient that is a number", () => {
    for (const mining of ["all", "hard", "semihard"] as const) {
      using trainer = scored([3], S.batchTriplet({ mining }));
      for (const y of [
        [0, 1, 2],
        [4, 4, 4],
      ]) {
        const { loss, inputs } = trainer.gradientsSync({ x: x.subarray(0, 9), y }, { inputs: true });
        expect([loss, ...inputs.data].map(Math.abs)).toEqual(new Array(10).fill(0));
      }
      const { loss, inputs } = trainer.gradientsSync({ x: new Float32Array(12), y: [0, 0, 1, 1] }, { inputs: true });
      expect(loss).toBe(1);
      expect([...inputs.data].every(Number.isFinite)).toBe(true);
    }
  });
});

/** Khosla et al. 2020, L_out, in float64. */
function contrastReference(x: number[], labels: Row, n: number, temperature: number, normalize: boolean): number {
  const rows = rowsOf(x, n).map((row) =>
    normalize ? row.map((value) => value / Math.sqrt(total(row.map((v) => v * v)))) : row,
  );
  const losses = rows.flatMap((row, i) => {
    const similarity = (j: number) => total(row.map((value, k) => value * rows[j][k])) / temperature;
    const rest = rows.map((_, j) => j).filter((j) => j !== i);
    const alike = rest.filter((j) => labels[j] === labels[i]);
    if (alike.length === 0) return [];
    const all = Math.log(total(rest.map((j) => Math.exp(similarity(j)))));
    return [-total(alike.map((j) => similarity(j) - all)) / alike.length];
  });
  return total(losses) / losses.length;
}

describe("supervised contrast is the paper's in float64", () => {
  test.each([
    [0.5, true],
    [0.07, true],
    [2, false],
  ])("temperature %s, normalized %s", (temperature, normalize) => {
    const x = draw(LABELS.length * 4);
    using trainer = scored([4], S.supervisedContrastive({ temperature, normalize }));
    const { loss, inputs } = trainer.gradientsSync({ x, y: LABELS }, { inputs: true });
    const of = (values: number[]) => contrastReference(values, LABELS, 4, temperature, normalize);
    closeTo([loss], [of(Array.from(x))]);
    closeTo(inputs.data, differences(of, x), 1e-5);
    const [length] = rowsOf(trainer.predictSync(x), 4).map((row) => distance(row, [0, 0, 0, 0]));
    if (normalize) expect(length).toBeCloseTo(1, 5);
  });

  test("several views of a sample have its label: SimCLR's loss, if each sample has its own", () => {
    const x = draw(5 * 2 * 4);
    const labels = [0, 1, 2, 3, 4];
    using trainer = scored([2, 4], S.supervisedContrastive({ temperature: 0.5 }));
    const wanted = contrastReference(
      Array.from(x),
      labels.flatMap((label) => [label, label]),
      4,
      0.5,
      true,
    );
    closeTo([trainer.evaluateSync({ x, y: labels }).loss], [wanted]);
    using alone = scored([4], S.supervisedContrastive({ temperature: 0.5 }));
    expect(alone.evaluateSync({ x: x.subarray(0, 20), y: labels }).loss).toBe(0);
  });
});

describe("regions are the graph's, and have weights of samples", () => {
  const shape = [3, 2, 4];
  const x = draw(BATCH * 24);
  const bits = Float32Array.from({ length: BATCH * 24 }, () => below(2));
  const classes = Uint32Array.from({ length: BATCH * 6 }, () => below(4));
  const kinds = [
    ["diceLoss", S.diceLoss, G.diceLoss],
    ["jaccardLoss", S.jaccardLoss, G.jaccardLoss],
    [
      "tverskyLoss",
      (options: object) => S.tverskyLoss({ alpha: 0.2, beta: 0.7, ...options }),
      (x: G.Tensor, t: G.Tensor, options: object) => G.tverskyLoss(x, t, { alpha: 0.2, beta: 0.7, ...options }),
    ],
  ] as const;
  test.each(kinds)("%s", (_, make, f) => {
    for (const targets of ["probabilities", "classes", "distributions"] as const) {
      const oneHot = Float32Array.from({ length: BATCH * 24 }, (_, i) => Number(classes[Math.floor(i / 4)] === i % 4));
      const y = { probabilities: bits, classes, distributions: oneHot }[targets];
      const tensor =
        targets === "classes" ? G.constant(classes, [BATCH, 3, 2]) : G.constant(y as Float32Array, [BATCH, ...shape]);
      const activation = targets === "probabilities" ? "sigmoid" : "softmax";
      const { values, dx } = byGraph(x, shape, (x) =>
        f(x, tensor, { ...none, activation, smooth: 1, background: false }),
      );
      using trainer = scored(shape, make({ targets, smooth: 1, background: false }));
      closeTo([trainer.evaluateSync({ x, y }, { batchSize: 2 }).loss], [total(values) / values.length]);
      closeTo(trainer.gradientsSync({ x, y }, { inputs: true }).inputs.data, dx);
      using weighed = scored(shape, make({ targets, smooth: 1, background: false }), { weights: true });
      const bySample = rowsOf(values, 3).map((row) => total(row) / 3);
      const wanted = total(bySample.map((value, i) => value * WEIGHTS[i])) / total(WEIGHTS);
      closeTo([weighed.evaluateSync({ x, y, weights: WEIGHTS } as never).loss], [wanted]);
      using whole = scored(shape, make({ targets, over: "batch" }));
      const together = byGraph(x, shape, (x) => f(x, tensor, { activation, over: "batch" }));
      closeTo([whole.gradientsSync({ x, y }, { loss: true }).loss], together.values);
    }
  });
});

describe("refused", () => {
  const refusal = (make: () => unknown): string => {
    try {
      make();
    } catch (error) {
      expect(error).toBeInstanceOf(S.ModelError);
      return (error as Error).message;
    }
    throw new Error("it was not refused");
  };
  test.each<[string, () => unknown, RegExp]>([
    [
      "a single vector",
      () => scored([4], S.cosineEmbedding()),
      /needs an output of \[batch, 2, features\], a pair of vectors, got \[batch, 4\]/,
    ],
    [
      "a pair for a triple",
      () => scored([2, 4], S.tripletMargin()),
      /tripletMargin needs an output of \[batch, 3, features\]/,
    ],
    [
      "three numbers to rank",
      () => scored([3], S.marginRanking()),
      /marginRanking needs an output of \[batch, ..., 2\]/,
    ],
    ["a number's direction", () => scored([], S.cosineSimilarityLoss()), /a number has no direction/],
    [
      "images as vectors",
      () => scored([4, 4], S.batchTriplet()),
      /batchTriplet needs an output of \[batch, features\]/,
    ],
    ["a number to contrast", () => scored([], S.supervisedContrastive()), /supervisedContrastive needs an output/],
    ["one class of one", () => scored([4, 4, 1], S.diceLoss({ targets: "classes" })), /at least 2 classes/],
    ["only background", () => scored([4, 1], S.jaccardLoss({ background: false })), /at least 2 classes/],
    [
      "a softmax before it",
      () =>
        S.compileSync(S.sequential({ input: [4] }, S.dense(3), S.softmax()), {
          loss: S.diceLoss({ targets: "classes" }),
          engine,
        }),
      /softmax/,
    ],
    ["weights of a batch", () => scored([4], S.batchTriplet(), { weights: true }), /batchTriplet/],
    ["weights of contrasts", () => scored([4], S.supervisedContrastive(), { weights: true }), /supervisedContrastive/],
    ["weights over a batch", () => scored([4], S.diceLoss({ over: "batch" }), { weights: true }), /diceLoss/],
    ["an accuracy of vectors", () => scored([4], S.batchTriplet(), { metrics: ["accuracy"] }), /accuracy/],
    ["a margin below 0", () => S.batchTriplet({ margin: -1 }), /^batchTriplet: margin must be/],
  ])("%s", (_, make, message) => expect(refusal(make)).toMatch(message));
});

/** Share of test vectors whose nearest training vector has their label. */
function nearestAccuracy(known: number[][], labels: Row, asked: number[][], wanted: Row): number {
  const hits = asked.filter((row, i) => {
    const nearest = known.reduce((best, other, j) => (distance(row, other) < distance(row, known[best]) ? j : best), 0);
    return labels[nearest] === wanted[i];
  });
  return hits.length / asked.length;
}

describe("trainings", () => {
  // Every second flower is trained with; features by their mean and deviation.
  const rows = rowsOf(iris.x, 4);
  const columns = [0, 1, 2, 3].map((c) => rows.map((row) => row[c]));
  const means = columns.map((column) => total(column) / column.length);
  const deviations = columns.map((column, c) =>
    Math.sqrt(total(column.map((v) => (v - means[c]) ** 2)) / column.length),
  );
  const scaled = rows.map((row) => row.map((value, c) => (value - means[c]) / deviations[c]));
  const half = (odd: number) => ({
    x: scaled.filter((_, i) => i % 2 === odd),
    y: iris.y.filter((_, i) => i % 2 === odd),
  });
  const [train, held] = [half(0), half(1)];
  test.each([
    ["triplets, all", () => S.batchTriplet({ mining: "all", margin: 0.5 })],
    ["triplets, hard", () => S.batchTriplet({ mining: "hard", margin: 0.5 })],
    ["triplets, semihard", () => S.batchTriplet({ mining: "semihard", margin: 0.5 })],
    ["contrast", () => S.supervisedContrastive({ temperature: 0.2 })],
  ])("iris as points on a circle, by %s: the nearest known flower is right", async (_, loss) => {
    const model = S.sequential({ input: [4] }, S.dense(16), S.tanh(), S.dense(2), S.l2Normalize());
    using trainer = await S.compile(model, {
      loss: loss(),
      optimizer: S.adam({ learningRate: 0.01 }),
      seed: 2,
      engine,
    });
    const accuracy = () => {
      const points = (x: number[][]) => rowsOf(trainer.predictSync(x), 2);
      return nearestAccuracy(points(train.x), train.y, points(held.x), held.y);
    };
    expect(accuracy()).toBeLessThan(0.8);
    await trainer.fit(train, { epochs: 40, batchSize: 25 });
    expect(accuracy()).toBeGreaterThan(0.92);
  });

  test("drawn discs and boxes, found by Dice: an overlap of 0.9 on pictures that were not trained with", async () => {
    const SIZE = 12;
    const picture = () => {
      const [row, column, radius, isDisc] = [3 + below(6), 3 + below(6), 2 + below(2), below(2) === 1];
      return Array.from({ length: SIZE * SIZE }, (_, i) => {
        const [y, x] = [Math.floor(i / SIZE) - row, (i % SIZE) - column];
        const inside = isDisc ? x * x + y * y <= radius * radius : Math.max(Math.abs(x), Math.abs(y)) <= radius;
        return [Number(inside), Number(inside) + 0.35 * normal()];
      });
    };
    const draws = (count: number) => {
      const pixels = Array.from({ length: count }, picture).flat();
      return { x: Float32Array.from(pixels, ([, x]) => x), y: Float32Array.from(pixels, ([y]) => y) };
    };
    const model = S.sequential(
      { input: [SIZE, SIZE, 1] },
      S.conv2d(8, 3, { padding: "same" }),
      S.relu(),
      S.conv2d(8, 3, { padding: "same" }),
      S.relu(),
      S.conv2d(1, 1),
    );
    using trainer = await S.compile(model, {
      loss: S.diceLoss(),
      optimizer: S.adam({ learningRate: 0.01 }),
      seed: 3,
      engine,
    });
    const [train, held] = [draws(96), draws(32)];
    const overlap = async () => 1 - (await trainer.evaluate(held)).loss;
    expect(await overlap()).toBeLessThan(0.5);
    await trainer.fit(train, { epochs: 12, batchSize: 16 });
    expect(await overlap()).toBeGreaterThan(0.9);
  });
});
