import {
  conv1d,
  conv2d,
  dense,
  dropout,
  flatten,
  type Layer,
  maxPool2d,
  relu,
  repeatVector,
  sequential,
} from "steepest";
import { expect, test } from "vitest";

// What the compiler refuses is checked by `tsc -p test`: an expected error that does not come is one.
test("sequential's numbers of axes", () => {
  sequential({ input: [28, 28] }, flatten(), dense(10), relu(), dense(2));
  sequential({ input: [28, 28] }, dense(10), dropout(0.5), dense(2));
  // @ts-expect-error: dense takes at least one axis
  expect(() => sequential({ input: [] }, dense(10))).toThrow(/must be \[batch, …, features\]/);
  // @ts-expect-error: dense and dropout keep both axes
  expect(() => sequential({ input: [28, 28] }, dropout(0.5), dense(10), repeatVector(2))).toThrow(/add flatten/);
  sequential({ input: [8, 8, 1] }, conv2d(2, 3), relu(), maxPool2d(2), flatten(), dense(2));
  // @ts-expect-error: images have three axes
  expect(() => sequential({ input: [8, 8] }, conv2d(2, 3))).toThrow(/height, width/);
  // @ts-expect-error: a sequence is no image
  expect(() => sequential({ input: [8, 8, 1] }, relu(), conv1d(2, 3))).toThrow(/length, /);

  // Where nothing is known, nothing is refused.
  const input: number[] = [4];
  const layers: Layer[] = [relu(), dense(3)];
  sequential({ input }, dense(2));
  sequential({ input: [4] }, ...layers);
  sequential({ input: [2, 2] }, flatten() as Layer, dense(2));
});
