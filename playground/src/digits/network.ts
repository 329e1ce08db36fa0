// Two networks for digits; both tell what their first layer gives, too.
import {
  adam,
  compile,
  conv2d,
  crossEntropy,
  dense,
  dropout,
  flatten,
  functional,
  lion,
  maxPool2d,
  type Optimizer,
  relu,
  rmsprop,
  sgd,
} from "steepest";
import { SIDE } from "./picture.js";
import { DENSE_UNITS, type DigitSettings, WINDOW, WINDOWS } from "./settings.js";

const OPTIMIZE: Record<DigitSettings["optimizer"], (learningRate: () => number) => Optimizer> = {
  sgd: (learningRate) => sgd({ learningRate }),
  momentum: (learningRate) => sgd({ learningRate, momentum: 0.9 }),
  rmsprop: (learningRate) => rmsprop({ learningRate }),
  adam: (learningRate) => adam({ learningRate }),
  lion: (learningRate) => lion({ learningRate }),
};

export function createModel({ network, dropout: rate }: Pick<DigitSettings, "network" | "dropout">) {
  return functional({ input: [SIDE, SIDE, 1] }, (x, { apply }) => {
    if (network === "dense") {
      const first = apply(x, flatten(), dense(DENSE_UNITS, { name: "first" }), relu());
      return { out: apply(first, dropout(rate), dense(10, { name: "out" })), first };
    }
    const first = apply(x, conv2d(WINDOWS, WINDOW, { name: "first" }), relu());
    const second = apply(first, maxPool2d(2), conv2d(16, 3, { name: "second" }), relu(), maxPool2d(2), flatten());
    return { out: apply(second, dropout(rate), dense(10, { name: "out" })), first };
  });
}

export function openTrainer(settings: DigitSettings, learningRate: () => number) {
  return compile(createModel(settings), {
    loss: { out: crossEntropy() },
    metrics: { out: ["accuracy"] },
    optimizer: OPTIMIZE[settings.optimizer](learningRate),
    seed: settings.seed,
    threads: settings.threads,
  });
}

export type DigitTrainer = Awaited<ReturnType<typeof openTrainer>>;
