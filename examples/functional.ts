// Models that are no chain: two inputs through one shared encoder with a skip, two outputs; then the encoder is frozen
// and used again (transfer learning).
import { fileURLToPath } from "node:url";
import {
  adam,
  binaryCrossEntropy,
  compileSync,
  crossEntropy,
  dense,
  functional,
  type ParameterValues,
  relu,
  sequential,
} from "steepest";
import { abs, add, sub } from "steepest/graph";
import { type Digits, PIXELS, readDigits } from "./common/digits.js";
import { drawDigits } from "./common/pictures.js";
import { createRandom } from "./common/random.js";
import { quick, report } from "./common/report.js";

const FEATURES = 64;
const SEEDS = [1, 2, 3, 4, 5];

/** Pixels to features. What `apply` is given is a tensor, so a skip is an `add`. */
export function createEncoder() {
  return functional({ input: [PIXELS], name: "encoder" }, (x, { apply }) => {
    const first = apply(x, dense(FEATURES, { name: "first" }), relu());
    return add(first, apply(first, dense(FEATURES, { name: "second" }), relu()));
  });
}

/** Two images, one encoder with one set of parameters for both: which digit the first is, and whether both are the same. */
export function createPairModel() {
  const encoder = createEncoder();
  return functional({ input: { first: [PIXELS], second: [PIXELS] } }, ({ first, second }, { apply }) => {
    const [a, b] = [apply(first, encoder), apply(second, encoder)];
    return {
      digit: apply(a, dense(10, { name: "digit" })),
      same: apply(abs(sub(a, b)), dense(16, { name: "distance" }), relu(), dense(1, { name: "same" })),
    };
  });
}

/** Every image beside a random one, in half of the pairs of the same class. */
export function pairUp({ x, y }: Digits, seed: number) {
  const random = createRandom(seed);
  const all = [...y.keys()];
  const ofClass = Array.from({ length: 10 }, (_, label) => all.filter((i) => y[i] === label));
  const second = new Float32Array(x.length);
  const same = Uint8Array.from(y, (label, i) => {
    const candidates = random() < 0.5 ? ofClass[label] : all;
    const partner = candidates[Math.floor(random() * candidates.length)];
    second.set(x.subarray(partner * PIXELS, (partner + 1) * PIXELS), i * PIXELS);
    return Number(y[partner] === label);
  });
  return { x: { first: x, second }, y: { digit: y, same } };
}

/** Trains on pairs. Returns scores on pairs of the test images, and the encoder's parameters. */
export function learnPairs(training: Digits, test: Digits, epochs: number, seed: number) {
  using trainer = compileSync(createPairModel(), {
    loss: { digit: crossEntropy(), same: binaryCrossEntropy() },
    lossWeights: { same: 2 },
    metrics: ["accuracy"],
    optimizer: adam({ learningRate: 1e-3 }),
    seed,
  });
  const summary = trainer.summary({ batchSize: 64 });
  trainer.fitSync(pairUp(training, 1), { epochs, batchSize: 64 });
  const pairs = pairUp(test, 2);
  const encoder = new Map([...trainer.parameters()].filter(([path]) => path.startsWith("encoder.")));
  const shown = { first: pairs.x.first.subarray(0, 4 * PIXELS), second: pairs.x.second.subarray(0, 4 * PIXELS) };
  const { same } = trainer.predictSync(shown);
  return { summary, scores: trainer.evaluateSync(pairs), encoder, shown, same };
}

/** The first `each` images of each digit, labelled by whether it is odd. */
export function oddOnes({ x, y }: Digits, each = Number.POSITIVE_INFINITY): Digits {
  const seen = new Array<number>(10).fill(0);
  const chosen = [...y.keys()].filter((i) => seen[y[i]]++ < each);
  const images = chosen.map((i) => x.subarray(i * PIXELS, (i + 1) * PIXELS));
  const together = new Float32Array(images.length * PIXELS);
  images.forEach((image, i) => {
    together.set(image, i * PIXELS);
  });
  return { x: together, y: Uint8Array.from(chosen, (i) => y[i] % 2) };
}

/** Learns "odd or even" of few images: with an encoder that stays as it learnt to be, or all of it from the start. */
export function learnOdd(few: Digits, test: Digits, seed: number, encoder?: ReadonlyMap<string, ParameterValues>) {
  using trainer = compileSync(sequential({ input: [PIXELS] }, createEncoder(), dense(1, { name: "head" })), {
    loss: binaryCrossEntropy(),
    optimizer: adam({ learningRate: 3e-3 }),
    metrics: ["accuracy"],
    frozen: encoder === undefined ? [] : ["encoder"],
    seed,
  });
  if (encoder !== undefined) trainer.setParameters(encoder);
  trainer.trainStepsSync(few, { steps: 300, batchSize: 10 });
  return trainer.evaluateSync(test).accuracy;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function main(): void {
  const [images, epochs] = quick ? [10_000, 3] : [60_000, 5];
  const [training, test] = [readDigits(images), readDigits(10_000, "t10k")];
  console.log("1. Two inputs, a shared encoder with a skip, two outputs: pairs of digits\n");
  const { summary, scores, encoder, shown, same } = learnPairs(training, test, epochs, 1);
  console.log(`${summary}\n`);
  const right = [scores["digit.accuracy"], scores["same.accuracy"]].map((share = Number.NaN) => percent(share));
  console.log(`test pairs: ${right[0]} of the first digits right, "the same?" ${right[1]}; four of them:\n`);
  console.log(drawDigits(shown.first));
  const captions = Array.from(same, (p) => `the same digit: ${percent(p)}`);
  console.log(`${drawDigits(shown.second, captions)}\n`);
  console.log(
    "2. Another question to the same encoder, now frozen: odd or even? From few images; means of five seeds\n",
  );
  console.log("  images of each digit   frozen encoder, new head   all new");
  const odd = oddOnes(test);
  const gains = [1, 3, 10].map((each) => {
    const few = oddOnes(training, each);
    const [kept, fresh] = [encoder, undefined].map((given) => {
      const accuracies = SEEDS.map((seed) => learnOdd(few, odd, seed, given));
      return accuracies.reduce((sum, accuracy) => sum + accuracy / SEEDS.length, 0);
    });
    console.log(`${String(each).padStart(22)}${percent(kept).padStart(27)}${percent(fresh).padStart(10)}`);
    return 100 * (kept - fresh);
  });
  report("functional", gains[0]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
