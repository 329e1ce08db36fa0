// Layers of one's own: one that learns weights of -1 and 1 by a gradient of its own, one that keeps a running mean.
import { fileURLToPath } from "node:url";
import { adam, compileSync, crossEntropy, defineLayer, dense, ModelError, relu, sequential } from "steepest";
import { add, customGradient, matmul, mean, mul, scale, shift, step, sub, type Tensor } from "steepest/graph";
import { type Digits, PIXELS, readDigits } from "./common/digits.js";
import { quick, report } from "./common/report.js";

/**
 * 1 where x ≥ 0, else -1. The slope of that is zero wherever there is one: nothing would be learnt. So what goes back is
 * the gradient itself, as if nothing had been done to x (the straight-through estimator, Bengio et al. 2013).
 */
export const sign = (x: Tensor) => customGradient([x], trueSign, (gradient) => gradient);

/** The same with the slope that it really has. */
export const trueSign = (x: Tensor) => shift(scale(step(x), 2), -1);

/**
 * A dense layer whose weights are -1 and 1 when it is used; the optimizer moves real numbers behind them until they
 * change their sign (Courbariaux et al. 2015). `parameter` is made once, and found again in every program.
 */
export const binaryDense = defineLayer<{ units: number; straightThrough?: boolean }>(
  "binaryDense",
  (x, { parameter }, { units, straightThrough = true }) => {
    const [, features, ...more] = x.shape;
    if (more.length > 0)
      throw new ModelError(`binaryDense: input must be [batch, features], got [${x.shape}]: flatten()`);
    const weight = parameter("weight", [features, units]);
    const signs = straightThrough ? sign(weight) : trueSign(weight);
    // Sums of so many terms ±1 · x stay of the size of x.
    return add(scale(matmul(x, signs), 1 / Math.sqrt(features)), parameter("bias", [units]));
  },
);

/**
 * Subtracts the mean of each feature: while training that of the batch, while predicting a running mean of those. A
 * buffer is what no optimizer changes; its new value is written when the step is done.
 */
export const centred = defineLayer("centred", (x, { training, buffer, update }) => {
  const running = buffer("mean", x.shape.slice(1));
  if (!training) return sub(x, running);
  const batch = mean(x, 0);
  update(running, add(mul(running, 0.9), mul(batch, 0.1)));
  return sub(x, batch);
});

export function createModel(straightThrough: boolean) {
  return sequential(
    { input: [PIXELS] },
    centred(),
    binaryDense({ units: 256, straightThrough }),
    relu(),
    centred(),
    binaryDense({ units: 10, straightThrough }),
  );
}

/** Trains a network with layers of our own; `flips` is how many weights changed their sign. */
export function learn(training: Digits, test: Digits, epochs: number, straightThrough: boolean, seed = 1) {
  using trainer = compileSync(createModel(straightThrough), {
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 1e-3 }),
    metrics: ["accuracy"],
    seed,
  });
  const summary = trainer.summary({ batchSize: 64 });
  const before = trainer.parameters();
  const losses = trainer.fitSync(training, { epochs, batchSize: 64 }).map(({ loss }) => loss);
  const flips = [...trainer.parameters()]
    .filter(([path]) => path.endsWith("weight"))
    .flatMap(([path, { data }]) => [...data].filter((w, i) => w >= 0 !== (before.get(path)?.data[i] ?? 0) >= 0)).length;
  return { summary, losses, flips, accuracy: trainer.evaluateSync(test).accuracy };
}

function main(): void {
  const [images, epochs] = quick ? [6000, 3] : [60_000, 5];
  const training = readDigits(images);
  const test = readDigits(10_000, "t10k");
  const ours = learn(training, test, epochs, true);
  const stuck = learn(training, test, epochs, false);
  console.log(`${ours.summary}\n`);
  console.log("back through the sign   test images right   signs that changed   losses of the epochs");
  for (const [name, { losses, flips, accuracy }] of Object.entries({
    "the gradient": ours,
    "its slope, zero": stuck,
  })) {
    const numbers = `${(100 * accuracy).toFixed(2).padStart(15)} %${flips.toLocaleString("en-US").padStart(21)}`;
    console.log(`${name.padEnd(24)}${numbers}   ${losses.map((loss) => loss.toFixed(3)).join(", ")}`);
  }
  console.log("\nWith a slope of zero the biases are all that learns.\n");
  try {
    sequential({ input: [28, 28] }, binaryDense({ units: 10 }), dense(10));
  } catch (error) {
    console.log(`What does not fit is refused when the model is built:\n  ${(error as Error).message}`);
  }
  report("customLayer", 100 * ours.accuracy);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
