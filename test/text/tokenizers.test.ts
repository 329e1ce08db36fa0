import { readFileSync } from "node:fs";
import { bytePairTokenizer, characterTokenizer, type Tokenizer, tokenizerFrom, wordTokenizer } from "steepest/text";
import { describe, expect, test } from "vitest";
import { randomNumbers } from "../../src/engine/randomNumbers.js";

const copied = (tokenizer: Tokenizer): Tokenizer => tokenizerFrom(JSON.parse(JSON.stringify(tokenizer)));

describe("characters", () => {
  test("ids in the order of code points, whole code points, special ones first", () => {
    const tokenizer = characterTokenizer(["ba", "é🙂"], { special: ["<pad>"] });
    expect(tokenizer.size).toBe(5);
    expect(tokenizer.special).toEqual({ "<pad>": 0 });
    expect([...tokenizer.encode("ab🙂é")]).toEqual([1, 2, 4, 3]);
    expect(tokenizer.decode([4, 0, 1])).toBe("🙂a");
  });

  test("what is not known is refused, or has an id", () => {
    expect(() => characterTokenizer("ab").encode("abc")).toThrow('got "c" at 2');
    const tokenizer = characterTokenizer("ab", { unknown: "?" });
    expect([...tokenizer.encode("axb")]).toEqual([1, 0, 2]);
    expect(copied(tokenizer).encode("axb")).toEqual(tokenizer.encode("axb"));
  });
});

describe("words", () => {
  const text = "The cat saw the dog, and the dog's owner (it's 42).";

  test("the most frequent first, with apostrophes, numbers and marks of their own", () => {
    const tokenizer = wordTokenizer(text, { lowerCase: true });
    expect(tokenizer.decode(tokenizer.encode("the dog's 42, the"))).toBe("the dog's 42 , the");
    expect([...tokenizer.encode("The unknown")]).toEqual([1, 0]);
    expect(copied(tokenizer).encode(text)).toEqual(tokenizer.encode(text));
  });

  test("size and minCount bound the vocabulary", () => {
    expect(wordTokenizer(text, { size: 3 }).size).toBe(3);
    const frequent = wordTokenizer(text, { minCount: 2, special: ["<pad>"] });
    expect(frequent.toJSON().tokens).toEqual(["the"]);
    expect(frequent.special).toEqual({ "<pad>": 0, "<unknown>": 1 });
  });
});

describe("byte pairs", () => {
  // P. Gage's own example.
  test("the most frequent pair is merged, again and again", () => {
    const tokenizer = bytePairTokenizer("aaabdaaabac", { size: 259 });
    const [a, b] = [97, 98];
    // aa occurs 4 times, then (aa)a and ab both twice: the one with the smaller ids is first.
    expect(tokenizer.toJSON().merges).toEqual([
      [a, a],
      [a, b],
      [256, 257],
    ]);
    expect([...tokenizer.encode("aaabdaaabac")]).toEqual([258, 100, 258, 97, 99]);
  });

  test("any text comes back, learned from it or not", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const tokenizer = bytePairTokenizer([readme, "Être ou ne pas être 🙂🙂🙂"], { size: 400, special: ["<end>"] });
    expect(tokenizer.size).toBe(400);
    const random = randomNumbers(4);
    const drawn = () =>
      String.fromCodePoint(random.below(2) === 0 ? 32 + random.below(90) : 0x3b1 + random.below(0x2000));
    const texts = ["", "  ", "\n\t x  \n", "\uFEFFa", "don't 12345 ...", "日本語 テスト", "👩‍👩‍👧‍👦"];
    for (let i = 0; i < 300; i++) texts.push(Array.from({ length: random.below(30) }, drawn).join(""));
    const other = copied(tokenizer);
    for (const text of texts) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(other.encode(text)).toEqual(tokenizer.encode(text));
    }
    expect(tokenizer.encode(readme).length).toBeLessThan(0.7 * readme.length);
    expect(Math.min(...tokenizer.encode("anything <end>"))).toBeGreaterThan(0);
    expect(tokenizer.decode([0])).toBe("");
  });

  test("merges are those of the definition, counted anew after each", () => {
    const random = randomNumbers(9);
    const words = Array.from({ length: 40 }, () =>
      Array.from({ length: 1 + random.below(8) }, () => "abc"[random.below(3)]).join(""),
    );
    const learned = bytePairTokenizer(words.join(" "), { size: 256 + 30 }).toJSON().merges;
    expect(learned).toEqual(slowMerges(words, 30));
  });

  test("fewer merges if no pair occurs twice", () => {
    expect(bytePairTokenizer("ab", { size: 300 }).size).toBe(256);
  });
});

/** By the definition alone: all words, each with the space before it but the first. */
function slowMerges(words: readonly string[], count: number): [number, number][] {
  let parts = words.map((word, index) => [...Buffer.from(index === 0 ? word : ` ${word}`)]);
  const merges: [number, number][] = [];
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const ids of parts) {
      for (let i = 1; i < ids.length; i++) {
        const key = `${ids[i - 1]},${ids[i]}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    const pairs = [...counts].map(([key, times]) => ({ pair: key.split(",").map(Number) as [number, number], times }));
    pairs.sort((a, b) => b.times - a.times || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1]);
    if ((pairs[0]?.times ?? 0) < 2) break;
    const [left, right] = pairs[0].pair;
    const id = 256 + merges.length;
    merges.push([left, right]);
    parts = parts.map((ids) => {
      const merged: number[] = [];
      for (let i = 0; i < ids.length; i++) {
        if (ids[i] === left && ids[i + 1] === right) {
          merged.push(id);
          i += 1;
        } else merged.push(ids[i]);
      }
      return merged;
    });
  }
  return merges;
}

test("data from elsewhere are checked", () => {
  const bad: unknown[] = [
    null,
    {},
    { kind: "letter", special: [], tokens: [] },
    { kind: "character", special: [], tokens: ["ab"] },
    { kind: "character", special: [], tokens: ["a", "a"] },
    { kind: "word", special: ["x"], tokens: ["a"], unknown: "y" },
    { kind: "word", special: [], tokens: ["a"], lowerCase: 1 },
    { kind: "bytePair", special: [], merges: [[0, 256]] },
    { kind: "bytePair", special: ["x"], merges: [[0, 1]] },
    { kind: "bytePair", special: [], merges: [[0, 1, 2]] },
    // Each merge doubles the token: 2^40 bytes.
    { kind: "bytePair", special: [], merges: [[0, 0], ...Array.from({ length: 39 }, (_, i) => [256 + i, 256 + i])] },
  ];
  for (const data of bad) expect(() => tokenizerFrom(data as never)).toThrow(/^tokenizerFrom: .*, got /s);
});
