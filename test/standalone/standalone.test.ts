// Models as files that need no library: the bits of the trainer, the size. Every runtime: test/everywhere/suite/standalone.js.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as S from "steepest";
import { toStandalone } from "steepest/standalone";
import { describe, expect, test } from "vitest";
import { createRandom } from "../ops/cases.js";
import { folder, opened } from "./opened.js";

const random = createRandom(3).uniform;
const numbers = (length: number) => Float32Array.from({ length }, () => 2 * random() - 1);
const classes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 10));

interface Sample {
  readonly model: unknown;
  readonly size: number;
  /** Bytes, gzipped, besides the weights. */
  readonly most: number;
}

const KB = 1024;
const page = readFileSync(new URL("../../docs/standalone.md", import.meta.url), "utf8");
const SAMPLES: Record<string, Sample> = {
  mlp: {
    model: S.sequential({ input: [64] }, S.dense(128), S.relu(), S.dense(64), S.tanh(), S.dense(10)),
    size: 64,
    most: 15 * KB,
  },
  cnn: {
    model: S.sequential(
      { input: [14, 14, 1] },
      ...[S.conv2d(16, 3, { padding: "same" }), S.batchNorm(), S.relu(), S.conv2d(16, 3, { padding: "same" })],
      ...[S.batchNorm(), S.relu(), S.maxPool2d(2), S.conv2d(32, 3), S.globalAveragePool(), S.dropout(0.2), S.dense(10)],
    ),
    size: 196,
    most: 30 * KB,
  },
  lstm: {
    model: S.sequential({ input: [9, 8] }, S.lstm(16, { bidirectional: "concatenate" }), S.dense(10)),
    size: 72,
    most: 30 * KB,
  },
};

/** Trained for a few steps, so that running statistics are none that a layer begins with. */
function trained({ model, size }: Sample) {
  const trainer = S.compileSync(model as ReturnType<typeof S.sequential>, {
    loss: S.crossEntropy(),
    optimizer: S.adam(),
    seed: 5,
  });
  trainer.trainStepsSync({ x: numbers(64 * size) as never, y: classes(64) }, { steps: 4, batchSize: 16 } as never);
  return trainer;
}

const bitsOf = (values: Float32Array) => Buffer.from(new Uint8Array(values.buffer)).toString("hex");

describe.each(Object.entries(SAMPLES))("%s", (name, sample) => {
  const trainer = trained(sample);
  const weights = [...trainer.parameters().values()].reduce((sum, { data }) => sum + data.byteLength, 0);

  test("has the bits of the trainer, for any number of samples, and is small", async () => {
    const { load } = await opened(trainer, name);
    const { predict } = await load();
    for (const count of [1, 7, 64, 75, 300]) {
      const x = numbers(count * sample.size);
      expect(bitsOf(predict(x)), `${count}`).toBe(bitsOf(trainer.predictSync(x as never)));
    }
    const file = readFileSync(join(folder, `${name}.mjs`));
    expect(gzipSync(file).length).toBeLessThan(sample.most + weights);
    // Parameters that pack to nothing leave the rest.
    const empty = S.compileSync(sample.model as ReturnType<typeof S.sequential>, { loss: S.crossEntropy(), seed: 5 });
    empty.setParameters(
      new Map([...empty.parameters()].map(([path, { data, shape }]) => [path, { data: data.fill(0), shape }])),
    );
    const rest = gzipSync((await toStandalone(empty)).module).length;
    expect(rest).toBeLessThan(sample.most);
    const stated = [...page.matchAll(/\| (\d+) KB \| (\d+) KB \|/g)][Object.keys(SAMPLES).indexOf(name)];
    expect(Math.abs(rest / KB - Number(stated[1]))).toBeLessThan(1.5);
    expect(sample.most).toBe(Number(stated[2]) * KB);
    // Nothing of it is code that is made while it runs, or comes from elsewhere.
    expect(String(file)).not.toMatch(/\beval\b|\bFunction\b|\bimport\b|\brequire\b|\bfetch\b/);
  });
});
