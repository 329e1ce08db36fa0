// Files beside a training: after a divergence, while it runs in the background, twice at once.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  dense,
  functional,
  meanSquaredError,
  relu,
  SteepestError,
  sequential,
  sgd,
} from "steepest";
import {
  decodeCheckpoint,
  decodeWeights,
  encodeCheckpoint,
  encodeWeights,
  FormatError,
  loadCheckpoint,
  loadWeights,
  parseIdx,
  saveCheckpoint,
  saveWeights,
} from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";
import { blobs } from "../train/blobs.js";

const engine = createEngineSync();
const folder = mkdtempSync(join(tmpdir(), "steepest-training-"));
afterAll(() => {
  engine.dispose();
  rmSync(folder, { recursive: true });
});

const model = sequential({ input: [2] }, dense(6), relu(), dense(3));
const trainerWith = (seed: number, learningRate = 0.01) =>
  compileSync(model, { loss: crossEntropy(), optimizer: sgd({ learningRate }), seed, engine, tripwire: false });

describe("after a divergence", () => {
  test("the good file stays, and the error names the first broken value", async () => {
    const path = join(folder, "diverged.safetensors");
    using trainer = trainerWith(1, 3e38);
    using other = trainerWith(2);
    await saveWeights(trainer, path);
    const before = readFileSync(path);
    expect(() => trainer.fitSync(blobs(50), { epochs: 50 })).toThrow(/the loss became/);
    const broken = [...trainer.parameters()].flatMap(([name, { data }]) =>
      [...data].flatMap((value, at) => (Number.isFinite(value) ? [] : [`got ${value} in "${name}" at index ${at}: `])),
    );
    for (const encode of [() => encodeWeights(trainer), () => encodeCheckpoint(trainer.checkpoint())]) {
      expect(encode).toThrow(SteepestError);
      expect(encode).toThrow(/every value must be finite, got (NaN|-?Infinity) in ".*" at index \d+: /);
    }
    await expect(saveWeights(trainer, path)).rejects.toThrow(
      `encodeWeights: every value must be finite, ${broken[0]}nothing was written: call reset(), or load what was saved before`,
    );
    await expect(saveCheckpoint(trainer, path)).rejects.toThrow(/every value must be finite/);
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder)).toEqual(["diverged.safetensors"]);
    await loadWeights(other, path);
  });
});

describe("while a training runs in the background", () => {
  test("a save takes whole steps or is refused; loading is refused; the training is that without them", async () => {
    const path = join(folder, "background.safetensors");
    using background = await createEngine({ background: true });
    const make = () => compile(model, { loss: crossEntropy(), optimizer: sgd(), seed: 3, engine: background });
    using trainer = await make();
    using alone = await make();
    // Behind the first one there is no planning, and calls are long: a file is read in the midst of one.
    const options = { steps: 8000, batchSize: 8 };
    await alone.trainSteps(blobs(50), options);
    await trainer.trainSteps(blobs(50), options);
    const losses = await alone.trainSteps(blobs(50), options);
    await saveCheckpoint(trainer, path);
    const training = trainer.trainSteps(blobs(50), options);
    const during = await Promise.allSettled([
      saveWeights(trainer, path),
      saveCheckpoint(trainer, path),
      loadWeights(trainer, path),
      loadCheckpoint(trainer, path),
    ]);
    for (const outcome of during) {
      if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(SteepestError);
    }
    expect(during[2]?.status, "weights are loaded in the midst of a call").toBe("rejected");
    expect(during[3]?.status, "a checkpoint is loaded in the midst of a call").toBe("rejected");
    expect(await training).toEqual(losses);
    expect(trainer.parameters()).toEqual(alone.parameters());
    await saveCheckpoint(trainer, path);
    await loadCheckpoint(alone, path);
    expect(alone.checkpoint()).toEqual(trainer.checkpoint());
  });

  test("between the epochs of a fit", async () => {
    const path = join(folder, "epochs.safetensors");
    using background = await createEngine({ background: true });
    using trainer = await compile(model, { loss: crossEntropy(), optimizer: sgd(), seed: 3, engine: background });
    using other = trainerWith(4);
    let epochs = 0;
    for await (const { epoch } of trainer.fit(blobs(50), { epochs: 3 })) {
      await Promise.all([saveWeights(trainer, path), saveCheckpoint(trainer, path, { epoch: `${epoch}` })]);
      expect(await loadCheckpoint(other, path)).toEqual({ epoch: `${epoch}` });
      expect(other.parameters()).toEqual(trainer.parameters());
      epochs += 1;
    }
    expect(epochs).toBe(3);
  });
});

test("of two saves of one path at once, the one that was asked for last stays", async () => {
  const path = join(folder, "twice.safetensors");
  using first = trainerWith(1);
  using second = trainerWith(2);
  using third = trainerWith(3);
  await Promise.all([saveWeights(first, path), saveCheckpoint(second, path)]);
  await loadWeights(third, path);
  expect(third.parameters()).toEqual(second.parameters());
});

describe("what bytes and paths may be", () => {
  test("buffers, and parts of them", () => {
    using trainer = trainerWith(1);
    using other = trainerWith(2);
    const weights = encodeWeights(trainer);
    const checkpoint = encodeCheckpoint(trainer.checkpoint());
    const shared = new SharedArrayBuffer(weights.length);
    new Uint8Array(shared).set(weights);
    for (const bytes of [weights.buffer, Buffer.from(weights), shared, checkpoint.buffer]) {
      other.reset();
      decodeWeights(other, bytes);
      expect(other.parameters()).toEqual(trainer.parameters());
    }
    expect(decodeCheckpoint(checkpoint.buffer)).toEqual(decodeCheckpoint(checkpoint));
    expect(parseIdx(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 1, 5).buffer).data).toEqual(Uint8Array.of(5));
  });

  test.each<[string, unknown, RegExp]>([
    ["a path", "model.safetensors", /got "model.safetensors": read the file first, as readFileBytes\(path\) does/],
    ["a promise", Promise.resolve(1), /got a Promise: await it/],
    ["other numbers", new Float32Array(2), /got a Float32Array of 2: view its bytes/],
    ["a response", new Response("x"), /got a Response: of a Response or a Blob, await arrayBuffer\(\)/],
    ["nothing", undefined, /got undefined/],
  ])("bytes that are %s are refused by name", (_, bytes, message) => {
    using trainer = trainerWith(1);
    for (const read of [
      () => decodeWeights(trainer, bytes as never),
      () => decodeCheckpoint(bytes as never),
      () => parseIdx(bytes as never),
    ]) {
      expect(read).toThrow(FormatError);
      expect(read).toThrow(/the bytes must be a Uint8Array or an ArrayBuffer, got /);
      expect(read).toThrow(message);
    }
  });

  test("a buffer that was transferred holds nothing", () => {
    using trainer = trainerWith(1);
    const { buffer } = encodeWeights(trainer);
    structuredClone(buffer, { transfer: [buffer] });
    expect(() => decodeWeights(trainer, buffer)).toThrow(/got a file of 0: the file is truncated/);
  });

  test("file: URLs are paths, others are refused by name", async () => {
    using trainer = trainerWith(1);
    using other = trainerWith(2);
    const url = pathToFileURL(join(folder, "a URL.safetensors"));
    await saveWeights(trainer, url);
    await loadWeights(other, url);
    expect(other.parameters()).toEqual(trainer.parameters());
    await saveCheckpoint(trainer, url);
    await loadCheckpoint(other, url);
    const elsewhere = new URL("https://example.org/model.safetensors");
    for (const save of [saveWeights, saveCheckpoint, loadWeights, loadCheckpoint]) {
      await expect(save(trainer, elsewhere)).rejects.toThrow(
        `${save.name}: path must be text or a file: URL, got "https://example.org/model.safetensors": only file: URLs`,
      );
      await expect(save(undefined as never, url)).rejects.toThrow(
        `${save.name}: needs a trainer, as compile(model, …)`,
      );
      for (const path of [undefined, "", "a\0b", 3, null, {}, Buffer.from("x")]) {
        await expect(save(trainer, path as never)).rejects.toThrow(
          `${save.name}: path must be text or a file: URL, got `,
        );
      }
    }
  });
});

test("trainers of several inputs and outputs are trainers too", () => {
  const two = functional({ input: { a: [2], b: [3] } }, ({ a, b }, { apply }) => ({
    sum: apply(a, dense(2)),
    other: apply(b, dense(1)),
  }));
  const loss = { sum: meanSquaredError(), other: meanSquaredError() };
  using trainer = compileSync(two, { loss, optimizer: sgd(), engine });
  const before = trainer.parameters();
  decodeWeights(trainer, encodeWeights(trainer));
  expect(trainer.parameters()).toEqual(before);
});

test("names are never listed by the thousand", () => {
  using trainer = trainerWith(1);
  const many = Array.from(
    { length: 3000 },
    (_, i) => [`layer ${i}`, { shape: [1], data: new Float32Array(1) }] as const,
  );
  const checkpoint = { ...trainer.checkpoint(), parameters: new Map(many) };
  const bytes = encodeCheckpoint(checkpoint as never);
  for (const refuse of [() => decodeWeights(trainer, bytes), () => trainer.restore(decodeCheckpoint(bytes))]) {
    try {
      refuse();
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message).toMatch(/and 2988 more/);
      expect((error as Error).message.length).toBeLessThan(500);
    }
  }
});
