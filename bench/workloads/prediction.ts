// Prediction for one sample, as a service does it: one call each.
import { createRandom, initialParameters, uniformValues } from "../data.js";
import { createNetwork, type NetworkOptions } from "../javascript/network.js";
import { type Contestant, type Implementation, variantOf, type Workload } from "../workload.js";
import { compileNetwork } from "./learner.js";
import { checkValues } from "./values.js";

const SIZES = [784, 128, 10];
const TOLERANCE = 1e-5;

const network: Omit<NetworkOptions, "batch"> = {
  sizes: SIZES,
  hidden: "relu",
  loss: "softmaxCrossEntropy",
  optimizer: "sgd",
  learningRate: 0.05,
};

interface Predictor extends Contestant {
  predict(): Float32Array;
}

export function predictionWorkload(): Workload {
  const initial = initialParameters(SIZES, 1);
  const x = uniformValues(createRandom(2), SIZES[0]);
  const check = (probabilities: ArrayLike<number>) =>
    checkValues("probabilities", probabilities, predictInFloat64(x, initial), () => TOLERANCE);
  return {
    name: "predict-one",
    description: "predict one sample with 784-128-10 (ReLU, softmax), one call each",
    metric: "step-ms",
    work: 1,
    async prepare(implementation) {
      const predictor = await createPredictor(implementation, x, initial);
      check(predictor.predict());
      return predictor;
    },
    forPeers: () => ({ task: { kind: "predict", sizes: SIZES, x, initial }, check }),
  };
}

async function createPredictor(
  implementation: Implementation,
  x: Float32Array,
  initial: readonly Float32Array[],
): Promise<Predictor> {
  const variant = variantOf(implementation);
  if (variant === undefined) {
    const model = createNetwork({ ...network, batch: 1 });
    model.reset(initial);
    return contestant(() => model.predict(x));
  }
  const { trainer } = await compileNetwork(variant, network, initial);
  return { ...contestant(() => trainer.predictSync(x)), dispose: trainer.dispose };
}

function contestant(predict: () => Float32Array): Predictor {
  return {
    reset() {},
    run(steps) {
      for (let i = 0; i < steps; i++) predict();
    },
    predict,
    dispose() {},
  };
}

/** softmax(max(x·W + b, 0)·V + c), term by term. */
function predictInFloat64(x: Float32Array, [w, b, v, c]: readonly Float32Array[]): number[] {
  const layer = (input: number[], weight: Float32Array, bias: Float32Array): number[] =>
    Array.from(bias, (start, j) => input.reduce((sum, value, i) => sum + value * weight[i * bias.length + j], start));
  const hidden = layer([...x], w, b).map((value) => Math.max(value, 0));
  const exponentials = layer(hidden, v, c).map(Math.exp);
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}
