import {
  balancedBatches,
  balancedWeights,
  type Label,
  split,
  splitIndices,
  take,
  weightedIndices,
} from "steepest/data";
import { describe, expect, test } from "vitest";
import golden from "../golden/splits.json" with { type: "json" };

const numbers = (list: Uint32Array) => [...list];
const parts = { training: 0.7, validation: 0.1, test: 0.2 };
const labels = Array.from({ length: 203 }, (_, i) => (i % 20 === 0 ? "rare" : i % 3 === 0 ? "some" : "often"));

describe("parts", () => {
  test("each sample is in one part, whose size is its share", () => {
    for (const options of [{}, { stratify: labels }, { shuffle: false }]) {
      const split = splitIndices(203, { parts, seed: 5, ...options });
      const all = [split.training, split.validation, split.test].flatMap(numbers);
      expect(all.sort((a, b) => a - b)).toEqual([...Array(203).keys()]);
      for (const [name, share] of Object.entries(parts)) {
        const part = split[name as keyof typeof parts];
        expect(Math.abs(part.length - share * 203), name).toBeLessThan(1);
        expect(numbers(part)).toEqual(numbers(part).sort((a, b) => a - b));
      }
    }
  });

  test("shares whose sums are not exact give whole samples: 0.7 + 0.1 is less than 0.8", () => {
    const { a, b, c } = splitIndices(10, { parts: { a: 0.7, b: 0.1, c: 0.2 }, shuffle: false });
    expect([a.length, b.length, c.length]).toEqual([7, 1, 2]);
  });

  test("the seed decides, and the order is kept where that is asked", () => {
    const of = (seed: number) => numbers(splitIndices(50, { parts, seed }).test);
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
    const inOrder = splitIndices(10, { parts: { training: 0.8, test: 0.2 }, shuffle: false, gap: 1 });
    expect(numbers(inOrder.training)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(numbers(inOrder.test)).toEqual([8, 9]);
  });

  test("the gap is between any two parts", () => {
    const split = splitIndices(14, { parts: { a: 0.5, b: 0.3, c: 0.2 }, shuffle: false, gap: 2 });
    expect(Object.values(split).map(numbers)).toEqual([
      [0, 1, 2, 3, 4],
      [7, 8, 9],
      [12, 13],
    ]);
  });

  test.each<[string, object]>([
    ["samples", {}],
    ["stratified", { stratify: labels }],
    ["groups", { groups: labels.map((_, i) => i % 29) }],
  ])("the seed decides what is drawn: %s", (_, options) => {
    const of = (seed: number) => numbers(splitIndices(203, { parts, seed, ...options }).training);
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });

  test("a label whose shares are whole is divided exactly, whatever was rounded before", () => {
    // 0.58 of 100 is 57.99999999999999 in float64, and of the twenty before it the second part got more than its share.
    const stratify = [...Array(20).fill("some"), ...Array(100).fill("hundred")];
    const split = splitIndices(120, { parts: { a: 0.04, b: 0.58, c: 0.38 }, stratify });
    expect(Object.values(split).map((part) => part.filter((sample) => sample >= 20).length)).toEqual([4, 58, 38]);
  });

  test("each part has its share of each label, up to one sample", () => {
    const split = splitIndices(203, { parts, stratify: labels, seed: 2 });
    for (const [name, share] of Object.entries(parts)) {
      for (const label of new Set(labels)) {
        const all = labels.filter((one) => one === label).length;
        const here = numbers(split[name as keyof typeof parts]).filter((sample) => labels[sample] === label).length;
        expect(Math.abs(here - share * all), `${name}, ${label}`).toBeLessThan(1);
      }
    }
  });

  test("a label needs no more samples than there are parts", () => {
    const { a, b } = splitIndices(4, { parts: { a: 0.5, b: 0.5 }, stratify: [0, 0, 1, 1] });
    for (const part of [a, b]) expect(numbers(part).map((sample) => Math.floor(sample / 2))).toEqual([0, 1]);
  });

  test("what is left of each label goes by turns: the sizes of the parts are right too", () => {
    const stratify = Array.from({ length: 30 }, (_, i) => i % 10);
    const { a, b } = splitIndices(30, { parts: { a: 0.5, b: 0.5 }, stratify });
    expect([a.length, b.length]).toEqual([15, 15]);
  });

  test("no group is divided", () => {
    const groups = Array.from({ length: 203 }, (_, i) => Math.floor(i / 7));
    const split = splitIndices(203, { parts, groups, seed: 2 });
    const of = (part: Uint32Array) => new Set(numbers(part).map((sample) => groups[sample]));
    const sizes = [of(split.training), of(split.validation), of(split.test)];
    expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBe(29);
    expect(Math.abs(split.training.length - 0.7 * 203)).toBeLessThan(7);
  });

  test("what cannot be divided is refused", () => {
    expect(() => splitIndices(3, { parts })).toThrow(
      'splitIndices: each part must have a sample, got 3 and none for "validation": give it a larger share',
    );
    expect(() => splitIndices(9, { parts, stratify: [1, 1, 1, 1, 1, 1, 1, 2, 2] })).toThrow("got 2 of 2");
    expect(() => splitIndices(4, { parts: { a: 0.5, b: 0.5 }, groups: [1, 1, 1, 1] })).toThrow(
      "there are too few groups",
    );
    expect(() => splitIndices(9, { parts: { a: 0.5, b: 0.6 } })).toThrow(
      "parts must be 1 together, as { training: 0.8, test: 0.2 }, got 0.5 + 0.6",
    );
    expect(() => splitIndices(9, { parts, stratify: labels, groups: labels })).toThrow(
      "either stratify or groups, got both",
    );
    expect(() => splitIndices(9, { parts, stratify: labels, shuffle: false })).toThrow(
      "takes stratify if samples are drawn",
    );
    expect(() => splitIndices(9, { parts, gap: 1 })).toThrow("takes gap if the order is kept, got 1");
    expect(() => splitIndices(9, { parts, stratify: labels })).toThrow("a label for each of the 9 samples, got 203");
  });
});

describe("samples", () => {
  const x = Float32Array.from({ length: 24 }, (_, i) => i);
  const y = Uint8Array.from({ length: 8 }, (_, i) => i % 2);

  test("are taken by index, of every kind of array", () => {
    expect(take({ x, y }, [7, 0, 7])).toEqual({
      x: Float32Array.of(21, 22, 23, 0, 1, 2, 21, 22, 23),
      y: Uint8Array.of(1, 0, 1),
    });
    const named = { x: { a: x, b: [...y] }, y: Float32Array.from(y), weights: Float32Array.from(y), inputShape: [3] };
    expect(take(named, [1])).toEqual({
      x: { a: Float32Array.of(3, 4, 5), b: [1] },
      y: Float32Array.of(1),
      weights: Float32Array.of(1),
      inputShape: [3],
    });
    expect(take({ x, y: Int32Array.from(y) }, [5])).toEqual({ x: Float32Array.of(15, 16, 17), y: Int32Array.of(1) });
    expect(take({ x, y: x }, [1], { count: 4 }).y).toEqual(Float32Array.of(6, 7, 8, 9, 10, 11));
  });

  test("are split with their targets", () => {
    const { training, test } = split({ x, y }, { parts: { training: 0.5, test: 0.5 }, stratify: y, seed: 4 });
    expect([training.x.length, training.y.length, test.x.length]).toEqual([12, 4, 12]);
    for (const part of [training, test]) {
      expect([...part.y].sort()).toEqual([0, 0, 1, 1]);
      part.y.forEach((label, at) => {
        expect((part.x[3 * at] / 3) % 2).toBe(label);
      });
    }
  });

  test("are as many as there are labels, if nothing else says it", () => {
    const floats = Float32Array.from(y);
    for (const options of [{ stratify: y }, { groups: [...y.keys()] }]) {
      const { a, b } = split({ x, y: floats }, { parts: { a: 0.75, b: 0.25 }, ...options });
      expect([a.x.length, a.y.length, b.x.length, b.y.length]).toEqual([18, 6, 6, 2]);
    }
  });

  test("are refused if nothing says how many there are, or they differ", () => {
    const floats = Float32Array.from(y);
    expect(() => take({ x, y: floats }, [0])).toThrow("take: count must say how many samples flat arrays have");
    expect(() => take({ x: floats, y: new Uint8Array(8) }, [0])).toThrow("take: count must say");
    expect(() => take({ x, y: [1, 2, 3, 4, 5] }, [0])).toThrow("x must have values for 5 samples, got 24");
    expect(() => take({ x: [[1], [2]], y: [1, 2] }, [0], { count: 3 })).toThrow(
      "x must have values for 3 samples, got 2",
    );
    expect(() => take({ x: [[1], [2]], y: [1] }, [0])).toThrow("y must have values for 2 samples, got 1");
    expect(() => take({ x, y }, [8])).toThrow("a sample must be a whole number from 0 to 7, got 8 at 0");
    expect(() => take({ x: [], y }, [0])).toThrow("x must be a typed array or an array with an entry for each sample");
  });
});

describe("balance", () => {
  type WeightCase = { kind: string; name: string; labels: Label[]; result: number[] };
  const weighted = (golden.cases as unknown as WeightCase[]).filter(({ kind }) => kind === "class weight");

  test.each(weighted.map((one) => [one.name, one] as const))("scikit-learn's weights, %s", (_, { labels, result }) => {
    expect(balancedWeights(labels)).toEqual(Float32Array.from(result));
  });

  test("weighted draws have the shares of the weights", () => {
    const counts = [0, 0, 0, 0];
    for (const index of weightedIndices([1, 0, 2, 5], { count: 8000, seed: 9 })) counts[index]++;
    expect(counts[1]).toBe(0);
    // Four standard deviations of a binomial count.
    [1, 0, 2, 5].forEach((weight, at) => {
      const share = weight / 8;
      expect(Math.abs(counts[at] - 8000 * share)).toBeLessThanOrEqual(4 * Math.sqrt(8000 * share * (1 - share)));
    });
    expect(weightedIndices([0, 0, 3])).toEqual(Uint32Array.of(2, 2, 2));
    expect(() => weightedIndices([1, -1])).toThrow("each weight must be a number of at least 0, got -1 at 1");
    expect(() => weightedIndices([0, 0])).toThrow("the sum of the weights must be above 0 and finite, got 0");
    expect(() => weightedIndices([1e308, 1e308])).toThrow("must be above 0 and finite, got Infinity");
  });

  test("the seed decides what is drawn, and in which order", () => {
    const draws = [
      (seed: number) => numbers(weightedIndices([1, 2, 3, 4], { count: 40, seed })),
      (seed: number) => [...balancedBatches(labels, { batchSize: 6, batches: 4, seed })].map(numbers),
    ];
    for (const draw of draws) {
      expect(draw(1)).toEqual(draw(1));
      expect(draw(1)).not.toEqual(draw(2));
    }
    const rare = [...balancedBatches(labels, { batchSize: 3, batches: 22, seed: 1 })].map((batch) =>
      numbers(batch).find((sample) => labels[sample] === "rare"),
    );
    // Twice through all of them, each time in another order.
    expect(rare.slice(0, 11)).not.toEqual(rare.slice(11));
    expect([...rare.slice(0, 11)].sort()).toEqual([...rare.slice(11)].sort());
  });

  test("the last batches of a label show what is left of it", () => {
    const batches = [...balancedBatches(["a", "a", "a", "b"], { batchSize: 4 })];
    expect(batches).toHaveLength(2);
    expect(new Set(batches.flatMap(numbers))).toEqual(new Set([0, 1, 2, 3]));
  });

  test("balanced batches have as many of each label, and all samples of each before any again", () => {
    const batches = [...balancedBatches(labels, { batchSize: 12, seed: 1 })];
    const often = labels.filter((label) => label === "often").length;
    expect(batches.length).toBe(Math.ceil(often / 4));
    for (const batch of batches) {
      const counts = ["rare", "some", "often"].map((one) => numbers(batch).filter((at) => labels[at] === one).length);
      expect(counts).toEqual([4, 4, 4]);
    }
    const drawn = batches.flatMap(numbers);
    const rare = drawn.filter((sample) => labels[sample] === "rare");
    const all = labels.flatMap((label, sample) => (label === "rare" ? [sample] : []));
    expect(rare.slice(0, all.length).sort((a, b) => a - b)).toEqual(all);
    expect(new Set(drawn.filter((sample) => labels[sample] === "often").slice(0, often)).size).toBe(often);
    expect(() => balancedBatches(labels, { batchSize: 10 })).toThrow("a multiple of the 3 labels, got 10");
  });
});
