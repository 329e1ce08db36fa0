// From a drawing to a digit of MNIST's form, and the networks that learn them.
import { expect, test } from "vitest";
import { readDigits } from "../../examples/common/digits.js";
import { unpackDigits } from "../../playground/src/digits/data.js";
import { openTrainer } from "../../playground/src/digits/network.js";
import { boxOf, SIDE, toDigit } from "../../playground/src/digits/picture.js";
import { schema } from "../../playground/src/digits/settings.js";
import { defaultsOf } from "../../playground/src/settings.js";

const { x, y } = readDigits(500);

/** Each pixel as a square of so many. */
function enlarge(image: ArrayLike<number>, times: number): Uint8Array {
  const width = SIDE * times;
  return Uint8Array.from(
    { length: width * width },
    (_, i) => image[Math.floor(i / width / times) * SIDE + Math.floor((i % width) / times)] as number,
  );
}

test("an enlarged image of MNIST becomes that image, as its center and size are what was made", () => {
  const dot = (a: Uint8Array, b: Uint8Array) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
  const alike = (a: Uint8Array, b: Uint8Array) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  let [whole, moved] = [0, 0];
  for (let image = 0; image < 20; image++) {
    const bytes = Uint8Array.from(x.subarray(image * 784, (image + 1) * 784), (value) => Math.round(255 * value));
    const digit = toDigit(enlarge(bytes, 10), 280) as Uint8Array;
    // MNIST places by whole pixels, so that an image may be up to half a pixel off.
    whole += alike(digit, bytes) / 20;
    moved +=
      alike(
        digit,
        Uint8Array.from(bytes, (_, i) => bytes[i + 2] ?? 0),
      ) / 20;
  }
  expect(whole).toBeGreaterThan(0.85);
  expect(moved).toBeLessThan(whole - 0.15);
});

test("a drawing may stand anywhere, and be of any size", () => {
  const draw = (left: number, top: number, width: number, height: number) => {
    const ink = new Uint8Array(280 * 280);
    for (let row = top; row < top + height; row++) ink.fill(255, row * 280 + left, row * 280 + left + width);
    return ink;
  };
  const first = toDigit(draw(10, 20, 40, 100), 280);
  expect(boxOf(draw(10, 20, 40, 100), 280)).toEqual({ left: 10, top: 20, width: 40, height: 100 });
  expect(toDigit(draw(230, 170, 40, 100), 280)).toEqual(first);
  expect(toDigit(draw(5, 5, 80, 200), 280)).toEqual(first);
  // 8 × 20 pixels in the middle.
  expect(first?.reduce((sum, value) => sum + value, 0)).toBe(8 * 20 * 255);
  expect(boxOf(first as Uint8Array, SIDE)).toEqual({ left: 10, top: 4, width: 8, height: 20 });
  expect(toDigit(new Uint8Array(280 * 280), 280)).toBeUndefined();
});

test("a file that is too short is refused", () => {
  expect(() => unpackDigits(new Uint8Array(100))).toThrow("must have 9420000 bytes, got 100");
});

test.each(["convolution", "dense"] as const)("a network of %s learns digits", async (network) => {
  using trainer = await openTrainer({ ...defaultsOf(schema), network }, () => 0.003);
  await trainer.trainSteps({ x, y: { out: y } }, { steps: 100, batchSize: 32 });
  const { "out.accuracy": accuracy } = (await trainer.evaluate({ x, y: { out: y } })) as Record<string, number>;
  expect(accuracy).toBeGreaterThan(0.9);
  const { first } = await trainer.predict(x.subarray(0, 784));
  expect(first).toHaveLength(network === "dense" ? 32 : 24 * 24 * 8);
});
