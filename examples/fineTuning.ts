// Fine-tuning a network that came as an ONNX file: PyTorch has trained it on the digits 0 to 4 (data/recordCnn.py). Its windows know
// strokes, and strokes are what the digits 5 to 9 are made of too. So a few images of these are enough.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { adam, compileSync, crossEntropy, type Trainer } from "steepest";
import { fromOnnx } from "steepest/onnx";
import { type Digits, PIXELS, readDigits } from "./common/digits.js";
import { quick, report } from "./common/report.js";

const SEEDS = [1, 2, 3, 4, 5];
/** The dense layer at the end, by its name in the file. */
const HEAD = "7";

/** The model of the file. Its images have their channel first, [1, 28, 28]; of one channel that is the same. */
export async function readModel() {
  const file = new URL("data/digitsTo4.onnx", import.meta.url);
  return (await fromOnnx<readonly [1, 28, 28], readonly [5]>(new Uint8Array(readFileSync(file)))).model;
}

/** The first `each` images of each digit from `from` to `from` + 4, which is class 0 to 4. */
export function digitsFrom({ x, y }: Digits, from: number, each = Number.POSITIVE_INFINITY): Digits {
  const seen = new Array<number>(10).fill(0);
  const chosen = [...y.keys()].filter((i) => y[i] >= from && y[i] < from + 5 && seen[y[i]]++ < each);
  const together = new Float32Array(chosen.length * PIXELS);
  chosen.forEach((i, at) => {
    together.set(x.subarray(i * PIXELS, (i + 1) * PIXELS), at * PIXELS);
  });
  return { x: together, y: Uint8Array.from(chosen, (i) => y[i] - from) };
}

type Model = Awaited<ReturnType<typeof readModel>>;

/** What a training begins with, and what of it stays as it is. */
export const WAYS = ["windows stay", "all goes on", "all anew"] as const;

/** Learns five digits of few images. Returns the share of the test images that is right. */
export function learn(model: Model, way: (typeof WAYS)[number], few: Digits, test: Digits, seed: number): number {
  using trainer = compileSync(model, {
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 1e-3 }),
    metrics: ["accuracy"],
    frozen: way === "windows stay" ? ["0", "3"] : [],
    seed,
  });
  begin(trainer, way, seed);
  trainer.trainStepsSync(few, { steps: 200, batchSize: Math.min(25, few.y.length) });
  return trainer.evaluateSync(test).accuracy;
}

/** The head is new in any case: it had other digits. Anew, each weight is as PyTorch begins, within ±1/√inputs. */
function begin(trainer: Pick<Trainer, "parameters" | "setParameters">, way: (typeof WAYS)[number], seed: number): void {
  let state = seed;
  const random = () => {
    state = (state * 48271) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  };
  for (const [path, { data, shape }] of trainer.parameters()) {
    if (way !== "all anew" && !path.startsWith(HEAD)) continue;
    const inputs = path.endsWith("bias") ? 1 : data.length / shape[0];
    const width = path.endsWith("bias") ? 0 : inputs ** -0.5;
    trainer.setParameters({ [path]: data.map(() => width * random()) });
  }
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

async function main(): Promise<void> {
  const model = await readModel();
  const [training, test] = [readDigits(10_000), readDigits(10_000, "t10k")];
  console.log(`parameters of the file: ${[...model.parameters.keys()].join(" ")}\n`);
  using trainer = compileSync(model, { loss: crossEntropy(), metrics: ["accuracy"] });
  console.log(`the digits 0 to 4, as it came: ${percent(trainer.evaluateSync(digitsFrom(test, 0)).accuracy)} right\n`);
  const seeds = quick ? SEEDS.slice(0, 2) : SEEDS;
  console.log(`The digits 5 to 9, of a few images each; means of ${seeds.length} seeds\n`);
  console.log(`  images of each digit${WAYS.map((way) => way.padStart(16)).join("")}`);
  const others = digitsFrom(test, 5);
  let ahead = Number.NaN;
  for (const each of quick ? [5] : [1, 5, 20]) {
    const few = digitsFrom(training, 5, each);
    const [kept, tuned, fresh] = WAYS.map((way) => {
      const shares = seeds.map((seed) => learn(model, way, few, others, seed));
      return shares.reduce((sum, share) => sum + share / seeds.length, 0);
    });
    console.log(
      `${String(each).padStart(22)}${[kept, tuned, fresh].map((share) => percent(share).padStart(16)).join("")}`,
    );
    if (each === 5) ahead = 100 * (Math.max(kept, tuned) - fresh);
  }
  report("fineTuning", ahead);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
