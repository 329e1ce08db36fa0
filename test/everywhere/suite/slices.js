// trainFor() takes as many steps as there is time for, and goes on where it stopped: however a training is cut into
// slices, it has the bits of one without a cut.
import { expect } from "./checks.js";
import { createDigest, integers, uniform } from "./numbers.js";

const SAMPLES = 150;
const STEPS = 40;

// Milliseconds of the slices: the shortest take one step, the others as many as the machine makes in that time.
const SLICES_MS = [1e-6, 30, 1e-6, 1e-6, 12];

/** Each: what trainFor is asked for besides the time. In the last, every step takes all samples. */
const WALKS = {
  "in a new order each time": { batchSize: 64 },
  "in order": { batchSize: 48, shuffle: false },
  "all at once": { batchSize: SAMPLES },
};

export async function checkSlices({ steepest }, kit, checks) {
  const { adam, compile, crossEntropy, dense, dropout, relu, sequential } = steepest;
  // As at the edge, where a slice is always the largest one.
  if (standsStill()) return checks.skip("slices", "the clock stands still while this runs");
  const model = sequential({ input: [64] }, dense(512), relu(), dropout(0.25), dense(10));
  const samples = { x: uniform(SAMPLES * 64, -1, 1, 61), y: integers(SAMPLES, 10, 62) };
  const open = () => compile(model, { loss: crossEntropy(), optimizer: adam(), seed: 9, engine: kit.engine });
  for (const [name, options] of Object.entries(WALKS)) {
    await checks.check(`slices: ${name}`, async () => {
      const [sliced, straight] = [await open(), await open()];
      const slices = trainInSlices(sliced, sliced.load(samples), options);
      const lengths = slices.map(({ length }) => length);
      // Many threads on few cores may take longer for a step than the longest slice is.
      const isCut = new Set(lengths).size > 1 || kit.engine.threads > 2;
      expect(isCut, `slices are all of ${lengths[0]} steps: time did not cut them`);
      const losses = slices.flatMap((slice) => [...slice]);
      expect(sliced.steps === losses.length, `${sliced.steps} steps were counted, ${losses.length} losses given`);
      const whole = straight.trainStepsSync(straight.load(samples), { steps: losses.length, ...options });
      const [found, wanted] = [digestOf(losses, sliced), digestOf(whole, straight)];
      expect(found === wanted, `slices of ${lengths.join(", ")} steps give ${found}, trainStepsSync gives ${wanted}`);
      for (const trainer of [sliced, straight]) trainer.dispose();
    });
  }
}

function standsStill() {
  const start = performance.now();
  for (let reading = 0; reading < 1e6; reading++) if (performance.now() !== start) return false;
  return true;
}

/** Slice after slice, all lengths at least once, until there are STEPS steps. Returns the losses of each. */
function trainInSlices(trainer, data, options) {
  const slices = [];
  for (let steps = 0; steps < STEPS || slices.length < SLICES_MS.length; steps += slices.at(-1).length) {
    slices.push(trainer.trainFor(SLICES_MS[slices.length % SLICES_MS.length], data, options));
  }
  return slices;
}

function digestOf(losses, trainer) {
  const digest = createDigest();
  for (const loss of losses) digest.add(loss);
  for (const { data } of trainer.parameters().values()) digest.add(data);
  return digest.text();
}
