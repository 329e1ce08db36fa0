// Noise while training, none while predicting; new at every step, from the trainer's seed.
import { checkNone, checkNumber, ModelError } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import type { RandomOptions } from "../ops/dropout.js";
import { add, mul } from "../ops/elementwise.js";
import { randomNormal } from "../ops/noise.js";
import type { Layer } from "./layer.js";

function noisy(
  kind: string,
  amount: number,
  apply: (x: Tensor, random: RandomOptions) => Tensor,
): Layer<number, "same"> {
  return {
    kind,
    options: [amount],
    build: (_place, inputShape) => ({
      outputShape: inputShape,
      parameters: [],
      apply: (x, { training, clock, seed, stream }) =>
        training && amount > 0 ? apply(x, { clock, seed, stream: stream() }) : x,
    }),
  };
}

/** While training, adds normal noise of mean 0 and this standard deviation to each value. */
export function gaussianNoise(standardDeviation: number, ...none: []): Layer<number, "same"> {
  checkNone("gaussianNoise", none);
  checkNumber("gaussianNoise", "standardDeviation", standardDeviation, 0, Number.POSITIVE_INFINITY);
  return noisy("gaussianNoise", standardDeviation, (x, random) =>
    add(x, randomNormal(x.shape, { ...random, standardDeviation })),
  );
}

/** While training, multiplies each value by a normal number of mean 1 and variance rate / (1 - rate), that of dropout(rate). */
export function gaussianDropout(rate: number, ...none: []): Layer<number, "same"> {
  checkNone("gaussianDropout", none);
  checkNumber("gaussianDropout", "rate", rate, 0, 1);
  if (rate === 1) throw new ModelError("gaussianDropout: rate must be below 1, got 1: its noise would be infinite");
  const standardDeviation = Math.sqrt(rate / (1 - rate));
  return noisy("gaussianDropout", rate, (x, random) =>
    mul(x, randomNormal(x.shape, { ...random, mean: 1, standardDeviation })),
  );
}
