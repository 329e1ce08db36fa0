// Training steps: forward, backward and the optimizer's update.
import { classificationData, initialParameters, xorData } from "../data.js";
import type { OptimizerName } from "../javascript/network.js";
import { CheckError, type Implementation, type Workload } from "../workload.js";
import { createLearner, type Learner, type TrainingTask } from "./learner.js";
import { checkValues } from "./values.js";

const COMPARED_STEPS = 20;
/**
 * How far the first losses may be from those of plain JavaScript, which adds up in float64, relative to the loss. They
 * were 1.2e-7 apart at most (two float32 roundings) when this was written; a wrong gradient shows in the first digits.
 */
const LOSS_TOLERANCE = 2e-6;

/** 2-8-1, the four cases as one batch. */
export function xorWorkload(name: string, call: TrainingTask["call"]): Workload {
  const how = call === "steps" ? "many steps a call" : "one call a step";
  return trainingWorkload(name, `train 2-8-1 (tanh, SGD) on XOR, batch 4, ${how}`, () => ({
    sizes: [2, 8, 1],
    hidden: "tanh",
    loss: "binaryCrossEntropy",
    optimizer: "sgd",
    learningRate: 0.5,
    data: xorData(),
    initial: initialParameters([2, 8, 1], 1),
    call,
  }));
}

/** 784-128-10, the size of handwritten digits. */
export function digitsWorkload(batch: number, optimizer: OptimizerName): Workload {
  const description = `train 784-128-10 (ReLU, ${optimizer === "sgd" ? "SGD" : "Adam"}), batch ${batch}, many steps a call`;
  return trainingWorkload(`mnist-${batch}-${optimizer}`, description, () => ({
    sizes: [784, 128, 10],
    hidden: "relu",
    loss: "softmaxCrossEntropy",
    optimizer,
    learningRate: optimizer === "sgd" ? 0.05 : 0.001,
    data: classificationData(batch, 784, 10, 2),
    initial: initialParameters([784, 128, 10], 1),
    call: "steps",
  }));
}

export function trainingWorkload(name: string, description: string, createTask: () => TrainingTask): Workload {
  let known: { task: TrainingTask; reference: ArrayLike<number> } | undefined;
  const withReference = () => {
    if (known !== undefined) return known;
    const task = createTask();
    known = { task, reference: createLearner("javascript", task).losses(COMPARED_STEPS) };
    return known;
  };
  return {
    name,
    description,
    metric: "step-ms",
    work: 1,
    prepare(implementation: Implementation) {
      const { task, reference } = withReference();
      const learner = createLearner(implementation, task);
      checkLearner(learner, reference, task.data.batches);
      return learner;
    },
  };
}

/** Throws CheckError unless the first losses are those of the reference, and the loss falls over all batches. */
export function checkLearner(learner: Learner, reference: ArrayLike<number>, batches: number): void {
  const first = learner.losses(reference.length);
  checkValues("losses of the first steps", first, reference, (i) => LOSS_TOLERANCE * Math.abs(reference[i]));
  learner.reset();
  const round = Math.max(batches, 100 / batches);
  const losses = Array.from(learner.losses(2 * round));
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [before, after] = [mean(losses.slice(0, round)), mean(losses.slice(round))];
  if (!(after < before)) throw new CheckError(`loss must fall in ${2 * round} steps, went from ${before} to ${after}`);
}
