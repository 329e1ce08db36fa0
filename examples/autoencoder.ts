// An autoencoder: 784 pixels through 32 numbers and back. What it learns is to keep what tells digits apart.
import { fileURLToPath } from "node:url";
import { adam, compile, dense, meanSquaredError, relu, sequential, sigmoid, type Trainer } from "steepest";
import { PIXELS, readDigits } from "./common/digits.js";
import { drawDigits } from "./common/pictures.js";
import { quick, report } from "./common/report.js";

export const CODE = 32;

/** Encoder and decoder are models of their own; as layers they make the autoencoder. */
export function compileAutoencoder(seed: number): Promise<Trainer> {
  const encoder = sequential({ input: [PIXELS], name: "encoder" }, dense(128), relu(), dense(CODE));
  const decoder = sequential({ input: [CODE], name: "decoder" }, dense(128), relu(), dense(PIXELS), sigmoid());
  return compile(sequential({ input: [PIXELS] }, encoder, decoder), {
    loss: meanSquaredError(),
    optimizer: adam({ learningRate: 2e-3 }),
    seed,
  });
}

/** Mean squared error of a picture that is the same for all: the mean of the training images. */
function errorOfMean(training: Float32Array, test: Float32Array): number {
  const mean = new Float64Array(PIXELS);
  for (let i = 0; i < training.length; i++) mean[i % PIXELS] += (training[i] * PIXELS) / training.length;
  return test.reduce((sum, value, i) => sum + (value - mean[i % PIXELS]) ** 2, 0) / test.length;
}

async function main(): Promise<void> {
  const [images, epochs] = quick ? [10_000, 4] : [60_000, 10];
  const { x } = readDigits(images);
  const { x: testX } = readDigits(10_000, "t10k");
  using trainer = await compileAutoencoder(1);
  console.log(`${trainer.summary({ batchSize: 64 })}\n`);
  console.log(
    `squared error a pixel, on 10,000 images that it never saw; trained on ${images.toLocaleString("en-US")}\n`,
  );
  console.log("epoch   training       test");
  // What is to come out is what goes in.
  const validation = { x: testX, y: testX };
  let reached = Number.NaN;
  for await (const result of trainer.fit({ x, y: x }, { epochs, batchSize: 64, validation })) {
    reached = result.validation?.loss ?? reached;
    console.log(
      `${String(result.epoch).padStart(5)}${result.loss.toFixed(4).padStart(11)}${reached.toFixed(4).padStart(11)}`,
    );
  }
  console.log(`
The mean image for every digit would have ${errorOfMean(x, testX).toFixed(4)}; the best linear code of ${CODE} numbers, principal components,
has 0.0168 (worked out from the 60,000 images' covariance).
`);
  const shown = testX.subarray(0, 4 * PIXELS);
  console.log(`Four test images\n\n${drawDigits(shown)}`);
  console.log(`and what ${CODE} numbers keep of them\n\n${drawDigits(await trainer.predict(shown))}`);
  report("autoencoder", reached);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
