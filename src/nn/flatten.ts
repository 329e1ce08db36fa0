import { sizeOf } from "../graph/tensor.js";
import { reshape } from "../ops/shape.js";
import type { Layer } from "./layer.js";

/** [batch, a, b, …] → [batch, a·b·…]. Nothing is copied. */
export function flatten(): Layer {
  return {
    kind: "flatten",
    build(_place, inputShape) {
      const features = sizeOf(inputShape);
      return { outputShape: [features], parameters: [], apply: (x) => reshape(x, [x.shape[0], features]) };
    },
  };
}
