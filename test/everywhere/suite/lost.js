// Workers that are ended from outside: the call is rejected with the reason, long before the minute after which a thread
// counts as lost that nobody watches; the engine goes on with the rest, and with the right bits.
import { expect } from "./checks.js";
import { sameBits, uniform } from "./numbers.js";

// Whoever waits for a sign of life waits twice as long.
const SOON_MS = 30_000;

const data = { x: uniform(64 * 32, -1, 1, 71), y: uniform(64 * 4, -1, 1, 72) };

/** Which worker of which engine is ended, in the order in which they are started. */
const TEAMS = {
  "a worker that leads": { options: { threads: 2, background: true }, victim: 0, left: [2, 1] },
  "one of a team that a worker leads": { options: { threads: 3, background: true }, victim: 2, left: [2] },
  "one of a team that this thread leads": { options: { threads: 3, background: false }, victim: 1, left: [2] },
};

/** `kit.workers` are all that were started so far. */
export async function checkLost({ steepest }, kit, checks) {
  const { compile, dense, meanSquaredError, relu, sequential, sgd } = steepest;
  const model = sequential({ input: [32] }, dense(512), relu(), dense(4));
  const open = (engine) => compile(model, { loss: meanSquaredError(), optimizer: sgd(), seed: 3, engine });
  const straight = await open(kit.engine);
  await straight.trainSteps(data, { steps: 4 });
  for (const [name, { options, victim, left }] of Object.entries(TEAMS)) {
    if (!options.background && !kit.mayWait) continue;
    await checks.check(`lost: ${name}`, async () => {
      const before = kit.workers.length;
      const engine = await steepest.createEngine(options);
      const trainer = await open(engine);
      await trainer.trainSteps(data, { steps: 2 });
      const began = performance.now();
      const error = await disturbed(trainer, kit.workers[before + victim], options.background);
      expect(error?.name === "ThreadError", `rejected with ${error?.name}: ${error?.message}`);
      expect(performance.now() - began < SOON_MS, `known only after ${performance.now() - began} ms: ${error.message}`);
      expect(left.includes(trainer.threads), `goes on with ${trainer.threads} threads`);
      trainer.reset();
      await trainer.trainSteps(data, { steps: 4 });
      for (const [path, { data }] of straight.parameters()) {
        expect(sameBits(data, trainer.parameters().get(path).data), `"${path}" has other bits afterwards`);
      }
      trainer.dispose();
      engine.dispose();
    });
  }
  straight.dispose();
}

const turn = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ends a worker while a call runs, or, if this thread leads, just before one, which must wait. Resolves to the error. */
async function disturbed(trainer, worker, background) {
  if (background) {
    const training = trainer.trainSteps(data, { steps: 1e7, batchSize: 64 });
    await turn(30);
    worker.terminate();
    return training.then(
      () => undefined,
      (error) => error,
    );
  }
  worker.terminate();
  try {
    // A long call without a turn of the event loop, so that no event can tell.
    trainer.trainStepsSync(data, { steps: 1000, batchSize: 64 });
    // In Chromium a worker lives until the thread that ended it has had such a turn.
    for (const began = performance.now(); performance.now() - began < SOON_MS; await turn(20)) {
      trainer.trainStepsSync(data, { steps: 1, batchSize: 64 });
    }
    return undefined;
  } catch (error) {
    return error;
  }
}
