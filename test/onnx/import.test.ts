// ONNX files as models: those of PyTorch give what PyTorch says, and what was exported here comes back.
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { fromOnnx, toOnnx } from "../../src/onnx/index.js";
import {
  adam,
  batchNorm,
  compileSync,
  conv2d,
  createEngine,
  crossEntropy,
  dense,
  type Engine,
  flatten,
  ModelError,
  relu,
  SteepestError,
  sequential,
} from "../../src/platform/node.js";
import { mutations } from "../mutations/mutate.js";
import { createRandom } from "../ops/cases.js";
import { farthest, trained } from "./compared.js";
import { LAYERS } from "./layers.js";
import { randomInputs } from "./runtime.js";

const folder = new URL("files/", import.meta.url);
const fileOf = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

interface Recorded {
  readonly name: string;
  readonly x: number[];
  readonly y: number[];
}

const recorded: Recorded[] = JSON.parse(readFileSync(new URL("recorded.json", folder), "utf8"));

const recordedRows = (name: string): number => (name === "torchCnn" ? 3 : 2);

test.each(recorded)("$name gives what PyTorch says, in batches of any size", async ({ name, x, y }) => {
  const { model } = await fromOnnx(fileOf(`${name}.onnx`));
  const trainer = compileSync(model as never, { engine });
  expect(farthest(trainer.predictSync(x as never) as never, y)).toBeLessThan(1e-5);
  const [inputs, outputs] = [x.length / recordedRows(name), y.length / recordedRows(name)];
  const first = trainer.predictSync(x.slice(0, inputs) as never) as never;
  expect(farthest(first, y.slice(0, outputs))).toBeLessThan(1e-5);
  trainer.dispose();
});

test("an imported model can be trained, and parts of it frozen", async () => {
  const { model } = await fromOnnx(fileOf("torchCnn.onnx"));
  expect([...model.parameters.keys()]).toContain("head.3.weight");
  const x = Float32Array.from(recorded[0].x);
  const trainer = compileSync(
    model as never,
    { engine, loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }), frozen: ["first", "norm"] } as never,
  );
  const weights = trainer.parameters();
  const samples = { x, y: [0, 1, 2] } as never;
  const before = trainer.evaluateSync(samples).loss;
  await trainer.fit(samples, { epochs: 60, batchSize: 3 });
  const after = trainer.evaluateSync(samples).loss;
  expect(after).toBeLessThan(before / 2);
  const now = trainer.parameters();
  for (const path of ["first.weight", "norm.weight", "norm.running_mean"].filter((one) => weights.has(one))) {
    expect(now.get(path)?.data).toEqual(weights.get(path)?.data);
  }
  expect(now.get("head.3.weight")?.data).not.toEqual(weights.get("head.3.weight")?.data);
  trainer.reset();
  expect(trainer.parameters()).toEqual(weights);
  trainer.dispose();
});

describe("what was exported comes back", () => {
  test.each(Object.entries(LAYERS))("%s", async (_, models) => {
    for (const model of models() as AnyModel[]) {
      const random = createRandom(3).uniform;
      const trainer = trained(model, engine, random);
      const bytes = await toOnnx(trainer as never);
      const again = await fromOnnx(bytes);
      const back = compileSync(again.model as never, { engine });
      const inputs = randomInputs(model, 3, random);
      const x = model.inputs[0].key === undefined ? inputs.x : inputs;
      trainer.resetState();
      const wanted = trainer.predictSync(x as never) as unknown as Record<string, Float32Array>;
      const given = model.inputs.length === 1 ? Object.values(inputs)[0] : inputs;
      const got = back.predictSync(given as never) as unknown as Record<string, Float32Array>;
      for (const { key } of model.outputs) {
        const one = (found: Record<string, Float32Array>, name = key) =>
          key === undefined ? (found as unknown as Float32Array) : found[name as string];
        expect(farthest(got[`${key}_1`] ?? one(got), one(wanted))).toBeLessThanOrEqual(1e-5);
      }
      trainer.dispose();
      back.dispose();
    }
  });
});

/** Loads a file and gives the error's name, or "loaded"; and how long it took. */
async function tryOut(bytes: Uint8Array): Promise<string> {
  try {
    await fromOnnx(bytes);
    return "loaded";
  } catch (error) {
    if (!(error instanceof SteepestError)) throw error;
    return error.message;
  }
}

describe("files of anybody", () => {
  const small = async (): Promise<Uint8Array> => {
    const model = sequential({ input: [6, 6, 2] }, conv2d(3, 2), batchNorm(), relu(), flatten(), dense(3));
    const trainer = compileSync(model, { engine });
    const bytes = await toOnnx(trainer);
    trainer.dispose();
    return bytes;
  };

  test("a cut file is refused, wherever it is cut", async () => {
    const whole = await small();
    expect(await tryOut(whole)).toBe("loaded");
    for (let length = 0; length < whole.length; length += 7) {
      expect(await tryOut(whole.subarray(0, length))).toMatch(/^fromOnnx/);
    }
  });

  test("all nodes that there is no operation for are named in one error", async () => {
    const text = Buffer.from(await small()).toString("latin1");
    const changed = text.replaceAll("Relu", "Rely").replaceAll("Conv", "Cone");
    const error = await fromOnnx(new Uint8Array(Buffer.from(changed, "latin1"))).catch((caught: Error) => caught);
    expect(error).toBeInstanceOf(ModelError);
    expect((error as Error).message).toMatch(
      /^fromOnnx: there must be an operation for each node, got Cone ".+", Rely ".+": see docs\/onnx\.md/,
    );
  });

  test("a node that calculates a shape, and lacks an input, is refused", async () => {
    // Found by test/mutations.
    const file = mutations(fileOf("torchMixer.onnx"), "ONNX of PyTorch")(13495);
    await expect(fromOnnx(file)).rejects.toThrow(/^fromOnnx: Gather "\/Gather": must have 2 inputs, got 1$/);
  });

  test("a changed file loads or is refused by an error of the library", async () => {
    const files = [await small(), fileOf("torchMixer.onnx")];
    const random = createRandom(11);
    let loaded = 0;
    for (let round = 0; round < 3000; round++) {
      const bytes = files[round % 2].slice();
      const changes = 1 + random.below(3);
      for (let change = 0; change < changes; change++) bytes[random.below(bytes.length)] = random.below(256);
      if ((await tryOut(bytes)) === "loaded") loaded++;
    }
    expect(loaded).toBeGreaterThan(0);
    expect(loaded).toBeLessThan(3000);
  });
});

test("all recorded files have a test", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".onnx"));
  expect(files.sort()).toEqual(recorded.map(({ name }) => `${name}.onnx`).sort());
});
