// The programs that a trainer holds: enough for many sizes of batches, and not more than it should.
import { describe, expect, test } from "vitest";
import { constant } from "../../src/graph/tensor.js";
import { compileSync, dense, functional, meanSquaredError, sequential, sgd } from "../../src/index.js";
import { add } from "../../src/ops/elementwise.js";
import "../../src/platform/node.js";

const recipe = { loss: meanSquaredError(), optimizer: sgd() };

/** How many programs there are, as the summary says. */
function held(summary: string): number {
  return Number(/(\d+) programs? held/.exec(summary)?.[1]);
}

describe("programs that a trainer holds", () => {
  const model = sequential({ input: [1] }, dense(1));

  test("data of a hundred lengths need no program twice", () => {
    using trainer = compileSync(model, recipe);
    for (let length = 1; length <= 100; length++) trainer.predictSync(new Float32Array(length));
    expect(held(trainer.summary())).toBe(100);
  });

  test("there are at most 256", () => {
    using trainer = compileSync(model, recipe);
    for (let length = 1; length <= 250; length++) {
      trainer.predictSync(new Float32Array(length));
      if (length > 10) trainer.predictSync(new Float32Array(length), { output: "raw" });
    }
    expect(held(trainer.summary())).toBe(256);
  });

  test("large ones are fewer: 16 MiB in all", () => {
    const table = constant(new Float32Array(1 << 19)); // 2 MiB, which each program has for itself
    const large = functional({ input: [1 << 19] }, (x, { apply }) => apply(add(x, table), dense(1)));
    using trainer = compileSync(large, recipe);
    for (let length = 1; length <= 10; length++) trainer.predictSync(new Float32Array(length << 19));
    expect(held(trainer.summary())).toBe(7);
  });
});
