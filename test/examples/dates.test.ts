import { describe, expect, test } from "vitest";
import { createDates, drawAttention, encode, ordinal, tokenizer } from "../../examples/dates.js";

describe("dates in words", () => {
  test("days as ordinal numbers", () => {
    expect([1, 12, 19, 20, 21, 30, 31].map(ordinal)).toEqual([
      "first",
      "twelfth",
      "nineteenth",
      "twentieth",
      "twenty-first",
      "thirtieth",
      "thirty-first",
    ]);
  });

  test("each is what it is translated to, in letters that are known, and no longer than there is room", () => {
    const { sources, targets } = createDates(3000, 5);
    const months = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
    sources.forEach((source, i) => {
      const [year, month, day] = targets[i].split("-");
      expect(source).toContain(year);
      expect(source).toContain(months[Number(month) - 1]);
      const says =
        source.includes(ordinal(Number(day))) || new RegExp(`\\b${Number(day)}(st|nd|rd|th)?\\b`).test(source);
      expect(says, `${source} is ${targets[i]}`).toBe(true);
      expect(tokenizer.decode(tokenizer.encode(source))).toBe(source);
    });
    expect(Math.max(...sources.map(({ length }) => length))).toBeLessThanOrEqual(40);
  });

  test("what was trained on does not come again", () => {
    const { sources } = createDates(500, 1);
    const others = createDates(500, 1, new Set(sources)).sources;
    expect(others.filter((source) => sources.includes(source))).toEqual([]);
  });
});

test("the decoder gets what was written before, behind a start", () => {
  const start = tokenizer.special["<start>"];
  const { written, lengths, mask } = encode(["3 may 1987", "x"], [[5, 6, 7], []]);
  expect([...written.subarray(0, 5)]).toEqual([start, 5, 6, 7, 0]);
  expect(written[10]).toBe(start);
  expect([...lengths]).toEqual([10, 1]);
  expect(mask.reduce((sum, one) => sum + one, 0)).toBe(11);
});

test("attention is drawn darker for more", () => {
  const weights = new Float32Array(80);
  weights[1] = 1;
  weights[40] = 0.5;
  expect(drawAttention("ab", "12", weights)).toBe("     ab\n  1 │ █│\n  2 │▒ │");
});
