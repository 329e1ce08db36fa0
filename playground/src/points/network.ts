// The network of the page: its output, and what each hidden unit gives, as outputs of one model.
import {
  adagrad,
  adam,
  adamW,
  binaryCrossEntropy,
  compile,
  dense,
  functional,
  gelu,
  identity,
  type Layer,
  type LearningRate,
  l1,
  l2,
  lion,
  meanSquaredError,
  type Optimizer,
  relu,
  rmsprop,
  rprop,
  sgd,
  sigmoid,
  silu,
  tanh,
} from "steepest";
import type { Tensor } from "steepest/graph";
import { isRegression } from "./data.js";
import { hiddenName, type PointSettings } from "./settings.js";

const ACTIVATE: Record<PointSettings["activation"], () => Layer> = {
  tanh,
  relu,
  sigmoid,
  gelu,
  silu,
  linear: identity,
};

const OPTIMIZE: Record<PointSettings["optimizer"], (learningRate: LearningRate) => Optimizer> = {
  sgd: (learningRate) => sgd({ learningRate }),
  momentum: (learningRate) => sgd({ learningRate, momentum: 0.9 }),
  rmsprop: (learningRate) => rmsprop({ learningRate }),
  adagrad: (learningRate) => adagrad({ learningRate }),
  adam: (learningRate) => adam({ learningRate }),
  adamw: (learningRate) => adamW({ learningRate }),
  lion: (learningRate) => lion({ learningRate }),
  rprop: (learningRate) => rprop({ learningRate }),
};

const PENALIZE = { none: () => undefined, l1, l2 };

export function createModel({ features, layers, activation, penalty, strength }: PointSettings) {
  const weightRegularizer = PENALIZE[penalty](strength);
  const options = weightRegularizer === undefined ? {} : { weightRegularizer };
  return functional({ input: [features.length] }, (x, { apply }) => {
    const outputs: Record<string, Tensor> = {};
    let last: Tensor = x;
    for (const [index, units] of layers.entries()) {
      const name = hiddenName(index);
      last = apply(last, dense(units, { ...options, name }), ACTIVATE[activation]());
      outputs[name] = last;
    }
    return { ...outputs, out: apply(last, dense(1, { ...options, name: "out" })) };
  });
}

/** The learning rate is asked for at each step, so that it may change while the network trains. */
export function openTrainer(settings: PointSettings, learningRate: () => number) {
  const regression = isRegression(settings.data);
  return compile(createModel(settings), {
    loss: { out: regression ? meanSquaredError() : binaryCrossEntropy() },
    metrics: { out: regression ? [] : ["accuracy"] },
    optimizer: OPTIMIZE[settings.optimizer](learningRate),
    seed: settings.seed,
    threads: settings.threads,
  });
}

export type PointTrainer = Awaited<ReturnType<typeof openTrainer>>;
