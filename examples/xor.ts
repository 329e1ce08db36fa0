// XOR: one neuron stays at a loss of ln 2 for ever, a hidden layer solves it; how often, over many seeds.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  adam,
  binaryCrossEntropy,
  compileSync,
  createEngineSync,
  dense,
  type Engine,
  type Layer,
  sequential,
  sgd,
  sigmoid,
  tanh,
} from "steepest";
import { quick, report } from "./common/report.js";

export const xor = {
  x: [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ],
  y: [0, 1, 1, 0],
};

export interface NeuronRun {
  /** Loss after 0, 1, 10, … steps. */
  readonly losses: readonly { readonly step: number; readonly loss: number }[];
  /** Probability of a 1, for each input. */
  readonly predictions: readonly number[];
}

/** One sigmoid unit, binary cross-entropy, SGD at rate 0.5 over all four samples; it starts far from its end. */
export function trainNeuron(steps = 10_000, start = { weight: [1.5, -2], bias: [0.7] }): NeuronRun {
  // The loss takes the sigmoid in: binaryCrossEntropy() wants logits.
  const model = sequential({ input: [2] }, dense(1, { name: "neuron" }));
  using trainer = compileSync(model, { loss: binaryCrossEntropy(), optimizer: sgd({ learningRate: 0.5 }) });
  trainer.setParameters(
    new Map([
      ["neuron.weight", { data: start.weight }],
      ["neuron.bias", { data: start.bias }],
    ]),
  );
  const losses = [{ step: 0, loss: trainer.evaluateSync(xor).loss }];
  for (let step = 1; step <= steps; step *= 10) {
    trainer.trainStepsSync(xor, { steps: step - trainer.steps });
    losses.push({ step, loss: trainer.evaluateSync(xor).loss });
  }
  return { losses, predictions: [...trainer.predictSync(xor.x)] };
}

/** How a network of one seed ended. */
export interface Outcome {
  readonly seed: number;
  readonly loss: number;
  readonly predictions: readonly number[];
  /** How many of the four it has right, by 0.1 at least: one half, give or take a rounding, is no answer. */
  readonly right: number;
}

/** A network 2-hidden-1, trained once from each seed. */
export function trainNetworks(
  seeds: number,
  hidden: number,
  activation: () => Layer,
  engine: Engine,
  steps = 2000,
): Outcome[] {
  return Array.from({ length: seeds }, (_, seed) => {
    const model = sequential({ input: [2] }, dense(hidden), activation(), dense(1));
    using trainer = compileSync(model, {
      loss: binaryCrossEntropy(),
      optimizer: adam({ learningRate: 0.05 }),
      seed,
      engine,
    });
    trainer.trainStepsSync(xor, { steps });
    const predictions = [...trainer.predictSync(xor.x)];
    const right = predictions.filter((p, i) => Math.abs(p - xor.y[i]) < 0.4).length;
    return { seed, loss: trainer.evaluateSync(xor).loss, predictions, right };
  });
}

/** Losses of the valleys that networks of two hidden units end in: see main(). */
export const valleys = { half: Math.LN2 / 2, third: -(2 * Math.log(2 / 3) + Math.log(1 / 3)) / 4 };

export const succeeded = ({ right }: Outcome) => right === 4;

const show = (values: readonly number[]) => values.map((value) => value.toFixed(4)).join("  ");

function printNeuron(): void {
  const { losses, predictions } = trainNeuron();
  console.log("1. One sigmoid unit, from w = (1.5, -2), b = 0.7\n\n    steps      loss");
  for (const { step, loss } of losses)
    console.log(`${step.toLocaleString("en-US").padStart(9)}${loss.toFixed(6).padStart(10)}`);
  console.log(`\n   probability of 1 for 00, 01, 10, 11: ${show(predictions)}`);
  console.log(`   ln 2 = ${Math.LN2.toFixed(6)} is the loss of saying "one half" every time. The loss of one unit is convex, and its lowest
   point is there: with w = 0 and b = 0, as many samples pull each weight up as pull it down. No patience helps.\n`);
}

function printNetworks(title: string, outcomes: readonly Outcome[], later?: readonly Outcome[]): void {
  const failures = outcomes.filter((outcome) => !succeeded(outcome));
  const successes = outcomes.length - failures.length;
  console.log(`   ${title}: ${successes} of ${outcomes.length} seeds get all four right`);
  const [example] = outcomes.filter(succeeded);
  if (example) console.log(`   seed ${example.seed}:  ${show(example.predictions)}   loss ${example.loss.toFixed(4)}`);
  for (const loss of new Set(failures.map((failure) => failure.loss.toFixed(3)))) {
    const group = failures.filter((failure) => failure.loss.toFixed(3) === loss);
    const [{ seed, predictions, right }] = group;
    console.log(`   ${group.length} end at loss ${loss}, such as seed ${seed}:  ${show(predictions)}   ${right} right`);
  }
  if (later) console.log(`   after ten times as many steps: ${later.filter(succeeded).length} of ${later.length}`);
  console.log();
}

function main(): void {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, seeds: { type: "string", default: quick ? "10" : "50" } },
  });
  const seeds = Number(values.seeds);
  printNeuron();
  const engine = createEngineSync();
  console.log("2. With a hidden layer: Adam at rate 0.05, 2,000 steps, probabilities of 1 for 00, 01, 10, 11\n");
  const wide = trainNetworks(seeds, 8, tanh, engine);
  printNetworks("2-8-1, tanh", wide);
  for (const [name, activation] of Object.entries({ tanh, sigmoid })) {
    const [soon, later] = [2000, 20_000].map((steps) => trainNetworks(seeds, 2, activation, engine, steps));
    printNetworks(`2-2-1, ${name}`, soon, later);
  }
  engine.dispose();
  console.log(`   Two hidden units can do it, but there are valleys beside the way. In one, of loss ${valleys.half.toFixed(4)} = ½ ln 2, two inputs are
   answered right and the two others are not told apart: one half each. In the other, of loss ${valleys.third.toFixed(4)}, one is answered
   right and the three others get 2/3, as two of them are 1. Weights have grown large there, so that the slope has all
   but vanished: ten times as many steps help next to nobody. More hidden units make more ways down.`);
  report("xor", (100 * wide.filter(succeeded).length) / seeds);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
