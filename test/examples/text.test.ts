// What the examples on text share: windows of ids, bits a letter, writing letter by letter.
import { compileSync, createEngineSync, crossEntropy, type Predictor, sgd } from "steepest";
import { characterTokenizer, tokenSampler } from "steepest/text";
import { afterAll, describe, expect, test } from "vitest";
import { BATCH, bitsOn, createModel, WINDOW } from "../../examples/characters.js";
import {
  bitsByPairs,
  bitsOf,
  drawWindows,
  readChapters,
  streamsOf,
  windowsOf,
  wrap,
  write,
} from "../../examples/common/text.js";
import { createGpt } from "../../examples/gpt.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const count = (length: number) => Uint32Array.from({ length }, (_, i) => i);

test("chapters begin as the book does, and an empty line is between them", () => {
  const text = readChapters(1, 2);
  expect(text.startsWith("CHAPTER 1. Loomings.\n\nCall me Ishmael.")).toBe(true);
  expect(text).toContain("\n\nCHAPTER 2. The Carpet-Bag.");
  expect(text).not.toContain("CHAPTER 3");
});

describe("windows", () => {
  test("one after another, and what follows each id", () => {
    const { x, y } = windowsOf(count(10), 4);
    expect([...x]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...y]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(windowsOf(count(8), 4).x.length).toBe(4); // nothing follows 7
  });

  test("from anywhere: the first and the last place too", () => {
    const numbers = [0, 0.999999, 0.5];
    const { x, y } = drawWindows(count(10), 4, 3, () => numbers.shift() ?? Number.NaN);
    expect([...x]).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 3, 4, 5, 6]);
    expect([...y]).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 4, 5, 6, 7]);
  });

  test("side by side: each row goes on where it has stopped", () => {
    const { x, y } = streamsOf(count(14), 2, 2);
    expect([...x]).toEqual([0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
    expect([...y]).toEqual([1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12]);
  });
});

describe("bits", () => {
  test("are -log2 of the probabilities of what came", () => {
    expect(bitsOf(Float32Array.of(0.5, 0.5, 0.75, 0.25), Uint32Array.of(0, 1), 2)).toBe(1.5);
  });

  test("of pairs: 0 is followed by 1 twice of three times, by itself once; one more of each", () => {
    const bits = bitsByPairs(Uint32Array.of(0, 1, 0, 1, 0, 0), Uint32Array.of(0, 1, 1), 2);
    // (2 + 1) / (3 + 2), then (0 + 1) / (2 + 2).
    expect(bits).toBeCloseTo((Math.log2(5 / 3) + 2) / 2, 12);
  });

  test.each(["simple RNN", "GRU", "LSTM"])(
    "of a %s that reads in windows are those of one that reads in one go",
    (cell) => {
      const length = 3 * WINDOW;
      const ids = Uint32Array.from({ length: BATCH * length + 1 }, (_, i) => (i * i + (i >> 3)) % 5);
      const sizes = { size: 5, embedded: 3, units: 8 };
      const options = { loss: crossEntropy(), optimizer: sgd(), engine, seed: 3 };
      using model = compileSync(createModel(cell, sizes), options);
      using whole = compileSync(createModel(cell, { ...sizes, length }), options);
      // Here a row is all of its part: it begins with zeros and reads to the end.
      const expected = whole.evaluateSync(windowsOf(ids, length)).loss / Math.LN2;
      model.predictSync(ids.subarray(0, WINDOW)); // leaves a state behind, which must not count
      expect(bitsOn(model, ids, 5)).toBeCloseTo(expected, 5);
    },
  );
});

describe("writing", () => {
  const tokenizer = characterTokenizer("abcdef");

  /** A model that expects the next letter of the alphabet after the last that it is given, and notes all calls. */
  function createFake() {
    const calls: string[] = [];
    const model = {
      resetState: () => calls.push("|"),
      predictSync(ids: Uint32Array, options: unknown) {
        expect(options).toEqual({ inputShape: [ids.length], output: "raw" });
        calls.push(tokenizer.decode(ids));
        const logits = new Float32Array(ids.length * 6);
        ids.forEach((id, row) => {
          logits[row * 6 + ((id + 1) % 6)] = 1;
        });
        return logits;
      },
    };
    return { model: model as unknown as Predictor, calls };
  }

  test("reads the start at once, then letter by letter", () => {
    const { model, calls } = createFake();
    expect(write(model, tokenizer, tokenSampler({ temperature: 0 }), { start: "abc", length: 6 })).toBe("abcdef");
    expect(calls).toEqual(["|", "abc", "d", "e", "|"]);
  });

  test("begins anew with half of what it can see", () => {
    const { model, calls } = createFake();
    const options = { start: "abc", length: 9, context: 4 };
    expect(write(model, tokenizer, tokenSampler({ temperature: 0 }), options)).toBe("abcdefabc");
    expect(calls).toEqual(["|", "abc", "d", "|", "de", "f", "a", "|", "ab", "|"]);
  });

  test("a GPT with its cache draws what it would from the whole text at once, to the last bit", () => {
    using model = compileSync(createGpt({ size: 6, context: 8, width: 8, heads: 2, blocks: 2 }), { engine, seed: 5 });
    const seen: Float32Array[] = [];
    const draw = tokenSampler({ seed: 2 });
    const text = write(
      model,
      tokenizer,
      (logits) => {
        seen.push(Float32Array.from(logits));
        return draw(logits);
      },
      { start: "fa", length: 9, context: 8 },
    );
    const whole = model.predictSync(tokenizer.encode(text).subarray(0, 8), { output: "raw" });
    expect(seen.map((row) => [...row])).toEqual(
      Array.from({ length: 7 }, (_, i) => [...whole.subarray((i + 1) * 6, (i + 2) * 6)]),
    );
  });
});

test("text is wrapped at spaces, and its own lines are kept", () => {
  const lines = wrap(`${"word ".repeat(30)}\n\nend`).split("\n");
  expect(lines).toEqual([`    ${"word ".repeat(20).trimEnd()}`, `    ${"word ".repeat(10).trimEnd()}`, "", "    end"]);
});
