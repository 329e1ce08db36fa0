import { expect, test } from "vitest";
import {
  findCycle,
  type Gate,
  gates,
  inputs,
  learnByAdaline,
  learnByLogisticRegression,
  learnByPerceptron,
} from "../../examples/perceptron.js";

/** Rosenblatt's rule (1958) in four lines: small whole numbers, so every result is exact. */
function perceptronEpoch(gate: Gate, weights: number[]): number {
  let mistakes = 0;
  inputs.forEach(([x1, x2], i) => {
    const answer = weights[0] * x1 + weights[1] * x2 + weights[2] >= 0 ? 1 : 0;
    const change = gates[gate][i] - answer;
    [x1, x2, 1].forEach((x, k) => {
      weights[k] += change * x;
    });
    mistakes += Math.abs(change);
  });
  return mistakes;
}

test.each(["AND", "OR", "XOR"] as const)(
  "%s: weights and mistakes are those of Rosenblatt's rule, epoch by epoch",
  (gate) => {
    const weights = [0, 0, 0];
    const epochs = learnByPerceptron(gate);
    for (const epoch of epochs) {
      expect(epoch.mistakes).toBe(perceptronEpoch(gate, weights));
      // -0 and 0 are the same weight.
      expect(epoch.weights.map((w) => w + 0)).toEqual(weights.map((w) => w + 0));
    }
  },
);

// The perceptron convergence theorem (Novikoff 1962): a separable gate is learnt in finitely many mistakes.
test.each(["AND", "OR"] as const)("%s is learnt: the last epoch has no mistake, and its weights are right", (gate) => {
  const epochs = learnByPerceptron(gate);
  const [w1, w2, b] = epochs[epochs.length - 1].weights;
  expect(epochs.length).toBeLessThan(100);
  expect(epochs.map(({ mistakes }) => mistakes).lastIndexOf(0)).toBe(epochs.length - 1);
  expect(inputs.map(([x1, x2]) => (w1 * x1 + w2 * x2 + b >= 0 ? 1 : 0))).toEqual(gates[gate]);
});

// The perceptron cycling theorem (Minsky & Papert 1969): what is not separable goes round in bounded weights.
test("XOR goes round: every one of 100 epochs has mistakes, and weights come back", () => {
  const epochs = learnByPerceptron("XOR");
  expect(epochs).toHaveLength(100);
  expect(epochs.every(({ mistakes }) => mistakes > 0)).toBe(true);
  const cycle = findCycle(epochs);
  if (cycle === undefined) throw new Error("no cycle was found");
  const length = cycle.to - cycle.from;
  for (let epoch = cycle.from; epoch + length < epochs.length; epoch++) {
    expect(epochs[epoch + length].weights).toEqual(epochs[epoch].weights);
  }
});

// The least-squares solutions, from the normal equations XᵀX·w = Xᵀt, with X = [x1 x2 1].
test.each([
  ["AND", [0.5, 0.5, -0.25]],
  ["OR", [0.5, 0.5, 0.25]],
  ["XOR", [0, 0, 0.5]],
] as const)("Adaline finds the least squares of %s", (gate, weights) => {
  const neuron = learnByAdaline(gate);
  weights.forEach((weight, i) => {
    expect(neuron.weights[i]).toBeCloseTo(weight, 6);
  });
  if (gate === "XOR") expect(neuron.answers).not.toEqual(gates[gate]);
  else expect(neuron.answers).toEqual(gates[gate]);
});

test.each(["AND", "OR", "XOR"] as const)("logistic regression of %s follows the same descent in float64", (gate) => {
  const weights = [0, 0, 0];
  const probability = ([x1, x2]: number[]) => 1 / (1 + Math.exp(-(weights[0] * x1 + weights[1] * x2 + weights[2])));
  for (let step = 0; step < 2000; step++) {
    const errors = inputs.map((x, i) => probability(x) - gates[gate][i]);
    [0, 1, 2].forEach((k) => {
      weights[k] -= errors.reduce((sum, error, i) => sum + (error * [...inputs[i], 1][k]) / 4, 0);
    });
  }
  const neuron = learnByLogisticRegression(gate);
  weights.forEach((weight, i) => {
    expect(Math.abs(neuron.weights[i] - weight)).toBeLessThan(1e-4);
  });
  inputs.forEach((x, i) => {
    expect(Math.abs(neuron.outputs[i] - probability(x))).toBeLessThan(1e-5);
  });
  if (gate === "XOR") expect(neuron.outputs.every((output) => output === 0.5)).toBe(true);
  else expect(neuron.answers).toEqual(gates[gate]);
});
