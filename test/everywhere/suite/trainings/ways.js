// What trainings have in common: samples, and how a model is trained: in `parts`, of which `train` does those from
// `begin` to before `end`; it resolves to whatever numbers came by. So a training can be stopped between two parts, and
// gone on with in another trainer.
import { integers, uniform } from "../numbers.js";

export const FEATURES = 64;
export const CLASSES = 10;
export const BATCH = 64;
// Two batches and a ragged third one.
export const SAMPLES = 150;

/** Of one sample; both have as many values. */
export const IMAGE = [12, 12, 3];
export const OTHER_IMAGE = [9, 16, 3];
export const SEQUENCE = [48, 8];
export const WORD = [20];
export const LETTERS = 27;

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);
const samplesOf = (shape, low, seed) => uniform(SAMPLES * sizeOf(shape), low, 1, seed);

export const x = samplesOf([FEATURES], -1, 31);
export const second = samplesOf([FEATURES], -1, 37);
export const images = samplesOf(IMAGE, 0, 38);
export const sequences = samplesOf(SEQUENCE, -1, 39);
export const words = integers(SAMPLES * sizeOf(WORD), LETTERS, 40);
export const labels = integers(SAMPLES, CLASSES, 32);
export const bits = Float32Array.from(integers(SAMPLES * CLASSES, 2, 33));
export const values = samplesOf([CLASSES], -1, 34);
/** A class for each place of a sequence. */
export const positions = integers(SAMPLES * SEQUENCE[0], 6, 41);
export const held = { x: uniform(40 * FEATURES, -1, 1, 35), labels: integers(40, CLASSES, 36) };

/** The first `count` of samples of this shape. */
export const first = (count, samples, shape) => samples.subarray(0, count * sizeOf(shape));

/** fit(): losses and scores of each epoch; those of outputs that have names too. */
export function epochs(parts, data, options) {
  const train = async (trainer, begin, end) => {
    const numbers = [];
    const fit = trainer.fit(data, { ...options, epochs: end - begin });
    for await (const result of fit) {
      const { epoch, step, loss, accuracy = 0, validation } = result;
      numbers.push(epoch, step, loss, accuracy, validation?.loss ?? 0, validation?.accuracy ?? 0);
      for (const scores of [result, validation ?? {}]) {
        for (const [name, score] of Object.entries(scores)) if (name.includes(".")) numbers.push(score);
      }
    }
    return numbers;
  };
  return { parts, train };
}

/** trainBatch(): the batches one after the other, of samples and targets of these shapes. */
export function batches(parts, data, shapes) {
  const train = async (trainer, begin, end) => {
    const losses = [];
    for (let step = begin; step < end; step++) {
      const from = (step * 48) % (SAMPLES - BATCH);
      const rows = (all, shape) => all.subarray(from * sizeOf(shape), (from + BATCH) * sizeOf(shape));
      const batch = { x: rows(data.x, shapes.x), y: rows(data.y, shapes.y) };
      // Where there are several shapes, they take turns.
      const inputShape = shapes.turns?.[step % shapes.turns.length];
      losses.push(await trainer.trainBatch(inputShape === undefined ? batch : { ...batch, inputShape }));
    }
    return losses;
  };
  return { parts, train };
}

/** trainSteps(): calls of so many steps, each of which goes on where the last one stopped. */
export function calls(steps, data, options) {
  const train = async (trainer, begin, end) => {
    const losses = [];
    for (const count of steps.slice(begin, end)) {
      losses.push(...(await trainer.trainSteps(data, { ...options, steps: count })));
    }
    return losses;
  };
  return { parts: steps.length, train };
}
