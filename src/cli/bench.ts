// How long steps take on this machine: a few small trainings, in turns.
import { availableParallelism, cpus } from "node:os";
import { VERSION } from "../engine/copies.js";
import { performance, runtimeName } from "../engine/host.js";
import type { Build } from "../engine/module.js";
import { randomNumbers } from "../engine/randomNumbers.js";
import { relu } from "../nn/activations.js";
import { conv2d } from "../nn/conv.js";
import { dense } from "../nn/dense.js";
import { flatten } from "../nn/flatten.js";
import { crossEntropy } from "../nn/losses.js";
import { lstm } from "../nn/lstm.js";
import { type Model, sequential } from "../nn/model.js";
import { maxPool2d } from "../nn/pool.js";
import { adam } from "../optim/adam.js";
import { compile, type Trainer } from "../train/trainer.js";
import { defineCommand, JSON_OPTION, type OptionValues, oneOf, positiveNumber, wholeNumber } from "./options.js";
import { columnsOf, voiceOf } from "./terminal.js";
import { openWork, type WorkDisplay } from "./workDisplay.js";

const OPTIONS = {
  seconds: { placeholder: "N", default: "1", help: "for each training" },
  threads: { placeholder: "N", default: "1", help: "threads that share a step" },
  build: { placeholder: "BUILD", default: "strict", help: "strict, fast or wide" },
  ...JSON_OPTION,
} as const;

export const benchCommand = defineCommand({
  summary: "measure how long steps take here",
  description:
    "Trains small networks on random data and says how long a step takes: the median of many short turns, and the least. Close what else the machine does.",
  options: OPTIONS,
  examples: ["steepest bench", "steepest bench --threads 2 --seconds 5 --json"],
  run: bench,
});

/** Features of a sample, its network, and samples a step. */
interface Workload {
  readonly name: string;
  readonly about: string;
  readonly batchSize: number;
  model(): Model;
}

const CLASSES = 10;

const WORKLOADS: readonly Workload[] = [
  {
    ...{ name: "table", about: "32-64-32-10", batchSize: 64 },
    model: () => sequential({ input: [32] }, dense(64), relu(), dense(32), relu(), dense(CLASSES)),
  },
  {
    ...{ name: "mlp", about: "784-128-10", batchSize: 128 },
    model: () => sequential({ input: [784] }, dense(128), relu(), dense(CLASSES)),
  },
  {
    ...{ name: "cnn", about: "28×28: 2 convolutions", batchSize: 64 },
    model: () =>
      sequential(
        { input: [28, 28, 1] },
        ...([conv2d(8, 3), relu(), maxPool2d(2), conv2d(16, 3), relu(), maxPool2d(2)] as const),
        ...([flatten(), dense(CLASSES)] as const),
      ),
  },
  {
    ...{ name: "lstm", about: "64 units, 32 steps of 32", batchSize: 32 },
    model: () => sequential({ input: [32, 32] }, lstm(64), dense(CLASSES)),
  },
];

interface Measured {
  readonly name: string;
  readonly batchSize: number;
  /** Turns of several steps. */
  readonly turns: number;
  /** Milliseconds a step: of the turn in the middle, and of the fastest. */
  readonly median: number;
  readonly least: number;
  readonly samplesPerSecond: number;
}

async function bench(given: OptionValues<typeof OPTIONS>): Promise<void> {
  const durationMs = positiveNumber("seconds", given.seconds) * 1000;
  const build = oneOf("build", given.build, ["strict", "fast", "wide"]);
  const threads = wholeNumber("threads", given.threads, 1, 64);
  const { say, result } = voiceOf(given);
  const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: availableParallelism(), runtime: runtimeName() };
  say(`steepest ${VERSION}, ${machine.runtime}, ${machine.cpu} × ${machine.cores}`);
  const work = await openWork("bench");
  const { results, ran } = await measureAll({ build, threads }, durationMs, work).finally(work.close);
  const head = ["network", "", "batch", "ms a step", "least", "samples/s"];
  const rows = results.map(({ name, batchSize, median, least, samplesPerSecond }, at) => [
    ...[name, WORKLOADS[at].about, String(batchSize), median.toPrecision(3), least.toPrecision(3)],
    Math.round(samplesPerSecond).toLocaleString("en-US"),
  ]);
  say(
    `build ${ran.build}, ${ran.threads} thread${ran.threads === 1 ? "" : "s"}\n\n${columnsOf([head, ...rows], [2, 3, 4, 5])}`,
  );
  result({ ...machine, ...ran, results });
}

interface Engine {
  readonly build: Build;
  readonly threads: number;
}

/** All networks, and what they ran on: the build may be another than the wanted one. */
async function measureAll(wanted: Engine, durationMs: number, work: WorkDisplay) {
  const results: Measured[] = [];
  let ran = wanted;
  for (const [place, workload] of WORKLOADS.entries()) {
    const trainer = (await compile(workload.model(), {
      ...{ loss: crossEntropy(), optimizer: adam(), seed: 1, ...wanted },
    })) as Trainer;
    try {
      ran = { build: trainer.build, threads: trainer.threads };
      const onTurn = (share: number) => work.show(place + Math.min(1, share), WORKLOADS.length, workload.name);
      results.push(await measure(workload, trainer, durationMs, onTurn));
    } finally {
      trainer.dispose();
    }
  }
  return { results, ran };
}

// A turn is long for the clock, and short beside what else a machine may do.
const TURN_MS = 20;

/** `onTurn` is told after each turn how much of the time is over. */
async function measure(
  { name, batchSize }: Workload,
  trainer: Trainer,
  durationMs: number,
  onTurn: (share: number) => void,
): Promise<Measured> {
  const random = randomNumbers(1);
  const size = trainer.model.inputShape.reduce((product, axis) => product * axis, 1);
  const count = batchSize * 8;
  const x = Float32Array.from({ length: count * size }, () => random.uniform() * 2 - 1);
  const y = Uint32Array.from({ length: count }, () => random.below(CLASSES));
  const data = trainer.load({ x, y });
  const timed = async (steps: number): Promise<number> => {
    const start = performance.now();
    await trainer.trainSteps(data, { steps, batchSize });
    return (performance.now() - start) / steps;
  };
  // The kernels are compiled anew while they warm up.
  await timed(2);
  const steps = Math.max(1, Math.round(TURN_MS / Math.max(1e-3, await timed(4))));
  const times: number[] = [];
  const start = performance.now();
  do {
    times.push(await timed(steps));
    onTurn((performance.now() - start) / durationMs);
  } while (performance.now() < start + durationMs);
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1];
  return {
    name,
    batchSize,
    turns: times.length,
    median,
    least: times[0],
    samplesPerSecond: (1000 * batchSize) / median,
  };
}
