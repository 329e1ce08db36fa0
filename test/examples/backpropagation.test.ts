import { expect, test } from "vitest";
import {
  largestDifference,
  mazur,
  runLibrary,
  runScalar,
  stepWithLayers,
  withoutBias,
} from "../../examples/backpropagation.js";

// The lesson's own numbers, to eight places, recomputed in float64 with Node's Math.exp. Where the lesson has
// o2 = 0.62534544 and E = 0.09552023, the sigmoid of its z4 = 0.51202998 is 0.62528223, and E follows.
const lesson = {
  hiddenSums: [0.13, 0.23],
  hidden: [0.53245431, 0.55724785],
  outputSums: [0.30028793, 0.51202998],
  outputs: [0.5745129, 0.62528223],
  error: [0.095506],
};

test.each([
  ["float32", runLibrary],
  ["float64", runScalar],
])("the lesson without biases, to seven digits, in %s", (_, run) => {
  const pass = run(withoutBias);
  for (const [name, numbers] of Object.entries(lesson)) {
    Array.from(pass[name as keyof typeof lesson]).forEach((value, i) => {
      expect(Math.abs(value - numbers[i]), `${name}[${i}]`).toBeLessThan(5e-8);
    });
  }
  expect(Math.abs(pass.dE_dOutputWeights[0] - 0.04874559)).toBeLessThan(1e-8);
  expect(Math.abs(pass.nextOutputWeights[0] - 0.22562721)).toBeLessThan(2e-8);
});

test("w1 and w2 are the first hidden unit's: the other layout has z = 0.28 and 0.17", () => {
  const [w1, w2, w3, w4] = withoutBias.weights;
  const [x1, x2] = withoutBias.x;
  expect(w1 * x1 + w2 * x2).toBeCloseTo(0.13, 12);
  expect(w1 * x1 + w3 * x2).toBeCloseTo(0.28, 12);
  expect(w2 * x1 + w4 * x2).toBeCloseTo(0.17, 12);
});

test("layers, loss and optimizer take the same step as the chain rule by hand", () => {
  const { nextHiddenWeights, nextOutputWeights } = runScalar(withoutBias);
  const expected = [...Array.from(nextHiddenWeights), ...Array.from(nextOutputWeights)];
  stepWithLayers(withoutBias).forEach((weight, i) => {
    expect(Math.abs(weight - expected[i]), `w${i + 1}`).toBeLessThan(6e-8);
  });
});

// Mazur, "A Step by Step Backpropagation Example" (2015): the numbers in the text, to its nine places.
test("Mazur's example: what the text has, before and after the first step", () => {
  const pass = runScalar(mazur);
  expect(pass.outputs[0]).toBeCloseTo(0.75136507, 8);
  expect(pass.outputs[1]).toBeCloseTo(0.772928465, 9);
  expect(pass.error[0]).toBeCloseTo(0.298371109, 9);
  expect(pass.dE_dOutputWeights[0]).toBeCloseTo(0.082167041, 9);
  [0.35891648, 0.408666186, 0.51130127, 0.561370121].forEach((w, i) => {
    expect(pass.nextOutputWeights[i]).toBeCloseTo(w, 8);
  });
  [0.149780716, 0.19956143, 0.24975114, 0.29950229].forEach((w, i) => {
    expect(pass.nextHiddenWeights[i]).toBeCloseTo(w, 8);
  });
});

// Float64, by a program of its own (Node 20): 0.29102777369359933 and 3.510187782978859e-05.
test("the errors after 1 and 10,000 steps of the correct rule", () => {
  expect(runScalar(mazur, 2).error[0]).toBeCloseTo(0.29102777369359933, 14);
  expect(runScalar(mazur, 10_001).error[0] / 3.510187782978851e-5).toBeCloseTo(1, 11);
  expect(Math.abs(runLibrary(mazur, 2).error[0] - 0.29102777369359933)).toBeLessThan(6e-8);
  // 10,000 roundings of the weights to 2^-24 leave 1.4e-6.
  expect(Math.abs(runLibrary(mazur, 10_001).error[0] / 3.510187782978851e-5 - 1)).toBeLessThan(5e-6);
});

test("the text's later numbers come from updated output weights, but 0.0000351085 from one step less", () => {
  expect(runScalar(mazur, 2, "updated").error[0].toFixed(9)).toBe("0.291027924");
  expect(runScalar(mazur, 10_000).error[0].toFixed(10)).toBe("0.0000351085");
  const { outputs, error } = runScalar(mazur, 10_001, "updated");
  expect(error[0].toFixed(10)).toBe("0.0000350848");
  expect([outputs[0].toFixed(9), outputs[1].toFixed(9)]).toEqual(["0.015912196", "0.984065734"]);
});

test("float32 stays within an ulp or so of float64 through the whole step", () => {
  for (const one of [withoutBias, mazur]) {
    // An ulp is 1.2e-7 for z4 = 1.22, the largest number.
    expect(largestDifference(runLibrary(one), runScalar(one))).toBeLessThan(1.2e-7);
  }
});
