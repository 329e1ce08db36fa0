import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adam, compileSync, createEngineSync, crossEntropy, dense, relu, sequential, sgd } from "steepest";
import {
  decodeCheckpoint,
  decodeSafetensors,
  decodeWeights,
  encodeCheckpoint,
  encodeSafetensors,
  encodeWeights,
  FormatError,
  loadCheckpoint,
  loadWeights,
  saveCheckpoint,
  saveWeights,
} from "steepest/io";
import { afterAll, expect, test } from "vitest";
import { blobs } from "../train/blobs.js";

const engine = createEngineSync();
const folder = mkdtempSync(join(tmpdir(), "steepest-checkpoint-"));
afterAll(() => {
  engine.dispose();
  rmSync(folder, { recursive: true });
});

// A path with a slash in it, which separates the parts of a tensor's name.
const model = sequential({ input: [2] }, dense(6, { name: "a/b" }), relu(), dense(3));
const trainerWith = (seed: number, optimizer = adam()) =>
  compileSync(model, { loss: crossEntropy(), optimizer, seed, engine, tripwire: false });

function trained(optimizer = adam()) {
  using trainer = trainerWith(1, optimizer);
  trainer.fitSync(blobs(50), { epochs: 3 });
  return trainer.checkpoint();
}

test("a checkpoint is one safetensors file, and comes back bit for bit", () => {
  const checkpoint = trained();
  const bytes = encodeCheckpoint(checkpoint, { note: "of mine" });
  const { tensors, metadata } = decodeSafetensors(bytes);
  const paths = ["2.bias", "2.weight", "a/b.bias", "a/b.weight"];
  expect([...tensors.keys()].sort()).toEqual(
    ["optimizer/firstMoment", "optimizer/secondMoment", "parameters"].flatMap((block) =>
      paths.map((path) => `${block}/${path}`),
    ),
  );
  expect(tensors.get("optimizer/firstMoment/a/b.weight")).toEqual({
    dtype: "F32",
    shape: [2, 6],
    data: checkpoint.optimizer.slots.get("firstMoment")?.get("a/b.weight")?.data,
  });
  expect({ ...metadata }).toEqual({
    format: "steepest",
    checkpoint: "2",
    optimizer: "adam",
    steps: "6",
    epochs: "3",
    seed: "1",
    position: '{"passes":3,"open":[]}',
    note: "of mine",
    digest: expect.stringMatching(/^[0-9a-f]{8}$/),
  });
  expect(decodeCheckpoint(bytes)).toEqual({ ...checkpoint, metadata: { note: "of mine" } });
  expect(encodeCheckpoint(decodeCheckpoint(bytes), { note: "of mine" })).toEqual(bytes);
});

test("an optimizer without state, the smallest numbers and -0", () => {
  const checkpoint = trained(sgd());
  checkpoint.parameters.get("2.bias")?.data.set([-0, 1e-45, -3.4028234663852886e38]);
  const decoded = decodeCheckpoint(encodeCheckpoint(checkpoint));
  expect(decoded).toEqual({ ...checkpoint, metadata: {} });
  expect(decoded.optimizer.slots.size).toBe(0);
});

test("decodeWeights takes the parameters out of it", () => {
  const checkpoint = trained();
  using other = trainerWith(2, sgd());
  expect(decodeWeights(other, encodeCheckpoint(checkpoint, { note: "of mine" })).metadata).toEqual({ note: "of mine" });
  expect(other.parameters()).toEqual(checkpoint.parameters);
  expect(other.steps).toBe(0);
});

test("what is no checkpoint is refused, and says why", () => {
  using trainer = trainerWith(1);
  const good = trained();
  const { metadata: all, tensors } = decodeSafetensors(encodeCheckpoint(good));
  // Of layout 1, which has no digest: otherwise nothing else would be looked at.
  const { digest: _digest, ...notes } = all;
  const metadata: Record<string, string> = { ...notes, checkpoint: "1" };
  const refuse = (change: { metadata?: Record<string, string>; tensors?: object }, message: RegExp) => {
    const file = encodeSafetensors({ ...Object.fromEntries(tensors), ...change.tensors }, change.metadata ?? metadata);
    expect(() => decodeCheckpoint(file, "my.safetensors")).toThrow(FormatError);
    expect(() => decodeCheckpoint(file, "my.safetensors")).toThrow(message);
  };
  expect(() => decodeCheckpoint(encodeWeights(trainer))).toThrow(
    "checkpoint: must be a checkpoint, got the weights of a model: make this model, and read them with decodeWeights() or loadWeights()",
  );
  expect(() => decodeCheckpoint(encodeCheckpoint(good).subarray(0, 900), "my.safetensors")).toThrow(
    /"my.safetensors".*truncated/,
  );
  refuse({ metadata: { ...metadata, format: "pt" } }, /^checkpoint "my.safetensors": must be a checkpoint, got /);
  refuse({ metadata: { ...metadata, checkpoint: "3" } }, /layout must be 1 or 2, got "3"/);
  refuse({ metadata: { ...metadata, checkpoint: "2" } }, /must have the digest undefined of its notes, got undefined/);
  for (const callbacks of ["{", "[]", "null"])
    refuse(
      { metadata: { ...metadata, callbacks } },
      /"callbacks" in its metadata must be what callbacks keep, as JSON/,
    );

  for (const text of ["", "-1", "1.5", "1e3", "99999999999999999"])
    refuse({ metadata: { ...metadata, steps: text } }, /"steps" in its metadata must be a whole number, got "/);
  const { seed: _, ...seedless } = metadata;
  refuse({ metadata: seedless }, /"seed" in its metadata must be a whole number, got undefined/);
  const pass = { number: 1, samples: 9, shuffled: true, row: 4, totals: { loss: 2.5 } };
  const { position: _p, ...older } = metadata;
  expect(decodeCheckpoint(encodeSafetensors({}, older)).position).toBeUndefined();
  const at = (open: unknown, passes: unknown = 1) => ({
    metadata: { ...metadata, position: JSON.stringify({ passes, open }) },
  });
  expect(decodeCheckpoint(encodeSafetensors({}, at([pass]).metadata)).position).toEqual({ passes: 1, open: [pass] });
  for (const broken of [
    at([pass], -1),
    at({}),
    at([{ ...pass, number: 2 }]),
    at([{ ...pass, row: 9 }]),
    at([{ ...pass, samples: 2 ** 32 }]),
    at([{ ...pass, shuffled: 1 }]),
    at([{ ...pass, totals: { loss: "2" } }]),
    at([null]),
    { metadata: { ...metadata, position: "{" } },
  ])
    refuse(broken, /"position" in its metadata must say where the training stands in its data, got "/);
  const { optimizer: __, ...nameless } = metadata;
  refuse({ metadata: nameless }, /must name the optimizer/);
  const one = { shape: [1], data: new Float32Array(1) };
  for (const name of ["parameters", "parameters/", "optimizer/x", "optimizer//x", "other/0.weight", "0.weight"])
    refuse(
      { tensors: { [name]: one } },
      /tensors must be "parameters\/…", "states\/…", "optimizer\/…\/…" and "kept\/…\/…", the file has "/,
    );
  const wide = { shape: [1], data: new Float64Array(1) };
  refuse({ tensors: { "parameters/x": wide } }, /"parameters\/x" must be of dtype F32, the file has F64/);
});

test("what callbacks keep comes back by name; what JSON would change is refused", () => {
  const good = trained();
  const callbacks = {
    earlyStopping: { best: 0.1 + 0.2, epochs: [1, 2], last: null, done: false, note: '"digest":"00000000" ü' },
    ["__proto__"]: { a: { b: [] } },
    mine: "text",
  };
  const best = new Map([["a/b.weight", { shape: [2], data: Float32Array.of(-0, 1e-45) }]]);
  const kept = new Map(["earlyStopping", "a/b%2F", "__proto__"].map((name) => [name, best]));
  const bytes = encodeCheckpoint({ ...good, callbacks, kept });
  expect(decodeCheckpoint(bytes)).toEqual({ ...good, callbacks, kept, metadata: {} });
  expect([...decodeSafetensors(bytes).tensors.keys()]).toContain("kept/a%2Fb%252F/a/b.weight");
  expect(Object.keys(decodeCheckpoint(bytes).callbacks ?? {})).toEqual(Object.keys(callbacks));
  expect(decodeSafetensors(bytes).metadata.callbacks).toBe(JSON.stringify(callbacks));
  const circle: unknown[] = [];
  circle.push(circle);
  for (const [state, got] of [
    [Infinity, "Infinity"],
    [{ best: [1, Number.NaN] }, "NaN at .best[1]"],
    [{ a: [undefined] }, "undefined at .a[0]"],
    [new Map(), "Map"],
    [{ w: Float32Array.of(1) }, "Float32Array"],
    [circle, "an object in itself"],
  ] as const) {
    expect(() => encodeCheckpoint({ ...good, callbacks: { mine: state as never } })).toThrow(
      new RegExp(`what the callback "mine" keeps must be JSON, got .*${got.replace(/[[\].]/g, "\\$&")}`),
    );
  }
  // A trainer leaves it out too.
  const gap = encodeCheckpoint({ ...good, callbacks: { mine: { a: undefined, b: 1 } as never } });
  expect(decodeCheckpoint(gap).callbacks).toEqual({ mine: { b: 1 } });
  expect(() => encodeCheckpoint({ ...good, callbacks: [] as never })).toThrow(/got \[\] as callbacks: take it anew/);
  expect(() => encodeCheckpoint({ ...good, kept: {} as never })).toThrow(/got \{\} as kept: take it anew/);
});

test("notes of one's own go along, and come back alone", async () => {
  using trainer = trainerWith(1);
  const notes = { date: "2026-11-21", ["__proto__"]: "a key like any other", ümläut: "" };
  expect(decodeWeights(trainer, encodeWeights(trainer, notes)).metadata).toEqual(notes);
  expect(decodeSafetensors(encodeWeights(trainer, notes)).metadata).toMatchObject({ format: "steepest", steps: "0" });
  for (const key of [
    "format",
    "layers",
    "checkpoint",
    "optimizer",
    "steps",
    "epochs",
    "seed",
    "position",
    "callbacks",
    "checksum",
    "digest",
  ]) {
    const message = new RegExp(`metadata: format, layers, .* are written by steepest, got "${key}" too: rename yours`);
    expect(() => encodeWeights(trainer, { [key]: "x" })).toThrow(message);
    expect(() => encodeCheckpoint(trainer.checkpoint(), { [key]: "x" })).toThrow(message);
  }
  expect(() => encodeWeights(trainer, { epoch: 3 } as never)).toThrow(
    /encodeWeights: metadata "epoch" must be text, got 3: write String\(value\)/,
  );
  const path = join(folder, "notes.safetensors");
  await saveWeights(trainer, path, notes);
  expect((await loadWeights(trainer, path)).metadata).toEqual(notes);
});

test("files: whole or as they were, and a trainer goes on from one", async () => {
  const path = join(folder, "training.safetensors");
  using trainer = trainerWith(1);
  using other = trainerWith(2);
  for await (const { epoch } of trainer.fit(blobs(50), { epochs: 2 })) {
    await saveCheckpoint(trainer, path, { epoch: String(epoch) });
  }
  expect(await loadCheckpoint(other, path)).toEqual({ epoch: "2" });
  expect(other.checkpoint()).toEqual(trainer.checkpoint());
  expect(readdirSync(folder)).not.toContainEqual(expect.stringMatching(/\.tmp$/));
  // One that went to infinity does not take the good one's place.
  const before = readFileSync(path);
  using wild = trainerWith(1, sgd({ learningRate: 3e38 }));
  expect(() => wild.fitSync(blobs(50), { epochs: 50 })).toThrow(/the loss became/);
  await expect(saveCheckpoint(wild, path)).rejects.toThrow(/every value must be finite/);
  expect(readFileSync(path)).toEqual(before);
  await expect(loadCheckpoint(wild, path)).rejects.toThrow(/is of adam .*this trainer's optimizer is sgd/);
  await expect(loadCheckpoint(other, join(folder, "none"))).rejects.toThrow(/no such file/);
});
