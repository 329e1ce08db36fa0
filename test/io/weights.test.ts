import { adam, compileSync, createEngineSync, crossEntropy, dense, relu, sequential } from "steepest";
import { decodeSafetensors, decodeWeights, encodeSafetensors, encodeWeights, FormatError } from "steepest/io";
import { afterAll, expect, test } from "vitest";
import { blobs } from "../train/blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(6, { name: "hidden" }), relu(), dense(3));
const trainerWith = (seed: number) => compileSync(model, { loss: crossEntropy(), optimizer: adam(), seed, engine });

test("weights go round, bit for bit, under the model's paths", () => {
  using trained = trainerWith(1);
  trained.fitSync(blobs(50), { epochs: 3 });
  const bytes = encodeWeights(trained);
  const { tensors, metadata } = decodeSafetensors(bytes);
  expect([...tensors.keys()].sort()).toEqual(["2.bias", "2.weight", "hidden.bias", "hidden.weight"]);
  expect(tensors.get("hidden.weight")).toMatchObject({ dtype: "F32", shape: [2, 6] });
  expect(metadata).toMatchObject({ format: "steepest", steps: "6" });
  using other = trainerWith(2);
  const { x } = blobs(20);
  expect(other.predictSync(x)).not.toEqual(trained.predictSync(x));
  decodeWeights(other, bytes);
  expect(other.predictSync(x)).toEqual(trained.predictSync(x));
});

test("a file of another model is refused, and changes nothing", () => {
  using trainer = trainerWith(1);
  const before = trainer.parameters();
  const good = Object.fromEntries(before);
  const refuse = (tensors: Parameters<typeof encodeSafetensors>[0], message: RegExp): void => {
    expect(() => decodeWeights(trainer, encodeSafetensors(tensors), "other.safetensors")).toThrow(FormatError);
    expect(() => decodeWeights(trainer, encodeSafetensors(tensors), "other.safetensors")).toThrow(message);
  };
  const { "2.bias": _, ...missing } = good;
  refuse(missing, /the model needs "2.bias", got a file with 2.weight, hidden.bias, hidden.weight/);
  refuse(
    { ...good, "2.bias": { shape: [4], data: new Float32Array(4) } },
    /"2.bias" must be \[3\] for this model, the file has \[4\]/,
  );
  refuse(
    { ...good, "2.bias": { shape: [3], data: new Uint8Array(3), dtype: "BOOL" } },
    /must be of numbers, the file has BOOL/,
  );
  refuse(
    { ...good, extra: { shape: [1], data: new Float32Array(1) } },
    /this model has no such parameters, got extra in the file/,
  );
  const infinite = { shape: [3], data: Float32Array.of(0, Number.NaN, 0) };
  expect(() => decodeWeights(trainer, encodeSafetensors({ ...good, "2.bias": infinite }))).toThrow(
    /got NaN at index 1/,
  );
  expect(trainer.parameters()).toEqual(before);
});
