// An imbalanced problem: which collisions with birds damage an aircraft? One in ten does, so "never" is right nine times of ten.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adamW, compile, crossEntropy, dense, dropout, relu, sequential } from "steepest";
import { classWeights, oneHotEncoder, splitIndices, standardScaler } from "steepest/data";
import {
  accuracy,
  averagePrecision,
  balancedAccuracy,
  confusionMatrix,
  precisionRecallCurve,
  precisionRecallFScoreSupport,
} from "steepest/metrics";
import { drawCurves } from "./common/pictures.js";
import { quick, report } from "./common/report.js";

const CATEGORIES = ["Phase of flight", "Wildlife Size", "Wildlife Species", "Time of day", "Aircraft Airline Operator"];
const SPEED = "Speed IAS in knots";
const DAMAGE = "Effect Amount of damage";
const CLASSES = ["no damage", "damage"];

/**
 * 10,000 collisions with birds at 50 airports of the USA, from 1990 to 2002, by the Federal Aviation Administration: what was known
 * of them, and whether they did any damage.
 */
export function readStrikes(): { x: string[][]; y: Uint8Array } {
  const program = createRequire(import.meta.url).resolve("vega-datasets");
  const [head, ...lines] = readFileSync(join(dirname(program), "../data/birdstrikes.csv"), "utf8")
    .trim()
    .split(/\r?\n/);
  const names = head.split(",");
  const rows = lines.map((line) => line.split(","));
  const columns = [...CATEGORIES, SPEED].map((name) => names.indexOf(name));
  const damage = names.indexOf(DAMAGE);
  return {
    x: rows.map((row) => columns.map((column) => row[column])),
    y: Uint8Array.from(rows, (row) => Number(row[damage] !== "None")),
  };
}

/** Categories become ones among zeros, speeds are scaled, and one that is not known is the mean, and said. Learned from `training`. */
export function encoderOf(training: readonly string[][]): (rows: readonly string[][]) => Float32Array[] {
  const encoder = oneHotEncoder(
    training.map((row) => row.slice(0, -1)),
    { unknown: "ignore" },
  );
  const known = training.map((row) => row[row.length - 1]).filter((speed) => speed !== "");
  const scaler = standardScaler(known.map((speed) => [Number(speed)]));
  return (rows) => {
    const { columns } = encoder;
    const flags = encoder.encode(rows.map((row) => row.slice(0, -1)));
    return rows.map((row, i) => {
      const speed = row[row.length - 1];
      const [scaled] = speed === "" ? [0] : scaler.transform([[Number(speed)]]);
      return Float32Array.of(...flags.subarray(i * columns, (i + 1) * columns), scaled, Number(speed === ""));
    });
  };
}

/** The threshold with the best F1, the harmonic mean of precision and recall. */
export function chooseThreshold(scores: ArrayLike<number>, y: ArrayLike<number>): { threshold: number; f1: number } {
  const { precision, recall, thresholds } = precisionRecallCurve(scores, y);
  let best = { threshold: 0.5, f1: 0 };
  for (let i = 0; i < thresholds.length; i++) {
    const f1 = (2 * precision[i] * recall[i]) / (precision[i] + recall[i]);
    if (f1 > best.f1) best = { threshold: thresholds[i], f1 };
  }
  return best;
}

/** For each percent of recall, from 1 on, the best precision that has it. */
export function precisionByRecall(scores: ArrayLike<number>, y: ArrayLike<number>): number[] {
  const { precision, recall } = precisionRecallCurve(scores, y);
  return Array.from({ length: 100 }, (_, i) =>
    Math.max(...Array.from(precision, (value, at) => (recall[at] >= (i + 1) / 100 ? value : 0))),
  );
}

interface Part {
  readonly x: Float32Array[];
  readonly y: Uint8Array;
}

/** The probabilities of damage that a network gives which was trained with these weights of the two classes. */
async function probabilities(
  training: Part,
  others: readonly Part[],
  weights: Float32Array | undefined,
): Promise<Float32Array[]> {
  using trainer = await compile(
    sequential({ input: [training.x[0].length] }, dense(32), relu(), dropout(0.3), dense(2)),
    {
      loss: crossEntropy(weights === undefined ? {} : { classWeights: weights }),
      optimizer: adamW({ learningRate: 0.003, weightDecay: 0.05 }),
      seed: 1,
    },
  );
  await trainer.fit({ x: training.x, y: training.y }, { epochs: quick ? 4 : 12, batchSize: 64 });
  const parts: Float32Array[] = [];
  for (const { x } of others) {
    const both = await trainer.predict(x);
    parts.push(Float32Array.from({ length: x.length }, (_, i) => both[2 * i + 1]));
  }
  return parts;
}

const percent = (value: number) => `${(100 * value).toFixed(1)} %`;

/** A line of the table: answers of yes from the threshold on. Returns their F1. */
function tell(name: string, scores: Float32Array, y: Uint8Array, threshold: number): number {
  const answers = Array.from(scores, (score) => Number(score >= threshold));
  const { precision, recall, fScore } = precisionRecallFScoreSupport(answers, y);
  const cells = [accuracy(answers, y), balancedAccuracy(answers, y), precision[1], recall[1]].map(percent);
  console.log(
    [
      name.padEnd(31),
      threshold.toFixed(3),
      ...cells.map((cell) => cell.padStart(9)),
      fScore[1].toFixed(3).padStart(8),
    ].join("  "),
  );
  return fScore[1];
}

async function main(): Promise<void> {
  const { x, y } = readStrikes();
  const shares = { training: 0.6, validation: 0.2, test: 0.2 };
  const indices = splitIndices(y.length, { parts: shares, stratify: y, seed: 1 });
  const encode = encoderOf(Array.from(indices.training, (i) => x[i]));
  const partOf = (of: Uint32Array): Part => ({
    x: encode(Array.from(of, (i) => x[i])),
    y: Uint8Array.from(of, (i) => y[i]),
  });
  const [training, validation, test] = [indices.training, indices.validation, indices.test].map(partOf);
  const weights = classWeights(training.y);
  const share = test.y.reduce((sum, one) => sum + one, 0) / test.y.length;
  console.log(
    `${training.y.length} strikes to learn from, ${percent(share)} with damage; classes weigh ${weights[0].toFixed(2)} and ${weights[1].toFixed(2)}.\n`,
  );

  const [plainValidation, plainTest] = await probabilities(training, [validation, test], undefined);
  const [weightedValidation, weightedTest] = await probabilities(training, [validation, test], weights);
  const [plain, weighted] = [plainValidation, weightedValidation].map((scores) =>
    chooseThreshold(scores, validation.y),
  );

  console.log(
    drawCurves("precision by recall (%), on the validation part", {
      "as it is": precisionByRecall(plainValidation, validation.y),
      weighted: precisionByRecall(weightedValidation, validation.y),
    }),
  );
  console.log(`\n${"on the test part".padEnd(30)}  threshold   accuracy   balanced  precision     recall        F1`);
  tell("never", new Float32Array(test.y.length), test.y, 0.5);
  tell("as it is", plainTest, test.y, 0.5);
  tell("as it is, threshold chosen", plainTest, test.y, plain.threshold);
  tell("classes weighted", weightedTest, test.y, 0.5);
  const reached = tell("classes weighted, thr. chosen", weightedTest, test.y, weighted.threshold);
  const areas = [plainTest, weightedTest].map((scores) => averagePrecision(scores, test.y).toFixed(3));
  console.log(`\naverage precision: ${areas[0]} as it is, ${areas[1]} weighted; ${share.toFixed(3)} by chance\n`);
  const answers = Array.from(weightedTest, (score) => CLASSES[Number(score >= weighted.threshold)]);
  const truth = Array.from(test.y, (one) => CLASSES[one]);
  console.log(String(confusionMatrix(answers, truth, { labels: CLASSES })));
  report("imbalanced", reached);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
