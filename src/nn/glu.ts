// Gated linear units as layers: the last axis, halved into a and b, becomes a · f(b). See src/ops/glu.ts.
import { checkNone, ModelError } from "../engine/errors.js";
import { readOptions } from "../engine/options.js";
import { showShape, type Tensor } from "../graph/tensor.js";
import { GELU, type GeluOptions } from "../ops/gated.js";
import * as operations from "../ops/glu.js";
import type { Layer } from "./layer.js";

function halving(kind: string, apply: (x: Tensor) => Tensor, options?: readonly unknown[]): Layer<number, "same"> {
  return {
    kind,
    options,
    build({ where }, inputShape) {
      const size = inputShape[inputShape.length - 1];
      if (size % 2 !== 0) {
        throw new ModelError(
          `${where}: the last axis must have an even size, to be halved, got ${showShape(["batch", ...inputShape])}: make it twice what is to come out`,
        );
      }
      return { outputShape: [...inputShape.slice(0, -1), size / 2], parameters: [], apply: (x) => apply(x) };
    },
  };
}

/** One that has no options. */
function plain(kind: string, apply: (x: Tensor) => Tensor, none: readonly unknown[]): Layer<number, "same"> {
  checkNone(kind, none);
  return halving(kind, apply);
}

/**
 * Gated linear unit: a · sigmoid(b) for the halves [a, b] of the last axis, as PyTorch's. Dauphin et al. 2017.
 *
 * @example
 * sequential({ input: [784] }, dense(2 * 64), glu(), dense(10)); // glu(): [batch, 128] → [batch, 64]
 */
export const glu = (...none: []): Layer<number, "same"> => plain("glu", operations.glu, none);
/** a · silu(b) for the halves [a, b] of the last axis. Shazeer 2020. */
export const swiglu = (...none: []): Layer<number, "same"> => plain("swiglu", operations.swiglu, none);
/** a · relu(b) for the halves [a, b] of the last axis. Shazeer 2020. */
export const reglu = (...none: []): Layer<number, "same"> => plain("reglu", operations.reglu, none);

/** a · gelu(b) for the halves [a, b] of the last axis; `approximate` as in gelu(). Shazeer 2020. */
export function geglu(options: GeluOptions = {}): Layer<number, "same"> {
  const { approximate } = readOptions("geglu", options, GELU);
  return halving("geglu", (x) => operations.geglu(x, { approximate }), [options]);
}
