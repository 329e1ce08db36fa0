// A variational autoencoder (Kingma & Welling 2014): each digit becomes a cloud of codes, and new codes become new digits.
import { fileURLToPath } from "node:url";
import { adam, createWorkspaceSync, dense, functional, relu, sequential } from "steepest";
import {
  add,
  exp,
  mean,
  mul,
  randomNormal,
  scale,
  sigmoid,
  softplus,
  square,
  sub,
  sum,
  type Tensor,
} from "steepest/graph";
import { PIXELS, readDigits } from "./common/digits.js";
import { drawDigits } from "./common/pictures.js";
import { createRandom, shuffled } from "./common/random.js";
import { quick, report } from "./common/report.js";

const CODE = 16;
const HIDDEN = 256;
const BATCH = 100;

export function createVae(seed: number) {
  const workspace = createWorkspaceSync({ seed });
  /** Of each image: the middle of its cloud, and the logarithm of the cloud's variance, for each number of the code. */
  const encoder = functional({ input: [PIXELS], name: "encoder" }, (x, { apply }) => {
    const hidden = apply(x, dense(HIDDEN), relu());
    return { middle: apply(hidden, dense(CODE)), logVariance: apply(hidden, dense(CODE)) };
  });
  /** Logits of the pixels. */
  const decoder = sequential({ input: [CODE], name: "decoder" }, dense(HIDDEN), relu(), dense(PIXELS));

  // What the code costs: the divergence of the cloud from the normal distribution, ½ Σ (e^v + m² - 1 - v).
  const divergence = (middle: Tensor, v: Tensor) => scale(sum(sub(add(exp(v), square(middle)), add(v, 1)), 1), 0.5);
  // What the pixels cost: -log of the probability that each was to be as bright as it is, from logits z: log(1 + eᶻ) - x·z.
  const surprise = (z: Tensor, x: Tensor) => sum(sub(softplus(z), mul(x, z)), 1);

  const inputs = { x: [BATCH, PIXELS] };
  return {
    encoder,
    decoder,
    /** The negative evidence lower bound, in nats an image. */
    learn: workspace.step(
      ({ x }, { apply, randomness }) => {
        const { middle, logVariance } = apply(x, encoder);
        // The random numbers are drawn apart and then moved and stretched, so that the gradient finds its way to both.
        const noise = randomNormal([BATCH, CODE], randomness());
        const code = add(middle, mul(exp(scale(logVariance, 0.5)), noise));
        const cost = add(surprise(apply(code, decoder), x), divergence(middle, logVariance));
        return { loss: mean(cost) };
      },
      { inputs, train: [encoder, decoder], optimizer: adam({ learningRate: 2e-3 }) },
    ),
    /** The same for images that nothing is learnt from, with its two parts, and what becomes of them. */
    judge: workspace.step(
      ({ x }, { apply, randomness }) => {
        const { middle, logVariance } = apply(x, encoder);
        const noise = randomNormal([BATCH, CODE], randomness());
        const logits = apply(add(middle, mul(exp(scale(logVariance, 0.5)), noise)), decoder);
        return {
          pixels: mean(surprise(logits, x)),
          code: mean(divergence(middle, logVariance)),
          again: sigmoid(apply(middle, decoder)),
        };
      },
      { inputs },
    ),
    /** New digits from codes that were drawn. */
    dream: workspace.step(
      (_, { apply, randomness }) => ({
        images: sigmoid(apply(randomNormal([8, CODE], randomness()), decoder)),
      }),
      { inputs: {} },
    ),
    dispose: workspace.dispose,
    [Symbol.dispose]: workspace.dispose,
  };
}

type Vae = ReturnType<typeof createVae>;

/** One pass over the images in a new order; the mean loss. What is left over at the end waits for the next pass. */
export function learnEpoch({ learn }: Vae, images: Float32Array, random: () => number): number {
  const order = shuffled(images.length / PIXELS, random);
  const batch = new Float32Array(BATCH * PIXELS);
  const batches = Math.floor(order.length / BATCH);
  let total = 0;
  for (let first = 0; first < batches * BATCH; first += BATCH) {
    order.subarray(first, first + BATCH).forEach((image, i) => {
      batch.set(images.subarray(image * PIXELS, (image + 1) * PIXELS), i * PIXELS);
    });
    total += learn({ x: batch }).loss[0];
  }
  return total / batches;
}

/** Costs of pixels and code, in nats, means over all images, whose number is a multiple of 100. */
export function judgeAll({ judge }: Vae, images: Float32Array): { pixels: number; code: number } {
  const costs = { pixels: 0, code: 0 };
  const size = BATCH * PIXELS;
  for (let first = 0; first < images.length; first += size) {
    const { pixels, code } = judge({ x: images.subarray(first, first + size) });
    costs.pixels += (pixels[0] * size) / images.length;
    costs.code += (code[0] * size) / images.length;
  }
  return costs;
}

function main(): void {
  const [images, epochs] = quick ? [10_000, 5] : [60_000, 10];
  const { x } = readDigits(images);
  const { x: test } = readDigits(10_000, "t10k");
  const random = createRandom(1);
  using vae = createVae(1);
  console.log(
    `784-${HIDDEN}-${CODE}-${HIDDEN}-784, ${images.toLocaleString("en-US")} images; nats an image (1 nat is 1.44 bits)\n`,
  );
  console.log("epoch   training    test = pixels +  code");
  let reached = Number.NaN;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const loss = learnEpoch(vae, x, random);
    const { pixels, code } = judgeAll(vae, test);
    reached = pixels + code;
    const columns = [loss, reached, pixels, code].map((cost, i) => cost.toFixed(1).padStart([11, 8, 9, 7][i]));
    console.log(`${String(epoch).padStart(5)}${columns.join("")}`);
  }
  const shown = test.subarray(0, BATCH * PIXELS);
  console.log(
    `\nFour test images, and the same from the middle of their clouds\n\n${drawDigits(shown.subarray(0, 4 * PIXELS))}`,
  );
  console.log(drawDigits(vae.judge({ x: shown }).again.subarray(0, 4 * PIXELS)));
  console.log(
    `\nDigits that nobody wrote: eight codes from a normal distribution\n\n${drawDigits(vae.dream({}).images)}`,
  );
  report("vae", reached);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
