// Makes standalone files with the installed package, and what its trainers predict: run by Node in the project, for
// suite/standalone.js. Each model comes as a module with everything in it, and as one with its .wasm beside it.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import * as steepest from "steepest";
import { table } from "steepest/data";
import { saveModel } from "steepest/io";
import { saveStandalone } from "steepest/standalone";
import { integers, uniform } from "../suite/numbers.js";

const { adam, batchNorm, compile, conv2d, crossEntropy, dense, dropout, globalAveragePool } = steepest;
const { lstm, maxPool2d, relu, sequential, tanh } = steepest;

const at = (name) => fileURLToPath(new URL(name, import.meta.url));
const PACKAGE = at("../node_modules/steepest");
const COMMAND = join(PACKAGE, JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8")).bin.steepest);

const models = {
  mlp: sequential({ input: [64] }, dense(128), relu(), dense(64), tanh(), dense(10)),
  cnn: sequential(
    { input: [14, 14, 1] },
    ...[conv2d(16, 3, { padding: "same" }), batchNorm(), relu(), conv2d(16, 3, { padding: "same" })],
    ...[batchNorm(), relu(), maxPool2d(2), conv2d(32, 3), globalAveragePool(), dropout(0.2), dense(10)],
  ),
  lstm: sequential({ input: [9, 8] }, lstm(16, { bidirectional: "concatenate" }), dense(10)),
};

// A batch of each size that a file has a program for, and samples that are left.
const SAMPLES = 75;

/** A few steps, so that running statistics and weights are none that a layer begins with. */
async function trained(model, data, seed) {
  const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), seed });
  await trainer.trainSteps(data, { steps: 4, batchSize: 16 });
  return trainer;
}

/** As who has a saved model and no code makes it. */
async function exportByCommand(trainer, to) {
  const from = at("saved.safetensors");
  await saveModel(trainer, from);
  execFileSync(process.execPath, [COMMAND, "export", "--standalone", from, to]);
}

/** The bits of float32 values, in text. */
const bitsOf = (values) => Array.from(new Uint32Array(values.buffer), (word) => word.toString(16).padStart(8, "0"));

const files = [];
for (const [index, [name, model]] of Object.entries(models).entries()) {
  const size = model.inputShape.reduce((product, length) => product * length, 1);
  const data = { x: uniform(64 * size, -1, 1, 51 + index), y: integers(64, 10, 61 + index) };
  const trainer = await trained(model, data, 5);
  const seed = 71 + index;
  const predicted = await trainer.predict(uniform(SAMPLES * size, -1, 1, seed), { output: "raw" });
  const whole = at(`${name}.mjs`);
  if (name === "mlp") await exportByCommand(trainer, whole);
  else await saveStandalone(trainer, whole, { output: "raw" });
  await saveStandalone(trainer, at(`${name}-beside.mjs`), { format: "wasm-file", output: "raw" });
  files.push({ name, count: SAMPLES * size, seed, predicted: bitsOf(predicted).join(" ") });
}

// Dates, hashed texts and categories are calculated in the file.
const rows = Array.from({ length: 60 }, (_, i) => ({
  height: i % 7 === 0 ? null : `${10 + i},5`,
  planted: `${1 + (i % 28)}.0${1 + (i % 9)}.202${i % 5} 1${i % 10}:30`,
  note: `Ünïcode words ${i % 5}, and ${i}`,
  soil: ["clay", "sand", 'a "b", c'][i % 3],
  tree: i % 3 === 0 ? "ash" : i < 30 ? "oak" : "Eßkastanie",
}));
const { training, transform, inputShape } = table(rows, {
  target: "tree",
  seed: 1,
  columns: {
    height: { type: "number", decimal: ",", missing: "median", indicator: true },
    planted: { type: "date", order: "dayFirst", parts: ["year", "month", "day", "dayOfWeek", "hour", "time"] },
    note: { type: "text", hash: 16 },
  },
});
const grower = await trained(sequential({ input: inputShape }, dense(8), relu(), dense(3)), training, 6);
const features = transform.transform(rows);
const predicted = await grower.predict(features);
await saveStandalone(grower, at("table.mjs"), { table: transform });
await saveStandalone(grower, at("table-beside.mjs"), { table: transform, format: "wasm-file" });
files.push({
  ...{ name: "table", rows, answers: transform.decode(predicted) },
  ...{ features: bitsOf(features).join(" "), predicted: bitsOf(predicted).join(" ") },
});

const lines = files.flatMap(({ name }) => [
  `import { load as ${name} } from "./${name}.mjs";`,
  `import { load as ${name}Beside } from "./${name}-beside.mjs";`,
]);
const entries = files.map(
  (file) => `{ load: ${file.name}, loadBeside: ${file.name}Beside, ...${JSON.stringify(file)} },`,
);
writeFileSync(at("files.js"), [...lines, "export const files = [", ...entries, "];", ""].join("\n"));
