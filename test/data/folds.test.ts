import { kFold, type Label, timeSeriesFolds } from "steepest/data";
import { describe, expect, test } from "vitest";
import golden from "../golden/splits.json" with { type: "json" };

interface FoldCase {
  readonly kind: string;
  readonly name?: string;
  readonly count: number;
  readonly folds: number;
  readonly labels: Label[];
  readonly options: { folds: number };
  readonly distinct?: boolean;
  readonly result: { training: number[]; validation: number[] }[];
}

const cases = golden.cases as unknown as FoldCase[];
const of = (kind: string) =>
  cases
    .filter((one) => one.kind === kind)
    .map((one) => [`${one.name ?? ""} ${JSON.stringify(one.options ?? one.folds)} of ${one.count}`, one] as const);
const plain = (folds: ReturnType<typeof kFold>) =>
  folds.map(({ training, validation }) => ({ training: [...training], validation: [...validation] }));

describe("scikit-learn's folds", () => {
  test.each(of("KFold"))("KFold %s", (_, { count, folds, result }) => {
    expect(plain(kFold(count, { folds, shuffle: false }))).toEqual(result);
  });

  test.each(of("StratifiedKFold"))("StratifiedKFold %s", (_, { count, folds, labels, result }) => {
    expect(plain(kFold(count, { folds, stratify: labels, shuffle: false }))).toEqual(result);
  });

  // Of groups that are as large, scikit-learn's sort says nothing about which comes first.
  test.each(of("GroupKFold").filter(([, { distinct }]) => distinct))(
    "GroupKFold %s",
    (_, { count, folds, labels, result }) => {
      expect(plain(kFold(count, { folds, groups: labels, shuffle: false }))).toEqual(result);
    },
  );

  test.each(of("TimeSeriesSplit"))("TimeSeriesSplit %s", (_, { count, options, result }) => {
    expect(plain(timeSeriesFolds(count, options))).toEqual(result);
  });
});

describe("folds in random order", () => {
  const labels = Array.from(
    { length: 61 },
    (_, i) => ["often", "sometimes", "often", "rare"][i % 4 === 3 && i % 3 > 0 ? 1 : i % 4],
  );

  test("each sample is validated once, and trained on otherwise", () => {
    for (const options of [{}, { stratify: labels }, { groups: labels.map((_, i) => i % 9) }]) {
      const folds = kFold(61, { folds: 4, seed: 3, ...options });
      expect(folds.flatMap(({ validation }) => [...validation]).sort((a, b) => a - b)).toEqual([...Array(61).keys()]);
      for (const { training, validation } of folds) {
        expect([...training, ...validation].sort((a, b) => a - b)).toEqual([...Array(61).keys()]);
        expect([...validation]).toEqual([...validation].sort((a, b) => a - b));
      }
    }
  });

  test.each<[string, object]>([
    ["samples", {}],
    ["stratified", { stratify: labels }],
    ["groups", { groups: labels.map((_, i) => i % 9) }],
  ])("the seed decides: %s", (_, options) => {
    const folds = (more: object) => plain(kFold(61, { ...options, ...more }));
    expect(folds({ seed: 1 })).toEqual(folds({ seed: 1 }));
    expect(folds({ seed: 1 })).not.toEqual(folds({ seed: 2 }));
    expect(folds({ seed: 1 })).not.toEqual(folds({ shuffle: false }));
  });

  test("as many as folds are enough: of samples, of groups, and of the most frequent label", () => {
    const groups = kFold(5, { folds: 3, groups: ["a", "b", "a", "c", "b"] });
    expect(groups.map(({ validation }) => validation.length).sort()).toEqual([1, 2, 2]);
    expect(kFold(3, { folds: 3 }).map(({ validation }) => validation.length)).toEqual([1, 1, 1]);
    const stratify = ["a", "b", "a", "b", "a", "c"];
    for (const { validation } of kFold(6, { folds: 3, stratify })) {
      expect([...validation].filter((sample) => stratify[sample] === "a")).toHaveLength(1);
    }
  });

  test("labels are in all folds alike, up to one sample", () => {
    for (const { validation } of kFold(61, { folds: 4, seed: 3, stratify: labels })) {
      for (const label of new Set(labels)) {
        const all = labels.filter((one) => one === label).length;
        const here = [...validation].filter((sample) => labels[sample] === label).length;
        expect(Math.abs(here - all / 4)).toBeLessThan(1);
      }
    }
  });

  test("no group is in two folds", () => {
    const groups = Array.from({ length: 61 }, (_, i) => `group ${(i * i) % 17}`);
    const folds = kFold(61, { folds: 3, groups, seed: 1 }).map(
      ({ validation }) => new Set([...validation].map((sample) => groups[sample])),
    );
    expect(folds.reduce((sum, { size }) => sum + size, 0)).toBe(new Set(groups).size);
  });
});

test("what cannot be divided is refused", () => {
  expect(() => kFold(3, { folds: 4 })).toThrow("kFold: must have a sample for each of the 4 folds, got 3");
  expect(() => kFold(4, { folds: 2, groups: ["a", "a", "a", "a"] })).toThrow("a group for each of the 2 folds, got 1");
  expect(() => kFold(4, { folds: 3, stratify: [0, 0, 1, 1] })).toThrow(
    "for each of the 3 folds, got 2 of the most frequent",
  );
  expect(() => kFold(4, { stratify: [0, 1] })).toThrow("must have a sample for each of the 5 folds, got 4");
  expect(() => kFold(6, { stratify: [0, 1] })).toThrow("must have a label for each of the 6 samples, got 2");
  expect(() => kFold(6, { stratify: [0], groups: [1] })).toThrow("takes either stratify or groups, got both");
  expect(() => timeSeriesFolds(5)).toThrow("timeSeriesFolds: must have 6 samples at least, got 5");
  expect(() => timeSeriesFolds(9, { folds: 3, size: 3 })).toThrow("must have more than 3 times 3 samples, got 9");
  expect(() => timeSeriesFolds(8, { folds: 2, gap: 4 })).toThrow("3 samples at least, and 4 for the gap, got 8");
});
