import { describe, expect, test } from "vitest";
import { DivergenceError, largestOf } from "../../src/train/divergence.js";

const messageOf = (divergence: ConstructorParameters<typeof DivergenceError>[1]): string =>
  new DivergenceError("training", divergence).message;

describe("a divergence names what most likely led to it", () => {
  const late = { step: 7, epoch: 2, loss: Number.NaN, learningRate: 100 };
  const first = { step: 1, epoch: 1, loss: Number.POSITIVE_INFINITY, learningRate: 0.01 };
  const large = { name: "y.price", value: 1e20 };

  test("a learning rate, once it has changed something", () => {
    expect(messageOf(late)).toBe(
      "training: the loss became NaN at step 7 (epoch 2), with learning rate 100: call reset() and train with a smaller one, such as 10",
    );
  });

  test("values as large as they were measured", () => {
    expect(messageOf({ ...first, largest: large })).toBe(
      "training: the loss became Infinity at step 1 (epoch 1), with learning rate 0.01: y.price holds values as large as 100000000000000000000: scale inputs and targets to about -1 to 1 (pixels: divide by 255), then call reset() and train again",
    );
    expect(messageOf({ ...late, largest: large })).toContain(", or with a smaller learning rate");
    expect(messageOf({ ...late, largest: { name: "x", value: 1 } })).not.toContain("scale");
  });

  test("never a rate that has changed nothing: that of the first step, or 0", () => {
    expect(messageOf(first)).toContain("nothing had been trained before this step, so the rate is not the cause");
    expect(messageOf({ ...late, learningRate: 0 })).toContain("this rate changes no parameter");
    for (const divergence of [first, { ...late, learningRate: 0 }])
      expect(messageOf(divergence)).not.toContain("smaller");
  });

  test("a workspace has no reset()", () => {
    const { message, step } = new DivergenceError("workspace.step", { step: 3, loss: Number.NaN, learningRate: 1 });
    expect(message).toBe(
      "workspace.step: the loss became NaN at step 3, with learning rate 1: set the parameters anew and train with a smaller one, such as 0.1",
    );
    expect(step).toBe(3);
  });

  test("the largest magnitude and whose it is", () => {
    const values = [
      ["x", Float32Array.of(1, -5)],
      ["y", Float32Array.of(-7, 2)],
      ["z", new Float32Array()],
    ] as const;
    expect(largestOf(values)).toEqual({ name: "y", value: 7 });
    expect(largestOf([])).toBeUndefined();
  });
});
