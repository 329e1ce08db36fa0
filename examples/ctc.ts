// Reading handwriting without being told where a digit ends: pen movements in, digits out (CTC, Graves et al. 2006).
import { fileURLToPath } from "node:url";
import { adam, compile, conv1d, ctc, dense, functional, heNormal, relu } from "steepest";
import { scale } from "steepest/graph";
import { characterErrorRate, ctcBeamDecode, ctcGreedyDecode } from "steepest/text";
import { createRandom } from "./common/random.js";
import { quick, report } from "./common/report.js";

/** Movements of a sequence at most, digits of a sequence at most, and the class that stands for none of them. */
export const TIME = 64;
export const MOST = 6;
export const BLANK = 10;

type Point = readonly [x: number, y: number];

/** How each digit is drawn, in one stroke; x to the right, y down, both from 0 to 1. */
const STROKES: readonly (readonly Point[])[] = [
  [
    [0.6, 0],
    [0.15, 0.2],
    [0.05, 0.6],
    [0.3, 1],
    [0.7, 0.95],
    [0.95, 0.5],
    [0.85, 0.1],
    [0.6, 0],
  ],
  [
    [0.2, 0.3],
    [0.6, 0],
    [0.6, 1],
  ],
  [
    [0.1, 0.25],
    [0.4, 0],
    [0.85, 0.15],
    [0.8, 0.45],
    [0.1, 1],
    [0.95, 1],
  ],
  [
    [0.1, 0.1],
    [0.6, 0],
    [0.85, 0.25],
    [0.45, 0.45],
    [0.9, 0.7],
    [0.6, 1],
    [0.1, 0.9],
  ],
  [
    [0.7, 1],
    [0.7, 0],
    [0.05, 0.7],
    [0.95, 0.7],
  ],
  [
    [0.9, 0],
    [0.2, 0],
    [0.15, 0.45],
    [0.65, 0.4],
    [0.9, 0.7],
    [0.6, 1],
    [0.1, 0.9],
  ],
  [
    [0.8, 0.05],
    [0.3, 0.3],
    [0.1, 0.7],
    [0.4, 1],
    [0.85, 0.8],
    [0.6, 0.5],
    [0.15, 0.7],
  ],
  [
    [0.05, 0],
    [0.95, 0],
    [0.4, 1],
  ],
  [
    [0.8, 0.15],
    [0.4, 0],
    [0.2, 0.25],
    [0.8, 0.75],
    [0.5, 1],
    [0.15, 0.75],
    [0.8, 0.25],
    [0.8, 0.15],
  ],
  [
    [0.85, 0.3],
    [0.5, 0.5],
    [0.15, 0.25],
    [0.5, 0],
    [0.85, 0.2],
    [0.75, 1],
  ],
];

/** Points at equal distances along a stroke. */
export function resample(stroke: readonly Point[], count: number): Point[] {
  const lengths = stroke.slice(1).map(([x, y], i) => Math.sqrt((x - stroke[i][0]) ** 2 + (y - stroke[i][1]) ** 2));
  const whole = lengths.reduce((sum, length) => sum + length, 0);
  return Array.from({ length: count }, (_, k) => {
    let rest = (k / (count - 1)) * whole;
    let i = 0;
    while (i < lengths.length - 1 && rest > lengths[i]) rest -= lengths[i++];
    const share = Math.min(1, rest / lengths[i]);
    const [[x, y], [nextX, nextY]] = [stroke[i], stroke[i + 1]];
    return [x + share * (nextX - x), y + share * (nextY - y)];
  });
}

/** Sequences as `fit` takes them, and how long each is. A movement is [right, down, whether the pen was on the paper]. */
export interface Sequences {
  readonly x: { readonly pen: Float32Array; readonly steps: Uint32Array };
  readonly y: { readonly logits: Uint32Array };
  readonly digits: readonly (readonly number[])[];
}

/** Sequences of 3 to 6 digits, each digit drawn at a speed, a size and a slant of its own, by a hand that shakes. */
export function drawSequences(count: number, seed: number): Sequences {
  const random = createRandom(seed);
  const between = (least: number, most: number) => least + (most - least) * random();
  const pen = new Float32Array(count * TIME * 3);
  const steps = new Uint32Array(count);
  const labels = new Uint32Array(count * MOST).fill(BLANK);
  const digits = Array.from({ length: count }, () =>
    Array.from({ length: 3 + Math.floor(4 * random()) }, () => Math.floor(10 * random())),
  );
  digits.forEach((sequence, sample) => {
    let [fromX, fromY, right] = [0, 0.5, 0];
    labels.set(sequence, sample * MOST);
    for (const digit of sequence) {
      const [width, height, slant] = [between(0.5, 0.8), between(0.8, 1.2), between(-0.15, 0.3)];
      resample(STROKES[digit], 7 + Math.floor(4 * random())).forEach(([x, y], i) => {
        const toX = right + width * x + slant * (1 - y) + between(-0.04, 0.04);
        const toY = height * y + between(-0.04, 0.04);
        pen.set([toX - fromX, toY - fromY, i === 0 ? 0 : 1], (sample * TIME + steps[sample]) * 3);
        [fromX, fromY] = [toX, toY];
        steps[sample] += 1;
      });
      right += width + between(0.1, 0.35);
    }
  });
  return { x: { pen, steps }, y: { logits: labels }, digits };
}

/** The movements of one sequence as a picture. */
function drawMovements({ x }: Sequences, sample: number): string {
  const [columns, lines] = [72, 9];
  const canvas = Array.from({ length: lines }, () => new Array<string>(columns).fill(" "));
  let [atX, atY] = [0, 0.5];
  for (let t = 0; t < x.steps[sample]; t++) {
    const [dx, dy, down] = x.pen.subarray((sample * TIME + t) * 3);
    for (let k = 1; k <= 12 && down === 1; k++) {
      const column = Math.floor((atX + (k / 12) * dx + 0.1) * 11);
      const line = Math.floor(((atY + (k / 12) * dy + 0.1) / 1.45) * lines);
      if (canvas[line]?.[column] !== undefined) canvas[line][column] = "█";
    }
    [atX, atY] = [atX + dx, atY + dy];
  }
  return canvas.map((line) => `  ${line.join("")}`.trimEnd()).join("\n");
}

/** The likeliest class of each movement, "·" for the blank. */
function drawPath(logits: Float32Array, length: number): string {
  return Array.from({ length }, (_, t) => {
    const row = logits.subarray(t * (BLANK + 1), (t + 1) * (BLANK + 1));
    const best = row.indexOf(Math.max(...row));
    return best === BLANK ? "·" : String(best);
  }).join("");
}

/** Three convolutions over the movements, each of which sees two more to either side at a wider distance. */
export function compileReader(seed: number, sequences: number, epochs: number, batchSize: number) {
  const model = functional(
    { input: { pen: [TIME, 3], steps: [] }, dtype: { steps: "uint32" } },
    ({ pen, steps }, { apply }) => {
      const options = { padding: "same", weightInitializer: heNormal() } as const;
      // Movements are small; as large as ordinary numbers they are learned from sooner.
      let y = apply(scale(pen, 4), conv1d(48, 5, options), relu());
      y = apply(y, conv1d(48, 5, { ...options, dilation: 2 }), relu());
      y = apply(y, conv1d(48, 3, options), relu());
      return { logits: apply(y, dense(BLANK + 1)), steps };
    },
  );
  const loss = { logits: ctc({ labels: MOST, blank: BLANK, lengths: "steps" }) };
  const steps = epochs * Math.ceil(sequences / batchSize);
  const learningRate = (step: number) => 4e-3 * (1 - (step - 1) / steps);
  return compile(model, { loss, optimizer: adam({ learningRate }), seed });
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

async function main(): Promise<void> {
  const [count, epochs, batchSize] = quick ? [2_000, 5, 16] : [8_000, 5, 16];
  const training = drawSequences(count, 1);
  const test = drawSequences(500, 2);
  console.log(`Pen movements of one sequence, which is ${test.digits[0].join("")}:\n`);
  console.log(`${drawMovements(test, 0)}\n`);
  using trainer = await compileReader(1, count, epochs, batchSize);
  const shape = [TIME, BLANK + 1] as const;
  const read = async () => (await trainer.predict(test.x)).logits;
  console.log("epoch   loss a digit   wrong digits, of the test sequences");
  for await (const { epoch, loss } of trainer.fit({ x: training.x, y: training.y }, { epochs, batchSize })) {
    const found = ctcGreedyDecode(await read(), { shape, blank: BLANK, lengths: test.x.steps });
    const wrong = characterErrorRate(found, test.digits);
    console.log(`${String(epoch).padStart(5)}${loss.toFixed(4).padStart(15)}${percent(wrong).padStart(24)}`);
  }
  const logits = await read();
  const beams = ctcBeamDecode(logits, { shape, blank: BLANK, lengths: test.x.steps, width: 8 });
  const found = beams.map(([best]) => best.labels);
  console.log("\nThe likeliest class at each movement (· is the blank), and what is read from all of them:\n");
  for (let i = 0; i < 4; i++) {
    const path = drawPath(logits.subarray(i * TIME * (BLANK + 1)), test.x.steps[i]);
    console.log(`  ${path.padEnd(TIME)}  ${found[i].join("")}, drawn: ${test.digits[i].join("")}`);
  }
  const errors = characterErrorRate(found, test.digits);
  console.log(`\nBy beam search ${percent(errors)} of the digits are wrong, missing or too many.`);
  report("ctc", 100 * errors);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
