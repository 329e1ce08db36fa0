// A row for each export of "steepest/io" and "steepest/progress".
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Trainer } from "steepest";
import * as io from "steepest/io";
import { createProgressDisplay, type ProgressDisplay } from "steepest/progress";
import type { Row } from "../sweep.js";

const { pt } = JSON.parse(readFileSync(new URL("../../golden/pytorchFile.json", import.meta.url), "utf8"));
const BRAIN = JSON.stringify({ sizes: [1, 1], layers: [{ 0: {} }, { 0: { bias: 1, weights: { 0: 2 } } }] });
const PT = new Uint8Array(Buffer.from(pt.module, "base64"));
const IDX = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6);
const INDEX = new TextEncoder().encode('{"weight_map":{}}');
const notes = () => ({ note: "of mine" });
const display = await createProgressDisplay<"accuracy">(3);

/** Rows over a trainer, with files in a folder. */
export function ioRows(trainer: Trainer, folder: string): readonly Row[] {
  // Not gone into: its methods are its own.
  const held: Trainer = Object.create(trainer);
  const path = join(folder, "weights.safetensors");
  const model = join(folder, "model.safetensors");
  const other = join(folder, "checkpoint.safetensors");
  // Every text is a path: one that may be written stands for all.
  const within = (given: unknown, file: string) => (typeof given === "string" && given !== "" ? file : given) as string;
  const weights = io.encodeWeights(trainer);
  const whole = io.encodeModel(trainer);
  const pytorch = io.decodeSafetensors(io.encodeSafetensors(io.toPyTorch(trainer))).tensors;
  const saving = () => ({ preprocessing: { scale: [1, 2] }, metadata: notes(), dtype: "float16" });
  const contents = ["preprocessing", "preprocessing.*", "preprocessing.*.*"];
  const savingFree = (at: string) => ({
    optional: [at],
    records: [`${at}.preprocessing`, `${at}.metadata`],
    untouched: contents.slice(1).map((name) => `${at}.${name}`),
  });
  const checkpoint = io.encodeCheckpoint(trainer.checkpoint());
  const buffers = ["object"] as const;
  const memory = io.memoryStore();

  const encoding: readonly Row[] = [
    {
      name: "encodeWeights",
      call: io.encodeWeights,
      good: () => [held, notes(), { dtype: "bfloat16" }],
      optional: ["1", "2"],
      records: ["1"],
    },
    {
      name: "encodeNpy",
      call: io.encodeNpy,
      good: () => [{ dtype: "F32", shape: [2], data: Float32Array.of(1, 2) }],
      required: ["0.shape", "0.data"],
    },
    {
      name: "encodeNpz",
      call: io.encodeNpz,
      good: () => [{ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }],
      required: ["0.w.shape", "0.w.data"],
      records: ["0"],
    },
    { name: "toPyTorch", call: io.toPyTorch, good: () => [held] },
    { name: "encodeModel", call: io.encodeModel, good: () => [held, saving()], ...savingFree("1") },
    {
      name: "encodeCheckpoint",
      call: io.encodeCheckpoint,
      good: () => [trainer.checkpoint(), notes()],
      optional: ["1"],
      required: [
        "0.steps",
        "0.epochs",
        "0.seed",
        "0.parameters",
        "0.optimizer",
        "0.optimizer.name",
        "0.optimizer.slots",
      ],
      untouched: ["0.position", "0.position.*", "0.position.*.*"],
      records: ["0", "0.optimizer", "1"],
    },
    {
      name: "encodeSafetensors",
      call: io.encodeSafetensors,
      good: () => [{ w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } }, notes()],
      optional: ["1"],
      required: ["0.w.shape", "0.w.data"],
      records: ["0", "1"],
    },
  ];
  const decoding: readonly Row[] = [
    {
      name: "decodeWeights",
      where: ["weights", "safetensors file"],
      call: io.decodeWeights,
      good: () => [held, weights, "name"],
      optional: ["2"],
      accepts: { "1": buffers },
    },
    {
      name: "decodePyTorch",
      where: ["PyTorch file"],
      call: io.decodePyTorch,
      good: () => [PT, "name"],
      optional: ["1"],
      accepts: { "0": buffers },
    },
    {
      name: "fromBrain",
      call: io.fromBrain,
      good: () => [BRAIN],
      accepts: { "0": buffers },
    },
    {
      name: "decodeNpy",
      where: ["NumPy file"],
      call: io.decodeNpy,
      good: () => [io.encodeNpy({ shape: [2], data: Float32Array.of(1, 2) }), "name"],
      optional: ["1"],
      accepts: { "0": buffers },
    },
    {
      name: "decodeNpz",
      where: ["NumPy archive"],
      call: io.decodeNpz,
      good: () => [io.encodeNpz({ w: { shape: [2], data: Float32Array.of(1, 2) } }), "name"],
      optional: ["1"],
      accepts: { "0": buffers },
    },
    { name: "fromPyTorch", call: io.fromPyTorch, good: () => [held, pytorch] },
    {
      name: "decodeModel",
      where: ["model"],
      call: io.decodeModel,
      good: () => [whole, { custom: { scaled: () => ({}) } }, "name"],
      optional: ["1", "2"],
      accepts: { "0": buffers },
      records: ["1.custom"],
    },
    {
      name: "decodeCheckpoint",
      where: ["checkpoint", "safetensors file"],
      call: io.decodeCheckpoint,
      good: () => [checkpoint, "name"],
      optional: ["1"],
      accepts: { "0": buffers },
    },
    {
      name: "decodeSafetensors",
      where: ["safetensors file"],
      call: io.decodeSafetensors,
      good: () => [weights, "name"],
      optional: ["1"],
      accepts: { "0": buffers },
    },
    {
      name: "parseIdx",
      where: ["IDX file"],
      call: io.parseIdx,
      good: () => [IDX, "name"],
      optional: ["1"],
      accepts: { "0": buffers },
    },
  ];
  const files: readonly Row[] = [
    {
      name: "saveWeights",
      where: ["encodeWeights"],
      call: (of: Trainer, to: unknown, ...rest: []) => io.saveWeights(of, within(to, path), ...rest),
      good: () => [held, path, notes(), { dtype: "float16" }],
      optional: ["2", "3"],
      records: ["2"],
    },
    {
      name: "loadWeights",
      call: (of: Trainer, from: unknown) => io.loadWeights(of, within(from, path)),
      good: () => [held, path],
    },
    {
      name: "saveModel",
      where: ["encodeModel"],
      call: (of: Trainer, to: unknown, ...rest: []) => io.saveModel(of, within(to, model), ...rest),
      good: () => [held, model, saving()],
      ...savingFree("2"),
    },
    {
      name: "loadModel",
      where: ["decodeModel"],
      call: (from: unknown, ...rest: []) => io.loadModel(within(from, model), ...rest),
      good: () => [model, { custom: { scaled: () => ({}) } }],
      optional: ["1"],
      records: ["1.custom"],
    },
    {
      name: "saveCheckpoint",
      where: ["encodeCheckpoint"],
      call: (of: Trainer, to: unknown, ...rest: []) => io.saveCheckpoint(of, within(to, other), ...rest),
      good: () => [held, other, notes()],
      optional: ["2"],
      records: ["2"],
    },
    {
      name: "loadCheckpoint",
      call: (of: Trainer, from: unknown) => io.loadCheckpoint(of, within(from, other)),
      good: () => [held, other],
    },
    {
      name: "writeFileAtomic",
      call: (to: unknown, bytes: Uint8Array) => io.writeFileAtomic(within(to, join(folder, "bytes")), bytes),
      good: () => [path, IDX],
      accepts: { "1": buffers },
    },
    { name: "readFileBytes", call: (from: unknown) => io.readFileBytes(within(from, path)), good: () => [path] },
  ];
  const shards = () => weights;
  const sources: readonly Row[] = [
    {
      name: "readSafetensors",
      where: ["safetensors file"],
      call: io.readSafetensors,
      good: () => [weights, { name: "name" }],
      optional: ["1"],
      accepts: { "0": buffers },
    },
    {
      name: "readWeights",
      where: ["weights", "safetensors file"],
      call: io.readWeights,
      good: () => [held, weights, { name: "name" }],
      optional: ["2"],
      accepts: { "1": buffers },
    },
    {
      name: "readModel",
      where: ["model", "safetensors file"],
      call: io.readModel,
      good: () => [whole, { custom: { scaled: () => ({}) }, name: "name" }],
      optional: ["1"],
      accepts: { "0": buffers },
      records: ["1.custom"],
    },
    {
      name: "readSafetensors: parts",
      where: ["readSafetensors", "index of safetensors files", "safetensors file"],
      call: io.readSafetensors,
      good: () => [INDEX, { shards, name: "name" }],
      optional: ["1"],
      accepts: { "0": buffers },
      opaque: ["1.shards"],
    },
    {
      name: "loadSafetensors",
      call: (from: unknown) => io.loadSafetensors(within(from, path)),
      good: () => [path],
    },
    {
      name: "encodeShards",
      call: io.encodeShards,
      good: () => [
        { w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } },
        { maxShardBytes: 4, name: "model", metadata: notes() },
      ],
      optional: ["1"],
      required: ["0.w.shape", "0.w.data"],
      records: ["0", "1.metadata"],
    },
  ];
  const stores: readonly Row[] = [
    {
      name: "folderStore",
      call: (at: unknown) => io.folderStore(within(at, folder)),
      good: () => [folder],
    },
    { name: "opfsStore", call: io.opfsStore, good: () => ["checkpoints"], optional: ["0"] },
    { name: "indexedDbStore", call: io.indexedDbStore, good: () => ["checkpoints"], optional: ["0"] },
    { name: "memoryStore", call: io.memoryStore, good: () => [] },
    {
      name: "memoryStore: save",
      where: ["memoryStore"],
      call: io.memoryStore().save,
      good: () => ["step-1", IDX],
      accepts: { "1": buffers },
    },
    {
      name: "loadLatest",
      call: io.loadLatest,
      good: () => [memory, { prefix: "" }],
      optional: ["1"],
      opaque: ["0"],
    },
  ];
  return [...encoding, ...decoding, ...files, ...sources, ...stores, ...progressRows];
}

const scores = () => ({ loss: 0.5, accuracy: 0.9 });

const progressRows: readonly Row[] = [
  { name: "createProgressDisplay", call: createProgressDisplay, good: () => [3] },
  {
    name: "onProgress",
    call: (progress: Parameters<ProgressDisplay<"accuracy">["onProgress"]>[0]) => display.onProgress(progress),
    good: () => [{ epoch: 1, samples: 5, samplesPerEpoch: 9, samplesPerSecond: 7, remainingMs: 3, scores: scores() }],
    optional: ["0.scores.accuracy"],
    required: ["0.*", "0.scores.loss"],
    records: ["0", "0.scores"],
  },
  {
    name: "finishEpoch",
    call: (result: Parameters<ProgressDisplay<"accuracy">["finishEpoch"]>[0]) => display.finishEpoch(result),
    good: () => [{ epoch: 1, step: 5, durationMs: 9, samplesPerSecond: 7, ...scores(), validation: scores() }],
    optional: ["0.accuracy", "0.validation", "0.validation.accuracy"],
    required: ["0.epoch", "0.step", "0.durationMs", "0.samplesPerSecond", "0.loss", "0.validation.loss"],
    records: ["0", "0.validation"],
  },
];

/** What the rows must name. */
export const namesOfIo: readonly string[] = [...Object.keys(io), "createProgressDisplay"].filter(
  (name) => name !== "FormatError",
);
