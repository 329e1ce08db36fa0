// Training steps of recurrent networks.
import { adam, compile, crossEntropy, dense, gru, type Layer, lstm, type Model, sequential } from "../../src/index.js";
import { type BatchedData, classificationData, createRandom, uniformValues } from "../data.js";
import { engineOf } from "../engines.js";
import { createRecurrent, type RecurrentOptions, recurrentShapes } from "../javascript/recurrent.js";
import { type Implementation, LeftOut, type Variant, variantOf, type Workload } from "../workload.js";
import { type Learner, networkLearner, trainerLearner } from "./learner.js";
import { checkedTraining } from "./training.js";

export interface RecurrentTask extends RecurrentOptions {
  readonly optimizer: "adam";
  readonly data: BatchedData;
  readonly initial: readonly Float32Array[];
}

/** 32 steps of 32 numbers to 64 units, the last state to 10 classes. */
export function recurrentWorkload(cell: "lstm" | "gru"): Workload {
  const sizes = { batch: 32, time: 32, inputs: 32, units: 64, classes: 10 };
  return checkedTraining(
    cell,
    `train ${cell === "lstm" ? "an LSTM" : "a GRU"} of 64 units over 32 steps of 32 inputs, last state to dense 10 (Adam), batch 32`,
    () => recurrentTask({ cell, ...sizes, optimizer: "adam", learningRate: 0.005 }),
    {
      reference: ({ data, initial, ...options }) => networkLearner(createRecurrent(options), data, initial),
      create: createRecurrentLearner,
      forPeers: peerTask,
    },
    { compared: 10, falling: 128 },
  );
}

const LONG = { cell: "lstm", batch: 32, time: 512, inputs: 256, units: 256, classes: 10 } as const;

/**
 * 512 steps of 256 units: nearly all of it is matrix products. Five of them for each step, of 256 by 1024 numbers and the
 * batch: the input's and the state's, forward and for their weights, and the state's for its gradient.
 */
export function longRecurrentWorkload(): Workload {
  const workload = checkedTraining(
    "lstm-long",
    "train an LSTM of 256 units over 512 steps of 256 inputs, last state to dense 10 (Adam), batch 32",
    () => recurrentTask({ ...LONG, optimizer: "adam", learningRate: 1e-3 }, 1),
    {
      reference: ({ data, initial, ...options }) => networkLearner(createRecurrent(options), data, initial),
      async create(implementation, task) {
        if (variantOf(implementation) === undefined) throw new LeftOut("half a minute a step");
        return createRecurrentLearner(implementation, task);
      },
      forPeers: peerTask,
    },
    { compared: 1, falling: 4 },
  );
  const { batch, time, inputs, units } = LONG;
  return { ...workload, metric: "gflops", work: 2 * batch * time * 4 * units * (2 * inputs + 3 * units) };
}

export function recurrentTask(
  options: RecurrentOptions & { readonly optimizer: "adam" },
  uniqueBatches?: number,
): RecurrentTask {
  const random = createRandom(1);
  const initial = recurrentShapes(options).map((shape) => {
    const length = shape.reduce((product, count) => product * count, 1);
    if (shape.length === 1) return new Float32Array(length);
    return uniformValues(random, length, Math.sqrt(6 / (shape[0] + shape[1])));
  });
  const { batch, time, inputs, classes } = options;
  return { ...options, data: classificationData(batch, time * inputs, classes, 5, uniqueBatches), initial };
}

function peerTask({ data, optimizer: _, ...task }: RecurrentTask, results: number) {
  return { kind: "recurrent", ...task, ...data, results } as const;
}

function modelOf({ cell, time, inputs, units, classes }: RecurrentOptions): Model {
  const layers = { lstm: () => lstm(units), gru: () => gru(units) };
  return sequential({ input: [time, inputs] }, layers[cell]() as Layer, dense(classes));
}

export async function createRecurrentLearner(implementation: Implementation, task: RecurrentTask): Promise<Learner> {
  const { data, initial, ...options } = task;
  const variant = variantOf(implementation);
  if (variant === undefined) return networkLearner(createRecurrent(options), data, initial);
  return steepestLearner(variant, task);
}

async function steepestLearner(variant: Variant, { data, initial, ...options }: RecurrentTask): Promise<Learner> {
  const model = modelOf(options);
  const parameters = Object.fromEntries([...model.parameters.keys()].map((path, i) => [path, initial[i]]));
  const optimizer = adam({ learningRate: options.learningRate });
  const trainer = await compile(model, { loss: crossEntropy(), optimizer, engine: await engineOf(variant) });
  return trainerLearner(trainer, parameters, data, "steps");
}
