// The parts of the newer examples that can be worked out by hand. That they learn, `npm run examples` holds.
import { compileFunctionSync, gradient, sum } from "steepest/graph";
import { describe, expect, test } from "vitest";
import { readDigits } from "../../examples/common/digits.js";
import { sign, trueSign } from "../../examples/customLayer.js";
import { createPairModel, oddOnes, pairUp } from "../../examples/functional.js";
import { CENTRES, coverageOf, createGan, showPoints } from "../../examples/gan.js";
import { BEST_SLOPE, measure } from "../../examples/gradientPenalty.js";

test("customLayer: the sign with the gradient itself, and with the slope that it has", () => {
  using f = compileFunctionSync(
    ({ x }) => ({ y: sign(x), through: gradient(sum(sign(x)), x), own: gradient(sum(trueSign(x)), x) }),
    { x: [4] },
  );
  const { y, through, own } = f({ x: [-2, -0.1, 0, 3] });
  expect([[...y], [...through], [...own]]).toEqual([
    [-1, -1, 1, 1],
    [1, 1, 1, 1],
    [0, 0, 0, 0],
  ]);
});

describe("functional", () => {
  test("the encoder is one: both inputs go through the same parameters", () => {
    const encoder = [...createPairModel().parameters.keys()].filter((path) => path.startsWith("encoder."));
    expect(encoder).toEqual(["first", "second"].flatMap((name) => [`encoder.${name}.weight`, `encoder.${name}.bias`]));
  });

  test("pairs are labelled by what they are, half of them and a tenth of the rest the same", () => {
    const digits = readDigits(1000);
    const { x, y } = pairUp(digits, 1);
    expect([x.first === digits.x, y.digit === digits.y]).toEqual([true, true]);
    const share = y.same.reduce((total, same) => total + same, 0) / 1000;
    expect(Math.abs(share - 0.55)).toBeLessThan(0.05);
  });

  test("few of each: the first ones, odd or even", () => {
    const { x, y } = oddOnes(readDigits(1000), 2);
    // The labels begin 5, 0, 4, 1, 9, 2, 1, 3, 1, 4: the third 1 is left out.
    expect([...y.subarray(0, 9)]).toEqual([1, 0, 0, 1, 1, 0, 1, 1, 0]);
    expect([x.length, y.length]).toEqual([20 * 784, 20]);
  });
});

describe("gan", () => {
  test("real points are covered as said, points of one heap are not", () => {
    using gan = createGan(2);
    const { least, near } = coverageOf(showPoints(gan, 40).real);
    // Three standard deviations of a normal distribution in the plane hold 1 - e^(-9/2) = 0.9889.
    expect(Math.abs(near - 0.9889)).toBeLessThan(0.005);
    expect(Math.abs(least - 0.1236)).toBeLessThan(0.003);
    expect(coverageOf(Float32Array.from(CENTRES[3]))).toEqual({ least: 0, near: 1 });
  });
});

test("gradientPenalty: slope and distance of the best cone, 1.05, after a few hundred steps", () => {
  const { distances, slopes, heights } = measure(500, 2, new Float32Array([1.5, 0, 0, -0.5]));
  expect(Math.abs((slopes.at(-1) ?? 0) - BEST_SLOPE)).toBeLessThan(0.03);
  expect(Math.abs((distances.at(-1) ?? 0) - BEST_SLOPE)).toBeLessThan(0.03);
  expect(Math.abs(heights[0] - heights[1] - BEST_SLOPE)).toBeLessThan(0.1);
});
