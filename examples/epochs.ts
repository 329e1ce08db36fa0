// Epoch, batch, step: what is counted when a network trains, on 2,000 digits of MNIST with a last batch that is smaller.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compileSync, crossEntropy, dense, type EpochResult, relu, sequential, sgd, type Trainer } from "steepest";
import { type Digits, PIXELS, readDigits } from "./common/digits.js";
import { report } from "./common/report.js";

export function compileDigits(): Trainer<"accuracy"> {
  const model = sequential({ input: [PIXELS] }, dense(32), relu(), dense(10));
  return compileSync(model, {
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    metrics: ["accuracy"],
    seed: 1,
  });
}

/** A step: how many samples were in its batch, and the loss, which is the mean over them. */
export interface Step {
  readonly size: number;
  readonly loss: number;
}

/** An epoch: its result, and all its steps. */
export interface Epoch {
  readonly result: EpochResult<"accuracy">;
  readonly steps: readonly Step[];
}

export interface CountingOptions {
  epochs: number;
  batchSize: number;
  shuffle?: boolean;
}

/** Trains, and notes what happens: epochs of steps, steps of one batch each. */
export async function countSteps(
  trainer: Trainer<"accuracy">,
  data: Digits,
  { epochs, batchSize, shuffle = true }: CountingOptions,
): Promise<Epoch[]> {
  let steps: Step[] = [];
  const counted: Epoch[] = [];
  const options = {
    epochs,
    batchSize,
    shuffle,
    onProgress({ losses, batch, samples }: { losses: Float32Array; batch: number; samples: number }) {
      // A report may cover many steps. Only the last batch of an epoch may be smaller, and it is reported alone.
      const before = steps.reduce((total, { size }) => total + size, 0);
      const size = (samples - before) / (batch - steps.length);
      for (const loss of losses) steps.push({ size, loss });
    },
  };
  for await (const result of trainer.fit(data, options)) {
    counted.push({ result, steps });
    steps = [];
  }
  return counted;
}

/** One epoch in the order of the data, batch by batch by hand: slice, step, slice, step … */
export function trainByHand(trainer: Trainer<"accuracy">, { x, y }: Digits, batchSize: number): Step[] {
  const steps: Step[] = [];
  for (let first = 0; first < y.length; first += batchSize) {
    const end = Math.min(first + batchSize, y.length);
    const batch = { x: x.subarray(first * PIXELS, end * PIXELS), y: y.subarray(first, end) };
    steps.push({ size: end - first, loss: trainer.trainBatchSync(batch) });
  }
  return steps;
}

/** Whether all parameters of two trainers are the same, bit by bit. */
export function sameParameters(a: Trainer<"accuracy">, b: Trainer<"accuracy">): boolean {
  const others = b.parameters();
  return [...a.parameters()].every(([path, { data }]) =>
    data.every((value, i) => Object.is(value, others.get(path)?.data[i])),
  );
}

const count = (value: number) => value.toLocaleString("en-US");

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean" },
      images: { type: "string", default: "2000" },
      epochs: { type: "string", default: "3" },
      "batch-size": { type: "string", default: "64" },
    },
  });
  const [wanted, epochs, batchSize] = [values.images, values.epochs, values["batch-size"]].map(Number);
  const data = readDigits(wanted);
  const images = data.y.length;
  const stepsPerEpoch = Math.ceil(images / batchSize);
  console.log(`sample   one image with its label: there are ${count(images)}
batch    the samples of one step: ${batchSize}, and what is left over in the last one of an epoch
step     one batch forward, back, and one update of the weights; also called iteration
epoch    one pass over all samples, in a new order each: ceil(${count(images)} / ${batchSize}) = ${stepsPerEpoch} steps
`);
  using trainer = compileDigits();
  console.log("epoch   steps   steps in all   first batches … last     samples     loss   accuracy");
  for (const { result, steps } of await countSteps(trainer, data, { epochs, batchSize })) {
    const sizes = steps.map(({ size }) => size);
    const shape = `${sizes.slice(0, 2).join(", ")} … ${sizes.at(-1)}`;
    const scores = `${result.loss.toFixed(4).padStart(9)}${(100 * result.accuracy).toFixed(1).padStart(9)} %`;
    console.log(
      `${String(result.epoch).padStart(5)}${String(steps.length).padStart(8)}${String(result.step).padStart(15)}   ${shape.padEnd(24)}${count(result.samples).padStart(8)}${scores}`,
    );
  }
  console.log(`\n${trainer.epochs} epochs × ${stepsPerEpoch} steps = ${trainer.steps} steps\n`);

  using whole = compileDigits();
  using byHand = compileDigits();
  const [{ result, steps }] = await countSteps(whole, data, { epochs: 1, batchSize, shuffle: false });
  const last = trainByHand(byHand, data, batchSize).at(-1) as Step;
  const weighted = steps.reduce((total, { size, loss }) => total + size * loss, 0) / images;
  console.log(`The last batch has ${last.size} samples, and its loss is the mean over those ${last.size}, with nothing padded or dropped:
  its loss in fit():                                              ${steps.at(-1)?.loss.toFixed(6)}
  its loss when trainBatch() gets these samples alone:            ${last.loss.toFixed(6)}
  the weights after an epoch by trainBatch(), and by fit():       ${sameParameters(whole, byHand) ? "the same, to the last bit" : "different!"}
  the epoch's loss:                                               ${result.loss.toFixed(6)}
  mean of its steps' losses, each weighted by its samples:        ${weighted.toFixed(6)}`);
  report("epochs", Math.abs(trainer.steps - epochs * stepsPerEpoch));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
