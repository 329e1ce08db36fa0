// Search: which learning rate, width and regularization a small network needs, by random search and by Hyperband.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adam, compile, crossEntropy, dense, dropout, relu, sequential, sgd, tanh } from "steepest";
import { type SampleSet, split, standardScaler } from "steepest/data";
import {
  choices,
  crossValidate,
  hyperband,
  integers,
  logUniform,
  type ParametersOf,
  randomSearch,
  type SearchResult,
  type Strategy,
  search,
  uniform,
  variants,
} from "steepest/search";
import { quick, report } from "./common/report.js";

/** Measures of 342 penguins of three species (Gorman, Williams & Fraser 2014), without those that were not measured. */
export function readPenguins(): { x: number[][]; y: Uint8Array } {
  const program = createRequire(import.meta.url).resolve("vega-datasets");
  const rows: Record<string, string | number | null>[] = JSON.parse(
    readFileSync(join(dirname(program), "../data/penguins.json"), "utf8"),
  );
  // Two of the four: with all of them almost any network is right.
  const measures = ["Beak Length (mm)", "Beak Depth (mm)"];
  const whole = rows.filter((row) => measures.every((name) => typeof row[name] === "number"));
  const species = ["Adelie", "Chinstrap", "Gentoo"];
  return {
    x: whole.map((row) => measures.map((name) => Number(row[name]))),
    y: Uint8Array.from(whole, (row) => species.indexOf(String(row.Species))),
  };
}

/** What is searched: the width and the activation of a hidden layer, dropout, and an optimizer with its own parameters. */
export const SPACE = {
  units: integers(2, 32),
  activation: choices(["relu", "tanh"]),
  dropout: uniform(0, 0.5),
  optimizer: variants({
    adam: { rate: logUniform(1e-4, 1e-1) },
    sgd: { rate: logUniform(1e-4, 1), momentum: uniform(0, 0.95) },
  }),
};

type Parameters = ParametersOf<typeof SPACE>;

/** Trains on one part and gives the share of the other that is right. Scales by the training part alone. */
export async function scoreOf(
  { units, activation, dropout: rate, optimizer }: Parameters,
  { training, validation }: { training: SampleSet; validation: SampleSet },
  { epochs, seed }: { epochs: number; seed: number },
): Promise<number> {
  const scaler = standardScaler(training.x as number[][]);
  const layers = [dense(units), activation === "relu" ? relu() : tanh(), dropout(rate), dense(3)] as const;
  using trainer = await compile(sequential({ input: [2] }, ...layers), {
    loss: crossEntropy(),
    optimizer:
      optimizer.kind === "adam"
        ? adam({ learningRate: optimizer.rate })
        : sgd({ learningRate: optimizer.rate, momentum: optimizer.momentum }),
    metrics: ["accuracy"],
    seed,
  });
  const y = training.y as Uint8Array;
  await trainer.fit({ x: scaler.transform(training.x as number[][]), y }, { epochs, batchSize: 16 });
  const parts = { x: scaler.transform(validation.x as number[][]), y: validation.y as Uint8Array };
  return (await trainer.evaluate(parts)).accuracy;
}

type Samples = ReturnType<typeof readPenguins>;

/** The mean over the folds of the training part, for each budget of epochs. */
function searchBy(strategy: Strategy, training: Samples): Promise<SearchResult<Parameters>> {
  const run = async ({ parameters, budget, seed }: { parameters: Parameters; budget: number; seed: number }) => {
    const options = { folds: 3, stratify: training.y, seed: 1 };
    const { mean } = await crossValidate(training, options, (fold) =>
      scoreOf(parameters, fold, { epochs: Math.round(budget), seed }),
    );
    return mean;
  };
  return search(SPACE, run, { strategy, direction: "maximize", seed: 1 });
}

async function main(): Promise<void> {
  const { training, test } = split(readPenguins(), { parts: { training: 0.7, test: 0.3 }, seed: 1 });
  const most = quick ? 9 : 27;
  const bands = hyperband({ maxBudget: most });
  const byBands = await searchBy(bands, training);
  const spent = byBands.trials.reduce((sum, { budget }) => sum + budget, 0);
  // As many epochs in all.
  const trials = Math.round(spent / most);
  const atRandom = await searchBy(randomSearch({ trials, budget: most }), training);
  const tried = new Set(byBands.trials.map(({ configuration }) => configuration)).size;
  console.log(
    `Hyperband: ${tried} sets of parameters within ${Math.round(spent)} epochs, up to ${most} for each. The best:\n`,
  );
  console.log(byBands.table({ rows: 8 }));
  console.log(`\nRandom search: ${trials} sets of parameters, ${most} epochs for each. The best:\n`);
  console.log(atRandom.table({ rows: 8 }));
  const worst = atRandom.table().split("\n").at(-1);
  console.log(`…\n${worst}\n`);
  const scores: number[] = [];
  for (const [name, { best }] of Object.entries({ Hyperband: byBands, "random search": atRandom })) {
    scores.push(await scoreOf(best.parameters, { training, validation: test }, { epochs: most, seed: best.seed }));
    console.log(
      `${name.padEnd(14)} cross-validated ${(100 * best.score).toFixed(1)} %, on the ${test.y.length} test penguins ${(100 * (scores.at(-1) ?? 0)).toFixed(1)} %`,
    );
  }
  report("search", 100 * Math.min(...scores));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
