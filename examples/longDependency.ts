// What a recurrent network can remember. The adding problem (Hochreiter & Schmidhuber 1997): each step has a random number, two
// steps are marked, and the answer is the sum of the two marked numbers. One of them is far back. First the gradient of the
// last output by each step's input: it vanishes, explodes, or stays.
import { fileURLToPath } from "node:url";
import {
  adam,
  clipByGlobalNorm,
  compileSync,
  DivergenceError,
  dense,
  gru,
  type Layer,
  lstm,
  meanSquaredError,
  orthogonal,
  sequential,
  sgd,
  simpleRnn,
} from "steepest";
import { drawCurve } from "./common/pictures.js";
import { createRandom } from "./common/random.js";
import { quick, report } from "./common/report.js";

const UNITS = 32;

/** Sequences [count, length, 2]: a number, and whether it is marked. One mark is in each half. */
export function createSums(count: number, length: number, seed: number) {
  const random = createRandom(seed);
  const x = new Float32Array(count * length * 2);
  const y = new Float32Array(count);
  for (let sample = 0; sample < count; sample++) {
    const first = sample * length;
    for (let step = 0; step < length; step++) x[2 * (first + step)] = random();
    const half = Math.floor(length / 2);
    for (const step of [Math.floor(random() * half), half + Math.floor(random() * (length - half))]) {
      x[2 * (first + step) + 1] = 1;
      y[sample] += x[2 * (first + step)];
    }
  }
  return { x, y };
}

/** The recurrent layers that are compared. */
export const cells: Readonly<Record<string, () => Layer<2, 1>>> = {
  "simple RNN": () => simpleRnn(UNITS),
  LSTM: () => lstm(UNITS),
  GRU: () => gru(UNITS),
};

/** The norm of the gradient by each step's input, from the first step to the last: how much the end depends on it. */
export function gradientByStep(layer: Layer<2, 1>, length: number, seed: number): number[] {
  const samples = 16;
  const { x, y } = createSums(samples, length, seed);
  using trainer = compileSync(sequential({ input: [length, 2] }, layer, dense(1)), { loss: meanSquaredError(), seed });
  const { inputs } = trainer.gradientsSync({ x, y }, { inputs: true });
  return Array.from({ length }, (_, step) => {
    let sum = 0;
    for (let sample = 0; sample < samples; sample++) {
      for (let i = 0; i < 2; i++) sum += inputs.data[2 * (sample * length + step) + i] ** 2;
    }
    return Math.sqrt(sum);
  });
}

/** Trains on fresh sums. Returns the mean squared error on others, and the course of the training error. */
export function learnSums(layer: Layer<2, 1>, length: number, rounds: number, seed: number) {
  using trainer = compileSync(sequential({ input: [length, 2] }, layer, dense(1)), {
    loss: meanSquaredError(),
    optimizer: clipByGlobalNorm(1, adam({ learningRate: 0.005 })),
    seed,
  });
  const losses: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const data = createSums(64 * 50, length, 1000 * seed + round);
    const each = trainer.trainStepsSync(data, { steps: 50, batchSize: 64 });
    losses.push(each.reduce((sum, loss) => sum + loss / each.length, 0));
  }
  return { error: trainer.evaluateSync(createSums(1000, length, seed + 500_000)).loss, losses };
}

/**
 * A recurrent network whose state grows: its gradient explodes. Returns the loss after some steps of plain gradient descent,
 * or NaN if the training diverged.
 */
export function learnSteep(clip: boolean, length: number, seed: number): number {
  const layer = simpleRnn(UNITS, {
    activation: "relu",
    recurrentWeightInitializer: orthogonal({ gain: 1.6 }),
  });
  const optimizer = sgd({ learningRate: 0.01 });
  using trainer = compileSync(sequential({ input: [length, 2] }, layer, dense(1)), {
    loss: meanSquaredError(),
    optimizer: clip ? clipByGlobalNorm(1, optimizer) : optimizer,
    seed,
  });
  try {
    const losses = trainer.trainStepsSync(createSums(64 * 200, length, seed), { steps: 200, batchSize: 64 });
    return losses[losses.length - 1];
  } catch (error) {
    if (error instanceof DivergenceError) return Number.NaN;
    throw error;
  }
}

function main(): void {
  const [length, rounds] = quick ? [30, 15] : [80, 80];
  console.log("1. The gradient of the error by each step's input, before training\n");
  const course = Object.entries(cells).map(([name, create]) => ({ name, norms: gradientByStep(create(), length, 1) }));
  const steep = simpleRnn(UNITS, { activation: "relu", recurrentWeightInitializer: orthogonal({ gain: 1.6 }) });
  course.push({ name: "simple RNN, relu, weights × 1.6", norms: gradientByStep(steep, length, 1) });
  for (const { name, norms } of course) {
    const logarithms = norms.map((norm) => Math.log10(norm / norms[length - 1]));
    console.log(drawCurve(`${name}: log10 of its norm, as a share of the last step's, over the step`, logarithms));
  }
  const [free, clipped] = [false, true].map((clip) => learnSteep(clip, length, 1));
  console.log(
    `\nGradient descent on the one that explodes: ${Number.isNaN(free) ? "diverges" : `a loss of ${free.toFixed(3)}`}; ` +
      `with the gradient's norm clipped to 1: a loss of ${clipped.toFixed(3)}\n`,
  );
  console.log(
    `2. Sums of two numbers in sequences of ${length} steps. Always answering 1 has an error of 1/6 = 0.1667\n`,
  );
  const errors = Object.entries(cells).map(([name, create]) => {
    const { error, losses } = learnSums(create(), length, rounds, 1);
    console.log(
      `${drawCurve(`${name}: training error over rounds of 50 steps`, losses)}\n  on new sums: ${error.toFixed(4)}\n`,
    );
    return error;
  });
  const [rnn, ...gated] = errors;
  report("longDependency", rnn / Math.max(...gated));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
