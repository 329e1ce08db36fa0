// A batch predicted with int8, next to the same trainer's prediction in float32.
import { quantize } from "../../src/quantize/index.js";
import { createRandom, initialParameters, uniformValues } from "../data.js";
import { CheckError, type Contestant, LeftOut, type Variant, variantOf, type Workload } from "../workload.js";
import { compileNetwork } from "./learner.js";

const SIZES = [784, 128, 10];
const BATCH = 128;
// Of the outputs, root mean square: half of a step in 255 on each side, and in 127.
const MOST = 0.02;

/** 784-128-10 with ReLU, as the trainings on MNIST have it. */
export function quantizedWorkload(): Workload {
  const initial = initialParameters(SIZES, 1);
  const x = uniformValues(createRandom(2), SIZES[0] * BATCH);
  const compiled = async (variant: Variant) => {
    const network = {
      sizes: SIZES,
      hidden: "relu",
      loss: "softmaxCrossEntropy",
      optimizer: "sgd",
      learningRate: 0.05,
    } as const;
    return (await compileNetwork(variant, network, initial)).trainer;
  };
  return {
    name: "predict-int8",
    description: "predict 128 samples with 784-128-10 (ReLU), int8, one call each",
    metric: "step-ms",
    work: 1,
    async prepare(implementation) {
      const variant = variantOf(implementation);
      if (variant === undefined) throw new LeftOut("only steepest predicts with int8 here");
      const trainer = await compiled(variant);
      const small = await quantize(trainer, { calibration: x, ...variant });
      const float = trainer.predictSync(x, { output: "raw" });
      trainer.dispose();
      const error = relativeError(small.predict(x), float);
      if (!(error > 0 && error < MOST)) throw new CheckError(`outputs: ${error} away from float32, at most ${MOST}`);
      return contestant(() => small.predict(x), small.dispose);
    },
    yardstick: {
      name: "float32",
      async prepare(variant) {
        const trainer = await compiled(variant);
        return contestant(() => trainer.predictSync(x, { output: "raw" }), trainer.dispose);
      },
    },
  };
}

function contestant(predict: () => unknown, dispose: () => void): Contestant {
  return {
    reset() {},
    run(steps) {
      for (let i = 0; i < steps; i++) predict();
    },
    dispose,
  };
}

function relativeError(values: Float32Array, wanted: Float32Array): number {
  let [errors, squares] = [0, 0];
  wanted.forEach((value, i) => {
    errors += (value - values[i]) ** 2;
    squares += value ** 2;
  });
  return Math.sqrt(errors / squares);
}
