// Super-convergence (Smith & Topin 2018): a rate that goes up and down once learns more in as many steps than any that stays.
import { fileURLToPath } from "node:url";
import plot from "simple-ascii-chart";
import {
  compile,
  conv2d,
  crossEntropy,
  DivergenceError,
  dense,
  findLearningRate,
  flatten,
  heNormal,
  type LearningRate,
  maxPool2d,
  oneCycle,
  type RangeTest,
  relu,
  sequential,
  sgd,
} from "steepest";
import { type Digits, readDigits, SIDE } from "./common/digits.js";
import { quick, report } from "./common/report.js";

const BATCH = 32;
/** The top of the cycle; as a constant it is too large. The other constant rates are what is left of it on the way. */
export const TOP = 0.1;
export const CONSTANT = [0.02, 0.05, TOP];

/** The network of cnn.ts. */
export const network = () =>
  sequential(
    { input: [SIDE, SIDE, 1] },
    conv2d(16, 3, { weightInitializer: heNormal() }),
    relu(),
    maxPool2d(2),
    conv2d(32, 3, { weightInitializer: heNormal() }),
    relu(),
    maxPool2d(2),
    flatten(),
    dense(10),
  );

const optimizer = (learningRate: LearningRate) => sgd({ learningRate, momentum: 0.9 });

/** The loss of steps whose rate grows from 1e-4 to 3. */
export function rangeTest(training: Digits, seed: number): Promise<RangeTest> {
  const range = { from: 1e-4, to: 3, steps: 120, batchSize: BATCH };
  return findLearningRate(network(), training, { loss: crossEntropy(), optimizer, seed, ...range });
}

/** Share of the test images that are wrong after one pass; chance, if the loss diverges. */
export async function learn(rate: LearningRate, training: Digits, test: Digits, seed: number): Promise<number> {
  using trainer = await compile(network(), {
    loss: crossEntropy(),
    optimizer: optimizer(rate),
    metrics: ["accuracy"],
    seed,
  });
  try {
    await trainer.fit(training, { batchSize: BATCH });
  } catch (error) {
    if (error instanceof DivergenceError) return 0.9;
    throw error;
  }
  return 1 - (await trainer.evaluate(test)).accuracy;
}

/** The loss over the logarithm of the rate. */
function drawCurve({ curve, suggestion, lowest }: RangeTest): void {
  const picture = plot(
    curve.map(({ rate, smoothed }): [number, number] => [Math.log10(rate), smoothed]),
    {
      width: 60,
      height: 12,
      title: "smoothed loss by rate",
      customXAxisTicks: [-4, -3, -2, -1, 0],
      yRange: [0, 3],
      formatter: (value, { axis }) => (axis === "x" ? `1e${value}` : Math.round(10 * value) / 10),
    },
  );
  console.log(picture.replace(/^\n/, ""));
  const shown = (rate: number) => rate.toPrecision(2);
  console.log(
    `   It falls most steeply at ${shown(suggestion)}, and is lowest at ${shown(lowest)}: beyond that, steps harm.\n`,
  );
}

async function main(): Promise<void> {
  const [images, seeds] = quick ? [6000, [1]] : [20_000, [1, 2, 3]];
  const [training, test] = [readDigits(images), readDigits(quick ? 3000 : 10_000, "t10k")];
  const steps = Math.ceil(images / BATCH);
  console.log(`The range test: the rate grows from step to step, on the network of cnn.ts and ${images} images\n`);
  drawCurve(await rangeTest(training, 1));
  const rates: [string, LearningRate][] = [
    [`one cycle, up to ${TOP}`, oneCycle(TOP, { steps })],
    ...CONSTANT.map((rate): [string, LearningRate] => [`constant ${rate}`, rate]),
  ];
  console.log(`SGD with momentum 0.9, ${steps} steps of ${BATCH} images. Test images wrong, by seed:\n`);
  const means: number[] = [];
  for (const [name, rate] of rates) {
    const errors: number[] = [];
    for (const seed of seeds) errors.push(await learn(rate, training, test, seed));
    means.push(errors.reduce((sum, error) => sum + error, 0) / seeds.length);
    const shown = errors.map((error) => `${(100 * error).toFixed(2)} %`.padStart(9)).join("");
    console.log(`   ${name.padEnd(22)}${shown}   mean ${(100 * (means.at(-1) ?? 0)).toFixed(2)} %`);
  }
  const [cycle, ...constant] = means;
  console.log(
    "\n   Large steps find the valley, and keep out of narrow ones; the small ones at the end go down to its floor.",
  );
  report("oneCycle", Math.min(...constant) / cycle);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
