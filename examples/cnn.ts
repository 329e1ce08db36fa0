// A convolutional network on MNIST: windows of 3×3 that slide over the image, and what they look for.
import { fileURLToPath } from "node:url";
import {
  adam,
  compile,
  conv2d,
  crossEntropy,
  dense,
  flatten,
  heNormal,
  maxPool2d,
  relu,
  sequential,
  type Trainer,
} from "steepest";
import { PIXELS, readDigits, SIDE } from "./common/digits.js";
import { drawDigits } from "./common/pictures.js";
import { quick, report } from "./common/report.js";

export const BATCH = 64;
/** Windows of the first layer; the second has twice as many. */
const WINDOWS = 16;

/** 28×28 → 26×26 → 13×13 → 11×11 → 5×5. The same few weights look at every place. */
export function compileNetwork(images: number, epochs: number, seed: number): Promise<Trainer<"accuracy">> {
  const model = sequential(
    { input: [SIDE, SIDE, 1] },
    conv2d(WINDOWS, 3, { weightInitializer: heNormal() }),
    relu(),
    maxPool2d(2),
    conv2d(2 * WINDOWS, 3, { weightInitializer: heNormal() }),
    relu(),
    maxPool2d(2),
    flatten(),
    dense(10),
  );
  // The rate falls from its first value to zero along a straight line.
  const steps = epochs * Math.ceil(images / BATCH);
  const learningRate = (step: number) => 8e-3 * (1 - (step - 1) / steps);
  return compile(model, { loss: crossEntropy(), optimizer: adam({ learningRate }), metrics: ["accuracy"], seed });
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** Windows of 3×3 side by side, each weight as a shade: from blank for what should be dark to █ for light. */
function drawWindows(weights: Float32Array): string {
  const most = Math.max(...weights.map(Math.abs));
  const shadeOf = (weight: number) => " ░▒▓█"[Math.min(Math.floor((weight / most + 1) * 2.5), 4)].repeat(2);
  const lines = [0, 1, 2].map((row) =>
    Array.from({ length: WINDOWS }, (_, window) =>
      [0, 1, 2].map((column) => shadeOf(weights[(row * 3 + column) * WINDOWS + window])).join(""),
    ).join("  "),
  );
  return lines.map((line) => `  ${line}`).join("\n");
}

async function main(): Promise<void> {
  const [images, epochs] = quick ? [10_000, 1] : [60_000, 3];
  const training = readDigits(images);
  const test = readDigits(10_000, "t10k");
  using trainer = await compileNetwork(images, epochs, 1);
  console.log(`${trainer.summary({ batchSize: BATCH })}\n`);
  console.log("epoch    training loss   right     test images right   samples/s");
  let reached = Number.NaN;
  for await (const result of trainer.fit(training, { epochs, batchSize: BATCH, validation: test })) {
    reached = result.validation?.accuracy ?? reached;
    const scores = `${result.loss.toFixed(4).padStart(15)}${percent(result.accuracy).padStart(10)}`;
    const speed = Math.round(result.samplesPerSecond).toLocaleString("en-US");
    console.log(`${String(result.epoch).padStart(5)} ${scores}${percent(reached).padStart(20)}${speed.padStart(12)}`);
  }
  console.log("\nWhat the windows of the first layer look for, from dark to light:\n");
  console.log(drawWindows(trainer.parameters().get("0.weight")?.data ?? new Float32Array(9 * WINDOWS)));
  const probabilities = await trainer.predict(test.x);
  const answers = Array.from(test.y, (_, i) => {
    const row = probabilities.subarray(10 * i, 10 * i + 10);
    return row.indexOf(Math.max(...row));
  });
  const wrong = [...test.y.keys()].filter((i) => answers[i] !== test.y[i]);
  console.log(`\n${wrong.length} of the 10,000 test images are wrong. The first of them:\n`);
  const shown = wrong.slice(0, 4);
  const pictures = Float32Array.from(shown.flatMap((i) => [...test.x.subarray(i * PIXELS, (i + 1) * PIXELS)]));
  const captions = shown.map((i) => `a ${test.y[i]}, taken for a ${answers[i]}`);
  console.log(drawDigits(pictures, captions));
  report("cnn", 100 * reached);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
