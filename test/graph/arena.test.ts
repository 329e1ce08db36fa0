// Offsets in the arena: those of first fit, largest first, by comparing each storage with all others.
import { describe, expect, test } from "vitest";
import { placeAll, type Storage } from "../../src/graph/arena.js";
import { createRandom } from "../ops/cases.js";

type Life = Omit<Storage, "offset">;

/** First fit as it is said, and slow. */
function placeSlowly(lives: readonly Life[]): number[] {
  const storages = lives.map((life) => ({ ...life, offset: 0 }));
  const placed: Storage[] = [];
  for (const storage of [...storages].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const neighbours = placed
      .filter((other) => other.first <= storage.last && storage.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    for (const other of neighbours) {
      if (storage.offset + storage.bytes <= other.offset) break;
      storage.offset = Math.max(storage.offset, other.offset + other.bytes);
    }
    placed.push(storage);
  }
  return storages.map(({ offset }) => offset);
}

function place(lives: readonly Life[]): { offsets: number[]; total: number } {
  const storages = lives.map((life) => ({ ...life, offset: 0 }));
  const total = placeAll(storages);
  return { offsets: storages.map(({ offset }) => offset), total };
}

function check(lives: readonly Life[]): void {
  const { offsets, total } = place(lives);
  expect(offsets).toEqual(placeSlowly(lives));
  expect(total).toBe(Math.max(0, ...lives.map(({ bytes }, index) => offsets[index] + bytes)));
}

describe("offsets are those of comparing each with all", () => {
  const { below } = createRandom(3);

  test.each([1, 2, 3, 7, 8, 9, 64, 100])("random lives of up to %d steps", (times) => {
    for (let round = 0; round < 40; round++) {
      const sizes = 1 + below(6);
      check(
        Array.from({ length: below(60) }, () => {
          const [a, b] = [below(times), below(times)];
          return { bytes: 64 * below(sizes), first: Math.min(a, b), last: Math.max(a, b) };
        }),
      );
    }
  });

  test("values that live from their step forward to their step backward, as in a deep model", () => {
    const depth = 60;
    check(
      Array.from({ length: 3 * depth }, (_, index) => {
        const step = index % depth;
        if (index < depth) return { bytes: 64 * (1 + (step % 5)), first: step, last: 2 * depth - step };
        return { bytes: 64 * (1 + (index % 7)), first: 2 * step, last: 2 * step + 1 };
      }),
    );
  });
});

test("nothing takes nothing", () => {
  expect(place([])).toEqual({ offsets: [], total: 0 });
  expect(place([{ bytes: 0, first: 0, last: 3 }])).toEqual({ offsets: [0], total: 0 });
});
