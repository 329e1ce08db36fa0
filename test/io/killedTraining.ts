// Runs in a process of its own: goes on with a training from the latest checkpoint of a folder until it is killed, and saves
// again and again. Says when it has done a step or asked the disk for something, so that it can be killed at any of these
// moments; at the end, where it got to.
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { adam, batchNorm, type Callback, compileSync, crossEntropy, dense, dropout, relu, sequential } from "steepest";
import { encodeCheckpoint, loadLatest } from "steepest/io";
import { checkpoints } from "../../src/callbacks/index.js";
import { folderStoreOn } from "../../src/platform/folderStore.js";
import { blobs } from "../train/blobs.js";
import { brokenDisk } from "./brokenDisk.js";

const EPOCHS = 4;
const say = () => void writeSync(1, ".");

const store = folderStoreOn(brokenDisk({ fail: say }), process.argv[2] ?? "");
const model = sequential({ input: [2] }, dense(16), batchNorm(), relu(), dropout(0.3), dense(3));
const optimizer = adam({ learningRate: (step: number) => 0.01 / (1 + step / 50) });
const trainer = compileSync(model, { loss: crossEntropy(), optimizer, metrics: ["accuracy"], seed: 5 });
const latest = await loadLatest(store);
if (latest?.skipped.length) throw new Error("a checkpoint is torn");
if (latest !== undefined) trainer.restore(latest.checkpoint);

/** A callback with a memory: losses of all steps, and the epochs' scores. */
function createRecorder(): Callback<"accuracy"> {
  let memory: { losses: number[]; accuracies: number[] } = { losses: [], accuracies: [] };
  return {
    name: "recorder",
    onStep: ({ loss }) => void memory.losses.push(loss),
    onEpoch: ({ result }) => void memory.accuracies.push(result.accuracy),
    state: () => memory,
    restore(state) {
      memory = state as unknown as typeof memory;
    },
  };
}

const saver = checkpoints({ store, everySteps: 2, keep: 3 });

await trainer.fit(blobs(45), { totalEpochs: EPOCHS, batchSize: 10, callbacks: [createRecorder(), saver] });
const digest = createHash("sha256").update(encodeCheckpoint(trainer.checkpoint())).digest("hex");
writeSync(1, `${trainer.steps} steps, ${digest}\n`);
