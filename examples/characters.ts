// Letters, one after another: a simple RNN, an LSTM and a GRU read Moby Dick and say at each letter which comes next. Then they
// write. How well they know the text is counted in bits a letter: what the book would take if it was packed by what they expect.
import { fileURLToPath } from "node:url";
import {
  adam,
  clipByGlobalNorm,
  compileSync,
  crossEntropy,
  dense,
  embedding,
  gru,
  type Layer,
  lstm,
  normal,
  type Predictor,
  sequential,
  simpleRnn,
} from "steepest";
import { characterTokenizer, tokenSampler } from "steepest/text";
import { quick, report } from "./common/report.js";
import { bitsByPairs, bitsOf, readChapters, streamsOf, wrap, write } from "./common/text.js";

/** Letters a window: how far gradients go back. The state itself goes on from window to window. */
export const WINDOW = 32;
export const BATCH = 32;
const UNITS = 128;
const EMBEDDED = 32;

/** The recurrent layers that are compared. */
const options = { name: "memory", returnSequences: true, stateful: true } as const;
export const cells: Readonly<Record<string, (units: number) => Layer<2, 2>>> = {
  "simple RNN": (units) => simpleRnn(units, options),
  GRU: (units) => gru(units, options),
  LSTM: (units) => lstm(units, options),
};

export interface Sizes {
  /** Of the vocabulary. */
  readonly size: number;
  readonly length?: number;
  readonly embedded?: number;
  readonly units?: number;
}

/** From `length` ids to logits of what follows each. */
export function createModel(cell: string, { size, length = WINDOW, embedded = EMBEDDED, units = UNITS }: Sizes) {
  return sequential(
    { input: [length], dtype: "uint32" },
    // As PyTorch begins. What is near 0 hardly gets through an LSTM's gates at first.
    embedding(size, embedded, { name: "tokens", weightInitializer: normal({ standardDeviation: 1 }) }),
    cells[cell](units),
    dense(size, { name: "logits" }),
  );
}

/** Bits a letter that a model needs for a text, which it reads from one end to the other (in `BATCH` parts, side by side). */
export function bitsOn(model: Predictor, ids: Uint32Array, size: number): number {
  const { x, y } = streamsOf(ids, WINDOW, BATCH);
  const batch = BATCH * WINDOW;
  model.resetState();
  let bits = 0;
  for (let from = 0; from < x.length; from += batch) {
    const probabilities = model.predictSync(x.subarray(from, from + batch));
    bits += (bitsOf(probabilities, y.subarray(from, from + batch), size) * batch) / x.length;
  }
  model.resetState();
  return bits;
}

function main(): void {
  const [training, heldBack] = [readChapters(1, 130), readChapters(131, 135)];
  const tokenizer = characterTokenizer([training, heldBack]);
  const { size } = tokenizer;
  const [ids, held] = [training, heldBack].map((text) => tokenizer.encode(text));
  const data = streamsOf(quick ? ids.subarray(0, 500 * BATCH * WINDOW + 1) : ids, WINDOW, BATCH);
  const epochs = quick ? 1 : 4;
  const steps = (epochs * data.x.length) / (BATCH * WINDOW);
  console.log(
    `Trained on ${data.x.length} letters of ${size} kinds, ${epochs} times; bits a letter on the last five chapters (${held.length} letters):\n\n` +
      `  each kind as likely        ${Math.log2(size).toFixed(3)}\n` +
      `  by the letter before       ${bitsByPairs(ids, held, size).toFixed(3)}`,
  );
  const samples: string[] = [];
  const found = Object.keys(cells).map((cell) => {
    using trainer = compileSync(createModel(cell, { size }), {
      loss: crossEntropy(),
      optimizer: clipByGlobalNorm(1, adam({ learningRate: (step) => 0.004 * (1 - (0.9 * step) / steps) })),
      seed: 1,
    });
    // The order is kept, as each batch goes on where the one before has stopped.
    for (const _ of trainer.fitSync(data, { epochs, batchSize: BATCH, shuffle: false })) trainer.resetState();
    const bits = bitsOn(trainer, held, size);
    console.log(`  ${cell.padEnd(26)} ${bits.toFixed(3)}`);
    const draw = tokenSampler({ temperature: 0.7, seed: 1 });
    samples.push(`${cell} writes:\n\n${wrap(write(trainer, tokenizer, draw, { start: "The whale ", length: 400 }))}`);
    return bits;
  });
  console.log(`\n${samples.join("\n\n")}`);
  report("characters", Math.min(...found));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
