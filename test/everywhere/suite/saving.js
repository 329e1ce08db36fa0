// Training that goes on from saved weights alone. It is compared where they are all there is: an optimizer without
// memory, a fixed rate, no dropout, the samples in order. (Trainings that go on from checkpoints: see trainings.js.)
import { expect } from "./checks.js";
import { createDigest, sameBits, uniform } from "./numbers.js";

const data = { x: uniform(96 * 64, -1, 1, 41), y: uniform(96 * 10, -1, 1, 42) };

/** Resolves to the digest of the whole training. */
export async function checkResuming({ steepest, io }, kit, checks) {
  if (io === undefined) {
    checks.skip("resume", "without steepest/io");
    return undefined;
  }
  const { compile, dense, gelu, meanSquaredError, sequential, sgd } = steepest;
  const model = sequential({ input: [64] }, dense(512), gelu(), dense(10));
  const optimizer = sgd({ learningRate: 0.05 });
  const open = (seed) => compile(model, { loss: meanSquaredError(), optimizer, seed, engine: kit.engine });
  const train = (trainer, steps) => trainer.trainSteps(data, { steps, batchSize: 40, shuffle: false });
  return checks.check("resume", async () => {
    const [straight, first, second] = [await open(3), await open(3), await open(4)];
    // Three steps go through the samples once, so that both parts begin with the first row.
    const losses = await train(straight, 12);
    const before = await train(first, 6);
    const bytes = io.encodeWeights(first);
    await loadFromFile({ io, kit }, bytes, second, checks);
    const after = await train(second, 6);
    expect(sameBits(losses, Float32Array.of(...before, ...after)), "losses differ from those without a break");
    const digest = createDigest();
    digest.add(losses);
    for (const [path, { data }] of straight.parameters()) {
      expect(sameBits(data, second.parameters().get(path).data), `"${path}" differs from that without a break`);
      digest.add(data);
    }
    for (const trainer of [straight, first, second]) trainer.dispose();
    return digest.text();
  });
}

/** Through a file where the runtime has some; a checkpoint too. */
async function loadFromFile({ io, kit }, bytes, trainer, checks) {
  if (kit.file === undefined) {
    io.decodeWeights(trainer, bytes);
    checks.skip("files", "this runtime has none");
    return;
  }
  await io.writeFileAtomic(kit.file, bytes);
  await checks.check("files", async () => {
    expect(sameBits(await io.readFileBytes(kit.file), bytes), "a file holds other bytes than were written");
    await io.loadWeights(trainer, kit.file);
    await io.saveCheckpoint(trainer, kit.file, { note: "of mine" });
    const { note } = await io.loadCheckpoint(trainer, kit.file);
    expect(note === "of mine", "a checkpoint's file lost its note");
  });
}
