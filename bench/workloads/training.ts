// Training steps: forward, backward and the optimizer's update.
import { classificationData, initialParameters, xorData } from "../data.js";
import type { OptimizerName } from "../javascript/network.js";
import { CheckError, type Implementation, type PeerTask, type Workload } from "../workload.js";
import { createLearner, javascriptLearner, type Learner, type TrainingTask } from "./learner.js";
import { checkValues } from "./values.js";

/** How many steps a check takes. */
interface CheckedSteps {
  /** Their losses must be those of plain JavaScript. */
  readonly compared: number;
  /** The losses of their second half must be smaller on the average: even, a whole number of rounds in each half. */
  readonly falling: number;
}

/**
 * How far the first losses may be from those of plain JavaScript, which adds up in float64, relative to the loss. They
 * were 1.2e-7 apart at most (two float32 roundings) when this was written; a wrong gradient shows in the first digits.
 */
const LOSS_TOLERANCE = 2e-6;
/** The same for peers: their formulas may be rounded differently, and Adam makes much of a small difference. */
const PEER_LOSS_TOLERANCE = 1e-4;

/** 2-8-1, the four cases as one batch. */
export function xorWorkload(name: string, call: TrainingTask["call"]): Workload {
  const how = call === "steps" ? "many steps a call" : "one call a step";
  return trainingWorkload(
    name,
    `train 2-8-1 (tanh, SGD) on XOR, batch 4, ${how}`,
    () => ({
      sizes: [2, 8, 1],
      hidden: "tanh",
      loss: "binaryCrossEntropy",
      optimizer: "sgd",
      learningRate: 0.5,
      data: xorData(),
      initial: initialParameters([2, 8, 1], 1),
      call,
    }),
    { compared: 20, falling: 200 },
  );
}

/** 784-128-10, the size of handwritten digits. */
export function digitsWorkload(batch: number, optimizer: OptimizerName): Workload {
  const description = `train 784-128-10 (ReLU, ${optimizer === "sgd" ? "SGD" : "Adam"}), batch ${batch}, many steps a call`;
  return trainingWorkload(
    `mnist-${batch}-${optimizer}`,
    description,
    () => ({
      sizes: [784, 128, 10],
      hidden: "relu",
      loss: "softmaxCrossEntropy",
      optimizer,
      learningRate: optimizer === "sgd" ? 0.05 : 0.001,
      data: classificationData(batch, 784, 10, 2),
      initial: initialParameters([784, 128, 10], 1),
      call: "steps",
    }),
    { compared: 20, falling: 32 },
  );
}

const WIDE = [1024, 1024, 1024, 10];

/** 1024-1024-1024-10: nearly all of it is matrix products. A step of plain JavaScript takes half a second: few checks. */
export function wideWorkload(): Workload {
  return trainingWorkload(
    "mlp-1024",
    "train 1024-1024-1024-10 (ReLU, Adam), batch 256, many steps a call",
    () => ({
      sizes: WIDE,
      hidden: "relu",
      loss: "softmaxCrossEntropy",
      optimizer: "adam",
      learningRate: 1e-4,
      data: classificationData(256, WIDE[0], WIDE[3], 3, 1),
      initial: initialParameters(WIDE, 1),
      call: "steps",
    }),
    { compared: 3, falling: 4 },
  );
}

export function trainingWorkload(
  name: string,
  description: string,
  createTask: () => TrainingTask,
  checked: CheckedSteps,
): Workload {
  return checkedTraining(
    name,
    description,
    createTask,
    { reference: javascriptLearner, create: createLearner, forPeers: peerTask },
    checked,
  );
}

/** Who can do a training task. */
interface Learners<Task> {
  /** Plain JavaScript, whose losses are right. */
  reference(task: Task): Learner;
  create(implementation: Implementation, task: Task): Promise<Learner>;
  forPeers(task: Task, results: number): PeerTask;
}

/** Training of any kind: the first losses must be those of plain JavaScript, and the loss must fall. */
export function checkedTraining<Task>(
  name: string,
  description: string,
  createTask: () => Task,
  learners: Learners<Task>,
  { compared, falling }: CheckedSteps,
): Workload {
  let known: { task: Task; reference: ArrayLike<number> } | undefined;
  const withReference = () => {
    if (known !== undefined) return known;
    const task = createTask();
    known = { task, reference: learners.reference(task).losses(compared) };
    return known;
  };
  return {
    name,
    description,
    metric: "step-ms",
    work: 1,
    async prepare(implementation: Implementation) {
      const { task, reference } = withReference();
      const learner = await learners.create(implementation, task);
      checkLearner(learner, reference, falling);
      return learner;
    },
    forPeers() {
      const { task, reference } = withReference();
      return {
        task: learners.forPeers(task, falling),
        check(losses, alike) {
          if (alike) checkFirst(losses.slice(0, compared), reference, PEER_LOSS_TOLERANCE);
          checkFalling(losses, falling);
        },
      };
    },
  };
}

function peerTask({ data, ...task }: TrainingTask, results: number): PeerTask {
  const { sizes, hidden, loss, optimizer, learningRate, initial } = task;
  return { kind: "train", sizes, hidden, loss, optimizer, learningRate, initial, ...data, results };
}

/** Throws CheckError unless the first losses are those of the reference, and the loss falls in so many steps. */
export function checkLearner(learner: Learner, reference: ArrayLike<number>, steps: number): void {
  checkFirst(learner.losses(reference.length), reference, LOSS_TOLERANCE);
  learner.reset();
  checkFalling(learner.losses(steps), steps);
}

function checkFirst(losses: ArrayLike<number>, reference: ArrayLike<number>, tolerance: number): void {
  checkValues("losses of the first steps", losses, reference, (i) => tolerance * Math.abs(reference[i]));
}

/** Compares the first half with the second, as the losses of single batches go up and down. */
export function checkFalling(losses: ArrayLike<number>, steps: number): void {
  if (losses.length !== steps) throw new CheckError(`must give ${steps} losses, gave ${losses.length}`);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const all = Array.from(losses);
  const [before, after] = [mean(all.slice(0, steps / 2)), mean(all.slice(steps / 2))];
  if (!(after < before)) throw new CheckError(`loss must fall in ${steps} steps, went from ${before} to ${after}`);
}
