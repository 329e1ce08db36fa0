// One neuron learns AND and OR in three ways: perceptron rule, Adaline, logistic regression. XOR it cannot.
import { fileURLToPath } from "node:url";
import {
  binaryCrossEntropy,
  compileSync,
  dense,
  halfSquaredError,
  type Loss,
  perceptron,
  sequential,
  sgd,
  zeros,
} from "steepest";
import { report } from "./common/report.js";

export const inputs = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
];

export const gates = { AND: [0, 0, 0, 1], OR: [0, 1, 1, 1], XOR: [0, 1, 1, 0] };
export type Gate = keyof typeof gates;

/** A neuron: z = w1·x1 + w2·x2 + b, all zero at the start. */
function compileNeuron(loss: Loss, learningRate: number) {
  const model = sequential({ input: [2] }, dense(1, { name: "neuron", weightInitializer: zeros() }));
  const trainer = compileSync(model, {
    loss,
    optimizer: sgd({ learningRate }),
    metrics: loss.correct ? ["accuracy"] : [],
  });
  /** w1, w2 and b. */
  const weights = () => [...trainer.parameters().values()].flatMap(({ data }) => [...data]);
  return { trainer, weights };
}

export interface PerceptronEpoch {
  /** w1, w2 and b after the epoch. */
  readonly weights: readonly number[];
  /** Samples that the neuron had wrong when they were shown, and so learnt from. */
  readonly mistakes: number;
}

/** Rosenblatt's rule, one sample at a time, until an epoch passes without a mistake, or `mostEpochs` are over. */
export function learnByPerceptron(gate: Gate, mostEpochs = 100): PerceptronEpoch[] {
  const { trainer, weights } = compileNeuron(perceptron(), 1);
  using _ = trainer;
  const epochs: PerceptronEpoch[] = [];
  while (epochs.length < mostEpochs && epochs.at(-1)?.mistakes !== 0) {
    let mistakes = 0;
    inputs.forEach((x, i) => {
      const before = weights();
      trainer.trainBatchSync({ x: [x], y: [gates[gate][i]] });
      // The weights change on mistakes only: by rate · (target - answer) · x.
      if (weights().some((weight, k) => weight !== before[k])) mistakes += 1;
    });
    epochs.push({ weights: weights(), mistakes });
  }
  return epochs;
}

/** First and second epoch that end with the same weights: from there everything repeats. */
export function findCycle(epochs: readonly PerceptronEpoch[]): { from: number; to: number } | undefined {
  const seen = new Map<string, number>();
  for (const [index, { weights }] of epochs.entries()) {
    const key = weights.join();
    const from = seen.get(key);
    if (from !== undefined) return { from: from + 1, to: index + 1 };
    seen.set(key, index);
  }
  return undefined;
}

export interface Neuron {
  /** w1, w2 and b. */
  readonly weights: readonly number[];
  /** For each of the four inputs: what the neuron says, and that as 0 or 1. */
  readonly outputs: readonly number[];
  readonly answers: readonly number[];
  readonly loss: number;
}

function learnByDescent(gate: Gate, loss: Loss, learningRate: number, steps: number): Neuron {
  const { trainer, weights } = compileNeuron(loss, learningRate);
  using _ = trainer;
  const data = { x: inputs, y: gates[gate] };
  trainer.trainStepsSync(data, { steps });
  const outputs = [...trainer.predictSync(inputs)];
  return {
    weights: weights(),
    outputs,
    answers: outputs.map((y) => (y > 0.5 ? 1 : 0)),
    loss: trainer.evaluateSync(data).loss,
  };
}

/** Adaline (Widrow & Hoff 1960): the squared error of z itself; only the answer is cut at 0.5. */
export function learnByAdaline(gate: Gate): Neuron {
  return learnByDescent(gate, halfSquaredError(), 0.5, 2000);
}

/** Logistic regression: sigmoid(z) is a probability, the loss is its cross-entropy. */
export function learnByLogisticRegression(gate: Gate): Neuron {
  return learnByDescent(gate, binaryCrossEntropy(), 1, 2000);
}

const show = (values: readonly number[], digits: number) =>
  values.map((value) => value.toFixed(digits).padStart(digits + 4)).join("");

/** Returns whether the gate was learnt. */
function printPerceptron(gate: Gate): boolean {
  const epochs = learnByPerceptron(gate);
  const cycle = findCycle(epochs);
  console.log(`  ${gate.padEnd(4)} epoch  mistakes     w1    w2     b`);
  epochs.slice(0, 8).forEach(({ weights, mistakes }, i) => {
    console.log(
      `${String(i + 1).padStart(12)}${String(mistakes).padStart(10)}${weights.map((w) => String(w).padStart(6)).join("")}`,
    );
  });
  const learnt = epochs.at(-1)?.mistakes === 0;
  if (learnt) console.log(`  learnt: epoch ${epochs.length} passed without a mistake\n`);
  else if (cycle) {
    console.log(
      `  not learnt in ${epochs.length} epochs: epoch ${cycle.to} ends with the weights of epoch ${cycle.from}, so it goes round for ever\n`,
    );
  }
  return learnt;
}

/** Returns for each gate whether it was learnt. */
function printDescent(title: string, learn: (gate: Gate) => Neuron): boolean[] {
  console.log(`${title}\n\n       ${"w1, w2, b".padEnd(24)}${"outputs for 00, 01, 10, 11".padEnd(30)}answers`);
  const learnt = (Object.keys(gates) as Gate[]).map((gate) => {
    const { weights, outputs, answers } = learn(gate);
    const right = answers.every((answer, i) => answer === gates[gate][i]);
    console.log(
      `  ${gate.padEnd(4)}${show(weights, 3).padEnd(24)}${show(outputs, 3).padEnd(30)}${answers.join(" ")}  ${right ? "right" : "wrong"}`,
    );
    return right;
  });
  console.log();
  return learnt;
}

function main(): void {
  console.log("1. The perceptron rule: on a mistake, and only then, w += rate · (target - answer) · x\n");
  const byRule = (Object.keys(gates) as Gate[]).map(printPerceptron);
  const byAdaline = printDescent("2. Adaline: descent on ½(z - target)², answer 1 where z > 0.5", learnByAdaline);
  const byLogistic = printDescent(
    "3. Logistic regression: descent on the cross-entropy of sigmoid(z), answer 1 where it is > 0.5",
    learnByLogisticRegression,
  );
  console.log(`No straight line has 01 and 10 on one side and 00 and 11 on the other, so no neuron alone can do XOR.
The example "xor" goes on from here: one hidden layer is enough.`);
  const asTheyMust = [byRule, byAdaline, byLogistic].flatMap(([and, or, xor]) => [and, or, !xor]);
  report("perceptron", asTheyMust.filter(Boolean).length);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
