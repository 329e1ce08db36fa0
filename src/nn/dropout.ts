import { checkNumber, ModelError } from "../engine/errors.js";
import { dropout as dropoutOperation } from "../ops/dropout.js";
import type { Layer } from "./layer.js";

/**
 * While training, sets each value to 0 with probability `rate` and scales the others by 1 / (1 - rate)
 * (Srivastava et al. 2014); while predicting, does nothing. A new mask every step, from the trainer's seed.
 */
export function dropout(rate: number): Layer<number, "same"> {
  checkNumber("dropout", "rate", rate, 0, 1);
  if (rate === 1) throw new ModelError("dropout: rate must be below 1, got 1: nothing would be left");
  return {
    kind: "dropout",
    build: (_place, inputShape) => ({
      outputShape: inputShape,
      parameters: [],
      apply: (x, { training, clock, seed, stream }) =>
        training && rate > 0 ? dropoutOperation(x, { rate, clock, seed, stream: stream() }) : x,
    }),
  };
}
