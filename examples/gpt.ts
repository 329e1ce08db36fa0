// A small GPT (Radford et al. 2018) on the letters of Moby Dick: each position looks back at all before it, by attention, and says which
// letter comes next. While it writes, keys and values of what has been are kept, so that each letter takes one position of work.
import { fileURLToPath } from "node:url";
import {
  adam,
  clipByGlobalNorm,
  compileSync,
  crossEntropy,
  embedding,
  layerNorm,
  learnedPositions,
  normal,
  sequential,
  tiedDense,
  transformerEncoder,
} from "steepest";
import { characterTokenizer, tokenSampler } from "steepest/text";
import { drawCurve } from "./common/pictures.js";
import { createRandom } from "./common/random.js";
import { quick, report } from "./common/report.js";
import { bitsByPairs, drawWindows, readChapters, windowsOf, wrap, write } from "./common/text.js";

const CONTEXT = 64;
const BATCH = 16;

export interface GptSizes {
  /** Of the vocabulary. */
  readonly size: number;
  /** How many ids it sees at most. */
  readonly context: number;
  readonly width: number;
  readonly heads: number;
  readonly blocks: number;
}

/** From ids to logits of what follows each. The table of the letters serves at both ends (Press & Wolf 2017). */
export function createGpt({ size, context, width, heads, blocks }: GptSizes) {
  // GPT-2 has 0.02. In a model this narrow, the letters would be lost among what the blocks add.
  const weightInitializer = normal({ standardDeviation: 0.1 });
  const tokens = embedding(size, width, { name: "tokens", weightInitializer });
  const block = (_: unknown, index: number) =>
    transformerEncoder(heads, {
      name: `block${index}`,
      causal: true,
      norm: "pre",
      activation: "gelu",
      cache: context,
    });
  return sequential(
    { input: [context], dtype: "uint32" },
    tokens,
    learnedPositions(context, { name: "positions", stateful: true, weightInitializer }),
    ...Array.from({ length: blocks }, block),
    layerNorm({ name: "norm" }),
    tiedDense(tokens, { name: "logits" }),
  );
}

function main(): void {
  const [training, heldBack] = [readChapters(1, 130), readChapters(131, 135)];
  const tokenizer = characterTokenizer([training, heldBack]);
  const { size } = tokenizer;
  const [ids, held] = [training, heldBack].map((text) => tokenizer.encode(text));
  const rounds = quick ? 8 : 60;
  const steps = 100 * rounds;
  using trainer = compileSync(createGpt({ size, context: CONTEXT, width: 64, heads: 4, blocks: 2 }), {
    loss: crossEntropy(),
    // It rises over 100 steps, then falls to a tenth.
    optimizer: clipByGlobalNorm(
      1,
      adam({ learningRate: (step) => 0.004 * Math.min(step / 100, 1 - (0.9 * step) / steps) }),
    ),
    seed: 1,
  });
  const count = [...trainer.parameters().values()].reduce((sum, { data }) => sum + data.length, 0);
  console.log(`${count} parameters, ${steps} steps of ${BATCH} windows of ${CONTEXT} letters\n`);
  const random = createRandom(1);
  const bits: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const windows = drawWindows(ids, CONTEXT, 100 * BATCH, random);
    const losses = trainer.trainStepsSync(windows, { steps: 100, batchSize: BATCH });
    bits.push(losses.reduce((sum, loss) => sum + loss / losses.length, 0) / Math.LN2);
  }
  console.log(drawCurve("Bits a letter while training, over rounds of 100 steps", bits));
  const reached = trainer.evaluateSync(windowsOf(held, CONTEXT)).loss / Math.LN2;
  console.log(
    `\nBits a letter on the last five chapters, in windows of ${CONTEXT} letters: ${reached.toFixed(3)}` +
      ` (by the letter before alone: ${bitsByPairs(ids, held, size).toFixed(3)})\n`,
  );
  for (const temperature of [0, 0.5, 0.8, 1]) {
    const draw = tokenSampler({ temperature, topP: 0.95, seed: 1 });
    const text = write(trainer, tokenizer, draw, { start: "The whale ", length: 300, context: CONTEXT });
    console.log(`Temperature ${temperature}:\n\n${wrap(text)}\n`);
  }
  report("gpt", reached);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
