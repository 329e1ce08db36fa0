// What stands in for TextEncoder and TextDecoder where jsdom has none is the same to the byte.
import { expect, test } from "vitest";
import { OwnTextDecoder, OwnTextEncoder } from "../../src/platform/textCoding.js";

const [encoder, decoder] = [new TextEncoder(), new TextDecoder("utf-8", { fatal: true })];

/** Numbers that are the same each time. */
function* numbers(): Generator<number> {
  for (let seed = 1; ; ) {
    seed = (seed * 48271) % 2147483647;
    yield seed;
  }
}
const random = numbers();
const next = (below: number): number => (random.next().value as number) % below;

test("encodes as TextEncoder does, half surrogate pairs too", () => {
  const own = new OwnTextEncoder();
  const ranges = [0x80, 0x800, 0x10000, 0x110000];
  for (let i = 0; i < 2000; i++) {
    const points = Array.from({ length: next(12) }, () => next(ranges[next(4)]));
    const halves = i % 3 === 0 ? String.fromCharCode(0xd800 + next(0x800)) : "";
    const text = String.fromCodePoint(...points) + halves;
    expect(own.encode(text)).toEqual(encoder.encode(text));
  }
});

test("decodes as TextDecoder does, and refuses the same bytes", () => {
  const own = new OwnTextDecoder();
  const attempt = (decode: (bytes: Uint8Array) => string, bytes: Uint8Array) => {
    try {
      return decode(bytes);
    } catch {
      return undefined;
    }
  };
  let refused = 0;
  const check = (bytes: Uint8Array) => {
    const right = attempt((some) => decoder.decode(some), bytes);
    expect(
      attempt((some) => own.decode(some), bytes),
      String(bytes),
    ).toBe(right);
    if (right === undefined) refused += 1;
  };
  for (let i = 0; i < 4000; i++) {
    const bytes = encoder.encode(String.fromCodePoint(...Array.from({ length: 4 }, () => next(0xd800))));
    if (i % 2 === 0) bytes[next(bytes.length)] = next(256);
    check(bytes);
  }
  // A mark of byte order; what is written too long; half a surrogate pair; beyond Unicode; cut off.
  for (const bytes of [
    [239, 187, 191, 65],
    [192, 128],
    [237, 160, 128],
    [244, 144, 128, 128],
    [226, 130],
  ])
    check(Uint8Array.from(bytes));
  expect(refused).toBeGreaterThan(500);
});
