// A table's model as a file of its own: features before scaling go in, labels or numbers in the target's units come out.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as S from "steepest";
import { labelMap, standardScaler, table } from "steepest/data";
import { saveModel } from "steepest/io";
import { expect, test } from "vitest";
import { writeStandalone } from "../../src/cli/standalone.js";
import { folder, type Opened } from "../standalone/opened.js";

const rows = Array.from({ length: 60 }, (_, i) => ({
  size: i % 7 === 3 ? "" : String(10 + (i % 9)),
  day: `2024-0${1 + (i % 9)}-1${i % 8}`,
  grade: ["low", "mid", "high"][i % 3],
  town: ["Ulm", "Bern", "Graz"][(i * 7) % 3],
  open: i % 2 === 0 ? "yes" : "no",
  price: String(100 + ((i * 13) % 40)),
  kind: i % 9 > 4 ? "big" : "small",
}));
const columns = { grade: { ordinal: ["low", "mid", "high"] } } as const;

type Own = { predict(x: unknown): Float32Array; classify(x: unknown): unknown[] };
const openFile = async (name: string) =>
  (await ((await import(join(folder, name))) as Opened).load()) as unknown as Own;

test.each(["kind", "price"] as const)("a table whose target is %s", async (target) => {
  const { training, transform } = table(rows, { target, columns, parts: { training: 1 } } as never);
  const width = Math.max(1, transform.classes.length);
  const loss = target === "kind" ? S.crossEntropy() : S.meanSquaredError();
  const model = S.sequential({ input: [transform.features.length] }, S.dense(width));
  const trainer = S.compileSync(model, { loss: loss as never, optimizer: S.adam(), seed: 3 });
  trainer.trainStepsSync(training as never, { steps: 50, batchSize: 20 });
  const path = join(folder, `${target}.safetensors`);
  await saveModel(trainer, path, { preprocessing: { table: transform } });
  const { files, features } = await writeStandalone("export", path, join(folder, `${target}.mjs`));
  expect(files.length).toBe(2);
  expect(features).toEqual(transform.features);

  // What the features are before they are scaled, by their names.
  const scaled = transform.transform(rows as never);
  const count = features?.length ?? 0;
  const { columns: fitted, target: fittedTarget } = transform.toJSON();
  const offsets = new Map<string, { offset: number; scale: number }>();
  for (const column of fitted) {
    if (column.type === "number" || column.type === "ordinal") offsets.set(column.name, column);
    if (column.type === "date") for (const part of column.parts) offsets.set(`${column.name} ${part.part}`, part);
  }
  expect(offsets.size).toBeGreaterThan(3);
  const before = Array.from(scaled, (value, at) => {
    const { offset, scale } = offsets.get(transform.features[at % count]) ?? { offset: 0, scale: 1 };
    // Whole numbers all of them, but for the mean in place of what is missing and what goes round.
    const own = value * scale + offset;
    return Math.abs(own - Math.round(own)) < 1e-4 ? Math.round(own) : own;
  });
  const file = await openFile(`${target}.mjs`);
  const predicted = trainer.predictSync(scaled);
  const answers = transform.decode(predicted);
  if (target === "kind") {
    expect(file.classify(before)).toEqual(answers);
    expect(new Set(answers).size).toBe(2);
  } else {
    expect("offset" in fittedTarget).toBe(true);
    file.predict(before).forEach((value, at) => {
      expect(Math.abs(value - (answers[at] as number))).toBeLessThan(1e-3);
    });
  }
});

test("a model whose preprocessing has a scaler and labels, beside its module", async () => {
  const x = Array.from({ length: 8 }, (_, i) => [i, i * i]);
  const [scaler, labels] = [standardScaler(x), labelMap(["no", "yes"])];
  const trainer = S.compileSync(S.sequential({ input: [2] }, S.dense(2)), { seed: 6 });
  const path = join(folder, "own.safetensors");
  await saveModel(trainer, path, { preprocessing: { scaler, labels, other: 3 } });
  const { files, features } = await writeStandalone("export", path, join(folder, "own.mjs"), { format: "wasm-file" });
  expect(features).toBeUndefined();
  const { load } = (await import(join(folder, "own.mjs"))) as Opened;
  const file = (await load(readFileSync(files[1]))) as unknown as Own;
  const wanted = trainer.predictSync(scaler.transform(x));
  expect(file.predict(x)).toEqual(wanted);
  const best = x.map((_, row) => (wanted[2 * row + 1] > wanted[2 * row] ? 1 : 0));
  expect(file.classify(x)).toEqual(labels.decode(best));
});
