// trainFor() takes as many steps as there is time for, and goes on where it stopped: however a training is cut into
// slices, it has the bits of one without a cut. The clock is the suite's own: another, or one that stands still as at
// the edge, would cut as it likes, or never.
import { expect } from "./checks.js";
import { createDigest, integers, uniform } from "./numbers.js";

const SAMPLES = 150;
const STEPS = 40;
const SLICE_MS = 8;

// Milliseconds from one reading to the next: slices of one step, and of several.
const TICKS = [0.25, 0.5, 9, 0.25, 2, 0.5, 1, 0.25, 4];

/** Each: what trainFor is asked for besides the time. In the last, every step takes all samples. */
const WALKS = {
  "in a new order each time": { batchSize: 64 },
  "in order": { batchSize: 48, shuffle: false },
  "all at once": { batchSize: SAMPLES },
};

export async function checkSlices({ steepest }, kit, checks) {
  const { adam, compile, crossEntropy, dense, dropout, relu, sequential } = steepest;
  const model = sequential({ input: [64] }, dense(512), relu(), dropout(0.25), dense(10));
  const samples = { x: uniform(SAMPLES * 64, -1, 1, 61), y: integers(SAMPLES, 10, 62) };
  const open = () => compile(model, { loss: crossEntropy(), optimizer: adam(), seed: 9, engine: kit.engine });
  for (const [name, options] of Object.entries(WALKS)) {
    await checks.check(`slices: ${name}`, async () => {
      const [sliced, straight] = [await open(), await open()];
      const slices = trainInSlices(sliced, sliced.load(samples), options);
      const lengths = slices.map(({ length }) => length);
      expect(new Set(lengths).size > 1, `slices are all of ${lengths[0]} steps: the clock did not cut them`);
      const losses = slices.flatMap((slice) => [...slice]);
      expect(sliced.steps === losses.length, `${sliced.steps} steps were counted, ${losses.length} losses given`);
      const whole = straight.trainStepsSync(straight.load(samples), { steps: losses.length, ...options });
      const [found, wanted] = [digestOf(losses, sliced), digestOf(whole, straight)];
      expect(found === wanted, `slices of ${lengths.join(", ")} steps give ${found}, trainStepsSync gives ${wanted}`);
      for (const trainer of [sliced, straight]) trainer.dispose();
    });
  }
}

/** Slice after slice until there are STEPS steps. Returns the losses of each. */
function trainInSlices(trainer, data, options) {
  const slices = [];
  withClock(() => {
    for (let steps = 0; steps < STEPS; steps += slices.at(-1).length) {
      slices.push(trainer.trainFor(SLICE_MS, data, options));
    }
  });
  return slices;
}

/** Calls `work` with a clock that goes on by TICKS, whoever reads it. */
function withClock(work) {
  let [time, readings] = [0, 0];
  const own = Object.getOwnPropertyDescriptor(performance, "now");
  const now = () => {
    time += TICKS[readings++ % TICKS.length];
    return time;
  };
  Object.defineProperty(performance, "now", { value: now, configurable: true, writable: true });
  try {
    work();
  } finally {
    if (own === undefined) delete performance.now;
    else Object.defineProperty(performance, "now", own);
  }
}

function digestOf(losses, trainer) {
  const digest = createDigest();
  for (const loss of losses) digest.add(loss);
  for (const { data } of trainer.parameters().values()) digest.add(data);
  return digest.text();
}
