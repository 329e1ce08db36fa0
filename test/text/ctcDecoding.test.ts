// Decoding of CTC outputs: against brute force over all paths, and the edit distance against its definition.
import { describe, expect, test } from "vitest";
import { DataError, ModelError } from "../../src/engine/errors.js";
import { ctcBeamDecode, ctcGreedyDecode } from "../../src/text/ctcDecoding.js";
import { characterErrorRate, editDistance } from "../../src/text/editDistance.js";
import { createRandom } from "../ops/cases.js";
import { collapse } from "../ops/samples/ctc.js";
import { logSoftmaxRow } from "../ops/samples/softmax.js";

/** Log probabilities of all sequences of labels, by all paths, best first. */
function byBruteForce(logits: readonly number[], time: number, classes: number, blank: number) {
  const logs = Array.from({ length: time }, (_, t) =>
    logSoftmaxRow(Float64Array.from(logits.slice(t * classes, (t + 1) * classes))),
  );
  const found = new Map<string, { labels: number[]; probability: number }>();
  for (let index = 0; index < classes ** time; index++) {
    const path = logs.map((_, t) => Math.floor(index / classes ** t) % classes);
    const labels = collapse(path, blank);
    const one = found.get(labels.join()) ?? { labels, probability: 0 };
    one.probability += Math.exp(path.reduce((sum, label, t) => sum + logs[t][label], 0));
    found.set(labels.join(), one);
  }
  return [...found.values()].sort((a, b) => b.probability - a.probability);
}

describe("ctcBeamDecode", () => {
  test.each([
    [1, 2, 0],
    [4, 3, 0],
    [5, 3, 2],
    [4, 4, 1],
    [6, 2, 1],
    [5, 4, 0],
  ])(
    "%i steps, %i classes, blank %i: wide enough it has all sequences with their probabilities",
    (time, classes, blank) => {
      const random = createRandom(time * 10 + classes);
      for (let trial = 0; trial < 4; trial++) {
        const logits = Array.from({ length: time * classes }, () => 2 * random.normal());
        const expected = byBruteForce(logits, time, classes, blank);
        const [beams] = ctcBeamDecode(logits, { shape: [time, classes], blank, width: 10_000 });
        expect(beams.map(({ labels }) => labels)).toEqual(expected.map(({ labels }) => labels));
        beams.forEach(({ logProbability }, i) => {
          expect(Math.abs(logProbability - Math.log(expected[i].probability))).toBeLessThan(1e-12 * 1000);
        });
      }
    },
  );

  test("a narrow one keeps the best, and never claims more than there is", () => {
    const random = createRandom(3);
    let right = 0;
    for (let trial = 0; trial < 40; trial++) {
      const logits = Array.from({ length: 5 * 4 }, () => 2 * random.normal());
      const expected = byBruteForce(logits, 5, 4, 0);
      const [beams] = ctcBeamDecode(logits, { shape: [5, 4], width: 4 });
      expect(beams.length).toBe(4);
      for (const { labels, logProbability } of beams) {
        const exact = expected.find((one) => one.labels.join() === labels.join());
        expect(logProbability).toBeLessThan(Math.log(exact?.probability ?? 0) + 1e-9);
      }
      right += Number(beams[0].labels.join() === expected[0].labels.join());
    }
    expect(right).toBeGreaterThan(34);
  });

  test("finds what no single path shows, samples apart, each to its length", () => {
    const row = [Math.log(0.6), Math.log(0.4)];
    const logits = [...row, ...row, ...row, ...row];
    expect(ctcGreedyDecode(logits, { shape: [2, 2] })).toEqual([[], []]);
    const [whole, half] = ctcBeamDecode(Float32Array.from(logits), { shape: [2, 2], lengths: Uint32Array.of(2, 1) });
    expect(whole.map(({ labels }) => labels)).toEqual([[1], []]);
    expect(half.map(({ labels }) => labels)).toEqual([[], [1]]);
    expect(ctcBeamDecode(row, { shape: [1, 2], lengths: [0] })).toEqual([[{ labels: [], logProbability: 0 }]]);
  });

  test("of equally likely ones the smaller is first; what is impossible is left out; large logits do no harm", () => {
    const never = Number.NEGATIVE_INFINITY;
    const labels = (logits: number[], shape: [number, number]) =>
      ctcBeamDecode(logits, { shape })[0].map((one) => one.labels);
    expect(labels([0, 0, 0], [1, 3])).toEqual([[], [1], [2]]);
    expect(labels([never, 1, never, never, 5, never], [2, 3])).toEqual([[1]]);
    const [[best]] = ctcBeamDecode([1e30, -1e30, -1e30, 1e30], { shape: [2, 2] });
    expect(best).toEqual({ labels: [1], logProbability: 0 });
  });
});

test("ctcGreedyDecode merges repeats, leaves out blanks, and starts anew with each sample", () => {
  const path = [1, 1, 0, 1, 2, 2, 2, 0, 2, 2, 1, 1];
  const logits = path.flatMap((label) => [0, 1, 2].map((i) => Number(i === label)));
  expect(ctcGreedyDecode(logits, { shape: [12, 3] })).toEqual([[1, 1, 2, 2, 1]]);
  expect(ctcGreedyDecode(logits, { shape: [6, 3], blank: 2 })).toEqual([
    [1, 0, 1],
    [0, 1],
  ]);
  expect(ctcGreedyDecode(logits, { shape: [6, 3], lengths: [4, 0] })).toEqual([[1, 1], []]);
  expect(ctcGreedyDecode([], { shape: [6, 3] })).toEqual([]);
});

test("what cannot be decoded is refused", () => {
  for (const decode of [ctcGreedyDecode, ctcBeamDecode]) {
    expect(() => decode([1, 2], { shape: [2] } as never)).toThrow(ModelError);
    expect(() => decode([1, 2], { shape: [1, 2], blank: 2 })).toThrow(ModelError);
    expect(() => decode([1, 2, 3], { shape: [1, 2] })).toThrow(DataError);
    expect(() => decode([1, Number.NaN], { shape: [1, 2] })).toThrow(DataError);
    expect(() => decode([1, Number.POSITIVE_INFINITY], { shape: [1, 2] })).toThrow(DataError);
    expect(() => decode([1, 2], { shape: [1, 2], lengths: [2] })).toThrow(DataError);
    expect(() => decode([1, 2], { shape: [1, 2], lengths: [1, 1] })).toThrow(DataError);
  }
  const never = Number.NEGATIVE_INFINITY;
  expect(() => ctcBeamDecode([never, never], { shape: [1, 2] })).toThrow(DataError);
  expect(() => editDistance(1 as never, "a")).toThrow(DataError);
  expect(() => characterErrorRate(["a"], [])).toThrow(DataError);
  expect(() => characterErrorRate([""], [""])).toThrow(DataError);
});

/** By its definition: the fewest edits, over all choices for the last item. */
function byDefinition(a: string, b: string): number {
  if (a === "" || b === "") return a.length + b.length;
  const [shortA, shortB] = [a.slice(0, -1), b.slice(0, -1)];
  const same = Number(a.at(-1) !== b.at(-1));
  return Math.min(byDefinition(shortA, b) + 1, byDefinition(a, shortB) + 1, byDefinition(shortA, shortB) + same);
}

test("edit distance and character error rate", () => {
  const random = createRandom(5);
  const word = () => Array.from({ length: random.below(6) }, () => "abc"[random.below(3)]).join("");
  for (let trial = 0; trial < 60; trial++) {
    const [a, b] = [word(), word()];
    expect(editDistance(a, b), `${a} ${b}`).toBe(byDefinition(a, b));
  }
  expect(editDistance("😀x", "x")).toBe(1);
  expect(editDistance([1, 2, 3], Uint8Array.of(1, 3))).toBe(1);
  expect(characterErrorRate(["hallo", ""], ["hello", "x"])).toBe(2 / 6);
  expect(characterErrorRate([[1, 2, 3]], [[4]])).toBe(3);
});
