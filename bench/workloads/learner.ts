// A training task, and the two ways to do it: same initial parameters, same batches in the same order.
import {
  adam,
  binaryCrossEntropy,
  compile,
  crossEntropy,
  dense,
  relu,
  type Samples,
  sequential,
  sgd,
  sigmoid,
  type Trainer,
  tanh,
} from "../../src/index.js";
import type { BatchedData } from "../data.js";
import { engineOf } from "../engines.js";
import { createNetwork, type Network, type NetworkOptions } from "../javascript/network.js";
import { type Contestant, type Implementation, type Variant, variantOf } from "../workload.js";

export interface TrainingTask extends Omit<NetworkOptions, "batch"> {
  readonly data: BatchedData;
  readonly initial: readonly Float32Array[];
  /** How steepest is called: many steps a call on resident data, or a batch handed over with each call. */
  readonly call: "steps" | "batch";
}

/** A contestant whose losses can be compared. */
export interface Learner extends Contestant {
  /** Trains `steps` steps; returns the loss before each. */
  losses(steps: number): ArrayLike<number>;
}

export async function createLearner(implementation: Implementation, task: TrainingTask): Promise<Learner> {
  const variant = variantOf(implementation);
  return variant === undefined ? javascriptLearner(task) : steepestLearner(variant, task);
}

/** Batches as views of the data. */
function batchesOf({ x, y, batches }: BatchedData): Samples[] {
  const [xSize, ySize] = [x.length / batches, y.length / batches];
  return Array.from({ length: batches }, (_, i) => ({
    x: x.subarray(i * xSize, (i + 1) * xSize),
    y: y.subarray(i * ySize, (i + 1) * ySize),
  }));
}

/** What the others are held against. */
export function javascriptLearner(task: TrainingTask): Learner {
  return networkLearner(createNetwork({ ...task, batch: task.data.batch }), task.data, task.initial);
}

export function networkLearner(
  network: Pick<Network, "trainStep" | "reset">,
  data: BatchedData,
  initial: readonly Float32Array[],
): Learner {
  const batches = batchesOf(data) as { x: Float32Array; y: Float32Array | Uint32Array }[];
  let next = 0;
  const step = (): number => {
    const { x, y } = batches[next];
    next = (next + 1) % batches.length;
    return network.trainStep(x, y);
  };
  const learner: Learner = {
    reset() {
      next = 0;
      network.reset(initial);
    },
    run(steps) {
      for (let i = 0; i < steps; i++) step();
    },
    losses: (steps) => Float64Array.from({ length: steps }, step),
    dispose() {},
  };
  learner.reset();
  return learner;
}

const HIDDEN = { relu, sigmoid, tanh };
const LOSS = { softmaxCrossEntropy: crossEntropy, binaryCrossEntropy };
const OPTIMIZER = { sgd, adam };

/** The network of javascript/network.ts in steepest, with initial parameters in the order of the layers. */
export async function compileNetwork(
  variant: Variant,
  { sizes, hidden, loss, optimizer, learningRate }: Omit<NetworkOptions, "batch">,
  initial: readonly Float32Array[],
): Promise<{ trainer: Trainer; parameters: Readonly<Record<string, Float32Array>> }> {
  const [inputs, ...units] = sizes;
  const layers = units.flatMap((count, i) => (i === 0 ? [dense(count)] : [HIDDEN[hidden](), dense(count)]));
  const model = sequential({ input: [inputs] }, ...layers);
  const parameters = Object.fromEntries([...model.parameters.keys()].map((path, i) => [path, initial[i]]));
  const trainer = await compile(model, {
    loss: LOSS[loss](),
    optimizer: OPTIMIZER[optimizer]({ learningRate }),
    engine: await engineOf(variant),
  });
  trainer.setParameters(parameters);
  return { trainer, parameters };
}

async function steepestLearner(variant: Variant, task: TrainingTask): Promise<Learner> {
  const { trainer, parameters } = await compileNetwork(variant, task, task.initial);
  return trainerLearner(trainer, parameters, task.data, task.call);
}

export function trainerLearner(
  trainer: Trainer,
  parameters: Readonly<Record<string, Float32Array>>,
  data: BatchedData,
  call: TrainingTask["call"],
): Learner {
  trainer.setParameters(parameters);
  const resident = trainer.load({ x: data.x, y: data.y });
  const batches = batchesOf(data);
  let next = 0;
  const step = (): number => {
    const loss = trainer.trainBatchSync(batches[next]);
    next = (next + 1) % batches.length;
    return loss;
  };
  const trainSteps = (steps: number) =>
    trainer.trainStepsSync(resident, { steps, batchSize: data.batch, shuffle: false });
  return {
    reset() {
      next = 0;
      trainer.reset();
      trainer.setParameters(parameters);
    },
    run(steps) {
      if (call === "steps") trainSteps(steps);
      else for (let i = 0; i < steps; i++) step();
    },
    losses: (steps) => (call === "steps" ? trainSteps(steps) : Float64Array.from({ length: steps }, step)),
    dispose() {
      resident.dispose();
      trainer.dispose();
    },
  };
}
