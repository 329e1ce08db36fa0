import { batchByLength, padSequences } from "steepest/text";
import { describe, expect, test } from "vitest";
import { randomNumbers } from "../../src/engine/randomNumbers.js";

describe("padding", () => {
  test("on the right, on the left, cut", () => {
    const right = padSequences([[5, 6, 7], [8]], { value: 9 });
    expect(right.shape).toEqual([2, 3]);
    expect([...right.ids]).toEqual([5, 6, 7, 8, 9, 9]);
    expect([...right.lengths]).toEqual([3, 1]);
    expect([...right.mask]).toEqual([1, 1, 1, 1, 0, 0]);
    const left = padSequences([[5, 6, 7], [8]], { side: "left" });
    expect([...left.ids]).toEqual([5, 6, 7, 0, 0, 8]);
    expect([...left.mask]).toEqual([1, 1, 1, 0, 0, 1]);
    const cut = padSequences([Uint32Array.of(5, 6, 7), Uint32Array.of(8)], { length: 2 });
    expect([...cut.ids]).toEqual([5, 6, 8, 0]);
    expect([...cut.lengths]).toEqual([2, 1]);
  });

  test("what is no sequence is refused with its place", () => {
    expect(() => padSequences([[1], []])).toThrow("got [] at 1");
    expect(() => padSequences([[1], [1, -1]])).toThrow("got -1 at 1, 1");
    expect(() => padSequences([])).toThrow("got []");
  });
});

describe("batches by length", () => {
  const random = randomNumbers(2);
  const sequences = Array.from({ length: 500 }, () =>
    Uint32Array.from({ length: 1 + random.below(40) }, () => 1 + random.below(90)),
  );

  test("each sequence is in one batch, with its own ids, and little is padding", () => {
    const batches = batchByLength(sequences, { batchSize: 16, multiple: 4, seed: 3 });
    expect(batches.flatMap(({ rows }) => [...rows]).sort((a, b) => a - b)).toEqual(sequences.map((_, row) => row));
    for (const { rows, ids, lengths, shape } of batches) {
      const [count, length] = shape;
      expect(count).toBe(rows.length);
      expect(count).toBeLessThanOrEqual(16);
      expect(length % 4).toBe(0);
      rows.forEach((row, i) => {
        expect(lengths[i]).toBe(sequences[row].length);
        expect([...ids.subarray(i * length, i * length + lengths[i])]).toEqual([...sequences[row]]);
        expect(length - lengths[i]).toBeLessThan(4);
      });
    }
    expect(new Set(batches.map(({ shape }) => shape[1])).size).toBeLessThanOrEqual(10);
  });

  test("the seed makes the order; without shuffling they come by length", () => {
    const orders = [1, 1, 2].map((seed) =>
      batchByLength(sequences, { batchSize: 8, seed }).flatMap(({ rows }) => [...rows]),
    );
    expect(orders[1]).toEqual(orders[0]);
    expect(orders[2]).not.toEqual(orders[0]);
    const lengths = batchByLength(sequences, { batchSize: 8, shuffle: false }).map(({ shape }) => shape[1]);
    expect([...lengths].sort((a, b) => a - b)).toEqual(lengths);
  });
});
