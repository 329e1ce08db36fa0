import { checkNone, checkNumber, ModelError } from "../engine/errors.js";
import { showShape, type Tensor } from "../graph/tensor.js";
import * as operations from "../ops/dropout.js";
import type { Layer } from "./layer.js";

function checkRate(where: string, rate: number): number {
  checkNumber(where, "rate", rate, 0, 1);
  if (rate === 1) throw new ModelError(`${where}: rate must be below 1, got 1: nothing would be left`);
  return rate;
}

/** A layer that drops something while training, and does nothing while predicting; `window` axes lie between batch and channels. */
function dropping(
  kind: string,
  rate: number,
  none: readonly unknown[],
  operation: (x: Tensor, options: operations.DropoutOptions) => Tensor,
  window?: number,
): Layer<number, "same"> {
  checkRate(kind, rate);
  checkNone(kind, none);
  return {
    kind,
    options: [rate],
    build({ where }, inputShape) {
      if (window !== undefined && inputShape.length !== window + 1) {
        const expected = window === 1 ? "[batch, length, channels]" : "[batch, height, width, channels]";
        throw new ModelError(
          `${where}: input must be ${expected}, got ${showShape(["batch", ...inputShape])}: use dropout() for other shapes`,
        );
      }
      return {
        outputShape: inputShape,
        parameters: [],
        apply: (x, { training, clock, seed, stream }) =>
          training && rate > 0 ? operation(x, { rate, clock, seed, stream: stream() }) : x,
      };
    },
  };
}

/**
 * While training, sets each value to 0 with probability `rate` and scales the others by 1 / (1 - rate)
 * (Srivastava et al. 2014); while predicting, does nothing. A new mask every step, from the trainer's seed.
 *
 * @example
 * const model = sequential({ input: [784] }, dense(128), relu(), dropout(0.2), dense(10));
 */
export const dropout = (rate: number, ...none: []): Layer<number, "same"> =>
  dropping("dropout", rate, none, operations.dropout);

/** dropout() of whole channels of a sequence [length, channels]: each is 0 everywhere, or scaled everywhere (Tompson et al. 2015). */
export const spatialDropout1d = (rate: number, ...none: []): Layer<number, "same"> =>
  dropping("spatialDropout1d", rate, none, operations.spatialDropout, 1);

/** dropout() of whole channels of an image [height, width, channels]: each is 0 everywhere, or scaled everywhere (Tompson et al. 2015). */
export const spatialDropout2d = (rate: number, ...none: []): Layer<number, "same"> =>
  dropping("spatialDropout2d", rate, none, operations.spatialDropout, 2);

/** dropout() for networks of selu(), whose mean 0 and variance 1 it keeps (Klambauer et al. 2017). */
export const alphaDropout = (rate: number, ...none: []): Layer<number, "same"> =>
  dropping("alphaDropout", rate, none, operations.alphaDropout);
