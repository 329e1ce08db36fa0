// Training steps of a small convolutional network.
import { adam, compile, conv2d, crossEntropy, dense, flatten, maxPool2d, relu, sequential } from "../../src/index.js";
import { type BatchedData, classificationData, createRandom, uniformValues } from "../data.js";
import { engineOf } from "../engines.js";
import { type CnnOptions, cnnShapes, createCnn } from "../javascript/cnn.js";
import { type Implementation, variantOf, type Workload } from "../workload.js";
import { type Learner, networkLearner, trainerLearner } from "./learner.js";
import { checkedTraining } from "./training.js";

export interface CnnTask extends CnnOptions {
  readonly optimizer: "adam";
  readonly data: BatchedData;
  readonly initial: readonly Float32Array[];
}

/** 28×28, 8 and 16 filters: the size of handwritten digits. */
export function cnnWorkload(): Workload {
  return checkedTraining(
    "cnn",
    "train 28×28: conv 3×3×8, ReLU, max pool 2, conv 3×3×16, ReLU, max pool 2, dense 10 (Adam), batch 64",
    () => cnnTask({ batch: 64, size: 28, filters: [8, 16], classes: 10, optimizer: "adam", learningRate: 0.002 }),
    {
      reference: ({ data, initial, ...options }) => networkLearner(createCnn(options), data, initial),
      create: createCnnLearner,
      forPeers: ({ data, optimizer: _, ...task }, results) => ({ kind: "cnn", ...task, ...data, results }),
    },
    { compared: 10, falling: 64 },
  );
}

export function cnnTask(options: CnnOptions & { readonly optimizer: "adam" }): CnnTask {
  const random = createRandom(1);
  const initial = cnnShapes(options).map((shape) => {
    const length = shape.reduce((product, count) => product * count, 1);
    if (shape.length === 1) return new Float32Array(length);
    const [inputs, outputs] = shape
      .slice(-2)
      .map((count) => (count * length) / (shape[shape.length - 2] * shape[shape.length - 1]));
    return uniformValues(random, length, Math.sqrt(6 / (inputs + outputs)));
  });
  return { ...options, data: classificationData(options.batch, options.size ** 2, options.classes, 4), initial };
}

export async function createCnnLearner(implementation: Implementation, task: CnnTask): Promise<Learner> {
  const { data, initial, ...options } = task;
  const { size, filters, classes, learningRate } = options;
  const variant = variantOf(implementation);
  if (variant === undefined) return networkLearner(createCnn(options), data, initial);
  const stage = (count: number) => [conv2d(count, 3), relu(), maxPool2d(2)];
  const layers = [...stage(filters[0]), ...stage(filters[1]), flatten(), dense(classes)];
  const model = sequential({ input: [size, size, 1] }, ...layers);
  const parameters = Object.fromEntries([...model.parameters.keys()].map((path, i) => [path, initial[i]]));
  const engine = await engineOf(variant);
  const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam({ learningRate }), engine });
  return trainerLearner(trainer, parameters, data, "steps");
}
