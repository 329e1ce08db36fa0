import { checkNone } from "../engine/errors.js";
import { sizeOf } from "../graph/tensor.js";
import { flatten as flattenFrom } from "../ops/shape.js";
import type { Layer } from "./layer.js";

/** [batch, a, b, …] → [batch, a·b·…]. Nothing is copied. */
export function flatten(...none: []): Layer<number, 1> {
  checkNone("flatten", none);
  return {
    kind: "flatten",
    build(_place, inputShape) {
      return { outputShape: [sizeOf(inputShape)], parameters: [], apply: (x) => flattenFrom(x) };
    },
  };
}
