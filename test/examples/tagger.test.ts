import { describe, expect, test } from "vitest";
import { baseline, batchesOf, createVocabulary, parseSentence, readSentences } from "../../examples/tagger.js";

test("words and tags of the corpus, without what is appended to tags", () => {
  const { words, tags } = parseSentence("\tThe/at Fulton/np-tl 1/2/cd I'm/ppss+bem ``/`` --/-- ./.");
  expect(words).toEqual(["the", "fulton", "1/2", "i'm", "``", "--", "."]);
  expect(tags).toEqual(["at", "np", "cd", "ppss", "``", "--", "."]);
});

describe("the corpus", () => {
  const [training, rest] = [readSentences(0, 250), readSentences(1, 250)];

  test("has words and as many tags; texts of one part are none of another", () => {
    expect(training.length).toBeGreaterThan(100);
    for (const { words, tags } of training) expect(tags).toHaveLength(words.length);
    expect(rest[0]).not.toEqual(training[0]);
  });

  test("batches have each sentence once, padded with 0", () => {
    const vocabulary = createVocabulary(training);
    const batches = batchesOf(training, vocabulary, 1);
    const counted = batches.reduce((sum, { y }) => sum + y.filter((tag) => tag > 0).length, 0);
    expect(counted).toBe(training.reduce((sum, { words }) => sum + Math.min(48, words.length), 0));
    for (const { x, y, length } of batches) {
      expect(y).toHaveLength(x.words.length);
      x.lengths.forEach((own, sample) => {
        const row = [...x.words.subarray(sample * length, (sample + 1) * length)];
        expect(row.indexOf(0)).toBe(own === length ? -1 : own);
      });
    }
  });

  test("the most frequent tag of each word is a baseline, and knows its own text best", () => {
    expect(baseline(training, rest)).toBeGreaterThan(60);
    expect(baseline(training, training)).toBeGreaterThan(baseline(training, rest));
  });
});
