import { beamSearch, tokenSampler } from "steepest/text";
import { describe, expect, test } from "vitest";
import { randomNumbers } from "../../src/engine/randomNumbers.js";

const logits = [0.5, 2, -1, 1, -Infinity];
const draws = 40_000;

/** How often each token is drawn. */
function shares(options: Parameters<typeof tokenSampler>[0]): number[] {
  const draw = tokenSampler(options);
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < draws; i++) counts[draw(logits)] += 1;
  return counts.map((count) => count / draws);
}

/** What they should be, of the tokens that are left. */
function expected(left: readonly number[], temperature = 1): number[] {
  const weights = logits.map((logit, id) => (left.includes(id) ? Math.exp(logit / temperature) : 0));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

describe("tokens are drawn with their probabilities", () => {
  test.each([
    [{}, expected([0, 1, 2, 3])],
    [{ temperature: 0.5 }, expected([0, 1, 2, 3], 0.5)],
    [{ topK: 2 }, expected([1, 3])],
    // 1 has 0.606 and 3 has 0.223: 0.8 needs both.
    [{ topP: 0.8 }, expected([1, 3])],
    [{ topP: 0.6 }, expected([1])],
    [{ topP: 0 }, expected([1])],
    // Of three, 1 has 0.634: 0.7 needs two of them.
    [{ topK: 3, topP: 0.7 }, expected([1, 3])],
    [{ temperature: 0 }, expected([1])],
  ])("%j", (options, probabilities) => {
    const found = shares({ ...options, seed: 11 });
    // Five standard deviations of a share.
    found.forEach((share, id) => {
      const p = probabilities[id];
      expect(Math.abs(share - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / draws));
    });
  });

  test("the same seed gives the same tokens", () => {
    const text = (seed: number) => {
      const draw = tokenSampler({ seed });
      return Array.from({ length: 30 }, () => draw(logits));
    };
    expect(text(3)).toEqual(text(3));
    expect(text(3)).not.toEqual(text(4));
  });

  test("equal logits: the smaller id counts as the likelier", () => {
    const draw = tokenSampler({ topK: 2 });
    const drawn = new Set(Array.from({ length: 200 }, () => draw([1, 1, 1, 1])));
    expect([...drawn].sort()).toEqual([0, 1]);
  });

  test("logits that are none are refused", () => {
    const draw = tokenSampler();
    expect(() => draw([0, NaN])).toThrow("got NaN at 1");
    expect(() => draw([-Infinity])).toThrow("got only -Infinity");
    expect(() => draw([])).toThrow("got []");
  });
});

describe("beam search", () => {
  const classes = 4;
  const end = 3;
  /** A random table of logits for each prefix, the same whenever it is asked. */
  const rowOf = (prefix: readonly number[], seed: number): number[] => {
    const random = randomNumbers(prefix.reduce((sum, id) => sum * 5 + id + 1, seed));
    return Array.from({ length: classes }, () => 4 * random.uniform());
  };
  const logSoftmax = (row: readonly number[]) => {
    const norm = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
    return row.map((logit) => logit - norm);
  };
  /** Every sequence of at most `length` ids, with its log probability. */
  function everything(length: number, seed: number) {
    const all: { ids: number[]; logProbability: number }[] = [];
    const go = (ids: number[], logProbability: number): void => {
      if (ids.at(-1) === end || ids.length === length) {
        all.push({ ids, logProbability });
        return;
      }
      logSoftmax(rowOf(ids, seed)).forEach((term, id) => {
        go([...ids, id], logProbability + term);
      });
    };
    go([], 0);
    return all;
  }

  test.each([0, 1, -0.5])(
    "a beam as wide as the tree finds the best sequences, length penalty %d",
    async (lengthPenalty) => {
      for (let seed = 1; seed <= 20; seed++) {
        const next = (prefixes: readonly (readonly number[])[]) => prefixes.flatMap((prefix) => rowOf(prefix, seed));
        const options = { end, maxLength: 4, width: 81, lengthPenalty };
        const found = await beamSearch(next, options);
        const best = everything(4, seed)
          .map((one) => ({ ...one, score: one.logProbability / one.ids.length ** lengthPenalty }))
          .sort((a, b) => b.score - a.score);
        expect(found[0].ids).toEqual(best[0].ids);
        expect(found[0].score).toBeCloseTo(best[0].score, 10);
        const again = await beamSearch(next, { ...options, width: 3 });
        expect(again).toHaveLength(3);
        expect(again[0].score).toBeLessThanOrEqual(found[0].score);
        expect([...again].sort((a, b) => b.score - a.score)).toEqual(again);
      }
    },
  );

  test("a beam of one is greedy", async () => {
    const [only, ...none] = await beamSearch((prefixes) => prefixes.flatMap((prefix) => rowOf(prefix, 8)), {
      end,
      maxLength: 6,
      width: 1,
    });
    expect(none).toEqual([]);
    const ids: number[] = [];
    while (ids.length < 6 && ids.at(-1) !== end) {
      const row = rowOf(ids, 8);
      ids.push(row.indexOf(Math.max(...row)));
    }
    expect(only.ids).toEqual(ids);
  });

  test("parents say which state a prefix goes on from", async () => {
    let before: readonly (readonly number[])[] = [[9]];
    await beamSearch(
      (prefixes, parents) => {
        prefixes.forEach((prefix, i) => {
          expect(prefix.slice(0, prefixes[0].length === 1 ? undefined : -1)).toEqual(before[parents[i]]);
        });
        before = prefixes;
        return Promise.resolve(Float32Array.from(prefixes.flatMap((prefix) => rowOf(prefix, 2))));
      },
      { start: [9], end, maxLength: 5, width: 3 },
    );
    expect(before.length).toBeGreaterThan(1);
  });

  test("logits that are none are refused", async () => {
    const search = (logits: unknown) => beamSearch(() => logits as number[], { end, maxLength: 2 });
    await expect(search([1, 2, 3])).rejects.toThrow("a row of logits for each of 1 prefixes, the end 3 among them");
    await expect(search([1, 2, 3, NaN])).rejects.toThrow("got NaN at 3");
    await expect(search(undefined)).rejects.toThrow("got undefined");
  });
});
